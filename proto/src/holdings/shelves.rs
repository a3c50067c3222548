//! How many units each device has free, by what they are and where they lie. A sum over the parcels, kept as they
//! change: it is asked for many times a second, of hundreds of devices.

use std::collections::BTreeMap;

use super::{LotState, Parcel};
use crate::id::DeviceId;
use crate::text::{DropId, Place, Sku};

/// Free units by holder.
pub type ByHolder = BTreeMap<DeviceId, u64>;

type Places = BTreeMap<Place, ByHolder>;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Shelves(BTreeMap<DropId, BTreeMap<Sku, Places>>);

impl Shelves {
    /// Counts the units that are free in a parcel.
    pub(super) fn put(&mut self, lot: &LotState, parcel: &Parcel) {
        let units = parcel.available_count();
        if units > 0 {
            let skus = self.0.entry(lot.drop.clone()).or_default();
            let places = skus.entry(lot.sku.clone()).or_default();
            let holders = places.entry(parcel.place.clone()).or_default();
            *holders.entry(parcel.owner).or_default() += units;
        }
    }

    /// No longer counts the units that are free in a parcel. Shelves that are empty are as if they had never been.
    pub(super) fn take(&mut self, lot: &LotState, parcel: &Parcel) {
        let Some(skus) = self.0.get_mut(&lot.drop) else { return };
        let Some(places) = skus.get_mut(&lot.sku) else { return };
        let Some(holders) = places.get_mut(&parcel.place) else { return };
        if let Some(units) = holders.get_mut(&parcel.owner) {
            *units = units.saturating_sub(parcel.available_count());
            if *units == 0 {
                holders.remove(&parcel.owner);
            }
        }
        if holders.is_empty() {
            places.remove(&parcel.place);
        }
        if places.is_empty() {
            skus.remove(&lot.sku);
        }
        if skus.is_empty() {
            self.0.remove(&lot.drop);
        }
    }

    /// One shelf.
    pub(super) fn at(&self, drop: &DropId, sku: &Sku, place: &Place) -> Option<&ByHolder> {
        self.0.get(drop)?.get(sku)?.get(place)
    }

    /// The shelves of one SKU, at `place` if given.
    pub(super) fn of<'a>(
        &'a self,
        drop: &DropId,
        sku: &Sku,
        place: Option<&'a Place>,
    ) -> impl Iterator<Item = &'a ByHolder> {
        let places = self.0.get(drop).and_then(|skus| skus.get(sku));
        places
            .into_iter()
            .flatten()
            .filter(move |(at, _)| place.is_none_or(|place| place == *at))
            .map(|(_, holders)| holders)
    }
}
