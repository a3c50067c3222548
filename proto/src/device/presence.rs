//! Presence: how this device is doing, told to everybody; and what follows from others' presence for the stock.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;

use super::Device;
use super::budgets::{REQUEST_US, SIGNATURE_US};
use super::peers::{Peer, Told};
use super::reach::Word;
use crate::broker::Seller;
use crate::clock::Hlc;
use crate::holdings::Event;
use crate::id::DeviceId;
use crate::io::{Output, Verdict};
use crate::message::{
    AskPast, Gossip, MAX_GOSSIP, MAX_OWN_ENDS, MAX_RATES, Mail, Message, Presence, Rate, decode, encode,
    is_program,
};
use crate::planted::Planted;
use crate::record::Body;
use crate::text::{DropId, Place, Sku};

/// How often a device looks who has fallen silent.
pub(super) const LOOK_EVERY_MS: u64 = 1_000;
/// Every so many times it shows its certificate along with it.
const CERTIFICATE_EVERY: u64 = 10;

/// The longest time between two presences that a device is believed, seconds.
const EVERY_S_MOST: u32 = 3_600;

/// A sale that was made longer ago says nothing of how fast its seller sells, milliseconds.
const OLD_SALE_MS: u64 = 60_000;
/// The longest time between two looks who should get stock.
const SHARE_AT_LEAST_MS: u64 = 5_000;

/// How mail comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As gossip, just made; but for the first that is heard of somebody, which a device between two parts of the mesh may
    /// have told again.
    Gossip,
    /// Over a narrow link, just made.
    Narrow,
    /// Over a broad link, and made some time ago: a neighbour passes on what was not heard here.
    Again,
}

impl Device {
    /// How often a device looks who should get stock: what it goes by are rates, which come with presences and with sales.
    pub(super) fn share_every_ms(&self) -> u64 {
        (self.air().change_every_ms() / 4).clamp(LOOK_EVERY_MS, SHARE_AT_LEAST_MS)
    }

    /// This device's presence as of now, and whom that says it is linked to.
    pub(super) fn sign_presence(
        &mut self,
        shows_certificate: bool,
        asks: Option<AskPast>,
    ) -> (Mail, Option<Word>, Vec<DeviceId>) {
        let rates = self
            .meter
            .rates(self.now.mono_ms)
            .take(MAX_RATES)
            .map(|(drop, sku, milli_units)| Rate { drop: drop.clone(), sku: sku.clone(), milli_units })
            .collect();
        let certificate = shows_certificate.then(|| self.config.certificate.bytes().to_vec().into());
        let every_s = Some(self.presence_every_ms().div_ceil(1_000) as u32);
        let word = (!self.is_all_narrow()).then(|| Word { neighbours: self.neighbours(), ..Word::default() });
        let reaches = self.reaches_narrowly();
        let at = self.mail_time();
        let behind_ms = self.is_behind(at);
        let content = encode(&Presence {
            sells: self.sells(),
            rates,
            certificate,
            every_s,
            reaches: reaches.clone(),
            asks,
            neighbours: word.as_ref().map(Word::written),
            behind_ms,
            narrowly: self.narrow_neighbours(),
            program: self.config.program.clone().filter(|program| shows_certificate && is_program(program)),
        });
        (self.sign_mail(at, None, content), word, reaches)
    }

    pub(super) fn publish_presence(&mut self) {
        let shown = self.count_presence().is_multiple_of(CERTIFICATE_EVERY);
        let asks = self.ask_by_presence();
        let (mail, word, reaches) = self.sign_presence(shown, asks);
        self.has_told(mail.at, word, reaches);
        self.post(mail);
    }

    fn sign_mail(&self, at: Hlc, to: Option<DeviceId>, content: Vec<u8>) -> Mail {
        let (signatures, event) = (self.gate.signatures(), self.gate.event());
        Mail::sign(signatures, &event, &self.config.secret, at, to, content)
    }

    fn post(&mut self, mail: Mail) {
        self.pass_on_narrow(&mail, None);
        self.outbox.emit_now(Output::Publish { bytes: encode(&Gossip::Mail(mail)) });
    }

    fn mail(&mut self, to: Option<DeviceId>, content: Vec<u8>) {
        let at = self.mail_time();
        let mail = self.sign_mail(at, to, content);
        self.post(mail);
    }

    /// Tells one device something: over a link, or by mail. Not for what says anything about records.
    pub(super) fn tell(&mut self, to: DeviceId, message: &Message) {
        let bytes = encode(message);
        if self.peers.is_linked(&to) {
            self.outbox.emit_now(Output::Send { to, bytes });
        } else {
            self.mail(Some(to), bytes);
        }
    }

    pub(super) fn gossip(&mut self, from: DeviceId, bytes: &[u8]) -> Verdict {
        if !self.listens_to(from, bytes.len()) {
            return Verdict::Ignore;
        }
        if self.bars.has(&from) {
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
                let verdict = self.receive_mail(from, &mail, Way::Gossip);
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

    /// Mail that a neighbour passed on, or wrote.
    pub(super) fn receive_mail(&mut self, neighbour: DeviceId, mail: &Mail, way: Way) -> Verdict {
        if mail.from == self.me {
            self.own_mail(neighbour, mail);
            return Verdict::Ignore;
        }
        // A neighbour that has not heard of it yet passes on what a retired device says.
        if self.bars.has(&mail.from) {
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
                Ok(presence) if presence.is_bounded() => Some(presence),
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
        let read = |told: Option<&ByteVec>| told.map(|told| Word::read(mail.at, told).ok_or(())).transpose();
        let of = |presence: &Presence| {
            Ok::<_, ()>((read(presence.neighbours.as_ref())?, read(presence.narrowly.as_ref())?))
        };
        let Ok((word, narrowly)) = presence.as_ref().map_or(Ok((None, None)), of) else {
            self.fault(neighbour, "presence that cannot be read".to_owned());
            return Verdict::Reject;
        };
        if self.peers.certificate(&mail.from).is_none() {
            // Its certificate comes with one of its next; until then nobody here vouches for it.
            self.ask_who(neighbour, mail.from);
            return Verdict::Ignore;
        }
        self.heard(mail.from);
        self.clock.observe(mail.at, self.now);
        let narrow_ms = self.narrow_presence_ms();
        let peer = self.peers.get_mut(&mail.from);
        peer.last_mail = Some(mail.clone());
        peer.heard_through = (way == Way::Narrow).then_some(neighbour);
        if let Some(presence) = presence {
            self.note_clock(neighbour, mail, &presence, way);
            let peer = self.peers.get_mut(&mail.from);
            let told_ms = u64::from(presence.every_s.unwrap_or(0).min(EVERY_S_MOST)) * 1_000;
            peer.every_ms = told_ms.max(if way == Way::Narrow { narrow_ms } else { 0 });
            // What a neighbour passes on was said earlier, by the clock that its mail has.
            let ago_ms = if way == Way::Again { self.now.wall_ms.saturating_sub(mail.at.ms()) } else { 0 };
            peer.told = Some(Told { at_mono_ms: self.now.mono_ms.saturating_sub(ago_ms), narrowly });
            if presence.program.is_some() {
                peer.program = presence.program;
            }
            if presence.certificate.is_some() {
                peer.introduction = Some(mail.clone());
            }
            peer.latest = Some(mail.clone());
            peer.sells = presence.sells;
            peer.rates = presence.rates;
            peer.rates_at_ms = self.now.mono_ms;
            for device in &presence.reaches {
                self.heard_of(*device);
            }
            // Who is linked asks over the link.
            if let Some(ask) = presence.asks.filter(|_| !self.peers.is_linked(&mail.from))
                && self.budgets.may_work(&mail.from, self.now.mono_ms)
            {
                self.tell_past(mail.from, &ask);
            }
            self.take_word(mail.from, word, presence.reaches);
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
            Message::AskPast(ask) if ask.ends.len() <= MAX_OWN_ENDS => self.tell_past(from, ask),
            Message::Past(told) => self.hear_past(from, told),
            Message::AskPast(_)
            | Message::Frontier(_)
            | Message::Entries(_)
            | Message::Digest(_)
            | Message::Hello(_)
            | Message::AskSealed(_)
            | Message::Sealed(_)
            | Message::Mail(_)
            | Message::Who(_)
            | Message::Heard(_)
            | Message::Compare(_)
            | Message::AskEntries(_)
            | Message::Farewell => {
                self.fault(from, "mail that cannot be read".to_owned());
            }
        }
    }

    /// A sale says how fast its seller sells, if it is not an old one.
    pub(super) fn note_rate(&mut self, seller: DeviceId, at: Hlc, event: &Event<'_>) {
        let Body::Sale(sale) = &event.record.body else { return };
        // Nor are units moved after each sale over narrow links.
        let narrowly = self.peers.get(&seller).is_some_and(|peer| peer.heard_through.is_some());
        let is_old = self.now.wall_ms.saturating_sub(at.ms()) > OLD_SALE_MS;
        if is_old || narrowly || self.narrow.is_to(&seller) {
            return;
        }
        for line in &sale.lines {
            let lot = self.holdings.parcel(&line.parcel).and_then(|parcel| self.holdings.lot(&parcel.lot));
            if let Some(sku) = lot.map(|lot| lot.sku.clone()) {
                let sold = &mut self.peers.get_mut(&seller).sold;
                sold.note(event.drop, &sku, line.units.len(), self.now.mono_ms);
            }
        }
    }

    /// Gives stock unasked to where it sells faster. A device that has left gives all to its heir instead.
    pub(super) fn share_out(&mut self) {
        if self.own_leave().is_some() {
            return;
        }
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
        let mut shared = std::mem::take(&mut self.shared);
        shared.0.retain(|shelf, _| shelves.contains(shelf));
        let mut sellers_at: BTreeMap<Place, Vec<DeviceId>> = BTreeMap::new();
        for (drop, sku, place) in shelves {
            // Where it is over, nobody wants it.
            let over = self.is_over(&drop, &self.venue) || self.is_over(&drop, &place);
            if over || self.sales.wait_for(&drop, &sku).is_some() {
                continue;
            }
            let there = sellers_at.entry(place.clone()).or_insert_with(|| self.sellers_at(&place));
            let sellers = self.sellers(&drop, &sku, &place, there);
            let pause = shared.0.entry((drop.clone(), sku.clone(), place.clone())).or_default();
            let for_nothing = self.plant.has(Planted::ShareForNothing);
            if !for_nothing && !pause.is_over(&sellers, self.now.mono_ms) {
                continue;
            }
            let mut gifts = self.config.policy.share(&self.me, &sellers);
            if for_nothing {
                gifts = sellers
                    .iter()
                    .filter(|seller| seller.device != self.me)
                    .map(|seller| (seller.device, 1))
                    .take(1)
                    .collect();
            }
            if !gifts.is_empty() {
                pause.gave(self.now.mono_ms);
            }
            let shelf = (drop, sku, Some(place));
            for (to, units) in gifts {
                // What cannot be given stays; the next round tries again.
                let _ = self.give(&shelf, units, to, None);
            }
        }
        self.shared = shared;
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
            let now = self.now.mono_ms;
            let rate = self.peers.get(device).map_or(0, |peer| peer.rate(drop, sku, now));
            sellers.push(Seller { device: *device, sells: true, rate, free: free(device) });
        }
        sellers
    }
}

/// The longest time until stock of which nothing sells is shared out again, milliseconds.
const PAUSE_MOST_MS: u64 = 600_000;

/// For each shelf of this device's, how long it shares out nothing.
#[derive(Debug, Default)]
pub(super) struct Shared(BTreeMap<(DropId, Sku, Place), Pause>);

/// While nothing sells and nobody comes or goes, each gift is followed by a pause twice as long as the one before. Where news
/// of a gift takes longer than it takes to give again, two devices would else go on handing units round by what they last
/// heard: with pauses the news is there in the end, and stock comes to rest.
#[derive(Debug, Default)]
struct Pause {
    /// The sellers, and how many units they have together.
    of: (Vec<DeviceId>, u64),
    until_ms: u64,
    next_ms: u64,
}

impl Pause {
    fn is_over(&mut self, sellers: &[Seller], now_ms: u64) -> bool {
        let of = (
            sellers.iter().map(|seller| seller.device).collect(),
            sellers.iter().map(|seller| seller.free).sum(),
        );
        if self.of != of || sellers.iter().any(|seller| seller.rate > 0) {
            *self = Self { of, until_ms: 0, next_ms: 0 };
        }
        now_ms >= self.until_ms
    }

    fn gave(&mut self, now_ms: u64) {
        self.next_ms = (2 * self.next_ms).clamp(1_000, PAUSE_MOST_MS);
        self.until_ms = now_ms + self.next_ms;
    }
}
