//! What was given to two people, seen from outside: a unit in two sales without having come back in between, a claim that
//! was handed out twice. Knows nothing of how devices judge the same records, nor of who was retired.

use std::collections::BTreeMap;

use popmesh_proto::holdings::Event;
use popmesh_proto::id::Ref;
use popmesh_proto::record::Body;
use popmesh_proto::units::UnitSet;

/// A unit: its lot and its serial.
pub(super) type Unit = (Ref, u32);

/// A unit that two people got, or were promised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Twice {
    pub(super) unit: Unit,
    /// The sale, or the handing out, that was written first.
    pub(super) first: Ref,
    /// The other one.
    pub(super) second: Ref,
}

/// Who got what.
#[derive(Debug, Default)]
pub(super) struct HandOuts {
    /// The lot of each parcel, whether or not it counts.
    lots: BTreeMap<Ref, Ref>,
    /// The last sale of each unit that has not come back.
    sold: BTreeMap<Unit, Ref>,
    /// What each claim is still for.
    claims: BTreeMap<Ref, Vec<Unit>>,
    /// What handed a claim out.
    out: BTreeMap<Ref, Ref>,
    twice: Vec<Twice>,
}

impl HandOuts {
    /// What two people got.
    pub(super) fn twice(&self) -> &[Twice] {
        &self.twice
    }

    /// The claim that has a unit, if one has.
    pub(super) fn claim_with(&self, unit: &Unit) -> Option<Ref> {
        self.sold.get(unit).filter(|claim| self.of_claim(claim).contains(unit)).copied()
    }

    /// What a claim is still for.
    pub(super) fn of_claim(&self, claim: &Ref) -> &[Unit] {
        self.claims.get(claim).map_or(&[], Vec::as_slice)
    }

    /// Units of a parcel.
    pub(super) fn units<'a>(&self, parcel: &Ref, units: &'a UnitSet) -> impl Iterator<Item = Unit> + use<'a> {
        let lot = self.lots.get(parcel).copied();
        units.iter().filter_map(move |serial| Some((lot?, serial)))
    }

    /// Takes in a record.
    pub(super) fn fold(&mut self, event: &Event<'_>) {
        let entry = event.entry;
        let source = match &event.record.body {
            Body::Mint(_) => Some(entry),
            Body::Transfer(transfer) => transfer.lines.first().map(|line| line.parcel),
            Body::Move(moved) => moved.lines.first().map(|line| line.parcel),
            Body::Inherit(inherit) => inherit.lines.first().map(|line| line.parcel),
            Body::Refund(refund) => refund.lines.first().map(|line| line.parcel),
            _ => None,
        };
        if let Some(lot) =
            source.and_then(|parcel| self.lots.get(&parcel).copied().or((parcel == entry).then_some(entry)))
        {
            self.lots.insert(entry, lot);
        }
        match &event.record.body {
            Body::Sale(sale) => {
                let lines = sale.lines.iter();
                let units: Vec<Unit> = lines.flat_map(|line| self.units(&line.parcel, &line.units)).collect();
                for unit in &units {
                    if let Some(first) = self.sold.insert(*unit, entry) {
                        self.twice.push(Twice { unit: *unit, first, second: entry });
                    }
                }
                self.claims.insert(entry, units);
                if sale.pickup_at.is_none() {
                    self.out.insert(entry, entry);
                }
            }
            Body::Redeem(redeem) => {
                if let Some(first) = self.out.insert(redeem.claim, entry) {
                    let left = self.claims.get(&redeem.claim).into_iter().flatten();
                    self.twice.extend(left.map(|unit| Twice { unit: *unit, first, second: entry }));
                }
            }
            Body::Refund(refund) => {
                for line in &refund.lines {
                    for unit in self.units(&line.parcel, &line.units).collect::<Vec<_>>() {
                        if let Some(left) = self.claims.get_mut(&refund.claim) {
                            left.retain(|of| *of != unit);
                        }
                        if !refund.damaged && self.sold.get(&unit) == Some(&refund.claim) {
                            self.sold.remove(&unit);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}
