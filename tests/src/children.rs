//! Child processes that never outlive their test, with their output kept for when it fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::NamedTempFile;

/// How much of the end of the output is printed when the guard drops.
const PRINTED_BYTES_MAX: usize = 64 * 1024;
/// How often the output is looked at while waiting for something to appear in it.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(5);

/// A running program; dropping it kills and reaps that one process and prints its output.
///
/// The output is printed always, because a test that fails by returning an error cannot be told from one
/// that passed: test runners show it only for tests that fail.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: std::process::Child,
    descriptor: OwnedFd,
    output: NamedTempFile,
    quiet: bool,
}

impl Child {
    /// Starts `command` with its stdout and stderr in one file; `name` is for messages.
    ///
    /// # Errors
    /// When the output file cannot be made or the program not be started.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Result<Self> {
        let name = name.into();
        let output = NamedTempFile::new().with_context(|| format!("make the output file of {name}"))?;
        // Opened for appending: two independent offsets would let stdout and stderr overwrite each other.
        let file = fs::OpenOptions::new().append(true).open(output.path()).context("open the output file")?;
        let stdout = file.try_clone().context("share the output file")?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        match open_descriptor(&process) {
            Ok(descriptor) => Ok(Self { name, process, descriptor, output, quiet: false }),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error.context(format!("watch {name}")))
            }
        }
    }

    /// The same, not printing its output when it is dropped.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The pid of the program itself.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its stdout and stderr go.
    pub fn output_path(&self) -> &Path {
        self.output.path()
    }

    /// What it has written so far to stdout and stderr.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn output(&self) -> Result<String> {
        let bytes =
            fs::read(self.output.path()).with_context(|| format!("read the output of {}", self.name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `text` is in the output; the output so far is returned.
    ///
    /// # Errors
    /// When the program exits before, or `timeout` passes.
    pub fn wait_for_output(&mut self, text: &str, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            // In this order: what was written just before the exit is still seen.
            let exited = self.poll_exit(OUTPUT_INTERVAL)?;
            let output = self.output()?;
            if output.contains(text) {
                return Ok(output);
            }
            if exited {
                bail!("{} exited without writing {text:?}; it wrote:\n{output}", self.name);
            }
            if Instant::now() >= deadline {
                bail!("{} did not write {text:?} within {timeout:?}; it wrote:\n{output}", self.name);
            }
        }
    }

    /// Sends `signal` to the program.
    ///
    /// # Errors
    /// When it has exited already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.descriptor, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Waits until the program exits by itself, and reaps it.
    ///
    /// # Errors
    /// When `timeout` passes first.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if !self.poll_exit(timeout)? {
            bail!("{} still runs after {timeout:?}; it wrote:\n{}", self.name, self.output()?);
        }
        self.process.wait().with_context(|| format!("reap {}", self.name))
    }

    /// Kills the program with SIGKILL, as a power cut would, and reaps it.
    ///
    /// # Errors
    /// When the kernel refuses; a program that has exited already is no error.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // The standard library signals no process that it has reaped, so the pid cannot be another's.
        self.process.kill().with_context(|| format!("kill {}", self.name))?;
        self.process.wait().with_context(|| format!("reap {}", self.name))
    }

    /// Whether the program has exited, as soon as it has or when `timeout` passed.
    fn poll_exit(&self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).context("a timeout beyond what the kernel can count")?;
            match poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).with_context(|| format!("wait for {}", self.name)),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let ended = self.kill();
        if self.quiet {
            return;
        }
        let output = fs::read(self.output.path()).unwrap_or_default();
        let shown = &output[output.len().saturating_sub(PRINTED_BYTES_MAX)..];
        match ended {
            Ok(status) => eprintln!("--- {} ({status}), last {} bytes:", self.name, shown.len()),
            Err(error) => eprintln!("--- {error:#}, last {} bytes:", shown.len()),
        }
        eprintln!("{}", String::from_utf8_lossy(shown));
    }
}

/// The first of these programs that a shell would find.
pub(crate) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut all = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|program| program.is_file())
}

fn open_descriptor(process: &std::process::Child) -> Result<OwnedFd> {
    let pid =
        i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("a pid beyond the kernel's")?;
    pidfd_open(pid, PidfdFlags::empty()).context("open a descriptor of the process (Linux 5.3 or newer)")
}
