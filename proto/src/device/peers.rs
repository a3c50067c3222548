//! Who is out there: certificates, links, and when each device was last heard.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::budgets::Budgets;
use super::clocks::wall_ahead_of_mono_ms;
use super::presence::presence_every_ms;
use crate::clock::{Hlc, Now};
use crate::id::DeviceId;
use crate::identity::SignedCertificate;
use crate::io::{Notice, Output};
use crate::links::Width;
use crate::message::{Mail, Message, Rate, encode};
use crate::query::DeviceInfo;
use crate::text::Place;

/// A device that has not been heard, directly or through others, for so long cannot be reached.
const SILENT_AFTER_MS: u64 = 5_000;
/// Nor can one that should have been heard so many times since.
const SILENT_AFTER_PRESENCES: u64 = 3;
/// The stock of a device that has not been heard for so long is stranded.
pub(super) const STRANDED_AFTER_MS: u64 = 60_000;

/// What is known of one device besides its entries.
#[derive(Debug, Default)]
pub(super) struct Peer {
    certificate: Option<SignedCertificate>,
    linked: bool,
    heard_mono_ms: Option<u64>,
    heard_wall_ms: Option<u64>,
    reachable: bool,
    /// The last mail of its own.
    pub(super) last_mail: Option<Mail>,
    /// By how much its wall clock is ahead of this device's monotonic clock, milliseconds, as its last presence told.
    pub(super) wall_ahead_of_mono_ms: Option<i64>,
    /// How long it may take from one of its presences to the next, where that is longer than usual.
    pub(super) every_ms: u64,
    /// The neighbour behind a narrow link that passed on its last mail.
    pub(super) heard_through: Option<DeviceId>,
    /// Its last presence with its certificate.
    pub(super) introduction: Option<Mail>,
    pub(super) sells: bool,
    pub(super) rates: Vec<Rate>,
}

impl Peer {
    /// By how much its wall clock is ahead of this device's, milliseconds; `None` if it has not told.
    pub(super) fn clock_ahead_ms(&self, now: Now) -> Option<i64> {
        self.wall_ahead_of_mono_ms.map(|there_ms| there_ms - wall_ahead_of_mono_ms(now.wall_ms, now))
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
    /// Nobody in reach falls silent before this time.
    none_silent_until: u64,
}

impl Peers {
    fn set_linked(&mut self, device: &DeviceId, linked: bool) {
        let before = std::mem::replace(&mut self.get_mut(device).linked, linked);
        self.links = self.links - usize::from(before) + usize::from(linked);
    }

    pub(super) fn meet(&mut self, certificate: &SignedCertificate) {
        let peer = self.all.entry(certificate.device).or_default();
        if peer.certificate.as_ref().is_none_or(|known| known.not_after_ms < certificate.not_after_ms) {
            peer.certificate = Some(certificate.clone());
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
    pub(super) fn wrote(&mut self, device: DeviceId, at: Hlc) {
        let peer = self.all.entry(device).or_default();
        if peer.heard_mono_ms.is_none() {
            peer.heard_wall_ms = peer.heard_wall_ms.max(Some(at.ms()));
        }
    }

    /// When a device was last heard, by this device's wall clock.
    pub(super) fn last_heard(&self, device: &DeviceId) -> Option<u64> {
        self.all.get(device)?.heard_wall_ms
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
                    last_heard_ms: if own { Some(now.wall_ms) } else { peer.heard_wall_ms },
                    faults: conduct.faults,
                    unread: conduct.unread,
                    cut_off_until_ms: conduct.cut_off_for_ms.map(|left| now.wall_ms.saturating_add(left)),
                    clock_ahead_ms: peer.clock_ahead_ms(now),
                })
            })
            .collect()
    }

    /// How many links there are.
    pub(super) fn links(&self) -> usize {
        self.links
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
        let now = self.now;
        let peer = self.peers.get_mut(&device);
        peer.heard_mono_ms = Some(now.mono_ms);
        peer.heard_wall_ms = Some(now.wall_ms);
        if !peer.reachable {
            peer.reachable = true;
            self.outbox.emit_now(Output::Notice(Notice::Reachable { device }));
        }
    }

    pub(super) fn link_up(&mut self, peer: DeviceId, width: Width) {
        self.cut_off_again(peer);
        self.peers.set_linked(&peer, true);
        self.heard(peer);
        self.say_hello(peer);
        // New neighbours do not know this device's mail yet.
        self.presences = 0;
        self.publish_presence_soon();
        self.next_look_ms = self.now.mono_ms;
        self.next_share_ms = self.now.mono_ms;
        self.past.meet(self.now.mono_ms);
        self.sync_link_up(peer, width);
        self.sealed.link_up(peer);
        self.narrow_link(peer, width);
    }

    pub(super) fn say_hello(&mut self, to: DeviceId) {
        let hello = encode(&Message::Hello(self.config.certificate.bytes().to_vec().into()));
        self.outbox.emit_now(Output::Send { to, bytes: hello });
    }

    pub(super) fn link_down(&mut self, peer: DeviceId) {
        self.peers.set_linked(&peer, false);
        self.sync.link_down(&peer);
        self.narrow.link_down(&peer);
        self.lose_what_came_through(&peer);
        self.sealed.link_down(&peer);
        let alone = self.peers.links == 0;
        self.past.lose(&peer, alone);
        self.asks.lost(&peer);
        self.peers.none_silent_until = 0;
        self.notice_silence();
    }

    /// Notices who has fallen silent. Without any link there is nobody through whom others could be heard.
    pub(super) fn notice_silence(&mut self) {
        let now = self.now.mono_ms;
        let cut_off = self.peers.links == 0;
        if !cut_off && now < self.peers.none_silent_until {
            return;
        }
        let usual = SILENT_AFTER_MS.max(SILENT_AFTER_PRESENCES * presence_every_ms(self.peers.all.len()));
        let mut first = now + usual;
        for (device, peer) in &mut self.peers.all {
            if !peer.reachable || peer.linked {
                continue;
            }
            let silent_after = usual.max(SILENT_AFTER_PRESENCES * peer.every_ms);
            let heard = peer.heard_mono_ms.unwrap_or(0);
            if cut_off || now.saturating_sub(heard) >= silent_after {
                peer.reachable = false;
                self.outbox.emit_now(Output::Notice(Notice::Unreachable { device: *device }));
            } else {
                // Not after `silent_after`: that may become shorter.
                first = first.min((heard + usual).max(now + 1));
            }
        }
        self.peers.none_silent_until = first;
    }

    /// Those of whom news came only through a neighbour that is gone.
    fn lose_what_came_through(&mut self, neighbour: &DeviceId) {
        for (device, peer) in &mut self.peers.all {
            if peer.heard_through.as_ref() == Some(neighbour) && peer.reachable && !peer.linked {
                peer.reachable = false;
                self.outbox.emit_now(Output::Notice(Notice::Unreachable { device: *device }));
            }
        }
    }

    /// Whether this device sells at all, or only keeps stock for those that do.
    pub(super) fn sells(&self) -> bool {
        self.left_to.is_none() && self.config.certificate.roles.sells()
    }
}
