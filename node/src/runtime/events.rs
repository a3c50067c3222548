//! Events on their way to whoever listens: the last ones in memory, each made into text once for all listeners, older ones
//! read from the store, a page at a time.
//!
//! A *follower* is one listener's place among the events. It takes what there is when it comes to it: a slow one is further
//! behind, holds no memory but its own page, and is told to begin anew (`reset`) only when the ring has gone past it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use popmesh_proto::fact::{Fact, Signal};
use popmesh_proto::id::DeviceId;
use popmesh_store::{Numbering, Run, StoreError, StoredEvent};
use tokio::sync::{broadcast, oneshot, watch};

use super::writer::Job;

/// The last events are in memory: so many, and so many bytes of them, unless the last has more.
const TAIL_EVENTS: usize = 1_024;
const TAIL_BYTES: usize = 1 << 20;
/// The last signals: who has not taken them by then goes without.
const SIGNALS: usize = 256;
/// The most events that a follower takes at once, and the most bytes, unless the first has more.
const TAKEN_EVENTS: usize = 64;
const TAKEN_BYTES: usize = 64 << 10;
/// How soon a follower looks again after it has taken something. A rush of sales then costs each listener ten turns a second,
/// however many sales it has, and the first event after a pause comes at once.
const PACE: Duration = Duration::from_millis(100);
/// Pages that were read lately, for others who are as far behind.
const PAGES: usize = 8;
/// Pages begin at multiples of this, so that others find them.
const PAGE_STEP: u64 = 256;
/// After a page was read, the store is left alone for so many times as long as that took.
const REST: u32 = 3;
/// Happenings that a watcher inside this process may lag behind.
const WATCHED: usize = 1_024;

/// The name of an event: of the run of numbers that it is in, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// How the id of the node's device begins.
    device: [u8; 4],
    run: Run,
    /// The number, from 1; 0 before the first.
    number: u64,
}

/// A text that is no event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of an event; send one back as it came, such as {EXAMPLE}")]
pub struct EventIdError;

const EXAMPLE: &str = "3f9a12c4-8d0e5b1f2a3c4d5e:17";

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}:{}", hex::encode(self.device), hex::encode(self.run), self.number)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        fn bytes<const N: usize>(text: &str) -> Result<[u8; N], EventIdError> {
            let mut bytes = [0; N];
            let is_lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            hex::decode_to_slice(text, &mut bytes).ok().filter(|()| is_lower).ok_or(EventIdError)?;
            Ok(bytes)
        }
        let (node, number) = text.split_once(':').ok_or(EventIdError)?;
        let (device, run) = node.split_once('-').ok_or(EventIdError)?;
        let is_plain = number == "0" || (number.as_bytes().first().is_some_and(|byte| *byte != b'0'));
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_plain && digits).ok_or(EventIdError)?;
        Ok(Self { device: bytes(device)?, run: bytes(run)?, number })
    }
}

/// An event, made into text.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub id: EventId,
    /// Its JSON, which begins with its kind.
    pub json: String,
}

impl Event {
    /// Its kind: what its JSON has first, in `event`.
    pub fn kind(&self) -> &str {
        let kind = self.json.strip_prefix(r#"{"event":""#).and_then(|rest| rest.split('"').next());
        kind.unwrap_or("event")
    }
}

/// Why a listener cannot go on from the id that it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetWhy {
    /// The id is another device's.
    OtherNode,
    /// Events after it are kept no more.
    TooOld,
    /// It is of no event that this device's database has: that was set back to an earlier state, lost, or copied.
    SetBack,
}

/// A listener has to begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Why.
    pub why: ResetWhy,
    /// What it goes on after: the place before the oldest event.
    pub after: EventId,
}

/// What has just happened, for whoever watches inside this process.
#[derive(Debug, Clone)]
pub enum Happening {
    /// Records that are durable tell this.
    Facts(Arc<[Fact]>),
    /// Presence or progress.
    Signal(Signal),
}

/// Why events could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The store says why.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is stopping.
    #[error("this node is stopping")]
    Stopping,
}

/// The events of a running device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: [u8; 4],
    state: Mutex<State>,
    /// Counts what was published.
    changed: watch::Sender<u64>,
    /// Gone when the node stops: nothing is read any more.
    jobs: Mutex<Option<Sender<Job>>>,
    /// Held by the one who reads.
    pages: tokio::sync::Mutex<VecDeque<Arc<Vec<Arc<Event>>>>>,
    happenings: broadcast::Sender<Happening>,
}

#[derive(Debug)]
struct State {
    oldest: u64,
    last: u64,
    /// By the first number of each.
    runs: BTreeMap<u64, Run>,
    /// The run of the next.
    run: Run,
    tail: VecDeque<Arc<Event>>,
    tail_bytes: usize,
    signals: VecDeque<Arc<Signal>>,
    /// The number of the next signal, since the start.
    next_signal: u64,
}

impl State {
    fn run_of(&self, number: u64) -> Run {
        self.runs.range(..=number).next_back().map_or(self.run, |(_, run)| *run)
    }

    /// The last number of the run that begins with `first`.
    fn end_of(&self, first: u64) -> u64 {
        self.runs.range(first + 1..).next().map_or(self.last, |(next, _)| next - 1)
    }

    fn push(&mut self, event: Arc<Event>) {
        self.last = event.number;
        self.tail_bytes += event.json.len();
        self.tail.push_back(event);
        while self.tail.len() > TAIL_EVENTS || (self.tail_bytes > TAIL_BYTES && self.tail.len() > 1) {
            self.tail_bytes -= self.tail.pop_front().map_or(0, |event| event.json.len());
        }
    }

    /// Events after `at` that are in memory; `None` if the first of them is not.
    fn in_memory(&self, at: u64) -> Option<Vec<Arc<Event>>> {
        if at >= self.last {
            return Some(Vec::new());
        }
        let first = self.tail.front()?.number;
        let skipped = usize::try_from((at + 1).checked_sub(first)?).ok()?;
        Some(some_of(self.tail.iter().skip(skipped)))
    }
}

/// The first of these, as many as are taken at once.
fn some_of<'a>(events: impl Iterator<Item = &'a Arc<Event>>) -> Vec<Arc<Event>> {
    let mut bytes = 0;
    let fits = |event: &&Arc<Event>| {
        let first = bytes == 0;
        bytes += event.json.len();
        first || bytes <= TAKEN_BYTES
    };
    events.take(TAKEN_EVENTS).take_while(fits).cloned().collect()
}

impl Events {
    /// Those of `device`, by the numbers that its store has given; the last of them are `tail`. What is older is read through
    /// `jobs`.
    pub(super) fn new(
        device: DeviceId,
        numbering: Numbering,
        tail: Vec<StoredEvent>,
        jobs: Option<Sender<Job>>,
    ) -> Self {
        let Numbering { oldest, last, runs, run } = numbering;
        let device = device.0.first_chunk().copied().unwrap_or_default();
        let state = State {
            oldest,
            last,
            runs: runs.into_iter().collect(),
            run,
            tail: VecDeque::new(),
            tail_bytes: 0,
            signals: VecDeque::new(),
            next_signal: 0,
        };
        let events = Self(Arc::new(Shared {
            device,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            jobs: Mutex::new(jobs),
            pages: tokio::sync::Mutex::default(),
            happenings: broadcast::channel(WATCHED).0,
        }));
        let mut state = events.state();
        for stored in tail {
            let event = events.event(&state, stored);
            state.push(event);
        }
        drop(state);
        events
    }

    /// Events that are in memory alone, numbered from 1: for an API without a store behind it.
    pub fn in_memory(device: DeviceId) -> Self {
        let numbering = Numbering { oldest: 1, last: 0, runs: Vec::new(), run: [0; 8] };
        Self::new(device, numbering, Vec::new(), None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, state: &State, number: u64) -> EventId {
        EventId { device: self.0.device, run: state.run_of(number), number }
    }

    fn event(&self, state: &State, stored: StoredEvent) -> Arc<Event> {
        let id = self.id(state, stored.number);
        Arc::new(Event { number: stored.number, id, json: stored.json })
    }

    /// Tells facts that are durable now, as they are stored.
    pub(super) fn publish(&self, stored: Vec<StoredEvent>, oldest: u64, facts: Arc<[Fact]>) {
        if stored.is_empty() {
            return;
        }
        let mut state = self.state();
        if let Some(first) = stored.first()
            && state.runs.values().next_back() != Some(&state.run)
        {
            let run = state.run;
            state.runs.insert(first.number, run);
        }
        for stored in stored {
            let event = self.event(&state, stored);
            state.push(event);
        }
        state.oldest = oldest;
        if let Some(covering) = state.runs.range(..oldest).next_back().map(|(first, _)| *first) {
            state.runs = state.runs.split_off(&covering);
        }
        drop(state);
        // Nobody watches: nobody minds.
        let _ = self.0.happenings.send(Happening::Facts(facts));
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Tells facts where there is no store.
    ///
    /// # Errors
    /// If they do not encode.
    pub fn tell(&self, facts: Vec<Fact>) -> Result<(), serde_json::Error> {
        let last = self.state().last;
        let stored = (last + 1..)
            .zip(&facts)
            .map(|(number, fact)| Ok(StoredEvent { number, json: serde_json::to_string(fact)? }))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        let oldest = self.state().oldest;
        self.publish(stored, oldest, facts.into());
        Ok(())
    }

    /// Tells of presence or progress.
    pub fn signal(&self, signal: Signal) {
        let mut state = self.state();
        if state.signals.len() == SIGNALS {
            state.signals.pop_front();
        }
        state.signals.push_back(Arc::new(signal.clone()));
        state.next_signal += 1;
        drop(state);
        let _ = self.0.happenings.send(Happening::Signal(signal));
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Everything that happens from now on, for a watcher in this process; a slow one misses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Happening> {
        self.0.happenings.subscribe()
    }

    /// Nothing is read from the store any more: the node stops, and the writer ends when nobody is left who could ask.
    pub(super) fn close(&self) {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The place after the last event.
    pub fn now(&self) -> EventId {
        let state = self.state();
        self.id(&state, state.last)
    }

    /// The place before the oldest event.
    pub fn beginning(&self) -> EventId {
        let state = self.state();
        self.id(&state, state.oldest - 1)
    }

    /// Whether one can go on after this id.
    ///
    /// # Errors
    /// [`Reset`] if not.
    pub fn resolve(&self, id: EventId) -> Result<u64, Reset> {
        let state = self.state();
        let reset = |why| Reset { why, after: self.id(&state, state.oldest - 1) };
        if id.device != self.0.device {
            return Err(reset(ResetWhy::OtherNode));
        }
        // Before the first event every run is the same: nothing has been told.
        if id.number == 0 && state.oldest == 1 {
            return Ok(0);
        }
        let named = state.runs.iter().find(|(_, run)| **run == id.run).map(|(first, _)| *first);
        match named {
            Some(first) if id.number >= first && id.number <= state.end_of(first) => {
                if id.number + 1 >= state.oldest { Ok(id.number) } else { Err(reset(ResetWhy::TooOld)) }
            }
            None if id.number < state.oldest && state.oldest > 1 => Err(reset(ResetWhy::TooOld)),
            // Older than its run's first here: of a run that began earlier elsewhere. Or later than all there is.
            _ => Err(reset(ResetWhy::SetBack)),
        }
    }

    /// A listener that goes on after `at`, a number that [`Events::resolve`] gave; from now on if none.
    pub fn follow(&self, at: Option<u64>) -> Follower {
        let changed = self.0.changed.subscribe();
        let state = self.state();
        let (at, signals_at) = (at.unwrap_or(state.last), state.next_signal);
        Follower { events: self.clone(), at, signals_at, changed, taken: None }
    }

    /// Events after a number, as many as are taken at once; none at the end.
    ///
    /// # Errors
    /// [`EventsError`] if older ones cannot be read.
    pub async fn after(&self, at: u64) -> Result<Vec<Arc<Event>>, EventsError> {
        if let Some(events) = self.state().in_memory(at) {
            return Ok(events);
        }
        let mut pages = self.0.pages.lock().await;
        let found = |pages: &VecDeque<Arc<Vec<Arc<Event>>>>| {
            let has = |page: &&Arc<Vec<Arc<Event>>>| {
                let ends = page.first().zip(page.last());
                ends.is_some_and(|(first, last)| first.number <= at + 1 && at < last.number)
            };
            pages.iter().find(has).map(|page| some_of(page.iter().filter(|event| event.number > at)))
        };
        if let Some(events) = found(&pages) {
            return Ok(events);
        }
        // At a place where others will look, and if that page ends too early, here.
        for from in [at / PAGE_STEP * PAGE_STEP, at] {
            let began = Instant::now();
            let page = self.read(from).await?;
            if pages.len() == PAGES {
                pages.pop_front();
            }
            pages.push_back(Arc::new(page));
            let took = began.elapsed();
            if let Some(events) = found(&pages) {
                tokio::time::sleep(took.min(PACE) * REST).await;
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }

    async fn read(&self, after: u64) -> Result<Vec<Arc<Event>>, EventsError> {
        let (answer, answered) = oneshot::channel();
        let asked = {
            let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.as_ref().is_some_and(|jobs| jobs.send(Job::Events { after, answer }).is_ok())
        };
        if !asked {
            return Err(EventsError::Stopping);
        }
        let stored = answered.await.map_err(|_| EventsError::Stopping)??;
        let state = self.state();
        Ok(stored.into_iter().map(|stored| self.event(&state, stored)).collect())
    }
}

/// What a follower takes at once.
#[derive(Debug, Default)]
pub struct Taken {
    /// It has to begin anew, with what follows.
    pub reset: Option<Reset>,
    /// Events, in order.
    pub events: Vec<Arc<Event>>,
    /// Presence and progress.
    pub signals: Vec<Arc<Signal>>,
}

/// One listener's place among the events.
#[derive(Debug)]
pub struct Follower {
    events: Events,
    at: u64,
    signals_at: u64,
    changed: watch::Receiver<u64>,
    /// When it last took something.
    taken: Option<tokio::time::Instant>,
}

impl Follower {
    /// The place that it is at.
    pub fn place(&self) -> EventId {
        let state = self.events.state();
        self.events.id(&state, self.at)
    }

    /// What there is, as soon as there is something.
    ///
    /// # Errors
    /// [`EventsError`] if older events cannot be read.
    pub async fn take(&mut self) -> Result<Taken, EventsError> {
        loop {
            self.changed.mark_unchanged();
            let mut taken = Taken::default();
            {
                let state = self.events.state();
                if self.at + 1 < state.oldest {
                    let after = self.events.id(&state, state.oldest - 1);
                    self.at = after.number;
                    taken.reset = Some(Reset { why: ResetWhy::TooOld, after });
                    return Ok(taken);
                }
                let new = usize::try_from(state.next_signal - self.signals_at).unwrap_or(usize::MAX);
                let skipped = state.signals.len().saturating_sub(new);
                taken.signals.extend(state.signals.iter().skip(skipped).cloned());
                self.signals_at = state.next_signal;
            }
            taken.events = self.events.after(self.at).await?;
            if let Some(last) = taken.events.last() {
                self.at = last.number;
            }
            if !taken.events.is_empty() || !taken.signals.is_empty() {
                self.taken = Some(tokio::time::Instant::now());
                return Ok(taken);
            }
            if self.changed.changed().await.is_err() {
                return Err(EventsError::Stopping);
            }
            if let Some(taken) = self.taken {
                tokio::time::sleep_until(taken + PACE).await;
            }
        }
    }
}
