//! What a person or a program on this device can ask for, and what comes back.
//!
//! A [`Command`] changes something and is made durable before its [`Reply`]; a [`Query`] only looks. A command that
//! cannot be done is answered with a [`Refusal`] and has changed nothing.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Ref};
use crate::money::Currency;
use crate::text::{DropId, Place, Sku};
use crate::units::UnitSet;

/// The most units one command may name.
pub const MAX_QUANTITY: u64 = 10_000;
/// The most units of one lot.
pub const MAX_LOT: u64 = 1_000_000;
/// The most items of one sale.
pub const MAX_ITEMS: usize = 32;
/// The longest a sale waits for stock from elsewhere, in milliseconds.
pub const MAX_WAIT_MS: u64 = 60_000;

/// How a shopper paid. popmesh records payments; it takes none.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Tender {
    /// Notes and coins.
    #[n(0)]
    Cash,
    /// A card terminal.
    #[n(1)]
    Card,
    /// A voucher.
    #[n(2)]
    Voucher,
    /// Anything else.
    #[n(3)]
    Other,
}

impl std::fmt::Display for Tender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tender::Cash => "cash",
            Tender::Card => "card",
            Tender::Voucher => "voucher",
            Tender::Other => "paid otherwise",
        })
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Puts a product on the programme, or changes its name and price.
    ProductAdd(ProductAdd),
    /// Plans a drop.
    DropNew(DropNew),
    /// Opens a drop for sale.
    DropOpen(DropId),
    /// Closes a drop.
    DropClose(DropId),
    /// Mints a lot; its units are then held by this device.
    LotMint(LotMint),
    /// Gives units that this device holds to another.
    Transfer(Transfer),
    /// Changes where units that this device holds lie.
    Move(Move),
    /// Takes units that this device holds out of sale, as damaged or missing.
    Damage(Damage),
    /// Sells units.
    Sell(Sell),
}

/// See [`Command::ProductAdd`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProductAdd {
    /// The SKU.
    pub sku: Sku,
    /// Its name, for people; 1 to 80 characters.
    pub name: String,
    /// Price of one unit in minor units of the event's currency, above zero.
    pub price: i64,
}

/// See [`Command::DropNew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DropNew {
    /// The drop's short name.
    pub drop: DropId,
    /// Its title, for people; 1 to 80 characters.
    pub title: String,
}

/// See [`Command::LotMint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LotMint {
    /// The drop it is for.
    pub drop: DropId,
    /// Which SKU.
    pub sku: Sku,
    /// First serial.
    pub first: u32,
    /// Last serial, inclusive.
    pub last: u32,
    /// Whether the serials are printed on the units, so that exactly the serial sold must be handed over.
    #[serde(default = "yes")]
    pub numbered: bool,
    /// Where the units lie; this device's venue if absent.
    #[serde(default)]
    pub place: Option<Place>,
}

fn yes() -> bool {
    true
}

/// See [`Command::Transfer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Transfer {
    /// The drop.
    pub drop: DropId,
    /// Which SKU.
    pub sku: Sku,
    /// Which units.
    pub units: Units,
    /// Who gets them.
    pub to: DeviceId,
}

/// See [`Command::Move`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Move {
    /// The drop.
    pub drop: DropId,
    /// Which SKU.
    pub sku: Sku,
    /// Which units.
    pub units: Units,
    /// Where they lie from now on.
    pub place: Place,
}

/// See [`Command::Damage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Damage {
    /// The drop.
    pub drop: DropId,
    /// Which SKU.
    pub sku: Sku,
    /// Which units.
    pub units: Units,
}

/// Units of one SKU: so many, or exactly these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Units {
    /// Any units, so many.
    Count(u64),
    /// These serials, written as `1-5,9`.
    Serials(UnitSet),
}

/// See [`Command::Sell`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sell {
    /// What is sold, 1 to 32 items, each SKU once.
    pub items: Vec<SellItem>,
    /// The drop. May be absent while one open drop alone has these SKUs.
    #[serde(default)]
    pub drop: Option<DropId>,
    /// How it is paid.
    #[serde(default = "cash")]
    pub tender: Tender,
    /// Where it will be picked up: the device that is to hand it out. Absent for a walk-in, handed over at once.
    #[serde(default)]
    pub pickup_at: Option<DeviceId>,
    /// How long to wait for units from other devices, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

fn cash() -> Tender {
    Tender::Cash
}

fn default_wait() -> u64 {
    5_000
}

/// One line of what is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SellItem {
    /// Which SKU.
    pub sku: Sku,
    /// How many, from 1.
    #[serde(default = "one")]
    pub quantity: u64,
    /// Price of one unit in minor units, above zero; the programme's price if absent.
    #[serde(default)]
    pub unit_price: Option<i64>,
}

fn one() -> u64 {
    1
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Reply {
    /// The product is on the programme.
    Product(Product),
    /// The drop is planned, open or closed.
    Drop(DropInfo),
    /// The lot exists.
    Lot(Lot),
    /// The units are given, moved or taken out.
    Units(UnitsDone),
    /// Sold.
    Sale(Claim),
}

/// A product of the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Product {
    /// The SKU.
    pub sku: Sku,
    /// Its name.
    pub name: String,
    /// Price of one unit, minor units.
    pub price: i64,
    /// The event's currency.
    pub currency: Currency,
}

/// How far a drop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DropState {
    /// Known to the crew.
    Planned,
    /// Known to the public.
    Announced,
    /// On sale.
    Open,
    /// Over.
    Closed,
}

impl std::fmt::Display for DropState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DropState::Planned => "planned",
            DropState::Announced => "announced",
            DropState::Open => "open",
            DropState::Closed => "closed",
        })
    }
}

/// A drop of the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DropInfo {
    /// Short name.
    pub drop: DropId,
    /// Title.
    pub title: String,
    /// State.
    pub state: DropState,
}

/// A lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Lot {
    /// The entry that minted it.
    pub lot: Ref,
    /// Its drop.
    pub drop: DropId,
    /// Its SKU.
    pub sku: Sku,
    /// Its serials.
    pub units: UnitSet,
    /// Whether serials are printed on the units.
    pub numbered: bool,
    /// Where they lay when minted.
    pub place: Place,
}

/// What a transfer, a move or a damage report did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnitsDone {
    /// The entry.
    pub entry: Ref,
    /// The drop.
    pub drop: DropId,
    /// The SKU.
    pub sku: Sku,
    /// Which units.
    pub units: UnitSet,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ClaimState {
    /// Waiting to be picked up.
    Issued,
    /// Handed over.
    Redeemed,
}

/// One shopper's right to what was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Claim {
    /// The claim: the entry of the sale.
    pub claim: Ref,
    /// Its drop.
    pub drop: DropId,
    /// When, milliseconds since the Unix epoch by the seller's clock.
    pub at_ms: u64,
    /// Who sold it.
    pub seller: DeviceId,
    /// What was sold.
    pub items: Vec<ClaimItem>,
    /// Sum in minor units.
    pub total: i64,
    /// The event's currency.
    pub currency: Currency,
    /// How it was paid.
    pub tender: Tender,
    /// The one device that may hand it out.
    pub custodian: DeviceId,
    /// State.
    pub state: ClaimState,
    /// Units that an earlier sale has, by proof of a rollback, a clone or a cheat. Empty unless there is an incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<ClaimItem>,
}

/// Units of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClaimItem {
    /// The SKU.
    pub sku: Sku,
    /// The lot.
    pub lot: Ref,
    /// The serials.
    pub units: UnitSet,
    /// Price of one unit, minor units.
    pub unit_price: i64,
}

/// A device that holds units that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Holder {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// How many units it holds, as far as known here.
    pub units: u64,
    /// Where they lie.
    pub places: Vec<Place>,
    /// When it was last heard, milliseconds since the Unix epoch by this device's clock.
    pub last_heard_ms: Option<u64>,
    /// Whether it can be reached now.
    pub reachable: bool,
}

/// Why a command was not done. It changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Refusal {
    /// No such SKU.
    #[error("no SKU {sku} in this drop or on the programme; known: {}", listed(known))]
    UnknownSku {
        /// What was asked for.
        sku: Sku,
        /// Some that there are.
        known: Vec<String>,
    },
    /// No such drop.
    #[error("no drop {drop:?}; known: {}", listed(known))]
    UnknownDrop {
        /// What was asked for; empty if none was named and none is open with these SKUs.
        drop: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Several open drops would do.
    #[error("several open drops have this: {}; name one with --drop", listed(drops))]
    AmbiguousDrop {
        /// Them.
        drops: Vec<String>,
    },
    /// There is a drop of this name.
    #[error("there is a drop {drop} already")]
    DropExists {
        /// It.
        drop: DropId,
    },
    /// The drop does not sell now.
    #[error("drop {drop} is {state}; open it with `popmesh drop open {drop}`")]
    DropNotOpen {
        /// It.
        drop: DropId,
        /// Its state.
        state: DropState,
    },
    /// No such device.
    #[error("no device {device} is known in this event; see `popmesh peers`")]
    UnknownDevice {
        /// What was asked for.
        device: DeviceId,
    },
    /// A number or a text is out of bounds.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A lot would mint serials that exist.
    #[error("serials {units} of {sku} are already in lot {lot}; mint others")]
    SerialOverlap {
        /// The SKU.
        sku: Sku,
        /// The lot that has them.
        lot: Ref,
        /// Which ones.
        units: UnitSet,
    },
    /// This device does not hold those units.
    #[error("this device holds {held} of {sku} free to give, not {asked}; see `popmesh stock`")]
    NotHeld {
        /// The SKU.
        sku: Sku,
        /// What was asked for.
        asked: String,
        /// How many it has.
        held: u64,
    },
    /// This device's certificate does not allow it.
    #[error("this device has the roles {roles}; {action} takes the role {needs}")]
    RoleForbids {
        /// What was to be done.
        action: String,
        /// The roles it has.
        roles: String,
        /// The role it takes.
        needs: String,
    },
    /// This device's certificate is not valid now.
    #[error("{problem}")]
    Certificate {
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Every unit is known sold.
    #[error("{sku} is sold out: all {minted} units are sold or taken out of sale")]
    SoldOut {
        /// The SKU.
        sku: Sku,
        /// Units minted.
        minted: u64,
    },
    /// There are units, but on devices that did not give any in time.
    #[error("not enough {sku} here: wanted {wanted}, hold {held}; {}", holders_text(holders))]
    HeldElsewhere {
        /// The SKU.
        sku: Sku,
        /// Units asked for.
        wanted: u64,
        /// Units this device has free, and here if it is a walk-in.
        held: u64,
        /// Who has the rest, as far as known.
        holders: Vec<Holder>,
    },
    /// The write could not be made durable.
    #[error("not done, because it could not be written down: {problem}")]
    NotStored {
        /// What the disk said, and what to do.
        problem: String,
    },
    /// Too much is waiting.
    #[error("too many commands are waiting on this device; try again in a moment")]
    Busy,
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}

/// The time of day of a Unix time, as HH:MM:SS in UTC.
fn time_of_day(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn holders_text(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "nobody else is known to have any; sell fewer".to_owned();
    }
    let each: Vec<String> = holders
        .iter()
        .map(|holder| {
            let reach = match (holder.reachable, holder.last_heard_ms) {
                (true, _) => "reachable".to_owned(),
                (false, Some(heard)) => format!("not reachable, last heard {} UTC", time_of_day(heard)),
                (false, None) => "never heard".to_owned(),
            };
            let places: Vec<&str> = holder.places.iter().map(Place::as_str).collect();
            format!("{} holds {} ({}; {reach})", holder.name, holder.units, places.join(", "))
        })
        .collect();
    each.join("; ")
}
