//! A command whose outcome is lost, with the database that it was stored in, is not done a second time: its key comes back
//! with what it wrote.

use popmesh_proto::command::{
    CartNew, Command, Damage, GiveCustody, Move, ProductAdd, Redeem, Refund, Refusal, Reply, Sell, SellItem,
    Transfer, Units,
};
use popmesh_proto::io::Idempotency;
use popmesh_proto::key::CommandKey;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::Record;

use crate::event::{claim_of, mint, night, sell, shirt, units_of};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;

fn key(number: u8) -> Idempotency {
    Idempotency { key: [number; 32], request: [number; 32] }
}

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("locker", "locker", "hall");
    world.link_all();
    world.open_drop(HQ, 60);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

/// Moves the database of a device away, with the outcomes in it, and starts it again.
fn starts_without_database(world: &mut World, at: usize, mark: bool) {
    world.converge(5_000);
    world.power_cut_with(at, true);
    world.nodes[at].lose_database();
    if !mark {
        world.nodes[at].mark = None;
    }
    world.power_on(at);
}

fn ask(world: &mut World, at: usize, command: &Command, key: Idempotency) -> Result<Reply, Refusal> {
    let call = world.command_with(at, command.clone(), Some(key));
    world.outcome(call)
}

#[test]
fn the_same_key_is_the_same_sale() {
    for (seed, mark) in [(1, true), (2, false)] {
        let mut world = evening(seed);
        let command = Command::Sell(Sell { ..sell(1, 2_000) });
        let first = claim_of(ask(&mut world, TILL, &command, key(7)));
        starts_without_database(&mut world, TILL, mark);
        // At once: it waits until the past is here.
        let second = claim_of(ask(&mut world, TILL, &command, key(7)));
        assert_eq!(second, first);
        assert!(world.nodes[TILL].stored_reply(&key(7)).is_some(), "it is stored anew");
        // Another key is another sale, and the same key with another request is nothing.
        claim_of(ask(&mut world, TILL, &command, key(8)));
        let other = Idempotency { request: [9; 32], ..key(7) };
        world.nodes[TILL].replies.clear();
        let refused = ask(&mut world, TILL, &command, other);
        assert!(
            matches!(&refused, Err(Refusal::KeyOfAnother { entry, .. }) if *entry == first.claim),
            "{refused:?}"
        );
        world.converge(5_000);
        assert_eq!(world.claims(HQ).len(), 2);
        world.assert_sound();
    }
}

/// Every kind of command that writes records: what was done stays done once, and is told or named.
#[test]
fn no_command_is_done_twice() {
    let mut world = evening(3);
    let place = |name: &str| name.parse().unwrap();
    let units = |count| Units::Count(count);
    let pickup = Sell { pickup_at: Some(world.nodes[TILL].id), ..sell(1, 2_000) };
    let claim = |world: &mut World| claim_of(world.done(TILL, Command::Sell(pickup.clone()))).claim;
    let (redeemed, refunded, given) = (claim(&mut world), claim(&mut world), claim(&mut world));
    world.run_ms(1_000);
    let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
    let cart = CartNew { items, drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 2_000 };
    let (hq, locker) = (world.nodes[HQ].id, world.nodes[2].id);
    let commands = [
        Command::Sell(sell(2, 2_000)),
        Command::CartNew(cart),
        Command::Redeem(Redeem { claim: Some(redeemed), token: None, pin: None }),
        Command::Refund(Refund { claim: refunded, items: Vec::new(), damaged: false }),
        Command::GiveCustody(GiveCustody { claim: given, to: locker, wait_ms: 0 }),
        Command::Transfer(Transfer { drop: night(), sku: shirt(), units: units(2), to: hq }),
        Command::Move(Move { drop: night(), sku: shirt(), units: units(1), place: place("stall") }),
        Command::Damage(Damage { drop: night(), sku: shirt(), units: units(1) }),
    ];
    let done: Vec<Reply> =
        (10..).zip(&commands).map(|(at, command)| ask(&mut world, TILL, command, key(at)).unwrap()).collect();
    world.converge(5_000);
    let stock = world.stock(HQ).unwrap();
    let claims = world.claims(HQ);
    starts_without_database(&mut world, TILL, true);
    for ((number, command), first) in (10..).zip(&commands).zip(&done) {
        match (ask(&mut world, TILL, command, key(number)), first) {
            (Ok(Reply::Cart(again)), Reply::Cart(first)) => assert_eq!(again.cart, first.cart),
            (Ok(again), first) => assert_eq!(&again, first, "{command:?}"),
            (Err(refusal), _) => panic!("{command:?}: {refusal:?}"),
        }
    }
    world.converge(10_000);
    let after = world.stock(HQ).unwrap();
    assert_eq!((after.mesh.sold, after.mesh.damaged), (stock.mesh.sold, stock.mesh.damaged));
    assert_eq!(world.claims(HQ).len(), claims.len());
    units_of(world.claims(HQ).values());
    world.assert_sound();
}

/// What an hq does: lots and the programme. An edit that comes again does not undo what was changed since.
#[test]
fn an_edit_that_comes_again_undoes_nothing() {
    let mut world = evening(4);
    let price = |price| Command::ProductAdd(ProductAdd::of(shirt(), "Shirt", price));
    let lot = Command::LotMint(mint(101, 110));
    let minted = ask(&mut world, HQ, &lot, key(1)).unwrap();
    ask(&mut world, HQ, &price(1_000), key(2)).unwrap();
    ask(&mut world, HQ, &price(2_000), key(3)).unwrap();
    starts_without_database(&mut world, HQ, true);
    assert_eq!(ask(&mut world, HQ, &lot, key(1)), Ok(minted));
    match ask(&mut world, HQ, &price(1_000), key(2)) {
        Ok(Reply::Product(product)) => assert_eq!(product.price, 2_000, "as it stands now"),
        other => panic!("{other:?}"),
    }
    world.converge(5_000);
    assert!(world.programme(TILL).contains("price: 2000"));
    // Of the first change of a chain as well, whose message says who writes.
    let mut world = World::new(5);
    world.add("hq", "hq", "hall");
    world.add("other", "hq", "hall");
    world.link_all();
    ask(&mut world, HQ, &price(1_000), key(2)).unwrap();
    world.converge(5_000);
    world.product(1, 3_000);
    starts_without_database(&mut world, HQ, false);
    ask(&mut world, HQ, &price(1_000), key(2)).unwrap();
    world.converge(5_000);
    assert!(world.programme(1).contains("price: 3000"));
}

/// The reply of some cannot be made again from what they wrote: then it is named.
#[test]
fn what_cannot_be_told_again_is_named() {
    let mut world = evening(6);
    let items = vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }];
    let cart = CartNew { items, drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 2_000 };
    let Ok(Reply::Cart(cart)) = ask(&mut world, TILL, &Command::CartNew(cart), key(1)) else { panic!() };
    ask(&mut world, TILL, &Command::CartRelease(cart.cart), key(2)).unwrap();
    starts_without_database(&mut world, TILL, true);
    let refused = ask(&mut world, TILL, &Command::CartRelease(cart.cart), key(2));
    assert!(matches!(&refused, Err(Refusal::AlreadyDone { .. })), "{refused:?}");
    // Nor is a cart that is over put aside again.
    let again = CartNew {
        items: vec![SellItem { sku: shirt(), quantity: 1, unit_price: None }],
        drop: None,
        ttl_ms: 600_000,
        shopper: None,
        wait_ms: 2_000,
    };
    let refused = ask(&mut world, TILL, &Command::CartNew(again), key(1));
    assert!(
        matches!(&refused, Err(Refusal::AlreadyDone { entry, .. }) if *entry == cart.cart),
        "{refused:?}"
    );
}

/// A cart is paid: two records in two documents, and the key leads to the sale.
#[test]
fn a_cart_is_paid_once() {
    let mut world = evening(7);
    let items = vec![SellItem { sku: shirt(), quantity: 2, unit_price: None }];
    let cart = CartNew { items, drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 2_000 };
    let Ok(Reply::Cart(cart)) = ask(&mut world, TILL, &Command::CartNew(cart), key(1)) else { panic!() };
    let pay = Command::Sell(Sell { cart: Some(cart.cart), ..Sell::of(Vec::new()) });
    let first = claim_of(ask(&mut world, TILL, &pay, key(2)));
    starts_without_database(&mut world, TILL, true);
    assert_eq!(claim_of(ask(&mut world, TILL, &pay, key(2))), first);
}

/// It waits for stock when its past comes back, with the sale that it asks for.
#[test]
fn a_sale_that_waits_hears_that_it_was_made() {
    let mut world = evening(8);
    let command = Command::Sell(sell(3, 30_000));
    let first = claim_of(ask(&mut world, TILL, &command, key(1)));
    world.converge(5_000);
    world.power_cut_with(TILL, true);
    let node = &mut world.nodes[TILL];
    node.lose_database();
    // Nothing beside the database either: nobody doubts anything.
    node.mark = None;
    world.isolate(TILL);
    world.power_on(TILL);
    let fresh = world.add("fresh", "hq", "hall");
    world.link(TILL, fresh);
    world.run_ms(200);
    let call = world.command_with(TILL, command, Some(key(1)));
    world.run_ms(200);
    world.link_all();
    let outcome = world.outcome(call);
    world.converge(10_000);
    assert!(outcome.is_err() || claim_of(outcome) == first);
    assert_eq!(world.claims(HQ).len(), 1);
}

/// Refusals are not kept: the wrong PIN is written down, and the right one under the same key is a hand-over.
#[test]
fn a_refusal_does_not_use_up_a_key() {
    let mut world = evening(9);
    let pin = |text: &str| Some(text.parse().unwrap());
    let sale = Sell { pickup_at: Some(world.nodes[TILL].id), pin: pin("2749"), ..sell(1, 2_000) };
    let claim = claim_of(world.done(TILL, Command::Sell(sale))).claim;
    let redeem = |text| Command::Redeem(Redeem { claim: Some(claim), token: None, pin: pin(text) });
    assert!(matches!(ask(&mut world, TILL, &redeem("1111"), key(1)), Err(Refusal::WrongPin { .. })));
    assert!(matches!(ask(&mut world, TILL, &redeem("2749"), key(1)), Ok(Reply::Redeemed(_))));
}

/// What a key costs: 13 bytes of a record, and nothing without one.
#[test]
fn a_key_takes_thirteen_bytes() {
    let mut world = evening(10);
    let bytes_of = |world: &World, claim: popmesh_proto::id::Ref| {
        let entry = world.nodes[TILL]
            .stored
            .iter()
            .find(|entry| (entry.chain, entry.seq) == (claim.chain, claim.seq));
        (entry.unwrap().body.len(), Record::decode(&entry.unwrap().body).unwrap().key)
    };
    world.done(TILL, Command::Sell(sell(1, 1_000))).unwrap();
    let without = claim_of(world.done(TILL, Command::Sell(sell(1, 1_000)))).claim;
    let with = claim_of(ask(&mut world, TILL, &Command::Sell(sell(1, 1_000)), key(1))).claim;
    world.converge(5_000);
    let ((short, none), (long, some)) = (bytes_of(&world, without), bytes_of(&world, with));
    assert_eq!((none, some), (None, Some(CommandKey::of(&key(1)))));
    assert_eq!(long, short + 13);
    let Answer::Incidents(incidents) = world.query(HQ, Query::Incidents) else { panic!() };
    assert!(incidents.is_empty());
}
