use std::collections::BTreeSet;

use super::*;
use crate::scenario::FaultKind;

#[test]
fn the_same_seed_draws_the_same_night_and_another_one_another() {
    for (name, _) in mixes() {
        assert_eq!(draw(name, 7), draw(name, 7));
        assert_ne!(draw(name, 7).unwrap().devices, draw(name, 8).unwrap().devices);
    }
    assert_eq!(draw("rough", 1), Err(UnknownMix { name: "rough".to_owned() }));
}

/// Seeds that people wrote down must replay: what one draws may change only knowingly.
#[test]
fn drawn_nights_do_not_change_unnoticed() {
    let text = |name, seed| crate::scenario::to_toml(&draw(name, seed).unwrap());
    let sum = |text: String| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let sums: Vec<u64> = mixes().into_iter().map(|(name, _)| sum(text(name, 1))).collect();
    let known = [
        3_021_551_243_673_748_501,
        13_505_994_243_073_418_612,
        3_490_732_683_094_909_947,
        9_760_757_783_350_443_471,
        15_279_602_379_482_616_205,
        11_514_281_172_058_845_173,
        4_600_057_311_549_328_655,
        9_480_304_966_908_729_761,
        6_767_484_242_976_361_553,
        13_885_776_524_722_188_178,
    ];
    assert_eq!(sums, known);
}

#[test]
fn nights_are_as_large_as_they_should_be() {
    for seed in 0..300 {
        let night = draw("default", seed).unwrap();
        assert!((2..=8).contains(&night.devices.len()) && (1..=3).contains(&night.venues.len()));
        assert!((60_000..=240_000).contains(&night.duration_ms));
        assert!((1..=3).contains(&night.products.len()) && (1..=2).contains(&night.drops.len()));
        assert_eq!(night.wan.is_some(), night.venues.len() > 1);
        assert!(!night.demand.is_empty());
        assert!(night.faults.is_sorted_by_key(|fault| fault.from_ms));
        for fault in &night.faults {
            assert!(fault.from_ms <= fault.until_ms && fault.until_ms <= night.duration_ms, "{fault:?}");
        }
        let dead = night.faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Dies { .. })).count();
        assert!(dead + 2 <= night.devices.len());
    }
}

fn name(kind: &FaultKind) -> String {
    let shown = format!("{kind:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn every_kind_comes_and_none_that_should_not() {
    let kinds = |mix: &str| -> BTreeSet<String> {
        (0..400).flat_map(|seed| draw(mix, seed).unwrap().faults).map(|fault| name(&fault.kind)).collect()
    };
    assert_eq!(kinds("calm").len(), 0);
    assert_eq!(kinds("default").len(), 23);
    assert_eq!(kinds("honest").len(), 17);
    assert!(
        ["Restored", "Cloned", "Cheats", "Retired", "Entrusted"]
            .iter()
            .all(|kind| !kinds("honest").contains(*kind))
    );
    assert!(kinds("network").is_disjoint(&kinds("power")));
    let cuts: BTreeSet<(bool, bool)> = (0..100)
        .flat_map(|seed| draw("power", seed).unwrap().faults)
        .filter_map(|fault| match fault.kind {
            FaultKind::PowerCut { at_operation, in_recovery, .. } => {
                Some((at_operation.is_some(), in_recovery.is_some()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(cuts, BTreeSet::from([(false, false), (true, false), (true, true)]));
}

#[test]
fn kinds_are_on_or_off_for_a_seed() {
    let with = |kind: &str| {
        (0..400)
            .filter(|seed| {
                draw("network", *seed).unwrap().faults.iter().any(|fault| name(&fault.kind) == kind)
            })
            .count()
    };
    for kind in ["Offline", "Flapping", "OneWay", "WifiDown", "Split", "BadWifi"] {
        assert!((100..220).contains(&with(kind)), "{kind}: {}", with(kind));
    }
}
