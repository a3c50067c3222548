//! Receipts: one for each sale and each refund, numbered from 1 on each device without gaps, each with the hash of the
//! one before.
//!
//! A receipt's contents are the record that carries it. Its hash is the first 16 bytes of the SHA-256 of the canonical
//! CBOR of `[event, device, [chain, seq], record]`, where `record` is the record's CBOR as a byte string: time, lines,
//! payments, tax, and its own number and the hash before it. So the last hash of a device stands for all receipts before
//! it, on whatever documents and in whatever lives it wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use sha2::{Digest, Sha256};

use crate::id::{DeviceId, EventId, ReceiptHash, Ref};
use crate::record::{Body, Record};

/// A receipt's number, and the hash of its device's receipt before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReceiptLink {
    /// From 1.
    #[n(0)]
    pub number: u64,
    /// Absent in the first.
    #[n(1)]
    pub previous: Option<ReceiptHash>,
}

impl ReceiptLink {
    /// The first of a device.
    pub const FIRST: Self = Self { number: 1, previous: None };

    /// The receipt of a record, if it has one.
    pub fn of(record: &Record) -> Option<Self> {
        match &record.body {
            Body::Sale(sale) => Some(sale.receipt),
            Body::Refund(refund) => Some(refund.receipt),
            _ => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let fits = self.number > 0 && self.previous.is_some() == (self.number > 1);
        if fits { Ok(()) } else { Err("an impossible receipt number") }
    }
}

/// The hash of a receipt: of the record with these bytes, which is `entry` of `device`.
pub fn hash(event: &EventId, device: &DeviceId, entry: &Ref, record: &[u8]) -> ReceiptHash {
    let mut contents = Vec::with_capacity(128 + record.len());
    let record: &minicbor::bytes::ByteSlice = record.into();
    // Writing to a Vec cannot fail, and no encoder of these types has an error of its own.
    let _ = minicbor::encode((event, device, entry, record), &mut contents);
    let digest: [u8; 32] = Sha256::digest(&contents).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    ReceiptHash(half)
}

/// Where the receipts of one device are, and what does not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    known: BTreeSet<(u64, Ref)>,
    /// How many different numbers.
    numbers: u64,
    twice: BTreeSet<u64>,
    unlinked: BTreeSet<(u64, Ref)>,
    /// The hash of the receipt with the highest number, if there is one such only: what the next one names, mostly.
    tip: Option<(u64, ReceiptHash)>,
}

impl Run {
    /// The entries that carry this number: more than one if the device was restored or copied.
    pub fn at(&self, number: u64) -> impl Iterator<Item = Ref> {
        self.known.range((number, LEAST)..=(number, GREATEST)).map(|(_, entry)| *entry)
    }

    /// Every receipt, the highest number first; those after one of them.
    pub fn newest(&self, after: Option<(u64, Ref)>) -> impl Iterator<Item = (u64, Ref)> {
        let before = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.known.range((Bound::Unbounded, before)).rev().copied()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// The highest number.
    pub fn last(&self) -> u64 {
        self.known.last().map_or(0, |(number, _)| *number)
    }

    /// Numbers up to the last that are not here. On another device they may be on their way.
    pub fn missing(&self) -> u64 {
        self.last() - self.numbers
    }

    /// Numbers that are there more than once.
    pub fn twice(&self) -> impl Iterator<Item = u64> {
        self.twice.iter().copied()
    }

    /// Whether a number is there more than once.
    pub fn is_twice(&self, number: u64) -> bool {
        self.twice.contains(&number)
    }

    /// Receipts of a number that do not follow from the one before.
    pub fn unlinked_at(&self, number: u64) -> impl Iterator<Item = Ref> {
        self.unlinked.range((number, LEAST)..=(number, GREATEST)).map(|(_, entry)| *entry)
    }

    /// Receipts that do not follow from the one before.
    pub fn unlinked(&self) -> impl Iterator<Item = (u64, Ref)> {
        self.unlinked.iter().copied()
    }

    /// Whether anything is proven wrong.
    pub fn is_broken(&self) -> bool {
        !self.twice.is_empty() || !self.unlinked.is_empty()
    }
}

const LEAST: Ref = Ref { chain: crate::id::ChainId([0; 16]), seq: 0 };
const GREATEST: Ref = Ref { chain: crate::id::ChainId([0xff; 16]), seq: u64::MAX };

/// The receipts of all devices: a function of the set of records, in whatever order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    runs: BTreeMap<DeviceId, Run>,
}

impl Receipts {
    /// Each device's.
    pub fn runs(&self) -> impl Iterator<Item = (&DeviceId, &Run)> {
        self.runs.iter()
    }

    /// A device's.
    pub fn of(&self, device: &DeviceId) -> Option<&Run> {
        self.runs.get(device)
    }

    /// Takes in a receipt of `device`: its link, its hash and its entry. `look` finds the link and the hash of another one
    /// by its entry. Whether something new is proven wrong by it.
    pub fn take(
        &mut self,
        device: DeviceId,
        (link, hash): (ReceiptLink, ReceiptHash),
        entry: Ref,
        look: impl Fn(&Ref) -> Option<(ReceiptLink, ReceiptHash)>,
    ) -> bool {
        let run = self.runs.entry(device).or_default();
        let (number, last) = (link.number, run.last());
        if run.tip.is_some_and(|(tip, previous)| {
            tip == last && last.checked_add(1) == Some(number) && link.previous == Some(previous)
        }) {
            // In order and linked, as nearly all are: nothing need be read again.
            run.known.insert((number, entry));
            run.numbers += 1;
            run.tip = Some((number, hash));
            return false;
        }
        let before = (run.twice.len(), run.unlinked.len());
        let others = run.at(number).count();
        if !run.known.insert((number, entry)) {
            return false;
        }
        if others > 0 {
            run.twice.insert(number);
        } else {
            run.numbers += 1;
        }
        if number > last {
            run.tip = Some((number, hash));
        } else if number == last {
            run.tip = None;
        }
        // What follows the number is looked at again: it may follow from this one.
        for number in [number, number.saturating_add(1)] {
            let earlier: Vec<ReceiptHash> =
                run.at(number.saturating_sub(1)).filter_map(|entry| Some(look(&entry)?.1)).collect();
            let here: Vec<Ref> = run.at(number).collect();
            for entry in here {
                let previous = look(&entry).and_then(|(link, _)| link.previous);
                let fits = earlier.is_empty() || previous.is_some_and(|hash| earlier.contains(&hash));
                if fits {
                    run.unlinked.remove(&(number, entry));
                } else {
                    run.unlinked.insert((number, entry));
                }
            }
        }
        run.twice.len() > before.0 || run.unlinked.len() > before.1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::ChainId;

    const TILL: DeviceId = DeviceId([1; 32]);

    fn entry(seq: u64) -> Ref {
        Ref { chain: ChainId([2; 16]), seq }
    }

    fn hash_of(seq: u64) -> ReceiptHash {
        ReceiptHash([seq as u8; 16])
    }

    /// Receipts by entry: the number, and the entry that is named as the one before.
    fn taken(receipts: &[(u64, Option<u64>)], order: &[usize]) -> Receipts {
        let link = |at: usize| {
            let (number, previous) = receipts[at];
            ReceiptLink { number, previous: previous.map(hash_of) }
        };
        let mut view = Receipts::default();
        for at in order {
            let known = |entry: &Ref| Some((link(entry.seq as usize), hash_of(entry.seq)));
            view.take(TILL, (link(*at), hash_of(*at as u64)), entry(*at as u64), known);
        }
        // What is kept to save work is no part of what is seen.
        view.runs.values_mut().for_each(|run| run.tip = None);
        view
    }

    #[test]
    fn gaps_doubles_and_broken_links_show() {
        let all = |receipts: &[(u64, Option<u64>)]| {
            let order: Vec<usize> = (0..receipts.len()).collect();
            taken(receipts, &order).of(&TILL).cloned().unwrap()
        };
        let good = all(&[(1, None), (2, Some(0)), (3, Some(1))]);
        assert_eq!((good.count(), good.last(), good.missing(), good.is_broken()), (3, 3, 0, false));
        let gap = all(&[(1, None), (3, Some(9))]);
        assert_eq!((gap.missing(), gap.is_broken()), (1, false));
        let twice = all(&[(1, None), (2, Some(0)), (2, Some(0)), (3, Some(2))]);
        assert_eq!((twice.twice().collect::<Vec<_>>(), twice.unlinked().count()), (vec![2], 0));
        let unlinked = all(&[(1, None), (2, Some(9)), (3, Some(1))]);
        assert_eq!(unlinked.unlinked().collect::<Vec<_>>(), [(2, entry(1))]);
    }

    proptest! {
        #[test]
        fn the_order_in_which_receipts_come_does_not_matter(
            receipts in prop::collection::vec((1u64..6, prop::option::of(0u64..8)), 1..8),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        ) {
            let usual: Vec<usize> = (0..receipts.len()).collect();
            let mut other: Vec<usize> = order.iter().map(|at| at.index(receipts.len())).collect();
            // Some come twice; all come in the end.
            other.extend(&usual);
            prop_assert_eq!(taken(&receipts, &usual), taken(&receipts, &other));
        }
    }

    #[test]
    fn a_hash_covers_all_of_a_receipt() {
        let (event, other) = (EventId([3; 32]), EventId([4; 32]));
        let hashes = BTreeSet::from([
            hash(&event, &TILL, &entry(1), b"record"),
            hash(&other, &TILL, &entry(1), b"record"),
            hash(&event, &DeviceId([9; 32]), &entry(1), b"record"),
            hash(&event, &TILL, &entry(2), b"record"),
            hash(&event, &TILL, &entry(1), b"recorc"),
        ]);
        assert_eq!(hashes.len(), 5);
    }
}
