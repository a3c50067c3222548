//! chromedriver, the Chromium that it starts, and calls over the WebDriver protocol.

use std::error::Error;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Settings;
use crate::api::{agent, request};
use crate::{Child, children};

/// Within this chromedriver listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const STARTED: &str = "ChromeDriver was started successfully on port ";
const HOW: &str = "on Debian: apt-get install chromium chromium-driver; on Fedora: dnf install chromium chromedriver; on Arch: \
                   pacman -S chromium";

/// A refusal of WebDriver, by the error codes of its standard.
#[derive(Debug)]
pub(super) struct Refused {
    /// `no such element`, `stale element reference`, …
    pub(super) error: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.error, self.message.lines().next().unwrap_or_default())
    }
}

impl Error for Refused {}

/// Whether a call failed because the page changed just then, or something lies over it still: a person would try again.
pub(super) fn is_passing(error: &anyhow::Error) -> bool {
    let passing = [
        "stale element reference",
        "element click intercepted",
        "element not interactable",
        "no such element",
        "detached shadow root",
    ];
    let refused = error.downcast_ref::<Refused>();
    // What was found in the tree and is gone from it is an error of the protocol below WebDriver.
    let gone =
        ["node with given id", "No node with given id", "does not belong to the document", "No node found"];
    refused.is_some_and(|refused| {
        passing.contains(&&*refused.error) || gone.iter().any(|text| refused.message.contains(text))
    })
}

/// One browser behind one chromedriver.
#[derive(Debug)]
pub(super) struct Driver {
    agent: ureq::Agent,
    /// Where the session's calls go.
    session: String,
    browser_process: u32,
    // In this order: the process is gone before its folder is removed.
    _driver: Child,
    _home: TempDir,
}

impl Driver {
    pub(super) fn start(settings: &Settings) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("popmesh-browser-").tempdir().context("make a folder")?;
        let mut command = Command::new("chromedriver");
        command.args(["--port=0", "--log-level=SEVERE"]).env("HOME", home.path());
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        for (name, folder) in [("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, home.path().join(folder));
        }
        let mut driver = Child::start("chromedriver", &mut command)
            .with_context(|| format!("no chromedriver; {HOW}"))?
            .quiet();
        let said = driver.wait_for_output(STARTED, START_TIMEOUT)?;
        let port = said.split(STARTED).nth(1).and_then(|rest| rest.split_whitespace().next());
        let port: u16 =
            port.context("no port")?.trim_end_matches('.').parse().context("chromedriver's port")?;
        let agent = agent();
        let url = format!("http://127.0.0.1:{port}/session");
        let profile = home.path().join("profile").display().to_string();
        // Root has no sandbox of Chromium's. Others have one where the kernel lets them.
        let mut sandbox = !geteuid().is_root();
        let made = loop {
            let wanted = capabilities(settings, &profile, sandbox);
            match call(&agent, "POST", &url, Some(&wanted)) {
                Err(error) if sandbox => {
                    eprintln!("Chromium does not start in its sandbox here, so it goes without: {error:#}");
                    sandbox = false;
                }
                made => break made.with_context(|| format!("no Chromium; {HOW}"))?,
            }
        };
        let session = made["sessionId"].as_str().context("no session")?;
        let browser_process = made["capabilities"]["goog:processID"].as_u64().unwrap_or_default();
        Ok(Self {
            agent,
            session: format!("{url}/{session}"),
            browser_process: u32::try_from(browser_process)?,
            _driver: driver,
            _home: home,
        })
    }

    /// A call of WebDriver's to this session.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        call(&self.agent, method, &format!("{}{path}", self.session), body)
            .with_context(|| format!("WebDriver: {method} {path}"))
    }

    /// What a log has taken in since it was read last.
    pub(super) fn log(&self, kind: &str) -> Result<Vec<Value>> {
        match self.call("POST", "/se/log", Some(&json!({ "type": kind })))? {
            Value::Array(entries) => Ok(entries),
            other => bail!("no log: {other}"),
        }
    }

    pub(super) fn browser_process(&self) -> u32 {
        self.browser_process
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // chromedriver is killed after this; Chromium ends with it in any case, as its pipe breaks.
        let _ = call(&self.agent, "DELETE", &self.session, None);
    }
}

fn call(agent: &ureq::Agent, method: &str, url: &str, body: Option<&Value>) -> Result<Value> {
    let mut answer = request(agent, method, url, body, None)?;
    let value = answer.body["value"].take();
    if answer.status == 200 {
        return Ok(value);
    }
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Err(Refused { error: text("error"), message: text("message") }.into())
}

fn capabilities(settings: &Settings, profile: &str, sandbox: bool) -> Value {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-default-browser-check",
        "--no-proxy-server",
        // Chromium ends with whoever drives it, also when that is killed.
        "--remote-debugging-pipe",
        // What a page asks of elsewhere must not depend on whether this machine could reach that.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        "--window-size=1280,800",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={profile}"));
    if !sandbox {
        arguments.push("--no-sandbox".to_owned());
    }
    let mut wanted = json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments, "prefs": {"intl.accept_languages": settings.languages}},
        "timeouts": {"script": 80_000, "pageLoad": 80_000, "implicit": 0},
        "unhandledPromptBehavior": "ignore",
    });
    if settings.notes {
        wanted["goog:loggingPrefs"] = json!({"browser": "ALL", "performance": "ALL"});
    } else {
        wanted["goog:loggingPrefs"] = json!({"browser": "ALL"});
    }
    if let Some(program) = children::on_path(&["chromium", "chromium-browser", "google-chrome"]) {
        wanted["goog:chromeOptions"]["binary"] = json!(program);
    }
    json!({"capabilities": {"alwaysMatch": wanted}})
}
