//! A program that opens doors.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures::future::BoxFuture;
use popmesh_proto::text::Compartment;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{DoorError, Driver};

/// The most that is read of what a program says.
const SAID: u64 = 4 * 1024;
/// For how long what a program said is still read once it has ended: something it started may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs a program with the compartment as its one argument, without a shell; exit code 0 means that the door opened.
#[derive(Debug)]
pub struct Program {
    program: PathBuf,
    within: Duration,
}

impl Program {
    /// A program that is to end within so long; it is killed then, with all that it has started.
    pub fn new(program: PathBuf, within: Duration) -> Self {
        Self { program, within }
    }

    async fn run(&self, compartment: &Compartment) -> Result<(), DoorError> {
        let started = Command::new(&self.program)
            .arg(compartment.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let not_run = |error: std::io::Error| DoorError::NotRun {
            program: self.program.display().to_string(),
            problem: error.to_string(),
        };
        let mut child = started.map_err(not_run)?;
        let group = Group::of(&child);
        let stderr = child.stderr.take();
        let mut said = Vec::new();
        let ended = timeout(self.within, async {
            let read = async {
                if let Some(stderr) = stderr {
                    // What cannot be read is not said; the exit code tells enough.
                    let _ = stderr.take(SAID).read_to_end(&mut said).await;
                }
            };
            tokio::pin!(read);
            tokio::select! {
                ended = child.wait() => {
                    let _ = timeout(LAST_WORDS, read).await;
                    ended
                }
                () = &mut read => child.wait().await,
            }
        })
        .await;
        match ended {
            Ok(Ok(status)) => {
                group.leave();
                if status.success() {
                    return Ok(());
                }
                let said =
                    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned();
                Err(DoorError::Failed { status: status.to_string(), said })
            }
            Ok(Err(error)) => Err(not_run(error)),
            Err(_) => Err(DoorError::Late(self.within)),
        }
    }
}

impl Driver for Program {
    fn open<'a>(&'a self, compartment: &'a Compartment) -> BoxFuture<'a, Result<(), DoorError>> {
        Box::pin(self.run(compartment))
    }
}

/// A program and all that it has started: killed when this is dropped, which it is too when nobody waits any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Lets what the program started live on: it has ended by itself.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
