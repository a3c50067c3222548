//! PINs at a pickup: asked for, and locked after too many wrong ones, whatever is done to the power.

use popmesh_proto::command::{Claim, Command, Redeem, Refusal, Reply, Sell, Unlock};
use popmesh_proto::fact::Fact;
use popmesh_proto::pin::MAX_TRIES;
use popmesh_proto::query::{Answer, LogFilter, Query};

use crate::event::{claim_of, hall_with_locker, sell};
use crate::world::World;

const TILL: usize = 1;
const LOCKER: usize = 2;

fn evening(seed: u64) -> World {
    hall_with_locker(seed, 10)
}

/// Sells for pickup at the locker, which hears nothing of it: the claim and its token.
fn sold(world: &mut World, pin: &str) -> (Claim, String) {
    world.isolate(LOCKER);
    let sell =
        Sell { pickup_at: Some(world.nodes[LOCKER].id), pin: Some(pin.parse().unwrap()), ..sell(1, 2_000) };
    let claim = claim_of(world.done(TILL, Command::Sell(sell)));
    match world.query(TILL, Query::Token(claim.claim)) {
        Answer::Token(Ok(token)) => (claim, token.token),
        other => panic!("{other:?}"),
    }
}

fn show(world: &mut World, token: &str, pin: Option<&str>) -> Result<Reply, Refusal> {
    let pin = pin.map(|pin| pin.parse().unwrap());
    world.done(LOCKER, Command::Redeem(Redeem { pin, ..Redeem::by_token(token.to_owned()) }))
}

#[test]
fn a_locker_that_heard_nothing_asks_for_the_pin_and_takes_the_right_one() {
    let mut world = evening(1);
    let (claim, token) = sold(&mut world, "0417");
    assert!(claim.pin);
    assert!(matches!(show(&mut world, &token, None), Err(Refusal::PinNeeded { .. })));
    let wrong = show(&mut world, &token, Some("0418")).unwrap_err();
    assert!(matches!(wrong, Refusal::WrongPin { left, .. } if left == MAX_TRIES - 1), "{wrong:?}");
    assert!(matches!(show(&mut world, &token, Some("0417")), Ok(Reply::Redeemed(_))));
    assert!(matches!(show(&mut world, &token, Some("0417")), Err(Refusal::AlreadyRedeemed { .. })));
    world.link_all();
    world.converge(5_000);
    world.assert_agreed();
}

const HQ: usize = 0;
const MINUTE_MS: u64 = 60_000;

/// Gives wrong PINs until the claim is locked at the locker.
fn lock(world: &mut World, token: &str) {
    for tried in 1..=MAX_TRIES {
        let wrong = show(world, token, Some("9999")).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongPin { left, .. } if left == MAX_TRIES - tried), "{wrong:?}");
    }
}

/// In how long a person can unlock it at the locker, as that says; `None` if an hq alone can.
fn unlock_in_ms(world: &mut World, claim: &Claim) -> Option<u64> {
    match world.done(LOCKER, Command::Unlock(Unlock::of(claim.claim))) {
        Err(Refusal::PinLocked { unlock_in_ms, .. }) => unlock_in_ms,
        other => panic!("{other:?}"),
    }
}

fn unlock(world: &mut World, at: usize, claim: &Claim, at_once: bool) -> Result<Reply, Refusal> {
    world.done(at, Command::Unlock(Unlock { claim: claim.claim, at_once }))
}

/// The wrong PINs that are written down at the locker.
fn written(world: &mut World) -> usize {
    match world.query(LOCKER, Query::Log(LogFilter { limit: Some(1_000), ..LogFilter::default() })) {
        Answer::Log(entries) => entries.items.iter().filter(|entry| entry.text.contains("wrong PIN")).count(),
        other => panic!("{other:?}"),
    }
}

fn was_told(world: &World, at: usize, claim: &Claim) -> usize {
    let told = |(node, fact): &&(usize, Fact)| {
        *node == at && matches!(fact, Fact::PinLocked { claim: locked, .. } if *locked == claim.claim)
    };
    world.facts.iter().filter(told).count()
}

#[test]
fn wrong_pins_are_counted_over_power_cuts_and_a_person_unlocks() {
    let mut world = evening(2);
    let (claim, token) = sold(&mut world, "0417");
    for tried in 1..=MAX_TRIES {
        // What is not locked is not unlocked: four tries would be had again and again.
        assert!(unlock(&mut world, LOCKER, &claim, false).is_err());
        let wrong = show(&mut world, &token, Some("9999")).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongPin { left, .. } if left == MAX_TRIES - tried), "{wrong:?}");
        world.power_cut(LOCKER);
        world.power_on(LOCKER);
    }
    for pin in [None, Some("9999"), Some("0417")] {
        let refused = show(&mut world, &token, pin).unwrap_err();
        assert!(matches!(refused, Refusal::PinLocked { .. }), "{refused:?}");
        assert!(refused.to_string().contains("popmesh claim unlock"), "{refused}");
    }
    assert_eq!(was_told(&world, LOCKER, &claim), 1);
    let elsewhere = unlock(&mut world, TILL, &claim, true).unwrap_err();
    assert!(elsewhere.to_string().contains("not locked, as far as is known here"), "{elsewhere}");
    // A power cut begins the wait anew.
    world.run_ms(MINUTE_MS / 2);
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    let wait_ms = unlock_in_ms(&mut world, &claim).unwrap();
    assert!((MINUTE_MS - 5_000..=MINUTE_MS).contains(&wait_ms), "{wait_ms}");
    world.run_ms(wait_ms);
    unlock(&mut world, LOCKER, &claim, false).unwrap();
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    assert!(matches!(show(&mut world, &token, Some("0417")), Ok(Reply::Redeemed(_))));
}

#[test]
fn each_lock_holds_for_longer_and_nobody_but_an_hq_lets_more_than_twenty_be_tried() {
    let mut world = evening(4);
    let (claim, token) = sold(&mut world, "0417");
    for (number, minutes) in [1, 5, 30].into_iter().enumerate() {
        lock(&mut world, &token);
        // Whoever goes on guessing, and asks to unlock, gets neither, and writes nothing.
        for _ in 0..50 {
            assert!(matches!(show(&mut world, &token, Some("9998")), Err(Refusal::PinLocked { .. })));
        }
        assert_eq!(written(&mut world), (number + 1) * MAX_TRIES as usize);
        let wait_ms = unlock_in_ms(&mut world, &claim).unwrap();
        assert!(
            wait_ms <= minutes * MINUTE_MS && wait_ms + 10_000 > minutes * MINUTE_MS,
            "{minutes}: {wait_ms}"
        );
        world.run_ms(wait_ms - 1_000);
        assert!(unlock(&mut world, LOCKER, &claim, true).is_err(), "a locker is no hq");
        world.run_ms(1_000);
        unlock(&mut world, LOCKER, &claim, false).unwrap();
    }
    lock(&mut world, &token);
    assert_eq!(unlock_in_ms(&mut world, &claim), None);
    world.run_ms(3 * 60 * MINUTE_MS);
    assert_eq!(unlock_in_ms(&mut world, &claim), None, "not even hours later");
    assert_eq!(written(&mut world), 4 * MAX_TRIES as usize);
    assert_eq!(was_told(&world, HQ, &claim), 0, "it has heard nothing yet");

    // An hq hears of it, is told, and its word counts at the locker, over a power cut too.
    world.link_all();
    world.converge(5_000);
    assert!(was_told(&world, HQ, &claim) > 0);
    let not_its_own = unlock(&mut world, HQ, &claim, false).unwrap_err();
    assert!(not_its_own.to_string().contains("locked on another device"), "{not_its_own}");
    assert!(unlock(&mut world, TILL, &claim, true).is_err(), "a till is no hq");
    unlock(&mut world, HQ, &claim, true).unwrap();
    assert!(unlock(&mut world, HQ, &claim, true).is_err(), "nothing is locked any more");
    world.converge(5_000);
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    lock(&mut world, &token);
    assert_eq!(unlock_in_ms(&mut world, &claim), None, "and once more, an hq alone");
    world.converge(5_000);
    unlock(&mut world, HQ, &claim, true).unwrap();
    world.converge(5_000);
    assert!(matches!(show(&mut world, &token, Some("0417")), Ok(Reply::Redeemed(_))));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn an_hq_is_told_at_the_first_lock_and_need_not_wait() {
    let mut world = evening(5);
    let (claim, token) = sold(&mut world, "0417");
    world.link_all();
    for tried in 1..=MAX_TRIES {
        assert_eq!(was_told(&world, HQ, &claim), 0, "after {tried}");
        show(&mut world, &token, Some("9999")).unwrap_err();
        world.converge(5_000);
    }
    assert_eq!(was_told(&world, HQ, &claim), 1);
    assert_eq!(was_told(&world, TILL, &claim), 0);
    unlock(&mut world, HQ, &claim, true).unwrap();
    world.converge(5_000);
    assert!(matches!(show(&mut world, &token, Some("0417")), Ok(Reply::Redeemed(_))));
}

#[test]
fn a_clock_ahead_does_not_shorten_a_wait_and_a_restart_begins_it_anew() {
    let mut world = evening(6);
    let (claim, token) = sold(&mut world, "0417");
    lock(&mut world, &token);
    let wait_ms = unlock_in_ms(&mut world, &claim).unwrap();
    world.nodes[LOCKER].ahead_ms = 7_200_000;
    assert!(unlock_in_ms(&mut world, &claim).unwrap() + 2_000 > wait_ms);
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    assert!(
        unlock_in_ms(&mut world, &claim).unwrap() + 2_000 > wait_ms,
        "a restart with a clock ahead neither"
    );
}

#[test]
fn no_answer_about_a_pin_leaves_before_it_is_written_down() {
    let mut world = evening(3);
    let (_, token) = sold(&mut world, "0417");
    world.stall(LOCKER, true);
    let pin = Some("1111".parse().unwrap());
    let redeem = Redeem { pin, ..Redeem::by_token(token.clone()) };
    let call = world.command(LOCKER, Command::Redeem(redeem));
    world.run_ms(1_000);
    assert!(!world.is_answered(call), "an attacker learns of a try that a power cut would forget");
    world.stall(LOCKER, false);
    assert!(matches!(world.outcome(call), Err(Refusal::WrongPin { .. })));
}
