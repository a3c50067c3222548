//! Serials that are printed: two lots of one SKU and edition have none in common, in any drop; where two hqs made such
//! lots while they were cut off from each other, no number is sold twice once that is known.

use std::collections::BTreeMap;

use popmesh_proto::command::{
    CartNew, Claim, ClaimItem, Command, Damage, DropNew, Lot, LotMint, Refund, Refusal, Reply,
    ResolveIncident, Retire, SellItem, Transfer, Units,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Incident, IncidentKind, Query, ReceiptFilter};
use popmesh_proto::text::{DropId, Edition};
use popmesh_proto::units::UnitSet;
use proptest::prelude::*;

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::rng::Rng;
use crate::wire::{entries, range};
use crate::world::World;

const HQ: usize = 0;
const HQ_2: usize = 1;
const TILL: usize = 2;
const TILL_2: usize = 3;

fn gold() -> Edition {
    "gold".parse().unwrap()
}

fn lot_of(outcome: Result<Reply, Refusal>) -> Lot {
    match outcome {
        Ok(Reply::Lot(lot)) => lot,
        other => panic!("not minted: {other:?}"),
    }
}

/// Two hqs and two tills, and a drop without a lot.
fn two_hqs(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("hq-2", "hq", "yard");
    world.add("till", "pos", "hall");
    world.add("till-2", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 0);
    world.converge(5_000);
    world
}

/// They are cut off from each other, each with a till, and each mints these serials.
fn apart(seed: u64, one: (u32, u32), other: (u32, u32)) -> (World, Lot, Lot) {
    let mut world = two_hqs(seed);
    for (a, b) in [(HQ, HQ_2), (HQ, TILL_2), (TILL, HQ_2), (TILL, TILL_2)] {
        world.cut(a, b);
    }
    // Nobody takes anybody on the other side for being in reach any more.
    world.run_ms(10_000);
    let first = lot_of(world.done(HQ, Command::LotMint(mint(one.0, one.1))));
    world.run_ms(2_500);
    let place = Some("hall".parse().unwrap());
    let second = lot_of(world.done(HQ_2, Command::LotMint(LotMint { place, ..mint(other.0, other.1) })));
    world.run_ms(3_000);
    (world, first, second)
}

fn open_incidents(world: &mut World, at: usize) -> Vec<Incident> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(all) => all.into_iter().filter(|incident| incident.resolved.is_none()).collect(),
        other => panic!("{other:?}"),
    }
}

fn heal(world: &mut World) {
    world.link_all();
    world.run_ms(3_000);
    world.converge(10_000);
}

/// Sells whatever can be sold, by whichever till, and returns how often each printed number was.
fn sell_out(world: &mut World) -> BTreeMap<u32, u32> {
    for at in [TILL, TILL_2] {
        while world.done(at, Command::Sell(sell(1, 2_000))).is_ok() {}
    }
    world.converge(10_000);
    numbers_sold(world, TILL)
}

fn numbers_sold(world: &mut World, at: usize) -> BTreeMap<u32, u32> {
    let mut sold = BTreeMap::new();
    let count = |items: &[ClaimItem], sold: &mut BTreeMap<u32, u32>, up: bool| {
        for serial in items.iter().flat_map(|item| item.units.iter()) {
            let times = sold.entry(serial).or_default();
            *times = if up { *times + 1 } else { *times - 1 };
        }
    };
    for claim in world.claims(at).values() {
        count(&claim.items, &mut sold, true);
        count(&claim.refunded, &mut sold, false);
        count(&claim.contested, &mut sold, false);
    }
    sold
}

/// The stock view adds up on every device, and is what one worked out anew is.
fn assert_adds_up(world: &mut World) {
    for at in world.powered() {
        assert_eq!(world.check(at).problems, Vec::<String>::new(), "on device {at}");
        let Some(line) = world.stock(at) else { continue };
        let of = line.mesh;
        let sum = of.available + of.held + of.committed + of.damaged + of.in_transit + of.sold + of.frozen;
        assert_eq!(line.minted, sum, "on device {at}: {of:?}");
    }
}

#[test]
fn printed_serials_are_refused_where_they_are_known_in_any_drop() {
    let mut world = two_hqs(1);
    let first = lot_of(world.done(HQ, Command::LotMint(mint(1, 20))));
    world.converge(5_000);
    let second: DropId = "second".parse().unwrap();
    world.done(HQ_2, Command::DropNew(DropNew::of(second.clone(), "Second".to_owned()))).unwrap();
    let again = LotMint { drop: second.clone(), ..mint(15, 30) };
    let overlap = Refusal::SerialOverlap {
        sku: shirt(),
        edition: None,
        lot: first.lot,
        drop: night(),
        units: UnitSet::range(15, 20),
        next_free: Some(21),
    };
    assert!(overlap.to_string().contains("in lot") && overlap.to_string().contains("mint from 21 on"));
    assert_eq!(world.done(HQ_2, Command::LotMint(again.clone())), Err(overlap));
    // Another edition is another number, and so is what is not printed.
    let of_gold = LotMint { edition: Some(gold()), ..again.clone() };
    let lot = lot_of(world.done(HQ_2, Command::LotMint(of_gold.clone())));
    assert_eq!((lot.edition, lot.frozen.len()), (Some(gold()), 0));
    world.done(HQ_2, Command::LotMint(of_gold)).unwrap_err();
    let third: DropId = "third".parse().unwrap();
    world.done(HQ_2, Command::DropNew(DropNew::of(third.clone(), "Third".to_owned()))).unwrap();
    let plain = LotMint { drop: third.clone(), numbered: false, ..again.clone() };
    world.done(HQ_2, Command::LotMint(plain.clone())).unwrap();
    world.done(HQ_2, Command::LotMint(LotMint { drop: second.clone(), ..plain.clone() })).unwrap();
    // Within a drop people name units by serials, printed or not.
    world.done(HQ_2, Command::LotMint(plain.clone())).unwrap_err();
    world.done(HQ_2, Command::LotMint(LotMint { drop: third, ..mint(15, 16) })).unwrap_err();
    // What is not printed has no edition.
    let wrong = LotMint { edition: Some(gold()), first: 90, last: 91, ..plain };
    assert!(matches!(world.done(HQ_2, Command::LotMint(wrong)), Err(Refusal::Invalid { .. })));
    // What follows the last is free.
    world.done(HQ_2, Command::LotMint(LotMint { first: 31, last: 40, ..again })).unwrap();
    world.converge(5_000);
    assert_eq!(open_incidents(&mut world, TILL), []);
    assert_adds_up(&mut world);
}

#[test]
fn an_edition_is_told_wherever_its_numbers_are() {
    let mut world = World::new(2);
    world.add("hq", "hq,pos", "hall");
    world.open_drop(HQ, 0);
    world.done(HQ, Command::LotMint(LotMint { edition: Some(gold()), ..mint(1, 3) })).unwrap();
    let claim = claim_of(world.done(HQ, Command::Sell(sell(1, 0))));
    assert_eq!(claim.items[0].edition, Some(gold()));
    let Answer::Receipts(receipts) = world.query(HQ, Query::Receipts(ReceiptFilter::default())) else {
        panic!("no receipts")
    };
    assert_eq!(receipts.items[0].items[0].edition, Some(gold()));
    let Answer::Programme(programme) = world.query(HQ, Query::Programme) else { panic!("no programme") };
    assert_eq!(programme.lots[0].edition, Some(gold()));
    let Answer::Log(lines) = world.query(HQ, Query::Log(Default::default())) else { panic!("no log") };
    assert!(lines.items.iter().any(|line| line.text.contains("shirt gold 1-3")), "{lines:?}");
}

#[test]
fn what_two_hqs_have_both_printed_is_an_incident_and_the_later_is_frozen() {
    let (mut world, first, second) = apart(3, (1, 20), (11, 30));
    heal(&mut world);
    for at in 0..4 {
        let incidents = open_incidents(&mut world, at);
        let [incident] = &incidents[..] else { panic!("device {at}: {incidents:?}") };
        assert_eq!((incident.incident, incident.kind), (second.lot, IncidentKind::PrintedTwice));
        assert!(incident.text.contains("11-20") && incident.text.contains(&first.lot.to_string()));
        let line = world.stock(at).unwrap();
        assert_eq!((line.minted, line.mesh.frozen), (40, 10), "device {at}");
    }
    assert_adds_up(&mut world);
    let sold = sell_out(&mut world);
    assert_eq!(sold, (1..=30).map(|serial| (serial, 1)).collect(), "each number once, and all of them");
    assert_adds_up(&mut world);
    let line = world.stock(TILL).unwrap();
    assert_eq!((line.mesh.sold, line.mesh.frozen, line.mesh.available), (30, 10, 0));
    // A person resolves it, and takes out what there is too much of.
    let note = "printed by mistake, pulped".to_owned();
    world.done(HQ, Command::ResolveIncident(ResolveIncident { incident: second.lot, note })).unwrap();
    world.converge(5_000);
    let holder = (0..4).find(|at| world.stock(*at).unwrap().own.frozen > 0).unwrap();
    let units = Units::Serials(UnitSet::range(11, 13));
    let frozen = world.stock(holder).unwrap().own.frozen;
    let to = world.nodes[HQ].id;
    if holder != HQ {
        let give = Transfer { drop: night(), sku: shirt(), units: units.clone(), to };
        let refused = world.done(holder, Command::Transfer(give));
        assert!(matches!(refused, Err(Refusal::Frozen { .. } | Refusal::NotHeld { .. })), "{refused:?}");
    }
    if frozen == 10 {
        world.done(holder, Command::Damage(Damage { drop: night(), sku: shirt(), units })).unwrap();
        world.converge(5_000);
        let line = world.stock(HQ).unwrap();
        assert_eq!((line.mesh.damaged, line.mesh.frozen), (3, 7));
    }
    assert_adds_up(&mut world);
    assert_eq!(open_incidents(&mut world, TILL_2), []);
}

#[test]
fn of_a_number_of_which_one_copy_is_sold_the_other_is_frozen_wherever_it_is() {
    let (mut world, _, second) = apart(4, (1, 20), (1, 20));
    // A till that knows of the later lot alone sells from it.
    for _ in 0..5 {
        claim_of(world.done(TILL_2, Command::Sell(sell(1, 2_000))));
    }
    heal(&mut world);
    assert_eq!(world.stock(HQ).unwrap().mesh.frozen, 15 + 5);
    assert_adds_up(&mut world);
    let sold = sell_out(&mut world);
    assert_eq!(sold, (1..=20).map(|serial| (serial, 1)).collect(), "each number once, and all of them");
    let incidents = open_incidents(&mut world, TILL);
    assert_eq!(incidents.iter().map(|incident| incident.incident).collect::<Vec<_>>(), [second.lot]);
    // One comes back: then the copy of the earlier lot may be sold, and this one may not.
    let claim = world.claims(TILL_2).into_values().find(|claim| claim.items[0].lot == second.lot).unwrap();
    world
        .done(TILL_2, Command::Refund(Refund { claim: claim.claim, items: Vec::new(), damaged: false }))
        .unwrap();
    world.converge(5_000);
    assert_adds_up(&mut world);
    let line = world.stock(HQ).unwrap();
    assert_eq!((line.mesh.available, line.mesh.sold, line.mesh.frozen), (1, 19, 20));
    assert_eq!(sell_out(&mut world), (1..=20).map(|serial| (serial, 1)).collect());
    assert_adds_up(&mut world);
}

#[test]
fn where_both_copies_were_sold_an_incident_names_both_claims() {
    let (mut world, _, second) = apart(5, (1, 20), (1, 20));
    let number = |claim: &Claim| claim.items[0].units.first();
    let one = claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    // The other sells on until it sells the same number.
    let other = (0..20)
        .map(|_| claim_of(world.done(TILL_2, Command::Sell(sell(1, 2_000)))))
        .find(|claim| number(claim) == number(&one))
        .expect("it has all of them");
    let claims = [one.claim, other.claim];
    heal(&mut world);
    for at in 0..4 {
        let incidents = open_incidents(&mut world, at);
        let names: Vec<Ref> = incidents.iter().map(|incident| incident.incident).collect();
        assert!(names.contains(&second.lot) && names.contains(&claims[1]), "device {at}: {incidents:?}");
        let of_claim = incidents.iter().find(|incident| incident.incident == claims[1]).unwrap();
        assert!(claims.iter().all(|claim| of_claim.text.contains(&claim.to_string())), "{}", of_claim.text);
        assert_eq!(of_claim.claim, Some(claims[1]));
    }
    // Both sales stand.
    assert!(world.claims(HQ).values().all(|claim| claim.contested.is_empty()));
    assert_adds_up(&mut world);
    // One of the two gives it back: nothing is sold twice any more.
    world
        .done(TILL_2, Command::Refund(Refund { claim: claims[1], items: Vec::new(), damaged: false }))
        .unwrap();
    world.converge(5_000);
    let incidents = open_incidents(&mut world, HQ);
    assert_eq!(incidents.iter().map(|incident| incident.incident).collect::<Vec<_>>(), [second.lot]);
    assert_adds_up(&mut world);
}

#[test]
fn what_is_in_a_cart_is_frozen_too() {
    let (mut world, ..) = apart(6, (1, 20), (1, 20));
    let items = vec![SellItem { sku: shirt(), quantity: 2, unit_price: None }];
    let cart = CartNew { drop: None, items, ttl_ms: 60_000, shopper: None, wait_ms: 2_000 };
    let Ok(Reply::Cart(cart)) = world.done(TILL_2, Command::CartNew(cart)) else { panic!("no cart") };
    heal(&mut world);
    let line = world.stock(HQ).unwrap();
    assert_eq!((line.mesh.frozen, line.mesh.held), (20, 0));
    let pay = popmesh_proto::command::Sell { cart: Some(cart.cart), ..sell(1, 0) };
    let pay = popmesh_proto::command::Sell { items: Vec::new(), ..pay };
    assert!(matches!(world.done(TILL_2, Command::Sell(pay)), Err(Refusal::Frozen { .. })));
    assert_adds_up(&mut world);
}

#[test]
fn a_mint_of_a_retired_hq_that_nobody_knew_prints_nothing() {
    let (mut world, first, second) = apart(7, (1, 20), (1, 20));
    // The first hq retires the other, of whose lot it has not heard.
    let device = world.nodes[HQ_2].id;
    let at_risk = match world.query(HQ, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk.at_risk,
        answer => panic!("{answer:?}"),
    };
    let held = world.stock(HQ).map_or(0, |line| line.minted);
    world.done(HQ, Command::Retire(Retire { device, at_risk, reachable: true })).unwrap();
    world.link_all();
    world.run_ms(5_000);
    heal(&mut world);
    for at in world.in_touch() {
        let incidents = open_incidents(&mut world, at);
        assert!(incidents.iter().any(|of| of.incident == second.lot && of.text.contains("retired")));
        let line = world.stock(at).unwrap();
        assert_eq!((line.minted, line.mesh.frozen), (held, 0), "device {at}");
    }
    assert_adds_up(&mut world);
    let Answer::Programme(programme) = world.query(HQ, Query::Programme) else { panic!("no programme") };
    assert_eq!(programme.lots.iter().map(|lot| lot.lot).collect::<Vec<_>>(), [first.lot]);
}

/// A night on which three hqs that are cut off print what they like, and tills sell it.
fn three_prints(seed: u64) -> World {
    let mut world = two_hqs(seed);
    let third = world.add("hq-3", "hq,pos", "hall");
    world.link_all();
    world.converge(5_000);
    world.isolate(third);
    for (a, b) in [(HQ, HQ_2), (HQ, TILL_2), (TILL, HQ_2), (TILL, TILL_2)] {
        world.cut(a, b);
    }
    for step in 0..12 {
        let hq = [HQ, HQ_2, third][world.rng.below(3) as usize];
        let first = 1 + world.rng.below(30) as u32;
        let edition = world.rng.chance(300).then(gold);
        let numbered = edition.is_some() || world.rng.chance(800);
        let last = first + world.rng.below(12) as u32;
        let _ = world.done(hq, Command::LotMint(LotMint { edition, numbered, ..mint(first, last) }));
        let at = [TILL, TILL_2, third][world.rng.below(3) as usize];
        match step % 4 {
            0 | 1 => {
                let units = 1 + world.rng.below(3);
                let _ = world.done(at, Command::Sell(sell(units, 500)));
            }
            2 => {
                let claim = world.claims(at).keys().next().copied();
                if let Some(claim) = claim {
                    let damaged = world.rng.chance(300);
                    let _ = world.done(at, Command::Refund(Refund { claim, items: Vec::new(), damaged }));
                }
            }
            _ => {
                let units = Units::Count(1 + world.rng.below(2));
                let _ = world.done(at, Command::Damage(Damage { drop: night(), sku: shirt(), units }));
            }
        }
        world.run_ms(200);
    }
    world
}

#[test]
fn three_that_print_apart_agree_on_what_may_be_sold() {
    for seed in 0..20 {
        let mut world = three_prints(seed);
        assert_adds_up(&mut world);
        heal(&mut world);
        assert_adds_up(&mut world);
        let texts: Vec<Vec<String>> = (0..5)
            .map(|at| open_incidents(&mut world, at).into_iter().map(|incident| incident.text).collect())
            .collect();
        assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
        let before = texts[0].iter().filter(|text| text.contains("sold twice")).count();
        sell_out(&mut world);
        assert_adds_up(&mut world);
        // Nothing that is sold from now on is sold twice.
        let texts: Vec<String> =
            open_incidents(&mut world, HQ).into_iter().map(|incident| incident.text).collect();
        assert_eq!(texts.iter().filter(|text| text.contains("sold twice")).count(), before, "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_order_of_prints_and_sales_gives_one_view(seed in 0u64..12, order: u64) {
        let mut world = three_prints(seed);
        heal(&mut world);
        let chains: Vec<_> = world.frontier(HQ).iter().map(|head| head.chain).collect();
        let mut rng = Rng::new(order);
        let mut chains: Vec<_> = chains.iter().map(|chain| range(&world.chain(HQ, *chain))).collect();
        let new = world.add("new", "pos", "hall");
        for at in (1..chains.len()).rev() {
            chains.swap(at, rng.below(at as u64 + 1) as usize);
        }
        for chain in chains {
            world.hand(HQ, new, entries(vec![chain]));
        }
        prop_assert_eq!(world.check(new).problems, Vec::<String>::new());
        let views: Vec<_> = [HQ, new].into_iter().map(|at| {
            let texts: Vec<String> =
                open_incidents(&mut world, at).into_iter().map(|incident| incident.text).collect();
            let line = world.stock(at).unwrap();
            (texts, line.mesh.available + line.mesh.in_transit, line.mesh.frozen, line.mesh.sold)
        }).collect();
        prop_assert_eq!(&views[0], &views[1]);
    }
}
