//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use popmesh_ble::Adapter;

use super::args_api::{ApiAccess, ApiCommand};
use super::args_cart::Cart;
use super::args_claim::{Claim, Claims, Token};
use super::args_device::Device;
use super::args_event::Event;
use super::args_money::{Payment, Receipt, Receipts, Takings};
use super::args_run::Run;
use super::args_sell::Sell;
use super::args_stock::{Damage, Drop, Lot, Move, Product, Stock, Transfer};
use super::door::{DoorCommand, Stow};
use super::join::Join;
use super::man::ManArgs;
use super::people::People;
use super::quickstart::Quickstart;
use super::trust::{Incidents, LeaveArgs, Past, RegistrarCommand, RetireArgs};
use super::undo::UndoArgs;

/// Sells limited, serial-numbered merch on a mesh of devices that keeps working when the network does not.
///
/// Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the node does not answer, 4 refused now but the same
/// again can do.
#[derive(Debug, Parser)]
#[command(name = "popmesh", version, propagate_version = true)]
pub(super) struct Cli {
    /// The device's data folder [default: ~/.local/share/popmesh]
    #[arg(long, global = true, env = "POPMESH_DATA", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) data: Option<PathBuf>,
    /// Print the API's JSON instead of tables, and errors as JSON too
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Found an event, and make this device its hq: the first command of all
    Quickstart(Quickstart),
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
    /// Check that what this device knows holds together: no unit sold twice, no receipt missing; exit code 1 if anything is wrong
    Check(Target),
    /// Check this device's key, certificate, clock, database and network
    Doctor(Doctor),
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
    /// Write manual pages
    Man(ManArgs),
    /// Print completions for a shell: bash, into ~/.local/share/bash-completion/completions/popmesh; zsh, into a folder of $fpath
    /// as _popmesh; fish, into ~/.config/fish/completions/popmesh.fish
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
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
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
