//! Sums up a set of heads of chains, so that two devices find out in 32 bytes whether they have the same.
//!
//! The authors of chains choose their hashes, within what they can try; so sums must be such that nobody finds a set of heads
//! that adds nothing, or the same as another. The exclusive or of 256-bit hashes is not: with 257 of them it is linear
//! algebra. Nor are sums of as few bits (Wagner, "A generalized birthday problem", CRYPTO 2002). This is LtHash, sums of 16 bits
//! side by side (Lewi, Kim, Maykov, Weis, "Securing Update Propagation with Homomorphic Hashing", IACR ePrint 2019/227), with 256 of
//! them, 4,096 bits in all. Against these Wagner's attack takes 2^128 steps and 2^64 heads in one log; with the 2^24 heads that
//! there may be in one at the very most, 2^160 steps. (The paper has 1,024 sums, for 200 bits against lists of any length.)
//!
//! The hash of a head covers its chain's id and length. It is the key by which ChaCha20 makes one number for each sum. What goes
//! over the wire is SHA-256 of the sums.

use std::collections::BTreeMap;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};

use crate::id::{ChainId, Hash};

/// How many sums of 16 bits there are.
const LANES: usize = 256;
/// Of so many chains that changed last what they add is kept: it is taken away when they change again. 512 bytes each.
const KEPT: usize = 64;

type Lanes = [u16; LANES];

/// What a chain adds whose last entry has this hash.
fn expanded(head: &Hash) -> Lanes {
    let mut bytes = [0; LANES * 2];
    ChaCha20::new(&head.0.into(), &[0; 12].into()).apply_keystream(&mut bytes);
    let mut lanes = [0; LANES];
    let (pairs, _) = bytes.as_chunks::<2>();
    lanes.iter_mut().zip(pairs).for_each(|(lane, pair)| *lane = u16::from_le_bytes(*pair));
    lanes
}

/// A change that is not in the sums yet: what the chain had added, and what it adds now.
#[derive(Debug, Clone, Copy)]
struct Change {
    was: Option<Hash>,
    is: Option<Hash>,
}

/// The sums of a set of heads of chains. Changes are gathered, and added when somebody asks: an entry costs next to nothing.
#[derive(Debug)]
pub(super) struct SetHash {
    lanes: Lanes,
    /// Of the lanes as they are, if nobody has changed them since.
    digest: Option<[u8; 32]>,
    changes: BTreeMap<ChainId, Change>,
    kept: BTreeMap<ChainId, (Hash, Lanes)>,
    /// How many heads were worked into the sums.
    worked: u64,
}

impl Default for SetHash {
    fn default() -> Self {
        let (changes, kept) = (BTreeMap::new(), BTreeMap::new());
        Self { lanes: [0; LANES], digest: None, changes, kept, worked: 0 }
    }
}

impl SetHash {
    /// A chain whose head was that, or that was not in the set, has this head now, or is in it no more.
    pub(super) fn change(&mut self, chain: ChainId, was: Option<Hash>, is: Option<Hash>) {
        self.changes.entry(chain).or_insert(Change { was, is }).is = is;
    }

    /// How many heads were worked into the sums so far, or out of them: what this costs.
    pub(super) fn worked(&self) -> u64 {
        self.worked
    }

    /// Tells this set from any other.
    pub(super) fn digest(&mut self) -> [u8; 32] {
        for (chain, Change { was, is }) in std::mem::take(&mut self.changes) {
            if was != is {
                self.digest = None;
                self.worked += 1;
                self.take_away(&chain, was);
                self.add(chain, is);
            }
        }
        let lanes = &self.lanes;
        *self.digest.get_or_insert_with(|| {
            let mut bytes = [0; LANES * 2];
            let (pairs, _) = bytes.as_chunks_mut::<2>();
            pairs.iter_mut().zip(lanes.iter()).for_each(|(pair, lane)| *pair = lane.to_le_bytes());
            Sha256::new().chain_update(b"popmesh set v1").chain_update(bytes).finalize().into()
        })
    }

    fn take_away(&mut self, chain: &ChainId, was: Option<Hash>) {
        let kept = self.kept.remove(chain);
        let Some(was) = was else { return };
        let adds = kept.filter(|(head, _)| *head == was).map(|(_, adds)| adds);
        let adds = adds.unwrap_or_else(|| expanded(&was));
        self.lanes.iter_mut().zip(adds.iter()).for_each(|(sum, lane)| *sum = sum.wrapping_sub(*lane));
    }

    fn add(&mut self, chain: ChainId, is: Option<Hash>) {
        let Some(is) = is else { return };
        let adds = expanded(&is);
        self.lanes.iter_mut().zip(adds.iter()).for_each(|(sum, lane)| *sum = sum.wrapping_add(*lane));
        if self.kept.len() >= KEPT {
            // Ids are drawn at random: whichever goes is as good as any.
            self.kept.pop_first();
        }
        self.kept.insert(chain, (is, adds));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(heads: &[(u8, u8)]) -> [u8; 32] {
        let mut set = SetHash::default();
        for (chain, hash) in heads {
            set.change(ChainId([*chain; 16]), None, Some(Hash([*hash; 32])));
        }
        set.digest()
    }

    /// What goes over the wire: another build must reckon the same.
    #[test]
    fn the_digests_are_these() {
        assert_eq!(hex::encode(of(&[])), "cbd2e086c419e6db3bb057f181f1ede5fd640b835c84d024f62f4681fbcc3858");
        assert_eq!(
            hex::encode(of(&[(1, 1), (2, 9)])),
            "662dff2d1a72a1f9a14cf593c8eed6ef2a42cf605ae20cd2cd8f9a72b8d0abe9"
        );
    }

    /// Hashes whose exclusive or is zero.
    #[test]
    fn hashes_that_cancel_out_add_something() {
        assert_ne!(of(&[(1, 1), (2, 2), (3, 3)]), of(&[]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The digest is of the set alone: whatever the way to it, and however often somebody asked on the way.
        #[test]
        fn the_way_does_not_matter(steps in proptest::collection::vec((0u8..100, 0u8..4, any::<bool>()), 0..200)) {
            let mut set = SetHash::default();
            let mut now = BTreeMap::new();
            for (chain, hash, asks) in steps {
                let is = (hash > 0).then_some(Hash([chain ^ (hash << 6); 32]));
                let was = match is {
                    Some(is) => now.insert(chain, is),
                    None => now.remove(&chain),
                };
                set.change(ChainId([chain; 16]), was, is);
                if asks {
                    set.digest();
                }
            }
            let heads: Vec<(u8, u8)> = now.iter().rev().map(|(chain, hash)| (*chain, hash.0[0])).collect();
            prop_assert_eq!(set.digest(), of(&heads));
        }
    }
}
