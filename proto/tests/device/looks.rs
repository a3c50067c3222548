//! Categories and pictures of products: they are where they were put, on every device, and are taken back as other changes are.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_proto::command::{Command, Product, ProductAdd, Refusal, Reply, Undo};
use popmesh_proto::picture::MAX_PICTURE;
use popmesh_proto::query::{Answer, Query};

use crate::event::shirt;
use crate::world::World;

/// A PNG of so many bytes, with a comment that fills it.
fn png(bytes: usize, of: u8) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat()
    };
    let signature = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    let header = chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    let end = chunk(b"IEND", &[]);
    let fill = vec![of; bytes - signature.len() - header.len() - end.len() - 12];
    [&signature[..], &header, &chunk(b"tEXt", &fill), &end].concat()
}

fn add(picture: &[u8]) -> ProductAdd {
    let picture = Some(BASE64_STANDARD.encode(picture));
    ProductAdd { category: Some("Shirts".to_owned()), picture, ..ProductAdd::of(shirt(), "Shirt", 2500) }
}

fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.link(0, 1);
    world
}

fn product(world: &mut World, at: usize) -> Product {
    match world.query(at, Query::Programme) {
        Answer::Programme(programme) => programme.products.first().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

fn bytes(world: &mut World, at: usize) -> Option<Vec<u8>> {
    match world.query(at, Query::Picture(shirt())) {
        Answer::Picture(Ok(picture)) => picture.map(|picture| picture.bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_are_on_every_device_stay_with_another_price_and_are_taken_back() {
    let mut world = pair(1);
    let (one, other) = (png(200, 1), png(300, 2));
    let Ok(Reply::Product(put)) = world.done(0, Command::ProductAdd(add(&one))) else { panic!("refused") };
    world.converge(10_000);
    for at in [0, 1] {
        assert_eq!(product(&mut world, at), put, "{at}");
        assert_eq!(bytes(&mut world, at).as_ref(), Some(&one), "{at}");
    }
    world.done(0, Command::ProductAdd(ProductAdd::of(shirt(), "Shirt", 2600))).unwrap();
    assert_eq!((product(&mut world, 0).price, bytes(&mut world, 0)), (2600, Some(one.clone())));
    // Another picture, and back to the one before.
    world.done(0, Command::ProductAdd(add(&other))).unwrap();
    let Answer::LastAct(Ok(act)) = world.query(0, Query::LastAct) else { panic!("nothing to take back") };
    world.done(0, Command::Undo(Undo { entry: act.entry })).unwrap();
    world.converge(10_000);
    for at in [0, 1] {
        assert_eq!(bytes(&mut world, at).as_ref(), Some(&one), "{at}");
        assert_eq!(product(&mut world, at).picture, put.picture, "{at}");
    }
    // Both are there after a start, and gone when they are taken away.
    world.power_cut(1);
    world.power_on(1);
    assert_eq!(bytes(&mut world, 1).as_ref(), Some(&one));
    let none = ProductAdd {
        category: Some(String::new()),
        picture: Some(String::new()),
        ..ProductAdd::of(shirt(), "Shirt", 2500)
    };
    world.done(0, Command::ProductAdd(none)).unwrap();
    world.converge(10_000);
    for at in [0, 1] {
        let product = product(&mut world, at);
        assert_eq!((product.category, product.picture, bytes(&mut world, at)), (None, None, None), "{at}");
    }
    world.assert_agreed();
}

#[test]
fn what_is_none_changes_nothing() {
    let mut world = pair(2);
    world.done(0, Command::ProductAdd(add(&png(200, 1)))).unwrap();
    let before = product(&mut world, 0);
    let with = |picture: &str| ProductAdd { picture: Some(picture.to_owned()), ..add(b"") };
    let svg = BASE64_STANDARD.encode("<svg onload=\"alert(1)\"/>");
    let large = BASE64_STANDARD.encode(png(MAX_PICTURE + 1, 1));
    for bad in [with(&svg), with(&large), with("%%%"), with(&"A".repeat(60_000))] {
        let refused = world.done(0, Command::ProductAdd(bad)).unwrap_err();
        assert!(matches!(&refused, Refusal::Invalid { field, .. } if field == "picture"), "{refused:?}");
    }
    assert_eq!(product(&mut world, 0), before);
    world.done(0, Command::ProductAdd(add(&png(MAX_PICTURE, 1)))).unwrap();
}
