//! Doors: opened once, after the redemption is durable, and what became of it is for a person where nobody knows.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{
    Claim, ClaimState, Command, Door, DoorOpen, DoorReport, DoorSettle, DoorState, Doors, GiveCustody, Lying,
    Move, Redeem, Redeemed, Refund, Refusal, Reply, Transfer, Units,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{self, Behaved, Body};
use popmesh_proto::text::{Compartment, Place};
use popmesh_proto::units::UnitSet;

use crate::author::begin;
use crate::event::{claim_of, night, sell, shirt};
use crate::rng::Rng;
use crate::wire::{entries, range};
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;

fn compartment(name: &str) -> Compartment {
    name.parse().unwrap()
}

fn serials(text: &str) -> UnitSet {
    text.parse().unwrap()
}

/// Units 1 to 8 lie in compartments 07 and 08 of the locker, four in each; the till may sell those of 07.
fn stowed(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("locker", "locker", "hall");
    world.nodes[LOCKER].doors = true;
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    world.link_all();
    world.open_drop(HQ, 12);
    give(&mut world, HQ, "1-8", LOCKER);
    world.converge(5_000);
    stow(&mut world, "1-4", "locker/07");
    stow(&mut world, "5-8", "locker/08");
    give(&mut world, LOCKER, "1-4", TILL);
    world.converge(5_000);
    world
}

fn give(world: &mut World, from: usize, units: &str, to: usize) {
    let to = world.nodes[to].id;
    let units = Units::Serials(serials(units));
    world.done(from, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
}

fn stow(world: &mut World, units: &str, place: &str) {
    let (units, place) = (Units::Serials(serials(units)), place.parse().unwrap());
    world.done(LOCKER, Command::Move(Move { drop: night(), sku: shirt(), units, place })).unwrap();
}

fn sold(world: &mut World, at: usize, quantity: u64) -> Claim {
    let mut sell = sell(quantity, 0);
    sell.pickup_at = Some(world.nodes[LOCKER].id);
    claim_of(world.done(at, Command::Sell(sell)))
}

fn token(world: &mut World, claim: Ref) -> String {
    match world.query(TILL, Query::Token(claim)) {
        Answer::Token(token) => token.unwrap().token,
        other => panic!("{other:?}"),
    }
}

fn show(world: &mut World, token: &str) -> Result<Redeemed, Refusal> {
    match world.done(LOCKER, Command::Redeem(Redeem::by_token(token.to_owned()))) {
        Ok(Reply::Redeemed(redeemed)) => Ok(redeemed),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

/// Says how the door behaved that was opened last.
fn report(world: &mut World, problem: Option<&str>) -> Result<Door, Refusal> {
    let (at, redemption, compartment) = world.opened.last().unwrap().clone();
    let problem = problem.map(str::to_owned);
    door_of(world.done(at, Command::DoorReport(DoorReport { redemption, compartment, problem })))
}

fn settle(world: &mut World, at: usize, claim: Ref, handed_over: bool) -> Result<Door, Refusal> {
    door_of(world.done(at, Command::DoorSettle(DoorSettle { claim, handed_over, by: "Ana".to_owned() })))
}

fn open(world: &mut World, at: usize, claim: Ref) -> Result<Door, Refusal> {
    door_of(world.done(at, Command::DoorOpen(DoorOpen { claim })))
}

fn door_of(result: Result<Reply, Refusal>) -> Result<Door, Refusal> {
    match result {
        Ok(Reply::Door(door)) => Ok(door),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn doors(world: &mut World, at: usize) -> Doors {
    match world.query(at, Query::Doors) {
        Answer::Doors(doors) => doors,
        other => panic!("{other:?}"),
    }
}

/// What lies in a compartment of the locker: serials, and whether they are sold.
fn inside(world: &mut World, name: &str) -> Vec<(String, Option<Ref>)> {
    let doors = doors(world, LOCKER);
    let info = doors.compartments.into_iter().find(|info| info.compartment == compartment(name));
    let of = |lying: Lying| (lying.units.to_string(), lying.claim);
    info.map(|info| info.items.into_iter().map(of).collect()).unwrap_or_default()
}

#[test]
fn the_token_alone_opens_the_door_that_the_locker_stowed_the_units_behind() {
    let mut world = stowed(1);
    world.isolate(LOCKER);
    let claim = sold(&mut world, TILL, 2);
    assert_eq!(claim.items[0].units, serials("1-2"), "what lies in the locker goes first");
    let text = token(&mut world, claim.claim);
    world.stall(LOCKER, true);
    let call = world.command(LOCKER, Command::Redeem(Redeem::by_token(text.clone())));
    world.run_ms(500);
    assert_eq!(world.opened, [], "no door opens before it is durable");
    world.stall(LOCKER, false);
    let Ok(Reply::Redeemed(handed)) = world.outcome(call) else { panic!("not handed out") };
    assert_eq!(world.opened, [(LOCKER, handed.entry, compartment("07"))]);
    assert_eq!(handed.doors, [compartment("07")]);
    assert_eq!(handed.items[0].place, Some("locker/07".parse().unwrap()));
    assert_eq!(handed.items[0].compartment, Some(compartment("07")));
    let door = report(&mut world, None).unwrap();
    assert_eq!((door.state, door.in_doubt, door.being_opened), (DoorState::Opened, false, false));
    assert_eq!(inside(&mut world, "07"), [("3-4".to_owned(), None)], "the locker has not heard of the sale");
    for _ in 0..3 {
        assert!(matches!(show(&mut world, &text), Err(Refusal::AlreadyRedeemed { .. })));
        world.power_cut(LOCKER);
        world.power_on(LOCKER);
    }
    assert!(matches!(open(&mut world, LOCKER, claim.claim), Err(Refusal::DoorDone { .. })));
    assert_eq!(world.opened.len(), 1, "a second showing opens nothing");
    world.link_all();
    world.converge(5_000);
    for at in 0..3 {
        let known = &world.claims(at)[&claim.claim];
        assert_eq!(known.state, ClaimState::Redeemed);
        assert_eq!(known.door.as_ref().map(|door| door.state), Some(DoorState::Opened));
        assert_eq!(doors(&mut world, at).to_look_at, []);
    }
    assert_eq!(inside(&mut world, "07"), [("3-4".to_owned(), None)]);
    world.assert_agreed();
}

#[test]
fn after_a_power_cut_in_between_nobody_opens_by_himself_and_a_person_settles() {
    for handed_over in [true, false] {
        let mut world = stowed(2);
        let claim = sold(&mut world, TILL, 1).claim;
        world.converge(5_000);
        world.isolate(LOCKER);
        let text = token(&mut world, claim);
        show(&mut world, &text).unwrap();
        assert!(matches!(settle(&mut world, LOCKER, claim, true), Err(Refusal::DoorOpening { .. })));
        assert!(!doors(&mut world, LOCKER).compartments[0].last.as_ref().unwrap().in_doubt);
        for _ in 0..3 {
            world.power_cut(LOCKER);
            world.power_on(LOCKER);
            world.run_ms(2_000);
        }
        assert_eq!(world.opened.len(), 1);
        let to_look_at = doors(&mut world, LOCKER).to_look_at;
        let [door] = to_look_at.as_slice() else { panic!("{to_look_at:?}") };
        assert_eq!((door.claim, door.state, door.in_doubt), (claim, DoorState::Opening, true));
        assert_eq!(inside(&mut world, "07")[1], ("1".to_owned(), Some(claim)), "it may lie there still");
        let settled = settle(&mut world, LOCKER, claim, handed_over).unwrap();
        assert_eq!((settled.state, settled.looked.as_deref()), (DoorState::Settled, Some("Ana")));
        let lies_there = inside(&mut world, "07").iter().any(|(_, of)| *of == Some(claim));
        assert_eq!(lies_there, !handed_over);
        assert!(matches!(settle(&mut world, LOCKER, claim, true), Err(Refusal::DoorDone { .. })));
        assert!(matches!(open(&mut world, LOCKER, claim), Err(Refusal::DoorDone { .. })));
        assert!(matches!(report(&mut world, None), Err(Refusal::DoorDone { .. })), "too late");
        world.link_all();
        world.converge(5_000);
        assert!(matches!(settle(&mut world, TILL, claim, true), Err(Refusal::DoorElsewhere { .. })));
        for at in 0..3 {
            assert_eq!(
                doors(&mut world, at).to_look_at.len(),
                usize::from(!handed_over),
                "all the crew sees it"
            );
            assert_eq!(world.claims(at)[&claim].door.as_ref().unwrap().handed_over, Some(handed_over));
        }
        world.assert_agreed();
        if !handed_over {
            let refund = Refund { claim, items: Vec::new(), damaged: false };
            // The locker has no drawer: the till pays.
            world.done(TILL, Command::Refund(refund)).unwrap();
            world.converge(5_000);
            assert_eq!(doors(&mut world, HQ).to_look_at, [], "paid back, there is nothing left to do");
            assert_eq!(inside(&mut world, "07"), [("1-4".to_owned(), None)], "it lies there, for sale again");
            world.assert_agreed();
        }
    }
}

#[test]
fn a_redemption_that_cannot_be_written_down_opens_nothing() {
    let mut world = stowed(9);
    let claim = sold(&mut world, TILL, 1).claim;
    world.converge(5_000);
    let text = token(&mut world, claim);
    world.stall(LOCKER, true);
    let call = world.command(LOCKER, Command::Redeem(Redeem::by_token(text.clone())));
    world.fail_write(LOCKER);
    assert!(matches!(world.outcome(call), Err(Refusal::NotStored { .. })));
    world.power_cut_with(LOCKER, false);
    world.power_on(LOCKER);
    world.run_ms(2_000);
    assert_eq!(world.opened, []);
    assert_eq!(show(&mut world, &text).unwrap().doors, [compartment("07")]);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_stuck_door_is_tried_again_and_each_door_by_itself() {
    let mut world = stowed(3);
    give(&mut world, LOCKER, "5-8", TILL);
    world.converge(5_000);
    let claim = sold(&mut world, TILL, 6).claim;
    world.converge(5_000);
    let text = token(&mut world, claim);
    let handed = show(&mut world, &text).unwrap();
    assert_eq!(handed.doors, [compartment("07"), compartment("08")]);
    assert_eq!(world.opened.len(), 2);
    let long = format!("jammed\n{}", "x".repeat(300));
    let stuck = report(&mut world, Some(&long)).unwrap();
    assert_eq!(stuck.state, DoorState::Stuck);
    assert!(stuck.problem.unwrap().starts_with("jammed x"));
    let first = world.opened[0].clone();
    assert!(matches!(open(&mut world, LOCKER, claim), Err(Refusal::DoorOpening { .. })), "07 is on its way");
    let (at, redemption, compartment_7) = first;
    let report_7 = DoorReport { redemption, compartment: compartment_7.clone(), problem: None };
    world.done(at, Command::DoorReport(report_7.clone())).unwrap();
    assert!(world.done(at, Command::DoorReport(report_7)).is_err(), "it opened already");
    let odd = DoorReport { redemption, compartment: compartment("09"), problem: None };
    assert!(matches!(world.done(at, Command::DoorReport(odd)), Err(Refusal::Invalid { .. })));
    world.converge(5_000);
    assert_eq!(doors(&mut world, TILL).to_look_at.len(), 1);
    assert_eq!(doors(&mut world, TILL).to_look_at[0].shut, [compartment("08")]);
    open(&mut world, LOCKER, claim).unwrap();
    assert_eq!(world.opened.len(), 3);
    assert_eq!(world.opened[2].2, compartment("08"), "07 stays shut");
    report(&mut world, Some("still jammed")).unwrap();
    open(&mut world, LOCKER, claim).unwrap();
    assert_eq!(report(&mut world, None).unwrap().state, DoorState::Opened);
    world.converge(5_000);
    assert_eq!(doors(&mut world, TILL).to_look_at, []);
    world.assert_agreed();
}

#[test]
fn what_was_paid_back_is_not_opened_again() {
    let mut world = stowed(4);
    let claim = sold(&mut world, TILL, 1).claim;
    world.converge(5_000);
    let text = token(&mut world, claim);
    show(&mut world, &text).unwrap();
    report(&mut world, Some("jammed")).unwrap();
    world.converge(5_000);
    world.done(TILL, Command::Refund(Refund { claim, items: Vec::new(), damaged: false })).unwrap();
    world.converge(5_000);
    assert!(matches!(open(&mut world, LOCKER, claim), Err(Refusal::AlreadyRefunded { .. })));
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_device_without_doors_says_where_things_lie_and_opens_nothing() {
    let mut world = stowed(5);
    world.nodes[LOCKER].doors = false;
    world.power_cut(LOCKER);
    world.power_on(LOCKER);
    let claim = sold(&mut world, TILL, 1).claim;
    let text = token(&mut world, claim);
    let handed = show(&mut world, &text).unwrap();
    assert_eq!((handed.items[0].compartment.clone(), handed.doors), (Some(compartment("07")), Vec::new()));
    assert_eq!(world.opened, []);
    assert!(matches!(open(&mut world, LOCKER, claim), Err(Refusal::NoDriver)));
    assert!(matches!(settle(&mut world, LOCKER, claim, true), Err(Refusal::NoDoor { .. })));
    assert_eq!(inside(&mut world, "07"), [("2-4".to_owned(), None)]);
}

#[test]
fn units_that_were_stowed_elsewhere_since_lie_there() {
    let mut world = stowed(6);
    // The till, who holds them, has two of them carried to the hall; the locker hears of it. Of 3 it does not.
    let moved = |units: &str, place: &str| {
        let (units, place) = (Units::Serials(serials(units)), place.parse::<Place>().unwrap());
        Command::Move(Move { drop: night(), sku: shirt(), units, place })
    };
    world.done(TILL, moved("1", "hall")).unwrap();
    stow(&mut world, "5", "locker/07");
    give(&mut world, LOCKER, "5", TILL);
    world.converge(5_000);
    world.isolate(LOCKER);
    world.run_ms(6_000);
    let claim = sold(&mut world, TILL, 5);
    let text = token(&mut world, claim.claim);
    let handed = show(&mut world, &text).unwrap();
    let lie: Vec<_> = handed
        .items
        .iter()
        .map(|item| (item.units.to_string(), item.place.as_ref().map(Place::to_string)))
        .collect();
    assert_eq!(
        lie,
        [("1".to_owned(), Some("hall".to_owned())), ("2-5".to_owned(), Some("locker/07".to_owned()))]
    );
    assert_eq!(handed.doors, [compartment("07")]);
}

#[test]
fn what_lies_in_a_locker_is_not_handed_out_to_a_walk_in() {
    let mut world = stowed(7);
    world.isolate(TILL);
    let refused = world.done(TILL, Command::Sell(sell(1, 0))).unwrap_err();
    assert!(matches!(refused, Refusal::HeldElsewhere { .. }), "{refused:?}");
    // Custody of a claim that lies in the locker: there it is told where it lies, and no door is opened.
    let claim = sold(&mut world, TILL, 1).claim;
    world.link_all();
    world.converge(5_000);
    let to = world.nodes[TILL].id;
    world.done(LOCKER, Command::GiveCustody(GiveCustody { claim, to, wait_ms: 0 })).unwrap();
    world.converge(5_000);
    let redeem = Command::Redeem(Redeem::of(claim));
    let Ok(Reply::Redeemed(handed)) = world.done(TILL, redeem) else { panic!("not handed out") };
    assert_eq!((handed.items[0].compartment.clone(), handed.doors), (None, Vec::new()));
    assert_eq!(handed.items[0].place, Some("locker/07".parse().unwrap()));
}

/// Only who redeemed may say anything about the doors, and what came first stays: on every device, in any order.
#[test]
fn words_of_strangers_and_second_thoughts_count_for_nothing_in_any_order() {
    let mut world = stowed(8);
    let claim = sold(&mut world, TILL, 1).claim;
    world.converge(5_000);
    let text = token(&mut world, claim);
    let redemption = show(&mut world, &text).unwrap().entry;
    world.power_cut_with(LOCKER, true);
    world.power_on(LOCKER);
    world.link_all();
    world.converge(5_000);
    let at = |ms: u64| Hlc((EPOCH_MS + 40_000 + ms) << 16);
    let write = |secret, certificate, words: Vec<(u64, Behaved)>| {
        let mut author = begin(secret, certificate, "claims/night", at(0));
        for (ms, behaved) in words {
            author.write(at(ms), Body::Door(record::Door { redemption, behaved }));
        }
        author.range()
    };
    let settled = |handed_over| Behaved::Settled { handed_over, by: "Ana".to_owned() };
    let opened = |name| Behaved::Opened(compartment(name));
    let stuck = Behaved::Stuck { compartment: compartment("07"), reason: "late".to_owned() };
    let locker = &world.nodes[LOCKER];
    let own = vec![(2, opened("09")), (3, opened("07")), (4, stuck), (5, settled(true)), (6, settled(false))];
    let own = write(&locker.secret, &locker.certificate, own);
    let till = &world.nodes[TILL];
    let strange = write(&till.secret, &till.certificate, vec![(1, settled(false)), (7, opened("07"))]);

    let known: Vec<_> = {
        let chains: Vec<_> = world.frontier(HQ).iter().map(|head| head.chain).collect();
        chains.into_iter().map(|chain| range(&world.chain(HQ, chain))).collect()
    };
    let mut views = Vec::new();
    for seed in 0..6 {
        let new = world.add(&format!("new-{seed}"), "pos", "hall");
        let mut all = known.clone();
        all.extend([own.clone(), strange.clone()]);
        let mut rng = Rng::new(seed);
        for last in (1..all.len()).rev() {
            all.swap(last, rng.below(last as u64 + 1) as usize);
        }
        for one in &all {
            world.hand(HQ, new, entries(vec![one.clone()]));
        }
        let check = world.check(new);
        assert_eq!(check.problems, Vec::<String>::new());
        let door = world.claims(new)[&claim].door.clone().unwrap();
        assert_eq!((door.state, door.handed_over), (DoorState::Settled, Some(true)));
        let mut incidents = check.incidents;
        incidents.sort();
        views.push((door, incidents));
    }
    assert_eq!(views[0].1.len(), 5, "two of the till's, three of the locker's: {:?}", views[0].1);
    assert!(views.iter().all(|view| *view == views[0]), "{views:#?}");
}
