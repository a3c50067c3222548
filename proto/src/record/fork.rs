//! Proof that a device has written two entries with one number: two histories of one life.

use minicbor::bytes::ByteVec;

use crate::bundle;
use crate::id::{ChainId, Hash};
use crate::identity::Signature;

/// The most entries of one branch: from where it parts to one that is signed.
pub const MAX_BRANCH: usize = 1024;
/// The most bytes that the entries of one branch may inflate to.
const MAX_BRANCH_BYTES: usize = 1 << 20;
/// The most changes of the programme that one record says were dropped.
pub const MAX_DROPPED: usize = 1024;

/// Proof, made of the author's own signatures, that a life has two histories. It can be checked by whoever has the charter
/// and nothing else: each branch leads from `previous` to an entry that its author has signed, and the two part at `seq`.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Fork {
    /// The life, in one document.
    #[n(0)]
    pub chain: ChainId,
    /// The first number that two entries have. From there on, nothing of the life counts.
    #[n(1)]
    pub seq: u64,
    /// The hash of the entry before, which both branches follow; absent if there is none, and in the programme, where
    /// each entry is signed.
    #[n(2)]
    pub previous: Option<Hash>,
    /// How the chain begins: its first entry, with its author's certificate.
    #[n(3)]
    pub start: ByteVec,
    /// The two histories.
    #[n(4)]
    pub branches: [Branch; 2],
    /// Changes of the programme that the author of this record had taken for good and has dropped: what depends on them
    /// waits for nothing.
    #[n(5)]
    pub dropped: Vec<Hash>,
}

/// Entries of one history, from where it parts to one that is signed.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Branch {
    /// How many.
    #[n(0)]
    pub count: u32,
    /// Their bodies, packed by [`crate::bundle`].
    #[n(1)]
    pub bodies: ByteVec,
    /// The signature of the last.
    #[n(2)]
    pub signature: Signature,
}

impl Branch {
    /// Packs the bodies of a branch; `None` if there are too many.
    pub(crate) fn of(bodies: &[Vec<u8>], signature: Signature) -> Option<Self> {
        let bytes: usize = bodies.iter().map(Vec::len).sum();
        if bodies.is_empty() || bodies.len() > MAX_BRANCH || bytes > MAX_BRANCH_BYTES {
            return None;
        }
        let mut packed = Vec::new();
        bundle::pack(&mut bodies.iter().map(Vec::as_slice), &mut packed);
        Some(Self { count: bodies.len() as u32, bodies: packed.into(), signature })
    }

    /// The bodies, unpacked within bounds; `None` if they are not what they say.
    pub(crate) fn unpack(&self) -> Option<Vec<Vec<u8>>> {
        let count = usize::try_from(self.count).ok().filter(|count| (1..=MAX_BRANCH).contains(count))?;
        let unpacked = bundle::unpack(&self.bodies, count, MAX_BRANCH_BYTES).ok()?;
        Some(unpacked.iter().map(<[u8]>::to_vec).collect())
    }
}

impl Fork {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        let counts = self.branches.iter().all(|branch| (1..=MAX_BRANCH as u32).contains(&branch.count));
        match self.seq >= 1 && counts && self.dropped.len() <= MAX_DROPPED {
            true => Ok(()),
            false => Err("branches that are too long, or empty"),
        }
    }
}
