//! Named network namespaces that belong to this process, and what is needed to make them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::fd::{AsFd, OwnedFd};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::switch::TUN_DEVICE;

/// Where `ip netns` keeps the names.
const NAMES: &str = "/var/run/netns";
const NAME_PREFIX: &str = "popmesh-test-";

const HINT: &str = "These tests make network namespaces and TAP devices: they need CAP_SYS_ADMIN and \
                    CAP_NET_ADMIN. Run them as root; in a container, as root with \
                    `--privileged --device /dev/net/tun`.";

/// A namespace named `popmesh-test-<pid>-<n>`; the name goes when this drops.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    descriptor: Arc<OwnedFd>,
}

impl Namespace {
    pub(super) fn create() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static LEFTOVERS: Once = Once::new();
        check_requirements()?;
        LEFTOVERS.call_once(remove_leftovers);

        let name = format!("{NAME_PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name], "").context(HINT)?;
        let path = Path::new(NAMES).join(&name);
        match File::open(&path) {
            Ok(file) => Ok(Self { name, descriptor: Arc::new(file.into()) }),
            Err(error) => {
                remove(&name);
                Err(error).with_context(|| format!("open {}", path.display()))
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.descriptor)
    }

    /// Applies lines of `ip` commands inside the namespace, stopping at the first that fails.
    pub(super) fn configure(&self, commands: &str) -> Result<()> {
        ip(&["-n", &self.name, "-batch", "-"], commands)
    }

    /// Runs `work` on a thread inside the namespace. The thread ends with it: one that came back from
    /// another namespace could not be trusted to be where its next user expects.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = || {
                move_into_link_name_space(self.descriptor.as_fd(), Some(LinkNameSpaceType::Network))
                    .with_context(|| format!("enter the network namespace {}", self.name))?;
                work()
            };
            let thread = thread::Builder::new()
                .name(self.name.clone())
                .spawn_scoped(scope, inside)
                .context("start a thread for a network namespace")?;
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Says what is missing and how to get it, before something fails halfway with less to say.
fn check_requirements() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "not root. {HINT}");
    match File::options().read(true).write(true).open(TUN_DEVICE) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{TUN_DEVICE} does not exist. Load its module with `modprobe tun`, or make the device with \
             `mkdir -p /dev/net && mknod {TUN_DEVICE} c 10 200`. {HINT}"
        ),
        Err(error) => bail!("cannot open {TUN_DEVICE}: {error}. {HINT}"),
    }
    Ok(())
}

/// Removes the names that test processes left behind when they were killed.
fn remove_leftovers() {
    let Ok(names) = fs::read_dir(NAMES) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(pid) = owner(&name) else { continue };
        // This runs before the first namespace of this process: one with our pid had an earlier owner.
        if pid == process::id() || !Path::new(&format!("/proc/{pid}")).exists() {
            remove(&name);
        }
    }
}

/// The pid in the name of a namespace, when the name is one of ours.
fn owner(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(NAME_PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn remove(name: &str) {
    // Two test processes may find the same leftover: what is gone already is no failure.
    if let Err(error) = ip(&["netns", "delete", name], "")
        && Path::new(NAMES).join(name).exists()
    {
        eprintln!("cannot remove the network namespace {name}: {error:#}");
    }
}

fn ip(arguments: &[&str], input: &str) -> Result<()> {
    let Output { status, stderr, .. } = run_ip(arguments, input).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!(
            "the program `ip` is not in the PATH. Install it with `apt-get install iproute2`."
        ),
        _ => anyhow::Error::new(error).context("run `ip`"),
    })?;
    let stderr = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "`ip {}` failed ({status}): {}", arguments.join(" "), stderr.trim());
    Ok(())
}

fn run_ip(arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Closed right after writing: `ip -batch -` reads to the end.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    // A failing `ip` may close its input early: its own message then says more than a broken pipe.
    if output.status.success() {
        written?;
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn only_our_names_have_an_owner() {
        assert_eq!(owner("popmesh-test-123-4"), Some(123));
        for other in
            ["popmesh-test-123", "popmesh-test-x-1", "popmesh-test-1-x", "shop-1-2", "popmesh-test--1"]
        {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
