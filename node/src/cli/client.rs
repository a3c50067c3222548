//! The API from the caller's side: finds the node, asks, and turns every answer into a value or a failure.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use popmesh_proto::command::MAX_WAIT_MS;
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::DeviceInfo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

use super::args::Target;
use super::args_api::ApiAccess;
use super::failure::Failure;
use super::quickstart::shell;
use super::tls::{self, Trust};
use super::values;
pub(super) use crate::api::segment;
use crate::api::{DEVICE_HEADER, Envelope, IDEMPOTENCY_KEY, List, MAX_LIMIT, Problem};
use crate::clock::localised;
use crate::folder::{Folder, FolderError};

const CONNECT: Duration = Duration::from_secs(3);
/// Longer than the API lets anything take, so that it is the API that says what happened.
const ANSWER: Duration = Duration::from_millis(MAX_WAIT_MS + 40_000);
/// The largest document that is exported.
const MAX_ANSWER: u64 = 1 << 30;

/// A node's API.
pub(super) struct Client {
    agent: Agent,
    base: String,
    /// What shows that this caller may.
    token: Option<String>,
    /// The device that is meant, if it was found through its folder.
    device: Option<DeviceId>,
    start_it: String,
}

impl Client {
    /// The node at `--api`, or the one that runs on the data folder.
    pub(super) fn find(target: &Target, folder: &Folder) -> Result<Self, Failure> {
        let start_it = match &target.api {
            Some(_) => {
                "is its node running, and is that its address? `popmesh --data DIR status` finds a node by its folder".to_owned()
            }
            None => format!("start it with `popmesh run --data {}`", shell(folder.path())),
        };
        let ApiAccess { token, trust } = target.access.clone();
        let token = match token {
            Some(given) => Some(given.read("The token")?),
            None => std::env::var("POPMESH_TOKEN").ok().filter(|token| !token.is_empty()),
        };
        let (base, device, token, trust) = match (&target.api, folder.announced_api()) {
            (Some(url), _) => (tls::base_of(url), None, token, trust),
            (None, Some(place)) => {
                let trust = match trust {
                    None if place.tls => Some(Trust::read(&folder.api_certificate_path())?),
                    trust => trust,
                };
                let token = match token {
                    None if place.tls => folder.owner_token()?,
                    token => token,
                };
                (place.url(), folder.key().ok().map(|key| key.id()), token, trust)
            }
            (None, None) => {
                // Where there is no device, no node could be started.
                if let Err(error @ (FolderError::NoKey(_) | FolderError::NotInstalled { .. })) =
                    folder.identity()
                {
                    return Err(error.into());
                }
                let error = format!("no node runs on {}", folder.path().display());
                return Err(Failure::Unreachable { error, help: start_it });
            }
        };
        tls::check(&base, token.as_deref(), trust.as_ref())?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .build();
        let agent = tls::agent(config, trust)?;
        Ok(Self { agent, base, token, device, start_it })
    }

    /// The same request, saying which device is meant and by what this caller may.
    fn signed<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        if let Some(device) = self.device {
            request = request.header(DEVICE_HEADER, device.to_string());
        }
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Looks something up.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<T, Failure> {
        parse(&mut self.fetch(path, query)?)
    }

    /// A list, part after part: all of it, or at most so many items.
    pub(super) fn list<E: Envelope + DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
        most: Option<u32>,
    ) -> Result<E, Failure> {
        let part = |after: Option<String>, have: usize| -> Result<E, Failure> {
            let left = most.map_or(MAX_LIMIT, |most| most.saturating_sub(have as u32).min(MAX_LIMIT));
            let page = [("after", after), ("limit", Some(left.to_string()))];
            self.get(path, &[query, &page].concat())
        };
        let mut list = part(None, 0)?;
        loop {
            let (items, next) = list.parts();
            let wants_more = most.is_none_or(|most| items.len() < most as usize);
            let Some(after) = next.clone().filter(|_| wants_more) else { return Ok(list) };
            let mut more = part(Some(after), items.len())?;
            let (more, after) = more.parts();
            items.append(more);
            *next = after.take();
        }
    }

    /// The bytes of a document.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut response = self.fetch(path, &[])?;
        response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()
            .map_err(|error| Failure::here(format!("the answer did not arrive whole: {error}")))
    }

    /// Has something done, under `key` or a new one.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let key = match key {
            Some(key) => key.to_owned(),
            None => hex::encode(values::random::<16>()?),
        };
        let request = self.agent.post(format!("{}{path}", self.base)).header(IDEMPOTENCY_KEY, key);
        let request = self.signed(request);
        let sent = match body {
            Some(body) => request.send_json(body),
            None => request.send_empty(),
        };
        parse(&mut self.check(sent)?)
    }

    /// Sets something to `body`.
    pub(super) fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let request = self.signed(self.agent.put(format!("{}{path}", self.base)));
        parse(&mut self.check(request.send_json(body))?)
    }

    /// Every device that the node knows.
    pub(super) fn devices(&self) -> Result<Vec<DeviceInfo>, Failure> {
        self.list::<List<DeviceInfo>>("/v1/devices", &[], None).map(|list| list.items)
    }

    /// The device that a person means by `text`.
    pub(super) fn device(&self, text: &str) -> Result<DeviceId, Failure> {
        // An empty text would be another path.
        let text = if text.is_empty() { " " } else { text };
        let info: DeviceInfo = self.get(&format!("/v1/devices/{}", segment(text)), &[])?;
        Ok(info.device)
    }

    /// Calls `each` with every event's kind until the stream ends.
    pub(super) fn events(&self, mut each: impl FnMut(&str)) -> Result<(), Failure> {
        let request = self.signed(self.agent.get(format!("{}/v1/events", self.base)));
        let response = self.check(request.call())?;
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let Ok(line) = line else { break };
            if let Some(kind) = line.strip_prefix("event:") {
                each(kind.trim());
            }
        }
        Ok(())
    }

    fn fetch(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in query {
            if let Some(value) = value {
                request = request.query(*name, value);
            }
        }
        self.check(self.signed(request).call())
    }

    fn check(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
        let mut response = sent.map_err(|error| Failure::Unreachable {
            error: format!("the node at {} does not answer: {error}", self.base),
            help: self.start_it.clone(),
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match response.body_mut().read_json::<Problem>() {
            // The address in the folder is that of an earlier start, and another node has it by now.
            Ok(problem) if problem.code == "other_device" && self.device.is_some() => Err(Failure::advised(
                problem,
                format!("the node that was meant is not running: {}", self.start_it),
            )),
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Failure::with_help(
                format!("{} answered {status}, and not as popmesh does", self.base),
                "is another program listening there? name the node with --api, or its folder with --data",
            )),
        }
    }
}

fn parse<T: DeserializeOwned>(response: &mut Response<Body>) -> Result<T, Failure> {
    response.body_mut().with_config().limit(MAX_ANSWER).read_json().map_err(|error| {
        Failure::here(format!("the node's answer is not what this program expects: {error}"))
    })
}

/// Prints a value as the API's JSON, or for people.
pub(super) fn print(
    json: bool,
    value: &impl Serialize,
    human: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json {
        let value: Value = serde_json::to_value(value)
            .map_err(|error| Failure::here(format!("cannot write this as JSON: {error}")))?;
        say(&value.to_string())
    } else {
        say(localised(&human()).trim_end())
    }
}

/// Writes to standard output. Whoever reads may go at any time: that is how a pipe ends, not a failure.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::here(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
