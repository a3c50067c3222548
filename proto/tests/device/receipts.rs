//! Receipts: numbered without gaps on each device, each following from the one before, whatever happens to the power.

use popmesh_proto::command::{Claim, Command, Refund, RefundItem, Refusal, Reply, ResolveIncident};
use popmesh_proto::query::{
    Answer, IncidentKind, Query, Receipt, ReceiptFilter, ReceiptKind, ReceiptRun, Takings, TakingsFilter,
};

use crate::event::{claim_of, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;

pub(crate) fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,pos", "hall");
    world.add("till", "pos", "hall");
    // A person with a drawer is at it.
    world.add("locker", "pos,locker", "hall");
    world.link_all();
    world.open_drop(HQ, 60);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

pub(crate) fn refunded(
    world: &mut World,
    at: usize,
    claim: &Claim,
    units: u64,
) -> popmesh_proto::command::Refunded {
    let known = world.claims(at)[&claim.claim].clone();
    let mut left = claim.items[0].units.clone();
    known.refunded.iter().for_each(|item| left.remove_all(&item.units));
    let items = vec![RefundItem { sku: shirt(), serials: left.lowest(units) }];
    match world.done(at, Command::Refund(Refund { claim: claim.claim, items, damaged: false })) {
        Ok(Reply::Refund(refunded)) => refunded,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn receipts(world: &mut World, at: usize, of: usize) -> Vec<Receipt> {
    let filter =
        ReceiptFilter { device: Some(world.nodes[of].id), limit: Some(u32::MAX), ..ReceiptFilter::default() };
    match world.query(at, Query::Receipts(filter)) {
        Answer::Receipts(receipts) => receipts.items,
        other => panic!("{other:?}"),
    }
}

fn receipt(world: &mut World, at: usize, number: u64) -> Result<Receipt, Refusal> {
    match world.query(at, Query::Receipt { device: None, number }) {
        Answer::Receipt(receipt) => *receipt,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn takings(world: &mut World, at: usize, of: usize) -> Takings {
    let filter = TakingsFilter { device: Some(world.nodes[of].id) };
    match world.query(at, Query::Takings(filter)) {
        Answer::Takings(mut takings) => takings.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn run(world: &mut World, at: usize, of: usize) -> ReceiptRun {
    let device = world.nodes[of].id;
    world.check(at).receipts.into_iter().find(|run| run.device == device).unwrap()
}

/// Fails unless the receipts of a device are 1 to their number, each naming the hash of the one before.
fn assert_gapless(world: &mut World, at: usize, of: usize, count: u64) {
    let mut all = receipts(world, at, of);
    all.reverse();
    assert_eq!(all.iter().map(|receipt| receipt.number).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
    assert_eq!(all.first().and_then(|first| first.previous), None);
    for pair in all.windows(2) {
        assert_eq!(pair[1].previous, Some(pair[0].hash));
    }
    let run = run(world, at, of);
    assert_eq!((run.count, run.last, run.missing), (count, count, 0));
    assert!(run.twice.is_empty() && run.unlinked.is_empty());
}

#[test]
fn numbers_go_on_over_restarts_drops_and_refunds() {
    let mut world = evening(1);
    let mut count = 0;
    for _ in 0..4 {
        let claim = claim_of(world.done(TILL, Command::Sell(sell(2, 2_000))));
        count += 1;
        assert_eq!(claim.receipt, count);
        let back = refunded(&mut world, TILL, &claim, 1);
        count += 1;
        assert_eq!(back.receipts, [count]);
        world.power_cut(TILL);
        world.power_on(TILL);
        let refused = world.done(TILL, Command::Sell(sell(900, 0)));
        assert!(refused.is_err(), "a refusal has no receipt");
    }
    world.link_all();
    world.converge(10_000);
    for at in [HQ, TILL, LOCKER] {
        assert_gapless(&mut world, at, TILL, count);
    }
    world.assert_sound();
    let sale = receipt(&mut world, TILL, 1).unwrap();
    assert_eq!((sale.kind, sale.total, sale.items[0].quantity), (ReceiptKind::Sale, 5_000, 2));
    let refund = receipt(&mut world, TILL, 2).unwrap();
    assert_eq!((refund.kind, refund.total, refund.claim), (ReceiptKind::Refund, 2_500, sale.claim));
    let none = receipt(&mut world, TILL, count + 1).unwrap_err();
    assert!(matches!(&none, Refusal::UnknownReceipt { name, .. } if name == "till"), "{none:?}");
}

#[test]
fn a_write_that_fails_or_is_cut_leaves_no_gap() {
    for landed in [false, true] {
        let mut world = evening(2);
        claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
        world.stall(TILL, true);
        for _ in 0..3 {
            world.command(TILL, Command::Sell(sell(1, 0)));
        }
        if landed {
            world.power_cut_with(TILL, true);
        } else {
            world.fail_write(TILL);
            world.power_cut_with(TILL, false);
        }
        world.power_on(TILL);
        let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
        // Of three sales the first was in the write under way.
        assert_eq!(claim.receipt, if landed { 3 } else { 2 });
        world.link_all();
        world.converge(10_000);
        assert_gapless(&mut world, HQ, TILL, claim.receipt);
        world.assert_agreed();
    }
}

#[test]
fn sales_of_one_write_each_have_their_number() {
    let mut world = evening(3);
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    world.stall(TILL, true);
    let calls: Vec<_> = (0..5).map(|_| world.command(TILL, Command::Sell(sell(1, 0)))).collect();
    world.stall(TILL, false);
    let numbers: Vec<u64> = calls.into_iter().map(|call| claim_of(world.outcome(call)).receipt).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6]);
    world.converge(5_000);
    assert_gapless(&mut world, LOCKER, TILL, 6);
}

#[test]
fn a_copied_till_gives_numbers_twice_and_everybody_is_told() {
    let mut world = evening(4);
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    world.converge(5_000);
    world.isolate(TILL);
    let copy = world.clone_disk(TILL);
    for at in [TILL, copy] {
        for _ in 0..2 {
            assert!(world.done(at, Command::Sell(sell(1, 0))).is_ok());
            world.run_ms(30);
        }
    }
    world.link_all();
    world.converge(10_000);
    let mut views = Vec::new();
    for at in [HQ, TILL, LOCKER, copy] {
        let check = world.check(at);
        let told =
            check.incidents.iter().any(|text| text.starts_with("receipt 2 of") && text.contains("2 times"));
        assert!(told, "{:?}", check.incidents);
        let Answer::Incidents(known) = world.query(at, Query::Incidents) else { panic!() };
        let twice = known.iter().filter(|known| known.text.contains("2 times"));
        assert!(twice.clone().count() > 0, "{known:?}");
        assert!(twice.map(|known| known.kind).all(|kind| kind == IncidentKind::Receipts), "{known:?}");
        assert_eq!(check.problems, Vec::<String>::new());
        let run = run(&mut world, at, TILL);
        assert_eq!((run.count, run.last, run.missing, run.twice), (5, 3, 0, vec![2, 3]));
        // Each of the two goes on from its own.
        assert_eq!(run.unlinked, Vec::<u64>::new());
        assert!(world.status(at).incidents >= 2);
        views.push(check.incidents);
    }
    assert!(views.windows(2).all(|pair| pair[0] == pair[1]), "{views:?}");
    // Once a person has looked into it, what it sells goes on behind the highest number.
    let Err(Refusal::Suspended { incident }) = world.done(TILL, Command::Sell(sell(1, 2_000))) else {
        panic!()
    };
    let note = "the copy is switched off".to_owned();
    world.done(HQ, Command::ResolveIncident(ResolveIncident { incident, note })).unwrap();
    world.converge(10_000);
    assert_eq!(claim_of(world.done(TILL, Command::Sell(sell(1, 2_000)))).receipt, 4);
}

#[test]
fn takings_are_sales_less_refunds() {
    let mut world = evening(5);
    for _ in 0..3 {
        claim_of(world.done(TILL, Command::Sell(sell(2, 2_000))));
    }
    let mut pickup = sell(2, 2_000);
    pickup.pickup_at = Some(world.nodes[LOCKER].id);
    let claim = claim_of(world.done(TILL, Command::Sell(pickup)));
    world.converge(5_000);
    refunded(&mut world, LOCKER, &claim, 1);
    world.converge(5_000);
    let (till, locker) = (takings(&mut world, HQ, TILL), takings(&mut world, HQ, LOCKER));
    assert_eq!((till.sales, till.sold, till.refunds, till.last_receipt), (4, 20_000, 0, 4));
    assert_eq!((till.tenders[0].taken, till.tenders[0].net, till.tenders[0].payments), (20_000, 20_000, 4));
    // Who pays back is who has the claim.
    assert_eq!((locker.refunds, locker.refunded, locker.last_receipt), (1, 2_500, 1));
    assert_eq!((locker.tenders[0].paid_back, locker.tenders[0].net), (2_500, -2_500));
    assert_gapless(&mut world, TILL, LOCKER, 1);
    let receipt = receipts(&mut world, HQ, TILL).remove(0);
    let pickup = receipt.pickup.unwrap();
    assert_eq!((pickup.name.as_str(), pickup.place.unwrap().as_str()), ("locker", "hall"));
}
