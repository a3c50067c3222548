//! The board of a drop: what it shows is never false, whatever a device has not heard, and it says how old that is.

use std::sync::Arc;

use popmesh_proto::Device;
use popmesh_proto::broker::OnDemand;
use popmesh_proto::command::{Claim, Command, Refund, Reply, Retire, Transfer, Units};
use popmesh_proto::links::Width;
use popmesh_proto::query::{Answer, Board, CountedFrom, Counts, Query, VoidedWhy};

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;
const ENCODER: usize = 3;

/// An hq, two tills and an encoder, and 20 shirts, 5 of them on each till, where they stay until they are asked for.
fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.policy = Arc::new(OnDemand);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world.add("encoder", "encoder", "hall");
    world.link_all();
    world.open_drop(HQ, 20);
    for to in [TILL, OTHER] {
        let to = world.nodes[to].id;
        let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(5), to };
        world.done(HQ, Command::Transfer(give)).unwrap();
    }
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn board(world: &mut World, at: usize) -> Board {
    match world.query(at, Query::Board(night())) {
        Answer::Board(Ok(board)) => *board,
        other => panic!("{other:?}"),
    }
}

fn total(world: &mut World, at: usize) -> Counts {
    board(world, at).total
}

fn sold(world: &mut World, at: usize, quantity: u64) -> Claim {
    claim_of(world.done(at, Command::Sell(sell(quantity, 0))))
}

fn refund(world: &mut World, at: usize, claim: &Claim, damaged: bool) {
    let refund = Refund { claim: claim.claim, items: Vec::new(), damaged };
    assert!(matches!(world.done(at, Command::Refund(refund)), Ok(Reply::Refund(_))));
}

/// For whom units are voided, why, and how many.
fn voided(shown: &Board) -> Vec<(&str, VoidedWhy, Option<u64>)> {
    shown.voided.iter().map(|of| (of.name.as_str(), of.why, of.units)).collect()
}

/// What a device has for sale itself, by its stock.
fn held(world: &mut World, at: usize) -> u64 {
    world.stock(at).map_or(0, |line| line.own.available + line.own.held)
}

#[test]
fn with_all_linked_and_quiet_each_device_shows_the_truth_and_it_is_new() {
    let mut world = evening(1);
    sold(&mut world, TILL, 3);
    sold(&mut world, OTHER, 1);
    world.run_ms(1_000);
    for at in [HQ, TILL, OTHER, ENCODER] {
        let here = held(&mut world, at);
        let shown = board(&mut world, at);
        let counts = shown.total;
        assert_eq!((counts.announced, counts.claimed, counts.left), (20, 4, 16), "on device {at}");
        assert_eq!((counts.here, counts.elsewhere, counts.cut_off), (here, 16 - here, 0), "on device {at}");
        assert_eq!((counts.claimed_percent, counts.back, counts.sold_out), (Some(20), 0, false));
        assert_eq!((shown.counted_from, shown.not_heard), (CountedFrom::Minted, 0));
        assert_eq!((shown.as_of_ms, shown.age_ms), (Some(shown.now_ms), Some(0)), "on device {at}");
        assert_eq!(shown.skus.len(), 1);
        assert_eq!((&shown.skus[0].name, shown.skus[0].counts), (&Some("Shirt".to_owned()), counts));
    }
    let status = world.status(ENCODER).drop_to_claim;
    let of: Vec<_> = status.iter().map(|of| (of.claimed, of.announced, of.not_heard)).collect();
    assert_eq!(of, [(4, 20, 0)]);
}

#[test]
fn what_a_device_out_of_reach_sells_is_counted_as_left_and_named_with_its_age() {
    let mut world = evening(2);
    let held_there = held(&mut world, OTHER);
    world.isolate(OTHER);
    let cut_at_ms = world.now(ENCODER).wall_ms;
    world.run_ms(60_000);
    sold(&mut world, OTHER, 2);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.left, shown.total.cut_off, shown.not_heard), (20, held_there, 1));
    let gone = &shown.cut_off[0];
    assert_eq!((gone.name.as_str(), gone.units, gone.sells), ("other", held_there, true));
    let heard_ms = gone.last_heard_ms.unwrap();
    assert!(heard_ms.abs_diff(cut_at_ms) < 10_000, "{heard_ms} {cut_at_ms}");
    assert_eq!(shown.as_of_ms, Some(heard_ms));
    // The device that is cut off knows its own to the unit, and nothing of the others.
    let there = board(&mut world, OTHER);
    assert_eq!((there.total.claimed, there.total.here), (2, held_there - 2));
    assert_eq!((there.total.elsewhere, there.not_heard), (0, 3));
    world.link_all();
    world.converge(10_000);
    world.run_ms(5_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.left, shown.total.claimed, shown.age_ms), (18, 2, Some(0)));
}

#[test]
fn claimed_stays_what_it_was_when_units_come_back_and_counts_each_once() {
    let mut world = evening(3);
    let claim = sold(&mut world, TILL, 3);
    world.run_ms(1_000);
    refund(&mut world, TILL, &claim, false);
    world.run_ms(1_000);
    let counts = total(&mut world, ENCODER);
    assert_eq!((counts.claimed, counts.back, counts.left), (3, 3, 20));
    // The same again: those that came back are the lowest, and so the first to go.
    let again = sold(&mut world, TILL, 3);
    assert_eq!(again.items[0].units, claim.items[0].units);
    world.run_ms(1_000);
    let counts = total(&mut world, ENCODER);
    assert_eq!((counts.claimed, counts.back, counts.left), (3, 0, 17));
    // What comes back torn is not for sale.
    refund(&mut world, TILL, &again, true);
    world.run_ms(1_000);
    let counts = total(&mut world, ENCODER);
    assert_eq!((counts.claimed, counts.back, counts.left), (3, 0, 17));
}

#[test]
fn a_start_shows_what_was_shown_before_it_at_once_and_how_old_that_is() {
    let mut world = evening(4);
    sold(&mut world, TILL, 4);
    world.run_ms(1_000);
    let before = total(&mut world, ENCODER);
    let stored_ms = world.now(ENCODER).wall_ms;
    world.power_cut(ENCODER);
    world.run_ms(30_000);
    world.isolate(ENCODER);
    world.power_on(ENCODER);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.total.left), (before.claimed, before.left));
    assert_eq!((shown.total.elsewhere, shown.not_heard), (0, 3));
    assert!(shown.as_of_ms.is_some_and(|as_of| as_of <= stored_ms), "{:?} {stored_ms}", shown.as_of_ms);
    world.link_all();
    world.run_ms(2_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.not_heard, shown.age_ms), (before.claimed, 0, Some(0)));
}

/// A clock that has fallen back catches up with the times of others' entries, and they are no younger for that.
#[test]
fn after_a_start_with_a_clock_that_is_behind_a_board_does_not_say_how_old_it_is() {
    let mut world = evening(9);
    sold(&mut world, TILL, 4);
    world.run_ms(1_000);
    world.power_cut(ENCODER);
    world.nodes[ENCODER].ahead_ms -= 100_000;
    world.isolate(ENCODER);
    world.power_on(ENCODER);
    world.run_ms(110_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.as_of_ms, shown.not_heard), (None, 3));
    world.link_all();
    world.run_ms(2_000);
    assert_eq!(board(&mut world, ENCODER).age_ms, Some(0));
}

#[test]
fn all_is_sold_only_when_nobody_can_have_any() {
    let mut world = evening(5);
    world.isolate(OTHER);
    world.run_ms(10_000);
    while world.done(TILL, Command::Sell(sell(1, 2_000))).is_ok() {}
    world.run_ms(1_000);
    let shown = total(&mut world, ENCODER);
    let there = held(&mut world, OTHER);
    assert!(there > 0);
    assert_eq!((shown.left, shown.cut_off, shown.sold_out), (there, there, false));
    sold(&mut world, OTHER, there);
    assert!(total(&mut world, OTHER).sold_out || total(&mut world, OTHER).left > 0);
    world.link_all();
    world.converge(10_000);
    assert!(total(&mut world, ENCODER).sold_out);
}

#[test]
fn what_a_retirement_voids_is_claimed_no_more_and_the_board_says_so() {
    let mut world = evening(6);
    world.isolate(OTHER);
    world.run_ms(20_000);
    sold(&mut world, OTHER, 2);
    let device = world.nodes[OTHER].id;
    let Answer::Retirement(Ok(risk)) = world.query(HQ, Query::Retirement(device)) else { panic!() };
    // The encoder hears of the sale, and only then of the retirement.
    world.isolate(HQ);
    world.link(OTHER, ENCODER);
    world.run_ms(3_000);
    let before = total(&mut world, ENCODER);
    assert_eq!((before.claimed, before.voided), (2, 0));
    let retire = Retire { device, at_risk: risk.at_risk, reachable: false };
    world.done(HQ, Command::Retire(retire)).unwrap();
    world.link(HQ, ENCODER);
    world.run_ms(5_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.total.voided), (0, 2));
    assert_eq!(voided(&shown), [("other", VoidedWhy::Retired, Some(2))]);
    // Whoever has it now sells it: claimed by a sale that counts.
    world.link_all();
    world.run_ms(5_000);
    while world.done(TILL, Command::Sell(sell(1, 5_000))).is_ok() {}
    world.run_ms(3_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.total.voided, shown.total.sold_out), (20, 0, true));
    assert_eq!(shown.voided, []);
    // A start finds the same.
    world.power_cut(ENCODER);
    world.power_on(ENCODER);
    assert_eq!(total(&mut world, ENCODER).claimed, 20);
    assert!(world.nodes[ENCODER].device.as_ref().is_some_and(Device::is_all_durable));
}

/// Of two hqs that retire a device apart the earlier is its heir: what the later one sold of it counts for nothing.
#[test]
fn what_the_heir_by_a_later_retirement_sold_is_claimed_no_more_and_the_board_says_so() {
    let mut world = evening(8);
    let desk = world.add("desk", "hq,pos,registrar", "hall");
    world.link_all();
    world.run_ms(4_000);
    world.isolate(OTHER);
    world.isolate(HQ);
    world.run_ms(20_000);
    let device = world.nodes[OTHER].id;
    for at in [HQ, desk] {
        let Answer::Retirement(Ok(risk)) = world.query(at, Query::Retirement(device)) else { panic!() };
        let retire = Retire { device, at_risk: risk.at_risk, reachable: true };
        world.done(at, Command::Retire(retire)).unwrap();
        world.run_ms(2_000);
    }
    sold(&mut world, desk, 2);
    world.run_ms(3_000);
    let before = total(&mut world, ENCODER);
    assert_eq!((before.claimed, before.voided), (2, 0));
    world.link(HQ, ENCODER);
    world.run_ms(5_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.total.voided), (0, 2));
    assert_eq!(voided(&shown), [("other", VoidedWhy::Retired, Some(2))]);
    // What its heir sells is claimed by a sale that counts.
    world.link_all();
    world.run_ms(5_000);
    while world.done(TILL, Command::Sell(sell(1, 5_000))).is_ok() {}
    world.run_ms(3_000);
    let shown = total(&mut world, ENCODER);
    assert_eq!((shown.claimed, shown.voided, shown.sold_out), (20, 0, true));
}

/// What an hq minted after the point up to which it counts was given away and sold by others in good faith.
#[test]
fn what_was_sold_of_a_lot_that_a_retirement_voids_is_claimed_no_more_and_the_board_says_so() {
    let mut world = evening(11);
    let lost = world.add("lost", "hq", "hall");
    let desk = world.add("desk", "hq,registrar", "hall");
    world.link_all();
    world.run_ms(4_000);
    world.converge(5_000);
    world.isolate(desk);
    world.run_ms(1_000);
    world.done(lost, Command::LotMint(mint(101, 105))).unwrap();
    let to = world.nodes[OTHER].id;
    let units = Units::Serials(popmesh_proto::units::UnitSet::range(101, 105));
    world.done(lost, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    world.run_ms(2_000);
    sold(&mut world, OTHER, 10);
    world.run_ms(3_000);
    let before = total(&mut world, ENCODER);
    assert_eq!((before.claimed, before.voided), (10, 0));
    world.run_ms(15_000);
    let device = world.nodes[lost].id;
    let Answer::Retirement(Ok(risk)) = world.query(desk, Query::Retirement(device)) else { panic!() };
    let retire = Retire { device, at_risk: risk.at_risk, reachable: true };
    world.done(desk, Command::Retire(retire)).unwrap();
    world.link(desk, ENCODER);
    world.run_ms(5_000);
    let shown = board(&mut world, ENCODER);
    assert_eq!((shown.total.claimed, shown.total.voided), (5, 5));
    assert_eq!(voided(&shown), [("lost", VoidedWhy::Retired, Some(5))]);
}

/// An encoder beside an hq, which reaches a till over a narrow link, and over another one behind that a second till.
fn far_apart() -> World {
    let mut world = World::new(7);
    for (name, roles) in [("hq", "hq"), ("till", "pos"), ("far", "pos"), ("encoder", "encoder")] {
        world.add(name, roles, "hall");
    }
    world.link(HQ, ENCODER);
    world.link_narrow(HQ, TILL);
    world.link_narrow(TILL, OTHER);
    world.open_drop(HQ, 20);
    world.run_ms(60_000);
    world.converge(10_000);
    world
}

#[test]
fn what_comes_over_a_narrow_link_is_as_old_as_the_last_digest_over_it() {
    let mut world = World::new(8);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link_narrow(HQ, TILL);
    world.open_drop(HQ, 20);
    world.run_ms(60_000);
    world.converge(10_000);
    for _ in 0..10 {
        world.run_ms(30_000);
        for at in [HQ, TILL] {
            let age_ms = board(&mut world, at).age_ms.unwrap();
            assert!((5_000..=130_000).contains(&age_ms), "{age_ms} ms on device {at}");
        }
    }
    world.set_width(HQ, TILL, Width::Broad);
    world.run_ms(10_000);
    assert_eq!(board(&mut world, HQ).age_ms, Some(0));
}

#[test]
fn who_is_behind_two_narrow_links_may_be_cut_off_unseen_and_boards_are_older_than_that() {
    let mut world = far_apart();
    for at in [HQ, OTHER, ENCODER] {
        let shown = board(&mut world, at);
        let age_ms = shown.age_ms.unwrap();
        assert!((240_000..=600_000).contains(&age_ms), "{age_ms} ms on device {at}");
        assert_eq!((shown.not_heard, shown.total.left), (0, 20), "on device {at}");
    }
    let claim = sold(&mut world, OTHER, 1);
    world.run_ms(10_000);
    world.cut(TILL, OTHER);
    let cut_ms = world.now(HQ).wall_ms;
    world.run_ms(30_000);
    refund(&mut world, OTHER, &claim, false);
    world.run_ms(330_000);
    for at in [HQ, ENCODER] {
        let shown = board(&mut world, at);
        assert_eq!((shown.not_heard, shown.total.left), (0, 19), "on device {at}");
        assert!(shown.as_of_ms.is_some_and(|as_of_ms| as_of_ms <= cut_ms), "{:?} {cut_ms}", shown.as_of_ms);
    }
}
