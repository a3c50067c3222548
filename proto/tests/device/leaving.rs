//! A planned leave: everything is given away first, and nothing is at risk.

use popmesh_proto::command::{CartNew, Command, Leave, Left, Redeem, Refusal, Reply, Sell, Transfer, Units};
use popmesh_proto::query::{Answer, Query};

use crate::event::{claim_of, hall_with_locker, night, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;

fn leaves(world: &mut World, at: usize, to: Option<usize>) -> Left {
    let to = to.map(|to| world.nodes[to].id);
    match world.done(at, Command::Leave(Leave { to, ..Leave::default() })) {
        Ok(Reply::Left(left)) => left,
        other => panic!("{other:?}"),
    }
}

fn at_risk(world: &mut World, of: usize) -> u64 {
    let device = world.nodes[of].id;
    match world.query(HQ, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk.at_risk,
        other => panic!("{other:?}"),
    }
}

#[test]
fn stock_and_claims_go_first_and_what_still_comes_is_passed_on() {
    let mut world = hall_with_locker(1, 30);
    let locker = world.nodes[LOCKER].id;
    let pickup = Sell { pickup_at: Some(locker), ..sell(2, 1_000) };
    let claim = claim_of(world.done(TILL, Command::Sell(pickup)));
    world.converge(5_000);
    let away = world.add("till-2", "pos", "hall");
    world.link_all();
    world.run_ms(3_000);
    world.converge(5_000);
    world.isolate(away);
    let held = world.available(LOCKER);
    let left = leaves(&mut world, LOCKER, Some(TILL));
    assert_eq!((left.units, left.claims), (held, 1));
    world.run_ms(1_000);
    assert_eq!(at_risk(&mut world, LOCKER), 0);
    let refused = world.done(LOCKER, Command::Sell(sell(1, 0)));
    assert!(matches!(refused, Err(Refusal::Left { .. })), "{refused:?}");
    world.done(TILL, Command::Redeem(Redeem::of(claim.claim))).unwrap();

    // Somebody who has not heard of it gives it more.
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to: locker };
    world.done(away, Command::Transfer(give)).unwrap();
    world.link_all();
    world.run_ms(3_000);
    world.converge(5_000);
    assert_eq!((at_risk(&mut world, LOCKER), world.available(LOCKER)), (0, 0));
    world.assert_sound();
    // The next start is another beginning.
    world.power_cut_with(LOCKER, true);
    world.power_on(LOCKER);
    claim_of(world.done(LOCKER, Command::Sell(sell(1, 3_000))));
}

#[test]
fn an_hq_in_reach_takes_over_if_nobody_is_named() {
    let mut world = hall_with_locker(2, 30);
    assert_eq!(leaves(&mut world, TILL, None).to, world.nodes[HQ].id);
    // And stock does not drift back to who has left.
    world.run_ms(20_000);
    assert_eq!(world.available(TILL), 0);
}

#[test]
fn what_cannot_go_is_said_and_nothing_is_given() {
    let mut world = hall_with_locker(3, 30);
    let held = world.available(TILL);
    let new = CartNew { items: sell(1, 0).items, drop: None, ttl_ms: 60_000, shopper: None, wait_ms: 0 };
    let cart = world.done(TILL, Command::CartNew(new)).unwrap();
    let refused = world.done(TILL, Command::Leave(Leave { to: None, ..Leave::default() }));
    assert!(
        matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "carts"),
        "{refused:?} {cart:?}"
    );
    world.isolate(LOCKER);
    world.run_ms(10_000);
    let refused = world.done(LOCKER, Command::Leave(Leave { to: None, ..Leave::default() }));
    assert!(matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "to"), "{refused:?}");
    let refused =
        world.done(LOCKER, Command::Leave(Leave { to: Some(world.nodes[TILL].id), ..Leave::default() }));
    assert!(matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "to"), "{refused:?}");
    assert_eq!(world.stock(TILL).map(|line| line.own.available + line.own.held), Some(held));
}

/// So many devices that sell and an hq, all linked, with shirts shared out.
fn hall(seed: u64, tills: usize, units: u32) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    for till in 1..=tills {
        world.add(&format!("till-{till}"), "pos", "hall");
    }
    world.link_all();
    world.open_drop(0, units);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn held(world: &mut World, at: usize) -> u64 {
    world.stock(at).map_or(0, |line| line.own.available + line.own.held)
}

/// Once demand of before has faded, a minute passes in which nobody does anything; nobody writes anything either.
fn assert_at_rest(world: &mut World) {
    world.run_ms(600_000);
    let before = world.status(0).entries;
    world.run_ms(60_000);
    assert_eq!(world.status(0).entries, before, "an idle mesh has written something");
    world.converge(5_000);
    world.assert_agreed();
}

fn refused_to(world: &mut World, at: usize, to: usize) -> String {
    let to = Some(world.nodes[to].id);
    match world.done(at, Command::Leave(Leave { to, ..Leave::default() })) {
        Err(Refusal::Invalid { field, problem }) if field == "to" => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_has_left_takes_nothing() {
    let mut world = hall(20, 2, 40);
    leaves(&mut world, 1, Some(HQ));
    world.run_ms(1_000);
    let problem = refused_to(&mut world, HQ, 1);
    assert!(problem.contains("has left") && problem.contains("hq"), "{problem}");
    let to = world.nodes[1].id;
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to };
    assert!(world.done(HQ, Command::Transfer(give)).is_err());
    let pickup = Sell { pickup_at: Some(to), ..sell(1, 1_000) };
    assert!(world.done(2, Command::Sell(pickup)).is_err());
    // Nor does it know less after others have restarted.
    world.power_cut_with(HQ, true);
    world.power_on(HQ);
    world.run_ms(2_000);
    refused_to(&mut world, HQ, 1);
    assert_at_rest(&mut world);
    assert_eq!(held(&mut world, 1), 0);
}

/// Two or three that leave each to the next while they are cut off from each other.
fn leave_in_a_circle(seed: u64, tills: usize) -> World {
    let mut world = hall(seed, tills, 60);
    world.isolate(0);
    world.run_ms(10_000);
    // Each believes that the next is there, and has not heard of its leave.
    for till in 1..=tills {
        world.stall(till, true);
    }
    let calls: Vec<_> = (1..=tills)
        .map(|till| {
            let to = Some(world.nodes[till % tills + 1].id);
            world.command(till, Command::Leave(Leave { to, ..Leave::default() }))
        })
        .collect();
    for till in 1..=tills {
        world.stall(till, false);
    }
    for call in calls {
        world.outcome(call).unwrap();
    }
    world
}

#[test]
fn those_that_leave_to_each_other_at_once_keep_what_came_or_give_it_to_who_is_there() {
    for tills in [2, 3, 4] {
        let mut world = leave_in_a_circle(30 + tills as u64, tills);
        let before = world.status(1).entries;
        world.run_ms(120_000);
        let after = world.status(1).entries;
        assert!(after - before <= 8 * tills as u64, "{tills} tills wrote {} entries", after - before);
        world.run_ms(60_000);
        assert_eq!(world.status(1).entries, after, "and nothing more");
        let kept: u64 = (1..=tills).map(|till| held(&mut world, till)).sum();
        assert!(kept > 0, "nobody is there who could have it");
        world.link_all();
        world.run_ms(5_000);
        world.converge(5_000);
        let left: Vec<u64> = (1..=tills).map(|till| held(&mut world, till)).collect();
        assert_eq!((left, held(&mut world, 0)), (vec![0; tills], 60), "the hq is there and has not left");
        assert_at_rest(&mut world);
    }
}

#[test]
fn if_all_have_left_stock_stays_until_one_is_back() {
    let mut world = leave_in_a_circle(40, 2);
    world.power_cut_with(0, true);
    world.run_ms(30_000);
    let before = [held(&mut world, 1), held(&mut world, 2)];
    assert!(before.iter().all(|units| *units > 0));
    world.power_cut_with(1, true);
    world.power_on(1);
    claim_of(world.done(1, Command::Sell(sell(1, 3_000))));
    world.run_ms(10_000);
    assert_eq!(held(&mut world, 2), 0, "its heir is back");
    assert_eq!(held(&mut world, 1), before[0] + before[1] - 1);
    world.assert_sound();
}

#[test]
fn what_comes_late_goes_along_the_line_of_heirs() {
    let mut world = hall(41, 4, 80);
    // Till 4 hears of nothing.
    world.isolate(4);
    leaves(&mut world, 1, Some(2));
    world.run_ms(500);
    leaves(&mut world, 2, Some(3));
    world.run_ms(500);
    let to = world.nodes[1].id;
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(3), to };
    world.done(4, Command::Transfer(give)).unwrap();
    let locker = world.nodes[1].id;
    let claim = claim_of(world.done(4, Command::Sell(Sell { pickup_at: Some(locker), ..sell(1, 0) })));
    let before = world.status(3).entries;
    world.link_all();
    world.run_ms(5_000);
    world.converge(5_000);
    assert_eq!([held(&mut world, 1), held(&mut world, 2)], [0, 0]);
    let third = world.nodes[3].id;
    assert_eq!(world.claims(0)[&claim.claim].custodian, third, "custody goes the same way");
    let wrote = world.status(3).entries - before;
    assert!(wrote < 40, "{wrote} entries");
    world.done(3, Command::Redeem(Redeem::of(claim.claim))).unwrap();
    assert_at_rest(&mut world);
}

#[test]
fn an_heir_that_is_dead_and_retired_is_passed_over() {
    let mut world = World::new(42);
    world.add("hq", "hq,registrar", "hall");
    world.add("till-1", "pos", "hall");
    world.add("till-2", "pos", "hall");
    world.add("till-3", "pos", "hall");
    world.link_all();
    world.open_drop(0, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world.isolate(3);
    leaves(&mut world, 1, Some(2));
    world.run_ms(2_000);
    world.isolate(2);
    world.power_cut_with(2, true);
    world.run_ms(10_000);
    let device = world.nodes[2].id;
    let at_risk = at_risk(&mut world, 2);
    let retire = popmesh_proto::command::Retire { device, at_risk, reachable: false };
    world.done(0, Command::Retire(retire)).unwrap();
    let to = world.nodes[1].id;
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(2), to };
    world.done(3, Command::Transfer(give)).unwrap();
    world.link_all();
    world.run_ms(10_000);
    world.converge(5_000);
    assert_eq!(held(&mut world, 1), 0);
    assert_eq!(held(&mut world, 0) + held(&mut world, 3), 40);
    assert_at_rest(&mut world);
}

#[test]
fn sales_that_wait_are_refused_when_a_device_leaves_and_carts_that_come_later_go_on() {
    let mut world = hall(43, 3, 40);
    // Till 3 has a cart that till 1 has asked for when it leaves.
    let new = CartNew { items: sell(2, 0).items, drop: None, ttl_ms: 300_000, shopper: None, wait_ms: 0 };
    let cart = match world.done(3, Command::CartNew(new)) {
        Ok(Reply::Cart(cart)) => cart.cart,
        other => panic!("{other:?}"),
    };
    world.converge(5_000);
    world.stall(3, true);
    let take = popmesh_proto::command::CartTake { cart: Some(cart), token: None, wait_ms: 20_000 };
    let taking = world.command(1, Command::CartTake(take));
    let selling = world.command(1, Command::Sell(sell(39, 60_000)));
    world.run_ms(200);
    leaves(&mut world, 1, Some(2));
    for call in [taking, selling] {
        let refused = world.outcome(call);
        assert!(matches!(refused, Err(Refusal::Left { .. })), "{refused:?}");
    }
    world.stall(3, false);
    world.run_ms(5_000);
    world.converge(5_000);
    assert_eq!(held(&mut world, 1), 0);
    let pays = Sell { cart: Some(cart), ..Sell::default() };
    claim_of(world.done(2, Command::Sell(pays)));
    assert_at_rest(&mut world);
}

#[test]
fn a_start_ends_a_leave_and_others_hear_of_it() {
    let mut world = hall(44, 2, 40);
    leaves(&mut world, 1, Some(HQ));
    world.converge(5_000);
    world.power_cut_with(1, true);
    world.power_on(1);
    world.run_ms(10_000);
    assert!(held(&mut world, 1) > 0, "stock drifts to it again");
    // It takes over what another one leaves.
    leaves(&mut world, 2, Some(1));
    world.converge(5_000);
    assert_at_rest(&mut world);
    // And leaves again.
    leaves(&mut world, 1, Some(HQ));
    world.converge(5_000);
    assert_eq!([held(&mut world, 0), held(&mut world, 1), held(&mut world, 2)], [40, 0, 0]);
    assert_at_rest(&mut world);
}

#[test]
fn a_device_that_is_only_opened_again_has_still_left() {
    let mut world = hall(45, 2, 40);
    leaves(&mut world, 1, Some(HQ));
    world.converge(5_000);
    world.nodes[1].goes_on = true;
    world.power_cut_with(1, true);
    world.power_on(1);
    world.run_ms(10_000);
    let refused = world.done(1, Command::Sell(sell(1, 0)));
    assert!(matches!(refused, Err(Refusal::Left { .. })), "{refused:?}");
    assert_eq!(held(&mut world, 1), 0);
    refused_to(&mut world, HQ, 1);
}

#[test]
fn leaving_twice_to_the_same_device_writes_it_once() {
    let mut world = hall(46, 2, 40);
    leaves(&mut world, 1, Some(2));
    world.converge(5_000);
    let before = world.status(1).entries;
    leaves(&mut world, 1, Some(2));
    assert_eq!(world.status(1).entries, before);
    // To another one: what comes from now on goes there.
    leaves(&mut world, 1, Some(HQ));
    world.converge(5_000);
    let to = world.nodes[1].id;
    assert!(world.status(1).entries > before);
    assert!(world.nodes[1].id == to);
    assert_at_rest(&mut world);
}
