//! What entries that wait need is asked for by name, whatever digests and frontiers say.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, ProductAdd, Transfer, Units};
use popmesh_proto::fact::Signal;
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::io::Input;
use popmesh_proto::message::{AskEntries, MAX_ASKED, Message, encode};
use popmesh_proto::record::{Body, Received};

use crate::author::begin;
use crate::event::{night, shirt};
use crate::wire::{entries, range};
use crate::world::{EPOCH_MS, World};

fn give(world: &mut World, from: usize, to: usize) {
    let to = world.nodes[to].id;
    let transfer = Transfer { drop: night(), sku: shirt(), units: Units::Count(1), to };
    world.done(from, Command::Transfer(transfer)).unwrap();
}

/// An hq and a till that gave one unit to and fro, and a newcomer, which hears no digest and no frontier of theirs.
fn to_and_fro(seed: u64, narrow: bool) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "yard");
    world.link(0, 1);
    world.open_drop(0, 1);
    world.converge(5_000);
    for (from, to) in [(0, 1), (1, 0), (0, 1), (1, 0)] {
        give(&mut world, from, to);
        world.converge(5_000);
    }
    world.add("new", "pos", "yard");
    world.mute = [(0, 2), (1, 2)].into();
    if narrow {
        world.link_narrow(0, 2);
        world.link_narrow(1, 2);
    } else {
        world.link(0, 2);
        world.link(1, 2);
    }
    world.run_ms(2_000);
    world
}

/// Whether the newcomer has what the other two have about stock.
fn has_stock(world: &mut World) -> bool {
    let of = |world: &mut World, at: usize| -> Vec<(ChainId, u64)> {
        let heads = world.frontier(at).into_iter();
        let stock = heads.filter(|head| head.document.to_string() == "stock/night");
        stock.map(|head| (head.chain, head.seq)).collect()
    };
    let (there, here) = (of(world, 0), of(world, 2));
    there == here
}

#[test]
fn what_an_entry_needs_is_asked_for_by_name() {
    for narrow in [false, true] {
        let mut world = to_and_fro(1, narrow);
        let of_till = world.written(1, "stock/night");
        world.hand(1, 2, entries(vec![range(&of_till)]));
        assert!(world.status(2).waiting > 0);
        world.run_ms(20_000);
        assert!(has_stock(&mut world), "narrow: {narrow}");
        assert_eq!(world.faults(2), Vec::<&str>::new());
        let asked = world.asked_by_name;
        world.run_ms(600_000);
        assert_eq!(world.asked_by_name, asked, "then nothing is asked for any more");
    }
}

/// The first that is asked knows nothing, or less.
#[test]
fn neighbours_are_asked_one_after_the_other() {
    let mut world = to_and_fro(2, false);
    let of_hq = world.written(0, "stock/night");
    world.add("empty", "pos", "yard");
    world.link(2, 3);
    world.run_ms(1_000);
    world.cut(0, 3);
    world.cut(1, 3);
    world.hand(3, 2, entries(vec![range(&of_hq)]));
    world.run_ms(30_000);
    assert!(has_stock(&mut world));
}

#[test]
fn changes_of_the_programme_are_asked_for_by_name() {
    let mut world = World::new(3);
    world.add("hq", "hq", "hall");
    world.add("hq-2", "hq", "hall");
    world.link(0, 1);
    let product = |sku: &str| Command::ProductAdd(ProductAdd::of(sku.parse().unwrap(), sku, 100));
    for (at, sku) in [(0, "a"), (0, "b"), (1, "c"), (0, "d"), (1, "e")] {
        world.done(at, product(sku)).unwrap();
        world.converge(5_000);
    }
    world.add("till", "pos", "hall");
    world.mute = [(0, 2), (1, 2)].into();
    world.link(0, 2);
    world.link(1, 2);
    world.run_ms(1_000);
    let second = world.written(1, "programme");
    world.hand(1, 2, entries(vec![range(&second)]));
    assert!(world.status(2).waiting > 0);
    world.run_ms(20_000);
    assert_eq!(world.programme(2), world.programme(1));
    assert_eq!(world.status(2).waiting, 0);
}

fn entry_of_nothing(number: u64) -> Ref {
    Ref { chain: ChainId([0xee; 16]), seq: 1 + number }
}

/// Entries that need what nobody has are asked about less and less often, and however many there are, in few and small
/// messages; and another author's need gets its turn.
#[test]
fn what_nobody_has_is_asked_for_seldom() {
    let mut world = to_and_fro(4, false);
    world.add("mallory", "pos", "yard");
    world.power_cut(3);
    let (secret, certificate) = (world.nodes[3].secret.clone(), world.nodes[3].certificate.clone());
    let at = Hlc::from_ms(EPOCH_MS + world.time);
    let mut lone = begin(&secret, &certificate, "stock/x", at);
    lone.write(Hlc(at.0 + 1), Body::Received(Received { transfers: vec![entry_of_nothing(0)] }));
    world.hand(0, 2, entries(vec![lone.range()]));
    world.run_ms(60_000);
    let early = world.asked_by_name;
    assert!((3..=20).contains(&early), "{early} requests in a minute");
    world.run_ms(3_600_000);
    let late = world.asked_by_name - early;
    assert!(late <= 30, "{late} requests in an hour");

    // A flood of such.
    let mut ranges = Vec::new();
    for number in 1..=500 {
        let mut author = begin(&secret, &certificate, &format!("stock/x{number}"), at);
        author.write(Hlc(at.0 + 1), Body::Received(Received { transfers: vec![entry_of_nothing(number)] }));
        ranges.push(author.range());
    }
    for some in ranges.chunks(50) {
        world.hand(0, 2, entries(some.to_vec()));
    }
    world.run_ms(2_000);
    let before = world.asked_by_name;
    let of_till = world.written(1, "stock/night");
    world.hand(1, 2, entries(vec![range(&of_till)]));
    world.run_ms(20_000);
    assert!(has_stock(&mut world), "one need among 500 of another author");
    assert!(world.asked_by_name - before <= 22, "{} in 22 s", world.asked_by_name - before);
}

#[test]
fn who_asks_for_too_much_by_name_does_wrong() {
    let mut world = to_and_fro(5, false);
    let many = AskEntries {
        entries: (0..=MAX_ASKED as u64).map(entry_of_nothing).collect(),
        changes: Vec::new(),
        have: Vec::new(),
    };
    let none = AskEntries { entries: vec![entry_of_nothing(1)], ..AskEntries::default() };
    for (ask, faults) in [(none, 0), (many, 1)] {
        let bytes = encode(&Message::AskEntries(ask));
        world.give(1, Input::Message { from: world.nodes[2].id, bytes });
        assert_eq!(world.faults(1).len(), faults);
    }
    let cut_off = |(_, signal): &(usize, Signal)| matches!(signal, Signal::CutOff { .. });
    assert!(!world.signals.iter().any(cut_off));
}
