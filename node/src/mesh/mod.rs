//! The mesh: links to the other devices of an event, found and kept up by itself.
//!
//! It carries opaque bytes, directly to a linked device or by gossip to all, and knows nothing of what they mean. It
//! promises no delivery: whatever must arrive is asked for again by whoever misses it. A device whose certificate
//! does not satisfy [`MeshConfig::admit`] never becomes a link, and one whose certificate ends while it is linked is
//! cut off.
//!
//! One task owns the libp2p swarm; [`Mesh`] is a handle to it. Every queue is bounded: what does not fit is dropped and
//! counted, except the news of links coming and going.

mod addresses;
mod admission;
pub mod announcement;
mod barred;
mod behaviour;
mod budget;
mod choice;
mod closing;
mod desk;
mod dialling;
mod discovery;
mod feed;
mod gate;
mod gossip;
mod identity;
pub(crate) mod interfaces;
mod links;
mod lobby;
mod medium;
mod membership;
mod messages;
mod named;
mod names;
mod nearby;
mod only;
mod outbox;
mod pace;
mod peers;
mod radio;
mod refusals;
mod sightings;
mod snapshot;
mod start;
mod strangers;
mod taken;
mod task;
mod transport;
mod tree;
mod unfit;
mod watching;
mod whom;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
pub use libp2p::Multiaddr;
use popmesh_proto::links::Width;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

pub use self::gate::hello;
pub use self::membership::{Membership, MembershipKey};
pub use self::snapshot::{
    BleSnapshot, Counters, LinkSnapshot, MeshSnapshot, PeerSnapshot, PeerStatus, Refusal, Transport,
};
pub use self::strangers::{Strange, StrangerSnapshot, StrangersSnapshot};
pub use self::taken::Taken;
pub use self::unfit::Unfit;
use self::{barred::Barred, gate::Gate, outbox::Outboxes};

/// A device's Ed25519 public key, which is its libp2p identity too.
pub type DeviceKey = [u8; 32];

/// Judges a peer's certificate, shown by the device with this key: when it wants to link, and every second while it is
/// linked.
pub type Admit = Arc<dyn Fn(&DeviceKey, &[u8]) -> Result<(), Unfit> + Send + Sync>;

/// Requests from handles that may wait for the mesh's task.
const CONTROL_QUEUE_MAX: usize = 4_096;

/// The largest message for [`Mesh::send`].
pub const MESSAGE_BYTES_MAX: usize = messages::MESSAGE_BYTES_MAX;

/// The largest message for [`Mesh::publish`], with some room for its envelope.
pub const GOSSIP_BYTES_MAX: usize = behaviour::GOSSIP_BYTES_MAX - 1024;

/// What a mesh needs to start.
pub struct MeshConfig {
    /// The Ed25519 seed of this device.
    pub secret: Zeroizing<[u8; 32]>,
    /// The event.
    pub event: [u8; 32],
    /// What only the devices of the event have.
    pub membership: Membership,
    /// This device's certificate, shown to each peer. At most 4 KiB.
    pub certificate: Vec<u8>,
    /// Judges the certificates of peers.
    pub admit: Admit,
    /// Where to listen.
    pub listen: Listen,
    /// Addresses to dial for ever, with or without the `/p2p/` part.
    pub peers: Vec<Multiaddr>,
    /// Whether to find devices on the local network.
    pub mdns: bool,
    /// Bluetooth LE, if it is to be used.
    pub ble: Option<BleConfig>,
}

/// What Bluetooth LE needs.
#[derive(Clone)]
pub struct BleConfig {
    /// The adapter.
    pub adapter: popmesh_ble::Adapter,
    /// What only the devices of the event know, a key of each epoch, the newest first: by this they recognise each other on
    /// the air.
    pub keys: Vec<MembershipKey>,
    /// Links at once at most; adapters manage 7 or more.
    pub links_max: usize,
    /// How often a link is pinged. A peer that is there and does not answer twice in a row is let go.
    pub ping_every: Duration,
}

/// How often a Bluetooth link is pinged, unless somebody has a reason.
pub const BLE_PING_EVERY: Duration = behaviour::PING_EVERY_BLE;

impl fmt::Debug for BleConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BleConfig")
            .field("adapter", &self.adapter)
            .field("links_max", &self.links_max)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MeshConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MeshConfig")
            .field("listen", &self.listen)
            .field("peers", &self.peers)
            .field("mdns", &self.mdns)
            .field("ble", &self.ble)
            .finish_non_exhaustive()
    }
}

/// Where a mesh listens.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The interfaces to use; none named means all.
    pub interfaces: Option<Vec<String>>,
    /// The port, the same for TCP and UDP. 0 takes a free one.
    pub port: u16,
    /// Whether to use TCP.
    pub tcp: bool,
    /// Whether to use QUIC.
    pub quic: bool,
}

impl Listen {
    /// Whether the network is used at all.
    pub(crate) fn is_on(&self) -> bool {
        self.tcp || self.quic
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self { interfaces: None, port: 0, tcp: true, quic: true }
    }
}

/// Why a mesh could not start.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Neither TCP nor QUIC nor Bluetooth is switched on.
    #[error("neither TCP nor QUIC nor Bluetooth is switched on")]
    NoTransport,
    /// The certificate is larger than peers will read.
    #[error("the certificate is larger than 4 KiB")]
    CertificateTooLarge,
    /// The interfaces to listen on have no address.
    #[error("no usable address on the interfaces to listen on")]
    NoAddress,
    /// The port is taken, or the address cannot be listened on.
    #[error("cannot listen on port {port}: {reason}")]
    Listen {
        /// The port.
        port: u16,
        /// What the system said.
        reason: String,
    },
    /// Something else that cannot be set up.
    #[error("cannot set up the mesh: {0}")]
    Setup(String),
}

/// What the mesh tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshEvent {
    /// A device is linked: messages can be sent to it.
    LinkUp {
        /// The device.
        device: DeviceKey,
        /// How much can be sent to it. Gossip goes over broad links alone.
        width: Width,
    },
    /// Messages to a linked device go over a wider or narrower link from now on. What was under way may be lost.
    LinkWidth {
        /// The device.
        device: DeviceKey,
        /// How much can be sent to it.
        width: Width,
    },
    /// A device is no longer linked. What was under way to it may be lost.
    LinkDown {
        /// The device.
        device: DeviceKey,
    },
    /// A message for this device.
    Message {
        /// The device that sent it.
        from: DeviceKey,
        /// The message.
        bytes: Bytes,
        /// To be dropped when it has been dealt with.
        taken: Taken,
    },
    /// A message for all. It goes no further until it is [judged](Mesh::judge).
    Gossip {
        /// The neighbour that passed it on, which need not be its author.
        from: DeviceKey,
        /// The message.
        bytes: Bytes,
        /// Names the message in [`Mesh::judge`].
        token: u64,
    },
}

/// What to do with a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on.
    Ignore,
    /// Do not pass it on, and hold it against the neighbour it came from.
    Reject,
}

/// A running mesh. Dropping it stops the mesh without ceremony; [`Mesh::stop`] says goodbye first.
pub struct Mesh {
    device: DeviceKey,
    gate: Arc<Gate>,
    outboxes: Arc<Outboxes>,
    control: mpsc::Sender<Control>,
    barred: Arc<Barred>,
    ble: Option<popmesh_ble::Ble>,
    dropped_requests: Arc<AtomicU64>,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mesh").field("device", &hex::encode(self.device)).finish_non_exhaustive()
    }
}

enum Control {
    Publish(Bytes),
    Judge(u64, Verdict),
    Known(Vec<DeviceKey>),
    CutOff(DeviceKey, Duration),
    Probe(DeviceKey),
    Barred,
    Links(bool, oneshot::Sender<()>),
    Snapshot(oneshot::Sender<MeshSnapshot>),
    Stop(oneshot::Sender<()>),
}

impl Mesh {
    /// Starts a mesh. Its events come from the receiver; while nobody takes them, peers are made to wait and gossip is
    /// dropped.
    ///
    /// # Errors
    /// If nothing can be listened on, or the configuration makes no sense.
    pub async fn start(config: MeshConfig) -> Result<(Self, mpsc::Receiver<MeshEvent>), MeshError> {
        start::start(config).await
    }

    /// The key of this device.
    #[must_use]
    pub fn device(&self) -> DeviceKey {
        self.device
    }

    /// Sends a message to a linked device, in order with the earlier ones. Returns whether it was put in the outbox: if the
    /// device is not linked, its outbox is full, or the message is too large, it is dropped and counted.
    pub fn send(&self, to: DeviceKey, bytes: Bytes) -> bool {
        if bytes.len() > MESSAGE_BYTES_MAX {
            self.dropped_requests.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(bytes = bytes.len(), "a message is too large to send");
            return false;
        }
        self.outboxes.put(&to, bytes)
    }

    /// Gossips a message to all devices of the event.
    pub fn publish(&self, bytes: Bytes) {
        self.request(Control::Publish(bytes));
    }

    /// Says what to do with a gossip message.
    pub fn judge(&self, token: u64, verdict: Verdict) {
        self.request(Control::Judge(token, verdict));
    }

    /// Closes the link to a device, and lets none be for so long, whoever dials.
    pub fn cut_off(&self, device: DeviceKey, time: Duration) {
        self.request(Control::CutOff(device, time));
    }

    /// Has nothing pass to devices that were retired, and to these alone: the `quiet` ones may have a link, over which no
    /// gossip goes; the `shut` ones have none. The gate's [`Admit`] is to refuse those.
    pub fn bar(&self, quiet: Vec<DeviceKey>, shut: Vec<DeviceKey>) {
        self.barred.set(quiet, shut);
        // If there is no room for it now, the task looks by itself soon.
        let _ = self.control.try_send(Control::Barred);
    }

    /// Advertises over Bluetooth under the first of these keys from now on, and reads what is under any.
    pub fn set_radio_keys(&self, keys: Vec<MembershipKey>) {
        if let Some(ble) = &self.ble {
            ble.set_keys(keys);
        }
    }

    /// Has the link to a device looked at, and closed if nothing comes: somebody else lost that device.
    pub fn probe(&self, device: DeviceKey) {
        self.request(Control::Probe(device));
    }

    /// Tells the mesh of all devices that belong to the event, reachable or not. It helps every device to choose the same
    /// links.
    pub fn set_known(&self, devices: Vec<DeviceKey>) {
        self.request(Control::Known(devices));
    }

    /// Shows another certificate to peers from now on, such as a renewed one. Existing links stay until the one that was
    /// shown on them ends, and come back at once with this one.
    ///
    /// # Errors
    /// If the certificate is too large.
    pub fn set_certificate(&self, certificate: Vec<u8>) -> Result<(), MeshError> {
        if certificate.len() > hello::CERTIFICATE_BYTES_MAX {
            return Err(MeshError::CertificateTooLarge);
        }
        *self.gate.certificate.write().unwrap_or_else(std::sync::PoisonError::into_inner) = certificate;
        Ok(())
    }

    /// Lets links be, or closes them all and lets no new one in, as if this device were out of range. Returns when no
    /// link is left, or the mesh has stopped. Discovery goes on, so that links come back at once when they may.
    pub async fn set_links(&self, on: bool) {
        self.gate.links_on.store(on, Ordering::Release);
        let (reply, receiver) = oneshot::channel();
        let _ = self.control.send(Control::Links(on, reply)).await;
        let _ = receiver.await;
    }

    /// Whether links may be.
    pub fn links_on(&self) -> bool {
        self.gate.links_on.load(Ordering::Acquire)
    }

    /// How things stand. Empty if the mesh has stopped.
    pub async fn snapshot(&self) -> MeshSnapshot {
        let (reply, receiver) = oneshot::channel();
        let _ = self.control.send(Control::Snapshot(reply)).await;
        let mut snapshot = receiver.await.unwrap_or_default();
        snapshot.counters.requests_dropped += self.dropped_requests.load(Ordering::Relaxed);
        snapshot
    }

    /// Closes all links, says goodbye on the local network and stops. Takes a second at most.
    pub async fn stop(&self) {
        let (reply, receiver) = oneshot::channel();
        let _ = self.control.send(Control::Stop(reply)).await;
        let _ = receiver.await;
    }

    fn request(&self, request: Control) {
        if self.control.try_send(request).is_err() {
            self.dropped_requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}
