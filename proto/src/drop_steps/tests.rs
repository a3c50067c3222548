use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::id::Hash;
use crate::record::{Body, Record};
use crate::text::DropId;

/// A step as some device wrote it: its number, time and hash, and what it says.
#[derive(Debug, Clone)]
struct Written {
    seq: u64,
    at: Hlc,
    step: Step,
}

impl Written {
    fn entry(&self) -> Ref {
        Ref { chain: ChainId([7; 16]), seq: self.seq }
    }

    fn take(&self, steps: &mut DropSteps) {
        let drop: DropId = "night".parse().unwrap();
        let record = Record { at: self.at, body: Body::Step(self.step.clone()), key: None };
        let event = Event {
            entry: self.entry(),
            drop: &drop,
            author: DeviceId([self.seq as u8; 32]),
            hash: Hash([self.seq as u8; 32]),
            record: &record,
        };
        steps.take_in(&event, &self.step, Plant::default());
    }
}

const KINDS: [StepKind; 4] = [StepKind::Announce, StepKind::Open, StepKind::LastCall, StepKind::Close];
const VENUES: [&str; 2] = ["hall", "yard"];

fn place(venue: &str) -> Place {
    venue.parse().unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    let venue = option::of(0..VENUES.len());
    (0..KINDS.len(), 0..3_u32, venue, option::of(1..50_u64), option::of(1..9_000_u64)).prop_map(
        |(kind, round, venue, units, ends_ms)| {
            let (kind, venue) = (KINDS[kind], venue.map(|venue| place(VENUES[venue])));
            let announces = kind == StepKind::Announce;
            let units = units.filter(|_| announces && venue.is_none());
            let units = units.map(|units| vec![Announced { sku: "TEE".parse().unwrap(), units }]);
            Step { kind, round, venue, units, ends_ms: ends_ms.filter(|_| announces) }
        },
    )
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    vec((step(), 1..6_u64), 0..12).prop_map(|steps| {
        let numbered = (1..).zip(steps);
        numbered.map(|(seq, (step, at))| Written { seq, at: Hlc(at), step }).collect()
    })
}

fn fold<'a>(all: impl IntoIterator<Item = &'a Written>) -> DropSteps {
    let mut steps = DropSteps::default();
    all.into_iter().for_each(|written| written.take(&mut steps));
    steps
}

proptest! {
    #[test]
    fn any_order_gives_the_same_however_often_each_comes(
        (all, order) in written().prop_flat_map(|all| {
            let places: Vec<usize> = (0..all.len()).chain(0..all.len()).collect();
            (Just(all), Just(places).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(fold(&all), fold(order.iter().map(|at| &all[*at])));
    }

    #[test]
    fn what_is_reached_stays_so(all in written()) {
        let mut steps = DropSteps::default();
        let mut before: Vec<Option<Reached>> = vec![None; VENUES.len()];
        for written in &all {
            written.take(&mut steps);
            let now: Vec<_> = VENUES.iter().map(|venue| steps.at(&place(venue))).collect();
            prop_assert!(now.iter().zip(&before).all(|(now, before)| now >= before));
            before = now;
        }
    }

    /// What is asked, in a straightforward way, over the whole set.
    #[test]
    fn the_join_is_the_greatest_of_what_is_for_a_venue(all in written(), venue in 0..VENUES.len(), at in 1..7_u64) {
        let steps = fold(&all);
        let venue = place(VENUES[venue]);
        let here = |written: &&Written| written.step.venue.as_ref().is_none_or(|of| *of == venue);
        let reached = |written: &Written| Reached { round: written.step.round, kind: written.step.kind };
        let rank = |written: &Written| (written.at, Hash([written.seq as u8; 32]));
        let far = all.iter().filter(here).map(reached).max();
        prop_assert_eq!(steps.at(&venue), far);
        let by = all.iter().filter(here).filter(|written| Some(reached(written)) == far).min_by_key(|one| rank(one));
        prop_assert_eq!(steps.by(&venue), by.map(Written::entry));
        let announced = all.iter().filter(|one| one.step.venue.is_none() && one.step.kind == StepKind::Announce);
        let last = announced.clone().map(|one| one.step.round).max();
        let counted = announced.filter(|one| Some(one.step.round) == last).min_by_key(|one| rank(one));
        prop_assert_eq!(steps.announcement().map(|done| done.entry), counted.map(Written::entry));
        // A sale under each step, at a time.
        for under in &all {
            let closes = all.iter().filter(here).filter(|one| {
                one.step.kind == StepKind::Close && one.step.round >= under.step.round && one.at < Hlc(at)
            });
            let first = closes.min_by_key(|one| rank(one));
            let close = steps.close_before(Some(under.entry()), Hlc(at), &venue);
            // Of two of one round the one that counts stands for both: the first of all is one that counts.
            prop_assert_eq!(close.map(|done| done.entry), first.map(Written::entry));
        }
    }

    /// Whatever was written before, and whatever is asked for: what is written then does what was asked, and no venue that was
    /// closed opens unless that was said; asked once more, it is done.
    #[test]
    fn a_step_that_fits_does_what_it_says(
        all in written(), kind in 0..KINDS.len(), venue in option::of(0..VENUES.len()), again: bool,
    ) {
        let mut steps = fold(&all);
        let (kind, venue) = (KINDS[kind], venue.map(|venue| place(VENUES[venue])));
        let states = |steps: &DropSteps| VENUES.map(|venue| steps.at(&place(venue)));
        let before = states(&steps);
        let Fit::Write { round } = steps.fit(kind, venue.as_ref(), again, DropState::Planned, false) else {
            return Ok(());
        };
        let step = Step { kind, round, venue: venue.clone(), units: None, ends_ms: None };
        Written { seq: 99, at: Hlc(9), step }.take(&mut steps);
        for ((name, before), now) in VENUES.into_iter().zip(before).zip(states(&steps)) {
            let sold = before.is_some_and(|at| DropState::from(at.kind).sells());
            let closed = before.is_some_and(|at| at.kind == StepKind::Close);
            let sells = now.is_some_and(|at| DropState::from(at.kind).sells());
            let meant = venue.as_ref().is_none_or(|venue| *venue == place(name));
            prop_assert!(meant || before == now, "{name} was not meant");
            prop_assert!(!closed || again || now.is_some_and(|at| at.kind == StepKind::Close), "{name} reopened");
            prop_assert!(!sold || sells || kind == StepKind::Close, "{name} does not sell any more");
            prop_assert!(!meant || kind != StepKind::Close || !sells, "{name} still sells");
        }
        let once_more = steps.fit(kind, venue.as_ref(), false, DropState::Planned, false);
        prop_assert!(matches!(once_more, Fit::Done(_)), "{once_more:?}");
    }
}

#[test]
fn where_there_are_no_steps_the_old_state_counts() {
    let none = DropSteps::default();
    let fit = |kind, again, old, ended| none.fit(kind, None, again, old, ended);
    let write = |round| Fit::Write { round };
    for old in [DropState::Planned, DropState::Announced, DropState::Open, DropState::Closed] {
        assert_eq!(fit(StepKind::Close, false, old, false), write(0));
    }
    assert_eq!(fit(StepKind::Open, false, DropState::Open, false), write(0));
    assert_eq!(fit(StepKind::Open, false, DropState::Closed, false), Fit::Unfit(Misfit::Closed));
    assert_eq!(fit(StepKind::Open, true, DropState::Closed, false), write(1));
    assert_eq!(fit(StepKind::Open, false, DropState::Planned, true), Fit::Unfit(Misfit::Closed));
    assert_eq!(fit(StepKind::Announce, false, DropState::Open, false), Fit::Unfit(Misfit::StillSells));
    assert_eq!(fit(StepKind::LastCall, false, DropState::Planned, false), Fit::Unfit(Misfit::NotOpen));
    assert_eq!(fit(StepKind::LastCall, false, DropState::Open, false), write(0));
}
