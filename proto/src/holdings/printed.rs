//! Serials that are printed on units: those of numbered lots, by SKU and edition, over all drops. No two of these lots
//! should have a serial in common. Devices refuse to mint what they know of; two hqs that are cut off from each other
//! cannot know.
//!
//! A serial that several lots print is *doubled*. Of its copies one at most stays for sale: that of the lot that was
//! minted first (by hybrid time, then hash), and not even that while another copy is sold. The others are *frozen*: left
//! with their holders, in nobody's sale, until somebody takes them out as damaged. Serials that no other lot prints are
//! for sale as ever, in all lots.
//!
//! Example: hq A minted 1 to 20 at 18:00, hq B 11 to 30 at 18:01, and a till that knew B alone has sold 15 of B. Then 11
//! to 20 of B are frozen, except for 15, which is gone; so is 15 of A. B's 21 to 30 and the rest of A are for sale. If
//! A's 15 had been sold as well, both sales would stand, and an incident would name them.

use std::collections::{BTreeMap, BTreeSet};

use super::spans::Spans;
use super::{Holdings, LotState, Precedence, Told};
use crate::id::Ref;
use crate::planted::Planted;
use crate::text::{DropId, Edition, Sku};
use crate::units::UnitSet;

/// Which lots, and which claims, have which serials of one SKU and edition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Run {
    /// Lots, the earliest first.
    lots: Spans<(Precedence, Ref)>,
    /// Of doubled serials: the lots and claims in which they are sold, those of the earliest lot first.
    sold: Spans<(Precedence, Ref, Ref)>,
}

/// Serials that are printed, and what is wrong with them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Printed {
    runs: BTreeMap<(Sku, Option<Edition>), Run>,
    /// By claim and lot: the doubled serials that it has.
    claims: BTreeMap<Ref, BTreeMap<Ref, UnitSet>>,
    /// By lot: it prints what an earlier one does.
    minted_again: BTreeMap<Ref, String>,
    /// By claim: it has a serial that another claim has of an earlier lot.
    sold_again: BTreeMap<Ref, String>,
    any: bool,
}

impl Printed {
    /// What is wrong, by the entry that it is named with: a mint, or a sale.
    pub(super) fn incidents(&self) -> impl Iterator<Item = (Ref, &str)> {
        let all = self.minted_again.iter().chain(&self.sold_again);
        all.map(|(entry, text)| (*entry, text.as_str()))
    }
}

/// Serials that a lot prints already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The lot.
    pub lot: Ref,
    /// Its drop.
    pub drop: DropId,
    /// Which serials.
    pub units: UnitSet,
    /// The lowest serial above all that are printed of this SKU and edition; none if there is none.
    pub next_free: Option<u32>,
}

impl LotState {
    fn run(&self) -> (Sku, Option<Edition>) {
        (self.sku.clone(), self.edition.clone())
    }

    /// The serials of `units`, as people read them.
    fn in_words(&self, units: &UnitSet) -> String {
        match &self.edition {
            Some(edition) => format!("serials {units} of {} {edition}", self.sku),
            None => format!("serials {units} of {}", self.sku),
        }
    }
}

impl Holdings {
    /// The first lot of this SKU and edition that prints some of `units`, in whatever drop.
    pub fn prints(&self, sku: &Sku, edition: Option<&Edition>, units: &UnitSet) -> Option<Overlap> {
        let run = self.printed.runs.get(&(sku.clone(), edition.cloned()))?;
        let (_, lots) = run.lots.touching(units).next()?;
        let (_, lot) = lots.first()?;
        let state = self.lots.get(lot)?;
        Some(Overlap {
            lot: *lot,
            drop: state.drop.clone(),
            units: state.units.intersection(units),
            next_free: run.lots.next_free(),
        })
    }

    /// Takes in which serials a lot prints.
    pub(super) fn print(&mut self, lot: &Ref) {
        let Some(state) = self.lots.get(lot) else { return };
        if !state.numbered || self.plant.has(Planted::PrintTwice) {
            return;
        }
        let (units, key, name) = (state.units.clone(), state.run(), (state.precedence, *lot));
        let run = self.printed.runs.entry(key.clone()).or_default();
        run.lots.insert(&units, &name);
        let mut doubled: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        let mut steps = 0;
        for (part, lots) in run.lots.touching(&units).filter(|(_, lots)| lots.len() > 1) {
            steps += lots.len();
            for (_, of) in lots {
                doubled.entry(*of).or_default().insert_all(&part);
            }
        }
        self.steps.add(steps);
        let Some(all) = doubled.get(lot).cloned() else { return };
        self.printed.any = true;
        let mut claims = BTreeSet::new();
        for (of, units) in &doubled {
            let Some(state) = self.lots.get_mut(of) else { continue };
            let new = units.difference(&state.doubled);
            state.doubled.insert_all(&new);
            claims.extend(self.whereabouts(of, &new).sold.into_iter().map(|(claim, _)| claim));
        }
        for claim in claims {
            self.note_sold(&claim);
        }
        self.freeze(&key, &all);
        doubled.keys().for_each(|lot| self.note_minted_again(lot));
    }

    /// Works out which of these serials are frozen, in all lots that have them.
    fn freeze(&mut self, key: &(Sku, Option<Edition>), units: &UnitSet) {
        let Some(run) = self.printed.runs.get(key) else { return };
        let mut frozen: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        let mut steps = 0;
        for (part, lots) in run.lots.touching(units).filter(|(_, lots)| lots.len() > 1) {
            let sold: Vec<(UnitSet, BTreeSet<Ref>)> = run
                .sold
                .touching(&part)
                .map(|(part, sold)| (part, sold.iter().map(|(_, lot, _)| *lot).collect()))
                .collect();
            steps += lots.len() + sold.len();
            for (index, (_, lot)) in lots.iter().enumerate() {
                let of_lot = frozen.entry(*lot).or_default();
                if index > 0 {
                    of_lot.insert_all(&part);
                    continue;
                }
                for (part, _) in sold.iter().filter(|(_, lots)| lots.iter().any(|other| other != lot)) {
                    of_lot.insert_all(part);
                }
            }
        }
        self.steps.add(steps);
        for (lot, now) in frozen {
            let Some(state) = self.lots.get_mut(&lot) else { continue };
            let before = state.frozen.intersection(units);
            let changed = before.difference(&now).union(&now.difference(&before));
            state.frozen.remove_all(&before);
            state.frozen.insert_all(&now);
            if !changed.is_empty() {
                for (parcel, _) in self.whereabouts(&lot, &changed).left {
                    self.change(&parcel, |_| {});
                }
            }
        }
    }

    /// Says in words which serials of a lot an earlier one prints.
    fn note_minted_again(&mut self, lot: &Ref) {
        let Some(state) = self.lots.get(lot) else { return };
        let Some(run) = self.printed.runs.get(&state.run()) else { return };
        let name = (state.precedence, *lot);
        let mut again = UnitSet::default();
        let mut before = BTreeSet::new();
        for (part, lots) in run.lots.touching(&state.doubled) {
            let earlier: Vec<_> = lots.iter().take_while(|of| **of < name).collect();
            if !earlier.is_empty() {
                again.insert_all(&part);
                before.extend(earlier);
            }
        }
        if again.is_empty() {
            self.printed.minted_again.remove(lot);
            return;
        }
        let before: Vec<String> = before
            .into_iter()
            .filter_map(|(_, lot)| Some(format!("lot {lot} in {}", self.lots.get(&lot)?.drop)))
            .collect();
        let text = format!(
            "{} were minted twice: as lot {lot} in {}, and before as {}; what is unsold of the later lot is frozen",
            state.in_words(&again),
            state.drop,
            before.join(" and ")
        );
        if self.printed.minted_again.insert(*lot, text.clone()).is_none() {
            self.told.push(Told::PrintedTwice(text));
        }
    }

    /// What a claim has may have changed, or which serials are doubled.
    pub(super) fn note_sold(&mut self, claim: &Ref) {
        if !self.printed.any {
            return;
        }
        let mut now: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        let standing = self.claims.get(claim).and_then(|known| known.standing(*claim));
        for (parcel, units) in standing.iter().flat_map(|standing| &standing.left) {
            let Some(lot) = self.parcels.get(parcel).map(|parcel| parcel.lot) else { continue };
            let Some(state) = self.lots.get(&lot).filter(|lot| !lot.doubled.is_empty()) else { continue };
            let mut units = units.intersection(&state.doubled);
            if let Some(lost) = self.outrun.get(claim).and_then(|by| by.get(parcel)) {
                units.remove_all(lost);
            }
            if !units.is_empty() {
                now.entry(lot).or_default().insert_all(&units);
            }
        }
        let before = match now.is_empty() {
            true => self.printed.claims.remove(claim),
            false => self.printed.claims.insert(*claim, now.clone()),
        };
        let before = before.unwrap_or_default();
        let lots: BTreeSet<Ref> = before.keys().chain(now.keys()).copied().collect();
        let mut touched = BTreeSet::from([*claim]);
        for lot in lots {
            let Some(state) = self.lots.get(&lot) else { continue };
            let (key, name) = (state.run(), (state.precedence, lot, *claim));
            let (before, now) =
                (before.get(&lot).cloned().unwrap_or_default(), now.get(&lot).cloned().unwrap_or_default());
            let (gone, came) = (before.difference(&now), now.difference(&before));
            let changed = gone.union(&came);
            if changed.is_empty() {
                continue;
            }
            let Some(run) = self.printed.runs.get_mut(&key) else { continue };
            run.sold.remove(&gone, &name);
            run.sold.insert(&came, &name);
            let others = run.sold.touching(&changed).flat_map(|(_, sold)| sold);
            touched.extend(others.map(|(_, _, claim)| *claim));
            self.freeze(&key, &changed);
        }
        touched.iter().for_each(|claim| self.note_sold_again(claim));
    }

    /// Says in words which serials of a claim another one has of an earlier lot.
    fn note_sold_again(&mut self, claim: &Ref) {
        let mut again: Vec<String> = Vec::new();
        for (lot, units) in self.printed.claims.get(claim).into_iter().flatten() {
            let Some(state) = self.lots.get(lot) else { continue };
            let Some(run) = self.printed.runs.get(&state.run()) else { continue };
            let name = (state.precedence, *lot, *claim);
            let mut twice = UnitSet::default();
            let mut others = BTreeSet::new();
            for (part, sold) in run.sold.touching(units) {
                let earlier: Vec<_> = sold.iter().take_while(|of| **of < name).collect();
                if !earlier.is_empty() {
                    twice.insert_all(&part);
                    others.extend(earlier.into_iter().map(|(_, lot, claim)| (*claim, *lot)));
                }
            }
            if !twice.is_empty() {
                let others: Vec<String> =
                    others.iter().map(|(claim, lot)| format!("claim {claim} of lot {lot}")).collect();
                again.push(format!(
                    "{} were sold twice: in claim {claim} of lot {lot}, and in {}",
                    state.in_words(&twice),
                    others.join(" and ")
                ));
            }
        }
        if again.is_empty() {
            self.printed.sold_again.remove(claim);
            return;
        }
        let text = again.join("; ");
        if self.printed.sold_again.insert(*claim, text.clone()).is_none() {
            self.told.push(Told::PrintedTwice(text));
        }
    }
}
