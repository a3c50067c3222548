//! Which of several spends of one unit counts. Of those that name a unit in one parcel, the first by hybrid time and
//! hash has it, if it ever came to that parcel; so the result follows from the set of spends alone.
//!
//! A parcel knows which spends name which of its units, and which units never came to it (*lacking*: whoever gave them
//! did not have them). When a spend names units that are not free, or one comes to count for nothing, those units alone
//! are worked out again, and then where they went from there: what that costs goes by what became of these units, not by
//! the length of the log.
//!
//! Example: till A sells unit 3 of parcel P, and a copy of till A gave 1 to 5 of P to till B a second before, who sold 3.
//! Hearing of the gift, a device works out unit 3 of P: the gift came first, so 3 comes to B's parcel, B's sale of it
//! counts, and A's lacks it.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Claim, Deed};
use super::{Holdings, Outcome, Precedence, Told};
use crate::id::{DeviceId, Ref};
use crate::planted::Planted;
use crate::units::UnitSet;

/// What a spend does with its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SpendKind {
    /// They become a parcel, named by the spend.
    Parcel,
    /// They become a claim, named by the spend.
    Sale,
    /// They are out of sale.
    Damage,
}

/// A spend of which something counts. In order: which of two comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spend {
    pub(super) precedence: Precedence,
    pub(super) entry: Ref,
    pub(super) kind: SpendKind,
}

/// Units of parcels that are to be worked out again.
pub(super) type Work = Vec<(Ref, UnitSet)>;

/// Where units of a lot have gone.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    /// What is left in which parcel.
    pub(super) left: Vec<(Ref, UnitSet)>,
    /// What is in which claim.
    pub(super) sold: Vec<(Ref, UnitSet)>,
}

impl Holdings {
    /// Works out again who has these units, and what follows from it.
    pub(super) fn settle(&mut self, mut work: Work) {
        let mut changed = BTreeSet::new();
        while let Some((reference, units)) = work.pop() {
            let Some(parcel) = self.parcels.get(&reference) else { continue };
            let mut free = units.difference(&parcel.lacking);
            let mut fates: BTreeMap<Spend, (UnitSet, UnitSet)> = BTreeMap::new();
            let mut steps = 1;
            for (part, spends) in parcel.drawn.touching(&units) {
                steps += spends.len();
                for spend in spends {
                    let (has, lacks) = fates.entry(*spend).or_default();
                    if Some(spend) == self.first_of(spends) {
                        has.insert_all(&part.difference(&parcel.lacking));
                        lacks.insert_all(&part.intersection(&parcel.lacking));
                    } else {
                        lacks.insert_all(&part);
                    }
                }
                free.remove_all(&part);
            }
            self.steps.add(steps);
            self.change(&reference, |parcel| {
                parcel.free.remove_all(&units);
                parcel.free.insert_all(&free);
            });
            for (spend, (has, lacks)) in fates {
                let known = self.outrun.get(&spend.entry).and_then(|by| by.get(&reference));
                let came = known.map_or_else(UnitSet::default, |known| known.intersection(&has));
                let gone = known.map_or_else(|| lacks.clone(), |known| lacks.difference(known));
                if !came.is_empty() || !gone.is_empty() {
                    self.regard(&spend, &reference, (came, gone), &mut work);
                    changed.insert(spend.entry);
                }
            }
        }
        for spend in changed {
            self.note_outrun(&spend);
        }
    }

    /// Of those that name one unit the one that has it.
    fn first_of<'a>(&self, spends: &'a [Spend]) -> Option<&'a Spend> {
        if self.plant.has(Planted::LaterHasIt) { spends.last() } else { spends.first() }
    }

    /// Units of a parcel have come to a spend of them, or gone from it.
    fn regard(&mut self, spend: &Spend, parcel: &Ref, (came, gone): (UnitSet, UnitSet), work: &mut Work) {
        match spend.kind {
            SpendKind::Damage => {
                self.note_lack(&spend.entry, parcel, &came, &gone);
                let by = self.damages.get(&spend.entry).copied();
                let lot = self.parcels.get(parcel).map(|parcel| parcel.lot);
                let Some((lot, by)) = lot.zip(by) else { return };
                self.outcome(&lot, &by, |outcome| {
                    outcome.damaged = (outcome.damaged + came.len()).saturating_sub(gone.len());
                });
            }
            SpendKind::Parcel => {
                self.note_lack(&spend.entry, parcel, &came, &gone);
                if let Some(made) = self.parcels.get_mut(&spend.entry) {
                    made.lacking.remove_all(&came);
                    made.lacking.insert_all(&gone);
                }
                work.push((spend.entry, came.union(&gone)));
            }
            SpendKind::Sale => {
                let before = self.tally_of(&spend.entry);
                self.note_lack(&spend.entry, parcel, &came, &gone);
                self.adjust(&spend.entry, before);
                let refunds = self.valid_refunds(&spend.entry);
                work.extend(refunds.iter().filter_map(|refund| self.regrant(&spend.entry, refund)));
                self.note_sold(&spend.entry);
            }
        }
    }

    /// Takes down which units of a parcel a spend lacks.
    fn note_lack(&mut self, spend: &Ref, parcel: &Ref, came: &UnitSet, gone: &UnitSet) {
        let by_parcel = self.outrun.entry(*spend).or_default();
        let lacking = by_parcel.entry(*parcel).or_default();
        lacking.remove_all(came);
        lacking.insert_all(gone);
        if lacking.is_empty() {
            by_parcel.remove(parcel);
        }
        if by_parcel.is_empty() {
            self.outrun.remove(spend);
        }
        self.note_lost(spend, parcel);
    }

    /// What a claim has lost of a parcel: what an earlier spend has, and what its seller did not hold.
    pub(super) fn note_lost(&mut self, claim: &Ref, parcel: &Ref) {
        if self.claims.get(claim).and_then(Claim::sold).is_none() && !self.missing.contains_key(claim) {
            return;
        }
        let of = |lost: &BTreeMap<Ref, BTreeMap<Ref, UnitSet>>| lost.get(claim)?.get(parcel).cloned();
        let mut lost = of(&self.outrun).unwrap_or_default();
        if let Some(missing) = of(&self.missing) {
            lost.insert_all(&missing);
        }
        let by_parcel = self.lost.entry(*claim).or_default();
        if lost.is_empty() {
            by_parcel.remove(parcel);
        } else {
            by_parcel.insert(*parcel, lost);
        }
        if by_parcel.is_empty() {
            self.lost.remove(claim);
        }
    }

    /// Says in words which units a spend lacks since an earlier one has them.
    fn note_outrun(&mut self, spend: &Ref) {
        let mut by_lot: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        for (parcel, units) in self.outrun.get(spend).into_iter().flatten() {
            if let Some(parcel) = self.parcels.get(parcel) {
                by_lot.entry(parcel.lot).or_default().insert_all(units);
            }
        }
        let known = self.second.remove(spend).unwrap_or_default();
        for lot in known.keys().filter(|lot| !by_lot.contains_key(lot)) {
            self.no_longer_contested(lot, spend);
        }
        let author = self.author_of(spend).map_or_else(String::new, |author| author.short());
        let mut texts = BTreeMap::new();
        for (lot, units) in by_lot {
            let Some(state) = self.lots.get_mut(&lot) else { continue };
            state.contested = true;
            let sku = &state.sku;
            let text = format!("units {units} of {sku} were spent twice; {spend} by {author} came second");
            if !known.contains_key(&lot) {
                self.contested.entry(lot).or_default().insert(*spend);
                self.told.push(Told::SpentTwice(text.clone()));
            }
            texts.insert(lot, text);
        }
        if !texts.is_empty() {
            self.second.insert(*spend, texts);
        }
    }

    fn no_longer_contested(&mut self, lot: &Ref, spend: &Ref) {
        let Some(spends) = self.contested.get_mut(lot) else { return };
        spends.remove(spend);
        if spends.is_empty() {
            self.contested.remove(lot);
            if let Some(state) = self.lots.get_mut(lot) {
                state.contested = false;
            }
        }
    }

    /// Who made a spend.
    fn author_of(&self, spend: &Ref) -> Option<DeviceId> {
        if let Some(sold) = self.claims.get(spend).and_then(Claim::sold) {
            return Some(sold.seller);
        }
        if let Some(by) = self.damages.get(spend) {
            return Some(*by);
        }
        self.parcels.get(spend).map(|parcel| parcel.from.unwrap_or(parcel.owner))
    }

    /// Has the parcel of a refund be of what it took back, as far as it counts. What of it is to be worked out again.
    pub(super) fn regrant(&mut self, claim: &Ref, refund: &Ref) -> Option<(Ref, UnitSet)> {
        let mut lacking = self.parcels.get(refund)?.units.clone();
        let acts = self.claims.get(claim).map(Claim::valid).unwrap_or_default();
        for act in acts.iter().filter(|act| act.entry == *refund) {
            let Deed::Refund { units, damaged: false, .. } = &act.deed else { continue };
            for (parcel, units) in units {
                let lost = self.outrun.get(claim).and_then(|by| by.get(parcel));
                lacking.remove_all(&lost.map_or_else(|| units.clone(), |lost| units.difference(lost)));
            }
        }
        let parcel = self.parcels.get_mut(refund)?;
        let changed = parcel.lacking.difference(&lacking).union(&lacking.difference(&parcel.lacking));
        parcel.lacking = lacking;
        (!changed.is_empty()).then_some((*refund, changed))
    }

    /// Where these units of a lot have gone.
    pub(super) fn whereabouts(&mut self, lot: &Ref, units: &UnitSet) -> Whereabouts {
        let mut found = Whereabouts::default();
        let mut steps = 0;
        let mut work = vec![(*lot, units.clone())];
        while let Some((reference, units)) = work.pop() {
            let Some(parcel) = self.parcels.get(&reference) else { continue };
            let mut left = units.clone();
            for (mut part, spends) in parcel.drawn.touching(&units) {
                steps += 1;
                left.remove_all(&part);
                match self.first_of(spends) {
                    Some(Spend { entry, kind: SpendKind::Parcel, .. }) => work.push((*entry, part)),
                    Some(Spend { entry, kind: SpendKind::Sale, .. }) => {
                        let acts = self.claims.get(entry).map(Claim::valid).unwrap_or_default();
                        for act in acts {
                            let Deed::Refund { units, damaged, .. } = &act.deed else { continue };
                            let back = units.get(&reference).map(|units| units.intersection(&part));
                            let back = back.unwrap_or_default();
                            part.remove_all(&back);
                            if !damaged && !back.is_empty() {
                                work.push((act.entry, back));
                            }
                        }
                        if !part.is_empty() {
                            found.sold.push((*entry, part));
                        }
                    }
                    Some(Spend { kind: SpendKind::Damage, .. }) | None => {}
                }
            }
            if !left.is_empty() {
                found.left.push((reference, left));
            }
        }
        self.steps.add(steps);
        found
    }

    /// Changes what became of units of a lot by a device's doing. What comes to nothing is as if it had never been.
    pub(super) fn outcome(&mut self, lot: &Ref, by: &DeviceId, change: impl FnOnce(&mut Outcome)) {
        let Some(lot) = self.lots.get_mut(lot) else { return };
        let outcome = lot.outcome.entry(*by).or_default();
        change(outcome);
        if *outcome == Outcome::default() {
            lot.outcome.remove(by);
        }
    }
}
