//! Shoppers: who comes, when, where, and for what. All of it follows from the scenario and the seed, in whole numbers.

mod servable;

use crate::random::Random;
use crate::scenario::{Arrivals, Demand, DeviceIndex, Scenario};

pub(crate) use servable::most_served;
pub use servable::{Servable, ServableOf, servable};

/// Somebody who wants to buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shopper {
    /// When, microseconds after the start of the night.
    pub at_us: u64,
    /// Where.
    pub device: DeviceIndex,
    /// From which drop, by its place in the scenario.
    pub drop: usize,
    /// Which product, by its place in the scenario.
    pub product: usize,
    /// How many units; all or none.
    pub quantity: u64,
    /// Where to pick them up later; taken along at once if absent.
    pub pickup_at: Option<DeviceIndex>,
    /// How long until the shopper gives up, milliseconds.
    pub patience_ms: u64,
    /// Whether the shopper will want the money back.
    pub wants_refund: bool,
    /// What the shopper does with a cart; pays at once if absent.
    pub cart: Option<CartPlan>,
}

/// What a shopper means to do with a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartPlan {
    /// For how long it is put aside, milliseconds.
    pub ttl_ms: u64,
    /// How long until the shopper pays, milliseconds: perhaps too long.
    pub pays_after_ms: u64,
    /// At which device.
    pub pays_at: DeviceIndex,
    /// Whether another till is shown its token.
    pub by_token: bool,
    /// Whether the shopper keeps it, rather than to buy anew without it.
    pub keeps: bool,
    /// Whether one that is not kept is put back.
    pub releases: bool,
}

impl CartPlan {
    fn draw(demand: &Demand, device: DeviceIndex, random: &mut Random) -> Self {
        let weights: u64 = demand.at.iter().map(|(_, weight)| weight).sum();
        let elsewhere = weighted(&demand.at, random.below(weights)).filter(|_| random.chance(400));
        Self {
            ttl_ms: random.within(CART_MS.0..=CART_MS.1),
            pays_after_ms: random.within(PAYS_AFTER_MS.0..=PAYS_AFTER_MS.1),
            pays_at: elsewhere.unwrap_or(device),
            by_token: random.chance(500),
            keeps: !random.chance(150),
            releases: random.chance(500),
        }
    }
}

/// For how long carts are put aside, and after how long they are paid, milliseconds.
const CART_MS: (u64, u64) = (5_000, 120_000);
const PAYS_AFTER_MS: (u64, u64) = (500, 60_000);

/// Draws all shoppers of a night, in the order in which they come.
#[must_use]
pub fn shoppers(scenario: &Scenario, random: &Random) -> Vec<Shopper> {
    let mut all = Vec::new();
    for (index, demand) in scenario.demand.iter().enumerate() {
        // A stream for each block: a change in one moves nobody in another.
        let mut random = random.fork(&format!("demand {index}"));
        all.extend(block(demand, scenario.duration_ms, &mut random));
    }
    all.sort_by_key(|shopper| shopper.at_us);
    all
}

fn block(demand: &Demand, duration_ms: u64, random: &mut Random) -> Vec<Shopper> {
    let (mut refunds, mut carts) = (random.fork("refunds"), random.fork("carts"));
    let times = times(demand.arrivals, duration_ms, random);
    let weights: u64 = demand.at.iter().map(|(_, weight)| weight).sum();
    times
        .into_iter()
        .filter_map(|at_us| {
            let device = weighted(&demand.at, random.below(weights))?;
            let picks_up = random.chance(demand.pickup_per_mille);
            let pickup_at = if picks_up { random.pick(&demand.pickup_at).copied() } else { None };
            Some(Shopper {
                at_us,
                device,
                drop: demand.drop,
                product: demand.product,
                quantity: random.within(demand.quantity.0..=demand.quantity.1),
                pickup_at,
                patience_ms: random.within(demand.patience_ms.0..=demand.patience_ms.1),
                wants_refund: refunds.chance(demand.refund_per_mille),
                cart: carts.chance(demand.cart_per_mille).then(|| CartPlan::draw(demand, device, &mut carts)),
            })
        })
        .collect()
}

fn weighted(at: &[(DeviceIndex, u64)], mut number: u64) -> Option<DeviceIndex> {
    for (device, weight) in at {
        if number < *weight {
            return Some(*device);
        }
        number -= weight;
    }
    None
}

fn times(arrivals: Arrivals, duration_ms: u64, random: &mut Random) -> Vec<u64> {
    match arrivals {
        Arrivals::Spike { at_ms, shoppers, half_life_ms } => {
            let left_us = duration_ms.saturating_sub(at_ms) * 1_000;
            (0..shoppers)
                .map(|_| at_ms * 1_000 + after_spike(half_life_ms * 1_000, left_us, random))
                .collect()
        }
        Arrivals::Steady { from_ms, until_ms, shoppers } => {
            (0..shoppers).map(|_| between(from_ms, until_ms, random)).collect()
        }
        Arrivals::Bursts { from_ms, until_ms, shoppers, bursts, burst_ms } => {
            let latest_ms = until_ms.saturating_sub(burst_ms).max(from_ms);
            let starts: Vec<u64> = (0..bursts).map(|_| between(from_ms, latest_ms + 1, random)).collect();
            (0..shoppers)
                .filter_map(|_| {
                    let start_us = *random.pick(&starts)?;
                    let end_us = (start_us + burst_ms * 1_000).min(until_ms * 1_000);
                    Some(start_us + random.below(end_us.saturating_sub(start_us)))
                })
                .collect()
        }
    }
}

fn between(from_ms: u64, until_ms: u64, random: &mut Random) -> u64 {
    from_ms * 1_000 + random.below((until_ms - from_ms) * 1_000)
}

/// How long after a spike somebody comes: half of those who are left come within each half-life, and within it ever
/// fewer, falling in a straight line to half. Nobody comes after `left_us`: the others come sooner for it.
fn after_spike(half_life_us: u64, left_us: u64, random: &mut Random) -> u64 {
    loop {
        let mut passed_us = 0;
        // With a half-life that is longer than the night, only its beginning is seen.
        while passed_us + half_life_us <= left_us && random.chance(500) {
            passed_us += half_life_us;
        }
        let within_us = falling(half_life_us, half_life_us.min(left_us.max(1)), random);
        if passed_us + within_us < left_us.max(1) {
            return passed_us + within_us;
        }
    }
}

/// A number below `end_us`, near 0 twice as likely as near `half_life_us`.
fn falling(half_life_us: u64, end_us: u64, random: &mut Random) -> u64 {
    loop {
        let drawn_us = random.below(end_us);
        if random.below(2 * half_life_us) >= drawn_us {
            return drawn_us;
        }
    }
}

#[cfg(test)]
mod tests;
