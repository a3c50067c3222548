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
    match world.done(at, Command::Leave(Leave { to })) {
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
    let held = world.available(LOCKER);
    let left = leaves(&mut world, LOCKER, Some(TILL));
    assert_eq!((left.units, left.claims), (held, 1));
    world.converge(5_000);
    assert_eq!(at_risk(&mut world, LOCKER), 0);
    let refused = world.done(LOCKER, Command::Sell(sell(1, 0)));
    assert!(matches!(refused, Err(Refusal::Left { .. })), "{refused:?}");
    world.done(TILL, Command::Redeem(Redeem::of(claim.claim))).unwrap();

    // Somebody who has not heard of it gives it more.
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to: locker };
    world.done(TILL, Command::Transfer(give)).unwrap();
    world.run_ms(1_000);
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
    let refused = world.done(TILL, Command::Leave(Leave { to: None }));
    assert!(
        matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "carts"),
        "{refused:?} {cart:?}"
    );
    world.isolate(LOCKER);
    world.run_ms(10_000);
    let refused = world.done(LOCKER, Command::Leave(Leave { to: None }));
    assert!(matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "to"), "{refused:?}");
    let refused = world.done(LOCKER, Command::Leave(Leave { to: Some(world.nodes[TILL].id) }));
    assert!(matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == "to"), "{refused:?}");
    assert_eq!(world.stock(TILL).map(|line| line.own.available + line.own.held), Some(held));
}
