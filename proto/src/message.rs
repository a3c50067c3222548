//! What devices say to each other: CBOR (RFC 8949), bounded before it is read.

use minicbor::bytes::ByteVec;

use crate::clock::Hlc;
use crate::id::{ChainId, DeviceId, EventId, Hash, Ref};
use crate::identity::{SecretKey, Signature, Signatures};
use crate::log::Range;
use crate::text::{DropId, Place, Sku};

/// The most bytes of one message between two linked devices.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The most bytes of one gossiped message.
pub const MAX_GOSSIP: usize = 192 * 1024;
/// The most chains that one frontier names.
pub const MAX_HEADS: usize = 50_000;

const MAIL: &[u8] = b"popmesh gossip v1";

/// Not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message that cannot be read: {0}")]
pub struct MessageError(String);

/// From one device to another that it is linked to, or by mail to one that it is not.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Message {
    /// What the sender has; the receiver answers with what the sender lacks.
    #[n(0)]
    Frontier(#[n(0)] Frontier),
    /// Entries that the receiver lacks.
    #[n(1)]
    Entries(#[n(0)] Entries),
    /// Is your log the same? Answered with a frontier if it is not.
    #[n(2)]
    Digest(#[n(0)] Hash),
    /// The sender's certificate.
    #[n(3)]
    Hello(#[n(0)] ByteVec),
    /// A request for units.
    #[n(4)]
    Ask(#[n(0)] Ask),
    /// The answer to a request that nothing is given for.
    #[n(5)]
    Decline(#[n(0)] Decline),
    /// A request for a cart.
    #[n(6)]
    AskCart(#[n(0)] AskCart),
    /// A request for the custody of a claim.
    #[n(7)]
    AskClaim(#[n(0)] AskClaim),
    /// A request for sealed payloads.
    #[n(11)]
    AskSealed(#[n(0)] AskSealed),
    /// Sealed payloads, asked for now or earlier.
    #[n(12)]
    Sealed(#[n(0)] SealedParts),
    /// Mail that a neighbour passes on over a link that carries no gossip.
    #[n(13)]
    Mail(#[n(0)] Mail),
    /// The sender does not know the certificate of this device, which the receiver is, or passed on mail of. Answered with
    /// `Hello`, or with mail that shows it.
    #[n(14)]
    Who(#[n(0)] DeviceId),
    /// The sender's history of a chain is another than the receiver's, which answers with entries of its own from where
    /// they part: proof that the chain's author has forked it.
    #[n(10)]
    Compare(#[n(0)] Compare),
}

/// What a device has.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Frontier {
    /// Sums up the chains that have ended and are complete; those are not in `heads`.
    #[n(0)]
    pub ended: Hash,
    /// Whether the ended chains are in `heads` all the same, because the sums differed.
    #[n(1)]
    pub full: bool,
    /// The others.
    #[n(2)]
    pub heads: Vec<Head>,
    /// Counts the sender's frontiers to the receiver, from 1.
    #[n(3)]
    pub number: u32,
    /// What `heads` are changes since; if there is nothing, they are all.
    #[n(4)]
    pub since: Option<Since>,
    /// The sender has missed frontiers of the receiver's that came after the one with this number: they have to be told again;
    /// 0: all.
    #[n(5)]
    pub again: Option<u32>,
    /// Another after each start of the sender, which then knows of nothing that it was told before.
    #[n(6)]
    pub start: u32,
}

/// What the heads of a frontier are changes since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Since {
    /// Since the sender's frontier with this number.
    #[n(0)]
    Frontier(#[n(0)] u32),
    /// Since the sender had the same as the receiver, which said so with a digest that begins with these bytes.
    #[n(1)]
    Alike(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        [u8; 8],
    ),
}

/// The end of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Head {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Its length.
    #[n(1)]
    pub seq: u64,
    /// The first eight bytes of the hash there: enough to notice a fork, which its entries then prove.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub hash: [u8; 8],
}

/// Entries.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Entries {
    /// Ranges of chains.
    #[n(0)]
    pub ranges: Vec<Range>,
    /// Whether the sender has more: the receiver asks again when these are stored.
    #[n(1)]
    pub more: bool,
}

/// A history of one chain, in short.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Compare {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Its end, and the first bytes of the hash there.
    #[n(1)]
    pub head: Head,
    /// Those of each 256th entry before.
    #[n(2)]
    pub runs: Vec<RunEnd>,
}

/// The first eight bytes of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RunEnd(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 8],
);

/// The most runs that are compared.
pub const MAX_RUNS: usize = 1 << 16;

/// A request for units of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Ask {
    /// Names the request.
    #[n(0)]
    pub id: u64,
    /// The drop.
    #[n(1)]
    pub drop: DropId,
    /// The SKU.
    #[n(2)]
    pub sku: Sku,
    /// How many units.
    #[n(3)]
    pub units: u64,
    /// Where they must lie, for a walk-in.
    #[n(4)]
    pub place: Option<Place>,
}

/// A request for a cart, whose units come as transfers.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskCart {
    /// Names the request.
    #[n(0)]
    pub id: u64,
    /// The cart.
    #[n(1)]
    pub cart: Ref,
}

/// A request for the custody of a claim, which comes as an entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskClaim {
    /// Names the request.
    #[n(0)]
    pub id: u64,
    /// The claim.
    #[n(1)]
    pub claim: Ref,
}

/// The most sealed payloads that one message asks for, or brings.
pub const MAX_SEALED_ASKED: usize = 32;

/// A request for sealed payloads of personal data, at most [`MAX_SEALED_ASKED`].
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskSealed {
    /// By the entries that they belong to.
    #[n(0)]
    pub entries: Vec<Ref>,
}

/// Sealed payloads of personal data.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SealedParts {
    /// Those that the sender has.
    #[n(0)]
    pub parts: Vec<SealedPart>,
    /// Those that it was asked for and does not have.
    #[n(1)]
    pub lacking: Vec<Ref>,
}

/// A sealed payload.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SealedPart {
    /// The entry that it belongs to, which has its hash.
    #[n(0)]
    pub entry: Ref,
    /// It.
    #[n(1)]
    pub payload: ByteVec,
}

/// Nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Decline {
    /// The request.
    #[n(0)]
    pub id: u64,
}

/// What goes to everybody.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Gossip {
    /// Entries as they are made.
    #[n(0)]
    Live(#[n(0)] Vec<Range>),
    /// Signed by its author, since neighbours pass it on.
    #[n(1)]
    Mail(#[n(0)] Mail),
}

/// Something that an author tells everybody, or one device that it has no link to.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Mail {
    /// The author.
    #[n(0)]
    pub from: DeviceId,
    /// When; later than in any mail before.
    #[n(1)]
    pub at: Hlc,
    /// For whom; for everybody if absent.
    #[n(2)]
    pub to: Option<DeviceId>,
    /// What: a [`Presence`] for everybody, or a [`Message`] for one.
    #[n(3)]
    pub content: ByteVec,
    /// The author's.
    #[n(4)]
    pub signature: Signature,
}

impl Mail {
    /// Mail, signed.
    pub fn sign(
        signatures: &dyn Signatures,
        event: &EventId,
        key: &SecretKey,
        at: Hlc,
        to: Option<DeviceId>,
        content: Vec<u8>,
    ) -> Self {
        let signature = signatures.sign(key, &Self::message(event, at, to, &content));
        Self { from: key.id(), at, to, content: content.into(), signature }
    }

    /// Whether its author signed it for this event.
    pub fn verifies(&self, signatures: &dyn Signatures, event: &EventId) -> bool {
        let message = Self::message(event, self.at, self.to, &self.content);
        signatures.verifies(&self.signature, &self.from, &message)
    }

    fn message(event: &EventId, at: Hlc, to: Option<DeviceId>, content: &[u8]) -> Vec<u8> {
        let to = to.map_or([0; 32], |to| to.0);
        [MAIL, &event.0, &at.0.to_be_bytes(), &to, content].concat()
    }
}

/// How a device is doing, told to everybody every second; less often where there are many devices, or links are narrow.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Presence {
    /// Whether it sells.
    #[n(0)]
    pub sells: bool,
    /// Its rates of sale.
    #[n(1)]
    pub rates: Vec<Rate>,
    /// Its certificate, now and then.
    #[n(2)]
    pub certificate: Option<ByteVec>,
    /// In how many seconds its next comes, if all its links are narrow and that is later than usual.
    #[n(3)]
    pub every_s: Option<u32>,
    /// Devices that it reaches over narrow links alone, at most [`MAX_REACHES`]: over those they seldom say themselves that they
    /// are there.
    #[n(4)]
    pub reaches: Vec<DeviceId>,
    /// By how many milliseconds its wall clock is behind the time of the mail, if by a second or more: then it fell back, or
    /// has been further ahead. Otherwise that time is what the clock shows.
    #[n(10)]
    pub behind_ms: Option<u64>,
}

/// How fast one SKU sells on one device.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Rate {
    /// The drop.
    #[n(0)]
    pub drop: DropId,
    /// The SKU.
    #[n(1)]
    pub sku: Sku,
    /// Thousandths of units asked for in about the last minute.
    #[n(2)]
    pub milli_units: u64,
}

/// The most devices that one presence speaks for.
pub const MAX_REACHES: usize = 64;

/// The most SKUs whose rates one presence names.
pub const MAX_RATES: usize = 256;

/// Writes a message, gossip or presence.
pub fn encode<T: minicbor::Encode<()>>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a Vec cannot fail, and no encoder of these types has an error of its own.
    let _ = minicbor::encode(message, &mut bytes);
    bytes
}

/// Reads a message, gossip or presence of at most `limit` bytes.
///
/// # Errors
/// [`MessageError`] if it is longer, or anything else.
pub fn decode<'b, T: minicbor::Decode<'b, ()>>(bytes: &'b [u8], limit: usize) -> Result<T, MessageError> {
    if bytes.len() > limit {
        return Err(MessageError(format!("{} bytes; {limit} is the most", bytes.len())));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode().map_err(|error| MessageError(error.to_string()))?;
    if decoder.position() == bytes.len() {
        Ok(message)
    } else {
        Err(MessageError("something follows it".to_owned()))
    }
}
