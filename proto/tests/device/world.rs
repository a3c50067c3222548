//! Devices in one process, under virtual time: links that come and go, disks that take a while, power that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use popmesh_proto::broker::{ByRate, Policy};
use popmesh_proto::clock::Now;
use popmesh_proto::command::{Command, Refusal, Reply};
use popmesh_proto::fact::{Fact, Signal};
use popmesh_proto::id::{ChainId, DeviceId, Nonce, Ref};
use popmesh_proto::identity::{Certificate, Charter, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::io::{CallId, GossipToken, Idempotency, Input, Output, Verdict};
use popmesh_proto::links::Width;
use popmesh_proto::message::{MAX_MESSAGE, Message, decode, encode};
use popmesh_proto::pin::EventSecret;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::Compartment;
use popmesh_proto::{Config, Device};
use sha2::{Digest, Sha256};

use crate::node::{Node, Write};
use crate::rng::Rng;
use crate::visible::{shown, speaks_of_the_log};

/// The world's time zero, Unix milliseconds.
pub(crate) const EPOCH_MS: u64 = 1_790_000_000_000;
/// Certificates end so long after it.
pub(crate) const VALID_MS: u64 = 86_400_000;

/// The version of the program that every device runs.
pub(crate) const PROGRAM: &str = "1.2.3";

/// What carries a message over Wi-Fi: noise, yamux, TCP, IP and the frame.
const BROAD_CARRIER_BYTES: u64 = 90;

/// How well links and disks work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) latency_ms: (u64, u64),
    pub(crate) write_ms: (u64, u64),
    pub(crate) lost_per_mille: u64,
    pub(crate) twice_per_mille: u64,
}

impl Conditions {
    pub(crate) const GOOD: Self =
        Self { latency_ms: (1, 5), write_ms: (1, 3), lost_per_mille: 0, twice_per_mille: 0 };
}

#[derive(Debug)]
enum Event {
    Message {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Gossip {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Written {
        at: usize,
    },
    Wake {
        at: usize,
        mono_ms: u64,
    },
    /// A link to a device that was retired is closed.
    Shut {
        at: usize,
        peer: usize,
    },
}

/// Devices, links and time.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) time: u64,
    pub(crate) conditions: Conditions,
    /// How stock moves on devices that are started from now on.
    pub(crate) policy: Arc<dyn Policy + Sync>,
    pub(crate) charter: SignedCharter,
    root: SecretKey,
    pub(crate) nodes: Vec<Node>,
    /// Pairs that can hear each other, the lower first.
    pub(crate) links: BTreeSet<(usize, usize)>,
    /// Those that are narrow.
    narrow: BTreeSet<(usize, usize)>,
    /// Pairs between which no digest and no frontier comes through, the lower first.
    pub(crate) mute: BTreeSet<(usize, usize)>,
    /// A chain whose hashes all seem to begin alike: heads that name it travel with the beginning that their receiver has.
    pub(crate) collides: Option<ChainId>,
    /// Pages of frontiers that have others after them.
    pub(crate) pages: usize,
    /// Heads with whole hashes that devices sent.
    pub(crate) whole_heads: usize,
    /// Requests for entries by name that devices sent.
    pub(crate) asked_by_name: usize,
    /// Messages over each narrow link, and their bytes.
    pub(crate) aired: BTreeMap<(usize, usize), (u64, u64)>,
    events: BTreeMap<(u64, u64), (u64, Event)>,
    order: u64,
    calls: CallId,
    pub(crate) replies: BTreeMap<CallId, Result<Reply, Refusal>>,
    answers: BTreeMap<CallId, Answer>,
    /// Facts that are durable, in order, and by whom they are told.
    pub(crate) facts: Vec<(usize, Fact)>,
    pub(crate) signals: Vec<(usize, Signal)>,
    /// Doors that devices wanted opened: whose, for which redemption, and which.
    pub(crate) opened: Vec<(usize, Ref, Compartment)>,
    gossip: BTreeMap<GossipToken, (usize, usize, Vec<u8>)>,
    pub(crate) verdicts: Vec<Verdict>,
    /// Outputs that said something of a log, by device: for tests that stall a disk.
    pub(crate) spoken: BTreeMap<usize, u64>,
    /// Frontiers that devices sent to linked peers, those of them that tell all, and the heads that they name.
    pub(crate) frontiers: usize,
    pub(crate) whole_frontiers: usize,
    pub(crate) heads: usize,
    /// What retired devices were told: by whom, which, and what.
    pub(crate) told: Vec<(usize, DeviceId, Vec<u8>)>,
    /// Whom devices wanted looked at, and who wanted it.
    pub(crate) probes: Vec<(usize, DeviceId)>,
    /// Bytes that left over broad links since a test set it to zero, each copy of gossip counted, with what carries them.
    pub(crate) broad_bytes: u64,
    history: Sha256,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let root = SecretKey::from_seed(&rng.bytes());
        let charter = Charter {
            name: "Night market".to_owned(),
            currency: "EUR".parse().unwrap(),
            root: root.id(),
            created_ms: EPOCH_MS,
            nonce: Nonce(rng.bytes()),
        };
        Self {
            charter: SignedCharter::sign(charter, &root).unwrap(),
            root,
            rng,
            time: 0,
            conditions: Conditions::GOOD,
            policy: Arc::new(ByRate),
            nodes: Vec::new(),
            links: BTreeSet::new(),
            narrow: BTreeSet::new(),
            mute: BTreeSet::new(),
            collides: None,
            pages: 0,
            whole_heads: 0,
            asked_by_name: 0,
            aired: BTreeMap::new(),
            events: BTreeMap::new(),
            order: 0,
            calls: 0,
            replies: BTreeMap::new(),
            answers: BTreeMap::new(),
            facts: Vec::new(),
            signals: Vec::new(),
            opened: Vec::new(),
            gossip: BTreeMap::new(),
            verdicts: Vec::new(),
            spoken: BTreeMap::new(),
            frontiers: 0,
            whole_frontiers: 0,
            heads: 0,
            told: Vec::new(),
            probes: Vec::new(),
            broad_bytes: 0,
            history: Sha256::new(),
        }
    }

    /// A new device with its power on.
    pub(crate) fn add(&mut self, name: &str, roles: &str, venue: &str) -> usize {
        self.add_until(name, roles, venue, VALID_MS)
    }

    /// A new device whose certificate ends so long after the world's time zero.
    pub(crate) fn add_until(&mut self, name: &str, roles: &str, venue: &str, until_ms: u64) -> usize {
        let secret = SecretKey::from_seed(&self.rng.bytes());
        let certificate = self.certify(&secret, name, roles, venue, (0, until_ms));
        self.nodes.push(Node::new(secret, certificate));
        self.power_on(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// A certificate that holds from and until so long after the world's time zero.
    pub(crate) fn certify(
        &self,
        secret: &SecretKey,
        name: &str,
        roles: &str,
        venue: &str,
        (from_ms, until_ms): (u64, u64),
    ) -> SignedCertificate {
        let certificate = Certificate {
            device: secret.id(),
            name: name.to_owned(),
            roles: roles.parse().unwrap(),
            venue: venue.parse().unwrap(),
            not_before_ms: EPOCH_MS + from_ms,
            not_after_ms: EPOCH_MS + until_ms,
        };
        SignedCertificate::sign(certificate, &self.root, &self.charter).unwrap()
    }

    /// A second box with the key, the certificate and the disk of `at`.
    pub(crate) fn clone_disk(&mut self, at: usize) -> usize {
        let of = &self.nodes[at];
        let mut copy = Node::new(of.secret.clone(), of.certificate.clone());
        copy.stored = of.stored.clone();
        copy.replies = of.replies.clone();
        copy.payloads = of.payloads.clone();
        copy.durable = of.durable.clone();
        copy.mark = of.mark.clone();
        self.nodes.push(copy);
        self.power_on(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// A second box that leads the life which `at` leads, from where that began.
    pub(crate) fn fork_life(&mut self, at: usize) -> usize {
        let of = &self.nodes[at];
        let (nonce, stored) = of.began_with;
        let mut twin = Node::new(of.secret.clone(), of.certificate.clone());
        twin.stored = of.stored[..stored].to_vec();
        for entry in &twin.stored {
            twin.durable.insert(entry.chain, entry.seq);
        }
        self.nodes.push(twin);
        self.power_on_with(self.nodes.len() - 1, nonce);
        self.nodes.len() - 1
    }

    // --- Links and power.

    fn reaches(&self, a: usize, b: usize) -> bool {
        let powered = self.nodes[a].device.is_some() && self.nodes[b].device.is_some();
        powered && self.links.contains(&(a.min(b), a.max(b)))
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) {
        let shut = |at: usize, peer: usize| self.nodes[at].barred.shut.contains(&self.nodes[peer].id);
        if shut(a, b) || shut(b, a) {
            return;
        }
        if self.links.insert((a.min(b), a.max(b))) && self.reaches(a, b) {
            let width = self.width(a, b);
            for (at, peer) in [(a, b), (b, a)] {
                self.give(at, Input::LinkUp { peer: self.nodes[peer].id, width });
            }
        }
    }

    /// A link like one over Bluetooth LE.
    pub(crate) fn link_narrow(&mut self, a: usize, b: usize) {
        self.narrow.insert((a.min(b), a.max(b)));
        self.link(a, b);
    }

    /// What a link goes by changes.
    pub(crate) fn set_width(&mut self, a: usize, b: usize, width: Width) {
        let pair = (a.min(b), a.max(b));
        let changed = match width {
            Width::Narrow => self.narrow.insert(pair),
            Width::Broad => self.narrow.remove(&pair),
        };
        if changed && self.reaches(a, b) {
            for (at, peer) in [(a, b), (b, a)] {
                self.give(at, Input::LinkWidth { peer: self.nodes[peer].id, width });
            }
        }
    }

    fn width(&self, a: usize, b: usize) -> Width {
        if self.narrow.contains(&(a.min(b), a.max(b))) { Width::Narrow } else { Width::Broad }
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        let reached = self.reaches(a, b);
        if self.links.remove(&(a.min(b), a.max(b))) && reached {
            for (at, peer) in [(a, b), (b, a)] {
                self.give(at, Input::LinkDown { peer: self.nodes[peer].id });
            }
        }
    }

    pub(crate) fn link_all(&mut self) {
        for b in 0..self.nodes.len() {
            for a in 0..b {
                // Two boxes with one key cannot tell each other apart from themselves.
                if self.nodes[a].id != self.nodes[b].id {
                    self.link(a, b);
                }
            }
        }
    }

    pub(crate) fn isolate(&mut self, a: usize) {
        for b in (0..self.nodes.len()).filter(|b| *b != a) {
            self.cut(a, b);
        }
    }

    /// The power fails: the write under way is on the disk, or is not.
    pub(crate) fn power_cut(&mut self, at: usize) {
        let landed = self.rng.chance(500);
        self.power_cut_with(at, landed);
    }

    pub(crate) fn power_cut_with(&mut self, at: usize, write_landed: bool) {
        if self.nodes[at].device.is_none() {
            return;
        }
        let neighbours: Vec<usize> = (0..self.nodes.len()).filter(|b| self.reaches(at, *b)).collect();
        let node = &mut self.nodes[at];
        node.device = None;
        node.wake_at = None;
        node.stalled = false;
        if write_landed {
            node.finish_write();
        }
        node.write = None;
        let peer = node.id;
        for neighbour in neighbours {
            self.give(neighbour, Input::LinkDown { peer });
        }
    }

    pub(crate) fn power_on(&mut self, at: usize) {
        let nonce = Nonce(self.rng.bytes());
        self.power_on_with(at, nonce);
    }

    fn power_on_with(&mut self, at: usize, nonce: Nonce) {
        assert!(self.nodes[at].device.is_none());
        let node = &mut self.nodes[at];
        node.life += 1;
        node.booted_at = self.time;
        node.began_with = (nonce, node.stored.len());
        node.seen.clear();
        let config = Config {
            secrets: EventSecret::derive(&self.root, &self.charter.event()).into(),
            doors: node.doors,
            mark: node.mark.clone(),
            restored: node.restored,
            goes_on: node.goes_on,
            policy: self.policy.clone(),
            program: Some(PROGRAM.to_owned()),
            ..Config::new(node.secret.clone(), self.charter.clone(), node.certificate.clone(), nonce)
        };
        let now = self.now(at);
        let node = &mut self.nodes[at];
        let mut device =
            Device::open(config, node.stored.iter().cloned(), now).expect("what was stored opens");
        device.take_back_sealed(node.sealed());
        node.device = Some(device);
        self.give(at, Input::Tick);
        for peer in 0..self.nodes.len() {
            if peer != at && self.reaches(at, peer) {
                let width = self.width(at, peer);
                self.give(at, Input::LinkUp { peer: self.nodes[peer].id, width });
                self.give(peer, Input::LinkUp { peer: self.nodes[at].id, width });
            }
        }
    }

    /// Keeps writes of a device under way, or lets them finish.
    pub(crate) fn stall(&mut self, at: usize, stalled: bool) {
        self.nodes[at].stalled = stalled;
        if !stalled && self.nodes[at].write.is_some() {
            self.later(at, 1, Event::Written { at });
        }
    }

    /// The write under way fails, and nothing of it is on the disk.
    pub(crate) fn fail_write(&mut self, at: usize) {
        let write = self.nodes[at].write.take().expect("a write is under way");
        self.give(at, Input::StoreFailed { batch: write.batch, problem: "no space left".to_owned() });
    }

    // --- Time.

    pub(crate) fn now(&self, at: usize) -> Now {
        let node = &self.nodes[at];
        let wall_ms = (EPOCH_MS + self.time).saturating_add_signed(node.ahead_ms);
        Now { wall_ms, mono_ms: self.time - node.booted_at }
    }

    fn later(&mut self, life_of: usize, after_ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((self.time + after_ms, self.order), (self.nodes[life_of].life, event));
    }

    /// Carries out the next thing that happens within `until`; `false` if nothing does.
    fn step(&mut self, until: u64) -> bool {
        let Some(next) = self.events.first_entry() else { return false };
        if next.key().0 > until {
            return false;
        }
        let ((time, _), (life, event)) = next.remove_entry();
        self.time = self.time.max(time);
        match event {
            Event::Message { from, to, bytes } if self.reaches(from, to) && self.nodes[to].life == life => {
                self.give(to, Input::Message { from: self.nodes[from].id, bytes });
            }
            Event::Gossip { from, to, bytes } if self.reaches(from, to) && self.nodes[to].life == life => {
                let fresh = self.nodes[to].seen.insert(Sha256::digest(&bytes).into());
                if fresh {
                    self.order += 1;
                    let token = self.order;
                    self.gossip.insert(token, (from, to, bytes.clone()));
                    self.give(to, Input::Gossip { from: self.nodes[from].id, bytes, token });
                    assert!(!self.gossip.contains_key(&token), "all gossip is judged at once");
                }
            }
            Event::Written { at } if self.nodes[at].life == life && !self.nodes[at].stalled => {
                if let Some((batch, facts)) = self.nodes[at].finish_write() {
                    self.facts.extend(facts.into_iter().map(|fact| (at, fact)));
                    self.give(at, Input::Stored { batch });
                }
            }
            Event::Wake { at, mono_ms }
                if self.nodes[at].life == life && self.nodes[at].wake_at == Some(mono_ms) =>
            {
                self.nodes[at].wake_at = None;
                self.give(at, Input::Tick);
            }
            Event::Shut { at, peer } if self.nodes[at].life == life => self.cut(at, peer),
            _ => {}
        }
        true
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let until = self.time + ms;
        while self.step(until) {}
        self.time = until;
    }

    // --- Inputs and outputs.

    /// Names gossip that a test is about to hand over.
    pub(crate) fn expect_verdict(&mut self, from: usize, to: usize, bytes: Vec<u8>) -> GossipToken {
        self.order += 1;
        self.gossip.insert(self.order, (from, to, bytes));
        self.order
    }

    /// Gives a device an input, and carries out what it wants.
    pub(crate) fn give(&mut self, at: usize, input: Input) {
        let now = self.now(at);
        let Some(device) = &mut self.nodes[at].device else { return };
        device.handle(now, input);
        while let Some(output) = self.nodes[at].device.as_mut().and_then(Device::poll) {
            self.carry_out(at, output);
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        self.record(at, &output);
        let cut_at = |chain: &ChainId| self.nodes[at].device.as_ref()?.log().cut_at(chain);
        for (chain, seq) in shown(&output) {
            // What follows is in the proof of the fork, which is stored.
            let seq = cut_at(&chain).map_or(seq, |cut| seq.min(cut - 1));
            let durable = self.nodes[at].durable.get(&chain).copied().unwrap_or(0);
            assert!(seq <= durable, "{chain:?}:{seq} was shown before it was stored: {output:?}");
        }
        if speaks_of_the_log(&output) {
            *self.spoken.entry(at).or_default() += 1;
        }
        match output {
            Output::Store { batch, entries, replies, sealed, facts, mark } => {
                let node = &mut self.nodes[at];
                assert!(node.write.is_none(), "one write at a time");
                node.write = Some(Write { batch, entries, replies, sealed, facts, mark });
                if !node.stalled {
                    let after = self.rng.within(self.conditions.write_ms);
                    self.later(at, after, Event::Written { at });
                }
            }
            Output::Send { to, bytes } => {
                if let Ok(Message::Frontier(frontier)) = decode::<Message>(&bytes, MAX_MESSAGE) {
                    self.frontiers += 1;
                    self.whole_frontiers += usize::from(frontier.since.is_none());
                    self.heads += frontier.heads.len();
                    self.pages += usize::from(frontier.upto.is_some());
                    self.whole_heads += frontier.heads.iter().filter(|head| head.rest.is_some()).count();
                }
                self.asked_by_name +=
                    usize::from(matches!(decode(&bytes, MAX_MESSAGE), Ok(Message::AskEntries(_))));
                // Two boxes with one key both hear what is meant for the one.
                for peer in
                    (0..self.nodes.len()).filter(|peer| self.nodes[*peer].id == to).collect::<Vec<_>>()
                {
                    if self.reaches(at, peer) {
                        let Some(bytes) = self.tampered(at, peer, &bytes) else { continue };
                        if self.width(at, peer) == Width::Narrow {
                            let aired = self.aired.entry((at.min(peer), at.max(peer))).or_default();
                            *aired = (aired.0 + 1, aired.1 + bytes.len() as u64);
                        } else {
                            self.broad_bytes += bytes.len() as u64 + BROAD_CARRIER_BYTES;
                        }
                        self.travel(peer, |bytes| Event::Message { from: at, to: peer, bytes }, &bytes);
                    }
                }
            }
            Output::Publish { bytes } => {
                self.nodes[at].seen.insert(Sha256::digest(&bytes).into());
                self.pass_on(at, None, &bytes);
            }
            Output::Judge { token, verdict } => {
                let (from, to, bytes) = self.gossip.remove(&token).expect("it is judged once");
                self.verdicts.push(verdict);
                if verdict == Verdict::Accept {
                    self.pass_on(to, Some(from), &bytes);
                }
            }
            Output::Reply { call, result } => {
                assert!(self.replies.insert(call, result).is_none(), "a command is answered once");
            }
            Output::Answer { call, answer } => {
                self.answers.insert(call, *answer);
            }
            Output::Wake { at_mono_ms } => {
                let node = &mut self.nodes[at];
                node.wake_at = Some(at_mono_ms);
                let after = (node.booted_at + at_mono_ms).saturating_sub(self.time);
                self.later(at, after, Event::Wake { at, mono_ms: at_mono_ms });
            }
            Output::OpenDoor { redemption, compartment } => self.opened.push((at, redemption, compartment)),
            Output::Reopen { .. } => {
                let node = &mut self.nodes[at];
                assert!(node.write.is_none(), "what proves it is stored first");
                node.device = None;
                node.wake_at = None;
                self.power_on(at);
            }
            Output::Install { certificate } => self.nodes[at].certificate = certificate,
            // The device itself takes nothing from it meanwhile; links of this world stay.
            Output::CutOff { .. } => {}
            Output::Bar(barred) => {
                for peer in 0..self.nodes.len() {
                    if barred.shut.contains(&self.nodes[peer].id) {
                        self.later(at, 1, Event::Shut { at, peer });
                    }
                }
                self.nodes[at].barred = barred;
            }
            // What was for the one link alone: nobody else is told.
            Output::Tell { to, bytes } => {
                self.told.push((at, to, bytes.clone()));
                for peer in
                    (0..self.nodes.len()).filter(|peer| self.nodes[*peer].id == to).collect::<Vec<_>>()
                {
                    if self.reaches(at, peer) {
                        self.travel(peer, |bytes| Event::Message { from: at, to: peer, bytes }, &bytes);
                    }
                }
            }
            Output::Secrets { secrets } => self.nodes[at].secrets = secrets,
            // A link of this world is as it is said to be.
            Output::Probe { peer } => self.probes.push((at, peer)),
            Output::Signal(signal) => self.signals.push((at, signal)),
        }
    }

    /// What comes through of a message, if a test has something done to it.
    fn tampered(&self, from: usize, to: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let mute = self.mute.contains(&(from.min(to), from.max(to)));
        match decode::<Message>(bytes, MAX_MESSAGE) {
            Ok(Message::Frontier(_) | Message::Digest(_)) if mute => None,
            Ok(Message::Frontier(mut frontier)) if self.collides.is_some() => {
                let log = self.nodes[to].device.as_ref()?.log();
                for head in frontier.heads.iter_mut().filter(|head| Some(head.chain) == self.collides) {
                    let here = log.chain(&head.chain).and_then(|chain| chain.hash(head.seq));
                    head.hash = here.map_or(head.hash, |hash| hash.begins());
                }
                Some(encode(&Message::Frontier(frontier)))
            }
            _ => Some(bytes.to_vec()),
        }
    }

    fn travel(&mut self, to: usize, event: impl Fn(Vec<u8>) -> Event, bytes: &[u8]) {
        let copies = 1 + u64::from(self.rng.chance(self.conditions.twice_per_mille));
        for _ in 0..copies {
            let after = self.rng.within(self.conditions.latency_ms);
            if !self.rng.chance(self.conditions.lost_per_mille) {
                self.later(to, after, event(bytes.to_vec()));
            }
        }
    }

    fn pass_on(&mut self, at: usize, but: Option<usize>, bytes: &[u8]) {
        for to in 0..self.nodes.len() {
            let gossips = self.reaches(at, to)
                && self.width(at, to) == Width::Broad
                && !self.nodes[at].bars(self.nodes[to].id);
            if Some(to) != but && gossips {
                self.broad_bytes += bytes.len() as u64 + BROAD_CARRIER_BYTES;
                self.travel(to, |bytes| Event::Gossip { from: at, to, bytes }, bytes);
            }
        }
    }

    fn record(&mut self, at: usize, output: &Output) {
        self.history.update(self.time.to_be_bytes());
        self.history.update([at as u8]);
        match output {
            Output::Send { bytes, .. } | Output::Publish { bytes } | Output::Tell { bytes, .. } => {
                self.history.update(bytes);
            }
            Output::Store { entries, .. } => {
                for entry in entries {
                    self.history.update(&entry.body);
                    self.history.update(entry.signature.map_or([0; 64], |signature| signature.0));
                }
            }
            other => self.history.update(format!("{other:?}")),
        }
    }

    /// Sums up everything that every device has put out.
    pub(crate) fn history(&self) -> String {
        hex::encode(self.history.clone().finalize())
    }

    // --- People.

    pub(crate) fn command(&mut self, at: usize, command: Command) -> CallId {
        self.command_with(at, command, None)
    }

    pub(crate) fn command_with(
        &mut self,
        at: usize,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> CallId {
        self.calls += 1;
        let call = self.calls;
        self.give(at, Input::Command { call, command, idempotency });
        call
    }

    /// Waits for the outcome of a command, and takes it.
    pub(crate) fn outcome(&mut self, call: CallId) -> Result<Reply, Refusal> {
        let until = self.time + 70_000;
        while !self.replies.contains_key(&call) {
            assert!(self.step(until), "no outcome within 70 s");
        }
        self.replies.remove(&call).unwrap()
    }

    /// Whether the outcome of a command is there.
    pub(crate) fn is_answered(&self, call: CallId) -> bool {
        self.replies.contains_key(&call)
    }

    pub(crate) fn done(&mut self, at: usize, command: Command) -> Result<Reply, Refusal> {
        let call = self.command(at, command);
        self.outcome(call)
    }

    /// Asks without waiting for the answer.
    pub(crate) fn ask(&mut self, at: usize, query: Query) -> CallId {
        self.calls += 1;
        let call = self.calls;
        self.give(at, Input::Query { call, query });
        call
    }

    pub(crate) fn query(&mut self, at: usize, query: Query) -> Answer {
        let call = self.ask(at, query);
        let until = self.time + 10_000;
        while !self.answers.contains_key(&call) {
            assert!(self.step(until), "no answer within 10 s");
        }
        self.answers.remove(&call).unwrap()
    }
}
