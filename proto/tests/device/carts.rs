//! Carts: what is put aside is nobody else's, survives power cuts, and comes back when its time is over.

use popmesh_proto::command::{Cart, CartNew, CartTake, Command, Redeem, Refusal, Reply, Sell, SellItem};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, CartFilter, Query};

use crate::event::{claim_of, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;
const UNITS: u64 = 12;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, UNITS as u32);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn put_aside(world: &mut World, at: usize, quantity: u64, ttl_ms: u64) -> Cart {
    let items = vec![SellItem { sku: shirt(), quantity, unit_price: None }];
    match world
        .done(at, Command::CartNew(CartNew { items, drop: None, ttl_ms, shopper: None, wait_ms: 5_000 }))
    {
        Ok(Reply::Cart(cart)) => cart,
        other => panic!("{other:?}"),
    }
}

fn pay(cart: Ref) -> Command {
    Command::Sell(Sell { items: Vec::new(), cart: Some(cart), ..sell(1, 0) })
}

fn carts(world: &mut World, at: usize) -> Vec<Cart> {
    match world.query(at, Query::Carts(CartFilter::default())) {
        Answer::Carts(carts) => carts,
        other => panic!("{other:?}"),
    }
}

fn levels(world: &mut World, at: usize) -> (u64, u64) {
    let line = world.stock(at).unwrap();
    (line.mesh.available, line.mesh.held)
}

#[test]
fn a_cart_is_paid_where_it_is_held_and_its_units_are_nobody_elses_until_then() {
    let mut world = evening(1);
    let cart = put_aside(&mut world, TILL, 3, 600_000);
    world.converge(5_000);
    for at in 0..3 {
        assert_eq!(levels(&mut world, at), (UNITS - 3, 3), "on device {at}");
        assert_eq!(carts(&mut world, at).len(), 1);
    }
    // All the rest is sold; what is in the cart is not sold out, and not for sale.
    for _ in 0..UNITS - 3 {
        claim_of(world.done(OTHER, Command::Sell(sell(1, 10_000))));
    }
    for at in [TILL, OTHER] {
        let refused = world.done(at, Command::Sell(sell(1, 500))).unwrap_err();
        assert!(matches!(refused, Refusal::HeldElsewhere { on_hold: 3, .. }), "{refused:?}");
        assert!(refused.to_string().contains("3 are on hold in carts"), "{refused}");
    }
    let elsewhere = world.done(OTHER, pay(cart.cart)).unwrap_err();
    assert_eq!(
        elsewhere.to_string(),
        format!("cart {} is on till; pay it there, or take it over with `popmesh cart take`", cart.cart)
    );
    let claim = claim_of(world.done(TILL, pay(cart.cart)));
    assert_eq!((claim.items, claim.total), (cart.items, cart.total));
    assert!(matches!(world.done(TILL, pay(cart.cart)), Err(Refusal::UnknownCart { .. })));
    world.converge(5_000);
    assert_eq!(levels(&mut world, HQ), (0, 0));
    let refused = world.done(TILL, Command::Sell(sell(1, 500))).unwrap_err();
    assert!(matches!(refused, Refusal::SoldOut { .. }), "{refused:?}");
    world.assert_agreed();
}

#[test]
fn a_released_cart_and_one_whose_time_is_over_are_for_sale_again() {
    let mut world = evening(2);
    let (released, expires) =
        (put_aside(&mut world, TILL, 2, 600_000), put_aside(&mut world, TILL, 1, 5_000));
    world.converge(5_000);
    assert_eq!(levels(&mut world, OTHER), (UNITS - 3, 3));
    assert!(matches!(
        world.done(OTHER, Command::CartRelease(released.cart)),
        Err(Refusal::CartElsewhere { .. })
    ));
    world.done(TILL, Command::CartRelease(released.cart)).unwrap();
    world.run_ms(5_000);
    world.converge(5_000);
    assert_eq!(levels(&mut world, OTHER), (UNITS, 0));
    for cart in [released.cart, expires.cart] {
        assert!(matches!(world.done(TILL, pay(cart)), Err(Refusal::UnknownCart { .. })));
    }
    world.assert_agreed();
}

#[test]
fn a_cart_outlives_a_power_cut_with_the_time_that_is_left_of_it() {
    let mut world = evening(3);
    let (short, long) = (put_aside(&mut world, TILL, 1, 20_000), put_aside(&mut world, TILL, 3, 60_000));
    world.run_ms(5_000);
    world.power_cut(TILL);
    world.run_ms(30_000);
    // Nobody else can sell what is in them meanwhile.
    let rest = world.stock(OTHER).unwrap().reachable;
    for _ in 0..rest {
        claim_of(world.done(OTHER, Command::Sell(sell(1, 5_000))));
    }
    assert!(world.done(OTHER, Command::Sell(sell(1, 1_000))).is_err());
    world.power_on(TILL);
    world.run_ms(100);
    let left = carts(&mut world, TILL);
    assert_eq!(left.iter().map(|cart| cart.cart).collect::<Vec<_>>(), [long.cart], "{left:?}");
    assert!(left[0].until_ms.abs_diff(long.until_ms) < 1_000, "{} and {}", left[0].until_ms, long.until_ms);
    assert!(matches!(world.done(TILL, pay(short.cart)), Err(Refusal::UnknownCart { .. })));
    let claim = claim_of(world.done(TILL, pay(long.cart)));
    assert_eq!(claim.items, long.items);
    world.link_all();
    world.converge(10_000);
    world.assert_agreed();
}

fn take(cart: Ref, wait_ms: u64) -> Command {
    Command::CartTake(CartTake { cart: Some(cart), token: None, wait_ms })
}

fn taken(outcome: Result<Reply, Refusal>) -> Cart {
    match outcome {
        Ok(Reply::Cart(cart)) => cart,
        other => panic!("{other:?}"),
    }
}

fn token_of(world: &mut World, at: usize, cart: Ref) -> String {
    match world.query(at, Query::CartToken(cart)) {
        Answer::CartToken(Ok(token)) => token.token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cart_goes_to_the_till_that_asks_for_it_and_stays_put_aside_all_the_way() {
    let mut world = evening(11);
    let cart = put_aside(&mut world, TILL, 3, 600_000);
    world.converge(5_000);
    world.run_ms(60_000);
    let there = taken(world.done(OTHER, take(cart.cart, 5_000)));
    assert_eq!((there.holder, there.total), (world.nodes[OTHER].id, cart.total));
    let left_ms = there.until_ms - world.now(OTHER).wall_ms;
    assert!((530_000..=540_000).contains(&left_ms), "{left_ms}");
    // Asked again, it is here.
    assert_eq!(taken(world.done(OTHER, take(cart.cart, 0))).items, there.items);
    assert!(matches!(world.done(TILL, pay(cart.cart)), Err(Refusal::CartElsewhere { .. })));
    for _ in 0..2 {
        world.power_cut(OTHER);
        world.power_on(OTHER);
        world.link_all();
    }
    world.converge(5_000);
    for at in 0..3 {
        assert_eq!(levels(&mut world, at), (UNITS - 3, 3), "on device {at}");
    }
    // Back, and paid there.
    taken(world.done(TILL, take(cart.cart, 5_000)));
    let claim = claim_of(world.done(TILL, pay(cart.cart)));
    assert_eq!(claim.total, cart.total);
    world.converge(5_000);
    assert_eq!(levels(&mut world, HQ), (UNITS - 3, 0));
    assert!(matches!(world.done(OTHER, take(cart.cart, 500)), Err(Refusal::UnknownCart { .. })));
    world.assert_agreed();
}

#[test]
fn a_token_is_enough_to_find_a_cart_that_this_till_has_never_heard_of() {
    let mut world = evening(12);
    world.isolate(OTHER);
    world.run_ms(1_000);
    let cart = put_aside(&mut world, TILL, 2, 600_000);
    let token = token_of(&mut world, TILL, cart.cart);
    let by_token = |wait_ms| Command::CartTake(CartTake { cart: None, token: Some(token.clone()), wait_ms });
    world.run_ms(20_000);
    let refused = world.done(OTHER, by_token(2_000)).unwrap_err();
    let Refusal::CartOutOfReach { name, offers, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((name.as_str(), offers[0].wanted), ("till", 2));
    assert!(refused.to_string().contains("did not answer (last heard"), "{refused}");
    world.link_all();
    world.run_ms(3_000);
    assert_eq!(taken(world.done(OTHER, by_token(5_000))).items, cart.items);
    // It is no claim, and a claim's token is no cart's.
    let redeem = Command::Redeem(Redeem::by_token(token.clone()));
    let refused = world.done(OTHER, redeem).unwrap_err().to_string();
    assert!(refused.contains("the token of a cart, which is not paid yet"), "{refused}");
    let claim = claim_of(world.done(OTHER, pay(cart.cart)));
    world.converge(5_000);
    assert!(matches!(world.done(TILL, by_token(1_000)), Err(Refusal::UnknownCart { .. })));
    assert_eq!(claim.total, cart.total);
    world.assert_agreed();
}

#[test]
fn a_cart_that_moves_as_the_power_fails_is_on_one_till_and_never_sold_twice() {
    for seed in 0..60 {
        let mut world = evening(100 + seed);
        let cart = put_aside(&mut world, TILL, 3, 600_000);
        world.converge(5_000);
        let call = world.command(OTHER, take(cart.cart, 3_000));
        world.run_ms(seed % 20);
        let victim = if seed % 2 == 0 { TILL } else { OTHER };
        world.power_cut(victim);
        world.run_ms(500);
        world.power_on(victim);
        world.link_all();
        if victim == TILL {
            let _ = world.outcome(call);
        }
        world.converge(10_000);
        for at in 0..3 {
            assert_eq!(levels(&mut world, at), (UNITS - 3, 3), "seed {seed}, device {at}");
        }
        let sold: Vec<_> =
            [TILL, OTHER].into_iter().filter(|at| world.done(*at, pay(cart.cart)).is_ok()).collect();
        assert_eq!(sold.len(), 1, "seed {seed}");
        world.converge(5_000);
        world.assert_agreed();
    }
}
