//! A host: a network namespace of its own with one interface on the switch.

mod enter;
mod namespace;

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::switch::Tap;
use namespace::Namespace;

/// The interface of every host, as its programs see it.
pub const INTERFACE: &str = "eth0";

/// Hosts that one network holds at most: the addresses of a /24.
pub const HOSTS_MAX: u8 = 254;

/// A network namespace with the loopback, `eth0` at `10.77.0.N/24` and a multicast route.
///
/// Dropping it removes the namespace's name. Programs still inside keep the namespace itself alive, so
/// drop their [`Child`](crate::Child) guards first.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    address: Ipv4Addr,
}

impl Host {
    /// Makes host `number`, from 1 to [`HOSTS_MAX`], and the switch's end of its interface.
    ///
    /// # Errors
    /// When a privilege or tool is missing (the message says how to get it), or the kernel refuses.
    pub(crate) fn create(number: u8) -> Result<(Self, Tap)> {
        let namespace = Namespace::create()?;
        let address = Ipv4Addr::new(10, 77, 0, number);
        // Made inside the namespace, so its name never meets another host's on the way.
        let tap = namespace.run(|| Tap::open(INTERFACE))?;
        let mut settings = format!(
            "link set lo up\n\
             link set {INTERFACE} address 02:70:6d:00:00:{number:02x}\n"
        );
        if Path::new("/proc/sys/net/ipv6").exists() {
            // The kernel's own link-local address stays tentative for a second or two and then appears
            // under a running program. Addresses here are unique, so it needs no detection of duplicates.
            settings += &format!(
                "link set {INTERFACE} addrgenmode none\n\
                 addr add fe80::4d:{number:x}/64 dev {INTERFACE} nodad\n"
            );
        }
        settings += &format!(
            "addr add {address}/24 brd + dev {INTERFACE}\n\
             link set {INTERFACE} up\n\
             route add 224.0.0.0/4 dev {INTERFACE}\n"
        );
        namespace.configure(&settings).with_context(|| format!("set up host {address}"))?;
        Ok((Self { namespace, address }, tap))
    }

    /// The host's address on the switch.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The name of the namespace, for `ip netns exec` by hand while a test runs.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// A command that will run inside this host.
    ///
    /// The child is the program itself, with no `ip netns exec` between: its pid is the one to kill.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        enter::on_spawn(&mut command, self.namespace.descriptor());
        command
    }

    /// Runs `work` inside this host, on a thread of its own; a panic in it continues here.
    ///
    /// Sockets stay in the host they were made in. So make HTTP agents inside `work`: one that is shared
    /// between hosts would reuse a pooled connection to the wrong host's loopback.
    ///
    /// # Errors
    /// What `work` returns, or that the namespace could not be entered.
    pub fn in_namespace<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.namespace.run(work)
    }
}
