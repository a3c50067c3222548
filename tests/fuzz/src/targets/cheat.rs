//! Records that are well-formed and mean something, made up by an admitted device: what it holds sold twice, claims of
//! others redeemed, devices retired, and all of it in any order. The bytes are the choices.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::Tender;
use popmesh_proto::id::{DeviceId, ReceiptHash, Ref};
use popmesh_proto::identity::{Ed25519, SignedCertificate};
use popmesh_proto::payment::{Back, BackPart, Payment, PaymentSettled, Payments};
use popmesh_proto::pin::EpochMark;
use popmesh_proto::receipt::{self, ReceiptLink};
use popmesh_proto::record::{
    Announced, Aside, Behaved, Body, COPY_BYTES, Cause, Custody, Damage, Door, Entrust, Epoch, EpochCopies,
    EpochCopy, Hold, Inherit, Leave, Line, Mint, Move, Received, Record, Redeem, Refund, RefundRequest,
    Release, Renewal, Resolve, Retire, RetireCut, Sale, SaleLine, Step, StepKind, Transfer, Unlock, WrongPin,
};
use popmesh_proto::token::{Kind, Token, TokenItem};
use popmesh_proto::units::UnitSet;

use super::record::{agree, authors, hand};
use crate::Target;
use crate::alter::Alter;
use crate::author::Author;
use crate::cursor::Cursor;
use crate::event::{EPOCH_MS, event};
use crate::node::{Node, SECOND_MS};
use crate::targets::device::LATER_MS;

const MOST_RECORDS: usize = 24;
const PRICE: i64 = 2500;

pub(crate) const TARGET: Target = Target {
    name: "cheat",
    what: "records that mean something, made up and signed by admitted devices, against two devices that must agree",
    run,
    seeds,
    most_bytes: 512,
};

/// What the cheats know: what there is to refer to, and where they stand.
struct Plot {
    refs: Vec<Ref>,
    /// Of each author.
    receipts: Vec<ReceiptLink>,
    at_ms: u64,
}

impl Plot {
    fn new(authors: usize) -> Self {
        let refs = event().entries().collect();
        Self { refs, receipts: vec![ReceiptLink::FIRST; authors], at_ms: EPOCH_MS + LATER_MS }
    }

    /// Something that was written, the newest most often.
    fn entry(&self, cursor: &mut Cursor<'_>) -> Ref {
        let back = cursor.below(self.refs.len() + 1);
        match back.checked_sub(1) {
            Some(back) => self.refs[self.refs.len() - 1 - back],
            // What nobody has written yet: the next of the newest chain.
            None => self.refs.last().map(|last| Ref { seq: last.seq + 2, ..*last }).unwrap(),
        }
    }

    fn device(cursor: &mut Cursor<'_>) -> DeviceId {
        cursor.pick(&event().parties()).id()
    }

    fn units(cursor: &mut Cursor<'_>) -> UnitSet {
        let first = 1 + cursor.below(44) as u32;
        let length = cursor.below(12) as u32;
        let mut units = UnitSet::range(first, first + length);
        if length == 11 {
            units.insert_all(&UnitSet::range(first + 20, first + 20));
        }
        units
    }

    fn lines(&self, cursor: &mut Cursor<'_>) -> Vec<Line> {
        let count = if cursor.chance(220) { 1 } else { 2 };
        (0..count).map(|_| Line { parcel: self.entry(cursor), units: Self::units(cursor) }).collect()
    }

    fn sale_lines(&self, cursor: &mut Cursor<'_>) -> Vec<SaleLine> {
        let line = |line: Line| SaleLine { parcel: line.parcel, units: line.units, unit_price: PRICE };
        self.lines(cursor).into_iter().map(line).collect()
    }

    fn receipt(&self, author: usize, cursor: &mut Cursor<'_>) -> ReceiptLink {
        match cursor.below(8) {
            0 => ReceiptLink::FIRST,
            1 => ReceiptLink { number: 2 + cursor.below(250) as u64, previous: Some(ReceiptHash([9; 16])) },
            2 => ReceiptLink { number: u64::MAX, previous: Some(ReceiptHash([9; 16])) },
            _ => self.receipts[author],
        }
    }

    fn sale(&self, author: usize, cursor: &mut Cursor<'_>) -> Sale {
        let lines = self.sale_lines(cursor);
        let total = lines.iter().map(|line| line.unit_price * line.units.len() as i64).sum::<i64>();
        let payments = match cursor.below(4) {
            0 => {
                let first = Payment { deferred: true, ..Payment::plain(Tender::Card, total / 2) };
                Payments::Parts(vec![first, Payment::plain(Tender::Cash, total - total / 2)])
            }
            1 => Payments::Whole(Tender::Card),
            _ => Payments::Whole(Tender::Cash),
        };
        let pickup_at = cursor.chance(160).then(|| Self::device(cursor));
        let expires_ms = pickup_at.filter(|_| cursor.chance(60)).map(|_| self.at_ms + 1);
        Sale {
            lines,
            payments,
            pickup_at,
            programme: cursor.chance(20).then(Vec::new),
            taxes: None,
            receipt: self.receipt(author, cursor),
            step: cursor.chance(40).then(|| self.entry(cursor)),
            pin: None,
            shopper: cursor.chance(20).then(|| "order-7".parse().unwrap()),
            expires_ms,
        }
    }

    fn refund(&self, author: usize, cursor: &mut Cursor<'_>) -> Refund {
        let (claim, under, lines) = (self.entry(cursor), self.entry(cursor), self.lines(cursor));
        let amount = lines.iter().map(|line| PRICE * line.units.len() as i64).sum();
        let part = BackPart {
            payment: 1 + cursor.below(3) as u8,
            tender: Tender::Cash,
            amount,
            cancelled: cursor.chance(60),
            rounding: None,
        };
        let handed_out = cursor.chance(60).then(|| self.entry(cursor));
        Refund {
            claim,
            under,
            lines,
            place: "hall".parse().unwrap(),
            damaged: cursor.chance(60),
            handed_out,
            receipt: self.receipt(author, cursor),
            back: Back { parts: vec![part], taxes: None },
            unclaimed: (handed_out.is_none() && cursor.chance(60)).then_some(true),
        }
    }

    fn cause(&self, cursor: &mut Cursor<'_>) -> Option<Cause> {
        match cursor.below(6) {
            0 => Some(Cause::Leave(self.entry(cursor))),
            1 | 2 => Some(Cause::Wish {
                number: cursor.below(4) as u64,
                left_ms: 1 + 1000 * cursor.below(200) as u64,
            }),
            _ => None,
        }
    }

    fn of_stock(&self, cursor: &mut Cursor<'_>) -> Body {
        match cursor.below(10) {
            9 => Body::Step(Self::step(cursor)),
            0 => {
                let first = if cursor.chance(20) { u32::MAX - 40 } else { 1 + cursor.below(60) as u32 };
                let last = first + cursor.below(40) as u32;
                let sku = if cursor.chance(200) { "shirt" } else { "cap" };
                let (sku, place) = (sku.parse().unwrap(), "hall".parse().unwrap());
                let numbered = cursor.chance(128);
                let edition = (numbered && cursor.chance(100)).then(|| "gold".parse().ok()).flatten();
                Body::Mint(Mint { sku, first, last, numbered, place, edition })
            }
            1 | 2 => {
                let aside = cursor.chance(60).then(|| Aside {
                    cart: self.entry(cursor),
                    pieces: 1 + cursor.below(3) as u32,
                    left_ms: 1 + 1000 * cursor.below(200) as u64,
                    unit_price: PRICE,
                    shopper: None,
                });
                let cause = if aside.is_some() { None } else { self.cause(cursor) };
                Body::Transfer(Transfer { to: Self::device(cursor), lines: self.lines(cursor), aside, cause })
            }
            3 => Body::Received(Received { transfers: vec![self.entry(cursor)] }),
            4 => {
                let place = if cursor.chance(128) { "hall" } else { "till/07" }.parse().unwrap();
                Body::Move(Move { place, lines: self.lines(cursor) })
            }
            5 => Body::Damage(Damage { lines: self.lines(cursor) }),
            6 => {
                let ttl_ms = 1 + 1000 * cursor.below(200) as u64;
                Body::Hold(Hold { lines: self.sale_lines(cursor), ttl_ms, shopper: None })
            }
            7 => Body::Release(Release { hold: self.entry(cursor) }),
            _ => Body::Inherit(Inherit {
                retirement: self.entry(cursor),
                lines: self.lines(cursor),
                heirs: self.heirs(cursor),
            }),
        }
    }

    fn heirs(&self, cursor: &mut Cursor<'_>) -> Option<Vec<Ref>> {
        let count = if cursor.chance(60) { 1 + cursor.below(2) } else { 0 };
        (count > 0).then(|| (0..count).map(|_| self.entry(cursor)).collect())
    }

    /// A genuine token that lets `by` hand a claim out under whatever it wants, from whoever sells and may have sold something
    /// else.
    fn token(by: DeviceId, claim: Ref, under: Ref, cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
        let parties = event().parties();
        let issuer = cursor.pick(&parties);
        let token = Token {
            kind: Kind::Claim,
            claim,
            drop: "night".parse().unwrap(),
            items: vec![TokenItem { sku: "shirt".parse().unwrap(), units: Self::units(cursor) }],
            custodian: by,
            under: (under != claim).then_some(under),
            issued_ms: EPOCH_MS + LATER_MS,
            not_before_ms: None,
            expires_ms: None,
            pin: None,
        };
        let signed = token.sign(&Ed25519, &issuer.secret, &issuer.certificate).ok()?;
        Some(signed.bytes().to_vec())
    }

    fn of_claims(&self, author: usize, by: DeviceId, cursor: &mut Cursor<'_>) -> Body {
        match cursor.below(11) {
            0..3 => Body::Sale(self.sale(author, cursor)),
            3 => {
                let retirement = cursor.chance(60).then(|| self.entry(cursor));
                let (claim, under) = (self.entry(cursor), self.entry(cursor));
                let heirs = self.heirs(cursor).filter(|_| retirement.is_some());
                let handed_out = cursor.chance(60).then(|| self.entry(cursor));
                Body::Custody(Custody {
                    retirement,
                    heirs,
                    handed_out,
                    refunds: self.heirs(cursor),
                    ..Custody::of(claim, under, Self::device(cursor))
                })
            }
            4 => {
                let compartments = cursor.chance(100).then(|| vec!["07".parse().unwrap()]);
                let (claim, under) = (self.entry(cursor), self.entry(cursor));
                let token = match cursor.below(12) {
                    0 => Some(vec![1; 9]),
                    1..4 => Self::token(by, claim, under, cursor),
                    _ => None,
                };
                Body::Redeem(Redeem { claim, under, token, compartments })
            }
            5 | 6 => Body::Refund(self.refund(author, cursor)),
            7 => Body::RefundRequest(RefundRequest { claim: self.entry(cursor) }),
            8 => {
                let behaved = match cursor.below(3) {
                    0 => Behaved::Opened("07".parse().unwrap()),
                    1 => Behaved::Stuck { compartment: "07".parse().unwrap(), reason: "jammed".to_owned() },
                    _ => Behaved::Settled { handed_over: cursor.chance(128), by: "Mo".to_owned() },
                };
                Body::Door(Door { redemption: self.entry(cursor), behaved })
            }
            9 => {
                let (claim, payment) = (self.entry(cursor), 1 + cursor.below(3) as u8);
                let amount = if cursor.chance(20) { i64::MAX } else { PRICE * cursor.below(9) as i64 + 1 };
                Body::PaymentSettled(PaymentSettled {
                    claim,
                    payment,
                    amount,
                    failed: cursor.chance(100),
                    reference: None,
                })
            }
            _ if cursor.chance(128) => Body::WrongPin(WrongPin { claim: self.entry(cursor) }),
            _ => Body::Unlock(Unlock {
                claim: self.entry(cursor),
                lock: cursor.chance(128).then(|| self.entry(cursor)),
            }),
        }
    }

    /// A step that somebody takes who may, or may not; at a venue that is there or not.
    fn step(cursor: &mut Cursor<'_>) -> Step {
        let kind = *cursor.pick(&[StepKind::Announce, StepKind::Open, StepKind::LastCall, StepKind::Close]);
        let venue = match cursor.below(4) {
            0 => Some("hall".parse().unwrap()),
            1 => Some("moon".parse().unwrap()),
            _ => None,
        };
        let announces = kind == StepKind::Announce;
        let units = (announces && venue.is_none())
            .then(|| vec![Announced { sku: "shirt".parse().unwrap(), units: 1 + u64::from(cursor.byte()) }]);
        let ends_ms = (announces && cursor.chance(80)).then(|| u64::from(cursor.byte()) << 40);
        Step { kind, round: cursor.below(3) as u32, venue, units, ends_ms }
    }

    /// A certificate that a hostile hq signs for another device, for longer, and perhaps for more.
    fn renewal(cursor: &mut Cursor<'_>) -> Vec<u8> {
        let event = event();
        let mut said = (***cursor.pick(&event.parties().map(|party| &party.certificate))).clone();
        if cursor.chance(200) {
            said.roles = "pos,locker".parse().unwrap();
        }
        said.not_after_ms = event.mallory.certificate.not_after_ms - u64::from(cursor.byte());
        let (key, own) = (&event.mallory.secret, &event.mallory.certificate);
        SignedCertificate::sign_as(said, key, own, &event.charter)
            .map_or_else(|_| own.bytes().to_vec(), |signed| signed.bytes().to_vec())
    }

    /// What gives somebody the right to retire: mostly a certificate.
    fn right(&self, cursor: &mut Cursor<'_>) -> Option<Ref> {
        cursor.chance(80).then(|| self.entry(cursor))
    }

    fn copies(cursor: &mut Cursor<'_>) -> Vec<EpochCopy> {
        let sealed = [cursor.below(256) as u8; COPY_BYTES].to_vec();
        vec![EpochCopy { to: Self::device(cursor), sealed: sealed.into() }]
    }

    fn of_devices(&self, cursor: &mut Cursor<'_>) -> Body {
        match cursor.below(8) {
            7 => Body::EpochCopies(EpochCopies { epoch: self.entry(cursor), copies: Self::copies(cursor) }),
            6 => {
                let without = if cursor.chance(128) { vec![Self::device(cursor)] } else { Vec::new() };
                let mut copies = Self::copies(cursor);
                copies.retain(|copy| !without.contains(&copy.to));
                Body::Epoch(Epoch { mark: EpochMark([cursor.byte(); 4]), without, copies })
            }
            5 => Body::Leave(Leave { to: cursor.chance(180).then(|| Self::device(cursor)) }),
            3 => Body::Renewal(Renewal { certificate: Self::renewal(cursor) }),
            0 | 1 => {
                let mut cut: Vec<Ref> = (0..cursor.below(5)).map(|_| self.entry(cursor)).collect();
                cut.sort();
                cut.dedup_by_key(|last| last.chain);
                let device = Self::device(cursor);
                // Parts are made here as well, and named whether or not they are there.
                if cursor.chance(80) {
                    return Body::RetireCut(RetireCut { device, cut });
                }
                let parts = cursor.chance(80).then(|| 1 + cursor.below(4) as u32);
                Body::Retire(Retire { device, cut, under: self.right(cursor), parts })
            }
            2 => Body::Entrust(Entrust { to: Self::device(cursor), under: self.right(cursor) }),
            _ => Body::Resolve(Resolve { incident: self.entry(cursor), note: "looked into it".to_owned() }),
        }
    }

    fn body(&self, author: usize, of: &Author, cursor: &mut Cursor<'_>) -> Body {
        match of.document.to_string().split('/').next() {
            Some("stock") => self.of_stock(cursor),
            Some("claims") => self.of_claims(author, of.party.id(), cursor),
            _ => self.of_devices(cursor),
        }
    }

    /// An entry was taken in: it can be referred to, and the next receipt follows it.
    fn note(&mut self, author: usize, of: &Author, entry: Ref, record: &Record) {
        self.refs.push(entry);
        if let Some(receipt) = ReceiptLink::of(record) {
            let hash = receipt::hash(&event().charter.event(), &of.party.id(), &entry, &record.encode());
            self.receipts[author] =
                ReceiptLink { number: receipt.number.saturating_add(1), previous: Some(hash) };
        }
    }
}

/// What came of one byte string.
struct Played {
    node: Node,
    authors: Vec<Author>,
    written: Vec<(usize, Vec<u8>)>,
}

fn play(bytes: &[u8]) -> Played {
    let event = event();
    let mut node = Node::open(event, &event.till, &event.evening, LATER_MS);
    let mut authors = authors();
    let mut plot = Plot::new(authors.len());
    let mut written = Vec::new();
    let mut cursor = Cursor::new(bytes);
    for _ in 0..MOST_RECORDS {
        if cursor.is_empty() {
            break;
        }
        let number = cursor.below(authors.len() + 2);
        let Some(author) = authors.get_mut(number) else {
            // Time passes, or the power fails.
            if cursor.chance(200) {
                node.pass(u64::from(cursor.byte()) * SECOND_MS);
            } else {
                node.reopen();
            }
            continue;
        };
        if author.entries.len() == 1 {
            node.message(author.party.id(), author.last(1));
        }
        plot.at_ms += 1 + u64::from(cursor.byte());
        let record =
            Record { at: Hlc::from_ms(plot.at_ms), body: plot.body(number, author, &mut cursor), key: None };
        let body = record.encode();
        let entry = author.append(body.clone());
        if hand(&mut node, author, 1) {
            plot.note(number, author, entry, &record);
            written.push((number, body));
        }
    }
    Played { node, authors, written }
}

fn run(bytes: &[u8]) {
    let played = play(bytes);
    agree(played.node, &played.authors);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut alter = Alter::new(1);
    (0..32).map(|_| (0..160).map(|_| alter.below(256) as u8).collect()).collect()
}

/// What the seeds have the cheats write, by author.
pub(crate) fn written() -> impl Iterator<Item = Vec<(usize, Vec<u8>)>> {
    seeds().into_iter().map(|seed| play(&seed).written)
}
