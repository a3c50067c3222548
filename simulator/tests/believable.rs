//! What a verdict, its numbers and its findings say of nights that went wrong: nothing passes that was not
//! measured, and whoever came is accounted for.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use popmesh_simulator::night::{Cause, Check, Night};
use popmesh_simulator::report;
use popmesh_simulator::scenario;
use popmesh_simulator::world::{Options, run};

/// One hall with a laptop and two tills, 100 tees, and every threshold.
const HALL: &str = r#"
name = "hall-night"
title = "A night in a hall"
starts = "18:00"
lasts = "20 min"
[[venue]]
name = "hall"
[[device]]
name = "laptop"
roles = "hq"
venue = "hall"
[[device]]
name = "till-{n}"
count = 2
roles = "pos"
venue = "hall"
[[product]]
sku = "tee"
[[drop]]
name = "friday"
opens = "18:05"
[[drop.lot]]
units = 100
[[demand]]
shape = "steady"
from = "18:05"
until = "18:15"
shoppers = 10
where = "till-*"
patience = "10 s"
[thresholds]
served = "90 %"
claimed = "90 %"
wrong_refusals = "1 %"
sale_median = "1 s"
sale_p99 = "5 s"
losses_per_hour = 5
agree_within = "30 s"
"#;

fn played(text: &str) -> Night {
    let scenario = scenario::parse("night", text).unwrap();
    let ended = run(&scenario, 1, Options { record: true, ..Options::default() }).unwrap();
    assert_eq!(ended.breach, None);
    println!("{}", report::summary(&ended.night, false));
    adds_up(&ended.night);
    ended.night
}

/// Whoever came was served, or kept from it by one thing.
fn adds_up(night: &Night) {
    let numbers = &night.numbers;
    assert_eq!(numbers.served + numbers.without.values().sum::<u64>(), numbers.shoppers);
    assert!(numbers.sold <= numbers.servable, "{} of {}", numbers.sold, numbers.servable);
}

fn check<'n>(night: &'n Night, name: &str) -> &'n Check {
    night.verdict.checks.iter().find(|check| check.name == name).unwrap()
}

/// What of the thresholds was not measured.
fn not_measured(night: &Night) -> Vec<&str> {
    let checks = night.verdict.checks.iter().filter(|check| check.measured == "not measured");
    checks.map(|check| (!check.passed).then_some(check.name.as_str()).unwrap()).collect()
}

fn finds<'n>(night: &'n Night, words: &str) -> &'n str {
    let found = night.findings.iter().find(|finding| finding.text.contains(words));
    found.map(|finding| finding.text.as_str()).unwrap_or_else(|| panic!("{:?}", night.findings))
}

#[test]
fn a_night_without_power_passes_nothing() {
    let night =
        played(&format!("{HALL}[[fault]]\nat = \"18:00\"\nfault = \"mains_down\"\nvenue = \"hall\"\n"));
    assert!(!night.verdict.passed);
    let all = [
        "sold of what could be sold",
        "wrongly refused",
        "half of the sales",
        "99 of 100 sales",
        "losses of sync",
        "time to agree",
    ];
    assert_eq!(not_measured(&night), all);
    // The lot was made when the mains were back.
    assert_eq!(check(&night, "claimed of what was announced").measured, "0.0 %");
    assert_eq!((night.numbers.shoppers, night.numbers.served), (10, 0));
    assert_eq!(night.numbers.without.get(&Cause::NoPower), Some(&10));
    assert!(finds(&night, "was never opened").contains("laptop had no power; 10 shoppers"));
}

#[test]
fn stock_that_lies_in_the_van_is_named() {
    let van = HALL
        .replace("[[device]]\nname = \"laptop\"", "[[venue]]\nname = \"van\"\n[[device]]\nname = \"laptop\"")
        .replace("units = 100", "units = 100\nplace = \"van\"");
    let night = played(&van);
    assert!(!night.verdict.passed);
    assert_eq!((night.numbers.sold, night.numbers.servable), (0, 0));
    assert_eq!(night.numbers.without.get(&Cause::Elsewhere), Some(&10));
    // Whoever walks in takes along what lies there, so nobody could have sold anything.
    assert!(not_measured(&night).contains(&"sold of what could be sold"));
    assert_eq!(check(&night, "claimed of what was announced").measured, "0.0 %");
    let found = finds(&night, "hall refused");
    assert!(
        found.starts_with("hall refused tee of friday while units were left: up to 100 at van"),
        "{found}"
    );
}

#[test]
fn a_night_that_sells_a_tenth_says_a_tenth() {
    let night = played(HALL);
    assert!(!night.verdict.passed);
    assert_eq!((night.numbers.sold, night.numbers.served), (10, 10));
    assert_eq!(night.numbers.claimed_per_mille.get("friday"), Some(&100));
    let failed: Vec<&str> =
        night.verdict.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    assert_eq!(failed, ["claimed of what was announced"]);
    assert_eq!(check(&night, "claimed of what was announced").measured, "10.0 %");
    assert_eq!(night.numbers.without, Default::default());
}

#[test]
fn an_hq_that_dies_before_the_opening_stops_the_night_and_is_named() {
    let night = played(&format!("{HALL}[[fault]]\nat = \"18:04\"\nfault = \"dies\"\ndevice = \"laptop\"\n"));
    assert!(!night.verdict.passed);
    assert_eq!((night.numbers.served, night.numbers.servable), (0, 10));
    assert_eq!(night.numbers.without.get(&Cause::NotOpen), Some(&10));
    assert_eq!(check(&night, "sold of what could be sold").measured, "0.0 %");
    assert_eq!(check(&night, "claimed of what was announced").measured, "0.0 %");
    assert!(not_measured(&night).contains(&"half of the sales"));
    assert!(finds(&night, "was never opened").contains("laptop had died; 10 shoppers"));
    finds(&night, "laptop alone can open and close friday");
}

#[test]
fn another_who_can_open_is_no_single_point() {
    let two = HALL.replace(
        "[[product]]",
        "[[device]]\nname = \"stream\"\nroles = \"encoder\"\nvenue = \"hall\"\n[[product]]",
    );
    let night = played(&two);
    assert!(
        night.findings.iter().all(|finding| !finding.text.contains("alone can open")),
        "{:?}",
        night.findings
    );
}

#[test]
fn who_comes_early_waits_for_the_opening_within_their_patience() {
    let early = HALL
        .replace("from = \"18:05\"\nuntil = \"18:15\"", "from = \"18:04:40\"\nuntil = \"18:04:50\"")
        .replace("patience = \"10 s\"", "patience = \"30 s\"");
    let night = played(&early);
    assert_eq!((night.numbers.served, night.numbers.servable), (10, 10));
    let impatient = early.replace("patience = \"30 s\"", "patience = \"5 s\"");
    let night = played(&impatient);
    assert_eq!((night.numbers.served, night.numbers.servable), (0, 0));
    assert_eq!(night.numbers.without.get(&Cause::NotOpen), Some(&10));
}

#[test]
fn what_kept_somebody_is_told_apart() {
    // Five more than there are; half of the tills dies, and the other loses its power.
    let text = HALL.replace("units = 100", "units = 5").replace(
        "[thresholds]",
        "[[fault]]\nat = \"18:10\"\nfault = \"dies\"\ndevice = \"till-1\"\n\
         [[fault]]\nat = \"18:10\"\nfault = \"power_cut\"\ndevice = \"till-2\"\n[thresholds]",
    );
    let text = text.replace("shoppers = 10", "shoppers = 40");
    let night = played(&text);
    let without = &night.numbers.without;
    for cause in [Cause::SoldOut, Cause::DeadTill, Cause::NoPower] {
        assert!(without.get(&cause).is_some_and(|shoppers| *shoppers > 0), "{without:?}");
    }
}

#[test]
fn each_round_of_a_drop_could_be_sold() {
    let text = HALL.replace("opens = \"18:05\"", "opens = \"18:05\"\ncloses = \"18:08\"").replace(
        "[[drop.lot]]",
        "[[drop.step]]\nat = \"18:10\"\nstep = \"open-again\"\n[[drop.step]]\nat = \"18:13\"\nstep = \"close\"\n[[drop.lot]]",
    );
    let night = played(&text.replace("shoppers = 10", "shoppers = 60"));
    let numbers = &night.numbers;
    assert_eq!(numbers.sold, numbers.servable);
    assert_eq!(numbers.without.keys().collect::<Vec<_>>(), [&Cause::NotOpen]);
}

#[test]
fn each_medium_says_how_much_it_carried_and_dropped() {
    let lossy = "name = \"hall\"\nwifi = { like = \"wifi\", vanish = \"5 %\", loss = \"5 %\", rate = \"500 kbit/s\" }";
    let night = played(&HALL.replace("name = \"hall\"\n[[device]]", &format!("{lossy}\n[[device]]")));
    let [medium] = &night.numbers.media[..] else { panic!("{:?}", night.numbers.media) };
    assert_eq!(medium.name, "hall Wi-Fi");
    assert_eq!((medium.messages, medium.bytes), (night.numbers.messages, night.numbers.bytes));
    assert!(medium.dropped > 0 && medium.repeated > 0 && medium.dropped < medium.messages, "{medium:?}");
    assert!((1..=1_000).contains(&medium.used_per_mille), "{medium:?}");
    assert!(medium.busiest_per_mille >= medium.used_per_mille, "{medium:?}");
}
