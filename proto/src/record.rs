//! Records: what an entry of `stock/…` or `claims/…` says. One CBOR item (RFC 8949) each.
//!
//! Schema: `[at, body]`, or `[at, body, key]`; `at` is the author's hybrid time, `body` is `[kind, [fields…]]` with the numbers
//! below, `key` names the command that wrote it (see [`crate::key`]). A unit set is a flat array of gaps and lengths (see [`UnitSet`]); ids are byte strings; a reference is `[chain, seq]`.

mod door;
mod entrust;
mod epoch;
mod fork;
mod leave;
mod personal;
mod renewal;
mod retire_cut;
mod step;

pub use door::{Behaved, Door, MAX_REASON};
pub use entrust::Entrust;
pub use epoch::{COPY_BYTES, Epoch, EpochCopies, EpochCopy, MAX_COPIES};
pub use fork::{Branch, Fork, MAX_BRANCH, MAX_DROPPED};
pub use leave::{Cause, Leave};
pub use personal::{
    Consent, Erase, MAX_CONSENT, MAX_CONSENT_VERSION, MAX_SEALED, Personal, PersonalKind, SEALED_SIZES,
};

pub use renewal::Renewal;
pub use retire_cut::{MAX_CUT_PARTS, RetireCut};
pub use step::{Announced, MAX_ANNOUNCED, MAX_ROUND, Step, StepKind};

use crate::clock::Hlc;
use crate::command::{MAX_HOLD_MS, MAX_ITEMS, MAX_LOT, Tender};
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Hash, Nonce, Ref};
use crate::identity::{Role, Roles};
use crate::key::CommandKey;
use crate::money::MAX_PRICE;
use crate::payment::{Back, PaymentSettled, Payments};
use crate::pin::PinTag;
use crate::receipt::ReceiptLink;
use crate::tax::Taxes;
use crate::text::{Compartment, Edition, Place, ShopperRef, Sku};
use crate::token::MAX_TOKEN;
use crate::units::UnitSet;

/// The most bytes of one record. A record is some 80 bytes; a start, with its certificate, some 400.
pub const MAX_RECORD: usize = 64 * 1024;

/// The most parcels that one record draws on, or acknowledges.
pub const MAX_LINES: usize = 1024;

/// What one entry says.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Record {
    /// When, by the author's hybrid clock.
    #[n(0)]
    pub at: Hlc,
    /// What.
    #[n(1)]
    pub body: Body,
    /// The key of the command that wrote it, if that had one.
    #[n(2)]
    pub key: Option<CommandKey>,
}

/// What a record does.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Body {
    /// Begins a chain.
    #[n(0)]
    Start(#[n(0)] Start),
    /// Makes units, held by the author. In `stock`, by an hq.
    #[n(1)]
    Mint(#[n(0)] Mint),
    /// Gives units to another device. In `stock`.
    #[n(2)]
    Transfer(#[n(0)] Transfer),
    /// Says that the author knows of transfers to it. In `stock`.
    #[n(3)]
    Received(#[n(0)] Received),
    /// Changes where units lie. In `stock`.
    #[n(4)]
    Move(#[n(0)] Move),
    /// Takes units out of sale. In `stock`.
    #[n(5)]
    Damage(#[n(0)] Damage),
    /// Turns units into a claim. In `claims`.
    #[n(6)]
    Sale(#[n(0)] Sale),
    /// Makes another device the custodian of a claim. In `claims`, by its custodian.
    #[n(7)]
    Custody(#[n(0)] Custody),
    /// Hands out what a claim is for. In `claims`, by its custodian.
    #[n(8)]
    Redeem(#[n(0)] Redeem),
    /// Takes units of a claim back, and pays for them. In `claims`, by its custodian.
    #[n(9)]
    Refund(#[n(0)] Refund),
    /// Puts units aside for a cart. In `stock`, by their holder.
    #[n(11)]
    Hold(#[n(0)] Hold),
    /// Ends a hold, sold or not. In `stock`, by who put the units aside.
    #[n(12)]
    Release(#[n(0)] Release),
    /// A wrong PIN was given for a claim. In `claims`, by anybody: each counts those given to it.
    #[n(14)]
    WrongPin(#[n(0)] WrongPin),
    /// Lets the PIN of a claim be tried again on the author, or where an hq says. In `claims`.
    #[n(15)]
    Unlock(#[n(0)] Unlock),
    /// Retires a device that is lost or dead. In `devices`, by who has the right.
    #[n(17)]
    Retire(#[n(0)] Retire),
    /// Takes over units that a retired device held. In `stock`, by its heir: who retired it, or, where that was retired
    /// since, the heir of that.
    #[n(18)]
    Inherit(#[n(0)] Inherit),
    /// Proves that a device has written two histories of one life. In `devices`, by anybody.
    #[n(19)]
    Fork(#[n(0)] Box<Fork>),
    /// Says what was done about an incident. In `devices`, by an hq.
    #[n(20)]
    Resolve(#[n(0)] Resolve),
    /// Carries a certificate that the author signed for a device that has one already. In `devices`, by who may admit.
    #[n(21)]
    Renewal(#[n(0)] Renewal),
    /// Gives the right to retire devices to another hq. In `devices`, by who has it.
    #[n(22)]
    Entrust(#[n(0)] Entrust),
    /// Says that the author has left, or is back. In `devices`, by anybody about itself.
    #[n(27)]
    Leave(#[n(0)] Leave),
    /// Marks a claim whose shopper wants the money back. In `claims`, by anybody; a person pays it.
    #[n(10)]
    RefundRequest(#[n(0)] RefundRequest),
    /// Says how a door behaved at a redemption. In `claims`, by who redeemed.
    #[n(13)]
    Door(#[n(0)] Door),
    /// Says what became of a payment that a terminal was to authorise later. In `claims`, by the seller.
    #[n(16)]
    PaymentSettled(#[n(0)] PaymentSettled),
    /// Says that personal data was taken. In `people`, by anybody.
    #[n(30)]
    Personal(#[n(0)] Personal),
    /// Has personal data deleted everywhere. In `people`; what another device took, by an hq.
    #[n(31)]
    Erase(#[n(0)] Erase),
    /// Names more of the last entries of a device, for a retirement that has no room for all. In `devices`, by anybody.
    #[n(32)]
    RetireCut(#[n(0)] RetireCut),
    /// Begins an epoch of the event's secret, which retired devices do not get. In `devices`, by who may retire or an hq.
    #[n(33)]
    Epoch(#[n(0)] Epoch),
    /// Seals the secret of an epoch to more devices. In `devices`, by who may retire or an hq.
    #[n(34)]
    EpochCopies(#[n(0)] EpochCopies),
    /// A step of a drop: announce, open, last call or close. In `stock`, by an hq or an encoder.
    #[n(35)]
    Step(#[n(0)] Step),
}

/// Begins a chain: who writes it, by what right, and where its author's last one ended.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Start {
    /// The document.
    #[n(0)]
    pub document: Document,
    /// The author's certificate, as it travels.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// The life's nonce; with the author's key and the document it gives the chain's id.
    #[n(2)]
    pub nonce: Nonce,
    /// The last entry that the author remembers of its own in this document.
    #[n(3)]
    pub previous: Option<Previous>,
}

/// The last entry of an earlier chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Previous {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Its length.
    #[n(1)]
    pub seq: u64,
    /// Its last hash.
    #[n(2)]
    pub hash: Hash,
}

/// Makes a lot; the lot, and the parcel of all its units, are named by this entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Mint {
    /// The SKU.
    #[n(0)]
    pub sku: Sku,
    /// First serial.
    #[n(1)]
    pub first: u32,
    /// Last serial, inclusive.
    #[n(2)]
    pub last: u32,
    /// Whether serials are printed on the units.
    #[n(3)]
    pub numbered: bool,
    /// Where the units lie.
    #[n(4)]
    pub place: Place,
    /// The word that is printed with the serials, if one is. Numbered lots of one SKU and edition, or of one SKU and none,
    /// are not to have a serial in common, in whatever drop.
    #[n(5)]
    pub edition: Option<Edition>,
}

/// Units drawn from one parcel. A parcel is what one mint, transfer or move made; it is named by that entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Line {
    /// The parcel.
    #[n(0)]
    pub parcel: Ref,
    /// Which of its units.
    #[n(1)]
    pub units: UnitSet,
}

/// Gives units of one lot and one place to another device; they become one parcel.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Transfer {
    /// Who gets them.
    #[n(0)]
    pub to: DeviceId,
    /// Which ones.
    #[n(1)]
    pub lines: Vec<Line>,
    /// The cart that they are in, and stay in.
    #[n(2)]
    pub aside: Option<Aside>,
    /// What they are given for, other than a cart, where the receiver goes by it.
    #[n(3)]
    pub cause: Option<Cause>,
}

/// The cart that given units are put aside for.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Aside {
    /// The cart: the hold that first made it.
    #[n(0)]
    pub cart: Ref,
    /// How many transfers give all of it.
    #[n(1)]
    pub pieces: u32,
    /// For how long it is still put aside, milliseconds.
    #[n(2)]
    pub left_ms: u64,
    /// Price of one unit, minor units.
    #[n(3)]
    pub unit_price: i64,
    /// Who it is for, as far as anybody needs to know.
    #[n(4)]
    pub shopper: Option<ShopperRef>,
}

/// Acknowledges transfers.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Received {
    /// The transfers.
    #[n(0)]
    pub transfers: Vec<Ref>,
}

/// Moves units of one lot to a place; they become one parcel of the same holder.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Move {
    /// Where to.
    #[n(0)]
    pub place: Place,
    /// Which ones.
    #[n(1)]
    pub lines: Vec<Line>,
}

/// Takes units out of sale.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Damage {
    /// Which ones.
    #[n(0)]
    pub lines: Vec<Line>,
}

/// A sale; the claim is named by this entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Sale {
    /// What is sold.
    #[n(0)]
    pub lines: Vec<SaleLine>,
    /// How it was paid.
    #[n(1)]
    pub payments: Payments,
    /// Who hands it out later; absent for a walk-in, handed over at once.
    #[n(2)]
    pub pickup_at: Option<DeviceId>,
    /// The heads of the programme that the prices were read under; absent where they are those of the chain's sale
    /// before.
    #[n(3)]
    pub programme: Option<Vec<Hash>>,
    /// The tax that was reckoned; absent if nothing of it is taxed.
    #[n(4)]
    pub taxes: Option<Taxes>,
    /// Its receipt.
    #[n(5)]
    pub receipt: ReceiptLink,
    /// The step of the drop that it was made under; absent where it is that of the chain's sale before, or none was known.
    #[n(6)]
    pub step: Option<Ref>,
    /// The tag of the PIN that whoever picks it up must know.
    #[n(7)]
    pub pin: Option<PinTag>,
    /// Who it is for, as far as anybody needs to know.
    #[n(8)]
    pub shopper: Option<ShopperRef>,
    /// Until when it can be picked up, Unix milliseconds; for ever if absent.
    #[n(9)]
    pub expires_ms: Option<u64>,
}

/// Units sold at one price.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SaleLine {
    /// The parcel.
    #[n(0)]
    pub parcel: Ref,
    /// Which of its units.
    #[n(1)]
    pub units: UnitSet,
    /// Price of one, minor units.
    #[n(2)]
    pub unit_price: i64,
}

impl Sale {
    /// A device's first sale, of these units for cash: handed over at once, unless it is to be picked up.
    pub fn plain(lines: Vec<SaleLine>, pickup_at: Option<DeviceId>) -> Self {
        Self {
            lines,
            payments: Payments::Whole(Tender::Cash),
            pickup_at,
            programme: None,
            taxes: None,
            receipt: ReceiptLink::FIRST,
            step: None,
            pin: None,
            shopper: None,
            expires_ms: None,
        }
    }
}

/// Gives a claim into another device's custody.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Custody {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
    /// What made the author its custodian: the sale, or another record of custody.
    #[n(1)]
    pub under: Ref,
    /// Who has it from now on.
    #[n(2)]
    pub to: DeviceId,
    /// The retirement of its custodian, if the author took it over by that.
    #[n(3)]
    pub retirement: Option<Ref>,
    /// Where who retired that custodian was retired since: its retirement, that of who retired it, and so on, the author's
    /// own as the last. Absent where the author retired the custodian itself.
    #[n(4)]
    pub heirs: Option<Vec<Ref>>,
    /// What handed it out, if that was done: what moves is the right to take it back then. Without it a hand-over of what
    /// a copy of the author had handed out would be taken for this.
    #[n(5)]
    pub handed_out: Option<Ref>,
    /// The refunds of parts of it so far: who gets it must not hand those units out. Absent if there are none.
    #[n(6)]
    pub refunds: Option<Vec<Ref>>,
}

impl Custody {
    /// By its custodian, of a claim that waits.
    pub fn of(claim: Ref, under: Ref, to: DeviceId) -> Self {
        Self { claim, under, to, retirement: None, heirs: None, handed_out: None, refunds: None }
    }
}

/// Hands a claim out: all of it that has not been refunded.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Redeem {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
    /// What made the author its custodian: the sale, or a record of custody.
    #[n(1)]
    pub under: Ref,
    /// The token that was shown, where the author had nothing else to go by; it need not know the sale then, nor the record
    /// of custody. Admitted only if it is genuine and says the same as this record.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Option<Vec<u8>>,
    /// The author's compartments that are opened for it, each once; absent where no door is.
    #[n(3)]
    pub compartments: Option<Vec<Compartment>>,
}

/// Pays units of a claim back. Units of one lot, which become one parcel of the author's unless they are damaged.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Refund {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
    /// What made the author its custodian: the sale, or a record of custody.
    #[n(1)]
    pub under: Ref,
    /// Which units, by the parcels that the sale drew on.
    #[n(2)]
    pub lines: Vec<Line>,
    /// Where they lie from now on.
    #[n(3)]
    pub place: Place,
    /// Whether they are out of sale.
    #[n(4)]
    pub damaged: bool,
    /// What handed them out, if they were and the shopper brought them back. Without it a return that comes in before its
    /// hand-over, from another life of the author's, would be taken for a breach.
    #[n(5)]
    pub handed_out: Option<Ref>,
    /// Its receipt.
    #[n(6)]
    pub receipt: ReceiptLink,
    /// What is given back for them.
    #[n(7)]
    pub back: Back,
    /// Nobody came for them in time. Absent if false.
    #[n(8)]
    pub unclaimed: Option<bool>,
}

/// Puts units aside for a cart, which is named by this entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Hold {
    /// Which, at the prices of now.
    #[n(0)]
    pub lines: Vec<SaleLine>,
    /// For how long by the holder's clock, milliseconds.
    #[n(1)]
    pub ttl_ms: u64,
    /// Who they are for, as far as anybody needs to know.
    #[n(2)]
    pub shopper: Option<ShopperRef>,
}

/// Ends a hold.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Release {
    /// The hold.
    #[n(0)]
    pub hold: Ref,
}

/// A wrong PIN was given for a claim.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WrongPin {
    /// The claim, whose sale need not be known.
    #[n(0)]
    pub claim: Ref,
}

/// Lets the PIN of a claim be tried again.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Unlock {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
    /// Of an hq's word: the wrong PIN that locked it, which another device wrote. On the author itself if absent.
    #[n(1)]
    pub lock: Option<Ref>,
}

/// Retires a device: what it wrote up to here counts, and nothing that may still appear.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Retire {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The last entry known of each of its chains.
    #[n(1)]
    pub cut: Vec<Ref>,
    /// What gave the author the right: an [`Entrust`]; its certificate if absent.
    #[n(2)]
    pub under: Option<Ref>,
    /// So many records directly before this one in its chain, each a [`RetireCut`] of the same device, name more chains; none if
    /// absent.
    #[n(3)]
    pub parts: Option<u32>,
}

/// Takes over units that a retired device held, of one lot and one place; they become one parcel of the author's.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Inherit {
    /// The retirement.
    #[n(0)]
    pub retirement: Ref,
    /// Which units, by the parcels in which they were held.
    #[n(1)]
    pub lines: Vec<Line>,
    /// Where who retired their holder was retired since: its retirement, that of who retired it, and so on, the author's own
    /// as the last. Absent where the author retired the holder itself.
    #[n(2)]
    pub heirs: Option<Vec<Ref>>,
}

/// The most retirements by which one device takes over what another left behind.
pub const MAX_HEIRS: usize = 64;

/// Says what was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Resolve {
    /// The incident, by the entry that it is named with.
    #[n(0)]
    pub incident: Ref,
    /// What was done, in words.
    #[n(1)]
    pub note: String,
}

/// The most bytes of what is said about an incident.
pub const MAX_NOTE: usize = 400;

/// Says that the shopper of a claim wants the money back. It moves no money: a person pays it, on an attended device.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RefundRequest {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
}

/// Why a record is not one that its author may write there. Depends on nothing but the record, its chain and its
/// author's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a record.
    #[error("a record that cannot be read: {0}")]
    Malformed(String),
    /// Too long.
    #[error("a record of {0} bytes; {MAX_RECORD} is the most")]
    TooLong(usize),
    /// Not of this document.
    #[error("a {kind} does not belong into {document}")]
    WrongDocument {
        /// What it is.
        kind: &'static str,
        /// Where it was.
        document: Document,
    },
    /// A start that does not begin its chain, or a chain that does not begin with one.
    #[error("a chain begins with a start, and has no other")]
    Start,
    /// The certificate does not allow it.
    #[error("the author is {roles}; a {kind} takes the role {needs}")]
    Role {
        /// What it is.
        kind: &'static str,
        /// What the author may be.
        roles: Roles,
        /// What it takes.
        needs: Role,
    },
    /// A number is out of bounds.
    #[error("a {kind} with {problem}")]
    Bounds {
        /// What it is.
        kind: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The hybrid time does not go up along the chain.
    #[error("a record that is older than the one before it")]
    Time,
}

impl Record {
    /// The record's CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        // Writing to a Vec cannot fail, and no encoder of these types has an error of its own.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }

    /// Reads a record, all of `bytes`.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] or [`RecordError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLong(bytes.len()));
        }
        let mut decoder = minicbor::Decoder::new(bytes);
        let record = decoder.decode().map_err(|error| RecordError::Malformed(error.to_string()))?;
        if decoder.position() != bytes.len() {
            return Err(RecordError::Malformed("something follows it".to_owned()));
        }
        Ok(record)
    }

    /// When a record was written, and the number of what it does in [`Body`], without reading the rest.
    pub(crate) fn glance(bytes: &[u8]) -> Option<(Hlc, u32)> {
        let mut decoder = minicbor::Decoder::new(bytes);
        decoder.array().ok()?;
        let at = decoder.decode().ok()?;
        decoder.array().ok()?;
        Some((at, decoder.u32().ok()?))
    }

    /// Checks everything about a record, other than its first, that does not depend on other chains.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn check(&self, document: &Document, roles: Roles, after: Hlc) -> Result<(), RecordError> {
        let kind = self.body.kind();
        let fits = match (&self.body, document) {
            (Body::Start(_), _) => return Err(RecordError::Start),
            (
                Body::Retire(_)
                | Body::RetireCut(_)
                | Body::Entrust(_)
                | Body::Leave(_)
                | Body::Resolve(_)
                | Body::Fork(_)
                | Body::Renewal(_)
                | Body::Epoch(_)
                | Body::EpochCopies(_),
                document,
            ) => *document == Document::Devices,
            (Body::Personal(_) | Body::Erase(_), document) => *document == Document::People,
            (body, Document::Claims(_)) => body.is_of_claims(),
            (body, Document::Stock(_)) => !body.is_of_claims(),
            (_, _) => false,
        };
        if !fits {
            return Err(RecordError::WrongDocument { kind, document: document.clone() });
        }
        if self.at <= after {
            return Err(RecordError::Time);
        }
        let needs = match &self.body {
            Body::Mint(_) | Body::Resolve(_) => Some(Role::Hq),
            // Who retires renews the secret.
            Body::Epoch(_) | Body::EpochCopies(_) if roles.has(Role::Registrar) => None,
            Body::Epoch(_) | Body::EpochCopies(_) => Some(Role::Hq),
            Body::Retire(Retire { under: None, .. }) | Body::Entrust(Entrust { under: None, .. }) => {
                Some(Role::Registrar)
            }
            // Whether it was given the right is for the view, which knows by whom.
            Body::Retire(_) | Body::Entrust(_) => Some(Role::Hq),
            _ => None,
        };
        let needs = match &self.body {
            // The encoder runs the show, with an hq or without.
            Body::Step(_) if !roles.has(Role::Hq) => Some(Role::Encoder),
            _ => needs,
        };
        if let Some(needs) = needs.filter(|needs| !roles.has(*needs)) {
            return Err(RecordError::Role { kind, roles, needs });
        }
        self.body.bounds().map_err(|problem| RecordError::Bounds { kind, problem })
    }

    /// The parcels, transfers, sales or custody that must be known before this record can be taken in.
    pub fn needs(&self) -> impl Iterator<Item = Ref> + '_ {
        use std::slice::from_ref;
        let (lines, sale, named): (&[Line], &[SaleLine], &[Ref]) = match &self.body {
            Body::Start(_)
            | Body::Mint(_)
            | Body::WrongPin(_)
            | Body::Unlock(_)
            | Body::Fork(_)
            | Body::Renewal(_)
            | Body::Entrust(_)
            | Body::Leave(_)
            | Body::Epoch(_)
            | Body::Step(_)
            | Body::Personal(_) => (&[], &[], &[]),
            Body::EpochCopies(copies) => (&[], &[], from_ref(&copies.epoch)),
            // So whoever hears of an erasure knows what it is of, and who took that.
            Body::Erase(erase) => (&[], &[], &erase.entries),
            Body::Transfer(transfer) => (&transfer.lines, &[], &[]),
            Body::Move(moved) => (&moved.lines, &[], &[]),
            Body::Damage(damage) => (&damage.lines, &[], &[]),
            Body::Sale(sale) => (&[], &sale.lines, &[]),
            Body::Hold(hold) => (&[], &hold.lines, &[]),
            Body::Release(release) => (&[], &[], from_ref(&release.hold)),
            Body::Retire(retire) => (&[], &[], &retire.cut),
            Body::RetireCut(part) => (&[], &[], &part.cut),
            Body::Inherit(inherit) => (&inherit.lines, &[], inherit.heirs.as_deref().unwrap_or_default()),
            Body::Resolve(resolve) => (&[], &[], from_ref(&resolve.incident)),
            Body::Received(received) => (&[], &[], &received.transfers),
            // What made the author the custodian follows from the claim itself, in the end.
            Body::Custody(custody) => (&[], &[], custody.heirs.as_deref().unwrap_or_default()),
            Body::Redeem(redeem) if redeem.token.is_some() => (&[], &[], &[]),
            Body::Redeem(redeem) => (&[], &[], from_ref(&redeem.under)),
            Body::Refund(refund) => (&refund.lines, &[], from_ref(&refund.under)),
            Body::RefundRequest(request) => (&[], &[], from_ref(&request.claim)),
            Body::Door(door) => (&[], &[], from_ref(&door.redemption)),
            Body::PaymentSettled(settled) => (&[], &[], from_ref(&settled.claim)),
        };
        lines
            .iter()
            .map(|line| line.parcel)
            .chain(sale.iter().map(|line| line.parcel))
            .chain(named.iter().copied())
            .chain(match &self.body {
                Body::Custody(custody) => Some(custody.under),
                Body::Inherit(inherit) => Some(inherit.retirement),
                _ => None,
            })
            .chain(match &self.body {
                Body::Custody(custody) => custody.handed_out,
                _ => None,
            })
            .chain(match &self.body {
                Body::Custody(Custody { refunds: Some(refunds), .. }) => refunds.iter().copied(),
                _ => [].iter().copied(),
            })
            .chain(match &self.body {
                Body::Refund(refund) => refund.handed_out,
                Body::Sale(sale) => sale.step,
                Body::Custody(custody) => custody.retirement,
                Body::Retire(retire) => retire.under,
                Body::Entrust(entrust) => entrust.under,
                // So whoever hears of it knows that the giver has left, and gives nothing of it back.
                Body::Transfer(Transfer { cause: Some(Cause::Leave(leave)), .. }) => Some(*leave),
                _ => None,
            })
    }
}

impl Body {
    /// The number that a sale has in a record, as [`Record::glance`] gives it.
    pub(crate) const SALE: u32 = 6;

    /// The record's kind, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Start(_) => "start",
            Body::Mint(_) => "mint",
            Body::Transfer(_) => "transfer",
            Body::Received(_) => "receipt of a transfer",
            Body::Move(_) => "move",
            Body::Damage(_) => "damage",
            Body::Sale(_) => "sale",
            Body::Custody(_) => "change of custody",
            Body::Redeem(_) => "redemption",
            Body::Refund(_) => "refund",
            Body::RefundRequest(_) => "request for a refund",
            Body::WrongPin(_) => "wrong PIN",
            Body::Unlock(_) => "unlocking of a PIN",
            Body::Retire(_) => "retirement",
            Body::RetireCut(_) => "part of a retirement",
            Body::Entrust(_) => "hand-over of the right to retire",
            Body::Leave(_) => "leave",
            Body::Inherit(_) => "inheritance",
            Body::Fork(_) => "proof of two histories",
            Body::Renewal(_) => "renewal of a certificate",
            Body::Resolve(_) => "resolution of an incident",
            Body::Hold(_) => "hold",
            Body::Release(_) => "release",
            Body::Door(_) => "word on a door",
            Body::PaymentSettled(_) => "settlement of a payment",
            Body::Personal(_) => "taking of personal data",
            Body::Erase(_) => "erasure of personal data",
            Body::Epoch(_) => "renewal of the event's secret",
            Body::EpochCopies(_) => "copy of the event's secret",
            Body::Step(_) => "step of a drop",
        }
    }

    /// Whether it disposes of units, claims or the right to retire: what a device must not do whose past is in doubt.
    pub fn spends(&self) -> bool {
        match self {
            Body::Transfer(_)
            | Body::Move(_)
            | Body::Damage(_)
            | Body::Sale(_)
            | Body::Custody(_)
            | Body::Redeem(_)
            | Body::Refund(_)
            | Body::Hold(_)
            | Body::Inherit(_)
            | Body::Entrust(_) => true,
            Body::Start(_)
            | Body::Mint(_)
            | Body::Received(_)
            | Body::Release(_)
            | Body::RefundRequest(_)
            | Body::WrongPin(_)
            | Body::Unlock(_)
            | Body::Door(_)
            | Body::PaymentSettled(_)
            | Body::Retire(_)
            | Body::RetireCut(_)
            | Body::Leave(_)
            | Body::Fork(_)
            | Body::Renewal(_)
            | Body::Resolve(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_)
            | Body::Step(_)
            | Body::Personal(_)
            | Body::Erase(_) => false,
        }
    }

    fn is_of_claims(&self) -> bool {
        match self {
            Body::Sale(_)
            | Body::Custody(_)
            | Body::Redeem(_)
            | Body::Refund(_)
            | Body::RefundRequest(_)
            | Body::PaymentSettled(_)
            | Body::WrongPin(_)
            | Body::Unlock(_)
            | Body::Door(_) => true,
            Body::Start(_)
            | Body::Mint(_)
            | Body::Transfer(_)
            | Body::Received(_)
            | Body::Move(_)
            | Body::Damage(_)
            | Body::Hold(_)
            | Body::Release(_)
            | Body::Retire(_)
            | Body::RetireCut(_)
            | Body::Entrust(_)
            | Body::Leave(_)
            | Body::Inherit(_)
            | Body::Fork(_)
            | Body::Renewal(_)
            | Body::Resolve(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_)
            | Body::Step(_)
            | Body::Personal(_)
            | Body::Erase(_) => false,
        }
    }

    fn bounds(&self) -> Result<(), &'static str> {
        match self {
            Body::Start(_)
            | Body::RefundRequest(_)
            | Body::Release(_)
            | Body::WrongPin(_)
            | Body::Entrust(_)
            | Body::Leave(_)
            | Body::Unlock(_) => Ok(()),
            Body::Custody(custody) => {
                heirs_fit(custody.retirement.is_some(), custody.heirs.as_deref())?;
                let fits = custody.refunds.as_ref().is_none_or(|some| (1..=MAX_LINES).contains(&some.len()));
                if fits { Ok(()) } else { Err("too many or no refunds") }
            }
            Body::Hold(hold) => {
                lines_fit(hold.lines.iter().map(|line| (line.parcel, &line.units)), MAX_LINES)?;
                let prices = hold.lines.iter().all(|line| (1..=MAX_PRICE).contains(&line.unit_price));
                match (prices, (1..=MAX_HOLD_MS).contains(&hold.ttl_ms)) {
                    (false, _) => Err("an impossible price"),
                    (_, false) => Err("an impossible time to live"),
                    (true, true) => Ok(()),
                }
            }
            Body::Redeem(redeem) => {
                let length = redeem.token.as_ref().map_or(0, Vec::len);
                if length > MAX_TOKEN {
                    return Err("a token that is too long");
                }
                let Some(doors) = &redeem.compartments else { return Ok(()) };
                let each: std::collections::BTreeSet<_> = doors.iter().collect();
                let fits = (1..=MAX_LINES).contains(&doors.len()) && each.len() == doors.len();
                if fits { Ok(()) } else { Err("impossible compartments") }
            }
            Body::Door(door) => door.bounds(),
            Body::Fork(fork) => fork.bounds(),
            Body::Renewal(renewal) => renewal.bounds(),
            Body::Epoch(epoch) => epoch.bounds(),
            Body::EpochCopies(copies) => copies.bounds(),
            Body::Step(step) => step.bounds(),
            Body::Refund(refund) => {
                if refund.unclaimed == Some(true) && refund.handed_out.is_some() {
                    return Err("units that were handed out and that nobody came for");
                }
                lines_fit(refund.lines.iter().map(|line| (line.parcel, &line.units)), MAX_LINES)?;
                refund.receipt.check()?;
                refund.back.check()
            }
            Body::PaymentSettled(settled) => settled.check(),
            Body::Personal(personal) => personal.bounds(),
            Body::Erase(erase) => erase.bounds(),
            Body::Mint(mint) => {
                let count = u64::from(mint.last).checked_sub(u64::from(mint.first)).map(|n| n + 1);
                if mint.edition.is_some() && !mint.numbered {
                    return Err("an edition of what is not numbered");
                }
                if count.is_some_and(|count| count <= MAX_LOT) { Ok(()) } else { Err("impossible serials") }
            }
            Body::Transfer(Transfer { aside: Some(aside), .. })
                if !(1..=MAX_PRICE).contains(&aside.unit_price)
                    || !(1..=MAX_HOLD_MS).contains(&aside.left_ms)
                    || !(1..=MAX_LINES as u32).contains(&aside.pieces) =>
            {
                Err("an impossible cart")
            }
            Body::Transfer(Transfer { aside: Some(_), cause: Some(_), .. }) => {
                Err("units that stay in a cart, and are given for something else")
            }
            Body::Transfer(Transfer { cause: Some(Cause::Wish { left_ms, .. }), .. })
                if !(1..=MAX_HOLD_MS).contains(left_ms) =>
            {
                Err("an impossible time to live")
            }
            Body::Transfer(Transfer { lines, .. })
            | Body::Move(Move { lines, .. })
            | Body::Damage(Damage { lines }) => {
                lines_fit(lines.iter().map(|line| (line.parcel, &line.units)), MAX_LINES)
            }
            Body::Inherit(inherit) => {
                heirs_fit(true, inherit.heirs.as_deref())?;
                lines_fit(inherit.lines.iter().map(|line| (line.parcel, &line.units)), MAX_LINES)
            }
            Body::Retire(retire) => {
                if retire.parts.is_some_and(|parts| !(1..=MAX_CUT_PARTS).contains(&parts)) {
                    return Err("impossible parts of a retirement");
                }
                cut_fits(&retire.cut)
            }
            Body::RetireCut(part) => cut_fits(&part.cut),
            Body::Resolve(resolve) => {
                let fits = (1..=MAX_NOTE).contains(&resolve.note.len());
                if fits { Ok(()) } else { Err("no note, or one that is too long") }
            }
            Body::Received(received) => {
                let count = received.transfers.len();
                if (1..=MAX_LINES).contains(&count) { Ok(()) } else { Err("too many or no transfers") }
            }
            Body::Sale(sale) => {
                lines_fit(sale.lines.iter().map(|line| (line.parcel, &line.units)), MAX_LINES)?;
                let prices = sale.lines.iter().all(|line| (1..=MAX_PRICE).contains(&line.unit_price));
                let heads = sale.programme.as_ref().is_none_or(|heads| heads.len() <= MAX_ITEMS);
                if sale.pin.is_some() && sale.pickup_at.is_none() {
                    return Err("a PIN for what is handed over at once");
                }
                let expiry = sale.expires_ms.is_none_or(|ms| ms <= Hlc::MAX_MS && sale.pickup_at.is_some());
                match (prices, heads, expiry) {
                    (false, _, _) => Err("an impossible price"),
                    (_, false, _) => Err("too many programme heads"),
                    (_, _, false) => Err("an impossible end of its time to be picked up"),
                    (true, true, true) => sale.check_money(),
                }
            }
        }
    }
}

/// There is one way to say that nobody stands between.
fn heirs_fit(inherits: bool, heirs: Option<&[Ref]>) -> Result<(), &'static str> {
    let fits = heirs.is_none_or(|heirs| inherits && (1..=MAX_HEIRS).contains(&heirs.len()));
    if fits { Ok(()) } else { Err("an impossible line of heirs") }
}

fn cut_fits(cut: &[Ref]) -> Result<(), &'static str> {
    let chains: std::collections::BTreeSet<ChainId> = cut.iter().map(|last| last.chain).collect();
    match cut.len() <= MAX_LINES && chains.len() == cut.len() {
        true => Ok(()),
        false => Err("too many chains, or one twice"),
    }
}

fn lines_fit<'a>(lines: impl Iterator<Item = (Ref, &'a UnitSet)>, most: usize) -> Result<(), &'static str> {
    let mut parcels = std::collections::BTreeMap::<Ref, UnitSet>::new();
    let mut count = 0;
    for (parcel, units) in lines {
        count += 1;
        if units.is_empty() {
            return Err("a line without units");
        }
        let drawn = parcels.entry(parcel).or_default();
        if drawn.intersects(units) {
            return Err("a unit that is named twice");
        }
        drawn.insert_all(units);
    }
    if (1..=most).contains(&count) { Ok(()) } else { Err("too many or no lines") }
}
