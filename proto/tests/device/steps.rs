//! A drop's steps: who may take them, what follows on every device, and what was sold after a close.

use std::collections::BTreeMap;
use std::sync::Arc;

use popmesh_proto::broker::{ByRate, OnDemand, Policy};
use popmesh_proto::command::{
    CartNew, Command, DropInfo, DropNew, DropState, DropStep, LateSale, Move, Refusal, Reply, Sell, SellItem,
    StepDone, StepInfo, StepNew, Transfer, Units,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record, StepKind};

use crate::event::{claim_of, night, sell, shirt};
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const ENCODER: usize = 1;
const TILL: usize = 2;
const YARD: usize = 3;

/// A drop of 40 shirts that an hq has planned, which are shared out; nobody has opened it.
fn evening(seed: u64, ends_ms: Option<u64>) -> World {
    evening_by(seed, ends_ms, Arc::new(ByRate))
}

/// The same, with stock shared out by this policy.
fn evening_by(seed: u64, ends_ms: Option<u64>, policy: Arc<dyn Policy + Sync>) -> World {
    let mut world = World::new(seed);
    world.policy = policy;
    world.add("hq", "hq", "hall");
    world.add("encoder", "encoder", "hall");
    world.add("till", "pos", "hall");
    world.add("yard", "pos", "yard");
    world.link_all();
    world.product(HQ, 2_500);
    let new = DropNew { ends_ms, ..DropNew::of(night(), "Night".to_owned()) };
    world.done(HQ, Command::DropNew(new)).unwrap();
    world.done(HQ, Command::LotMint(crate::event::mint(1, 40))).unwrap();
    for (to, units) in [(TILL, 8), (YARD, 8)] {
        let (units, to) = (Units::Count(units), world.nodes[to].id);
        let give = Transfer { drop: night(), sku: shirt(), units, to };
        world.done(HQ, Command::Transfer(give)).unwrap();
    }
    world.converge(5_000);
    // What lies at the yard is the yard's to sell, and drifts nowhere else.
    let moved = Move { drop: night(), sku: shirt(), units: Units::Count(8), place: "yard".parse().unwrap() };
    world.done(YARD, Command::Move(moved)).unwrap();
    world.converge(5_000);
    world
}

fn take(world: &mut World, at: usize, taken: StepNew) -> Result<StepDone, Refusal> {
    match world.done(at, Command::DropStep(DropStep { drop: night(), taken })) {
        Ok(Reply::Step(done)) => Ok(*done),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn step(world: &mut World, at: usize, kind: StepKind) -> Result<StepDone, Refusal> {
    take(world, at, StepNew::of(kind))
}

fn shown(world: &mut World, at: usize) -> DropInfo {
    world.status(at).drops.into_iter().find(|drop| drop.drop == night()).unwrap()
}

fn state(world: &mut World, at: usize) -> DropState {
    shown(world, at).state
}

fn steps(world: &mut World, at: usize) -> Vec<StepInfo> {
    match world.query(at, Query::Steps(night())) {
        Answer::Steps(steps) => steps.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn late(world: &mut World, at: usize) -> Vec<LateSale> {
    match world.query(at, Query::Late(night())) {
        Answer::Late(late) => late.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// For pickup, so that it does not matter where things lie.
fn sold(world: &mut World, at: usize) -> Result<Ref, Refusal> {
    let pickup_at = Some(world.nodes[HQ].id);
    match world.done(at, Command::Sell(Sell { pickup_at, ..sell(1, 0) })) {
        Ok(Reply::Sale(claim)) => Ok(claim.claim),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn cart(world: &mut World, at: usize, quantity: u64) -> Ref {
    let items = vec![SellItem { sku: shirt(), quantity, unit_price: None }];
    let new = CartNew { items, drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 0 };
    match world.done(at, Command::CartNew(new)) {
        Ok(Reply::Cart(cart)) => cart.cart,
        other => panic!("{other:?}"),
    }
}

fn pay(cart: Ref) -> Command {
    Command::Sell(Sell { items: Vec::new(), cart: Some(cart), ..sell(1, 0) })
}

#[test]
fn an_encoder_takes_every_step_without_an_hq() {
    let mut world = evening_by(1, None, Arc::new(OnDemand));
    world.power_cut(HQ);
    // Nobody takes it for in reach any more.
    world.run_ms(20_000);
    let announced = step(&mut world, ENCODER, StepKind::Announce).unwrap();
    assert_eq!((announced.written, announced.step.units[0].units), (true, 40));
    assert!(matches!(sold(&mut world, TILL), Err(Refusal::DropNotOpen { state: DropState::Planned, .. })));
    world.run_ms(500);
    assert!(matches!(sold(&mut world, TILL), Err(Refusal::DropNotOpen { state: DropState::Announced, .. })));
    for (kind, sells) in [(StepKind::Open, true), (StepKind::LastCall, true), (StepKind::Close, false)] {
        let done = step(&mut world, ENCODER, kind).unwrap();
        assert_eq!((done.step.step, done.drop.state), (kind, kind.into()));
        world.run_ms(500);
        for at in [TILL, YARD] {
            assert_eq!(state(&mut world, at), kind.into());
            assert_eq!(sold(&mut world, at).is_ok(), sells, "{kind} at {at}");
        }
        // It is done: what is there is told, and nothing is written.
        let before = steps(&mut world, ENCODER);
        let once_more = step(&mut world, ENCODER, kind).unwrap();
        assert_eq!((once_more.written, once_more.step.entry), (false, done.step.entry));
        assert_eq!(steps(&mut world, ENCODER), before);
    }
    assert!(matches!(
        step(&mut world, ENCODER, StepKind::Open),
        Err(Refusal::StepUnfit { state: DropState::Closed, how, .. }) if how.contains("--again")
    ));
    let again = StepNew { again: true, ..StepNew::of(StepKind::Open) };
    assert_eq!(take(&mut world, ENCODER, again.clone()).unwrap().step.round, 1);
    assert!(!take(&mut world, ENCODER, again).unwrap().written, "it is open again");
    world.run_ms(500);
    assert!(sold(&mut world, TILL).is_ok());
    world.power_on(HQ);
    world.link_all();
    world.converge(10_000);
    assert_eq!(steps(&mut world, HQ).len(), 5);
    assert_eq!(late(&mut world, HQ), []);
    world.assert_agreed();
}

#[test]
fn what_is_no_step_to_take_is_refused_with_what_to_do() {
    let mut world = evening(2, None);
    let refused = step(&mut world, TILL, StepKind::Close).unwrap_err();
    assert!(
        matches!(&refused, Refusal::RoleForbids { at, .. } if at.contains(&"encoder".to_owned())),
        "{refused}"
    );
    let units = |units| Some(BTreeMap::from([(shirt(), units)]));
    let announce = StepNew::of(StepKind::Announce);
    for (taken, code) in [
        (StepNew::of(StepKind::LastCall), "step_unfit"),
        (StepNew { venue: Some("moon".parse().unwrap()), ..StepNew::of(StepKind::Open) }, "unknown_venue"),
        (StepNew { units: units(41), ..announce.clone() }, "announced_too_many"),
        (StepNew { units: units(0), ..announce.clone() }, "invalid"),
        (StepNew { units: units(1), venue: Some("hall".parse().unwrap()), ..announce.clone() }, "invalid"),
        (StepNew { units: units(1), ..StepNew::of(StepKind::Open) }, "invalid"),
        (StepNew { ends_ms: Some(EPOCH_MS - 1), ..announce.clone() }, "invalid"),
        (StepNew { ends_ms: Some(u64::MAX), ..announce.clone() }, "invalid"),
        (StepNew { ends_ms: Some(EPOCH_MS + 99_999_999), ..StepNew::of(StepKind::Close) }, "invalid"),
        (StepNew { again: true, ..StepNew::of(StepKind::Close) }, "invalid"),
    ] {
        let before = steps(&mut world, ENCODER);
        let refused = take(&mut world, ENCODER, taken.clone()).unwrap_err();
        let refused = serde_json::to_value(&refused).unwrap();
        assert_eq!(refused["code"], code, "{taken:?}: {refused}");
        assert_eq!(steps(&mut world, ENCODER), before);
    }
    // What was announced stays; the same once more is done already.
    let given = StepNew { units: units(30), ..announce.clone() };
    assert!(take(&mut world, HQ, given.clone()).unwrap().written);
    assert!(!take(&mut world, HQ, given).unwrap().written);
    assert!(matches!(
        take(&mut world, HQ, StepNew { units: units(31), ..announce }),
        Err(Refusal::StepUnfit { .. })
    ));
}

#[test]
fn two_encoders_that_are_cut_off_announce_and_one_of_them_counts_everywhere() {
    let mut world = evening(3, None);
    world.isolate(ENCODER);
    let fewer = StepNew { units: Some(BTreeMap::from([(shirt(), 30)])), ..StepNew::of(StepKind::Announce) };
    take(&mut world, ENCODER, fewer).unwrap();
    world.run_ms(2_000);
    step(&mut world, HQ, StepKind::Announce).unwrap();
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.link_all();
    world.converge(10_000);
    for at in 0..4 {
        let drop = shown(&mut world, at);
        assert_eq!((drop.state, drop.announced[0].units), (DropState::Open, 30), "the earlier one counts");
        assert_eq!(
            steps(&mut world, at).iter().map(|step| step.counts).collect::<Vec<_>>(),
            [true, false, true]
        );
    }
    world.assert_agreed();
}

#[test]
fn a_close_releases_carts_but_not_one_that_is_being_paid_and_gives_the_rest_away() {
    let mut world = evening(4, None);
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.run_ms(1_000);
    let (unpaid, paying) = (cart(&mut world, TILL, 2), cart(&mut world, TILL, 1));
    let waits = world.command(TILL, Command::Sell(sell(4_000, 30_000)));
    world.done(TILL, Command::CartPaying(paying)).unwrap();
    world.converge(5_000);
    // The till hears of it.
    step(&mut world, ENCODER, StepKind::Close).unwrap();
    world.run_ms(50);
    assert_eq!(state(&mut world, TILL), DropState::Closed);
    assert!(world.outcome(waits).is_err());
    assert!(matches!(world.done(TILL, pay(unpaid)), Err(Refusal::UnknownCart { .. })));
    world.run_ms(3_000);
    assert_eq!(world.stock(TILL).unwrap().own.available, 0, "what is left has gone home");
    assert_eq!(world.stock(YARD).unwrap().own.available, 0);
    assert_eq!(world.stock(HQ).unwrap().own.available, 39);
    let claim = claim_of(world.done(TILL, pay(paying)));
    assert!(claim.after_close);
    world.converge(5_000);
    for at in 0..4 {
        let late: Vec<Ref> = late(&mut world, at).iter().map(|sale| sale.claim).collect();
        assert_eq!(late, [claim.claim], "on {at}");
        assert_eq!(shown(&mut world, at).late, 1);
    }
    assert!(matches!(world.done(TILL, Command::CartPaying(paying)), Err(Refusal::UnknownCart { .. })));
    world.assert_agreed();
}

#[test]
fn what_is_left_goes_home_also_after_a_power_cut_and_when_somebody_comes_into_reach() {
    let mut world = evening_by(5, Some(EPOCH_MS + 60_000), Arc::new(OnDemand));
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.run_ms(1_000);
    cart(&mut world, TILL, 2);
    world.converge(5_000);
    world.isolate(TILL);
    world.run_ms(90_000);
    assert_eq!(state(&mut world, TILL), DropState::Closed);
    assert_eq!(world.stock(TILL).unwrap().own.held, 0);
    let own = world.stock(TILL).unwrap().own.available;
    assert!(own > 0, "nobody is in reach who could have it");
    world.power_cut(TILL);
    world.power_on(TILL);
    world.link_all();
    world.run_ms(8_000);
    assert_eq!(world.stock(TILL).unwrap().own.available, 0);
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn an_hq_that_is_gone_gets_nothing_also_where_it_was_heard_a_moment_ago() {
    let mut world = evening_by(12, None, Arc::new(OnDemand));
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.converge(5_000);
    let had = world.stock(TILL).unwrap().own.available;
    assert!(had > 0);
    world.power_cut(HQ);
    step(&mut world, ENCODER, StepKind::Close).unwrap();
    world.run_ms(3_000);
    assert_eq!((state(&mut world, TILL), world.stock(TILL).unwrap().own.available), (DropState::Closed, had));
    // Whoever comes into reach brings old news of it.
    world.isolate(TILL);
    world.run_ms(20_000);
    world.link(ENCODER, TILL);
    world.run_ms(10_000);
    assert_eq!(world.stock(TILL).unwrap().own.available, had);
    take(&mut world, ENCODER, StepNew { again: true, ..StepNew::of(StepKind::Open) }).unwrap();
    world.run_ms(1_000);
    sold(&mut world, TILL).unwrap();
}

#[test]
fn a_venue_is_closed_alone_and_what_it_has_is_not_given_back_to_it() {
    let mut world = evening(6, None);
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.run_ms(1_000);
    let yard = StepNew { venue: Some("yard".parse().unwrap()), ..StepNew::of(StepKind::Close) };
    let done = take(&mut world, ENCODER, yard.clone()).unwrap();
    assert_eq!((done.drop.state, done.drop.venues[0].state), (DropState::Open, DropState::Closed));
    world.run_ms(1_000);
    assert!(sold(&mut world, TILL).is_ok());
    assert!(matches!(sold(&mut world, YARD), Err(Refusal::DropNotOpen { .. })));
    world.run_ms(10_000);
    assert_eq!(world.stock(YARD).unwrap().own.available, 0);
    // Last call for all leaves it closed; opening it again is said, for it alone.
    step(&mut world, ENCODER, StepKind::LastCall).unwrap();
    world.run_ms(1_000);
    assert_eq!(state(&mut world, YARD), DropState::Closed);
    let open = StepNew { again: true, step: StepKind::Open, ..yard };
    assert_eq!(take(&mut world, ENCODER, open).unwrap().step.round, 1);
    world.run_ms(1_000);
    assert_eq!((state(&mut world, YARD), state(&mut world, TILL)), (DropState::Open, DropState::LastCall));
    // A close for all is one for it, too.
    step(&mut world, HQ, StepKind::Close).unwrap();
    world.run_ms(1_000);
    assert_eq!((state(&mut world, YARD), state(&mut world, TILL)), (DropState::Closed, DropState::Closed));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn what_a_till_that_was_cut_off_sold_after_the_close_counts_and_is_listed() {
    let mut world = evening(7, None);
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.run_ms(1_000);
    world.isolate(YARD);
    let early = sold(&mut world, YARD).unwrap();
    world.run_ms(1_000);
    step(&mut world, ENCODER, StepKind::Close).unwrap();
    world.run_ms(1_000);
    let expected = [sold(&mut world, YARD).unwrap(), sold(&mut world, YARD).unwrap()];
    // The next round is open meanwhile, and sold in: that is not late, what the till sells under the first round is.
    take(&mut world, ENCODER, StepNew { again: true, ..StepNew::of(StepKind::Open) }).unwrap();
    world.run_ms(6_000);
    let again = sold(&mut world, HQ).unwrap();
    let third = sold(&mut world, YARD).unwrap();
    world.link_all();
    world.converge(10_000);
    let on_time = sold(&mut world, YARD).unwrap();
    world.converge(5_000);
    for at in 0..4 {
        let listed: Vec<Ref> = late(&mut world, at).iter().map(|sale| sale.claim).collect();
        assert_eq!(listed, [expected[0], expected[1], third], "on {at}");
        let claims = world.claims(at);
        for (claim, is_late) in [(early, false), (expected[0], true), (again, false), (on_time, false)] {
            assert_eq!(claims[&claim].after_close, is_late, "{claim}");
        }
        assert_eq!(steps(&mut world, at), steps(&mut world, HQ));
    }
    world.assert_agreed();
    // After a start the same is told.
    world.power_cut(YARD);
    world.power_on(YARD);
    world.link_all();
    world.converge(10_000);
    assert_eq!(late(&mut world, YARD).len(), 3);
}

#[test]
fn a_hard_end_binds_each_device_by_itself() {
    let (planned, announced) = (EPOCH_MS + 3_600_000, EPOCH_MS + 60_000);
    let mut world = evening(8, Some(planned));
    step(&mut world, HQ, StepKind::Open).unwrap();
    assert_eq!(shown(&mut world, HQ).ends_ms, Some(planned));
    let announce = StepNew { ends_ms: Some(announced), ..StepNew::of(StepKind::Announce) };
    take(&mut world, ENCODER, announce).unwrap();
    world.converge(5_000);
    assert_eq!(shown(&mut world, TILL).ends_ms, Some(announced), "the earlier one binds");
    world.isolate(TILL);
    let unpaid = cart(&mut world, TILL, 1);
    world.run_ms(70_000);
    for at in 0..4 {
        let drop = shown(&mut world, at);
        assert_eq!((drop.state, drop.ended), (DropState::Closed, true), "on {at}");
        assert!(matches!(sold(&mut world, at), Err(Refusal::DropNotOpen { state: DropState::Closed, .. })));
    }
    assert!(matches!(world.done(TILL, pay(unpaid)), Err(Refusal::UnknownCart { .. })));
    assert!(matches!(step(&mut world, ENCODER, StepKind::Open), Err(Refusal::StepUnfit { .. })));
    // A close says so for good; the next round has no end, unless it is announced with one.
    assert!(step(&mut world, ENCODER, StepKind::Close).unwrap().written);
    let again = StepNew { again: true, ..StepNew::of(StepKind::Open) };
    let drop = take(&mut world, ENCODER, again).unwrap().drop;
    assert_eq!((drop.state, drop.round, drop.ends_ms, drop.ended), (DropState::Open, 1, None, false));
    world.link_all();
    world.converge(10_000);
    assert_eq!(late(&mut world, HQ), []);
    world.assert_agreed();
}

#[test]
fn in_doubt_of_the_time_a_hard_end_comes_half_a_minute_earlier() {
    let ends_ms = EPOCH_MS + 120_000;
    for (ahead_ms, sells) in [(0, true), (600_000, false)] {
        let mut world = evening(9, Some(ends_ms));
        step(&mut world, HQ, StepKind::Open).unwrap();
        world.nodes[YARD].ahead_ms = ahead_ms;
        let left = ends_ms - 15_000 - world.now(TILL).wall_ms;
        world.run_ms(left);
        assert_eq!(state(&mut world, TILL).sells(), sells, "a clock in reach is {ahead_ms} ms ahead");
    }
}

#[test]
fn a_step_that_could_not_be_written_is_not_told() {
    let mut world = evening(10, None);
    step(&mut world, HQ, StepKind::Open).unwrap();
    world.converge(5_000);
    world.stall(ENCODER, true);
    let call = world.command(ENCODER, Command::step(night(), StepKind::Close));
    world.run_ms(500);
    assert!(!world.is_answered(call), "it is not durable");
    assert_eq!(state(&mut world, TILL), DropState::Open);
    world.stall(ENCODER, false);
    world.run_ms(500);
    assert!(world.outcome(call).is_ok());
    assert_eq!(state(&mut world, TILL), DropState::Closed);
}

/// What each sale of a device says of its step, and how long its record is.
fn named(world: &World, at: usize) -> Vec<(Option<Ref>, usize)> {
    let device = world.nodes[at].device.as_ref().unwrap();
    let chains = device.log().chains().filter(|chain| chain.device == device.id());
    let bodies = chains.flat_map(|chain| (1..=chain.len()).filter_map(|seq| chain.body(seq)));
    let sale = |body: &[u8]| match Record::decode(body).ok()?.body {
        Body::Sale(sale) => Some((sale.step, body.len())),
        _ => None,
    };
    bodies.filter_map(sale).collect()
}

#[test]
fn a_sale_names_its_step_once_and_costs_nothing_more_after_that() {
    let mut world = evening(11, None);
    let open = step(&mut world, HQ, StepKind::Open).unwrap().step.entry;
    world.run_ms(1_000);
    for _ in 0..3 {
        sold(&mut world, TILL).unwrap();
    }
    let last_call = step(&mut world, ENCODER, StepKind::LastCall).unwrap().step.entry;
    world.run_ms(500);
    for _ in 0..2 {
        sold(&mut world, TILL).unwrap();
    }
    let sales = named(&world, TILL);
    let steps: Vec<Option<Ref>> = sales.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [Some(open), None, None, Some(last_call), None]);
    let bytes: Vec<usize> = sales.iter().map(|(_, bytes)| *bytes).collect();
    println!("bytes of the sales: {bytes:?}");
    // Numbers in it grow with the evening.
    let alike = |other: usize| bytes[4].abs_diff(other) <= 1;
    assert!(alike(bytes[1]) && alike(bytes[2]), "it costs nothing where it is left out");
    assert!(bytes[3] - bytes[4] <= 25, "{} bytes", bytes[3] - bytes[4]);
}
