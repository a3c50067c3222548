//! What a person did last is named, and taken back once: afterwards all is as it was before.

use popmesh_proto::command::{
    Act, ActKind, CartAdd, CartNew, CartTake, Command, Damage, GiveCustody, LimitSet, Move, ProductAdd,
    Redeem, Refund, Refusal, Reply, RulesSet, Sell, SellItem, Transfer, Undo, Undone, Units,
};
use popmesh_proto::id::Ref;
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, CartFilter, Query, StockFilter};

use crate::event::{claim_of, mint, night, sell, shirt};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 24);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn last(world: &mut World, at: usize) -> Act {
    match world.query(at, Query::LastAct) {
        Answer::LastAct(Ok(act)) => *act,
        other => panic!("{other:?}"),
    }
}

fn undo(world: &mut World, at: usize) -> Result<Undone, Refusal> {
    let entry = last(world, at).entry;
    match world.done(at, Command::Undo(Undo { entry }))? {
        Reply::Undone(undone) => Ok(*undone),
        other => panic!("{other:?}"),
    }
}

fn with_key(world: &mut World, at: usize, command: Command, key: u8) -> Result<Reply, Refusal> {
    let call = world.command_with(at, command, Some(Idempotency { key: [key; 32], request: [key; 32] }));
    world.outcome(call)
}

/// What a device has: its own levels with their places, what is in carts, and the programme.
fn has(world: &mut World, at: usize) -> String {
    let Answer::Stock(stock) = world.query(at, Query::Stock(StockFilter::default())) else { panic!() };
    let lines: Vec<String> =
        stock.lines.iter().map(|line| format!("{:?} {:?}", line.own, line.places)).collect();
    let Answer::Carts(carts) = world.query(at, Query::Carts(CartFilter::default())) else { panic!() };
    let carts: Vec<String> = carts
        .iter()
        .filter(|cart| cart.holder == world.nodes[at].id)
        .map(|cart| {
            let units: u64 = cart.items.iter().map(|item| item.units.len()).sum();
            format!("{} {units} {}", cart.cart, cart.total)
        })
        .collect();
    format!("{lines:?} {carts:?} {}", world.programme(at))
}

fn items(quantity: u64) -> Vec<SellItem> {
    vec![SellItem { sku: shirt(), quantity, unit_price: None }]
}

fn aside(quantity: u64) -> Command {
    let cart = CartNew { items: items(quantity), drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 5_000 };
    Command::CartNew(cart)
}

fn cart_of(outcome: Result<Reply, Refusal>) -> Ref {
    match outcome {
        Ok(Reply::Cart(cart)) => cart.cart,
        other => panic!("{other:?}"),
    }
}

fn moved(units: Units, place: &str) -> Command {
    Command::Move(Move { drop: night(), sku: shirt(), units, place: place.parse().unwrap() })
}

/// Every kind of act that can be taken back, with and without a key, and with a start of the device in between.
#[test]
fn after_an_act_and_its_undo_all_is_as_it_was() {
    let price = |price| ProductAdd::of(shirt(), "Shirt", price);
    for (number, seed) in (0..11).flat_map(|number| [(number, 1), (number, 2), (number, 3)]) {
        let mut world = evening(10 * number + seed);
        let cart = cart_of(with_key(&mut world, TILL, aside(2), 2));
        world.done(TILL, moved(Units::Count(2), "stall")).unwrap();
        world.converge(5_000);
        world.run_ms(1_500);
        let free = world.stock(TILL).unwrap().own.available;
        let (at, command, kind) = match number {
            0 => (TILL, Command::Sell(sell(2, 0)), ActKind::Sale),
            1 => (TILL, aside(2), ActKind::Cart),
            2 => (TILL, Command::CartAdd(cart, CartAdd { items: items(2), wait_ms: 0 }), ActKind::CartItems),
            3 => (TILL, moved(Units::Count(3), "L1/07"), ActKind::Move),
            // From two places at once.
            4 => (TILL, moved(Units::Count(free), "back"), ActKind::Move),
            5 => (HQ, Command::ProductAdd(price(2_300)), ActKind::Product),
            6 => (HQ, Command::ProductAdd(price(1_900)), ActKind::Product),
            7 => {
                let rules = RulesSet { cash_coin: Some(10), ordinary_wish: Some(9), ..RulesSet::default() };
                (HQ, Command::RulesSet(rules), ActKind::Rules)
            }
            8 => (HQ, Command::LimitSet(LimitSet { device: None, amount: Some(5_000) }), ActKind::Rules),
            9 => {
                let device = Some(world.nodes[TILL].id);
                (HQ, Command::LimitSet(LimitSet { device, amount: Some(700) }), ActKind::Rules)
            }
            _ => (
                OTHER,
                Command::CartTake(CartTake { cart: Some(cart), token: None, wait_ms: 5_000 }),
                ActKind::CartTaken,
            ),
        };
        // Cut off, so that nothing but this is done: others would draw what is free again.
        let alone = number != 10;
        if alone {
            world.isolate(at);
            world.run_ms(1_000);
        }
        let mut before: Vec<String> = (0..3).map(|at| has(&mut world, at)).collect();
        match seed {
            1 => world.done(at, command.clone()),
            _ => with_key(&mut world, at, command.clone(), 3),
        }
        .unwrap_or_else(|refusal| panic!("{command:?}: {refusal:?}"));
        world.run_ms(3_000);
        assert_ne!(has(&mut world, at), before[at], "{command:?} does something");
        if seed == 3 {
            world.power_cut(at);
            world.power_on(at);
            if !alone {
                world.link_all();
            }
            world.run_ms(3_000);
        }
        let act = last(&mut world, at);
        assert_eq!((act.kind, &act.why_not), (kind, &None), "{command:?}: {act:?}");
        assert!(act.undo.is_some() && !act.what.is_empty(), "{act:?}");
        let undone = undo(&mut world, at).unwrap_or_else(|refusal| panic!("{command:?}: {refusal:?}"));
        assert_eq!(undone.act, act);
        world.run_ms(3_000);
        let mut after: Vec<String> = (0..3).map(|at| has(&mut world, at)).collect();
        if !alone {
            // While they are linked, stock drifts to where it sells; what is in the cart, and with whom, is as it was.
            let carts = |text: &mut String| {
                *text = text
                    .split("\"] [")
                    .nth(1)
                    .and_then(|rest| rest.split(']').next())
                    .unwrap_or_default()
                    .to_owned();
            };
            before.iter_mut().chain(&mut after).for_each(carts);
            assert!(before[TILL].contains(&cart.to_string()), "{before:?}");
        }
        assert_eq!(after, before, "{command:?} and back");
        // The same again is refused: what came after is the undo itself.
        let again = world.done(at, Command::Undo(Undo { entry: act.entry })).unwrap_err();
        let is_told = matches!(
            again,
            Refusal::NotTheLast { .. }
                | Refusal::CannotUndo { .. }
                | Refusal::UnknownCart { .. }
                | Refusal::CartElsewhere { .. }
        );
        assert!(is_told, "{command:?}: {again:?}");
        if alone {
            assert_eq!(has(&mut world, at), before[at]);
        }
        world.link_all();
        world.converge(5_000);
        world.done(TILL, Command::CartRelease(cart)).unwrap();
        world.converge(5_000);
        world.assert_agreed();
    }
}

#[test]
fn a_sale_that_is_taken_back_says_what_to_give_back_once() {
    let mut world = evening(200);
    let sold = claim_of(with_key(&mut world, TILL, Command::Sell(sell(2, 5_000)), 1));
    let act = last(&mut world, TILL);
    assert_eq!((act.entry, act.claim), (sold.claim, Some(sold.claim)));
    assert!(act.what.starts_with("sold shirt"), "{}", act.what);
    let undoing = Command::Undo(Undo { entry: act.entry });
    let Ok(Reply::Undone(undone)) = with_key(&mut world, TILL, undoing.clone(), 2) else { panic!() };
    let refund = undone.refund.unwrap();
    assert_eq!((refund.amount, refund.payments.len()), (sold.total, 1));
    // Asked again without its outcome, it is not done again.
    world.nodes[TILL].replies.clear();
    let again = with_key(&mut world, TILL, undoing, 2).unwrap_err();
    assert!(matches!(again, Refusal::AlreadyDone { .. }), "{again:?}");
    // The undo is the last act now, and what was done before it is not touched.
    let act = last(&mut world, TILL);
    assert_eq!(act.kind, ActKind::Refund);
    assert!(act.why_not.is_some(), "{act:?}");
    let refused = undo(&mut world, TILL).unwrap_err();
    assert!(matches!(refused, Refusal::CannotUndo { .. }), "{refused:?}");
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn what_cannot_be_taken_back_says_why_and_what_to_do() {
    let mut world = evening(201);
    let (hq, other) = (world.nodes[HQ].id, world.nodes[OTHER].id);
    with_key(&mut world, TILL, Command::Sell(sell(1, 5_000)), 1).unwrap();
    let units = |count| Units::Count(count);
    let pickup = |at| Command::Sell(Sell { pickup_at: Some(at), ..sell(1, 5_000) });
    let till = world.nodes[TILL].id;
    let claim = claim_of(with_key(&mut world, TILL, pickup(till), 2)).claim;
    let given = claim_of(with_key(&mut world, TILL, pickup(till), 3)).claim;
    with_key(&mut world, HQ, Command::LotMint(mint(101, 110)), 4).unwrap();
    world.converge(5_000);
    let transfer = Transfer { drop: night(), sku: shirt(), units: units(1), to: hq };
    let give = GiveCustody { claim: given, to: other, wait_ms: 0 };
    let refund = |claim| Command::Refund(Refund { claim, items: Vec::new(), damaged: false });
    for (key, (command, kind, says)) in (10..).zip([
        (Command::Redeem(Redeem::of(claim)), ActKind::Redemption, "claim refund"),
        (refund(claim), ActKind::Refund, "sell it again"),
        (Command::GiveCustody(give), ActKind::Custody, "claim give"),
        (pickup(other), ActKind::Sale, "in the custody of other"),
        (
            Command::Damage(Damage { drop: night(), sku: shirt(), units: units(1) }),
            ActKind::Damage,
            "minted anew",
        ),
        (Command::Transfer(transfer), ActKind::Transfer, "on hq, `popmesh transfer`"),
    ]) {
        with_key(&mut world, TILL, command.clone(), key)
            .unwrap_or_else(|refusal| panic!("{command:?}: {refusal:?}"));
        let act = last(&mut world, TILL);
        assert_eq!((act.kind, &act.undo), (kind, &None), "{act:?}");
        assert!(act.why_not.as_ref().is_some_and(|why| why.contains(says)), "{act:?}");
        let before = has(&mut world, TILL);
        let refused = undo(&mut world, TILL).unwrap_err();
        assert!(matches!(&refused, Refusal::CannotUndo { why, .. } if why.contains(says)), "{refused:?}");
        assert_eq!(has(&mut world, TILL), before);
    }
    world.converge(5_000);
    let act = last(&mut world, HQ);
    assert_eq!(act.kind, ActKind::Lot);
    assert!(act.why_not.unwrap().contains("popmesh damage"));
    world.assert_agreed();
}

/// What the device does by itself hides nothing: stock that it gives on request, carts that are over, parcels that came.
#[test]
fn only_what_a_person_did_counts() {
    let mut world = evening(202);
    assert!(matches!(world.query(OTHER, Query::LastAct), Answer::LastAct(Err(Refusal::NothingToUndo))));
    let short = CartNew { items: items(1), drop: None, ttl_ms: 5_000, shopper: None, wait_ms: 5_000 };
    with_key(&mut world, TILL, Command::CartNew(short), 1).unwrap();
    let sold = claim_of(with_key(&mut world, TILL, Command::Sell(sell(1, 5_000)), 2));
    // Others draw everything that this till has, its cart is over, and its past is read back.
    for _ in 0..20 {
        let _ = world.done(OTHER, Command::Sell(sell(1, 3_000)));
    }
    world.run_ms(10_000);
    world.converge(5_000);
    for _ in 0..2 {
        assert_eq!(last(&mut world, TILL).entry, sold.claim);
        world.power_cut(TILL);
        world.power_on(TILL);
        world.link_all();
        world.converge(5_000);
    }
    let refused =
        world.done(TILL, Command::Undo(Undo { entry: Ref { seq: 999, ..sold.claim } })).unwrap_err();
    assert!(matches!(&refused, Refusal::NotTheLast { last, .. } if *last == sold.claim), "{refused:?}");
    // Cut off from everybody, it is taken back all the same.
    world.isolate(TILL);
    world.run_ms(1_000);
    assert_eq!(undo(&mut world, TILL).unwrap().refund.unwrap().amount, sold.total);
    world.link_all();
    world.converge(8_000);
    world.assert_agreed();
}

#[test]
fn a_value_that_another_hq_has_changed_since_is_left_alone() {
    let mut world = World::new(203);
    world.add("hq", "hq", "hall");
    world.add("hq-2", "hq", "hall");
    world.link_all();
    world.open_drop(0, 5);
    world.converge(5_000);
    world.product(0, 1_900);
    world.converge(5_000);
    world.run_ms(2_000);
    world.product(1, 2_100);
    world.converge(5_000);
    let act = last(&mut world, 0);
    assert_eq!(act.kind, ActKind::Product);
    assert!(act.what.contains("set the price of shirt to 19.00 EUR; it was 25.00 EUR"), "{}", act.what);
    assert!(act.why_not.is_some_and(|why| why.contains("changed again since")));
    assert!(matches!(undo(&mut world, 0), Err(Refusal::CannotUndo { .. })));
    let Ok(Undone { product: Some(product), .. }) = undo(&mut world, 1) else { panic!() };
    assert_eq!(product.price, 1_900);
    // Asked for once more, the undo is what is taken back.
    let Ok(Undone { product: Some(product), .. }) = undo(&mut world, 1) else { panic!() };
    assert_eq!(product.price, 2_100);
    assert!(undo(&mut world, 1).is_ok());
    world.converge(5_000);
    world.assert_agreed();
}
