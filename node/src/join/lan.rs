//! Finding the other side on the local network: multicast DNS service discovery, under other names than the mesh's.
//!
//! What it says is a hint. Who the other side is, only the exchange finds out.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mdns_sd::{Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};

use crate::mesh::interfaces;

/// How long a stopping daemon gets to say goodbye on the network.
const GOODBYE: Duration = Duration::from_millis(300);
const ADDRESSES_MAX: usize = 8;
/// What an announcement says of whom it is for.
const KEY: &str = "for";

/// The local network cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("nobody can be found or told on the local network: {0}")]
pub struct LanError(#[from] mdns_sd::Error);

/// Who announces what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A new device that shows a code; for whoever types it.
    NewDevice,
    /// Somebody who serves tickets; for the devices of an event.
    Tickets,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Service::NewDevice => "_popmesh-join._tcp.local.",
            Service::Tickets => "_popmesh-admit._tcp.local.",
        }
    }
}

/// An announcement; it ends when this is dropped.
pub struct Announced {
    daemon: ServiceDaemon,
    fullname: String,
}

impl Announced {
    /// Announces that at `port` somebody listens, for those that know `key`. `random` makes the name of it unique.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn start(service: Service, key: &str, port: u16, random: [u8; 8]) -> Result<Self, LanError> {
        let addresses = interfaces::announced(&interfaces::current(None));
        let unique = hex::encode(random);
        let host = format!("popmesh-{unique}.local.");
        let text = [("v", "1"), (KEY, key)];
        let info = ServiceInfo::new(service.name(), &unique, &host, &addresses[..], port, &text[..])?;
        let fullname = info.get_fullname().to_owned();
        let daemon = ServiceDaemon::new()?;
        daemon.register(info)?;
        Ok(Self { daemon, fullname })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Ok(done) = self.daemon.unregister(&self.fullname) {
            let _ = done.recv_timeout(GOODBYE);
        }
        stop(&self.daemon);
    }
}

/// Somebody who announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where to reach them, best first.
    pub addresses: Vec<SocketAddr>,
}

/// A look around the local network.
pub struct Browsing {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    key: String,
}

impl Browsing {
    /// Looks for those who announce for `key`.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn start(service: Service, key: &str) -> Result<Self, LanError> {
        let daemon = ServiceDaemon::new()?;
        let events = daemon.browse(service.name())?;
        Ok(Self { daemon, events, key: key.to_owned() })
    }

    /// The next that is found, or nobody before `until`.
    pub fn next(&self, until: Instant) -> Option<Seen> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let ServiceEvent::ServiceResolved(found) = self.events.recv_timeout(left).ok()? else { continue };
            let said = |key| found.get_property_val_str(key);
            if said("v") != Some("1") || said(KEY) != Some(&self.key) {
                continue;
            }
            let mut addresses: Vec<IpAddr> = found
                .addresses
                .iter()
                .map(mdns_sd::ScopedIp::to_ip_addr)
                .filter(|it| !interfaces::needs_zone(it) && !it.is_unspecified() && !it.is_multicast())
                .collect();
            addresses.sort_unstable();
            addresses.truncate(ADDRESSES_MAX);
            if !addresses.is_empty() {
                let port = found.port;
                return Some(Seen { addresses: addresses.into_iter().map(|ip| (ip, port).into()).collect() });
            }
        }
    }
}

impl Drop for Browsing {
    fn drop(&mut self) {
        stop(&self.daemon);
    }
}

fn stop(daemon: &ServiceDaemon) {
    if let Ok(done) = daemon.shutdown() {
        let _ = done.recv_timeout(GOODBYE);
    }
}
