//! What observers hear: *facts*, which records tell and which are stored with them, and *signals* (presence and progress),
//! which are said once and kept nowhere.
//!
//! A fact is in the same write as its record, so that whoever follows facts by their numbers misses none and hears none of
//! a record that is not there. Which facts there are follows from what this device took in, in the order in which it did.

use serde::{Deserialize, Serialize};

use crate::command::DoorState;
use crate::id::{DeviceId, Ref};
use crate::record::{PersonalKind, StepKind};
use crate::text::{DropId, Place, Sku};

/// Units of one SKU that a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FactItem {
    /// The SKU.
    pub sku: Sku,
    /// The product's name, if the programme had it here when the record came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many units.
    pub units: u64,
}

/// Why what was told counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum VoidedBy {
    /// Its author wrote two histories of one life: the entry is in neither.
    Fork,
    /// A device was retired: the entry was written later, or builds on such a one.
    Retirement,
}

/// What a record tells, stored in the write of the record. Each has the time of the record (`at_ms`, Unix milliseconds by its
/// author's clock) and the record's `entry`. New kinds can come: a reader passes over those that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[allow(clippy::large_enum_variant, reason = "few are in memory at a time, and most are the large ones")]
pub enum Fact {
    /// A sale became known here, made here or elsewhere.
    Sold {
        /// When it was made, Unix milliseconds.
        at_ms: u64,
        /// The sale's entry.
        entry: Ref,
        /// The claim: named by the same entry.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who sold.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What was sold.
        items: Vec<FactItem>,
        /// What was paid, minor units of the event's currency.
        amount: i64,
        /// The name of the device that hands it out later; absent if it was handed over at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pickup_at: Option<String>,
    },
    /// A claim was handed out, here or elsewhere.
    Redeemed {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The redemption's entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who handed it out.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What the claim was sold for; empty if its sale is not known here yet.
        items: Vec<FactItem>,
    },
    /// Units of a claim were taken back and paid for, here or elsewhere.
    Refunded {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The refund's entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who paid.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What was taken back.
        items: Vec<FactItem>,
        /// What was paid out, minor units of the event's currency.
        amount: i64,
        /// Whether the units are out of sale from now on.
        damaged: bool,
    },
    /// The shopper of a claim wants the money back: somebody has marked it, for a person to pay. Said once a claim.
    RefundRequested {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The request's entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who asked.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What the claim was sold for; empty if its sale is not known here yet.
        items: Vec<FactItem>,
    },
    /// Another device may hand a claim out, or refund it, from now on.
    CustodyMoved {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who gave it, or took it over from a retired device.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// Who has it now.
        to: DeviceId,
        /// Its name.
        to_name: String,
        /// What the claim was sold for; empty if its sale is not known here yet.
        items: Vec<FactItem>,
    },
    /// It became known what became of a payment that was to be authorised later.
    PaymentSettled {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who took the payment.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// Which of the claim's payments, from 1.
        payment: u32,
        /// Its amount, minor units of the event's currency; absent if the sale is not known here yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<i64>,
        /// It could not be taken.
        failed: bool,
    },
    /// A door opened for a redemption, did not open, or a person looked at it; here or elsewhere.
    Door {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Whose door.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// How the doors of the redemption stand now.
        state: DoorState,
        /// What the claim was sold for; empty if its sale is not known here yet.
        items: Vec<FactItem>,
    },
    /// Too many wrong PINs were given for a claim: here, or, told at an hq, elsewhere.
    PinLocked {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The last wrong PIN's entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Where they were given.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// In words, with what to do.
        text: String,
    },
    /// A device gave units to another.
    Transferred {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The transfer's entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// Who gave.
        from: DeviceId,
        /// Its name.
        from_name: String,
        /// Who got.
        to: DeviceId,
        /// Its name.
        to_name: String,
        /// What was given.
        items: Vec<FactItem>,
    },
    /// An heir took over units that a retired device held.
    TakenOver {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// Who took them over.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What was taken over.
        items: Vec<FactItem>,
    },
    /// A lot was minted.
    Minted {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The lot: named by the same entry.
        lot: Ref,
        /// The drop.
        drop: DropId,
        /// Who minted it.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What was minted.
        items: Vec<FactItem>,
    },
    /// Units lie somewhere else.
    Moved {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// Who holds them.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// Where they lie now.
        place: Place,
        /// What was moved.
        items: Vec<FactItem>,
    },
    /// Units were taken out of sale.
    Damaged {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// Who held them.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// What was taken out.
        items: Vec<FactItem>,
    },
    /// A step of a drop was taken, here or elsewhere.
    Step {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// Which step.
        step: StepKind,
        /// At which venue; at all of them if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        venue: Option<Place>,
        /// Of which round.
        round: u32,
        /// Who did.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// Products, drops or what else an hq sets for the event changed.
    ProgrammeChanged {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// Who changed it.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// A device was retired.
    Retired {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The retirement's entry.
        entry: Ref,
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// By whom.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// A device was given the right to retire others.
    Entrusted {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// By whom.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// A device has left the event, or is back.
    Left {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// The name of the device that gets what it had; absent once it is back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// The certificate of a device was signed anew.
    Renewed {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// Until when the certificate holds, Unix milliseconds.
        until_ms: u64,
        /// Who signed.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// The event's secret was renewed after a retirement, and this device has the new one, made here or elsewhere.
    SecretRenewed {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// Names the epoch that has begun.
        epoch: String,
        /// Who made it.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// The names of the retired devices that do not have it.
        without: Vec<String>,
    },
    /// Personal data was taken, here or elsewhere. What it says is in no event.
    PersonalTaken {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// What it is for.
        kind: PersonalKind,
        /// Who took it.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// Personal data was erased, here or elsewhere.
    PersonalErased {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// Who erased it.
        by: DeviceId,
        /// Its name.
        by_name: String,
        /// How much of what is known here.
        count: u64,
    },
    /// A breach was proven, or a doubt that a person must look at.
    Incident {
        /// When the record was written that showed it, Unix milliseconds.
        at_ms: u64,
        /// The entry that showed it.
        entry: Ref,
        /// In words.
        text: String,
    },
    /// A person has looked into an incident.
    IncidentSettled {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// The entry.
        entry: Ref,
        /// The incident, by the entry that it is named with.
        incident: Ref,
        /// What was done.
        note: String,
        /// Who did.
        by: DeviceId,
        /// Its name.
        by_name: String,
    },
    /// Something that was told before, or would have been, counts no more: whoever keeps a sum takes it out again. If it
    /// comes to count after all, it is told again.
    Voided {
        /// When the record was written that voids it, Unix milliseconds.
        at_ms: u64,
        /// The entry that voids it: the proof of a fork, or a retirement.
        entry: Ref,
        /// Why.
        why: VoidedBy,
        /// What was told.
        #[cfg_attr(feature = "schema", schema(no_recursion))]
        told: Box<Fact>,
    },
}

impl Fact {
    /// Its kind, as its JSON has it in `event`.
    pub fn kind(&self) -> &'static str {
        match self {
            Fact::Sold { .. } => "sold",
            Fact::Redeemed { .. } => "redeemed",
            Fact::Refunded { .. } => "refunded",
            Fact::RefundRequested { .. } => "refund_requested",
            Fact::CustodyMoved { .. } => "custody_moved",
            Fact::PaymentSettled { .. } => "payment_settled",
            Fact::Door { .. } => "door",
            Fact::PinLocked { .. } => "pin_locked",
            Fact::Transferred { .. } => "transferred",
            Fact::TakenOver { .. } => "taken_over",
            Fact::Minted { .. } => "minted",
            Fact::Moved { .. } => "moved",
            Fact::Step { .. } => "step",
            Fact::Damaged { .. } => "damaged",
            Fact::ProgrammeChanged { .. } => "programme_changed",
            Fact::Retired { .. } => "retired",
            Fact::Entrusted { .. } => "entrusted",
            Fact::Left { .. } => "left",
            Fact::Renewed { .. } => "renewed",
            Fact::SecretRenewed { .. } => "secret_renewed",
            Fact::PersonalTaken { .. } => "personal_taken",
            Fact::PersonalErased { .. } => "personal_erased",
            Fact::Incident { .. } => "incident",
            Fact::IncidentSettled { .. } => "incident_settled",
            Fact::Voided { .. } => "voided",
        }
    }

    /// The time of its record, Unix milliseconds, and the record's entry.
    pub fn record(&self) -> (u64, Ref) {
        match self {
            Fact::Sold { at_ms, entry, .. }
            | Fact::Redeemed { at_ms, entry, .. }
            | Fact::Refunded { at_ms, entry, .. }
            | Fact::RefundRequested { at_ms, entry, .. }
            | Fact::CustodyMoved { at_ms, entry, .. }
            | Fact::PaymentSettled { at_ms, entry, .. }
            | Fact::Door { at_ms, entry, .. }
            | Fact::PinLocked { at_ms, entry, .. }
            | Fact::Transferred { at_ms, entry, .. }
            | Fact::TakenOver { at_ms, entry, .. }
            | Fact::Minted { at_ms, entry, .. }
            | Fact::Moved { at_ms, entry, .. }
            | Fact::Step { at_ms, entry, .. }
            | Fact::Damaged { at_ms, entry, .. }
            | Fact::ProgrammeChanged { at_ms, entry, .. }
            | Fact::Retired { at_ms, entry, .. }
            | Fact::Entrusted { at_ms, entry, .. }
            | Fact::Left { at_ms, entry, .. }
            | Fact::Renewed { at_ms, entry, .. }
            | Fact::SecretRenewed { at_ms, entry, .. }
            | Fact::PersonalTaken { at_ms, entry, .. }
            | Fact::PersonalErased { at_ms, entry, .. }
            | Fact::Incident { at_ms, entry, .. }
            | Fact::IncidentSettled { at_ms, entry, .. }
            | Fact::Voided { at_ms, entry, .. } => (*at_ms, *entry),
        }
    }
}

/// Presence and progress: said once, to who listens, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Signal {
    /// A device can be reached now.
    Reachable {
        /// It.
        device: DeviceId,
        /// Its name.
        name: String,
    },
    /// A device can no longer be reached.
    Unreachable {
        /// It.
        device: DeviceId,
        /// Its name.
        name: String,
    },
    /// A sale was refused because the stock is elsewhere.
    HeldElsewhere {
        /// The drop.
        drop: DropId,
        /// The SKU.
        sku: Sku,
        /// Units wanted.
        wanted: u64,
    },
    /// Units are asked for that a sale here waits for. It comes again when another device is asked, and is over when the sale
    /// is answered.
    Asking {
        /// The drop.
        drop: DropId,
        /// The SKU.
        sku: Sku,
        /// How many units lack.
        units: u64,
        /// Who is asked.
        device: DeviceId,
        /// Its name.
        name: String,
        /// The sales that wait for them, each by the first 8 bytes of the SHA-256 of its idempotency key, in hexadecimal; those
        /// without a key are not named.
        sales: Vec<String>,
    },
    /// This device's certificate ends soon, or is over: an hq can renew it, while it is good; afterwards the device has to join again.
    CertificateEnds {
        /// When, Unix milliseconds.
        until_ms: u64,
    },
    /// What this device had forgotten is here again, or a person answers for it.
    PastKnown {
        /// A person does.
        accepted: bool,
    },
    /// A peer went on sending what is wrong and can only be its own doing: it is cut off for a while.
    CutOff {
        /// Which peer.
        device: DeviceId,
        /// Its name.
        name: String,
        /// For how long, milliseconds.
        for_ms: u64,
    },
    /// A peer sent something that is wrong, or too much.
    PeerFault {
        /// Which peer.
        device: DeviceId,
        /// Its name.
        name: String,
        /// What.
        text: String,
    },
}

impl Signal {
    /// Its kind, as its JSON has it in `event`.
    pub fn kind(&self) -> &'static str {
        match self {
            Signal::Reachable { .. } => "reachable",
            Signal::Unreachable { .. } => "unreachable",
            Signal::HeldElsewhere { .. } => "held_elsewhere",
            Signal::Asking { .. } => "asking",
            Signal::CertificateEnds { .. } => "certificate_ends",
            Signal::PastKnown { .. } => "past_known",
            Signal::CutOff { .. } => "cut_off",
            Signal::PeerFault { .. } => "peer_fault",
        }
    }
}
