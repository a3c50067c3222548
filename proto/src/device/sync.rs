//! Sync by frontier: two frontiers say exactly what is missing on either side.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Device;
use super::budgets::REQUEST_US;
use super::exchange::Exchange;
use super::intake::Taken;
use crate::fact::Signal;
use crate::id::{DeviceId, Hash};
use crate::io::Output;
use crate::links::Width;
use crate::log::{Fault, Log, Range};
use crate::message::{Entries, MAX_MESSAGE, Message, decode, encode};

/// How often linked devices compare the digests of their logs while something happens; afterwards each time half as often, as
/// seldom as the air wants it.
const DIGEST_EVERY_MS: u64 = 2_000;
/// With many links it does so the more seldom over each: some four digests a second in all.
const DIGEST_MS_EACH: u64 = 250;
/// The same over a narrow link, where a digest from the other side counts as well.
pub(super) const DIGEST_EVERY_NARROW_MS: u64 = 120_000;
/// How soon after the last entries over a narrow link the two compare digests: the sender then knows that they came.
const DIGEST_AFTER_ENTRIES_MS: u64 = 2_000;
/// How soon after entries came by sync the other neighbours are told.
const NUDGE_AFTER_MS: u64 = 50;
/// So many of them, at the most; they tell others.
const NUDGED_AT_ONCE: usize = 8;
/// The least time between two frontiers to one peer.
const FRONTIER_EVERY_MS: u64 = 200;
/// A peer that sends what does not fit, again and again, is asked for the rest so seldom at the most. Digests find it, too.
const GAP_WAIT_MOST_MS: u64 = 6_400;
/// While many devices write, two digests hardly ever agree, and a frontier is the longer the more chains there are. So the
/// more there are, the longer a device waits for what is under way before it tells or asks the next neighbour.
const PATIENCE_MS_EACH: u64 = 5;
/// After so many comparisons of the same two digests, frontiers begin anew; then after twice as many, and so on. What one side
/// takes the other to have may be wrong: two boxes with one key are one peer.
const STUCK_AFTER: u32 = 3;

/// So many links that are gone are remembered.
const GONE_REMEMBERED: usize = 256;

#[derive(Debug)]
struct Progress {
    /// When the last frontier went to this peer, and whether it was full.
    asked: Option<(u64, bool)>,
    /// A frontier is owed to this peer.
    owed: bool,
    /// None goes before this time, if the peer has sent too much.
    not_before_ms: u64,
    /// Frontiers that gaps gave rise to, one after the other, and that brought nothing; and until when the next gap gives rise
    /// to none.
    in_vain: u32,
    gaps_wait_until_ms: u64,
    digest_at: u64,
    /// When the last digest went, and how many went since something was new: the more, the longer until the next.
    digest_sent_ms: u64,
    quiet: u32,
    /// Entries came over this link, which is narrow: a digest says that they did.
    owes_digest: bool,
    exchange: Exchange,
    /// Whether the last digest that came was this device's own.
    agrees: bool,
    /// When a digest that came was this device's own last.
    agreed_ms: Option<u64>,
    /// This device's digest and the peer's when they differed last, and how often they have since.
    differed: Option<(Hash, Hash, u32)>,
}

impl Progress {
    /// `resumes`: there was a link before, and what passed over it is known.
    fn new(exchange: Exchange, resumes: bool, now_ms: u64) -> Self {
        Self {
            asked: None,
            owed: false,
            not_before_ms: 0,
            in_vain: 0,
            gaps_wait_until_ms: 0,
            digest_at: match exchange.width() {
                Width::Broad => 0,
                Width::Narrow if resumes => 0,
                // Both sides begin with a frontier, which says more.
                Width::Narrow => now_ms + DIGEST_AFTER_ENTRIES_MS,
            },
            digest_sent_ms: 0,
            quiet: 0,
            owes_digest: false,
            exchange,
            agrees: false,
            agreed_ms: None,
            differed: None,
        }
    }

    /// The digests differ. Whether both have stayed as they are for so long that what passes over the link brings nothing.
    fn is_stuck(&mut self, ours: Hash, theirs: Hash, now_ms: u64) -> bool {
        let before = self.differed.filter(|(here, there, _)| (*here, *there) == (ours, theirs));
        let times = before.map_or(1, |(.., times)| times.saturating_add(1));
        self.differed = Some((ours, theirs, times));
        self.quiet = 0;
        if self.exchange.width() == Width::Narrow {
            let wait_ms = (DIGEST_AFTER_ENTRIES_MS * u64::from(times)).min(DIGEST_EVERY_NARROW_MS);
            self.digest_at = self.digest_at.min(now_ms + wait_ms);
        }
        times.is_multiple_of(STUCK_AFTER) && (times / STUCK_AFTER).is_power_of_two()
    }

    /// Entries came, or were written: digests go as often as they do while something happens. Whether that is sooner.
    fn wakes_up(&mut self, every_ms: u64) -> bool {
        let at_ms = self.digest_sent_ms + every_ms;
        if self.exchange.width() == Width::Narrow {
            return false;
        }
        self.quiet = 0;
        let sooner = at_ms < self.digest_at;
        self.digest_at = self.digest_at.min(at_ms);
        sooner
    }

    /// How long until the next digest, of a peer that is told every `every_ms` while something happens.
    fn has_told_digest(&mut self, now_ms: u64, every_ms: u64, quiet_ms: u64) {
        self.digest_sent_ms = now_ms;
        let wait_ms = every_ms.saturating_mul(1 << self.quiet.min(16)).min(quiet_ms.max(every_ms));
        self.quiet = self.quiet.saturating_add(1);
        self.digest_at = now_ms + wait_ms;
    }

    /// When a frontier or a digest is to go.
    fn due_at(&self) -> u64 {
        let frontier = self.asked.map_or(0, |(at, _)| at + FRONTIER_EVERY_MS).max(self.not_before_ms);
        if self.owed { frontier.min(self.digest_at) } else { self.digest_at }
    }

    /// Whether a frontier has just gone, one of all chains if `full`.
    fn has_just_told(&self, now_ms: u64, full: bool) -> bool {
        let just = |(at, was_full)| now_ms < at + FRONTIER_EVERY_MS && (was_full || !full);
        now_ms < self.not_before_ms || self.asked.is_some_and(just)
    }
}

/// How sync goes with each linked peer.
#[derive(Debug, Default)]
pub(super) struct Sync {
    peers: BTreeMap<DeviceId, Progress>,
    /// What passed over links that are gone: most come back, and then only what has changed need be told.
    gone: BTreeMap<DeviceId, Exchange>,
    /// Before this time no peer is due, unless one of them has changed since it was worked out; then it is zero.
    quiet_until: u64,
    nudge_at: Option<u64>,
    nudge_not: Option<DeviceId>,
    /// When the last frontier went to anybody.
    asked_at: Option<u64>,
    /// Neighbours whose log differs and who are still to be asked, one after the other.
    differ: VecDeque<DeviceId>,
}

impl Sync {
    /// Whether what passed over an earlier link to the peer is remembered.
    fn link_up(&mut self, peer: DeviceId, width: Width, now_ms: u64) -> bool {
        self.quiet_until = 0;
        let before = self.gone.remove(&peer);
        let resumes = before.is_some();
        let exchange = before.map_or_else(|| Exchange::new(width), |exchange| exchange.resume(width));
        self.peers.insert(peer, Progress::new(exchange, resumes, now_ms));
        resumes
    }

    /// A link is of another width from now on. What was under way may be lost: digests tell.
    pub(super) fn link_width(&mut self, peer: &DeviceId, width: Width) {
        if let Some(progress) = self.progress(peer) {
            progress.exchange.set_width(width);
            progress.digest_at = 0;
        }
    }

    /// Entries came over a link.
    fn entries_came(&mut self, peer: &DeviceId, ranges: &[Range], log: &mut Log, now_ms: u64) {
        if let Some(progress) =
            self.progress(peer).filter(|progress| progress.exchange.width() == Width::Narrow)
        {
            progress.digest_at = now_ms + DIGEST_AFTER_ENTRIES_MS;
            progress.owes_digest = true;
            progress.exchange.has_sent(ranges, log);
        }
    }

    pub(super) fn link_down(&mut self, peer: &DeviceId) {
        let gone = self.peers.remove(peer).map(|progress| progress.exchange);
        if let Some(exchange) = gone.filter(Exchange::is_small)
            && self.gone.len() < GONE_REMEMBERED
        {
            self.gone.insert(*peer, exchange);
        }
        self.agrees(peer);
    }

    /// Whether every linked peer's last digest was this device's own.
    pub(super) fn agrees_with_all(&self) -> bool {
        self.peers.values().all(|progress| progress.agrees)
    }

    /// When the log of a neighbour behind a narrow link was last known to be the same as this device's, by the monotonic clock.
    pub(super) fn agreed_narrowly_ms(&self, peer: &DeviceId) -> Option<u64> {
        let progress = self.peers.get(peer)?;
        progress.agreed_ms.filter(|_| progress.exchange.width() == Width::Narrow)
    }

    /// What digests told so far says nothing of a device that is in reach again.
    pub(super) fn compares_anew(&mut self) {
        self.peers.values_mut().for_each(|progress| progress.agrees = false);
    }

    fn agrees(&mut self, peer: &DeviceId) {
        self.differ.retain(|other| other != peer);
    }

    /// What has passed over the link to a peer.
    pub(super) fn exchange(&mut self, peer: &DeviceId) -> Option<&mut Exchange> {
        self.peers.get_mut(peer).map(|progress| &mut progress.exchange)
    }

    /// What two linked devices lack of each other: see [`Exchange::gap`].
    pub(super) fn gap(&self, peer: &DeviceId, log: &Log) -> Option<(u64, u64)> {
        self.peers.get(peer)?.exchange.gap(log)
    }

    /// A frontier goes to a peer.
    pub(super) fn asks(&mut self, peer: &DeviceId, now_ms: u64, full: bool) {
        self.asked_at = Some(now_ms);
        if let Some(progress) = self.progress(peer) {
            progress.asked = Some((now_ms, full));
            progress.owed = false;
        }
    }

    /// A frontier is owed to a peer, at some time: what it sends until then may be lost.
    pub(super) fn owe(&mut self, peer: &DeviceId, at_ms: u64) {
        if let Some(progress) = self.progress(peer) {
            progress.owed = true;
            progress.not_before_ms = progress.not_before_ms.max(at_ms);
        }
    }

    /// What a peer sent was of use.
    fn was_of_use(&mut self, peer: &DeviceId) {
        if let Some(progress) = self.peers.get_mut(peer) {
            progress.in_vain = 0;
        }
    }

    /// What a peer sent does not fit. Says whether to ask it for what is missing: seldom, if that brings nothing.
    fn asks_for_gap(&mut self, peer: &DeviceId, now_ms: u64) -> bool {
        let Some(progress) = self.peers.get_mut(peer) else { return false };
        if now_ms < progress.gaps_wait_until_ms {
            return false;
        }
        let wait_ms = (FRONTIER_EVERY_MS << progress.in_vain.min(16)).min(GAP_WAIT_MOST_MS);
        progress.in_vain = progress.in_vain.saturating_add(1);
        progress.gaps_wait_until_ms = now_ms + wait_ms;
        true
    }

    /// Entries came, or were written.
    fn wake_up(&mut self, every_ms: u64) {
        for progress in self.peers.values_mut() {
            if progress.wakes_up(every_ms) {
                self.quiet_until = 0;
            }
        }
    }

    /// Have the neighbours compare digests soon, but for the one that the news came from.
    pub(super) fn nudge_all(&mut self, but: Option<DeviceId>) {
        self.nudge_not = if self.nudge_at.is_some() && self.nudge_not != but { None } else { but };
        self.nudge_at = self.nudge_at.or(Some(0));
    }

    /// The linked peers, by id.
    pub(super) fn linked(&self) -> Vec<DeviceId> {
        self.peers.keys().copied().collect()
    }

    /// Whether there are any.
    pub(super) fn has_links(&self) -> bool {
        !self.peers.is_empty()
    }

    /// How sync goes with a peer, so that it may become due earlier.
    fn progress(&mut self, peer: &DeviceId) -> Option<&mut Progress> {
        self.quiet_until = 0;
        self.peers.get_mut(peer)
    }

    /// When the first peer is due.
    fn first_due(&self) -> Option<u64> {
        if self.quiet_until > 0 {
            return Some(self.quiet_until);
        }
        self.peers.values().map(Progress::due_at).min()
    }

    fn next_deadline(&self) -> Option<u64> {
        self.first_due().into_iter().chain(self.nudge_at.filter(|at| *at > 0)).min()
    }

    /// Those of the neighbours that news are told of at once: all, or of many those that would be told next anyway.
    fn to_nudge(&self, but: Option<DeviceId>) -> BTreeSet<DeviceId> {
        let mut peers: Vec<(u64, DeviceId)> = self
            .peers
            .iter()
            .filter(|(peer, progress)| but != Some(**peer) && progress.exchange.width() == Width::Broad)
            .map(|(peer, progress)| (progress.digest_at, *peer))
            .collect();
        peers.sort_unstable();
        peers.into_iter().take(NUDGED_AT_ONCE).map(|(_, peer)| peer).collect()
    }
}

impl Device {
    /// How long to wait for what is under way, in a mesh of this size.
    fn patience_ms(&self) -> u64 {
        PATIENCE_MS_EACH * self.peers.count() as u64
    }

    /// Until when to wait for what is under way, if somebody has been asked.
    fn patient_until(&self) -> Option<u64> {
        self.sync.asked_at.map(|at| at + self.patience_ms())
    }

    /// A link is up. A digest may be enough where the two know each other.
    pub(super) fn sync_link_up(&mut self, peer: DeviceId, width: Width) {
        if !self.sync.link_up(peer, width, self.now.mono_ms) {
            self.send_frontier(peer, false);
        }
    }

    fn agrees_with(&mut self, peer: &DeviceId) {
        self.sync.agrees(peer);
        if let Some(progress) = self.sync.peers.get_mut(peer) {
            progress.agrees = true;
            progress.agreed_ms = Some(self.now.mono_ms);
        }
        if let Some(progress) =
            self.sync.progress(peer).filter(|progress| progress.exchange.width() == Width::Narrow)
            && !progress.owes_digest
        {
            progress.digest_at = self.now.mono_ms + DIGEST_EVERY_NARROW_MS;
        }
        self.note_agreement(peer);
    }

    /// The logs differ. What is missing here is likely to be on its way, if somebody has just been asked; if not, it is this
    /// neighbour's turn soon.
    fn differs_from(&mut self, peer: DeviceId, ours: Hash, theirs: Hash) {
        self.falls_out_of_step();
        if let Some(progress) = self.sync.progress(&peer) {
            progress.agrees = false;
            progress.exchange.differs();
            if progress.is_stuck(ours, theirs, self.now.mono_ms) {
                progress.exchange.begin_anew();
            }
        }
        if !self.sync.differ.contains(&peer) {
            self.sync.differ.push_back(peer);
        }
        self.ask_who_differs();
    }

    fn ask_who_differs(&mut self) {
        if self.patient_until().is_none_or(|until| until <= self.now.mono_ms)
            && let Some(peer) = self.sync.differ.pop_front()
        {
            self.sync_with(peer);
        }
    }

    /// When sync has something to do next.
    pub(super) fn sync_deadline(&self) -> Option<u64> {
        let turn = self.patient_until().filter(|_| !self.sync.differ.is_empty());
        self.sync.next_deadline().into_iter().chain(turn).min()
    }

    /// Sends a frontier now, or soon if one has just gone.
    pub(super) fn sync_with(&mut self, peer: DeviceId) {
        let now = self.now.mono_ms;
        let Some(progress) = self.sync.progress(&peer) else { return };
        if progress.has_just_told(now, false) {
            progress.owed = true;
        } else {
            self.send_frontier(peer, false);
        }
    }

    /// Sends a frontier now, or soon if one that says as much has just gone.
    pub(super) fn tell_what_is_here(&mut self, peer: DeviceId, full: bool) {
        let now = self.now.mono_ms;
        match self.sync.progress(&peer) {
            Some(progress) if progress.has_just_told(now, full) => progress.owed = true,
            _ => self.send_frontier(peer, full),
        }
    }

    pub(super) fn pump_sync(&mut self) {
        let now = self.now.mono_ms;
        let every_ms = DIGEST_EVERY_MS.max(DIGEST_MS_EACH * self.sync.peers.len() as u64);
        if self.narrow.has_news() {
            self.sync.wake_up(every_ms);
        }
        self.pump_narrow();
        self.ask_who_differs();
        let nudged = match self.sync.nudge_at {
            Some(0) => {
                self.sync.nudge_at = Some(now + NUDGE_AFTER_MS + self.patience_ms());
                false
            }
            Some(at) => at <= now,
            None => false,
        };
        let mut told = BTreeSet::new();
        if nudged {
            self.sync.nudge_at = None;
            let but = self.sync.nudge_not.take();
            told = self.sync.to_nudge(but);
        } else if now < self.sync.quiet_until {
            return;
        }
        let quiet_ms = self.air().quiet_digest_ms();
        let mut frontiers = Vec::new();
        let mut digests = Vec::new();
        for (peer, progress) in &mut self.sync.peers {
            if progress.owed && !progress.has_just_told(now, false) {
                frontiers.push(*peer);
            } else if progress.digest_at <= now || told.contains(peer) {
                progress.owes_digest = false;
                let digest = Hash(self.log.digest(false));
                progress.exchange.sends_digest(&digest, &mut self.log);
                match progress.exchange.width() {
                    Width::Broad => progress.has_told_digest(now, every_ms, quiet_ms),
                    Width::Narrow => progress.digest_at = now + DIGEST_EVERY_NARROW_MS,
                }
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
        self.sync.quiet_until = 0;
        self.sync.quiet_until = self.sync.first_due().unwrap_or(u64::MAX);
    }

    /// A message over a link.
    pub(super) fn message(&mut self, from: DeviceId, bytes: &[u8]) {
        if !self.listens_to(from, bytes.len()) {
            return;
        }
        if self.bars.has(&from) {
            self.hear_retired(from, bytes);
            return;
        }
        self.heard(from);
        self.ask_neighbour_who(from);
        match decode::<Message>(bytes, MAX_MESSAGE) {
            Ok(Message::Frontier(frontier)) => self.answer_frontier(from, &frontier),
            Ok(Message::Entries(entries)) => {
                self.take_entries(from, &entries);
                self.say_last_words(from);
            }
            // What a device that was not retired, for all that is known here, says is no news.
            Ok(Message::Farewell) => {}
            Ok(Message::Digest(theirs)) => {
                let ours = Hash(self.log.digest(false));
                if theirs == ours {
                    self.agrees_with(&from);
                } else {
                    self.differs_from(from, ours, theirs);
                }
            }
            Ok(Message::Hello(certificate)) => match self.gate.certificate(&certificate) {
                Ok(certificate) if certificate.device == from => self.peers.meet(&certificate),
                Ok(_) => self.wrong(from, "it showed another device's certificate".to_owned()),
                Err(error) => self.fault(from, error.to_string()),
            },
            Ok(
                request @ (Message::Ask(_)
                | Message::Decline(_)
                | Message::AskCart(_)
                | Message::AskClaim(_)
                | Message::AskPast(_)
                | Message::Past(_)),
            ) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.request(from, &request);
            }
            Ok(Message::AskSealed(ask)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.asked_for_sealed(from, &ask);
            }
            Ok(Message::Sealed(sent)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.take_sealed(from, sent);
            }
            Ok(Message::Mail(mail)) if self.narrow.is_to(&from) => self.narrow_mail(from, &mail),
            Ok(Message::Mail(mail)) => self.take_passed_on(from, &mail),
            Ok(Message::Heard(heard)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.heard_by(from, &heard);
            }
            Ok(Message::Who(device)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.say_who(from, device);
            }
            Ok(Message::AskEntries(ask)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.asked_by_name(from, &ask);
            }
            Ok(Message::Compare(theirs)) => {
                self.budgets.work(&from, REQUEST_US, self.now.mono_ms);
                self.show_where_they_part(from, &theirs);
            }
            Err(error) => self.wrong(from, error.to_string()),
        }
    }

    /// Notes that a peer sent something wrong.
    pub(super) fn fault(&mut self, device: DeviceId, text: String) {
        self.refused += 1;
        let name = self.name_of(&device);
        self.outbox.emit_now(Output::Signal(Signal::PeerFault { device, name, text }));
    }

    fn take_entries(&mut self, from: DeviceId, entries: &Entries) {
        self.sync.entries_came(&from, &entries.ranges, &mut self.log, self.now.mono_ms);
        let taken = self.take_ranges(from, &entries.ranges);
        if taken.admitted > 0 {
            self.sync.nudge_all(Some(from));
            self.sync.was_of_use(&from);
        }
        if let Some(fault) = &taken.fault {
            self.faulted(from, &taken, fault);
        } else if (entries.more || taken.cut_short) && taken.admitted > 0 {
            self.go_on_with(from);
        } else if taken.gap {
            self.ask_for_gap(from);
        }
    }

    /// A peer has more. It is asked at once, unless it has to wait.
    fn go_on_with(&mut self, peer: DeviceId) {
        let now = self.now.mono_ms;
        if self.sync.peers.get(&peer).is_some_and(|progress| now >= progress.not_before_ms) {
            self.send_frontier(peer, false);
        } else {
            self.sync_with(peer);
        }
    }

    /// What a peer sent does not fit here.
    pub(super) fn ask_for_gap(&mut self, peer: DeviceId) {
        if self.sync.asks_for_gap(&peer, self.now.mono_ms) {
            self.sync_with(peer);
        }
    }

    /// Notes what was wrong with ranges that a peer sent.
    pub(super) fn faulted(&mut self, peer: DeviceId, taken: &Taken, fault: &Fault) {
        if taken.wrong {
            self.wrong(peer, fault.to_string());
        } else {
            self.fault(peer, fault.to_string());
        }
    }
}
