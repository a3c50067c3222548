//! Steps of a drop that were made up: by who may not take one, in a place where they do not belong, too large, or after a
//! retirement.

use popmesh_proto::command::{Command, DropState, Retire};
use popmesh_proto::identity::SecretKey;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Announced, Body, MAX_ANNOUNCED, MAX_ROUND, Step, StepKind};

use crate::admission::{TILL, at, evening, refused, still_works};
use crate::author::begin;
use crate::event::{claim_of, night, sell, shirt};
use crate::wire::entries;
use crate::world::{VALID_MS, World};

fn step(kind: StepKind) -> Step {
    Step { kind, round: 0, venue: None, units: None, ends_ms: None }
}

fn announced(sku: &str, units: u64) -> Announced {
    Announced { sku: sku.parse().unwrap(), units }
}

#[test]
fn steps_that_are_not_their_authors_to_take_are_refused() {
    let mut world = evening(31);
    let secret = SecretKey::from_seed(&[1; 32]);
    let encoder = world.certify(&secret, "mallory", "encoder", "hall", (0, VALID_MS));
    let by = |certificate: &_, document: &str, step: Step| {
        let mut author = begin(&secret, certificate, document, at(1));
        author.write(at(2), Body::Step(step));
        author.range()
    };
    for roles in ["pos", "locker", "pos,locker"] {
        let other = world.certify(&secret, "mallory", roles, "hall", (0, VALID_MS));
        let range = by(&other, "stock/night", step(StepKind::Close));
        refused(&mut world, &format!("a close by a {roles}"), vec![range]);
    }
    for document in ["claims/night", "people", "devices"] {
        let range = by(&encoder, document, step(StepKind::Close));
        refused(&mut world, &format!("a close in {document}"), vec![range]);
    }
    let announce = |units| Step { units: Some(units), ..step(StepKind::Announce) };
    let venue = Some("hall".parse().unwrap());
    let many = (0..=MAX_ANNOUNCED).map(|number| announced(&format!("SKU-{number:04}"), 1));
    for (what, step) in [
        ("more SKUs than one announcement has", announce(many.collect())),
        ("an announcement of nothing", announce(Vec::new())),
        ("no units of a SKU", announce(vec![announced("TEE", 0)])),
        ("units beyond belief", announce(vec![announced("TEE", u64::MAX)])),
        ("a SKU twice", announce(vec![announced("TEE", 1), announced("TEE", 2)])),
        ("SKUs out of order", announce(vec![announced("TEE", 1), announced("CAP", 2)])),
        ("units of one venue", Step { venue: venue.clone(), ..announce(vec![announced("TEE", 1)]) }),
        ("units with a close", Step { kind: StepKind::Close, ..announce(vec![announced("TEE", 1)]) }),
        ("a hard end with an open", Step { ends_ms: Some(9), ..step(StepKind::Open) }),
        ("a hard end beyond all clocks", Step { ends_ms: Some(u64::MAX), ..step(StepKind::Announce) }),
        ("a round beyond all", Step { round: MAX_ROUND, ..step(StepKind::Open) }),
    ] {
        let range = by(&encoder, "stock/night", step);
        refused(&mut world, what, vec![range]);
    }
    still_works(world);
}

#[test]
fn a_step_at_a_venue_that_is_nobodys_changes_nothing_anywhere() {
    let mut world = evening(32);
    let secret = SecretKey::from_seed(&[1; 32]);
    let encoder = world.certify(&secret, "mallory", "encoder", "hall", (0, VALID_MS));
    let mut author = begin(&secret, &encoder, "stock/night", at(1));
    for venue in ["moon", "hal", "hall/07"] {
        let close = Step { venue: Some(venue.parse().unwrap()), ..step(StepKind::Close) };
        author.write(at(2 + author.entries.len() as u64), Body::Step(close));
    }
    // Nor what names a drop that is on no programme.
    let mut other = begin(&secret, &encoder, "stock/other", at(1));
    other.write(at(2), Body::Step(step(StepKind::Close)));
    world.hand(2, TILL, entries(vec![author.range(), other.range()]));
    world.converge(5_000);
    for device in 0..3 {
        let drop = world.status(device).drops.remove(0);
        assert_eq!((drop.state, drop.venues, drop.taken), (DropState::Open, Vec::new(), 4));
        assert!(drop.steps.iter().all(|step| step.venue.is_none()), "{:?}", drop.steps);
    }
    still_works(world);
}

#[test]
fn a_sale_that_names_what_is_no_step_is_one_of_the_first_round() {
    let mut world = evening(33);
    let secret = SecretKey::from_seed(&[1; 32]);
    let encoder = world.certify(&secret, "mallory", "encoder", "hall", (0, VALID_MS));
    // A retired encoder opens a next round; what is sold under it names what counts for nothing.
    let mut author = begin(&secret, &encoder, "stock/night", at(1));
    author.write(at(2), Body::Step(Step { round: 1, ..step(StepKind::Open) }));
    world.done(0, Command::step(night(), StepKind::Close)).unwrap();
    world.converge(5_000);
    assert!(world.done(TILL, Command::Sell(sell(1, 0))).is_err());
    world.hand(2, TILL, entries(vec![author.range()]));
    world.converge(5_000);
    let claim = claim_of(world.done(TILL, Command::Sell(sell(1, 5_000))));
    assert!(!claim.after_close, "it is of the next round");
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn what_a_retired_encoder_wrote_after_the_cut_changes_nothing() {
    let mut world = World::new(34);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("encoder", "encoder", "hall");
    world.link_all();
    world.open_drop(0, 10);
    world.run_ms(3_000);
    world.converge(5_000);
    world.isolate(2);
    world.run_ms(30_000);
    let device = world.nodes[2].id;
    let risk = match world.query(0, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk,
        other => panic!("{other:?}"),
    };
    world.done(0, Command::Retire(Retire { device, at_risk: risk.at_risk, reachable: false })).unwrap();
    world.run_ms(1_000);
    world.done(2, Command::step(night(), StepKind::Close)).unwrap();
    // What it wrote comes by whoever has not heard of the retirement.
    world.link(2, 1);
    world.run_ms(5_000);
    world.converge(10_000);
    for at in [0, 1] {
        let drop = world.status(at).drops.remove(0);
        assert_eq!((drop.state, drop.taken), (DropState::Open, 1), "on {at}");
    }
    let Answer::Incidents(incidents) = world.query(0, Query::Incidents) else { panic!() };
    assert!(incidents.iter().any(|incident| incident.text.contains("step of a drop")), "{incidents:?}");
    claim_of(world.done(1, Command::Sell(sell(1, 5_000))));
    let _ = shirt();
}
