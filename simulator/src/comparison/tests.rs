use super::*;
use crate::scenario::{find, parse};

fn row(oversold: u64, served: u64, sold: u64, kept: bool) -> ComparisonRow {
    ComparisonRow {
        policy: StockPolicy::ByRate,
        oversold,
        served_per_mille: Some(served),
        sold,
        wrong_refusals: oversold,
        refusals: 100 - sold,
        sale_p50_us: 1_000 - served,
        sale_p99_us: 10_000 - served,
        messages: 7,
        bytes: 70,
        kept,
    }
}

#[test]
fn the_worst_is_the_most_of_what_is_bad_and_the_least_of_what_is_good() {
    let rows = [row(0, 990, 99, true), row(3, 700, 70, false), row(1, 900, 90, true)];
    let median = ComparisonRow::of_several(&rows, |count| count / 2).unwrap();
    assert_eq!(median, ComparisonRow { kept: false, ..row(1, 900, 90, true) });
    let worst = ComparisonRow::of_several(&rows, |count| count - 1).unwrap();
    assert_eq!(worst, row(3, 700, 70, false));
    assert_eq!(ComparisonRow::of_several(&[], |_| 0), None);
}

#[test]
fn a_small_night_is_compared_under_every_policy() {
    let text = "lasts = \"4 min\"\n[[venue]]\nname = \"hall\"\n[[device]]\nname = \"laptop\"\nroles = \"hq\"\n\
         [[device]]\nname = \"till-{n}\"\ncount = 2\nroles = \"pos\"\n[[product]]\nsku = \"tee\"\n\
         [[drop]]\nname = \"d\"\nopens = \"18:01\"\n[[drop.lot]]\nunits = 20\n\
         [[demand]]\nshape = \"steady\"\nfrom = \"18:01\"\nuntil = \"18:04\"\nshoppers = 40\nwhere = \"till-*\"\n\
         [[fault]]\nat = \"18:01\"\nfor = \"2 min\"\nfault = \"split\"\nside = [\"till-1\"]\n";
    let scenario = parse("small", text).unwrap();
    let comparison = compare(&scenario, 1..3, &mut |_, _| true).unwrap().unwrap();
    assert_eq!(comparison.rows.iter().map(|row| row.policy).collect::<Vec<_>>(), POLICIES);
    assert_eq!((comparison.seed, comparison.seeds, comparison.worst.len()), (1, 2, POLICIES.len()));
    for row in comparison.rows.iter().chain(&comparison.worst) {
        let counts = row.policy == StockPolicy::PlainCounter;
        assert_eq!(row.oversold > 0, counts, "{row:?}");
        assert_eq!(row.kept, !counts, "{row:?}");
    }
}

#[test]
fn a_comparison_stops_when_it_is_told_to_and_wants_a_seed() {
    let scenario = find("one-stall").unwrap();
    let mut told = Vec::new();
    let comparison = compare(&scenario, 1..2, &mut |done, now_ms| {
        told.push((done, now_ms));
        told.len() < 3
    });
    assert!(comparison.unwrap().is_none());
    assert_eq!(told, [(0, 1_000), (0, 2_000), (0, 3_000)]);
    assert!(matches!(compare(&scenario, 5..5, &mut |_, _| true), Err(CompareError::NoSeed)));
}
