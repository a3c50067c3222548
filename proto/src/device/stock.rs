//! What this device holds: finding units in it, and giving them away.

use std::collections::BTreeMap;

use super::Device;
use super::asks::Shelf;
use crate::command::Refusal;
use crate::document::Document;
use crate::holdings::{LotState, Parcel};
use crate::id::{DeviceId, Ref};
use crate::planted::Planted;
use crate::record::{Body, Cause, Line, SaleLine, Transfer};
use crate::text::{DropId, Place, Sku};
use crate::units::UnitSet;

/// Units found in the holding: from which parcel, and which.
pub(super) type Found = Vec<(Ref, UnitSet)>;

impl Device {
    pub(super) fn lies_there(
        &self,
        parcel: &Parcel,
        drop: &DropId,
        sku: &Sku,
        place: Option<&Place>,
    ) -> bool {
        let is_of = |lot: &LotState| lot.drop == *drop && lot.sku == *sku;
        place.is_none_or(|place| parcel.place == *place) && self.holdings.lot(&parcel.lot).is_some_and(is_of)
    }

    /// Parcels of `device` with units of this SKU, at `place` if given, those with the lowest serials first.
    pub(super) fn shelf(
        &self,
        device: &DeviceId,
        drop: &DropId,
        sku: &Sku,
        place: Option<&Place>,
    ) -> Vec<(&Ref, &Parcel)> {
        let mut parcels: Vec<(&Ref, &Parcel)> = self
            .holdings
            .live_of(device)
            .filter(|(_, parcel)| self.lies_there(parcel, drop, sku, place))
            .collect();
        parcels.sort_by_key(|(reference, parcel)| (parcel.free.first(), **reference));
        parcels
    }

    /// How many units this device has free.
    pub(super) fn free(&self, drop: &DropId, sku: &Sku, place: Option<&Place>) -> u64 {
        self.holdings.free_of(&self.me, drop, sku, place)
    }

    /// Finds `count` of this device's own units; `None` if there are not so many.
    pub(super) fn find(&self, drop: &DropId, sku: &Sku, place: Option<&Place>, count: u64) -> Option<Found> {
        self.pick(self.shelf(&self.me, drop, sku, place), count, None)
    }

    /// The same for a large wish, which may have what is put aside for it.
    pub(super) fn find_for(
        &self,
        (drop, sku, place): &Shelf,
        count: u64,
        wish: Option<u64>,
    ) -> Option<Found> {
        self.pick(self.shelf(&self.me, drop, sku, place.as_ref()), count, wish)
    }

    /// Finds `count` of this device's own units for a pickup at `device`: what lies in its compartments first, then what
    /// lies where it stands.
    pub(super) fn find_near(
        &self,
        (drop, sku, _): &Shelf,
        count: u64,
        device: &DeviceId,
        wish: Option<u64>,
    ) -> Option<Found> {
        let mut shelf = self.shelf(&self.me, drop, sku, None);
        if let Some(certificate) = self.peers.certificate(device) {
            // A stable sort: among those as near, the lowest serials stay first.
            shelf.sort_by_key(|(_, parcel)| match parcel.place.compartment_of(&certificate.name) {
                Some(_) => 0,
                None if parcel.place == certificate.venue => 1,
                None => 2,
            });
        }
        self.pick(shelf, count, wish)
    }

    /// Takes `count` units from the first parcels that have some, of those that are put aside for `wish` first.
    fn pick(&self, mut shelf: Vec<(&Ref, &Parcel)>, count: u64, wish: Option<u64>) -> Option<Found> {
        let is_for = |parcel: &Parcel| wish.is_some() && parcel.wish == wish;
        if wish.is_some() {
            shelf.sort_by_key(|(_, parcel)| !is_for(parcel));
        }
        let mut lacking = count;
        let mut found = Vec::new();
        for (reference, parcel) in shelf {
            let units = match self.plant.has(Planted::KeepWhatIsGiven) {
                true => self.free_or_given(parcel).lowest(lacking),
                false if is_for(parcel) => parcel.free.lowest(lacking),
                false => parcel.available().lowest(lacking),
            };
            if units.is_empty() {
                continue;
            }
            lacking -= units.len();
            found.push((*reference, units));
            if lacking == 0 {
                return Some(found);
            }
        }
        if self.plant.has(Planted::SellWithoutHolding) {
            return self
                .holdings
                .live()
                .find(|(_, parcel)| parcel.free.len() >= count)
                .map(|(reference, parcel)| vec![(*reference, parcel.free.lowest(count))]);
        }
        None
    }

    /// A planted bug: what was given away is taken for free.
    fn free_or_given(&self, parcel: &Parcel) -> UnitSet {
        let mut units = parcel.free.clone();
        for (_, given) in self.holdings.live().filter(|(_, other)| other.from == Some(self.me)) {
            if given.lot == parcel.lot {
                units.insert_all(&given.free.intersection(&parcel.units));
            }
        }
        units
    }

    /// Finds exactly these of this device's own units; `None` if it does not hold them all.
    pub(super) fn find_serials(&self, drop: &DropId, sku: &Sku, serials: &UnitSet) -> Option<Found> {
        let mut lacking = serials.clone();
        let mut found = Vec::new();
        for (reference, parcel) in self.shelf(&self.me, drop, sku, None) {
            let units = parcel.available().intersection(&lacking);
            if !units.is_empty() {
                lacking.remove_all(&units);
                found.push((*reference, units));
            }
        }
        lacking.is_empty().then_some(found)
    }

    /// Finds exactly these of this device's own units to take them out of sale, those that are frozen first; `None` if it
    /// does not hold them all.
    pub(super) fn find_to_discard(&self, drop: &DropId, sku: &Sku, serials: &UnitSet) -> Option<Found> {
        let mut lacking = serials.clone();
        let mut found: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        let shelf = self.shelf(&self.me, drop, sku, None);
        let frozen = shelf.iter().map(|(reference, parcel)| (**reference, parcel.frozen.clone()));
        let rest = shelf.iter().map(|(reference, parcel)| (**reference, parcel.available()));
        for (reference, has) in frozen.chain(rest) {
            let units = has.intersection(&lacking);
            if !units.is_empty() {
                lacking.remove_all(&units);
                found.entry(reference).or_default().insert_all(&units);
            }
        }
        lacking.is_empty().then(|| found.into_iter().collect())
    }

    /// This device's own units that are frozen.
    pub(super) fn frozen_here(&self, drop: &DropId, sku: &Sku) -> UnitSet {
        let mut frozen = UnitSet::default();
        for (_, parcel) in self.shelf(&self.me, drop, sku, None) {
            frozen.insert_all(&parcel.frozen);
        }
        frozen
    }

    /// Whether all of what a cart has is for sale.
    pub(super) fn check_not_frozen(&self, lines: &[SaleLine]) -> Result<(), Refusal> {
        for line in lines {
            let Some(parcel) = self.holdings.parcel(&line.parcel) else { continue };
            let units = parcel.frozen.intersection(&line.units);
            if let Some(lot) = self.holdings.lot(&parcel.lot).filter(|_| !units.is_empty()) {
                return Err(Refusal::Frozen { sku: lot.sku.clone(), units });
            }
        }
        Ok(())
    }

    /// What was found, by lot and place: each makes one parcel.
    pub(super) fn parcels_of(&self, found: Found) -> Vec<Vec<Line>> {
        let mut groups: BTreeMap<(Ref, Place), Vec<Line>> = BTreeMap::new();
        for (reference, units) in found {
            if let Some(parcel) = self.holdings.parcel(&reference) {
                let lines = groups.entry((parcel.lot, parcel.place.clone())).or_default();
                lines.push(Line { parcel: reference, units });
            }
        }
        groups
            .into_values()
            .flat_map(|lines| {
                lines.chunks(crate::record::MAX_LINES).map(<[Line]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The same, each with the drop of its lot.
    pub(super) fn parcels_by_drop(&self, found: Found) -> Vec<(DropId, Vec<Line>)> {
        let with_drop = |lines: Vec<Line>| {
            let lot = self.holdings.parcel(&lines.first()?.parcel)?.lot;
            Some((self.holdings.lot(&lot)?.drop.clone(), lines))
        };
        self.parcels_of(found).into_iter().filter_map(with_drop).collect()
    }

    /// Gives so many units away. Returns the last transfer written.
    pub(super) fn give(
        &mut self,
        (drop, sku, place): &Shelf,
        units: u64,
        to: DeviceId,
        cause: Option<Cause>,
    ) -> Result<Ref, Refusal> {
        let held = self.free(drop, sku, place.as_ref());
        let refusal = Refusal::NotHeld {
            sku: sku.clone(),
            asked: units.to_string(),
            held,
            serials: UnitSet::default(),
            holders: Vec::new(),
        };
        let mut shelf = self.shelf(&self.me, drop, sku, place.as_ref());
        if matches!(cause, Some(Cause::Wish { .. })) {
            // What a device keeps lies where it sells. A stable sort: the lowest serials stay first.
            shelf.sort_by_key(|(_, parcel)| parcel.place == self.venue);
        }
        let found = self.pick(shelf, units, None).ok_or_else(|| refusal.clone())?;
        let document = Document::Stock(drop.clone());
        let mut last = None;
        for lines in self.parcels_of(found) {
            last = Some(self.write(&document, Body::Transfer(Transfer { to, lines, aside: None, cause }))?);
        }
        last.ok_or(refusal)
    }
}
