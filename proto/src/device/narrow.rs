//! Narrow links, over which there is no gossip: what is new the device sends along them itself, once, and little else. Digests
//! are rare there, and so are presences.

use std::collections::BTreeMap;

use super::Device;
use super::peers::Peer;
use super::presence::Way;
use crate::id::DeviceId;
use crate::io::{Output, Verdict};
use crate::links::Width;
use crate::message::{Gossip, MAX_REACHES, Mail, Message, encode};

/// How often a device's presence goes over a narrow link at the most.
const PRESENCE_EVERY_MS: u64 = 60_000;
/// So much longer for every device known: all presences together take some four bytes a second.
const PRESENCE_MS_EACH: u64 = 45_000;
/// How often a neighbour is asked who somebody is, at the most.
const ASK_WHO_EVERY_MS: u64 = 2_000;

/// A narrow link.
#[derive(Debug, Default)]
struct Link {
    /// When a presence of each device went there last.
    passed: BTreeMap<DeviceId, u64>,
}

/// The narrow links of a device.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    links: BTreeMap<DeviceId, Link>,
    /// Entries have come since news went over them.
    news: bool,
}

impl Narrow {
    /// Whether a peer is behind a narrow link.
    pub(super) fn is_to(&self, peer: &DeviceId) -> bool {
        self.links.contains_key(peer)
    }

    /// Whether entries have come since news went over narrow links.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// Entries have come, or were written.
    pub(super) fn something_is_new(&mut self) {
        self.news = true;
    }

    pub(super) fn link_down(&mut self, peer: &DeviceId) {
        self.links.remove(peer);
    }
}

impl Device {
    /// How often a device's presence goes over a narrow link.
    pub(super) fn narrow_presence_ms(&self) -> u64 {
        (self.peers.count() as u64 * PRESENCE_MS_EACH).max(PRESENCE_EVERY_MS)
    }

    /// Whether all links are narrow, of which there is one at least.
    pub(super) fn is_all_narrow(&self) -> bool {
        !self.narrow.links.is_empty() && self.narrow.links.len() == self.peers.links()
    }

    /// The devices in reach whose news come over narrow links, this device's own or another's.
    pub(super) fn in_reach_narrowly(&self) -> impl Iterator<Item = DeviceId> {
        let narrowly = |(device, known): &(&DeviceId, &Peer)| {
            self.is_all_narrow() || self.narrow.is_to(device) || known.heard_through.is_some()
        };
        let own = self.peers.reachable().filter(narrowly).map(|(device, _)| *device);
        let told = self.peers.reachable().flat_map(|(_, known)| known.reaches.iter().copied());
        own.chain(told.filter(|device| !self.peers.is_linked(device)))
    }

    /// The devices in reach that those behind broad links seldom hear of.
    pub(super) fn reaches_narrowly(&self) -> Vec<DeviceId> {
        if self.narrow.links.is_empty() || self.is_all_narrow() {
            return Vec::new();
        }
        let narrowly =
            |(device, known): &(&DeviceId, &Peer)| self.narrow.is_to(device) || known.heard_through.is_some();
        self.peers.reachable().filter(narrowly).map(|(device, _)| *device).take(MAX_REACHES).collect()
    }

    /// Another device reaches this one, and says so when it no longer does.
    pub(super) fn heard_of(&mut self, device: DeviceId) {
        if self.peers.certificate(&device).is_some() && !self.peers.is_linked(&device) {
            self.heard(device);
        }
    }

    /// A link is up, or of another width than before.
    pub(super) fn narrow_link(&mut self, peer: DeviceId, width: Width) {
        match width {
            Width::Broad => self.narrow.link_down(&peer),
            Width::Narrow => {
                self.narrow.links.insert(peer, Link::default());
            }
        }
        // Over a broad link it hears soon of those who say often that they are there.
        let seldom_heard = |(device, known): &(&DeviceId, &Peer)| {
            width == Width::Narrow || self.narrow.is_to(device) || known.heard_through.is_some()
        };
        for mail in self.peers.introductions(&peer, seldom_heard) {
            self.send_mail(peer, &mail);
        }
    }

    pub(super) fn link_width(&mut self, peer: DeviceId, width: Width) {
        if !self.peers.is_linked(&peer) || self.narrow.is_to(&peer) == (width == Width::Narrow) {
            return;
        }
        self.sync.link_width(&peer, width);
        self.narrow_link(peer, width);
        self.narrow.something_is_new();
        self.publish_presence_soon();
    }

    /// Sends what is new to those behind narrow links.
    pub(super) fn pump_narrow(&mut self) {
        if !std::mem::take(&mut self.narrow.news) {
            return;
        }
        let peers: Vec<DeviceId> = self.narrow.links.keys().copied().collect();
        for peer in peers {
            self.send_news(peer);
        }
    }

    /// Mail over a narrow link.
    pub(super) fn narrow_mail(&mut self, from: DeviceId, mail: &Mail) {
        if self.receive_mail(from, mail, Way::Narrow) == Verdict::Accept {
            self.pass_on_narrow(mail, Some(from));
            if mail.to != Some(self.me) && !self.is_all_narrow() {
                self.outbox.emit_now(Output::Publish { bytes: encode(&Gossip::Mail(mail.clone())) });
            }
        }
    }

    /// Passes mail on to those behind narrow links, but for the neighbour that it came from: presences now and then, what is for
    /// one device where it may get there.
    pub(super) fn pass_on_narrow(&mut self, mail: &Mail, from: Option<DeviceId>) {
        if self.narrow.links.is_empty() || mail.to == Some(self.me) {
            return;
        }
        let now = self.now.mono_ms;
        let every_ms = self.narrow_presence_ms();
        let at_hand = mail.to.filter(|to| self.peers.is_linked(to));
        let mut to = Vec::new();
        for (peer, link) in &mut self.narrow.links {
            if Some(*peer) == from || *peer == mail.from || at_hand.is_some_and(|at_hand| at_hand != *peer) {
                continue;
            }
            if mail.to.is_none() {
                if link.passed.get(&mail.from).is_some_and(|at| now < at + every_ms) {
                    continue;
                }
                link.passed.insert(mail.from, now);
            }
            to.push(*peer);
        }
        for peer in to {
            self.send_mail(peer, mail);
        }
    }

    /// The certificate of a neighbour may have been lost, which shows nobody else there.
    pub(super) fn ask_neighbour_who(&mut self, neighbour: DeviceId) {
        if self.narrow.is_to(&neighbour) && self.peers.certificate(&neighbour).is_none() {
            self.ask_who(neighbour, neighbour);
        }
    }

    pub(super) fn ask_who(&mut self, neighbour: DeviceId, device: DeviceId) {
        let now = self.now.mono_ms;
        if !self.peers.is_linked(&neighbour) {
            return;
        }
        let asked_who = &mut self.peers.get_mut(&neighbour).asked_who_ms;
        if asked_who.is_none_or(|at| at + ASK_WHO_EVERY_MS <= now) {
            *asked_who = Some(now);
            self.outbox.emit_now(Output::Send { to: neighbour, bytes: encode(&Message::Who(device)) });
        }
    }

    /// Says who a device is, as far as this one can show it.
    pub(super) fn say_who(&mut self, to: DeviceId, device: DeviceId) {
        if device == self.me {
            self.say_hello(to);
        } else if let Some(mail) = self.peers.get(&device).and_then(|peer| peer.introduction.clone()) {
            self.send_mail(to, &mail);
        }
    }

    pub(super) fn send_mail(&mut self, to: DeviceId, mail: &Mail) {
        self.outbox.emit_now(Output::Send { to, bytes: encode(&Message::Mail(mail.clone())) });
    }
}
