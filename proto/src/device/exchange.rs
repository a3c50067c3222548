//! What has passed over one link: what the peer is known to have, and what it has been told.
//!
//! Two that are linked are alike most of the time. So what the peer has is kept as what this device had at some version
//! of its log, and where it differs from that; and that they are alike takes no work to note, however much has changed.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{ChainId, Hash, HashStart};
use crate::links::Width;
use crate::log::{Log, Range, VERSIONS_REMEMBERED};
use crate::message::{Frontier, MAX_HEADS, Since};

/// Entries that were sent so long ago, and that the peer's frontier still does not show, are sent again.
pub(super) const RESEND_AFTER_MS: u64 = 1_000;
/// The same over a narrow link, where they take longer.
const RESEND_AFTER_NARROW_MS: u64 = 3_000;
/// So many of the digests and frontiers that went over a link are remembered: the peer may name one that it has just got.
const REMEMBERED: usize = 4;

/// After digests have differed so often, frontiers say how that of everything begins.
const SUM_AFTER: u32 = 3;
/// How soon all heads are told again with whole hashes, if that brought nothing; then after twice as long, and so on.
const WHOLE_EVERY_MS: u64 = 2_000;

/// Of a link that is gone so many chains are remembered that differed.
const DIFFERING_REMEMBERED: usize = 1_000;

/// Up to where a chain is at a peer: `None` if it has not named it, which it does not do with ended ones.
type Upto = Option<u64>;

/// What a peer has: what this device had at a version of its log, but for some chains.
#[derive(Debug)]
struct Theirs {
    as_of: u64,
    but: BTreeMap<ChainId, Upto>,
}

impl Theirs {
    /// By a frontier of all heads, or a page of it; those of ended chains are there only if it is `full`.
    fn told(frontier: &Frontier, log: &mut Log) -> Self {
        Self { as_of: log.mark(), but: Self::differing(frontier, log) }
    }

    fn differing(frontier: &Frontier, log: &Log) -> BTreeMap<ChainId, Upto> {
        let heads: BTreeMap<ChainId, u64> =
            frontier.heads.iter().map(|head| (head.chain, head.seq)).collect();
        let mut differing = Vec::new();
        // Both are in order, so each is gone through once.
        let mut named = heads.into_iter().peekable();
        let first = frontier.from.unwrap_or(ChainId([0; 16]));
        let in_page = |(chain, _): &(ChainId, _)| frontier.upto.is_none_or(|upto| *chain < upto);
        for (chain, shown) in log.shown_from(first).take_while(in_page) {
            while let Some((other, upto)) = named.next_if(|(other, _)| *other < chain) {
                differing.push((other, Some(upto)));
            }
            match named.next_if(|(named, _)| *named == chain) {
                Some((_, upto)) if upto == shown.seq => {}
                Some((_, upto)) => differing.push((chain, Some(upto))),
                None if frontier.full || !shown.ended => differing.push((chain, None)),
                None => {}
            }
        }
        differing.extend(named.map(|(other, upto)| (other, Some(upto))));
        differing.into_iter().collect()
    }

    /// Compares with what this device has now, from here on. `false` if it is too long ago to tell.
    fn catch_up(&mut self, log: &mut Log) -> bool {
        if self.as_of == log.version() {
            return true;
        }
        let Some(changed) = log.changed_since(self.as_of) else { return false };
        for (chain, before) in changed {
            let upto = *self.but.entry(chain).or_insert((before > 0).then_some(before));
            if is_here(log, &chain, upto) {
                self.but.remove(&chain);
            }
        }
        self.as_of = log.mark();
        true
    }
}

fn remember<T>(last: &mut VecDeque<T>, next: T) {
    if last.len() == REMEMBERED {
        last.pop_front();
    }
    last.push_back(next);
}

/// Whether a peer that has a chain up to there has what this device has of it.
fn is_here(log: &Log, chain: &ChainId, upto: Upto) -> bool {
    log.shown(chain).is_some_and(|shown| upto == Some(shown.seq))
}

/// Up to which version of the log a peer has been told its heads, and by what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) version: u64,
    pub(super) by: Since,
}

/// All heads, on their way to the peer in pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    /// The chain that the next page begins with; the first if absent.
    pub(super) next: Option<ChainId>,
    /// The version that the first page was of: what has changed since is told after the last.
    version: u64,
    /// Whether ended chains are told.
    pub(super) full: bool,
    /// Whether whole hashes are.
    pub(super) whole: bool,
}

/// What a frontier says of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// All that it has is known now.
    Everything,
    /// More pages are to come.
    Page,
    /// What it builds on is not known.
    Nothing,
}

/// What has passed over one link.
#[derive(Debug)]
pub(super) struct Exchange {
    width: Width,
    /// Frontiers sent.
    sent: u32,
    /// The last of them, and the versions that they tell of.
    frontiers: VecDeque<(u32, u64)>,
    /// What the peer knows; if that is nothing, the next frontier has to tell all.
    told: Option<Told>,
    /// The peer's start that its frontiers are of, and the number of the last with none missing before it.
    heard: Option<(u32, u32)>,
    /// One of the peer's frontiers went missing.
    misses: bool,
    /// What the peer has, if that is known.
    theirs: Option<Theirs>,
    /// All heads that the peer is being told, if they take more than one page.
    paging: Option<Paging>,
    /// What the peer has by the pages that have come, and what the next begins with.
    pages: Option<(Theirs, ChainId)>,
    /// Digests that went over the link, and the versions of the log that they are of.
    digests: VecDeque<(HashStart, u64)>,
    /// Up to where entries of a chain were sent and when, until the peer's frontier shows them.
    under_way: BTreeMap<ChainId, (u64, u64)>,
    /// The chain that the last answer had no more room for: the next begins with it.
    pub(super) left_out: Option<ChainId>,
    /// Chains of which the peer has another history, and when it was asked last from where on.
    pub(super) parted: BTreeMap<ChainId, u64>,
    /// How often digests have differed since they last agreed.
    differed: u32,
    /// The next frontier tells all heads, with whole hashes.
    pub(super) tells_whole: bool,
    /// Frontiers with whole hashes that were found to be needed since digests last agreed, and when the last was.
    whole: (u32, u64),
}

impl Exchange {
    pub(super) fn new(width: Width) -> Self {
        Self {
            width,
            sent: 0,
            frontiers: VecDeque::new(),
            told: None,
            heard: None,
            misses: false,
            theirs: None,
            paging: None,
            pages: None,
            digests: VecDeque::new(),
            under_way: BTreeMap::new(),
            left_out: None,
            parted: BTreeMap::new(),
            differed: 0,
            tells_whole: false,
            whole: (0, 0),
        }
    }

    /// The link is up again. What was under way when it went is lost; what the two have told each other holds.
    pub(super) fn resume(mut self, width: Width) -> Self {
        self.width = width;
        self.under_way.clear();
        self.left_out = None;
        self.parted.clear();
        (self.paging, self.pages) = (None, None);
        self
    }

    /// Whether it takes little room, as it does unless the peer tells of much that is not here.
    pub(super) fn is_small(&self) -> bool {
        self.theirs.as_ref().is_none_or(|theirs| theirs.but.len() <= DIFFERING_REMEMBERED)
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

    /// Whether it is known what the peer has.
    pub(super) fn knows_theirs(&self) -> bool {
        self.theirs.is_some()
    }

    /// The peer has what it sent.
    pub(super) fn has_sent(&mut self, ranges: &[Range], log: &mut Log) {
        let Some(theirs) = self.theirs_now(log) else { return };
        for range in ranges {
            let here = log.shown(&range.chain).map(|shown| shown.seq);
            let before = theirs.but.get(&range.chain).copied().unwrap_or(here);
            let upto = before.max(Some(range.last()));
            if is_here(log, &range.chain, upto) {
                theirs.but.remove(&range.chain);
            } else {
                theirs.but.insert(range.chain, upto);
            }
        }
    }

    /// A digest goes over the link, of a version of the log.
    pub(super) fn sends_digest(&mut self, digest: &Hash, log: &mut Log) {
        let version = log.mark();
        self.digests.retain(|(_, of)| *of != version);
        remember(&mut self.digests, (digest.begins(), version));
        // Later it may be too long ago.
        if self.theirs.as_ref().is_some_and(|theirs| version - theirs.as_of > VERSIONS_REMEMBERED as u64 / 2)
        {
            self.theirs_now(log);
        }
    }

    /// What the peer has, compared with what this device has now.
    fn theirs_now(&mut self, log: &mut Log) -> Option<&mut Theirs> {
        if self.theirs.as_mut().is_some_and(|theirs| !theirs.catch_up(log)) {
            self.theirs = None;
        }
        self.theirs.as_mut()
    }

    /// The logs differ: so the peer says with its digest.
    pub(super) fn differs(&mut self) {
        self.differed = self.differed.saturating_add(1);
    }

    /// Whether frontiers say how the digest of everything begins.
    pub(super) fn tells_sum(&self) -> bool {
        self.differed >= SUM_AFTER
    }

    /// The peer seems to have the same, and has not: whole hashes are to be told, but the more seldom the more often that has
    /// brought nothing. Whether it is time.
    pub(super) fn hides_something(&mut self, now_ms: u64) -> bool {
        let (times, at) = self.whole;
        let wait_ms = WHOLE_EVERY_MS << times.min(8);
        let due = times == 0 || now_ms >= at + wait_ms;
        if due {
            self.whole = (times.saturating_add(1), now_ms);
            self.tells_whole = true;
        }
        due
    }

    /// The logs are alike, as of a version: so the peer says with its digest.
    pub(super) fn agrees(&mut self, version: u64, sum: HashStart) {
        self.differed = 0;
        self.tells_whole = false;
        self.whole = (0, 0);
        self.told = Some(Told { version, by: Since::Alike(sum) });
        self.under_way.clear();
        (self.paging, self.pages) = (None, None);
        self.misses = false;
        self.theirs = Some(Theirs { as_of: version, but: BTreeMap::new() });
    }

    /// Forgets what the two have told each other, so that both tell all again.
    pub(super) fn begin_anew(&mut self) {
        (self.paging, self.pages) = (None, None);
        self.told = None;
        self.theirs = None;
        self.under_way.clear();
    }

    /// A frontier goes to the peer that tells of a version: its number, what had been told before, and what the peer has to
    /// tell again.
    pub(super) fn tells(&mut self, version: u64) -> (u32, Option<Told>, Option<u32>) {
        self.sent = self.sent.saturating_add(1);
        remember(&mut self.frontiers, (self.sent, version));
        let told = self.told.replace(Told { version, by: Since::Frontier(self.sent) });
        let again = self.heard.and_then(|(_, number)| match &self.theirs {
            None => Some(0),
            Some(_) => self.misses.then_some(number),
        });
        (self.sent, told, again)
    }

    /// A peer that was started anew knows of nothing that it was told: nor does this device from then on. Whether that is so.
    pub(super) fn forgets_if_newborn(&mut self, frontier: &Frontier) -> bool {
        let newborn = self.heard.is_some_and(|(start, _)| start != frontier.start);
        if newborn {
            self.begin_anew();
            self.heard = None;
        }
        newborn
    }

    /// All heads are told, one page after the other: which is next. One that tells less than is asked for now begins anew.
    pub(super) fn page(&mut self, version: u64, full: bool, whole: bool) -> Paging {
        let under_way = self.paging.filter(|paging| (paging.full || !full) && (paging.whole || !whole));
        *self.paging.insert(under_way.unwrap_or(Paging { next: None, version, full, whole }))
    }

    /// A page goes to the peer, the next of which begins with a chain, if there is one. After the last, changes are told.
    pub(super) fn tells_page(&mut self, next: Option<ChainId>) {
        let Some(paging) = &mut self.paging else { return };
        match next {
            Some(_) => {
                paging.next = next;
                self.told = None;
                self.frontiers.pop_back();
            }
            None => {
                let version = paging.version;
                self.paging = None;
                self.told = Some(Told { version, by: Since::Frontier(self.sent) });
                if let Some((_, of)) = self.frontiers.back_mut() {
                    *of = version;
                }
            }
        }
    }

    /// Takes in one page of all heads. The picture is whole after the last, if none is missing.
    fn hear_page(&mut self, frontier: &Frontier, log: &mut Log) -> Heard {
        let begun = match (frontier.from, self.pages.take()) {
            (None, _) => Some(Theirs { as_of: log.mark(), but: BTreeMap::new() }),
            (Some(from), Some((theirs, next))) if next == from => Some(theirs),
            _ => None,
        };
        let Some(mut theirs) = begun.and_then(|mut theirs| theirs.catch_up(log).then_some(theirs)) else {
            self.theirs = None;
            return Heard::Nothing;
        };
        theirs.but.extend(Theirs::differing(frontier, log));
        match frontier.upto {
            // Of a peer that names ever more chains, all need not be known.
            Some(next) if theirs.but.len() <= MAX_HEADS => {
                self.pages = Some((theirs, next));
                Heard::Page
            }
            _ => {
                self.theirs = Some(theirs);
                Heard::Everything
            }
        }
    }

    /// Takes in what a frontier says of the peer.
    pub(super) fn hear(&mut self, frontier: &Frontier, log: &mut Log) -> Heard {
        let heard = self.heard.map_or(0, |(_, number)| number);
        if let Some(last) = frontier.again {
            let version =
                self.frontiers.iter().find(|(number, _)| *number == last).map(|(_, version)| *version);
            self.told = version.map(|version| Told { version, by: Since::Frontier(last) });
            self.paging = None;
        }
        if self.heard.is_some() && frontier.number <= heard {
            // Overtaken by a later one, or come twice.
            return if self.pages.is_some() { Heard::Page } else { Heard::Everything };
        }
        if frontier.since.is_none() && (frontier.from.is_some() || frontier.upto.is_some()) {
            let heard_page = self.hear_page(frontier, log);
            self.misses = heard_page == Heard::Nothing;
            self.heard = Some((frontier.start, frontier.number));
            return heard_page;
        }
        self.pages = None;
        let base = match frontier.since {
            None => Some(Theirs::told(frontier, log)),
            Some(Since::Alike(sum)) => {
                let of = self.digests.iter().rev().find(|(digest, _)| *digest == sum);
                of.map(|(_, version)| Theirs { as_of: *version, but: BTreeMap::new() })
            }
            // Of a peer that names ever more chains, all have to be told again in one frontier, which is bounded.
            Some(Since::Frontier(number)) => {
                self.theirs.take_if(|theirs| number <= heard && theirs.but.len() <= MAX_HEADS)
            }
        };
        self.misses = base.is_none();
        self.heard = Some((frontier.start, if self.misses { heard } else { frontier.number }));
        if base.is_some() {
            self.theirs = base;
        }
        let misses = self.misses;
        let Some(theirs) = self.theirs_now(log).filter(|_| !misses) else { return Heard::Nothing };
        for head in frontier.heads.iter().filter(|_| frontier.since.is_some()) {
            let upto = Some(head.seq);
            if is_here(log, &head.chain, upto) {
                theirs.but.remove(&head.chain);
            } else {
                theirs.but.insert(head.chain, upto);
            }
        }
        Heard::Everything
    }

    /// The chains of which the peer does not have what this device has now, and up to where it has them.
    pub(super) fn differing(&mut self, log: &mut Log) -> Vec<(ChainId, Upto)> {
        let Some(theirs) = self.theirs_now(log) else { return Vec::new() };
        theirs.but.iter().map(|(chain, upto)| (*chain, *upto)).collect()
    }

    /// How many entries the peer lacks that are here, and how many it has that are not, by what it told and was sent; `None` if
    /// that is not known. Example: it told of a chain up to 7, and 9 are here: it lacks 2.
    pub(super) fn gap(&self, log: &Log) -> Option<(u64, u64)> {
        let theirs = self.theirs.as_ref()?;
        let mut differing = theirs.but.clone();
        for (chain, before) in log.changed_since(theirs.as_of)? {
            differing.entry(chain).or_insert((before > 0).then_some(before));
        }
        let mut gap = (0_u64, 0_u64);
        for (chain, upto) in differing {
            let (here, ended) = log.shown(&chain).map_or((0, false), |shown| (shown.seq, shown.ended));
            // Ended chains are not named.
            let there = upto.unwrap_or(if ended { here } else { 0 });
            gap = (gap.0 + here.saturating_sub(there), gap.1 + there.saturating_sub(here));
        }
        Some(gap)
    }

    /// The peer has all of a chain.
    pub(super) fn has_all_of(&mut self, chain: &ChainId) {
        if let Some(theirs) = &mut self.theirs {
            theirs.but.remove(chain);
        }
    }

    /// Up to where the peer is about to have a chain, of which it has so much, as entries are under way to it.
    pub(super) fn under_way(&mut self, chain: &ChainId, theirs: Upto, now_ms: u64) -> Upto {
        let (upto, at) = self.under_way.get(chain).copied()?;
        let is_under_way = theirs.is_none_or(|have| have < upto) && now_ms < at + self.resend_after_ms();
        if !is_under_way {
            self.under_way.remove(chain);
        }
        is_under_way.then_some(upto)
    }

    /// Entries go to the peer.
    pub(super) fn sends(&mut self, ranges: &[Range], now_ms: u64) {
        self.under_way.extend(ranges.iter().map(|range| (range.chain, (range.last(), now_ms))));
    }
}
