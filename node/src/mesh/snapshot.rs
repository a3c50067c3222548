//! How a mesh stands, for people and monitors.

use std::time::{Duration, SystemTime};

use super::{DeviceKey, Multiaddr, strangers::StrangersSnapshot};

/// How a mesh stands.
#[derive(Debug, Clone, Default)]
pub struct MeshSnapshot {
    /// This device.
    pub device: DeviceKey,
    /// The addresses it listens on.
    pub listen: Vec<Multiaddr>,
    /// The links that are up.
    pub links: Vec<LinkSnapshot>,
    /// The devices that announced themselves with a good certificate, were linked, or were named by the operator.
    pub peers: Vec<PeerSnapshot>,
    /// What announces itself in the network and is no device of the event.
    pub strangers: StrangersSnapshot,
    /// The last refused connections, oldest first.
    pub refusals: Vec<Refusal>,
    /// What happened since the start.
    pub counters: Counters,
    /// Bluetooth LE, where it is used.
    pub ble: Option<BleSnapshot>,
}

/// How Bluetooth LE stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BleSnapshot {
    /// Whether the adapter is there.
    pub is_up: bool,
    /// Devices of the event in range.
    pub in_range: usize,
    /// Links that this device let go, for a place.
    pub let_go: u64,
    /// What happened since the start.
    pub counters: popmesh_ble::Counters,
}

/// One link.
#[derive(Debug, Clone)]
pub struct LinkSnapshot {
    /// The device at the other end.
    pub device: DeviceKey,
    /// Its address on this link.
    pub address: Multiaddr,
    /// What the link runs over.
    pub transport: Transport,
    /// Whether this end dialled.
    pub dialled: bool,
    /// When it came up.
    pub since: SystemTime,
    /// The last measured round trip.
    pub rtt: Option<Duration>,
    /// Over the radio, how strong the other end's signal is, in dBm, if it was heard lately.
    pub rssi: Option<i8>,
    /// Messages sent, without gossip.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages received, without gossip.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Gossip messages that came over this link first.
    pub gossip_received: u64,
    /// Messages that wait in the outbox.
    pub messages_waiting: usize,
    /// Messages dropped because too many waited.
    pub messages_dropped: u64,
}

/// What a link runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with Noise and Yamux.
    Tcp,
    /// QUIC.
    Quic,
    /// Bluetooth LE, with Noise and Yamux.
    Ble,
}

/// A device that the mesh knows of.
#[derive(Debug, Clone)]
pub struct PeerSnapshot {
    /// The device.
    pub device: DeviceKey,
    /// Where the operator said that it is, where a link was made, and where it said that it is.
    pub addresses: Vec<Multiaddr>,
    /// How long ago it was last heard of.
    pub seen_ago: Duration,
    /// Whether this device wants a link to it.
    pub wanted: bool,
    /// Where things stand.
    pub status: PeerStatus,
}

/// Where things stand with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerStatus {
    /// There is a link.
    Linked,
    /// It is being dialled.
    Dialling,
    /// It is dialled again in this time.
    BackingOff {
        /// The time left.
        remaining: Duration,
    },
    /// It is cut off for what it sent, for this time.
    CutOff {
        /// The time left.
        remaining: Duration,
    },
    /// One end refused the other.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A connection that was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// When.
    pub at: SystemTime,
    /// The device at the other end.
    pub device: DeviceKey,
    /// Its address.
    pub address: Multiaddr,
    /// Whether it was the other end that refused.
    pub by_peer: bool,
    /// Why.
    pub reason: String,
}

/// What happened since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Links that came up.
    pub links_up: u64,
    /// Links that went down.
    pub links_down: u64,
    /// Connections whose certificate this device refused.
    pub refused_by_us: u64,
    /// Connections whose other end refused this device.
    pub refused_by_peer: u64,
    /// Connections that this device turned away since they did not show that they come from a device of its event.
    pub strangers_called: u64,
    /// Dials that were answered by somebody who did not show to be a device of this device's event.
    pub strangers_answered: u64,
    /// Inbound connections that failed before they could show anything: port scans, noise, broken networks.
    pub inbound_failed: u64,
    /// Connections begun to addresses of devices: those that they announced, where they were before, or that were named
    /// for them. Those of one dial are each counted.
    pub addresses_dialled: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Connections closed because the other end fell silent.
    pub silent_closed: u64,
    /// Messages dropped because the device was not linked.
    pub dropped_unlinked: u64,
    /// Messages dropped because the outbox was full.
    pub dropped_overflow: u64,
    /// Messages lost with a link or a broken stream, as far as known.
    pub lost_sending: u64,
    /// Gossip messages published.
    pub gossip_published: u64,
    /// Gossip messages that could not be published: too large, or every neighbour's queue was full.
    pub gossip_unpublished: u64,
    /// Gossip messages dropped because the owner does not take its events.
    pub gossip_dropped: u64,
    /// Gossip messages dropped because the neighbour sent too many.
    pub gossip_over_budget: u64,
    /// Links cut off for what their peers sent.
    pub cut_off: u64,
    /// Links over the radio that this device let go, for a place.
    pub(crate) radio_let_go: u64,
    /// Requests dropped because too many waited, or too large.
    pub requests_dropped: u64,
}
