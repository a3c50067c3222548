//! A retired device that goes on running: told once, then nothing passes to it any more, and what it wrote itself is the
//! one thing that is still taken.

use popmesh_proto::command::{Command, Entrust, Redeem, Refusal, Retire, Sell};
use popmesh_proto::fact::Fact;
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::Output;
use popmesh_proto::message::{MAX_MESSAGE, Message, decode};
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record};

use crate::event::{claim_of, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const STOLEN: usize = 2;
const DESK: usize = 3;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("stolen", "pos", "hall");
    world.add("desk", "hq", "hall");
    world.link_all();
    world.open_drop(HQ, 30);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

pub(crate) fn retire(world: &mut World, by: usize, device: DeviceId) -> Result<(), Refusal> {
    let Answer::Retirement(risk) = world.query(by, Query::Retirement(device)) else { panic!("no answer") };
    let at_risk = risk?.at_risk;
    world.done(by, Command::Retire(Retire { device, at_risk, reachable: true })).map(drop)
}

fn knows(world: &World, at: usize, of: usize) -> bool {
    let device = world.nodes[at].device.as_ref().expect("it runs");
    device.trust().retired().contains_key(&world.nodes[of].id)
}

/// What is in the log of the stolen till of others' doing about stock and claims.
fn overheard(world: &World) -> u64 {
    let own = world.nodes[STOLEN].id;
    let log = world.nodes[STOLEN].device.as_ref().expect("it runs").log();
    log.chains()
        .filter(|chain| chain.device != own && chain.document.drop().is_some())
        .map(|chain| chain.len())
        .sum()
}

#[test]
fn it_is_told_once_and_hears_nothing_after_that() {
    let mut world = evening(1);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(1_000);
    let before = overheard(&world);
    assert!(knows(&world, STOLEN, STOLEN), "it knows, and so does whoever has it");
    assert!(
        world
            .facts
            .iter()
            .any(|(at, fact)| *at == STOLEN
                && matches!(fact, Fact::Retired { by_name, .. } if by_name == "hq"))
    );
    for _ in 0..3 {
        world.done(TILL, Command::Sell(sell(1, 0))).unwrap();
        world.run_ms(5_000);
    }
    assert_eq!(overheard(&world), before);
    for at in [HQ, TILL, DESK] {
        assert_eq!(world.nodes[at].barred.shut, [stolen], "device {at} has no link to it any more");
        let tellings = world.told.iter().filter(|(by, to, _)| (*by, *to) == (at, stolen)).count();
        assert_eq!(tellings, 1, "device {at}");
        assert!(!world.links.contains(&(at.min(STOLEN), at.max(STOLEN))));
    }
    world.link_all();
    world.run_ms(20_000);
    assert_eq!(overheard(&world), before);
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn what_it_is_told_is_its_retirement_and_nothing_written_after() {
    let mut world = evening(2);
    let stolen = world.nodes[STOLEN].id;
    // The right comes to the desk by a hand-over, which has to be proven as well.
    let to = world.nodes[DESK].id;
    world.done(HQ, Command::Entrust(Entrust { to })).unwrap();
    world.converge(5_000);
    world.isolate(STOLEN);
    world.run_ms(10_000);
    retire(&mut world, DESK, stolen).unwrap();
    world.run_ms(2_000);
    // The desk writes on in the same document.
    let till = world.nodes[TILL].id;
    let renew = popmesh_proto::command::Renew { device: Some(till), days: None, until_ms: None };
    let _ = world.done(DESK, Command::Renew(renew));
    world.converge(5_000);
    world.link(TILL, STOLEN);
    world.run_ms(2_000);
    assert!(knows(&world, STOLEN, STOLEN));
    let (_, _, told) = world.told.iter().find(|(by, to, _)| (*by, *to) == (TILL, stolen)).unwrap();
    let Ok(Message::Entries(entries)) = decode::<Message>(told, MAX_MESSAGE) else { panic!("not entries") };
    let bodies = entries.ranges.iter().flat_map(|range| range.bodies.unpack().unwrap());
    let kinds: Vec<&str> = bodies.map(|body| Record::decode(&body).unwrap().body.kind()).collect();
    println!("told {} bytes: {kinds:?}", told.len());
    assert!(kinds.iter().all(|kind| !kind.contains("certificate")), "{kinds:?}");
    assert!(
        kinds.contains(&"retirement") && kinds.contains(&"hand-over of the right to retire"),
        "{kinds:?}"
    );
}

#[test]
fn what_it_wrote_while_nobody_heard_comes_in_with_its_last_words() {
    let mut world = evening(3);
    world.isolate(STOLEN);
    world.run_ms(10_000);
    let late = claim_of(world.done(STOLEN, Command::Sell(sell(1, 2_000)))).claim;
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(2_000);
    world.link(TILL, STOLEN);
    world.run_ms(3_000);
    world.converge(5_000);
    for at in [HQ, TILL, DESK] {
        let Answer::Incidents(incidents) = world.query(at, Query::Incidents) else { panic!("no answer") };
        assert!(incidents.iter().any(|known| known.claim == Some(late)), "device {at}: {incidents:?}");
    }
    assert_eq!(world.nodes[TILL].barred.shut, [stolen], "and then it is shut out, without a wait");
}

/// It keeps silent about what it knows, as a thief would have it: the link ends all the same.
#[test]
fn one_that_says_nothing_is_shut_out_soon() {
    let mut world = evening(4);
    let stolen = world.nodes[STOLEN].id;
    world.mute.insert((TILL, STOLEN));
    world.nodes[STOLEN].stalled = true;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(15_000);
    assert_eq!(world.nodes[TILL].barred.shut, [stolen]);
}

/// After a restart of those who know, it may be told again, over a link that carries nothing else.
#[test]
fn after_a_restart_of_the_others_it_hears_no_more_than_before() {
    let mut world = evening(5);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(12_000);
    let before = overheard(&world);
    for at in [HQ, TILL, DESK] {
        world.power_cut(at);
        world.power_on(at);
        assert_eq!(world.nodes[at].barred.quiet, [stolen], "before anything else");
    }
    world.link_all();
    world.run_ms(500);
    world.done(TILL, Command::Sell(sell(1, 2_000))).unwrap();
    world.run_ms(20_000);
    assert_eq!(overheard(&world), before);
    assert_eq!(world.nodes[TILL].barred.shut, [stolen]);
    world.converge(5_000);
}

/// A third device that has not heard yet still talks to it; it hears of the retirement from the stolen till itself, which
/// is an honest one as far as its software goes.
#[test]
fn who_has_not_heard_yet_hears_of_it() {
    let mut world = evening(6);
    world.isolate(DESK);
    world.cut(TILL, STOLEN);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(12_000);
    world.link(DESK, STOLEN);
    world.run_ms(3_000);
    assert!(knows(&world, DESK, STOLEN));
    world.run_ms(10_000);
    assert_eq!(world.nodes[DESK].barred.shut, [stolen]);
}

/// Nothing but the telling is ever an output for it.
#[test]
fn no_output_but_the_telling_names_it() {
    let mut world = evening(7);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(200);
    let now = world.now(TILL);
    let claim = claim_of(
        world.done(TILL, Command::Sell(Sell { pickup_at: Some(world.nodes[TILL].id), ..sell(1, 0) })),
    );
    // What it asks for is not even refused.
    let hello = popmesh_proto::message::encode(&Message::Who(world.nodes[HQ].id));
    let device = world.nodes[TILL].device.as_mut().unwrap();
    device.handle(now, popmesh_proto::io::Input::Message { from: stolen, bytes: hello });
    while let Some(output) = device.poll() {
        assert!(!matches!(&output, Output::Send { to, .. } if *to == stolen), "{output:?}");
    }
    world.done(TILL, Command::Redeem(Redeem::of(claim.claim))).unwrap();
}

#[test]
fn a_retirement_that_counts_for_nothing_shuts_nobody_out() {
    let mut world = evening(8);
    let to = world.nodes[DESK].id;
    world.isolate(DESK);
    world.run_ms(500);
    // The hq gives the right away, and retires with it all the same before it hears itself.
    let stolen = world.nodes[STOLEN].id;
    let hq = world.nodes[HQ].id;
    world.done(HQ, Command::Entrust(Entrust { to })).unwrap();
    let refused = retire(&mut world, HQ, stolen).unwrap_err();
    assert!(matches!(refused, Refusal::NotRegistrar { .. }), "{refused:?}");
    world.link_all();
    world.converge(5_000);
    retire(&mut world, DESK, hq).unwrap();
    world.run_ms(15_000);
    assert!(world.nodes[TILL].barred.shut == [hq] && !world.nodes[TILL].bars(stolen));
    world.converge(5_000);
    let kinds = world.nodes[TILL].stored.iter().filter_map(|entry| Record::decode(&entry.body).ok());
    assert_eq!(kinds.filter(|record| matches!(record.body, Body::Retire(_))).count(), 1);
}
