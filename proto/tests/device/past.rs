//! A device that was set back to an earlier state hears from another what it did since, before it spends.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{AcceptPast, Command, Refusal, Reply};
use popmesh_proto::fact::Signal;
use popmesh_proto::io::Entry;
use popmesh_proto::message::{Knows, Message, Past, Proof, encode};
use popmesh_proto::query::{Answer, Query, ReceiptFilter};

use crate::author::begin;
use crate::event::{claim_of, sell};
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;

/// What lies beside the database of a device that was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// The mark as it was last.
    Kept,
    /// The mark as it was at the time of the image: the whole disk was set back.
    SetBack,
    /// Nothing: it is lost, and the runtime sees that.
    Lost,
}

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

/// A till whose disk was set back to before what it did then; without power.
fn set_back_after(seed: u64, beside: Beside, then: impl FnOnce(&mut World)) -> World {
    let mut world = evening(seed);
    let (image, mark) = (world.nodes[TILL].stored.clone(), world.nodes[TILL].mark.clone());
    then(&mut world);
    world.converge(5_000);
    world.power_cut_with(TILL, true);
    let node = &mut world.nodes[TILL];
    node.set_back(&image);
    match beside {
        Beside::Kept => {}
        Beside::SetBack => node.mark = mark,
        Beside::Lost => {
            node.mark = None;
            node.restored = true;
        }
    }
    world
}

fn sells_three(world: &mut World) {
    for _ in 0..3 {
        claim_of(world.done(TILL, Command::Sell(sell(1, 1_000))));
    }
}

/// A till that has sold, and whose disk was set back to before that; without power.
fn set_back(seed: u64, beside: Beside) -> World {
    set_back_after(seed, beside, sells_three)
}

fn incidents(world: &mut World, at: usize) -> usize {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents.len(),
        other => panic!("{other:?}"),
    }
}

fn is_unknown(outcome: Result<Reply, Refusal>) {
    assert_eq!(outcome, Err(Refusal::PastUnknown { suspected: true }));
}

#[test]
fn a_device_that_meets_another_hears_of_its_past_before_it_spends() {
    for seed in 0..20 {
        // Nothing beside the database tells that it was set back: the whole disk was.
        let mut world = set_back(seed, Beside::SetBack);
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
    let mut world = set_back_after(7, Beside::SetBack, |world| {
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
    for beside in [Beside::Kept, Beside::Lost] {
        let mut world = set_back(1, beside);
        world.isolate(TILL);
        world.power_on(TILL);
        for wait_ms in [0, 2_000] {
            is_unknown(world.done(TILL, Command::Sell(sell(1, wait_ms))));
        }
        world.link(HQ, TILL);
        claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
        world.converge(5_000);
        assert_eq!(incidents(&mut world, HQ), 0);
        assert!(world.signals.contains(&(TILL, Signal::PastKnown { accepted: false })));
    }
}

/// A till that was admitted a minute ago, and anybody else who was never in its reach.
#[test]
fn a_peer_that_knows_nothing_clears_nothing() {
    for beside in [Beside::Kept, Beside::Lost] {
        for moved_away in [false, true] {
            let mut world = set_back(4, beside);
            world.isolate(TILL);
            if moved_away {
                world.nodes[TILL].lose_database();
            }
            world.power_on(TILL);
            let fresh = world.add("fresh", "pos", "hall");
            world.link(TILL, fresh);
            let refuses = |world: &mut World| match world.done(TILL, Command::Move(a_move())) {
                // It does not even know what is on sale.
                Err(Refusal::UnknownDrop { .. }) if moved_away => {}
                refused => is_unknown(refused),
            };
            refuses(&mut world);
            world.run_ms(20_000);
            refuses(&mut world);
            // Nor does a restart.
            world.power_cut_with(TILL, true);
            world.power_on(TILL);
            world.run_ms(7_000);
            refuses(&mut world);
            let status = world.status(TILL);
            assert!(status.past_unknown && status.past.unknown);
            assert_eq!(status.past.entries > 0, beside == Beside::Kept, "{:?}", status.past);
            world.link_all();
            claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
            world.converge(10_000);
            assert_eq!(incidents(&mut world, HQ), 0, "{beside:?}, moved away: {moved_away}");
            assert!(!world.status(TILL).past_unknown);
            world.assert_sound();
        }
    }
}

/// What a device can always try that holds nothing.
fn a_move() -> popmesh_proto::command::Move {
    popmesh_proto::command::Move {
        drop: crate::event::night(),
        sku: crate::event::shirt(),
        units: popmesh_proto::command::Units::Count(1),
        place: "hall".parse().unwrap(),
    }
}

/// The whole disk was set back, so nothing is suspected; the first peer is one that was never in its reach.
#[test]
fn a_plain_start_waits_for_who_knows_something() {
    let mut world = set_back(5, Beside::SetBack);
    world.isolate(TILL);
    world.power_on(TILL);
    let fresh = world.add("fresh", "pos", "hall");
    world.link(TILL, fresh);
    let call = world.command(TILL, Command::Sell(sell(1, 0)));
    world.run_ms(1_500);
    assert!(!world.is_answered(call), "it waits while somebody may come who knows");
    world.link(HQ, fresh);
    claim_of(world.outcome(call));
    world.link_all();
    world.converge(5_000);
    assert_eq!(incidents(&mut world, HQ), 0);
}

/// Alone, and with nobody but such who never heard of it, a till that nobody suspects sells.
#[test]
fn nobody_waits_for_long_for_a_peer_that_says_nothing() {
    let mut world = set_back(3, Beside::SetBack);
    world.conditions.lost_per_mille = 1_000;
    world.power_on(TILL);
    claim_of(world.done(TILL, Command::Sell(sell(1, 10_000))));

    let mut world = evening(3);
    world.isolate(TILL);
    world.power_cut_with(TILL, true);
    world.power_on(TILL);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    world.power_cut_with(TILL, true);
    let fresh = world.add("fresh", "pos", "hall");
    world.link(TILL, fresh);
    world.power_on(TILL);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
}

/// It has begun to sell when it first hears of what it lacks, from a device that it is not linked to.
#[test]
fn who_hears_late_of_its_past_spends_nothing_more_until_that_is_here() {
    let mut world = set_back(6, Beside::SetBack);
    world.isolate(TILL);
    world.power_on(TILL);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    let told = told_of(&mut world, TILL);
    let fresh = world.add("fresh", "pos", "hall");
    world.link(TILL, fresh);
    world.run_ms(6_000);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    world.hand(fresh, TILL, told);
    world.run_ms(6_000);
    is_unknown(world.done(TILL, Command::Sell(sell(1, 0))));
    world.link(HQ, TILL);
    world.run_ms(3_000);
    assert!(!world.status(TILL).past_unknown);
}

/// What an honest device that has all of `of` tells it.
fn told_of(world: &mut World, of: usize) -> Vec<u8> {
    let device = world.nodes[of].id;
    let heads = world.frontier(HQ);
    let proofs = heads.iter().filter(|head| head.device == device).map(|head| {
        let entries = world.nodes[HQ].stored.iter().filter(|entry| entry.chain == head.chain);
        let last: &Entry = entries.max_by_key(|entry| entry.seq).unwrap();
        let log = world.nodes[HQ].device.as_ref().unwrap().log();
        let chain = log.chain(&head.chain).unwrap();
        Proof {
            chain: head.chain,
            seq: last.seq,
            document: chain.document.clone(),
            previous: chain.hash(last.seq - 1).copied(),
            body: last.body.clone().into(),
            signature: last.signature.unwrap(),
        }
    });
    encode(&Message::Past(Past { knows: Knows::All, proofs: proofs.collect() }))
}

/// A hostile device makes up a past of another one.
#[test]
fn a_past_that_this_device_did_not_sign_keeps_nobody_from_selling() {
    let mut world = evening(7);
    let mallory = world.add("mallory", "pos", "hall");
    world.link_all();
    world.converge(5_000);
    let true_proof = {
        let told = told_of(&mut world, TILL);
        let Ok(Message::Past(past)) = popmesh_proto::message::decode(&told, told.len()) else { panic!() };
        past.proofs[0].clone()
    };
    let (secret, certificate) =
        (world.nodes[mallory].secret.clone(), world.nodes[mallory].certificate.clone());
    let made_up = begin(&secret, &certificate, "stock/night", Hlc::from_ms(EPOCH_MS + 1));
    let own = Proof {
        chain: made_up.chain,
        seq: 1,
        document: made_up.document.clone(),
        previous: None,
        body: made_up.entries[0].body.clone().into(),
        signature: made_up.entries[0].signature.unwrap(),
    };
    let other_chain = popmesh_proto::id::ChainId([9; 16]);
    let lies = [
        own,
        Proof { seq: true_proof.seq + 1, ..true_proof.clone() },
        Proof { seq: u64::MAX, ..true_proof.clone() },
        Proof { chain: other_chain, seq: 0, ..true_proof.clone() },
        Proof { chain: other_chain, ..true_proof.clone() },
        Proof { chain: other_chain, document: "claims/night".parse().unwrap(), ..true_proof.clone() },
        Proof { chain: other_chain, document: "programme".parse().unwrap(), ..true_proof.clone() },
        Proof { chain: other_chain, body: vec![1, 2, 3].into(), ..true_proof.clone() },
        Proof { chain: other_chain, previous: None, ..true_proof.clone() },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let told = encode(&Message::Past(Past { knows: Knows::All, proofs: vec![lie] }));
        let faults = |world: &World| {
            let own =
                |(at, signal): &&(usize, Signal)| *at == TILL && matches!(signal, Signal::PeerFault { .. });
            world.signals.iter().filter(own).count()
        };
        let before = faults(&world);
        world.hand(mallory, TILL, told);
        assert_eq!(faults(&world), before + 1, "lie {number}");
        assert!(!world.status(TILL).past_unknown, "lie {number}");
    }
    let many = vec![true_proof; 33];
    world.hand(mallory, TILL, encode(&Message::Past(Past { knows: Knows::All, proofs: many })));
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
}

/// What came back is half of it when the power fails again, and nobody is in reach then.
#[test]
fn half_a_past_is_not_taken_for_all_of_it() {
    for seed in 0..10 {
        for beside in [Beside::Kept, Beside::Lost] {
            let mut world = set_back(seed, beside);
            world.nodes[TILL].lose_database();
            world.conditions.lost_per_mille = 300;
            world.power_on(TILL);
            world.run_ms(10 + 15 * seed);
            let all_back = !world.status(TILL).past_unknown;
            world.power_cut(TILL);
            world.isolate(TILL);
            world.power_on(TILL);
            let sold = world.done(TILL, Command::Sell(sell(1, 0)));
            assert!(all_back || sold.is_err(), "seed {seed}, {beside:?}: {sold:?}");
            world.conditions.lost_per_mille = 0;
            world.link_all();
            world.run_ms(3_000);
            world.converge(5_000);
            assert_eq!(incidents(&mut world, HQ), 0, "seed {seed}, {beside:?}");
        }
    }
}

#[test]
fn a_person_can_have_it_go_on_and_what_follows_is_an_incident() {
    for beside in [Beside::Kept, Beside::Lost] {
        let mut world = set_back(2, beside);
        world.isolate(TILL);
        world.power_on(TILL);
        assert_eq!(world.done(TILL, Command::AcceptPast(AcceptPast::default())), Ok(Reply::PastAccepted));
        claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
        // What a person has answered for is not asked again.
        world.nodes[TILL].restored = false;
        world.power_cut_with(TILL, true);
        world.power_on(TILL);
        claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
        world.link(HQ, TILL);
        world.converge(5_000);
        assert!(incidents(&mut world, HQ) > 0, "it sold what it had sold before");
        assert!(world.signals.contains(&(TILL, Signal::PastKnown { accepted: true })));
    }
}

/// The last receipt is in the mark, too.
#[test]
fn receipts_go_on_after_the_last_that_was_given_whatever_is_lost() {
    let mut world = set_back(8, Beside::Kept);
    world.isolate(TILL);
    world.power_on(TILL);
    assert_eq!(world.done(TILL, Command::AcceptPast(AcceptPast::default())), Ok(Reply::PastAccepted));
    let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    assert_eq!(claim.receipt, 4, "three were given before");
    world.link(HQ, TILL);
    world.converge(5_000);
    let Answer::Receipts(receipts) = world.query(
        HQ,
        Query::Receipts(ReceiptFilter { device: Some(world.nodes[TILL].id), ..ReceiptFilter::default() }),
    ) else {
        panic!()
    };
    assert!(receipts.items.iter().all(|receipt| receipt.twice.is_empty()), "no number is there twice");
    assert_eq!(receipts.items.len(), 4);
}

/// In good order, over several lives and documents: the mark never says more than is stored.
#[test]
fn the_mark_of_a_device_that_goes_on_names_what_is_there() {
    let mut world = evening(9);
    for _ in 0..5 {
        claim_of(world.done(TILL, Command::Sell(sell(1, 1_000))));
        world.power_cut(TILL);
        world.isolate(TILL);
        world.power_on(TILL);
        claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
        world.link_all();
    }
    world.converge(5_000);
    assert_eq!(incidents(&mut world, HQ), 0);
    let mark = world.nodes[TILL].mark.clone().unwrap();
    // One chain in stock, one in claims: those of earlier lives have ended.
    assert_eq!(mark.ends.len(), 2, "{mark:?}");
    assert_eq!(mark.receipt.map(|(number, _)| number), Some(10));
}
