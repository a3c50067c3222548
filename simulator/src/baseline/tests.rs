use super::*;
use crate::comparison::ComparisonRow;
use crate::scenario::{find, parse};

/// Two tills at one venue, a laptop that mints and serves, `units` units, and what the test adds.
fn hall(units: u32, rest: &str) -> Scenario {
    let text = format!(
        "lasts = \"30 min\"\n[[venue]]\nname = \"hall\"\n[[device]]\nname = \"laptop\"\nroles = \"hq\"\n\
         [[device]]\nname = \"till-{{n}}\"\ncount = 2\nroles = \"pos\"\n[[product]]\nsku = \"tee\"\n\
         [[drop]]\nname = \"d\"\nopens = \"18:05\"\n[[drop.lot]]\nunits = {units}\n{rest}\n"
    );
    parse("hall", &text).unwrap()
}

fn demand(at: &str, from: &str, until: &str, shoppers: u32) -> String {
    format!(
        "[[demand]]\nshape = \"steady\"\nfrom = \"{from}\"\nuntil = \"{until}\"\nshoppers = {shoppers}\nwhere = \"{at}\"\n\
         patience = \"10 s\"\n"
    )
}

fn fault(text: &str) -> String {
    format!("[[fault]]\n{text}\n")
}

fn played(scenario: &Scenario, seed: u64, policy: StockPolicy) -> ComparisonRow {
    play(scenario, seed, policy, &mut |_| true).unwrap()
}

fn counter(scenario: &Scenario) -> ComparisonRow {
    played(scenario, 1, StockPolicy::PlainCounter)
}

fn server(scenario: &Scenario) -> ComparisonRow {
    played(scenario, 1, StockPolicy::CentralServer)
}

#[test]
fn a_seed_plays_the_same_night_every_time() {
    for (policy, name) in
        [(StockPolicy::PlainCounter, "one-stall"), (StockPolicy::CentralServer, "wifi-dies-at-the-drop")]
    {
        let scenario = find(name).unwrap();
        let (first, other, again) =
            (played(&scenario, 1, policy), played(&scenario, 2, policy), played(&scenario, 1, policy));
        assert_eq!(first, again);
        assert_ne!(first, other);
    }
}

#[test]
fn a_night_stops_when_it_is_told_to() {
    let scenario = find("wifi-dies-at-the-drop").unwrap();
    let mut last_ms = 0;
    let row = play(&scenario, 1, StockPolicy::CentralServer, &mut |now_ms| {
        last_ms = now_ms;
        now_ms < 700_000
    });
    assert!((700_000..710_000).contains(&last_ms), "{last_ms}");
    assert!(row.unwrap().sold < server(&scenario).sold);
}

#[test]
fn the_policies_of_popmesh_are_no_baselines() {
    let result = play(&hall(1, ""), 1, StockPolicy::ByRate, &mut |_| true);
    assert!(matches!(result, Err(BaselineError::Policy(StockPolicy::ByRate))));
}

// --- The plain counter.

#[test]
fn counters_that_hear_each_other_sell_what_there_is() {
    let row = counter(&hall(
        20,
        &demand("till-1", "18:06", "18:12", 15).add(&demand("till-2", "18:14", "18:20", 15)),
    ));
    assert_eq!((row.sold, row.oversold, row.refusals, row.wrong_refusals), (20, 0, 10, 0));
    assert_eq!(row.served_per_mille, Some(1_000));
}

#[test]
fn two_counters_that_are_apart_oversell_by_what_both_sold_beyond_the_stock() {
    let apart = fault("at = \"18:05\"\nfault = \"split\"\nside = [\"till-1\"]");
    let row = counter(&hall(
        20,
        &[demand("till-1", "18:06", "18:12", 15), demand("till-2", "18:06", "18:12", 17), apart].concat(),
    ));
    assert_eq!((row.sold, row.oversold, row.refusals), (15 + 17, 15 + 17 - 20, 0));
    assert!(!row.kept);
    assert_eq!(row.served_per_mille, Some(1_000), "twenty shoppers did get theirs");
    // Each of them has counted down to nothing alone.
    let both = demand("till-1", "18:06", "18:12", 25).add(&demand("till-2", "18:06", "18:12", 30));
    let apart = fault("at = \"18:05\"\nfault = \"split\"\nside = [\"till-1\"]");
    let row = counter(&hall(20, &both.add(&apart)));
    assert_eq!((row.sold, row.oversold, row.refusals, row.wrong_refusals), (40, 20, 15, 0));
}

#[test]
fn counters_catch_up_when_they_meet_again() {
    let rest = [
        demand("till-1", "18:06", "18:08", 12),
        fault("at = \"18:05\"\nuntil = \"18:10\"\nfault = \"split\"\nside = [\"till-1\"]"),
        demand("till-2", "18:11", "18:20", 30),
    ];
    let row = counter(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold), (20, 0));
}

#[test]
fn a_counter_that_missed_a_message_finds_it_again() {
    // Every second message vanishes, and no link ever changes.
    let rest = [
        fault(
            "at = \"18:05\"\nuntil = \"18:10\"\nfault = \"bad_wifi\"\nvenue = \"hall\"\nmedium = { vanish = \"50 %\" }",
        ),
        demand("till-1", "18:06", "18:08", 12),
        demand("till-2", "18:11", "18:20", 30),
    ];
    let row = counter(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold), (20, 0));
}

#[test]
fn a_counter_remembers_its_sales_through_a_power_cut() {
    let rest = [
        demand("till-1", "18:06", "18:08", 12),
        // Nobody else hears of them before the cut.
        fault("at = \"18:05\"\nuntil = \"18:10\"\nfault = \"split\"\nside = [\"till-1\"]"),
        fault("at = \"18:08:30\"\nfor = \"20 s\"\nfault = \"power_cut\"\ndevice = \"till-1\""),
        demand("till-1", "18:11", "18:20", 30),
    ];
    let row = counter(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold), (20, 0));
}

#[test]
fn a_counter_is_not_served_by_what_lies_elsewhere() {
    let text = "lasts = \"30 min\"\n[[venue]]\nname = \"a\"\n[[venue]]\nname = \"b\"\n\
         [[device]]\nname = \"laptop\"\nroles = \"hq\"\nvenue = \"a\"\n\
         [[device]]\nname = \"till-a\"\nroles = \"pos\"\nvenue = \"a\"\n\
         [[device]]\nname = \"till-b\"\nroles = \"pos\"\nvenue = \"b\"\n\
         [[product]]\nsku = \"tee\"\n[[drop]]\nname = \"d\"\nopens = \"18:05\"\n\
         [[drop.lot]]\nunits = 10\nplace = \"a\"\n[[drop.lot]]\nunits = 2\nplace = \"b\"\n";
    let both = demand("till-a", "18:06", "18:10", 3).add(&demand("till-b", "18:12", "18:20", 9));
    let scenario = parse("two", &text.to_owned().add(&both)).unwrap();
    let row = counter(&scenario);
    assert_eq!((row.sold, row.oversold, row.served_per_mille), (12, 0, Some(1_000)));
    let row = counter(&parse("two", &text.to_owned().add(&demand("till-b", "18:12", "18:20", 9))).unwrap());
    assert_eq!(
        (row.sold, row.served_per_mille),
        (9, Some(1_000)),
        "two of nine were there, and no more could be"
    );
    let row = server(&scenario);
    assert_eq!((row.sold, row.refusals, row.served_per_mille), (5, 7, Some(1_000)));
}

// --- The central server.

#[test]
fn the_server_sells_the_stock_and_no_more() {
    let row = server(&hall(
        20,
        &demand("till-1", "18:06", "18:12", 25).add(&demand("till-2", "18:06", "18:12", 25)),
    ));
    assert_eq!((row.sold, row.oversold, row.refusals, row.wrong_refusals), (20, 0, 30, 0));
}

#[test]
fn a_till_that_cannot_reach_the_server_refuses() {
    let rest = [
        demand("till-1", "18:06", "18:08", 5),
        demand("till-2", "18:06", "18:08", 4),
        fault("at = \"18:05\"\nuntil = \"18:10\"\nfault = \"offline\"\ndevice = \"till-1\""),
    ];
    let row = server(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.refusals, row.wrong_refusals), (4, 5, 0));
}

#[test]
fn a_server_without_power_sells_nothing_and_forgets_nothing() {
    let rest = [
        demand("till-1", "18:06", "18:08", 12),
        demand("till-1", "18:09", "18:10", 3),
        demand("till-2", "18:11", "18:20", 30),
        fault("at = \"18:08:30\"\nuntil = \"18:10:30\"\nfault = \"power_cut\"\ndevice = \"laptop\""),
    ];
    let row = server(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold, row.refusals), (20, 0, 3 + 22));
}

#[test]
fn a_lost_answer_sells_once() {
    // Half of all messages vanish: tills ask several times, and shoppers wait long enough for that.
    let bad = fault(
        "at = \"18:05\"\nfault = \"bad_wifi\"\nvenue = \"hall\"\nmedium = { vanish = \"50 %\", twice = \"20 %\" }",
    );
    let rest = [demand("till-1", "18:06", "18:20", 60).replace("10 s", "60 s"), bad];
    let row = server(&hall(40, &rest.concat()));
    assert_eq!((row.sold, row.oversold, row.refusals, row.wrong_refusals), (40, 0, 20, 0));
}

#[test]
fn units_of_who_left_before_the_answer_came_are_sold_to_others() {
    // The server hears the tills, but for five minutes they do not hear it.
    let deaf = |till: &str| {
        fault(&format!(
            "at = \"18:05\"\nuntil = \"18:10\"\nfault = \"one_way\"\nfrom = \"laptop\"\nto = \"{till}\""
        ))
    };
    let rest = [
        deaf("till-1"),
        deaf("till-2"),
        demand("till-1", "18:06", "18:09", 15),
        demand("till-2", "18:11", "18:20", 30),
    ];
    let row = server(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold, row.refusals), (20, 0, 15 + 10));
}

#[test]
fn units_asked_for_before_a_power_cut_are_not_lost() {
    // The till loses power while it waits for answers, and is back when its shoppers have left.
    let rest = [
        demand("till-1", "18:06", "18:06:10", 8),
        fault(
            "at = \"18:06\"\nuntil = \"18:06:12\"\nfault = \"one_way\"\nfrom = \"laptop\"\nto = \"till-1\"",
        ),
        fault("at = \"18:06:11\"\nuntil = \"18:08\"\nfault = \"power_cut\"\ndevice = \"till-1\""),
        demand("till-2", "18:10", "18:20", 30),
    ];
    let row = server(&hall(20, &rest.concat()));
    assert_eq!((row.sold, row.oversold, row.refusals), (20, 0, 8 + 10));
}

trait Add {
    fn add(self, other: &str) -> String;
}

impl Add for String {
    fn add(mut self, other: &str) -> String {
        self.push_str(other);
        self
    }
}
