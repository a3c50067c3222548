//! File systems that only one test sees: small, full or read-only disks, without a trace on the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Child;

const READY: &str = "mounts are ready";
const READY_TIMEOUT: Duration = Duration::from_secs(20);
const HINT: &str = "These tests mount file systems where nobody else sees them: they need root, and `unshare` and \
                    `nsenter` (Debian: `apt install util-linux`); in a container, run it with `--privileged`.";

/// A mount namespace. What is mounted in it goes with it.
///
/// A process that does nothing keeps it, so that disks stay while the node on them is killed and started again.
#[derive(Debug)]
pub struct Mounts {
    keeper: Child,
}

impl Mounts {
    /// A namespace with the mounts of this machine, which what is mounted in it never reaches.
    ///
    /// # Errors
    /// When a privilege or tool is missing; the message says how to get it.
    pub fn new() -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(format!("echo {READY}; exec sleep infinity"));
        let mut keeper = Child::start("mounts", &mut command).context(HINT)?.quiet();
        keeper.wait_for_output(READY, READY_TIMEOUT).context(HINT)?;
        Ok(Self { keeper })
    }

    /// Mounts a file system in memory of so many KiB on `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn small_disk(&self, folder: &Path, kibibytes: u32) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let size = format!("size={kibibytes}k,mode=700");
        self.run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "none".as_ref(), folder],
        )
    }

    /// Makes the disk on `folder` read-only, or writable again. No process may have a file of it open for writing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_read_only(&self, folder: &Path, read_only: bool) -> Result<()> {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        self.run("mount", &["-o".as_ref(), how.as_ref(), folder])
    }

    /// Runs a program in here to its end.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run(&self, program: &str, arguments: &[&Path]) -> Result<()> {
        let words = self.enter(Path::new(program));
        let mut command = Command::new(&words[0]);
        let output = command.args(&words[1..]).args(arguments).stdin(Stdio::null()).output().context(HINT)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {arguments:?}: {}", said.trim());
        Ok(())
    }

    /// The words that run `program` in here, arguments to follow. It keeps the pid of what they start.
    pub fn enter(&self, program: &Path) -> Vec<OsString> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.keeper.id());
        vec!["nsenter".into(), namespace.into(), program.into()]
    }

    /// Where a file in here is found from the rest of the machine.
    pub fn outside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
