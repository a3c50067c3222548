//! One device whose disk is set back, and its peers: what it sells again, and who may say that it may.
//!
//! # State
//! What the device ever wrote: its lives (one for each start in which it wrote), each with the units that it sold and the
//! end of the life before it as far as it remembered. Of each life, how far the database has it, how far an older copy of the
//! disk has it, and how far the mark beside the database says that it went. And what the running device holds of its
//! past: what is missing, what a person has answered for, what peers have told. What a peer has is in no state: there are as
//! many peers as one likes, and each has heard of each life any beginning of it, or nothing.
//!
//! # Actions
//! A unit is sold (written down, marked, handed over); a peer is asked, and tells what it has seen of the device; an entry comes
//! back from a peer; a person answers for what is missing; the disk is copied; the device is set back to the copy and
//! starts; it just starts again. A cut link or a lost message is an action that does not happen.
//!
//! # Rules
//! [`Rules::past`] is what makes a device suspect that it was set back: a *count* of starts in the database and beside it, or
//! the *mark*. [`Rules::strangers_clear`] is whether a peer that knows nothing of the device ends the suspicion.
//!
//! # What is left out, and why that is safe
//! - Waiting for a first peer after a start that nobody suspects: it only keeps a device from selling for some seconds, and
//!   here it may sell at once, so more can happen here.
//! - A power cut between what is written down and the hand-over: then less was sold than here. One after which the mark lacks
//!   its end is [`Mark::Behind`].
//! - Copied devices that both run: they are two with one key, and no mark is between them.
//! - Receipts: a number in the mark that is looked after in the same way.
//! - Signatures and hashes: a proof of a peer's is an entry that the device wrote, so nothing else is told here. A life's id is never
//!   used twice, so a life and a number name one entry.

use stateright::{Model, Property};

/// How many units there are.
const UNITS: usize = 2;
/// The most lives.
const LIVES: usize = 3;

/// How far each life goes; 0 if there is nothing of it.
pub type Ends = [u8; LIVES];

fn reaches(here: &Ends, there: &Ends) -> bool {
    here.iter().zip(there).all(|(here, there)| here >= there)
}

fn with(ends: Ends, life: usize, to: u8) -> Ends {
    let mut ends = ends;
    ends[life] = to;
    ends
}

fn join(all: &mut Ends, more: &Ends) {
    for (end, more) in all.iter_mut().zip(more) {
        *end = (*end).max(*more);
    }
}

/// By what a device finds out that it was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// A count of starts, in the database and beside it: it was, if they differ.
    Counted,
    /// The mark: it was, if an end that the mark names is not in the database.
    Marked,
}

/// Which rules hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// By what it is found out.
    pub past: Past,
    /// A peer that knows nothing of the device clears it.
    pub strangers_clear: bool,
}

impl Rules {
    /// As they were.
    pub const OLD: Self = Self { past: Past::Counted, strangers_clear: true };
    /// As they are.
    pub const NEW: Self = Self { past: Past::Marked, strangers_clear: false };
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct Restore {
    /// Which rules hold.
    pub rules: Rules,
    /// The most units that are written down as sold, over all lives.
    pub sales: usize,
    /// The most starts after the first.
    pub starts: u8,
}

/// What becomes of the mark when the database is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It is as it was: the database alone was set back.
    Kept,
    /// It lacks what was written to it last: the power failed as well.
    Behind,
    /// It is gone.
    Lost,
    /// It was set back with the database.
    Back,
}

/// A life: what one start wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Life {
    /// The end of the life before it that the device remembered.
    before: Option<(usize, u8)>,
    /// Which units it sold, in order.
    sold: Vec<usize>,
}

/// What the folder of the device holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Disk {
    database: Ends,
    /// The database says that a mark was beside it.
    was_marked: bool,
    /// Where the mark goes to, and up to where a person has answered; none if there is no mark.
    mark: Option<(Ends, Ends)>,
    /// What the mark was before it was last written to.
    mark_before: Option<(Ends, Ends)>,
    /// Starts, as the database counts them and as the file beside it does.
    starts: (u8, u8),
}

/// What the running device knows of its past.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Running {
    /// The life that this start writes, once it has.
    life: Option<usize>,
    /// What is known to be missing.
    missing: Ends,
    /// What a person has answered for.
    lost: Ends,
    /// It may have been set back, and nothing says how far.
    doubted: bool,
    /// Something came back in this start.
    brought: bool,
    /// A peer has told that it has all that was here then.
    told_all: bool,
    /// A peer has told that it has never seen anything of this device.
    told_nothing: bool,
    /// It was suspected, and what a peer brought has cleared it.
    cleared: bool,
}

impl Running {
    fn is_suspected(&self) -> bool {
        self.doubted || self.missing != Ends::default()
    }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    written: Vec<Life>,
    disk: Disk,
    copy: Disk,
    running: Running,
    starts: u8,
    /// A person has answered for something.
    answered: bool,
    /// The mark was not kept once.
    harmed: bool,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A unit is sold.
    Sell(usize),
    /// A peer that has seen each life so far is asked.
    Ask(Ends),
    /// The next entry of a life comes back from a peer.
    Bring(usize),
    /// A person answers for what is missing.
    Accept,
    /// The disk is copied.
    Copy,
    /// The device is set back to the copy, and starts.
    SetBack(Mark),
    /// The device starts again.
    Start,
}

impl State {
    /// How far each life was ever written: what peers can have of it.
    fn ends(&self) -> Ends {
        let mut ends = Ends::default();
        for (end, life) in ends.iter_mut().zip(&self.written) {
            *end = life.sold.len() as u8;
        }
        ends
    }

    /// Everything that a peer can have seen.
    fn seen(&self) -> Vec<Ends> {
        let mut all = vec![Ends::default()];
        for (life, end) in self.ends().into_iter().enumerate() {
            let more = |seen: Ends| (0..=end).map(move |to| with(seen, life, to));
            all = all.into_iter().flat_map(more).collect();
        }
        all
    }

    /// A unit was handed over twice.
    fn is_sold_twice(&self) -> bool {
        let sold = || self.written.iter().flat_map(|life| &life.sold);
        (0..UNITS).any(|unit| sold().filter(|sold| **sold == unit).count() > 1)
    }

    fn sales(&self) -> usize {
        self.written.iter().map(|life| life.sold.len()).sum()
    }

    /// Whether the device's own database says that it has sold a unit.
    fn knows_sold(&self, unit: usize) -> bool {
        let known = |(life, end): (&Life, u8)| life.sold[..usize::from(end)].contains(&unit);
        self.written.iter().zip(self.disk.database).any(known)
    }

    /// The device's own signatures prove that it has two pasts: a life that follows another before its end, or two that
    /// follow the same.
    fn is_proven(&self) -> bool {
        self.written.iter().enumerate().any(|(index, life)| {
            let cut_short =
                life.before.is_some_and(|(before, end)| usize::from(end) < self.written[before].sold.len());
            let before = life.before.map(|(before, _)| before);
            let mut earlier = self.written[..index].iter();
            cut_short || earlier.any(|other| other.before.map(|(before, _)| before) == before)
        })
    }

    /// What was missing and is here, or was answered for, is missing no more; what lives that are here follow is.
    fn find_missing(&mut self) {
        let here = self.disk.database;
        let running = &mut self.running;
        let followed = self.written.iter().zip(here).filter(|(_, end)| *end > 0);
        for (before, end) in followed.filter_map(|(life, _)| life.before) {
            running.missing[before] = running.missing[before].max(end);
        }
        for ((missing, here), lost) in running.missing.iter_mut().zip(here).zip(running.lost) {
            if *missing <= here.max(lost) {
                *missing = 0;
            }
        }
    }

    fn write_mark(&mut self, anew: bool) {
        let lost = self.running.lost;
        let kept = self.disk.mark.filter(|_| !anew).map_or(Ends::default(), |(ends, _)| ends);
        let mut ends = kept;
        join(&mut ends, &self.disk.database);
        let mark = Some((ends, lost));
        if mark != self.disk.mark {
            self.disk.mark_before = std::mem::replace(&mut self.disk.mark, mark);
        }
        self.disk.was_marked = true;
    }
}

impl Restore {
    /// The device starts, from what its folder holds.
    fn start(&self, state: &mut State) {
        state.starts += 1;
        let disk = &mut state.disk;
        state.running = Running::default();
        match self.rules.past {
            Past::Counted => {
                let (inside, beside) = disk.starts;
                state.running.doubted = inside != beside;
                disk.starts = (beside + 1, beside + 1);
            }
            Past::Marked => {
                state.running.doubted = disk.mark.is_none() && disk.was_marked;
                (state.running.missing, state.running.lost) = disk.mark.unwrap_or_default();
                state.find_missing();
            }
        }
    }

    /// Whether what was told, and came, ends the suspicion.
    fn look_at_past(&self, state: &mut State) {
        let suspected = state.running.is_suspected();
        state.find_missing();
        let running = &state.running;
        if !suspected || running.missing != Ends::default() {
            return;
        }
        if !running.doubted || running.brought && running.told_all {
            self.clear(state);
            state.running.cleared = true;
        }
    }

    fn clear(&self, state: &mut State) {
        state.running.missing = Ends::default();
        state.running.doubted = false;
        if self.rules.past == Past::Marked {
            state.write_mark(true);
        }
    }

    fn ask(&self, state: &mut State, seen: Ends) {
        state.running.told_nothing |= seen == Ends::default();
        state.running.told_all |= seen != Ends::default() && reaches(&seen, &state.disk.database);
        // What the peer proves beyond what is here.
        join(&mut state.running.missing, &seen);
        state.find_missing();
        if self.rules.strangers_clear && reaches(&state.disk.database, &seen) {
            self.clear(state);
        }
        self.look_at_past(state);
    }

    fn sell(&self, state: &mut State, unit: usize) {
        let life = state.running.life.unwrap_or_else(|| {
            let last = (0..LIVES).rev().find(|life| state.disk.database[*life] > 0);
            let before = last.map(|last| (last, state.disk.database[last]));
            state.written.push(Life { before, sold: Vec::new() });
            state.written.len() - 1
        });
        state.running.life = Some(life);
        state.written[life].sold.push(unit);
        state.disk.database[life] += 1;
        if self.rules.past == Past::Marked {
            state.write_mark(false);
        }
    }

    fn set_back(&self, state: &mut State, to: Mark) {
        let mark = state.disk;
        state.disk = state.copy;
        state.disk.starts.1 = mark.starts.1;
        match to {
            Mark::Kept => (state.disk.mark, state.disk.mark_before) = (mark.mark, mark.mark_before),
            Mark::Behind => {
                (state.disk.mark, state.disk.mark_before) = (mark.mark_before, mark.mark_before);
            }
            Mark::Lost => (state.disk.mark, state.disk.mark_before) = (None, None),
            Mark::Back => state.disk.starts.1 = state.copy.starts.1,
        }
        state.harmed |= to != Mark::Kept;
        self.start(state);
    }
}

/// The promise: while the mark is kept, and nobody takes a risk, no unit is sold twice.
pub const ONCE: &str = "what was set back sells no unit twice";
/// Where a unit was sold twice and nobody had answered for that, the device's own signatures prove that it has two pasts.
pub const PROVEN: &str = "a unit that is sold twice unasked is proof of two pasts";
/// A device that was set back sells on, with what a peer brought.
pub const CLEARED: &str = "set back, cleared by what a peer brought, and sells";
/// A peer that knows nothing leaves a device in doubt.
pub const STRANGER: &str = "a peer that knows nothing leaves it in doubt";
/// A person takes the risk.
pub const PERSON: &str = "a person answers, and it sells a unit twice";
/// Without the mark there is no promise.
pub const UNMARKED: &str = "the mark is not kept, and it sells a unit twice";

impl Model for Restore {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let begins = state.running.life.is_none();
        let room = state.sales() < self.sales && (!begins || state.written.len() < LIVES);
        if room && !state.running.is_suspected() {
            let left = (0..UNITS).filter(|unit| !state.knows_sold(*unit));
            actions.extend(left.map(Action::Sell));
        }
        actions.extend(state.seen().into_iter().map(Action::Ask));
        let ends = state.ends();
        let behind = (0..LIVES).filter(|life| state.disk.database[*life] < ends[*life]);
        actions.extend(behind.map(Action::Bring));
        if state.running.is_suspected() {
            actions.push(Action::Accept);
        }
        actions.push(Action::Copy);
        if state.starts < self.starts {
            actions.push(Action::Start);
            let all = [Mark::Kept, Mark::Behind, Mark::Lost, Mark::Back];
            let some = if self.rules.past == Past::Marked { &all[..] } else { &[Mark::Kept, Mark::Back] };
            actions.extend(some.iter().map(|mark| Action::SetBack(*mark)));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Sell(unit) => self.sell(&mut state, unit),
            Action::Ask(seen) => self.ask(&mut state, seen),
            Action::Bring(life) => {
                state.disk.database[life] += 1;
                state.running.brought = true;
                self.look_at_past(&mut state);
            }
            Action::Accept => {
                let missing = state.running.missing;
                join(&mut state.running.lost, &missing);
                self.clear(&mut state);
                state.answered = true;
            }
            Action::Copy => state.copy = state.disk,
            Action::SetBack(mark) => self.set_back(&mut state, mark),
            Action::Start => self.start(&mut state),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_: &Self, state: &State| {
                state.answered || state.harmed || !state.is_sold_twice()
            }),
            Property::always(PROVEN, |_, state: &State| {
                state.answered || !state.is_sold_twice() || state.is_proven()
            }),
            Property::sometimes(CLEARED, |_, state: &State| {
                let plain = !state.answered && !state.harmed;
                plain && state.running.cleared && state.running.life.is_some()
            }),
            Property::sometimes(STRANGER, |_, state: &State| {
                state.running.is_suspected() && state.running.told_nothing
            }),
            Property::sometimes(PERSON, |_, state: &State| {
                state.answered && !state.harmed && state.is_sold_twice()
            }),
            Property::sometimes(UNMARKED, |_, state: &State| {
                state.harmed && !state.answered && state.is_sold_twice()
            }),
        ]
    }
}
