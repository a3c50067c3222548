//! Custody, token and retirement: the rules as they were break promises in a few steps, those of today in none.

use popmesh_models::custody::{
    BY_TOKEN, Custody, ENDED, HEIRS_HEIR, LIVING, NOT_AGAIN, ONCE, PAID, RISK, Rules,
};
use popmesh_models::search;

/// Fewer steps than this lead to what the old rules break.
const STEPS: usize = 10;
/// The sale and what may follow: enough for an heir of an heir, what it does then, and two more.
const ENTRIES: usize = 8;

#[test]
fn the_old_rules_hand_out_twice_and_leave_a_claim_with_nobody() {
    let found = search("custody, old rules", Custody { rules: Rules::OLD, entries: 4 });
    for promise in [ONCE, NOT_AGAIN, ENDED, LIVING] {
        let steps = found.broken.get(promise).map(Vec::len);
        assert!(steps.is_some_and(|steps| steps < STEPS), "{promise}: {steps:?} steps");
    }
}

#[test]
fn the_rules_of_today_keep_every_promise() {
    let found = search("custody, rules of today", Custody { rules: Rules::NEW, entries: ENTRIES });
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    assert!(found.never.is_empty(), "{:?}", found.never);
    for what in [BY_TOKEN, PAID, HEIRS_HEIR, RISK] {
        assert!(found.reached.contains_key(what), "{what}");
    }
}

#[test]
fn a_token_that_does_not_name_the_custody_hands_out_what_still_waits() {
    let rules = Rules { token_names_custody: false, ..Rules::NEW };
    let found = search("custody, tokens as they were", Custody { rules, entries: 4 });
    assert!(found.broken.get(ENDED).is_some_and(|steps| steps.len() < STEPS), "{:?}", found.broken);
}

#[test]
fn heirs_without_heirs_leave_a_claim_with_nobody() {
    let rules = Rules { heirs_have_heirs: false, ..Rules::NEW };
    let found = search("custody, heirs as they were", Custody { rules, entries: 4 });
    assert!(found.broken.get(LIVING).is_some_and(|steps| steps.len() < STEPS), "{:?}", found.broken);
}

#[test]
fn an_heirs_heir_that_has_not_heard_what_was_handed_out_hands_it_out_again() {
    let rules = Rules { retirements_need_their_cut: false, ..Rules::NEW };
    let found = search("custody, retirements without their cut", Custody { rules, entries: 7 });
    assert!(found.broken.get(ONCE).is_some_and(|steps| steps.len() < STEPS), "{:?}", found.broken);
}

#[test]
fn a_device_that_goes_by_its_view_alone_does_again_what_it_has_done() {
    let rules = Rules { own_deeds_block: false, ..Rules::NEW };
    let found = search("custody, own deeds as they were", Custody { rules, entries: 7 });
    assert!(found.broken.get(NOT_AGAIN).is_some_and(|steps| steps.len() < STEPS), "{:?}", found.broken);
    assert!(!found.broken.contains_key(ONCE), "{:?}", found.broken);
}
