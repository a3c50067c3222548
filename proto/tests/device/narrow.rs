//! Links as narrow as Bluetooth LE: everything works over them, and little goes over them.

use popmesh_proto::command::{Command, Transfer, Units};
use popmesh_proto::links::Width;
use popmesh_proto::query::{Answer, Query};

use crate::event::{claim_of, night, sell, shirt};
use crate::world::World;

/// What carries a message besides: a tag of noise, its length, a frame of yamux, L2CAP, ACL and HCI, in three fragments.
const CARRIER_BYTES: u64 = 60;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// An hq, a till and a till in a line of narrow links: the first and the last cannot hear each other.
fn line(seed: u64, units: u32) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("far", "pos", "hall");
    world.link_narrow(A, B);
    world.link_narrow(B, C);
    world.open_drop(A, units);
    world.run_ms(3_000);
    world.converge(10_000);
    world
}

/// Bytes over each link since it was asked last, with what carries them.
fn aired(world: &mut World) -> Vec<u64> {
    std::mem::take(&mut world.aired)
        .into_values()
        .map(|(messages, bytes)| bytes + messages * CARRIER_BYTES)
        .collect()
}

fn reachable(world: &mut World, at: usize, device: usize) -> bool {
    let id = world.nodes[device].id;
    match world.query(at, Query::Devices) {
        Answer::Devices(devices) => devices.iter().any(|known| known.device == id && known.reachable),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_till_sells_units_that_lie_two_narrow_links_away() {
    let mut world = line(1, 40);
    assert!(world.available(C) > 0, "it was given its share");
    assert!(reachable(&mut world, A, C), "A hears of C through B");
    let before = world.time;
    for _ in 0..40 {
        claim_of(world.done(A, Command::Sell(sell(1, 5_000))));
    }
    assert!(world.time - before < 10_000, "{} ms", world.time - before);
    world.converge(10_000);
    assert_eq!(world.stock(C).unwrap().mesh.sold, 40);
    world.assert_agreed();
}

#[test]
fn little_goes_over_an_idle_link() {
    let mut world = line(2, 40);
    world.run_ms(120_000);
    aired(&mut world);
    world.run_ms(600_000);
    for (link, bytes) in aired(&mut world).into_iter().enumerate() {
        println!("link {link}: {bytes} bytes in ten idle minutes");
        assert!(bytes > 0 && bytes < 3_600, "link {link}: {bytes} bytes in ten minutes");
    }
    assert!(reachable(&mut world, A, C) && reachable(&mut world, C, A));
}

#[test]
fn a_sale_costs_no_more_than_it_must() {
    let mut world = line(3, 40);
    claim_of(world.done(B, Command::Sell(sell(1, 0))));
    world.run_ms(60_000);
    aired(&mut world);
    claim_of(world.done(B, Command::Sell(sell(1, 0))));
    // So soon that no presence falls into it, and no digest of the idle link.
    world.run_ms(4_000);
    let sale = aired(&mut world);
    println!("one sale: {sale:?} bytes");
    for bytes in sale {
        assert!(bytes > 100 && bytes <= 400, "{bytes} bytes");
    }
    world.assert_agreed();
}

#[test]
fn a_long_gap_comes_in_few_bytes_and_what_is_urgent_first() {
    let mut world = line(4, 3_000);
    let to = world.nodes[B].id;
    let units = Units::Count(world.available(A));
    world.done(A, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    world.converge(10_000);
    world.cut(B, C);
    for _ in 0..1_000 {
        claim_of(world.done(B, Command::Sell(sell(1, 0))));
    }
    world.run_ms(3_000);
    aired(&mut world);
    world.link_narrow(B, C);
    let took = world.converge(60_000);
    let bytes: u64 = aired(&mut world).into_iter().sum();
    println!("1,000 entries: {bytes} bytes, {took} ms");
    assert!(bytes < 60_000, "{bytes} bytes");
    world.assert_agreed();
}

#[test]
fn a_bridge_brings_both_sides_together() {
    let mut world = line(5, 40);
    let gallery = world.add("gallery", "pos", "hall");
    world.link(B, gallery);
    world.run_ms(5_000);
    let to = world.nodes[C].id;
    let units = Units::Count(world.available(A));
    world.done(A, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    world.converge(10_000);
    for _ in 0..20 {
        world.run_ms(30_000);
        assert!(reachable(&mut world, gallery, C) && reachable(&mut world, C, gallery));
    }
    claim_of(world.done(gallery, Command::Sell(sell(1, 5_000))));
    world.converge(10_000);
    world.assert_agreed();
    // The bridge is gone, and with it everything behind it.
    world.cut(B, C);
    assert!(!reachable(&mut world, C, gallery) && !reachable(&mut world, C, A));
    world.run_ms(8_000);
    assert!(!reachable(&mut world, gallery, C), "the bridge no longer speaks for it");
}

#[test]
fn a_link_that_changes_its_width_loses_nothing_and_sends_little_twice() {
    let mut world = line(6, 3_000);
    world.set_width(A, B, Width::Broad);
    let to = world.nodes[B].id;
    let units = Units::Count(world.available(A));
    world.done(A, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    world.converge(10_000);
    aired(&mut world);
    let sold = |world: &mut World| claim_of(world.done(B, Command::Sell(sell(1, 0))));
    let mut widths = [Width::Narrow, Width::Broad].into_iter().cycle();
    for _ in 0..10 {
        world.set_width(A, B, widths.next().unwrap());
        for _ in 0..20 {
            sold(&mut world);
            world.run_ms(10);
        }
    }
    world.converge(10_000);
    let bytes = aired(&mut world);
    println!("{bytes:?} bytes for 200 sales, of which the first link carried half");
    // One sale at a time takes some 400 bytes.
    assert!(bytes[0] < 100 * 500, "{bytes:?}");
    world.assert_agreed();
}
