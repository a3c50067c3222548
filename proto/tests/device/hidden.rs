//! One device that is admitted and hostile picks its entries so that others do not see where their logs differ: by hashes that
//! cancel out, and by histories that begin alike.

use std::collections::BTreeSet;

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Reply, Transfer as Give, Units};
use popmesh_proto::id::{ChainId, Hash, Nonce, Ref};
use popmesh_proto::identity::SecretKey;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Line, Mint, Transfer};

use crate::author::{Author, begin, begin_with};
use crate::event::{claim_of, night, sell, shirt};
use crate::wire::entries;
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const MALLORY: usize = 2;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("mallory", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn at(ms: u64) -> Hlc {
    Hlc::from_ms(EPOCH_MS + 10_000 + ms)
}

fn chains_of_mallory(world: &World, count: u32) -> Vec<Author> {
    let node = &world.nodes[MALLORY];
    (0..count)
        .map(|number| begin(&node.secret, &node.certificate, &format!("stock/z{number}"), at(2)))
        .collect()
}

/// Which of `hashes` have `target` as their exclusive or: Gauss's elimination, with a note of what went into each row.
fn making(target: [u8; 32], hashes: &[Hash]) -> Vec<usize> {
    type Row = ([u8; 32], BTreeSet<usize>);
    fn first_bit(value: &[u8; 32]) -> Option<usize> {
        (0..256).find(|bit| value[bit / 8] >> (7 - bit % 8) & 1 == 1)
    }
    fn reduced(mut row: Row, rows: &[(usize, Row)]) -> Row {
        for (pivot, (value, members)) in rows {
            if row.0[pivot / 8] >> (7 - pivot % 8) & 1 == 1 {
                row.0.iter_mut().zip(value).for_each(|(a, b)| *a ^= b);
                row.1 = row.1.symmetric_difference(members).copied().collect();
            }
        }
        row
    }
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for (number, hash) in hashes.iter().enumerate() {
        let row = reduced((hash.0, BTreeSet::from([number])), &rows);
        match first_bit(&row.0) {
            Some(pivot) => rows.push((pivot, row)),
            // Those that make nothing at all.
            None if target == [0; 32] => return row.1.into_iter().collect(),
            None => {}
        }
    }
    let (rest, members) = reduced((target, BTreeSet::new()), &rows);
    assert_eq!(rest, [0; 32], "{} hashes make a space of {} dimensions", hashes.len(), rows.len());
    members.into_iter().collect()
}

/// Has hq alone take in chains of the hostile device's, which then is gone.
fn hand_to_hq(world: &mut World, chains: &[&Author]) {
    world.power_cut_with(MALLORY, true);
    for some in chains.chunks(40) {
        world.hand(MALLORY, HQ, entries(some.iter().map(|author| author.range()).collect()));
        world.run_ms(200);
    }
}

#[test]
fn chains_whose_hashes_cancel_out_are_told() {
    let mut world = evening(5);
    let authors = chains_of_mallory(&world, 300);
    let hashes: Vec<Hash> = authors.iter().map(|author| author.last.unwrap()).collect();
    let hidden: Vec<&Author> = making([0; 32], &hashes).into_iter().map(|number| &authors[number]).collect();
    assert!(hidden.len() > 50, "{}", hidden.len());
    // As long as not all have come, digests differ.
    world.cut(HQ, TILL);
    hand_to_hq(&mut world, &hidden);
    world.link(HQ, TILL);
    world.converge(20_000);
    assert_eq!(world.status(HQ).chains, world.status(TILL).chains);
}

/// The same with chains that have ended: frontiers do not name those. One of the hidden entries gives hq a unit, on which all
/// that hq then writes about stock depends.
#[test]
fn ended_chains_whose_hashes_cancel_out_are_told() {
    let mut world = evening(5);
    let give = Give { drop: night(), sku: shirt(), units: Units::Count(1), to: world.nodes[MALLORY].id };
    let parcel = match world.done(HQ, Command::Transfer(give)) {
        Ok(Reply::Units(done)) => (done.entry, done.units),
        other => panic!("{other:?}"),
    };
    world.converge(5_000);
    let (secret, certificate) =
        (world.nodes[MALLORY].secret.clone(), world.nodes[MALLORY].certificate.clone());
    let mut hides = begin_with(&secret, &certificate, "stock/night", at(0), 77);
    let lines = vec![Line { parcel: parcel.0, units: parcel.1.lowest(1) }];
    hides.write(at(1), Body::Transfer(Transfer { to: world.nodes[HQ].id, lines, aside: None, cause: None }));
    let authors = chains_of_mallory(&world, 300);
    let hashes: Vec<Hash> = authors.iter().map(|author| author.last.unwrap()).collect();
    let mut hidden: Vec<&Author> =
        making(hides.last.unwrap().0, &hashes).into_iter().map(|number| &authors[number]).collect();
    hidden.push(&hides);
    let lives: Vec<Author> =
        hidden.iter().map(|of| of.next_life(&certificate, at(3), Nonce([78; 16]))).collect();
    world.cut(HQ, TILL);
    let all: Vec<&Author> = hidden.into_iter().chain(&lives).collect();
    hand_to_hq(&mut world, &all);
    world.link(HQ, TILL);
    let before = world.available(TILL);
    let give = Give { drop: night(), sku: shirt(), units: Units::Count(3), to: world.nodes[TILL].id };
    world.done(HQ, Command::Transfer(give)).unwrap();
    world.converge(20_000);
    assert_eq!(world.available(TILL), before + 3);
}

// --- Histories that begin alike.

fn lot(first: u32) -> Body {
    let place = "hall".parse().unwrap();
    Body::Mint(Mint { sku: shirt(), first, last: first, numbered: true, place, edition: None })
}

fn forks_known(world: &mut World, at: usize) -> Vec<Ref> {
    let Answer::Incidents(incidents) = world.query(at, Query::Incidents) else { panic!("no incidents") };
    let forks = incidents.into_iter().filter(|incident| incident.text.contains("two histories of one life"));
    forks.map(|incident| incident.incident).collect()
}

/// A history of so many entries. Those from `parts` on differ by `branch`, as do their times.
fn history(
    world: &World,
    secret: &SecretKey,
    length: u64,
    parts: u64,
    branch: u32,
    ends: bool,
) -> Vec<Author> {
    let hq = world.certify(secret, "second", "hq", "hall", (0, crate::world::VALID_MS));
    let mut author = begin(secret, &hq, "stock/night", at(0));
    for seq in 2..=length {
        let own = if seq >= parts { branch } else { 0 };
        author.write(at(10 * seq + u64::from(own)), lot(1_000 + 1_000 * own + seq as u32));
    }
    let next = author.next_life(&hq, at(100_000), Nonce([branch as u8; 16]));
    if ends { vec![author, next] } else { vec![author] }
}

/// Hands hq and the till a history each, whose heads look alike to those that are told them, and has them talk.
fn told(seed: u64, lengths: [u64; 2], parts: u64, ends: bool, busy: bool) -> (World, ChainId) {
    let mut world = evening(seed);
    world.power_cut_with(MALLORY, true);
    world.cut(HQ, TILL);
    let secret = SecretKey::from_seed(&[9; 32]);
    let mut forked = None;
    for (number, device) in [HQ, TILL].into_iter().enumerate() {
        let lives = history(&world, &secret, lengths[number], parts, 1 + number as u32, ends);
        forked = Some(lives[0].chain);
        world.hand(MALLORY, device, entries(lives.iter().map(Author::range).collect()));
        world.run_ms(300);
    }
    world.collides = forked;
    world.link(HQ, TILL);
    for round in 0..40 {
        if busy {
            // No two digests are the same twice.
            world.product(HQ, 100 + round);
        }
        world.run_ms(500);
    }
    (world, forked.unwrap())
}

#[test]
fn a_fork_whose_branches_begin_alike_comes_to_light() {
    for (seed, busy) in [(1, false), (2, true)] {
        let (mut world, chain) = told(seed, [6, 6], 4, false, busy);
        world.converge(20_000);
        for at in [HQ, TILL] {
            assert_eq!(forks_known(&mut world, at), [Ref { chain, seq: 4 }], "on {at}, busy: {busy}");
        }
    }
}

#[test]
fn a_fork_of_ended_chains_that_begin_alike_comes_to_light() {
    let (mut world, chain) = told(3, [6, 6], 4, true, false);
    world.converge(20_000);
    for at in [HQ, TILL] {
        assert!(forks_known(&mut world, at).contains(&Ref { chain, seq: 4 }));
    }
}

/// One of the two goes on: what follows does not fit the other, whose head seems to be part of it.
#[test]
fn a_fork_of_which_one_branch_goes_on_comes_to_light() {
    for (seed, lengths, parts) in [(4, [6, 9], 4), (5, [9, 6], 4), (6, [700, 600], 300)] {
        let (mut world, chain) = told(seed, lengths, parts, false, false);
        world.converge(20_000);
        for at in [HQ, TILL] {
            assert_eq!(forks_known(&mut world, at), [Ref { chain, seq: parts }], "{lengths:?} on {at}");
        }
    }
}

/// Where nothing is hidden, no whole hashes are told: heads would take half as much room again.
#[test]
fn whole_hashes_are_told_only_where_something_is_hidden() {
    let mut world = evening(7);
    world.conditions.lost_per_mille = 200;
    for _ in 0..30 {
        claim_of(world.done(TILL, Command::Sell(sell(1, 20_000))));
        world.run_ms(500);
    }
    assert_eq!(world.whole_heads, 0);
    let (world, _) = told(8, [6, 6], 4, false, false);
    assert!(world.whole_heads > 0);
}
