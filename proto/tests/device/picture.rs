//! The picture of the mesh: what is told of links and programs gets there, and what nobody told is not in it.

use std::collections::BTreeSet;

use popmesh_proto::command::Command;
use popmesh_proto::fact::Signal;
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, Medium, MeshEdge, MeshNode, MeshPicture, Query};

use crate::event::sell;
use crate::world::{PROGRAM, World};

fn devices(seed: u64, count: usize) -> World {
    let mut world = World::new(seed);
    for at in 0..count {
        world.add(&format!("device-{at}"), if at == 0 { "hq" } else { "pos" }, "hall");
    }
    world
}

fn settle(world: &mut World) {
    world.open_drop(0, 100);
    world.run_ms(5_000);
    world.converge(10_000);
}

fn picture(world: &mut World, at: usize) -> MeshPicture {
    match world.query(at, Query::Mesh) {
        Answer::Mesh(picture) => picture,
        other => panic!("{other:?}"),
    }
}

fn node(world: &World, picture: &MeshPicture, of: usize) -> MeshNode {
    let id = world.nodes[of].id;
    picture.nodes.iter().find(|node| node.info.device == id).unwrap().clone()
}

fn edge(world: &World, picture: &MeshPicture, a: usize, b: usize) -> Option<MeshEdge> {
    let ids = [world.nodes[a].id, world.nodes[b].id];
    picture.edges.iter().find(|edge| ids.contains(&edge.a) && ids.contains(&edge.b)).cloned()
}

/// The edges as pairs of numbers.
fn pairs(world: &World, picture: &MeshPicture) -> BTreeSet<(usize, usize)> {
    let number = |id| world.nodes.iter().position(|node| node.id == id).unwrap();
    let both = |edge: &MeshEdge| (number(edge.a), number(edge.b));
    picture.edges.iter().map(both).map(|(a, b)| (a.min(b), a.max(b))).collect()
}

#[test]
fn who_sees_whom_is_told_along_and_a_link_that_is_gone_is_gone_everywhere() {
    let mut world = devices(1, 4);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        world.link(a, b);
    }
    settle(&mut world);
    for at in 0..4 {
        let seen = picture(&mut world, at);
        assert_eq!(pairs(&world, &seen), BTreeSet::from([(0, 1), (1, 2), (2, 3)]), "at {at}");
        assert!(seen.edges.iter().all(|edge| edge.medium == Medium::Network && edge.a < edge.b));
        for of in 0..4 {
            let node = node(&world, &seen, of);
            assert_eq!(node.info.program.as_deref(), Some(PROGRAM), "{of} at {at}");
            assert!(node.told_at_ms.is_some_and(|told| told <= seen.as_of_ms), "{of} at {at}");
            // How far behind somebody is, is known of neighbours alone.
            let is_neighbour = at.abs_diff(of) == 1;
            assert_eq!((node.lacks, node.lacked), (is_neighbour.then_some(0), is_neighbour.then_some(0)));
        }
    }
    let seen = picture(&mut world, 0);
    assert_eq!(edge(&world, &seen, 0, 1).unwrap().as_of_ms, seen.as_of_ms, "its own link is seen now");
    assert!(edge(&world, &seen, 2, 3).unwrap().as_of_ms < seen.as_of_ms);

    world.cut(2, 3);
    world.run_ms(5_000);
    let seen = picture(&mut world, 0);
    assert_eq!(pairs(&world, &seen), BTreeSet::from([(0, 1), (1, 2)]), "by the word of 2 alone");
    assert!(node(&world, &seen, 3).told_at_ms.is_some_and(|told| told + 4_000 < seen.as_of_ms));
}

#[test]
fn links_over_bluetooth_are_told_as_such() {
    let mut world = devices(2, 4);
    world.link_narrow(0, 1);
    world.link_narrow(1, 2);
    world.link(2, 3);
    settle(&mut world);
    world.run_ms(240_000);
    for at in 0..4 {
        let seen = picture(&mut world, at);
        assert_eq!(pairs(&world, &seen), BTreeSet::from([(0, 1), (1, 2), (2, 3)]), "at {at}");
        for (a, b, medium) in [(0, 1, Medium::Bluetooth), (1, 2, Medium::Bluetooth), (2, 3, Medium::Network)]
        {
            assert_eq!(edge(&world, &seen, a, b).unwrap().medium, medium, "{a}-{b} at {at}");
        }
    }
}

#[test]
fn who_lags_is_said_by_as_many_entries_as_it_lacks() {
    let mut world = devices(3, 2);
    world.link(0, 1);
    settle(&mut world);
    world.stall(1, true);
    for _ in 0..3 {
        world.done(0, Command::Sell(sell(1, 0))).unwrap();
    }
    world.run_ms(3_000);
    let seen = picture(&mut world, 0);
    let lacks = node(&world, &seen, 1).lacks;
    assert!(lacks.is_some_and(|lacks| lacks >= 3), "{lacks:?}");
    world.stall(1, false);
    world.converge(10_000);
    world.run_ms(70_000);
    let seen = picture(&mut world, 0);
    assert_eq!(node(&world, &seen, 1).lacks, Some(0));
    // Of one that is gone it is not known.
    world.cut(0, 1);
    let seen = picture(&mut world, 0);
    assert_eq!((node(&world, &seen, 1).lacks, pairs(&world, &seen).len()), (None, 0));
}

#[test]
fn whom_a_sale_waits_for_is_said_with_its_key() {
    let mut world = devices(4, 3);
    world.link_all();
    settle(&mut world);
    let all = world.available(1);
    let key = Idempotency { key: [7; 32], request: [8; 32] };
    // More than it has itself.
    let call = world.command_with(1, Command::Sell(sell(all + 1, 5_000)), Some(key));
    world.outcome(call).unwrap();
    let asked: Vec<_> = world
        .signals
        .iter()
        .filter_map(|(at, signal)| match signal {
            Signal::Asking { sku, device, name, sales, units, .. } if *at == 1 => {
                Some((sku.clone(), *device, name.clone(), sales.clone(), *units))
            }
            _ => None,
        })
        .collect();
    let (sku, device, name, sales, units) = asked.first().expect("nobody was said to be asked").clone();
    assert_eq!((sku, sales, units), (crate::event::shirt(), vec!["07".repeat(8)], 1));
    let of = world.nodes.iter().position(|node| node.id == device).unwrap();
    assert_eq!(name, format!("device-{of}"));
    assert_ne!(of, 1);
}
