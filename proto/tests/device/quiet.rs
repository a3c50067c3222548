//! An idle mesh writes nothing: whatever people did, once they stop, so do the devices.

use std::sync::Arc;

use popmesh_proto::broker::{ByRate, OnDemand, Policy};
use popmesh_proto::command::{
    CartNew, CartTake, Command, GiveCustody, Leave, Refund, Reply, Sell, SellItem, Transfer, Units,
};
use popmesh_proto::id::Ref;

use crate::event::{night, sell, shirt};
use crate::world::{Conditions, World};

/// Until demand of before has faded, and what is put aside is on sale again.
const FADES_MS: u64 = 900_000;

#[derive(Default)]
struct Things {
    carts: Vec<Ref>,
    claims: Vec<Ref>,
    calls: Vec<u64>,
}

fn act(world: &mut World, things: &mut Things) {
    let at = world.rng.below(world.nodes.len() as u64) as usize;
    let other = world.rng.below(world.nodes.len() as u64) as usize;
    let to = world.nodes[other].id;
    let pick = |world: &mut World, of: &[Ref]| {
        (!of.is_empty()).then(|| of[world.rng.below(of.len() as u64) as usize])
    };
    let quantity = [1, 1, 2, 4, 7, 20, 60, 500][world.rng.below(8) as usize];
    let wait_ms = world.rng.below(8) * 1_000;
    let items = vec![SellItem { sku: shirt(), quantity, unit_price: None }];
    let (drop, sku) = (night(), shirt());
    let command = match world.rng.below(100) {
        0..35 => Command::Sell(sell(quantity, wait_ms)),
        35..45 => Command::Sell(Sell { pickup_at: Some(to), ..sell(1 + world.rng.below(3), wait_ms) }),
        45..55 => {
            let ttl_ms = 1_000 + world.rng.below(60) * 1_000;
            Command::CartNew(CartNew { items, drop: None, ttl_ms, shopper: None, wait_ms })
        }
        55..62 => match pick(world, &things.carts) {
            Some(cart) => Command::CartTake(CartTake { cart: Some(cart), token: None, wait_ms }),
            None => return,
        },
        62..68 => match pick(world, &things.carts) {
            Some(cart) => Command::Sell(Sell { cart: Some(cart), ..Sell::default() }),
            None => return,
        },
        68..74 => match pick(world, &things.claims) {
            Some(claim) => Command::Refund(Refund { claim, items: Vec::new(), damaged: false }),
            None => return,
        },
        74..78 => match pick(world, &things.claims) {
            Some(claim) => Command::GiveCustody(GiveCustody { claim, to, wait_ms }),
            None => return,
        },
        78..84 => {
            let units = Units::Count(1 + world.rng.below(6));
            Command::Transfer(Transfer { drop, sku, units, to })
        }
        84..90 => Command::Leave(Leave { to: world.rng.chance(700).then_some(to), ..Leave::default() }),
        90..94 if at != other => return world.cut(at, other),
        94..98 if at != other => return world.link(at, other),
        _ => {
            world.power_cut(at);
            world.power_on(at);
            return;
        }
    };
    things.calls.push(world.command(at, command));
}

fn take_replies(world: &mut World, things: &mut Things) {
    for call in std::mem::take(&mut things.calls) {
        match world.replies.remove(&call) {
            Some(Ok(Reply::Cart(cart))) => things.carts.push(cart.cart),
            Some(Ok(Reply::Sale(claim))) => things.claims.push(claim.claim),
            Some(_) => {}
            None => things.calls.push(call),
        }
    }
}

fn comes_to_rest(seed: u64, devices: u64, policy: Arc<dyn Policy + Sync>) {
    let mut world = World::new(seed);
    world.policy = policy;
    world.add("hq", "hq", "hall");
    for n in 1..devices {
        let role = ["pos", "pos", "locker", "encoder", "hq,pos"][world.rng.below(5) as usize];
        world.add(&format!("box-{n}"), role, "hall");
    }
    world.link_all();
    let units = 5 + world.rng.below(150) as u32;
    world.open_drop(0, units);
    world.run_ms(2_000);
    if world.rng.chance(300) {
        // News takes longer than a device waits before it shares out again.
        world.conditions = Conditions { latency_ms: (1_000, 4_000), ..Conditions::GOOD };
    }
    let mut things = Things::default();
    for _ in 0..50 {
        act(&mut world, &mut things);
        let pause = world.rng.below(1_500);
        world.run_ms(pause);
        take_replies(&mut world, &mut things);
    }
    world.link_all();
    world.run_ms(FADES_MS);
    world.converge(20_000);
    world.assert_sound();
    let before: Vec<u64> = (0..world.nodes.len()).map(|at| world.status(at).entries).collect();
    world.run_ms(240_000);
    let after: Vec<u64> = (0..world.nodes.len()).map(|at| world.status(at).entries).collect();
    assert_eq!(before, after, "seed {seed}: {devices} idle devices write on");
    world.assert_agreed();
}

#[test]
fn two_devices_come_to_rest() {
    (0..4).for_each(|seed| comes_to_rest(seed, 2, Arc::new(ByRate)));
}

#[test]
fn three_devices_come_to_rest() {
    (10..14).for_each(|seed| comes_to_rest(seed, 3, Arc::new(ByRate)));
}

#[test]
fn many_devices_come_to_rest() {
    (20..22).for_each(|seed| comes_to_rest(seed, 7, Arc::new(ByRate)));
}

#[test]
fn devices_that_give_only_when_asked_come_to_rest() {
    (30..33).for_each(|seed| comes_to_rest(seed, 4, Arc::new(OnDemand)));
}
