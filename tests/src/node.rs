//! A device that runs: one `popmesh run` process, and its API.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{Child, Event, Host};

/// Within this a started node must answer, or it is broken.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a node may take to answer anything; sales wait for up to a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to run a node.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// Inside which host; this machine itself if absent.
    pub host: Option<&'a Host>,
    /// What else to tell `popmesh run`.
    pub arguments: Vec<String>,
    /// Whether to keep its log to itself when it goes.
    pub quiet: bool,
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it was empty.
    pub body: Value,
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

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its name.
    pub name: String,
    data: PathBuf,
    program: PathBuf,
    options: Options<'a>,
    child: Child,
    api: String,
}

impl<'a> Node<'a> {
    /// Starts the node of an enrolled device, and waits until its API answers.
    ///
    /// # Errors
    /// When it does not come up, with what it said.
    pub fn start(event: &Event, name: &str, options: Options<'a>) -> Result<Self> {
        let data = event.path().join(name);
        let program = event.program().to_owned();
        let child = spawn(&program, name, &data, &options)?;
        let mut node = Self { name: name.to_owned(), data, program, options, child, api: String::new() };
        node.wait_for_api()?;
        Ok(node)
    }

    /// Starts it again after [`Node::kill`].
    ///
    /// # Errors
    /// When it does not come up, with what it said.
    pub fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, &self.name, &self.data, &self.options)?;
        self.wait_for_api()
    }

    fn wait_for_api(&mut self) -> Result<()> {
        let said = self.child.wait_for_output(" running ", START_TIMEOUT)?;
        let address = fs::read_to_string(self.data.join("api.addr"))
            .with_context(|| format!("{} announced no API; it said:\n{said}", self.name))?;
        self.api = format!("http://{}", address.trim());
        Ok(())
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where its API listens, inside its host.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map(drop)
    }

    /// Asks the API for something.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, None, None)?.ok().with_context(|| format!("{} {path}", self.name))
    }

    /// Has the API do something, whatever it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer> {
        self.call("POST", path, Some(body), key)
    }

    /// Has the API do something that must succeed.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn done(&self, path: &str, body: &Value) -> Result<Value> {
        self.post(path, body, None)?.ok().with_context(|| format!("{} {path} {body}", self.name))
    }

    /// Sells one unit to a walk-in, waiting for stock for so long.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn sell(&self, sku: &str, wait: Duration, key: Option<&str>) -> Result<Answer> {
        let body = json!({"items": [{"sku": sku}], "wait_ms": wait.as_millis() as u64});
        self.post("/v1/sales", &body, key)
    }

    /// Switches its links to other devices.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn set_links(&self, on: bool) -> Result<()> {
        self.call("PUT", "/v1/links", Some(&json!({ "on": on })), None)?.ok().map(drop)
    }

    /// Makes a request of any kind.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Answer> {
        let url = format!("{}{path}", self.api);
        let request = || {
            request(method, &url, body, key)
                .with_context(|| format!("{} does not answer {method} {path}", self.name))
        };
        match self.options.host {
            // An agent made in one host must not be used in another.
            Some(host) => host.in_namespace(request),
            None => request(),
        }
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
}

/// Waits until `look` answers something.
///
/// # Errors
/// When `timeout` passes, or a look fails.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            bail!("after {timeout:?} still waiting for {what}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn spawn(program: &Path, name: &str, data: &Path, options: &Options<'_>) -> Result<Child> {
    let mut command = match options.host {
        Some(host) => host.command(program),
        None => Command::new(program),
    };
    command.arg("--data").arg(data).args(["run", "--api", "127.0.0.1:0"]).args(&options.arguments);
    command.env("NO_COLOR", "1").env_remove("POPMESH_DATA");
    let child = Child::start(name, &mut command)?;
    Ok(if options.quiet { child.quiet() } else { child })
}

fn request(method: &str, url: &str, body: Option<&Value>, key: Option<&str>) -> Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_TIMEOUT))
        .proxy(None)
        .build()
        .into();
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
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
    let took = before.elapsed();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Ok(Answer { status: response.status().as_u16(), body, took })
}
