//! Retired devices: told so once, then nothing more passes between them and this device.
//!
//! What proves the retirement is the one thing that a retired device is sent: entries of `devices` up to it, and no
//! frontier, digest, presence or gossip. It may hand over in return what it wrote itself, which counts for nothing after
//! the retirement and shows what it did; all up to there is here already, as the retirement needs it. Then its link is
//! closed, and none is let in again.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Ref};
use crate::io::{Barred, Output};
use crate::log::{MAX_RANGE_BYTES, Range};
use crate::message::{Entries, MAX_MESSAGE, Message, decode, encode};
use crate::planted::Planted;
use crate::record::{Body, Record};
use crate::trust::Trust;

/// For so long a retired device that was told may hand over what it wrote since.
const WAIT_FOR_LAST_WORDS_MS: u64 = 10_000;
/// What a retired device may hand over, bytes of messages.
const LAST_WORDS_MOST: usize = 8 << 20;
/// A link that goes before the retired device has said that it knows is none: it is told again, so often at the most.
const TOLD_MOST: u32 = 3;
/// So many retirements and hand-overs of the right to retire one is proven by, at the most.
const PROOF_MOST: usize = 64;

/// How far it is with a retired device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not told, or not heard to know, so many times that it was linked.
    Untold { tries: u32 },
    /// Told, and may hand over what it has until then.
    Told { until_ms: u64, heard: usize, tries: u32 },
    /// Nothing more passes.
    Shut,
}

/// Devices that were retired.
#[derive(Debug, Default)]
pub(super) struct Bars {
    stages: BTreeMap<DeviceId, Stage>,
    /// Those of them whose link is up.
    linked: BTreeSet<DeviceId>,
    /// As the runtime was told.
    said: Option<Barred>,
    /// Whether somebody may have been retired, or not any more.
    pub(super) stale: bool,
    /// Peers that this device, retired itself, has told all that it wrote.
    last_words: BTreeSet<DeviceId>,
}

impl Bars {
    /// Whether nothing is sent to a device.
    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.stages.contains_key(device)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let until = |stage: &Stage| match stage {
            Stage::Told { until_ms, .. } => Some(*until_ms),
            _ => None,
        };
        self.stages.values().filter_map(until).min()
    }

    /// A link of this device, which may be retired, is up or gone.
    pub(super) fn link_changed(&mut self, peer: &DeviceId) {
        self.last_words.remove(peer);
    }
}

impl Device {
    /// Looks who was retired since, or is not any more.
    pub(super) fn refresh_bars(&mut self) {
        if !std::mem::take(&mut self.bars.stale) || self.plant.has(Planted::TalkToRetired) {
            return;
        }
        let me = self.me;
        let retired: BTreeSet<DeviceId> =
            self.trust.retired().keys().filter(|device| **device != me).copied().collect();
        self.bars.stages.retain(|device, _| retired.contains(device));
        let back = self.bars.linked.extract_if(.., |device| !retired.contains(device));
        // The runtime closes a link that was quiet, so that it begins anew.
        back.for_each(drop);
        for device in retired {
            if self.bars.has(&device) {
                continue;
            }
            self.bars.stages.insert(device, Stage::Untold { tries: 0 });
            if self.peers.is_linked(&device) {
                self.link_down(device);
                self.bars.linked.insert(device);
            }
            self.peers.forget_presence(&device);
        }
        self.tell_bars();
    }

    /// Tells the runtime whom nothing goes to, at the start and whenever that changes.
    pub(super) fn tell_bars(&mut self) {
        let retired = self.trust.retired().keys().copied().collect();
        let mut barred = Barred { retired, ..Barred::default() };
        for (device, stage) in &self.bars.stages {
            let of = if *stage == Stage::Shut { &mut barred.shut } else { &mut barred.quiet };
            of.push(*device);
        }
        if self.bars.said.as_ref() != Some(&barred) {
            self.bars.said = Some(barred.clone());
            // Before gossip that is passed on in the same moment.
            self.outbox.emit_first(Output::Bar(barred));
        }
    }

    /// A link to a retired device is up. Whether it was one.
    pub(super) fn retired_link_up(&mut self, peer: DeviceId) -> bool {
        self.bars.link_changed(&peer);
        if !self.bars.has(&peer) {
            return false;
        }
        self.bars.linked.insert(peer);
        self.tell_retired(peer);
        true
    }

    /// The link to a retired device is gone. Whether it was one.
    pub(super) fn retired_link_down(&mut self, peer: &DeviceId) -> bool {
        self.bars.link_changed(peer);
        let was = self.bars.linked.remove(peer) && self.bars.has(peer);
        // What was under way may be lost.
        if let Some(Stage::Told { tries: tries @ ..TOLD_MOST, .. }) = self.bars.stages.get(peer).copied() {
            self.bars.stages.insert(*peer, Stage::Untold { tries });
        }
        was
    }

    fn tell_retired(&mut self, device: DeviceId) {
        let Some(Stage::Untold { tries }) = self.bars.stages.get(&device).copied() else { return };
        let entry = self.trust.retired().get(&device).map(|retirement| retirement.entry);
        let signed =
            |entry: &Ref| self.log.chain(&entry.chain).is_some_and(|chain| chain.signed() >= entry.seq);
        // One of this device's own is signed when it is written: then it is told.
        if !entry.is_some_and(|entry| signed(&entry)) {
            return;
        }
        let ranges = self.proof_of_retirement(&device);
        let until_ms = self.now.mono_ms + WAIT_FOR_LAST_WORDS_MS;
        self.bars.stages.insert(device, Stage::Told { until_ms, heard: 0, tries: tries + 1 });
        let bytes = encode(&Message::Entries(Entries { ranges, more: false }));
        self.outbox.emit(Output::Tell { to: device, bytes });
    }

    /// The entries that prove that a device was retired: the chain of its retirement up to there, and those of the hand-overs
    /// that gave the right.
    fn proof_of_retirement(&self, device: &DeviceId) -> Vec<Range> {
        let mut ranges = Vec::new();
        let mut named = self.trust.retired().get(device).map(|retirement| retirement.entry);
        let mut upto: BTreeMap<ChainId, u64> = BTreeMap::new();
        for _ in 0..PROOF_MOST {
            let Some(entry) = named.take() else { break };
            let last = upto.entry(entry.chain).or_default();
            *last = entry.seq.max(*last);
            let body = self.log.chain(&entry.chain).and_then(|chain| chain.body(entry.seq));
            named = match body.and_then(|body| Record::decode(body).ok()).map(|record| record.body) {
                Some(Body::Retire(retire)) => retire.under,
                Some(Body::Entrust(entrust)) => entrust.under,
                _ => None,
            };
        }
        // What gave the right first, so that nothing has to wait.
        for (chain, last) in upto.into_iter().filter_map(|(id, last)| Some((self.log.chain(&id)?, last))) {
            let mut have = 0;
            while have < last
                && let Some(range) = chain.range_up_to(have, last, MAX_RANGE_BYTES)
            {
                have = range.last();
                ranges.push(range);
            }
        }
        ranges
    }

    /// What a retired device sends: what it wrote itself, for a short while after it was told; the rest is dropped unread.
    pub(super) fn hear_retired(&mut self, from: DeviceId, bytes: &[u8]) {
        let Some(Stage::Told { until_ms, heard, tries }) = self.bars.stages.get(&from).copied() else {
            return;
        };
        let heard = heard + bytes.len();
        self.bars.stages.insert(from, Stage::Told { until_ms, heard, tries });
        if heard > LAST_WORDS_MOST {
            self.shut_out(from);
            return;
        }
        match decode::<Message>(bytes, MAX_MESSAGE) {
            Ok(Message::Entries(entries)) => {
                let ranges: Vec<Range> =
                    entries.ranges.into_iter().filter(|range| self.is_by(range, &from)).collect();
                let taken = self.take_ranges(from, &ranges);
                if taken.admitted > 0 {
                    self.sync.nudge_all(None);
                }
            }
            Ok(Message::Farewell) => self.shut_out(from),
            _ => {}
        }
    }

    /// Whether a range is of a chain that a device wrote.
    fn is_by(&self, range: &Range, device: &DeviceId) -> bool {
        if let Some(author) = self.author_of(&range.chain) {
            return author == *device;
        }
        let first = if range.first == 1 { range.bodies.unpack() } else { None };
        let start = first.as_ref().and_then(|bodies| Record::decode(bodies.first()?).ok());
        match start.map(|record| record.body) {
            Some(Body::Start(start)) => {
                ChainId::derive(device, &start.nonce, &start.document.to_string()) == range.chain
            }
            // An edit of the programme says so in another form: only the chain's id is at hand, and no retired device is
            // needed for it.
            _ => false,
        }
    }

    fn shut_out(&mut self, device: DeviceId) {
        if let Some(stage) = self.bars.stages.get_mut(&device) {
            *stage = Stage::Shut;
        }
        self.tell_bars();
    }

    /// Tells those that are linked and do not know, and shuts out whoever has had its time.
    pub(super) fn pump_bars(&mut self) {
        let linked: Vec<DeviceId> = self.bars.linked.iter().copied().collect();
        linked.into_iter().for_each(|device| self.tell_retired(device));
        let now = self.now.mono_ms;
        let over = |stage: &Stage| matches!(stage, Stage::Told { until_ms, .. } if *until_ms <= now);
        let due: Vec<DeviceId> =
            self.bars.stages.iter().filter(|(_, stage)| over(stage)).map(|(device, _)| *device).collect();
        due.into_iter().for_each(|device| self.shut_out(device));
    }

    /// This device was retired itself, and a peer has sent it entries, which may be how it knows: what it wrote since goes
    /// to that peer, once a link.
    pub(super) fn say_last_words(&mut self, to: DeviceId) {
        let Some(retirement) = self.trust.retired().get(&self.me) else { return };
        if !self.bars.last_words.insert(to) {
            return;
        }
        let mut ranges = Vec::new();
        let mut bytes = 0;
        for chain in self.log.chains().filter(|chain| chain.device == self.me) {
            let mut have = retirement.upto(&chain.id);
            while bytes < LAST_WORDS_MOST / 2
                && chain.document != Document::Programme
                && let Some(range) = chain.range_after(have, MAX_RANGE_BYTES)
            {
                have = range.last();
                bytes += range.travels_as();
                ranges.push(range);
            }
        }
        for range in ranges {
            let some = encode(&Message::Entries(Entries { ranges: vec![range], more: true }));
            self.outbox.emit(Output::Send { to, bytes: some });
        }
        self.outbox.emit(Output::Send { to, bytes: encode(&Message::Farewell) });
    }

    /// Whom this device trusts, for whoever checks a device from outside.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}
