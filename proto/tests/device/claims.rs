//! Claims after the sale: one redemption, by the custodian, and never both that and a refund.

use popmesh_proto::command::{
    Claim, ClaimState, Command, GiveCustody, Redeem, Redeemed, Refund, RefundItem, Refunded, Refusal, Reply,
};
use popmesh_proto::id::Ref;
use popmesh_proto::identity::Ed25519;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::token::{TokenFault, UnprovenToken, from_text};
use popmesh_proto::units::UnitSet;

use crate::event::{claim_of, hall_with, hall_with_locker, sell, shirt};
use crate::wire::{entries, range};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;

fn evening(seed: u64) -> World {
    hall_with_locker(seed, 40)
}

/// Sells for pickup at the locker.
fn sold(world: &mut World, quantity: u64) -> Claim {
    let mut sell = sell(quantity, 2_000);
    sell.pickup_at = Some(world.nodes[LOCKER].id);
    claim_of(world.done(TILL, Command::Sell(sell)))
}

fn redeem(claim: Ref) -> Command {
    Command::Redeem(Redeem::of(claim))
}

fn redeemed(world: &mut World, at: usize, claim: Ref) -> Result<Redeemed, Refusal> {
    match world.done(at, redeem(claim)) {
        Ok(Reply::Redeemed(redeemed)) => Ok(redeemed),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
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
fn a_claim_is_redeemed_once_by_its_custodian_whatever_happens_to_the_power() {
    let mut world = evening(1);
    let claim = sold(&mut world, 3);
    world.converge(5_000);
    let refused = redeemed(&mut world, TILL, claim.claim).unwrap_err();
    assert!(matches!(&refused, Refusal::NotCustodian { name, reachable: true, .. } if name == "locker"));
    assert_eq!(
        refused.to_string(),
        format!("claim {} is in the custody of locker; pick it up there", claim.claim)
    );
    world.isolate(LOCKER);
    let handed = redeemed(&mut world, LOCKER, claim.claim).unwrap();
    let units: u64 = handed.items.iter().map(|item| item.units.len()).sum();
    assert_eq!((handed.items[0].sku.clone(), units), (shirt(), 3));
    for _ in 0..3 {
        let again = redeemed(&mut world, LOCKER, claim.claim).unwrap_err();
        let Refusal::AlreadyRedeemed { at_ms, name, .. } = again else { panic!("{again:?}") };
        assert_eq!((at_ms, name.as_str()), (handed.at_ms, "locker"));
        world.power_cut(LOCKER);
        world.power_on(LOCKER);
    }
    world.link_all();
    world.converge(5_000);
    assert_eq!(states(&mut world, claim.claim), [ClaimState::Redeemed; 3]);
    let line = world.stock(HQ).unwrap();
    assert_eq!((line.mesh.sold, line.mesh.committed), (3, 0));
    world.assert_agreed();
}

#[test]
fn a_pickup_wins_over_a_refund_that_was_asked_for_elsewhere() {
    let mut world = evening(2);
    let claim = sold(&mut world, 1).claim;
    world.converge(5_000);
    world.isolate(LOCKER);
    world.run_ms(6_000);
    let asked = refund(&mut world, TILL, claim, Vec::new()).unwrap();
    assert_eq!((asked.amount, asked.claim.state), (0, ClaimState::RefundRequested));
    // Asked again, it is the same request.
    assert_eq!(refund(&mut world, TILL, claim, Vec::new()).unwrap().claim.state, ClaimState::RefundRequested);
    redeemed(&mut world, LOCKER, claim).unwrap();
    world.link_all();
    world.converge(5_000);
    for at in 0..3 {
        let claim = &world.claims(at)[&claim];
        assert_eq!(claim.state, ClaimState::Redeemed);
        assert!(claim.refund_declined.as_ref().is_some_and(|why| why.contains("at locker")), "{claim:?}");
    }
    assert!(matches!(refund(&mut world, TILL, claim, Vec::new()), Err(Refusal::AlreadyRedeemed { .. })));
    world.assert_agreed();
}

#[test]
fn a_request_waits_for_a_person_who_ends_the_claim() {
    let mut world = evening(3);
    let claim = sold(&mut world, 2).claim;
    world.converge(5_000);
    let free = world.stock(HQ).unwrap().mesh.available;
    // The power may fail between the request, which pays nothing, and the refund.
    world.isolate(LOCKER);
    world.run_ms(6_000);
    refund(&mut world, TILL, claim, Vec::new()).unwrap();
    world.link_all();
    world.run_ms(30);
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    world.link_all();
    world.converge(5_000);
    assert_eq!(states(&mut world, claim), [ClaimState::RefundRequested; 3]);
    world.run_ms(6_000);
    assert_eq!(refund(&mut world, TILL, claim, Vec::new()).unwrap().amount, 5_000);
    world.converge(5_000);
    assert_eq!(states(&mut world, claim), [ClaimState::Refunded; 3]);
    assert!(matches!(redeemed(&mut world, LOCKER, claim), Err(Refusal::AlreadyRefunded { .. })));
    let line = world.stock(HQ).unwrap();
    assert_eq!((line.mesh.available, line.mesh.committed, line.mesh.sold), (free + 2, 0, 0));
    world.assert_agreed();
}

#[test]
fn custody_moves_and_with_it_the_right_to_redeem() {
    let mut world = evening(4);
    let claim = sold(&mut world, 1).claim;
    world.converge(5_000);
    let to = world.nodes[TILL].id;
    let given = world.done(LOCKER, Command::GiveCustody(GiveCustody { claim, to, wait_ms: 0 })).unwrap();
    assert!(matches!(given, Reply::Custody(claim) if claim.custodian == to));
    assert!(matches!(redeemed(&mut world, LOCKER, claim), Err(Refusal::NotCustodian { .. })));
    world.converge(5_000);
    redeemed(&mut world, TILL, claim).unwrap();
    world.converge(5_000);
    assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 3]);
    world.assert_agreed();
}

#[test]
fn units_come_back_to_where_they_were_handed_out_and_are_sold_again() {
    let mut world = evening(5);
    let claim = claim_of(world.done(TILL, Command::Sell(sell(3, 2_000))));
    let mut serials = UnitSet::default();
    serials.insert_all(&claim.items[0].units.lowest(1));
    let part = vec![RefundItem { sku: shirt(), serials: serials.clone() }];
    let back = refund(&mut world, TILL, claim.claim, part.clone()).unwrap();
    assert_eq!((back.amount, back.claim.state), (claim.total / 3, ClaimState::Redeemed));
    assert_eq!(back.claim.refunded[0].units, serials);
    let twice = refund(&mut world, TILL, claim.claim, part).unwrap_err();
    assert!(twice.to_string().contains("left"), "{twice}");
    world.converge(5_000);
    assert_eq!(world.stock(HQ).unwrap().mesh.sold, 2);
    let damaged = Refund { claim: claim.claim, items: Vec::new(), damaged: true };
    world.done(TILL, Command::Refund(damaged)).unwrap();
    world.converge(5_000);
    assert_eq!(states(&mut world, claim.claim), [ClaimState::Returned; 3]);
    let line = world.stock(HQ).unwrap();
    assert_eq!((line.mesh.sold, line.mesh.damaged, line.mesh.available), (0, 2, 38));
    world.isolate(TILL);
    let held = world.available(TILL);
    let again = claim_of(world.done(TILL, Command::Sell(sell(held, 0))));
    assert!(again.items.iter().any(|item| item.units.contains_all(&serials)));
    world.link_all();
    world.converge(5_000);
    world.assert_sound();
    assert_eq!(world.check(HQ).sold_twice, 0);
}

fn token(world: &mut World, at: usize, claim: Ref) -> Result<String, Refusal> {
    match world.query(at, Query::Token(claim)) {
        Answer::Token(token) => token.map(|token| token.token),
        other => panic!("{other:?}"),
    }
}

fn shown(world: &mut World, at: usize, token: &str) -> Result<Reply, Refusal> {
    world.done(at, Command::Redeem(Redeem::by_token(token.to_owned())))
}

#[test]
fn the_token_is_enough_where_the_sale_was_never_heard_of() {
    let mut world = evening(6);
    // A till that the locker has never met.
    let stranger = world.add("stranger", "pos", "hall");
    world.isolate(LOCKER);
    for at in [HQ, TILL] {
        world.link(stranger, at);
    }
    world.run_ms(3_000);
    let mut sell = sell(2, 5_000);
    sell.pickup_at = Some(world.nodes[LOCKER].id);
    let claim = claim_of(world.done(stranger, Command::Sell(sell)));
    let text = token(&mut world, stranger, claim.claim).unwrap();
    world.run_ms(3_000);
    let refused = token(&mut world, TILL, claim.claim).unwrap_err();
    assert!(refused.to_string().contains("stranger sold it"), "{refused}");
    let refused = shown(&mut world, TILL, &text).unwrap_err();
    assert!(matches!(refused, Refusal::NotCustodian { .. }), "{refused:?}");
    assert!(matches!(redeemed(&mut world, LOCKER, claim.claim), Err(Refusal::UnknownClaim { .. })));

    let scanned = format!("{}\r\n", text.to_lowercase());
    let Ok(Reply::Redeemed(handed)) = shown(&mut world, LOCKER, &scanned) else { panic!("not handed out") };
    assert_eq!((&handed.items[0].sku, &handed.items[0].units), (&claim.items[0].sku, &claim.items[0].units));
    for _ in 0..2 {
        let again = shown(&mut world, LOCKER, &text).unwrap_err();
        assert!(
            matches!(again, Refusal::AlreadyRedeemed { at_ms, .. } if at_ms == handed.at_ms),
            "{again:?}"
        );
        world.power_cut(LOCKER);
        world.power_on(LOCKER);
    }
    world.link_all();
    world.converge(10_000);
    assert_eq!(states(&mut world, claim.claim), [ClaimState::Redeemed; 4]);
    for at in [LOCKER, TILL] {
        let again = shown(&mut world, at, &text).unwrap_err();
        assert!(again.to_string().ends_with("at locker"), "{again}");
    }
    assert!(token(&mut world, stranger, claim.claim).is_err());
    world.assert_agreed();
}

/// Found by the simulator: nobody said so while the till that had sold it was cut off.
#[test]
fn two_redemptions_of_a_claim_that_nobody_knows_are_an_incident() {
    let mut world = evening(6);
    let stranger = world.add("stranger", "pos", "hall");
    world.isolate(LOCKER);
    world.link(stranger, HQ);
    world.run_ms(3_000);
    claim_of(world.done(stranger, Command::Sell(sell(1, 5_000))));
    world.isolate(stranger);
    let mut unheard = sell(1, 0);
    unheard.pickup_at = Some(world.nodes[LOCKER].id);
    let claim = claim_of(world.done(stranger, Command::Sell(unheard))).claim;
    let text = token(&mut world, stranger, claim).unwrap();
    let clone = world.clone_disk(LOCKER);
    for at in [LOCKER, clone] {
        assert!(matches!(shown(&mut world, at, &text), Ok(Reply::Redeemed(_))));
    }
    for at in [LOCKER, clone] {
        world.link(at, HQ);
    }
    world.run_ms(10_000);
    let twice = |world: &mut World, at: usize| {
        let incidents = world.check(at).incidents;
        incidents.iter().filter(|text| text.contains("it had been redeemed before")).count()
    };
    for at in [HQ, TILL] {
        assert_eq!(twice(&mut world, at), 1, "on device {at}: {:?}", world.check(at));
    }
    world.link_all();
    world.converge(10_000);
    assert_eq!(twice(&mut world, stranger), 1, "{:?}", world.check(stranger));
    assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 5]);
}

#[test]
fn a_token_that_is_not_good_hands_out_nothing() {
    let mut world = evening(7);
    let claim = sold(&mut world, 1);
    let text = token(&mut world, TILL, claim.claim).unwrap();
    let altered = text.replacen(text.chars().nth(60).unwrap(), "0", 1);
    let (none, damaged) = (TokenFault::NotAToken, TokenFault::Damaged);
    for (bad, fault) in [("", none), ("POPMESH1:", damaged), (altered.as_str(), damaged)] {
        let Err(Refusal::Token { why, problem }) = shown(&mut world, LOCKER, bad) else { panic!("{bad:?}") };
        assert_eq!(why, fault, "{problem}");
        assert!(problem.contains("token"), "{problem}");
    }
    let both = Redeem { claim: Some(claim.claim), ..Redeem::by_token(text.clone()) };
    for odd in [both, Redeem { claim: None, ..Redeem::of(claim.claim) }] {
        assert!(matches!(world.done(LOCKER, Command::Redeem(odd)), Err(Refusal::Invalid { .. })));
    }
    let mut other = evening(8);
    let Err(Refusal::Token { why, problem }) = shown(&mut other, LOCKER, &text) else {
        panic!("another event's")
    };
    assert_eq!(why, TokenFault::OtherEvent, "{problem}");
    assert!(shown(&mut world, LOCKER, &text).is_ok());
}

#[test]
fn a_token_of_another_till_than_its_seller_hands_out_nothing_where_the_sale_is_known() {
    let mut world = evening(17);
    let thief = world.add("thief", "pos", "hall");
    world.link_all();
    let claim = sold(&mut world, 1).claim;
    world.converge(5_000);
    let genuine = token(&mut world, TILL, claim).unwrap();
    let copied = UnprovenToken::parse(&from_text(&genuine).unwrap()).unwrap().token().clone();
    let node = &world.nodes[thief];
    let forged = copied.sign(&Ed25519, &node.secret, &node.certificate).unwrap().to_text();
    let Err(Refusal::Token { why, problem }) = shown(&mut world, LOCKER, &forged) else {
        panic!("handed out")
    };
    assert_eq!(why, TokenFault::Issuer, "{problem}");
    assert!(problem.contains("thief"), "{problem}");
    assert_eq!(states(&mut world, claim), [ClaimState::Issued; 4]);
    assert!(shown(&mut world, LOCKER, &genuine).is_ok());
}

#[test]
fn a_return_from_a_later_life_waits_for_the_hand_over() {
    let mut world = evening(9);
    let claim = sold(&mut world, 2);
    world.converge(5_000);
    redeemed(&mut world, LOCKER, claim.claim).unwrap();
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    let serials = claim.items[0].units.lowest(1);
    world.link_all();
    world.run_ms(6_000);
    refund(&mut world, TILL, claim.claim, vec![RefundItem { sku: shirt(), serials }]).unwrap();
    world.converge(5_000);
    let expected = world.stock(HQ).unwrap().mesh;
    let chains: Vec<_> = world.frontier(HQ).iter().map(|head| head.chain).collect();
    for first in 0..chains.len() {
        let new = world.add(&format!("new-{first}"), "pos", "hall");
        let mut order = chains.clone();
        order.rotate_left(first);
        for chain in order.iter().chain(order.iter().rev()) {
            let all = range(&world.chain(HQ, *chain));
            world.hand(HQ, new, entries(vec![all]));
        }
        let check = world.check(new);
        assert_eq!((check.problems, check.incidents), (Vec::new(), Vec::new()), "beginning with {first}");
        assert_eq!(world.claims(new)[&claim.claim].state, ClaimState::Redeemed);
        assert_eq!(world.stock(new).unwrap().mesh.sold, expected.sold);
    }
}

/// Two boxes with the locker's key: what one hands out, the other one does too, or pays back.
#[test]
fn what_a_copied_locker_does_twice_is_seen_alike_by_everybody() {
    for seed in 0..12 {
        let mut world = hall_with(10 + seed, 40, "pos,locker");
        let claims: Vec<Ref> = (0..4).map(|_| sold(&mut world, 2).claim).collect();
        world.converge(5_000);
        world.isolate(LOCKER);
        let copy = world.clone_disk(LOCKER);
        for at in [LOCKER, copy] {
            for claim in &claims {
                let command = match world.rng.below(3) {
                    0 => redeem(*claim),
                    1 => Command::Refund(Refund { claim: *claim, items: Vec::new(), damaged: false }),
                    _ => Command::GiveCustody(GiveCustody {
                        claim: *claim,
                        to: world.nodes[TILL].id,
                        wait_ms: 0,
                    }),
                };
                world.done(at, command).unwrap();
                world.run_ms(50);
            }
            let held = world.available(at);
            if held > 0 {
                world.done(at, Command::Sell(sell(held, 0))).unwrap();
            }
        }
        world.link_all();
        world.converge(10_000);
        let views: Vec<_> = (0..4)
            .map(|at| {
                let check = world.check(at);
                assert_eq!((check.problems, check.sold_twice), (Vec::new(), 0), "seed {seed}, device {at}");
                let claims: Vec<Claim> = world.claims(at).into_values().collect();
                (world.status(at).digest, claims, check.incidents, world.stock(at).map(|line| line.mesh))
            })
            .collect();
        assert!(!views[0].2.is_empty(), "seed {seed}: it comes to light");
        assert!(views[0].2.iter().any(|text| text.contains("of claim")), "{:?}", views[0].2);
        for view in &views[1..] {
            assert_eq!(view, &views[0], "seed {seed}");
        }
    }
}

#[test]
fn another_desk_fetches_a_claim_from_its_custodian_and_then_hands_it_out() {
    let mut world = evening(21);
    let claim = sold(&mut world, 1).claim;
    world.converge(5_000);
    let fetch =
        |world: &World, wait_ms| Command::GiveCustody(GiveCustody { claim, to: world.nodes[HQ].id, wait_ms });
    let refused = world.done(HQ, fetch(&world, 0)).unwrap_err();
    assert!(matches!(&refused, Refusal::NotCustodian { name, .. } if name == "locker"), "{refused:?}");
    world.isolate(LOCKER);
    world.run_ms(20_000);
    let refused = world.done(HQ, fetch(&world, 5_000)).unwrap_err();
    assert!(matches!(refused, Refusal::NotCustodian { reachable: false, .. }), "{refused:?}");
    world.link_all();
    world.run_ms(3_000);
    match world.done(HQ, fetch(&world, 5_000)) {
        Ok(Reply::Custody(known)) => assert_eq!(known.custodian, world.nodes[HQ].id),
        other => panic!("{other:?}"),
    }
    assert!(matches!(redeemed(&mut world, LOCKER, claim), Err(Refusal::NotCustodian { .. })));
    redeemed(&mut world, HQ, claim).unwrap();
    // What was handed out is nobody's to fetch.
    let refused = world
        .done(TILL, Command::GiveCustody(GiveCustody { claim, to: world.nodes[TILL].id, wait_ms: 5_000 }));
    assert!(matches!(refused, Err(Refusal::AlreadyRedeemed { .. })), "{refused:?}");
    world.converge(5_000);
    world.assert_agreed();
}
