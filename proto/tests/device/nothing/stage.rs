//! The stage: an evening whose stock and claims are all in the hands of devices that exist on paper only, so that nothing
//! happens but what a row of the table writes. Two real devices look on, an hq and a till.

use std::collections::BTreeMap;

use popmesh_crafted::{Author, Prey, PreyClaim, PreyUnits};
use popmesh_proto::clock::Hlc;
use popmesh_proto::command::Tender;
use popmesh_proto::document::Document;
use popmesh_proto::id::{DeviceId, Hash, Nonce, Ref};
use popmesh_proto::identity::{Ed25519, SecretKey, SignedCertificate};
use popmesh_proto::payment::{Payment, Payments};
use popmesh_proto::pin::EpochMark;
use popmesh_proto::receipt::{self, ReceiptLink};
use popmesh_proto::record::{
    Body, COPY_BYTES, Consent, Entrust, Epoch, EpochCopy, Hold, Leave, Line, Mint, Personal, PersonalKind,
    Received, Record, Redeem, Refund, Retire, Sale, SaleLine, Transfer, WrongPin,
};
use popmesh_proto::token::{Kind, Token, TokenItem};
use popmesh_proto::units::UnitSet;

use crate::event::{night, shirt};
use crate::wire::entries;
use crate::world::{EPOCH_MS, VALID_MS, World};

/// The device that looks on: an hq, which is shown more than others.
pub(super) const DESK: usize = 1;
/// The third device, which hears of everything from the desk.
pub(super) const TILL: usize = 2;

pub(super) const PRICE: i64 = 2_500;

/// Devices on paper. Each has a certificate, and nobody's box runs with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// An hq that may retire.
    Boss,
    /// An hq, to which [`Who::Giver`] gave the right to retire.
    Chief,
    /// An hq that gave the right to retire away.
    Giver,
    /// Holds, sells, and takes personal data down.
    Holder,
    /// Was given units, and has not said that it knows.
    Other,
    /// The custodian of claims.
    Locker,
    Encoder,
    /// A till that nobody gave anything.
    Mallory,
    /// Nobody has heard of it yet.
    Newcomer,
    /// Was retired by [`Who::Boss`].
    Dead,
}

pub(super) const EVERYBODY: [Who; 10] = [
    Who::Boss,
    Who::Chief,
    Who::Giver,
    Who::Holder,
    Who::Other,
    Who::Locker,
    Who::Encoder,
    Who::Mallory,
    Who::Newcomer,
    Who::Dead,
];

impl Who {
    fn roles(self) -> &'static str {
        match self {
            Who::Boss | Who::Giver => "hq,registrar",
            Who::Chief => "hq",
            Who::Locker => "locker",
            Who::Encoder => "encoder",
            _ => "pos",
        }
    }

    pub(super) fn secret(self) -> SecretKey {
        SecretKey::from_seed(&[100 + self as u8; 32])
    }

    pub(super) fn id(self) -> DeviceId {
        self.secret().id()
    }

    fn nonce(self) -> Nonce {
        Nonce([self as u8; 16])
    }
}

pub(super) fn stock() -> Document {
    Document::Stock(night())
}

pub(super) fn claims() -> Document {
    Document::Claims(night())
}

/// Another drop, of which nothing is known.
pub(super) fn elsewhere(document: &Document) -> Option<Document> {
    let other = "other".parse().unwrap();
    match document {
        Document::Stock(_) => Some(Document::Stock(other)),
        Document::Claims(_) => Some(Document::Claims(other)),
        Document::Programme | Document::Devices | Document::People => None,
    }
}

pub(super) struct Stage {
    pub(super) world: World,
    chains: BTreeMap<(Who, Document), Author>,
    receipts: BTreeMap<Who, ReceiptLink>,
    /// Milliseconds after the world's beginning: the time of the last entry.
    ms: u64,
    pub(super) prey: Prey,
    /// The number of the next life that is begun.
    lives: u8,
    /// How many entries of each chain were told.
    told: BTreeMap<(Who, Document), usize>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut world = World::new(77);
        for (name, roles) in [("hq", "hq"), ("desk", "hq"), ("till", "pos")] {
            world.add(name, roles, "hall");
        }
        world.link_all();
        world.open_drop(0, 0);
        world.run_ms(3_000);
        world.converge(5_000);
        // It would do what an hq has to.
        world.power_cut_with(0, true);
        let mut stage = Self {
            world,
            chains: BTreeMap::new(),
            receipts: BTreeMap::new(),
            ms: 4_000,
            prey: Prey::default(),
            lives: 150,
            told: BTreeMap::new(),
        };
        for who in EVERYBODY.into_iter().filter(|who| *who != Who::Newcomer) {
            for document in [stock(), claims(), Document::Devices, Document::People] {
                stage.chain(who, &document);
            }
        }
        stage.play();
        stage.tell();
        stage
    }

    /// The time of the next entry.
    pub(super) fn next_at(&mut self) -> Hlc {
        self.ms += 10;
        Hlc::from_ms(EPOCH_MS + self.ms)
    }

    /// A time before all that is on the stage.
    pub(super) fn early(&self, ms: u64) -> Hlc {
        Hlc::from_ms(EPOCH_MS + ms)
    }

    pub(super) fn certificate(&self, who: Who) -> SignedCertificate {
        self.certificate_for(who, VALID_MS)
    }

    /// One that ends so long after the world's beginning.
    pub(super) fn certificate_for(&self, who: Who, until_ms: u64) -> SignedCertificate {
        let name = format!("{who:?}").to_lowercase();
        self.world.certify(&who.secret(), &name, who.roles(), "hall", (0, until_ms))
    }

    /// A certificate of somebody's that ends with the next millisecond.
    pub(super) fn ends_now(&self, who: Who) -> SignedCertificate {
        // What begins with it is written 10 ms from now, what follows 20.
        self.certificate_for(who, self.ms + 11)
    }

    /// Has somebody begin a life in a document under a certificate, and tells of that.
    pub(super) fn next_life(&mut self, who: Who, certificate: &SignedCertificate, document: &Document) {
        let (at, lives) = (self.next_at(), self.lives);
        self.lives += 1;
        let author = self.chain(who, document).next_life(certificate, at, Nonce([lives; 16]));
        self.chains.insert((who, document.clone()), author);
        self.told.insert((who, document.clone()), 0);
        self.tell();
    }

    /// The chain of somebody in a document, begun if it is not.
    pub(super) fn chain(&mut self, who: Who, document: &Document) -> &mut Author {
        let key = (who, document.clone());
        if !self.chains.contains_key(&key) {
            let (at, certificate) = (self.next_at(), self.certificate(who));
            let author = Author::begin(&who.secret(), &certificate, document, at, who.nonce(), None);
            self.chains.insert(key.clone(), author);
        }
        self.chains.get_mut(&key).unwrap()
    }

    pub(super) fn write(&mut self, who: Who, document: &Document, body: Body) -> Ref {
        let at = self.next_at();
        self.chain(who, document).write(at, body)
    }

    /// The receipt that somebody's next sale or refund has.
    pub(super) fn receipt(&self, who: Who) -> ReceiptLink {
        self.receipts.get(&who).copied().unwrap_or(ReceiptLink::FIRST)
    }

    /// Writes what has a receipt.
    fn write_with_receipt(&mut self, who: Who, body: impl FnOnce(ReceiptLink) -> Body) -> Ref {
        let link = self.receipt(who);
        let entry = self.write(who, &claims(), body(link));
        self.note_receipt(who, &claims());
        entry
    }

    /// The next receipt follows the one that somebody wrote last, if that has one.
    fn note_receipt(&mut self, who: Who, document: &Document) {
        let author = &self.chains[&(who, document.clone())];
        let last = author.entries.last().unwrap();
        let Some(link) = Record::decode(&last.body).ok().as_ref().and_then(ReceiptLink::of) else { return };
        let entry = Ref { chain: last.chain, seq: last.seq };
        let previous = Some(receipt::hash(&author.event, &who.id(), &entry, &last.body));
        self.receipts.insert(who, ReceiptLink { number: link.number + 1, previous });
    }

    fn transfer(&mut self, to: Who, lot: Ref, first: u32, last: u32) -> Ref {
        let lines = vec![Line { parcel: lot, units: UnitSet::range(first, last) }];
        let transfer = Transfer { to: to.id(), lines, aside: None, cause: None };
        self.write(Who::Chief, &stock(), Body::Transfer(transfer))
    }

    fn sale(&mut self, parcel: Ref, unit: u32, at: Who, deferred: bool) -> Ref {
        let lines = vec![SaleLine { parcel, units: UnitSet::range(unit, unit), unit_price: PRICE }];
        let payments = match deferred {
            true => Payments::Parts(vec![Payment { deferred, ..Payment::plain(Tender::Card, PRICE) }]),
            false => Payments::Whole(Tender::Cash),
        };
        self.write_with_receipt(Who::Holder, |receipt| {
            Body::Sale(Sale {
                lines,
                payments,
                pickup_at: Some(at.id()),
                programme: None,
                taxes: None,
                receipt,
                step: None,
                pin: None,
                shopper: None,
                expires_ms: None,
            })
        })
    }

    pub(super) fn token(&self, issuer: Who, claim: &PreyClaim, custodian: DeviceId) -> Vec<u8> {
        let token = Token {
            kind: Kind::Claim,
            claim: claim.claim,
            drop: night(),
            items: vec![TokenItem { sku: shirt(), units: claim.lines[0].1.clone() }],
            custodian,
            under: None,
            issued_ms: EPOCH_MS + self.ms,
            not_before_ms: None,
            expires_ms: None,
            pin: None,
        };
        token.sign(&Ed25519, &issuer.secret(), &self.certificate(issuer)).unwrap().bytes().to_vec()
    }

    /// What happened before the table is looked at.
    fn play(&mut self) {
        let place = || "hall".parse().unwrap();
        let mint = Mint { sku: shirt(), first: 1, last: 100, numbered: true, place: place(), edition: None };
        let lot = self.write(Who::Chief, &stock(), Body::Mint(mint));
        let held = self.transfer(Who::Holder, lot, 1, 10);
        let for_sale = self.transfer(Who::Holder, lot, 11, 20);
        let received = Received { transfers: vec![held, for_sale] };
        self.write(Who::Holder, &stock(), Body::Received(received));
        let given = self.transfer(Who::Other, lot, 21, 25);
        let of_dead = self.transfer(Who::Dead, lot, 31, 35);
        self.write(Who::Dead, &stock(), Body::Received(Received { transfers: vec![of_dead] }));
        let aside = vec![SaleLine { parcel: held, units: UnitSet::range(1, 1), unit_price: PRICE }];
        let hold = Hold { lines: aside, ttl_ms: 3_600_000, shopper: None };
        let hold = self.write(Who::Holder, &stock(), Body::Hold(hold));
        let claim = |claim: Ref, unit: u32, custodian: Who| PreyClaim {
            drop: night(),
            claim,
            custodian: custodian.id(),
            under: claim,
            lines: vec![(for_sale, UnitSet::range(unit, unit))],
            place: place(),
            handed_out: None,
            token: None,
        };
        let waiting = self.sale(for_sale, 11, Who::Locker, false);
        let mut waiting = claim(waiting, 11, Who::Locker);
        waiting.token = Some(self.token(Who::Holder, &waiting, Who::Locker.id()));
        let handed_out = self.sale(for_sale, 12, Who::Locker, false);
        let mut handed_out = claim(handed_out, 12, Who::Locker);
        let compartment = "1".parse::<popmesh_proto::text::Compartment>().unwrap();
        let redeem = Redeem {
            claim: handed_out.claim,
            under: handed_out.claim,
            token: None,
            compartments: Some(vec![compartment.clone()]),
        };
        let redemption = self.write(Who::Locker, &claims(), Body::Redeem(redeem));
        handed_out.handed_out = Some(redemption);
        let deferred = self.sale(for_sale, 13, Who::Locker, true);
        let with_dead = self.sale(for_sale, 14, Who::Dead, false);
        let locked = self.sale(for_sale, 15, Who::Locker, false);
        let wrong = |_| Body::WrongPin(WrongPin { claim: locked });
        let lock = (0..5).map(|try_| self.write(Who::Locker, &claims(), wrong(try_))).last().unwrap();
        let shopper = Some("ana".parse().unwrap());
        let personal = Personal {
            kind: PersonalKind::Contact,
            shopper: shopper.clone(),
            sku: None,
            drop: None,
            consent: Some(Consent { text: "write to me".to_owned(), version: "1".to_owned() }),
            hash: Hash([1; 32]),
            size: 256,
        };
        let personal = self.write(Who::Holder, &Document::People, Body::Personal(personal));
        let leave =
            self.write(Who::Holder, &Document::Devices, Body::Leave(Leave { to: Some(Who::Other.id()) }));
        self.write(Who::Holder, &Document::Devices, Body::Leave(Leave { to: None }));
        let left = Body::Leave(Leave { to: Some(Who::Boss.id()) });
        self.write(Who::Giver, &Document::Devices, left);
        let entrust = Entrust { to: Who::Chief.id(), under: None };
        let right = self.write(Who::Giver, &Document::Devices, Body::Entrust(entrust));
        let retirement = self.retire(Who::Dead);
        // What it did not hold.
        let stolen = vec![Line { parcel: held, units: UnitSet::range(9, 9) }];
        let theft = Transfer { to: Who::Giver.id(), lines: stolen, aside: None, cause: None };
        let incident = self.write(Who::Other, &stock(), Body::Transfer(theft));
        let copy = EpochCopy { to: Who::Holder.id(), sealed: vec![1; COPY_BYTES].into() };
        let epoch = Epoch { mark: EpochMark([1; 4]), without: vec![Who::Dead.id()], copies: vec![copy] };
        let epoch = self.write(Who::Chief, &Document::Devices, Body::Epoch(epoch));
        let units = |holder: Who, parcel, first, last| PreyUnits {
            drop: night(),
            holder: holder.id(),
            parcel,
            units: UnitSet::range(first, last),
            place: place(),
        };
        self.prey = Prey {
            drop: Some((night(), shirt(), place())),
            units: Some(units(Who::Holder, held, 2, 4)),
            given: Some((night(), given)),
            hold: Some((night(), hold)),
            waiting: Some(waiting),
            handed_out: Some(handed_out),
            opening: Some((night(), redemption, compartment)),
            deferred: Some((night(), deferred, PRICE)),
            lock: Some((night(), locked, lock)),
            lost: None,
            right: Some(right),
            retirement: Some((
                retirement,
                Some(units(Who::Dead, of_dead, 31, 35)),
                Some(claim(with_dead, 14, Who::Dead)),
            )),
            incident: Some(incident),
            personal: Some((personal, shopper)),
            certificate: None,
            epoch: Some(epoch),
            leave: Some(leave),
            fork: None,
        };
        self.prey.lost = Some((Who::Encoder.id(), self.ends(Who::Encoder)));
    }

    /// The last entries of somebody.
    pub(super) fn ends(&self, who: Who) -> Vec<Ref> {
        let chains = self.chains.iter().filter(|((of, _), _)| *of == who);
        chains.map(|(_, chain)| Ref { chain: chain.chain, seq: chain.entries.len() as u64 }).collect()
    }

    /// The boss retires a device: what it wrote so far counts.
    pub(super) fn retire(&mut self, who: Who) -> Ref {
        // The boss itself by who was given the right to.
        let (by, under) = if who == Who::Boss { (Who::Chief, self.prey.right) } else { (Who::Boss, None) };
        let retire = Retire { device: who.id(), cut: self.ends(who), under, parts: None };
        self.write(by, &Document::Devices, Body::Retire(retire))
    }

    /// Hands everything that was written to the desk, and has the till hear of it from there.
    pub(super) fn tell(&mut self) {
        self.tell_desk();
        self.world.converge(10_000);
        assert_eq!(self.world.status(DESK).waiting, 0, "all that was told has come in");
    }

    /// The same, and the till hears what it hears.
    pub(super) fn tell_desk(&mut self) {
        let mut ranges = Vec::new();
        for (key, chain) in &self.chains {
            let told = self.told.entry(key.clone()).or_default();
            if *told < chain.entries.len() {
                ranges.push(crate::wire::range(&chain.entries[*told..]));
                *told = chain.entries.len();
            }
        }
        for some in ranges.chunks(16) {
            self.world.hand_from_anybody(DESK, entries(some.to_vec()));
        }
    }

    /// Hands what a chain written apart has after its first `known` entries to both that look on, each of whom judges alone.
    pub(super) fn hand(&mut self, author: &Author, known: usize) {
        [DESK, TILL].into_iter().for_each(|at| self.hand_to(at, author, known));
        self.world.run_ms(500);
    }

    pub(super) fn hand_to(&mut self, at: usize, author: &Author, known: usize) {
        let range = crate::wire::range(&author.entries[known..]);
        self.world.hand_from_anybody(at, entries(vec![range]));
    }

    /// What somebody wrote last has been told by itself.
    pub(super) fn goes_on(&mut self, who: Who, document: &Document, author: Author) {
        let key = (who, document.clone());
        self.told.insert(key.clone(), author.entries.len());
        self.chains.insert(key, author);
        self.note_receipt(who, document);
    }

    pub(super) fn refund(&mut self, by: Who, claim: &PreyClaim) -> Ref {
        let prey = Prey { waiting: Some(claim.clone()), ..Prey::default() };
        let Some((_, Body::Refund(refund))) = popmesh_crafted::Form::Refund.entry(&prey, by.id()) else {
            panic!("no refund");
        };
        self.write_with_receipt(by, |receipt| Body::Refund(Refund { receipt, ..refund }))
    }
}
