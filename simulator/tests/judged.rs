//! The rules as they are written down a second time, against the product's views: equal over nights of all kinds, and a fault in
//! either shows.
#![cfg(feature = "planted")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use popmesh_proto::planted::Planted as DeviceBug;
use popmesh_simulator::mix;
use popmesh_simulator::planted::Planted;
use popmesh_simulator::world::{Options, run};

/// What the rules say against a view in a night, if anything.
fn said(mix: &str, seed: u64, planted: Option<Planted>) -> Option<String> {
    let ended = run(&mix::draw(mix, seed).unwrap(), seed, Options { planted, ..Options::default() }).unwrap();
    let breach = ended.breach.map(|(_, breach)| breach.text)?;
    assert!(planted.is_some() || !breach.is_empty(), "{breach}");
    Some(breach)
}

#[test]
fn the_views_are_what_follows_from_the_rules() {
    for mix in ["default", "mistakes", "retired", "steps"] {
        for seed in 1..=8 {
            assert_eq!(said(mix, seed, None), None, "{mix} {seed}");
        }
    }
}

/// The first of these nights in which the rules contradict a view.
fn is_seen(bug: Planted, mix: &str, seeds: std::ops::RangeInclusive<u64>) {
    let texts = seeds.clone().filter_map(|seed| Some((seed, said(mix, seed, Some(bug))?)));
    let found = texts.into_iter().find(|(_, text)| text.starts_with("by the rules, and not as "));
    println!("{bug}: {found:?}");
    assert!(found.is_some(), "{bug} is not seen in {seeds:?} of {mix}");
}

#[test]
fn a_fault_of_the_judges_shows() {
    is_seen(Planted::JudgeCountsLate, "retired", 6..=8);
    is_seen(Planted::JudgeTakesLater, "mistakes", 7..=9);
}

#[test]
fn a_fault_of_the_views_shows() {
    is_seen(Planted::Device(DeviceBug::LaterHasIt), "mistakes", 1..=60);
}
