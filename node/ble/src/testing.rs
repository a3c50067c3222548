//! Virtual controllers for tests: Bumble's, in a process of their own, with a rule who hears whom.

use std::{
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use super::Adapter;

/// Controllers that run until this is dropped.
#[derive(Debug)]
pub struct Controllers {
    child: Child,
    // They end with their standard input.
    _input: Option<ChildStdin>,
}

/// Ports that are free now, below those that systems give to whoever connects.
///
/// # Errors
/// If none is found.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = (0..100)
            .find_map(|_| {
                let mut drawn = [0; 2];
                getrandom::fill(&mut drawn).ok()?;
                let port = 10_000 + u16::from_be_bytes(drawn) % 20_000;
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
            })
            .ok_or_else(|| io::Error::other("no free port"))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// The controller at a port, as an adapter.
#[must_use]
pub fn adapter(port: u16) -> Adapter {
    Adapter::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

impl Controllers {
    /// Starts a controller at each port. Those of a pair hear each other.
    ///
    /// # Errors
    /// If they cannot be started, such as without Bumble, which `scripts/test` installs.
    pub fn start(ports: &[u16], pairs: &[(u16, u16)]) -> io::Result<Self> {
        Self::run(ports, pairs.iter().map(|(one, other)| format!("{one}-{other}")))
    }

    /// Starts a controller at each port. Those of a pair hear each other, with a signal of so many dBm.
    ///
    /// # Errors
    /// As for [`Controllers::start`].
    pub fn start_at(ports: &[u16], pairs: &[(u16, u16, i8)]) -> io::Result<Self> {
        Self::run(ports, pairs.iter().map(|(one, other, rssi)| format!("{one}-{other}:{rssi}")))
    }

    fn run(ports: &[u16], pairs: impl Iterator<Item = String>) -> io::Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = std::env::var_os("POPMESH_RADIO_PYTHON")
            .map_or_else(|| root.join("target/radio/bin/python"), PathBuf::from);
        let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut child = Command::new(&python)
            .arg(root.join("tests/radio/controllers.py"))
            .arg(listed.join(","))
            .args(pairs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{}: {error}; run ./scripts/test once", python.display()),
                )
            })?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let controllers = Self { child, _input: input };
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said)?;
        if said.trim() == "ready" { Ok(controllers) } else { Err(io::Error::other("they do not start")) }
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
