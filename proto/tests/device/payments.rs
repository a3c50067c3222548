//! Payments: split, rounded, deferred, taxed, and given back to the last cent.

use popmesh_proto::command::{
    CartNew, Claim, Command, LimitSet, PaymentNew, PaymentState, ProductAdd, Refund, Refunded, Refusal,
    Reply, RulesSet, Sell, SettlePayment, Tender,
};
use popmesh_proto::query::{Answer, IncidentKind, Query, WaitingPayment};
use popmesh_proto::tax::{Prices, Rounding};
use proptest::prelude::*;

use crate::event::{claim_of, sell, shirt};
use crate::receipts::{evening, receipts, refunded, takings};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const LOCKER: usize = 2;

fn part(tender: Tender, amount: i64) -> PaymentNew {
    PaymentNew { tender, amount, reference: None, deferred: false, given: None }
}

fn deferred(amount: i64, reference: &str) -> PaymentNew {
    PaymentNew { reference: Some(reference.to_owned()), deferred: true, ..part(Tender::Card, amount) }
}

fn paying(quantity: u64, payments: Vec<PaymentNew>) -> Sell {
    Sell { payments, ..sell(quantity, 2_000) }
}

fn refused(world: &mut World, sell: Sell) -> Refusal {
    world.done(TILL, Command::Sell(sell)).unwrap_err()
}

fn rules(world: &mut World, rules: RulesSet) {
    assert!(matches!(world.done(HQ, Command::RulesSet(rules)), Ok(Reply::Rules(_))));
    world.converge(5_000);
}

fn limit(world: &mut World, amount: Option<i64>, of: Option<usize>) {
    let device = of.map(|of| world.nodes[of].id);
    assert!(matches!(world.done(HQ, Command::LimitSet(LimitSet { device, amount })), Ok(Reply::Rules(_))));
    world.converge(5_000);
}

fn tax(world: &mut World, price: i64, tax: u16) {
    let product = ProductAdd { tax: Some(tax), ..ProductAdd::of(shirt(), "Shirt", price) };
    assert!(matches!(world.done(HQ, Command::ProductAdd(product)), Ok(Reply::Product(_))));
    world.converge(5_000);
}

fn settle(
    world: &mut World,
    at: usize,
    claim: &Claim,
    payment: Option<u32>,
    failed: bool,
) -> Result<Reply, Refusal> {
    let settle = SettlePayment { claim: claim.claim, payment, failed, reference: None };
    world.done(at, Command::SettlePayment(settle))
}

fn waiting(world: &mut World, at: usize) -> Vec<WaitingPayment> {
    match world.query(at, Query::WaitingPayments) {
        Answer::WaitingPayments(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

fn refund_all(world: &mut World, at: usize, claim: &Claim) -> Refunded {
    let refund = Refund { claim: claim.claim, items: Vec::new(), damaged: false };
    match world.done(at, Command::Refund(refund)) {
        Ok(Reply::Refund(refunded)) => refunded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn payments_make_up_the_total_or_nothing_is_sold() {
    let mut world = evening(1);
    world.done(TILL, Command::Sell(sell(1, 2_000))).unwrap();
    let before = world.claims(TILL).len();
    let cash = |amount| part(Tender::Cash, amount);
    let card = |amount| part(Tender::Card, amount);
    let lacks = refused(&mut world, paying(2, vec![card(2_000), cash(2_000)]));
    assert_eq!(
        lacks.to_string(),
        "the payments come to 40.00 EUR, and the total is 50.00 EUR: 10.00 EUR lacks"
    );
    let over = refused(&mut world, paying(2, vec![card(5_001)]));
    assert!(over.to_string().ends_with("0.01 EUR is too much"), "{over}");
    let short = refused(&mut world, Sell { given: Some(2_000), ..sell(1, 0) });
    assert!(matches!(short, Refusal::CashShort { due: 2_500, lacks: 500, .. }), "{short:?}");
    for (sell, field) in [
        (paying(2, vec![card(1_250); 5]), "payments"),
        (paying(2, vec![card(5_001), card(-1)]), "payments[1].amount"),
        (paying(2, vec![card(0), card(5_000)]), "payments[0].amount"),
        (paying(2, vec![cash(2_500), cash(2_500)]), "payments"),
        (paying(1, vec![PaymentNew { deferred: true, ..cash(2_500) }]), "payments[0].deferred"),
        (paying(1, vec![PaymentNew { given: Some(3_000), ..card(2_500) }]), "payments[0].given"),
        (paying(1, vec![deferred(2_500, "")]), "payments[0].reference"),
        (paying(1, vec![deferred(2_500, &"x".repeat(65))]), "payments[0].reference"),
        (Sell { tender: Tender::Card, given: Some(1), ..sell(1, 0) }, "given"),
        (Sell { deferred: true, ..sell(1, 0) }, "deferred"),
        (Sell { reference: Some("\u{7}".to_owned()), ..sell(1, 0) }, "reference"),
        (Sell { given: Some(5_000), ..paying(1, vec![card(2_500)]) }, "payments"),
        (Sell { tender: Tender::Card, ..paying(1, vec![card(2_500)]) }, "payments"),
    ] {
        let refusal = refused(&mut world, sell);
        assert!(
            matches!(&refusal, Refusal::Invalid { field: of, .. } if of == field),
            "{field}: {refusal:?}"
        );
    }
    let overflow = refused(&mut world, paying(1, vec![card(i64::MAX), card(i64::MAX)]));
    assert!(matches!(overflow, Refusal::PaymentsDiffer { paid: i64::MAX, .. }), "{overflow:?}");
    assert_eq!(world.claims(TILL).len(), before);

    let paid = paying(2, vec![card(2_000), PaymentNew { given: Some(5_000), ..cash(3_000) }]);
    let claim = claim_of(world.done(TILL, Command::Sell(paid)));
    let payments: Vec<_> =
        claim.payments.iter().map(|paid| (paid.tender, paid.amount, paid.change)).collect();
    assert_eq!(payments, [(Tender::Card, 2_000, None), (Tender::Cash, 3_000, Some(2_000))]);
    assert_eq!((claim.tender, claim.total, claim.receipt), (Tender::Card, 5_000, 2));
    world.converge(5_000);
    world.assert_agreed();
    // To the last tender first, up to what it took.
    let back = refunded(&mut world, TILL, &claim, 1);
    let of = |back: &Refunded| back.payments.iter().map(|of| (of.tender, of.amount)).collect::<Vec<_>>();
    assert_eq!((back.amount, of(&back)), (2_500, vec![(Tender::Cash, 2_500)]));
    let rest = refund_all(&mut world, TILL, &claim);
    assert_eq!((rest.amount, of(&rest)), (2_500, vec![(Tender::Cash, 500), (Tender::Card, 2_000)]));
    let tenders = takings(&mut world, TILL, TILL).tenders;
    assert_eq!(tenders.iter().map(|of| (of.taken, of.net)).collect::<Vec<_>>(), [(5_500, 2_500), (2_000, 0)]);
}

#[test]
fn a_cart_that_cannot_be_paid_so_stays_put_aside() {
    let mut world = evening(2);
    let new = CartNew { items: sell(2, 0).items, drop: None, shopper: None, ttl_ms: 60_000, wait_ms: 2_000 };
    let Ok(Reply::Cart(cart)) = world.done(TILL, Command::CartNew(new)) else { panic!() };
    let pay = Sell { items: Vec::new(), cart: Some(cart.cart), ..paying(2, vec![part(Tender::Card, 4_999)]) };
    assert!(matches!(refused(&mut world, pay.clone()), Refusal::PaymentsDiffer { total: 5_000, .. }));
    let pay = Sell { payments: vec![part(Tender::Card, 5_000)], ..pay };
    assert_eq!(claim_of(world.done(TILL, Command::Sell(pay))).total, 5_000);
}

#[test]
fn cash_is_rounded_and_the_books_close_to_the_cent() {
    let mut world = evening(3);
    tax(&mut world, 1_234, 0);
    rules(&mut world, RulesSet { cash_coin: Some(5), ..RulesSet::default() });
    let claim = claim_of(world.done(TILL, Command::Sell(Sell { given: Some(2_000), ..sell(1, 2_000) })));
    assert_eq!((claim.total, claim.payments[0].rounding, claim.payments[0].change), (1_234, 1, Some(765)));
    let short = refused(&mut world, Sell { given: Some(1_234), ..sell(1, 0) });
    assert!(matches!(short, Refusal::CashShort { due: 1_235, lacks: 1, .. }), "{short:?}");
    let card = claim_of(world.done(TILL, Command::Sell(Sell { tender: Tender::Card, ..sell(1, 2_000) })));
    assert_eq!(card.payments[0].rounding, 0);
    // Three units, brought back one by one: 37.02 is taken as 37.00, and so much goes back.
    let three = claim_of(world.done(TILL, Command::Sell(sell(3, 2_000))));
    assert_eq!((three.total, three.payments[0].rounding), (3_702, -2));
    let back: Vec<i64> = (0..3).map(|_| refunded(&mut world, TILL, &three, 1).amount).collect();
    assert_eq!(back, [1_235, 1_235, 1_230]);
    let cash = takings(&mut world, TILL, TILL).tenders[0];
    assert_eq!((cash.taken, cash.rounding, cash.paid_back, cash.net), (4_935, -1, 3_700, 1_235));
    world.converge(5_000);
    world.assert_sound();
}

#[test]
fn deferred_payments_are_bounded_until_they_are_settled() {
    let mut world = evening(4);
    limit(&mut world, Some(6_000), None);
    let first = claim_of(world.done(TILL, Command::Sell(paying(1, vec![deferred(2_500, "T1")]))));
    assert_eq!(first.payments[0].state, PaymentState::Deferred);
    let second = paying(1, vec![deferred(1_000, "T2"), deferred(1_500, "T3")]);
    let second = claim_of(world.done(TILL, Command::Sell(second)));
    // A restart forgets nothing.
    world.power_cut(TILL);
    world.power_on(TILL);
    world.link_all();
    let over = refused(&mut world, paying(1, vec![deferred(2_500, "T4")]));
    assert!(
        matches!(over, Refusal::DeferredLimit { limit: 6_000, waiting: 5_000, left: 1_000, .. }),
        "{over:?}"
    );
    assert!(world.done(TILL, Command::Sell(Sell { tender: Tender::Card, ..sell(1, 2_000) })).is_ok());

    let several = settle(&mut world, TILL, &second, None, false).unwrap_err();
    assert!(several.to_string().contains("1, 2"), "{several}");
    world.converge(5_000);
    let elsewhere = settle(&mut world, HQ, &first, None, false).unwrap_err();
    assert!(elsewhere.to_string().contains("till took the payment"), "{elsewhere}");
    settle(&mut world, TILL, &second, Some(2), false).unwrap();
    for payment in [Some(2), Some(3), Some(0)] {
        let again = settle(&mut world, TILL, &second, payment, false).unwrap_err();
        assert!(matches!(again, Refusal::NotDeferred { .. }), "{again:?}");
    }
    settle(&mut world, TILL, &first, None, true).unwrap();
    assert!(world.done(TILL, Command::Sell(paying(2, vec![deferred(5_000, "T5")]))).is_ok());
    world.converge(5_000);
    for at in [HQ, TILL, LOCKER] {
        let claims = world.claims(at);
        assert_eq!(claims[&first.claim].payments[0].state, PaymentState::Failed);
        let states: Vec<_> = claims[&second.claim].payments.iter().map(|of| of.state).collect();
        assert_eq!(states, [PaymentState::Deferred, PaymentState::Settled]);
        let waits: Vec<_> = waiting(&mut world, at).iter().map(|of| (of.payment, of.amount)).collect();
        assert_eq!(waits.iter().map(|(_, amount)| amount).sum::<i64>(), 6_000);
        let incidents = world.check(at).incidents;
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        assert!(incidents[0].contains("25.00 EUR by card, reference T1, failed"), "{incidents:?}");
        assert_eq!(world.status(at).incidents, 1);
        let Answer::Incidents(known) = world.query(at, Query::Incidents) else { panic!() };
        assert_eq!(known.iter().map(|known| known.kind).collect::<Vec<_>>(), [IncidentKind::Payment]);
    }
    let card = takings(&mut world, HQ, TILL).tenders[0];
    assert_eq!((card.taken, card.deferred, card.failed), (4_000, 6_000, 2_500));
    // Its own limit goes before that of all; without one, there is none.
    limit(&mut world, Some(0), Some(TILL));
    assert!(matches!(
        refused(&mut world, paying(1, vec![deferred(2_500, "T6")])),
        Refusal::DeferredLimit { left: 0, .. }
    ));
    limit(&mut world, None, Some(TILL));
    limit(&mut world, None, None);
    assert!(world.done(TILL, Command::Sell(paying(1, vec![deferred(2_500, "T6")]))).is_ok());
    let pos = LimitSet { device: None, amount: Some(1) };
    assert!(matches!(world.done(TILL, Command::LimitSet(pos)), Err(Refusal::RoleForbids { .. })));
}

#[test]
fn what_was_not_taken_is_not_paid_out() {
    let mut world = evening(5);
    let pickup =
        |world: &World, payments| Sell { pickup_at: Some(world.nodes[LOCKER].id), ..paying(2, payments) };
    let sale = pickup(&world, vec![part(Tender::Cash, 2_000), deferred(3_000, "T1")]);
    let claim = claim_of(world.done(TILL, Command::Sell(sale.clone())));
    world.converge(5_000);
    let back = refunded(&mut world, LOCKER, &claim, 1);
    assert_eq!((back.amount, back.payments[0].amount, back.payments[0].cancelled), (0, 2_500, true));
    world.converge(5_000);
    let Ok(Reply::Settled(settled)) = settle(&mut world, TILL, &claim, None, false) else { panic!() };
    assert_eq!(settled.amount, 500);
    world.converge(5_000);
    let rest = refund_all(&mut world, LOCKER, &claim);
    assert_eq!((rest.amount, rest.payments.len()), (2_500, 2));
    world.converge(5_000);
    world.assert_agreed();

    // Refunded and settled at once, where neither knew of the other: somebody must pay it back.
    let claim = claim_of(world.done(TILL, Command::Sell(sale)));
    world.converge(5_000);
    world.isolate(LOCKER);
    settle(&mut world, TILL, &claim, None, false).unwrap();
    assert_eq!(refund_all(&mut world, LOCKER, &claim).amount, 2_000);
    world.link_all();
    world.converge(10_000);
    for at in [HQ, TILL, LOCKER] {
        let incidents = world.check(at).incidents;
        assert!(incidents.len() == 1 && incidents[0].ends_with("pay 30.00 EUR back"), "{incidents:?}");
    }
}

#[test]
fn tax_is_reckoned_once_and_stays() {
    let mut world = evening(6);
    tax(&mut world, 2_500, 1_900);
    let included = claim_of(world.done(TILL, Command::Sell(sell(2, 2_000))));
    let of = |claim: &Claim| {
        (claim.total, claim.taxes.iter().map(|tax| (tax.rate, tax.net, tax.tax)).collect::<Vec<_>>())
    };
    assert_eq!(of(&included), (5_000, vec![(1_900, 4_202, 798)]));
    rules(
        &mut world,
        RulesSet { prices: Some(Prices::Excluded), round: Some(Rounding::Line), ..RulesSet::default() },
    );
    tax(&mut world, 2_500, 700);
    let excluded = claim_of(world.done(TILL, Command::Sell(sell(2, 2_000))));
    assert_eq!(of(&excluded), (5_350, vec![(700, 5_000, 350)]));
    world.power_cut(TILL);
    world.power_on(TILL);
    world.link_all();
    world.converge(5_000);
    for at in [HQ, TILL] {
        assert_eq!(of(&world.claims(at)[&included.claim]), of(&included));
    }
    let back = refunded(&mut world, TILL, &excluded, 1);
    assert_eq!((back.amount, back.taxes[0].net, back.taxes[0].tax), (2_675, 2_500, 175));
    let receipt = receipts(&mut world, TILL, TILL).remove(0);
    assert_eq!((receipt.total, receipt.taxes[0].tax, receipt.items[0].rate), (2_675, 175, Some(700)));
    let taxes = takings(&mut world, TILL, TILL).taxes;
    assert_eq!(
        taxes.iter().map(|of| (of.rate, of.net, of.tax)).collect::<Vec<_>>(),
        [(700, 2_500, 175), (1_900, 4_202, 798)]
    );
    let odd = ProductAdd { tax: Some(10_001), ..ProductAdd::of(shirt(), "Shirt", 1) };
    assert!(
        matches!(world.done(HQ, Command::ProductAdd(odd)), Err(Refusal::Invalid { field, .. }) if field == "tax")
    );
    for (coin, nothing) in [(Some(-1), false), (Some(10_001), false), (None, true)] {
        let set = RulesSet { cash_coin: coin, ..RulesSet::default() };
        assert!(matches!(world.done(HQ, Command::RulesSet(set)), Err(Refusal::Invalid { .. })), "{nothing}");
    }
}

#[test]
fn a_usual_sale_stays_small() {
    let mut world = evening(7);
    let of = |world: &World, claim: &Claim| {
        world.chain(TILL, claim.claim.chain)[claim.claim.seq as usize - 1].body.len()
    };
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    let usual = claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    let split = claim_of(
        world.done(TILL, Command::Sell(paying(1, vec![deferred(2_000, "T1"), part(Tender::Cash, 500)]))),
    );
    tax(&mut world, 2_500, 1_900);
    claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    let taxed = claim_of(world.done(TILL, Command::Sell(sell(1, 2_000))));
    let sizes = [&usual, &split, &taxed].map(|claim| of(&world, claim));
    println!("usual, split, taxed: {sizes:?} bytes");
    assert!(sizes[0] <= 80, "{sizes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn refunds_of_all_units_are_all_that_was_paid(
        seed in 0u64..1_000,
        price in 1i64..20_000,
        rate in prop::sample::select(vec![0u16, 250, 700, 1_900, 10_000]),
        excluded in any::<bool>(),
        by_line in any::<bool>(),
        coin in prop::sample::select(vec![1i64, 5, 50]),
        units in 1u64..8,
        cuts in prop::collection::vec(1u64..4, 1..8),
        split in 1i64..100,
    ) {
        let mut world = World::new(seed);
        world.add("hq", "hq", "hall");
        world.add("till", "pos", "hall");
        world.link_all();
        world.open_drop(HQ, 20);
        tax(&mut world, price, rate);
        rules(&mut world, RulesSet {
            prices: Some(if excluded { Prices::Excluded } else { Prices::Included }),
            round: Some(if by_line { Rounding::Line } else { Rounding::Receipt }),
            cash_coin: Some(coin),
            ordinary_wish: None,
        });
        let probe = refused(&mut world, paying(units, vec![part(Tender::Card, i64::MAX)]));
        let Refusal::PaymentsDiffer { total, .. } = probe else { panic!("{probe:?}") };
        let card = (total * split / 100).clamp(0, total - 1);
        let mut payments = vec![part(Tender::Cash, total - card)];
        payments.extend((card > 0).then(|| part(Tender::Card, card)));
        let claim = claim_of(world.done(TILL, Command::Sell(paying(units, payments))));
        let (mut left, mut tax_back, mut amount) = (units, 0, 0);
        for cut in cuts.into_iter().chain([u64::MAX]) {
            if left > 0 {
                let some = cut.min(left);
                let back = refunded(&mut world, TILL, &claim, some);
                prop_assert!(back.amount >= 0);
                tax_back += back.taxes.iter().map(|of| of.tax).sum::<i64>();
                amount += back.payments.iter().map(|of| of.amount).sum::<i64>();
                left -= some;
            }
        }
        prop_assert_eq!(amount, claim.total);
        prop_assert_eq!(tax_back, claim.taxes.iter().map(|of| of.tax).sum::<i64>());
        let takings = takings(&mut world, TILL, TILL);
        prop_assert!(takings.tenders.iter().all(|of| of.net == 0), "{:?}", takings.tenders);
        prop_assert!(takings.taxes.iter().all(|of| (of.net, of.tax) == (0, 0)), "{:?}", takings.taxes);
        prop_assert_eq!(world.check(TILL).incidents, Vec::<String>::new());
    }
}
