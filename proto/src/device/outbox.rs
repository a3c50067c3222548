//! Durable before visible: outputs that let the outside learn of a record wait until it is stored.

use std::collections::{BTreeSet, VecDeque};

use crate::command::Refusal;
use crate::fact::Fact;
use crate::id::{ChainId, DeviceId, Ref};
use crate::io::{BatchId, Entry, Output, SealedWrites, StoredReply};
use crate::log::Linked;
use crate::planted::{Plant, Planted};

/// Others' entries wait for each other so long before they are written, unless something is to be told that needs them
/// durable: each write wears the flash of a till, and at a large event somebody sells all the time.
const OTHERS_WAIT_MS: u64 = 200;

/// Records of one write, while they are gathered.
#[derive(Debug, Default)]
pub(super) struct OpenBatch {
    pub(super) entries: Vec<Entry>,
    pub(super) replies: Vec<StoredReply>,
    /// Sealed payloads to be kept or deleted.
    pub(super) sealed: SealedWrites,
    /// What the entries tell observers.
    pub(super) facts: Vec<Fact>,
    /// Own chains written to, with the position of the first entry of this batch.
    pub(super) own: Vec<(ChainId, u64)>,
    /// Devices that units were given to: they are told directly, too.
    pub(super) given_to: BTreeSet<DeviceId>,
    /// The mark beside the database is to be written, whatever else is.
    pub(super) marks: bool,
    /// Since when there is something in it.
    since_ms: Option<u64>,
    /// Whether something waits for it to be durable.
    presses: bool,
}

impl OpenBatch {
    /// Whether nothing in it is this device's own doing.
    fn is_of_others(&self) -> bool {
        self.own.is_empty() && self.replies.is_empty() && self.sealed.is_empty() && !self.marks
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.replies.is_empty()
            && self.sealed.is_empty()
            && self.facts.is_empty()
            && !self.marks
    }
}

/// What a write that is under way says of this device's own, to be told when it is durable.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) batch: BatchId,
    /// Own chains, with the position of the first entry of the batch.
    pub(super) own: Vec<(ChainId, u64)>,
    /// Devices that units were given to.
    pub(super) given_to: BTreeSet<DeviceId>,
}

/// Outputs on their way out.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) open: OpenBatch,
    /// Of the batch that was closed last, until its gossip is lined up.
    pub(super) fresh: Option<Fresh>,
    next: BatchId,
    in_flight: Option<BatchId>,
    held: VecDeque<(BatchId, Output)>,
    ready: VecDeque<Output>,
    plant: Plant,
    /// With a planted bug, what the batch before told.
    late: Vec<Fact>,
}

impl Outbox {
    pub(super) fn new(plant: Plant) -> Self {
        Self {
            open: OpenBatch::default(),
            fresh: None,
            next: 1,
            in_flight: None,
            held: VecDeque::new(),
            ready: VecDeque::new(),
            plant,
            late: Vec::new(),
        }
    }

    /// Takes an entry of the log, body and all, into the next write. Comes before anything is told of it: what is
    /// emitted from here on waits for that write.
    pub(super) fn store(&mut self, linked: &mut Linked) {
        let Ref { chain, seq } = linked.entry;
        let body = std::mem::take(&mut linked.body);
        self.open.entries.push(Entry { chain, seq, body, signature: linked.signature });
    }

    /// Takes a fact into the next write: that of the entries that it follows from, since writes are closed between inputs
    /// only.
    pub(super) fn tell(&mut self, fact: Fact) {
        self.open.facts.push(fact);
    }

    /// Lets `output` out once everything that this device has taken in so far is durable.
    pub(super) fn emit(&mut self, output: Output) {
        let until = if self.open.is_empty() { self.in_flight } else { Some(self.next) };
        match until.filter(|_| !self.plant.has(Planted::AcknowledgeBeforeSync)) {
            Some(batch) => {
                self.open.presses |= batch == self.next && !matches!(output, Output::Signal(_));
                self.held.push_back((batch, output));
            }
            None => self.ready.push_back(output),
        }
    }

    /// Lets out at once what says nothing about any record.
    pub(super) fn emit_now(&mut self, output: Output) {
        self.ready.push_back(output);
    }

    /// Lets out at once, and before all else, what bears on all that goes out.
    pub(super) fn emit_first(&mut self, output: Output) {
        self.ready.push_front(output);
    }

    /// The mark beside the database is to be written with the next write, which need not write anything else.
    pub(super) fn mark(&mut self) {
        self.open.marks = true;
    }

    /// What is in the open batch is wanted durable.
    pub(super) fn press(&mut self) {
        self.open.presses = true;
    }

    /// The batch to be closed and written now, if one is due: only one write is under way at a time, and what arrives
    /// meanwhile goes into the next.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<(BatchId, OpenBatch)> {
        if self.open.is_empty() {
            return None;
        }
        let since = *self.open.since_ms.get_or_insert(now_ms);
        let can_wait = !self.open.presses && self.open.is_of_others() && now_ms < since + OTHERS_WAIT_MS;
        if can_wait || self.in_flight.is_some() {
            return None;
        }
        let batch = self.next;
        self.next += 1;
        self.in_flight = Some(batch);
        let mut open = std::mem::take(&mut self.open);
        if self.plant.has(Planted::TellApart) {
            std::mem::swap(&mut open.facts, &mut self.late);
        }
        Some((batch, open))
    }

    /// When a batch that waits for more is due.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.open.since_ms.filter(|_| self.in_flight.is_none()).map(|since| since + OTHERS_WAIT_MS)
    }

    /// Lets `output` out when `batch` is durable.
    pub(super) fn hold(&mut self, batch: BatchId, output: Output) {
        self.held.push_back((batch, output));
    }

    pub(super) fn stored(&mut self, batch: BatchId) {
        if self.in_flight != Some(batch) {
            return;
        }
        self.in_flight = None;
        while self.held.front().is_some_and(|(until, _)| *until <= batch) {
            if let Some((_, output)) = self.held.pop_front() {
                self.ready.push_back(output);
            }
        }
    }

    /// Turns every outcome that waits for a write into a refusal, and drops the rest.
    pub(super) fn fail(&mut self, problem: &str) {
        for (_, output) in std::mem::take(&mut self.held) {
            match output {
                Output::Reply { call, .. } => self.ready.push_back(Output::Reply {
                    call,
                    result: Err(Refusal::NotStored { problem: problem.to_owned() }),
                }),
                Output::Answer { call, .. } => self.ready.push_back(Output::Answer {
                    call,
                    answer: Box::new(crate::query::Answer::Failed(problem.to_owned())),
                }),
                _ => {}
            }
        }
        self.open = OpenBatch::default();
        self.fresh = None;
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.open.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }
}
