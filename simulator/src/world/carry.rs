//! Inputs to devices, and what becomes of their outputs.

use std::rc::Rc;

use popmesh_proto::Device;
use popmesh_proto::clock::Now;
use popmesh_proto::fact::{Fact, Signal};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::io::{Input, Output, Verdict};
use popmesh_proto::query::{Answer, Query};
use sha2::Digest;

use super::ledger::Breach;
use super::node::Write;
use super::queue::{Event, Life, NodeIndex};
use super::{MS, World};
use crate::connectivity::PathKind;
use crate::network::Arrival;

impl World<'_> {
    /// What the clocks of a node show.
    pub(super) fn clock(&self, node: NodeIndex) -> Now {
        self.nodes[node].now(self.now_us, self.scenario.starts_at_s)
    }

    /// Gives a device an input and carries out what it wants.
    pub(super) fn give(&mut self, node: NodeIndex, input: Input) {
        let now = self.clock(node);
        let Some(device) = self.nodes[node].device_mut() else { return };
        if let Input::Command { call, command, .. } = &input {
            self.issued.give(*call, command);
        }
        device.handle(now, input);
        self.carry_out_all(node);
        if self.options.every_step {
            self.check_books(node);
        }
    }

    pub(super) fn carry_out_all(&mut self, node: NodeIndex) {
        while let Some(output) = self.nodes[node].device_mut().and_then(Device::poll) {
            self.carry_out(node, output);
        }
    }

    /// Asks a device something, and has its answer if that need not wait for a write.
    pub(super) fn ask(&mut self, node: NodeIndex, query: Query) -> Option<Answer> {
        self.calls += 1;
        let call = self.calls;
        self.give(node, Input::Query { call, query });
        self.watch.answer.take().filter(|(of, _)| *of == call).map(|(_, answer)| answer)
    }

    fn carry_out(&mut self, node: NodeIndex, output: Output) {
        self.remember(node, &output);
        match output {
            Output::Store { batch, entries, replies, sealed, facts, mark } => {
                self.check_past(node, &entries);
                self.follow_closes(node, &entries);
                let life = self.nodes[node].life;
                let speed = self.nodes[node].disk_speed;
                let jitter = if speed.jitter_us == 0 { 0 } else { self.random.below(speed.jitter_us + 1) };
                let takes_us = (speed.write_us + jitter) * self.nodes[node].slow;
                self.nodes[node].write = Some(Write { batch, entries, replies, sealed, facts, mark });
                self.queue.plan(self.now_us + takes_us, Event::Written { node, life });
            }
            Output::Send { to, bytes } => {
                self.check_sends_to(node, &to);
                self.send(node, to, bytes.into());
            }
            Output::Publish { bytes } => self.publish(node, bytes.into()),
            Output::Judge { token, verdict } => {
                let Some(judging) = self.judging.filter(|judging| judging.token == token) else { return };
                if verdict == Verdict::Accept
                    && let Some(id) = judging.id
                {
                    self.pass_on(node, id, Some(judging.from));
                }
            }
            Output::Reply { call, result } => self.replied(node, call, result),
            Output::Answer { call, answer } => self.watch.answer = Some((call, *answer)),
            Output::Wake { at_mono_ms } => {
                let life = self.nodes[node].life;
                self.nodes[node].wake_at_ms = Some(at_mono_ms);
                let at_us = (self.nodes[node].booted_us + at_mono_ms * MS).max(self.now_us);
                self.queue.plan(at_us, Event::Wake { node, life, mono_ms: at_mono_ms });
            }
            // No device of a run has doors. Who is cut off is not listened to, whether or not its link is closed.
            Output::OpenDoor { .. } | Output::CutOff { .. } | Output::Secrets { .. } => {}
            Output::Bar(barred) => self.bars(node, barred),
            Output::Tell { to, bytes } => self.send(node, to, bytes.into()),
            Output::Probe { peer } => self.looks_at_link(node, peer),
            Output::Reopen { problem } => self.begins_anew(node, &problem),
            Output::Install { certificate } => self.nodes[node].certificate = certificate,
            Output::Signal(signal) => self.signalled(node, signal),
        }
    }

    /// The history of a run is everything that any device wanted done.
    fn remember(&mut self, node: NodeIndex, output: &Output) {
        let (kind, bytes): (u8, &[u8]) = match output {
            Output::Store { batch, entries, sealed, .. } => {
                self.history.update([0]);
                self.history.update(batch.to_be_bytes());
                for entry in entries {
                    self.history.update(entry.chain.0);
                    self.history.update(&entry.body);
                }
                for kept in &sealed.kept {
                    self.history.update(&kept.payload);
                }
                self.history.update(sealed.erased.len().to_be_bytes());
                return;
            }
            Output::Send { bytes, .. } => (1, bytes),
            Output::Publish { bytes } => (2, bytes),
            Output::Judge { .. } | Output::Wake { .. } | Output::Answer { .. } => return,
            Output::Reply { result, .. } => (if result.is_ok() { 3 } else { 4 }, &[]),
            Output::Signal(_) => (5, &[]),
            Output::OpenDoor { .. } => (6, &[]),
            Output::Reopen { .. } => (7, &[]),
            Output::CutOff { .. } => (8, &[]),
            Output::Probe { .. } => (10, &[]),
            Output::Bar(_) => (11, &[]),
            Output::Tell { bytes, .. } => (12, bytes),
            Output::Secrets { .. } => (13, &[]),
            Output::Install { certificate } => (9, certificate.bytes()),
        };
        self.history.update([kind, node as u8, (node >> 8) as u8]);
        self.history.update(self.now_us.to_be_bytes());
        self.history.update(bytes);
    }

    fn signalled(&mut self, node: NodeIndex, signal: Signal) {
        match signal {
            Signal::PastKnown { accepted } => self.past_known(node, accepted),
            Signal::PeerFault { text, .. } => {
                self.watch.peer_fault(self.now_us, &self.nodes[node].name, &text)
            }
            Signal::CutOff { for_ms, .. } => {
                let text = format!("a peer is cut off for {} s", for_ms / 1_000);
                self.watch.peer_fault(self.now_us, &self.nodes[node].name, &text);
            }
            Signal::HeldElsewhere { .. }
            | Signal::Asking { .. }
            | Signal::CertificateEnds { .. }
            | Signal::Reachable { .. }
            | Signal::Unreachable { .. } => {}
        }
    }

    // --- Writes.

    pub(super) fn written(&mut self, node: NodeIndex, life: Life) {
        if self.nodes[node].life != life {
            return;
        }
        let Some(write) = self.nodes[node].write.take() else { return };
        let super::State::Running { store, .. } = &mut self.nodes[node].state else { return };
        let appended = store.append_with(&write.entries, &write.replies, &write.sealed, &write.facts);
        if self.nodes[node].disk.fuse_blown() {
            self.power_failed_meanwhile(node);
            return;
        }
        self.watch.writes += 1;
        let first_answer = match appended {
            Ok(appended) => appended.first_answer,
            Err(error) => {
                self.write_failed(node, write.batch, &error);
                return;
            }
        };
        self.nodes[node].stored_something();
        self.nodes[node].write_mark(&write.mark);
        self.disturbed();
        for (later, reply) in write.replies.iter().enumerate() {
            let prefix = popmesh_store::key_prefix(&reply.idempotency.key);
            let before = self.nodes[node].answers.insert(prefix, first_answer.plus(later));
            if before.is_some() {
                let text = format!("{} did the same command twice", self.nodes[node].name);
                self.check(Err(Breach::new("I7", text)));
            }
        }
        for fact in &write.facts {
            if let Fact::Incident { text, .. } = fact {
                self.watch.incident(self.now_us, &self.nodes[node].name, text);
            }
        }
        let me = self.nodes[node].id;
        self.ledger.for_sale.now_us = self.now_us;
        for entry in &write.entries {
            let result = self.ledger.stored((node, life), me, entry);
            self.check(result);
            self.follow_steps(node, Ref { chain: entry.chain, seq: entry.seq });
        }
        if self.mistakes.rewriters.contains(&node) && self.writes_twice(node, &write.entries) {
            self.mistakes.rewriters.remove(&node);
        }
        self.give(node, Input::Stored { batch: write.batch });
    }

    pub(super) fn wake(&mut self, node: NodeIndex, life: Life, mono_ms: u64) {
        let waits = self.nodes[node].life == life && self.nodes[node].wake_at_ms == Some(mono_ms);
        if waits {
            self.nodes[node].wake_at_ms = None;
            self.give(node, Input::Tick);
        }
    }

    // --- Messages.

    fn send(&mut self, from: NodeIndex, to: DeviceId, bytes: Rc<[u8]>) {
        // Two boxes with one key both hear what is meant for the one.
        let receivers = self.ids.get(&to).cloned().unwrap_or_default();
        for to in receivers {
            if self.links.are_linked(from, to) {
                self.mistakes.overhear(from, to, &bytes);
                self.send_over_link(from, to, bytes.clone());
            }
        }
    }

    pub(super) fn send_over_link(&mut self, from: NodeIndex, to: NodeIndex, bytes: Rc<[u8]>) {
        let life = self.nodes[to].life;
        for arrival in self.travel(from, to, bytes.len()).into_iter().flatten() {
            let bytes = if arrival.spoiled { self.spoil(&bytes) } else { bytes.clone() };
            let at_us = self.in_order(from, to, arrival);
            self.queue.plan(at_us, Event::Message { from, to, life, bytes });
        }
    }

    /// What becomes of a message between two nodes.
    pub(super) fn travel(&mut self, from: NodeIndex, to: NodeIndex, bytes: usize) -> crate::network::Fate {
        let (a, b) = (self.nodes[from].device_index, self.nodes[to].device_index);
        let path = self.path(from, to);
        let carrier = match path {
            _ if self.reach.one_way(a, b) => None,
            Some(PathKind::Wifi { venue }) => Some(venue),
            Some(PathKind::Ble { venue }) => Some(self.scenario.venues.len() + venue),
            Some(PathKind::Wan) => Some(2 * self.scenario.venues.len() + self.scenario.devices[a].venue),
            None => None,
        };
        let Some(carrier) = carrier else {
            self.watch.sent_to_nobody();
            // What is sent and brings nothing back has the link looked at.
            self.doubt_link(from, to);
            return [None, None];
        };
        self.watch.sent(a, bytes);
        self.carriers[carrier].send(self.now_us, bytes, &mut self.random, &mut self.traffic)
    }

    pub(super) fn in_order(&mut self, from: NodeIndex, to: NodeIndex, arrival: Arrival) -> u64 {
        if arrival.overtaken { arrival.at_us } else { self.links.in_order(from, to, arrival.at_us) }
    }

    pub(super) fn spoil(&mut self, bytes: &Rc<[u8]>) -> Rc<[u8]> {
        let mut spoiled = bytes.to_vec();
        let at = self.random.index(spoiled.len());
        if let Some(byte) = spoiled.get_mut(at) {
            *byte ^= 1 << self.random.below(8);
        }
        spoiled.into()
    }

    pub(super) fn deliver(&mut self, from: NodeIndex, to: NodeIndex, life: Life, bytes: &Rc<[u8]>) {
        if self.nodes[to].life == life && self.links.are_linked(from, to) {
            let from = self.nodes[from].id;
            self.give(to, Input::Message { from, bytes: bytes.to_vec() });
        }
    }
}
