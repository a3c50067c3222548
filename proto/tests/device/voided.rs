//! Facts that are taken back: what was told and counts no more is told as void once, with why, and told again if it comes to
//! count after all.

use popmesh_proto::command::{Command, Retire};
use popmesh_proto::fact::{Fact, VoidedBy};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Query};

use crate::event::{claim_of, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const PEER: usize = 2;
const DESK: usize = 3;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    for (name, roles) in [("hq", "hq,registrar"), ("till", "pos"), ("peer", "pos"), ("desk", "hq,registrar")]
    {
        world.add(name, roles, "hall");
    }
    world.link_all();
    world.open_drop(HQ, 60);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

#[derive(Debug, PartialEq)]
enum Heard {
    Sold,
    Voided(VoidedBy),
}

/// What was told at a device of a sale, in order.
fn heard(world: &World, at: usize, sale: Ref) -> Vec<Heard> {
    let of = |fact: &Fact| matches!(fact, Fact::Sold { entry, .. } if *entry == sale);
    let here = world.facts.iter().filter(|(device, _)| *device == at);
    here.filter_map(|(_, fact)| match fact {
        Fact::Voided { told, why, .. } if of(told) => Some(Heard::Voided(*why)),
        fact => of(fact).then_some(Heard::Sold),
    })
    .collect()
}

fn sale(world: &mut World, at: usize) -> Ref {
    claim_of(world.done(at, Command::Sell(sell(1, 0)))).claim
}

fn retire(world: &mut World, by: usize, lost: usize) {
    let device = world.nodes[lost].id;
    let Answer::Retirement(Ok(risk)) = world.query(by, Query::Retirement(device)) else {
        panic!("no answer")
    };
    let retire = Retire { device, at_risk: risk.at_risk, reachable: true };
    world.done(by, Command::Retire(retire)).unwrap();
}

#[test]
fn a_sale_that_a_fork_cuts_off_is_told_as_void_once() {
    let mut world = evening(1);
    let before = sale(&mut world, PEER);
    world.converge(5_000);
    world.isolate(PEER);
    world.power_cut_with(PEER, true);
    world.power_on(PEER);
    let twin = world.fork_life(PEER);
    let mut sales = Vec::new();
    for (seller, near) in [(PEER, TILL), (twin, DESK)] {
        world.isolate(seller);
        world.isolate(near);
        world.link(seller, near);
        world.run_ms(500);
        for _ in 0..=sales.len() {
            sales.push((near, sale(&mut world, seller)));
        }
        world.run_ms(500);
    }
    for (near, sale) in &sales {
        assert!(heard(&world, *near, *sale).contains(&Heard::Sold), "it is told before the fork is known");
    }
    world.link_all();
    world.converge(20_000);
    for at in [TILL, DESK] {
        for (near, sale) in sales.iter().filter(|(near, _)| *near == at) {
            let wanted = [Heard::Sold, Heard::Voided(VoidedBy::Fork)];
            assert_eq!(heard(&world, *near, *sale), wanted, "{sale:?} on {near}");
        }
        assert_eq!(heard(&world, at, before), [Heard::Sold], "a life before that stays");
    }
}

#[test]
fn a_sale_that_a_retirement_voids_is_told_as_void_and_told_again_once_it_counts() {
    let mut world = evening(2);
    let kept = sale(&mut world, TILL);
    world.converge(5_000);
    // Only the peer hears of what the till sells now.
    world.isolate(TILL);
    world.link(TILL, PEER);
    world.isolate(HQ);
    world.isolate(DESK);
    world.run_ms(500);
    let cut_off = sale(&mut world, TILL);
    world.run_ms(1_000);
    assert_eq!(heard(&world, PEER, cut_off), [Heard::Sold]);
    world.isolate(TILL);

    // The headquarters retire the desk, which does not hear of it and retires the till.
    retire(&mut world, HQ, DESK);
    world.run_ms(1_000);
    retire(&mut world, DESK, TILL);
    world.link(DESK, PEER);
    world.run_ms(5_000);
    let void = [Heard::Sold, Heard::Voided(VoidedBy::Retirement)];
    assert_eq!(heard(&world, PEER, cut_off), void);
    assert_eq!(heard(&world, PEER, kept), [Heard::Sold], "it was known to who retired the till");

    // What a retired device does counts for nothing, and so does its retirement of the till.
    world.link(HQ, PEER);
    world.run_ms(5_000);
    let [sold, voided] = void;
    assert_eq!(heard(&world, PEER, cut_off), [sold, voided, Heard::Sold]);
    assert_eq!(heard(&world, PEER, kept), [Heard::Sold]);
    assert_eq!(heard(&world, HQ, cut_off), [Heard::Sold], "it never heard of it as void");
}
