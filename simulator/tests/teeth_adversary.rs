//! An adversary shows bugs that no honest device ever meets: each planted rule of authority that is off breaks a promise
//! in the nights of that mix; without it, the same nights are clean.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]
#![cfg(feature = "planted")]

use popmesh_proto::planted::Planted as DeviceBug;
use popmesh_simulator::mix;
use popmesh_simulator::planted::Planted;
use popmesh_simulator::world::{Options, run};

/// A bug is found in so many nights at the most.
const NIGHTS: u64 = 200;

/// The promise that is broken in a night, if one is.
fn broken(seed: u64, planted: Option<DeviceBug>) -> Option<(&'static str, String)> {
    let planted = planted.map(Planted::Device);
    let options = Options { every_step: true, planted, ..Options::default() };
    let ended = run(&mix::draw("adversary", seed).unwrap(), seed, options).unwrap();
    ended.breach.map(|(_, breach)| (breach.invariant, breach.text))
}

/// The first night that shows it, of those from `from` on, shows it by one of these promises. Those before do not show it.
fn is_caught(bug: DeviceBug, from: u64, by: &[&str]) {
    let mut nights = (from..=NIGHTS).filter_map(|seed| Some((seed, broken(seed, Some(bug))?)));
    let (seed, (invariant, text)) = nights.next().unwrap_or_else(|| panic!("{bug:?} is not caught"));
    println!("{bug:?}: caught in seed {seed}: {invariant} {text}");
    assert!(by.contains(&invariant), "{bug:?} broke {invariant} in seed {seed}: {text}");
}

#[test]
fn without_a_bug_an_adversary_changes_nothing() {
    for seed in 1..=12 {
        assert_eq!(broken(seed, None), None, "seed {seed}");
    }
}

#[test]
fn to_count_spends_of_what_another_holds() {
    is_caught(DeviceBug::SpendAnybodys, 1, &["I1", "I2", "I4", "I5", "I6", "I12"]);
}

#[test]
fn to_count_what_anybody_does_about_a_claim() {
    is_caught(DeviceBug::DeedsByAnybody, 1, &["I2", "I5", "I6", "I12"]);
}

#[test]
fn to_hand_out_by_a_token_of_anybodys_making() {
    // As it is planted, what the token says depends on what came first.
    is_caught(DeviceBug::TrustAnyToken, 20, &["I2", "I4", "I5", "I6"]);
}

#[test]
fn to_have_anybody_receive_what_was_given() {
    is_caught(DeviceBug::ReceiveForAnybody, 39, &["I4", "I5"]);
}

#[test]
fn to_let_anybody_end_a_hold() {
    is_caught(DeviceBug::ReleaseAnybodys, 1, &["I1", "I5"]);
}

#[test]
fn to_let_anybody_put_units_aside() {
    is_caught(DeviceBug::HoldAnybodys, 1, &["I1", "I4", "I5", "I8"]);
}

#[test]
fn to_believe_whatever_is_said_of_the_own_past() {
    is_caught(DeviceBug::BelieveAnyProof, 1, &["I8"]);
}

#[test]
fn to_admit_entries_of_any_role() {
    is_caught(DeviceBug::AdmitAnyRole, 1, &["I3", "I6"]);
}
