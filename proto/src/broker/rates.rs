//! How fast a SKU sells on this device.

use std::collections::BTreeMap;

use crate::text::{DropId, Sku};

/// After so many milliseconds a sale counts half.
const HALF_LIFE_MS: u64 = 30_000;

/// Counts demand that fades: about the thousandths of units asked for in the last minute.
#[derive(Debug, Default)]
pub struct RateMeter {
    rates: BTreeMap<(DropId, Sku), (u64, u64)>,
}

impl RateMeter {
    /// Notes that `units` were asked for at `mono_ms`.
    pub fn note(&mut self, drop: &DropId, sku: &Sku, units: u64, mono_ms: u64) {
        let (rate, at) = self.rates.entry((drop.clone(), sku.clone())).or_insert((0, mono_ms));
        *rate = faded(*rate, mono_ms.saturating_sub(*at)).saturating_add(units.saturating_mul(1000));
        *at = mono_ms;
    }

    /// The rate at `mono_ms`.
    pub fn rate(&self, drop: &DropId, sku: &Sku, mono_ms: u64) -> u64 {
        self.rates
            .get(&(drop.clone(), sku.clone()))
            .map_or(0, |(rate, at)| faded(*rate, mono_ms.saturating_sub(*at)))
    }

    /// Every rate that is not nothing.
    pub fn rates(&self, mono_ms: u64) -> impl Iterator<Item = (&DropId, &Sku, u64)> {
        self.rates
            .iter()
            .map(move |((drop, sku), (rate, at))| (drop, sku, faded(*rate, mono_ms.saturating_sub(*at))))
            .filter(|(_, _, rate)| *rate > 0)
    }
}

/// Halves once every half-life, in a straight line between.
pub(crate) fn faded(rate: u64, elapsed_ms: u64) -> u64 {
    let halves = elapsed_ms / HALF_LIFE_MS;
    if halves >= 64 {
        return 0;
    }
    let rate = rate >> halves;
    rate - rate / 2 * (elapsed_ms % HALF_LIFE_MS) / HALF_LIFE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_fades() {
        let (drop, sku) = ("d".parse().unwrap(), "s".parse().unwrap());
        let mut meter = RateMeter::default();
        meter.note(&drop, &sku, 8, 0);
        assert_eq!(meter.rate(&drop, &sku, 0), 8000);
        assert_eq!(meter.rate(&drop, &sku, 30_000), 4000);
        assert_eq!(meter.rate(&drop, &sku, 45_000), 3000);
        assert_eq!(meter.rate(&drop, &sku, 10_000_000), 0);
    }
}
