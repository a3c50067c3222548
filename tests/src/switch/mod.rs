//! An Ethernet switch in this process, one TAP device for each port.
//!
//! Each directed pair of ports is a link with settings of its own, changed while frames flow. The
//! switch learns addresses, floods what it does not know, and never looks above Ethernet.

mod forward;
mod link;
mod random;
mod tap;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;

pub use link::{Counters, LinkSettings, Tally};
pub(crate) use tap::TUN_DEVICE;
pub use tap::Tap;

use forward::Forwarder;
use link::Link;
pub use random::Random;

/// A running switch; dropping it stops the forwarding thread and closes the TAP devices.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    forwarder: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    links: Mutex<Links>,
    stop: OwnedFd,
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, Links> {
        // A forwarder that panicked is reported when the switch drops; counters stay readable until then.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    /// Starts forwarding between `taps`; port numbers are positions in that list.
    ///
    /// Every link draws from a stream of its own that `seed` determines, so what other links carry does
    /// not change which of its frames are lost.
    ///
    /// # Errors
    /// When the thread or its wake-up descriptor cannot be made.
    pub fn start(seed: u64, taps: Vec<Tap>) -> Result<Self> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .context("make the event descriptor that stops the switch")?;
        let shared = Arc::new(Shared { links: Mutex::new(Links::new(seed, taps.len())), stop });
        let forwarder = Forwarder::new(Arc::clone(&shared), taps.len());
        let forwarder = thread::Builder::new()
            .name("switch".to_owned())
            .spawn(move || forwarder.run(&taps))
            .context("start the forwarding thread of the switch")?;
        Ok(Self { shared, forwarder: Some(forwarder) })
    }

    /// Replaces the settings of the link `from` → `to`; whether it is cut stays as it is.
    ///
    /// # Panics
    /// When a port does not exist, both are the same, or the loss is no probability.
    pub fn set_link(&self, from: usize, to: usize, settings: LinkSettings) {
        settings.check();
        self.shared.links().between(from, to).settings = settings;
    }

    /// Cuts or restores the link `from` → `to`.
    ///
    /// Once this returns from a cut no frame passes, not even one that was already under way.
    ///
    /// # Panics
    /// When a port does not exist or both are the same.
    pub fn set_cut(&self, from: usize, to: usize, cut: bool) {
        self.shared.links().between(from, to).cut = cut;
    }

    /// What the link `from` → `to` carried and dropped so far.
    ///
    /// # Panics
    /// When a port does not exist or both are the same.
    pub fn counters(&self, from: usize, to: usize) -> Counters {
        self.shared.links().between(from, to).counters
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let woken = rustix::io::write(&self.shared.stop, &1u64.to_ne_bytes());
        let Some(forwarder) = self.forwarder.take() else { return };
        if let Err(error) = woken {
            eprintln!("switch: cannot stop the forwarding thread: {error}");
        } else if forwarder.join().is_err() {
            eprintln!("switch: the forwarding thread panicked; nothing passed after that");
        }
    }
}

/// The links of every directed pair of ports.
#[derive(Debug)]
struct Links {
    ports: usize,
    links: Vec<Link>,
}

impl Links {
    fn new(seed: u64, ports: usize) -> Self {
        let mut seeds = Random::new(seed);
        let links = (0..ports * ports).map(|_| Link::new(seeds.next())).collect();
        Self { ports, links }
    }

    fn between(&mut self, from: usize, to: usize) -> &mut Link {
        assert!(
            from < self.ports && to < self.ports && from != to,
            "no link {from} → {to} in a switch of {} ports",
            self.ports
        );
        &mut self.links[from * self.ports + to]
    }
}
