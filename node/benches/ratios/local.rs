//! A device without a runtime around it: inputs in, outputs carried out at once, time made up.

use std::collections::VecDeque;

use popmesh_proto::clock::Now;
use popmesh_proto::command::Command;
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{Entry, Input, Output, SealedWrites};
use popmesh_proto::links::Width;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::{Config, Device};

use crate::measure::Random;
use popmesh_store::Store;

/// Where a device's entries go.
pub(crate) enum Disk {
    Memory(Vec<Entry>),
    Store(Box<Store>),
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Self::Memory(Vec::new())
    }
}

pub(crate) struct Local {
    device: Device,
    disk: Disk,
    now: Now,
    wake_at: u64,
    pub(crate) stored: u64,
    sends: VecDeque<(DeviceId, Vec<u8>)>,
    answer: Option<Answer>,
}

impl Local {
    /// Opens a device that has stored nothing.
    pub(crate) fn open(config: Config, disk: Disk, now: Now) -> Self {
        Self::reopen(config, std::iter::empty(), disk, now)
    }

    /// Opens a device that has stored `entries`.
    pub(crate) fn reopen(config: Config, entries: impl Iterator<Item = Entry>, disk: Disk, now: Now) -> Self {
        let device = Device::open(config, entries, now).unwrap();
        Self { device, disk, now, wake_at: 0, stored: 0, sends: VecDeque::new(), answer: None }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn now(&self) -> Now {
        self.now
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.disk {
            Disk::Memory(entries) => entries,
            Disk::Store(_) => panic!("only what is in memory can be looked at"),
        }
    }

    /// Gives the device an input and carries out what it wants.
    pub(crate) fn give(&mut self, input: Input) {
        self.device.handle(self.now, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.device.poll() {
            match output {
                Output::Store { batch, entries, replies, facts, .. } => {
                    self.stored += entries.len() as u64;
                    match &mut self.disk {
                        Disk::Memory(all) => all.extend(entries),
                        Disk::Store(store) => {
                            drop(
                                store
                                    .append_with(&entries, &replies, &SealedWrites::default(), &facts)
                                    .unwrap(),
                            );
                        }
                    }
                    self.device.handle(self.now, Input::Stored { batch });
                }
                Output::Send { to, bytes } => self.sends.push_back((to, bytes)),
                Output::Reply { result, .. } => drop(result.unwrap()),
                Output::Answer { answer, .. } => self.answer = Some(*answer),
                Output::Wake { at_mono_ms } => self.wake_at = at_mono_ms,
                // Gossip is the fast path; what is measured here is sync. No device here has doors.
                Output::Publish { .. }
                | Output::Judge { .. }
                | Output::Signal(_)
                | Output::Install { .. }
                | Output::OpenDoor { .. }
                | Output::CutOff { .. }
                | Output::Bar(_)
                | Output::Tell { .. }
                | Output::Secrets { .. }
                | Output::Probe { .. } => {}
                Output::Reopen { problem } => panic!("{problem}"),
            }
        }
    }

    /// Has commands done, all in one write.
    pub(crate) fn commands(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.device.handle(self.now, Input::Command { call: 0, command, idempotency: None });
        }
        self.carry_out();
    }

    /// Has commands done, some seconds after each other, all in one write.
    pub(crate) fn commands_over_time(&mut self, commands: Vec<Command>, random: &mut Random) {
        for command in commands {
            self.now.wall_ms += 200 + random.below(4_000);
            self.device.handle(self.now, Input::Command { call: 0, command, idempotency: None });
        }
        self.carry_out();
    }

    pub(crate) fn query(&mut self, query: Query) -> Answer {
        self.give(Input::Query { call: 0, query });
        self.answer.take().unwrap()
    }

    fn advance(&mut self, milliseconds: u64) {
        self.now.mono_ms += milliseconds;
        self.now.wall_ms += milliseconds;
        self.give(Input::Tick);
    }
}

/// What a meeting took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meeting {
    /// Bytes sent over the link, both ways.
    pub(crate) bytes: usize,
    /// Messages sent over the link, both ways.
    pub(crate) messages: usize,
    /// Time made up while both waited.
    pub(crate) waited_ms: u64,
}

/// Links two devices until they have nothing more to tell each other.
pub(crate) fn meet(a: &mut Local, b: &mut Local) -> Meeting {
    // Both live at one time.
    for now in [a.now.wall_ms, b.now.wall_ms] {
        a.now.wall_ms = a.now.wall_ms.max(now);
        b.now.wall_ms = b.now.wall_ms.max(now);
    }
    let mut meeting = Meeting::default();
    a.give(Input::LinkUp { peer: b.id(), width: Width::Broad });
    b.give(Input::LinkUp { peer: a.id(), width: Width::Broad });
    loop {
        while pass(a, b, &mut meeting) | pass(b, a, &mut meeting) {}
        if head(a) == head(b) {
            break;
        }
        assert!(meeting.waited_ms < 60_000, "two devices do not agree");
        let wait = [&*a, &*b].map(|device| device.wake_at.saturating_sub(device.now.mono_ms));
        let wait = wait[0].min(wait[1]).max(1);
        meeting.waited_ms += wait;
        a.advance(wait);
        b.advance(wait);
    }
    a.give(Input::LinkDown { peer: b.id() });
    b.give(Input::LinkDown { peer: a.id() });
    a.sends.clear();
    b.sends.clear();
    meeting
}

fn head(device: &mut Local) -> String {
    match device.query(Query::Status) {
        Answer::Status(status) => status.digest,
        other => panic!("{other:?}"),
    }
}

fn pass(from: &mut Local, to: &mut Local, meeting: &mut Meeting) -> bool {
    let mut passed = false;
    while let Some((peer, bytes)) = from.sends.pop_front() {
        passed = true;
        if peer == to.id() {
            meeting.bytes += bytes.len();
            meeting.messages += 1;
            to.give(Input::Message { from: from.id(), bytes });
        }
    }
    passed
}
