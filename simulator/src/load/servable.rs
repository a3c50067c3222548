//! What an all-knowing seller could have served: the measure for everybody who knows less.
//!
//! It knows every shopper and every fault beforehand, moves units in no time over whatever path is up, any number of
//! them at once, and keeps to the rules of the goods: a unit is sold once; nothing is sold before its drop opens or
//! after it closes; who takes a unit along needs one that lies at this venue, who picks up later takes one from
//! anywhere; a device needs power to sell, and to pass anything on.
//!
//! For each drop and product this is a flow from lots to shoppers, and its maximum is the answer. The paths respect
//! time: what reached a device before it was cut off is there afterwards. As a path carries any number of units, it only
//! matters when the first of a lot could have been somewhere, not how many were.
//!
//! The answer is exact where everybody wants one unit. Where somebody wants several it is an upper bound: the flow may
//! give such a shopper a part. It is an upper bound, too, on nights with power cuts in the middle of a write, as nobody
//! knows when those come, and on batteries, which are taken to last as long as those of idle devices do.

use std::collections::{BTreeMap, BTreeSet};

use super::Shopper;
use crate::connectivity::{Connectivity, Reach};
use crate::scenario::{Battery, DeviceIndex, FaultKind, Scenario, VenueIndex};

/// What could have been served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servable {
    /// Units that could have been sold.
    pub units: u64,
    /// The same for each drop and product that somebody wanted or that there was.
    pub of: Vec<ServableOf>,
    /// For each shopper, whether a unit could have been there in time, had nobody else wanted it.
    pub reachable: Vec<bool>,
}

/// What could have been served of one product in one drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServableOf {
    /// The drop, by its place in the scenario.
    pub drop: usize,
    /// The product, by its place in the scenario.
    pub product: usize,
    /// Units minted.
    pub minted: u64,
    /// Units wanted by all shoppers.
    pub wanted: u64,
    /// Units wanted by shoppers whom a unit could have reached.
    pub reachable: u64,
    /// Units that could have been sold.
    pub units: u64,
}

/// What an all-knowing seller could have served of these shoppers.
#[must_use]
pub fn servable(scenario: &Scenario, shoppers: &[Shopper]) -> Servable {
    let night = Script::new(scenario);
    let mut arrivals = BTreeMap::new();
    let mut classes: BTreeMap<(usize, usize), BTreeMap<Vec<usize>, u64>> = BTreeMap::new();
    let mut wanted: BTreeMap<(usize, usize), (u64, u64)> = BTreeMap::new();
    let mut reachable = Vec::with_capacity(shoppers.len());
    for shopper in shoppers {
        let Some(drop) = scenario.drops.get(shopper.drop) else {
            reachable.push(false);
            continue;
        };
        let served_from: Vec<usize> = (0..drop.lots.len())
            .filter(|index| {
                let lot = &drop.lots[*index];
                let fits = lot.product == shopper.product
                    && (shopper.pickup_at.is_some() || lot.place == scenario.devices[shopper.device].venue);
                fits && {
                    let from = (lot.at, drop.mint_ms);
                    let there = arrivals.entry(from).or_insert_with(|| night.spread(from.0, from.1));
                    there[shopper.device].is_some_and(|there_ms| night.sells(shopper, drop, there_ms))
                }
            })
            .collect();
        let key = (shopper.drop, shopper.product);
        let (all, in_reach) = wanted.entry(key).or_default();
        *all += shopper.quantity;
        reachable.push(!served_from.is_empty());
        if !served_from.is_empty() {
            *in_reach += shopper.quantity;
            *classes.entry(key).or_default().entry(served_from).or_default() += shopper.quantity;
        }
    }
    let mut of = Vec::new();
    for (drop, spec) in scenario.drops.iter().enumerate() {
        for product in 0..scenario.products.len() {
            let stock: Vec<u64> = spec
                .lots
                .iter()
                .map(|lot| if lot.product == product { u64::from(lot.units) } else { 0 })
                .collect();
            let (minted, key) = (stock.iter().sum(), (drop, product));
            let (wanted, reachable) = wanted.get(&key).copied().unwrap_or_default();
            if minted > 0 || wanted > 0 {
                let units = classes.get(&key).map_or(0, |classes| most_served(stock, classes));
                of.push(ServableOf { drop, product, minted, wanted, reachable, units });
            }
        }
    }
    Servable { units: of.iter().map(|of| of.units).sum(), of, reachable }
}

/// The night as the script has it, in slices in which nothing changes.
struct Script<'s> {
    scenario: &'s Scenario,
    connectivity: Connectivity,
    /// When each device has power, by the script and by its battery at its idlest.
    power: Vec<Vec<(u64, u64)>>,
    times: Vec<u64>,
}

impl<'s> Script<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let connectivity = Connectivity::new(scenario);
        let batteries: Vec<Vec<(u64, u64)>> =
            (0..scenario.devices.len()).map(|device| battery_times(scenario, device)).collect();
        let mut times: BTreeSet<u64> = connectivity.edges().iter().copied().collect();
        times.insert(0);
        times.extend(scenario.drops.iter().map(|drop| drop.mint_ms));
        times.extend(batteries.iter().flatten().flat_map(|(from, until)| [*from, *until]));
        times.remove(&u64::MAX);
        let times: Vec<u64> = times.into_iter().collect();
        let mut power = vec![Vec::new(); scenario.devices.len()];
        for (index, from_ms) in times.iter().enumerate() {
            let until_ms = times.get(index + 1).copied().unwrap_or(u64::MAX);
            let reach = connectivity.at(*from_ms);
            for (device, power) in power.iter_mut().enumerate() {
                let charged = batteries[device].iter().any(|(from, until)| (*from..*until).contains(from_ms));
                if reach.powered(device) && charged {
                    power.push((*from_ms, until_ms));
                }
            }
        }
        Self { scenario, connectivity, power, times }
    }

    fn powered(&self, device: DeviceIndex, time_ms: u64) -> bool {
        let after = self.power[device].partition_point(|(from, _)| *from <= time_ms);
        after > 0 && time_ms < self.power[device][after - 1].1
    }

    /// When units that `mint` mints at `mint_ms` could first be at each device.
    fn spread(&self, mint: DeviceIndex, mint_ms: u64) -> Vec<Option<u64>> {
        let mut there: Vec<Option<u64>> = vec![None; self.scenario.devices.len()];
        // Without power it can neither sell nor pass them on, which is as if it had not minted yet.
        there[mint] = Some(mint_ms);
        for time_ms in self.times.iter().copied().filter(|time_ms| *time_ms >= mint_ms) {
            let powered: Vec<bool> = (0..there.len()).map(|device| self.powered(device, time_ms)).collect();
            let waiting: Vec<DeviceIndex> =
                (0..there.len()).filter(|device| there[*device].is_none() && powered[*device]).collect();
            let holding: Vec<DeviceIndex> =
                (0..there.len()).filter(|device| there[*device].is_some() && powered[*device]).collect();
            for device in reached(&self.connectivity.at(time_ms), holding, waiting) {
                there[device] = Some(time_ms);
            }
        }
        there
    }

    /// Whether the shopper's device can sell at some moment while the shopper waits, with units there from `there_ms`.
    fn sells(&self, shopper: &Shopper, drop: &crate::scenario::DropSpec, there_ms: u64) -> bool {
        let gives_up_us = shopper.at_us + shopper.patience_ms * 1_000;
        let from_us = shopper.at_us.max(there_ms * 1_000);
        let venue = self.scenario.devices[shopper.device].venue;
        // Who comes as the drop closes is too late; who gives up at the moment the units come is not.
        drop.open_spans(venue).into_iter().any(|(opens_ms, closes_ms)| {
            let from_us = from_us.max(opens_ms.saturating_mul(1_000));
            self.power[shopper.device].iter().any(|(power_from, power_until)| {
                let first_us = from_us.max(power_from.saturating_mul(1_000));
                let until_us = closes_ms.min(*power_until).saturating_mul(1_000);
                first_us <= gives_up_us && first_us < until_us
            })
        })
    }
}

/// Those of `waiting` whom something can reach from `holding`, over any number of devices that have power.
fn reached(
    reach: &Reach<'_>,
    mut holding: Vec<DeviceIndex>,
    mut waiting: Vec<DeviceIndex>,
) -> Vec<DeviceIndex> {
    let mut reached = Vec::new();
    while let Some(from) = holding.pop() {
        waiting.retain(|to| {
            let arrives = reach.carries(from, *to);
            if arrives {
                reached.push(*to);
                holding.push(*to);
            }
            !arrives
        });
    }
    reached
}

/// When a device has power if it never has anything to do: always without a battery (the script knows the rest), and
/// with one until it is empty. Mains charge it at once.
fn battery_times(scenario: &Scenario, device: DeviceIndex) -> Vec<(u64, u64)> {
    let spec = &scenario.devices[device];
    let Some(battery) = spec.battery else { return vec![(0, u64::MAX)] };
    let full_ms = battery.lasts_ms;
    let mut left_ms = full_ms * battery.charge_per_mille / 1_000;
    let mut times = Vec::new();
    let mut now_ms = 0;
    for (event_ms, on_mains, swapped) in battery_events(scenario, device, spec.venue, &battery) {
        if event_ms > now_ms {
            let lasts_ms = if on_mains { u64::MAX } else { left_ms };
            let until_ms = event_ms.min(now_ms.saturating_add(lasts_ms));
            if until_ms > now_ms {
                times.push((now_ms, until_ms));
            }
            left_ms = if on_mains { full_ms } else { left_ms - (until_ms - now_ms) };
            now_ms = event_ms;
        }
        if swapped {
            left_ms = full_ms;
        }
    }
    times
}

/// The times at which a device's supply changes: when, whether it was on mains until then, and whether a full battery is
/// put in. The last is the end of all times.
fn battery_events(
    scenario: &Scenario,
    device: DeviceIndex,
    venue: VenueIndex,
    battery: &Battery,
) -> Vec<(u64, bool, bool)> {
    let outages: Vec<(u64, u64)> = scenario
        .faults
        .iter()
        .filter(|fault| fault.kind == FaultKind::MainsDown { venue })
        .map(|fault| (fault.from_ms, fault.until_ms))
        .collect();
    let swaps: BTreeSet<u64> = scenario
        .faults
        .iter()
        .filter(|fault| fault.kind == FaultKind::BatterySwap { device })
        .map(|fault| fault.from_ms)
        .collect();
    let mut times = swaps.clone();
    times.extend(outages.iter().flat_map(|(from, until)| [*from, *until]));
    times.insert(u64::MAX);
    let mut before = 0;
    times
        .into_iter()
        .map(|time| {
            let out = outages.iter().any(|(from, until)| (*from..*until).contains(&before));
            before = time;
            (time, battery.on_mains && !out, swaps.contains(&time))
        })
        .collect()
}

/// The most units that flow from lots to shoppers: `classes` says for each set of lots how many units are wanted by
/// those whom exactly these lots can serve.
pub(crate) fn most_served(mut stock: Vec<u64>, classes: &BTreeMap<Vec<usize>, u64>) -> u64 {
    let classes: Vec<(&Vec<usize>, u64)> = classes.iter().map(|(lots, wanted)| (lots, *wanted)).collect();
    // flow[class][lot]
    let mut flow = vec![vec![0_u64; stock.len()]; classes.len()];
    let mut served = 0;
    for (class, (_, wanted)) in classes.iter().enumerate() {
        let mut open = *wanted;
        while open > 0 {
            let Some(path) = augmenting(class, &stock, &classes, &flow) else { break };
            // Along the path each class takes from the next lot what it gave up of the one before.
            let bottleneck =
                path.iter().skip(1).map(|step| flow[step.class][step.returns]).fold(open, u64::min);
            let Some(last) = path.last() else { break };
            let units = bottleneck.min(stock[last.takes]);
            for step in &path {
                flow[step.class][step.takes] += units;
            }
            for step in path.iter().skip(1) {
                flow[step.class][step.returns] -= units;
            }
            stock[last.takes] -= units;
            open -= units;
            served += units;
        }
    }
    served
}

/// One step of a path: a class gives up units of one lot (but for the first step) and takes them from another.
#[derive(Clone, Copy)]
struct Step {
    class: usize,
    returns: usize,
    takes: usize,
}

/// The shortest way to get one more unit to a class: from a lot that has some, or from one that another class takes
/// from, if that one can turn elsewhere.
fn augmenting(
    start: usize,
    stock: &[u64],
    classes: &[(&Vec<usize>, u64)],
    flow: &[Vec<u64>],
) -> Option<Vec<Step>> {
    let mut came: Vec<Option<Step>> = vec![None; stock.len()];
    let mut queue = std::collections::VecDeque::from([(start, usize::MAX)]);
    let mut seen = BTreeSet::from([start]);
    while let Some((class, returns)) = queue.pop_front() {
        for takes in classes[class].0.iter().copied() {
            if came[takes].is_some() {
                continue;
            }
            came[takes] = Some(Step { class, returns, takes });
            if stock[takes] > 0 {
                let mut path = Vec::new();
                let mut lot = takes;
                while let Some(step) = came.get(lot).copied().flatten() {
                    path.push(step);
                    lot = step.returns;
                }
                path.reverse();
                return Some(path);
            }
            for (other, flow) in flow.iter().enumerate() {
                if flow[takes] > 0 && seen.insert(other) {
                    queue.push_back((other, takes));
                }
            }
        }
    }
    None
}
