//! Idle devices leave the air to others, and know all the same who is there.

use popmesh_proto::clock::Hlc;
use popmesh_proto::identity::Ed25519;
use popmesh_proto::io::{Input, Verdict};
use popmesh_proto::message::{Gossip, Mail, Presence, encode};
use popmesh_proto::query::{Answer, Query};

use crate::event::{claim_of, sell};
use popmesh_proto::command::Command;

use crate::world::World;

/// Devices that know each other, linked in this way, and a drop of so many units.
fn devices(seed: u64, names: &[&str], links: &[(usize, usize)]) -> World {
    let mut world = World::new(seed);
    for (at, name) in names.iter().enumerate() {
        world.add(name, if at == 0 { "hq" } else { "pos" }, "hall");
    }
    for (a, b) in links {
        world.link(*a, *b);
    }
    world.open_drop(0, 100);
    world.run_ms(5_000);
    world.converge(10_000);
    world
}

fn line(seed: u64) -> World {
    devices(seed, &["hq", "till-1", "till-2", "till-3"], &[(0, 1), (1, 2), (2, 3)])
}

fn everybody(seed: u64, count: usize) -> World {
    let names: Vec<String> = (0..count).map(|at| format!("device-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let links: Vec<(usize, usize)> = (0..count).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    devices(seed, &names, &links)
}

fn reachable(world: &mut World, at: usize, device: usize) -> bool {
    let id = world.nodes[device].id;
    match world.query(at, Query::Devices) {
        Answer::Devices(devices) => devices.iter().any(|known| known.device == id && known.reachable),
        other => panic!("{other:?}"),
    }
}

/// How long it takes until a device is out of another's reach, milliseconds.
fn lost_after(world: &mut World, at: usize, device: usize) -> u64 {
    let before = world.time;
    while reachable(world, at, device) {
        world.run_ms(50);
        assert!(world.time - before < 60_000, "{at} still takes {device} to be there");
    }
    world.time - before
}

#[test]
fn idle_devices_tell_little() {
    for count in [2, 5, 9] {
        let mut world = everybody(1, count);
        world.run_ms(180_000);
        world.broad_bytes = 0;
        world.run_ms(300_000);
        let each = world.broad_bytes / 300 / count as u64;
        println!("{count} devices: {each} bytes a second each");
        // In this world all gossip goes over all links; the links themselves are looked after by others.
        assert!(each < 500, "{each} bytes a second for each of {count}");
        assert!((1..count).all(|device| reachable(&mut world, 0, device)));
    }
}

/// Its word of its links is later than whatever the others say of them.
#[test]
fn one_that_is_lost_with_its_clock_ahead_is_told_of_once() {
    let mut world = everybody(6, 4);
    world.nodes[3].ahead_ms += 30 * 60_000;
    world.run_ms(180_000);
    world.power_cut(3);
    world.run_ms(60_000);
    world.broad_bytes = 0;
    world.run_ms(300_000);
    let each = world.broad_bytes / 300 / 3;
    println!("{each} bytes a second each");
    assert!(each < 500, "{each} bytes a second each, long after one was lost");
    world.power_on(3);
    world.run_ms(3_000);
    assert!(reachable(&mut world, 0, 3) && reachable(&mut world, 3, 0));
}

#[test]
fn what_is_told_seldom_stays_believed() {
    let mut world = line(2);
    for _ in 0..40 {
        world.run_ms(15_000);
        assert!(reachable(&mut world, 0, 3) && reachable(&mut world, 3, 0));
    }
    claim_of(world.done(3, Command::Sell(sell(1, 5_000))));
    world.converge(10_000);
}

#[test]
fn a_death_is_known_within_seconds_by_those_that_are_far() {
    let mut world = line(3);
    world.run_ms(120_000);
    world.power_cut(3);
    let took = lost_after(&mut world, 0, 3);
    println!("known after {took} ms");
    assert!(took < 3_000, "{took} ms");
    assert!(reachable(&mut world, 0, 2));
    world.power_on(3);
    world.run_ms(3_000);
    assert!(reachable(&mut world, 0, 3) && reachable(&mut world, 3, 0));
}

#[test]
fn a_link_that_breaks_takes_all_behind_it_out_of_reach_and_brings_them_back() {
    let mut world = line(4);
    world.run_ms(120_000);
    world.cut(1, 2);
    assert!(lost_after(&mut world, 0, 3) < 6_500 && lost_after(&mut world, 0, 2) < 6_500);
    assert!(lost_after(&mut world, 3, 0) < 6_500);
    world.run_ms(600_000);
    world.link(1, 2);
    world.run_ms(3_000);
    for (a, b) in [(0, 3), (0, 2), (3, 0), (3, 1)] {
        assert!(reachable(&mut world, a, b), "{b} from {a}");
    }
}

#[test]
fn who_comes_late_hears_of_those_that_have_nothing_new_to_tell() {
    let mut world = line(5);
    world.run_ms(600_000);
    let late = world.add("late", "pos", "hall");
    world.link(3, late);
    world.run_ms(3_000);
    for device in 0..4 {
        assert!(reachable(&mut world, late, device), "{device}");
        assert!(reachable(&mut world, device, late), "from {device}");
    }
}

/// A presence of `author`, which says that it is linked to these.
fn says(world: &World, author: usize, neighbours: &[usize]) -> Vec<u8> {
    let presence = Presence {
        sells: true,
        rates: Vec::new(),
        certificate: None,
        every_s: Some(60),
        reaches: Vec::new(),
        asks: None,
        behind_ms: None,
        narrowly: None,
        program: None,
        neighbours: Some(
            neighbours.iter().flat_map(|of| world.nodes[*of].id.0[..4].to_vec()).collect::<Vec<u8>>().into(),
        ),
    };
    let (event, at) = (world.charter.event(), Hlc::from_ms(world.now(0).wall_ms + 1));
    let mail = Mail::sign(&Ed25519, &event, &world.nodes[author].secret, at, None, encode(&presence));
    encode(&Gossip::Mail(mail))
}

#[test]
fn nobody_can_declare_another_dead() {
    // A square: 0 and 3 see each other through 1 and 2.
    let names = ["hq", "till-1", "till-2", "till-3"];
    let mut world = devices(6, &names, &[(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)]);
    world.run_ms(60_000);
    // 1 says again and again that it lost 3.
    for _ in 0..20 {
        let lie = says(&world, 1, &[0, 2]);
        assert_eq!(world.hand_gossip(1, 0, lie.clone()), Verdict::Accept);
        world.hand_gossip(1, 2, lie);
        world.run_ms(1_000);
        assert!(reachable(&mut world, 0, 3), "through 2");
    }
    let three = world.nodes[3].id;
    let looked = world.probes.iter().filter(|probe| **probe == (2, three)).count();
    assert!((1..=10).contains(&looked), "2 looked {looked} times whether 3 is there");
}

#[test]
fn who_lost_a_device_has_its_other_neighbours_look() {
    let names = ["hq", "till-1", "till-2", "till-3"];
    let mut world = devices(7, &names, &[(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)]);
    world.run_ms(60_000);
    world.probes.clear();
    // 3 is dead, and 1 alone has noticed.
    let three = world.nodes[3].id;
    world.give(1, Input::LinkDown { peer: three });
    world.run_ms(2_500);
    assert!(world.probes.contains(&(2, three)), "{:?}", world.probes);
    assert!(reachable(&mut world, 0, 3), "2 has not lost it");
}

#[test]
fn words_that_cannot_be_read_are_refused() {
    let mut world = line(8);
    let presence = Presence {
        sells: true,
        rates: Vec::new(),
        certificate: None,
        every_s: None,
        reaches: Vec::new(),
        neighbours: Some(vec![1; 5].into()),
        asks: None,
        behind_ms: None,
        narrowly: None,
        program: None,
    };
    let (event, at) = (world.charter.event(), Hlc::from_ms(world.now(0).wall_ms + 1));
    let mail = Mail::sign(&Ed25519, &event, &world.nodes[1].secret, at, None, encode(&presence));
    assert_eq!(world.hand_gossip(1, 0, encode(&Gossip::Mail(mail))), Verdict::Reject);
}
