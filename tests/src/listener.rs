//! A listener of a device's events, which can be cut off at any byte and goes on after the last id that it has.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Api;

/// Longer than a stream is silent.
const SILENCE: Duration = Duration::from_secs(40);

/// What a listener has heard, over all its connections.
#[derive(Debug, Default)]
pub struct Listener {
    /// The last id that it has.
    pub last: Option<String>,
    /// Facts with their ids, in the order in which they came since the last reset.
    pub facts: Vec<(String, Value)>,
    /// Every fact that ever came under an id.
    pub ever: BTreeMap<String, Value>,
    /// Kinds of what came without an id.
    pub signals: Vec<String>,
    /// Resets, as they came.
    pub resets: Vec<Value>,
}

impl Listener {
    /// Connects, and goes on after the last id.
    ///
    /// # Errors
    /// When there is no stream.
    pub fn connect(&self, url: &str) -> Result<Connection> {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).context("connect to the API")?;
        stream.set_read_timeout(Some(SILENCE))?;
        let resumes = self.last.as_ref().map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        stream
            .write_all(format!("GET /v1/events HTTP/1.1\r\nhost: {address}\r\n{resumes}\r\n").as_bytes())?;
        let mut connection = Connection { stream, raw: Vec::new(), text: Vec::new() };
        let end = loop {
            if let Some(end) = connection.raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            ensure!(connection.more()? > 0, "the stream ended in its head");
        };
        let head: Vec<u8> = connection.raw.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        ensure!(head.starts_with("HTTP/1.1 200"), "no stream: {head}");
        Ok(connection)
    }

    /// Takes in what comes, until `until` says so, the connection ends, or `bytes` more have come: then it is as if it had
    /// been killed. Whether `until` was met.
    ///
    /// # Errors
    /// When what comes is no stream of events, or breaks what is promised of one.
    pub fn listen(
        &mut self,
        connection: &mut Connection,
        mut bytes: usize,
        until: impl Fn(&Self) -> bool,
    ) -> Result<bool> {
        loop {
            while let Some(block) = connection.block()? {
                self.take(&block)?;
            }
            if until(self) {
                return Ok(true);
            }
            let come = connection.more()?;
            if come == 0 || come > bytes {
                return Ok(false);
            }
            bytes -= come;
        }
    }

    fn take(&mut self, block: &str) -> Result<()> {
        let (mut id, mut event, mut data) = (None, None, None);
        for line in block.lines() {
            match line.split_once(": ").with_context(|| format!("no field: {line:?}"))? {
                ("id", value) => id = Some(value.to_owned()),
                ("event", value) => event = Some(value.to_owned()),
                ("data", value) => data = Some(serde_json::from_str::<Value>(value)?),
                ("", _) => {}
                (field, _) => bail!("a field of no event: {field:?}"),
            }
        }
        if let Some(data) = data {
            let kind = event.context("an event without its name")?;
            ensure!(data["event"] == kind.as_str(), "{kind}: {data}");
            match &id {
                Some(after) if kind == "reset" => {
                    ensure!(data["after"] == after.as_str(), "{data}");
                    self.facts.clear();
                    self.resets.push(data);
                }
                Some(id) => {
                    ensure!(data["at_ms"].is_u64() && data["entry"].is_string(), "{data}");
                    if let Some((before, _)) = self.facts.last() {
                        ensure!(number(id)? == number(before)? + 1, "{id} came after {before}");
                    }
                    let known = self.ever.insert(id.clone(), data.clone());
                    ensure!(known.is_none_or(|known| known == data), "{id} names two events");
                    self.facts.push((id.clone(), data));
                }
                None => self.signals.push(kind),
            }
        }
        self.last = id.or(self.last.take());
        Ok(())
    }
}

/// The number in an event's id.
///
/// # Errors
/// When it has none.
pub fn number(id: &str) -> Result<u64> {
    let number = id.split_once(':').and_then(|(_, number)| number.parse().ok());
    number.with_context(|| format!("no event's id: {id}"))
}

/// Every fact that a device keeps, page by page.
///
/// # Errors
/// When it does not answer.
pub fn all_facts(api: &Api<'_>) -> Result<Vec<(String, Value)>> {
    let mut facts = Vec::new();
    let mut after = String::new();
    loop {
        let headers = [("accept", "application/json")];
        let page = api.raw("GET", &format!("/v1/events?limit=700{after}"), &headers, b"")?.ok()?;
        for item in page["items"].as_array().context("items")? {
            facts.push((item["id"].as_str().context("id")?.to_owned(), item["data"].clone()));
        }
        let Some(next) = page["next"].as_str() else { return Ok(facts) };
        after = format!("&after={next}");
    }
}

/// One connection of a listener.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has come, in chunks.
    raw: Vec<u8>,
    /// The same without the chunks' sizes.
    text: Vec<u8>,
}

impl Connection {
    /// Reads more; 0 at the end.
    fn more(&mut self) -> Result<usize> {
        let mut buffer = [0; 4096];
        let count = match self.stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error).context("read the stream"),
        };
        self.raw.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// The next whole block, if there is one.
    fn block(&mut self) -> Result<Option<String>> {
        while let Some(end) = self.raw.windows(2).position(|window| window == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end])?;
            let size = usize::from_str_radix(size, 16).with_context(|| format!("no chunk: {size:?}"))?;
            if self.raw.len() < end + 2 + size + 2 {
                break;
            }
            self.text.extend_from_slice(&self.raw[end + 2..end + 2 + size]);
            self.raw.drain(..end + 2 + size + 2);
        }
        let Some(end) = self.text.windows(2).position(|window| window == b"\n\n") else { return Ok(None) };
        let block: Vec<u8> = self.text.drain(..end + 2).collect();
        Ok(Some(String::from_utf8(block)?.trim_end().to_owned()))
    }
}
