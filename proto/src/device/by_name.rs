//! What entries that wait here need is asked for by name, whatever digests and frontiers say.
//!
//! Sync brings nearly everything long before that: a need is asked for when it has been waited for some seconds, first of the
//! peer that the waiting entry came from (whoever has written it has had what it names), then of one neighbour after the
//! other, and the more seldom the longer it is in vain. So that nobody has this device ask for ever more, requests are paced,
//! and authors whose entries wait take turns.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::Device;
use super::frontiers::Missing;
use super::waiting::Need;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Ref};
use crate::io::Output;
use crate::links::Width;
use crate::log::Chain;
use crate::message::{AskEntries, Entries, MAX_ASKED, Message, encode};

/// What is needed is asked for after so long; and again after so long, until each neighbour has been asked once.
const FIRST_AFTER_MS: u64 = 3_000;
/// Then it takes twice as long each round, but not more than so many times.
const DOUBLED_AT_MOST: u32 = 7;
/// The least time between two requests, to whomever.
const ASK_EVERY_MS: u64 = 1_000;
/// The same after a request over a narrow link.
const ASK_EVERY_NARROW_MS: u64 = 10_000;
/// What turns out to be needed so soon after a request is likely to be needed by its answer: it is asked for at once.
const FOLLOWS_WITHIN_MS: u64 = 2_000;
/// So many needs of one author are looked at for one request.
const LOOKED_AT: usize = 64;

/// How one need is asked for.
#[derive(Debug, Clone, Copy)]
struct Asking {
    due_ms: u64,
    times: u32,
    /// The peer that the waiting entry came from.
    from: DeviceId,
}

/// What is asked for, and when.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By whose entries wait for it.
    needs: BTreeMap<Need, BTreeMap<DeviceId, Asking>>,
    due: BTreeMap<DeviceId, BTreeSet<(u64, Need)>>,
    /// No request goes before that.
    not_before_ms: u64,
    asked_ms: Option<u64>,
    /// Whose turn it was last.
    turn: Option<DeviceId>,
}

impl Wanted {
    /// An entry of an author's, which came from a peer, waits for something.
    pub(super) fn want(&mut self, author: DeviceId, need: Need, from: DeviceId, now_ms: u64) {
        let by = self.needs.entry(need).or_default();
        if by.contains_key(&author) {
            return;
        }
        let follows = self.asked_ms.is_some_and(|asked| now_ms < asked + FOLLOWS_WITHIN_MS);
        let due_ms = if follows { now_ms } else { now_ms + FIRST_AFTER_MS };
        by.insert(author, Asking { due_ms, times: 0, from });
        self.due.entry(author).or_default().insert((due_ms, need));
    }

    /// Nothing waits for it any more.
    pub(super) fn forget(&mut self, need: &Need) {
        for (author, asking) in self.needs.remove(need).unwrap_or_default() {
            self.is_not_due(&author, &(asking.due_ms, *need));
        }
    }

    fn is_not_due(&mut self, author: &DeviceId, due: &(u64, Need)) {
        if let Some(of) = self.due.get_mut(author) {
            of.remove(due);
            if of.is_empty() {
                self.due.remove(author);
            }
        }
    }

    /// When the next request is due, if there are neighbours to ask.
    fn next_due(&self) -> Option<u64> {
        let first = self.due.values().filter_map(|needs| needs.first()).map(|(due_ms, _)| *due_ms).min();
        first.map(|due_ms| due_ms.max(self.not_before_ms))
    }

    /// Whom to ask for what now. Each author has one of its needs asked for in turn.
    fn next(&mut self, peers: &[DeviceId], now_ms: u64) -> Option<(DeviceId, Vec<Need>)> {
        if peers.is_empty() || self.next_due().is_none_or(|due_ms| due_ms > now_ms) {
            return None;
        }
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.due.range((after, Bound::Unbounded));
        let before = self.due.range(..=self.turn.unwrap_or(DeviceId([0; 32])));
        let mut authors: Vec<(DeviceId, Vec<Need>)> = later
            .chain(before.filter(|_| self.turn.is_some()))
            .map(|(author, needs)| {
                let due = needs.iter().take_while(|(due_ms, _)| *due_ms <= now_ms);
                (*author, due.take(LOOKED_AT).map(|(_, need)| *need).collect::<Vec<_>>())
            })
            .filter(|(_, needs)| !needs.is_empty())
            .collect();
        let asked_of = |wanted: &Self, author: &DeviceId, need: &Need| {
            let asking = wanted.needs.get(need)?.get(author)?;
            let in_turn = |times: u32| peers.get(times as usize % peers.len()).copied();
            match asking.times.checked_sub(1) {
                None if peers.contains(&asking.from) => Some(asking.from),
                None => in_turn(0),
                Some(times) => in_turn(times),
            }
        };
        let (first, needs) = authors.first()?;
        self.turn = Some(*first);
        let peer = asked_of(self, first, needs.first()?)?;
        for (author, needs) in &mut authors {
            needs.retain(|need| asked_of(self, author, need) == Some(peer));
            needs.reverse();
        }
        let mut chosen: Vec<Need> = Vec::new();
        let mut asked: Vec<(DeviceId, Need)> = Vec::new();
        while chosen.len() < MAX_ASKED && authors.iter().any(|(_, needs)| !needs.is_empty()) {
            for (author, needs) in &mut authors {
                let Some(need) = needs.pop().filter(|_| chosen.len() < MAX_ASKED) else { continue };
                asked.push((*author, need));
                if !chosen.contains(&need) {
                    chosen.push(need);
                }
            }
        }
        for (author, need) in asked {
            self.was_asked(&author, need, peers.len(), now_ms);
        }
        Some((peer, chosen))
    }

    fn was_asked(&mut self, author: &DeviceId, need: Need, peers: usize, now_ms: u64) {
        let Some(asking) = self.needs.get_mut(&need).and_then(|by| by.get_mut(author)) else { return };
        let before = (asking.due_ms, need);
        let rounds = asking.times / (peers as u32 + 1);
        asking.times = asking.times.saturating_add(1);
        asking.due_ms = now_ms + (FIRST_AFTER_MS << rounds.min(DOUBLED_AT_MOST));
        let due_ms = asking.due_ms;
        self.is_not_due(author, &before);
        self.due.entry(*author).or_default().insert((due_ms, need));
    }
}

impl Device {
    /// Asks a neighbour for what entries have waited for, if it is time.
    pub(super) fn ask_by_name(&mut self) {
        let now = self.now.mono_ms;
        if self.by_name_deadline().is_none_or(|due_ms| due_ms > now) {
            return;
        }
        let peers = self.sync.linked();
        let wanted = &mut self.intake.waiting.wanted;
        let Some((to, needs)) = wanted.next(&peers, now) else { return };
        let every_ms = if self.narrow.is_to(&to) { ASK_EVERY_NARROW_MS } else { ASK_EVERY_MS };
        wanted.not_before_ms = now + every_ms;
        wanted.asked_ms = Some(now);
        let ask = self.request_for(&needs);
        if !(ask.entries.is_empty() && ask.changes.is_empty()) {
            self.outbox.emit(Output::Send { to, bytes: encode(&Message::AskEntries(ask)) });
        }
    }

    /// When something is asked for by name, at the earliest.
    pub(super) fn by_name_deadline(&self) -> Option<u64> {
        self.intake.waiting.wanted.next_due().filter(|_| self.sync.has_links())
    }

    fn request_for(&self, needs: &[Need]) -> AskEntries {
        let mut ask = AskEntries::default();
        let mut have: BTreeSet<ChainId> = BTreeSet::new();
        for need in needs {
            match need {
                // It is here, and waits itself.
                Need::Entry(entry) if self.intake.waiting_up_to(&entry.chain) >= Some(entry.seq) => {}
                Need::Entry(entry) => {
                    have.insert(entry.chain);
                    ask.entries.push(*entry);
                }
                Need::Change(hash) => ask.changes.push(*hash),
            }
        }
        if !ask.changes.is_empty() {
            let programme = self.log.chains().filter(|chain| chain.document == Document::Programme);
            have.extend(programme.map(|chain| chain.id).take(MAX_ASKED));
        }
        let upto = |chain: ChainId| Some(Ref { chain, seq: self.log.shown(&chain)?.seq });
        ask.have = have.into_iter().filter_map(upto).collect();
        ask
    }

    /// A peer needs entries. What is here of them it gets, with what comes before them in their chains.
    pub(super) fn asked_by_name(&mut self, from: DeviceId, ask: &AskEntries) {
        if ask.entries.len() + ask.changes.len() > MAX_ASKED || ask.have.len() > 2 * MAX_ASKED {
            self.wrong(from, "it asks for more by name than it may".to_owned());
            return;
        }
        let mut have: BTreeMap<ChainId, u64> = ask.have.iter().map(|have| (have.chain, have.seq)).collect();
        let mut chains: BTreeSet<ChainId> = ask.entries.iter().map(|entry| entry.chain).collect();
        for entry in ask.changes.iter().filter_map(|hash| self.log.change(hash)) {
            chains.insert(entry.chain);
            // Who lacks it, and has as much of its chain, has another history of that.
            have.entry(entry.chain).and_modify(|seq| *seq = (*seq).min(entry.seq - 1));
        }
        let missing = chains.into_iter().filter_map(|chain| {
            let have = have.get(&chain).copied().unwrap_or(0);
            let signed = self.log.chain(&chain).map_or(0, Chain::signed);
            (have < signed).then_some(Missing { chain, have, signed })
        });
        let missing = missing.collect();
        let may_get = self.budgets.may_get(&from, self.now.mono_ms);
        let width = if self.narrow.is_to(&from) { Width::Narrow } else { Width::Broad };
        let (ranges, left_out) = self.some_of(missing, None, may_get, width);
        if ranges.is_empty() {
            return;
        }
        let sent = ranges.iter().map(|range| self.bytes_of(range)).sum();
        self.budgets.served(&from, sent, self.now.mono_ms);
        let bytes = encode(&Message::Entries(Entries { ranges, more: left_out.is_some() }));
        self.outbox.emit(Output::Send { to: from, bytes });
    }
}
