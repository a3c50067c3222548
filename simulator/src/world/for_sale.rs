//! What is for sale, who has it, and what was ever sold, seen from outside: folded from what is written, as it becomes
//! durable. Knows nothing of how devices judge the same records.

use std::collections::BTreeMap;

use popmesh_proto::holdings::Event;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::{Body, Line};
use popmesh_proto::text::{DropId, Sku};
use popmesh_proto::units::UnitSet;

#[derive(Debug)]
pub(super) struct Lot {
    pub(super) drop: DropId,
    pub(super) sku: Sku,
    pub(super) minted_by: DeviceId,
    /// How many there were at first.
    pub(super) minted: u64,
    /// Its units, but for those that are damaged.
    pub(super) units: UnitSet,
    /// Those that were ever sold.
    pub(super) ever_sold: UnitSet,
}

#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) lot: Ref,
    pub(super) holder: DeviceId,
    /// Never empty.
    pub(super) units: UnitSet,
}

/// Units that came to be for sale.
#[derive(Debug)]
pub(super) struct Risen {
    pub(super) entry: Ref,
    pub(super) by: DeviceId,
    pub(super) at_us: u64,
    pub(super) lot: Ref,
    pub(super) units: UnitSet,
}

/// What is for sale.
#[derive(Debug, Default)]
pub(super) struct ForSale {
    /// The time, microseconds of the night.
    pub(super) now_us: u64,
    pub(super) lots: BTreeMap<Ref, Lot>,
    /// Those that have something.
    pub(super) parcels: BTreeMap<Ref, Parcel>,
    pub(super) risen: Vec<Risen>,
    lot_of: BTreeMap<Ref, Ref>,
}

impl ForSale {
    /// Takes in a record; `stands` says whether what it does about a claim is its author's to do.
    pub(super) fn fold(&mut self, event: &Event<'_>, stands: bool) {
        match &event.record.body {
            Body::Mint(mint) => {
                let units = UnitSet::range(mint.first, mint.last);
                let lot = Lot {
                    drop: event.drop.clone(),
                    sku: mint.sku.clone(),
                    minted_by: event.author,
                    minted: units.len(),
                    units: units.clone(),
                    ever_sold: UnitSet::default(),
                };
                self.lots.insert(event.entry, lot);
                self.put(event, event.entry, event.author, units.clone());
                self.rises(event, event.entry, units);
            }
            Body::Transfer(transfer) => self.goes_to(event, &transfer.lines, transfer.to),
            Body::Move(moved) => self.goes_to(event, &moved.lines, event.author),
            Body::Inherit(inherit) => self.goes_to(event, &inherit.lines, event.author),
            Body::Damage(damage) => {
                for line in &damage.lines {
                    self.take(&line.parcel, &line.units);
                    if let Some(lot) = self.lot(&line.parcel).and_then(|lot| self.lots.get_mut(&lot)) {
                        lot.units.remove_all(&line.units);
                    }
                }
            }
            Body::Sale(sale) => {
                for line in &sale.lines {
                    self.take(&line.parcel, &line.units);
                    if let Some(lot) = self.lot(&line.parcel).and_then(|lot| self.lots.get_mut(&lot)) {
                        lot.ever_sold.insert_all(&line.units);
                    }
                }
            }
            Body::Refund(refund) => {
                let Some(lot) = refund.lines.first().and_then(|line| self.lot(&line.parcel)) else { return };
                self.lot_of.insert(event.entry, lot);
                let mut units = UnitSet::default();
                refund.lines.iter().for_each(|line| units.insert_all(&line.units));
                if refund.damaged {
                    if let Some(lot) = self.lots.get_mut(&lot) {
                        lot.units.remove_all(&units);
                    }
                } else if stands {
                    self.put(event, lot, event.author, units.clone());
                    self.rises(event, lot, units);
                }
            }
            _ => {}
        }
    }

    fn lot(&self, parcel: &Ref) -> Option<Ref> {
        self.lot_of.get(parcel).copied()
    }

    fn rises(&mut self, event: &Event<'_>, lot: Ref, units: UnitSet) {
        self.risen.push(Risen { entry: event.entry, by: event.author, at_us: self.now_us, lot, units });
    }

    fn put(&mut self, event: &Event<'_>, lot: Ref, holder: DeviceId, units: UnitSet) {
        self.lot_of.insert(event.entry, lot);
        if !units.is_empty() {
            self.parcels.insert(event.entry, Parcel { lot, holder, units });
        }
    }

    /// Those of these units that are there go.
    fn take(&mut self, parcel: &Ref, units: &UnitSet) -> UnitSet {
        let Some(of) = self.parcels.get_mut(parcel) else { return UnitSet::default() };
        let taken = of.units.intersection(units);
        of.units.remove_all(units);
        if of.units.is_empty() {
            self.parcels.remove(parcel);
        }
        taken
    }

    fn goes_to(&mut self, event: &Event<'_>, lines: &[Line], to: DeviceId) {
        let Some(lot) = lines.first().and_then(|line| self.lot(&line.parcel)) else { return };
        let mut units = UnitSet::default();
        for line in lines {
            units.insert_all(&self.take(&line.parcel, &line.units));
        }
        self.put(event, lot, to, units);
    }
}
