//! Where a claim is asked for, a person gives what is at hand: all that it can mean counts, and nothing is guessed.

use popmesh_proto::command::{Command, Refund, Refusal, Reply, Sell, SettlePayment, Tender};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Named, Query};
use popmesh_proto::token::TokenFault;

use crate::event::{claim_of, hall_with, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;

fn named(world: &mut World, at: usize, text: &str) -> Result<Named, Refusal> {
    match world.query(at, Query::ClaimsNamed(text.to_owned())) {
        Answer::ClaimsNamed(named) => named,
        other => panic!("{other:?}"),
    }
}

fn one(world: &mut World, at: usize, text: &str) -> Option<Ref> {
    named(world, at, text).unwrap().claim
}

#[test]
fn a_claim_is_found_by_what_is_at_hand() {
    let mut world = hall_with(1, 12, "pos");
    let paid_by = |reference: &str, deferred| Sell {
        tender: Tender::Card,
        reference: Some(reference.to_owned()),
        deferred,
        ..sell(1, 5_000)
    };
    let first = claim_of(world.done(TILL, Command::Sell(paid_by("T-4711", false))));
    let shopper = Some("order-7".parse().unwrap());
    let pickup_at = Some(world.nodes[OTHER].id);
    let second = claim_of(world.done(TILL, Command::Sell(Sell { shopper, pickup_at, ..sell(1, 5_000) })));
    let third = claim_of(world.done(TILL, Command::Sell(paid_by("T-1", true))));
    let settle = SettlePayment {
        claim: third.claim,
        payment: None,
        failed: false,
        reference: Some("AUTH-9".to_owned()),
    };
    world.done(TILL, Command::SettlePayment(settle)).unwrap();
    let there = claim_of(world.done(OTHER, Command::Sell(paid_by("T-2", false))));
    let Ok(Reply::Refund(refunded)) =
        world.done(TILL, Command::Refund(Refund { claim: first.claim, items: vec![], damaged: false }))
    else {
        panic!()
    };
    world.converge(5_000);
    let Answer::Token(Ok(token)) = world.query(TILL, Query::Token(second.claim)) else { panic!() };
    let (code, lower) = (second.code.to_string(), second.code.to_string().to_lowercase().replace('-', ""));
    let key = world.nodes[TILL].id.to_string();
    for at in [HQ, TILL, OTHER] {
        for (text, claim) in [
            (second.claim.to_string(), second.claim),
            (code.clone(), second.claim),
            (lower.clone(), second.claim),
            (format!("  {code} "), second.claim),
            ("T-4711".to_owned(), first.claim),
            ("order-7".to_owned(), second.claim),
            ("T-1".to_owned(), third.claim),
            ("AUTH-9".to_owned(), third.claim),
            (format!("till:{}", first.receipt), first.claim),
            (format!("till {}", second.receipt), second.claim),
            (format!("till:#{}", third.receipt), third.claim),
            (format!("till:{}", refunded.receipts[0]), first.claim),
            (format!("{}:{}", &key[..8], second.receipt), second.claim),
            (format!("locker:{}", there.receipt), there.claim),
            (token.token.clone(), second.claim),
            (token.token.to_lowercase(), second.claim),
        ] {
            assert_eq!(one(&mut world, at, &text), Some(claim), "{text} on {at}");
        }
        for nothing in
            ["", " ", ":", "till:", "nobody:1", "till:99999999999999999999", "t-4711", "T-47", "0", "-1"]
        {
            let named = named(&mut world, at, nothing).unwrap();
            assert_eq!((named.claim, named.count), (None, 0), "{nothing:?}");
        }
    }
    // A bare number is this device's own receipt.
    assert_eq!(one(&mut world, TILL, &second.receipt.to_string()), Some(second.claim));
    assert_eq!(one(&mut world, OTHER, &there.receipt.to_string()), Some(there.claim));
    assert_eq!(one(&mut world, HQ, &second.receipt.to_string()), None);
    // What is known to nobody here is meant all the same, by its reference; a token that is not good means nothing.
    let unknown = Ref { seq: 999, ..first.claim };
    assert_eq!(one(&mut world, HQ, &unknown.to_string()), Some(unknown));
    let mut altered = token.token.clone();
    altered.pop();
    assert!(matches!(named(&mut world, HQ, &altered), Err(Refusal::Token { why: TokenFault::Damaged, .. })));
}

#[test]
fn several_that_fit_are_listed_and_none_is_taken() {
    let mut world = hall_with(2, 12, "pos");
    let of = |reference: &str| Sell {
        shopper: Some("order-7".parse().unwrap()),
        tender: Tender::Card,
        reference: Some(reference.to_owned()),
        ..sell(1, 5_000)
    };
    let first = claim_of(world.done(TILL, Command::Sell(of("A"))));
    let second = claim_of(world.done(TILL, Command::Sell(of("order-7"))));
    // What is one thing as a number of a receipt can be another as a reference.
    let third = claim_of(world.done(TILL, Command::Sell(of(&first.receipt.to_string()))));
    world.converge(5_000);
    let both = named(&mut world, TILL, &first.receipt.to_string()).unwrap();
    assert_eq!((both.claim, both.count), (None, 2));
    let all = named(&mut world, HQ, "order-7").unwrap();
    assert_eq!(
        all.claims.iter().map(|claim| claim.claim).collect::<Vec<_>>(),
        [third.claim, second.claim, first.claim]
    );
    let refused = all.one("order-7", |_| "till".to_owned()).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("fits 3 claims") && text.contains(&first.code.to_string()), "{text}");
    assert!(text.contains("1 × shirt") && text.contains("25.00 EUR"), "{text}");
    let none = named(&mut world, HQ, "order-8").unwrap().one("order-8", |_| String::new()).unwrap_err();
    assert!(matches!(none, Refusal::NoSuchClaim { .. }), "{none:?}");
}
