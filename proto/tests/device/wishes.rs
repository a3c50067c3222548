//! Wishes that are larger than ordinary ones: they never strip the other devices.

use popmesh_proto::command::{
    CartNew, Command, Leave, MAX_ORDINARY_WISH, Move, Refusal, Reply, RulesSet, Sell, SellItem, Transfer,
    Units,
};
use popmesh_proto::id::DeviceId;

use crate::event::{claim_of, night, sell, shirt, units_of};
use crate::world::World;

/// Four tills with 25 shirts each, and an hq that keeps none.
fn four_tills(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.open_drop(0, 100);
    let tills: Vec<usize> = (1..=4).map(|n| world.add(&format!("till-{n}"), "pos", "hall")).collect();
    let given: Vec<DeviceId> = tills.iter().map(|till| world.nodes[*till].id).collect();
    // From where nobody sells nothing is shared out.
    let lies = |place: &str, units| Move {
        drop: night(),
        sku: shirt(),
        units: Units::Count(units),
        place: place.parse().unwrap(),
    };
    world.done(0, Command::Move(lies("store", 100))).unwrap();
    for (till, to) in tills.iter().zip(given) {
        world.link(0, *till);
        world.run_ms(20);
        let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(25), to };
        world.done(0, Command::Transfer(give)).unwrap();
        world.run_ms(5_000);
        world.cut(0, *till);
        world.done(*till, Command::Move(lies("hall", 25))).unwrap();
    }
    world.link_all();
    world.run_ms(3_000);
    world.converge(5_000);
    assert_eq!(held(&mut world), [0, 25, 25, 25, 25]);
    world
}

/// What each device has free, and what it has put aside.
fn held(world: &mut World) -> Vec<u64> {
    (0..world.nodes.len()).map(|at| world.stock(at).map_or(0, |line| line.own.available)).collect()
}

fn aside(world: &mut World) -> u64 {
    (0..world.nodes.len()).map(|at| world.stock(at).map_or(0, |line| line.own.held)).sum()
}

fn could_get(refused: Result<Reply, Refusal>) -> u64 {
    match refused {
        Err(Refusal::HeldElsewhere { could_get, .. }) => could_get,
        other => panic!("{other:?}"),
    }
}

/// Each till alone sells so many at least.
fn assert_each_sells_alone(world: &mut World, tills: impl Iterator<Item = usize> + Clone, units: u64) {
    for till in tills.clone() {
        world.isolate(till);
    }
    world.run_ms(8_000);
    for till in tills {
        for _ in 0..units {
            claim_of(world.done(till, Command::Sell(sell(1, 0))));
        }
    }
    world.assert_sound();
}

#[test]
fn a_wish_above_all_that_there_is_is_refused_before_anybody_is_asked() {
    let mut world = four_tills(1);
    let (before, entries) = (world.time, world.status(1).entries);
    let refused = world.done(1, Command::Sell(sell(1_000, 60_000)));
    assert_eq!(could_get(refused), 88, "its own, and what three others spare");
    assert!(world.time - before < 50, "{} ms", world.time - before);
    world.run_ms(60_000);
    assert_eq!(held(&mut world), [0, 25, 25, 25, 25]);
    assert_eq!(world.status(1).entries, entries, "nothing was written, and nothing drifts because of it");
    assert_each_sells_alone(&mut world, 2..=4, 25);
}

#[test]
fn a_wish_for_everything_leaves_the_others_what_they_need() {
    let mut world = four_tills(2);
    let refused = world.done(1, Command::Sell(sell(100, 10_000)));
    assert_eq!(could_get(refused), 88);
    world.run_ms(60_000);
    assert_eq!(held(&mut world), [0, 25, 25, 25, 25]);
    let claim = claim_of(world.done(1, Command::Sell(sell(88, 10_000))));
    assert_eq!(units_of([&claim]).len(), 88);
    assert_eq!(aside(&mut world), 0);
    assert_each_sells_alone(&mut world, 2..=4, 4);
}

/// Somebody declines although it was said to have enough: what others gave goes back.
#[test]
fn what_came_for_a_wish_that_ends_in_vain_goes_back() {
    let mut world = four_tills(3);
    // What till 4 would give is never on its disk.
    world.stall(4, true);
    let call = world.command(1, Command::Sell(sell(80, 6_000)));
    world.run_ms(2_500);
    assert_eq!([2, 3].map(|at| world.available(at)), [4, 4], "they have given what they can spare");
    assert_eq!(world.stock(1).unwrap().own.held, 42);
    // Nobody takes what is put aside: neither another sale here, nor one elsewhere, nor the broker.
    world.run_ms(2_000);
    assert_eq!(world.stock(1).unwrap().own.held, 42);
    assert!(matches!(world.outcome(call), Err(Refusal::HeldElsewhere { wanted: 80, .. })));
    world.stall(4, false);
    world.run_ms(3_000);
    world.converge(5_000);
    assert_eq!((held(&mut world), aside(&mut world)), (vec![0, 25, 25, 25, 25], 0));
    world.assert_agreed();
    let entries = world.status(0).entries;
    world.run_ms(60_000);
    assert_eq!(world.status(0).entries, entries, "and it is at rest");
}

#[test]
fn an_ordinary_wish_gets_everybodys_last_unit_and_a_larger_one_does_not() {
    let mut world = World::new(4);
    world.add("till-1", "hq,pos", "hall");
    for n in 2..=5 {
        world.add(&format!("till-{n}"), "pos", "hall");
    }
    world.link_all();
    world.open_drop(0, 5);
    world.run_ms(3_000);
    for to in 1..5 {
        let to = world.nodes[to].id;
        let units = Units::Count(1);
        world.done(0, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    }
    world.run_ms(1_000);
    assert_eq!(held(&mut world), [1; 5]);
    assert_eq!(could_get(world.done(0, Command::Sell(sell(5, 5_000)))), 4, "in two sales it could have them");
    world.run_ms(2_000);
    assert_eq!(held(&mut world), [1; 5]);
    let claim = claim_of(world.done(0, Command::Sell(sell(4, 5_000))));
    assert_eq!(units_of([&claim]).len(), 4);
    claim_of(world.done(0, Command::Sell(sell(1, 5_000))));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn many_ordinary_wishes_in_a_row_sell_everything() {
    let mut world = four_tills(5);
    for _ in 0..25 {
        claim_of(world.done(1, Command::Sell(sell(4, 10_000))));
    }
    assert!(matches!(world.done(1, Command::Sell(sell(4, 10_000))), Err(Refusal::SoldOut { .. })));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn refused_wishes_again_and_again_draw_no_stock() {
    let mut world = four_tills(6);
    for _ in 0..30 {
        could_get(world.done(1, Command::Sell(sell(95, 3_000))));
        world.run_ms(500);
    }
    world.run_ms(10_000);
    assert_eq!(held(&mut world), [0, 25, 25, 25, 25]);
}

#[test]
fn of_two_large_wishes_at_once_one_is_met_and_nothing_stays_put_aside() {
    for seed in 7..12 {
        let mut world = four_tills(seed);
        let calls = [1, 2].map(|at| world.command(at, Command::Sell(sell(60, 10_000))));
        let outcomes = calls.map(|call| world.outcome(call));
        let sold = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(sold, 1, "{outcomes:?}");
        world.run_ms(5_000);
        world.converge(5_000);
        assert_eq!((aside(&mut world), held(&mut world).iter().sum::<u64>()), (0, 40));
        world.assert_agreed();
        let entries = world.status(0).entries;
        world.run_ms(900_000);
        let settled = world.status(0).entries;
        world.run_ms(120_000);
        assert_eq!(world.status(0).entries, settled, "{entries} before");
    }
}

#[test]
fn two_large_wishes_on_one_device_do_not_count_the_same_units() {
    let mut world = four_tills(13);
    let calls = [50, 38].map(|units| world.command(1, Command::Sell(sell(units, 10_000))));
    for call in calls {
        claim_of(world.outcome(call));
    }
    assert_each_sells_alone(&mut world, 2..=4, 4);
}

#[test]
fn ordinary_sales_come_before_large_wishes() {
    for seed in 14..18 {
        let mut world = four_tills(seed);
        world.stall(4, true);
        // It has most of all the units and waits for the rest.
        let large = world.command(1, Command::Sell(sell(85, 8_000)));
        world.run_ms(3_000);
        for at in [2, 3] {
            let before = world.time;
            for _ in 0..5 {
                claim_of(world.done(at, Command::Sell(sell(1, 5_000))));
            }
            assert!(world.time - before < 3_000, "{} ms", world.time - before);
        }
        assert!(world.outcome(large).is_err());
        world.stall(4, false);
        world.run_ms(3_000);
        world.converge(5_000);
        world.assert_agreed();
    }
}

#[test]
fn a_large_cart_is_gathered_like_a_sale_and_goes_back_like_one() {
    let mut world = four_tills(19);
    let new = |quantity, wait_ms| {
        let items = vec![SellItem { sku: shirt(), quantity, unit_price: None }];
        Command::CartNew(CartNew { items, drop: None, ttl_ms: 20_000, shopper: None, wait_ms })
    };
    could_get(world.done(1, new(89, 4_000)));
    world.run_ms(2_000);
    assert_eq!(held(&mut world), [0, 25, 25, 25, 25]);
    let cart = match world.done(1, new(80, 4_000)) {
        Ok(Reply::Cart(cart)) => cart,
        other => panic!("{other:?}"),
    };
    world.run_ms(1_000);
    world.converge(5_000);
    assert_eq!(world.stock(1).unwrap().own.held, 80);
    let sold = claim_of(world.done(1, Command::Sell(Sell { cart: Some(cart.cart), ..Sell::default() })));
    assert_eq!(units_of([&sold]).len(), 80);
    world.converge(5_000);
    world.assert_agreed();
    assert_eq!(aside(&mut world), 0);
}

#[test]
fn a_cart_that_is_let_go_is_on_sale_where_it_was() {
    let mut world = four_tills(20);
    let items = vec![SellItem { sku: shirt(), quantity: 60, unit_price: None }];
    let new = CartNew { items, drop: None, ttl_ms: 5_000, shopper: None, wait_ms: 4_000 };
    world.done(1, Command::CartNew(new)).unwrap();
    world.run_ms(600_000);
    world.converge(5_000);
    assert_eq!((aside(&mut world), held(&mut world).iter().sum::<u64>()), (0, 100));
    world.assert_agreed();
}

#[test]
fn after_a_power_cut_what_came_for_a_wish_goes_back() {
    let mut world = four_tills(21);
    world.stall(4, true);
    world.command(1, Command::Sell(sell(80, 30_000)));
    world.run_ms(2_500);
    assert_eq!(world.stock(1).unwrap().own.held, 42);
    world.power_cut_with(1, true);
    world.stall(4, false);
    world.run_ms(2_000);
    world.power_on(1);
    world.run_ms(10_000);
    world.converge(5_000);
    assert_eq!((held(&mut world), aside(&mut world)), (vec![0, 25, 25, 25, 25], 0));
    world.assert_agreed();
}

#[test]
fn cut_off_in_between_it_is_on_sale_where_it_is_after_its_time() {
    let mut world = four_tills(22);
    world.stall(4, true);
    let call = world.command(1, Command::Sell(sell(80, 5_000)));
    world.run_ms(2_500);
    world.isolate(1);
    assert!(world.outcome(call).is_err());
    world.run_ms(10_000);
    assert_eq!(world.stock(1).map(|line| (line.own.available, line.own.held)), Some((25, 42)));
    world.run_ms(40_000);
    assert_eq!(world.stock(1).map(|line| (line.own.available, line.own.held)), Some((67, 0)));
    world.stall(4, false);
    world.link_all();
    world.run_ms(2_000);
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn it_goes_back_when_who_gave_it_is_in_reach_again_in_time() {
    let mut world = four_tills(23);
    world.stall(4, true);
    let call = world.command(1, Command::Sell(sell(80, 5_000)));
    world.run_ms(2_500);
    world.isolate(1);
    assert!(world.outcome(call).is_err());
    world.run_ms(10_000);
    world.stall(4, false);
    world.link_all();
    world.run_ms(9_000);
    world.converge(5_000);
    // Some have shared out since.
    let held = held(&mut world);
    assert_eq!((held[0], held.iter().sum::<u64>(), aside(&mut world)), (0, 100, 0), "{held:?}");
    assert!(held[1..].iter().all(|units| (23..=27).contains(units)), "{held:?}");
    world.assert_agreed();
}

#[test]
fn it_goes_to_nobody_who_has_left_meanwhile() {
    let mut world = four_tills(24);
    world.stall(4, true);
    let call = world.command(1, Command::Sell(sell(80, 6_000)));
    world.run_ms(2_500);
    let to = Some(world.nodes[3].id);
    world.done(2, Command::Leave(Leave { to, ..Leave::default() })).unwrap();
    assert!(world.outcome(call).is_err());
    world.stall(4, false);
    world.run_ms(20_000);
    world.converge(5_000);
    assert_eq!((held(&mut world)[2], aside(&mut world)), (0, 0));
    assert_eq!(held(&mut world).iter().sum::<u64>(), 100);
    world.assert_agreed();
}

#[test]
fn who_leaves_while_it_waits_gives_everything_away() {
    let mut world = four_tills(25);
    world.stall(4, true);
    let call = world.command(1, Command::Sell(sell(80, 20_000)));
    world.run_ms(2_500);
    let to = Some(world.nodes[0].id);
    world.done(1, Command::Leave(Leave { to, ..Leave::default() })).unwrap();
    assert!(matches!(world.outcome(call), Err(Refusal::Left { .. })));
    world.stall(4, false);
    world.run_ms(20_000);
    world.converge(5_000);
    assert_eq!((held(&mut world)[1], aside(&mut world)), (0, 0));
    world.assert_agreed();
}

#[test]
fn a_sale_of_several_skus_is_as_large_as_all_of_it() {
    let mut world = World::new(26);
    world.add("hq", "hq", "hall");
    world.add("till-1", "pos", "hall");
    world.add("till-2", "pos", "hall");
    world.link_all();
    world.open_drop(0, 12);
    let cap = popmesh_proto::command::ProductAdd::of("cap".parse().unwrap(), "Cap", 900);
    world.done(0, Command::ProductAdd(cap)).unwrap();
    let mint = popmesh_proto::command::LotMint { sku: "cap".parse().unwrap(), ..crate::event::mint(1, 12) };
    world.done(0, Command::LotMint(mint)).unwrap();
    world.run_ms(4_000);
    world.converge(5_000);
    let items = |quantity| {
        ["shirt", "cap"]
            .map(|sku| SellItem { sku: sku.parse().unwrap(), quantity, unit_price: None })
            .to_vec()
    };
    let both = |quantity| Command::Sell(Sell { wait_ms: 4_000, ..Sell::of(items(quantity)) });
    assert!(matches!(world.done(1, both(12)), Err(Refusal::HeldElsewhere { .. })));
    world.run_ms(2_000);
    assert_each_sells_alone(&mut world, 2..=2, 4);
    world.link_all();
    world.run_ms(2_000);
    // Two and two are ordinary.
    claim_of(world.done(1, both(2)));
}

#[test]
fn for_a_pickup_what_lies_elsewhere_is_given_first() {
    let mut world = four_tills(27);
    let place = "yard".parse().unwrap();
    let moved = Move { drop: night(), sku: shirt(), units: Units::Count(15), place };
    world.done(2, Command::Move(moved)).unwrap();
    world.converge(5_000);
    let locker = world.add("locker", "locker", "yard");
    world.link_all();
    world.run_ms(2_000);
    world.converge(5_000);
    let yard_then = world.stock(locker).map_or(0, |line| line.own.available);
    let pickup_at = Some(world.nodes[locker].id);
    // Of till 2: fifteen in the yard, unless they are the locker's by now, and what it can spare here.
    let claim = claim_of(world.done(1, Command::Sell(Sell { pickup_at, ..sell(80, 10_000) })));
    assert_eq!(units_of([&claim]).len(), 80);
    world.converge(5_000);
    println!("the locker had {yard_then}; now {:?}", held(&mut world));
    assert_each_sells_alone(&mut world, 2..=4, 4);
}

#[test]
fn what_is_ordinary_is_a_rule_of_the_event() {
    let mut world = four_tills(28);
    let set = |units| Command::RulesSet(RulesSet { ordinary_wish: Some(units), ..RulesSet::default() });
    for wrong in [0, MAX_ORDINARY_WISH + 1] {
        assert!(matches!(world.done(0, set(wrong)), Err(Refusal::Invalid { .. })));
    }
    match world.done(0, set(10)) {
        Ok(Reply::Rules(rules)) => assert_eq!(rules.ordinary_wish, 10),
        other => panic!("{other:?}"),
    }
    world.converge(5_000);
    assert_eq!(could_get(world.done(1, Command::Sell(sell(100, 5_000)))), 25 + 3 * 15);
    let before = world.status(0).entries;
    world.done(0, set(10)).unwrap();
    assert_eq!(world.status(0).entries, before, "nothing is changed");
    world.done(0, set(100)).unwrap();
    world.converge(5_000);
    claim_of(world.done(1, Command::Sell(sell(100, 10_000))));
}
