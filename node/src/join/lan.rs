//! Finding the other side on the local network: multicast DNS service discovery, under other names than the mesh's.
//!
//! What it says is a hint, and anybody can say it. Who the other side is, only the exchange finds out. Something is
//! announced only while somebody joins: `asking` says what.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mdns_sd::{ServiceDaemon, ServiceInfo};

use super::announced::Instance;
use crate::mesh::interfaces;

/// How long a stopping daemon gets to say goodbye on the network.
const GOODBYE: Duration = Duration::from_millis(300);
/// Addresses of one announcement that are looked at.
const ADDRESSES_MAX: usize = 8;
/// Records that a daemon keeps of what others announce before another takes its place: strangers can send any number, to
/// be kept for as long as they say.
const KEPT_MAX: i64 = 10_000;
pub(super) const VERSION: &str = "2";

/// The local network cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// Nothing can be announced.
    #[error("nobody can be told on the local network: {0}")]
    Announcing(#[from] mdns_sd::Error),
    /// Nothing can be heard.
    #[error("nobody can be found on the local network: {0}")]
    Listening(#[from] std::io::Error),
}

/// Who announces what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A new device: it shows a code, or asks for who serves its ticket.
    NewDevice,
    /// Somebody who serves tickets, and was asked.
    Tickets,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::NewDevice => "_popmesh-join._tcp.local.",
            Service::Tickets => "_popmesh-admit._tcp.local.",
        }
    }
}

struct Daemon(ServiceDaemon);

impl Daemon {
    fn start() -> Result<Self, LanError> {
        Ok(Self(ServiceDaemon::new()?))
    }

    /// Whether it keeps more than it should of what others announce.
    fn is_overfull(&self) -> bool {
        let metrics = self.0.get_metrics().ok().and_then(|metrics| metrics.recv_timeout(GOODBYE).ok());
        let kept = metrics.map(|metrics| {
            metrics
                .iter()
                .filter(|(name, _)| name.starts_with("cached-"))
                .map(|(_, count)| count)
                .sum::<i64>()
        });
        // One that does not answer in time has too much to do.
        kept.is_none_or(|kept| kept > KEPT_MAX)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(done) = self.0.shutdown() {
            let _ = done.recv_timeout(GOODBYE);
        }
    }
}

/// What announces.
pub struct Announcer {
    daemon: Arc<Daemon>,
}

impl Announcer {
    /// Announces nothing yet.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn start() -> Result<Self, LanError> {
        Ok(Self { daemon: Arc::new(Daemon::start()?) })
    }

    /// Announces `says` once more from now on, with the addresses of this host. `random` makes the name of it unique, so
    /// nobody has to be asked whether it is free.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn announce(
        &mut self,
        service: Service,
        says: &[(&str, &str)],
        port: u16,
        random: [u8; 8],
    ) -> Result<Announced, LanError> {
        if self.daemon.is_overfull() {
            self.daemon = Arc::new(Daemon::start()?);
        }
        let addresses = interfaces::announced(&interfaces::current(None));
        let unique = hex::encode(random);
        let host = format!("popmesh-{unique}.local.");
        let text = [&[("v", VERSION)], says].concat();
        let mut info = ServiceInfo::new(service.name(), &unique, &host, &addresses[..], port, &text[..])?;
        info.set_requires_probe(false);
        let fullname = info.get_fullname().to_owned();
        self.daemon.0.register(info)?;
        Ok(Announced { daemon: Arc::clone(&self.daemon), fullname })
    }
}

/// An announcement; it ends when this is dropped.
pub struct Announced {
    daemon: Arc<Daemon>,
    fullname: String,
}

impl Announced {
    /// Whether it should be made anew, since strangers had what announces it keep too much.
    pub fn is_worn(&self) -> bool {
        self.daemon.is_overfull()
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Ok(done) = self.daemon.0.unregister(&self.fullname) {
            let _ = done.recv_timeout(GOODBYE);
        }
    }
}

/// Somebody who announces.
#[derive(Debug)]
pub struct Seen(pub(super) Instance);

impl Seen {
    /// What is said under `key`.
    pub fn says(&self, key: &str) -> Option<&str> {
        self.0.text.iter().find(|(said, _)| said == key).map(|(_, value)| value.as_str())
    }

    /// Where they say that they can be reached, on the networks of this host alone: nobody is to have this device dial
    /// anywhere else.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let locals = interfaces::current(None);
        let is_near =
            |address: &IpAddr| interfaces::is_near(&locals, address) && !interfaces::needs_zone(address);
        let mut addresses: Vec<IpAddr> = self.0.addresses.iter().copied().filter(is_near).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        addresses.into_iter().map(|ip| (ip, self.0.port).into()).collect()
    }
}
