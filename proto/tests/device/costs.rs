//! What taking in an entry costs does not grow with the log: counted in what the stock view looks at, not in time.

use popmesh_proto::command::{Command, Redeem, Refund, Retire, Sell, Transfer, Units};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, IncidentKind, Query};

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;

/// An hq that sells, two tills, and more shirts than anybody needs.
fn market(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,pos,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 20_000);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn steps(world: &World, at: usize) -> u64 {
    world.nodes[at].device.as_ref().map_or(0, |device| device.holdings().steps())
}

/// What `act` costs on a device after 10 sales there, and after 400 more.
fn costs(mut world: World, at: usize, mut act: impl FnMut(&mut World)) -> (u64, u64) {
    let mut cost = [0, 0];
    for (cost, sales) in cost.iter_mut().zip([10, 400]) {
        for _ in 0..sales {
            claim_of(world.done(at, Command::Sell(sell(1, 0))));
        }
        let before = steps(&world, at);
        for _ in 0..5 {
            act(&mut world);
        }
        *cost = steps(&world, at) - before;
    }
    assert_eq!(world.check(at).problems, Vec::<String>::new());
    (cost[0], cost[1])
}

fn assert_flat(what: &str, (few, many): (u64, u64)) {
    println!("{what}: {few} steps, then {many}");
    assert!(many <= few + few / 4 + 5, "{what}: {few} steps after 10 sales, {many} after 410");
}

fn sell_one(world: &mut World) {
    claim_of(world.done(HQ, Command::Sell(sell(1, 0))));
}

/// A copy of a till has sold what the till has sold.
fn disputed(seed: u64) -> World {
    let mut world = market(seed);
    world.isolate(TILL);
    let copy = world.clone_disk(TILL);
    for at in [TILL, copy] {
        for _ in 0..3 {
            claim_of(world.done(at, Command::Sell(sell(1, 0))));
        }
    }
    world.link_all();
    world.run_ms(10_000);
    assert!(world.check(HQ).incidents.iter().any(|text| text.contains("spent twice")));
    let Answer::Incidents(known) = world.query(HQ, Query::Incidents) else { panic!() };
    assert!(known.iter().any(|known| known.kind == IncidentKind::SpentTwice), "{known:?}");
    world
}

#[test]
fn a_sale_costs_no_more_after_many_others() {
    assert_flat("a sale", costs(market(1), HQ, sell_one));
}

#[test]
fn nor_where_a_unit_of_the_lot_was_spent_twice() {
    assert_flat("a sale of a disputed lot", costs(disputed(2), HQ, sell_one));
}

#[test]
fn nor_does_a_refund_there() {
    let refund = |world: &mut World| {
        let claim = claim_of(world.done(HQ, Command::Sell(sell(1, 0)))).claim;
        world.done(HQ, Command::Refund(Refund { claim, items: Vec::new(), damaged: false })).unwrap();
    };
    assert_flat("a refund in a disputed lot", costs(disputed(3), HQ, refund));
}

#[test]
fn nor_does_a_gift_there() {
    let give = |world: &mut World| {
        let to = world.nodes[OTHER].id;
        let units = Units::Count(3);
        world.done(HQ, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    };
    assert_flat("a gift in a disputed lot", costs(disputed(4), HQ, give));
}

#[test]
fn nor_after_a_retirement_and_what_came_late() {
    let mut world = market(5);
    world.isolate(TILL);
    for _ in 0..3 {
        claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    }
    let device = world.nodes[TILL].id;
    let at_risk = match world.query(HQ, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk.at_risk,
        answer => panic!("{answer:?}"),
    };
    world.done(HQ, Command::Retire(Retire { device, at_risk, reachable: true })).unwrap();
    world.link_all();
    world.run_ms(10_000);
    assert!(world.check(HQ).incidents.iter().any(|text| text.contains("written after it was retired")));
    assert_flat("a sale after a retirement", costs(world, HQ, sell_one));
}

#[test]
fn nor_where_serials_are_printed_twice() {
    let mut world = market(6);
    let second = world.add("hq-2", "hq", "hall");
    world.link_all();
    world.converge(5_000);
    world.isolate(second);
    world.done(second, Command::LotMint(mint(20_001, 40_000))).unwrap();
    world.run_ms(10);
    world.done(HQ, Command::LotMint(mint(30_001, 50_000))).unwrap();
    world.link_all();
    world.run_ms(5_000);
    assert!(world.check(HQ).incidents.iter().any(|text| text.contains("minted twice")));
    assert_flat("a sale of doubled serials", costs(world, HQ, sell_one));
}

#[test]
fn a_redemption_costs_no_more_where_many_counted_for_nothing() {
    let mut world = market(8);
    let locker = world.add("locker", "locker", "hall");
    let second = world.add("locker-2", "locker", "hall");
    world.link_all();
    world.converge(5_000);
    let sold = |world: &mut World, at: usize, count: usize| -> Vec<Ref> {
        let to = world.nodes[at].id;
        let sale = || Sell { pickup_at: Some(to), ..sell(1, 0) };
        (0..count).map(|_| claim_of(world.done(HQ, Command::Sell(sale()))).claim).collect()
    };
    let twice = sold(&mut world, locker, 60);
    let (few, many) = (sold(&mut world, second, 3), sold(&mut world, second, 3));
    world.converge(10_000);
    world.isolate(locker);
    let copy = world.clone_disk(locker);
    for at in [locker, copy] {
        for claim in &twice {
            world.done(at, Command::Redeem(Redeem::of(*claim))).unwrap();
        }
    }
    let redeem = |world: &mut World, claims: &[Ref]| {
        let before = steps(world, HQ);
        for claim in claims {
            world.done(second, Command::Redeem(Redeem::of(*claim))).unwrap();
        }
        world.run_ms(3_000);
        steps(world, HQ) - before
    };
    // One of the two tells what it did, then the other: then 60 redemptions count for nothing.
    world.link(locker, HQ);
    world.run_ms(5_000);
    let before = redeem(&mut world, &few);
    world.link(copy, HQ);
    world.run_ms(10_000);
    let breaches = world.check(HQ).incidents.iter().filter(|text| text.contains("redeemed before")).count();
    assert!(breaches >= 60, "{breaches}");
    let after = redeem(&mut world, &many);
    assert_flat("a redemption", (before, after));
}

#[test]
fn a_cart_costs_no_more_where_there_are_many() {
    use popmesh_proto::command::{CartNew, SellItem};
    let put_aside = |world: &mut World| {
        let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
        let cart = CartNew { drop: None, items, ttl_ms: 600_000, shopper: None, wait_ms: 0 };
        world.done(HQ, Command::CartNew(cart)).unwrap();
    };
    let mut world = market(7);
    let mut cost = [0, 0];
    for (cost, carts) in cost.iter_mut().zip([5, 200]) {
        for _ in 0..carts {
            put_aside(&mut world);
        }
        let before = steps(&world, HQ);
        put_aside(&mut world);
        *cost = steps(&world, HQ) - before;
    }
    assert_flat("a cart", (cost[0], cost[1]));
}
