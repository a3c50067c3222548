//! Durable before visible: nothing of a record leaves before its write is on the disk, and nothing that has left is
//! lost. That each output keeps the rule is checked by the world itself; here are the cases that try it.

use popmesh_proto::command::{Command, DropNew, ProductAdd, Refusal, Sell};
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record};

use crate::event::{claim_of, mint, night, sell, shirt, units_of};
use crate::wire::{live, range};
use crate::world::World;

fn key(key: u8) -> Option<Idempotency> {
    Some(Idempotency { key: [key; 32], request: [key ^ 0xff; 32] })
}

/// An hq that sells too, and a till, linked; all ten shirts are the hq's.
fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,pos", "hall");
    world.add("till", "pos", "yard");
    world.link_all();
    world.open_drop(0, 10);
    world.converge(5_000);
    world
}

#[test]
fn while_a_write_is_under_way_nothing_of_it_is_said() {
    let mut world = pair(1);
    world.run_ms(500);
    world.stall(0, true);
    let call = world.command(0, Command::Sell(sell(1, 0)));
    let silent_from = world.spoken.get(&0).copied();
    for _ in 0..5 {
        world.command(0, Command::Sell(sell(1, 0)));
        // A new link, a question and a neighbour's request make it want to speak.
        world.cut(0, 1);
        world.link(0, 1);
        world.ask(0, Query::Status);
        world.run_ms(1_000);
    }
    assert_eq!(world.spoken.get(&0).copied(), silent_from);
    assert!(world.replies.is_empty());
    assert_eq!(world.claims(1).len(), 0);

    world.stall(0, false);
    claim_of(world.outcome(call));
    world.converge(5_000);
    world.assert_agreed();
    assert_eq!(world.claims(1).len(), 6);
}

#[test]
fn commands_that_arrive_during_a_write_share_the_next_one() {
    let mut world = pair(2);
    world.run_ms(500);
    world.stall(0, true);
    let calls: Vec<_> = (0..6).map(|n| world.command_with(0, Command::Sell(sell(1, 0)), key(n))).collect();
    let first = world.nodes[0].write.as_ref().unwrap();
    assert_eq!((first.replies.len(), first.batch), (1, first.batch));
    let batch = first.batch;
    world.stall(0, false);
    let claims: Vec<_> = calls.into_iter().map(|call| claim_of(world.outcome(call))).collect();
    assert_eq!(units_of(&claims).len(), 6);
    world.run_ms(100);
    assert!(world.nodes[0].replies.len() == 6);
    // The five others went together: one signature at their end vouches for all.
    let signed = world.nodes[0]
        .stored
        .iter()
        .filter(|entry| entry.chain == claims[0].claim.chain && entry.signature.is_some())
        .count();
    assert_eq!(signed, 2, "batch {batch} and the one after it");
}

#[test]
fn a_sale_and_its_outcome_are_one_write() {
    for landed in [false, true] {
        let mut world = pair(3);
        world.run_ms(500);
        world.stall(0, true);
        world.command_with(0, Command::Sell(sell(1, 0)), key(1));
        world.power_cut_with(0, landed);
        world.power_on(0);
        let stored = world.nodes[0].stored_reply(&key(1).unwrap()).cloned();
        let claims = world.claims(0);
        assert_eq!(stored.is_some(), landed);
        assert_eq!(claims.len(), usize::from(landed));
        if let Some(stored) = stored {
            let claim = claim_of(Ok(stored.reply));
            assert_eq!(claims.get(&claim.claim), Some(&claim), "the outcome is of the sale that was made");
        } else {
            // The retry, as the runtime passes it on when it finds no outcome.
            let call = world.command_with(0, Command::Sell(sell(1, 0)), key(1));
            claim_of(world.outcome(call));
            assert_eq!(world.claims(0).len(), 1);
        }
        world.converge(5_000);
        world.assert_agreed();
    }
}

#[test]
fn the_outcome_that_is_stored_is_the_one_that_was_replied() {
    let mut world = pair(4);
    let product = ProductAdd::of("cap".parse().unwrap(), "Cap", 900);
    let commands = [
        Command::ProductAdd(product.clone()),
        // Nothing to do: no entry, and yet an outcome to keep.
        Command::ProductAdd(product),
        Command::DropNew(DropNew::of("dawn".parse().unwrap(), "Dawn".to_owned())),
        Command::LotMint(mint(50, 60)),
        Command::Sell(sell(2, 0)),
        // Waits for units from elsewhere, which do not come; a refusal is not kept.
        Command::Sell(sell(99, 1_000)),
    ];
    for (n, command) in commands.into_iter().enumerate() {
        let key = key(n as u8);
        let call = world.command_with(0, command, key);
        let outcome = world.outcome(call);
        let stored = world.nodes[0].stored_reply(&key.unwrap()).map(|stored| stored.reply.clone());
        assert_eq!(stored, outcome.ok());
    }
}

#[test]
fn the_outcome_of_a_sale_that_waited_is_kept_with_it() {
    let mut world = World::new(5);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(0, 0);
    world.done(0, Command::LotMint(mint(1, 1))).unwrap();
    world.converge(5_000);
    let call = world.command_with(1, Command::Sell(sell(1, 5_000)), key(1));
    let claim = claim_of(world.outcome(call));
    assert_eq!(
        world.nodes[1].stored_reply(&key(1).unwrap()).map(|stored| claim_of(Ok(stored.reply.clone()))),
        Some(claim)
    );
}

#[test]
fn a_write_that_fails_acknowledges_nothing() {
    let mut world = pair(6);
    world.run_ms(500);
    let before = world.nodes[0].stored.len();
    world.stall(0, true);
    let mut calls: Vec<_> =
        (0..3).map(|n| world.command_with(0, Command::Sell(sell(1, 0)), key(n))).collect();
    calls.push(world.command(0, Command::Sell(Sell { wait_ms: 10_000, ..sell(99, 0) })));
    world.fail_write(0);
    calls.push(world.command(0, Command::Sell(sell(1, 0))));
    for call in calls {
        let outcome = world.outcome(call);
        assert!(matches!(outcome, Err(Refusal::NotStored { .. })), "{outcome:?}");
    }
    // The mesh goes on around it: its gossip is still judged, its messages do no harm.
    world.done(1, Command::Sell(sell(1, 1_000))).unwrap_err();
    world.run_ms(3_000);
    assert_eq!(world.nodes[0].stored.len(), before);

    world.power_cut_with(0, false);
    world.power_on(0);
    assert_eq!(world.claims(0).len(), 0);
    world.converge(5_000);
    world.assert_agreed();
    let claim = claim_of(world.done(0, Command::Sell(sell(10, 0))));
    assert_eq!(units_of([&claim]).len(), 10);
    assert!(world.stock(0).is_some_and(|line| line.sku == shirt() && line.drop == night()));
}

#[test]
fn a_life_writes_chains_of_its_own_and_names_the_one_before() {
    let mut world = pair(7);
    for _ in 0..4 {
        claim_of(world.done(0, Command::Sell(sell(1, 0))));
        world.power_cut(0);
        world.run_ms(300);
        world.power_on(0);
    }
    world.converge(5_000);
    world.assert_agreed();
    let claims = world.claims(1);
    assert_eq!(claims.len(), 4);
    let chains: std::collections::BTreeSet<_> = claims.keys().map(|claim| claim.chain).collect();
    assert_eq!(chains.len(), 4, "each life has a chain of its own");
}

#[test]
fn a_clock_that_is_set_back_does_not_turn_lives_around() {
    let mut world = pair(8);
    let mut lives = Vec::new();
    for ahead_ms in [200_000, 100_000, 0] {
        world.nodes[0].ahead_ms = ahead_ms;
        let claim = claim_of(world.done(0, Command::Sell(sell(1, 0))));
        let start = world.chain(0, claim.claim.chain).swap_remove(0);
        let Ok(Record { body: Body::Start(start), .. }) = Record::decode(&start.body) else { panic!() };
        assert_eq!(start.previous.map(|previous| previous.chain), lives.last().copied());
        lives.push(claim.claim.chain);
        world.power_cut(0);
        world.power_on(0);
    }
    let times: Vec<u64> = lives
        .iter()
        .flat_map(|life| world.claims(0).into_values().filter(|claim| claim.claim.chain == *life))
        .map(|claim| claim.at_ms)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn what_others_wrote_is_written_together_unless_something_waits_for_it() {
    let mut world = pair(3);
    world.isolate(1);
    let mut sales = Vec::new();
    for _ in 0..5 {
        let had: usize = sales.iter().map(Vec::len).sum();
        claim_of(world.done(0, Command::Sell(sell(1, 0))));
        sales.push(world.written(0, "claims/night").split_off(had));
    }
    let last = sales.pop().unwrap();
    world.run_ms(5_000);
    let before = world.nodes[1].stored.len();
    for sale in &sales {
        world.hand_gossip(0, 1, live(vec![range(sale)]));
        assert!(world.nodes[1].write.is_none());
    }
    assert_eq!(world.nodes[1].stored.len(), before, "they wait for each other");
    world.run_ms(200);
    let sold: usize = sales.iter().map(Vec::len).sum();
    assert_eq!(world.nodes[1].stored.len(), before + sold);
    world.hand_gossip(0, 1, live(vec![range(&last)]));
    assert_eq!(world.nodes[1].stored.len(), before + sold);
    // An answer says what is in the log, so that has to be durable.
    let answer = world.query(1, Query::Status);
    assert!(matches!(answer, Answer::Status(_)), "{answer:?}");
    assert_eq!(world.nodes[1].stored.len(), before + sold + last.len());
}
