//! Claims that nobody comes for: late, then swept back to stock under their drop's rule, by their custodian alone.

use popmesh_proto::command::{
    Claim, ClaimState, Command, DropNew, LotMint, Redeem, Refusal, Reply, Sell, SellItem, Sweep, Swept,
    Unclaimed,
};
use popmesh_proto::query::{Answer, ClaimFilter, Query};
use popmesh_proto::record::StepKind;
use popmesh_proto::text::DropId;

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;
const WITHIN_MS: u64 = 60_000;

fn evening(seed: u64, unclaimed: Unclaimed) -> (World, DropId) {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    // A person with a drawer is at it.
    world.add("locker", "pos,locker", "hall");
    world.link_all();
    world.open_drop(HQ, 4);
    let drop: DropId = "short".parse().unwrap();
    let rule = (unclaimed != Unclaimed::Keep).then_some(WITHIN_MS);
    let new = DropNew { pickup_within_ms: rule, unclaimed, ..DropNew::of(drop.clone(), "Short".to_owned()) };
    world.done(HQ, Command::DropNew(new)).unwrap();
    let lot = LotMint { drop: drop.clone(), ..mint(101, 120) };
    world.done(HQ, Command::LotMint(lot)).unwrap();
    world.done(HQ, Command::step(drop.clone(), StepKind::Open)).unwrap();
    world.run_ms(4_000);
    world.converge(5_000);
    (world, drop)
}

fn sold(world: &mut World, drop: &DropId, quantity: u64, within_ms: Option<u64>) -> Claim {
    let sell = Sell {
        drop: Some(drop.clone()),
        pickup_at: Some(world.nodes[LOCKER].id),
        pickup_within_ms: within_ms,
        shopper: Some("order-7".parse().unwrap()),
        ..sell(quantity, 2_000)
    };
    claim_of(world.done(TILL, Command::Sell(sell)))
}

fn swept(world: &mut World, at: usize, drop: &DropId) -> Result<Swept, Refusal> {
    match world.done(at, Command::Sweep(Sweep::of(drop.clone()))) {
        Ok(Reply::Swept(swept)) => Ok(swept),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn late(world: &mut World, at: usize) -> usize {
    match world.query(at, Query::Claims(ClaimFilter { late: Some(true), ..ClaimFilter::default() })) {
        Answer::Claims(claims) => claims.claims.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_came_for_goes_back_to_stock_and_is_paid_as_the_drop_says() {
    for (unclaimed, paid) in [(Unclaimed::Refund, true), (Unclaimed::Forfeit, false)] {
        let (mut world, drop) = evening(1, unclaimed);
        let claim = sold(&mut world, &drop, 3, None);
        let patient = sold(&mut world, &drop, 1, Some(5 * WITHIN_MS));
        let fetched = sold(&mut world, &drop, 2, None);
        assert_eq!(claim.expires_ms, Some(claim.at_ms + WITHIN_MS));
        world.converge(5_000);
        let redeem = Redeem::of(fetched.claim);
        world.done(LOCKER, Command::Redeem(redeem)).unwrap();
        assert_eq!(swept(&mut world, LOCKER, &drop).unwrap().claims.len(), 0, "nobody is late yet");
        assert_eq!(late(&mut world, LOCKER), 0);
        world.run_ms(WITHIN_MS + 10_000);
        assert_eq!((late(&mut world, HQ), late(&mut world, LOCKER)), (1, 1));
        // Only its custodian sweeps a claim.
        assert_eq!(swept(&mut world, TILL, &drop).unwrap().claims.len(), 0);
        let free = world.available(LOCKER);
        let done = swept(&mut world, LOCKER, &drop).unwrap();
        assert_eq!(done.claims.iter().map(|claim| claim.claim).collect::<Vec<_>>(), [claim.claim]);
        assert_eq!((done.amount, done.left), (if paid { claim.total } else { 0 }, 0));
        world.power_cut(LOCKER);
        world.power_on(LOCKER);
        world.link_all();
        world.converge(5_000);
        assert_eq!(swept(&mut world, LOCKER, &drop).unwrap().claims.len(), 0, "once is enough");
        for at in 0..3 {
            let states = world.claims(at);
            assert_eq!(states[&claim.claim].state, ClaimState::Expired, "on device {at}");
            assert_eq!(states[&patient.claim].state, ClaimState::Issued, "on device {at}");
            assert_eq!(states[&fetched.claim].state, ClaimState::Redeemed, "on device {at}");
        }
        let redeem = Redeem::of(claim.claim);
        assert!(matches!(world.done(LOCKER, Command::Redeem(redeem)), Err(Refusal::AlreadyRefunded { .. })));
        // They are somebody else's to buy now.
        assert!(world.available(LOCKER) >= free, "{free}");
        let rest = Sell { drop: Some(drop.clone()), ..sell(1, 10_000) };
        for _ in 0..16 {
            claim_of(world.done(TILL, Command::Sell(rest.clone())));
        }
        claim_of(world.done(TILL, Command::Sell(rest)));
        world.converge(5_000);
        world.assert_agreed();
    }
}

#[test]
fn a_drop_that_keeps_claims_is_not_swept_and_bad_times_are_refused() {
    let (mut world, drop) = evening(2, Unclaimed::Keep);
    let claim = sold(&mut world, &drop, 1, None);
    assert_eq!(claim.expires_ms, None);
    world.converge(5_000);
    let refused = swept(&mut world, LOCKER, &drop).unwrap_err().to_string();
    assert!(refused.contains("keeps what nobody came for"), "{refused}");
    let to_locker = Some(world.nodes[LOCKER].id);
    for (sell, problem) in [
        (Sell { pickup_within_ms: Some(1), ..sell(1, 0) }, "give pickup_at, too"),
        (Sell { pickup_within_ms: Some(0), pickup_at: to_locker, ..sell(1, 0) }, "0 ms; give 1 to"),
        (Sell { pickup_within_ms: Some(u64::MAX), pickup_at: to_locker, ..sell(1, 0) }, "a year"),
    ] {
        let sell = Sell { drop: Some(drop.clone()), ..sell };
        let refused = world.done(TILL, Command::Sell(sell)).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let no_end =
        DropNew { unclaimed: Unclaimed::Refund, ..DropNew::of("x".parse().unwrap(), "X".to_owned()) };
    let refused = world.done(HQ, Command::DropNew(no_end)).unwrap_err().to_string();
    assert!(refused.contains("give pickup_within_ms, too"), "{refused}");
}

#[test]
fn claims_are_found_by_who_they_are_for_and_by_their_short_code() {
    let (mut world, drop) = evening(3, Unclaimed::Refund);
    let claim = sold(&mut world, &drop, 1, None);
    let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
    let other = Sell { drop: Some(night()), shopper: Some("order-8".parse().unwrap()), ..Sell::of(items) };
    let other = claim_of(world.done(HQ, Command::Sell(other)));
    world.converge(5_000);
    let mut found = |filter: ClaimFilter| match world.query(LOCKER, Query::Claims(filter)) {
        Answer::Claims(claims) => claims.claims.into_iter().map(|claim| claim.claim).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let by_shopper = |who: &str| ClaimFilter { shopper: who.parse().ok(), ..ClaimFilter::default() };
    assert_eq!(found(by_shopper("order-7")), [claim.claim]);
    assert_eq!(found(by_shopper("order-8")), [other.claim]);
    assert_eq!(found(by_shopper("order-9")), []);
    let code = Some(other.code);
    assert_eq!(found(ClaimFilter { code, ..ClaimFilter::default() }), [other.claim]);
    let waits = Some(ClaimState::Issued);
    assert_eq!(found(ClaimFilter { state: waits, ..ClaimFilter::default() }), [claim.claim]);
    let answer = world.query(LOCKER, Query::Claim(claim.claim));
    assert!(matches!(answer, Answer::Claim(Ok(found)) if found.claim == claim.claim));
}
