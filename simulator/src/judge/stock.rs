//! Parcels, and where each unit has gone from its mint.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::{Body, Line};
use popmesh_proto::text::{DropId, Place};

use super::retired::lead_to;
use super::{Fate, Fault, Gone, Order, Stands, Unit, Written};

/// What one entry made: units of one lot that one device holds at one place.
struct Parcel {
    lot: Ref,
    holder: DeviceId,
    place: Place,
    /// The serials that its entry names, and that its author could name.
    serials: BTreeSet<u32>,
}

/// What becomes of a unit that is spent.
#[derive(Clone, Copy)]
enum To {
    /// It goes to the parcel of the same name.
    Parcel,
    /// To the claim of the same name.
    Claim,
    /// Out of sale.
    Nobody,
}

struct Spend {
    order: Order,
    entry: Ref,
    to: To,
}

/// A sale that counts, in part at least.
pub(super) struct Sale {
    pub(super) seller: DeviceId,
    pub(super) drop: DropId,
    pub(super) pickup_at: Option<DeviceId>,
    /// What its seller could sell: parcels and serials.
    pub(super) units: BTreeSet<(Ref, u32)>,
}

/// Everything that was ever made and spent.
pub(super) struct Stock<'a> {
    lots: BTreeMap<Ref, (DropId, BTreeSet<u32>)>,
    parcels: BTreeMap<Ref, Parcel>,
    spends: BTreeMap<(Ref, u32), Vec<Spend>>,
    pub(super) sales: BTreeMap<Ref, Sale>,
    retired: &'a BTreeMap<DeviceId, Gone>,
    fault: Fault,
}

impl<'a> Stock<'a> {
    /// Reads entries until none tells of anything more: what names a parcel may stand before what made that.
    pub(super) fn of(written: &[&Written], retired: &'a BTreeMap<DeviceId, Gone>, fault: Fault) -> Self {
        let mut stock = Self {
            lots: BTreeMap::new(),
            parcels: BTreeMap::new(),
            spends: BTreeMap::new(),
            sales: BTreeMap::new(),
            retired,
            fault,
        };
        let mut left: Vec<&Written> = written.to_vec();
        while !left.is_empty() {
            let before = left.len();
            let waiting: BTreeSet<Ref> = left.iter().map(|one| one.entry).collect();
            left.retain(|one| {
                // What names an entry that was not read yet comes after it.
                let waits = lines_of(&one.record.body)
                    .iter()
                    .any(|(parcel, _)| waiting.contains(parcel) && *parcel != one.entry);
                if !waits {
                    stock.read(one);
                }
                waits
            });
            if left.len() == before {
                break;
            }
        }
        stock
    }

    fn read(&mut self, one: &Written) {
        let Some(drop) = &one.drop else { return };
        let (author, entry) = (one.author, one.entry);
        match &one.record.body {
            Body::Mint(mint) => {
                let serials: BTreeSet<u32> = (mint.first..=mint.last).collect();
                self.lots.insert(entry, (drop.clone(), serials.clone()));
                let parcel = Parcel { lot: entry, holder: author, place: mint.place.clone(), serials };
                self.parcels.insert(entry, parcel);
            }
            Body::Transfer(transfer) => self.pass_on(one, drop, transfer.to, None),
            Body::Inherit(_) => self.pass_on(one, drop, author, None),
            Body::Move(moved) => self.pass_on(one, drop, author, Some(&moved.place)),
            Body::Damage(_) => {
                if let Some(units) = self.may_spend(one, drop) {
                    self.spend(one, &units, To::Nobody);
                }
            }
            Body::Sale(sale) => {
                if let Some(units) = self.may_spend(one, drop) {
                    self.spend(one, &units, To::Claim);
                    let (seller, drop) = (author, drop.clone());
                    self.sales.insert(entry, Sale { seller, drop, pickup_at: sale.pickup_at, units });
                }
            }
            // Whoever spends what a refund brought back has to find it, whether or not the refund counts.
            Body::Refund(refund) if !refund.damaged && self.is_of_one_lot(&refund.lines) => {
                let first = refund.lines.first().and_then(|line| self.parcels.get(&line.parcel));
                if let Some(lot) = first.map(|first| first.lot) {
                    let serials = refund.lines.iter().flat_map(|line| line.units.iter()).collect();
                    let parcel = Parcel { lot, holder: author, place: refund.place.clone(), serials };
                    self.parcels.insert(entry, parcel);
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_of_one_lot(&self, lines: &[Line]) -> bool {
        let mut lots = lines.iter().map(|line| self.parcels.get(&line.parcel).map(|parcel| parcel.lot));
        match lots.next() {
            Some(Some(first)) => lots.all(|lot| lot == Some(first)),
            _ => false,
        }
    }

    /// Units become a parcel of somebody's.
    fn pass_on(&mut self, one: &Written, drop: &DropId, to: DeviceId, place: Option<&Place>) {
        let Some(units) = self.may_spend(one, drop) else { return };
        let Some(source) = units.first().and_then(|(parcel, _)| self.parcels.get(parcel)) else { return };
        let (lot, place) = (source.lot, place.unwrap_or(&source.place).clone());
        let serials = units.iter().map(|(_, serial)| *serial).collect();
        self.spend(one, &units, To::Parcel);
        self.parcels.insert(one.entry, Parcel { lot, holder: to, place, serials });
    }

    fn spend(&mut self, one: &Written, units: &BTreeSet<(Ref, u32)>, to: To) {
        for unit in units {
            let spend = Spend { order: one.order(), entry: one.entry, to };
            self.spends.entry(*unit).or_default().push(spend);
        }
    }

    /// What of the units that a record names are its author's to spend; none if nothing is, or if it is not to be read at all.
    fn may_spend(&self, one: &Written, drop: &DropId) -> Option<BTreeSet<(Ref, u32)>> {
        let lines = lines_of(&one.record.body);
        let makes_one_parcel =
            matches!(one.record.body, Body::Transfer(_) | Body::Move(_) | Body::Inherit(_));
        let keeps_the_place = matches!(one.record.body, Body::Transfer(_) | Body::Inherit(_));
        let known: Vec<(&Parcel, Ref, &BTreeSet<u32>)> = lines
            .iter()
            .filter_map(|(parcel, serials)| Some((self.parcels.get(parcel)?, *parcel, serials)))
            .filter(|(parcel, _, _)| self.lots.contains_key(&parcel.lot))
            .collect();
        if known.iter().any(|(parcel, _, _)| self.lots.get(&parcel.lot).is_some_and(|lot| lot.0 != *drop)) {
            return None;
        }
        if makes_one_parcel {
            let mut seen = BTreeSet::new();
            let twice =
                known.iter().flat_map(|(_, _, serials)| serials.iter()).any(|serial| !seen.insert(serial));
            let of_two = |differ: &dyn Fn(&Parcel, &Parcel) -> bool| {
                known.windows(2).any(|two| differ(two[0].0, two[1].0))
            };
            if twice || of_two(&|a, b| a.lot != b.lot) {
                return None;
            }
            if keeps_the_place && of_two(&|a, b| a.place != b.place) {
                return None;
            }
        }
        let mut units = BTreeSet::new();
        for (parcel, reference, serials) in known {
            let is_heir = match &one.record.body {
                Body::Inherit(inherit) => {
                    let further = inherit.heirs.iter().flatten().copied();
                    let named = std::iter::once(inherit.retirement).chain(further);
                    lead_to(self.retired, &parcel.holder, named, &one.author)
                }
                _ => false,
            };
            if parcel.holder == one.author || is_heir {
                units.extend(serials.intersection(&parcel.serials).map(|serial| (reference, *serial)));
            }
        }
        (!units.is_empty()).then_some(units)
    }

    /// Where each unit has gone.
    pub(super) fn fates(&self, claims: &BTreeMap<Ref, Stands>) -> BTreeMap<Unit, Fate> {
        let units =
            self.lots.iter().flat_map(|(lot, (_, serials))| serials.iter().map(|serial| (*lot, *serial)));
        units.filter_map(|unit| Some((unit, self.fate(unit, claims)?))).collect()
    }

    /// Follows one unit from its mint.
    fn fate(&self, (lot, serial): Unit, claims: &BTreeMap<Ref, Stands>) -> Option<Fate> {
        let mut at = lot;
        loop {
            let spends = self.spends.get(&(at, serial)).map_or(&[][..], Vec::as_slice);
            let first = match self.fault {
                Fault::LaterHasIt => spends.iter().max_by_key(|spend| spend.order),
                _ => spends.iter().min_by_key(|spend| spend.order),
            };
            let Some(first) = first else {
                let parcel = self.parcels.get(&at)?;
                let (holder, place) = (parcel.holder, parcel.place.clone());
                return Some(Fate::Held { parcel: at, holder, place });
            };
            match first.to {
                To::Nobody => return Some(Fate::Damaged),
                To::Parcel => at = first.entry,
                To::Claim => {
                    let stands = claims.get(&first.entry)?;
                    match self.brought_back(stands, (at, serial)) {
                        None => return Some(Fate::Claimed { claim: first.entry }),
                        // What came back torn is no parcel.
                        Some(refund) if !self.parcels.contains_key(&refund) => return Some(Fate::Damaged),
                        Some(refund) => at = refund,
                    }
                }
            }
        }
    }

    /// The refund that took a unit of a claim back.
    fn brought_back(&self, stands: &Stands, unit: (Ref, u32)) -> Option<Ref> {
        stands.refunds.iter().find(|(_, units)| units.contains(&unit)).map(|(refund, _)| *refund)
    }
}

/// Which serials of which parcels a record names.
fn lines_of(body: &Body) -> Vec<(Ref, BTreeSet<u32>)> {
    let plain =
        |lines: &[Line]| lines.iter().map(|line| (line.parcel, line.units.iter().collect())).collect();
    match body {
        Body::Transfer(transfer) => plain(&transfer.lines),
        Body::Move(moved) => plain(&moved.lines),
        Body::Inherit(inherit) => plain(&inherit.lines),
        Body::Damage(damage) => plain(&damage.lines),
        Body::Refund(refund) => plain(&refund.lines),
        Body::Sale(sale) => {
            sale.lines.iter().map(|line| (line.parcel, line.units.iter().collect())).collect()
        }
        _ => Vec::new(),
    }
}
