//! When a device tells everybody how it is doing: when something has changed, as far as the air allows, and seldom besides.
//!
//! A link that is gone is told within a second, so that whoever was behind it is not asked in vain. What is gained can wait
//! a little, so that one presence tells of several links.
//! What changes all the time, rates, waits until there is room. What was said is passed on to whoever has not heard it when
//! links come up, and seldom besides ([`Heard`]).

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::air::{Air, LEAST_MS};
use super::clocks::wall_ahead_of_mono_ms;
use super::presence::Way;
use super::reach::{Short, Word, short};
use crate::clock::Hlc;
use crate::id::DeviceId;
use crate::io::Output;
use crate::links::Width;
use crate::message::{Gossip, Heard, HeardOf, MAX_HEARD, Mail, Message, encode};
use crate::planted::Planted;
use crate::text::{DropId, Sku};

/// Changes that a quiet device may tell one after the other; the last is kept for a link that is lost.
const CHANGES_AT_ONCE: u64 = 3;
/// One that has told more than that waits for so much of the time between two changes to tell of a lost link.
const LOST_WAITS_PART: u64 = 8;
/// A link that came up is told so much later, so that others are told with it; a device that has others waits longer where
/// the other side was in reach before, and not all wait alike.
const GAINED_MS: u64 = 1_000;
const GAINED_ELSEWHERE_MS: u64 = 3_000;
/// The wall clock has jumped, if it was set by so much.
const JUMP_MS: u64 = 10_000;
/// Whoever asks again what it has not heard, within so long, is not answered.
const HEARD_AGAIN_MS: u64 = 5_000;

/// How much what it says now differs from what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// It sells faster than others know.
    Faster,
    /// A link came up.
    Gained,
    /// A link is gone, or the wall clock was set; or it was asked to tell.
    Lost,
}

/// What was told to everybody, and when the next is due.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) word: Option<Word>,
    /// Neighbours that single devices were told of since, when links to them came up.
    pub(super) told_one: BTreeSet<Short>,
    sells: bool,
    reaches: Vec<DeviceId>,
    /// Rates, and when they were told.
    rates: BTreeMap<(DropId, Sku), (u64, u64)>,
    /// By how much the wall clock was ahead of the monotonic one, milliseconds.
    wall_ahead_of_mono_ms: Option<i64>,
    last_ms: Option<u64>,
    /// When it tells again what has not changed.
    refresh_ms: u64,
    /// When it tells what has changed, if something has.
    news_ms: Option<u64>,
    gained_ms: Option<u64>,
    /// A link came up to one that was out of reach, and with it what is behind.
    pub(super) brought_together: bool,
    /// It is to tell, changed or not.
    asked_to: bool,
    /// How much of the time between two changes has been saved up, and until when that is reckoned; milliseconds.
    saved_ms: Option<u64>,
    reckoned_ms: u64,
    /// Presences told.
    count: u64,
    next_heard_ms: u64,
    /// Who was told last of whom this device has heard.
    heard_told: Option<DeviceId>,
}

impl Telling {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { refresh_ms: now_ms, ..Self::default() }
    }

    pub(super) fn next_deadline(&self) -> u64 {
        self.news_ms.map_or(self.refresh_ms, |news| news.min(self.refresh_ms)).min(self.next_heard_ms)
    }

    fn reckon(&mut self, air: Air, now_ms: u64) -> u64 {
        let most = CHANGES_AT_ONCE * air.change_every_ms();
        let saved =
            self.saved_ms.map_or(most, |saved| saved + now_ms.saturating_sub(self.reckoned_ms)).min(most);
        self.saved_ms = Some(saved);
        self.reckoned_ms = now_ms;
        saved
    }

    /// When news of a kind may be told.
    fn may_tell_at(&mut self, news: News, air: Air, now_ms: u64) -> u64 {
        let (saved, every_ms) = (self.reckon(air, now_ms), air.change_every_ms());
        let soon = self.last_ms.map_or(now_ms, |last| (last + LEAST_MS).max(now_ms));
        let until_there_is = |wanted: u64| soon.max(now_ms + wanted.saturating_sub(saved));
        match news {
            News::Lost if saved < every_ms => {
                let wait_ms = (every_ms / LOST_WAITS_PART).max(LEAST_MS);
                self.last_ms.map_or(now_ms, |last| (last + wait_ms).max(now_ms))
            }
            News::Lost => soon,
            News::Gained | News::Faster => until_there_is(2 * every_ms),
        }
    }
}

impl Device {
    /// How often what repeats may be told, with those that are in reach.
    pub(super) fn air(&self) -> Air {
        let mut venues = BTreeMap::from([(&self.venue, 1_usize)]);
        let mut devices = 1;
        for (device, _) in self.peers.reachable() {
            devices += 1;
            if let Some(certificate) = self.peers.certificate(device) {
                *venues.entry(&certificate.venue).or_default() += 1;
            }
        }
        let together = venues.values().max().copied().unwrap_or(1);
        Air::new(self.config.carries_kbit_per_s, devices, together)
    }

    /// Has everybody told soon, whether or not something has changed.
    pub(super) fn publish_presence_soon(&mut self) {
        self.telling.asked_to = true;
        self.plan_telling();
    }

    /// What is otherwise than others have been told.
    fn news(&self) -> Option<News> {
        if self.telling.asked_to {
            return Some(News::Lost);
        }
        if self.is_all_narrow() || self.peers.links() == 0 {
            return None;
        }
        let (lost, gained) = self.links_differ_from_what_was_told();
        let jumped = |told: i64| told.abs_diff(wall_ahead_of_mono_ms(self.now.wall_ms, self.now)) > JUMP_MS;
        let clock_jumped = self.telling.wall_ahead_of_mono_ms.is_some_and(jumped);
        if lost
            || clock_jumped
            || self.telling.sells != self.sells()
            || self.telling.reaches != self.reaches_narrowly()
        {
            return Some(News::Lost);
        }
        gained.then_some(News::Gained).or_else(|| self.sells_faster_than_told().then_some(News::Faster))
    }

    /// Whether this device is asked for much more of something than others take it to be.
    fn sells_faster_than_told(&self) -> bool {
        let now = self.now.mono_ms;
        let sold = self.peers.get(&self.me).map(|own| &own.sold);
        self.meter.rates(now).any(|(drop, sku, rate)| {
            let told = self.telling.rates.get(&(drop.clone(), sku.clone()));
            let told = told.map_or(0, |(rate, at)| crate::broker::faded(*rate, now.saturating_sub(*at)));
            let known = told.max(sold.map_or(0, |sold| sold.rate(drop, sku, now)));
            rate > known + (known / 2).max(1_000)
        })
    }

    /// Looks whether there is something to tell, and when it may be.
    pub(super) fn plan_telling(&mut self) {
        let now = self.now.mono_ms;
        let Some(news) = self.news() else {
            self.telling.news_ms = None;
            self.telling.gained_ms = None;
            return;
        };
        let mut at = self.telling.may_tell_at(news, self.air(), now);
        if news == News::Gained {
            let others = self.telling.word.as_ref().is_some_and(|word| !word.neighbours.is_empty());
            let wait_ms = if others && !self.telling.brought_together {
                GAINED_ELSEWHERE_MS + 8 * u64::from(short(&self.me)[0])
            } else {
                GAINED_MS
            };
            at = at.max(*self.telling.gained_ms.get_or_insert(now) + wait_ms);
        }
        self.telling.news_ms = Some(at);
    }

    /// Tells everybody what is due.
    pub(super) fn pump_telling(&mut self) {
        let now = self.now.mono_ms;
        if self.plant.has(Planted::TellEverySecond) {
            let due = self.telling.last_ms.is_none_or(|last| now >= last + LEAST_MS);
            self.telling.refresh_ms = if due { now } else { now + LEAST_MS };
        }
        if self.telling.news_ms.is_some_and(|at| at <= now) {
            // Meanwhile it may be as it was.
            self.plan_telling();
        }
        if now >= self.telling.refresh_ms || self.telling.news_ms.is_some_and(|at| at <= now) {
            self.publish_presence();
        }
        if now >= self.telling.next_heard_ms {
            self.telling.next_heard_ms = now + self.air().heard_every_ms();
            self.tell_heard_in_turn();
        }
    }

    /// A presence has gone to everybody.
    pub(super) fn has_told(&mut self, at: Hlc, word: Option<Word>, reaches: Vec<DeviceId>) {
        let (now, air) = (self.now.mono_ms, self.air());
        let is_news = self.telling.news_ms.take().is_some();
        let saved = self.telling.reckon(air, now);
        let cost = if is_news { air.change_every_ms() } else { 0 };
        let rates = self.meter.rates(now).map(|(drop, sku, rate)| ((drop.clone(), sku.clone()), (rate, now)));
        let rates = rates.collect();
        let (sells, refresh_ms) = (self.sells(), now + self.presence_every_ms());
        let telling = &mut self.telling;
        telling.word = word.map(|word| Word { at, ..word });
        telling.told_one.clear();
        telling.brought_together = false;
        self.peers.words_are_answered();
        let telling = &mut self.telling;
        (telling.sells, telling.reaches, telling.rates) = (sells, reaches, rates);
        telling.wall_ahead_of_mono_ms = Some(wall_ahead_of_mono_ms(self.now.wall_ms, self.now));
        (telling.last_ms, telling.refresh_ms) = (Some(now), refresh_ms);
        (telling.saved_ms, telling.gained_ms, telling.asked_to) =
            (Some(saved.saturating_sub(cost)), None, false);
    }

    /// Counts presences: every so many times a device shows its certificate.
    pub(super) fn count_presence(&mut self) -> u64 {
        self.telling.count += 1;
        self.telling.count - 1
    }

    /// How often this device tells everybody again that it is there.
    pub(super) fn presence_every_ms(&self) -> u64 {
        if self.is_all_narrow() { self.narrow_presence_ms() } else { self.air().refresh_every_ms() }
    }

    /// A link is up: its other side is told at once, over that link alone, and asked for what has not been heard here.
    pub(super) fn tell_new_neighbour(&mut self, peer: DeviceId, width: Width, alone: bool) {
        if alone || width == Width::Narrow {
            // Those behind it do not know this device's mail yet.
            self.telling.count = 0;
        }
        match width {
            Width::Narrow => self.publish_presence_soon(),
            Width::Broad => {
                let (mail, word, _) = self.sign_presence(true, None);
                self.telling.told_one.extend(word.into_iter().flat_map(|word| word.neighbours));
                self.send_mail(peer, &mail);
                self.tell_heard(peer);
                if self.asks_by_presence() {
                    self.publish_presence_soon();
                }
            }
        }
    }

    /// Tells a neighbour of whom this device has heard, so that it says what is newer.
    fn tell_heard(&mut self, to: DeviceId) {
        let of = |(device, peer): (&DeviceId, &super::peers::Peer)| HeardOf {
            device: short(device),
            at: peer.latest.as_ref().map_or(Hlc(0), |mail| mail.at),
        };
        let others = self.peers.reachable().filter(|(device, _)| **device != to);
        let heard = others.take(MAX_HEARD).map(of).collect();
        self.outbox.emit_now(Output::Send { to, bytes: encode(&Message::Heard(Heard { of: heard })) });
    }

    /// What was lost on its way comes by this in the end.
    fn tell_heard_in_turn(&mut self) {
        let broad = |device: &DeviceId| !self.narrow.is_to(device);
        let linked = || self.peers.iter().filter(|(_, peer)| peer.is_linked()).map(|(device, _)| device);
        let next =
            linked().filter(|device| broad(device)).find(|device| Some(**device) > self.telling.heard_told);
        let next = next.or_else(|| linked().find(|device| broad(device))).copied();
        self.telling.heard_told = next;
        if let Some(to) = next {
            self.tell_heard(to);
        }
    }

    /// A neighbour says of whom it has heard: it is told what is newer here of those that are in reach.
    pub(super) fn heard_by(&mut self, from: DeviceId, heard: &Heard) {
        let now = self.now.mono_ms;
        let peer = self.peers.get_mut(&from);
        if heard.of.len() > MAX_HEARD || peer.answered_heard_ms.is_some_and(|at| now < at + HEARD_AGAIN_MS) {
            return;
        }
        peer.answered_heard_ms = Some(now);
        let known: BTreeMap<[u8; 4], Hlc> = heard.of.iter().map(|of| (of.device, of.at)).collect();
        let mut mails = Vec::new();
        for (device, peer) in self.peers.reachable().filter(|(device, _)| **device != from) {
            let Some(latest) = &peer.latest else { continue };
            let theirs = known.get(&short(device)).copied();
            if theirs.is_none_or(|at| at < latest.at) {
                let first = peer.introduction.iter().filter(|mail| theirs.is_none() && mail.at < latest.at);
                mails.extend(first.chain([latest]).cloned());
            }
        }
        for mail in mails {
            self.send_mail(from, &mail);
        }
    }

    /// Mail that a neighbour passes on over a broad link, since it was not heard here. Those on this side have not heard
    /// it either, if there are any.
    pub(super) fn take_passed_on(&mut self, neighbour: DeviceId, mail: &Mail) {
        let bridges = mail.from != neighbour
            && self
                .peers
                .iter()
                .any(|(device, peer)| peer.is_linked() && *device != neighbour && !self.narrow.is_to(device));
        let was_in_reach = self.peers.is_reachable(&mail.from);
        if self.receive_mail(neighbour, mail, Way::Again) == crate::io::Verdict::Accept {
            self.pass_on_narrow(mail, Some(neighbour));
            if bridges && !was_in_reach {
                self.outbox.emit_now(Output::Publish { bytes: encode(&Gossip::Mail(mail.clone())) });
            }
        }
    }
}
