//! Why a command was not done.

use serde::{Deserialize, Serialize};

use super::{DoorState, DropState};
use crate::claim_code::ClaimCode;
use crate::clock::utc;
use crate::id::{DeviceId, Ref};
use crate::money::Currency;
use crate::query::PlaceCount;
use crate::record::StepKind;
use crate::text::{DropId, Edition, Place, Sku};
use crate::token::{TokenError, TokenFault};
use crate::units::UnitSet;

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
    /// The same with how many lie at each.
    #[serde(default)]
    pub lying: Vec<PlaceCount>,
    /// When it was last heard, milliseconds since the Unix epoch by this device's clock.
    pub last_heard_ms: Option<u64>,
    /// Whether it can be reached now.
    pub reachable: bool,
}

/// What the wall clock of a device shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClockShown {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// What its clock shows now, milliseconds since the Unix epoch.
    pub wall_ms: u64,
}

/// Two wall clocks that disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClocksApart {
    /// By how much, milliseconds: more than a minute.
    pub apart_ms: u64,
    /// The one that shows the earlier time.
    pub behind: ClockShown,
    /// The one that shows the later time.
    pub ahead: ClockShown,
}

impl std::fmt::Display for ClocksApart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { apart_ms, behind, ahead } = self;
        let (seconds, minutes) = (apart_ms / 1_000, apart_ms / 60_000);
        let apart = match minutes {
            0..10 => format!("{seconds} s"),
            10..120 => format!("{minutes} min"),
            120..2_880 => format!("{} h", minutes / 60),
            _ => format!("{} days", minutes / 1_440),
        };
        write!(
            f,
            "the clocks of {} ({}) and {} ({}) are {apart} apart",
            behind.name,
            utc(behind.wall_ms),
            ahead.name,
            utc(ahead.wall_ms)
        )
    }
}

/// How much of what a cart has this device could put aside itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Offer {
    /// The SKU.
    pub sku: Sku,
    /// How many the cart has.
    pub wanted: u64,
    /// How many this device holds free, here.
    pub free: u64,
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
    /// No such thing was done, as far as is known here.
    #[error("no {what} {entry} is known here; it may be on its way from the device that wrote it")]
    UnknownEntry {
        /// The entry.
        entry: Ref,
        /// What it was asked for as.
        what: String,
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
    #[error("drop {drop} is {state}; {}", opening(drop, *state))]
    DropNotOpen {
        /// It.
        drop: DropId,
        /// Its state, at this device's venue.
        state: DropState,
    },
    /// The step does not fit how far the drop is.
    #[error("{step} does not fit drop {drop}, which is {state}{}: {how}", at_venue(venue.as_ref()))]
    StepUnfit {
        /// The drop.
        drop: DropId,
        /// The step.
        step: StepKind,
        /// How far the drop is there.
        state: DropState,
        /// At which venue; at all of them if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        venue: Option<Place>,
        /// What would be done instead.
        how: String,
    },
    /// No device of the event is known at this venue.
    #[error("no device of this event is known at venue {venue}; known: {}", listed(known))]
    UnknownVenue {
        /// What was asked for.
        venue: Place,
        /// Venues that devices are of; at most 20.
        known: Vec<String>,
    },
    /// More units are to be announced than there are.
    #[error(
        "{units} {sku} cannot be announced: {minted} are minted, as far as known here. Mint the others first, or announce at most \
         {minted}"
    )]
    AnnouncedTooMany {
        /// The SKU.
        sku: Sku,
        /// How many were to be announced.
        units: u64,
        /// How many there are.
        minted: u64,
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
    #[error(
        "serials {units} of {sku}{} are already in lot {lot} of drop {drop}; {}",
        edition.as_ref().map(|edition| format!(" {edition}")).unwrap_or_default(),
        next_serial(next_free)
    )]
    SerialOverlap {
        /// The SKU.
        sku: Sku,
        /// The edition, if they are of one.
        edition: Option<Box<Edition>>,
        /// The lot that has them.
        lot: Ref,
        /// Its drop.
        drop: DropId,
        /// Which ones.
        units: UnitSet,
        /// The lowest serial above all that there are; absent if there is none.
        next_free: Option<u32>,
    },
    /// Units that are not for sale: another lot prints the same serials.
    #[error(
        "serials {units} of {sku} are frozen, since another lot prints the same; see `popmesh incidents`, and take them out with `popmesh damage`"
    )]
    Frozen {
        /// The SKU.
        sku: Sku,
        /// Which ones.
        units: UnitSet,
    },
    /// This device does not hold those units.
    #[error(
        "this device holds {held} of {sku} free to give{}, not {asked}; {}",
        serials_text(serials),
        givers_text(sku, holders)
    )]
    NotHeld {
        /// The SKU.
        sku: Sku,
        /// What was asked for.
        asked: String,
        /// How many it has.
        held: u64,
        /// Which ones.
        #[serde(default)]
        serials: UnitSet,
        /// Who else has units of it free, as far as known: of serials that were asked for, those.
        #[serde(default)]
        holders: Vec<Holder>,
    },
    /// This device's certificate does not allow it.
    #[error("{name} has the roles {roles}; {action} takes the role {needs}{}", having_text(at))]
    RoleForbids {
        /// This device's name.
        #[serde(default)]
        name: String,
        /// What was to be done.
        action: String,
        /// The roles it has.
        roles: String,
        /// The role it takes.
        needs: String,
        /// The names of some devices in reach that have it.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
        at: Box<[String]>,
    },
    /// Money goes back only where a person with a drawer is, and nobody is here.
    #[error("{}", unattended(roles, at))]
    Unattended {
        /// The roles that this device has.
        roles: String,
        /// The names of some devices in reach where a person pays.
        at: Vec<String>,
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
    #[error(
        "not enough {sku} here: wanted {wanted}, hold {held}, and could get {could_get} in all now; {}{}",
        holders_text(holders), on_hold_text(*on_hold)
    )]
    HeldElsewhere {
        /// The SKU.
        sku: Sku,
        /// Units asked for.
        wanted: u64,
        /// Units this device has free, and here if it is a walk-in.
        held: u64,
        /// Units put aside for carts and large wishes, here and elsewhere.
        #[serde(default)]
        on_hold: u64,
        /// Units that a sale here could have now, as far as known: those held, and what devices in reach would give. Of a wish
        /// beyond what the event's rules call ordinary they keep what they need themselves.
        #[serde(default)]
        could_get: u64,
        /// Who has the rest, as far as known.
        holders: Vec<Holder>,
    },
    /// No such cart here: it was paid, released or has expired, or never was.
    #[error(
        "no cart {cart} is held here; it was paid or released, has expired, or is on another device: see `popmesh cart list`"
    )]
    UnknownCart {
        /// What was asked for.
        cart: Ref,
    },
    /// Another device holds the cart.
    #[error("cart {cart} is on {name}; pay it there, or take it over with `popmesh cart take`")]
    CartElsewhere {
        /// The cart.
        cart: Ref,
        /// Who holds it.
        holder: DeviceId,
        /// Its name.
        name: String,
    },
    /// Another device holds the cart, and did not give it in time.
    #[error(
        "cart {cart} is on {name}, which {}; {}",
        last_heard_ms.map_or_else(|| "was never heard from here".to_owned(), |ms| format!("did not answer (last heard {})", utc(ms))),
        offers_text(offers)
    )]
    CartOutOfReach {
        /// The cart.
        cart: Ref,
        /// Who holds it.
        holder: DeviceId,
        /// Its name.
        name: String,
        /// When it was last heard, milliseconds since the Unix epoch.
        last_heard_ms: Option<u64>,
        /// What this device could put aside instead.
        offers: Vec<Offer>,
    },
    /// No such claim, as far as this device knows.
    #[error("no claim {claim} is known here; show its token, or see `popmesh claims`")]
    UnknownClaim {
        /// What was asked for.
        claim: Ref,
    },
    /// Another device may redeem or refund it.
    #[error("claim {claim} is in the custody of {name}; pick it up there{}", if *reachable { "" } else { " (not reachable from here now)" })]
    NotCustodian {
        /// The claim.
        claim: Ref,
        /// Its custodian.
        custodian: DeviceId,
        /// The custodian's name.
        name: String,
        /// Whether it can be reached now.
        reachable: bool,
    },
    /// It was handed out before.
    #[error("claim {claim} was redeemed {} at {name}", utc(*at_ms))]
    AlreadyRedeemed {
        /// The claim.
        claim: Ref,
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
        /// By whom.
        by: DeviceId,
        /// Its name.
        name: String,
    },
    /// Nothing of it is left.
    #[error("claim {claim} has been refunded; there is nothing to hand out or to pay back")]
    AlreadyRefunded {
        /// The claim.
        claim: Ref,
    },
    /// This device was retired.
    #[error(
        "this device was retired by {by}: nothing that it writes counts any more; have it enrolled anew, with a new key"
    )]
    Retired {
        /// The device.
        device: DeviceId,
        /// By whom.
        by: String,
    },
    /// This device has no right to retire.
    #[error("{}", no_right(holders))]
    NotRegistrar {
        /// The names of those that have it, as far as this device knows.
        holders: Vec<String>,
    },
    /// Another number of units is at risk now.
    #[error("{at_risk} units could be sold twice now; look at it again, and say that number")]
    RiskChanged {
        /// The device to be retired.
        device: DeviceId,
        /// The most units that could be sold twice.
        at_risk: u64,
    },
    /// What was said of this device is not so now, and nothing was done.
    #[error("nothing was done: this is {name}, with {} now; look at it again, and say that", now_has(*units, *claims, *entries))]
    NotAsSaid {
        /// This device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// The units that it holds, those in carts left out, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        units: Option<u64>,
        /// The claims that wait with it, or that are late, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claims: Option<u64>,
        /// The entries that it lacks of its own past, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entries: Option<u64>,
    },
    /// This device has two pasts, and nobody has looked into that.
    #[error(
        "this device has two pasts: it was set back to an earlier state, or there are two of it; have an hq look into incident {incident}, see `popmesh incidents`"
    )]
    Suspended {
        /// The proof.
        incident: Ref,
    },
    /// This device has given everything away, since it goes.
    #[error("this device has left, and given everything to {to}; sell there, or start this one again")]
    Left {
        /// Who got it.
        to: String,
    },
    /// This device may have forgotten what it did.
    #[error("{}", past_unknown(*suspected))]
    PastUnknown {
        /// What is stored is older than what it did; not only just started.
        suspected: bool,
    },
    /// It was done before, under this key; what was replied then is lost.
    #[error(
        "this was done before, under the same key: see {what} {entry}; it is not done again. For another, take a new key"
    )]
    AlreadyDone {
        /// The first entry that it wrote.
        entry: Ref,
        /// What that is.
        what: String,
    },
    /// The key is that of another request, which was done.
    #[error(
        "another request was done under this key: see {what} {entry}; for another request take a new key"
    )]
    KeyOfAnother {
        /// The first entry that it wrote.
        entry: Ref,
        /// What that is.
        what: String,
    },
    /// No such incident, as far as this device knows.
    #[error("no incident {incident} is known here; see `popmesh incidents`")]
    UnknownIncident {
        /// What was asked for.
        incident: Ref,
    },
    /// The claim has a PIN, and none was given.
    #[error("claim {claim} takes a PIN; ask for it, and give it too")]
    PinNeeded {
        /// The claim.
        claim: Ref,
    },
    /// A wrong PIN was given, which is written down: the one refusal that changes something.
    #[error(
        "this is not the PIN of claim {claim}; {}",
        if *left == 0 { "it is locked here now: look who is there; a person can unlock it after a while, an hq at once".to_owned() } else { format!("{left} more can be tried here") }
    )]
    WrongPin {
        /// The claim.
        claim: Ref,
        /// Wrong ones that are still taken on this device.
        left: u32,
    },
    /// Too many wrong PINs were given.
    #[error("too many wrong PINs were given for claim {claim} here; {}", unlocking(claim, *unlock_in_ms))]
    PinLocked {
        /// The claim.
        claim: Ref,
        /// In how many milliseconds a person can unlock it on this device; if absent, an hq alone can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unlock_in_ms: Option<u64>,
    },
    /// No door was opened for the claim, as far as this device knows.
    #[error("no door was opened for claim {claim}, as far as is known here; see `popmesh doors`")]
    NoDoor {
        /// What was asked for.
        claim: Ref,
    },
    /// The door is another device's.
    #[error("claim {claim} was redeemed at {name}; see to its door there")]
    DoorElsewhere {
        /// The claim.
        claim: Ref,
        /// Whose door it is.
        device: DeviceId,
        /// Its name.
        name: String,
    },
    /// The door is being opened.
    #[error("the door for claim {claim} is being opened now; see `popmesh doors` in a moment")]
    DoorOpening {
        /// The claim.
        claim: Ref,
    },
    /// There is nothing more to be done about the door.
    #[error("the door for claim {claim} is {state} already; that stays so")]
    DoorDone {
        /// The claim.
        claim: Ref,
        /// How it stands.
        state: DoorState,
    },
    /// This device opens no doors.
    #[error("this device opens no doors; start it with `popmesh run --door`")]
    NoDriver,
    /// The payments are not the total.
    #[error("the payments come to {}, and the total is {}: {}", currency.format(*paid), currency.format(*total), off_by(*currency, *paid, *total))]
    PaymentsDiffer {
        /// What is to be paid, minor units.
        total: i64,
        /// What the payments come to, minor units.
        paid: i64,
        /// The event's currency.
        currency: Currency,
    },
    /// The cash that was handed over is too little.
    #[error("{} in cash is to be paid, and {} was handed over: {} lacks", currency.format(*due), currency.format(*given), currency.format(*lacks))]
    CashShort {
        /// What is to be paid in cash, minor units.
        due: i64,
        /// What was handed over, minor units.
        given: i64,
        /// What lacks, minor units.
        lacks: i64,
        /// The event's currency.
        currency: Currency,
    },
    /// Too much of this device's sales is waiting to be authorised.
    #[error("{} waits to be authorised on this device, of at most {}: {} more can be deferred; settle payments, or take another tender", currency.format(*waiting), currency.format(*limit), currency.format(*left))]
    DeferredLimit {
        /// The most that may wait, minor units.
        limit: i64,
        /// What waits, minor units.
        waiting: i64,
        /// What is left of the limit, minor units.
        left: i64,
        /// The event's currency.
        currency: Currency,
    },
    /// The payment does not wait to be authorised.
    #[error("payment {payment} of claim {claim} does not wait to be authorised; see `popmesh payment list`")]
    NotDeferred {
        /// The claim.
        claim: Ref,
        /// Which of its payments, from 1.
        payment: u32,
    },
    /// No such receipt is known here.
    #[error("no receipt {number} of {name} is known here; see `popmesh receipts`")]
    UnknownReceipt {
        /// Its number.
        number: u64,
        /// The device.
        device: DeviceId,
        /// The device's name.
        name: String,
    },
    /// No such personal data was taken, as far as this device knows.
    #[error("no personal data is known here by {entry}; see `popmesh people list`")]
    UnknownPersonal {
        /// What was asked for.
        entry: Ref,
    },
    /// The token is not good.
    #[error("{problem}")]
    Token {
        /// What kind of fault it has.
        why: TokenFault,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// It depends on the time, and the wall clocks of devices in reach disagree.
    #[error("{0}: while they disagree, nobody is late; set the one that is wrong, and try again")]
    ClocksDisagree(Box<ClocksApart>),
    /// The write could not be made durable.
    #[error("not done, because it could not be written down: {problem}")]
    NotStored {
        /// What the disk said, and what to do.
        problem: String,
    },
    /// No claim fits what was given for one.
    #[error(
        "no claim is known here by {named:?}; give its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its payment or its shopper, the claim itself, or its token; see `popmesh claims`"
    )]
    NoSuchClaim {
        /// What was given.
        named: String,
    },
    /// Several claims fit what was given for one.
    #[error("{named:?} fits {count} claims: {}; give the code of the one that is meant", fitting(claims))]
    AmbiguousClaim {
        /// What was given.
        named: String,
        /// How many fit.
        count: u64,
        /// Them, the newest first; at most 20.
        claims: Vec<Fitting>,
    },
    /// Nothing that could be taken back is known of this device's person.
    #[error("nothing was done on this device yet that could be taken back")]
    NothingToUndo,
    /// Something else was done since.
    #[error(
        "that was not the last thing done on this device: since then it {what} (entry {last}); look again, and take that back if you mean it"
    )]
    NotTheLast {
        /// What was to be taken back.
        entry: Ref,
        /// What was done last.
        last: Ref,
        /// That in words.
        what: String,
    },
    /// What was done last cannot be taken back.
    #[error("it {what}: {why}")]
    CannotUndo {
        /// What was to be taken back.
        entry: Ref,
        /// That in words.
        what: String,
        /// Why not, and what can be done instead.
        why: String,
    },
    /// Too much is waiting.
    #[error("too many commands are waiting on this device; try again in a moment")]
    Busy,
}

/// A claim that fits what was given for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Fitting {
    /// The claim.
    pub claim: Ref,
    /// Its short code.
    pub code: ClaimCode,
    /// When it was sold, Unix milliseconds.
    pub at_ms: u64,
    /// Who sold it.
    pub seller: String,
    /// What it is for, such as `2 × TEE-M`.
    pub items: String,
    /// What was paid for it, minor units.
    pub total: i64,
    /// The event's currency.
    pub currency: Currency,
}

fn fitting(claims: &[Fitting]) -> String {
    let of = |fits: &Fitting| {
        let total = fits.currency.format(fits.total);
        format!("{} ({}, {}, {total})", fits.code, utc(fits.at_ms), fits.items)
    };
    claims.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn off_by(currency: Currency, paid: i64, total: i64) -> String {
    let off = currency.format(total.saturating_sub(paid).saturating_abs());
    if paid < total { format!("{off} lacks") } else { format!("{off} is too much") }
}

fn opening(drop: &DropId, state: DropState) -> String {
    match state {
        DropState::Closed => {
            format!("`popmesh drop open {drop} --again`, on an hq or an encoder, opens it again")
        }
        _ => format!("open it with `popmesh drop open {drop}`, on an hq or an encoder"),
    }
}

fn at_venue(venue: Option<&Place>) -> String {
    venue.map_or_else(String::new, |venue| format!(" at {venue}"))
}

fn next_serial(next_free: &Option<u32>) -> String {
    match next_free {
        Some(next) => format!("mint from {next} on, or another edition"),
        None => "mint another edition".to_owned(),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}

fn offers_text(offers: &[Offer]) -> String {
    let here = |offer: &Offer| format!("{} of {} {}", offer.free.min(offer.wanted), offer.wanted, offer.sku);
    let all: Vec<String> = offers.iter().map(here).collect();
    if offers.iter().all(|offer| offer.free == 0) {
        return "nothing like it is free here".to_owned();
    }
    format!("free here: {}, in a new cart", all.join(", "))
}

fn on_hold_text(on_hold: u64) -> String {
    if on_hold == 0 { String::new() } else { format!("; {on_hold} are on hold in carts or for large wishes") }
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
                (false, Some(heard)) => format!("not reachable, last heard {}", utc(heard)),
                (false, None) => "never heard".to_owned(),
            };
            let places: Vec<&str> = holder.places.iter().map(Place::as_str).collect();
            format!("{} holds {} ({}; {reach})", holder.name, holder.units, places.join(", "))
        })
        .collect();
    each.join("; ")
}

/// Serials in a sentence, as long as they fit into one.
fn serials_text(serials: &UnitSet) -> String {
    const MAX_BYTES: usize = 80;
    let text = serials.to_string();
    if serials.is_empty() || text.len() > MAX_BYTES { String::new() } else { format!(" ({text})") }
}

fn givers_text(sku: &Sku, holders: &[Holder]) -> String {
    match holders {
        [] => format!("nobody else is known to have such units free; see `popmesh stock --sku {sku}`"),
        some => format!("{}: have them given with `popmesh transfer` there", holders_text(some)),
    }
}

fn having_text(at: &[String]) -> String {
    if at.is_empty() { String::new() } else { format!("; in reach with it: {}", at.join(", ")) }
}

fn no_right(holders: &[String]) -> String {
    match holders {
        [] => "this device has no right to retire others, and none is known that has; have the organiser sign a certificate with the role registrar for an hq".to_owned(),
        some => format!(
            "this device has no right to retire others; {} has it: do it there, or have the right given to this one with `popmesh registrar give`",
            some.join(" or ")
        ),
    }
}

fn unattended(roles: &str, at: &[String]) -> String {
    let place = match at {
        [] => "a till or an hq; none is in reach".to_owned(),
        some => some.join(" or "),
    };
    format!(
        "this device is {roles}, without a person and a drawer, and pays nothing back; have it refunded with `popmesh claim refund` at {place}"
    )
}

fn unlocking(claim: &Ref, unlock_in_ms: Option<u64>) -> String {
    match unlock_in_ms {
        None => format!(
            "only an hq can unlock it now: look who is there, then `popmesh claim unlock {claim}` on an hq"
        ),
        Some(0) => format!("look who is there, then `popmesh claim unlock {claim}`"),
        Some(wait_ms) => format!(
            "look who is there; in {} s `popmesh claim unlock {claim}` can unlock it, on an hq at once",
            wait_ms.div_ceil(1_000)
        ),
    }
}

fn now_has(units: Option<u64>, claims: Option<u64>, entries: Option<u64>) -> String {
    let each = [(units, "units"), (claims, "claims"), (entries, "missing entries")];
    let each: Vec<String> =
        each.iter().filter_map(|(count, what)| Some(format!("{} {what}", (*count)?))).collect();
    each.join(" and ")
}

fn past_unknown(suspected: bool) -> &'static str {
    if suspected {
        "what is stored on this device is older than what it did: its database was set back. Bring it into reach of another \
         device that has the rest (`popmesh status` says what is missing); if there is none, and nothing was sold or given away \
         since, `popmesh past accept`"
    } else {
        "this device has just started, and hears from another what it did before; try again in a moment"
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Token { why: error.fault(), problem: error.to_string() }
    }
}
