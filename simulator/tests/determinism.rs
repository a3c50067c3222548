//! One seed, one history, byte for byte (I9): the second run of a night is the first one again, whoever looks on.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use popmesh_simulator::mix;
use popmesh_simulator::report;
use popmesh_simulator::scenario::{self, Scenario};
use popmesh_simulator::world::{Ended, Options, run};

/// So many seeds of each mix.
const SEEDS: u64 = 10;

fn looked_at_closely() -> Options {
    Options { every_step: true, record: true, ..Options::default() }
}

fn play(scenario: &Scenario, seed: u64, options: Options) -> Ended {
    run(scenario, seed, options).unwrap()
}

/// Everything that comes out of a night, the page and its twin included.
fn all_of(ended: &Ended) -> (String, String, String) {
    let of_the_run = format!("{:?} {} {:?} {:?}", ended.breach, ended.steps, ended.coverage, ended.trace);
    (of_the_run, report::html(&ended.night), report::json(&ended.night).unwrap())
}

fn is_the_same_again(scenario: &Scenario, seed: u64) -> String {
    let (first, second) =
        (play(scenario, seed, looked_at_closely()), play(scenario, seed, looked_at_closely()));
    assert_eq!(first.night.history, second.night.history, "seed {seed}");
    assert!(all_of(&first) == all_of(&second), "seed {seed} has the same history and another report");
    first.night.history
}

fn mix_is_the_same_again(name: &str) {
    let mut histories: Vec<String> =
        (1..=SEEDS).map(|seed| is_the_same_again(&mix::draw(name, seed).unwrap(), seed)).collect();
    histories.sort();
    histories.dedup();
    assert_eq!(histories.len() as u64, SEEDS, "two seeds have one history");
}

#[test]
fn nights_of_the_default_mix() {
    mix_is_the_same_again("default");
}

#[test]
fn nights_with_bad_networks() {
    mix_is_the_same_again("network");
}

#[test]
fn nights_with_bad_power() {
    mix_is_the_same_again("power");
}

#[test]
fn calm_nights() {
    mix_is_the_same_again("calm");
}

#[test]
fn nights_with_mistakes() {
    mix_is_the_same_again("mistakes");
}

#[test]
fn one_stall() {
    let scenario = scenario::named("one-stall").unwrap().unwrap();
    let one = is_the_same_again(&scenario, 1);
    let other = play(&scenario, 2, Options::default()).night.history;
    assert_ne!(one, other);
}

#[test]
fn a_bigger_night() {
    let scenario = scenario::named("wifi-dies-at-the-drop").unwrap().unwrap();
    // The drop, and what fails around it; the rest is more of the same. No look into the books at every step.
    let play = || {
        let options = Options { record: true, until_step: Some(BIGGER_STEPS), ..Options::default() };
        play(&scenario, 1, options)
    };
    let (first, second) = (play(), play());
    assert!(first.night.numbers.sold > 0 && first.night.ended_ms > 10 * 60_000, "{}", first.night.ended_ms);
    assert_eq!(first.night.history, second.night.history);
    assert!(all_of(&first) == all_of(&second));
}

/// How much of the bigger night is played.
const BIGGER_STEPS: u64 = 950_000;

#[test]
fn to_look_on_changes_nothing() {
    for seed in 1..=4 {
        let scenario = mix::draw("default", seed).unwrap();
        let alone = play(&scenario, seed, Options::default());
        for options in [
            Options { every_step: true, ..Options::default() },
            Options { record: true, ..Options::default() },
            Options { trace_from: Some(0), ..Options::default() },
        ] {
            let watched = play(&scenario, seed, options.clone());
            assert_eq!(watched.night.history, alone.night.history, "seed {seed}, {options:?}");
            assert_eq!(watched.steps, alone.steps, "seed {seed}, {options:?}");
            assert_eq!(watched.trace.is_empty(), options.trace_from.is_none());
        }
    }
}

#[test]
fn a_run_that_is_stopped_is_the_beginning_of_the_whole_one() {
    let scenario = mix::draw("default", 2).unwrap();
    let traced =
        |until_step| play(&scenario, 2, Options { trace_from: Some(0), until_step, ..Options::default() });
    let (part, whole) = (traced(Some(2_000)), traced(None));
    assert_eq!(part.steps, 2_000);
    assert!(part.trace.len() > 100);
    assert!(whole.trace.starts_with(&part.trace));
}
