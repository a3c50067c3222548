//! A device that runs: one `popmesh run` process, and its API.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::{Api, Child, Event, Host, Mounts};

/// Within this a started node must answer, or it is broken.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Within this a node that was told to stop must be gone.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to run a node.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// Inside which host; this machine itself if absent.
    pub host: Option<&'a Host>,
    /// With which file systems; those of this machine if absent.
    pub mounts: Option<&'a Mounts>,
    /// The port of its API; 0 for any, another one after each start.
    pub api_port: u16,
    /// What else to tell `popmesh run`.
    pub arguments: Vec<String>,
    /// What it logs, as `POPMESH_LOG` says it; the usual if absent.
    pub log: Option<&'static str>,
    /// What else is in its environment.
    pub environment: Vec<(String, String)>,
    /// Whether to keep its log to itself when it goes.
    pub quiet: bool,
}

impl Options<'_> {
    /// Seen by nobody: on the loopback interface alone, announcing nothing, linked to whom it is told.
    pub fn loopback(peers: &[String]) -> Self {
        let mut arguments: Vec<String> =
            ["--no-mdns", "--interface", "lo"].into_iter().map(str::to_owned).collect();
        arguments.extend(peers.iter().flat_map(|peer| ["--peer".to_owned(), peer.clone()]));
        Self { arguments, ..Self::default() }
    }
}

/// A running node, which answers as its [`Api`]. Dropping it kills it.
#[derive(Debug)]
pub struct Node<'a> {
    data: PathBuf,
    program: PathBuf,
    options: Options<'a>,
    child: Child,
    api: Api<'a>,
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
        let api = Api { name: name.to_owned(), host: options.host, url: String::new() };
        let mut node = Self { data, program, options, child, api };
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
        let path = self.data.join("api.addr");
        let path = self.options.mounts.map_or(path.clone(), |mounts| mounts.outside(&path));
        let address = fs::read_to_string(path)
            .with_context(|| format!("{} announced no API; it said:\n{said}", self.name))?;
        self.api.url = format!("http://{}", address.trim());
        Ok(())
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its pid.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A way to its API that outlives the process: of use again after a restart if the port is fixed.
    pub fn to_api(&self) -> Api<'a> {
        self.api.clone()
    }

    /// Tells it to stop, and waits until it has, with everything tidied up.
    ///
    /// # Errors
    /// When it does not stop in good order.
    pub fn stop(mut self) -> Result<()> {
        self.child.signal(Signal::TERM)?;
        let status = self.child.wait(STOP_TIMEOUT)?;
        ensure!(status.success(), "{} stopped with {status}", self.name);
        Ok(())
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map(drop)
    }
}

impl<'a> Deref for Node<'a> {
    type Target = Api<'a>;

    fn deref(&self) -> &Api<'a> {
        &self.api
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
    let words = options.mounts.map(|mounts| mounts.enter(program));
    let mut words = words.unwrap_or_else(|| vec![program.as_os_str().to_owned()]).into_iter();
    let program = words.next().context("no program to run")?;
    let mut command = match options.host {
        Some(host) => host.command(program),
        None => Command::new(program),
    };
    let api = format!("127.0.0.1:{}", options.api_port);
    command.args(words).arg("--data").arg(data).args(["run", "--api", &api]).args(&options.arguments);
    command.env("NO_COLOR", "1").env_remove("POPMESH_DATA");
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    if let Some(log) = options.log {
        command.env("POPMESH_LOG", log);
    }
    let child = Child::start(name, &mut command)?;
    Ok(if options.quiet { child.quiet() } else { child })
}
