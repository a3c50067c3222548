//! What an operator would want to know of a night, beside promises: where shoppers went without while units
//! lay elsewhere, and which device the night could not do without.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::Role;
use popmesh_proto::text::{DropId, Place, Sku};

use super::node::State;
use super::queue::NodeIndex;
use super::{MS, World};
use crate::night::{Cause, Finding, Severity};
use crate::scenario::{DeviceIndex, DropSpec};

/// Shoppers of one venue who went without one SKU while there was some.
#[derive(Debug, Default)]
struct Missed {
    shoppers: u64,
    first_us: u64,
    /// Where units lay then: the most at once.
    at: BTreeMap<Place, u64>,
    /// Who held them.
    holders: BTreeSet<DeviceId>,
    devices: BTreeSet<String>,
}

/// What was missed, by venue.
#[derive(Debug, Default)]
pub(super) struct Shortages(BTreeMap<(Place, DropId, Sku), Missed>);

impl World<'_> {
    /// A till that ran had none: whether there was any, and where.
    pub(super) fn misses(&mut self, node: NodeIndex, shopper: usize) -> Cause {
        let wish = &self.shoppers[shopper];
        let drop = &self.scenario.drops[wish.drop].drop;
        let sku = &self.scenario.products[wish.product].sku;
        let mut at: BTreeMap<Place, u64> = BTreeMap::new();
        let mut holders = BTreeSet::new();
        for (_, parcel) in self.ledger.holdings.live() {
            let lot = self.ledger.holdings.lot(&parcel.lot);
            if lot.is_some_and(|lot| lot.drop == *drop && lot.sku == *sku) && parcel.available_count() > 0 {
                *at.entry(parcel.place.clone()).or_default() += parcel.available_count();
                holders.insert(parcel.owner);
            }
        }
        if at.values().sum::<u64>() < wish.quantity {
            return Cause::SoldOut;
        }
        let venue = self.scenario.devices[self.nodes[node].device_index].venue;
        let key = (self.scenario.venues[venue].name.clone(), drop.clone(), sku.clone());
        let now_us = self.now_us;
        let missed =
            self.shortages.0.entry(key).or_insert_with(|| Missed { first_us: now_us, ..Missed::default() });
        missed.shoppers += 1;
        missed.holders.extend(holders);
        missed.devices.insert(self.nodes[node].name.clone());
        for (place, units) in at {
            let most = missed.at.entry(place).or_default();
            *most = units.max(*most);
        }
        Cause::Elsewhere
    }

    /// What stands out.
    pub(super) fn advice(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.shortages.0.iter().map(|(of, missed)| self.short(of, missed)).collect();
        let scenario = self.scenario;
        findings.extend(scenario.drops.iter().filter_map(|drop| self.never_opened(drop)));
        findings.extend(scenario.drops.iter().filter_map(|drop| self.cannot_be_run_without(drop)));
        findings.extend(self.only_tills());
        findings
    }

    /// Takes note of drops that are due and not open, and of what keeps whoever is to open them.
    pub(super) fn look_who_opens(&mut self) {
        if self.now_us >= self.scenario.duration_ms * MS {
            return;
        }
        for drop in &self.scenario.drops {
            if drop.open_ms * MS > self.now_us || self.ledger.steps.opened_us(&drop.drop).is_some() {
                continue;
            }
            let why = match &self.nodes[drop.run_by].state {
                State::Dead => "had died",
                State::Off => "had no power",
                State::Failing { .. } => "could not write",
                State::Running { .. } => "did not get to it",
            };
            self.unopened.insert(drop.drop.clone(), why);
        }
    }

    /// A drop that was to be opened in the night, and was not.
    fn never_opened(&self, drop: &DropSpec) -> Option<Finding> {
        let opened = self.ledger.steps.opened_us(&drop.drop);
        let in_time = opened.is_some_and(|opened_us| opened_us < self.scenario.duration_ms * MS);
        let why = self.unopened.get(&drop.drop).filter(|_| !in_time)?;
        let name = &self.scenario.devices[drop.run_by].name;
        let came = |shopper: &&crate::load::Shopper| self.scenario.drops[shopper.drop].drop == drop.drop;
        let shoppers = self.shoppers.iter().filter(came).count();
        Some(Finding {
            severity: Severity::Warning,
            invariant: String::new(),
            text: format!("{} was never opened: {name} {why}; {shoppers} shoppers came for it", drop.drop),
            first_ms: drop.open_ms,
            times: 1,
            devices: vec![name.clone()],
        })
    }

    /// The one device that can open and close a drop.
    fn cannot_be_run_without(&self, drop: &DropSpec) -> Option<Finding> {
        let runs = |device: &DeviceIndex| {
            let roles = self.scenario.devices[*device].roles;
            roles.has(Role::Hq) || roles.has(Role::Encoder)
        };
        let runners: Vec<DeviceIndex> = (0..self.scenario.devices.len()).filter(runs).collect();
        let [only] = runners[..] else { return None };
        let name = &self.scenario.devices[only].name;
        Some(Finding {
            severity: Severity::Note,
            invariant: String::new(),
            text: format!(
                "{name} alone can open and close {}: lost before the opening, it stops the night",
                drop.drop
            ),
            first_ms: drop.open_ms,
            times: 1,
            devices: vec![name.clone()],
        })
    }

    /// Venues where a single device sells.
    fn only_tills(&self) -> Vec<Finding> {
        let wanted_at = |venue: usize| {
            self.shoppers
                .iter()
                .filter(|shopper| self.scenario.devices[shopper.device].venue == venue)
                .count()
        };
        let venues = (0..self.scenario.venues.len()).filter_map(|venue| {
            let of_venue = |device: &DeviceIndex| {
                let spec = &self.scenario.devices[*device];
                spec.venue == venue && spec.roles.sells() && spec.roles.are_attended()
            };
            let tills: Vec<DeviceIndex> = (0..self.scenario.devices.len()).filter(of_venue).collect();
            let shoppers = wanted_at(venue);
            let [only] = tills[..] else { return None };
            (shoppers > 0).then_some((venue, only, shoppers))
        });
        let finding = |(venue, only, shoppers): (usize, DeviceIndex, usize)| {
            let (venue, name) = (&self.scenario.venues[venue].name, &self.scenario.devices[only].name);
            Finding {
                severity: Severity::Note,
                invariant: String::new(),
                text: format!(
                    "{name} is the only till at {venue}, where {shoppers} shoppers come: lost, nobody sells there"
                ),
                first_ms: 0,
                times: 1,
                devices: vec![name.clone()],
            }
        };
        venues.map(finding).collect()
    }

    /// What a venue refused while there was some.
    fn short(&self, (venue, drop, sku): &(Place, DropId, Sku), missed: &Missed) -> Finding {
        let lay = missed.at.iter().map(|(place, units)| match place == venue {
            true => format!("up to {units} there, with others"),
            false => format!("up to {units} at {place}"),
        });
        let lay: Vec<String> = lay.collect();
        let holder = |id: &DeviceId| self.nodes.iter().find(|node| node.id == *id).map(|node| &node.name);
        let alone = missed.holders.first().filter(|_| missed.holders.len() == 1).and_then(holder);
        let alone = alone.map_or_else(String::new, |name| format!(", all of them with {name}"));
        Finding {
            severity: Severity::Warning,
            invariant: String::new(),
            text: format!("{venue} refused {sku} of {drop} while units were left: {}{alone}", lay.join(", ")),
            first_ms: missed.first_us / MS,
            times: missed.shoppers,
            devices: missed.devices.iter().cloned().collect(),
        }
    }
}
