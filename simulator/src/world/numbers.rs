//! The numbers of a night and its thresholds: taken when the night is over and all agree, before anything is
//! tried that no shopper asked for. A threshold of which nothing was measured is missed.

use std::collections::BTreeMap;

use popmesh_proto::text::DropId;

use super::{MS, SECOND, World};
use crate::load;
use crate::network::PART_US;
use crate::night::{Cause, Check, Growth, MediumNight, Numbers, Outcome, percentile};
use crate::random::Random;

/// Of a number of which there is no sample.
const NOT_MEASURED: &str = "not measured";

impl World<'_> {
    /// Takes the numbers, if they have not been taken.
    pub(super) fn take_numbers(&mut self) {
        if self.taken.is_none() {
            self.taken = Some(self.numbers(self.seed));
        }
    }

    pub(super) fn numbers(&self, seed: u64) -> Numbers {
        let servable = load::servable(
            self.scenario,
            &load::shoppers(self.scenario, &Random::new(seed).fork("shoppers")),
        );
        let mut took: Vec<u64> = self
            .shop
            .answers
            .iter()
            .filter(|answer| matches!(answer.outcome, Outcome::Sold | Outcome::SoldAfterWait))
            .map(|answer| answer.took_us)
            .collect();
        took.sort_unstable();
        let entries =
            self.nodes.iter().filter_map(super::Node::device).map(|device| device.log().len()).max();
        let loss: u64 = self.watch.loss_events.iter().sum();
        let came = self.shoppers.iter().filter(|shopper| shopper.at_us <= self.now_us).count() as u64;
        Numbers {
            minted: self.watch.minted,
            sold: self.shop.sold,
            oversold: self.shop.oversold,
            shoppers: came,
            served: self.shop.served,
            without: self.without(came),
            answered: self.shop.answered(),
            servable: servable.units,
            refusals: self.shop.refusals.clone(),
            wrong_refusals: self.shop.wrong_refusals,
            sale_us: [500, 900, 990, 1_000].map(|per_mille| percentile(&took, per_mille)),
            closed_us: self.closes_took(),
            boards: self.boards.looked_at,
            claimed_per_mille: self.claimed_per_mille(),
            open_device_ms: self.watch.open_device_ms,
            loss_events_milli: (loss * 1_000 * 3_600_000).checked_div(self.watch.open_device_ms).unwrap_or(0),
            loss_events: self.watch.loss_events,
            repeat_per_mille: None,
            reconciliation_ms: self.reconciliation_ms(),
            messages: self.traffic.messages,
            bytes: self.traffic.bytes,
            // Of the whole run, rest and all: known at its end.
            idle_air: BTreeMap::new(),
            growth: Growth::default(),
            media: self.media(),
            writes: self.watch.writes,
            entries: entries.unwrap_or(0),
            power_cuts: self.watch.power_cuts,
            claims: self.pickups.numbers,
            carts: self.baskets.numbers,
            trust: self.mistakes.numbers,
            people: self.addresses.numbers,
        }
    }

    /// What kept those who were not served. Who has had no answer yet has given up.
    fn without(&self, came: u64) -> BTreeMap<Cause, u64> {
        let mut without = self.shop.without.clone();
        let told: u64 = without.values().sum();
        let silent = came.saturating_sub(self.shop.served + told);
        if silent > 0 {
            *without.entry(Cause::GaveUp).or_default() += silent;
        }
        without
    }

    /// What was ever sold of each drop that has units.
    fn claimed_per_mille(&self) -> BTreeMap<String, u64> {
        let mut of: BTreeMap<&DropId, (u64, u64)> = BTreeMap::new();
        for lot in self.ledger.for_sale.lots.values() {
            let (minted, claimed) = of.entry(&lot.drop).or_default();
            *minted += lot.minted;
            *claimed += lot.ever_sold.len();
        }
        let of = of.into_iter().filter_map(|(drop, (minted, claimed))| {
            let announced = self.ledger.steps.announced(drop).unwrap_or(minted);
            Some((drop.to_string(), (claimed * 1_000).checked_div(announced)?))
        });
        of.collect()
    }

    fn reconciliation_ms(&self) -> Option<u64> {
        let (sale_us, after_us) = self.watch.reconciled?;
        (self.shop.last_sale_us == Some(sale_us)).then_some(after_us / MS)
    }

    /// Those media that carried anything, in the order of the venues.
    fn media(&self) -> Vec<MediumNight> {
        let venues = self.scenario.venues.len();
        let kinds = ["Wi-Fi", "Bluetooth", "way out"];
        let mut media: Vec<(usize, MediumNight)> = Vec::new();
        for (at, carrier) in self.carriers.iter().enumerate() {
            let (traffic, used) = (carrier.traffic, carrier.used);
            if traffic.messages == 0 {
                continue;
            }
            let medium = MediumNight {
                name: format!("{} {}", self.scenario.venues[at % venues].name, kinds[at / venues]),
                messages: traffic.messages,
                bytes: traffic.bytes,
                used_per_mille: used.busy_us * 1_000 / self.now_us.max(SECOND),
                busiest_per_mille: used.busiest_us * 1_000 / PART_US,
                dropped: traffic.vanished + traffic.queue_full,
                queue_full: traffic.queue_full,
                repeated: traffic.repeated,
            };
            media.push((at % venues, medium));
        }
        media.sort_by_key(|(venue, _)| *venue);
        media.into_iter().map(|(_, medium)| medium).collect()
    }

    pub(super) fn thresholds(&self, numbers: &Numbers) -> Vec<Check> {
        let wanted = self.scenario.thresholds;
        let mut checks = Vec::new();
        let mut judge =
            |name: &str, least: bool, limit: Option<u64>, value: Option<u64>, words: fn(u64) -> String| {
                let Some(limit) = limit else { return };
                let (word, passed) = match least {
                    true => ("at least", value.is_some_and(|value| value >= limit)),
                    false => ("at most", value.is_some_and(|value| value <= limit)),
                };
                checks.push(Check {
                    name: name.to_owned(),
                    passed,
                    measured: value.map_or_else(|| NOT_MEASURED.to_owned(), words),
                    wanted: format!("{word} {}", words(limit)),
                });
            };
        let served = (numbers.sold * 1_000).checked_div(numbers.servable);
        judge("sold of what could be sold", true, wanted.served_per_mille, served, per_mille);
        // Each drop of the night is to reach it, also one of which nothing was ever minted.
        let all = self.scenario.drops.len() == numbers.claimed_per_mille.len();
        let claimed = numbers.claimed_per_mille.values().min().copied().filter(|_| all);
        judge("claimed of what was announced", true, wanted.claimed_per_mille, claimed, per_mille);
        // Who found a till without power was refused nothing.
        let wrong = (numbers.wrong_refusals * 1_000).checked_div(numbers.answered);
        judge("wrongly refused", false, wanted.wrong_refusals_per_mille, wrong, per_mille);
        let sale = |us: u64| (numbers.served > 0).then(|| us.div_ceil(MS));
        judge("half of the sales", false, wanted.sale_p50_ms, sale(numbers.sale_us[0]), milliseconds);
        judge("99 of 100 sales", false, wanted.sale_p99_ms, sale(numbers.sale_us[2]), milliseconds);
        let losses = (numbers.open_device_ms > 0).then_some(numbers.loss_events_milli);
        judge("losses of sync", false, wanted.loss_events_milli, losses, per_hour);
        // Where nothing was sold there was nothing to agree on.
        let agreed = self.watch.agreed_us.filter(|_| numbers.served > 0).map(|us| us / MS);
        judge("time to agree", false, wanted.agree_ms, agreed, milliseconds);
        checks
    }
}

fn per_mille(value: u64) -> String {
    format!("{}.{} %", value / 10, value % 10)
}

fn milliseconds(value: u64) -> String {
    format!("{value} ms")
}

fn per_hour(value: u64) -> String {
    format!("{}.{:03} a device-hour", value / 1_000, value % 1_000)
}
