//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use libp2p::Multiaddr;
use popmesh_ble::Adapter;
use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::{ClaimState, Tender, Unclaimed};
use popmesh_proto::id::Ref;
use popmesh_proto::identity::Roles;
use popmesh_proto::money::Currency;
use popmesh_proto::text::{DropId, Edition, Place, ShopperRef, Sku};
use popmesh_proto::units::UnitSet;

use super::args_api::{ApiAccess, ApiCommand, ApiServing};
use super::args_money::{
    EventCash, EventLimit, EventTax, EventWishes, Paying, Payment, Receipt, Receipts, Takings,
};
use super::door::{DoorCommand, DoorOptions, Stow};
use super::given::Given;
use super::join::{Admit, IssuerArgs, Join, Ticket, Tickets, ValidityArgs};
use super::people::People;
use super::renew::RenewArgs;
use super::trust::{Incidents, LeaveArgs, Past, RegistrarCommand, RetireArgs};
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

#[derive(Debug, Subcommand)]
pub(super) enum Product {
    /// Put a product on the programme, or change its name and price
    Add {
        /// The SKU
        sku: Sku,
        /// Its name, for people
        name: String,
        /// Price of one unit, such as 25.00
        #[arg(long, allow_hyphen_values = true)]
        price: String,
        /// Its tax rate in per cent, such as 19 or 7.5 [default: what it has, 0 if it is new]
        #[arg(long, value_name = "PERCENT", value_parser = super::money::rate)]
        tax: Option<u16>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// List products
    List(Target),
}

#[derive(Debug, Subcommand)]
pub(super) enum Drop {
    /// Plan a drop
    New {
        /// Its short name
        name: DropId,
        /// Its title, for people [default: the short name]
        #[arg(long)]
        title: Option<String>,
        /// For how long claims can be picked up after their sale, such as 2h or 3d [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        pickup_within: Option<Duration>,
        /// What becomes of claims that nobody came for in that time
        #[arg(long, default_value = "keep")]
        unclaimed: UnclaimedArg,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Open a drop for sale
    Open(DropChange),
    /// Close a drop
    Close(DropChange),
    /// List drops
    List(Target),
}

/// What becomes of claims that nobody came for in time.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum UnclaimedArg {
    /// They wait on
    Keep,
    /// Their custodian may take them back to stock, and pays for them
    Refund,
    /// Their custodian may take them back to stock, and pays nothing
    Forfeit,
}

impl From<UnclaimedArg> for Unclaimed {
    fn from(unclaimed: UnclaimedArg) -> Self {
        match unclaimed {
            UnclaimedArg::Keep => Unclaimed::Keep,
            UnclaimedArg::Refund => Unclaimed::Refund,
            UnclaimedArg::Forfeit => Unclaimed::Forfeit,
        }
    }
}

/// Which drop to open or close.
#[derive(Debug, Args)]
pub(super) struct DropChange {
    /// Its short name
    pub(super) name: DropId,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Debug, Subcommand)]
pub(super) enum Lot {
    /// Mint a lot; its units are then held by this device
    Mint {
        /// The drop
        #[arg(long)]
        drop: DropId,
        /// The SKU
        #[arg(long)]
        sku: Sku,
        /// First and last serial, such as 1-100
        #[arg(long, value_parser = values::serial_range)]
        serials: (u32, u32),
        /// The serials are not printed on the units: any piece will do
        #[arg(long)]
        unnumbered: bool,
        /// The word that is printed with each serial, such as gold: lots of one SKU and edition share no serial
        #[arg(long, conflicts_with = "unnumbered")]
        edition: Option<Edition>,
        /// Where the units lie [default: this device's venue]
        #[arg(long)]
        place: Option<Place>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// List lots
    List(Target),
}

/// Which stock.
#[derive(Debug, Args)]
pub(super) struct Stock {
    /// One drop only
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// One SKU only
    #[arg(long)]
    pub(super) sku: Option<Sku>,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Which units.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["count", "serials"]))]
pub(super) struct UnitsArgs {
    /// The drop
    #[arg(long)]
    pub(super) drop: DropId,
    /// The SKU
    #[arg(long)]
    pub(super) sku: Sku,
    /// Any units, so many
    #[arg(long, value_name = "N", value_parser = values::quantity, allow_hyphen_values = true)]
    pub(super) count: Option<u64>,
    /// Exactly these, such as 1-5,9
    #[arg(long, value_name = "SERIALS")]
    pub(super) serials: Option<String>,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Give units to another device.
#[derive(Debug, Args)]
pub(super) struct Transfer {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
    /// Who gets them: a device's name, or the first digits of its key
    #[arg(long, value_name = "DEVICE")]
    pub(super) to: String,
}

/// Change where units lie.
#[derive(Debug, Args)]
pub(super) struct Move {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
    /// Where they lie from now on
    #[arg(long)]
    pub(super) place: Place,
}

/// Take units out of sale.
#[derive(Debug, Args)]
pub(super) struct Damage {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
}

/// Sell units.
#[derive(Debug, Args)]
pub(super) struct Sell {
    /// The SKU
    pub(super) sku: Sku,
    /// How many
    #[arg(
        short = 'n',
        long = "quantity",
        value_name = "N",
        default_value_t = 1,
        value_parser = values::quantity,
        allow_hyphen_values = true
    )]
    pub(super) quantity: u64,
    /// The drop [default: the one open drop that has this SKU]
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// Price of one unit, such as 20.00 [default: the programme's]
    #[arg(long, allow_hyphen_values = true)]
    pub(super) price: Option<String>,
    #[command(flatten)]
    pub(super) paying: Paying,
    /// The device that is to hand it out later [default: handed over now]
    #[arg(long, value_name = "DEVICE")]
    pub(super) pickup_at: Option<String>,
    /// For how long it can be picked up, such as 2h or 3d [default: as the drop says]
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "pickup_at")]
    pub(super) pickup_within: Option<Duration>,
    /// What whoever picks it up must know, 4 to 8 digits; - reads it from standard input, @FILE from a file, where other
    /// users of this host do not see it [default: the code alone is enough]
    #[arg(long, value_name = "-|@FILE|DIGITS", requires = "pickup_at")]
    pub(super) pin: Option<Given>,
    /// Who it is for: an order's number, a pseudonym; no personal data
    #[arg(long, value_name = "REFERENCE")]
    pub(super) shopper: Option<ShopperRef>,
    /// How long to wait for units from other devices, at most 60s
    #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
    pub(super) wait: Duration,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// How a shopper paid.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum TenderArg {
    /// Notes and coins
    Cash,
    /// A card terminal
    Card,
    /// A voucher
    Voucher,
    /// Anything else
    Other,
}

impl From<TenderArg> for Tender {
    fn from(tender: TenderArg) -> Self {
        match tender {
            TenderArg::Cash => Tender::Cash,
            TenderArg::Card => Tender::Card,
            TenderArg::Voucher => Tender::Voucher,
            TenderArg::Other => Tender::Other,
        }
    }
}

/// Which claims.
#[derive(Debug, Args)]
pub(super) struct Claims {
    /// One drop only
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// Sold by this device only
    #[arg(long, value_name = "DEVICE")]
    pub(super) seller: Option<String>,
    /// In the custody of this device only: what waits there
    #[arg(long, value_name = "DEVICE")]
    pub(super) custodian: Option<String>,
    /// In this state only
    #[arg(long)]
    pub(super) state: Option<StateArg>,
    /// For this shopper only
    #[arg(long, value_name = "REFERENCE")]
    pub(super) shopper: Option<ShopperRef>,
    /// With this short code only, which stands under its QR code
    #[arg(long, value_name = "CODE")]
    pub(super) code: Option<ClaimCode>,
    /// Only those that wait longer than they may
    #[arg(long)]
    pub(super) late: bool,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) target: Target,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StateArg {
    /// Waiting to be picked up
    Issued,
    /// Waiting to be picked up, and marked: its shopper wants the money back
    RefundRequested,
    /// Handed over
    Redeemed,
    /// Paid back before it was handed over
    Refunded,
    /// Handed over, brought back and paid back
    Returned,
    /// Nobody came for it in time, and it is back in stock
    Expired,
}

impl From<StateArg> for ClaimState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Issued => ClaimState::Issued,
            StateArg::RefundRequested => ClaimState::RefundRequested,
            StateArg::Redeemed => ClaimState::Redeemed,
            StateArg::Refunded => ClaimState::Refunded,
            StateArg::Returned => ClaimState::Returned,
            StateArg::Expired => ClaimState::Expired,
        }
    }
}

/// What is done about carts.
#[derive(Debug, Subcommand)]
pub(super) enum Cart {
    /// Put units aside
    New {
        /// The SKU
        sku: Sku,
        /// How many
        #[arg(
            short = 'n',
            long = "quantity",
            value_name = "N",
            default_value_t = 1,
            value_parser = values::quantity,
            allow_hyphen_values = true
        )]
        quantity: u64,
        /// The drop [default: the one open drop that has this SKU]
        #[arg(long)]
        drop: Option<DropId>,
        /// Price of one unit, such as 20.00 [default: the programme's]
        #[arg(long, allow_hyphen_values = true)]
        price: Option<String>,
        /// For how long, at most a day
        #[arg(long = "for", default_value = "15m", value_parser = values::duration, allow_hyphen_values = true)]
        ttl: Duration,
        /// Who it is for: an order's number, a pseudonym; no personal data
        #[arg(long, value_name = "REFERENCE")]
        shopper: Option<ShopperRef>,
        /// How long to wait for units from other devices, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Every cart, here and elsewhere
    List {
        /// For this shopper only
        #[arg(long, value_name = "REFERENCE")]
        shopper: Option<ShopperRef>,
        #[command(flatten)]
        target: Target,
    },
    /// Take a cart over from the device that holds it, to pay it here
    Take {
        /// The cart, or its token as the scanner gave it; - reads it from standard input
        cart: Given,
        /// How long to wait for its holder, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Draw the QR code of its token, which the shopper shows at another till
    Token {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        picture: Picture,
        #[command(flatten)]
        target: Target,
    },
    /// Sell what is in a cart: on the device that holds it
    Pay {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        paying: Paying,
        /// The device that is to hand it out later [default: handed over now]
        #[arg(long, value_name = "DEVICE")]
        pickup_at: Option<String>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Put what is in a cart back on sale
    Release {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

/// What is done about a claim.
#[derive(Debug, Subcommand)]
pub(super) enum Claim {
    /// Hand it out, once: on its custodian. Opens its doors, and waits for how they behave
    Redeem {
        /// The claim, or its token as the scanner gave it; - reads it from standard input
        claim: Given,
        /// Its PIN, if it has one; - reads it from standard input, @FILE from a file, where other users of this host do not
        /// see it
        #[arg(long, value_name = "-|@FILE|DIGITS")]
        pin: Option<Given>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Take it back and pay for it, on a device with a person and a drawer, to which its custodian gives it; elsewhere, and
    /// where the custodian is out of reach, mark it. Of what was handed out elsewhere, say which units are brought
    Refund {
        /// The claim
        claim: Ref,
        /// Units of this SKU only, those of --serials [default: everything that is left]
        #[arg(long, requires = "serials")]
        sku: Option<Sku>,
        /// Which ones, such as 1-5,9
        #[arg(long, requires = "sku", value_name = "SERIALS")]
        serials: Option<UnitSet>,
        /// They are out of sale from now on
        #[arg(long)]
        damaged: bool,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Show all that is known of it
    Show {
        /// The claim, or its short code
        claim: String,
        #[command(flatten)]
        target: Target,
    },
    /// Let its PIN be tried again on this device, after too many wrong ones
    Unlock {
        /// The claim
        claim: Ref,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Take back to stock what nobody came for in time, of the claims in this device's custody
    Sweep {
        /// The drop, whose rule says whether they are paid for
        #[arg(long)]
        drop: DropId,
        /// Do not ask: on which device, by its name or the first digits of its key
        #[arg(long, value_name = "DEVICE", requires = "claims")]
        device: Option<String>,
        /// Do not ask: so many claims are late there
        #[arg(long, value_name = "N", requires = "device")]
        claims: Option<u64>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Draw the QR code of its token, which the shopper shows: on the device that sold it
    Token {
        /// The claim
        claim: Ref,
        #[command(flatten)]
        picture: Picture,
        #[command(flatten)]
        target: Target,
    },
    /// Give it into another device's custody, which hands it out then; or fetch it into this one's
    Give {
        /// The claim
        claim: Ref,
        /// The device: this one, to fetch it from its custodian
        #[arg(long, value_name = "DEVICE")]
        to: String,
        /// How long to wait for its custodian, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
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

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Explain a claim token and check it, without a network: exit code 0 if it is good, 1 if not
    Inspect {
        /// The token's text, or - for standard input
        text: String,
    },
    /// Draw a claim token's QR code, on the terminal or into a file
    Qr(TokenCode),
}

/// Draw a claim token's QR code.
#[derive(Debug, Args)]
pub(super) struct TokenCode {
    /// The token's text, or - for standard input
    pub(super) text: String,
    #[command(flatten)]
    pub(super) picture: Picture,
}

/// Where a code is drawn: on the terminal, or into a file.
#[derive(Debug, Args)]
pub(super) struct Picture {
    /// Write an SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "png")]
    pub(super) svg: Option<PathBuf>,
    /// Write a PNG file
    #[arg(long, value_name = "FILE")]
    pub(super) png: Option<PathBuf>,
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
