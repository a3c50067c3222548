//! A stretch of one chain, as it travels.

use super::Chain;
use crate::bundle;
use crate::document::Document;
use crate::id::ChainId;
use crate::identity::Signature;

/// About how many bytes of bodies one range carries, before packing.
pub const MAX_RANGE_BYTES: usize = 1 << 20;

/// The most bytes that a packed range may inflate to.
const MAX_UNPACKED: usize = 4 << 20;

/// From how many entries on packing pays.
const PACK_FROM: u64 = 4;

/// And up to how many bytes an entry has on average: it takes time for each byte, and records are that long only where
/// somebody means to have others spend theirs.
const PACK_BYTES_EACH: usize = 2 << 10;

/// Consecutive entries of one chain. The last has a signature, which vouches for all before it.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Range {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Position of the first.
    #[n(1)]
    pub first: u64,
    /// The bodies.
    #[n(2)]
    pub bodies: Bodies,
    /// Signatures, by how many entries after the first.
    #[n(3)]
    pub signatures: Vec<Vouch>,
}

impl Range {
    /// Position of the last.
    pub fn last(&self) -> u64 {
        self.first.saturating_sub(1).saturating_add(self.bodies.len())
    }

    /// About how many bytes it takes on its way.
    pub(crate) fn travels_as(&self) -> usize {
        self.bodies.travel_as() + self.signatures.len() * size_of::<Signature>()
    }
}

/// The signature of one entry of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Vouch {
    /// How many entries after the first of the range.
    #[n(0)]
    pub offset: u32,
    /// It.
    #[n(1)]
    pub signature: Signature,
}

/// The bodies of consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Bodies {
    /// One after the other.
    #[n(0)]
    Plain(#[n(0)] Vec<minicbor::bytes::ByteVec>),
    /// Packed by [`crate::bundle`].
    #[n(1)]
    Packed {
        /// How many.
        #[n(0)]
        count: u32,
        /// The bundle.
        #[n(1)]
        bytes: minicbor::bytes::ByteVec,
    },
    /// The same, without the hashes of receipts before that follow from others of them.
    #[n(2)]
    Implied {
        /// How many.
        #[n(0)]
        count: u32,
        /// The bundle.
        #[n(1)]
        bytes: minicbor::bytes::ByteVec,
    },
}

impl Bodies {
    /// How many there are said to be.
    pub fn len(&self) -> u64 {
        match self {
            Bodies::Plain(bodies) => bodies.len() as u64,
            Bodies::Packed { count, .. } | Bodies::Implied { count, .. } => u64::from(*count),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they take on their way.
    pub(crate) fn travel_as(&self) -> usize {
        match self {
            Bodies::Plain(bodies) => bodies.iter().map(|body| body.len()).sum(),
            Bodies::Packed { bytes, .. } | Bodies::Implied { bytes, .. } => bytes.len(),
        }
    }

    /// The bodies as they travel, unpacked within bounds; `None` if they are not what they say.
    pub fn unpack(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Bodies::Plain(bodies) => Some(bodies.iter().map(|body| body.to_vec()).collect()),
            Bodies::Packed { count, bytes } | Bodies::Implied { count, bytes } => {
                let unpacked = bundle::unpack(bytes, *count as usize, MAX_UNPACKED).ok()?;
                Some(unpacked.iter().map(<[u8]>::to_vec).collect())
            }
        }
    }
}

impl Chain {
    /// The entries after the `have`-th, up to about `budget` bytes and to an entry that a signature vouches for.
    /// `None` if there are none.
    pub fn range_after(&self, have: u64, budget: usize) -> Option<Range> {
        self.range_up_to(have, u64::MAX, budget)
    }

    /// The same, and no further than to the first entry from the `upto`-th on that a signature vouches for.
    pub(crate) fn range_up_to(&self, have: u64, upto: u64, budget: usize) -> Option<Range> {
        let signed = self.signed();
        if have >= signed {
            return None;
        }
        let first = have + 1;
        let mut last = have;
        let mut size = 0usize;
        while last < signed.min(upto) {
            // Entries can be cut apart only where a signature is kept.
            let next = self.signatures.range(last + 1..).next().map_or(signed, |(seq, _)| *seq);
            let more: usize = (last + 1..=next).filter_map(|seq| self.body(seq)).map(<[u8]>::len).sum();
            if last > have && size + more > budget.min(MAX_RANGE_BYTES) {
                break;
            }
            size += more;
            last = next;
        }
        let tail = self.tail_of_fork(last);
        let more = tail.map_or(&[][..], |(bodies, _)| bodies).iter().map(Vec::as_slice);
        let count = last - have + more.len() as u64;
        let size = size + more.clone().map(<[u8]>::len).sum::<usize>();
        let bodies = (first..=last).filter_map(|seq| self.body(seq)).chain(more);
        let small = size <= PACK_BYTES_EACH.saturating_mul(count as usize);
        let bodies: Vec<&[u8]> = bodies.collect();
        let packs = count >= PACK_FROM && small && self.document != Document::Programme;
        let bodies = if !packs {
            Bodies::Plain(bodies.into_iter().map(|body| body.to_vec().into()).collect())
        } else {
            let implied = self.run(first).leave_out(&bodies);
            let (mut bytes, count) = (Vec::new(), count as u32);
            match implied {
                Some(left) => {
                    bundle::pack(&mut left.iter().map(Vec::as_slice), &mut bytes);
                    Bodies::Implied { count, bytes: bytes.into() }
                }
                None => {
                    bundle::pack(&mut bodies.into_iter(), &mut bytes);
                    Bodies::Packed { count, bytes: bytes.into() }
                }
            }
        };
        let kept = self.signatures.range(first..=last).map(|(seq, signature)| (seq - first, *signature));
        let signatures = kept
            .chain(tail.map(|(_, signature)| (count - 1, signature)))
            .map(|(offset, signature)| Vouch { offset: offset as u32, signature })
            .collect();
        Some(Range { chain: self.id, first, bodies, signatures })
    }

    /// Bytes of the bodies after the `have`-th entry, up to the `last`-th.
    pub(crate) fn bytes_between(&self, have: u64, last: u64) -> usize {
        let end = |seq: u64| match usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1)) {
            Some(index) => self.ends.get(index).map_or(0, |end| *end as usize),
            None => 0,
        };
        end(last).saturating_sub(end(have))
    }
}
