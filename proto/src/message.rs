//! What devices say to each other: CBOR (RFC 8949), bounded before it is read.

use minicbor::bytes::ByteVec;

use crate::clock::Hlc;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, EventId, Hash, HashStart, Ref};
use crate::identity::{SecretKey, Signature, Signatures};
use crate::log::Range;
use crate::text::{DropId, Place, Sku};

/// The most bytes of one message between two linked devices.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The most bytes of one gossiped message.
pub const MAX_GOSSIP: usize = 192 * 1024;
/// The most chains that one frontier names.
pub const MAX_HEADS: usize = 50_000;
/// A device that tells all its heads names so many at once, and the rest in further pages: some 45 kB each.
pub const PAGE_HEADS: usize = 1_024;

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
    /// Of whom the sender has heard; answered with mail that is newer.
    #[n(15)]
    Heard(#[n(0)] Heard),
    /// The sender's history of a chain is another than the receiver's, which answers with entries of its own from where
    /// they part: proof that the chain's author has forked it.
    #[n(10)]
    Compare(#[n(0)] Compare),
    /// What has the receiver seen of the sender? Answered with [`Message::Past`].
    #[n(20)]
    AskPast(#[n(0)] AskPast),
    /// What the sender has seen of the receiver.
    #[n(21)]
    Past(#[n(0)] Past),
    /// A request for entries by name: the sender has others that need them, and waits for them already.
    #[n(22)]
    AskEntries(#[n(0)] AskEntries),
    /// The sender knows that it was retired, and has handed over what it wrote since.
    #[n(23)]
    Farewell,
}

/// The most own chains that a device names when it asks what others have seen of it.
pub const MAX_OWN_ENDS: usize = 64;
/// The most entries that one answer proves.
pub const MAX_PROOFS: usize = 32;
/// The most bytes of these entries together, but for the first.
pub const MAX_PAST_BYTES: usize = 32 * 1024;

/// A device asks what others have seen of it: after a start, and while its past is in doubt.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskPast {
    /// Up to where the sender has its own chains, those that have not ended; at most [`MAX_OWN_ENDS`].
    #[n(0)]
    pub ends: Vec<Seen>,
}

/// Up to where a chain was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Seen {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// How many entries of it.
    #[n(1)]
    pub seq: u64,
}

/// How much a device knows of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Knows {
    /// It has never seen an entry of it.
    #[n(0)]
    Nothing,
    /// It has seen some, and not all that the other has.
    #[n(1)]
    Some,
    /// It has seen all that the other has, and maybe more.
    #[n(2)]
    All,
}

/// What a device has seen of another, which asked.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Past {
    /// How much.
    #[n(0)]
    pub knows: Knows,
    /// What the other seems to lack: the last entry of each chain, at most [`MAX_PROOFS`].
    #[n(1)]
    pub proofs: Vec<Proof>,
}

/// An entry with its author's signature: proof that the author wrote its chain up to there.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Proof {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// The entry's position.
    #[n(1)]
    pub seq: u64,
    /// The chain's document.
    #[n(2)]
    pub document: Document,
    /// The hash of the entry before; absent in the first, and in `programme`, where the entry has it inside.
    #[n(3)]
    pub previous: Option<Hash>,
    /// The entry's record; in `programme` the change.
    #[n(4)]
    pub body: ByteVec,
    /// The author's signature of the entry.
    #[n(5)]
    pub signature: Signature,
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
    /// How the digest of all that the sender has begins, once digests have differed a few times. A receiver that sees no
    /// other difference then knows that there is one that heads do not show.
    #[n(7)]
    #[cbor(with = "minicbor::bytes")]
    pub sum: Option<HashStart>,
    /// Where there are too many heads for one frontier, they come in pages: `heads` are those of chains from this one on;
    /// from the first, if absent.
    #[n(8)]
    pub from: Option<ChainId>,
    /// And up to this one, which the next page begins with; up to the last, if absent.
    #[n(9)]
    pub upto: Option<ChainId>,
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
        HashStart,
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
    /// How the hash there begins: enough to notice a fork, which its entries then prove.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub hash: HashStart,
    /// The rest of the hash, where heads that begin alike have left something unequal.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub rest: Option<HashStart>,
}

impl Head {
    /// Whether a hash may be that of this head, as far as it is told.
    pub fn is_of(&self, hash: &Hash) -> bool {
        self.hash == hash.begins() && self.rest.is_none_or(|rest| rest == hash.ends())
    }
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
    /// Its end, with the whole hash there.
    #[n(1)]
    pub head: Head,
    /// The hash of each 256th entry before, whole: what begins alike need not go on alike.
    #[n(2)]
    pub runs: Vec<Hash>,
}

/// The most runs that are compared.
pub const MAX_RUNS: usize = 1 << 16;

/// The most entries and changes that one request names.
pub const MAX_ASKED: usize = 16;

/// A request for entries that the sender needs and has not got, and for what comes before them in their chains. At most
/// [`MAX_ASKED`] are named. Answered with [`Entries`], as far as the receiver has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskEntries {
    /// The entries.
    #[n(0)]
    pub entries: Vec<Ref>,
    /// Changes of the programme, whose chains the sender may not know.
    #[n(1)]
    pub changes: Vec<Hash>,
    /// The last entry that the sender has of some of these chains, and if it names changes, of chains of the programme. Of
    /// those that are not here it has nothing.
    #[n(2)]
    pub have: Vec<Ref>,
}

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
    /// The one large wish that they are for; absent where they are for ordinary sales.
    #[n(5)]
    pub wish: Option<Wish>,
}

/// A sale, or a cart, of more units than the event's rules call ordinary. Who is asked gives only what is above its floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Wish {
    /// The asker's number for it, another one after each start.
    #[n(0)]
    pub number: u64,
    /// All of its units, of every SKU, those that the asker has included.
    #[n(1)]
    pub total: u64,
    /// For how long units are put aside for it at the most, milliseconds from 1 to a day.
    #[n(2)]
    pub left_ms: u64,
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

/// Of whom a device has heard.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Heard {
    /// Those in its reach, at most [`MAX_HEARD`].
    #[n(0)]
    pub of: Vec<HeardOf>,
}

/// A device, and its last presence that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct HeardOf {
    /// The first bytes of its key.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub device: [u8; 4],
    /// When it made that presence; zero if there is none.
    #[n(1)]
    pub at: Hlc,
}

/// The most devices that one message says were heard.
pub const MAX_HEARD: usize = 1_024;

/// How a device is doing, told to everybody when that changes, and seldom besides.
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
    /// In how many seconds its next comes, if nothing changes.
    #[n(3)]
    pub every_s: Option<u32>,
    /// Devices that it reaches over narrow links alone, at most [`MAX_REACHES`]: over those they seldom say themselves that they
    /// are there.
    #[n(4)]
    pub reaches: Vec<DeviceId>,
    /// What have others seen of the sender? Asked after a start, and while the sender's past is in doubt.
    #[n(6)]
    pub asks: Option<AskPast>,
    /// Whom it is linked to over broad links, at most [`MAX_NEIGHBOURS`]: the first four bytes of the key of each, in order.
    /// Absent if all its links are narrow.
    #[n(7)]
    pub neighbours: Option<ByteVec>,
    /// By how many milliseconds its wall clock is behind the time of the mail, if by a second or more: then it fell back, or
    /// has been further ahead. Otherwise that time is what the clock shows.
    #[n(10)]
    pub behind_ms: Option<u64>,
    /// Whom it is linked to over narrow links, at most [`MAX_NEIGHBOURS`], as `neighbours` says it. Absent if to nobody.
    #[n(11)]
    pub narrowly: Option<ByteVec>,
    /// The version of its program, at most [`MAX_PROGRAM`] bytes; along with its certificate alone.
    #[n(12)]
    pub program: Option<String>,
}

/// The most bytes of a program's version.
pub const MAX_PROGRAM: usize = 24;

impl Presence {
    /// Whether it says no more than one may.
    pub fn is_bounded(&self) -> bool {
        self.rates.len() <= MAX_RATES
            && self.reaches.len() <= MAX_REACHES
            && self.asks.as_ref().is_none_or(|asks| asks.ends.len() <= MAX_OWN_ENDS)
            && self.program.as_ref().is_none_or(|program| is_program(program))
    }
}

/// Whether a text can be a program's version: it is shown to people as it is.
pub(crate) fn is_program(text: &str) -> bool {
    (1..=MAX_PROGRAM).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
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

/// The most neighbours that one presence names.
pub const MAX_NEIGHBOURS: usize = 128;

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
