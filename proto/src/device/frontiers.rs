//! Frontiers: which heads a linked peer is told, and what it lacks by its own (`exchange` remembers both).
//!
//! The first frontier over a link names every living chain, those after it only what has changed since, or since the two
//! were alike. They are numbered, so that one that went missing is noticed; then what it told is told again.

use std::collections::BTreeSet;

use super::Device;
use super::budgets::cost_of_frontier;
use super::exchange::{Exchange, Heard, RESEND_AFTER_MS};
use crate::change::RUN;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Hash};
use crate::io::Output;
use crate::links::Width;
use crate::log::{Chain, MAX_RANGE_BYTES, Range, Shown};
use crate::message::{Compare, Entries, Frontier, Head, MAX_HEADS, MAX_RUNS, Message, PAGE_HEADS, encode};

/// The most bytes of entries in one message over a narrow link, so that what is urgent need not wait long behind it: some second
/// at 100 kbit/s.
const NARROW_RANGE_BYTES: usize = 12 << 10;
/// The least that each chain gets of such a message: shorter ranges pack worse.
const NARROW_SHARE_BYTES: usize = 1 << 10;
/// The same bytes before they are packed, where that makes them so much fewer.
const NARROW_UNPACKED_BYTES: usize = 64 << 10;

/// How soon the next page of heads follows one.
const PAGE_EVERY_MS: u64 = 500;

/// What a peer is missing of one chain.
pub(super) struct Missing {
    pub(super) chain: ChainId,
    pub(super) have: u64,
    pub(super) signed: u64,
}

impl Device {
    /// A peer has the same as this device: it has just said so with its digest.
    pub(super) fn note_agreement(&mut self, peer: &DeviceId) {
        let version = self.log.mark();
        let sum = Hash(self.log.digest(false)).begins();
        if let Some(exchange) = self.sync.exchange(peer) {
            exchange.agrees(version, sum);
        }
    }

    /// Sends what this device has, once it is durable, so that the peer sends what is missing.
    pub(super) fn send_frontier(&mut self, to: DeviceId, full: bool) {
        let Some(exchange) = self.sync.exchange(&to) else { return };
        let version = self.log.mark();
        let whole = std::mem::take(&mut exchange.tells_whole);
        let full = full || whole;
        let sum = exchange.tells_sum().then(|| Hash(self.log.digest(false)).begins());
        let (number, told, again) = exchange.tells(version);
        let since =
            told.filter(|_| !full).and_then(|told| Some((self.log.changed_since(told.version)?, told.by)));
        let page = since.is_none().then(|| exchange.page(version, full, whole));
        let (full, whole) = page.map_or((full, whole), |page| (page.full, page.whole));
        let rest = |chain: &ChainId, seq: u64| Some(self.log.chain(chain)?.hash(seq)?.ends());
        let head = |(chain, shown): (ChainId, Shown)| {
            let rest = if whole { rest(&chain, shown.seq) } else { None };
            Head { chain, seq: shown.seq, hash: shown.hash, rest }
        };
        let named = |(_, shown): &(ChainId, Shown)| full || !shown.ended;
        let from = page.and_then(|page| page.next);
        let mut heads: Vec<Head> = match &since {
            Some((changed, _)) => changed
                .keys()
                .filter_map(|chain| Some((*chain, self.log.shown(chain)?)))
                .filter(named)
                .map(head)
                .collect(),
            None => {
                let all = self.log.shown_from(from.unwrap_or(ChainId([0; 16]))).filter(named).map(head);
                all.take(PAGE_HEADS + 1).collect()
            }
        };
        let upto = page.and_then(|_| heads.get(PAGE_HEADS)).map(|head| head.chain);
        if page.is_some() {
            heads.truncate(PAGE_HEADS);
            exchange.tells_page(upto);
        }
        let now = self.now.mono_ms;
        self.sync.asks(&to, now, full);
        if upto.is_some() {
            self.sync.owe(&to, now + PAGE_EVERY_MS);
        }
        let ended = Hash(self.log.digest(true));
        let since = since.map(|(_, by)| by);
        let start = self.config.nonce.0.first_chunk().copied().map_or(0, u32::from_be_bytes);
        let frontier = Frontier { ended, full, heads, number, since, again, start, sum, from, upto };
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
        let newborn = exchange.forgets_if_newborn(frontier);
        let heard = exchange.hear(frontier, &mut self.log);
        if heard == Heard::Nothing {
            self.tell_what_is_here(from, false);
            return;
        }
        if frontier.again.is_some() || newborn {
            self.tell_what_is_here(from, false);
        }
        self.compare_histories(from, frontier);
        if heard == Heard::Page {
            return;
        }
        let named: BTreeSet<ChainId> = frontier.heads.iter().map(|head| head.chain).collect();
        self.send_missing(from, &named, full, alike);
        self.look_for_hidden(from, frontier, alike);
        if frontier.heads.iter().any(|head| self.lacks(head)) {
            self.tell_what_is_here(from, full);
        }
    }

    /// Sends a peer that has told its heads what is new here, if it has not got it.
    pub(super) fn send_news(&mut self, to: DeviceId) {
        let knows = |exchange: &mut Exchange| exchange.knows_theirs() && exchange.left_out.is_none();
        if self.sync.exchange(&to).is_some_and(knows) {
            self.send_missing(to, &BTreeSet::new(), false, true);
        }
    }

    /// Sends a peer what it lacks, or as much as one message takes.
    fn send_missing(&mut self, from: DeviceId, named: &BTreeSet<ChainId>, full: bool, alike: bool) {
        let now = self.now.mono_ms;
        let missing = self.missing_of(from, named, full, alike);
        let Some(exchange) = self.sync.exchange(&from) else { return };
        let (begin, width) = (exchange.left_out, exchange.width());
        // What it may not get now it gets when it asks again; until then nothing of it is under way.
        let may_get = self.budgets.may_get(&from, now);
        let (ranges, left_out) = self.some_of(missing, begin, may_get, width);
        if let Some(exchange) = self.sync.exchange(&from) {
            exchange.left_out = left_out;
            exchange.sends(&ranges, now);
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
        let differing = exchange.differing(&mut self.log);
        let mut missing = Vec::new();
        for (id, theirs) in differing {
            let Some(Shown { seq: signed, ended, .. }) = self.log.shown(&id) else { continue };
            if ended && !full && !named.contains(&id) {
                // The digests of the ended chains say whether the peer has it.
                if alike {
                    exchange.has_all_of(&id);
                }
                continue;
            }
            if exchange.parted.contains_key(&id) {
                continue;
            }
            let have = match exchange.under_way(&id, theirs, now).or(theirs) {
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
        let parted: Vec<&Head> = frontier.heads.iter().filter(|head| self.parts_from(head)).collect();
        let Some(exchange) = self.sync.exchange(&from) else { return };
        if !exchange.parted.is_empty() {
            let still: BTreeSet<ChainId> = parted.iter().map(|head| head.chain).collect();
            for head in frontier.heads.iter().filter(|head| !still.contains(&head.chain)) {
                exchange.parted.remove(&head.chain);
            }
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
            self.ask_where_we_part(from, &chain);
        }
    }

    /// What a peer sent of a chain does not follow what is here, though nothing is missing between: it has another history.
    pub(super) fn does_not_follow(&mut self, from: DeviceId, chain: &ChainId) {
        let now = self.now.mono_ms;
        let Some(exchange) = self.sync.exchange(&from) else { return };
        let asked = exchange.parted.entry(*chain).or_default();
        if *asked == 0 || *asked + RESEND_AFTER_MS <= now {
            *asked = now.max(1);
            self.ask_where_we_part(from, chain);
        }
    }

    /// Asks a peer for the stretch of its history of a chain that is not the one here.
    fn ask_where_we_part(&mut self, from: DeviceId, chain: &ChainId) {
        let Some((chain, seq, hash)) = self.log.chain(chain).and_then(Chain::head) else { return };
        let runs = (1..=seq / RUN).filter_map(|run| chain.hash(run * RUN)).copied();
        let head = Head { chain: chain.id, seq, hash: hash.begins(), rest: Some(hash.ends()) };
        let compare = Compare { chain: chain.id, head, runs: runs.take(MAX_RUNS).collect() };
        let bytes = encode(&Message::Compare(compare));
        self.outbox.emit(Output::Send { to: from, bytes });
    }

    /// A peer whose heads are those that are here, and whose digest is another, has a history that begins like the one here
    /// where heads show it: then whole hashes are told.
    fn look_for_hidden(&mut self, from: DeviceId, frontier: &Frontier, alike: bool) {
        let differs = frontier.sum.is_some_and(|sum| sum != Hash(self.log.digest(false)).begins());
        if !differs || !alike {
            return;
        }
        let Some(exchange) = self.sync.exchange(&from) else { return };
        let seems_alike = exchange.parted.is_empty() && exchange.differing(&mut self.log).is_empty();
        if seems_alike && exchange.hides_something(self.now.mono_ms) {
            self.send_frontier(from, true);
        }
    }

    /// Whether a head is of another history than is here.
    fn parts_from(&self, head: &Head) -> bool {
        let as_here = |shown: Shown| head.rest.is_none() && (shown.seq, shown.hash) == (head.seq, head.hash);
        // It has not heard of the fork yet, or has a third history.
        if self.log.cut_at(&head.chain).is_some_and(|cut| head.seq >= cut) {
            return true;
        }
        !self.log.shown(&head.chain).is_some_and(as_here)
            && self
                .log
                .chain(&head.chain)
                .and_then(|chain| chain.hash(head.seq))
                .is_some_and(|hash| !head.is_of(hash))
    }

    /// Sends a peer that has another history of a chain the first stretch of this one that differs.
    pub(super) fn show_where_they_part(&mut self, from: DeviceId, theirs: &Compare) {
        let Some(chain) = self.log.chain(&theirs.chain) else { return };
        let same =
            theirs.runs.iter().zip(1u64..).take_while(|(end, run)| chain.hash(run * RUN) == Some(*end));
        let before = same.count() as u64 * RUN;
        if let Some(range) = chain.range_after(before, MAX_RANGE_BYTES) {
            let entries = Entries { ranges: vec![range], more: false };
            self.outbox.emit(Output::Send { to: from, bytes: encode(&Message::Entries(entries)) });
        }
    }

    pub(super) fn bytes_of(&self, range: &Range) -> usize {
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
    pub(super) fn some_of(
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
                    let range = |most| chain.range_after(missing.have, share.min(budget).min(most));
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
        if self.log.shown(&head.chain).is_some_and(|shown| shown.seq >= head.seq) {
            return false;
        }
        let here = self.log.chain(&head.chain).map_or(0, Chain::len);
        here.max(self.intake.waiting_up_to(&head.chain).unwrap_or(0))
            < self.log.counting(&head.chain, head.seq)
    }
}
