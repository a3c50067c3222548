//! What can be looked up on a device. Answers are as of this device's own knowledge, and never show what is not yet
//! durable.

mod board;
mod deed;
mod mesh;
mod money;
mod page;
mod past;
mod people;

use serde::{Deserialize, Serialize};

pub use board::{Board, BoardSku, CountedFrom, Counts, CutOff, DropToClaim, Voided, VoidedWhy};
pub use deed::DeedKind;
pub use mesh::{Medium, MeshEdge, MeshNode, MeshPicture};
pub use money::{
    Pickup, Receipt, ReceiptFilter, ReceiptItem, ReceiptKind, ReceiptRun, Takings, TakingsFilter,
    TenderTakings, WaitingPayment,
};

pub use page::{ClaimsAfter, Moment, Part, ReceiptPlace, USUAL_LIMIT};
pub use past::{Missing, PastInfo};
pub use people::{PeopleCounts, PeopleFilter, SealedFilter, SealedPersonal};

use crate::claim_code::ClaimCode;
use crate::command::{
    Act, Cart, Claim, ClaimState, ClocksApart, Door, Doors, DropInfo, EventRules, Holder, LateSale, Lot,
    PersonalInfo, Product, Refusal, Reply, StepInfo,
};
use crate::document::Document;
use crate::id::{ChainId, DeviceId, EventId, Hash, Ref};
use crate::identity::Role;
use crate::money::Currency;
use crate::picture::PictureInfo;
use crate::text::{DropId, Place, ShopperRef, Sku};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Who am I, and how am I doing?
    Status,
    /// Every device known.
    Devices,
    /// Who sees whom.
    Mesh,
    /// Products and drops.
    Programme,
    /// The picture of a product.
    Picture(Sku),
    /// Stock levels, own and mesh-wide.
    Stock(StockFilter),
    /// What overlay and encoder's page show of a drop.
    Board(DropId),
    /// Claims, newest first.
    Claims(ClaimFilter),
    /// What is proven to be wrong, or in doubt.
    Incidents,
    /// Who has the right to retire devices.
    Registrars,
    /// What retiring a device would risk.
    Retirement(DeviceId),
    /// One claim.
    Claim(Ref),
    /// What the command did that wrote an entry.
    Deed(DeedKind, Ref),
    /// Carts, here and elsewhere.
    Carts(CartFilter),
    /// The steps of a drop, the oldest first.
    Steps(DropId),
    /// Sales of a drop that came after a close, the oldest first.
    Late(DropId),
    /// The token of a cart that this device holds.
    CartToken(Ref),
    /// The token of a claim that this device has sold.
    Token(Ref),
    /// This device's compartments, and doors that a person must look at.
    Doors,
    /// The doors of what a claim was redeemed by.
    Door(Ref),
    /// Receipts, the highest number first.
    Receipts(ReceiptFilter),
    /// One receipt, of this device if none is named.
    Receipt {
        /// Whose.
        device: Option<DeviceId>,
        /// Its number.
        number: u64,
    },
    /// What devices took and paid back.
    Takings(TakingsFilter),
    /// Payments that wait to be authorised.
    WaitingPayments,
    /// Personal data that was taken, the latest first; not what it says.
    People(PeopleFilter),
    /// Sealed payloads of personal data, for who can open them.
    Sealed(SealedFilter),
    /// What this device's person did last, and what taking it back would do.
    LastAct,
    /// The claims that a person can mean by a text.
    ClaimsNamed(String),
    /// Entries, newest first.
    Log(LogFilter),
    /// One entry.
    Entry(Ref),
    /// The frontier, to compare devices.
    Frontier,
    /// The invariants, checked now.
    Check,
    /// Every document as an Automerge file.
    Export,
}

/// Which stock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockFilter {
    /// One drop only.
    pub drop: Option<DropId>,
    /// One SKU only.
    pub sku: Option<Sku>,
}

/// Which claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimFilter {
    /// One drop only.
    pub drop: Option<DropId>,
    /// Sold by this device only.
    pub seller: Option<DeviceId>,
    /// In the custody of this device only.
    pub custodian: Option<DeviceId>,
    /// In this state only.
    pub state: Option<ClaimState>,
    /// For this shopper only.
    pub shopper: Option<ShopperRef>,
    /// With this short code only; dashes, blanks and case do not matter, nor O for 0, nor I and L for 1.
    pub code: Option<ClaimCode>,
    /// Only those that a person can mean by this text: a claim, its short code, the number of one of its receipts (on this
    /// device, such as 12, or on another, such as till-2:12), the reference of a payment or of its shopper, or its token.
    pub named: Option<String>,
    /// Only those that wait longer than they may, by this device's clock.
    pub late: Option<bool>,
    /// Sold at that time or later only, Unix milliseconds by the seller's clock.
    pub since: Option<u64>,
    /// Those after this one.
    #[serde(skip)]
    pub after: Option<ClaimsAfter>,
    /// At most so many; 100 if absent.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// What a person can mean by a text where a claim is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The claim, if one alone fits. That of a reference or a token need not be known here.
    pub claim: Option<Ref>,
    /// The text is a token: it says more than which claim it is.
    pub is_token: bool,
    /// Those that fit and are known here, the newest first; at most [`MAX_NAMED`].
    pub claims: Vec<Claim>,
    /// How many fit.
    pub count: u64,
}

/// The most claims that are shown where a text can mean several.
pub const MAX_NAMED: usize = 20;

/// Which carts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartFilter {
    /// For this shopper only.
    pub shopper: Option<ShopperRef>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// Written at that time or later only, Unix milliseconds by the author's clock.
    pub since: Option<u64>,
    /// Those before this one.
    #[serde(skip)]
    pub after: Option<Moment>,
    /// At most so many; 100 if absent.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "answers are few, and boxed where they queue")]
pub enum Answer {
    /// To [`Query::Status`].
    Status(Status),
    /// To [`Query::Devices`].
    Devices(Vec<DeviceInfo>),
    /// To [`Query::Mesh`].
    Mesh(MeshPicture),
    /// To [`Query::Programme`].
    Programme(Programme),
    /// To [`Query::Picture`]; nothing if the product has none.
    Picture(Result<Option<Picture>, Refusal>),
    /// To [`Query::Stock`].
    Stock(Stock),
    /// To [`Query::Board`].
    Board(Result<Box<Board>, Refusal>),
    /// To [`Query::Claims`].
    Claims(Claims),
    /// To [`Query::Carts`].
    Carts(Vec<Cart>),
    /// To [`Query::Incidents`].
    Incidents(Vec<Incident>),
    /// To [`Query::Registrars`].
    Registrars(Vec<Registrar>),
    /// To [`Query::Retirement`].
    Retirement(Result<RetirementRisk, Refusal>),
    /// To [`Query::Claim`].
    Claim(Result<Box<Claim>, Refusal>),
    /// To [`Query::Steps`].
    Steps(Result<Vec<StepInfo>, Refusal>),
    /// To [`Query::Late`].
    Late(Result<Vec<LateSale>, Refusal>),
    /// To [`Query::CartToken`].
    CartToken(Result<CartToken, Refusal>),
    /// To [`Query::Token`].
    Token(Result<ClaimToken, Refusal>),
    /// To [`Query::Doors`].
    Doors(Doors),
    /// To [`Query::Door`].
    Door(Result<Door, Refusal>),
    /// To [`Query::Receipts`].
    Receipts(Part<Receipt, ReceiptPlace>),
    /// To [`Query::Receipt`].
    Receipt(Box<Result<Receipt, Refusal>>),
    /// To [`Query::Takings`].
    Takings(Vec<Takings>),
    /// To [`Query::WaitingPayments`].
    WaitingPayments(Vec<WaitingPayment>),
    /// To [`Query::People`].
    People(Part<PersonalInfo, Moment>),
    /// To [`Query::Sealed`].
    Sealed(Part<SealedPersonal, Ref>),
    /// To [`Query::LastAct`].
    LastAct(Result<Box<Act>, Refusal>),
    /// To [`Query::ClaimsNamed`].
    ClaimsNamed(Result<Named, Refusal>),
    /// To [`Query::Log`].
    Log(Part<LogLine, Moment>),
    /// To [`Query::Entry`].
    Entry(Result<LogLine, Refusal>),
    /// To [`Query::Deed`].
    Deed(Result<Box<Reply>, Refusal>),
    /// To [`Query::Frontier`].
    Frontier(Vec<Head>),
    /// To [`Query::Check`].
    Check(Check),
    /// To [`Query::Export`]: document name and the Automerge file's bytes.
    Export(Vec<(String, Vec<u8>)>),
    /// The query could not be answered, and why.
    Failed(String),
}

/// What kind of thing an incident is: what it means, and what can be done about it, follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Units were spent twice; the later spend lacks them.
    SpentTwice,
    /// A device spent what it did not hold, or not all of it.
    NotHeld,
    /// A retired device did it, after its retirement.
    AfterRetirement,
    /// Two lots print the same serials, or two claims have them.
    PrintedTwice,
    /// Something was done about a claim that was no longer to be done: handed out or paid back a second time.
    ClaimUsedTwice,
    /// A device was retired twice.
    RetiredTwice,
    /// A device retired another, or gave that right away, without having it.
    NoRight,
    /// A device has two pasts: it was copied, set back, or cheats.
    TwoPasts,
    /// A device's receipts have a gap, a number twice, or do not follow from each other.
    Receipts,
    /// A payment that was to be authorised later failed, or was not as it was said.
    Payment,
}

/// Something that is proven to be wrong, or in doubt: a person must look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Incident {
    /// The entry that it is named with.
    pub incident: Ref,
    /// What kind of thing it is.
    pub kind: IncidentKind,
    /// What it is.
    pub text: String,
    /// Who wrote the entry.
    pub device: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// When the entry was written, milliseconds since the Unix epoch by its author's clock.
    pub at_ms: u64,
    /// The claim that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Ref>,
    /// What was done about it; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// When, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at_ms: Option<u64>,
}

/// Who has the right to retire devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Registrar {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Whether that is this device.
    pub here: bool,
    /// Who gave it the right; absent if its certificate does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_by: Option<String>,
    /// When that was, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_at_ms: Option<u64>,
    /// Who has retired it: then it retires nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_by: Option<String>,
}

/// What retiring a device would risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetirementRisk {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// When it was last heard, milliseconds since the Unix epoch.
    pub last_heard_ms: Option<u64>,
    /// Whether it can be reached now.
    pub reachable: bool,
    /// What it held, as far as known here: it may have sold these and not been heard.
    pub held: Vec<HeldUnits>,
    /// Claims that waited with it: it may have handed these out.
    pub claims: u64,
    /// The most units that could be sold, or handed out, twice.
    pub at_risk: u64,
    /// Who has retired it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_by: Option<String>,
    /// Who has what it left behind: who retired it, or, where that was retired since, the heir of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
}

/// Units of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeldUnits {
    /// The drop.
    pub drop: DropId,
    /// The SKU.
    pub sku: Sku,
    /// How many.
    pub units: u64,
}

/// A cart's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CartToken {
    /// The cart.
    pub cart: Ref,
    /// The text of its QR code, for as long as the cart is put aside.
    pub token: String,
}

/// What a shopper shows to pick up a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClaimToken {
    /// The claim.
    pub claim: Ref,
    /// The token, for a QR code in alphanumeric mode.
    pub token: String,
}

/// This device, at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Status {
    /// This device.
    pub device: DeviceInfo,
    /// The event.
    pub event: EventId,
    /// The event's name.
    pub event_name: String,
    /// Its currency.
    pub currency: Currency,
    /// Drops of the programme.
    pub drops: Vec<DropInfo>,
    /// How much of each drop was claimed.
    #[serde(default)]
    pub drop_to_claim: Vec<DropToClaim>,
    /// Devices known, this one included.
    pub devices: u64,
    /// Devices heard lately, this one included.
    pub reachable: u64,
    /// Entries in the log.
    pub entries: u64,
    /// Chains in the log.
    pub chains: u64,
    /// Entries held back until what they need arrives.
    pub waiting: u64,
    /// Entries and messages refused since the start.
    pub refused: u64,
    /// Messages dropped unread since the start: their senders sent too much, or are cut off.
    #[serde(default)]
    pub unread: u64,
    /// Entries put off since the start, since their authors wrote too much; they come again.
    #[serde(default)]
    pub postponed: u64,
    /// Devices that are cut off for what they sent.
    #[serde(default)]
    pub cut_off: u64,
    /// Proven breaches that a person must look at.
    pub incidents: u64,
    /// Sums up every chain's head: equal on two devices that have the same log.
    pub digest: String,
    /// Sales that wait for units from elsewhere.
    pub sales_waiting: u64,
    /// What is stored is older than what this device did, and nobody has told it the rest: it spends nothing.
    #[serde(default)]
    pub past_unknown: bool,
    /// What of its own past this device knows to be missing here.
    #[serde(default)]
    pub past: PastInfo,
    /// The event's secret, as this device has it.
    #[serde(default)]
    pub secret: SecretInfo,
    /// The number of this device's last receipt, 0 if it has written none.
    #[serde(default)]
    pub last_receipt: u64,
    /// What of its sales waits to be authorised, minor units.
    #[serde(default)]
    pub deferred: i64,
    /// How many claims there are, by state: everywhere, and in this device's custody.
    #[serde(default)]
    pub claims: Vec<ClaimCount>,
    /// Carts put aside, here and elsewhere.
    #[serde(default)]
    pub carts: u64,
    /// Personal data that was taken, everywhere, by where its payload is.
    #[serde(default)]
    pub people: PeopleCounts,
    /// The two wall clocks in reach that are furthest apart, if that is more than a minute: while it is, nothing is swept.
    #[serde(default)]
    pub clocks_apart: Option<ClocksApart>,
}

/// Claims in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClaimCount {
    /// The state.
    pub state: ClaimState,
    /// In this device's custody.
    pub own: u64,
    /// Everywhere.
    pub mesh: u64,
}

/// A device of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceInfo {
    /// Its key.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its venue.
    pub venue: Place,
    /// When its certificate ends, Unix milliseconds.
    pub certificate_until_ms: u64,
    /// Whether this node has a direct link to it.
    pub linked: bool,
    /// Whether it was heard within the last seconds, directly or through others. True for this device.
    pub reachable: bool,
    /// When it was last heard, Unix milliseconds by this device's clock.
    pub last_heard_ms: Option<u64>,
    /// Messages of its that were wrong, by its own doing, since the start.
    #[serde(default)]
    pub faults: u64,
    /// Messages of its that were dropped unread, since it sent too much or is cut off.
    #[serde(default)]
    pub unread: u64,
    /// Until when it is cut off for its faults, Unix milliseconds by this device's clock; absent if it is not.
    #[serde(default)]
    pub cut_off_until_ms: Option<u64>,
    /// By how many milliseconds its wall clock is ahead of this device's (below 0: behind), by what it told last; absent if it
    /// has told nothing.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
    /// Who retired it, by name; absent unless it was. Its key is of no use any more, whatever certificate it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_by: Option<String>,
    /// Whether the event's secret, as it was renewed after the last retirement, was sealed to it; absent while nobody was
    /// retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_newest_secret: Option<bool>,
    /// Whether it has two pasts, and nobody gives it anything until a person has settled that.
    #[serde(default)]
    pub suspended: bool,
    /// To whom it gave everything, by name; absent unless it has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_to: Option<String>,
    /// The version of its program, as it told; absent if it has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// How it stands with the event's secret on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SecretInfo {
    /// Names the epoch under which this device makes tags of PINs; absent if that is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// Of how many epochs it has the secret.
    pub epochs: u64,
    /// Whether there is one that counts before all that it has.
    pub lacks_newest: bool,
    /// Retired devices that have the secret that counts: an hq makes another within a minute.
    pub exposed: u64,
}

/// The picture of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub info: PictureInfo,
    /// Its bytes, as they came.
    pub bytes: Vec<u8>,
}

/// Products and drops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Programme {
    /// Products, by SKU.
    pub products: Vec<Product>,
    /// Drops, by name.
    pub drops: Vec<DropInfo>,
    /// Lots, by drop and SKU.
    pub lots: Vec<Lot>,
    /// The rules for tax, cash and deferred payments.
    #[serde(default)]
    pub rules: EventRules,
}

/// The retail stock states, in units. `on_hand = available + held + committed + damaged + frozen`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Levels {
    /// Units that are there.
    pub on_hand: u64,
    /// Free to sell.
    pub available: u64,
    /// Put aside for a cart or an offer.
    pub held: u64,
    /// Sold for pickup, not yet handed over.
    pub committed: u64,
    /// Out of sale.
    pub damaged: u64,
    /// Not sold, and not for sale: another lot of this SKU and edition prints the same serials. See `incidents`.
    #[serde(default)]
    pub frozen: u64,
    /// Given to a device that has not yet acknowledged it.
    pub in_transit: u64,
    /// Sold and handed over.
    pub sold: u64,
    /// Of `sold` and `committed`, those handed over.
    pub redeemed: u64,
    /// Of `available` and `in_transit`, those held by devices that nobody heard from for a while.
    pub stranded: u64,
}

/// Stock levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stock {
    /// One line for each drop and SKU.
    pub lines: Vec<StockLine>,
}

/// Stock of one SKU in one drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StockLine {
    /// The drop.
    pub drop: DropId,
    /// The SKU.
    pub sku: Sku,
    /// Units minted.
    pub minted: u64,
    /// This device's own.
    pub own: Levels,
    /// The whole event's, as known here.
    pub mesh: Levels,
    /// Units free on devices that can be reached, this one included.
    pub reachable: u64,
    /// Units free on devices that cannot.
    pub unreachable: u64,
    /// This device's free units, by where they lie.
    pub places: Vec<PlaceCount>,
    /// Who holds free units, this device included.
    pub holders: Vec<Holder>,
}

/// So many units at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlaceCount {
    /// Where.
    pub place: Place,
    /// How many.
    pub units: u64,
}

/// A part of the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// How many fit the filter in all; in a later part, how many did as the walk began.
    pub count: u64,
    /// The newest of them.
    pub claims: Vec<Claim>,
    /// Where the next part begins, if there is one.
    pub next: Option<ClaimsAfter>,
}

/// One entry, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// The entry.
    pub entry: Ref,
    /// Its document.
    #[serde(with = "document_text")]
    #[cfg_attr(feature = "schema", schema(value_type = Document))]
    pub document: Document,
    /// Who wrote it.
    pub author: DeviceId,
    /// The author's name.
    pub author_name: String,
    /// When, Unix milliseconds by the author's clock.
    pub at_ms: u64,
    /// The change hash.
    pub hash: Hash,
    /// What it says, in words.
    pub text: String,
}

/// The head of one chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Head {
    /// The document.
    #[serde(with = "document_text")]
    #[cfg_attr(feature = "schema", schema(value_type = Document))]
    pub document: Document,
    /// The chain.
    pub chain: ChainId,
    /// Its author.
    pub device: DeviceId,
    /// Its length.
    pub seq: u64,
    /// Its last hash.
    pub hash: Hash,
}

/// The invariants, checked over everything this device knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Check {
    /// Entries looked at.
    pub entries: u64,
    /// Units minted.
    pub minted: u64,
    /// Units sold, in any claim.
    pub sold: u64,
    /// Units in more than one sale.
    pub sold_twice: u64,
    /// The receipts of each device that has written some.
    #[serde(default)]
    pub receipts: Vec<ReceiptRun>,
    /// Everything that is wrong, in words; empty if all holds.
    pub problems: Vec<String>,
    /// Incidents: proven breaches by a device, in words.
    pub incidents: Vec<String>,
}

mod document_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::document::Document;

    pub(super) fn serialize<S: Serializer>(document: &Document, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(document)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Document, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
