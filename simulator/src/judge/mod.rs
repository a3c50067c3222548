//! What is true of stock and claims, by rules that are written down here a second time: slow, unit by unit, from nothing.
//!
//! The product keeps its views up to date with each entry, in sums and sets, and works out again what an entry changes. Here a
//! unit is followed from its mint through whatever names it, and a claim through the deeds about it, each time anew. The two
//! share how a record is read, and nothing of what it means: a rule that one of them has wrong is a difference.
//!
//! The rules (`docs/design.md` has them by their reasons):
//! 1. What a retired device wrote after its retirement counts for nothing; who was retired is in [`retired`].
//! 2. A parcel is what a mint, a gift, a move, an inheritance or a refund made: its holder alone spends from it, or the heir of
//!    a retired one. What is of another drop than the document, or mixes lots, counts for nothing.
//! 3. Of those that spend one unit of one parcel the earliest by hybrid time, then by hash, has it, if it ever came there.
//! 4. A claim is its custodian's: the seller's or the device's it is to be picked up at, until that gives it away. See
//!    [`claims`].

mod claims;
mod compare;
mod retired;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::clock::Hlc;
use popmesh_proto::id::{ChainId, DeviceId, Hash, Ref};
use popmesh_proto::log::Log;
use popmesh_proto::record::Record;
use popmesh_proto::text::{DropId, Place};

pub use compare::{About, Difference, compare};

/// One unit: its lot, and its serial.
pub type Unit = (Ref, u32);

/// Which of two comes first.
type Order = (Hlc, Hash, Ref);

/// An entry that somebody has written, as far as it bears on this.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where it stands.
    pub entry: Ref,
    /// Who wrote it.
    pub author: DeviceId,
    /// Its hash.
    pub hash: Hash,
    /// The drop of its document; none in `devices`.
    pub drop: Option<DropId>,
    /// What it says.
    pub record: Record,
}

impl Written {
    fn order(&self) -> Order {
        (self.record.at, self.hash, self.entry)
    }
}

/// Where a unit has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Somebody may sell it.
    Held {
        /// By what it came there.
        parcel: Ref,
        /// Who.
        holder: DeviceId,
        /// Where it lies.
        place: Place,
    },
    /// It was sold.
    Claimed {
        /// By which sale.
        claim: Ref,
    },
    /// It is out of sale.
    Damaged,
}

/// How a claim stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    /// The one device that may hand it out or take it back.
    pub custodian: DeviceId,
    /// What handed it out, if something did: its sale, or a redemption.
    pub handed_out: Option<Ref>,
    /// The refunds that count, in their order, and what they took back.
    pub refunds: Vec<(Ref, BTreeSet<(Ref, u32)>)>,
    /// What it is still for, as its sale named it: parcels and serials.
    pub left: BTreeSet<(Ref, u32)>,
}

/// A device that was retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The retirement.
    pub entry: Ref,
    /// Its heir.
    pub by: DeviceId,
    /// How much of each of its chains counts.
    pub upto: BTreeMap<ChainId, u64>,
}

/// What is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Where each unit has gone.
    pub units: BTreeMap<Unit, Fate>,
    /// How each claim stands.
    pub claims: BTreeMap<Ref, Stands>,
    /// Who was retired.
    pub retired: BTreeMap<DeviceId, Gone>,
}

/// A fault of the judge's own, to see that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has no fault.
    None,
    /// It takes what retired devices wrote late for good.
    LateCounts,
    /// Of two that spend one unit it takes the later to have it.
    LaterHasIt,
}

/// What follows from these entries, whatever their order; those of one chain are in theirs.
pub fn truth(written: &[Written], fault: Fault) -> Truth {
    let retired = retired::retired(written);
    let counts = |one: &&Written| {
        let late = retired
            .get(&one.author)
            .is_some_and(|gone| gone.upto.get(&one.entry.chain).is_none_or(|upto| one.entry.seq > *upto));
        !late || fault == Fault::LateCounts
    };
    let counted: Vec<&Written> = written.iter().filter(|one| one.drop.is_some()).filter(counts).collect();
    let stock = stock::Stock::of(&counted, &retired, fault);
    let claims = claims::claims(&counted, &stock, &retired);
    let units = stock.fates(&claims);
    Truth { units, claims, retired }
}

/// Everything in a log that bears on stock and claims.
pub fn written_in(log: &Log) -> Vec<Written> {
    let mut written = Vec::new();
    for chain in log.chains() {
        let drop = chain.document.drop().cloned();
        if drop.is_none() && chain.document != popmesh_proto::document::Document::Devices {
            continue;
        }
        for seq in 1..=chain.len() {
            let Some(Ok(record)) = chain.body(seq).map(Record::decode) else { continue };
            let Some(hash) = chain.hash(seq).copied() else { continue };
            let entry = Ref { chain: chain.id, seq };
            written.push(Written { entry, author: chain.device, hash, drop: drop.clone(), record });
        }
    }
    written
}
