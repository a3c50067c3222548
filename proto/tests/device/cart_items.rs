//! Carts that change: they keep their name and their time, and what was in them is free at no moment.

use popmesh_proto::command::{
    Cart, CartAdd, CartItem, CartNew, CartRemove, CartTake, Command, LotMint, ProductAdd, Refusal, Reply,
    Sell, SellItem,
};
use popmesh_proto::id::Ref;
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, CartFilter, Query};
use popmesh_proto::text::Sku;

use crate::event::{claim_of, mint, night, sell, shirt, units_of};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;
const UNITS: u64 = 12;

fn sticker() -> Sku {
    "sticker".parse().unwrap()
}

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, UNITS as u32);
    let product = ProductAdd::of(sticker(), "Sticker", 300);
    world.done(HQ, Command::ProductAdd(product)).unwrap();
    let lot = LotMint { sku: sticker(), numbered: false, ..mint(1, UNITS as u32) };
    world.done(HQ, Command::LotMint(lot)).unwrap();
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn item(sku: Sku, quantity: u64) -> SellItem {
    SellItem { sku, quantity, unit_price: None }
}

fn cart_of(outcome: Result<Reply, Refusal>) -> Cart {
    match outcome {
        Ok(Reply::Cart(cart)) => cart,
        other => panic!("{other:?}"),
    }
}

fn put_aside(world: &mut World, quantity: u64, ttl_ms: u64) -> Cart {
    let (items, shopper) = (vec![item(shirt(), quantity)], Some("order-7".parse().unwrap()));
    cart_of(
        world.done(TILL, Command::CartNew(CartNew { items, drop: None, ttl_ms, shopper, wait_ms: 5_000 })),
    )
}

fn add(cart: Ref, items: Vec<SellItem>, wait_ms: u64) -> Command {
    Command::CartAdd(cart, CartAdd { items, wait_ms })
}

fn remove(cart: Ref, sku: Sku, quantity: u64) -> Command {
    Command::CartRemove(cart, CartRemove { items: vec![CartItem { sku, quantity }] })
}

fn pay(cart: Ref) -> Command {
    Command::Sell(Sell { items: Vec::new(), cart: Some(cart), ..sell(1, 0) })
}

fn take(cart: Ref) -> Command {
    Command::CartTake(CartTake { cart: Some(cart), token: None, wait_ms: 5_000 })
}

fn carts(world: &mut World, at: usize) -> Vec<Cart> {
    match world.query(at, Query::Carts(CartFilter::default())) {
        Answer::Carts(carts) => carts,
        other => panic!("{other:?}"),
    }
}

fn count(cart: &Cart, sku: &Sku) -> u64 {
    cart.items.iter().filter(|item| item.sku == *sku).map(|item| item.units.len()).sum()
}

#[test]
fn what_is_added_joins_the_cart_under_its_name_for_the_time_that_is_left_of_it() {
    let mut world = evening(1);
    let cart = put_aside(&mut world, 2, 600_000);
    world.run_ms(60_000);
    // One of it comes from elsewhere.
    let more = cart_of(world.done(TILL, add(cart.cart, vec![item(shirt(), 3), item(sticker(), 2)], 5_000)));
    assert_eq!((more.cart, &more.shopper), (cart.cart, &cart.shopper));
    assert_eq!((count(&more, &shirt()), count(&more, &sticker())), (5, 2));
    assert_eq!(more.total, 5 * 2_500 + 2 * 300);
    assert!(more.until_ms.abs_diff(cart.until_ms) < 1_000, "{} and {}", more.until_ms, cart.until_ms);
    world.converge(5_000);
    for at in 0..3 {
        let seen = carts(&mut world, at);
        assert_eq!(seen.len(), 1, "on device {at}");
        assert_eq!((seen[0].cart, seen[0].total), (cart.cart, more.total), "on device {at}");
        let line = world.stock(at).unwrap();
        assert_eq!((line.mesh.held, line.mesh.available + line.mesh.in_transit), (5, UNITS - 5));
    }
    // It moves as a whole, and grows there.
    let there = cart_of(world.done(OTHER, take(cart.cart)));
    assert_eq!((there.cart, there.total), (cart.cart, more.total));
    let grown = cart_of(world.done(OTHER, add(cart.cart, vec![item(sticker(), 1)], 5_000)));
    assert_eq!((grown.cart, grown.total), (cart.cart, more.total + 300));
    let refused = world.done(TILL, add(cart.cart, vec![item(sticker(), 1)], 0)).unwrap_err();
    assert!(matches!(refused, Refusal::CartElsewhere { .. }), "{refused:?}");
    let back = cart_of(world.done(TILL, take(cart.cart)));
    assert_eq!(back.total, grown.total);
    let claim = claim_of(world.done(TILL, pay(cart.cart)));
    assert_eq!((claim.total, claim.shopper), (grown.total, cart.shopper));
    world.converge(5_000);
    assert!(carts(&mut world, HQ).is_empty());
    world.assert_agreed();
}

#[test]
fn what_cannot_be_added_leaves_the_cart_as_it_was() {
    let mut world = evening(2);
    let cart = put_aside(&mut world, 2, 600_000);
    let before = carts(&mut world, TILL);
    let nobody = "hat".parse().unwrap();
    let refusals = [
        world.done(TILL, add(cart.cart, vec![item(shirt(), UNITS)], 500)).unwrap_err(),
        world.done(TILL, add(cart.cart, vec![item(sticker(), 1), item(shirt(), UNITS)], 500)).unwrap_err(),
        world.done(TILL, add(cart.cart, vec![item(nobody, 1)], 0)).unwrap_err(),
        world.done(TILL, add(cart.cart, Vec::new(), 0)).unwrap_err(),
        world.done(TILL, add(cart.cart, vec![item(shirt(), 1), item(shirt(), 1)], 0)).unwrap_err(),
        world.done(TILL, add(Ref { seq: 999, ..cart.cart }, vec![item(shirt(), 1)], 0)).unwrap_err(),
        world.done(TILL, remove(cart.cart, shirt(), 3)).unwrap_err(),
        world.done(TILL, remove(cart.cart, shirt(), 2)).unwrap_err(),
        world.done(TILL, remove(cart.cart, sticker(), 1)).unwrap_err(),
    ];
    let codes: Vec<String> = refusals
        .iter()
        .map(|refusal| serde_json::to_value(refusal).unwrap()["code"].as_str().unwrap().to_owned())
        .collect();
    let invalid = "invalid";
    assert_eq!(
        codes,
        [
            "held_elsewhere",
            "held_elsewhere",
            "unknown_sku",
            invalid,
            invalid,
            "unknown_cart",
            invalid,
            invalid,
            invalid
        ]
    );
    let after = carts(&mut world, TILL);
    assert_eq!((&after[0].items, after[0].total), (&before[0].items, before[0].total));
    claim_of(world.done(TILL, pay(cart.cart)));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn all_of_a_cart_ends_at_once_and_before_that_also_after_a_power_cut() {
    let mut world = evening(3);
    let cart = put_aside(&mut world, 2, 60_000);
    world.run_ms(20_000);
    cart_of(world.done(TILL, add(cart.cart, vec![item(sticker(), 2)], 5_000)));
    world.converge(2_000);
    world.power_cut(TILL);
    world.run_ms(5_000);
    world.power_on(TILL);
    world.link_all();
    world.run_ms(500);
    let left = carts(&mut world, TILL);
    assert_eq!((left.len(), left[0].total), (1, 2 * 2_500 + 2 * 300));
    assert!(left[0].until_ms.abs_diff(cart.until_ms) < 1_500, "{} and {}", left[0].until_ms, cart.until_ms);
    world.run_ms(40_000);
    world.converge(5_000);
    for at in 0..3 {
        assert!(carts(&mut world, at).is_empty(), "on device {at}");
        assert_eq!(world.stock(at).unwrap().mesh.held, 0);
    }
    let over = world.done(TILL, add(cart.cart, vec![item(sticker(), 1)], 0)).unwrap_err();
    assert!(matches!(over, Refusal::UnknownCart { .. }), "{over:?}");
    world.assert_agreed();
}

#[test]
fn some_of_a_cart_goes_back_on_sale_and_the_rest_stays_what_it_is() {
    let mut world = evening(4);
    let cart = put_aside(&mut world, 3, 600_000);
    cart_of(world.done(TILL, add(cart.cart, vec![item(sticker(), 2), item(shirt(), 2)], 5_000)));
    // What came last goes first: what was added, and then of what was there the highest serial.
    let less = cart_of(world.done(TILL, remove(cart.cart, shirt(), 3)));
    assert_eq!((less.cart, count(&less, &shirt()), count(&less, &sticker())), (cart.cart, 2, 2));
    let first: Vec<u32> = cart.items[0].units.iter().take(2).collect();
    let kept: Vec<u32> =
        less.items.iter().filter(|item| item.sku == shirt()).flat_map(|item| item.units.iter()).collect();
    assert_eq!(kept, first);
    assert!(less.until_ms.abs_diff(cart.until_ms) < 1_000);
    let less = cart_of(world.done(TILL, remove(cart.cart, sticker(), 2)));
    assert_eq!(less.total, 2 * 2_500);
    world.converge(5_000);
    for at in 0..3 {
        let line = world.stock(at).unwrap();
        assert_eq!((line.mesh.held, line.mesh.available + line.mesh.in_transit), (2, UNITS - 2));
    }
    let there = cart_of(world.done(OTHER, take(cart.cart)));
    assert_eq!(there.total, less.total);
    let claim = claim_of(world.done(OTHER, pay(cart.cart)));
    assert_eq!(claim.total, less.total);
    world.converge(5_000);
    world.assert_agreed();
}

/// At no moment, on no device, are fewer units put aside than were in the cart before; and none is sold twice.
#[test]
fn the_power_fails_while_a_cart_grows() {
    for seed in 0..40 {
        let mut world = evening(100 + seed);
        let cart = put_aside(&mut world, 3, 600_000);
        world.converge(5_000);
        let call = world.command(TILL, add(cart.cart, vec![item(shirt(), 2), item(sticker(), 1)], 2_000));
        world.run_ms(seed % 15);
        for at in 0..3 {
            assert!(world.stock(at).unwrap().mesh.held >= 3, "seed {seed}, device {at}");
        }
        world.power_cut_with(TILL, seed % 2 == 0);
        world.run_ms(500);
        world.power_on(TILL);
        world.link_all();
        world.run_ms(3_000);
        let told = world.is_answered(call);
        let left = carts(&mut world, TILL);
        assert_eq!(left.len(), 1, "seed {seed}");
        let both = (count(&left[0], &shirt()), count(&left[0], &sticker()));
        assert!(both == (3, 0) && !told || both == (5, 1), "seed {seed}: {both:?}");
        for _ in 0..UNITS - both.0 {
            let _ = world.done(OTHER, Command::Sell(sell(1, 3_000)));
        }
        claim_of(world.done(TILL, pay(cart.cart)));
        world.converge(8_000);
        let claims = world.claims(HQ);
        assert_eq!(units_of(claims.values()).len() as u64, UNITS + both.1, "seed {seed}");
        world.assert_agreed();
    }
}

#[test]
fn the_same_key_adds_once() {
    let mut world = evening(6);
    let cart = put_aside(&mut world, 1, 600_000);
    let key = Idempotency { key: [7; 32], request: [7; 32] };
    let again = |world: &mut World| {
        let call = world.command_with(TILL, add(cart.cart, vec![item(shirt(), 2)], 2_000), Some(key));
        cart_of(world.outcome(call))
    };
    let first = again(&mut world);
    world.nodes[TILL].replies.clear();
    let second = again(&mut world);
    assert_eq!((first.total, second.total), (3 * 2_500, 3 * 2_500));
    world.converge(5_000);
    assert_eq!(carts(&mut world, HQ)[0].total, first.total);
    assert_eq!(night(), first.drop);
}
