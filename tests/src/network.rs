//! Hosts on one switch, and the ways to disturb what is between them.

use anyhow::{Context, Result, ensure};

use crate::host::{HOSTS_MAX, Host};
use crate::switch::{Counters, LinkSettings, Switch};

/// Some hosts on a switch of their own; networks do not see each other, in one process or in several.
///
/// Hosts are numbered from 0; host 0 has the address `10.77.0.1`. A link is directed: from one host to
/// another. Settings and cuts are independent of each other.
///
/// # Panics
/// Every method with host numbers panics when there is no such host, or no such link.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    switch: Switch,
}

impl Network {
    /// Makes `hosts` hosts, joined by clean links whose losses and jitter `seed` determines.
    ///
    /// # Errors
    /// When a privilege or tool is missing (the message says how to get it), or the kernel refuses.
    pub fn new(seed: u64, hosts: usize) -> Result<Self> {
        let count = u8::try_from(hosts).ok().filter(|count| *count <= HOSTS_MAX);
        let count = count.with_context(|| format!("{hosts} hosts: a network holds {HOSTS_MAX} at most"))?;
        ensure!(count > 0, "a network without hosts");
        let made: Vec<_> = (1..=count).map(Host::create).collect::<Result<_>>()?;
        let (hosts, taps) = made.into_iter().unzip();
        Ok(Self { hosts, switch: Switch::start(seed, taps)? })
    }

    /// Host number `host`.
    pub fn host(&self, host: usize) -> &Host {
        &self.hosts[host]
    }

    /// All hosts, in the order of their numbers.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Drops everything that `from` sends to `to`, frames under way included, from now on.
    pub fn cut(&self, from: usize, to: usize) {
        self.switch.set_cut(from, to, true);
    }

    /// Restores the link that [`Network::cut`] cut.
    pub fn restore(&self, from: usize, to: usize) {
        self.switch.set_cut(from, to, false);
    }

    /// Cuts `host` off from every other, in both directions.
    pub fn cut_off(&self, host: usize) {
        self.set_cut_of_host(host, true);
    }

    /// Restores every link of `host`, in both directions; what is cut between others stays cut.
    pub fn rejoin(&self, host: usize) {
        self.set_cut_of_host(host, false);
    }

    /// Restores every link. The settings of the links stay.
    pub fn heal(&self) {
        for (from, to) in self.links() {
            self.switch.set_cut(from, to, false);
        }
    }

    /// Replaces the settings of the link `from` → `to`.
    pub fn set_link(&self, from: usize, to: usize, settings: LinkSettings) {
        self.switch.set_link(from, to, settings);
    }

    /// Replaces the settings of every link. What is cut stays cut.
    pub fn set_all(&self, settings: LinkSettings) {
        for (from, to) in self.links() {
            self.switch.set_link(from, to, settings);
        }
    }

    /// What the link `from` → `to` carried and dropped so far.
    pub fn counters(&self, from: usize, to: usize) -> Counters {
        self.switch.counters(from, to)
    }

    fn set_cut_of_host(&self, host: usize, cut: bool) {
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.switch.set_cut(host, other, cut);
            self.switch.set_cut(other, host, cut);
        }
    }

    fn links(&self) -> impl Iterator<Item = (usize, usize)> {
        let hosts = self.hosts.len();
        (0..hosts).flat_map(move |from| (0..hosts).map(move |to| (from, to))).filter(|(from, to)| from != to)
    }
}
