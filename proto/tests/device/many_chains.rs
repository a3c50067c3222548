//! Devices that have written more chains than one frontier or one record names: everybody agrees all the same, and they can be
//! retired.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Retire};
use popmesh_proto::id::Nonce;
use popmesh_proto::log::Range;
use popmesh_proto::message::PAGE_HEADS;
use popmesh_proto::query::{Answer, Incident, Query};
use popmesh_proto::record::{Body, MAX_LINES, Mint};

use crate::author::{Author, begin};
use crate::event::shirt;
use crate::wire::entries;
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const LOST: usize = 2;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("lost", "hq", "hall");
    world.link_all();
    world.open_drop(HQ, 10);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn at(ms: u64) -> Hlc {
    Hlc::from_ms(EPOCH_MS + 10_000 + ms)
}

/// Has a device take in ranges of one author as fast as it does.
fn take_in(world: &mut World, to: usize, ranges: &[Range]) {
    for some in ranges.chunks(100) {
        for _ in 0..600 {
            let before = world.status(to).postponed;
            // By whoever else has them: from a retired device nothing is taken but once.
            world.hand(if to == HQ { TILL } else { HQ }, to, entries(some.to_vec()));
            if world.status(to).postponed == before {
                break;
            }
            world.run_ms(1_000);
        }
    }
}

fn nonce(number: usize) -> Nonce {
    let mut nonce = [3; 16];
    nonce[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Nonce(nonce)
}

fn incidents(world: &mut World, at: usize) -> Vec<Incident> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents,
        other => panic!("{other:?}"),
    }
}

/// A device that fails and is started again all the time, each time having minted one unit.
#[test]
fn a_device_of_many_lives_is_retired_with_all_that_it_did() {
    const LIVES: usize = MAX_LINES + 60;
    let mut world = evening(1);
    world.power_cut_with(LOST, true);
    let (secret, certificate) = (world.nodes[LOST].secret.clone(), world.nodes[LOST].certificate.clone());
    let mut lives: Vec<Author> = Vec::new();
    for number in 0..LIVES + 1 {
        let begun = at(10 * number as u64);
        let mut life = match lives.last() {
            Some(before) => before.next_life(&certificate, begun, nonce(number)),
            None => begin(&secret, &certificate, "stock/night", begun),
        };
        let (serial, place) = (1_000 + number as u32, "hall".parse().unwrap());
        let mint = Mint { sku: shirt(), first: serial, last: serial, numbered: true, place, edition: None };
        life.write(Hlc(begun.0 + 1), Body::Mint(mint));
        lives.push(life);
    }
    let ranges: Vec<Range> = lives.iter().map(Author::range).collect();
    take_in(&mut world, HQ, &ranges[..LIVES]);
    assert!(world.status(HQ).chains as usize > LIVES);
    let device = world.nodes[LOST].id;
    let at_risk = match world.query(HQ, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk.at_risk,
        other => panic!("{other:?}"),
    };
    assert_eq!(at_risk as usize, LIVES, "what it held");
    world.done(HQ, Command::Retire(Retire { device, at_risk, reachable: true })).unwrap();
    world.converge(120_000);
    // One more life than whoever retired it knew of.
    take_in(&mut world, TILL, &ranges[LIVES..]);
    world.converge(20_000);
    for node in [HQ, TILL] {
        let known = incidents(&mut world, node);
        assert_eq!(known.len(), 1, "on {node}: {known:?}");
        assert_eq!(known[0].incident.chain, lives[LIVES].chain);
        world.power_cut_with(node, true);
        world.power_on(node);
        assert_eq!(incidents(&mut world, node), known, "after a start of {node}");
    }
    let of_lost = |world: &World, node: usize| {
        let view = world.nodes[node].device.as_ref().unwrap().holdings();
        view.live_of(&device).map(|(_, parcel)| parcel.free.len()).sum::<u64>()
    };
    assert_eq!([HQ, TILL].map(|node| of_lost(&world, node)), [0, 0], "it was all taken over");
}

/// More heads than one frontier names, on both sides, of which each has some that the other has not.
#[test]
fn more_heads_than_one_frontier_names_come_in_pages() {
    const EACH: usize = 400;
    let mut world = evening(2);
    world.power_cut_with(LOST, true);
    world.cut(HQ, TILL);
    let authors = PAGE_HEADS / EACH + 1;
    for number in 0..authors {
        let author = world.add(&format!("author-{number}"), "pos", "hall");
        world.power_cut(author);
        let node = &world.nodes[author];
        let begin = |document: usize| {
            begin(&node.secret, &node.certificate, &format!("stock/x{document}"), at(0)).range()
        };
        let ranges: Vec<Range> = (0..EACH).map(begin).collect();
        take_in(&mut world, HQ, &ranges[..EACH - 2]);
        take_in(&mut world, TILL, &ranges[1..]);
    }
    // Neither knows what it had told the other.
    for node in [HQ, TILL] {
        world.power_cut_with(node, true);
        world.power_on(node);
    }
    world.conditions.lost_per_mille = 300;
    world.link(HQ, TILL);
    world.run_ms(30_000);
    world.conditions.lost_per_mille = 0;
    world.converge(30_000);
    assert!(world.status(HQ).chains as usize >= authors * EACH);
    assert!(world.pages >= 2, "{}", world.pages);
    // From then on, changes alone; but the life that hq begins ends the one before, and of ended chains all are told.
    world.product(HQ, 122);
    world.converge(20_000);
    world.run_ms(5_000);
    (world.pages, world.heads) = (0, 0);
    world.product(HQ, 123);
    world.cut(HQ, TILL);
    world.product(HQ, 124);
    world.link(HQ, TILL);
    world.converge(20_000);
    assert_eq!(world.pages, 0);
    assert!(world.heads < 100, "{}", world.heads);
}
