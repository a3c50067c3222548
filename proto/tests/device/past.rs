//! A device that was set back to an earlier state hears from another what it did since, before it spends.

use popmesh_proto::command::{Command, Refusal, Reply};
use popmesh_proto::io::Notice;
use popmesh_proto::query::{Answer, Query};

use crate::event::{claim_of, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;

/// A till whose disk was set back to before an `evening`; without power.
fn set_back_after(seed: u64, evening: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    let image = world.nodes[TILL].stored.clone();
    evening(&mut world);
    world.converge(5_000);
    world.power_cut_with(TILL, true);
    let node = &mut world.nodes[TILL];
    node.durable = image.iter().map(|entry| (entry.chain, entry.seq)).collect();
    node.stored = image;
    world
}

/// A till that has sold, and whose disk was set back to before that; without power.
fn set_back(seed: u64) -> World {
    set_back_after(seed, |world| {
        for _ in 0..3 {
            claim_of(world.done(TILL, Command::Sell(sell(1, 1_000))));
        }
    })
}

fn incidents(world: &mut World, at: usize) -> usize {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_meets_another_hears_of_its_past_before_it_spends() {
    for seed in 0..20 {
        let mut world = set_back(seed);
        // Nothing beside the database tells that it was set back: the whole disk was.
        world.power_on(TILL);
        for _ in 0..3 {
            claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
        }
        world.converge(5_000);
        assert_eq!(incidents(&mut world, HQ), 0, "seed {seed}");
        assert_eq!(world.claims(HQ).len(), 6);
        world.assert_sound();
    }
}

#[test]
fn who_was_set_back_is_told_at_once_by_a_peer_that_had_told_it_much() {
    let mut world = set_back_after(7, |world| {
        for round in 0..10 {
            world.isolate(TILL);
            world.product(HQ, 100 + round);
            claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
            world.link_all();
            world.converge(5_000);
        }
    });
    world.power_on(TILL);
    let met = world.now(HQ).mono_ms;
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    let took_ms = world.now(HQ).mono_ms - met;
    assert!(took_ms < 100, "{took_ms} ms");
}

#[test]
fn one_that_is_suspected_spends_nothing_alone() {
    let mut world = set_back(1);
    world.isolate(TILL);
    world.nodes[TILL].restored = true;
    world.power_on(TILL);
    for wait_ms in [0, 2_000] {
        let refused = world.done(TILL, Command::Sell(sell(1, wait_ms)));
        assert_eq!(refused, Err(Refusal::PastUnknown { suspected: true }));
    }
    world.link(HQ, TILL);
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    world.converge(5_000);
    assert_eq!(incidents(&mut world, HQ), 0);
    assert!(world.notices.contains(&(TILL, Notice::PastKnown { accepted: false })));
}

#[test]
fn a_person_can_have_it_go_on_and_what_follows_is_an_incident() {
    let mut world = set_back(2);
    world.isolate(TILL);
    world.nodes[TILL].restored = true;
    world.power_on(TILL);
    assert_eq!(world.done(TILL, Command::AcceptPast), Ok(Reply::PastAccepted));
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    world.link(HQ, TILL);
    world.converge(5_000);
    assert!(incidents(&mut world, HQ) > 0, "it sold what it had sold before");
    assert!(world.notices.contains(&(TILL, Notice::PastKnown { accepted: true })));
}

#[test]
fn nobody_waits_for_long_for_a_peer_that_says_nothing() {
    let mut world = set_back(3);
    world.conditions.lost_per_mille = 1_000;
    world.power_on(TILL);
    let sold = world.done(TILL, Command::Sell(sell(1, 10_000)));
    claim_of(sold);
}
