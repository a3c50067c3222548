//! The boundary of proto: inputs in, outputs out, nothing else.
//!
//! A runtime feeds [`Input`]s to a [`crate::Device`] and carries out its [`Output`]s in order. Everything that the
//! outside could learn of a record of this device leaves only after [`Input::Stored`] for it.

use serde::{Deserialize, Serialize};

use crate::command::{Command, DoorState, Refusal, Reply};
use crate::id::{ChainId, DeviceId, Ref};
use crate::identity::{Signature, SignedCertificate};
use crate::links::Width;
use crate::mark::Marking;
use crate::pin::EventSecrets;
use crate::query::{Answer, Query};
use crate::record::PersonalKind;
use crate::text::{Compartment, DropId, Sku};

/// The runtime's name for a command or a query that it waits for.
pub type CallId = u64;

/// The runtime's name for a gossiped message that it holds back until it has been judged.
pub type GossipToken = u64;

/// The number of a write; they count up from 1.
pub type BatchId = u64;

/// What happens to a device.
#[derive(Debug, Clone)]
pub enum Input {
    /// Somebody on this device wants something done.
    Command {
        /// To be named in the [`Output::Reply`].
        call: CallId,
        /// What.
        command: Command,
        /// If given, stored in the same write as what the command does.
        idempotency: Option<Idempotency>,
    },
    /// Somebody on this device wants to know something.
    Query {
        /// To be named in the [`Output::Answer`].
        call: CallId,
        /// What.
        query: Query,
    },
    /// A linked peer sent this.
    Message {
        /// Who, by the authenticated link.
        from: DeviceId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A neighbour passed on this gossip.
    Gossip {
        /// The neighbour, not the author.
        from: DeviceId,
        /// What.
        bytes: Vec<u8>,
        /// To be named in the [`Output::Judge`].
        token: GossipToken,
    },
    /// A link to a peer is up: it has shown its certificate.
    LinkUp {
        /// The peer.
        peer: DeviceId,
        /// How much the link carries.
        width: Width,
    },
    /// A link carries more or less than before, from now on: what it goes by has changed.
    LinkWidth {
        /// The peer.
        peer: DeviceId,
        /// How much it carries.
        width: Width,
    },
    /// The last link to a peer is gone.
    LinkDown {
        /// The peer.
        peer: DeviceId,
    },
    /// Time has passed; comes at the time that [`Output::Wake`] named, or earlier.
    Tick,
    /// A write is durable.
    Stored {
        /// Which.
        batch: BatchId,
    },
    /// A write failed. The device must be dropped and opened again from what is stored.
    StoreFailed {
        /// Which.
        batch: BatchId,
        /// Why, in words for a person.
        problem: String,
    },
}

/// The key under which a command's outcome is kept, so that a retry does nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the caller's key.
    pub key: [u8; 32],
    /// SHA-256 of the request, to notice one key used for two requests.
    pub request: [u8; 32],
}

/// A command's outcome, to be stored under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReply {
    /// The key.
    pub idempotency: Idempotency,
    /// What was replied.
    pub reply: Reply,
}

/// One entry as it is stored and sent: the record is carried, the Automerge change is rebuilt from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The chain.
    pub chain: ChainId,
    /// Position, from 1.
    pub seq: u64,
    /// The record's CBOR; in `programme`, the raw Automerge change.
    pub body: Vec<u8>,
    /// The author's signature, which vouches for all entries of the chain up to here. The last of a batch has one.
    pub signature: Option<Signature>,
}

/// The sealed payload of personal data, which lies beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The entry that it belongs to, which has its hash.
    pub entry: Ref,
    /// Its bytes; at most [`crate::record::MAX_SEALED`].
    pub payload: Vec<u8>,
}

/// What a write does to sealed payloads: first it deletes, then it keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedWrites {
    /// Payloads to keep, whose entries are stored, or are in the same write. One that is there already is replaced.
    pub kept: Vec<Sealed>,
    /// Payloads to delete so that their bytes are gone; some may not be there.
    pub erased: Vec<Ref>,
}

impl SealedWrites {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.erased.is_empty()
    }
}

/// What a device wants done.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "each is carried out as it comes; none lies in a long queue")]
pub enum Output {
    /// Append all of this in one durable write, then say [`Input::Stored`]. Only one write is under way at a time.
    Store {
        /// The write's number.
        batch: BatchId,
        /// Entries, in the order in which they may be read back.
        entries: Vec<Entry>,
        /// Outcomes of commands.
        replies: Vec<StoredReply>,
        /// Sealed payloads.
        sealed: SealedWrites,
        /// What to change in the mark beside the database, once the rest is durable and before it is said to be.
        mark: Marking,
    },
    /// Send to a linked peer; may be lost.
    Send {
        /// To whom.
        to: DeviceId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Gossip to everybody; may be lost.
    Publish {
        /// What.
        bytes: Vec<u8>,
    },
    /// Whether gossip may be passed on.
    Judge {
        /// Which.
        token: GossipToken,
        /// How.
        verdict: Verdict,
    },
    /// The outcome of a command.
    Reply {
        /// Which.
        call: CallId,
        /// How it went.
        result: Result<Reply, Refusal>,
    },
    /// The answer to a query.
    Answer {
        /// Which.
        call: CallId,
        /// It.
        answer: Box<Answer>,
    },
    /// Send [`Input::Tick`] at this time of the monotonic clock. Replaces the one before.
    Wake {
        /// When, in milliseconds of [`crate::clock::Now::mono_ms`].
        at_mono_ms: u64,
    },
    /// Open a compartment, once, and say with [`Command::DoorReport`] how its door behaved. What it is opened for is
    /// durable.
    OpenDoor {
        /// The redemption that it is opened for.
        redemption: Ref,
        /// The compartment.
        compartment: Compartment,
    },
    /// Drop this device, and open it again from what is stored, with a new nonce: what it wrote in this life counts for
    /// nothing any more. Calls that wait are to be refused.
    Reopen {
        /// Why, in words for a person.
        problem: String,
    },
    /// Keep this device's renewed certificate where its next start finds it, and show it to new peers from now on. What
    /// carries it is durable already: it comes again at each start that has an older one.
    Install {
        /// The certificate.
        certificate: SignedCertificate,
    },
    /// Close the link to a peer, and let none be for so long. Until then whatever comes from it is dropped unread.
    CutOff {
        /// The peer.
        peer: DeviceId,
        /// For how long, milliseconds.
        for_ms: u64,
    },
    /// Pass nothing to these devices from now on, nor to others than these that were barred before: they were retired.
    Bar(Barred),
    /// Send to a linked device that was retired what proves that: the one thing that it is still told. May be lost.
    Tell {
        /// To whom.
        to: DeviceId,
        /// What.
        bytes: Vec<u8>,
    },
    /// What this device has of the event's secret now, for the next start and for all that it is used for. What it comes from
    /// is durable already; it comes at each start, too.
    Secrets {
        /// All of it.
        secrets: EventSecrets,
    },
    /// Look whether the peer behind a link is there, and close the link if it does not answer: another device lost it.
    Probe {
        /// The peer.
        peer: DeviceId,
    },
    /// Something that observers should know.
    Notice(Notice),
}

/// Devices that were retired. All others may be linked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barred {
    /// Those that have not been told: they may have a link, so that they can be, which is not dialled for and carries no
    /// gossip; only what [`Output::Tell`] says goes to them.
    pub quiet: Vec<DeviceId>,
    /// Those that may have no link: one that is up is closed once what was sent before is on its way.
    pub shut: Vec<DeviceId>,
    /// All that were retired, this device itself among them if it was: nobody is to sign for their keys any more.
    pub retired: Vec<DeviceId>,
}

/// What to do with gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on; nobody's fault.
    Ignore,
    /// Do not pass it on, and hold it against the neighbour.
    Reject,
}

/// Something that observers should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Notice {
    /// A sale became known here, made here or elsewhere.
    Sold {
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who sold.
        seller: DeviceId,
        /// Units sold.
        units: u64,
    },
    /// A claim was handed out, here or elsewhere.
    Redeemed {
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who handed it out.
        by: DeviceId,
    },
    /// Units of a claim were taken back and paid for, here or elsewhere.
    Refunded {
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who paid.
        by: DeviceId,
        /// How many units.
        units: u64,
    },
    /// The shopper of a claim wants the money back: somebody has marked it, for a person to pay. Said once a claim.
    RefundRequested {
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who asked.
        by: DeviceId,
    },
    /// A device was retired.
    Retired {
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// By whom.
        by: String,
    },
    /// The event's secret was renewed after a retirement, and this device has the new one, made here or elsewhere.
    SecretRenewed {
        /// Names the epoch that has begun.
        epoch: String,
        /// Who made it.
        by: String,
        /// The names of the retired devices that do not have it.
        without: Vec<String>,
    },
    /// The certificate of a device was signed anew.
    Renewed {
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// Until when it holds, Unix milliseconds.
        until_ms: u64,
    },
    /// This device's certificate ends soon, or is over: an hq can renew it, while it is good; afterwards the device has to join again.
    CertificateEnds {
        /// When, Unix milliseconds.
        until_ms: u64,
    },
    /// A device was given the right to retire others.
    Entrusted {
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// By whom.
        by: String,
    },
    /// What this device had forgotten is here again, or a person answers for it.
    PastKnown {
        /// A person does.
        accepted: bool,
    },
    /// Too many wrong PINs were given for a claim here.
    PinLocked {
        /// The claim.
        claim: Ref,
        /// In words.
        text: String,
    },
    /// A door opened for a redemption, did not open, or a person looked at it; here or elsewhere.
    Door {
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Whose door.
        by: DeviceId,
        /// How the doors of the redemption stand now.
        state: DoorState,
    },
    /// It became known what became of a payment that was to be authorised later.
    PaymentSettled {
        /// The entry.
        entry: Ref,
        /// The claim.
        claim: Ref,
        /// The drop.
        drop: DropId,
        /// Who took the payment.
        by: DeviceId,
        /// Which of the claim's payments, from 1.
        payment: u32,
        /// It could not be taken.
        failed: bool,
    },
    /// Personal data was taken, here or elsewhere. What it says is in no notice.
    PersonalTaken {
        /// The entry.
        entry: Ref,
        /// What it is for.
        kind: PersonalKind,
        /// Who took it.
        by: DeviceId,
    },
    /// Personal data was erased, here or elsewhere.
    PersonalErased {
        /// The entry.
        entry: Ref,
        /// Who erased it.
        by: DeviceId,
        /// How much of what is known here.
        count: u64,
    },
    /// Units of this device's were given away, or it got some.
    Transferred {
        /// The entry.
        entry: Ref,
        /// The drop.
        drop: DropId,
        /// The SKU.
        sku: Sku,
        /// Who gave.
        from: DeviceId,
        /// Who got.
        to: DeviceId,
        /// How many.
        units: u64,
    },
    /// Products or drops changed.
    ProgrammeChanged,
    /// A lot was minted.
    Minted {
        /// The lot.
        lot: Ref,
        /// The drop.
        drop: DropId,
        /// The SKU.
        sku: Sku,
        /// How many units.
        units: u64,
    },
    /// A device can be reached now.
    Reachable {
        /// It.
        device: DeviceId,
    },
    /// A device can no longer be reached.
    Unreachable {
        /// It.
        device: DeviceId,
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
    /// A breach was proven.
    Incident {
        /// In words.
        text: String,
    },
    /// A peer went on sending what is wrong and can only be its own doing: it is cut off for a while.
    CutOff {
        /// Which peer.
        device: DeviceId,
        /// For how long, milliseconds.
        for_ms: u64,
    },
    /// A peer sent something that is wrong, or too much.
    PeerFault {
        /// Which peer.
        device: DeviceId,
        /// What.
        text: String,
    },
}
