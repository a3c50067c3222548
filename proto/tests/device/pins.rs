//! PINs at a pickup: asked for, and locked after too many wrong ones, whatever is done to the power.

use popmesh_proto::command::{Claim, Command, Redeem, Refusal, Reply, Sell, Unlock};
use popmesh_proto::io::Notice;
use popmesh_proto::pin::MAX_TRIES;
use popmesh_proto::query::{Answer, Query};

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

#[test]
fn wrong_pins_are_counted_over_power_cuts_and_a_person_unlocks() {
    let mut world = evening(2);
    let (claim, token) = sold(&mut world, "0417");
    for tried in 1..=MAX_TRIES {
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
    let told = world.notices.iter().any(|(at, notice)| {
        *at == LOCKER && matches!(notice, Notice::PinLocked { claim: locked, .. } if *locked == claim.claim)
    });
    assert!(told, "nobody was told");
    let elsewhere = world.done(TILL, Command::Unlock(Unlock { claim: claim.claim })).unwrap_err();
    assert!(elsewhere.to_string().contains("no wrong PIN was given for it here"), "{elsewhere}");
    world.done(LOCKER, Command::Unlock(Unlock { claim: claim.claim })).unwrap();
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    assert!(matches!(show(&mut world, &token, Some("0417")), Ok(Reply::Redeemed(_))));
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
