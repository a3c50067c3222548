//! What the driver has noted of the pages: what they loaded, and what went wrong.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// A request of a page over the network.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whereto.
    pub url: String,
    /// How: `GET`, `POST`, …
    pub method: String,
    /// Its headers as the page gave them, by lower-case names.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        origin(&self.url).unwrap_or_default()
    }
}

/// An answer that came over the network.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Where from.
    pub url: String,
    /// How many bytes came, head included and compressed as they came; 0 from a cache.
    pub bytes: u64,
    /// The HTTP status.
    pub status: u64,
    /// Headers of the answer, by lower-case names.
    pub headers: BTreeMap<String, String>,
    /// How the driver names it.
    id: String,
}

/// Scheme, host and port of an address of the network; nothing of what needs no network.
pub(super) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    matches!(scheme, "http" | "https" | "ws" | "wss" | "ftp").then(|| format!("{scheme}://{host}"))
}

/// Reads a log of happenings on the network.
pub(super) fn read(
    entries: &[Value],
    requests: &mut Vec<Request>,
    transfers: &mut Vec<Transfer>,
) -> Result<()> {
    for entry in entries {
        let message = entry["message"].as_str().context("no message in the log")?;
        let message: Value = serde_json::from_str(message).context("the log of the network")?;
        let happened = &message["message"];
        let about = &happened["params"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match happened["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" if origin(&text(&about["request"]["url"])).is_some() => {
                requests.push(Request {
                    url: text(&about["request"]["url"]),
                    method: text(&about["request"]["method"]),
                    headers: headers(&about["request"]["headers"]),
                });
            }
            "Network.webSocketCreated" => requests.push(Request {
                url: text(&about["url"]),
                method: "GET".to_owned(),
                headers: BTreeMap::new(),
            }),
            "Network.responseReceived" if origin(&text(&about["response"]["url"])).is_some() => {
                transfers.push(Transfer {
                    url: text(&about["response"]["url"]),
                    bytes: 0,
                    status: about["response"]["status"].as_u64().unwrap_or_default(),
                    headers: headers(&about["response"]["headers"]),
                    id: text(&about["requestId"]),
                });
            }
            "Network.loadingFinished" => {
                let id = text(&about["requestId"]);
                let bytes = about["encodedDataLength"].as_f64().unwrap_or_default();
                if let Some(transfer) = transfers.iter_mut().rev().find(|transfer| transfer.id == id) {
                    // A whole number, which the protocol writes as a real one.
                    transfer.bytes = bytes as u64;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn headers(of: &Value) -> BTreeMap<String, String> {
    let each = of.as_object().into_iter().flatten();
    each.map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// What the console says that should not be there. A refusal of the API is none: pages show it. Nor is a call that a node did
/// not answer because it was cut off from power, or the look for a newer service worker then. A browser that was told to take any
/// certificate takes none for a service worker.
pub(super) fn errors(entries: &[Value]) -> Vec<String> {
    let is_error = |entry: &&Value| {
        let message = entry["message"].as_str().unwrap_or_default();
        let url = message.split(' ').next().unwrap_or_default();
        let calls_api = origin(url).is_some_and(|origin| url[origin.len()..].starts_with("/v1/"));
        let is_worker = ["An SSL certificate error", "An unknown error"]
            .iter()
            .any(|what| message.contains(&format!("{what} occurred when fetching the script")));
        entry["level"] == "SEVERE" && !(entry["source"] == "network" && (calls_api || is_worker))
    };
    let text = |entry: &Value| format!("{}: {}", entry["source"].as_str().unwrap_or("?"), entry["message"]);
    entries.iter().filter(is_error).map(text).collect()
}
