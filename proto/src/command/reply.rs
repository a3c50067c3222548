//! What a command did.

use serde::{Deserialize, Serialize};

use super::{
    Door, Erased, EventRules, PaidBack, PaymentInfo, PersonalInfo, Settled, StepDone, StepInfo, Tender,
    Undone, VenueState,
};
use crate::claim_code::ClaimCode;
use crate::id::{DeviceId, Ref};
use crate::money::Currency;
use crate::picture::PictureInfo;
use crate::query::{HeldUnits, Incident, SecretInfo};
use crate::record::Announced;
use crate::tax::TaxLine;
use crate::text::{Compartment, DropId, Edition, Place, ShopperRef, Sku};
use crate::units::UnitSet;

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Reply {
    /// The product is on the programme.
    Product(Product),
    /// The drop is planned, open or closed.
    Drop(DropInfo),
    /// What came of a step of a drop.
    Step(Box<StepDone>),
    /// The lot exists.
    Lot(Lot),
    /// The units are given, moved or taken out.
    Units(UnitsDone),
    /// Sold.
    Sale(Claim),
    /// Put aside, or back on sale.
    Cart(Cart),
    /// Handed out.
    Redeemed(Redeemed),
    /// The claim is in another device's custody.
    Custody(Claim),
    /// Taken back and paid for, or asked of its custodian.
    Refund(Refunded),
    /// It is known what became of the payment.
    Settled(Settled),
    /// The event's rules are these.
    Rules(EventRules),
    /// Back in stock, since nobody came for it.
    Swept(Swept),
    /// The device is retired.
    Retired(Retired),
    /// Certificates are signed anew.
    Renewed(Renewed),
    /// To [`Command::Entrust`](super::Command::Entrust): who has the right now.
    Entrusted(crate::query::Registrar),
    /// The incident is settled.
    Incident(Incident),
    /// The PIN of a claim can be tried again here.
    Unlocked(Unlocked),
    /// How the doors of a redemption stand.
    Door(Door),
    /// Personal data was taken.
    Personal(PersonalInfo),
    /// Personal data is deleted here, and everywhere else as soon as that hears of it.
    Erased(Erased),
    /// This device takes what it has stored for all that it did.
    PastAccepted,
    /// This device has nothing left.
    Left(Left),
    /// What was done last is taken back.
    Undone(Box<Undone>),
}

/// What a device gave away before it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Left {
    /// Who got it.
    pub to: DeviceId,
    /// Its name.
    pub name: String,
    /// Units, all of its stock.
    pub units: u64,
    /// Claims that waited in its custody.
    pub claims: u64,
}

/// A device that was retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Retired {
    /// The entry that says so.
    pub entry: Ref,
    /// The device.
    pub device: DeviceId,
    /// The most units that could be sold twice.
    pub at_risk: u64,
    /// What this device has taken over.
    pub held: Vec<HeldUnits>,
    /// What became of the event's secret: the epoch that the retired device does not have.
    #[serde(default)]
    pub secret: SecretInfo,
}

/// Certificates that were signed anew. The devices take them up by themselves as soon as they hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Renewed {
    /// Whose.
    pub devices: Vec<RenewedDevice>,
    /// Whose not: those that are good for as long already, and, if all were meant, those that cannot be.
    pub skipped: Vec<NotRenewed>,
}

/// A device whose certificate was signed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RenewedDevice {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Until when the new one holds, Unix milliseconds.
    pub until_ms: u64,
    /// The entry that carries it.
    pub entry: Ref,
}

/// A device whose certificate was not signed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotRenewed {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Why not, in words.
    pub why: String,
}

/// A claim whose PIN can be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unlocked {
    /// The claim.
    pub claim: Ref,
    /// The entry that says so.
    pub entry: Ref,
    /// Wrong PINs that are taken before it is locked again.
    pub tries: u32,
}

/// What nobody came for and was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Swept {
    /// The first entry that says so; absent if nothing was late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Ref>,
    /// To be paid back altogether, in minor units.
    pub amount: i64,
    /// The claims, as they stand now; the most overdue first. At most 100 at a time.
    pub claims: Vec<Claim>,
    /// Claims that are late and still to be swept, for another time.
    pub left: u64,
}

/// Units put aside for a shopper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Cart {
    /// The cart: the entry that put them aside.
    pub cart: Ref,
    /// Its drop.
    pub drop: DropId,
    /// Who holds it. Only there it can be paid or released.
    pub holder: DeviceId,
    /// What is in it.
    pub items: Vec<ClaimItem>,
    /// Sum in minor units.
    pub total: i64,
    /// The event's currency.
    pub currency: Currency,
    /// Until when, milliseconds since the Unix epoch by its holder's clock.
    pub until_ms: u64,
    /// Who it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopper: Option<ShopperRef>,
    /// Whether it is over: paid, released, or its time was. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

/// What was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Redeemed {
    /// The claim.
    pub claim: Ref,
    /// Its drop.
    pub drop: DropId,
    /// The entry that says so.
    pub entry: Ref,
    /// When, milliseconds since the Unix epoch by this device's clock.
    pub at_ms: u64,
    /// What to hand out: SKU, serials, and where they lie.
    pub items: Vec<HandOut>,
    /// Compartments of this device whose doors are opened now. How they behave comes later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<Compartment>,
}

/// Units to hand out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HandOut {
    /// The SKU.
    pub sku: Sku,
    /// The serials.
    pub units: UnitSet,
    /// Where they lie, if this device knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Which of this device's compartments that is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compartment: Option<Compartment>,
}

/// What a refund came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Refunded {
    /// The first entry that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Ref>,
    /// To be paid back by this device, in minor units; 0 if the custodian has only been asked to, or if nothing had been
    /// taken yet.
    pub amount: i64,
    /// How, by tender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaidBack>,
    /// The tax that goes back with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxLine>,
    /// The receipts for it, one for units of one lot and place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<u64>,
    /// The claim as it stands now.
    pub claim: Claim,
}

impl Refunded {
    /// Nothing is paid back yet: the custodian of the claim has only been asked to.
    pub fn asked(claim: Claim, entry: Option<Ref>) -> Self {
        Self { entry, amount: 0, payments: Vec::new(), taxes: Vec::new(), receipts: Vec::new(), claim }
    }
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
    /// Its tax rate in basis points: 1900 is 19 %.
    #[serde(default)]
    pub tax: u16,
    /// The event's currency.
    pub currency: Currency,
    /// Under which heading a till shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its picture, which `products_picture` gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureInfo>,
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
    /// On sale, and not for long any more.
    LastCall,
    /// Over.
    Closed,
}

impl DropState {
    /// Whether it is on sale.
    pub fn sells(self) -> bool {
        matches!(self, DropState::Open | DropState::LastCall)
    }
}

impl std::fmt::Display for DropState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DropState::Planned => "planned",
            DropState::Announced => "announced",
            DropState::Open => "open",
            DropState::LastCall => "at its last call",
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
    /// How far it is, at this device's venue.
    pub state: DropState,
    /// In which round: 0 is the first, and opening again after a close begins the next.
    #[serde(default)]
    pub round: u32,
    /// Whether it is over by its hard end, by this device's clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// When this round is over by itself at this venue, Unix milliseconds; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<u64>,
    /// Venues where it is not as far, or further.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub venues: Vec<VenueState>,
    /// Units that were announced, by SKU; empty if none were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub announced: Vec<Announced>,
    /// How many sales were made after the close of their round: they count, and `GET /v1/drops/{drop}/late` lists them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// How many steps were taken, in all rounds and venues: `GET /v1/drops/{drop}/steps` lists them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken: u64,
    /// The steps of this round: of each, for all and for each venue, the one that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepInfo>,
    /// For how long a claim for pickup can be picked up after its sale, milliseconds; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_within_ms: Option<u64>,
    /// What becomes of claims that nobody came for in that time.
    #[serde(default)]
    pub unclaimed: Unclaimed,
}

impl DropInfo {
    /// A drop that is planned, of which nothing else is known.
    pub fn planned(drop: DropId, title: String) -> Self {
        Self {
            drop,
            title,
            state: DropState::Planned,
            round: 0,
            ended: false,
            ends_ms: None,
            venues: Vec::new(),
            announced: Vec::new(),
            late: 0,
            taken: 0,
            steps: Vec::new(),
            pickup_within_ms: None,
            unclaimed: Unclaimed::Keep,
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What becomes of claims that nobody came for in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Unclaimed {
    /// They wait on.
    #[default]
    Keep,
    /// Their custodian may take them back to stock, and pays for them.
    Refund,
    /// Their custodian may take them back to stock, and pays nothing.
    Forfeit,
}

impl std::fmt::Display for Unclaimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unclaimed::Keep => "keep",
            Unclaimed::Refund => "refund",
            Unclaimed::Forfeit => "forfeit",
        })
    }
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
    /// The word that is printed with them, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// Serials that are not for sale, since another lot prints them as well; see `incidents`.
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    pub frozen: UnitSet,
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
    /// Waiting to be picked up, and marked: its shopper wants the money back, which a person pays on an attended device.
    RefundRequested,
    /// Handed over.
    Redeemed,
    /// Paid back before it was handed over.
    Refunded,
    /// Handed over, brought back and paid back.
    Returned,
    /// Nobody came for it in time, and it is back in stock.
    Expired,
}

impl std::fmt::Display for ClaimState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ClaimState::Issued => "issued",
            ClaimState::RefundRequested => "refund requested",
            ClaimState::Redeemed => "redeemed",
            ClaimState::Refunded => "refunded",
            ClaimState::Returned => "returned",
            ClaimState::Expired => "expired",
        })
    }
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
    /// What was to be paid, with tax, in minor units.
    pub total: i64,
    /// The event's currency.
    pub currency: Currency,
    /// How it was paid: the first of its payments.
    pub tender: Tender,
    /// How it was paid.
    #[serde(default)]
    pub payments: Vec<PaymentInfo>,
    /// The tax in its total, by rate; none if nothing of it is taxed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxLine>,
    /// The number of its receipt, by its seller.
    #[serde(default)]
    pub receipt: u64,
    /// The one device that may hand it out.
    pub custodian: DeviceId,
    /// State.
    pub state: ClaimState,
    /// Six letters and digits to find it by, which stand under its code and on its receipt. Two claims can have the same.
    pub code: ClaimCode,
    /// Who it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopper: Option<ShopperRef>,
    /// Whether whoever picks it up must know a PIN.
    #[serde(default)]
    pub pin: bool,
    /// Until when it can be picked up, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Whether it was sold after the close of its drop's round, by who had not heard of that, or was being paid then. It counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_close: bool,
    /// When it was handed over, milliseconds since the Unix epoch by the clock of who did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed_at_ms: Option<u64>,
    /// Who handed it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed_by: Option<DeviceId>,
    /// The doors that were opened for it, and how they behaved; absent if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Box<Door>>,
    /// Units that were taken back and paid for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunded: Vec<ClaimItem>,
    /// When somebody first marked it for a refund, milliseconds since the Unix epoch by that device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_asked_at_ms: Option<u64>,
    /// On which device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_asked_by: Option<DeviceId>,
    /// Who asked for a refund, and why it was not made if it can no longer be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_declined: Option<String>,
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
    /// The edition that is printed with the serials, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
}
