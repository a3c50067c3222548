//! Clocks that are wrong: a till in 1970 sells, and nobody is late while the clocks in reach disagree.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{
    CartNew, CartTake, Claim, ClaimState, Command, DropNew, LotMint, Redeem, Refusal, Reply, Sell, SellItem,
    Sweep, Swept, Unclaimed,
};
use popmesh_proto::identity::SecretKey;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record, StepKind};
use popmesh_proto::text::DropId;

use crate::author::begin;
use crate::event::{claim_of, hall_with_locker, mint, night, sell, shirt};
use crate::wire::entries;
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;
const HOUR_MS: u64 = 3_600_000;

/// The battery of a device's clock is empty: after a cut of its power it starts in 1970.
fn starts_in_1970(world: &mut World, at: usize) {
    world.power_cut_with(at, true);
    world.nodes[at].ahead_ms = -((EPOCH_MS + world.time) as i64);
    world.power_on(at);
    assert!(world.now(at).wall_ms < 60_000, "{:?}", world.now(at));
}

/// Its clock is set back by so much, after a cut of its power.
fn starts_earlier(world: &mut World, at: usize, by_ms: u64) {
    world.power_cut_with(at, true);
    world.nodes[at].ahead_ms -= by_ms as i64;
    world.power_on(at);
}

fn token(world: &mut World, at: usize, claim: &Claim) -> String {
    match world.query(at, Query::Token(claim.claim)) {
        Answer::Token(token) => token.unwrap().token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_till_that_starts_in_1970_sells_what_it_holds_alone_and_dates_it_after_what_it_did() {
    let mut world = hall_with_locker(1, 40);
    world.isolate(TILL);
    world.run_ms(HOUR_MS);
    let before = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    starts_in_1970(&mut world, TILL);
    let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    assert!(claim.at_ms >= before.at_ms, "{} and {}", before.at_ms, claim.at_ms);
    // And so it goes on, start after start.
    starts_in_1970(&mut world, TILL);
    let next = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    assert!(next.at_ms >= claim.at_ms);
    // The others believe all of it.
    world.link_all();
    world.converge(10_000);
    for at in [HQ, LOCKER] {
        let claims = world.claims(at);
        for claim in [&before, &claim, &next] {
            assert!(claims[&claim.claim].contested.is_empty(), "{claim:?}");
        }
        assert_eq!(world.status(at).refused, 0);
    }
    // When its clock is right again, so are its receipts.
    world.nodes[TILL].ahead_ms = 0;
    world.run_ms(1_000);
    let right = claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    assert!(right.at_ms.abs_diff(EPOCH_MS + world.time) < 5_000, "{right:?}");
}

#[test]
fn its_first_start_may_be_in_1970_too() {
    let mut world = World::new(2);
    world.add("hq", "hq,pos", "hall");
    world.nodes[HQ].ahead_ms = -(EPOCH_MS as i64);
    // Nothing is stored but the certificate.
    starts_in_1970(&mut world, HQ);
    world.open_drop(HQ, 4);
    let claim = claim_of(world.done(HQ, Command::Sell(sell(1, 0))));
    let from_ms = world.nodes[HQ].certificate.not_before_ms;
    assert!(claim.at_ms >= from_ms && claim.at_ms < from_ms + 1_000, "{} {from_ms}", claim.at_ms);
}

#[test]
fn with_a_clock_in_1970_the_programme_tells_what_time_it_is_at_least() {
    let mut world = World::new(3);
    world.add("hq", "hq", "hall");
    world.run_ms(2 * HOUR_MS);
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world.isolate(TILL);
    let opened = EPOCH_MS + world.time;
    starts_in_1970(&mut world, TILL);
    let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    assert!(claim.at_ms + 20_000 > opened && claim.at_ms <= opened, "{} {opened}", claim.at_ms);
}

#[test]
fn what_it_sells_in_1970_for_pickup_can_be_picked_up() {
    let mut world = hall_with_locker(4, 40);
    world.run_ms(HOUR_MS);
    world.isolate(TILL);
    starts_in_1970(&mut world, TILL);
    let pickup =
        Sell { pickup_at: Some(world.nodes[LOCKER].id), pickup_within_ms: Some(4 * HOUR_MS), ..sell(1, 0) };
    let claim = claim_of(world.done(TILL, Command::Sell(pickup)));
    assert_eq!(claim.expires_ms, Some(claim.at_ms + 4 * HOUR_MS));
    let text = token(&mut world, TILL, &claim);
    // The locker has not heard of it, and its clock is in 1970, too.
    starts_in_1970(&mut world, LOCKER);
    world.done(LOCKER, Command::Redeem(Redeem::by_token(text))).unwrap();
    world.link_all();
    world.converge(10_000);
    assert_eq!(world.claims(HQ)[&claim.claim].state, ClaimState::Redeemed);
}

#[test]
fn a_cart_of_1970_has_a_token_and_is_paid() {
    let mut world = hall_with_locker(5, 40);
    world.isolate(TILL);
    starts_in_1970(&mut world, TILL);
    let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
    let new = CartNew { items, drop: Some(night()), ttl_ms: 600_000, shopper: None, wait_ms: 0 };
    let Ok(Reply::Cart(cart)) = world.done(TILL, Command::CartNew(new)) else { panic!() };
    let token = match world.query(TILL, Query::CartToken(cart.cart)) {
        Answer::CartToken(token) => token.unwrap().token,
        other => panic!("{other:?}"),
    };
    world.link_all();
    world.run_ms(6_000);
    let take = CartTake { cart: None, token: Some(token), wait_ms: 5_000 };
    let Ok(Reply::Cart(taken)) = world.done(HQ, Command::CartTake(take)) else { panic!() };
    assert_eq!(taken.holder, world.nodes[HQ].id);
}

#[test]
fn a_device_whose_clock_fell_back_is_heard_and_gets_stock_from_those_it_has_no_link_to() {
    for by_ms in [HOUR_MS, EPOCH_MS] {
        let mut world = World::new(6);
        for (name, roles) in [("hq", "hq"), ("till", "pos"), ("bridge", "encoder")] {
            world.add(name, roles, "hall");
        }
        world.link_all();
        world.open_drop(HQ, 0);
        world.converge(5_000);
        world.cut(HQ, TILL);
        // An entry, then an hour in which it says only that it is there.
        world.done(HQ, Command::LotMint(mint(1, 8))).unwrap();
        world.run_ms(2_000);
        claim_of(world.done(TILL, Command::Sell(sell(1, 5_000))));
        world.run_ms(HOUR_MS);
        starts_earlier(&mut world, TILL, by_ms);
        world.run_ms(20_000);
        let till = world.nodes[TILL].id;
        let Answer::Devices(devices) = world.query(HQ, Query::Devices) else { panic!() };
        let info = devices.into_iter().find(|info| info.device == till).unwrap();
        assert!(info.reachable && !info.linked, "{info:?}");
        let ahead = info.clock_ahead_ms.unwrap();
        assert!(
            (ahead + by_ms as i64).abs() < 5_000 || by_ms == EPOCH_MS && ahead < -(by_ms as i64),
            "{ahead}"
        );
        for _ in 0..3 {
            claim_of(world.done(TILL, Command::Sell(sell(1, 5_000))));
        }
    }
}

#[test]
fn mail_that_somebody_else_brings_back_moves_no_clock() {
    let mut world = hall_with_locker(7, 40);
    world.run_ms(HOUR_MS);
    starts_earlier(&mut world, TILL, HOUR_MS);
    world.run_ms(20_000);
    let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    // Others' entries within minutes draw its clock; its own mail of an hour later does not.
    assert!(claim.at_ms < EPOCH_MS + world.time - HOUR_MS + 600_000, "{claim:?}");
}

/// A drop whose claims are forfeit, or paid back, after a minute.
fn evening(seed: u64, unclaimed: Unclaimed) -> (World, DropId) {
    let mut world = hall_with_locker(seed, 4);
    let drop: DropId = "short".parse().unwrap();
    let new = DropNew {
        pickup_within_ms: Some(60_000),
        unclaimed,
        ..DropNew::of(drop.clone(), "Short".to_owned())
    };
    world.done(HQ, Command::DropNew(new)).unwrap();
    let lot = LotMint {
        drop: drop.clone(),
        sku: shirt(),
        first: 1,
        last: 20,
        numbered: false,
        place: None,
        edition: None,
    };
    world.done(HQ, Command::LotMint(lot)).unwrap();
    world.done(HQ, Command::step(drop.clone(), StepKind::Open)).unwrap();
    world.run_ms(4_000);
    world.converge(5_000);
    (world, drop)
}

fn sold(world: &mut World, drop: &DropId) -> Claim {
    let sell = Sell { drop: Some(drop.clone()), pickup_at: Some(world.nodes[LOCKER].id), ..sell(1, 2_000) };
    claim_of(world.done(TILL, Command::Sell(sell)))
}

fn swept(world: &mut World, drop: &DropId) -> Result<Swept, Refusal> {
    match world.done(LOCKER, Command::Sweep(Sweep::of(drop.clone()))) {
        Ok(Reply::Swept(swept)) => Ok(swept),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

#[test]
fn nobody_is_late_while_clocks_in_reach_disagree() {
    for unclaimed in [Unclaimed::Forfeit, Unclaimed::Refund] {
        // The sweeper's own clock, one's to which it has a link, ahead, and behind.
        for (whose, ahead_ms) in
            [(LOCKER, 70_000), (LOCKER, -70_000), (HQ, 70_000), (HQ, -70_000), (HQ, 6 * 86_400_000)]
        {
            let (mut world, drop) = evening(8, unclaimed);
            let claim = sold(&mut world, &drop);
            world.converge(5_000);
            world.nodes[whose].ahead_ms = ahead_ms;
            world.run_ms(200_000);
            let refused = swept(&mut world, &drop).unwrap_err();
            let Refusal::ClocksDisagree(apart) = &refused else { panic!("{refused:?}") };
            assert!(apart.apart_ms.abs_diff(ahead_ms.unsigned_abs()) < 3_000, "{apart:?}");
            let wrong = if ahead_ms > 0 { &apart.ahead } else { &apart.behind };
            assert_eq!(wrong.device, world.nodes[whose].id, "{apart:?}");
            let text = refused.to_string();
            let name = ["hq", "till", "locker"][whose];
            assert!(text.contains(name) && text.contains(" apart: while they disagree"), "{text}");
            assert_eq!(
                world.status(LOCKER).clocks_apart.as_ref().map(|apart| apart.apart_ms / 10_000),
                Some(apart.apart_ms / 10_000)
            );
            assert_eq!(world.claims(LOCKER)[&claim.claim].state, ClaimState::Issued);
            // Somebody sets it right.
            world.nodes[whose].ahead_ms = 0;
            world.run_ms(3_000);
            assert_eq!(world.status(LOCKER).clocks_apart, None);
            assert_eq!(swept(&mut world, &drop).unwrap().claims.len(), 1);
        }
    }
}

#[test]
fn clocks_that_are_less_than_a_minute_apart_or_out_of_reach_hinder_nobody() {
    let (mut world, drop) = evening(9, Unclaimed::Forfeit);
    sold(&mut world, &drop);
    world.converge(5_000);
    world.nodes[HQ].ahead_ms = 40_000;
    world.nodes[TILL].ahead_ms = -10_000;
    world.run_ms(100_000);
    assert_eq!(swept(&mut world, &drop).unwrap().claims.len(), 1);
    // Together they are more than a minute apart, whatever the sweeper's own clock.
    world.nodes[HQ].ahead_ms = 40_000;
    world.nodes[TILL].ahead_ms = -40_000;
    world.run_ms(3_000);
    assert!(matches!(swept(&mut world, &drop), Err(Refusal::ClocksDisagree(_))));
    world.isolate(HQ);
    world.run_ms(10_000);
    assert_eq!(swept(&mut world, &drop).unwrap().claims.len(), 0, "out of reach");
}

#[test]
fn a_clock_that_was_ahead_once_is_compared_by_what_it_shows_now() {
    let mut world = World::new(10);
    world.add_until("hq", "hq", "hall", 7 * VALID_MS);
    world.add_until("till", "pos", "hall", 7 * VALID_MS);
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world.nodes[TILL].ahead_ms = 6 * 86_400_000;
    world.done(TILL, Command::Sell(sell(1, 0))).unwrap();
    world.run_ms(2_000);
    assert!(world.status(HQ).clocks_apart.is_some());
    // Its entries and its mail go on from there; its clock does not.
    world.nodes[TILL].ahead_ms = 0;
    world.run_ms(2_000);
    assert_eq!(world.status(HQ).clocks_apart, None);
    let pickup =
        Sell { pickup_at: Some(world.nodes[HQ].id), pickup_within_ms: Some(HOUR_MS), ..sell(1, 2_000) };
    let claim = claim_of(world.done(TILL, Command::Sell(pickup)));
    let text = token(&mut world, TILL, &claim);
    world.done(HQ, Command::Redeem(Redeem::by_token(text))).unwrap();
}

#[test]
fn a_device_whose_certificate_is_over_sells_nothing_whatever_its_clock_says() {
    let mut world = World::new(11);
    world.add("hq", "hq,pos", "hall");
    world.open_drop(HQ, 40);
    world.run_ms(VALID_MS - 60_000);
    claim_of(world.done(HQ, Command::Sell(sell(1, 0))));
    world.run_ms(60_000);
    let refused = world.done(HQ, Command::Sell(sell(1, 0))).unwrap_err();
    assert!(matches!(refused, Refusal::Certificate { .. }), "{refused:?}");
    // Nor does setting the clock back get it more than it had then: each entry is dated at least so.
    starts_in_1970(&mut world, HQ);
    claim_of(world.done(HQ, Command::Sell(sell(1, 0))));
    let until_ms = world.nodes[HQ].certificate.not_after_ms;
    for entry in &world.nodes[HQ].stored {
        if let Ok(Record { at, body: Body::Sale(_), .. }) = Record::decode(&entry.body) {
            assert!(at.ms() + 61_000 > until_ms && at.ms() < until_ms, "{at:?}");
        }
    }
}

#[test]
fn what_is_dated_far_ahead_is_admitted_and_moves_nobodys_clock() {
    for document in ["claims/night", "stock/night", "devices"] {
        let mut world = hall_with_locker(40, 10);
        let secret = SecretKey::from_seed(&[1; 32]);
        let certificate = world.certify(&secret, "ahead", "pos", "hall", (0, VALID_MS));
        let ahead = Hlc::from_ms(EPOCH_MS + world.time + HOUR_MS);
        let author = begin(&secret, &certificate, document, ahead);
        let entries_before = world.status(TILL).entries;
        world.hand(LOCKER, TILL, entries(vec![author.range()]));
        assert_eq!(world.status(TILL).entries, entries_before + 1, "in {document}");
        let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
        assert!(claim.at_ms < EPOCH_MS + world.time + 60_000, "in {document}: {}", claim.at_ms);
    }
}
