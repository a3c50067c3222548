//! What of the stock view a board shows: by drop and SKU, how many units were ever claimed, what each holder has left, and
//! what of that came back. Sums, kept as parcels change and sales come, so that whoever asks twice a second has nothing
//! to go through.
//!
//! *Claimed* is a monotone fact: a unit that a shopper was ever sold stays in it, once, whatever becomes of it; so no entry
//! that comes makes it less. What a retirement has count for nothing moves on to *voided*, which remembers for whom. Example:
//! till 3 was retired at its tenth entry, and its eleventh, a sale of two units, was here before that was heard: two less are
//! claimed, and two are voided. Its heir sells them: two more are claimed, and none is voided any more.

use std::collections::BTreeMap;

use super::{Event, Holdings, LotState, Parcel, spent_lines};
use crate::id::{DeviceId, Ref};
use crate::record::Body;
use crate::text::{DropId, Sku};
use crate::units::UnitSet;

/// What one device has left, units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnHand {
    /// Neither sold nor out of sale nor frozen: free, in a cart, put aside for a wish, or on the way here.
    pub left: u64,
    /// Of these, those that were claimed before.
    pub back: u64,
    /// Not for sale, since another lot prints the same serials. Not in `left`.
    pub frozen: u64,
}

impl OnHand {
    fn of(parcel: &Parcel) -> Self {
        let frozen = parcel.frozen.len();
        Self { left: parcel.free.len().saturating_sub(frozen), back: parcel.back, frozen }
    }

    /// Adds what another has.
    pub fn add(&mut self, other: &Self) {
        self.left += other.left;
        self.back += other.back;
        self.frozen += other.frozen;
    }

    fn take(&mut self, other: &Self) {
        self.left = self.left.saturating_sub(other.left);
        self.back = self.back.saturating_sub(other.back);
        self.frozen = self.frozen.saturating_sub(other.frozen);
    }
}

/// One SKU of one drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Units minted.
    pub minted: u64,
    /// Units that a shopper was ever sold, each once.
    pub claimed: u64,
    /// By device that has any: what it has left.
    pub on_hand: BTreeMap<DeviceId, OnHand>,
}

/// A parcel that was made after the retirement of a device, or of such a one: it counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ghost {
    lot: Ref,
    owner: DeviceId,
    units: UnitSet,
    /// Whose retirement it was.
    retired: DeviceId,
}

/// What boards go by.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Boards {
    drops: BTreeMap<DropId, BTreeMap<Sku, Tally>>,
    /// By lot: units that a shopper was ever sold.
    claimed: BTreeMap<Ref, UnitSet>,
    ghosts: BTreeMap<Ref, Ghost>,
    /// Lots that were minted after the retirement of who minted them: of which drop, and of what.
    void_lots: BTreeMap<Ref, (DropId, Sku)>,
    /// By lot and retired device: units of sales that count for nothing since.
    voided: BTreeMap<Ref, BTreeMap<DeviceId, UnitSet>>,
}

impl Boards {
    fn tally(&mut self, lot: &LotState) -> &mut Tally {
        // Names are copied for the first lot of a drop and an SKU alone.
        if !self.drops.contains_key(&lot.drop) {
            self.drops.insert(lot.drop.clone(), BTreeMap::new());
        }
        let skus = self.drops.entry(lot.drop.clone()).or_default();
        skus.entry(lot.sku.clone()).or_default()
    }

    pub(super) fn mint(&mut self, lot: &LotState) {
        self.tally(lot).minted += lot.units.len();
    }

    /// Counts what is left in a parcel.
    pub(super) fn put(&mut self, lot: &LotState, parcel: &mut Parcel) {
        parcel.back = match self.claimed.get(&parcel.lot) {
            Some(claimed) if parcel.frozen.is_empty() => claimed.intersection(&parcel.free).len(),
            Some(claimed) => claimed.intersection(&parcel.free).difference(&parcel.frozen).len(),
            None => 0,
        };
        let (owner, has) = (parcel.owner, OnHand::of(parcel));
        self.tally(lot).on_hand.entry(owner).or_default().add(&has);
    }

    /// No longer counts what is left in a parcel. Who has nothing is as if it never had had any.
    pub(super) fn take(&mut self, lot: &LotState, parcel: &Parcel) {
        let on_hand = &mut self.tally(lot).on_hand;
        let Some(has) = on_hand.get_mut(&parcel.owner) else { return };
        has.take(&OnHand::of(parcel));
        if *has == OnHand::default() {
            on_hand.remove(&parcel.owner);
        }
    }

    /// These units of a lot were sold.
    fn claim(&mut self, reference: Ref, lot: &LotState, units: &UnitSet) {
        let claimed = self.claimed.entry(reference).or_default();
        let before = claimed.len();
        claimed.insert_all(units);
        let more = claimed.len() - before;
        self.tally(lot).claimed += more;
    }
}

impl Holdings {
    /// What boards show of a drop, by SKU.
    pub fn tallies(&self, drop: &DropId) -> impl Iterator<Item = (&Sku, &Tally)> {
        self.boards.drops.get(drop).into_iter().flatten()
    }

    /// Units of a drop that sales claimed which count for nothing since a device was retired, by SKU and that device; not
    /// those that another sale has claimed as well.
    pub fn voided_claims(&self, drop: &DropId) -> BTreeMap<(Sku, DeviceId), u64> {
        let mut voided = BTreeMap::new();
        for (lot, by_device) in &self.boards.voided {
            let state = self.lots.get(lot).map(|state| (&state.drop, &state.sku));
            let of = state.or_else(|| self.boards.void_lots.get(lot).map(|(drop, sku)| (drop, sku)));
            let Some((_, sku)) = of.filter(|(of, _)| *of == drop) else { continue };
            // A unit is named once, with the first device.
            let mut claimed = self.boards.claimed.get(lot).cloned().unwrap_or_default();
            for (device, units) in by_device {
                let only = units.difference(&claimed);
                if !only.is_empty() {
                    *voided.entry((sku.clone(), *device)).or_default() += only.len();
                    claimed.insert_all(&only);
                }
            }
        }
        voided
    }

    /// A sale has drawn these units of parcels.
    pub(super) fn note_claimed(&mut self, lines: &[(Ref, &UnitSet)]) {
        for (parcel, units) in lines {
            let Some(lot) = self.parcels.get(parcel).map(|parcel| parcel.lot) else { continue };
            if let Some(state) = self.lots.get(&lot) {
                self.boards.claim(lot, state, units);
            }
        }
    }

    /// Units of a parcel that were sold are left elsewhere, as an earlier spend had taken them there.
    pub(super) fn note_claimed_elsewhere(&mut self, parcel: &Ref, units: &UnitSet) {
        let Some(lot) = self.parcels.get(parcel).map(|parcel| parcel.lot) else { return };
        for (parcel, _) in self.whereabouts(&lot, units).left {
            self.change(&parcel, |_| {});
        }
    }

    /// What an entry names that counts for nothing, and would count if nobody had been retired.
    pub(super) fn note_voided(&mut self, event: &Event<'_>) {
        let late = self.is_late(&event.author, &event.entry);
        let inherits = match &event.record.body {
            Body::Inherit(inherit) => Some(inherit),
            _ => None,
        };
        if !late && inherits.is_none() && self.boards.ghosts.is_empty() {
            return;
        }
        if let Body::Mint(mint) = &event.record.body {
            let (lot, owner) = (event.entry, event.author);
            let units = UnitSet::range(mint.first, mint.last);
            self.boards.void_lots.insert(lot, (event.drop.clone(), mint.sku.clone()));
            self.boards.ghosts.insert(lot, Ghost { lot, owner, units, retired: owner });
            return;
        }
        let mut named: BTreeMap<(Ref, DeviceId), UnitSet> = BTreeMap::new();
        let mut note = |lot: Ref, retired: DeviceId, units: UnitSet| {
            if !units.is_empty() {
                named.entry((lot, retired)).or_default().insert_all(&units);
            }
        };
        let back: Vec<(Ref, &UnitSet)> = match &event.record.body {
            Body::Refund(refund) if !refund.damaged => {
                refund.lines.iter().map(|line| (line.parcel, &line.units)).collect()
            }
            _ => Vec::new(),
        };
        let is_back = !back.is_empty();
        // An heir by a retirement that no longer counts, since an earlier one came or its author had no right to it.
        let is_no_heir = |owner: &DeviceId| {
            inherits.is_some_and(|inherit| {
                !self.takes_over(owner, inherit.retirement, inherit.heirs.as_deref(), &event.author)
            })
        };
        for (reference, units) in spent_lines(&event.record.body).into_iter().chain(back) {
            let takes_from = |owner: DeviceId| owner == event.author || inherits.is_some() || is_back;
            if let Some(ghost) = self.boards.ghosts.get(&reference).filter(|ghost| takes_from(ghost.owner)) {
                note(ghost.lot, ghost.retired, ghost.units.intersection(units));
            }
            if let Some(parcel) =
                self.parcels.get(&reference).filter(|parcel| late && takes_from(parcel.owner))
            {
                note(parcel.lot, event.author, parcel.units.intersection(units));
            }
            if let Some(parcel) = self.parcels.get(&reference).filter(|parcel| is_no_heir(&parcel.owner)) {
                note(parcel.lot, parcel.owner, parcel.units.intersection(units));
            }
        }
        let owner = match &event.record.body {
            Body::Sale(_) => {
                for ((lot, retired), units) in named {
                    let by_device = self.boards.voided.entry(lot).or_default();
                    by_device.entry(retired).or_default().insert_all(&units);
                }
                return;
            }
            Body::Transfer(transfer) => transfer.to,
            Body::Move(_) | Body::Inherit(_) | Body::Refund(_) => event.author,
            _ => return,
        };
        // A parcel is of one lot.
        if let Some(((lot, retired), units)) = named.into_iter().next() {
            self.boards.ghosts.insert(event.entry, Ghost { lot, owner, units, retired });
        }
    }
}
