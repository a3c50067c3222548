//! What the API shows of the mesh, and the trait by which it asks.

use futures::future::BoxFuture;
use popmesh_proto::id::DeviceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Knows the mesh of this node.
pub trait MeshView: Send + Sync + 'static {
    /// The mesh as it is now; `None` if it does not answer.
    fn snapshot(&self) -> BoxFuture<'_, Option<MeshSnapshot>>;

    /// Lets links be, or closes them all and lets none in.
    fn set_links(&self, on: bool) -> BoxFuture<'_, ()>;
}

/// The mesh at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeshSnapshot {
    /// Addresses this node listens on (multiaddrs).
    pub listening: Vec<String>,
    /// Whether links are switched on.
    pub links_on: bool,
    /// Links to devices that have shown their certificate.
    pub links: Vec<MeshLink>,
    /// Devices that announced themselves with a good certificate, were linked, or were named.
    pub discovered: Vec<Discovered>,
    /// What else announces itself.
    pub strangers: Strangers,
    /// Connections begun to addresses of devices, since the start.
    pub addresses_dialled: u64,
    /// Bluetooth LE, where this node uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ble: Option<BleStatus>,
}

/// How Bluetooth LE stands. Counts are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BleStatus {
    /// Whether the adapter is there.
    pub is_up: bool,
    /// Devices of the event in range.
    pub in_range: u64,
    /// Links over it.
    pub links: u64,
    /// Links that this node let go because there were too few places.
    pub let_go: u64,
    /// Bytes from the adapter, of any kind.
    pub hci_bytes_in: u64,
    /// Bytes to the adapter, of any kind.
    pub hci_bytes_out: u64,
    /// Those of them that came over links, with all headers.
    pub link_bytes_in: u64,
    /// Those of them that went over links, with all headers.
    pub link_bytes_out: u64,
    /// Attempts at links that failed, and links dropped for how the other end behaved.
    pub failures: u64,
    /// How often the adapter was lost, or could not be had.
    pub adapter_failures: u64,
}

/// Whether this node links to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkSwitch {
    /// `false`: no link to any device, as if this one were out of range. Until it is switched on, or the node starts
    /// again.
    pub on: bool,
}

/// Which side dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node.
    Outbound,
    /// The other.
    Inbound,
}

/// A link to a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeshLink {
    /// The device at the other end.
    pub device: DeviceId,
    /// Its addresses (multiaddrs).
    pub addresses: Vec<String>,
    /// `tcp`, `quic` or `ble`.
    pub transport: String,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Round-trip time, milliseconds; absent until measured.
    pub rtt_ms: Option<f64>,
    /// Over Bluetooth, how strong the other end's signal is, dBm; absent until it is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi_dbm: Option<i8>,
    /// Which side dialled.
    pub direction: Direction,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Messages dropped because this link was too slow.
    pub dropped: u64,
}

/// What announces itself in the network and is no device of the event. Nothing of it is ever dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Strangers {
    /// How many were heard in the last two minutes; 1024 stands for any more.
    pub lately: u64,
    /// How many were heard since the start; where there are very many, some are counted again.
    pub total: u64,
    /// The last few, newest first.
    pub last: Vec<Stranger>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stranger {
    /// What it calls itself: its own words.
    pub name: String,
    /// Where it says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why it is a stranger, in words.
    pub why: String,
    /// How long ago it was last heard, milliseconds.
    pub heard_ago_ms: u64,
}

/// A device found on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Discovered {
    /// The device.
    pub device: DeviceId,
    /// Where it was found (multiaddrs).
    pub addresses: Vec<String>,
    /// What became of it, in words.
    pub state: String,
}
