use std::collections::BTreeMap;

use super::*;
use crate::mix::draw;
use crate::scenario::{FaultKind, find, parse};

fn night(demand: &str, rest: &str) -> Scenario {
    let text = format!(
        "lasts = \"40 min\"\n[[venue]]\nname = \"a\"\n[[venue]]\nname = \"b\"\n\
         [[device]]\nname = \"hq\"\nroles = \"hq\"\nvenue = \"a\"\n\
         [[device]]\nname = \"till-a\"\nroles = \"pos\"\nvenue = \"a\"\n\
         [[device]]\nname = \"till-b\"\nroles = \"pos\"\nvenue = \"b\"\n\
         [[product]]\nsku = \"tee\"\n[[drop]]\nname = \"d\"\nopens = \"18:05\"\n\
         [[drop.lot]]\nunits = 10\nplace = \"a\"\n[[drop.lot]]\nunits = 5\nplace = \"b\"\n{demand}\n{rest}\n"
    );
    parse("night", &text).unwrap()
}

fn demand(text: &str) -> String {
    format!("[[demand]]\n{text}\n")
}

fn drawn(scenario: &Scenario, seed: u64) -> Vec<Shopper> {
    shoppers(scenario, &Random::new(seed))
}

#[test]
fn as_many_come_as_were_asked_for_and_in_order() {
    for (name, _) in crate::scenario::built_in() {
        let scenario = find(&name).unwrap();
        let all = drawn(&scenario, 1);
        let asked: u64 = scenario
            .demand
            .iter()
            .map(|demand| match demand.arrivals {
                Arrivals::Spike { shoppers, .. }
                | Arrivals::Steady { shoppers, .. }
                | Arrivals::Bursts { shoppers, .. } => shoppers,
            })
            .sum();
        assert_eq!(all.len() as u64, asked, "{name}");
        assert!(all.is_sorted_by_key(|shopper| shopper.at_us));
        assert!(all.iter().all(|shopper| shopper.at_us < scenario.duration_ms * 1_000));
        assert_eq!(all, drawn(&scenario, 1));
        assert_ne!(all, drawn(&scenario, 2));
    }
}

#[test]
fn a_spike_halves_with_each_half_life() {
    let scenario = night(
        &demand(
            "shape = \"spike\"\nat = \"18:10\"\nhalf_life = \"5 min\"\nshoppers = 16000\nwhere = \"till-a\"",
        ),
        "",
    );
    let all = drawn(&scenario, 3);
    let within = |from: u64, until: u64| {
        all.iter().filter(|shopper| (from..until).contains(&(shopper.at_us / 60_000_000))).count()
    };
    assert_eq!(within(0, 10), 0);
    // Nobody comes after the end, 6 half-lives later, so all counts are a 64th higher.
    for (half_lives, expected) in [(0, 8_127), (1, 4_063), (2, 2_031)] {
        let start = 10 + 5 * half_lives;
        let count = within(start, start + 5);
        assert!(count.abs_diff(expected) < 250, "{count} instead of {expected}");
        assert!(within(start, start + 1) > within(start + 4, start + 5), "ever fewer");
    }
}

#[test]
fn a_spike_near_the_end_of_the_night_is_over_with_it() {
    let scenario = night(
        &demand(
            "shape = \"spike\"\nat = \"+2399990 ms\"\nhalf_life = \"8 h\"\nshoppers = 500\nwhere = \"till-a\"",
        ),
        "",
    );
    let all = drawn(&scenario, 3);
    assert!(
        all.len() == 500 && all.iter().all(|shopper| (2_399_990_000..2_400_000_000).contains(&shopper.at_us))
    );
}

#[test]
fn steady_demand_is_even_and_bursts_are_not() {
    let steady = night(
        &demand(
            "shape = \"steady\"\nfrom = \"18:10\"\nuntil = \"18:30\"\nshoppers = 4000\nwhere = \"till-a\"",
        ),
        "",
    );
    let minutes = |all: &[Shopper]| {
        let mut minutes = [0; 40];
        for shopper in all {
            minutes[(shopper.at_us / 60_000_000) as usize] += 1;
        }
        minutes
    };
    let counts = minutes(&drawn(&steady, 1));
    assert!(counts[10..30].iter().all(|count| (140..260).contains(count)), "{counts:?}");
    assert_eq!(counts[..10].iter().chain(&counts[30..]).sum::<i32>(), 0);
    let bursts = night(
        &demand(
            "shape = \"bursts\"\nfrom = \"18:10\"\nuntil = \"18:30\"\nbursts = 3\neach = \"10 s\"\nshoppers = 4000\nwhere = \"till-a\"",
        ),
        "",
    );
    let counts = minutes(&drawn(&bursts, 1));
    assert!(counts.iter().filter(|count| **count > 0).count() <= 6, "{counts:?}");
    assert_eq!(counts[..10].iter().chain(&counts[30..]).sum::<i32>(), 0);
}

#[test]
fn weights_quantities_pickups_and_patience_are_kept() {
    let text = "shape = \"steady\"\nshoppers = 8000\nwhere = { till-a = 3, till-b = 1 }\nquantity = \"1-3\"\n\
                pickup_at = [\"till-a\", \"till-b\"]\npickup = \"25 %\"\npatience = \"2 s - 4 s\"";
    let all = drawn(&night(&demand(text), ""), 5);
    let count = |wanted: &dyn Fn(&Shopper) -> bool| all.iter().filter(|shopper| wanted(shopper)).count();
    assert!(count(&|shopper| shopper.device == 1).abs_diff(6_000) < 200);
    assert!(count(&|shopper| shopper.pickup_at.is_some()).abs_diff(2_000) < 200);
    assert!(count(&|shopper| shopper.pickup_at == Some(2)).abs_diff(1_000) < 150);
    for quantity in 1..=3 {
        assert!(count(&|shopper| shopper.quantity == quantity).abs_diff(2_667) < 200);
    }
    assert_eq!(count(&|shopper| !(2_000..=4_000).contains(&shopper.patience_ms)), 0);
}

#[test]
fn another_block_of_demand_moves_nobody() {
    let first = demand("shape = \"steady\"\nshoppers = 50\nwhere = \"till-a\"");
    let alone = drawn(&night(&first, ""), 9);
    let second = demand("shape = \"steady\"\nshoppers = 50\nwhere = \"till-b\"");
    let both = drawn(&night(&(first + &second), ""), 9);
    let of_first: Vec<Shopper> = both.into_iter().filter(|shopper| shopper.device == 1).collect();
    assert_eq!(of_first, alone);
}

/// Somebody who comes at `at_s` to the device and waits two seconds.
fn shopper(at_s: u64, device: usize, quantity: u64, pickup_at: Option<usize>) -> Shopper {
    Shopper {
        at_us: at_s * 1_000_000,
        device,
        drop: 0,
        product: 0,
        quantity,
        pickup_at,
        patience_ms: 2_000,
        wants_refund: false,
        cart: None,
    }
}

#[test]
fn units_bound_what_is_served_and_places_who_takes_them_along() {
    let scenario = night("", "");
    let walk_ins = |device, count| vec![shopper(600, device, 1, None); count];
    let units = |shoppers: &[Shopper]| servable(&scenario, shoppers).units;
    assert_eq!(units(&walk_ins(1, 30)), 10, "what lies at a");
    assert_eq!(units(&walk_ins(2, 30)), 5, "what lies at b");
    assert_eq!(units(&[walk_ins(1, 4), walk_ins(2, 30)].concat()), 9);
    assert_eq!(units(&vec![shopper(600, 2, 1, Some(1)); 30]), 15, "whoever picks up takes from anywhere");
    let mixed = [walk_ins(1, 8), walk_ins(2, 4), vec![shopper(600, 1, 1, Some(1)); 9]].concat();
    assert_eq!(units(&mixed), 15);
    assert_eq!(units(&[shopper(600, 1, 7, None), shopper(600, 1, 7, None)]), 10, "an upper bound");
}

#[test]
fn nobody_is_served_before_the_drop_opens_or_after_it_closes() {
    let mut scenario = night("", "");
    scenario.drops[0].close_ms = Some(600_000);
    let reachable = |at_s| servable(&scenario, &[shopper(at_s, 1, 1, None)]).reachable[0];
    assert_eq!([290, 297, 298, 300, 599, 600].map(reachable), [false, false, true, true, true, false]);
}

#[test]
fn what_is_cut_off_from_the_mint_gets_nothing_and_what_was_there_before_is_there() {
    let cut = |from: &str| {
        night(
            "",
            &format!("[[fault]]\nat = \"{from}\"\nuntil = \"18:20\"\nfault = \"wan_down\"\nvenue = \"b\""),
        )
    };
    let served = |scenario: &Scenario, at_s: u64| servable(scenario, &[shopper(at_s, 2, 1, None)]).units;
    // Minted at 18:00: a cut from the first moment on keeps the units out until it is over.
    assert_eq!([600, 1_197, 1_198, 1_200].map(|at_s| served(&cut("18:00"), at_s)), [0, 0, 1, 1]);
    assert_eq!(served(&cut("18:01"), 600), 1);
}

#[test]
fn units_go_over_devices_that_have_power_and_wait_where_they_are() {
    // From hq at a to b only through the relay, first hop now, second hop later.
    let relay = "[[device]]\nname = \"relay\"\nroles = \"pos\"\nvenue = \"a\"\n";
    let text = format!(
        "{relay}[[fault]]\nat = \"18:00\"\nfault = \"split\"\nside = [\"hq\", \"relay\"]\nuntil = \"18:10\"\n\
         [[fault]]\nat = \"18:10\"\nfault = \"offline\"\ndevice = \"hq\"\n"
    );
    let scenario = night("", &text);
    let served = |at_s| servable(&scenario, &[shopper(at_s, 2, 1, None)]).units;
    assert_eq!([590, 600].map(served), [0, 1], "hq is gone by then, but the relay has them");
    let without = night(
        "",
        &format!(
            "{text}[[fault]]\nat = \"18:00\"\nuntil = \"18:10\"\nfault = \"power_cut\"\ndevice = \"relay\"\n"
        ),
    );
    assert_eq!(servable(&without, &[shopper(900, 2, 1, None)]).units, 0);
}

#[test]
fn who_has_no_power_sells_nothing() {
    let scenario =
        night("", "[[fault]]\nat = \"18:10\"\nfor = \"1 min\"\nfault = \"power_cut\"\ndevice = \"till-a\"");
    let reachable = |at_s| servable(&scenario, &[shopper(at_s, 1, 1, None)]).reachable[0];
    assert_eq!([599, 600, 657, 658, 660].map(reachable), [true, false, false, true, true]);
}

#[test]
fn a_battery_ends_when_even_an_idle_device_is_empty() {
    let battery = "[[device]]\nname = \"old\"\nroles = \"pos\"\nvenue = \"a\"\n\
                   battery = { lasts = \"10 min\", charge = \"50 %\" }\n";
    let mains = "[[fault]]\nat = \"18:10\"\nfor = \"20 min\"\nfault = \"mains_down\"\nvenue = \"a\"\n";
    let reachable = |rest: &str, at_s| servable(&night("", rest), &[shopper(at_s, 3, 1, None)]).reachable[0];
    let rest = format!("{battery}{mains}");
    // Ten minutes on mains have filled it.
    assert_eq!(
        [1_000, 1_199, 1_200, 1_700, 1_800].map(|at_s| reachable(&rest, at_s)),
        [true, true, false, false, true]
    );
    let swap = format!("{rest}[[fault]]\nat = \"18:25\"\nfault = \"battery_swap\"\ndevice = \"old\"\n");
    assert_eq!([1_300, 1_500, 1_790].map(|at_s| reachable(&swap, at_s)), [false, true, true]);
    let alone = battery.replace("\"50 %\"", "\"50 %\", on_mains = false");
    assert_eq!([299, 300, 301].map(|at_s| reachable(&alone, at_s + 1)), [false; 3], "empty at 18:05");
}

/// The most units that any choice of lot for each shopper serves, tried one by one; everybody wants one unit.
fn brute_force(shoppers: &[Shopper], lots: &[Vec<bool>], stock: &mut [Vec<u64>]) -> u64 {
    let (Some((shopper, others)), Some((in_time, rest))) = (shoppers.split_first(), lots.split_first())
    else {
        return 0;
    };
    let mut best = brute_force(others, rest, stock);
    for lot in 0..in_time.len() {
        if stock[shopper.drop][lot] > 0 && in_time[lot] {
            stock[shopper.drop][lot] -= 1;
            best = best.max(1 + brute_force(others, rest, stock));
            stock[shopper.drop][lot] += 1;
        }
    }
    best
}

/// Walks through the night in steps of `STEP_MS`, unit by unit, without slices, spans or flows.
fn lots_in_time(scenario: &Scenario, shopper: &Shopper) -> Vec<bool> {
    const STEP_MS: u64 = 500;
    let connectivity = crate::connectivity::Connectivity::new(scenario);
    let drop = &scenario.drops[shopper.drop];
    let gives_up_ms = shopper.at_us / 1_000 + shopper.patience_ms;
    drop.lots
        .iter()
        .map(|lot| {
            let fits = lot.product == shopper.product
                && (shopper.pickup_at.is_some() || lot.place == scenario.devices[shopper.device].venue);
            let mut has = vec![false; scenario.devices.len()];
            let mut time_ms = drop.mint_ms;
            while fits && time_ms <= gives_up_ms {
                let reach = connectivity.at(time_ms);
                has[lot.at] |= reach.powered(lot.at);
                for _ in 0..has.len() {
                    for from in 0..has.len() {
                        for to in 0..has.len() {
                            if has[from]
                                && reach.powered(from)
                                && reach.powered(to)
                                && reach.carries(from, to)
                            {
                                has[to] = true;
                            }
                        }
                    }
                }
                let open = drop.open_ms <= time_ms && drop.close_ms.is_none_or(|close_ms| time_ms < close_ms);
                let came = shopper.at_us / 1_000 <= time_ms;
                if open && came && has[shopper.device] && reach.powered(shopper.device) {
                    return true;
                }
                time_ms += STEP_MS;
            }
            false
        })
        .collect()
}

#[test]
fn what_is_servable_is_what_brute_force_finds() {
    let (mut some, mut all_served) = (0, 0);
    for seed in 0..150 {
        let mut scenario = draw("default", seed).unwrap();
        // On a grid of half seconds, so that the walk in steps misses nothing; without batteries, which it knows not.
        let grid = |time_ms: &mut u64| *time_ms = *time_ms / 500 * 500;
        for fault in &mut scenario.faults {
            grid(&mut fault.from_ms);
            grid(&mut fault.until_ms);
            if let FaultKind::Flapping { period_ms, .. } = &mut fault.kind {
                *period_ms = (*period_ms / 1_000).max(1) * 1_000;
            }
        }
        scenario.faults.retain(|fault| !matches!(fault.kind, FaultKind::Clog { .. }));
        for drop in &mut scenario.drops {
            grid(&mut drop.mint_ms);
            grid(&mut drop.open_ms);
            drop.close_ms.iter_mut().for_each(grid);
            for lot in &mut drop.lots {
                lot.units = lot.units.min(4);
            }
        }
        for device in &mut scenario.devices {
            device.battery = None;
        }
        let mut shoppers = drawn(&scenario, seed);
        shoppers.truncate(9);
        for shopper in &mut shoppers {
            shopper.quantity = 1;
            shopper.at_us = shopper.at_us / 500_000 * 500_000;
            shopper.patience_ms = shopper.patience_ms / 500 * 500;
        }
        let found = servable(&scenario, &shoppers);
        let mut stock: Vec<Vec<u64>> = scenario
            .drops
            .iter()
            .map(|drop| drop.lots.iter().map(|lot| u64::from(lot.units)).collect())
            .collect();
        let in_time: Vec<Vec<bool>> =
            shoppers.iter().map(|shopper| lots_in_time(&scenario, shopper)).collect();
        let reachable: Vec<bool> = in_time.iter().map(|lots| lots.contains(&true)).collect();
        assert_eq!(found.reachable, reachable, "seed {seed}");
        assert_eq!(found.units, brute_force(&shoppers, &in_time, &mut stock), "seed {seed}");
        all_served += u64::from(found.units == shoppers.len() as u64);
        some += u64::from(found.units > 0 && found.units < shoppers.len() as u64);
    }
    assert!(some > 30 && all_served > 3, "{some} nights where some are served, {all_served} where all are");
}

/// A flow is as large as its smallest cut: of all ways to part the lots, the stock on one side and what is wanted of the
/// other.
#[test]
fn the_most_that_is_served_is_the_smallest_cut() {
    let mut random = Random::new(11);
    for _ in 0..3_000 {
        let lots = 1 + random.index(5);
        let stock: Vec<u64> = (0..lots).map(|_| random.below(6)).collect();
        let classes: BTreeMap<Vec<usize>, u64> = (0..random.below(8))
            .map(|_| ((0..lots).filter(|_| random.chance(500)).collect(), random.below(6)))
            .collect();
        let cut = |part: usize| -> u64 {
            let inside = |lot: &usize| part & (1 << lot) != 0;
            let left: u64 = (0..lots).filter(|lot| !inside(lot)).map(|lot| stock[lot]).sum();
            let wanted: u64 =
                classes.iter().filter(|(lots, _)| lots.iter().any(inside)).map(|(_, wanted)| wanted).sum();
            left + wanted
        };
        let smallest = (0..1 << lots).map(cut).min().unwrap();
        assert_eq!(servable::most_served(stock.clone(), &classes), smallest, "{stock:?} {classes:?}");
    }
}

#[test]
fn the_nights_that_compare_policies_bite() {
    for name in ["three-venues-live-drop", "wifi-dies-at-the-drop"] {
        let scenario = find(name).unwrap();
        let all = drawn(&scenario, 1);
        let found = servable(&scenario, &all);
        for of in &found.of {
            assert!(of.wanted > of.minted, "more is wanted than there is: {of:?}");
            assert!(of.units * 100 >= of.minted * 97, "and nearly all of it can be sold: {of:?}");
        }
    }
}
