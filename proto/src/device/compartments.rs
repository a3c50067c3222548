//! Compartments of this device: where units lie that are to be handed out, and what lies in each.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use crate::command::{HandOut, Lying};
use crate::holdings::doors::Opening;
use crate::id::Ref;
use crate::record::{Body, Record};
use crate::text::{Compartment, DropId, Place, Sku};
use crate::token::UnprovenToken;
use crate::units::UnitSet;

/// What lies in one compartment.
pub(super) type Inside = Vec<Lying>;

/// The compartments that hold what is handed out, each once.
pub(super) fn compartments_of(items: &[HandOut]) -> Vec<Compartment> {
    let each: BTreeSet<&Compartment> = items.iter().filter_map(|item| item.compartment.as_ref()).collect();
    each.into_iter().cloned().collect()
}

impl Device {
    /// Units to be handed out that lie somewhere, and which of this device's compartments that is.
    pub(super) fn lying_at(&self, sku: Sku, units: UnitSet, place: Option<Place>) -> HandOut {
        let compartment =
            place.as_ref().and_then(|place| place.compartment_of(&self.config.certificate.name));
        HandOut { sku, units, place, compartment }
    }

    /// Where units lie whose sale is not known here: where the last entry put them that is. Whoever holds them by now, they
    /// lie where this device stowed them, unless it has heard that they were moved.
    pub(super) fn whereabouts(&self, drop: &DropId, sku: &Sku, units: &UnitSet) -> Vec<HandOut> {
        let lots: BTreeSet<&Ref> = self.holdings.lots_of(drop, sku).map(|(lot, _)| lot).collect();
        let at = |entry: &Ref| {
            let record = Record::decode(self.log.chain(&entry.chain)?.body(entry.seq)?).ok()?;
            Some(record.at)
        };
        let mut newest: Vec<_> = self
            .holdings
            .parcels()
            .filter(|(_, parcel)| lots.contains(&parcel.lot) && parcel.units.intersects(units))
            .map(|(entry, parcel)| (at(entry), *entry, parcel))
            .collect();
        // A later entry of one unit always has a later time: its author had taken in the one before.
        newest.sort_by_key(|(at, entry, _)| std::cmp::Reverse((*at, *entry)));
        let mut left = units.clone();
        let mut lying: BTreeMap<Option<Place>, UnitSet> = BTreeMap::new();
        for (_, _, parcel) in newest {
            let here = parcel.units.intersection(&left);
            left.remove_all(&here);
            if !here.is_empty() {
                lying.entry(Some(parcel.place.clone())).or_default().insert_all(&here);
            }
        }
        if !left.is_empty() {
            lying.insert(None, left);
        }
        lying.into_iter().map(|(place, units)| self.lying_at(sku.clone(), units, place)).collect()
    }

    /// What lies in each of this device's compartments: what is not sold, and what is and was not taken out.
    pub(super) fn lying_here(&self) -> BTreeMap<Compartment, Inside> {
        type Of = (Compartment, DropId, Sku, Option<Ref>);
        let name = &self.config.certificate.name;
        let here: BTreeMap<&Ref, (Compartment, &DropId, &Sku)> = self
            .holdings
            .parcels()
            .filter_map(|(entry, parcel)| {
                let lot = self.holdings.lot(&parcel.lot)?;
                Some((entry, (parcel.place.compartment_of(name)?, &lot.drop, &lot.sku)))
            })
            .collect();
        let mut lying: BTreeMap<Of, UnitSet> = BTreeMap::new();
        let mut add = |parcel: &Ref, claim: Option<Ref>, units: &UnitSet| {
            if let Some((compartment, drop, sku)) = here.get(parcel)
                && !units.is_empty()
            {
                let of = (compartment.clone(), (*drop).clone(), (*sku).clone(), claim);
                lying.entry(of).or_default().insert_all(units);
            }
        };
        for entry in here.keys() {
            if let Some(parcel) = self.holdings.parcel(entry) {
                add(entry, None, &parcel.free);
            }
        }
        for (claim, known) in self.holdings.claims() {
            // Most claims have nothing to do with any compartment.
            let near =
                known.sold().is_some_and(|sold| sold.units.iter().any(|(of, _)| here.contains_key(of)));
            let Some(standing) = near.then(|| known.standing(*claim)).flatten() else { continue };
            let opening = standing.redeemed.and_then(|redeemed| self.holdings.opening(&redeemed.entry));
            for (parcel, units) in &standing.left {
                let still = match (standing.redeemed, opening, here.get(parcel)) {
                    (None, ..) => true,
                    (Some(_), Some(opening), Some((compartment, ..))) => opening.may_still_have(compartment),
                    (Some(_), ..) => false,
                };
                if still {
                    add(parcel, Some(*claim), units);
                }
            }
        }
        for (claim, drop, sku, units, opening) in self.taken_unseen() {
            let of_sku: Vec<Of> = lying
                .keys()
                .filter(|(_, of, what, claim)| *of == drop && *what == sku && claim.is_none())
                .cloned()
                .collect();
            for of in of_sku {
                let Some(there) = lying.get_mut(&of) else { continue };
                let taken = there.intersection(&units);
                there.remove_all(&taken);
                let still = opening.is_some_and(|opening| opening.may_still_have(&of.0));
                if still && !taken.is_empty() {
                    let (compartment, drop, sku, _) = of;
                    lying.entry((compartment, drop, sku, Some(claim))).or_default().insert_all(&taken);
                }
            }
        }
        let mut compartments: BTreeMap<Compartment, Inside> = BTreeMap::new();
        for ((compartment, drop, sku, claim), units) in lying {
            if !units.is_empty() {
                let lying = Lying { drop, sku, units, claim };
                compartments.entry(compartment).or_default().push(lying);
            }
        }
        compartments
    }

    /// What this device has redeemed by the token alone and has not heard the sale of: the stock still shows it as unsold.
    fn taken_unseen(&self) -> Vec<(Ref, DropId, Sku, UnitSet, Option<&Opening>)> {
        let mut taken = Vec::new();
        for (claim, known) in self.holdings.claims().filter(|(_, known)| known.sold().is_none()) {
            let Some(redeemed) = known.handed_out_by(&self.me) else { continue };
            let token = self.log.chain(&redeemed.entry.chain).and_then(|chain| {
                let record = Record::decode(chain.body(redeemed.entry.seq)?).ok()?;
                let Body::Redeem(redeem) = record.body else { return None };
                UnprovenToken::parse(&redeem.token?).ok()
            });
            let Some(token) = token else { continue };
            let opening = self.holdings.opening(&redeemed.entry);
            for item in &token.token().items {
                let drop = token.token().drop.clone();
                taken.push((*claim, drop, item.sku.clone(), item.units.clone(), opening));
            }
        }
        taken
    }
}
