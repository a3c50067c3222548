//! A device that is set back, and its peers: the rules as they were sell a unit twice in a few steps, those of today do not.

use popmesh_models::restore::{CLEARED, ONCE, PERSON, PROVEN, Past, Restore, Rules, STRANGER, UNMARKED};
use popmesh_models::search;

/// Fewer steps than this lead to what the old rules break.
const STEPS: usize = 10;

fn broken_in_few_steps(name: &str, rules: Rules) {
    let found = search(name, Restore { rules, sales: 2, starts: 2 });
    let steps = found.broken.get(ONCE).map(Vec::len);
    assert!(steps.is_some_and(|steps| steps < STEPS), "{steps:?} steps");
    assert!(!found.broken.contains_key(PROVEN), "{:?}", found.broken);
}

#[test]
fn the_old_rules_sell_twice() {
    broken_in_few_steps("restore, old rules", Rules::OLD);
}

#[test]
fn a_count_of_starts_does_not_show_what_was_forgotten() {
    let rules = Rules { past: Past::Counted, ..Rules::NEW };
    broken_in_few_steps("restore, a count of starts", rules);
}

#[test]
fn a_peer_that_knows_nothing_must_clear_nothing() {
    let rules = Rules { strangers_clear: true, ..Rules::NEW };
    broken_in_few_steps("restore, strangers clear", rules);
}

#[test]
fn the_rules_of_today_keep_every_promise() {
    let found = search("restore, rules of today", Restore { rules: Rules::NEW, sales: 3, starts: 2 });
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    assert!(found.never.is_empty(), "{:?}", found.never);
    for what in [CLEARED, STRANGER, PERSON, UNMARKED] {
        assert!(found.reached.contains_key(what), "{what}");
    }
}
