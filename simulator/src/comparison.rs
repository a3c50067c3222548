//! The same night under each stock policy: what came of it, side by side.

use std::ops::Range;

use serde::Serialize;

use crate::baseline::{self, BaselineError};
use crate::night::Night;
use crate::scenario::{Scenario, StockPolicy};
use crate::world::{Options, WorldError, run_with};

/// Every policy, popmesh's own first.
pub const POLICIES: [StockPolicy; 5] = [
    StockPolicy::ByRate,
    StockPolicy::OnDemand,
    StockPolicy::StaticShares,
    StockPolicy::PlainCounter,
    StockPolicy::CentralServer,
];

/// Why policies could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// No seed, no night.
    #[error("there is no seed to play; ask for one at least")]
    NoSeed,
    /// A night of popmesh devices cannot begin.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A baseline's night cannot be played.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
}

/// One night, run under several stock policies, with one seed or several.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The scenario's short name.
    pub scenario: String,
    /// The first seed: shoppers and faults are the same in every row.
    pub seed: u64,
    /// So many seeds, one after the other.
    pub seeds: u64,
    /// One for each policy, popmesh's own first: the median of all seeds, each number for itself.
    pub rows: Vec<ComparisonRow>,
    /// The same with the worst of all seeds, each number for itself.
    pub worst: Vec<ComparisonRow>,
}

/// What came of the night under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparisonRow {
    /// The policy.
    pub policy: StockPolicy,
    /// Units that were sold more than once.
    pub oversold: u64,
    /// Units sold once each, of those that an all-knowing seller could have sold, per mille; absent if it could have
    /// sold none.
    pub served_per_mille: Option<u64>,
    /// Units sold by acknowledged sales.
    pub sold: u64,
    /// Refusals although enough units were free with somebody who could be reached.
    pub wrong_refusals: u64,
    /// Refusals of any kind.
    pub refusals: u64,
    /// The median of how long sales took, microseconds.
    pub sale_p50_us: u64,
    /// 99 of 100 sales took no longer, microseconds.
    pub sale_p99_us: u64,
    /// Messages sent, gossip counted once for each link.
    pub messages: u64,
    /// Their bytes, with packet overhead.
    pub bytes: u64,
    /// Whether every promise was kept; thresholds are not judged here.
    pub kept: bool,
}

impl ComparisonRow {
    /// What `night` comes to. A unit that was sold twice served one shopper, so it counts once.
    pub fn of(night: &Night) -> Self {
        let numbers = &night.numbers;
        let served = numbers.sold.saturating_sub(numbers.oversold);
        Self {
            policy: night.policy,
            oversold: numbers.oversold,
            served_per_mille: served.saturating_mul(1_000).checked_div(numbers.servable),
            sold: numbers.sold,
            wrong_refusals: numbers.wrong_refusals,
            refusals: numbers.refusals.values().fold(0, |sum, times| sum.saturating_add(*times)),
            sale_p50_us: numbers.sale_us[0],
            sale_p99_us: numbers.sale_us[2],
            messages: numbers.messages,
            bytes: numbers.bytes,
            kept: night.verdict.checks.iter().all(|check| check.passed || !check.wanted.is_empty()),
        }
    }

    /// One row of several nights under one policy, each number chosen for itself. `choose` gets the values in order, the
    /// best first.
    fn of_several(rows: &[Self], choose: impl Fn(usize) -> usize) -> Option<Self> {
        let first = rows.first()?;
        let most = |of: fn(&Self) -> u64| {
            let mut values: Vec<u64> = rows.iter().map(of).collect();
            values.sort_unstable();
            values[choose(values.len())]
        };
        let fewest = |of: fn(&Self) -> u64| {
            let mut values: Vec<u64> = rows.iter().map(of).collect();
            values.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
            values[choose(values.len())]
        };
        let judged = rows.iter().any(|row| row.served_per_mille.is_some());
        Some(Self {
            policy: first.policy,
            oversold: most(|row| row.oversold),
            served_per_mille: judged.then(|| fewest(|row| row.served_per_mille.unwrap_or(1_000))),
            sold: fewest(|row| row.sold),
            wrong_refusals: most(|row| row.wrong_refusals),
            refusals: most(|row| row.refusals),
            sale_p50_us: most(|row| row.sale_p50_us),
            sale_p99_us: most(|row| row.sale_p99_us),
            messages: most(|row| row.messages),
            bytes: most(|row| row.bytes),
            kept: rows.iter().all(|row| row.kept),
        })
    }
}

/// Plays the night of `scenario` and one seed under one policy, and tells `progress` the time, in milliseconds, now and
/// then; the night ends early when that says `false`.
///
/// # Errors
/// [`CompareError`].
pub fn play(
    scenario: &Scenario,
    seed: u64,
    policy: StockPolicy,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<ComparisonRow, CompareError> {
    match policy {
        StockPolicy::PlainCounter | StockPolicy::CentralServer => {
            Ok(baseline::play(scenario, seed, policy, progress)?)
        }
        StockPolicy::ByRate | StockPolicy::OnDemand | StockPolicy::StaticShares => {
            let scenario = Scenario { policy, ..scenario.clone() };
            let ended = run_with(&scenario, seed, Options::default(), progress)?;
            Ok(ComparisonRow::of(&ended.night))
        }
    }
}

/// Plays the night under each policy with each seed. `progress` is told how many nights are done and the time in the
/// one under way, in milliseconds; when it says `false`, there is no comparison.
///
/// # Errors
/// [`CompareError`].
pub fn compare(
    scenario: &Scenario,
    seeds: Range<u64>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Comparison>, CompareError> {
    if seeds.is_empty() {
        return Err(CompareError::NoSeed);
    }
    let mut comparison = Comparison {
        scenario: scenario.name.clone(),
        seed: seeds.start,
        seeds: seeds.end - seeds.start,
        rows: Vec::new(),
        worst: Vec::new(),
    };
    let mut done = 0;
    for policy in POLICIES {
        let mut rows = Vec::new();
        for seed in seeds.clone() {
            let mut goes_on = true;
            rows.push(play(scenario, seed, policy, &mut |now_ms| {
                goes_on = progress(done, now_ms);
                goes_on
            })?);
            done += 1;
            if !goes_on || !progress(done, 0) {
                return Ok(None);
            }
        }
        comparison.rows.extend(ComparisonRow::of_several(&rows, |count| count / 2));
        comparison.worst.extend(ComparisonRow::of_several(&rows, |count| count - 1));
    }
    Ok(Some(comparison))
}

#[cfg(test)]
mod tests;
