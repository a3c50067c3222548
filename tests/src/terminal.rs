//! A person at a terminal: a program with a pseudo-terminal for its standard input and output.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::node::wait_until;

/// A program that believes a person sits before it. Dropping it kills it.
#[derive(Debug)]
pub struct Terminal {
    process: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts `command` at a terminal of its own; its standard error is shown there too.
    ///
    /// # Errors
    /// When there is no pseudo-terminal, or the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("open a pseudo-terminal")?;
        grantpt(&person)?;
        unlockpt(&person)?;
        let name = ptsname(&person, Vec::new())?;
        let open = || OpenOptions::new().read(true).write(true).open(name.to_string_lossy().as_ref());
        let process = command.stdin(open()?).stdout(open()?).stderr(open()?).spawn().context("start it")?;
        let keyboard = File::from(person);
        let mut screen = keyboard.try_clone()?;
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The read fails once the program has gone.
            while let Ok(count) = screen.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).replace('\r', "");
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { process, keyboard, shown })
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `text` is shown; answers all that was.
    ///
    /// # Errors
    /// When that takes longer than `timeout`, with what was shown instead.
    pub fn wait_for(&self, text: &str, timeout: Duration) -> Result<String> {
        let seen = wait_until(text, timeout, || Ok(Some(self.shown()).filter(|shown| shown.contains(text))));
        seen.with_context(|| format!("it showed:\n{}", self.shown()))
    }

    /// Types something.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn types(&mut self, text: &str) -> Result<()> {
        Ok(self.keyboard.write_all(text.as_bytes())?)
    }

    /// Sends it the signal of Ctrl-C.
    ///
    /// # Errors
    /// When it is gone.
    pub fn interrupt(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) else { bail!("no such process") };
        Ok(kill_process(pid, Signal::INT)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub fn ends(&mut self, timeout: Duration) -> Result<ExitStatus> {
        wait_until("its end", timeout, || Ok(self.process.try_wait()?))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        println!("{}", self.shown());
    }
}
