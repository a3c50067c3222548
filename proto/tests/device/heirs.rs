//! What a retired device left behind is its heir's, and where that was retired, too, the heir's of that: no unit and no claim
//! is stuck, and none is there twice.

use popmesh_proto::command::{
    Claim, ClaimState, Command, Entrust, Redeem, Refund, RefundItem, Refusal, Reply, Retire, Sell, Transfer,
    Units,
};
use popmesh_proto::query::{Answer, Query, RetirementRisk};

use crate::event::{claim_of, night, sell, shirt, units_of};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;
const DESK: usize = 3;
const LAST: usize = 4;
const UNITS: u64 = 40;

fn evening(seed: u64, registrars: &[usize]) -> World {
    let mut world = World::new(seed);
    for (at, (name, roles)) in
        [("hq", "hq"), ("till", "pos"), ("locker", "pos,locker"), ("desk", "hq"), ("last", "hq")]
            .iter()
            .enumerate()
    {
        let right = if registrars.contains(&at) { ",registrar" } else { "" };
        world.add(name, &format!("{roles}{right}"), "hall");
    }
    world.link_all();
    world.open_drop(HQ, UNITS as u32);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn risk(world: &mut World, at: usize, lost: usize) -> RetirementRisk {
    match world.query(at, Query::Retirement(world.nodes[lost].id)) {
        Answer::Retirement(Ok(risk)) => risk,
        other => panic!("{other:?}"),
    }
}

fn retire(world: &mut World, at: usize, lost: usize) -> Result<Reply, Refusal> {
    let at_risk = risk(world, at, lost).at_risk;
    world.done(at, Command::Retire(Retire { device: world.nodes[lost].id, at_risk, reachable: true }))
}

fn entrust(world: &mut World, from: usize, to: usize) {
    let to = world.nodes[to].id;
    world.done(from, Command::Entrust(Entrust { to })).unwrap();
    world.run_ms(3_000);
}

fn dies(world: &mut World, at: usize) {
    world.isolate(at);
    world.power_cut_with(at, true);
    world.run_ms(20_000);
}

fn give(world: &mut World, from: usize, to: usize, count: u64) {
    let to = world.nodes[to].id;
    let give = Transfer { drop: night(), sku: shirt(), units: Units::Count(count), to };
    world.done(from, Command::Transfer(give)).unwrap();
}

fn sold_for(world: &mut World, at: usize, quantity: u64) -> Claim {
    let pickup_at = Some(world.nodes[at].id);
    claim_of(world.done(TILL, Command::Sell(Sell { pickup_at, ..sell(quantity, 0) })))
}

/// Sells all that there is, from anywhere in reach; each unit once.
fn sells_out(world: &mut World, at: usize) -> u64 {
    let mut sold = 0;
    while let Ok(Reply::Sale(claim)) = world.done(at, Command::Sell(sell(1, 5_000))) {
        sold += claim.items.iter().map(|item| item.units.len()).sum::<u64>();
    }
    units_of(world.claims(at).values());
    sold
}

fn sound(world: &mut World) {
    world.converge(20_000);
    let first = world.in_touch()[0];
    let claims = world.claims(first);
    for at in world.in_touch() {
        let check = world.check(at);
        assert_eq!((check.problems, check.sold_twice), (Vec::new(), 0), "on {at}");
        assert_eq!(world.claims(at), claims, "on {at}");
    }
}

/// Everything that a chain of retired devices kept, and what comes to the first of them late, is the last one's.
#[test]
fn what_was_left_behind_goes_along_the_heirs() {
    for late in [false, true] {
        let mut world = evening(1 + u64::from(late), &[HQ]);
        world.converge(5_000);
        if late {
            world.isolate(TILL);
        }
        let claim = sold_for(&mut world, LOCKER, 2).claim;
        let redeemed = sold_for(&mut world, LOCKER, 1).claim;
        give(&mut world, TILL, LOCKER, 2);
        world.run_ms(2_000);
        dies(&mut world, LOCKER);
        retire(&mut world, HQ, LOCKER).unwrap();
        entrust(&mut world, HQ, DESK);
        dies(&mut world, HQ);
        retire(&mut world, DESK, HQ).unwrap();
        entrust(&mut world, DESK, LAST);
        dies(&mut world, DESK);
        retire(&mut world, LAST, DESK).unwrap();
        world.run_ms(2_000);
        if late {
            world.link(TILL, LAST);
            world.run_ms(20_000);
        }
        let device = world.nodes[LOCKER].id;
        let again = Retire { device, at_risk: risk(&mut world, LAST, LOCKER).at_risk, reachable: true };
        let again = world.done(LAST, Command::Retire(again)).unwrap_err().to_string();
        assert!(again.contains("was retired by hq already; last is its heir"), "{again}");
        assert_eq!(world.claims(LAST)[&claim].custodian, world.nodes[LAST].id);
        world.done(LAST, Command::Refund(Refund { claim, items: Vec::new(), damaged: false })).unwrap();
        world.done(LAST, Command::Redeem(Redeem::of(redeemed))).unwrap();
        world.run_ms(5_000);
        // Nothing is held by anybody who is gone.
        assert_eq!(sells_out(&mut world, TILL), UNITS - 1);
        sound(&mut world);
        assert_eq!(world.claims(TILL)[&claim].state, ClaimState::Refunded);
        // And nothing is written about it any more.
        let before = world.status(LAST).entries;
        world.run_ms(60_000);
        assert_eq!(world.status(LAST).entries, before);
    }
}

/// The heir is cut off, takes over what comes late, and sells it; it is retired without having been heard.
#[test]
fn what_an_heir_had_taken_over_alone_is_an_incident_and_not_there_twice() {
    let mut world = evening(4, &[HQ]);
    world.converge(5_000);
    world.isolate(TILL);
    give(&mut world, TILL, LOCKER, 4);
    let claim = sold_for(&mut world, LOCKER, 1).claim;
    dies(&mut world, LOCKER);
    retire(&mut world, HQ, LOCKER).unwrap();
    entrust(&mut world, HQ, DESK);
    // The till meets the heir alone, which takes over, hands out, and gives some of the units to the till.
    world.isolate(HQ);
    world.link(TILL, HQ);
    world.run_ms(10_000);
    world.done(HQ, Command::Redeem(Redeem::of(claim))).unwrap();
    let held = world.available(HQ);
    assert!(held >= 4, "{held}");
    world.isolate(TILL);
    let given = risk(&mut world, DESK, HQ).at_risk;
    dies(&mut world, HQ);
    retire(&mut world, DESK, HQ).unwrap();
    world.run_ms(2_000);
    // The till knows what the first heir took over: that counts for nothing.
    world.link_all();
    world.run_ms(10_000);
    sound(&mut world);
    let stock = world.stock(DESK).unwrap();
    assert_eq!(stock.mesh.available + stock.mesh.committed + stock.mesh.sold, UNITS, "{given}: {stock:?}");
    sells_out(&mut world, TILL);
    sound(&mut world);
    // What it handed out is said to be, and somebody alive can end the claim.
    let said = world.check(DESK).incidents;
    assert!(said.iter().any(|text| text.contains("written after it was retired")), "{said:?}");
    assert_eq!(world.claims(DESK)[&claim].custodian, world.nodes[DESK].id);
}

/// What a device may have taken over as an heir, unheard, is at risk with what it holds.
#[test]
fn what_an_heir_may_have_taken_over_is_at_risk() {
    let mut world = evening(5, &[HQ, DESK]);
    world.converge(5_000);
    world.isolate(TILL);
    give(&mut world, TILL, LOCKER, 4);
    dies(&mut world, LOCKER);
    retire(&mut world, HQ, LOCKER).unwrap();
    world.run_ms(2_000);
    dies(&mut world, HQ);
    let before = risk(&mut world, DESK, HQ).at_risk;
    world.link(TILL, DESK);
    world.run_ms(3_000);
    assert_eq!(risk(&mut world, DESK, HQ).at_risk, before + 4, "the late transfer is the heir's");
    retire(&mut world, DESK, HQ).unwrap();
    world.run_ms(5_000);
    assert_eq!(risk(&mut world, DESK, HQ).at_risk, 0);
    // Two lines: the locker was retired by the one, its heir by the other.
    assert_eq!(sells_out(&mut world, TILL), UNITS);
    sound(&mut world);
}

/// Two who may retire retire each other: one of them lives, and has everything.
#[test]
fn of_two_that_retire_each_other_one_is_the_heir() {
    let mut world = evening(6, &[HQ, DESK]);
    let claim = sold_for(&mut world, LOCKER, 1).claim;
    world.converge(5_000);
    for (a, b) in [(HQ, DESK), (HQ, TILL), (HQ, LAST)] {
        world.cut(a, b);
    }
    world.run_ms(20_000);
    retire(&mut world, HQ, LOCKER).unwrap();
    world.run_ms(500);
    retire(&mut world, DESK, HQ).unwrap();
    retire(&mut world, HQ, DESK).unwrap();
    world.power_cut(LOCKER);
    world.link_all();
    world.run_ms(20_000);
    sound(&mut world);
    // The hq did not know that it had been retired, and what it did then counts for nothing.
    assert_eq!(world.claims(TILL)[&claim].custodian, world.nodes[DESK].id);
    world.done(DESK, Command::Redeem(Redeem::of(claim))).unwrap();
    let sold = sells_out(&mut world, TILL);
    assert_eq!(sold, UNITS - 1);
    sound(&mut world);
}

/// The heir's certificate is over: it is retired, and its heir has what it had, and what it never took over.
#[test]
fn an_heir_whose_certificate_is_over_has_an_heir() {
    let mut world = World::new(7);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("locker", "pos,locker", "hall");
    world.add("desk", "hq,registrar", "hall");
    world.add_until("last", "hq", "hall", 90_000);
    world.link_all();
    world.open_drop(HQ, UNITS as u32);
    world.run_ms(4_000);
    world.converge(5_000);
    world.isolate(TILL);
    let claim = sold_for(&mut world, LOCKER, 1).claim;
    dies(&mut world, LOCKER);
    entrust(&mut world, DESK, LAST);
    retire(&mut world, LAST, LOCKER).unwrap();
    entrust(&mut world, LAST, DESK);
    world.run_ms(90_000);
    assert!(matches!(world.done(LAST, Command::Redeem(Redeem::of(claim))), Err(Refusal::Certificate { .. })));
    world.link(TILL, DESK);
    world.run_ms(10_000);
    assert_eq!(world.claims(DESK)[&claim].custodian, world.nodes[LOCKER].id);
    retire(&mut world, DESK, LAST).unwrap();
    world.run_ms(5_000);
    world.done(DESK, Command::Redeem(Redeem::of(claim))).unwrap();
}

/// What was handed out by who is gone is brought back to the heir, when somebody brings it.
#[test]
fn what_a_retired_device_handed_out_is_taken_back_by_its_heir() {
    let mut world = evening(8, &[HQ]);
    let claim = sold_for(&mut world, LOCKER, 1);
    world.converge(5_000);
    world.done(LOCKER, Command::Redeem(Redeem::of(claim.claim))).unwrap();
    let walk_in = claim_of(world.done(LOCKER, Command::Sell(sell(1, 2_000))));
    world.converge(5_000);
    dies(&mut world, LOCKER);
    retire(&mut world, HQ, LOCKER).unwrap();
    entrust(&mut world, HQ, DESK);
    dies(&mut world, HQ);
    retire(&mut world, DESK, HQ).unwrap();
    world.run_ms(2_000);
    let back = |claim: &Claim, items| Command::Refund(Refund { claim: claim.claim, items, damaged: false });
    let brought = |claim: &Claim| vec![RefundItem { sku: shirt(), serials: claim.items[0].units.clone() }];
    // At the heir, and at another till, to which the heir gives it: whoever takes it back says what is brought.
    for (at, claim) in [(DESK, &claim), (TILL, &walk_in)] {
        let refused = world.done(at, back(claim, Vec::new()));
        assert!(matches!(refused, Err(Refusal::AlreadyRedeemed { .. })), "{refused:?}");
        world.done(at, back(claim, brought(claim))).unwrap();
    }
    sound(&mut world);
    for claim in [claim.claim, walk_in.claim] {
        assert_eq!(world.claims(TILL)[&claim].state, ClaimState::Returned);
    }
    assert_eq!(sells_out(&mut world, TILL), UNITS);
}
