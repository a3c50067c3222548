//! The central server's stock: which units lie where, which are in a sale, and which sale got which answer.

use std::collections::BTreeMap;

use crate::load::Shopper;
use crate::scenario::{Scenario, VenueIndex};

/// What the server has decided for one shopper. The shopper's number is the key under which a till may ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Sold: so many units from each venue.
    Sold(Vec<(VenueIndex, u64)>),
    /// There were too few.
    SoldOut,
    /// The till wants the shopper to have nothing: too late.
    TakenBack,
}

/// The server's database.
#[derive(Debug, Default)]
pub(super) struct Stock {
    decided: BTreeMap<usize, Decision>,
    /// What of it is durable.
    stored: BTreeMap<usize, Decision>,
    /// Units in sales, by drop, product and venue.
    taken: BTreeMap<(usize, usize, VenueIndex), u64>,
}

impl Stock {
    /// What was decided and is durable.
    pub(super) fn stored(&self, shopper: usize) -> Option<&Decision> {
        self.stored.get(&shopper).filter(|stored| self.decided.get(&shopper) == Some(*stored))
    }

    /// What was decided, durable or not.
    pub(super) fn decided(&self, shopper: usize) -> Option<&Decision> {
        self.decided.get(&shopper)
    }

    /// Decides a sale: once.
    pub(super) fn sell(&mut self, scenario: &Scenario, shopper: usize, wish: &Shopper, now_ms: u64) {
        if self.decided.contains_key(&shopper) {
            return;
        }
        let mut from = Vec::new();
        let mut open = wish.quantity;
        for (venue, free) in self.free(scenario, wish, now_ms) {
            let units = free.min(open);
            if units > 0 {
                from.push((venue, units));
                open -= units;
            }
        }
        if open > 0 {
            self.decided.insert(shopper, Decision::SoldOut);
            return;
        }
        for (venue, units) in &from {
            *self.taken.entry((wish.drop, wish.product, *venue)).or_default() += units;
        }
        self.decided.insert(shopper, Decision::Sold(from));
    }

    /// Takes back what was sold to a shopper; a request that is still on its way will find that it is too late.
    pub(super) fn take_back(&mut self, shopper: usize, wish: &Shopper) {
        if let Some(Decision::Sold(from)) = self.decided.insert(shopper, Decision::TakenBack) {
            for (venue, units) in from {
                if let Some(taken) = self.taken.get_mut(&(wish.drop, wish.product, venue)) {
                    *taken -= units;
                }
            }
        }
    }

    /// What would do for a shopper: free units by venue, the fullest first.
    pub(super) fn free(&self, scenario: &Scenario, wish: &Shopper, now_ms: u64) -> Vec<(VenueIndex, u64)> {
        let here = scenario.devices[wish.device].venue;
        let drop = &scenario.drops[wish.drop];
        let mut free: Vec<(VenueIndex, u64)> = (0..scenario.venues.len())
            .filter(|venue| wish.pickup_at.is_some() || *venue == here)
            .map(|venue| {
                let lots = drop.lots.iter().filter(|lot| lot.product == wish.product && lot.place == venue);
                let minted: u64 = lots.map(|lot| u64::from(lot.units)).sum();
                let minted = if drop.mint_ms <= now_ms { minted } else { 0 };
                let taken = self.taken.get(&(wish.drop, wish.product, venue)).copied().unwrap_or(0);
                (venue, minted.saturating_sub(taken))
            })
            .collect();
        free.sort_by_key(|(venue, free)| (std::cmp::Reverse(*free), *venue));
        free
    }

    /// A shopper's decision is durable.
    pub(super) fn store(&mut self, shopper: usize) {
        if let Some(decision) = self.decided.get(&shopper) {
            self.stored.insert(shopper, decision.clone());
        }
    }

    /// After a power cut there is what was durable.
    pub(super) fn recover(&mut self, wish: impl Fn(usize) -> (usize, usize)) {
        self.decided = self.stored.clone();
        self.taken.clear();
        for (shopper, decision) in &self.decided {
            let (drop, product) = wish(*shopper);
            if let Decision::Sold(from) = decision {
                for (venue, units) in from {
                    *self.taken.entry((drop, product, *venue)).or_default() += units;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::shoppers;
    use crate::random::Random;
    use crate::scenario::find;

    #[test]
    fn a_power_cut_takes_what_was_not_durable_and_no_more() {
        let scenario = find("one-stall").unwrap();
        let shoppers = shoppers(&scenario, &Random::new(1));
        let late_ms = scenario.duration_ms;
        let wish = |shopper: usize| (shoppers[shopper].drop, shoppers[shopper].product);
        let mut stock = Stock::default();
        let free = |stock: &Stock| stock.free(&scenario, &shoppers[0], late_ms);
        let all = free(&stock);
        stock.sell(&scenario, 0, &shoppers[0], late_ms);
        assert!(matches!(stock.decided(0), Some(Decision::Sold(_))) && stock.stored(0).is_none());
        let one_sold = free(&stock);
        assert_ne!(one_sold, all);
        stock.recover(wish);
        assert_eq!((stock.decided(0), free(&stock)), (None, all.clone()));

        stock.sell(&scenario, 0, &shoppers[0], late_ms);
        stock.store(0);
        stock.sell(&scenario, 0, &shoppers[0], late_ms);
        assert_eq!(free(&stock), one_sold, "once for each shopper");
        stock.take_back(0, &shoppers[0]);
        assert_eq!((stock.stored(0), free(&stock)), (None, all), "that is not durable yet");
        stock.recover(wish);
        assert!(matches!(stock.stored(0), Some(Decision::Sold(_))));
        assert_eq!(free(&stock), one_sold);
    }
}
