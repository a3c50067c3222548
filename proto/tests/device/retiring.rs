//! Retiring: what a lost device held is somebody else's, and what it still writes counts for nothing, on every device
//! alike.

use popmesh_proto::command::{
    Claim, ClaimState, Command, Redeem, Refusal, Reply, ResolveIncident, Retire, Sell,
};
use popmesh_proto::query::{Answer, Incident, IncidentKind, Query, RetirementRisk};
use popmesh_proto::token::TokenFault;

use crate::event::{claim_of, night, sell, shirt, units_of};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOST: usize = 2;
const UNITS: u64 = 30;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("lost", "pos,locker", "hall");
    world.link_all();
    world.open_drop(HQ, UNITS as u32);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn give(world: &mut World, count: u64) {
    give_to(world, LOST, count);
}

fn give_to(world: &mut World, to: usize, count: u64) {
    let units = popmesh_proto::command::Units::Count(count);
    let to = world.nodes[to].id;
    let give = popmesh_proto::command::Transfer { drop: night(), sku: shirt(), units, to };
    world.done(HQ, Command::Transfer(give)).unwrap();
}

fn risk(world: &mut World, at: usize) -> RetirementRisk {
    let device = world.nodes[LOST].id;
    match world.query(at, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk,
        other => panic!("{other:?}"),
    }
}

fn retire(world: &mut World) -> u64 {
    let at_risk = risk(world, HQ).at_risk;
    let device = world.nodes[LOST].id;
    match world.done(HQ, Command::Retire(Retire { device, at_risk, reachable: false })) {
        Ok(Reply::Retired(retired)) => assert_eq!(retired.at_risk, at_risk),
        other => panic!("{other:?}"),
    }
    at_risk
}

fn incidents(world: &mut World, at: usize) -> Vec<Incident> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents,
        other => panic!("{other:?}"),
    }
}

fn sold_at(world: &mut World, at: usize, quantity: u64) -> Claim {
    claim_of(world.done(at, Command::Sell(sell(quantity, 2_000))))
}

#[test]
fn what_a_lost_device_held_is_sold_by_others_and_its_late_sales_are_incidents() {
    let mut world = evening(1);
    sold_at(&mut world, LOST, 1);
    world.converge(5_000);
    let held = risk(&mut world, HQ).at_risk;
    assert!(held >= 5, "{held}");
    world.isolate(LOST);
    world.run_ms(20_000);
    // It goes on selling, alone.
    let late: Vec<Claim> = (0..3).map(|_| sold_at(&mut world, LOST, 1)).collect();
    assert_eq!(retire(&mut world), held);
    world.run_ms(2_000);
    // Everything is for sale again, to the last unit.
    let mut rest = 0;
    while world.done(TILL, Command::Sell(sell(1, 5_000))).is_ok() {
        rest += 1;
    }
    assert_eq!(rest, UNITS - 1);
    world.link_all();
    world.converge(20_000);
    for at in 0..3 {
        let known = incidents(&mut world, at);
        let affected: Vec<_> = known.iter().filter_map(|incident| incident.claim).collect();
        assert_eq!(known.len(), late.len(), "on device {at}: {known:?}");
        assert!(late.iter().all(|claim| affected.contains(&claim.claim)), "on device {at}");
        assert!(known.iter().all(|incident| incident.text.contains("written after it was retired")));
        assert!(known.iter().all(|incident| incident.kind == IncidentKind::AfterRetirement), "{known:?}");
    }
    assert!((late.len() as u64) <= held);
    let refused = world.done(LOST, Command::Sell(sell(1, 0))).unwrap_err();
    assert!(matches!(&refused, Refusal::Retired { by, .. } if by == "hq"), "{refused:?}");
    // Settled once, for everybody.
    let incident = incidents(&mut world, HQ)[0].incident;
    let settle = |note: &str| Command::ResolveIncident(ResolveIncident { incident, note: note.to_owned() });
    assert!(matches!(world.done(TILL, settle("x")), Err(Refusal::RoleForbids { .. })));
    assert!(world.done(HQ, settle("  ")).is_err());
    world.done(HQ, settle("the second buyer got the money back")).unwrap();
    assert!(world.done(HQ, settle("again")).unwrap_err().to_string().contains("settled it already"));
    world.converge(5_000);
    for at in [HQ, TILL] {
        let known = incidents(&mut world, at);
        let settled = known.iter().find(|known| known.incident == incident).unwrap();
        assert_eq!(settled.resolved_by.as_deref(), Some("hq"), "on device {at}");
        assert_eq!(world.status(at).incidents as usize, late.len() - 1);
        assert!(world.check(at).problems.is_empty());
    }
}

#[test]
fn claims_that_waited_with_it_are_handed_out_by_who_retired_it() {
    let mut world = evening(2);
    let pickup_at = Some(world.nodes[LOST].id);
    let waiting = claim_of(world.done(TILL, Command::Sell(Sell { pickup_at, ..sell(2, 2_000) })));
    world.converge(5_000);
    world.isolate(LOST);
    world.run_ms(20_000);
    retire(&mut world);
    world.run_ms(5_000);
    let refused = world.done(TILL, Command::Sell(Sell { pickup_at, ..sell(1, 0) })).unwrap_err();
    assert!(refused.to_string().contains("lost was retired by hq"), "{refused}");
    let out = world.done(HQ, Command::Redeem(Redeem::of(waiting.claim))).unwrap();
    assert!(matches!(out, Reply::Redeemed(_)));
    world.link_all();
    world.converge(20_000);
    for at in world.in_touch() {
        assert_eq!(world.claims(at)[&waiting.claim].state, ClaimState::Redeemed, "on device {at}");
        assert_eq!(incidents(&mut world, at).len(), 0, "on device {at}");
    }
    assert!(matches!(
        world.done(LOST, Command::Redeem(Redeem::of(waiting.claim))),
        Err(Refusal::AlreadyRedeemed { .. } | Refusal::Retired { .. })
    ));
}

#[test]
fn its_tokens_are_good_if_they_were_sold_before_and_refused_if_after() {
    let mut world = evening(8);
    let pickup_at = Some(world.nodes[TILL].id);
    let sold = |world: &mut World| {
        let claim = claim_of(world.done(LOST, Command::Sell(Sell { pickup_at, ..sell(1, 2_000) })));
        match world.query(LOST, Query::Token(claim.claim)) {
            Answer::Token(Ok(token)) => token.token,
            other => panic!("{other:?}"),
        }
    };
    let before = sold(&mut world);
    world.converge(5_000);
    world.isolate(LOST);
    world.run_ms(20_000);
    let after = sold(&mut world);
    retire(&mut world);
    world.run_ms(5_000);
    let show = |token: &str| Command::Redeem(Redeem::by_token(token.to_owned()));
    let refused = world.done(TILL, show(&after)).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Token { why: TokenFault::Retired, problem } if problem.contains("lost was retired by hq")),
        "{refused}"
    );
    assert!(matches!(world.done(TILL, show(&before)), Ok(Reply::Redeemed(_))));
}

#[test]
fn who_hears_of_the_retirement_first_and_who_of_the_late_sales_agree() {
    for order in 0..2 {
        let mut world = evening(3 + order);
        world.cut(HQ, LOST);
        world.cut(HQ, TILL);
        world.run_ms(20_000);
        // The till hears the late sales, and builds on what the lost device gives it, before it hears of the retirement.
        let late = sold_at(&mut world, LOST, 2);
        let units = popmesh_proto::command::Units::Count(2);
        let to = world.nodes[TILL].id;
        let give = popmesh_proto::command::Transfer { drop: night(), sku: shirt(), units, to };
        world.done(LOST, Command::Transfer(give)).unwrap();
        world.run_ms(2_000);
        retire(&mut world);
        let own = world.available(TILL);
        let all: Vec<Claim> = (0..own).map(|_| sold_at(&mut world, TILL, 1)).collect();
        assert!(!all.is_empty());
        if order == 0 {
            world.power_cut(TILL);
            world.power_on(TILL);
        }
        world.link_all();
        world.converge(20_000);
        let known: Vec<Vec<_>> = (0..3)
            .map(|at| incidents(&mut world, at).into_iter().map(|known| known.incident).collect())
            .collect();
        assert_eq!(known[0], known[1]);
        assert_eq!(known[0], known[2]);
        assert!(known[0].contains(&late.claim));
        for at in 0..3 {
            let check = world.check(at);
            assert!(check.problems.is_empty(), "on device {at}: {check:?}");
            assert_eq!(check.sold_twice, 0, "on device {at}");
        }
    }
}

/// What was sold, or given on, together with units that turn out to count for nothing has gone all the same.
#[test]
fn what_goes_together_with_late_units_is_not_sold_again() {
    for given_on in [false, true] {
        let mut world = evening(9 + u64::from(given_on));
        world.add("desk", "pos", "hall");
        let desk = 3;
        for at in [HQ, TILL, LOST] {
            world.link(desk, at);
        }
        world.run_ms(2_000);
        world.converge(10_000);
        // The till and the desk hear what the lost device gives, and the registrar does not.
        for at in [TILL, LOST, desk] {
            world.cut(HQ, at);
        }
        world.run_ms(20_000);
        let transfer = |world: &World, count, to: usize| {
            let units = popmesh_proto::command::Units::Count(count);
            let to = world.nodes[to].id;
            Command::Transfer(popmesh_proto::command::Transfer { drop: night(), sku: shirt(), units, to })
        };
        let late = transfer(&world, 2, TILL);
        world.done(LOST, late).unwrap();
        world.run_ms(500);
        let own = world.available(TILL);
        let seller = if given_on {
            let all = transfer(&world, own, desk);
            world.done(TILL, all).unwrap();
            world.run_ms(500);
            desk
        } else {
            TILL
        };
        let stock = world.available(seller);
        let first = sold_at(&mut world, seller, stock);
        retire(&mut world);
        world.link_all();
        world.converge(20_000);
        let all = units_of(std::slice::from_ref(&first));
        let known = world.claims(seller)[&first.claim].clone();
        let contested = units_of(&[Claim { items: known.contested.clone(), ..known.clone() }]);
        let mut sold = units_of(&[known]);
        sold.retain(|unit| !contested.contains(unit));
        assert_eq!((sold.len(), all.len()), (stock as usize - 2, stock as usize));
        while let Ok(Reply::Sale(more)) = world.done(TILL, Command::Sell(sell(1, 5_000))) {
            for unit in units_of(&[more]) {
                assert!(
                    sold.insert(unit),
                    "{unit:?} was sold twice, and had never been with the lost device"
                );
            }
        }
        assert_eq!(sold.len() as u64, UNITS);
        world.converge(20_000);
        let (said, seen) = (incidents(&mut world, HQ), world.claims(HQ));
        for at in world.in_touch() {
            assert_eq!(
                (incidents(&mut world, at), world.claims(at)),
                (said.clone(), seen.clone()),
                "on {at}"
            );
            assert!(world.check(at).problems.is_empty(), "on {at}");
            let known = incidents(&mut world, at);
            let part = known.iter().find(|known| known.text.contains("the rest of it counts"));
            assert_eq!(part.map(|known| known.kind), Some(IncidentKind::NotHeld), "{known:?}");
        }
    }
}

#[test]
fn retiring_takes_the_right_and_the_number_that_was_looked_at() {
    let mut world = evening(6);
    let device = world.nodes[LOST].id;
    let at_risk = risk(&mut world, HQ).at_risk;
    let retire = |at_risk, reachable| Command::Retire(Retire { device, at_risk, reachable });
    let refused = world.done(TILL, retire(at_risk, true)).unwrap_err();
    assert!(matches!(&refused, Refusal::NotRegistrar { holders } if *holders == ["hq"]), "{refused:?}");
    let refused = world.done(HQ, retire(at_risk, false)).unwrap_err();
    assert!(refused.to_string().contains("lost can be reached"), "{refused}");
    let refused = world.done(HQ, retire(at_risk + 1, true)).unwrap_err();
    assert!(matches!(refused, Refusal::RiskChanged { at_risk: now, .. } if now == at_risk), "{refused:?}");
    world.done(HQ, retire(at_risk, true)).unwrap();
    let refused = world.done(HQ, retire(0, true)).unwrap_err();
    assert!(refused.to_string().contains("was retired by hq already"), "{refused}");
    world.converge(5_000);
    world.assert_agreed();
}

/// Till and its copy sold the same unit, to be picked up at the device that is lost: two claims, and one unit to lose.
#[test]
fn a_unit_that_two_claims_wait_for_is_at_risk_once() {
    let mut world = evening(9);
    give_to(&mut world, TILL, 1);
    world.run_ms(3_000);
    world.isolate(TILL);
    let twin = world.clone_disk(TILL);
    world.isolate(twin);
    let before = risk(&mut world, HQ);
    let pickup_at = Some(world.nodes[LOST].id);
    let sold =
        [TILL, twin].map(|at| claim_of(world.done(at, Command::Sell(Sell { pickup_at, ..sell(1, 0) }))));
    assert_eq!(sold[0].items[0].units, sold[1].items[0].units, "the same unit");
    world.link(TILL, HQ);
    world.link(twin, HQ);
    world.run_ms(5_000);
    let after = risk(&mut world, HQ);
    assert_eq!((after.claims, after.at_risk), (before.claims + 2, before.at_risk + 1));
}

#[test]
fn a_copied_disk_is_found_out_by_its_own_signatures_and_given_nothing() {
    let mut world = evening(7);
    world.isolate(LOST);
    let twin = world.clone_disk(LOST);
    world.isolate(twin);
    sold_at(&mut world, LOST, 1);
    sold_at(&mut world, twin, 1);
    world.link_all();
    world.run_ms(20_000);
    for at in [HQ, TILL] {
        let known = incidents(&mut world, at);
        let two = known.iter().find(|known| known.text.contains("there are two of it"));
        assert_eq!(two.map(|known| known.kind), Some(IncidentKind::TwoPasts), "on {at}: {known:?}");
        let to = world.nodes[LOST].id;
        let units = popmesh_proto::command::Units::Count(1);
        let give = popmesh_proto::command::Transfer { drop: night(), sku: shirt(), units, to };
        let refused = world.done(at, Command::Transfer(give)).unwrap_err();
        assert!(refused.to_string().contains("has two pasts"), "{refused}");
    }
    for at in [LOST, twin] {
        let refused = world.done(at, Command::Sell(sell(1, 0))).unwrap_err();
        assert!(matches!(refused, Refusal::Suspended { .. }), "{refused:?}");
    }
    // Looked into, and gone on with.
    world.power_cut(twin);
    world.run_ms(5_000);
    let open: Vec<_> =
        incidents(&mut world, HQ).into_iter().filter(|known| known.text.contains("two of it")).collect();
    for known in open {
        let note = "the copy is switched off, the box goes on".to_owned();
        let settle = ResolveIncident { incident: known.incident, note };
        world.done(HQ, Command::ResolveIncident(settle)).unwrap();
    }
    world.converge(20_000);
    give(&mut world, 1);
    world.run_ms(2_000);
    sold_at(&mut world, LOST, 1);
}
