//! Who is out there: certificates, links, and when each device was last heard.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::budgets::Budgets;
use super::clocks::wall_ahead_of_mono_ms;
use super::reach::Word;
use crate::broker::{RateMeter, faded};
use crate::clock::{Hlc, Now};
use crate::fact::Signal;
use crate::id::DeviceId;
use crate::identity::SignedCertificate;
use crate::io::Output;
use crate::links::Width;
use crate::message::{Mail, Message, Rate, encode};
use crate::query::DeviceInfo;
use crate::text::{DropId, Place, Sku};

/// Who was heard, directly or through others, no longer ago than this can be reached.
const SILENT_AFTER_MS: u64 = 5_000;
/// After that, who can be got to over links, unless it should have been heard so many times since.
const SILENT_AFTER_PRESENCES: u64 = 3;
/// When somebody was last in reach is known to so many milliseconds.
const KNOWN_TO_MS: u64 = 5_000;
/// The stock of a device that has not been heard for so long is stranded.
pub(super) const STRANDED_AFTER_MS: u64 = 60_000;

/// What is known of one device besides its entries.
#[derive(Debug, Default)]
pub(super) struct Peer {
    certificate: Option<SignedCertificate>,
    linked: bool,
    pub(super) heard_mono_ms: Option<u64>,
    heard_wall_ms: Option<u64>,
    /// An entry of its own was dated later than this device's wall clock showed when it was taken in.
    is_ahead: bool,
    /// When it was last in reach through others.
    through_wall_ms: Option<u64>,
    reachable: bool,
    /// The last mail of its own.
    pub(super) last_mail: Option<Mail>,
    /// By how much its wall clock is ahead of this device's monotonic clock, milliseconds, as its last presence told.
    pub(super) wall_ahead_of_mono_ms: Option<i64>,
    /// How long it may take from one of its presences to the next, where that is longer than usual.
    pub(super) every_ms: u64,
    /// The neighbour behind a narrow link that passed on its last mail.
    pub(super) heard_through: Option<DeviceId>,
    /// Its last presence with its certificate, and its last.
    pub(super) introduction: Option<Mail>,
    pub(super) latest: Option<Mail>,
    /// Whom it said last it is linked to, and whom it reaches over narrow links.
    pub(super) word: Option<Word>,
    pub(super) reaches: Vec<DeviceId>,
    /// When it said so, and what else that is shown alone.
    pub(super) told: Option<Told>,
    /// The version of its program, once it told.
    pub(super) program: Option<String>,
    /// When the link to it was looked at last since another device lost it, and when it was last told what it had not heard.
    pub(super) looked_at_ms: Option<u64>,
    pub(super) answered_heard_ms: Option<u64>,
    /// When it was last asked who somebody is.
    pub(super) asked_who_ms: Option<u64>,
    pub(super) sells: bool,
    /// The rates that it told of, and when.
    pub(super) rates: Vec<Rate>,
    pub(super) rates_at_ms: u64,
    /// How fast it sells, by the sales that came lately.
    pub(super) sold: RateMeter,
}

/// What the last presence of a device said that decides nothing here, and is shown to people.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// When it was said, by this device's monotonic clock, milliseconds.
    pub(super) at_mono_ms: u64,
    /// Whom it is linked to over narrow links.
    pub(super) narrowly: Option<Word>,
}

impl Peer {
    /// By how much its wall clock is ahead of this device's, milliseconds; `None` if it has not told.
    pub(super) fn clock_ahead_ms(&self, now: Now) -> Option<i64> {
        self.wall_ahead_of_mono_ms.map(|there_ms| there_ms - wall_ahead_of_mono_ms(now.wall_ms, now))
    }

    pub(super) fn is_linked(&self) -> bool {
        self.linked
    }

    fn heard_wall(&self, now: Now) -> Option<u64> {
        if self.reachable { Some(now.wall_ms) } else { self.heard_wall_ms }
    }

    /// How fast it sells something: by what it told, which fades, and by what it sold since; thousandths of units a minute.
    pub(super) fn rate(&self, drop: &DropId, sku: &Sku, now_ms: u64) -> u64 {
        let told = self.rates.iter().find(|rate| rate.drop == *drop && rate.sku == *sku);
        let told = told.map_or(0, |rate| rate.milli_units.min(u64::from(u32::MAX)));
        let told = faded(told, now_ms.saturating_sub(self.rates_at_ms));
        told.max(self.sold.rate(drop, sku, now_ms).min(u64::from(u32::MAX)))
    }

    /// Until when it is believed that it is there, if others reach it.
    fn believed_until_ms(&self) -> Option<u64> {
        let for_ms = SILENT_AFTER_MS.max(SILENT_AFTER_PRESENCES * self.every_ms);
        self.heard_mono_ms.map(|heard| heard.saturating_add(for_ms))
    }

    /// Whether it belongs to a venue.
    pub(super) fn is_of(&self, venue: &Place) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.venue == *venue)
    }
}

/// Every device known.
#[derive(Debug, Default)]
pub(super) struct Peers {
    all: BTreeMap<DeviceId, Peer>,
    /// How many are linked.
    links: usize,
    /// Nobody in reach falls silent before this time, as long as links are as they were.
    none_silent_until: u64,
}

impl Peers {
    fn set_linked(&mut self, device: &DeviceId, linked: bool) {
        let before = std::mem::replace(&mut self.get_mut(device).linked, linked);
        self.links = self.links - usize::from(before) + usize::from(linked);
        self.links_changed();
    }

    /// Links of this device, or of others as they tell, are not what they were.
    pub(super) fn links_changed(&mut self) {
        self.none_silent_until = 0;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Peer)> {
        self.all.iter()
    }

    /// This device has told everybody of its links.
    pub(super) fn words_are_answered(&mut self) {
        self.all.values_mut().filter_map(|peer| peer.word.as_mut()).for_each(|word| word.is_answered = true);
    }

    pub(super) fn meet(&mut self, certificate: &SignedCertificate) {
        let peer = self.all.entry(certificate.device).or_default();
        if peer.certificate.as_ref().is_none_or(|known| known.not_after_ms < certificate.not_after_ms) {
            peer.certificate = Some(certificate.clone());
        }
    }

    /// A device was retired: what it said of itself is not passed on any more.
    pub(super) fn forget_presence(&mut self, device: &DeviceId) {
        if let Some(peer) = self.all.get_mut(device) {
            (peer.introduction, peer.latest, peer.word, peer.told) = (None, None, None, None);
            peer.reaches.clear();
            peer.heard_mono_ms = None;
            self.links_changed();
        }
    }

    pub(super) fn certificate(&self, device: &DeviceId) -> Option<&SignedCertificate> {
        self.all.get(device)?.certificate.as_ref()
    }

    pub(super) fn get_mut(&mut self, device: &DeviceId) -> &mut Peer {
        self.all.entry(*device).or_default()
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<&Peer> {
        self.all.get(device)
    }

    pub(super) fn name(&self, device: &DeviceId) -> String {
        self.certificate(device).map_or_else(|| device.short(), |certificate| certificate.name.clone())
    }

    pub(super) fn is_linked(&self, device: &DeviceId) -> bool {
        self.all.get(device).is_some_and(|peer| peer.linked)
    }

    pub(super) fn is_reachable(&self, device: &DeviceId) -> bool {
        self.all.get(device).is_some_and(|peer| peer.reachable)
    }

    /// What introduces those that a link to `peer` brings in its reach, and that are `wanted`.
    pub(super) fn introductions(
        &self,
        peer: &DeviceId,
        wanted: impl Fn(&(&DeviceId, &Peer)) -> bool,
    ) -> Vec<Mail> {
        let elsewhere = |(device, known): &(&DeviceId, &Peer)| {
            *device != peer && known.heard_through.as_ref() != Some(peer)
        };
        let others = self.reachable().filter(elsewhere).filter(wanted);
        others.filter_map(|(_, known)| known.introduction.clone()).collect()
    }

    pub(super) fn reachable(&self) -> impl Iterator<Item = (&DeviceId, &Peer)> {
        self.all.iter().filter(|(_, peer)| peer.reachable)
    }

    /// An entry of a device bears a time: it was alive then, if nothing better is known.
    pub(super) fn wrote(&mut self, device: DeviceId, at: Hlc, now: Now) {
        let peer = self.all.entry(device).or_default();
        if peer.heard_mono_ms.is_none() {
            peer.is_ahead |= at.ms() > now.wall_ms;
            peer.heard_wall_ms = peer.heard_wall_ms.max(Some(at.ms()));
        }
    }

    /// The same as [`last_heard`](Self::last_heard), where that is sure. Of whom nothing was heard since the start, entries tell,
    /// by their author's clock: of one that is ahead of this device's own nobody knows how long ago its entries were.
    pub(super) fn surely_heard(&self, device: &DeviceId, now: Now) -> Option<u64> {
        let peer = self.all.get(device)?;
        peer.heard_wall(now).filter(|_| peer.heard_mono_ms.is_some() || !peer.is_ahead)
    }

    /// When a device was last heard, or known to be there through others, by this device's wall clock.
    pub(super) fn last_heard(&self, device: &DeviceId, now: Now) -> Option<u64> {
        self.all.get(device)?.heard_wall(now)
    }

    pub(super) fn is_stranded(&self, device: &DeviceId, now: Now) -> bool {
        let Some(peer) = self.all.get(device) else { return true };
        !peer.reachable
            && peer.heard_wall_ms.is_none_or(|heard| now.wall_ms.saturating_sub(heard) > STRANDED_AFTER_MS)
    }

    pub(super) fn infos(&self, me: &DeviceId, now: Now, budgets: &Budgets) -> Vec<DeviceInfo> {
        self.all
            .iter()
            .filter_map(|(device, peer)| {
                let certificate = peer.certificate.as_ref()?;
                let own = device == me;
                let conduct = budgets.conduct(device, now.mono_ms);
                Some(DeviceInfo {
                    device: *device,
                    name: certificate.name.clone(),
                    roles: certificate.roles.iter().collect(),
                    venue: certificate.venue.clone(),
                    certificate_until_ms: certificate.not_after_ms,
                    linked: peer.linked,
                    reachable: own || peer.reachable,
                    last_heard_ms: if own { Some(now.wall_ms) } else { peer.heard_wall(now) },
                    faults: conduct.faults,
                    unread: conduct.unread,
                    cut_off_until_ms: conduct.cut_off_for_ms.map(|left| now.wall_ms.saturating_add(left)),
                    clock_ahead_ms: peer.clock_ahead_ms(now),
                    retired_by: None,
                    has_newest_secret: None,
                    suspended: false,
                    left_to: None,
                    program: peer.program.clone(),
                })
            })
            .collect()
    }

    /// How many links there are.
    pub(super) fn links(&self) -> usize {
        self.links
    }

    /// Those that are linked.
    pub(super) fn linked(&self) -> Vec<DeviceId> {
        self.all.iter().filter(|(_, peer)| peer.linked).map(|(device, _)| *device).collect()
    }

    /// How many devices there are, this one included.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn known(&self) -> BTreeSet<DeviceId> {
        self.all.iter().filter(|(_, peer)| peer.certificate.is_some()).map(|(device, _)| *device).collect()
    }
}

impl Device {
    /// Something came from `device`, directly or passed on.
    pub(super) fn heard(&mut self, device: DeviceId) {
        if device == self.me {
            return;
        }
        if !self.peers.is_reachable(&device) {
            self.came_in_reach(self.peers.last_heard(&device, self.now));
        }
        let now = self.now;
        let peer = self.peers.get_mut(&device);
        peer.heard_mono_ms = Some(now.mono_ms);
        peer.heard_wall_ms = Some(now.wall_ms);
        if !peer.reachable {
            peer.reachable = true;
            self.signal_reach(device, true);
        }
    }

    pub(super) fn link_up(&mut self, peer: DeviceId, width: Width) {
        if self.retired_link_up(peer) {
            return;
        }
        self.cut_off_again(peer);
        self.falls_out_of_step();
        let (alone, apart) = (self.peers.links == 0, !self.peers.is_reachable(&peer));
        self.peers.set_linked(&peer, true);
        self.heard(peer);
        self.say_hello(peer);
        self.next_look_ms = self.now.mono_ms;
        self.next_share_ms = self.now.mono_ms;
        self.sync_link_up(peer, width);
        self.meet_past(peer);
        self.sealed.link_up(peer);
        self.narrow_link(peer, width);
        self.tell_new_neighbour(peer, width, alone);
        self.telling.brought_together |= apart;
    }

    pub(super) fn say_hello(&mut self, to: DeviceId) {
        let hello = encode(&Message::Hello(self.config.certificate.bytes().to_vec().into()));
        self.outbox.emit_now(Output::Send { to, bytes: hello });
    }

    pub(super) fn link_down(&mut self, peer: DeviceId) {
        if self.retired_link_down(&peer) {
            return;
        }
        self.peers.set_linked(&peer, false);
        self.peers.get_mut(&peer).asked_who_ms = None;
        self.sync.link_down(&peer);
        self.narrow.link_down(&peer);
        self.lose_what_came_through(&peer);
        self.sealed.link_down(&peer);
        let alone = self.peers.links == 0;
        self.past.lose(&peer, alone);
        self.asks.lost(&peer);
        self.next_look_ms = self.now.mono_ms;
        self.look_for_silence();
    }

    /// Notices who is out of reach, or in reach again. Without any link there is nobody through whom others could be reached.
    pub(super) fn look_for_silence(&mut self) {
        let now = self.now;
        let cut_off = self.peers.links == 0;
        if !cut_off && now.mono_ms < self.peers.none_silent_until {
            return;
        }
        let is_believed = |peer: &Peer| peer.believed_until_ms().is_some_and(|until| now.mono_ms < until);
        let in_reach = if cut_off { BTreeSet::new() } else { self.peers.component(&self.me, is_believed) };
        let mut first = u64::MAX;
        let (mut changed, mut came) = (Vec::new(), Vec::new());
        for (device, peer) in &mut self.peers.all {
            if peer.linked || *device == self.me {
                continue;
            }
            let heard_until = peer.heard_mono_ms.map_or(0, |heard| heard + SILENT_AFTER_MS);
            let narrowly = peer.reachable && peer.heard_through.is_some() && is_believed(peer);
            let is_through = narrowly || in_reach.contains(device);
            if cut_off || !is_through && heard_until <= now.mono_ms {
                if peer.reachable {
                    peer.reachable = false;
                    peer.wall_ahead_of_mono_ms = None;
                    peer.heard_wall_ms = peer.heard_wall_ms.max(peer.through_wall_ms.take());
                    changed.push((*device, false));
                }
                continue;
            }
            if is_through {
                peer.through_wall_ms = Some(now.wall_ms);
            }
            if !peer.reachable {
                came.push(peer.heard_wall_ms);
                peer.reachable = true;
                changed.push((*device, true));
            }
            let until = peer.believed_until_ms().filter(|_| is_through).unwrap_or(heard_until);
            first = first.min(until.max(now.mono_ms + 1));
        }
        came.into_iter().for_each(|heard_ms| self.came_in_reach(heard_ms));
        changed.into_iter().for_each(|(device, in_reach)| self.signal_reach(device, in_reach));
        // Not later, so that it is known when somebody was last in reach.
        self.peers.none_silent_until = first.min(now.mono_ms + KNOWN_TO_MS);
    }

    /// Those of whom news came only through a neighbour that is gone.
    fn lose_what_came_through(&mut self, neighbour: &DeviceId) {
        let mut changed = Vec::new();
        for (device, peer) in &mut self.peers.all {
            if peer.heard_through.as_ref() == Some(neighbour) && peer.reachable && !peer.linked {
                peer.reachable = false;
                changed.push((*device, false));
            }
        }
        changed.into_iter().for_each(|(device, in_reach)| self.signal_reach(device, in_reach));
    }

    fn signal_reach(&mut self, device: DeviceId, in_reach: bool) {
        let name = self.name_of(&device);
        let signal = match in_reach {
            true => Signal::Reachable { device, name },
            false => Signal::Unreachable { device, name },
        };
        self.outbox.emit_now(Output::Signal(signal));
    }

    /// Whether this device sells at all, or only keeps stock for those that do.
    pub(super) fn sells(&self) -> bool {
        self.own_leave().is_none() && self.config.certificate.roles.sells()
    }
}
