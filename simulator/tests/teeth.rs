//! Whoever looks for bugs must be seen to find them: each planted bug breaks a promise within a few nights, and the one
//! that it should; without it, the same nights are clean.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]
#![cfg(feature = "planted")]

use std::ops::RangeInclusive;

use popmesh_proto::planted::Planted as DeviceBug;
use popmesh_simulator::mix;
use popmesh_simulator::planted::Planted;
use popmesh_simulator::scenario::{self, Scenario};
use popmesh_simulator::world::{Options, run};

/// The promise that is broken in a night, if one is.
fn broken(scenario: &Scenario, seed: u64, planted: Option<Planted>) -> Option<(&'static str, String)> {
    let options = Options { every_step: true, planted, ..Options::default() };
    let ended = run(scenario, seed, options).unwrap();
    ended.breach.map(|(_, breach)| (breach.invariant, breach.text))
}

/// The nights of the mix of honest devices that are played here.
const NIGHTS: RangeInclusive<u64> = 1..=12;

/// Plays the nights of `seeds` with a bug. It must break something in some of them, and only promises of `by`.
fn is_caught(bug: Planted, nights: impl Fn(u64) -> Scenario, seeds: RangeInclusive<u64>, by: &[&str]) {
    let mut caught = Vec::new();
    for seed in seeds.clone() {
        if let Some((invariant, text)) = broken(&nights(seed), seed, Some(bug)) {
            assert!(by.contains(&invariant), "{bug} broke {invariant} in seed {seed}: {text}");
            caught.push(seed);
        }
    }
    println!("{bug}: caught in {caught:?} of {seeds:?}");
    assert!(!caught.is_empty(), "{bug} is not caught in {seeds:?}");
}

fn honest_mix(seed: u64) -> Scenario {
    mix::draw("honest", seed).unwrap()
}

fn calm_mix(seed: u64) -> Scenario {
    mix::draw("calm", seed).unwrap()
}

fn mistakes_mix(seed: u64) -> Scenario {
    mix::draw("mistakes", seed).unwrap()
}

/// Within the first `nights`: two or three times as many as it takes.
fn device_bug_is_caught(bug: DeviceBug, nights: u64, by: &[&str]) {
    is_caught(Planted::Device(bug), honest_mix, *NIGHTS.start()..=nights.min(*NIGHTS.end()), by);
}

#[test]
fn without_a_bug_the_same_nights_are_clean() {
    for seed in NIGHTS {
        assert_eq!(broken(&honest_mix(seed), seed, None), None, "seed {seed}");
    }
    assert_eq!(broken(&cuts_in_sales(1), 1, None), None);
}

#[test]
fn to_acknowledge_before_the_sync() {
    device_bug_is_caught(DeviceBug::AcknowledgeBeforeSync, 3, &["I3"]);
}

#[test]
fn to_tell_apart_from_the_record() {
    device_bug_is_caught(DeviceBug::TellApart, 3, &["I3"]);
}

#[test]
fn to_sell_what_was_given_away() {
    device_bug_is_caught(DeviceBug::KeepWhatIsGiven, 6, &["I1"]);
}

#[test]
fn to_sell_what_another_holds() {
    device_bug_is_caught(DeviceBug::SellWithoutHolding, 3, &["I6"]);
}

#[test]
fn to_hand_out_without_custody() {
    // The device that hears of it says so at once, and in some nights its word comes before the books are looked at.
    device_bug_is_caught(DeviceBug::RedeemWithoutCustody, 6, &["I2", "I6"]);
}

#[test]
fn to_hand_out_without_custody_shows_in_what_is_written() {
    // Devices notice it too, and when their books are looked at at every step, they are first.
    let planted = Some(Planted::Device(DeviceBug::RedeemWithoutCustody));
    let options = Options { planted, ..Options::default() };
    let seen = (1..=6).filter_map(|seed| run(&honest_mix(seed), seed, options.clone()).unwrap().breach);
    let seen: Vec<String> =
        seen.map(|(_, breach)| format!("{}: {}", breach.invariant, breach.text)).collect();
    assert!(
        seen.iter().any(|text| text.starts_with("I2") && text.contains("which is not its custodian")),
        "{seen:?}"
    );
}

#[test]
fn to_hand_out_again_what_the_view_calls_issued() {
    is_caught(Planted::Device(DeviceBug::HandOutAgain), honest_mix, 1..=12, &["I1", "I2", "I6"]);
}

#[test]
fn to_pay_back_on_a_word() {
    is_caught(Planted::Device(DeviceBug::RefundOnWord), honest_mix, 1..=100, &["I7"]);
}

#[test]
fn to_accept_an_entry_out_of_its_chain() {
    device_bug_is_caught(DeviceBug::AcceptOutOfChain, 12, &["I5", "I6"]);
}

#[test]
fn to_go_on_with_the_old_life() {
    device_bug_is_caught(DeviceBug::KeepOldLife, 6, &["I3"]);
}

#[test]
fn to_forget_what_is_in_transit() {
    device_bug_is_caught(DeviceBug::ForgetInTransit, 3, &["I4"]);
}

#[test]
fn to_decide_by_arrival() {
    device_bug_is_caught(DeviceBug::DecideByArrival, 9, &["I5", "I6"]);
}

#[test]
fn to_drop_what_waits() {
    device_bug_is_caught(DeviceBug::DropWaiting, 9, &["I1", "I2", "I3", "I4", "I5", "I6", "I12"]);
}

#[test]
fn to_keep_what_is_erased() {
    device_bug_is_caught(DeviceBug::KeepErased, 9, &["I5"]);
}

#[test]
fn to_leave_out_of_digests_what_matters() {
    is_caught(Planted::Device(DeviceBug::BlindDigests), network_mix, NIGHTS, &["I5", "I12"]);
}

#[test]
fn a_disk_that_lies() {
    // What is gone with it was shown as claimed.
    is_caught(Planted::LyingDisk, honest_mix, NIGHTS, &["I3", "I12"]);
}

/// A till whose power fails again and again in the middle of a sale, with shoppers who come back for an answer.
const CUTS_IN_SALES: &str = r#"
name = "cuts-in-sales"
title = "A till loses power in the middle of sales"
starts = "18:00"
lasts = "10 min"
[[venue]]
name = "market"
[[device]]
name = "till"
roles = "hq, pos"
venue = "market"
[[product]]
sku = "tee"
name = "Tee"
price = 2500
[[drop]]
name = "friday"
opens = "18:00"
[[drop.lot]]
product = "tee"
units = 3000
[[demand]]
product = "tee"
shape = "steady"
from = "18:00:05"
shoppers = 1500
where = ["till"]
patience = "60 s"
"#;

fn cuts_in_sales(seed: u64) -> Scenario {
    let mut text = CUTS_IN_SALES.to_owned();
    for minute in 1..10 {
        for (second, operation) in [(0, 4), (20, 7 + minute), (40, 3 * minute + seed)] {
            text += &format!(
                "[[fault]]\nat = \"18:0{minute}:{second:02}\"\nfor = \"5 s\"\nfault = \"power_cut\"\n\
                 device = \"till\"\nat_operation = {operation}\n"
            );
        }
    }
    scenario::parse("cuts-in-sales", &text).unwrap()
}

#[test]
fn to_sell_again_what_is_asked_for_again() {
    is_caught(Planted::SellAgain, cuts_in_sales, 1..=2, &["I7"]);
}

#[test]
fn to_number_receipts_anew_after_a_restart() {
    is_caught(Planted::Device(DeviceBug::NumberReceiptsAnew), cuts_in_sales, 1..=1, &["I7"]);
}

/// Three tills, to one of which something happens.
const THREE_TILLS: &str = r#"
name = "three-tills"
title = "Three tills at a market"
starts = "18:00"
lasts = "5 min"
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
opens = "18:00"
[[drop.lot]]
product = "tee"
units = 200
[[demand]]
product = "tee"
shape = "steady"
from = "18:00:10"
shoppers = 120
where = ["till-1", "till-2", "till-3"]
patience = "10 s"
"#;

fn till_1(faults: &str) -> Scenario {
    scenario::parse("three-tills", &format!("{THREE_TILLS}{faults}")).unwrap()
}

/// It writes entries a second time while it sells.
fn rewrites(_: u64) -> Scenario {
    till_1("[[fault]]\nat = \"18:02\"\nfault = \"cheats\"\ndevice = \"till-1\"\nhow = \"rewrites\"\n")
}

/// Its disk is set back to before its last start, while nobody is in its reach.
fn set_back_alone(_: u64) -> Scenario {
    till_1(
        "[[fault]]\nat = \"18:01:10\"\nfor = \"5 s\"\nfault = \"power_cut\"\ndevice = \"till-1\"\n\
         [[fault]]\nat = \"18:01:30\"\nfor = \"2 min\"\nfault = \"offline\"\ndevice = \"till-1\"\n\
         [[fault]]\nat = \"18:02\"\nfault = \"restored\"\ndevice = \"till-1\"\nimage = \"18:01\"\n",
    )
}

#[test]
fn without_a_bug_what_happens_to_a_till_breaks_nothing() {
    for seed in 1..=8 {
        assert_eq!(broken(&rewrites(seed), seed, None), None, "seed {seed}");
        assert_eq!(broken(&set_back_alone(seed), seed, None), None, "seed {seed}");
    }
}

#[test]
fn to_let_a_forked_life_go_on() {
    is_caught(Planted::Device(DeviceBug::KeepForks), rewrites, 1..=8, &["I5", "I6"]);
}

/// Admission then asks what this replica happens to know.
#[test]
fn to_refuse_what_a_suspended_device_wrote() {
    is_caught(Planted::Device(DeviceBug::RefuseSuspended), mistakes_mix, 8..=14, &["I2", "I5"]);
}

#[test]
fn to_spend_before_the_past_is_known() {
    is_caught(Planted::Device(DeviceBug::ForgetPast), set_back_alone, 1..=6, &["I1"]);
}

/// Two hqs in two halls that are cut off from each other mint the same numbers, and both halls sell them.
fn printed_twice(_: u64) -> Scenario {
    let halls = r#"
name = "printed-twice"
title = "Two halls with the same numbers"
starts = "18:00"
lasts = "6 min"
[[venue]]
name = "hall-a"
[[venue]]
name = "hall-b"
[[device]]
name = "laptop-a"
roles = "hq"
venue = "hall-a"
[[device]]
name = "laptop-b"
roles = "hq"
venue = "hall-b"
[[device]]
name = "till-a"
roles = "pos"
venue = "hall-a"
[[device]]
name = "till-b"
roles = "pos"
venue = "hall-b"
[[product]]
sku = "print"
name = "Print"
price = 2500
[[drop]]
name = "friday"
opens = "18:01"
minted = "18:00:50"
[[drop.lot]]
product = "print"
units = 60
numbered = true
minted_by = "laptop-a"
[[demand]]
product = "print"
shape = "steady"
from = "18:01:30"
shoppers = 60
where = ["till-a", "till-b"]
patience = "10 s"
[[fault]]
at = "18:00:30"
until = "18:03"
fault = "wan_down"
venue = "hall-b"
[[fault]]
at = "18:01:10"
fault = "reprints"
device = "laptop-b"
"#;
    scenario::parse("printed-twice", halls).unwrap()
}

#[test]
fn to_say_nothing_of_numbers_that_are_printed_twice() {
    for seed in 1..=6 {
        assert_eq!(broken(&printed_twice(seed), seed, None), None, "seed {seed}");
    }
    is_caught(Planted::Device(DeviceBug::PrintTwice), printed_twice, 1..=6, &["I1"]);
}

/// A till that was left alone is set back, and the first that comes into its reach has never heard of it.
fn set_back_and_met_by_a_newcomer(_: u64) -> Scenario {
    till_1(
        "[[fault]]\nat = \"18:00:01\"\nfor = \"2 min\"\nfault = \"power_cut\"\ndevice = \"till-3\"\n\
         [[fault]]\nat = \"18:01:10\"\nfor = \"5 s\"\nfault = \"power_cut\"\ndevice = \"till-1\"\n\
         [[fault]]\nat = \"18:01:30\"\nfor = \"2 min\"\nfault = \"offline\"\ndevice = \"laptop\"\n\
         [[fault]]\nat = \"18:01:30\"\nfor = \"2 min\"\nfault = \"offline\"\ndevice = \"till-2\"\n\
         [[fault]]\nat = \"18:01:58\"\nfault = \"restored\"\ndevice = \"till-1\"\nimage = \"18:01\"\n",
    )
}

#[test]
fn to_believe_a_peer_that_knows_nothing() {
    let bug = Planted::Device(DeviceBug::BelieveWhoKnowsNothing);
    is_caught(bug, set_back_and_met_by_a_newcomer, 1..=12, &["I1"]);
    for seed in 1..=12 {
        assert_eq!(broken(&set_back_and_met_by_a_newcomer(seed), seed, None), None, "seed {seed}");
    }
}

/// Eleven devices at one venue, where nothing happens for minutes.
fn idle_hall(_: u64) -> Scenario {
    let text =
        THREE_TILLS.replace("lasts = \"5 min\"", "lasts = \"6 min\"").replace("count = 3", "count = 10");
    let text = text.replace("name = \"market\"", "name = \"market\"\nwifi = \"crowded-wifi\"");
    let text = text.replace("patience = \"10 s\"", "until = \"18:00:30\"\npatience = \"10 s\"");
    scenario::parse("idle-hall", &text.replace("shoppers = 120", "shoppers = 6")).unwrap()
}

#[test]
fn to_tell_every_second_whatever_the_air_carries() {
    assert_eq!(broken(&idle_hall(1), 1, None), None);
    is_caught(Planted::Device(DeviceBug::TellEverySecond), idle_hall, 1..=1, &["I10"]);
}

#[test]
fn to_share_stock_for_nothing() {
    is_caught(Planted::Device(DeviceBug::ShareForNothing), calm_mix, 1..=12, &["I10"]);
}

#[test]
fn to_tell_everybody_again_and_again_what_was_written_last() {
    is_caught(Planted::Device(DeviceBug::GossipOn), calm_mix, 1..=12, &["I10"]);
}

#[test]
fn to_work_the_view_out_anew_for_each_entry() {
    is_caught(Planted::Device(DeviceBug::FoldAnew), honest_mix, 1..=3, &["I10"]);
}

#[test]
fn to_sum_all_chains_up_for_each_digest() {
    is_caught(Planted::Device(DeviceBug::DigestAnew), honest_mix, 1..=3, &["I10"]);
}

fn retired_mix(seed: u64) -> Scenario {
    mix::draw("retired", seed).unwrap()
}

#[test]
fn to_count_what_a_retired_device_wrote_late() {
    is_caught(Planted::Device(DeviceBug::CountLate), retired_mix, 1..=20, &["I1", "I5"]);
}

#[test]
fn to_name_few_chains_of_whom_it_retires() {
    is_caught(Planted::Device(DeviceBug::FewChains), retired_mix, 11..=15, &["I1", "I2", "I5", "I6"]);
}

#[test]
fn to_take_over_what_a_retired_device_had_sold() {
    is_caught(Planted::Device(DeviceBug::InheritSold), retired_mix, 1..=20, &["I1", "I5", "I6"]);
}

#[test]
fn to_go_on_talking_to_a_retired_device() {
    is_caught(Planted::Device(DeviceBug::TalkToRetired), retired_mix, 1..=20, &["I11"]);
}

#[test]
fn to_keep_the_events_secret_after_a_retirement() {
    is_caught(Planted::Device(DeviceBug::KeepSecret), retired_mix, 1..=20, &["I11"]);
}

#[test]
fn without_a_bug_nights_with_retirements_are_clean() {
    for seed in 1..=20 {
        assert_eq!(broken(&retired_mix(seed), seed, None), None, "seed {seed}");
    }
}

#[test]
fn without_a_bug_nights_of_mistakes_are_clean() {
    for seed in 8..=18 {
        assert_eq!(broken(&mistakes_mix(seed), seed, None), None, "seed {seed}");
    }
}

/// Some want most of what three tills have, while the third till hardly gets anything written, so that it gives too late.
fn large_wishes(seed: u64) -> Scenario {
    let minute = 1 + seed % 3;
    let text = format!(
        "{THREE_TILLS}[[demand]]\nproduct = \"tee\"\nshape = \"steady\"\nfrom = \"18:00:20\"\nuntil = \"18:0{minute}\"\n\
         shoppers = 4\nquantity = \"60-190\"\nwhere = [\"till-1\", \"till-2\"]\npatience = \"6 s\"\n\
         [[fault]]\nat = \"18:00:18\"\nfor = \"100 s\"\nfault = \"slow_disk\"\ndevice = \"till-3\"\ntimes = 100000\n"
    );
    scenario::parse("large-wishes", &text).unwrap()
}

#[test]
fn to_give_the_last_units_for_a_large_wish() {
    is_caught(Planted::Device(DeviceBug::StripForWishes), large_wishes, 1..=6, &["I8"]);
}

#[test]
fn to_keep_what_came_for_a_wish_that_is_over() {
    is_caught(Planted::Device(DeviceBug::KeepWishes), large_wishes, 1..=12, &["I8"]);
}

#[test]
fn without_a_bug_large_wishes_break_nothing() {
    for seed in 1..=12 {
        assert_eq!(broken(&large_wishes(seed), seed, None), None, "seed {seed}");
    }
}

fn network_mix(seed: u64) -> Scenario {
    mix::draw("network", seed).unwrap()
}

fn steps_mix(seed: u64) -> Scenario {
    mix::draw("steps", seed).unwrap()
}

#[test]
fn to_count_as_claimed_what_is_claimed_now() {
    device_bug_is_caught(DeviceBug::ClaimedIsLive, 6, &["I12"]);
}

#[test]
fn to_forget_on_a_board_what_is_out_of_reach() {
    device_bug_is_caught(DeviceBug::ForgetCutOff, 3, &["I12"]);
}

#[test]
fn to_count_from_zero_after_a_start() {
    device_bug_is_caught(DeviceBug::CountFromZero, 6, &["I12"]);
}

#[test]
fn to_say_early_that_all_is_sold() {
    device_bug_is_caught(DeviceBug::SellOutEarly, 3, &["I12"]);
}

#[test]
fn to_show_as_of_now_what_is_not() {
    is_caught(Planted::Device(DeviceBug::BoardOfNow), network_mix, 1..=12, &["I12"]);
}

#[test]
fn to_sell_after_a_close_that_is_known() {
    is_caught(Planted::Device(DeviceBug::SellAfterClose), steps_mix, 1..=3, &["I13"]);
}

#[test]
fn to_go_by_the_step_that_came_last() {
    // Devices with the same steps then differ, too.
    is_caught(Planted::Device(DeviceBug::StepsByArrival), steps_mix, 1..=6, &["I4", "I5", "I13"]);
}

#[test]
fn to_call_after_the_close_what_came_after_it() {
    is_caught(Planted::Device(DeviceBug::LateByArrival), steps_mix, 1..=24, &["I13"]);
}
