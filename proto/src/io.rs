//! The boundary of proto: inputs in, outputs out, nothing else.
//!
//! A runtime feeds [`Input`]s to a [`crate::Device`] and carries out its [`Output`]s in order. Everything that the
//! outside could learn of a record of this device leaves only after [`Input::Stored`] for it.

use crate::command::{Command, Refusal, Reply};
use crate::fact::{Fact, Signal};
use crate::id::{ChainId, DeviceId, Ref};
use crate::identity::{Signature, SignedCertificate};
use crate::links::Width;
use crate::mark::Marking;
use crate::pin::EventSecrets;
use crate::query::{Answer, Query};
use crate::text::Compartment;

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
        /// What the entries of this write tell observers, in order: stored with them, and told once that is durable.
        facts: Vec<Fact>,
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
    /// Presence or progress that observers should know of. Facts are in [`Output::Store`], and are told by the runtime once
    /// that is durable.
    Signal(Signal),
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
