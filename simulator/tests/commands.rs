//! Every command that the product has is given in some mix, and done there.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;

use popmesh_proto::command::Command;
use popmesh_simulator::mix;
use popmesh_simulator::world::{Options, run};

/// Commands of doors: no locker of a drawn night has compartments with locks.
const NEVER_GIVEN: [&str; 3] = ["door_report", "door_open", "door_settle"];

#[test]
fn every_command_is_given_and_done_in_some_mix() {
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    let nights = [("crew", 1..=24), ("default", 1..=12), ("mistakes", 1..=16), ("retired", 1..=8)];
    for (mix, seeds) in nights {
        for seed in seeds {
            let ended = run(&mix::draw(mix, seed).unwrap(), seed, Options::default()).unwrap();
            assert_eq!(ended.breach, None, "popmesh-sim replay --mix {mix} --seed {seed}");
            for (kind, count) in ended.commands {
                *done.entry(kind).or_default() += count.done;
            }
        }
    }
    println!("{done:?}");
    let missing: Vec<&str> = Command::KINDS
        .iter()
        .copied()
        .filter(|kind| done.get(kind).is_none_or(|times| *times == 0))
        .collect();
    let known: Vec<&str> = Command::KINDS.iter().copied().filter(|kind| NEVER_GIVEN.contains(kind)).collect();
    assert_eq!(missing, known, "commands that are never done");
}
