//! An evening without failures, and one with a link down: selling out, asking, being cut off, coming back.

use popmesh_proto::command::{
    ClaimState, Command, Damage, Holder, LotMint, Move, Refusal, Sell, Transfer, Units,
};
use popmesh_proto::fact::Signal;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::StepKind;

use crate::event::{claim_of, mint, night, sell, shirt, units_of};
use crate::world::{EPOCH_MS, World};

/// An hq, two tills, an encoder and a locker, all linked, and a drop of so many shirts.
fn evening(seed: u64, units: u32) -> World {
    let mut world = World::new(seed);
    for (name, roles) in
        [("hq", "hq"), ("till-1", "pos"), ("till-2", "pos"), ("encoder", "encoder"), ("locker", "locker")]
    {
        world.add(name, roles, "hall");
    }
    world.link_all();
    world.open_drop(0, units);
    world.converge(5_000);
    world
}

#[test]
fn sells_out_on_all_devices_at_once_and_no_unit_twice() {
    let mut world = evening(1, 100);
    world.run_ms(3_000);
    let mut claims = Vec::new();
    let mut sold_out = 0;
    while sold_out == 0 {
        let calls: Vec<_> = (0..5).map(|at| world.command(at, Command::Sell(sell(1, 20_000)))).collect();
        for call in calls {
            match world.outcome(call) {
                Err(Refusal::SoldOut { minted: 100, .. }) => sold_out += 1,
                outcome => claims.push(claim_of(outcome)),
            }
        }
        assert!(claims.len() <= 100);
    }
    assert_eq!(claims.len(), 100);
    let serials: Vec<u32> = units_of(&claims).into_iter().map(|(_, serial)| serial).collect();
    assert_eq!(serials, (1..=100).collect::<Vec<_>>());
    assert!(claims.iter().all(|claim| claim.total == 2500 && claim.state == ClaimState::Redeemed));
    let took = world.converge(5_000);
    assert!(took < 2_000, "{took} ms to agree");
    world.assert_agreed();
    assert_eq!(world.claims(3).len(), 100);
    assert_eq!(world.stock(4).unwrap().mesh.sold, 100);
}

#[test]
fn the_lot_is_shared_out_before_anybody_asks() {
    let mut world = evening(2, 100);
    world.run_ms(5_000);
    for till in 1..5 {
        let held = world.available(till);
        assert!((15..=30).contains(&held), "device {till} holds {held}");
    }
    world.assert_agreed();
}

#[test]
fn a_device_that_holds_nothing_sells_by_asking() {
    let mut world = evening(3, 1);
    world.run_ms(3_000);
    let empty = (1..5).find(|at| world.available(*at) == 0).unwrap();
    let before = world.time;
    let call = world.command(empty, Command::Sell(sell(1, 5_000)));
    let claim = claim_of(world.outcome(call));
    assert!(world.time - before < 200, "{} ms", world.time - before);
    assert_eq!(claim.seller, world.nodes[empty].id);
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn who_gave_nothing_is_asked_again_after_all_others() {
    let mut world = World::new(24);
    for (name, roles) in [("hq", "hq"), ("slow-1", "pos"), ("slow-2", "pos"), ("till", "pos")] {
        world.add(name, roles, "hall");
    }
    world.link(0, 1);
    world.link(0, 2);
    world.open_drop(0, 9);
    for slow in [1, 2] {
        let (drop, to) = (night(), world.nodes[slow].id);
        world
            .done(0, Command::Transfer(Transfer { drop, sku: shirt(), units: Units::Count(4), to }))
            .unwrap();
    }
    world.run_ms(1_000);
    assert_eq!([0, 1, 2].map(|at| world.available(at)), [1, 4, 4]);
    // What these two would give is never on their disks.
    world.stall(1, true);
    world.stall(2, true);
    world.link_all();
    world.run_ms(500);
    assert_eq!(world.available(3), 0);
    let before = world.time;
    let call = world.command(3, Command::Sell(sell(1, 20_000)));
    claim_of(world.outcome(call));
    let took = world.time - before;
    assert!(took < 2_500, "{took} ms: each of the two was asked once, for a second");
}

#[test]
fn a_sale_larger_than_any_holding_is_gathered_from_all() {
    let mut world = evening(4, 40);
    world.run_ms(4_000);
    // All others keep four, what an ordinary sale takes.
    let claim = claim_of(world.done(2, Command::Sell(sell(24, 20_000))));
    assert_eq!(units_of([&claim]).len(), 24);
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn cut_off_it_sells_what_it_holds_and_then_says_who_has_the_rest() {
    let mut world = evening(5, 100);
    world.run_ms(5_000);
    let held = world.available(1);
    world.isolate(1);
    world.run_ms(8_000);
    for _ in 0..held {
        claim_of(world.done(1, Command::Sell(sell(1, 5_000))));
    }
    let asked = world.time;
    let refused = world.done(1, Command::Sell(sell(1, 5_000)));
    let waited = world.time - asked;
    let Err(Refusal::HeldElsewhere { wanted: 1, held: 0, holders, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(waited < 2_500, "nobody is in reach, and it waited {waited} ms");
    assert_eq!(holders.iter().map(|holder| holder.units).sum::<u64>(), 100 - held);
    for Holder { reachable, last_heard_ms, places, .. } in holders {
        assert!(!reachable);
        assert_eq!(places, ["hall".parse().unwrap()]);
        let heard = last_heard_ms.unwrap() - EPOCH_MS;
        assert!(heard + 8_000 < world.time + 200 && heard > 0, "heard at {heard}, now {}", world.time);
    }
    assert!(
        world.signals.iter().any(|(at, signal)| *at == 1 && matches!(signal, Signal::HeldElsewhere { .. }))
    );
    world.assert_sound();

    world.link_all();
    world.converge(5_000);
    world.assert_agreed();
    claim_of(world.done(1, Command::Sell(sell(1, 5_000))));
}

#[test]
fn without_any_link_nobody_is_reachable_and_with_one_the_silent_still_are() {
    let mut world = evening(11, 10);
    world.run_ms(3_000);
    let reachable = |world: &mut World, at| match world.query(at, Query::Status) {
        Answer::Status(status) => status.reachable,
        other => panic!("{other:?}"),
    };
    for other in 2..5 {
        world.cut(1, other);
    }
    assert_eq!(reachable(&mut world, 1), 5, "through the one that is left");
    world.cut(1, 0);
    assert_eq!(reachable(&mut world, 1), 1, "it reaches itself alone");
    world.link(1, 0);
    world.run_ms(3_000);
    assert_eq!(reachable(&mut world, 1), 5);
}

#[test]
fn a_refusal_without_waiting_is_noticed_too() {
    let mut world = evening(6, 10);
    world.isolate(1);
    let refused = world.done(1, Command::Sell(sell(11, 0)));
    assert!(matches!(refused, Err(Refusal::HeldElsewhere { .. })), "{refused:?}");
    assert!(
        world.signals.iter().any(|(at, signal)| *at == 1 && matches!(signal, Signal::HeldElsewhere { .. }))
    );
}

#[test]
fn both_sides_of_a_cut_go_on_and_agree_afterwards() {
    let mut world = evening(7, 100);
    world.run_ms(5_000);
    for (a, b) in [(0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4)] {
        world.cut(a, b);
    }
    let mut claims = Vec::new();
    for _ in 0..15 {
        for at in [1, 3] {
            claims.push(claim_of(world.done(at, Command::Sell(sell(1, 10_000)))));
        }
    }
    units_of(&claims);
    world.assert_sound();
    world.link_all();
    let took = world.converge(10_000);
    assert!(took < 5_000, "{took} ms to agree");
    world.assert_agreed();
    assert_eq!(world.claims(0).len(), 30);
}

#[test]
fn stock_returns_from_who_is_idle_to_who_sells() {
    let mut world = evening(8, 100);
    world.run_ms(5_000);
    let idle = world.available(2);
    let mut sold = 0;
    // Four shirts a second on one till: the others' share comes to it before it runs out.
    for _ in 0..8 {
        for _ in 0..4 {
            sold += units_of([&claim_of(world.done(1, Command::Sell(sell(1, 0))))]).len();
        }
        world.run_ms(1_000);
    }
    assert_eq!(sold, 32);
    assert!(world.available(2) < idle / 2, "{} of {idle}", world.available(2));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn a_walk_in_takes_only_what_lies_here_and_a_pickup_anything() {
    let mut world = evening(9, 5);
    let yard = world.add("yard-till", "pos", "yard");
    world.link_all();
    world.converge(5_000);
    let refused = world.done(yard, Command::Sell(sell(1, 3_000)));
    assert!(matches!(refused, Err(Refusal::HeldElsewhere { .. })), "{refused:?}");

    let locker = world.nodes[4].id;
    let pickup = Sell { pickup_at: Some(locker), ..sell(1, 3_000) };
    let claim = claim_of(world.done(yard, Command::Sell(pickup)));
    assert_eq!((claim.state, claim.custodian), (ClaimState::Issued, locker));
    world.converge(5_000);
    world.assert_agreed();
    let line = world.stock(0).unwrap();
    assert_eq!((line.mesh.committed, line.mesh.sold), (1, 0));
}

#[test]
fn only_the_holder_moves_a_unit_and_then_it_sells_there() {
    let mut world = evening(10, 0);
    let yard = world.add("yard-till", "pos", "yard");
    world.link_all();
    world.done(0, Command::LotMint(mint(1, 3))).unwrap();
    world.converge(5_000);
    let moved = Move {
        drop: night(),
        sku: shirt(),
        units: Units::Serials("2".parse().unwrap()),
        place: "yard".parse().unwrap(),
    };
    let holder = (0..5).find(|at| world.done(*at, Command::Move(moved.clone())).is_ok());
    assert!(holder.is_some());
    world.converge(5_000);
    let claim = claim_of(world.done(yard, Command::Sell(sell(1, 5_000))));
    assert_eq!(claim.items[0].units.to_string(), "2");
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn damaged_units_are_not_sold_and_given_ones_are_the_receivers() {
    let mut world = evening(11, 0);
    world.isolate(0);
    world.done(0, Command::LotMint(mint(1, 10))).unwrap();
    let units = Units::Serials("4-6".parse().unwrap());
    world.done(0, Command::Damage(Damage { drop: night(), sku: shirt(), units: units.clone() })).unwrap();
    let to = world.nodes[3].id;
    let given = Transfer { drop: night(), sku: shirt(), units, to };
    assert!(matches!(world.done(0, Command::Transfer(given.clone())), Err(Refusal::NotHeld { held: 7, .. })));
    let given = Transfer { units: Units::Serials("7-10".parse().unwrap()), ..given };
    world.done(0, Command::Transfer(given)).unwrap();
    let line = world.stock(0).unwrap();
    assert_eq!((line.own.available, line.own.damaged, line.own.in_transit), (3, 3, 4));
    world.link_all();
    world.run_ms(1_000);
    world.converge(5_000);
    world.assert_agreed();
    let line = world.stock(0).unwrap();
    assert_eq!((line.mesh.in_transit, line.own.in_transit), (0, 0), "the receivers have said so");
    let claim = claim_of(world.done(3, Command::Sell(sell(7, 10_000))));
    assert_eq!(units_of([&claim]).len(), 7);
    assert!(matches!(world.done(1, Command::Sell(sell(1, 5_000))), Err(Refusal::SoldOut { .. })));
}

#[test]
fn a_sale_that_waits_is_not_made_after_the_drop_has_closed() {
    let mut world = evening(12, 3);
    let call = world.command(0, Command::Sell(sell(4, 30_000)));
    world.run_ms(500);
    world.done(0, Command::step(night(), StepKind::Close)).unwrap();
    world.done(0, Command::LotMint(LotMint { drop: night(), ..mint(4, 9) })).unwrap_err();
    let refused = world.outcome(call);
    assert!(matches!(refused, Err(Refusal::DropNotOpen { .. })), "{refused:?}");
}
