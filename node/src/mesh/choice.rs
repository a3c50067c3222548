//! Whom to link to over the radio where more devices are in range than there are places. No clock and no radio of its own.
//!
//! Above all else, everybody who can be reached at all is to be: who is in range and in no way linked is dialled first, and
//! a place is made for it, out of links that nobody would miss ([`Need`]). The last place is kept for that; the others are
//! filled with whoever is heard best. A much better one takes the place of a worse one, seldom.

#[cfg(test)]
mod tests;

use std::time::Duration;

use popmesh_ble::ShortId;
use tokio::time::Instant;

use super::tree::Need;

/// A link is let go no sooner than this after the one before, so that those whom that concerns know.
const LET_GO_EVERY: Duration = Duration::from_secs(10);

/// A link that came up no longer ago than this stays: where it leads may not be known yet.
const STAYS_FOR: Duration = Duration::from_secs(10);

/// Whoever has no place left has one again after this, if there is a link that nobody would miss.
const FULL_FOR: Duration = Duration::from_secs(30);

/// A better link takes the place of a worse one no sooner than this after any link was let go.
const SWAPS_EVERY: Duration = Duration::from_secs(300);

/// So much better, in dB: four times as far away, in the open, and more than a person who stands in between.
const BETTER_BY: i16 = 12;

/// Where somebody can be reached only in place of another, they take turns: after this first, and up to so many times
/// twice that.
const TURNS_EVERY: Duration = Duration::from_secs(60);
const TURNS_DOUBLE_MAX: u32 = 3;

/// A device that is linked over the radio.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) id: ShortId,
    pub(crate) need: Need,
    /// How good the link is, in dB: see [`worth`].
    pub(crate) worth: i16,
    pub(crate) since: Instant,
}

/// A device in range that is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) id: ShortId,
    /// Whether it is reached in no other way.
    pub(crate) is_foreign: bool,
    /// Whether it can be connected to.
    pub(crate) is_open: bool,
    /// Whether it wants links to devices that it reaches already.
    pub(crate) has_room: bool,
    /// Whether its time has come to be dialled.
    pub(crate) is_due: bool,
    pub(crate) worth: i16,
}

/// What a link between two is worth, in dB. A device without a network gets to one best directly: that counts more than any
/// signal.
pub(crate) fn worth(rssi: i8, one_bridges: bool, other_bridges: bool) -> i16 {
    i16::from(rssi) + if one_bridges == other_bridges { 0 } else { 40 }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Dial(ShortId),
    LetGo(ShortId),
}

/// Chooses, one step at a time.
#[derive(Debug)]
pub(crate) struct Chooser {
    places: usize,
    let_go_at: Option<Instant>,
    full_since: Option<Instant>,
    /// Since when somebody waits for a place, and how often a link that was needed went for that.
    waiting_since: Option<Instant>,
    turns: u32,
}

impl Chooser {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: places.max(1), let_go_at: None, full_since: None, waiting_since: None, turns: 0 }
    }

    /// Whether there is a use for links to devices that are reached already.
    pub(crate) fn has_room(&self, held: usize) -> bool {
        held + 1 < self.places
    }

    pub(crate) fn step(&mut self, held: &[Held], sighted: &[Candidate], now: Instant) -> Step {
        let is_full = held.len() >= self.places;
        self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        let foreign = || sighted.iter().filter(|candidate| candidate.is_foreign);
        if !is_full {
            self.waiting_since = None;
            let can_be_dialled = |candidate: &&Candidate| candidate.is_due && candidate.is_open;
            let fellows = || sighted.iter().filter(|candidate| !candidate.is_foreign && candidate.has_room);
            let missed = best(foreign().filter(can_be_dialled));
            let fill = || best(fellows().filter(can_be_dialled).filter(|_| self.has_room(held.len())));
            if let Some(candidate) = missed.or_else(fill) {
                return Step::Dial(candidate.id);
            }
            return match best(fellows().filter(can_be_dialled)) {
                Some(better) => self.swap(held, better, now),
                None => Step::Nothing,
            };
        }
        // One that is not open makes a place itself, and so does this one; whoever is first is dialled.
        if foreign().any(|candidate| candidate.is_due || !candidate.is_open) {
            return self.make_place(held, now);
        }
        self.waiting_since = None;
        let is_time = self.full_since.is_some_and(|since| now - since >= FULL_FOR);
        let least = worst(held, Need::None, now).filter(|_| is_time && self.may_let_go(LET_GO_EVERY, now));
        self.let_go(least, now)
    }

    /// A place for somebody who is reached in no other way.
    fn make_place(&mut self, held: &[Held], now: Instant) -> Step {
        let since = *self.waiting_since.get_or_insert(now);
        if !self.may_let_go(LET_GO_EVERY, now) {
            return Step::Nothing;
        }
        let spare = worst(held, Need::None, now).or_else(|| worst(held, Need::Replaceable, now));
        if spare.is_some() {
            return self.let_go(spare, now);
        }
        if now - since < TURNS_EVERY * (1 << self.turns.min(TURNS_DOUBLE_MAX)) {
            return Step::Nothing;
        }
        self.turns += 1;
        self.waiting_since = None;
        self.let_go(held.iter().min_by_key(|held| (held.since, held.id)), now)
    }

    /// A much better link in place of one that nobody would miss.
    fn swap(&mut self, held: &[Held], better: &Candidate, now: Instant) -> Step {
        let worse = worst(held, Need::None, now).filter(|worse| {
            now - worse.since >= SWAPS_EVERY
                && better.worth >= worse.worth + BETTER_BY
                && self.may_let_go(SWAPS_EVERY, now)
        });
        self.let_go(worse, now)
    }

    fn may_let_go(&self, every: Duration, now: Instant) -> bool {
        self.let_go_at.is_none_or(|last| now - last >= every)
    }

    fn let_go(&mut self, held: Option<&Held>, now: Instant) -> Step {
        let Some(held) = held else { return Step::Nothing };
        self.let_go_at = Some(now);
        Step::LetGo(held.id)
    }
}

fn best<'c>(candidates: impl Iterator<Item = &'c Candidate>) -> Option<&'c Candidate> {
    candidates.max_by_key(|candidate| (candidate.worth, candidate.id))
}

fn worst(held: &[Held], need: Need, now: Instant) -> Option<&Held> {
    held.iter()
        .filter(|held| held.need == need && now - held.since >= STAYS_FOR)
        .min_by_key(|held| (held.worth, held.id))
}
