//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use libp2p::Multiaddr;
use popmesh_ble::Adapter;
use popmesh_proto::identity::Roles;
use popmesh_proto::money::Currency;
use popmesh_proto::text::Place;

use super::args_api::{ApiAccess, ApiCommand, ApiServing};
use super::args_cart::Cart;
use super::args_claim::{Claim, Claims, Token};
use super::args_money::{EventCash, EventLimit, EventTax, EventWishes, Payment, Receipt, Receipts, Takings};
use super::args_sell::Sell;
use super::args_stock::{Damage, Drop, Lot, Move, Product, Stock, Transfer};
use super::door::{DoorCommand, DoorOptions, Stow};
use super::join::{Admit, IssuerArgs, Join, Ticket, Tickets, ValidityArgs};
use super::people::People;
use super::renew::RenewArgs;
use super::trust::{Incidents, LeaveArgs, Past, RegistrarCommand, RetireArgs};
use super::undo::UndoArgs;
use super::values;
use crate::run::LogFormat;

/// Sells limited, serial-numbered merch on a mesh of devices that keeps working when the network does not.
///
/// Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the node does not answer, 4 refused now but the same
/// again can do.
#[derive(Debug, Parser)]
#[command(name = "popmesh", version, propagate_version = true)]
pub(super) struct Cli {
    /// The device's data folder [default: ~/.local/share/popmesh]
    #[arg(long, global = true, env = "POPMESH_DATA", value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Print the API's JSON instead of tables, and errors as JSON too
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Found an event or look at one (the organiser); set its rules for tax, cash, deferred payments and large wishes (an hq)
    #[command(subcommand)]
    Event(Event),
    /// Give this device a key and a certificate
    #[command(subcommand)]
    Device(Device),
    /// Join an event over the network: shows a code that an hq or the organiser admits, or takes a ticket
    Join(Join),
    /// Run this device's node
    Run(Run),
    /// Who may call the API of this device from elsewhere
    #[command(subcommand)]
    Api(ApiCommand),
    /// This device, at a glance
    Status(Status),
    /// The other devices and the links to them
    Peers(Target),
    /// Switch the links to other devices off, to rehearse a cut, or on again
    Links(Links),
    /// Products of the programme
    #[command(subcommand)]
    Product(Product),
    /// Drops of the programme
    #[command(subcommand)]
    Drop(Drop),
    /// Lots
    #[command(subcommand)]
    Lot(Lot),
    /// Stock levels, this device's own and the whole event's
    Stock(Stock),
    /// Give units that this device holds to another
    Transfer(Transfer),
    /// Change where units that this device holds lie
    Move(Move),
    /// Put units that this device holds into one of its compartments
    Stow(Stow),
    /// Give everything away before this device goes: its stock, and the claims in its custody
    Leave(LeaveArgs),
    /// Retire a device that is lost or dead: what it held is this device's then
    Retire(RetireArgs),
    /// Who has the right to retire devices, and giving it to another hq
    #[command(subcommand)]
    Registrar(RegistrarCommand),
    /// What this device did before, if its database was set back
    #[command(subcommand)]
    Past(Past),
    /// What is proven to be wrong, or in doubt, and what was done about it
    #[command(subcommand)]
    Incidents(Incidents),
    /// This device's compartments, and doors that a person must look at, here and elsewhere
    Doors(Target),
    /// Open a door again, say what you found there, or jam a virtual one
    #[command(subcommand)]
    Door(DoorCommand),
    /// Take units that this device holds out of sale, as damaged or missing
    Damage(Damage),
    /// Sell units
    Sell(Sell),
    /// Take back what was done last on this device
    Undo(UndoArgs),
    /// Units put aside for a shopper
    #[command(subcommand)]
    Cart(Cart),
    /// Claims, newest first
    Claims(Claims),
    /// Hand out a claim, take it back, or give it into another device's custody
    #[command(subcommand)]
    Claim(Claim),
    /// Claim tokens
    #[command(subcommand)]
    Token(Token),
    /// Payments that are authorised later
    #[command(subcommand)]
    Payment(Payment),
    /// Receipts of a device, the highest number first
    Receipts(Receipts),
    /// Print a receipt
    Receipt(Receipt),
    /// What devices took and paid back, by tender
    Takings(Takings),
    /// Personal data of shoppers, sealed to the organiser: take it, list it, open it with the organiser's key, erase it
    #[command(subcommand)]
    People(People),
    /// Entries of the log, newest first
    Log(Log),
    /// Write every document as an Automerge file into a folder
    Export(Export),
    /// Check this device's key, certificate, clock, database and network
    Doctor(Doctor),
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Which node.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Target {
    /// The node's API, such as http://127.0.0.1:7401 or https://192.0.2.7:7443 [default: the node running on the data folder]
    #[arg(long, value_name = "URL")]
    pub(super) api: Option<String>,
    #[command(flatten)]
    pub(super) access: ApiAccess,
}

/// A key for safe retries.
#[derive(Debug, Clone, Args)]
pub(super) struct Retry {
    /// Do this at most once under this key; use it again when no answer came [default: a new random one]
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Event {
    /// Found an event: writes the organiser's key and the charter
    Init {
        /// The event's name, for people
        name: String,
        /// The currency of all prices (ISO 4217)
        #[arg(long)]
        currency: Currency,
        /// Where to write
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show an event's charter
    Show {
        /// The organiser's folder [default: the data folder's event]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Set whether prices include tax, and where it is rounded
    Tax(EventTax),
    /// Set what cash is rounded to
    Cash(EventCash),
    /// Set how much of a device's sales may wait to be authorised
    Limit(EventLimit),
    /// Up to how many units of a sale or a cart other devices give away their last ones (an hq)
    Wishes(EventWishes),
}

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Make this device's key and the enrolment that the organiser or an hq signs
    New {
        /// The device's name, for people [default: this host's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Sign a device's enrolment (the organiser, or an hq)
    Sign(Sign),
    /// Install the certificate that was signed
    Install {
        /// The certificate
        certificate: PathBuf,
        /// The event's charter
        #[arg(long)]
        charter: PathBuf,
    },
    /// Show who this device is
    Show,
    /// Admit the device that shows this code, over the network (the organiser, or an hq); or serve tickets
    Admit(Admit),
    /// Renew the certificate of a device, or of all, over the mesh: for longer, and otherwise as it is (an hq)
    Renew(RenewArgs),
    /// Make a ticket with which devices that nobody attends join (the organiser, or an hq)
    Ticket(Ticket),
    /// List the tickets that were made here, and who used them
    Tickets(Tickets),
}

/// Sign a device's enrolment.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The enrolment that `popmesh device new` wrote
    pub(super) enrolment: PathBuf,
    #[command(flatten)]
    pub(super) by: IssuerArgs,
    /// What the device may do: pos, locker, encoder, steward (admits others), hq
    #[arg(long, value_name = "ROLE[,ROLE]")]
    pub(super) role: Roles,
    /// Where it stands; its units are sold from there
    #[arg(long)]
    pub(super) venue: Place,
    /// Another name than the one it proposes
    #[arg(long)]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) validity: ValidityArgs,
    /// Where to write [default: NAME.certificate beside the enrolment]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

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
    /// How to log (what is set by POPMESH_LOG, such as `popmesh=debug`)
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: LogFormat,
    #[command(flatten)]
    pub(super) door: DoorOptions,
}

/// This device, at a glance.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Show it again each second and whenever something happens
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Whether to link to other devices.
#[derive(Debug, Args)]
pub(super) struct Links {
    /// Off: this device is cut off, until switched on or started again
    pub(super) state: Switch,
    #[command(flatten)]
    pub(super) target: Target,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// As usual
    On,
    /// None
    Off,
}

/// Which entries.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// Of this device only
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Where to export to.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The folder; made if it is not there
    pub(super) dir: PathBuf,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Check this device.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Where the API is to listen
    #[arg(long, value_name = "ADDR", default_value_t = crate::api::DEFAULT_ADDRESS)]
    pub(super) api: SocketAddr,
    /// The port for other devices, if it is fixed
    #[arg(long, value_name = "N")]
    pub(super) listen_port: Option<u16>,
    /// The adapter for Bluetooth LE, if it is to be used: what `run --ble` takes
    #[arg(long, value_name = "ADAPTER", env = "POPMESH_BLE")]
    pub(super) ble: Option<Adapter>,
}
