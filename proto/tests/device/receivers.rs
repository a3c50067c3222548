//! Stock and claims go only to devices that can use them.

use popmesh_proto::command::{Command, GiveCustody, Leave, Refusal, Reply, Sell, SellItem, Transfer, Units};

use crate::event::{claim_of, night, sell, shirt};
use crate::world::World;

fn transfer(world: &mut World, from: usize, to: usize) -> Result<Reply, Refusal> {
    let to = world.nodes[to].id;
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to };
    world.done(from, Command::Transfer(give))
}

/// Every way in which one device may give another something is refused, with these words.
fn assert_gets_nothing(world: &mut World, from: usize, to: usize, words: &str) {
    let device = world.nodes[to].id;
    let claim = claim_of(
        world.done(from, Command::Sell(Sell { pickup_at: Some(world.nodes[from].id), ..sell(1, 0) })),
    );
    let custody = GiveCustody { claim: claim.claim, to: device, wait_ms: 0 };
    let outcomes = [
        transfer(world, from, to),
        world.done(from, Command::Sell(Sell { pickup_at: Some(device), ..sell(1, 0) })),
        world.done(from, Command::GiveCustody(custody)),
        world.done(from, Command::Leave(Leave { to: Some(device), ..Leave::default() })),
    ];
    for outcome in outcomes {
        match outcome {
            Err(Refusal::Invalid { problem, .. }) => assert!(problem.contains(words), "{problem}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_steward_gets_nothing_and_sells_nothing() {
    let mut world = World::new(1);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    let steward = world.add("desk", "steward", "hall");
    world.link_all();
    world.open_drop(0, 20);
    world.run_ms(5_000);
    world.converge(5_000);
    assert_gets_nothing(&mut world, 1, steward, "has the roles steward");
    let refused = world.done(steward, Command::Sell(sell(1, 3_000)));
    assert!(matches!(&refused, Err(Refusal::RoleForbids { .. })), "{refused:?}");
    let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
    let cart =
        popmesh_proto::command::CartNew { items, drop: None, ttl_ms: 1_000, shopper: None, wait_ms: 0 };
    assert!(world.done(steward, Command::CartNew(cart)).is_err());
    assert_eq!(world.available(steward), 0);
    // Nor is it whom a device leaves to.
    world.isolate(0);
    world.run_ms(10_000);
    world.link(1, steward);
    assert!(world.done(1, Command::Leave(Leave { to: None, ..Leave::default() })).is_err());
}

#[test]
fn a_device_that_is_a_steward_too_gets_what_its_other_roles_hold() {
    let mut world = World::new(2);
    world.add("hq", "hq", "hall");
    world.add("till", "pos,steward", "hall");
    world.link_all();
    world.open_drop(0, 20);
    world.run_ms(5_000);
    assert!(world.available(1) > 0);
}

#[test]
fn a_device_whose_certificate_is_over_gets_nothing() {
    let mut world = World::new(3);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    let old = world.add_until("old", "pos", "hall", 60_000);
    world.link_all();
    world.open_drop(0, 30);
    world.run_ms(5_000);
    assert!(world.available(old) > 0);
    world.run_ms(55_000 + 31_000);
    let before = world.available(old);
    for _ in 0..6 {
        claim_of(world.done(1, Command::Sell(sell(1, 0))));
    }
    assert_gets_nothing(&mut world, 1, old, "ended at");
    world.run_ms(20_000);
    assert_eq!(world.available(old), before, "nothing drifts to it");
}

#[test]
fn a_clock_that_is_a_little_ahead_keeps_nothing_from_others() {
    let mut world = World::new(4);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    let other = world.add_until("other", "pos", "hall", 600_000);
    world.link_all();
    world.open_drop(0, 30);
    world.run_ms(5_000);
    world.nodes[1].ahead_ms = 620_000 - world.time.cast_signed();
    transfer(&mut world, 1, other).unwrap();
}
