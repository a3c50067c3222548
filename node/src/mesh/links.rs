//! The links that are up: at most one to a device over each medium.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint, swarm::ConnectionId};
use popmesh_proto::links::Width;
use tokio::time::Instant;

use super::{
    DeviceKey,
    gate::Boot,
    medium::{Medium, medium_of},
    watching::Watch,
};

/// A link that is up.
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) boot: Boot,
    pub(crate) up_at: Instant,
    pub(crate) since: SystemTime,
    pub(crate) address: Multiaddr,
    pub(crate) dialled: bool,
    pub(crate) rtt: Option<Duration>,
    pub(crate) watch: Watch,
    pub(crate) messages_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) gossip_received: u64,
    pub(crate) in_flight_messages: usize,
    pub(crate) in_flight_bytes: usize,
}

impl Link {
    pub(crate) fn new(
        peer: PeerId,
        connection: ConnectionId,
        boot: Boot,
        endpoint: &ConnectedPoint,
        now: Instant,
    ) -> Self {
        Self {
            peer,
            connection,
            boot,
            up_at: now,
            since: SystemTime::now(),
            address: endpoint.get_remote_address().clone(),
            dialled: endpoint.is_dialer(),
            rtt: None,
            watch: Watch::new(now),
            messages_sent: 0,
            bytes_sent: 0,
            messages_received: 0,
            bytes_received: 0,
            gossip_received: 0,
            in_flight_messages: 0,
            in_flight_bytes: 0,
        }
    }
}

/// All links.
#[derive(Default)]
pub(crate) struct Links(BTreeMap<(DeviceKey, Medium), Link>);

impl Links {
    pub(crate) fn get(&self, device: &DeviceKey, medium: Medium) -> Option<&Link> {
        self.0.get(&(*device, medium))
    }

    pub(crate) fn get_mut(&mut self, device: &DeviceKey, medium: Medium) -> Option<&mut Link> {
        self.0.get_mut(&(*device, medium))
    }

    pub(crate) fn insert(&mut self, device: DeviceKey, endpoint: &ConnectedPoint, link: Link) {
        self.0.insert((device, medium_of(endpoint)), link);
    }

    pub(crate) fn remove(&mut self, device: &DeviceKey, medium: Medium) -> Option<Link> {
        self.0.remove(&(*device, medium))
    }

    pub(crate) fn over_mut(&mut self, medium: Medium) -> impl Iterator<Item = (&DeviceKey, &mut Link)> {
        let over = self.0.iter_mut().filter(move |((_, over), _)| *over == medium);
        over.map(|((device, _), link)| (device, link))
    }

    /// The link that messages to a device go over: the network as long as it lives, else the radio.
    pub(crate) fn best_mut(&mut self, device: &DeviceKey) -> Option<&mut Link> {
        self.0.range_mut((*device, Medium::Ip)..=(*device, Medium::Ble)).map(|(_, link)| link).next()
    }

    pub(crate) fn is_linked(&self, device: &DeviceKey) -> bool {
        self.0.range((*device, Medium::Ip)..=(*device, Medium::Ble)).next().is_some()
    }

    /// The medium and the device of a connection.
    pub(crate) fn way_of(&self, connection: ConnectionId) -> Option<(DeviceKey, Medium)> {
        self.0.iter().find(|(_, link)| link.connection == connection).map(|(way, _)| *way)
    }

    pub(crate) fn of_connection(&mut self, connection: ConnectionId) -> Option<&mut Link> {
        self.0.values_mut().find(|link| link.connection == connection)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&DeviceKey, Medium, &Link)> {
        self.0.iter().map(|((device, medium), link)| (device, *medium, link))
    }

    pub(crate) fn over(&self, medium: Medium) -> impl Iterator<Item = (&DeviceKey, &Link)> {
        self.iter().filter(move |(_, over, _)| *over == medium).map(|(device, _, link)| (device, link))
    }

    pub(crate) fn count_over(&self, medium: Medium) -> usize {
        self.over(medium).count()
    }

    /// Each linked device once.
    pub(crate) fn devices(&self) -> Vec<DeviceKey> {
        let mut devices: Vec<_> = self.0.keys().map(|(device, _)| *device).collect();
        devices.dedup();
        devices
    }

    /// How much goes to a device: over the network a lot.
    pub(crate) fn width_to(&self, device: &DeviceKey) -> Width {
        match self.get(device, Medium::Ip) {
            Some(_) => Width::Broad,
            None => Width::Narrow,
        }
    }
}
