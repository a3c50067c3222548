//! What the shoppers got.

use std::collections::BTreeMap;

use crate::comparison::ComparisonRow;
use crate::load::{self, Shopper, most_served};
use crate::network::Traffic;
use crate::night::percentile;
use crate::scenario::{Scenario, StockPolicy, VenueIndex};

/// What the shoppers got.
#[derive(Debug)]
pub(super) struct Tally {
    answered: Vec<bool>,
    unanswered: usize,
    /// Units sold, by drop and product, and by the venue at which one was taken along at once.
    sold: BTreeMap<(usize, usize), BTreeMap<Option<VenueIndex>, u64>>,
    refusals: u64,
    wrong_refusals: u64,
    took_us: Vec<u64>,
}

impl Tally {
    pub(super) fn new(shoppers: usize) -> Self {
        Self {
            answered: vec![false; shoppers],
            unanswered: shoppers,
            sold: BTreeMap::new(),
            refusals: 0,
            wrong_refusals: 0,
            took_us: Vec::new(),
        }
    }

    pub(super) fn is_answered(&self, shopper: usize) -> bool {
        self.answered[shopper]
    }

    pub(super) fn all_answered(&self) -> bool {
        self.unanswered == 0
    }

    fn answered(&mut self, shopper: usize) {
        debug_assert!(!self.answered[shopper], "a shopper is answered once");
        self.answered[shopper] = true;
        self.unanswered -= 1;
    }

    pub(super) fn sold(
        &mut self,
        shopper: usize,
        wish: &Shopper,
        taken_along_at: Option<VenueIndex>,
        now_us: u64,
    ) {
        self.answered(shopper);
        let of = self.sold.entry((wish.drop, wish.product)).or_default();
        *of.entry(taken_along_at).or_default() += wish.quantity;
        self.took_us.push(now_us - wish.at_us);
    }

    pub(super) fn refused(&mut self, shopper: usize, wrongly: bool) {
        self.answered(shopper);
        self.refusals += 1;
        self.wrong_refusals += u64::from(wrongly);
    }

    /// Units of a drop and product that were sold.
    pub(super) fn sold_of(&self, drop: usize, product: usize) -> u64 {
        self.sold.get(&(drop, product)).map_or(0, |of| of.values().sum())
    }

    /// Units that could really be handed over: who took one along needed one that lay at the venue, and each lies at one
    /// venue only.
    fn handed_over(&self, scenario: &Scenario) -> u64 {
        self.sold
            .iter()
            .map(|((drop, product), of)| {
                let lots: Vec<_> =
                    scenario.drops[*drop].lots.iter().filter(|lot| lot.product == *product).collect();
                let stock = lots.iter().map(|lot| u64::from(lot.units)).collect();
                let mut classes: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
                for (venue, units) in of {
                    let from =
                        (0..lots.len()).filter(|lot| venue.is_none_or(|venue| lots[*lot].place == venue));
                    *classes.entry(from.collect()).or_default() += units;
                }
                most_served(stock, &classes)
            })
            .sum()
    }

    pub(super) fn row(
        &self,
        policy: StockPolicy,
        scenario: &Scenario,
        shoppers: &[Shopper],
        traffic: &Traffic,
    ) -> ComparisonRow {
        let sold = |of: &BTreeMap<Option<VenueIndex>, u64>| of.values().sum::<u64>();
        let oversold = self
            .sold
            .iter()
            .map(|((drop, product), of)| sold(of).saturating_sub(scenario.minted(*drop, *product)))
            .sum();
        let mut took_us = self.took_us.clone();
        took_us.sort_unstable();
        let servable = load::servable(scenario, shoppers).units;
        ComparisonRow {
            policy,
            oversold,
            served_per_mille: (self.handed_over(scenario) * 1_000).checked_div(servable),
            sold: self.sold.values().map(sold).sum(),
            wrong_refusals: self.wrong_refusals,
            refusals: self.refusals,
            sale_p50_us: percentile(&took_us, 500),
            sale_p99_us: percentile(&took_us, 990),
            messages: traffic.messages,
            bytes: traffic.bytes,
            kept: oversold == 0,
        }
    }
}
