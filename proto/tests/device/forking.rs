//! A life with two histories: proven, cut off before they part, and the same on every device.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, ResolveIncident, Transfer, Units};
use popmesh_proto::id::Ref;
use popmesh_proto::identity::SecretKey;
use popmesh_proto::query::{Answer, Incident, Query};
use popmesh_proto::record::{Body, Mint};

use crate::author::{Author, begin};
use crate::event::{claim_of, night, sell, shirt};
use crate::wire::{entries, range};
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const PEER: usize = 2;
const OTHER: usize = 3;

fn at(ms: u64) -> Hlc {
    Hlc::from_ms(EPOCH_MS + ms)
}

fn lot(first: u32) -> Body {
    let place = "hall".parse().unwrap();
    Body::Mint(Mint { sku: shirt(), first, last: first, numbered: true, place, edition: None })
}

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    for name in ["till", "peer", "other"] {
        world.add(name, "pos", "hall");
    }
    world.link_all();
    world.open_drop(HQ, 60);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn incidents(world: &mut World, at: usize) -> Vec<Incident> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents,
        other => panic!("{other:?}"),
    }
}

/// Every device agrees, shows the same incidents, makes the same documents, and does so after a start, too.
fn all_agree(world: &mut World) -> Vec<Incident> {
    world.converge(20_000);
    let mut shown: Option<Vec<Incident>> = None;
    for at in world.powered() {
        let now = incidents(world, at);
        match &shown {
            Some(first) => assert_eq!(*first, now, "incidents on {at}"),
            None => shown = Some(now),
        }
        assert_eq!(world.check(at).problems, Vec::<String>::new(), "on {at}");
        match world.query(at, Query::Export) {
            Answer::Export(_) => {}
            other => panic!("{other:?}"),
        }
    }
    for at in world.powered() {
        let before = (incidents(world, at), world.claims(at), world.status(at).digest);
        world.power_cut_with(at, true);
        world.power_on(at);
        let after = (incidents(world, at), world.claims(at), world.status(at).digest);
        assert_eq!(before, after, "after a start of {at}");
    }
    world.converge(20_000);
    // Each hears from another what it did before.
    world.run_ms(500);
    shown.unwrap_or_default()
}

/// A history of so many entries; those from `parts` on differ by `branch`.
fn history(secret: &SecretKey, world: &World, length: u64, parts: u64, branch: u32) -> Author {
    let hq = world.certify(secret, "mallory", "hq", "hall", (0, VALID_MS));
    let start = if parts == 1 { u64::from(branch) } else { 0 };
    let mut author = begin(secret, &hq, "stock/night", at(1 + start));
    for seq in 2..=length {
        let own = if seq >= parts { branch * 1_000 } else { 0 };
        author.write(at(10 + seq), lot(1_000 + own + seq as u32));
    }
    author
}

/// Hands each device a history of its own, then lets them talk.
fn told(parts: &[(u64, u64, u32)], seed: u64) -> (World, Ref, Vec<Incident>) {
    let mut world = evening(seed);
    let secret = SecretKey::from_seed(&[9; 32]);
    let histories: Vec<Author> = parts
        .iter()
        .map(|(length, parts, branch)| history(&secret, &world, *length, *parts, *branch))
        .collect();
    for device in [TILL, PEER, OTHER] {
        world.isolate(device);
    }
    for (device, author) in [TILL, PEER, OTHER].into_iter().zip(&histories) {
        // The link is there for as long as it takes to hand it over.
        world.hand(HQ, device, entries(vec![author.range()]));
        world.run_ms(300);
        assert!(world.chain(device, author.chain).len() > 1 || author.entries.len() == 1);
    }
    world.link_all();
    let incidents = all_agree(&mut world);
    let first = parts.iter().map(|(_, parts, _)| *parts).filter(|parts| *parts > 0).min().unwrap();
    (world, Ref { chain: histories[0].chain, seq: first }, incidents)
}

#[test]
fn a_fork_is_cut_off_everywhere_and_named() {
    for seed in 0..6 {
        let (mut world, fork, incidents) = told(&[(6, 4, 1), (5, 4, 2)], seed);
        assert!(incidents.iter().any(|incident| incident.incident == fork), "{incidents:?}");
        for at in world.powered() {
            let head = world.frontier(at).into_iter().find(|head| head.chain == fork.chain).unwrap();
            assert_eq!(head.seq, 3, "what comes before counts");
        }
    }
}

#[test]
fn a_fork_at_the_very_beginning_leaves_nothing() {
    let (mut world, fork, incidents) = told(&[(3, 1, 1), (3, 1, 2)], 1);
    assert_eq!(fork.seq, 1);
    assert!(incidents.iter().any(|incident| incident.incident == fork), "{incidents:?}");
    for at in world.powered() {
        assert!(world.frontier(at).iter().all(|head| head.chain != fork.chain));
    }
}

#[test]
fn of_three_histories_the_earliest_parting_counts() {
    for seed in 0..6 {
        for histories in [
            [(8, 6, 1), (7, 6, 2), (9, 3, 3)],
            [(9, 3, 3), (8, 6, 1), (7, 6, 2)],
            [(4, 4, 1), (300, 290, 2), (300, 290, 3)],
        ] {
            let (mut world, fork, incidents) = told(&histories, seed);
            assert!(incidents.iter().any(|incident| incident.incident == fork), "{incidents:?}");
            let head = world.frontier(HQ).into_iter().find(|head| head.chain == fork.chain).unwrap();
            assert_eq!(head.seq, fork.seq - 1);
        }
    }
}

#[test]
fn a_fork_far_behind_is_found_too() {
    let (_, fork, incidents) = told(&[(900, 530, 1), (700, 530, 2)], 3);
    assert!(incidents.iter().any(|incident| incident.incident == fork), "{incidents:?}");
}

#[test]
fn what_proves_nothing_is_no_proof() {
    let mut world = evening(2);
    let secret = SecretKey::from_seed(&[9; 32]);
    let author = history(&secret, &world, 5, 9, 1);
    let mut forged = history(&secret, &world, 5, 4, 2);
    world.hand(PEER, TILL, entries(vec![author.range()]));
    for entry in &mut forged.entries {
        // Signed by somebody else.
        entry.signature = author.entries[1].signature;
    }
    let faults = world.faults(TILL).len();
    world.hand(PEER, TILL, entries(vec![range(&forged.entries)]));
    assert!(world.faults(TILL).len() > faults, "it is held against who sent it");
    assert!(incidents(&mut world, TILL).is_empty());
    all_agree(&mut world);
}

#[test]
fn what_was_built_on_a_fork_is_an_incident_and_the_forked_device_is_given_nothing() {
    for seed in 0..12 {
        let mut world = evening(seed);
        // What it gave is told to some, and then to others something else.
        world.isolate(PEER);
        world.power_cut_with(PEER, true);
        world.power_on(PEER);
        let twin = world.fork_life(PEER);
        for (box_of, other) in [(PEER, TILL), (twin, OTHER)] {
            world.isolate(box_of);
            world.isolate(other);
            world.link(box_of, other);
            world.run_ms(500);
            let to = world.nodes[other].id;
            let units = Units::Count(1 + world.rng.below(3));
            let give = Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to });
            world.done(box_of, give).unwrap();
            world.run_ms(500);
            let free = world.available(other);
            claim_of(world.done(other, Command::Sell(sell(free, 0))));
            for _ in 0..world.rng.below(3) {
                claim_of(world.done(box_of, Command::Sell(sell(1, 0))));
            }
        }
        world.link_all();
        world.run_ms(2_000);
        let incidents = all_agree(&mut world);
        let forks: Vec<&Incident> =
            incidents.iter().filter(|incident| incident.text.contains("two histories of one life")).collect();
        assert!(!forks.is_empty(), "{incidents:?}");
        // Both sold what they were given, and one of them or both were given what counts for nothing now.
        let sales = incidents.iter().filter(|incident| incident.claim.is_some()).count();
        assert!(sales >= 1, "{incidents:?}");
        for at in world.powered() {
            assert_eq!(world.check(at).sold_twice, 0, "outside of incidents, nothing is sold twice");
        }
        let forked = world.nodes[PEER].id;
        let give =
            Command::Transfer(Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to: forked });
        if world.available(HQ) > 0 {
            assert!(world.done(HQ, give.clone()).is_err(), "it is given nothing");
        }
        // Whoever looks into it takes one of the two boxes away: otherwise they go on having two pasts.
        world.power_cut(twin);
        world.isolate(PEER);
        world.link_all();
        for incident in incidents {
            let note = "looked into".to_owned();
            let resolve = ResolveIncident { incident: incident.incident, note };
            world.done(HQ, Command::ResolveIncident(resolve)).unwrap();
        }
        let settled = all_agree(&mut world);
        assert!(settled.iter().all(|incident| incident.resolved.is_some()));
        if world.available(HQ) > 0 {
            world.done(HQ, give).unwrap();
        }
    }
}

#[test]
fn a_box_that_finds_its_life_led_by_another_begins_anew() {
    let mut world = evening(4);
    claim_of(world.done(PEER, Command::Sell(sell(1, 1_000))));
    world.converge(5_000);
    let twin = world.fork_life(PEER);
    world.isolate(PEER);
    // It hears of what the other wrote before it writes itself.
    world.link(twin, OTHER);
    world.run_ms(1_000);
    let sale = world.done(twin, Command::Sell(sell(1, 0)));
    assert!(sale.is_err(), "{sale:?}");
    world.run_ms(1_000);
    claim_of(world.done(twin, Command::Sell(sell(1, 2_000))));
    world.link_all();
    all_agree(&mut world);
}

#[test]
fn a_forked_programme_is_worked_out_anew() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.add("hq", "hq", "hall");
        world.add("second", "hq", "hall");
        world.add("till", "pos", "hall");
        world.add("other", "pos", "hall");
        world.link_all();
        world.open_drop(1, 20);
        world.converge(5_000);
        world.isolate(HQ);
        world.power_cut_with(HQ, true);
        world.power_on(HQ);
        let twin = world.fork_life(HQ);
        world.isolate(2);
        for (at, near, price) in [(HQ, 2, 111), (twin, 3, 222)] {
            world.link(at, near);
            for round in 0..1 + world.rng.below(3) {
                world.product(at, price + round as i64);
            }
            world.run_ms(500);
        }
        // The second hq goes on from what one of the two wrote.
        let goes_on_from = if world.rng.chance(500) { HQ } else { twin };
        world.link(1, goes_on_from);
        world.run_ms(3_000);
        world.product(1, 333);
        world.run_ms(500);
        world.link_all();
        all_agree(&mut world);
        let programmes: Vec<_> = world.powered().into_iter().map(|at| world.programme(at)).collect();
        assert!(programmes.windows(2).all(|pair| pair[0] == pair[1]), "{programmes:?}");
        // Everybody goes on.
        world.product(1, 444);
        all_agree(&mut world);
        assert!(world.programme(2).contains("444"), "{}", world.programme(2));
    }
}
