//! A node's API from a program's side; it stays usable while the node's process is killed and started again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::Host;
use crate::node::wait_until;

/// The longest that a node may take to answer anything; sales wait for up to a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// The most items of one answer.
const PART: usize = 1_000;

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it was empty.
    pub body: Value,
    /// Whether the outcome is an earlier one, under the same idempotency key.
    pub replayed: bool,
    /// Where what was made can be fetched.
    pub location: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// The body, if the request succeeded.
    ///
    /// # Errors
    /// What the API refused with.
    pub fn ok(self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "answered {}: {}", self.status, self.body);
        Ok(self.body)
    }

    /// The code of a refusal; empty if it was none.
    pub fn code(&self) -> &str {
        if self.status < 400 { "" } else { self.body["code"].as_str().unwrap_or("") }
    }
}

/// The way to a node's API.
#[derive(Debug, Clone)]
pub struct Api<'a> {
    /// The node's name, for messages.
    pub name: String,
    pub(crate) host: Option<&'a Host>,
    pub(crate) url: String,
}

impl Api<'_> {
    /// Where it listens, inside its host.
    pub fn api(&self) -> &str {
        &self.url
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, None, None)?.ok().with_context(|| format!("{} {path}", self.name))
    }

    /// Has something done, whatever it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer> {
        self.call("POST", path, Some(body), key)
    }

    /// Has something done that must succeed.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn done(&self, path: &str, body: &Value) -> Result<Value> {
        self.post(path, body, None)?.ok().with_context(|| format!("{} {path} {body}", self.name))
    }

    /// Sells one unit to a walk-in, waiting for stock for so long.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn sell(&self, sku: &str, wait: Duration, key: Option<&str>) -> Result<Answer> {
        let body = json!({"items": [{"sku": sku}], "wait_ms": wait.as_millis() as u64});
        self.post("/v1/sales", &body, key)
    }

    /// Gives everything away to another device, saying what there is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn leave(&self, to: &str) -> Result<Answer> {
        let device = self.device()?;
        let has = self.get(&format!("/v1/devices/{device}/retirement"))?;
        let units = has["held"].as_array().into_iter().flatten().filter_map(|held| held["units"].as_u64());
        let body = json!({"to": to, "device": device, "units": units.sum::<u64>(), "claims": has["claims"]});
        self.post("/v1/leave", &body, None)
    }

    /// Switches its links to other devices.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn set_links(&self, on: bool) -> Result<()> {
        self.call("PUT", "/v1/links", Some(&json!({ "on": on })), None)?.ok().map(drop)
    }

    /// The digest of its log: equal on devices that know the same.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn digest(&self) -> Result<String> {
        text(&self.get("/v1/status")?, "/digest")
    }

    /// Its device's key.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn device(&self) -> Result<String> {
        text(&self.get("/v1/status")?, "/device/device")
    }

    /// The links to devices that it knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn links(&self) -> Result<Vec<Value>> {
        let peers = self.get("/v1/peers")?;
        let each = peers["peers"].as_array().into_iter().flatten();
        Ok(each.flat_map(|peer| peer["links"].as_array()).flatten().cloned().collect())
    }

    /// Every claim that it knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn claims(&self) -> Result<Vec<Value>> {
        self.list("/v1/claims")
    }

    /// Every item of a list, part after part.
    ///
    /// # Errors
    /// When it does not answer, or with something else than a list.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let mut part = self.get(&format!("{path}{join}limit={PART}{after}"))?;
            let Value::Array(more) = part["items"].take() else { bail!("{path} is no list: {part}") };
            items.extend(more);
            match part["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Stock of a SKU: the one line of it.
    ///
    /// # Errors
    /// When it does not answer, or there is no such line.
    pub fn stock(&self, sku: &str) -> Result<Value> {
        let stock = self.get(&format!("/v1/stock?sku={sku}"))?;
        stock["items"].get(0).cloned().with_context(|| format!("{} knows no stock of {sku}", self.name))
    }

    /// Waits until `what` answers something; says what it was waiting for if it never does.
    ///
    /// # Errors
    /// When `timeout` passes, or a look fails.
    pub fn wait_until<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        wait_until(&format!("{}: {what}", self.name), timeout, || look(self))
    }

    /// Makes a request of any kind.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        self.inside(|| {
            request(&agent(), method, &url, body, key)
                .with_context(|| format!("{} does not answer {method} {path}", self.name))
        })
    }

    /// Sends these headers and bytes as they are, one request, and reads what comes back.
    ///
    /// # Errors
    /// When nothing comes back that is HTTP.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let address = self.url.trim_start_matches("http://");
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let before = Instant::now();
        let answer = self.inside(|| {
            let mut stream = TcpStream::connect(address).context("connect to the API")?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.write_all(head.as_bytes())?;
            // An API that has refused already need not read on.
            let _ = stream.write_all(body);
            let mut answer = Vec::new();
            // Closing on unread bytes resets the connection behind the answer.
            let _ = stream.read_to_end(&mut answer);
            Ok(String::from_utf8_lossy(&answer).into_owned())
        })?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .with_context(|| format!("{} answered {method} {path} with {answer:?}", self.name))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.with_context(|| format!("no status in {head:?}"))?,
            body: parse(body.to_owned()),
            replayed: false,
            location: None,
            took: before.elapsed(),
        })
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match self.host {
            // An agent made in one host must not be used in another.
            Some(host) => host.in_namespace(work),
            None => work(),
        }
    }
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let text = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    text.with_context(|| format!("no {pointer} in {value}"))
}

fn parse(text: String) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

/// What calls over HTTP, and keeps connections for the next call.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).proxy(None).build().into()
}

/// Makes one request, whatever is answered.
pub(crate) fn request(
    agent: &ureq::Agent,
    method: &str,
    url: &str,
    body: Option<&Value>,
    key: Option<&str>,
) -> Result<Answer> {
    let mut builder = ureq::http::Request::builder().method(method).uri(url);
    if let Some(key) = key {
        builder = builder.header("idempotency-key", key);
    }
    let before = Instant::now();
    let mut response = match body {
        Some(body) => {
            let request = builder.header("content-type", "application/json").body(body.to_string())?;
            agent.run(request)?
        }
        None => agent.run(builder.body(())?)?,
    };
    let body = parse(response.body_mut().with_config().limit(64 << 20).read_to_string()?);
    let took = before.elapsed();
    let replayed = response.headers().contains_key("idempotency-replayed");
    let location = response.headers().get("location").and_then(|at| at.to_str().ok()).map(str::to_owned);
    Ok(Answer { status: response.status().as_u16(), body, replayed, location, took })
}
