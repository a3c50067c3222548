//! Catching up with a long history, in pieces, in awkward orders, and across starts.

use popmesh_proto::command::{Command, LotMint, ProductAdd, Sell, SellItem, Transfer, Units};
use popmesh_proto::io::Verdict;
use popmesh_proto::log::MAX_RANGE_BYTES;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::Sku;

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::wire::{entries, live, range};
use crate::world::World;

fn give(world: &mut World, from: usize, to: usize, count: u64) {
    let to = world.nodes[to].id;
    let transfer = Transfer { drop: night(), sku: shirt(), units: Units::Count(count), to };
    world.done(from, Command::Transfer(transfer)).unwrap();
}

fn product(sku: &Sku) -> Command {
    Command::ProductAdd(ProductAdd::of(sku.clone(), sku.to_string(), 100))
}

/// An hq and a till that have given the same unit to and fro, and a till that has heard nothing.
fn to_and_fro(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "yard");
    world.link(0, 1);
    world.open_drop(0, 1);
    world.converge(5_000);
    give(&mut world, 0, 1, 1);
    world.converge(5_000);
    give(&mut world, 1, 0, 1);
    world.converge(5_000);
    give(&mut world, 0, 1, 1);
    world.converge(5_000);
    world.add("new", "pos", "yard");
    world
}

#[test]
fn a_stretch_of_which_a_part_waits_survives_a_power_cut() {
    let mut world = to_and_fro(1);
    let mut of_hq = world.written(0, "stock/night");
    // Between run ends only the last signature of a chain is kept, and it alone travels.
    let last = of_hq.len() - 1;
    of_hq[..last].iter_mut().for_each(|entry| entry.signature = None);
    let of_till = world.written(1, "stock/night");
    world.hand(0, 2, entries(vec![range(&of_hq)]));
    let status = world.status(2);
    assert!(status.waiting > 0 && status.entries > 0, "{status:?}");

    world.power_cut_with(2, false);
    world.power_on(2);
    assert_eq!(world.status(2).entries, status.entries);
    world.hand(0, 2, entries(vec![range(&of_till)]));
    world.hand(0, 2, entries(vec![range(&of_hq)]));
    assert_eq!(world.status(2).waiting, 0);
    assert_eq!(world.faults(2), Vec::<&str>::new());
    world.link_all();
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn what_waits_does_not_hold_up_other_gossip() {
    let mut world = to_and_fro(2);
    let of_hq = world.written(0, "stock/night");
    let waits = |entry: &&popmesh_proto::io::Entry| entry.seq > 1;
    let split = of_hq.iter().filter(waits).position(|entry| entry.signature.is_some()).unwrap() + 2;
    let verdict = world.hand_gossip(1, 2, live(vec![range(&of_hq[..split])]));
    assert_eq!(verdict, Verdict::Accept);
    let verdict = world.hand_gossip(1, 2, live(vec![range(&of_hq[split..])]));
    assert_eq!(verdict, Verdict::Ignore);
    assert!(world.status(2).waiting > 0);
    let programme = world.written(0, "programme");
    let verdict = world.hand_gossip(1, 2, live(vec![range(&programme)]));
    assert_eq!(verdict, Verdict::Accept);
}

#[test]
fn programme_changes_that_wait_for_anothers_are_nobodys_fault() {
    let mut world = World::new(3);
    world.add("hq", "hq", "hall");
    world.add("hq-2", "hq", "hall");
    world.link(0, 1);
    let skus: Vec<Sku> = ["a", "b", "c"].map(|sku| sku.parse().unwrap()).to_vec();
    world.done(0, product(&skus[0])).unwrap();
    world.converge(5_000);
    world.done(1, product(&skus[1])).unwrap();
    world.done(1, product(&skus[2])).unwrap();
    world.converge(5_000);
    world.add("till", "pos", "hall");
    let (first, second) = (world.written(0, "programme"), world.written(1, "programme"));
    assert_eq!(second.len(), 2);
    world.hand(1, 2, entries(vec![range(&second[..1])]));
    world.hand(1, 2, entries(vec![range(&second)]));
    assert_eq!(world.status(2).waiting, 2);
    world.hand(1, 2, entries(vec![range(&first)]));
    assert_eq!(world.status(2).waiting, 0);
    assert_eq!(world.faults(2), Vec::<&str>::new());
    let Answer::Programme(programme) = world.query(2, Query::Programme) else { panic!() };
    assert_eq!(programme.products.len(), 3);
}

#[test]
fn a_long_chain_that_needs_another_does_not_keep_it_away() {
    let mut world = World::new(4);
    world.add("hq", "hq,pos", "hall");
    world.open_drop(0, 0);
    let skus: Vec<Sku> = (0..32).map(|n| format!("sku-{n}").parse().unwrap()).collect();
    for sku in &skus {
        world.done(0, product(sku)).unwrap();
        let lot = LotMint { sku: sku.clone(), ..mint(1, 2_000) };
        world.done(0, Command::LotMint(lot)).unwrap();
    }
    let item = |sku: &Sku| SellItem { sku: sku.clone(), quantity: 1, unit_price: None };
    let sale = Sell { items: skus.iter().map(item).collect(), ..sell(1, 0) };
    for _ in 0..1_200 {
        world.command(0, Command::Sell(sale.clone()));
    }
    world.run_ms(100);
    let (claims, stock) = (world.written(0, "claims/night"), world.written(0, "stock/night"));
    let bytes: usize = claims.iter().map(|entry| entry.body.len()).sum();
    assert!(bytes > MAX_RANGE_BYTES, "more than travels at once: {bytes}");
    assert!(claims[0].chain < stock[0].chain, "the one that needs the other goes first; try another seed");
    let till = world.add("till", "pos", "hall");
    world.link_all();
    world.converge(15_000);
    assert_eq!(world.claims(till).len(), 1_200);
}

#[test]
fn a_change_that_is_not_admitted_is_not_in_the_programme() {
    let mut world = World::new(8);
    world.add_until("hq", "hq", "hall", 10_300);
    world.add("hq-2", "hq", "hall");
    world.link_all();
    world.run_ms(10_100);
    // Automerge's times are whole seconds; this one's ends after the certificate does.
    let sku: Sku = "late".parse().unwrap();
    assert!(world.done(0, product(&sku)).is_err());
    let Answer::Programme(programme) = world.query(0, Query::Programme) else { panic!() };
    assert_eq!(programme.products, []);
    world.done(1, product(&sku)).unwrap();
    world.converge(5_000);
    let Answer::Programme(programme) = world.query(0, Query::Programme) else { panic!() };
    assert_eq!(programme.products.len(), 1);
}

#[test]
fn a_device_gets_its_own_past_back_and_goes_on_from_it() {
    let mut world = World::new(9);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(0, 20);
    world.run_ms(5_000);
    let first = claim_of(world.done(1, Command::Sell(sell(1, 5_000))));
    world.converge(5_000);
    world.power_cut_with(1, true);
    world.nodes[1].stored.clear();
    world.nodes[1].durable.clear();
    world.power_on(1);
    world.converge(5_000);
    let second = claim_of(world.done(1, Command::Sell(sell(1, 5_000))));
    assert_ne!(first.items[0].units, second.items[0].units);
    world.converge(5_000);
    world.assert_agreed();
    assert_eq!(world.claims(0).len(), 2);
}

/// An hq and seven tills, each of which has sold.
fn tills_that_sold(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    for till in 1..8 {
        world.add(&format!("till-{till}"), "pos", "hall");
    }
    world.link_all();
    world.open_drop(0, 200);
    world.converge(5_000);
    for till in 1..8 {
        claim_of(world.done(till, Command::Sell(sell(1, 5_000))));
    }
    world.converge(5_000);
    // Until each has heard from each that they are alike.
    world.run_ms(5_000);
    world
}

fn forget_what_was_said(world: &mut World) {
    (world.frontiers, world.whole_frontiers, world.heads) = (0, 0, 0);
}

#[test]
fn a_link_that_comes_back_names_only_what_has_changed() {
    let mut world = tills_that_sold(3);
    let chains = world.frontier(1).len();
    assert!(chains >= 15, "{chains}");
    world.isolate(1);
    world.run_ms(1_000);
    claim_of(world.done(2, Command::Sell(sell(1, 5_000))));
    world.run_ms(5_000);
    forget_what_was_said(&mut world);
    world.link_all();
    world.converge(5_000);
    world.assert_agreed();
    assert_eq!(world.whole_frontiers, 0);
    // To tell all over one link of the seven would be as many.
    assert!(world.heads < chains, "{} heads, of {chains} chains", world.heads);
}

#[test]
fn who_was_started_anew_is_told_all() {
    let mut world = World::new(4);
    world.add("hq", "hq,pos", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(0, 200);
    world.converge(5_000);
    // Each time there is something to tell, over a link on which much has been told.
    for _ in 0..10 {
        world.isolate(1);
        for at in [0, 1] {
            world.done(at, Command::Sell(sell(1, 0))).ok();
        }
        world.link_all();
        world.converge(5_000);
    }
    world.power_cut_with(1, false);
    claim_of(world.done(0, Command::Sell(sell(1, 5_000))));
    forget_what_was_said(&mut world);
    world.power_on(1);
    world.link_all();
    world.converge(500);
    world.assert_agreed();
    assert!(world.whole_frontiers > 0);
}

#[test]
fn what_a_lost_frontier_told_is_told_again_and_no_more() {
    let (mut frontiers, mut whole) = (0, 0);
    for seed in 5..10 {
        let mut world = tills_that_sold(seed);
        world.conditions.lost_per_mille = 500;
        forget_what_was_said(&mut world);
        for round in 0..60 {
            claim_of(world.done(1 + round % 7, Command::Sell(sell(1, 20_000))));
            world.run_ms(500);
        }
        world.conditions.lost_per_mille = 0;
        world.converge(20_000);
        world.assert_agreed();
        (frontiers, whole) = (frontiers + world.frontiers, whole + world.whole_frontiers);
    }
    assert!(frontiers > 100, "{frontiers}");
    // Where the same two digests meet three times, frontiers begin anew, and with so much lost they do now and then.
    assert!(whole * 10 <= frontiers, "{whole} of {frontiers} frontiers told all");
}
