//! Sync by frontier: two frontiers say exactly what is missing on either side.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use crate::id::{ChainId, DeviceId, Hash};
use crate::io::{Notice, Output};
use crate::log::{MAX_RANGE_BYTES, Range};
use crate::message::{Entries, Frontier, Head, MAX_HEADS, MAX_MESSAGE, Message, decode, encode};

/// How often linked devices compare the digests of their logs.
const DIGEST_EVERY_MS: u64 = 2_000;
/// How soon after entries came by sync the other neighbours are told.
const NUDGE_AFTER_MS: u64 = 50;
/// The least time between two frontiers to one peer.
const FRONTIER_EVERY_MS: u64 = 200;
/// While many devices write, two digests hardly ever agree, and a frontier is the longer the more chains there are. So the
/// more there are, the longer a device waits for what is under way before it tells or asks the next neighbour.
const PATIENCE_MS_EACH: u64 = 2;

#[derive(Debug, Default)]
struct Progress {
    /// When the last frontier went to this peer, and whether it was full.
    asked: Option<(u64, bool)>,
    /// A frontier is owed to this peer.
    owed: bool,
    digest_at: u64,
    /// The chain that the last answer had no more room for: the next begins with it.
    left_out: Option<ChainId>,
}

/// What a peer is missing of one chain.
struct Missing {
    chain: ChainId,
    have: u64,
    signed: u64,
}

/// How sync goes with each linked peer.
#[derive(Debug, Default)]
pub(super) struct Sync {
    peers: BTreeMap<DeviceId, Progress>,
    nudge_at: Option<u64>,
    nudge_not: Option<DeviceId>,
    /// When the last frontier went to anybody.
    asked_at: Option<u64>,
}

impl Sync {
    pub(super) fn link_up(&mut self, peer: DeviceId) {
        self.peers.insert(peer, Progress::default());
    }

    pub(super) fn link_down(&mut self, peer: &DeviceId) {
        self.peers.remove(peer);
    }

    /// Have the neighbours compare digests soon, but for the one that the news came from.
    pub(super) fn nudge_all(&mut self, but: Option<DeviceId>) {
        self.nudge_not = if self.nudge_at.is_some() && self.nudge_not != but { None } else { but };
        self.nudge_at = self.nudge_at.or(Some(0));
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let owed = |progress: &Progress| {
            let frontier = progress.asked.map_or(0, |(at, _)| at + FRONTIER_EVERY_MS);
            if progress.owed { frontier.min(progress.digest_at) } else { progress.digest_at }
        };
        self.peers.values().map(owed).chain(self.nudge_at.filter(|at| *at > 0)).min()
    }
}

impl Device {
    /// Sends what this device has, once it is durable, so that the peer sends what is missing.
    pub(super) fn send_frontier(&mut self, to: DeviceId, full: bool) {
        let now = self.now.mono_ms;
        self.sync.asked_at = Some(now);
        if let Some(progress) = self.sync.peers.get_mut(&to) {
            progress.asked = Some((now, full));
            progress.owed = false;
        }
        let heads = self
            .log
            .heads()
            .filter(|(chain, ..)| full || !self.log.has_ended(&chain.id))
            .map(|(chain, seq, hash)| Head { chain: chain.id, seq, hash: first_bytes(hash) })
            .collect();
        let frontier = Frontier { ended: Hash(self.log.digest(true)), full, heads };
        self.outbox.emit(Output::Send { to, bytes: encode(&Message::Frontier(frontier)) });
    }

    /// How long to wait for what is under way, in a mesh of this size.
    fn patience_ms(&self) -> u64 {
        PATIENCE_MS_EACH * self.peers.count() as u64
    }

    /// The logs differ. What is missing here is likely to be on its way, if somebody has just been asked; if not, the next
    /// digest says so again.
    fn differs_from(&mut self, peer: DeviceId) {
        let patience = self.patience_ms();
        if self.sync.asked_at.is_none_or(|at| self.now.mono_ms >= at + patience) {
            self.sync_with(peer);
        }
    }

    /// Sends a frontier now, or soon if one has just gone.
    pub(super) fn sync_with(&mut self, peer: DeviceId) {
        let now = self.now.mono_ms;
        let Some(progress) = self.sync.peers.get_mut(&peer) else { return };
        if progress.asked.is_some_and(|(at, _)| now < at + FRONTIER_EVERY_MS) {
            progress.owed = true;
        } else {
            self.send_frontier(peer, false);
        }
    }

    pub(super) fn pump_sync(&mut self) {
        let now = self.now.mono_ms;
        let nudged = match self.sync.nudge_at {
            Some(0) => {
                self.sync.nudge_at = Some(now + NUDGE_AFTER_MS + self.patience_ms());
                false
            }
            Some(at) => at <= now,
            None => false,
        };
        let but = self.sync.nudge_not;
        if nudged {
            self.sync.nudge_at = None;
            self.sync.nudge_not = None;
        }
        let mut frontiers = Vec::new();
        let mut digests = Vec::new();
        for (peer, progress) in &mut self.sync.peers {
            if progress.owed && progress.asked.is_none_or(|(at, _)| at + FRONTIER_EVERY_MS <= now) {
                frontiers.push(*peer);
            } else if progress.digest_at <= now || (nudged && but != Some(*peer)) {
                progress.digest_at = now + DIGEST_EVERY_MS;
                digests.push(*peer);
            }
        }
        for peer in frontiers {
            self.send_frontier(peer, false);
        }
        if !digests.is_empty() {
            let bytes = encode(&Message::Digest(Hash(self.log.digest(false))));
            for to in digests {
                self.outbox.emit(Output::Send { to, bytes: bytes.clone() });
            }
        }
    }

    /// A message over a link.
    pub(super) fn message(&mut self, from: DeviceId, bytes: &[u8]) {
        self.heard(from);
        match decode::<Message>(bytes, MAX_MESSAGE) {
            Ok(Message::Frontier(frontier)) => self.answer_frontier(from, &frontier),
            Ok(Message::Entries(entries)) => self.take_entries(from, &entries),
            Ok(Message::Digest(theirs)) => {
                if theirs.0 != self.log.digest(false) {
                    self.differs_from(from);
                }
            }
            Ok(Message::Hello(certificate)) => match self.gate.certificate(&certificate) {
                Ok(certificate) if certificate.device == from => self.peers.meet(&certificate),
                Ok(_) => self.fault(from, "it showed another device's certificate".to_owned()),
                Err(error) => self.fault(from, error.to_string()),
            },
            Ok(Message::Ask(ask)) => self.asked(from, &ask),
            Ok(Message::Decline(decline)) => self.asks.declined(decline.id, self.now.mono_ms),
            Err(error) => self.fault(from, error.to_string()),
        }
    }

    /// Notes that a peer sent something wrong.
    pub(super) fn fault(&mut self, device: DeviceId, text: String) {
        self.refused += 1;
        self.outbox.emit_now(Output::Notice(Notice::PeerFault { device, text }));
    }

    fn take_entries(&mut self, from: DeviceId, entries: &Entries) {
        let taken = self.take_ranges(&entries.ranges);
        if taken.admitted > 0 {
            self.sync.nudge_all(Some(from));
        }
        if let Some(fault) = taken.fault {
            self.fault(from, fault.to_string());
        } else if entries.more && taken.admitted > 0 {
            self.send_frontier(from, false);
        } else if taken.gap {
            self.sync_with(from);
        }
    }

    fn answer_frontier(&mut self, from: DeviceId, frontier: &Frontier) {
        if frontier.heads.len() > MAX_HEADS {
            self.fault(from, "a frontier of too many chains".to_owned());
            return;
        }
        let full = frontier.full;
        if !full && frontier.ended.0 != self.log.digest(true) {
            // Which of the ended chains differ, only full frontiers can say.
            let asked = self.sync.peers.get(&from).and_then(|progress| progress.asked);
            if !asked.is_some_and(|(at, full)| full && self.now.mono_ms < at + FRONTIER_EVERY_MS) {
                self.send_frontier(from, true);
            }
        }
        let theirs: BTreeMap<ChainId, &Head> = frontier.heads.iter().map(|head| (head.chain, head)).collect();
        let alike = full || frontier.ended.0 == self.log.digest(true);
        let mut forked = BTreeSet::new();
        let mut missing: Vec<Missing> = Vec::new();
        for (chain, seq, _) in self.log.heads() {
            let have = match theirs.get(&chain.id) {
                Some(head) => {
                    let here = chain.hash(head.seq);
                    if here.is_some_and(|hash| first_bytes(hash) != head.hash) {
                        forked.insert(chain.device);
                    }
                    head.seq
                }
                None if !full && self.log.has_ended(&chain.id) => continue,
                None if !alike => continue,
                None => 0,
            };
            if have < seq {
                missing.push(Missing { chain: chain.id, have, signed: seq });
            }
        }
        let begin = self.sync.peers.get(&from).and_then(|progress| progress.left_out);
        let (ranges, left_out) = self.some_of(missing, begin);
        if let Some(progress) = self.sync.peers.get_mut(&from) {
            progress.left_out = left_out;
        }
        let more = left_out.is_some();
        for device in forked {
            self.fault(device, format!("chains of {} differ: it has written two histories", device.short()));
        }
        let lacking = frontier.heads.iter().any(|head| {
            let here = self.log.chain(&head.chain).map_or(0, |chain| chain.len());
            here < head.seq && !self.intake_has(&head.chain, head.seq)
        });
        if !ranges.is_empty() {
            let bytes = encode(&Message::Entries(Entries { ranges, more }));
            self.outbox.emit(Output::Send { to: from, bytes });
        }
        if lacking {
            let asked = self.sync.peers.get(&from).and_then(|progress| progress.asked);
            let enough = asked.is_some_and(|(at, was_full)| {
                self.now.mono_ms < at + FRONTIER_EVERY_MS && (was_full || !full)
            });
            if enough {
                if let Some(progress) = self.sync.peers.get_mut(&from) {
                    progress.owed = true;
                }
            } else {
                self.send_frontier(from, full);
            }
        }
    }

    fn bytes_missing(&self, missing: &Missing) -> usize {
        let chain = self.log.chain(&missing.chain);
        chain.map_or(0, |chain| chain.bytes_between(missing.have, missing.signed))
    }

    /// As much of what a peer is missing as one message takes, a part of each chain in turn, and the chain that was
    /// the first to get no more room.
    ///
    /// Entries of one chain may need those of any other, and what the peer holds back until then it asks for again. The
    /// first entry missing of some chain needs nothing that is missing; so that it is never kept away by others, every
    /// chain gets its turn.
    fn some_of(&self, mut missing: Vec<Missing>, begin: Option<ChainId>) -> (Vec<Range>, Option<ChainId>) {
        if let Some(begin) = begin {
            let at = missing.iter().position(|missing| missing.chain >= begin).unwrap_or(0);
            missing.rotate_left(at);
        }
        let all: usize = missing.iter().map(|missing| self.bytes_missing(missing)).sum();
        // Where there is room for everything, nothing need be cut up, which would pack worse.
        let share =
            if all <= MAX_RANGE_BYTES { MAX_RANGE_BYTES } else { MAX_RANGE_BYTES / missing.len().max(1) };
        let mut budget = MAX_RANGE_BYTES;
        let mut ranges = Vec::new();
        while !missing.is_empty() {
            for missing in &mut missing {
                if budget == 0 {
                    return (ranges, Some(missing.chain));
                }
                let next = self
                    .log
                    .chain(&missing.chain)
                    .and_then(|chain| Some((chain, chain.range_after(missing.have, share.min(budget))?)));
                let Some((chain, range)) = next else {
                    missing.have = missing.signed;
                    continue;
                };
                let upto = missing.have + range.bodies.len();
                budget = budget.saturating_sub(chain.bytes_between(missing.have, upto).max(1));
                missing.have = upto;
                ranges.push(range);
            }
            missing.retain(|missing| missing.have < missing.signed);
        }
        (ranges, None)
    }

    fn intake_has(&self, chain: &ChainId, seq: u64) -> bool {
        self.intake.waiting_up_to(chain).is_some_and(|have| have >= seq)
    }
}

fn first_bytes(hash: &Hash) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.0[..8]);
    bytes
}
