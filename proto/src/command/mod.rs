//! What a person or a program on this device can ask for, and what comes back.
//!
//! A [`Command`] changes something and is made durable before its [`Reply`]; a [`Query`] only looks. A command that
//! cannot be done is answered with a [`Refusal`] and has changed nothing.

mod door;
mod kind;
mod payment;
mod people;
mod refusal;
mod reply;
mod step;
mod undone;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Ref};
use crate::pin::Pin;
use crate::text::{DropId, Edition, Place, ShopperRef, Sku};
use crate::units::UnitSet;

pub use door::{CompartmentInfo, Door, DoorOpen, DoorReport, DoorSettle, DoorState, Doors, Lying};
pub use payment::{
    DeferredLimit, EventRules, LimitSet, PaidBack, PaymentInfo, PaymentNew, PaymentState, RulesSet,
    SettlePayment, Settled,
};
pub use people::{Erased, Payload, PersonalAdd, PersonalErase, PersonalInfo};
pub use refusal::{ClockShown, ClocksApart, Fitting, Holder, Offer, Refusal};
pub use reply::{
    Cart, Claim, ClaimItem, ClaimState, DropInfo, DropState, HandOut, Left, Lot, NotRenewed, Product,
    Redeemed, Refunded, Renewed, RenewedDevice, Reply, Retired, Swept, Unclaimed, UnitsDone, Unlocked,
};
pub use step::{DropStep, LateSale, StepDone, StepInfo, StepNew, VenueState};
pub use undone::{Act, ActKind, Undone};

/// The most units one command may name.
pub const MAX_QUANTITY: u64 = 10_000;
/// The most units of one lot.
pub const MAX_LOT: u64 = 1_000_000;
/// The most units of a wish that an event's rules can call ordinary.
pub const MAX_ORDINARY_WISH: u64 = 1_000;
/// What is ordinary if the rules do not say.
pub const USUAL_ORDINARY_WISH: u64 = 4;
/// The longest that units are put aside, in milliseconds: a day.
pub const MAX_HOLD_MS: u64 = 24 * 3_600_000;
/// The longest that a claim can wait to be picked up, in milliseconds: a year.
pub const MAX_PICKUP_MS: u64 = 366 * 24 * 3_600_000;
/// The most items of one sale.
pub const MAX_ITEMS: usize = 32;
/// The most days for which a certificate is renewed at a time.
pub const MAX_RENEWAL_DAYS: u32 = 366;
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
    /// Announces, opens or closes a drop, or says that it is about to be closed.
    DropStep(DropStep),
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
    /// Puts units aside for a shopper.
    CartNew(CartNew),
    /// Puts the units of a cart back on sale.
    CartRelease(Ref),
    /// Says that a cart is being paid: a close of its drop leaves it alone for a while.
    CartPaying(Ref),
    /// Puts more into a cart that this device holds.
    CartAdd(Ref, CartAdd),
    /// Puts some of what is in a cart that this device holds back on sale.
    CartRemove(Ref, CartRemove),
    /// Takes a cart over from another device.
    CartTake(CartTake),
    /// Hands out what a claim is for.
    Redeem(Redeem),
    /// Gives a claim into another device's custody, or fetches it into this one's.
    GiveCustody(GiveCustody),
    /// Takes a claim, or units of it, back and pays for them; or asks its custodian to.
    Refund(Refund),
    /// Retires a device that is lost or dead.
    Retire(Retire),
    /// Signs certificates anew, for longer.
    Renew(Renew),
    /// Gives the right to retire devices to another hq.
    Entrust(Entrust),
    /// Says what was done about an incident.
    ResolveIncident(ResolveIncident),
    /// Lets the PIN of a claim be tried again on this device.
    Unlock(Unlock),
    /// Gives everything away before this device goes.
    Leave(Leave),
    /// Has this device spend although it may have forgotten what it did: a person answers for that.
    AcceptPast(AcceptPast),
    /// Takes back what nobody came for in time, of a drop that says so.
    Sweep(Sweep),
    /// Says how a door behaved that this device wanted opened.
    DoorReport(DoorReport),
    /// Opens the doors again of what was redeemed here and did not open, or of which nothing is known.
    DoorOpen(DoorOpen),
    /// Says what a person found out about the doors of what was redeemed here.
    DoorSettle(DoorSettle),
    /// Says what became of a payment that was to be authorised later.
    SettlePayment(SettlePayment),
    /// Changes the event's rules for tax and cash.
    RulesSet(RulesSet),
    /// Sets how much of a device's sales may be waiting to be authorised.
    LimitSet(LimitSet),
    /// Takes personal data, which is sealed.
    PersonalAdd(PersonalAdd),
    /// Has personal data deleted everywhere.
    PersonalErase(PersonalErase),
    /// Takes back what this device's person did last.
    Undo(Undo),
}

/// A product for the programme, or a new name and price of one that is there. See [`Command::ProductAdd`].
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
    /// Its tax rate in basis points, 1900 for 19 %, up to 10,000; what it has if absent, none if it is new.
    #[serde(default)]
    pub tax: Option<u16>,
    /// Under which heading a till shows it: 1 to 40 characters, or none of them for no heading; what it has if absent.
    #[serde(default)]
    pub category: Option<String>,
    /// Its picture, in base64: a still PNG, JPEG or WebP of at most 8,192 bytes and 512 pixels each way, or an empty text for
    /// none; what it has if absent. All pictures of the event have 262,144 bytes at most.
    #[serde(default)]
    pub picture: Option<String>,
}

impl ProductAdd {
    /// A product of this name and price; what else it has stays.
    pub fn of(sku: Sku, name: impl Into<String>, price: i64) -> Self {
        Self { sku, name: name.into(), price, tax: None, category: None, picture: None }
    }
}

/// The most characters of a product's category.
pub const MAX_CATEGORY: usize = 40;

/// A drop that is planned. See [`Command::DropNew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DropNew {
    /// The drop's short name.
    pub drop: DropId,
    /// Its title, for people; 1 to 80 characters.
    pub title: String,
    /// For how long a claim for pickup can be picked up after its sale, milliseconds; for ever if absent.
    #[serde(default)]
    pub pickup_within_ms: Option<u64>,
    /// What becomes of claims that nobody came for in that time.
    #[serde(default)]
    pub unclaimed: Unclaimed,
    /// Its hard end: when it is over by itself on every device, Unix milliseconds; never if absent.
    #[serde(default)]
    pub ends_ms: Option<u64>,
}

impl DropNew {
    /// A drop without a hard end, whose claims wait for ever.
    pub fn of(drop: DropId, title: String) -> Self {
        Self { drop, title, pickup_within_ms: None, unclaimed: Unclaimed::Keep, ends_ms: None }
    }
}

/// A lot that is to be: serials of one SKU for one drop. See [`Command::LotMint`].
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
    /// The word that is printed with each serial, if one is: lots of one SKU and edition have no serial in common, in
    /// whatever drop.
    #[serde(default)]
    pub edition: Option<Edition>,
}

fn yes() -> bool {
    true
}

/// Units that another device gets. See [`Command::Transfer`].
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
    #[cfg_attr(feature = "schema", schema(value_type = crate::id::DeviceName))]
    pub to: DeviceId,
}

/// Units that lie somewhere else from now on. See [`Command::Move`].
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

/// Units that are out of sale, as damaged or missing. See [`Command::Damage`].
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

/// What is put aside for a shopper. See [`Command::CartNew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartNew {
    /// What is put aside, 1 to 32 items, each SKU once; at the prices of now.
    pub items: Vec<SellItem>,
    /// The drop. May be absent while one open drop alone has these SKUs.
    #[serde(default)]
    pub drop: Option<DropId>,
    /// For how long, in milliseconds; 15 minutes if absent, a day at most.
    #[serde(default = "default_hold")]
    pub ttl_ms: u64,
    /// Who it is for, by a reference that is no personal data: an order's number, a pseudonym of the stream's.
    #[serde(default)]
    pub shopper: Option<ShopperRef>,
    /// How long to wait for units from other devices, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

/// A cart that is taken over: by its name or by its token. See [`Command::CartTake`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartTake {
    /// The cart. May be absent where a token is given.
    #[serde(default)]
    pub cart: Option<Ref>,
    /// Its token, as the scanner sent it. With it the device need not have heard of the cart.
    #[serde(default)]
    pub token: Option<String>,
    /// How long to wait for its holder, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

fn default_hold() -> u64 {
    15 * 60_000
}

/// What is put into a cart besides. See [`Command::CartAdd`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartAdd {
    /// What is put aside besides, of the cart's drop: 1 to 32 items, each SKU once; at the price of now, if none is given.
    pub items: Vec<SellItem>,
    /// How long to wait for units from other devices, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

/// What is taken out of a cart. See [`Command::CartRemove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartRemove {
    /// What goes back on sale, 1 to 32 items, each SKU once. Something has to stay in the cart: all of it is released.
    pub items: Vec<CartItem>,
}

/// Units of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartItem {
    /// Which SKU.
    pub sku: Sku,
    /// How many, from 1; those that were put aside last.
    #[serde(default = "one")]
    pub quantity: u64,
}

/// The act that is taken back. See [`Command::Undo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Undo {
    /// The act, by the entry that it is named with: proof that whoever takes it back has seen what it is.
    pub entry: Ref,
}

/// A claim whose units are handed out: by its name or by its token. See [`Command::Redeem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Redeem {
    /// The claim. May be absent where a token is given.
    #[serde(default)]
    pub claim: Option<Ref>,
    /// Its token, as the scanner sent it. With it the device need not know of the sale.
    #[serde(default)]
    pub token: Option<String>,
    /// Its PIN, if it has one.
    #[serde(default)]
    pub pin: Option<Pin>,
}

impl Redeem {
    /// By the claim alone.
    pub fn of(claim: Ref) -> Self {
        Self { claim: Some(claim), token: None, pin: None }
    }

    /// By the token alone.
    pub fn by_token(token: String) -> Self {
        Self { claim: None, token: Some(token), pin: None }
    }
}

/// Who gets what this device has. See [`Command::Leave`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Leave {
    /// Who gets it; an hq in reach if absent, or else who sells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::id::DeviceName>))]
    pub to: Option<DeviceId>,
    /// What whoever wants it has seen of this device; not looked at if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Stake>,
}

/// What a device has that could be given away: said before that is done, so that it is this device and no more than was
/// seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stake {
    /// The device.
    pub device: DeviceId,
    /// The units that it holds, those in carts left out, as its retirement would say.
    pub units: u64,
    /// The claims that wait with it.
    pub claims: u64,
}

/// What is answered for. See [`Command::AcceptPast`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AcceptPast {
    /// What whoever answers for it has seen of this device; not looked at if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<LostPast>,
}

/// What a device lacks of its own past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LostPast {
    /// The device.
    pub device: DeviceId,
    /// The entries that are missing, as its status says; 0 if it does not know how many.
    pub entries: u64,
}

/// A claim whose PIN may be tried again. See [`Command::Unlock`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unlock {
    /// The claim.
    pub claim: Ref,
    /// Whether an hq answers for it: then it need not wait, and what is locked on other devices is unlocked there. Counts on
    /// an hq alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_once: bool,
}

impl Unlock {
    /// On this device, when its time has come.
    pub fn of(claim: Ref) -> Self {
        Self { claim, at_once: false }
    }
}

/// A claim that another device is to hand out. See [`Command::GiveCustody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GiveCustody {
    /// The claim.
    pub claim: Ref,
    /// Who is to hand it out: another device, for a claim in this one's custody; this device, to fetch it from its custodian.
    #[cfg_attr(feature = "schema", schema(value_type = crate::id::DeviceName))]
    pub to: DeviceId,
    /// How long to wait for its custodian, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

/// What of a claim is taken back and paid for. See [`Command::Refund`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Refund {
    /// The claim.
    pub claim: Ref,
    /// Which units of it; all that are left if empty.
    #[serde(default)]
    pub items: Vec<RefundItem>,
    /// Whether they are out of sale from now on.
    #[serde(default)]
    pub damaged: bool,
}

/// Who gets the right to retire devices. See [`Command::Entrust`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Entrust {
    /// The hq that is to have the right.
    #[cfg_attr(feature = "schema", schema(value_type = crate::id::DeviceName))]
    pub to: DeviceId,
}

/// A device that is lost or dead. See [`Command::Retire`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Retire {
    /// The device.
    #[cfg_attr(feature = "schema", schema(value_type = crate::id::DeviceName))]
    pub device: DeviceId,
    /// The most units that could be sold twice, as the device's retirement says now: proof that somebody has looked.
    pub at_risk: u64,
    /// Whether to retire it even if it can be reached.
    #[serde(default)]
    pub reachable: bool,
}

/// Whose certificates are signed anew, and for how long. See [`Command::Renew`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Renew {
    /// Whose; that of every device whose certificate this one may sign, if absent.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::id::DeviceName>))]
    pub device: Option<DeviceId>,
    /// For how many days from now, up to 366, or for as long as this device's own holds if that is less; 7 if absent.
    #[serde(default)]
    pub days: Option<u32>,
    /// Until when instead, Unix milliseconds; not beyond the end of this device's own.
    #[serde(default)]
    pub until_ms: Option<u64>,
}

/// What was done about an incident. See [`Command::ResolveIncident`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResolveIncident {
    /// The incident, by the entry that it is named with.
    pub incident: Ref,
    /// What was done: who got the unit, who the money. 1 to 400 bytes.
    pub note: String,
}

/// What is taken back. See [`Command::Sweep`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sweep {
    /// The drop.
    pub drop: DropId,
    /// What whoever wants it has seen of this device; not looked at if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<LateClaims>,
}

impl Sweep {
    /// Of a drop, however many are late.
    pub fn of(drop: DropId) -> Self {
        Self { drop, seen: None }
    }
}

/// What is late on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LateClaims {
    /// The device.
    pub device: DeviceId,
    /// The claims of the drop in its custody that nobody came for in time, and that are not marked for a refund.
    pub claims: u64,
}

/// Units of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefundItem {
    /// Their SKU.
    pub sku: Sku,
    /// Their serials, written as `1-5,9`.
    pub serials: UnitSet,
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

/// What is sold, and how it is paid: items or a cart, paid in one way or in several. See [`Command::Sell`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sell {
    /// What is sold, 1 to 32 items, each SKU once; nothing if a cart is paid.
    #[serde(default)]
    pub items: Vec<SellItem>,
    /// The cart that is paid: on the device that holds it.
    #[serde(default)]
    pub cart: Option<Ref>,
    /// The drop. May be absent while one open drop alone has these SKUs.
    #[serde(default)]
    pub drop: Option<DropId>,
    /// How all of it is paid, unless `payments` says more.
    #[serde(default = "cash")]
    pub tender: Tender,
    /// With `tender`: the payment's name elsewhere, such as the terminal's; 1 to 64 printable characters.
    #[serde(default)]
    pub reference: Option<String>,
    /// With `tender`, other than cash: a terminal authorises it later.
    #[serde(default)]
    pub deferred: bool,
    /// With `tender` cash: what the shopper hands over, in minor units. The change is in the answer.
    #[serde(default)]
    pub given: Option<i64>,
    /// Instead of all that: the payments, one to four that make up the total.
    #[serde(default)]
    pub payments: Vec<PaymentNew>,
    /// Where it will be picked up: the device that is to hand it out. Absent for a walk-in, handed over at once.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::id::DeviceName>))]
    pub pickup_at: Option<DeviceId>,
    /// For how long it can be picked up, in milliseconds from now; as the drop says if absent.
    #[serde(default)]
    pub pickup_within_ms: Option<u64>,
    /// What whoever picks it up must know, 4 to 8 digits; nothing but the claim or its token if absent.
    #[serde(default)]
    pub pin: Option<Pin>,
    /// Who it is for, by a reference that is no personal data: an order's number, a pseudonym of the stream's. That of the
    /// cart, if one is paid and this is absent.
    #[serde(default)]
    pub shopper: Option<ShopperRef>,
    /// How long to wait for units from other devices, in milliseconds; at most 60,000.
    #[serde(default = "default_wait")]
    pub wait_ms: u64,
}

impl Sell {
    /// A walk-in sale for cash of what this device holds.
    pub fn of(items: Vec<SellItem>) -> Self {
        Self { items, wait_ms: 0, ..Self::default() }
    }
}

impl Default for Sell {
    /// Nothing, in cash, handed over at once.
    fn default() -> Self {
        Self {
            items: Vec::new(),
            cart: None,
            drop: None,
            tender: cash(),
            reference: None,
            deferred: false,
            given: None,
            payments: Vec::new(),
            pickup_at: None,
            pickup_within_ms: None,
            pin: None,
            shopper: None,
            wait_ms: default_wait(),
        }
    }
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
