//! Presence: how this device is doing, told to everybody; and what follows from others' presence for the stock.

use std::collections::BTreeMap;

use super::Device;
use super::budgets::{REQUEST_US, SIGNATURE_US};
use super::peers::Peer;
use crate::broker::Seller;
use crate::clock::Hlc;
use crate::command::DropState;
use crate::document::Document;
use crate::id::DeviceId;
use crate::io::{Output, Verdict};
use crate::links::Width;
use crate::message::{
    Gossip, MAX_GOSSIP, MAX_RATES, MAX_REACHES, Mail, Message, Presence, Rate, decode, encode,
};
use crate::text::{DropId, Place, Sku};

/// How often a device tells everybody that it is there, at the most.
const PRESENCE_EVERY_MS: u64 = 1_000;
/// How many presences all devices together hear in a second where there are many: each presence goes to all, and they share the
/// air.
const PRESENCES_HEARD_PER_S: u64 = 1_333;
/// The longest time between two.
const PRESENCE_AT_LEAST_MS: u64 = 30_000;
/// How often a device looks who has fallen silent.
pub(super) const LOOK_EVERY_MS: u64 = 1_000;
/// Every so many times it shows its certificate along with it.
const CERTIFICATE_EVERY: u64 = 10;

/// The longest time between two presences that a device is believed, seconds.
const EVERY_S_MOST: u32 = 3_600;

/// How often each of so many devices tells everybody that it is there.
pub(super) fn presence_every_ms(devices: usize) -> u64 {
    let heard = (devices as u64).saturating_mul(devices as u64);
    (heard.saturating_mul(1_000) / PRESENCES_HEARD_PER_S).clamp(PRESENCE_EVERY_MS, PRESENCE_AT_LEAST_MS)
}

/// How often each of so many devices looks who should get stock: what it goes by are rates, which come with presences.
pub(super) fn share_every_ms(devices: usize) -> u64 {
    (presence_every_ms(devices) / 4).max(LOOK_EVERY_MS)
}

impl Device {
    /// Now, but for the shortest time after the last one: where many links come up one after the other, one tells all.
    pub(super) fn publish_presence_soon(&mut self) {
        let soon = self.last_presence_ms.map_or(0, |last| last + PRESENCE_EVERY_MS).max(self.now.mono_ms);
        self.next_presence_ms = self.next_presence_ms.min(soon);
    }

    pub(super) fn publish_presence(&mut self) {
        self.last_presence_ms = Some(self.now.mono_ms);
        let rates = self
            .meter
            .rates(self.now.mono_ms)
            .take(MAX_RATES)
            .map(|(drop, sku, milli_units)| Rate { drop: drop.clone(), sku: sku.clone(), milli_units })
            .collect();
        let shown = self.presences.is_multiple_of(CERTIFICATE_EVERY);
        self.presences += 1;
        let certificate = shown.then(|| self.config.certificate.bytes().to_vec().into());
        let every_s = self.is_all_narrow().then(|| (self.narrow_presence_ms() / 1_000) as u32);
        let reaches = self.reaches_narrowly();
        let at = self.mail_time();
        let behind_ms = self.is_behind(at);
        let content =
            encode(&Presence { sells: self.sells(), rates, certificate, every_s, reaches, behind_ms });
        self.mail(at, None, content);
    }

    /// How soon this device tells everybody again that it is there.
    pub(super) fn presence_every_ms(&self) -> u64 {
        if self.is_all_narrow() { self.narrow_presence_ms() } else { presence_every_ms(self.peers.count()) }
    }

    fn mail(&mut self, at: Hlc, to: Option<DeviceId>, content: Vec<u8>) {
        let (signatures, event) = (self.gate.signatures(), self.gate.event());
        let mail = Mail::sign(signatures, &event, &self.config.secret, at, to, content);
        self.pass_on_narrow(&mail, None);
        self.outbox.emit_now(Output::Publish { bytes: encode(&Gossip::Mail(mail)) });
    }

    /// Tells one device something: over a link, or by mail. Not for what says anything about records.
    pub(super) fn tell(&mut self, to: DeviceId, message: &Message) {
        let bytes = encode(message);
        if self.peers.is_linked(&to) {
            self.outbox.emit_now(Output::Send { to, bytes });
        } else {
            let at = self.mail_time();
            self.mail(at, Some(to), bytes);
        }
    }

    pub(super) fn gossip(&mut self, from: DeviceId, bytes: &[u8]) -> Verdict {
        if !self.listens_to(from, bytes.len()) {
            return Verdict::Ignore;
        }
        self.heard(from);
        match decode::<Gossip>(bytes, MAX_GOSSIP) {
            Ok(Gossip::Live(ranges)) => {
                let taken = self.take_ranges(from, &ranges);
                if let Some(fault) = &taken.fault {
                    self.faulted(from, &taken, fault);
                    Verdict::Reject
                } else if taken.cut_short || taken.postponed > 0 {
                    Verdict::Ignore
                } else if taken.gap {
                    self.ask_for_gap(from);
                    Verdict::Ignore
                } else {
                    Verdict::Accept
                }
            }
            Ok(Gossip::Mail(mail)) => {
                let verdict = self.receive_mail(from, &mail, Width::Broad);
                if verdict == Verdict::Accept {
                    self.pass_on_narrow(&mail, Some(from));
                }
                verdict
            }
            Err(error) => {
                self.wrong(from, error.to_string());
                Verdict::Reject
            }
        }
    }

    /// Mail that a neighbour passed on over a link of some width.
    pub(super) fn receive_mail(&mut self, neighbour: DeviceId, mail: &Mail, width: Width) -> Verdict {
        if mail.from == self.me {
            self.own_mail(neighbour, mail);
            return Verdict::Ignore;
        }
        let last = self.peers.get(&mail.from).and_then(|peer| peer.last_mail.as_ref());
        if last.is_some_and(|last| last.at >= mail.at) {
            self.show_last_mail(neighbour, mail);
            return Verdict::Ignore;
        }
        self.budgets.work(&neighbour, SIGNATURE_US, self.now.mono_ms);
        if !mail.verifies(self.gate.signatures(), &self.gate.event()) {
            self.wrong(neighbour, "mail with a wrong signature".to_owned());
            return Verdict::Reject;
        }
        let presence = match mail.to {
            None => match decode::<Presence>(&mail.content, MAX_GOSSIP) {
                Ok(presence)
                    if presence.rates.len() <= MAX_RATES && presence.reaches.len() <= MAX_REACHES =>
                {
                    Some(presence)
                }
                _ => {
                    self.fault(neighbour, "presence that cannot be read".to_owned());
                    return Verdict::Reject;
                }
            },
            Some(_) => None,
        };
        let shown = presence.as_ref().and_then(|presence| presence.certificate.as_ref());
        let is_known =
            |bytes: &[u8]| self.peers.certificate(&mail.from).is_some_and(|known| known.bytes() == bytes);
        if let Some(bytes) = shown.filter(|bytes| !is_known(bytes)) {
            match self.gate.certificate(bytes) {
                Ok(certificate) if certificate.device == mail.from => self.peers.meet(&certificate),
                _ => {
                    self.fault(neighbour, "presence with a wrong certificate".to_owned());
                    return Verdict::Reject;
                }
            }
        }
        if self.peers.certificate(&mail.from).is_none() {
            // Its certificate comes with one of its next; until then nobody here vouches for it.
            if width == Width::Narrow {
                self.ask_who(neighbour, mail.from);
            }
            return Verdict::Ignore;
        }
        self.heard(mail.from);
        self.clock.observe(mail.at, self.now);
        let narrow_ms = self.narrow_presence_ms();
        let peer = self.peers.get_mut(&mail.from);
        peer.last_mail = Some(mail.clone());
        peer.heard_through = (width == Width::Narrow).then_some(neighbour);
        if let Some(presence) = presence {
            self.note_clock(neighbour, mail, &presence);
            let peer = self.peers.get_mut(&mail.from);
            let told_ms = u64::from(presence.every_s.unwrap_or(0).min(EVERY_S_MOST)) * 1_000;
            peer.every_ms = told_ms.max(if width == Width::Narrow { narrow_ms } else { 0 });
            if presence.certificate.is_some() {
                peer.introduction = Some(mail.clone());
            }
            peer.sells = presence.sells;
            peer.rates = presence.rates;
            for device in presence.reaches {
                self.heard_of(device);
            }
        } else if mail.to == Some(self.me) {
            match decode::<Message>(&mail.content, MAX_GOSSIP) {
                // Who asks pays, not who passed it on; if it cannot, it asks again.
                Ok(_) if !self.budgets.may_work(&mail.from, self.now.mono_ms) => {}
                Ok(request) => {
                    self.budgets.work(&mail.from, REQUEST_US, self.now.mono_ms);
                    self.request(mail.from, &request);
                }
                Err(_) => self.fault(mail.from, "mail that cannot be read".to_owned()),
            }
        }
        Verdict::Accept
    }

    /// What one device asks of another, over a link or by mail.
    pub(super) fn request(&mut self, from: DeviceId, message: &Message) {
        match message {
            Message::Ask(ask) => self.asked(from, ask),
            Message::Decline(decline) => self.declined(from, decline.id),
            Message::AskCart(ask) => self.asked_for_cart(from, ask),
            Message::AskClaim(ask) => self.asked_for_claim(from, ask),
            Message::Frontier(_)
            | Message::Entries(_)
            | Message::Digest(_)
            | Message::Hello(_)
            | Message::AskSealed(_)
            | Message::Sealed(_)
            | Message::Mail(_)
            | Message::Who(_)
            | Message::Compare(_) => {
                self.fault(from, "mail that cannot be read".to_owned());
            }
        }
    }

    /// Gives stock unasked to where it sells faster.
    pub(super) fn share_out(&mut self) {
        let mut shelves: Vec<(DropId, Sku, Place)> = self
            .holdings
            .live_of(&self.me)
            .filter_map(|(_, parcel)| {
                let lot = self.holdings.lot(&parcel.lot)?;
                Some((lot.drop.clone(), lot.sku.clone(), parcel.place.clone()))
            })
            .collect();
        shelves.sort();
        shelves.dedup();
        let mut sellers_at: BTreeMap<Place, Vec<DeviceId>> = BTreeMap::new();
        for (drop, sku, place) in shelves {
            let closed =
                |drop| self.programme.drops().get(drop).is_none_or(|info| info.state == DropState::Closed);
            if closed(&drop) || self.sales.wait_for(&drop, &sku) {
                continue;
            }
            let there = sellers_at.entry(place.clone()).or_insert_with(|| self.sellers_at(&place));
            let sellers = self.sellers(&drop, &sku, &place, there);
            for (to, units) in self.config.policy.share(&self.me, &sellers) {
                // What cannot be given stays; the next round tries again.
                let _ = self.give(&Document::Stock(drop.clone()), &drop, &sku, Some(&place), units, to);
            }
        }
    }

    /// Those in reach that sell from a place and may be given stock.
    fn sellers_at(&self, place: &Place) -> Vec<DeviceId> {
        let sell_there = |(device, peer): &(&DeviceId, &Peer)| {
            peer.sells && peer.is_of(place) && self.check_may_get(device).is_ok()
        };
        self.peers.reachable().filter(sell_there).map(|(device, _)| *device).collect()
    }

    /// This device and the others `there`, each with its rate and its free units at `place`.
    fn sellers(&self, drop: &DropId, sku: &Sku, place: &Place, there: &[DeviceId]) -> Vec<Seller> {
        let shelf = self.holdings.shelf(drop, sku, place);
        let free = |device: &DeviceId| shelf.and_then(|holders| holders.get(device)).copied().unwrap_or(0);
        let mut sellers = vec![Seller {
            device: self.me,
            sells: self.sells() && self.venue == *place,
            rate: self.meter.rate(drop, sku, self.now.mono_ms),
            free: free(&self.me),
        }];
        for device in there {
            let rates = self.peers.get(device).map_or(&[][..], |peer| &peer.rates);
            let rate = rates
                .iter()
                .find(|rate| rate.drop == *drop && rate.sku == *sku)
                .map_or(0, |rate| rate.milli_units.min(u64::from(u32::MAX)));
            sellers.push(Seller { device: *device, sells: true, rate, free: free(device) });
        }
        sellers
    }
}
