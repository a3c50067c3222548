//! Money back: whoever asks marks the claim, and a person at a drawer pays. No word of another device moves money.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{
    Claim, ClaimState, Command, DropNew, GiveCustody, Redeem, Refund, RefundItem, Refunded, Refusal, Reply,
    Sweep, Unclaimed,
};
use popmesh_proto::fact::Fact;
use popmesh_proto::id::Ref;
use popmesh_proto::record::{Body, RefundRequest, StepKind};

use crate::author::begin;
use crate::event::{claim_of, hall_with_locker, mint, sell, shirt};
use crate::wire::entries;
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;
const ENCODER: usize = 3;

fn evening(seed: u64) -> World {
    let mut world = hall_with_locker(seed, 40);
    world.add("encoder", "encoder", "stage");
    world.link_all();
    world.run_ms(3_000);
    world.converge(5_000);
    world
}

fn sold(world: &mut World, at: usize, quantity: u64) -> Claim {
    let pickup_at = Some(world.nodes[at].id);
    claim_of(
        world.done(TILL, Command::Sell(popmesh_proto::command::Sell { pickup_at, ..sell(quantity, 2_000) })),
    )
}

fn refund(world: &mut World, at: usize, claim: Ref, items: Vec<RefundItem>) -> Result<Refunded, Refusal> {
    match world.done(at, Command::Refund(Refund { claim, items, damaged: false })) {
        Ok(Reply::Refund(refunded)) => Ok(refunded),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn states(world: &mut World, claim: Ref) -> Vec<ClaimState> {
    world.powered().into_iter().map(|at| world.claims(at)[&claim].state).collect()
}

#[test]
fn a_request_marks_a_claim_and_moves_no_money() {
    let mut world = evening(1);
    let claim = sold(&mut world, LOCKER, 1).claim;
    world.converge(5_000);
    let asked = refund(&mut world, ENCODER, claim, Vec::new()).unwrap();
    assert_eq!((asked.amount, asked.receipts.len()), (0, 0));
    world.run_ms(10_000);
    assert_eq!(states(&mut world, claim), [ClaimState::RefundRequested; 4]);
    let known = world.claims(HQ)[&claim].clone();
    assert_eq!(known.refund_asked_by, Some(world.nodes[ENCODER].id));
    assert!(known.refund_asked_at_ms.is_some_and(|at_ms| at_ms >= EPOCH_MS));
    // The locker has no drawer, and says where one is.
    let refused = refund(&mut world, LOCKER, claim, Vec::new()).unwrap_err();
    assert!(matches!(&refused, Refusal::Unattended { at, .. } if *at == ["hq", "till"]), "{refused:?}");
    assert!(refused.to_string().ends_with("at hq or till"), "{refused}");
    for at in [LOCKER, ENCODER] {
        world.power_cut(at);
        world.power_on(at);
    }
    world.link_all();
    world.run_ms(10_000);
    assert_eq!(states(&mut world, claim), [ClaimState::RefundRequested; 4]);
    // A person at the till pays: the locker gives it there first.
    let paid = refund(&mut world, TILL, claim, Vec::new()).unwrap();
    assert_eq!((paid.amount, paid.receipts.len()), (2_500, 1));
    world.converge(5_000);
    assert_eq!(states(&mut world, claim), [ClaimState::Refunded; 4]);
    assert_eq!(world.claims(HQ)[&claim].custodian, world.nodes[TILL].id);
    for at in 0..4 {
        assert!(refund(&mut world, at, claim, Vec::new()).is_err());
        assert!(world.done(at, Command::Redeem(Redeem::of(claim))).is_err());
    }
    world.assert_agreed();
}

#[test]
fn one_unit_is_paid_back_where_a_person_is_and_the_rest_is_picked_up_there() {
    let mut world = evening(2);
    let claim = sold(&mut world, LOCKER, 3);
    world.converge(5_000);
    let one = |claim: &Claim| vec![RefundItem { sku: shirt(), serials: claim.items[0].units.lowest(1) }];
    let refused = refund(&mut world, ENCODER, claim.claim, one(&claim)).unwrap_err();
    assert!(refused.to_string().contains("a person pays"), "{refused}");
    let paid = refund(&mut world, HQ, claim.claim, one(&claim)).unwrap();
    assert_eq!(paid.amount, 2_500);
    world.converge(5_000);
    world.done(HQ, Command::Redeem(Redeem::of(claim.claim))).unwrap();
    world.converge(5_000);
    assert_eq!(world.stock(TILL).unwrap().mesh.sold, 2);
    world.assert_agreed();
}

/// The power of the till fails between the custody and the money: asked again it pays, once.
#[test]
fn a_refund_that_was_cut_off_is_made_when_it_is_asked_for_again() {
    for ms in [1, 20, 60, 150, 400] {
        let mut world = evening(3);
        let claim = sold(&mut world, LOCKER, 2).claim;
        world.converge(5_000);
        let call = world.command(TILL, Command::Refund(Refund { claim, items: Vec::new(), damaged: false }));
        world.run_ms(ms);
        let answered = world.is_answered(call);
        world.power_cut(TILL);
        world.power_on(TILL);
        world.link_all();
        world.run_ms(8_000);
        let again = refund(&mut world, TILL, claim, Vec::new());
        assert!(again.is_ok() || matches!(again, Err(Refusal::AlreadyRefunded { .. })), "{ms} ms: {again:?}");
        assert!(!answered || again.is_err(), "{ms} ms");
        world.converge(5_000);
        assert_eq!(states(&mut world, claim), [ClaimState::Refunded; 4]);
        world.assert_agreed();
    }
}

/// What a locker handed out comes back at any till; what a till handed over comes back there.
#[test]
fn what_a_locker_handed_out_is_brought_back_to_a_person() {
    let mut world = evening(4);
    let sale = sold(&mut world, LOCKER, 1);
    let claim = sale.claim;
    world.converge(5_000);
    world.done(LOCKER, Command::Redeem(Redeem::of(claim))).unwrap();
    world.converge(5_000);
    let refused = refund(&mut world, LOCKER, claim, Vec::new()).unwrap_err();
    assert!(matches!(refused, Refusal::Unattended { .. }), "{refused:?}");
    let refused = refund(&mut world, ENCODER, claim, Vec::new()).unwrap_err();
    assert!(matches!(refused, Refusal::AlreadyRedeemed { .. }), "{refused:?}");
    // Nobody fetches it to hand it out.
    let to = world.nodes[TILL].id;
    let fetch = world.done(TILL, Command::GiveCustody(GiveCustody { claim, to, wait_ms: 2_000 }));
    assert!(matches!(fetch, Err(Refusal::AlreadyRedeemed { .. })), "{fetch:?}");
    // Who says nothing of what is brought may not know that it was handed out.
    let refused = refund(&mut world, TILL, claim, Vec::new()).unwrap_err();
    assert!(matches!(refused, Refusal::AlreadyRedeemed { .. }), "{refused:?}");
    let brought = vec![RefundItem { sku: shirt(), serials: sale.items[0].units.clone() }];
    let paid = refund(&mut world, TILL, claim, brought.clone()).unwrap();
    assert_eq!((paid.amount, paid.claim.state), (2_500, ClaimState::Returned));
    world.converge(5_000);
    let walk_in = claim_of(world.done(TILL, Command::Sell(sell(1, 0)))).claim;
    world.converge(5_000);
    let refused = refund(&mut world, HQ, walk_in, brought).unwrap_err();
    assert!(matches!(refused, Refusal::AlreadyRedeemed { .. }), "{refused:?}");
    world.assert_agreed();
}

/// A till that asks for everything gets as much as a person could ask for, and an encoder nothing.
#[test]
fn a_locker_gives_few_claims_at_a_time_and_only_to_who_hands_out() {
    let mut world = evening(5);
    let claims: Vec<Ref> = (0..38).map(|_| sold(&mut world, LOCKER, 1).claim).collect();
    world.converge(5_000);
    let to = world.nodes[ENCODER].id;
    let give = world.done(LOCKER, Command::GiveCustody(GiveCustody { claim: claims[0], to, wait_ms: 0 }));
    assert!(give.unwrap_err().to_string().contains("which hands nothing out"));
    let fetch =
        world.done(ENCODER, Command::GiveCustody(GiveCustody { claim: claims[0], to, wait_ms: 2_000 }));
    assert!(matches!(fetch, Err(Refusal::NotCustodian { .. })), "{fetch:?}");
    let to = world.nodes[TILL].id;
    let calls: Vec<_> = claims
        .iter()
        .map(|claim| {
            world.command(TILL, Command::GiveCustody(GiveCustody { claim: *claim, to, wait_ms: 5_000 }))
        })
        .collect();
    world.run_ms(10_000);
    let got = calls.into_iter().map(|call| world.outcome(call)).filter(Result::is_ok).count();
    assert_eq!(got, 30);
}

/// However many ask for one claim, one request is kept, and told once; nothing is paid.
#[test]
fn a_flood_of_requests_is_one_request() {
    let mut world = evening(6);
    let claim = sold(&mut world, LOCKER, 1).claim;
    world.converge(5_000);
    let (secret, certificate) =
        (world.nodes[ENCODER].secret.clone(), world.nodes[ENCODER].certificate.clone());
    let at = |n: u64| Hlc::from_ms(EPOCH_MS + world.time + n);
    let mut flood = begin(&secret, &certificate, "claims/night", at(0));
    for n in 1..200 {
        flood.write(at(n), Body::RefundRequest(RefundRequest { claim }));
    }
    world.hand(ENCODER, LOCKER, entries(vec![flood.range()]));
    world.run_ms(10_000);
    let asked = |fact: &&(usize, Fact)| matches!(fact, (LOCKER, Fact::RefundRequested { .. }));
    assert_eq!(world.facts.iter().filter(asked).count(), 1);
    assert_eq!(states(&mut world, claim)[..3], [ClaimState::RefundRequested; 3]);
}

/// Nobody came in time, and the drop pays for that: a locker marks, and a person pays. Where nothing is paid, it sweeps.
#[test]
fn a_locker_that_is_swept_marks_what_is_to_be_paid() {
    for (unclaimed, seed) in [(Unclaimed::Refund, 7), (Unclaimed::Forfeit, 8)] {
        let mut world = evening(seed);
        let drop: popmesh_proto::text::DropId = "late".parse().unwrap();
        let new =
            DropNew { pickup_within_ms: Some(60_000), unclaimed, ..DropNew::of(drop.clone(), "Late".into()) };
        world.done(HQ, Command::DropNew(new)).unwrap();
        world
            .done(
                HQ,
                Command::LotMint(popmesh_proto::command::LotMint { drop: drop.clone(), ..mint(101, 120) }),
            )
            .unwrap();
        world.done(HQ, Command::step(drop.clone(), StepKind::Open)).unwrap();
        world.converge(5_000);
        let mut sale = sell(2, 3_000);
        (sale.pickup_at, sale.drop) = (Some(world.nodes[LOCKER].id), Some(drop.clone()));
        let claim = claim_of(world.done(TILL, Command::Sell(sale))).claim;
        world.converge(5_000);
        world.run_ms(61_000);
        let sweep = |world: &mut World, at| match world.done(at, Command::Sweep(Sweep::of(drop.clone()))) {
            Ok(Reply::Swept(swept)) => swept,
            other => panic!("{other:?}"),
        };
        let swept = sweep(&mut world, LOCKER);
        assert_eq!((swept.amount, swept.claims.len()), (0, 1));
        assert_eq!(sweep(&mut world, LOCKER).claims.len(), 0, "marked once");
        world.converge(5_000);
        if unclaimed == Unclaimed::Forfeit {
            assert_eq!(states(&mut world, claim), [ClaimState::Expired; 4]);
            continue;
        }
        assert_eq!(states(&mut world, claim), [ClaimState::RefundRequested; 4]);
        assert_eq!(refund(&mut world, TILL, claim, Vec::new()).unwrap().amount, 5_000);
        world.converge(5_000);
        assert_eq!(states(&mut world, claim), [ClaimState::Refunded; 4]);
        world.assert_agreed();
    }
}
