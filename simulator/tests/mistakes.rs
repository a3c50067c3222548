//! People's mistakes and cheats: each is seen to do what harm it can, and the harm is seen on every
//! device. What a test says here is what happens today.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use popmesh_simulator::mix;
use popmesh_simulator::night::Night;
use popmesh_simulator::scenario;
use popmesh_simulator::world::{Ended, Options, run};

/// Three tills that sell one product out of a common stock for twenty minutes; the faults are added.
const STALL: &str = r#"
name = "mistakes"
title = "Three tills and a mistake"
starts = "18:00"
lasts = "20 min"

[[venue]]
name = "market"

[[device]]
name = "laptop"
roles = "hq"
venue = "market"

[[device]]
name = "till-{n}"
count = 3
roles = "pos"
venue = "market"

[[product]]
sku = "tee"
name = "Tee"
price = 2500

[[drop]]
name = "friday"
opens = "18:01"

[[drop.lot]]
product = "tee"
units = 300

[[demand]]
product = "tee"
shape = "steady"
from = "18:02"
shoppers = 150
where = ["till-1", "till-2", "till-3"]
patience = "10 s"
"#;

/// The first till has no network in the middle of the night.
const TILL_1_IS_ALONE: &str = r#"
[[fault]]
at = "18:05"
until = "18:12"
fault = "offline"
device = "till-1"
"#;

fn play(faults: &str) -> Ended {
    let scenario = scenario::parse("mistakes", &format!("{STALL}{faults}")).unwrap();
    run(&scenario, 1, Options { every_step: true, record: true, ..Options::default() }).unwrap()
}

/// Devices that have shown an incident.
fn who_saw_an_incident(night: &Night) -> Vec<&str> {
    let incidents = night.findings.iter().filter(|finding| finding.text.starts_with("incident: "));
    let mut devices: Vec<&str> =
        incidents.flat_map(|finding| finding.devices.iter().map(String::as_str)).collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

const ALL: [&str; 4] = ["laptop", "till-1", "till-2", "till-3"];

#[test]
fn without_a_mistake_there_is_no_harm() {
    let ended = play(TILL_1_IS_ALONE);
    assert_eq!(ended.breach, None);
    assert_eq!(ended.night.numbers.oversold, 0);
    assert_eq!(who_saw_an_incident(&ended.night), [""; 0]);
    assert_eq!(ended.night.numbers.sold, 150);
}

#[test]
fn a_copied_disk_sells_units_twice_and_everybody_sees_it() {
    let ended = play(&format!(
        "{TILL_1_IS_ALONE}[[fault]]\nat = \"18:06\"\nuntil = \"18:19\"\nfault = \"cloned\"\ndevice = \"till-1\"\n"
    ));
    assert_eq!(ended.breach, None);
    assert!(ended.night.numbers.oversold > 0);
    for device in ALL {
        assert!(who_saw_an_incident(&ended.night).contains(&device), "{device}: {:?}", ended.night.findings);
    }
}

#[test]
fn an_old_image_sells_units_twice_and_everybody_sees_it() {
    let ended = play(&format!(
        "{TILL_1_IS_ALONE}[[fault]]\nat = \"18:08\"\nfault = \"restored\"\ndevice = \"till-1\"\nimage = \"18:03\"\n"
    ));
    assert_eq!(ended.breach, None);
    assert!(ended.night.numbers.oversold > 0);
    for device in ALL {
        assert!(who_saw_an_incident(&ended.night).contains(&device), "{device}: {:?}", ended.night.findings);
    }
}

#[test]
fn what_only_an_overwritten_disk_knew_is_sold_again_and_nobody_can_see_it() {
    // The image is of the moment at which the till was left alone: nobody has what it wrote until it was restored.
    let ended = play(&format!(
        "{TILL_1_IS_ALONE}[[fault]]\nat = \"18:08\"\nfault = \"restored\"\ndevice = \"till-1\"\nimage = \"18:05\"\n"
    ));
    assert_eq!(ended.breach, None);
    assert!(ended.night.numbers.oversold > 0);
    assert_eq!(who_saw_an_incident(&ended.night), [""; 0]);
}

/// A life that begins with units to sell is led twice: by the till, and by a copy from that beginning.
const FORK: &str = r#"
[[fault]]
at = "18:04"
for = "5 s"
fault = "power_cut"
device = "till-1"
[[fault]]
at = "18:06"
until = "18:13"
fault = "cheats"
how = "forks"
device = "till-1"
"#;

#[test]
fn two_histories_of_one_life_sell_units_twice_and_are_told_apart() {
    let ended = play(&format!("{TILL_1_IS_ALONE}{FORK}"));
    // The copy is gone when the night ends, and with it what only it had: the others agree again.
    assert_eq!(ended.breach, None);
    assert!(ended.night.numbers.oversold > 0);
    let mut told =
        ended.night.findings.iter().filter(|finding| finding.text.contains("two histories of one life"));
    assert!(told.any(|finding| {
        ["laptop", "till-2", "till-3"].iter().all(|name| finding.devices.contains(&(*name).to_owned()))
    }));
}

#[test]
fn what_is_written_a_second_time_is_cut_off_and_all_agree() {
    let ended = play(
        "[[fault]]\nat = \"18:06\"\nuntil = \"18:07\"\nfault = \"cheats\"\ndevice = \"till-1\"\nhow = \"rewrites\"\n",
    );
    assert_eq!(ended.breach, None);
    assert!(ended.night.numbers.trust.forks > 0);
}

/// Nights in which a device redeemed, or took back, what two of its kind had sold, and then looked at it otherwise than
/// the others with the same log.
#[test]
fn what_is_contested_is_seen_alike_whoever_acts_on_it() {
    for seed in [61, 124, 194, 306, 320, 387] {
        let scenario = mix::draw("default", seed).unwrap();
        assert_eq!(run(&scenario, seed, Options::default()).unwrap().breach, None, "seed {seed}");
    }
}

#[test]
fn a_sale_of_what_others_hold_counts_for_nothing_and_everybody_sees_it() {
    let ended = play(
        "[[fault]]\nat = \"18:06\"\nuntil = \"18:07\"\nfault = \"cheats\"\ndevice = \"till-1\"\nhow = \"overspends\"\n",
    );
    assert_eq!(ended.breach, None);
    assert_eq!(ended.night.numbers.oversold, 0);
    // It forged a life of its own for that, and may sell nothing any more.
    assert!(ended.night.numbers.refusals.contains_key("suspended"), "{:?}", ended.night.numbers.refusals);
    assert!(
        ended.night.findings.iter().any(|finding| finding.text.contains("spends what another device holds"))
    );
    for device in ["laptop", "till-2", "till-3"] {
        assert!(who_saw_an_incident(&ended.night).contains(&device), "{device}: {:?}", ended.night.findings);
    }
}

#[test]
fn old_messages_sent_again_change_nothing() {
    let ended = play(
        "[[fault]]\nat = \"18:03\"\nuntil = \"18:19\"\nfault = \"cheats\"\ndevice = \"till-1\"\nhow = \"replays\"\n",
    );
    assert_eq!(ended.breach, None);
    assert_eq!(ended.night.numbers.oversold, 0);
    assert_eq!(ended.night.numbers.sold, 150);
    assert_eq!(who_saw_an_incident(&ended.night), [""; 0]);
}
