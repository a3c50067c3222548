//! The one thread on which a device lives. It takes in whatever has arrived, lets the device act on it, carries out what
//! the device wants, and waits; it never touches a disk or a socket.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use popmesh_proto::fact::Signal;
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::io::{BatchId, Entry, Input, Output};
use popmesh_proto::links::Width;
use popmesh_proto::query::Answer;
use popmesh_store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::RuntimeError;
use super::book::Admission;
use super::clock::RuntimeClock;
use super::effects::Effects;
use super::handle::{Call, StoreHealth};
use super::machine::Machine;
use super::mesh::{InboundEvents, MeshEvent};
use super::metrics::RuntimeMetrics;
use super::park;
use super::share::{SLICE, Share};
use super::writer::{Job, Page, Written};

/// Calls, and events of the mesh, that are taken in between two looks at everything else.
const TAKEN_AT_ONCE: usize = 256;
/// Pages of entries that are read ahead while a device opens.
const PAGES_AHEAD: usize = 4;
/// The first wait before writing is tried again, in milliseconds.
const PROBE_FIRST_MS: u64 = 200;
/// The longest such wait.
const PROBE_LAST_MS: u64 = 2_000;
/// Writes that are still carried out when the node stops.
const WRITES_AT_STOP: usize = 16;
/// For how long the core looks for the end of a write before it sleeps. To be woken costs about a fifth of a write on a
/// fast disk; on a slow one, this is lost in the time that the write takes.
const LOOK_FOR: Duration = Duration::from_micros(200);

/// Where the core's inputs come from.
pub(super) struct Sources {
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) mesh: InboundEvents,
    pub(super) written: mpsc::UnboundedReceiver<Written>,
    pub(super) stop: oneshot::Receiver<()>,
}

enum State<D> {
    Running(D),
    /// The device was dropped, because a write of its failed, or because it has to begin anew.
    Failing(Outage),
}

struct Outage {
    problem: String,
    since_ms: u64,
    /// When to try again; `None` while trying.
    probe_at_ms: Option<u64>,
}

pub(super) struct Core<D: Machine> {
    config: D::Config,
    state: State<D>,
    sources: Sources,
    effects: Effects,
    peers: BTreeMap<DeviceId, Width>,
    /// Room for the calls that are taken in at once, 0.4 MB. Made anew for each, it would lie between entries that stay, and
    /// the memory would be in pieces.
    taken: Vec<Call>,
    clock: RuntimeClock,
    probe_wait_ms: u64,
    share: Share,
    metrics: Arc<RuntimeMetrics>,
}

impl<D: Machine> Core<D> {
    /// Opens the device from what is stored.
    pub(super) fn open(
        config: D::Config,
        sources: Sources,
        effects: Effects,
        metrics: Arc<RuntimeMetrics>,
    ) -> Result<Self, RuntimeError> {
        let clock = RuntimeClock::start();
        let device = open_device::<D>(&config, &effects.jobs, clock)?;
        Ok(Self {
            config,
            state: State::Running(device),
            sources,
            effects,
            peers: BTreeMap::new(),
            taken: Vec::new(),
            clock,
            probe_wait_ms: PROBE_FIRST_MS,
            share: Share::default(),
            metrics,
        })
    }

    /// Has a mark beside the database: what is stored is whole, and nobody doubts it.
    pub(super) fn begin_mark(&self) {
        self.effects.job(Job::BeginMark);
    }

    /// Runs until told to stop, or until it cannot go on.
    pub(super) fn run(mut self) -> Result<(), RuntimeError> {
        let waker = park::waker();
        let mut context = Context::from_waker(&waker);
        loop {
            // Stored first: it sets free the replies that people wait for.
            let mut took = self.take_written(&mut context)?;
            took |= self.take_calls(&mut context);
            took |= self.take_mesh(&waker);
            self.take_time();
            self.carry_out();
            self.metrics.calls_waiting.set(self.effects.book.waiting() as u64);
            // Told to, or nobody is left who could tell.
            if Pin::new(&mut self.sources.stop).poll(&mut context).is_ready() {
                return self.finish(&mut context);
            }
            if !took {
                self.wait();
            }
        }
    }

    /// Waits until there may be something to do.
    fn wait(&self) {
        let sources = &self.sources;
        let is_there = || !sources.written.is_empty() || !sources.calls.is_empty();
        if self.effects.write.is_some() && park::look(LOOK_FOR, is_there) {
            return;
        }
        let due = self.deadline_ms().map(|at_ms| self.clock.instant(at_ms));
        // The mesh wakes nobody while peers wait.
        let turn = self.share.peers_wait_until(Instant::now());
        park::park(due.into_iter().chain(turn).min());
    }

    /// Waits for the write under way, so that whoever was about to get a reply gets it.
    fn finish(mut self, context: &mut Context<'_>) -> Result<(), RuntimeError> {
        self.sources.calls.close();
        for _ in 0..WRITES_AT_STOP {
            while self.effects.write.is_some() {
                if !self.take_written(context)? {
                    park::park(None);
                }
            }
            self.carry_out();
            if self.effects.write.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn deadline_ms(&self) -> Option<u64> {
        match &self.state {
            State::Running(_) => self.effects.wake_at_ms,
            State::Failing(outage) => outage.probe_at_ms,
        }
    }

    fn take_written(&mut self, context: &mut Context<'_>) -> Result<bool, RuntimeError> {
        let mut took = false;
        loop {
            match self.sources.written.poll_recv(context) {
                Poll::Pending => return Ok(took),
                Poll::Ready(None) => return Err(RuntimeError::WriterEnded),
                Poll::Ready(Some(written)) => {
                    took = true;
                    match written {
                        Written::Stored { batch, appended } => {
                            self.probe_wait_ms = PROBE_FIRST_MS;
                            self.effects.stored(batch, appended);
                            self.give(Input::Stored { batch });
                        }
                        Written::Failed { batch, error } => self.fail(batch, &error),
                        Written::Answer { call, stored } => self.effects.book.looked_up(call, *stored),
                        Written::Probed(Ok(())) => self.reopen()?,
                        Written::Probed(Err(error)) => self.wait_for_room(&error),
                    }
                }
            }
        }
    }

    /// Takes in what peers sent, one message after the other, whoever's turn it is. While somebody on this device wants
    /// something, for a short time only, and then not again until they had their time.
    fn take_mesh(&mut self, waker: &Waker) -> bool {
        let begun = Instant::now();
        if self.share.peers_wait_until(begun).is_some() {
            return false;
        }
        let mut taken = 0;
        let mut before = begun;
        while taken < TAKEN_AT_ONCE {
            let Some((peer, event, guard)) = self.sources.mesh.take(waker) else { break };
            taken += 1;
            self.take_event(event);
            drop(guard);
            let now = Instant::now();
            self.sources.mesh.used(peer, now - before);
            before = now;
            if now - begun >= SLICE && self.share.is_active(now) {
                break;
            }
        }
        if taken > 0 {
            let took = before - begun;
            self.share.peers_took(took, before);
            self.metrics.mesh_us.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        taken > 0
    }

    fn take_event(&mut self, event: MeshEvent) {
        match event {
            MeshEvent::LinkUp { peer, width } => {
                self.peers.insert(peer, width);
                self.give(Input::LinkUp { peer, width });
            }
            MeshEvent::LinkWidth { peer, width } => {
                if let Some(now) = self.peers.get_mut(&peer) {
                    *now = width;
                    self.give(Input::LinkWidth { peer, width });
                }
            }
            MeshEvent::LinkDown { peer } => {
                self.peers.remove(&peer);
                self.give(Input::LinkDown { peer });
            }
            MeshEvent::Message { from, bytes } => {
                self.count_message();
                self.give(Input::Message { from, bytes });
            }
            MeshEvent::Gossip { from, bytes, token } => {
                self.count_message();
                if matches!(self.state, State::Failing(_)) {
                    self.effects.ignore(token);
                }
                self.give(Input::Gossip { from, bytes, token });
            }
        }
    }

    fn count_message(&self) {
        match self.state {
            State::Running(_) => self.metrics.mesh_messages.add(1),
            State::Failing(_) => self.metrics.mesh_dropped.add(1),
        }
    }

    fn take_calls(&mut self, context: &mut Context<'_>) -> bool {
        let mut taken = 0;
        let mut calls = std::mem::take(&mut self.taken);
        // What arrives while a call is handled is taken in along with it: given at once, they share one write.
        while taken < TAKEN_AT_ONCE {
            let left = TAKEN_AT_ONCE - taken;
            let count = match self.sources.calls.poll_recv_many(context, &mut calls, left) {
                // Closed, with nothing left.
                Poll::Ready(0) | Poll::Pending => break,
                Poll::Ready(count) => count,
            };
            self.metrics.queue_depth.set((count + self.sources.calls.len()) as u64);
            let commands = calls.iter().any(|call| matches!(call, Call::Command { .. }));
            if commands && taken == 0 && self.effects.write.is_none() {
                self.effects.job(Job::Soon);
            }
            for call in calls.drain(..) {
                self.take_call(call);
            }
            taken += count;
        }
        self.taken = calls;
        taken > 0
    }

    fn take_call(&mut self, call: Call) {
        let problem = match &self.state {
            State::Running(_) => None,
            State::Failing(outage) => Some(outage.problem.as_str()),
        };
        match call {
            Call::Command { command, idempotency, outcome } => {
                self.share.called(Instant::now());
                match self.effects.book.admit(idempotency, outcome, problem) {
                    Admission::Device(call) => self.give(Input::Command { call, command, idempotency }),
                    Admission::Stored(call, id) => self.effects.job(Job::Answer { call, id }),
                    Admission::Answered => {}
                }
            }
            // Whoever asked may have given up; nobody minds. So below.
            Call::Query { query, answer } => match problem {
                Some(problem) => drop(answer.send(Answer::Failed(problem.to_owned()))),
                None => {
                    if let Some(call) = self.effects.book.ask(answer) {
                        self.give(Input::Query { call, query });
                    }
                }
            },
            Call::Health { answer } => drop(answer.send(self.health())),
        }
    }

    fn health(&self) -> StoreHealth {
        match &self.state {
            State::Running(_) => StoreHealth::Writable,
            State::Failing(outage) => {
                StoreHealth::Failing { problem: outage.problem.clone(), since_ms: outage.since_ms }
            }
        }
    }

    fn take_time(&mut self) {
        let Some(at_ms) = self.deadline_ms() else { return };
        if at_ms > self.clock.now().mono_ms {
            return;
        }
        match &mut self.state {
            State::Running(_) => {
                self.effects.wake_at_ms = None;
                self.give(Input::Tick);
            }
            State::Failing(outage) => {
                outage.probe_at_ms = None;
                self.effects.job(Job::Probe);
            }
        }
    }

    /// Gives the device an input; while there is none, the input is lost.
    fn give(&mut self, input: Input) {
        if let State::Running(device) = &mut self.state {
            device.handle(self.clock.now(), input);
        }
    }

    fn carry_out(&mut self) {
        let State::Running(device) = &mut self.state else { return };
        while let Some(output) = device.poll() {
            if let Output::Reopen { problem } = output {
                tracing::warn!(%problem, "this device begins anew");
                return self.open_again(problem, 0);
            }
            if let Output::Signal(Signal::PastKnown { .. }) = output {
                D::trust_past(&mut self.config);
                self.effects.job(Job::BeginMark);
            }
            self.effects.carry_out(output);
        }
    }

    /// Drops the device, and opens it again from what is stored after so long, once that can be written to.
    fn open_again(&mut self, problem: String, wait_ms: u64) {
        self.effects.book.fail_all(&problem);
        self.effects.wake_at_ms = None;
        let now = self.clock.now();
        let probe_at_ms = Some(now.mono_ms.saturating_add(wait_ms));
        self.state = State::Failing(Outage { problem, since_ms: now.wall_ms, probe_at_ms });
    }

    /// A write failed: what the device believes is no longer what is stored, so it says goodbye to those who wait and
    /// is dropped.
    fn fail(&mut self, batch: BatchId, error: &StoreError) {
        let problem = error.to_string();
        tracing::error!(%problem, "writing fails; commands are refused until it works again");
        self.metrics.outages.add(1);
        // What it had to say before is still true, and must not be lost behind what follows.
        self.carry_out();
        self.effects.write = None;
        self.give(Input::StoreFailed { batch, problem: problem.clone() });
        if let State::Running(device) = &mut self.state {
            while let Some(output) = device.poll() {
                self.effects.carry_out_last(output);
            }
        }
        self.open_again(problem, self.probe_wait_ms);
        self.lengthen_wait();
    }

    fn wait_for_room(&mut self, error: &StoreError) {
        if let State::Failing(outage) = &mut self.state {
            tracing::debug!(%error, "writing still fails");
            outage.problem = error.to_string();
            outage.probe_at_ms = Some(self.clock.now().mono_ms.saturating_add(self.probe_wait_ms));
            self.lengthen_wait();
        }
    }

    // Only a batch that was stored makes the wait short again: with room for a probe but not for work, the device
    // would otherwise be opened five times a second.
    fn lengthen_wait(&mut self) {
        self.probe_wait_ms = (self.probe_wait_ms * 2).min(PROBE_LAST_MS);
    }

    fn reopen(&mut self) -> Result<(), RuntimeError> {
        D::set_nonce(&mut self.config, fresh_nonce()?);
        D::set_mark(&mut self.config, self.effects.mark.clone());
        let device = match open_device::<D>(&self.config, &self.effects.jobs, self.clock) {
            Ok(device) => device,
            Err(RuntimeError::Store(error)) => {
                self.wait_for_room(&error);
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        tracing::info!("the device runs again");
        self.state = State::Running(device);
        for (peer, width) in self.peers.clone() {
            self.give(Input::LinkUp { peer, width });
        }
        Ok(())
    }
}

fn fresh_nonce() -> Result<Nonce, RuntimeError> {
    let mut nonce = [0u8; 16];
    getrandom::fill(&mut nonce).map_err(|error| RuntimeError::Random(error.to_string()))?;
    Ok(Nonce(nonce))
}

fn open_device<D: Machine>(
    config: &D::Config,
    jobs: &Sender<Job>,
    clock: RuntimeClock,
) -> Result<D, RuntimeError> {
    let (sender, pages) = sync_channel(PAGES_AHEAD);
    jobs.send(Job::Load { pages: sender }).map_err(|_| RuntimeError::WriterEnded)?;
    let mut entries = Entries { pages, page: Vec::new().into_iter(), end: None };
    let opened = D::open(config.clone(), entries.by_ref(), clock.now());
    match entries.end {
        // A log that was cut off in the reading says nothing about the log.
        Some(Err(error)) => Err(error),
        None | Some(Ok(())) => {
            let mut device = opened.map_err(|error| RuntimeError::Open(error.to_string()))?;
            let (sender, payloads) = sync_channel(1);
            jobs.send(Job::Sealed { payloads: sender }).map_err(|_| RuntimeError::WriterEnded)?;
            device.take_back_sealed(payloads.recv().map_err(|_| RuntimeError::WriterEnded)??);
            Ok(device)
        }
    }
}

/// Entries as the writer reads them.
struct Entries {
    pages: Receiver<Page>,
    page: std::vec::IntoIter<Entry>,
    end: Option<Result<(), RuntimeError>>,
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(entry);
            }
            if self.end.is_some() {
                return None;
            }
            match self.pages.recv() {
                Ok(Ok(Some(page))) => self.page = page.into_iter(),
                Ok(Ok(None)) => self.end = Some(Ok(())),
                Ok(Err(error)) => self.end = Some(Err(RuntimeError::Store(error))),
                Err(_) => self.end = Some(Err(RuntimeError::WriterEnded)),
            }
        }
    }
}
