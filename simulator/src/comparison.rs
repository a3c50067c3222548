//! The same night under each stock policy: what came of it, side by side.

use serde::Serialize;

use crate::night::Night;
use crate::scenario::StockPolicy;

/// One night, run under several stock policies.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The scenario's short name.
    pub scenario: String,
    /// The seed: shoppers and faults are the same in every row.
    pub seed: u64,
    /// One for each policy, popmesh's own first.
    pub rows: Vec<ComparisonRow>,
}

/// What came of the night under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparisonRow {
    /// The policy.
    pub policy: StockPolicy,
    /// Units that are in more than one acknowledged sale.
    pub oversold: u64,
    /// Units sold once each, of those that an all-knowing seller could have sold, per mille; absent if it could have
    /// sold none.
    pub served_per_mille: Option<u64>,
    /// Units sold by acknowledged sales.
    pub sold: u64,
    /// Refusals although enough units were free on devices that could be reached.
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
}
