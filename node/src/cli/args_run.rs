//! What can be typed about running a node.

use clap::Args;
use libp2p::Multiaddr;
use popmesh_ble::Adapter;

use super::args_api::ApiServing;
use super::door::DoorOptions;
use super::values;
use crate::run::LogFormat;

/// Run this device's node.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) serving: ApiServing,
    /// Use this network interface only (may be given several times)
    #[arg(long, value_name = "IF")]
    pub(super) interface: Vec<String>,
    /// Port for other devices, TCP and QUIC [default: any free one]
    #[arg(long, value_name = "N")]
    pub(super) listen_port: Option<u16>,
    /// Dial this device, besides those found by mDNS (may be given several times)
    #[arg(long, value_name = "MULTIADDR", value_parser = values::multiaddr)]
    pub(super) peer: Vec<Multiaddr>,
    /// Neither announce this device by mDNS nor look for others
    #[arg(long)]
    pub(super) no_mdns: bool,
    /// Link over TCP only
    #[arg(long, conflicts_with = "quic_only")]
    pub(super) tcp_only: bool,
    /// Link over QUIC only
    #[arg(long)]
    pub(super) quic_only: bool,
    /// What the Wi-Fi of this venue carries, kbit/s: while nothing happens, all devices together take a twentieth of it at most
    #[arg(long, value_name = "KBIT_PER_S", env = "POPMESH_VENUE_KBIT", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pub(super) venue_kbit: u64,
    /// Link over Bluetooth LE too, with this adapter: `hci0`, `serial:/dev/ttyACM0` or `tcp:ADDRESS:PORT`
    #[arg(long, value_name = "ADAPTER", env = "POPMESH_BLE")]
    pub(super) ble: Option<Adapter>,
    /// Links over Bluetooth LE at once at most
    #[arg(long, value_name = "N", env = "POPMESH_BLE_LINKS", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(super) ble_links: u8,
    /// Link over Bluetooth LE only: neither listen nor look for others on the network
    #[arg(long, requires = "ble", conflicts_with_all = ["tcp_only", "quic_only", "listen_port", "peer"])]
    pub(super) ble_only: bool,
    /// How to log to standard error (what is set by POPMESH_LOG, such as `popmesh=debug`) [default: human; at a terminal, where
    /// neither is given, what goes on is said on standard output, and only what is wrong is logged]
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    #[command(flatten)]
    pub(super) door: DoorOptions,
}
