//! Lists in parts: whatever the size of a part, and whatever is sold or heard of in between, a walk gives what was there from its
//! beginning once, in the order of the list, and counts it once.

use std::collections::BTreeSet;

use popmesh_proto::command::Command;
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, ClaimFilter, LogFilter, Query, ReceiptFilter};
use proptest::prelude::*;

use crate::event::{claim_of, hall_with, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;

fn sell_at(world: &mut World, at: usize) -> Ref {
    claim_of(world.done(at, Command::Sell(sell(1, 5_000)))).claim
}

/// The parts of a list, with something done between them: what names the items, and their times.
fn walk(
    world: &mut World,
    ask: impl Fn(&mut World) -> (Vec<(u64, Ref)>, bool),
    mut between: impl FnMut(&mut World),
) -> Vec<(u64, Ref)> {
    let mut seen = Vec::new();
    loop {
        let (part, more) = ask(world);
        seen.extend(part);
        if !more {
            return seen;
        }
        between(world);
    }
}

fn check_walk(seen: &[(u64, Ref)], before: &BTreeSet<Ref>) -> Result<(), TestCaseError> {
    let names: BTreeSet<Ref> = seen.iter().map(|(_, entry)| *entry).collect();
    prop_assert_eq!(names.len(), seen.len(), "an item came twice");
    prop_assert!(before.is_subset(&names), "an item never came");
    prop_assert!(seen.windows(2).all(|pair| pair[0].0 >= pair[1].0), "the latest come first");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_gives_each_item_once_whatever_happens_meanwhile(
        seed in 1..10_000u64,
        limit in 1..9u32,
        before in prop::collection::vec(0..3usize, 1..14),
        between in prop::collection::vec(0..3usize, 0..6),
    ) {
        let mut world = hall_with(seed, 90, "pos");
        let sold: BTreeSet<Ref> = before.iter().map(|at| sell_at(&mut world, *at)).collect();
        world.converge(20_000);
        // One device sells on without being heard; what it sold comes in the middle of the walks, with times of before.
        world.isolate(OTHER);
        for _ in 0..2 {
            world.command(OTHER, Command::Sell(sell(1, 0)));
        }
        world.run_ms(1_000);
        let mut next = between.into_iter().cycle();
        let mut parts = 0;
        let mut something = |world: &mut World| {
            match next.next() {
                Some(OTHER) if parts == 1 => world.link(HQ, OTHER),
                Some(at) if at != OTHER && parts < 8 => {
                    world.command(at, Command::Sell(sell(1, 0)));
                }
                _ => {}
            }
            parts += 1;
            world.run_ms(200);
        };

        let after = std::cell::Cell::new(None);
        let claims = walk(&mut world, |world| {
            let filter = ClaimFilter { after: after.get(), limit: Some(limit), ..ClaimFilter::default() };
            let Answer::Claims(part) = world.query(HQ, Query::Claims(filter)) else { panic!("no claims") };
            assert!(part.claims.len() <= limit as usize && part.count as usize >= sold.len());
            after.set(part.next);
            (part.claims.iter().map(|claim| (claim.at_ms, claim.claim)).collect(), part.next.is_some())
        }, &mut something);
        check_walk(&claims, &sold)?;

        let everything = LogFilter { limit: Some(u32::MAX), ..LogFilter::default() };
        let Answer::Log(all) = world.query(HQ, Query::Log(everything)) else { panic!("no log") };
        let entries: BTreeSet<Ref> = all.items.iter().map(|line| line.entry).collect();
        prop_assert_eq!(all.next, None);
        let after = std::cell::Cell::new(None);
        let lines = walk(&mut world, |world| {
            let filter = LogFilter { after: after.get(), limit: Some(limit), ..LogFilter::default() };
            let Answer::Log(part) = world.query(HQ, Query::Log(filter)) else { panic!("no log") };
            after.set(part.next);
            (part.items.iter().map(|line| (line.at_ms, line.entry)).collect(), part.next.is_some())
        }, &mut something);
        check_walk(&lines, &entries)?;

        let till = world.nodes[TILL].id;
        let after = std::cell::Cell::new(None);
        let receipts = walk(&mut world, |world| {
            let filter = ReceiptFilter {
                device: Some(till), after: after.get(), limit: Some(limit), ..ReceiptFilter::default()
            };
            let Answer::Receipts(part) = world.query(TILL, Query::Receipts(filter)) else { panic!("none") };
            after.set(part.next);
            (part.items.iter().map(|one| (one.number, one.entry)).collect(), part.next.is_some())
        }, &mut something);
        check_walk(&receipts, &BTreeSet::new())?;

        // Nothing is before the time from which on is asked.
        if let Some((at_ms, _)) = lines.get(lines.len() / 2) {
            let filter = LogFilter { since: Some(*at_ms), limit: Some(u32::MAX), ..LogFilter::default() };
            let Answer::Log(late) = world.query(HQ, Query::Log(filter)) else { panic!("no log") };
            prop_assert!(late.items.iter().all(|line| line.at_ms >= *at_ms) && !late.items.is_empty());
        }
    }
}
