//! Custody that moves while who gets it is cut off, and what a token says of it: whoever has handed a claim out never does
//! so again, and everybody agrees that it was.

use popmesh_proto::command::{
    AcceptPast, Claim, ClaimState, Command, GiveCustody, Redeem, Refund, RefundItem, Refusal, Reply,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, IncidentKind, Query};

use crate::event::{claim_of, hall_with_locker, sell, shirt};
use crate::wire::{entries, range};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;
const SECOND: usize = 3;

fn token(world: &mut World, at: usize, claim: Ref) -> String {
    match world.query(at, Query::Token(claim)) {
        Answer::Token(Ok(token)) => token.token,
        other => panic!("{other:?}"),
    }
}

fn show(world: &mut World, at: usize, token: &str) -> Result<Reply, Refusal> {
    world.done(at, Command::Redeem(Redeem::by_token(token.to_owned())))
}

fn incidents(world: &mut World, at: usize) -> Vec<String> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents.into_iter().map(|incident| incident.text).collect(),
        other => panic!("{other:?}"),
    }
}

fn states(world: &mut World, claim: Ref) -> Vec<ClaimState> {
    let known: Vec<_> = world.powered().into_iter().map(|at| world.claims(at).remove(&claim)).collect();
    known.into_iter().flatten().map(|claim| claim.state).collect()
}

fn give(world: &mut World, from: usize, to: usize, claim: Ref) {
    let to = world.nodes[to].id;
    world.done(from, Command::GiveCustody(GiveCustody { claim, to, wait_ms: 0 })).unwrap();
}

/// A hall with a second locker.
fn hall(seed: u64) -> World {
    let mut world = hall_with_locker(seed, 40);
    world.add("locker-2", "locker", "hall");
    world.link_all();
    world.run_ms(3_000);
    world.converge(5_000);
    world
}

fn sold_for(world: &mut World, at: usize, quantity: u64) -> Claim {
    let mut sale = sell(quantity, 2_000);
    sale.pickup_at = Some(world.nodes[at].id);
    claim_of(world.done(TILL, Command::Sell(sale)))
}

fn is_redeemed_at(outcome: &Result<Reply, Refusal>, at: &str) -> bool {
    matches!(outcome, Err(Refusal::AlreadyRedeemed { name, .. }) if name == at)
}

#[test]
fn a_token_names_the_record_of_custody_and_is_enough_where_that_is_unknown() {
    for knows_the_sale in [false, true] {
        let mut world = hall(1);
        if !knows_the_sale {
            world.isolate(SECOND);
        }
        let claim = sold_for(&mut world, LOCKER, 2).claim;
        world.run_ms(2_000);
        let before = token(&mut world, TILL, claim);
        world.isolate(SECOND);
        give(&mut world, LOCKER, SECOND, claim);
        world.run_ms(2_000);
        let after = token(&mut world, TILL, claim);
        // The token made before is of the first locker, which has given the claim away.
        let refused = show(&mut world, LOCKER, &before);
        assert!(
            matches!(&refused, Err(Refusal::NotCustodian { name, .. }) if name == "locker-2"),
            "{refused:?}"
        );
        // The second locker knows nothing of its custody: by that token the first one is the custodian.
        let refused = show(&mut world, SECOND, &before);
        assert!(
            matches!(&refused, Err(Refusal::NotCustodian { name, .. }) if name == "locker"),
            "{refused:?}"
        );
        let refused = show(&mut world, HQ, &after);
        assert!(
            matches!(&refused, Err(Refusal::NotCustodian { name, .. }) if name == "locker-2"),
            "{refused:?}"
        );

        let Ok(Reply::Redeemed(handed)) = show(&mut world, SECOND, &after) else { panic!("not handed out") };
        assert_eq!(handed.items.iter().map(|item| item.units.len()).sum::<u64>(), 2);
        for shown in [&before, &after] {
            assert!(is_redeemed_at(&show(&mut world, SECOND, shown), "locker-2"));
        }
        // Whoever hears of it before the custody is known says so, too, and of no breach.
        world.link(SECOND, HQ);
        world.link_all();
        world.converge(10_000);
        assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 4]);
        for at in 0..4 {
            assert!(is_redeemed_at(&show(&mut world, at, &after), "locker-2"));
        }
        world.assert_agreed();
    }
}

/// Custody goes there and back again; each token is good where it was made for, or where the custody is known.
#[test]
fn custody_that_comes_back_makes_the_first_locker_the_custodian_again() {
    let mut world = hall(2);
    let claim = sold_for(&mut world, LOCKER, 1).claim;
    world.run_ms(2_000);
    let first = token(&mut world, TILL, claim);
    give(&mut world, LOCKER, SECOND, claim);
    world.run_ms(2_000);
    let second = token(&mut world, TILL, claim);
    assert_ne!(first, second);
    world.isolate(LOCKER);
    give(&mut world, SECOND, LOCKER, claim);
    world.run_ms(2_000);
    let third = token(&mut world, TILL, claim);
    for old in [&first, &second] {
        let refused = show(&mut world, LOCKER, old);
        assert!(
            matches!(&refused, Err(Refusal::NotCustodian { name, .. }) if name == "locker-2"),
            "{refused:?}"
        );
    }
    assert!(matches!(show(&mut world, LOCKER, &third), Ok(Reply::Redeemed(_))));
    for shown in [&first, &second, &third] {
        assert!(is_redeemed_at(&show(&mut world, LOCKER, shown), "locker"));
    }
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    assert!(is_redeemed_at(&show(&mut world, LOCKER, &third), "locker"));
    world.link_all();
    world.converge(10_000);
    assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 4]);
    world.assert_agreed();
}

#[test]
fn an_old_token_is_good_where_the_custody_is_known() {
    let mut world = hall(3);
    let claim = sold_for(&mut world, LOCKER, 1).claim;
    world.run_ms(2_000);
    let old = token(&mut world, TILL, claim);
    give(&mut world, LOCKER, SECOND, claim);
    world.converge(5_000);
    world.isolate(SECOND);
    assert!(matches!(show(&mut world, SECOND, &old), Ok(Reply::Redeemed(_))));
    world.link_all();
    world.converge(5_000);
    assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 4]);
    world.assert_agreed();
}

/// One unit was paid back before the claim was given away, which the second locker hears from the token alone.
#[test]
fn of_a_claim_that_was_paid_back_in_part_the_rest_is_handed_out() {
    let mut world = hall(4);
    let claim = sold_for(&mut world, TILL, 3);
    world.converge(5_000);
    world.isolate(SECOND);
    let serials = claim.items[0].units.lowest(1);
    let part = Refund {
        claim: claim.claim,
        items: vec![RefundItem { sku: shirt(), serials: serials.clone() }],
        damaged: false,
    };
    world.done(TILL, Command::Refund(part)).unwrap();
    give(&mut world, TILL, SECOND, claim.claim);
    world.run_ms(1_000);
    let text = token(&mut world, TILL, claim.claim);
    let Ok(Reply::Redeemed(handed)) = show(&mut world, SECOND, &text) else { panic!("not handed out") };
    let units: u64 = handed.items.iter().map(|item| item.units.len()).sum();
    assert!(units == 2 && handed.items.iter().all(|item| !item.units.intersects(&serials)), "{handed:?}");
    world.link_all();
    world.converge(10_000);
    assert_eq!(states(&mut world, claim.claim), [ClaimState::Redeemed; 4]);
    assert_eq!(world.stock(HQ).unwrap().mesh.sold, 2);
    world.assert_agreed();
}

/// The same, where the refund is of another life of the first custodian's than the custody, and comes later.
#[test]
fn who_gets_a_claim_knows_what_of_it_was_paid_back_before() {
    let mut world = hall(14);
    let claim = sold_for(&mut world, TILL, 3);
    world.converge(5_000);
    world.isolate(TILL);
    let serials = claim.items[0].units.lowest(1);
    let items = vec![RefundItem { sku: shirt(), serials: serials.clone() }];
    world.done(TILL, Command::Refund(Refund { claim: claim.claim, items, damaged: false })).unwrap();
    let chains: std::collections::BTreeSet<_> = world.frontier(TILL).iter().map(|head| head.chain).collect();
    world.power_cut(TILL);
    world.power_on(TILL);
    world.run_ms(6_000);
    give(&mut world, TILL, SECOND, claim.claim);
    let frontier = world.frontier(TILL);
    let later: Vec<_> =
        frontier.iter().map(|head| head.chain).filter(|chain| !chains.contains(chain)).collect();
    assert!(!later.is_empty());
    for chain in later {
        let all = range(&world.chain(TILL, chain));
        world.hand(TILL, SECOND, entries(vec![all]));
    }
    world.run_ms(2_000);
    // The custody waits for the refund.
    let refused = world.done(SECOND, Command::Redeem(Redeem::of(claim.claim)));
    assert!(matches!(refused, Err(Refusal::NotCustodian { .. })), "{refused:?}");
    world.link_all();
    world.converge(10_000);
    let Ok(Reply::Redeemed(handed)) = world.done(SECOND, Command::Redeem(Redeem::of(claim.claim))) else {
        panic!("not handed out")
    };
    let units: u64 = handed.items.iter().map(|item| item.units.len()).sum();
    assert!(units == 2 && handed.items.iter().all(|item| !item.units.intersects(&serials)), "{handed:?}");
    world.converge(5_000);
    world.assert_agreed();
}

/// The first locker is set back to before it gave the claim away, and gives it to the till: of the two the earlier counts. Who
/// hands out under the other one never does so again, and everybody is told that it did.
#[test]
fn what_was_handed_out_under_a_change_of_custody_that_does_not_count_is_told_and_never_done_again() {
    for (ends, by_token) in [(0, true), (0, false), (1, true), (1, false), (2, true), (2, false)] {
        let mut world = hall(5 + ends);
        let claim = sold_for(&mut world, LOCKER, 1).claim;
        world.converge(5_000);
        world.isolate(LOCKER);
        let twin = world.clone_disk(LOCKER);
        world.isolate(twin);
        // The twin gives it to the hq first, and is heard later.
        give(&mut world, twin, HQ, claim);
        world.run_ms(50);
        world.link(LOCKER, TILL);
        // Where the custody is known, the redemption carries no token.
        if by_token {
            world.isolate(SECOND);
        }
        give(&mut world, LOCKER, SECOND, claim);
        world.run_ms(2_000);
        world.isolate(SECOND);
        let text = token(&mut world, TILL, claim);
        assert!(matches!(show(&mut world, SECOND, &text), Ok(Reply::Redeemed(_))));
        world.link(twin, HQ);
        world.run_ms(2_000);
        if ends == 1 {
            world.done(HQ, Command::Refund(Refund { claim, items: Vec::new(), damaged: false })).unwrap();
        } else if ends == 2 {
            world.done(HQ, Command::Redeem(Redeem::of(claim))).unwrap();
        }
        world.link_all();
        world.converge(20_000);
        let said = incidents(&mut world, HQ);
        for at in 0..4 {
            assert_eq!(incidents(&mut world, at), said, "on {at}");
            assert!(is_redeemed_at(&show(&mut world, SECOND, &text), "locker-2") || ends == 2);
        }
        let told = |text: &str| said.iter().any(|incident| incident.contains(text));
        let Answer::Incidents(known) = world.query(HQ, Query::Incidents) else { panic!() };
        let of_claim = known.iter().filter(|known| known.claim == Some(claim));
        assert!(of_claim.clone().all(|known| known.kind == IncidentKind::ClaimUsedTwice), "{known:?}");
        match ends {
            0 if by_token => assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 5]),
            0 => assert!(told("it was handed out there, and waits to be handed out"), "{said:?}"),
            1 => assert!(told("it was handed out, and paid back as well"), "{said:?}"),
            _ => assert!(told("it was handed out twice"), "{said:?}"),
        }
        assert!(show(&mut world, SECOND, &text).is_err());
    }
}

/// A locker that was set back, and whose crew said that it knows its past, hands out what it had given away. When it hears the
/// rest, and gets the claim back, it refuses, says again what it did, and takes the thing back.
#[test]
fn a_locker_that_forgot_what_it_gave_away_hands_out_once_whatever_comes_back() {
    for refunds in [false, true] {
        let mut world = hall(9);
        let keeper = if refunds { TILL } else { LOCKER };
        let claim = sold_for(&mut world, keeper, 1).claim;
        world.converge(5_000);
        let image = world.nodes[keeper].stored.clone();
        give(&mut world, keeper, SECOND, claim);
        world.converge(5_000);
        world.isolate(keeper);
        world.power_cut_with(keeper, true);
        let node = &mut world.nodes[keeper];
        node.durable = image.iter().map(|entry| (entry.chain, entry.seq)).collect();
        node.stored = image;
        node.restored = true;
        world.power_on(keeper);
        world.done(keeper, Command::AcceptPast(AcceptPast::default())).unwrap();
        let refund = |damaged| Command::Refund(Refund { claim, items: Vec::new(), damaged });
        match refunds {
            true => world.done(keeper, refund(false)).unwrap(),
            false => world.done(keeper, Command::Redeem(Redeem::of(claim))).unwrap(),
        };
        world.link_all();
        world.run_ms(10_000);
        let settle: Vec<Ref> = match world.query(HQ, Query::Incidents) {
            Answer::Incidents(incidents) => incidents.into_iter().map(|incident| incident.incident).collect(),
            other => panic!("{other:?}"),
        };
        let said = incidents(&mut world, HQ);
        let told = if refunds { "it was paid back all the same" } else { "it was handed out there" };
        assert!(said.iter().any(|text| text.contains(told)), "{said:?}");
        assert!(world.done(keeper, Command::Redeem(Redeem::of(claim))).is_err());
        for incident in settle {
            let note = "looked into".to_owned();
            let settle = popmesh_proto::command::ResolveIncident { incident, note };
            // Of some nothing is left to settle.
            let _ = world.done(HQ, Command::ResolveIncident(settle));
        }
        world.run_ms(5_000);
        give(&mut world, SECOND, keeper, claim);
        world.run_ms(5_000);
        let again = world.done(keeper, Command::Redeem(Redeem::of(claim)));
        let refunded = world.done(keeper, refund(false));
        if refunds {
            assert!(matches!(again, Err(Refusal::AlreadyRefunded { .. })), "{again:?}");
            assert!(matches!(refunded, Err(Refusal::AlreadyRefunded { .. })), "{refunded:?}");
        } else {
            assert!(is_redeemed_at(&again, "locker"), "{again:?}");
            assert!(refunded.is_err(), "{refunded:?}");
            world.converge(5_000);
            assert_eq!(states(&mut world, claim), [ClaimState::Redeemed; 4]);
            // Brought back, it is paid for where a person is.
            world.done(TILL, refund(true)).unwrap();
            world.converge(5_000);
            assert_eq!(states(&mut world, claim), [ClaimState::Returned; 4]);
        }
    }
}
