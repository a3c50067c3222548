//! A drop's steps: how far it is, where, by whom. A join over records, so whatever order they came in, and however often one
//! was written, the result is the same.
//!
//! Each step is of a *round*, 0 at first; opening again after a close begins the next. Of a venue counts the greatest of
//! (round, kind) among the steps for it and those for all: a step that is done stays done, and a drop that was closed is opened
//! again only by whoever says so. Two devices that are cut off from each other may write one step twice: it is done once. Of
//! such twins the one that is shown, and, of announcements, whose units and hard end count, is picked by a rule on the entries
//! alone: the earlier hybrid time, then the lower hash.
//!
//! A sale names the step that it was made under. It is *after the close* if a close for its seller's venue, of its step's round or
//! a later one, was written before it, by their hybrid times. It counts all the same.

use std::collections::BTreeMap;

use crate::clock::Hlc;
use crate::command::DropState;
use crate::holdings::{Event, Precedence};
use crate::id::{ChainId, DeviceId, Ref};
use crate::planted::{Plant, Planted};
use crate::record::{Announced, Step, StepKind};
use crate::text::Place;

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its entry.
    pub entry: Ref,
    /// Who did.
    pub by: DeviceId,
    /// When, and what settles it where two are of one time.
    pub precedence: Precedence,
    /// What.
    pub step: Step,
}

impl Done {
    /// When.
    pub fn at(&self) -> Hlc {
        self.precedence.0
    }
}

/// How far a drop is at a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// In which round.
    pub round: u32,
    /// Which step.
    pub kind: StepKind,
}

/// The steps of one drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DropSteps {
    all: BTreeMap<Ref, Done>,
    /// By venue, `None` for all: of each step the one that counts.
    by_venue: BTreeMap<Option<Place>, BTreeMap<Reached, (Precedence, Ref)>>,
}

/// What is to become of a step that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It is to be written, in this round.
    Write {
        /// Which.
        round: u32,
    },
    /// It is done already, by this entry.
    Done(Ref),
    /// It does not fit how far the drop is there.
    Unfit(Misfit),
}

/// Why a step does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The drop is over there.
    Closed,
    /// It is not open there.
    NotOpen,
    /// It sells somewhere, where it would be announced only.
    StillSells,
    /// It has been opened again too often.
    TooManyRounds,
}

impl DropSteps {
    /// Takes in a step.
    pub(crate) fn take_in(&mut self, event: &Event<'_>, step: &Step, plant: Plant) {
        let precedence = (event.record.at, event.hash);
        let reached = Reached { round: step.round, kind: step.kind };
        let of = self.by_venue.entry(step.venue.clone()).or_default();
        if plant.has(Planted::StepsByArrival) {
            of.clear();
        }
        let counted = of.entry(reached).or_insert((precedence, event.entry));
        *counted = (*counted).min((precedence, event.entry));
        let done = Done { entry: event.entry, by: event.author, precedence, step: step.clone() };
        self.all.insert(event.entry, done);
    }

    /// Every step, by its entry.
    pub fn all(&self) -> impl Iterator<Item = &Done> {
        self.all.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A step.
    pub fn get(&self, entry: &Ref) -> Option<&Done> {
        self.all.get(entry)
    }

    /// Whether an entry is the one that counts of those that are of one step, round and venue.
    pub fn counts(&self, entry: &Ref) -> bool {
        let Some(Done { step, .. }) = self.all.get(entry) else { return false };
        let counted = self.counted(step.venue.as_ref(), Reached { round: step.round, kind: step.kind });
        counted.is_some_and(|counted| counted.entry == *entry)
    }

    fn top(&self, venue: Option<&Place>) -> Option<(Reached, (Precedence, Ref))> {
        let (reached, by) = self.by_venue.get(&venue.cloned())?.last_key_value()?;
        Some((*reached, *by))
    }

    fn counted(&self, venue: Option<&Place>, reached: Reached) -> Option<&Done> {
        let (_, entry) = self.by_venue.get(&venue.cloned())?.get(&reached)?;
        self.all.get(entry)
    }

    /// How far it is at a venue.
    pub fn at(&self, venue: &Place) -> Option<Reached> {
        let tops = [self.top(None), self.top(Some(venue))];
        tops.into_iter().flatten().map(|(reached, _)| reached).max()
    }

    /// The entry by which it is so far at a venue: what a sale there names.
    pub fn by(&self, venue: &Place) -> Option<Ref> {
        let far = self.at(venue)?;
        let tops = [self.top(None), self.top(Some(venue))].into_iter().flatten();
        tops.filter(|(reached, _)| *reached == far).map(|(_, by)| by).min().map(|(_, entry)| entry)
    }

    /// How far it is where nothing is said of the venue alone.
    pub fn at_all(&self) -> Option<Reached> {
        self.top(None).map(|(reached, _)| reached)
    }

    /// Venues that some step is for alone.
    pub fn venues(&self) -> impl Iterator<Item = &Place> {
        self.by_venue.keys().flatten()
    }

    /// Of each step of a round, for all and for each venue, the one that counts.
    pub fn of_round(&self, round: u32) -> impl Iterator<Item = &Done> {
        let of = move |steps: &'_ BTreeMap<Reached, (Precedence, Ref)>| {
            let from = Reached { round, kind: StepKind::Announce };
            let to = Reached { round, kind: StepKind::Close };
            steps.range(from..=to).map(|(_, (_, entry))| *entry).collect::<Vec<Ref>>()
        };
        self.by_venue.values().flat_map(of).filter_map(|entry| self.all.get(&entry))
    }

    /// The announcement at all venues that counts: of the latest round that has one.
    pub fn announcement(&self) -> Option<&Done> {
        let of = self.by_venue.get(&None)?;
        let (_, (_, entry)) = of.iter().rev().find(|(reached, _)| reached.kind == StepKind::Announce)?;
        self.all.get(entry)
    }

    /// The units that were announced, by SKU; none if none were.
    pub fn announced(&self) -> &[Announced] {
        self.announcement().and_then(|done| done.step.units.as_deref()).unwrap_or_default()
    }

    /// The hard end that was announced for a round at a venue: the earlier of that for all and that for the venue.
    pub fn ends_ms(&self, venue: &Place, round: u32) -> Option<u64> {
        let announced = Reached { round, kind: StepKind::Announce };
        let of = |venue: Option<&Place>| self.counted(venue, announced)?.step.ends_ms;
        [of(None), of(Some(venue))].into_iter().flatten().min()
    }

    /// The close that a sale came after, if it came after one: the earliest.
    pub fn close_before(&self, step: Option<Ref>, at: Hlc, venue: &Place) -> Option<&Done> {
        // What names none, or one that counts for nothing, was sold as if in the first round.
        let round = step.and_then(|entry| self.all.get(&entry)).map_or(0, |done| done.step.round);
        let closes = [None, Some(venue.clone())];
        let closes = closes.iter().filter_map(|venue| self.by_venue.get(venue)).flatten();
        let ending = closes.filter(|(reached, _)| reached.kind == StepKind::Close && reached.round >= round);
        let first = ending.map(|(_, by)| *by).filter(|((closed_at, _), _)| *closed_at < at).min();
        first.and_then(|(_, entry)| self.all.get(&entry))
    }

    /// When the first close of any venue was, for whoever looks for sales after one.
    pub fn first_close(&self) -> Option<Hlc> {
        let closes = self.by_venue.values().flatten();
        closes.filter(|(reached, _)| reached.kind == StepKind::Close).map(|(_, ((at, _), _))| *at).min()
    }

    /// What is to become of a step. `old` is how far the drop is by the programme, which counts where there are no steps; `ended`
    /// is whether its hard end has come there.
    pub fn fit(
        &self,
        kind: StepKind,
        venue: Option<&Place>,
        again: bool,
        old: DropState,
        ended: bool,
    ) -> Fit {
        if self.all.is_empty() {
            return self.first_fit(kind, again, old, ended);
        }
        // What counts where the step would.
        let here = match venue {
            Some(venue) => self.at(venue),
            None => self.at_all(),
        };
        let round = here.map_or(0, |here| here.round);
        let most = match venue {
            Some(_) => round,
            None => self
                .by_venue
                .values()
                .filter_map(BTreeMap::last_key_value)
                .map(|(top, _)| top.round)
                .max()
                .unwrap_or(0),
        };
        if kind == StepKind::Close {
            return match self.done(venue, Reached { round: most, kind }) {
                Some(entry) => Fit::Done(entry),
                None => Fit::Write { round: most },
            };
        }
        let closed = self.closed_in(venue, ended);
        if again && let Some(closed) = closed {
            let sells = |venue: &Place| self.at(venue).is_some_and(|at| DropState::from(at.kind).sells());
            let still = here.is_some_and(|here| DropState::from(here.kind).sells()) && !ended
                || venue.is_none() && self.venues().any(sells);
            return match kind {
                StepKind::LastCall => Fit::Unfit(Misfit::NotOpen),
                StepKind::Announce if still => Fit::Unfit(Misfit::StillSells),
                _ if closed + 1 >= crate::record::MAX_ROUND => Fit::Unfit(Misfit::TooManyRounds),
                _ => Fit::Write { round: most.max(closed + 1) },
            };
        }
        if ended || here.is_some_and(|here| here.kind == StepKind::Close) {
            return Fit::Unfit(Misfit::Closed);
        }
        if let Some(entry) = self.done(venue, Reached { round, kind }) {
            return Fit::Done(entry);
        }
        match here.map(|here| here.kind) {
            // What is announced late is announced all the same: it says how many units there are.
            Some(StepKind::LastCall) if kind == StepKind::Open => match self.by_of(venue) {
                Some(entry) => Fit::Done(entry),
                None => Fit::Write { round },
            },
            Some(StepKind::Open) => Fit::Write { round },
            _ if kind == StepKind::LastCall => Fit::Unfit(Misfit::NotOpen),
            _ => Fit::Write { round },
        }
    }

    fn by_of(&self, venue: Option<&Place>) -> Option<Ref> {
        match venue {
            Some(venue) => self.by(venue),
            None => self.top(None).map(|(_, (_, entry))| entry),
        }
    }

    /// By which entry a step is done at a venue, or at all.
    fn done(&self, venue: Option<&Place>, reached: Reached) -> Option<Ref> {
        let of = |venue: Option<&Place>| self.by_venue.get(&venue.cloned())?.get(&reached).copied();
        let for_all = of(None);
        let here = venue.and_then(|venue| of(Some(venue)));
        [for_all, here].into_iter().flatten().min().map(|(_, entry)| entry)
    }

    /// The latest round in which it was closed, where it is closed now: at a venue, or, for all, at any.
    fn closed_in(&self, venue: Option<&Place>, ended: bool) -> Option<u32> {
        let closed = |at: Reached| (at.kind == StepKind::Close || ended).then_some(at.round);
        match venue {
            Some(venue) => self.at(venue).and_then(closed),
            None => {
                let venues = self.venues().filter_map(|venue| self.at(venue));
                venues.chain(self.at_all()).filter_map(closed).max()
            }
        }
    }

    /// The same where there are no steps yet.
    fn first_fit(&self, kind: StepKind, again: bool, old: DropState, ended: bool) -> Fit {
        let over = old == DropState::Closed || ended;
        match kind {
            StepKind::Close => Fit::Write { round: 0 },
            StepKind::LastCall if !old.sells() || over => Fit::Unfit(Misfit::NotOpen),
            StepKind::LastCall => Fit::Write { round: 0 },
            _ if over && again => Fit::Write { round: 1 },
            _ if over => Fit::Unfit(Misfit::Closed),
            StepKind::Announce if old.sells() => Fit::Unfit(Misfit::StillSells),
            _ => Fit::Write { round: 0 },
        }
    }
}

impl From<StepKind> for DropState {
    fn from(kind: StepKind) -> Self {
        match kind {
            StepKind::Announce => DropState::Announced,
            StepKind::Open => DropState::Open,
            StepKind::LastCall => DropState::LastCall,
            StepKind::Close => DropState::Closed,
        }
    }
}

/// Which step each sale was made under, by chain: a sale names its own where that is another than its chain's sale before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Under(BTreeMap<ChainId, BTreeMap<u64, Ref>>);

impl Under {
    /// A sale names a step.
    pub(crate) fn named(&mut self, sale: Ref, step: Ref) {
        self.0.entry(sale.chain).or_default().insert(sale.seq, step);
    }

    /// The step that a sale was made under.
    pub fn of(&self, sale: &Ref) -> Option<Ref> {
        let chain = self.0.get(&sale.chain)?;
        chain.range(..=sale.seq).next_back().map(|(_, step)| *step)
    }
}

#[cfg(test)]
mod tests;
