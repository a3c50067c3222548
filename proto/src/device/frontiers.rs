//! Frontiers: which heads a linked peer has been told, which of its own it has told, and what it lacks.
//!
//! The first frontier over a link names every living chain, those after it only what has changed since. They are
//! numbered, so that one that went missing is noticed; then all heads are told again.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::budgets::cost_of_frontier;
use crate::change::RUN;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Hash};
use crate::io::Output;
use crate::links::Width;
use crate::log::{Chain, MAX_RANGE_BYTES, Range};
use crate::message::{Compare, Entries, Frontier, Head, MAX_HEADS, MAX_RUNS, Message, RunEnd, encode};

/// Entries that were sent so long ago, and that the peer's frontier still does not show, are sent again.
const RESEND_AFTER_MS: u64 = 1_000;
/// The same over a narrow link, where they take longer.
const RESEND_AFTER_NARROW_MS: u64 = 3_000;
/// The most bytes of entries in one message over a narrow link, so that what is urgent need not wait long behind it: some second
/// at 100 kbit/s.
const NARROW_RANGE_BYTES: usize = 12 << 10;
/// The least that each chain gets of such a message: shorter ranges pack worse.
const NARROW_SHARE_BYTES: usize = 1 << 10;
/// The same bytes before they are packed, where that makes them so much fewer.
const NARROW_UNPACKED_BYTES: usize = 64 << 10;

/// What has passed over one link.
#[derive(Debug)]
pub(super) struct Exchange {
    width: Width,
    /// Frontiers sent.
    sent: u32,
    /// The version of the log up to which they tell of its heads; if there is none, the next has to tell all.
    told: Option<u64>,
    /// The number of the peer's last frontier.
    heard: u32,
    /// The peer's heads, unless one of its frontiers went missing.
    theirs: Option<BTreeMap<ChainId, u64>>,
    /// The version of the log up to which the peer has been sent what it lacked.
    served: u64,
    /// Up to where entries of a chain were sent and when, until the peer's frontier shows them.
    under_way: BTreeMap<ChainId, (u64, u64)>,
    /// The chain that the last answer had no more room for: the next begins with it.
    left_out: Option<ChainId>,
    /// Chains of which the peer has another history, and when it was asked last from where on.
    parted: BTreeMap<ChainId, u64>,
}

impl Exchange {
    pub(super) fn new(width: Width) -> Self {
        Self {
            width,
            sent: 0,
            told: None,
            heard: 0,
            theirs: None,
            served: 0,
            under_way: BTreeMap::new(),
            left_out: None,
            parted: BTreeMap::new(),
        }
    }

    pub(super) fn width(&self) -> Width {
        self.width
    }

    pub(super) fn set_width(&mut self, width: Width) {
        self.width = width;
    }

    fn resend_after_ms(&self) -> u64 {
        match self.width {
            Width::Broad => RESEND_AFTER_MS,
            Width::Narrow => RESEND_AFTER_NARROW_MS,
        }
    }

    /// The peer has what it sent.
    pub(super) fn has_sent(&mut self, ranges: &[Range]) {
        let Some(theirs) = &mut self.theirs else { return };
        for range in ranges {
            let head = theirs.entry(range.chain).or_default();
            *head = range.last().max(*head);
        }
    }

    /// The peer's heads, as far as it has told them.
    pub(super) fn theirs(&self) -> Option<&BTreeMap<ChainId, u64>> {
        self.theirs.as_ref()
    }

    /// The logs are alike, as of a version. `heads` are those that have changed since they were last.
    fn agrees(&mut self, version: u64, heads: impl Iterator<Item = (ChainId, u64)>) {
        self.served = version;
        self.under_way.clear();
        if let Some(theirs) = &mut self.theirs {
            theirs.extend(heads);
        }
    }

    /// Forgets what the two have told each other, so that both tell all again.
    pub(super) fn begin_anew(&mut self) {
        self.told = None;
        self.theirs = None;
        self.under_way.clear();
    }

    /// Takes in what a frontier says of the peer. False if one before it went missing.
    fn hear(&mut self, frontier: &Frontier) -> bool {
        let follows = self.heard.checked_add(1) == Some(frontier.number);
        self.heard = frontier.number;
        let heads = frontier.heads.iter().map(|head| (head.chain, head.seq));
        match &mut self.theirs {
            // Of a peer that names ever more chains, all have to be told again in one frontier, which is bounded.
            Some(theirs) if theirs.len() > MAX_HEADS => self.theirs = None,
            Some(theirs) if frontier.changes && follows => theirs.extend(heads),
            _ if frontier.changes => self.theirs = None,
            _ => {
                self.theirs = Some(heads.collect());
                self.served = 0;
            }
        }
        if frontier.again {
            self.told = None;
        }
        self.theirs.is_some()
    }

    /// Up to where the peer has a chain or is about to have it, if it has ever named it.
    fn has(&mut self, chain: &ChainId, now_ms: u64) -> Option<u64> {
        let resend_after_ms = self.resend_after_ms();
        let theirs = self.theirs.as_ref().and_then(|theirs| theirs.get(chain)).copied();
        match self.under_way.get(chain) {
            Some((upto, at)) if theirs.is_none_or(|have| have < *upto) && now_ms < at + resend_after_ms => {
                Some(*upto)
            }
            Some(_) => {
                self.under_way.remove(chain);
                theirs
            }
            None => theirs,
        }
    }
}

/// What a peer is missing of one chain.
struct Missing {
    chain: ChainId,
    have: u64,
    signed: u64,
}

impl Device {
    /// A peer has the same as this device.
    pub(super) fn note_agreement(&mut self, peer: &DeviceId) {
        let version = self.log.version();
        let news = |exchange: &&mut Exchange| exchange.served != version || !exchange.under_way.is_empty();
        let Some(exchange) = self.sync.exchange(peer).filter(news) else { return };
        let head = |(chain, seq, _): (&Chain, u64, &Hash)| (chain.id, seq);
        let heads: Vec<(ChainId, u64)> = match self.log.changed_since(exchange.served) {
            Some(mut changed) => {
                changed.extend(exchange.under_way.keys());
                changed.iter().filter_map(|chain| self.log.chain(chain)?.head()).map(head).collect()
            }
            None => self.log.heads().map(head).collect(),
        };
        exchange.agrees(version, heads.into_iter());
    }

    /// Sends what this device has, once it is durable, so that the peer sends what is missing.
    pub(super) fn send_frontier(&mut self, to: DeviceId, full: bool) {
        self.sync.asks(&to, self.now.mono_ms, full);
        let Some(exchange) = self.sync.exchange(&to) else { return };
        exchange.sent = exchange.sent.saturating_add(1);
        let number = exchange.sent;
        let told = exchange.told.replace(self.log.version()).filter(|_| !full);
        let again = exchange.heard > 0 && exchange.theirs.is_none();
        let changed = told.and_then(|version| self.log.changed_since(version));
        let head =
            |(chain, seq, hash): (&Chain, u64, &Hash)| Head { chain: chain.id, seq, hash: first_bytes(hash) };
        let named = |chain: &Chain| full || !chain.has_ended();
        let heads = match &changed {
            Some(changed) => changed
                .iter()
                .filter_map(|chain| self.log.chain(chain)?.head())
                .filter(|(chain, ..)| named(chain))
                .map(head)
                .collect(),
            None => self.log.heads().filter(|(chain, ..)| named(chain)).map(head).collect(),
        };
        let ended = Hash(self.log.digest(true));
        let frontier = Frontier { ended, full, heads, number, changes: changed.is_some(), again };
        self.outbox.emit(Output::Send { to, bytes: encode(&Message::Frontier(frontier)) });
    }

    pub(super) fn answer_frontier(&mut self, from: DeviceId, frontier: &Frontier) {
        self.budgets.work(&from, cost_of_frontier(frontier.heads.len()), self.now.mono_ms);
        if frontier.heads.len() > MAX_HEADS {
            self.fault(from, "a frontier of too many chains".to_owned());
            return;
        }
        let full = frontier.full;
        let alike = full || frontier.ended.0 == self.log.digest(true);
        if !alike {
            // Which of the ended chains differ, only full frontiers can say.
            self.tell_what_is_here(from, true);
        }
        let Some(exchange) = self.sync.exchange(&from) else { return };
        if !exchange.hear(frontier) {
            self.tell_what_is_here(from, false);
            return;
        }
        if frontier.again {
            self.tell_what_is_here(from, false);
        }
        self.compare_histories(from, frontier);
        self.compare_past(from, alike);
        let named: BTreeSet<ChainId> = frontier.heads.iter().map(|head| head.chain).collect();
        self.send_missing(from, &named, full, alike);
        if frontier.heads.iter().any(|head| self.lacks(head)) {
            self.tell_what_is_here(from, full);
        }
    }

    /// Sends a peer that has told its heads what is new here, if it has not got it.
    pub(super) fn send_news(&mut self, to: DeviceId) {
        let knows = |exchange: &mut Exchange| exchange.theirs.is_some() && exchange.left_out.is_none();
        if self.sync.exchange(&to).is_some_and(knows) {
            self.send_missing(to, &BTreeSet::new(), false, true);
        }
    }

    /// Sends a peer what it lacks, or as much as one message takes.
    fn send_missing(&mut self, from: DeviceId, named: &BTreeSet<ChainId>, full: bool, alike: bool) {
        let now = self.now.mono_ms;
        let missing = self.missing_of(from, named, full, alike);
        let Some(exchange) = self.sync.exchange(&from) else { return };
        let (begin, width) = (exchange.left_out, exchange.width);
        // What it may not get now it gets when it asks again; until then nothing of it is under way.
        let may_get = self.budgets.may_get(&from, now);
        let (ranges, left_out) = self.some_of(missing, begin, may_get, width);
        let version = self.log.version();
        if let Some(exchange) = self.sync.exchange(&from) {
            exchange.left_out = left_out;
            if left_out.is_none() && alike {
                exchange.served = version;
            }
            let sent = ranges.iter().map(|range| (range.chain, (range.last(), now)));
            exchange.under_way.extend(sent);
        }
        if !ranges.is_empty() {
            let sent = ranges.iter().map(|range| self.bytes_of(range)).sum();
            self.budgets.served(&from, sent, now);
            let bytes = encode(&Message::Entries(Entries { ranges, more: left_out.is_some() }));
            self.outbox.emit(Output::Send { to: from, bytes });
        }
    }

    /// What a peer lacks, as far as its frontiers say.
    fn missing_of(
        &mut self,
        from: DeviceId,
        named: &BTreeSet<ChainId>,
        full: bool,
        alike: bool,
    ) -> Vec<Missing> {
        let now = self.now.mono_ms;
        let Some(exchange) = self.sync.exchange(&from) else { return Vec::new() };
        let mut candidates = match self.log.changed_since(exchange.served) {
            Some(changed) => changed,
            None => self.log.chains().map(|chain| chain.id).collect(),
        };
        candidates.extend(named);
        let resend_after_ms = exchange.resend_after_ms();
        let late = exchange.under_way.iter().filter(|(_, (_, at))| at + resend_after_ms <= now);
        candidates.extend(late.map(|(chain, _)| chain));
        let mut missing = Vec::new();
        for id in candidates {
            let Some((chain, signed, _)) = self.log.chain(&id).and_then(Chain::head) else { continue };
            let summed_up = chain.has_ended() && !full && !named.contains(&id);
            if exchange.parted.contains_key(&id) {
                continue;
            }
            let have = match exchange.has(&id, now) {
                _ if summed_up => continue,
                Some(have) => have,
                // It may be among those that the peer takes for ended.
                None if !alike => continue,
                None => 0,
            };
            if have < signed {
                missing.push(Missing { chain: id, have, signed });
            }
        }
        missing
    }

    /// Looks for chains of which a peer has another history, and asks it for the entries that prove it.
    fn compare_histories(&mut self, from: DeviceId, frontier: &Frontier) {
        let now = self.now.mono_ms;
        let parts = |head: &Head| match (self.log.chain(&head.chain), self.log.cut_at(&head.chain)) {
            // It has not heard of the fork yet, or has a third history.
            (_, Some(cut)) if head.seq >= cut => true,
            (Some(chain), _) => chain.hash(head.seq).is_some_and(|hash| first_bytes(hash) != head.hash),
            (None, _) => false,
        };
        let (parted, alike): (Vec<&Head>, Vec<&Head>) = frontier.heads.iter().partition(|head| parts(head));
        let Some(exchange) = self.sync.exchange(&from) else { return };
        for head in alike {
            exchange.parted.remove(&head.chain);
        }
        let mut due = Vec::new();
        for head in parted {
            let asked = exchange.parted.entry(head.chain).or_default();
            if *asked == 0 || *asked + RESEND_AFTER_MS <= now {
                *asked = now.max(1);
                due.push(head.chain);
            }
        }
        for chain in due {
            let Some((chain, seq, hash)) = self.log.chain(&chain).and_then(Chain::head) else { continue };
            let runs = (1..=seq / RUN).filter_map(|run| chain.hash(run * RUN)).map(first_bytes).map(RunEnd);
            let head = Head { chain: chain.id, seq, hash: first_bytes(hash) };
            let compare = Compare { chain: chain.id, head, runs: runs.take(MAX_RUNS).collect() };
            let bytes = encode(&Message::Compare(compare));
            self.outbox.emit(Output::Send { to: from, bytes });
        }
    }

    /// Sends a peer that has another history of a chain the first stretch of this one that differs.
    pub(super) fn show_where_they_part(&mut self, from: DeviceId, theirs: &Compare) {
        let Some(chain) = self.log.chain(&theirs.chain) else { return };
        let same =
            theirs.runs.iter().zip(1u64..).take_while(|(end, run)| {
                chain.hash(run * RUN).is_some_and(|hash| first_bytes(hash) == end.0)
            });
        let before = same.count() as u64 * RUN;
        if let Some(range) = chain.range_after(before, MAX_RANGE_BYTES, Width::Broad) {
            let entries = Entries { ranges: vec![range], more: false };
            self.outbox.emit(Output::Send { to: from, bytes: encode(&Message::Entries(entries)) });
        }
    }

    fn bytes_of(&self, range: &Range) -> usize {
        let chain = self.log.chain(&range.chain);
        chain.map_or(0, |chain| chain.bytes_between(range.first.saturating_sub(1), range.last()))
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
    fn some_of(
        &self,
        mut missing: Vec<Missing>,
        begin: Option<ChainId>,
        may_get: usize,
        width: Width,
    ) -> (Vec<Range>, Option<ChainId>) {
        let (most, least_share, mut room) = match width {
            Width::Broad => (MAX_RANGE_BYTES, 0, usize::MAX),
            Width::Narrow => (NARROW_UNPACKED_BYTES, NARROW_SHARE_BYTES, NARROW_RANGE_BYTES),
        };
        if let Some(begin) = begin {
            let at = missing.iter().position(|missing| missing.chain >= begin).unwrap_or(0);
            missing.rotate_left(at);
        } else if width == Width::Narrow {
            missing.sort_by_key(|missing| self.urgency(&missing.chain));
        }
        let all: usize = missing.iter().map(|missing| self.bytes_missing(missing)).sum();
        // Where there is room for everything, nothing need be cut up, which would pack worse.
        let share = if all <= most { most } else { (most / missing.len().max(1)).max(least_share) };
        let mut budget = may_get.min(most);
        let mut ranges = Vec::new();
        while !missing.is_empty() {
            for missing in &mut missing {
                if budget == 0 || room == 0 {
                    return (ranges, Some(missing.chain));
                }
                let next = self.log.chain(&missing.chain).and_then(|chain| {
                    let range = |most| chain.range_after(missing.have, share.min(budget).min(most), width);
                    let fits = range(usize::MAX).filter(|range| range.travels_as() <= room);
                    Some((chain, fits.or_else(|| range(room))?))
                });
                let Some((chain, range)) = next else {
                    missing.have = missing.signed;
                    continue;
                };
                let upto = range.last();
                room = room.saturating_sub(range.travels_as());
                budget = budget.saturating_sub(chain.bytes_between(missing.have, upto).max(1));
                missing.have = upto;
                ranges.push(range);
            }
            missing.retain(|missing| missing.have < missing.signed);
        }
        (ranges, None)
    }

    /// What goes first where it cannot all go at once: who may write and who holds what, then claims, then the rest.
    fn urgency(&self, chain: &ChainId) -> u8 {
        match self.log.chain(chain).map(|chain| &chain.document) {
            Some(Document::Devices | Document::Stock(_)) => 0,
            Some(Document::Claims(_)) => 1,
            Some(Document::Programme) => 2,
            Some(Document::People) | None => 3,
        }
    }

    /// Whether a head is of more than is here, counting what waits.
    fn lacks(&self, head: &Head) -> bool {
        let here = self.log.chain(&head.chain).map_or(0, Chain::len);
        here.max(self.intake.waiting_up_to(&head.chain).unwrap_or(0))
            < self.log.counting(&head.chain, head.seq)
    }
}

fn first_bytes(hash: &Hash) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.0[..8]);
    bytes
}
