//! The broker: how stock moves to where it sells.
//!
//! A [`Policy`] decides how many units to ask for, to give and to share out; it sees numbers only, so that policies can
//! be compared on the same night.

mod rates;

pub use rates::RateMeter;
pub(crate) use rates::faded;

use crate::id::DeviceId;

/// What a device knows when it is asked for units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedFor {
    /// Units asked for.
    pub asked: u64,
    /// Units that this device has free, and that would do.
    pub free: u64,
    /// This device's own rate of sale.
    pub own_rate: u64,
}

/// One device among which stock is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seller {
    /// It.
    pub device: DeviceId,
    /// Whether it sells, or only keeps stock for others.
    pub sells: bool,
    /// Its rate of sale, in thousandths of units a minute or so.
    pub rate: u64,
    /// Units that it has free, as far as known here.
    pub free: u64,
}

/// How stock moves.
pub trait Policy: std::fmt::Debug + Send {
    /// How many units to ask a peer for, when sales that wait here lack `lacking`.
    fn ask(&self, lacking: u64) -> u64;

    /// How many units to give to a device that asks; at most `free`, and at least one if there is one.
    fn give(&self, request: AskedFor) -> u64;

    /// How many units of a shelf a device that sells keeps from wishes larger than ordinary ones, which are of `ordinary` units
    /// at the most. `rate` is its rate of sale, in thousandths of units a minute or so.
    fn floor(&self, ordinary: u64, rate: u64) -> u64 {
        // What one ordinary wish takes, or a minute's sales.
        ordinary.max(rate / 1_000)
    }

    /// How many units this device, `own` of `sellers`, gives to whom unasked.
    fn share(&self, own: &DeviceId, sellers: &[Seller]) -> Vec<(DeviceId, u64)>;
}

/// The policy of popmesh: on demand, ahead of demand by rate of sale, back when idle, and single units near the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByRate;

/// Every device that sells counts as if it sold this many thousandths of units a minute, so that none is left without.
const BASE_RATE: u64 = 2_000;
/// With fewer units than this for each device, stock moves only when asked for: single units near the end. Nobody who sells
/// gives away unasked what makes it have fewer, however much faster others sell.
const NEAR_THE_END: u64 = 2;

impl Policy for ByRate {
    fn ask(&self, lacking: u64) -> u64 {
        lacking
    }

    fn give(&self, request: AskedFor) -> u64 {
        let AskedFor { asked, free, own_rate } = request;
        if asked <= free / 2 || own_rate == 0 {
            asked.min(free)
        } else {
            // Both sell: meet halfway, so that a sale here need not ask for the same units back.
            asked.min(free.div_ceil(2))
        }
    }

    fn share(&self, own: &DeviceId, sellers: &[Seller]) -> Vec<(DeviceId, u64)> {
        let selling: Vec<&Seller> =
            sellers.iter().filter(|seller| seller.sells || seller.device == *own).collect();
        let total: u64 = selling.iter().map(|seller| seller.free).sum();
        if selling.len() < 2 || total < NEAR_THE_END * selling.len() as u64 {
            return Vec::new();
        }
        let weight = |seller: &Seller| if seller.sells { seller.rate + BASE_RATE } else { BASE_RATE / 8 };
        let weights: u64 = selling.iter().map(|seller| weight(seller)).sum();
        let target =
            |seller: &Seller| (u128::from(total) * u128::from(weight(seller)) / u128::from(weights)) as u64;
        let Some(me) = selling.iter().find(|seller| seller.device == *own) else { return Vec::new() };
        let slack = |target: u64| (target / 4).max(2);
        let keep = if me.sells { target(me).max(NEAR_THE_END) } else { target(me) };
        let mut excess = me.free.saturating_sub(keep);
        if excess <= slack(keep) {
            return Vec::new();
        }
        let mut short: Vec<(DeviceId, u64)> = selling
            .iter()
            .filter(|seller| seller.device != *own)
            .map(|seller| (seller.device, target(seller).saturating_sub(seller.free), target(seller)))
            .filter(|(_, deficit, target)| *deficit > 0 && (*deficit > slack(*target) || *deficit == *target))
            .map(|(device, deficit, _)| (device, deficit))
            .collect();
        short.sort_by_key(|(device, deficit)| (std::cmp::Reverse(*deficit), *device));
        let mut gifts = Vec::new();
        for (device, deficit) in short {
            let gift = deficit.min(excess);
            if gift > 0 {
                gifts.push((device, gift));
                excess -= gift;
            }
        }
        gifts
    }
}

/// Moves stock only when a sale asks for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDemand;

impl Policy for OnDemand {
    fn ask(&self, lacking: u64) -> u64 {
        lacking
    }

    fn give(&self, request: AskedFor) -> u64 {
        ByRate.give(request)
    }

    fn share(&self, _: &DeviceId, _: &[Seller]) -> Vec<(DeviceId, u64)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seller(n: u8, sells: bool, rate: u64, free: u64) -> Seller {
        Seller { device: DeviceId([n; 32]), sells, rate, free }
    }

    #[test]
    fn stock_drifts_to_who_sells_and_leaves_a_floor() {
        let sellers = [seller(1, false, 0, 100), seller(2, true, 10_000, 0), seller(3, true, 0, 0)];
        let gifts = ByRate.share(&sellers[0].device, &sellers);
        assert_eq!(gifts.len(), 2);
        assert!(gifts[0].0 == sellers[1].device && gifts[0].1 > 3 * gifts[1].1, "{gifts:?}");
        assert!(gifts[1].1 >= 1);
    }

    #[test]
    fn an_idle_device_gives_back() {
        let sellers = [seller(1, true, 0, 50), seller(2, true, 60_000, 0)];
        let gifts = ByRate.share(&sellers[0].device, &sellers);
        assert!(gifts.iter().any(|(device, units)| *device == sellers[1].device && *units > 40), "{gifts:?}");
    }

    #[test]
    fn near_the_end_nothing_moves_unasked() {
        let sellers = [seller(1, true, 0, 3), seller(2, true, 60_000, 0)];
        assert!(ByRate.share(&sellers[0].device, &sellers).is_empty());
    }

    proptest! {
        #[test]
        fn sharing_gives_no_more_than_there_is_and_comes_to_rest(
            rates in proptest::collection::vec((any::<bool>(), 0u64..100_000, 0u64..500), 2..12),
        ) {
            let mut sellers: Vec<Seller> = rates
                .iter()
                .enumerate()
                .map(|(n, (sells, rate, free))| seller(n as u8, *sells, *rate, *free))
                .collect();
            let total: u64 = sellers.iter().map(|seller| seller.free).sum();
            let mut quiet = false;
            for _ in 0..20 {
                quiet = true;
                for own in 0..sellers.len() {
                    let device = sellers[own].device;
                    let gifts = ByRate.share(&device, &sellers);
                    let given: u64 = gifts.iter().map(|(_, units)| units).sum();
                    prop_assert!(given <= sellers[own].free);
                    quiet &= gifts.is_empty();
                    sellers[own].free -= given;
                    for (to, units) in gifts {
                        sellers.iter_mut().find(|seller| seller.device == to).unwrap().free += units;
                    }
                }
                if quiet {
                    break;
                }
            }
            prop_assert!(quiet, "stock goes round in circles");
            prop_assert_eq!(sellers.iter().map(|seller| seller.free).sum::<u64>(), total);
        }

        #[test]
        fn a_request_is_met_within_what_is_free(asked in 1u64..1000, free in 1u64..1000, own_rate in 0u64..10_000) {
            let given = ByRate.give(AskedFor { asked, free, own_rate });
            prop_assert!((1..=asked.min(free)).contains(&given));
        }
    }
}
