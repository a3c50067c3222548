//! Works out a contested lot: which of several spends of one unit counts. The result depends on the set of spends
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Act, Claim, Deed};
use super::{LotState, Outcome, Parcel, Precedence};
use crate::id::{DeviceId, Ref};
use crate::units::UnitSet;

/// What a spend does with its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendKind {
    /// They become a parcel, named by the spend.
    Parcel,
    /// Sold and handed over.
    Sold,
    /// Sold for pickup.
    Committed,
    /// Out of sale.
    Damaged,
}

/// A valid spend.
#[derive(Debug, Clone)]
pub struct Spend {
    /// The entry.
    pub entry: Ref,
    /// Its author.
    pub author: DeviceId,
    /// Which of two spends comes first.
    pub precedence: Precedence,
    /// What it does.
    pub kind: SpendKind,
    /// Parcels and units.
    pub lines: Vec<(Ref, UnitSet)>,
}

/// A lot, worked out.
#[derive(Debug, Default)]
pub struct Settled {
    /// What is left in each of its parcels.
    pub free: BTreeMap<Ref, UnitSet>,
    /// What became of the rest.
    pub outcome: BTreeMap<DeviceId, Outcome>,
    /// Spends that lost units to an earlier one: in words, and, of a sale, which units by parcel.
    pub lost: BTreeMap<Ref, (String, Option<BTreeMap<Ref, UnitSet>>)>,
}

/// The refunds of a claim that draw on what it has of a parcel, in order, and whether what they take back is damaged.
fn refunds_of<'a>(
    claims: &'a BTreeMap<Ref, Claim>,
    claim: &Ref,
    parcel: &'a Ref,
) -> impl Iterator<Item = (&'a Act, &'a UnitSet, bool)> {
    claims.get(claim).into_iter().flat_map(Claim::valid).filter_map(move |act| match &act.deed {
        Deed::Refund { units, damaged, .. } => Some((act, units.get(parcel)?, *damaged)),
        Deed::Custody { .. } | Deed::Redeem { .. } => None,
    })
}

/// Works out `lot`. A parcel is settled once every parcel that it was made from is; in each, spends take their units in
/// order of precedence.
pub fn settle(
    lot: &Ref,
    lots: &BTreeMap<Ref, LotState>,
    parcels: &BTreeMap<Ref, Parcel>,
    spends: &[Spend],
    claims: &BTreeMap<Ref, Claim>,
) -> Settled {
    let mut settled = Settled::default();
    let Some(state) = lots.get(lot) else { return settled };
    let of_lot = |parcel: &Ref| parcels.get(parcel).is_some_and(|parcel| parcel.lot == *lot);
    let mut by_parcel: BTreeMap<Ref, Vec<(&Spend, &UnitSet)>> = BTreeMap::new();
    let mut sources: BTreeMap<Ref, BTreeSet<Ref>> = BTreeMap::new();
    for spend in spends {
        for (parcel, units) in spend.lines.iter().filter(|(parcel, _)| of_lot(parcel)) {
            by_parcel.entry(*parcel).or_default().push((spend, units));
            if spend.kind == SpendKind::Parcel {
                sources.entry(spend.entry).or_default().insert(*parcel);
            }
            for (refund, _, _) in refunds_of(claims, &spend.entry, parcel).filter(|(_, _, damaged)| !damaged)
            {
                sources.entry(refund.entry).or_default().insert(*parcel);
            }
        }
    }
    let mut granted: BTreeMap<Ref, UnitSet> = BTreeMap::from([(*lot, state.units.clone())]);
    // What a refund that does not count took back is a parcel of nothing, which may be drawn on all the same.
    let mut ready: Vec<Ref> =
        by_parcel.keys().filter(|parcel| !sources.contains_key(parcel)).copied().collect();
    if !ready.contains(lot) {
        ready.push(*lot);
    }
    while let Some(parcel) = ready.pop() {
        let mut free = granted.remove(&parcel).unwrap_or_default();
        let mut drawn = by_parcel.remove(&parcel).unwrap_or_default();
        drawn.sort_by_key(|(spend, _)| (spend.precedence, spend.entry));
        for (spend, units) in drawn {
            let grant = free.intersection(units);
            free.remove_all(&grant);
            let missed = units.difference(&grant);
            if !missed.is_empty() {
                let text = format!(
                    "units {missed} of {} were spent twice; {} by {} came second",
                    state.sku,
                    spend.entry,
                    spend.author.short()
                );
                let sale = matches!(spend.kind, SpendKind::Sold | SpendKind::Committed);
                let entry = settled.lost.entry(spend.entry).or_insert((text, sale.then(BTreeMap::new)));
                if let Some(lost) = &mut entry.1 {
                    lost.insert(parcel, missed);
                }
            }
            let mut made = |entry: Ref, units: &UnitSet| {
                granted.entry(entry).or_default().insert_all(units);
                let done = sources.get_mut(&entry).is_some_and(|sources| {
                    sources.remove(&parcel);
                    sources.is_empty()
                });
                if done {
                    ready.push(entry);
                }
            };
            match spend.kind {
                SpendKind::Damaged => {
                    settled.outcome.entry(spend.author).or_default().damaged += grant.len();
                }
                SpendKind::Parcel => made(spend.entry, &grant),
                SpendKind::Sold | SpendKind::Committed => {
                    let mut left = grant;
                    for (refund, units, damaged) in refunds_of(claims, &spend.entry, &parcel) {
                        let taken = left.intersection(units);
                        left.remove_all(&taken);
                        if damaged {
                            settled.outcome.entry(refund.author).or_default().damaged += taken.len();
                        } else {
                            made(refund.entry, &taken);
                        }
                    }
                    let outcome = settled.outcome.entry(spend.author).or_default();
                    if claims.get(&spend.entry).is_some_and(Claim::is_handed_out) {
                        outcome.sold += left.len();
                    } else {
                        outcome.committed += left.len();
                    }
                }
            }
        }
        settled.free.insert(parcel, free);
    }
    settled
}
