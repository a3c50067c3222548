//! What is wrong is refused before it is stored or shown, is held against the peer that sent it, and spoils nothing.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Sell, Tender};
use popmesh_proto::id::{DeviceId, ReceiptHash};
use popmesh_proto::identity::{Ed25519, SecretKey};
use popmesh_proto::io::{Input, Verdict};
use popmesh_proto::log::{Bodies, Range};
use popmesh_proto::message::{Gossip, MAX_GOSSIP, MAX_MESSAGE, Mail, Presence, encode};
use popmesh_proto::money::MAX_PRICE;
use popmesh_proto::payment::{Payment, Payments};
use popmesh_proto::receipt::ReceiptLink;
use popmesh_proto::record::{Body, Line, MAX_RECORD, Mint, Sale, SaleLine, Transfer};
use popmesh_proto::tax::{Prices, RateTax, Taxes};
use popmesh_proto::units::UnitSet;

use crate::author::begin;
use crate::event::{claim_of, sell, shirt};
use crate::rng::Rng;
use crate::wire::{entries, live, range};
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
pub(crate) const TILL: usize = 1;
const PEER: usize = 2;

pub(crate) fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("peer", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 10);
    world.run_ms(3_000);
    world.converge(5_000);
    world
}

pub(crate) fn at(ms: u64) -> Hlc {
    Hlc::from_ms(EPOCH_MS + ms)
}

fn lot() -> Body {
    let place = "hall".parse().unwrap();
    Body::Mint(Mint { sku: shirt(), first: 900, last: 909, numbered: true, place, edition: None })
}

/// Hands `ranges` to the till, and sees that they are refused, and that all goes on as before.
pub(crate) fn refused(world: &mut World, what: &str, ranges: Vec<Range>) {
    let before = (world.frontier(TILL), world.status(TILL).waiting);
    let faults = world.faults(TILL).len();
    world.hand_from_anybody(TILL, entries(ranges.clone()));
    assert!(world.faults(TILL).len() > faults, "{what}: it is held against the peer");
    let verdict = world.hand_gossip_from_anybody(PEER, TILL, live(ranges));
    assert_eq!(verdict, Verdict::Reject, "{what}");
    assert_eq!((world.frontier(TILL), world.status(TILL).waiting), before, "{what}: nothing of it stays");
    world.assert_sound();
}

/// All is well: the devices sell, agree, and open again from what they have stored.
pub(crate) fn still_works(mut world: World) {
    claim_of(world.done(TILL, Command::Sell(sell(1, 5_000))));
    claim_of(world.done(PEER, Command::Sell(sell(1, 5_000))));
    world.converge(5_000);
    world.assert_agreed();
    world.power_cut(TILL);
    world.power_on(TILL);
    for _ in 0..2 {
        claim_of(world.done(TILL, Command::Sell(sell(4, 5_000))));
    }
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn an_author_that_does_all_right_is_admitted() {
    let mut world = evening(1);
    let secret = SecretKey::from_seed(&[1; 32]);
    let certificate = world.certify(&secret, "stranger", "hq", "hall", (0, VALID_MS));
    let mut author = begin(&secret, &certificate, "stock/night", at(1));
    author.write(at(2), lot());
    let before = world.status(TILL).entries;
    let verdict = world.hand_gossip(PEER, TILL, live(vec![author.range()]));
    assert_eq!(verdict, Verdict::Accept);
    assert_eq!(world.status(TILL).entries, before + 2);
    assert_eq!(world.stock(TILL).unwrap().minted, 20);
}

#[test]
fn authors_without_the_right_are_refused() {
    let mut world = evening(2);
    let secret = SecretKey::from_seed(&[1; 32]);
    let hq = world.certify(&secret, "mallory", "hq", "hall", (0, VALID_MS));
    let mint_by = |certificate: &_, ms: u64| {
        let mut author = begin(&secret, certificate, "stock/night", at(ms));
        author.write(at(ms + 1), lot());
        author.range()
    };
    let other = World::new(99);
    let foreign = other.certify(&secret, "mallory", "hq", "hall", (0, VALID_MS));
    refused(&mut world, "another event's certificate", vec![mint_by(&foreign, 1)]);
    let mut pretended = begin(&secret, &foreign, "stock/night", at(1));
    pretended.event = hq.event();
    refused(&mut world, "another event's certificate, signed for this one", vec![pretended.range()]);
    let till = world.certify(&secret, "mallory", "pos,locker,encoder", "hall", (0, VALID_MS));
    refused(&mut world, "a mint by no hq", vec![mint_by(&till, 1)]);
    let expired = world.certify(&secret, "mallory", "hq", "hall", (0, 1_000));
    refused(&mut world, "written after its end", vec![mint_by(&expired, 1_000)]);
    refused(&mut world, "written up to its end and on", vec![mint_by(&expired, 999)]);
    let later = world.certify(&secret, "mallory", "hq", "hall", (1_000, VALID_MS));
    refused(&mut world, "written before its beginning", vec![mint_by(&later, 1)]);
    let certificate = world.nodes[HQ].certificate.clone();
    let stolen = begin(&secret, &certificate, "stock/night", at(1));
    refused(&mut world, "another device's certificate", vec![stolen.range()]);
    still_works(world);
}

#[test]
fn validity_is_judged_at_the_entrys_own_time() {
    let mut world = evening(3);
    let secret = SecretKey::from_seed(&[1; 32]);
    let certificate = world.certify(&secret, "gone", "hq", "hall", (0, 1_000));
    let mut author = begin(&secret, &certificate, "stock/night", at(1));
    author.write(at(2), lot());
    world.run_ms(5_000);
    world.hand(PEER, TILL, entries(vec![author.range()]));
    assert_eq!(world.faults(TILL), Vec::<&str>::new());
    assert_eq!(world.stock(TILL).unwrap().minted, 20);
}

#[test]
fn entries_that_do_not_fit_their_chain_are_refused() {
    let mut world = evening(4);
    let secret = SecretKey::from_seed(&[1; 32]);
    let hq = world.certify(&secret, "mallory", "hq", "hall", (0, VALID_MS));
    let author = |document: &str, bodies: Vec<(u64, Body)>| {
        let mut author = begin(&secret, &hq, document, at(1));
        bodies.into_iter().for_each(|(ms, body)| _ = author.write(at(ms), body));
        author
    };
    let good = author("stock/night", vec![(2, lot()), (3, lot())]);

    let mut forged = good.range();
    forged.signatures.last_mut().unwrap().signature.0[5] ^= 1;
    refused(&mut world, "a forged signature", vec![forged]);
    let mut unsigned = good.range();
    unsigned.signatures.pop();
    refused(&mut world, "no signature at the end", vec![unsigned]);
    let mut changed = good.entries.clone();
    *changed[1].body.last_mut().unwrap() ^= 1;
    changed[1].signature = None;
    refused(&mut world, "a changed record before a good signature", vec![range(&changed)]);
    let mut swapped = good.entries.clone();
    let (a, b) = (swapped[1].body.clone(), swapped[2].body.clone());
    (swapped[1].body, swapped[2].body) = (b, a);
    refused(&mut world, "records in another order", vec![range(&swapped)]);
    let mut relinked = author("stock/night", vec![]);
    relinked.last = Some(popmesh_proto::id::Hash([9; 32]));
    relinked.write(at(2), lot());
    refused(&mut world, "a wrong previous hash", vec![relinked.range()]);
    let mut renamed = good.range();
    renamed.chain.0[0] ^= 1;
    refused(&mut world, "a chain with another's id", vec![renamed]);
    let mut elsewhere = author("stock/night", vec![]);
    elsewhere.chain.0[0] ^= 1;
    let start = elsewhere.entries.remove(0).body;
    elsewhere.last = None;
    elsewhere.append(at(1), start);
    refused(&mut world, "a chain under an id that is not its own, signed so", vec![elsewhere.range()]);
    let mut empty = good.range();
    empty.bodies = Bodies::Plain(Vec::new());
    refused(&mut world, "a range of nothing", vec![empty]);
    let mut zeroth = good.range();
    zeroth.first = 0;
    refused(&mut world, "an entry before the first", vec![zeroth]);
    let mut wrapped = good.range();
    wrapped.first = u64::MAX;
    wrapped.bodies = Bodies::Packed { count: u32::MAX, bytes: vec![0; 100].into() };
    refused(&mut world, "a bundle that is none", vec![wrapped]);
    let backwards = author("stock/night", vec![(5, lot()), (5, lot())]);
    refused(&mut world, "a time that stands still", vec![backwards.range()]);
    let mut headless = author("stock/night", vec![]);
    headless.entries.clear();
    headless.last = None;
    headless.write(at(2), lot());
    refused(&mut world, "a chain without a start", vec![headless.range()]);
    refused(&mut world, "a mint among the claims", vec![author("claims/night", vec![(2, lot())]).range()]);
    let sale_of = |units, unit_price| {
        let line =
            SaleLine { parcel: popmesh_proto::id::Ref { chain: good.chain, seq: 2 }, units, unit_price };
        Sale::plain(vec![line], None)
    };
    let paid = |parts: Vec<Payment>| {
        Body::Sale(Sale { payments: Payments::Parts(parts), ..sale_of(UnitSet::range(1, 1), 500) })
    };
    let plain = |amount| Payment::plain(Tender::Card, amount);
    let taxed = |rate, tax| {
        let taxes = Taxes { prices: Prices::Included, rates: vec![RateTax { rate, tax }], of: None };
        Body::Sale(Sale { taxes: Some(taxes), ..sale_of(UnitSet::range(1, 1), 500) })
    };
    let numbered = |number, previous| {
        let receipt = ReceiptLink { number, previous };
        Body::Sale(Sale { receipt, ..sale_of(UnitSet::range(1, 1), 500) })
    };
    let sale = |units, unit_price| Body::Sale(sale_of(units, unit_price));
    let mut beyond = sale_of(UnitSet::range(0, u32::MAX), MAX_PRICE);
    let line = beyond.lines[0].clone();
    let more = (3..40).map(|seq| popmesh_proto::id::Ref { seq, ..line.parcel });
    beyond.lines.extend(more.map(|parcel| SaleLine { parcel, ..line.clone() }));
    refused(
        &mut world,
        "a sale in the stock",
        vec![author("stock/night", vec![(2, sale(UnitSet::range(1, 1), 1))]).range()],
    );
    for (what, body) in [
        ("a sale of nothing", sale(UnitSet::default(), 1)),
        ("a sale for nothing", sale(UnitSet::range(1, 1), 0)),
        ("a sale for less", sale(UnitSet::range(1, 1), i64::MIN)),
        ("a price beyond belief", sale(UnitSet::range(1, 1), i64::MAX)),
        ("a total beyond belief", Body::Sale(beyond)),
        ("no payments", paid(vec![])),
        ("too many payments", paid(vec![plain(100); 5])),
        ("payments of less than the total", paid(vec![plain(200), plain(299)])),
        ("payments of more than the total", paid(vec![plain(200), plain(301)])),
        ("a payment that takes something away", paid(vec![plain(501), plain(-1)])),
        ("payments that overflow", paid(vec![plain(i64::MAX), plain(i64::MAX)])),
        ("deferred cash", paid(vec![Payment { deferred: true, ..Payment::plain(Tender::Cash, 500) }])),
        ("change for a card", paid(vec![Payment { given: Some(600), ..plain(500) }])),
        ("a card that is rounded", paid(vec![Payment { rounding: Some(2), ..plain(500) }])),
        ("too little cash", paid(vec![Payment { given: Some(499), ..Payment::plain(Tender::Cash, 500) }])),
        ("cash twice", paid(vec![Payment::plain(Tender::Cash, 200), Payment::plain(Tender::Cash, 300)])),
        ("a reference of nothing", paid(vec![Payment { reference: Some(String::new()), ..plain(500) }])),
        ("a long reference", paid(vec![Payment { reference: Some("x".repeat(65)), ..plain(500) }])),
        ("a reference that beeps", paid(vec![Payment { reference: Some("\u{7}".to_owned()), ..plain(500) }])),
        ("a tax that the rate does not make", taxed(1900, 500)),
        ("a tax below zero", taxed(1900, -80)),
        ("a rate beyond 100 %", taxed(10_001, 250)),
        ("receipt 0", numbered(0, None)),
        ("a first receipt after another", numbered(1, Some(ReceiptHash([1; 16])))),
        ("a later receipt after none", numbered(2, None)),
    ] {
        refused(&mut world, what, vec![author("claims/night", vec![(2, body)]).range()]);
    }
    let lot = Mint {
        sku: shirt(),
        first: 9,
        last: 8,
        numbered: true,
        place: "hall".parse().unwrap(),
        edition: None,
    };
    let of_no_number =
        Mint { last: 10, numbered: false, edition: Some("gold".parse().unwrap()), ..lot.clone() };
    refused(
        &mut world,
        "an edition of what is not numbered",
        vec![author("stock/night", vec![(2, Body::Mint(of_no_number))]).range()],
    );
    let backward_lot = Body::Mint(lot);
    refused(
        &mut world,
        "a lot that ends before it begins",
        vec![author("stock/night", vec![(2, backward_lot)]).range()],
    );
    let mut oversize = author("stock/night", vec![]);
    oversize.append(at(2), vec![0; MAX_RECORD + 1]);
    refused(&mut world, "a record that is too long", vec![oversize.range()]);
    let mut garbage = author("stock/night", vec![]);
    garbage.append(at(2), b"no record at all".to_vec());
    refused(&mut world, "a record that is none", vec![garbage.range()]);
    still_works(world);
}

#[test]
fn a_gap_is_nobodys_fault_and_a_fork_is_its_authors() {
    let mut world = evening(5);
    let secret = SecretKey::from_seed(&[1; 32]);
    let hq = world.certify(&secret, "mallory", "hq", "hall", (0, VALID_MS));
    let mut author = begin(&secret, &hq, "stock/night", at(1));
    author.write(at(2), lot());
    author.write(at(3), lot());
    let before = world.status(TILL).entries;
    let verdict = world.hand_gossip(PEER, TILL, live(vec![range(&author.entries[2..])]));
    assert_eq!(verdict, Verdict::Ignore);
    assert_eq!((world.faults(TILL).len(), world.status(TILL).entries), (0, before));
    world.hand(PEER, TILL, entries(vec![author.range()]));
    assert_eq!(world.status(TILL).entries, before + 3);

    let mut forked = begin(&secret, &hq, "stock/night", at(1));
    forked.write(at(2), lot());
    forked.write(at(4), lot());
    let (faults, entries_before) = (world.faults(TILL).len(), world.status(TILL).entries);
    world.hand(PEER, TILL, entries(vec![forked.range()]));
    assert_eq!(world.faults(TILL).len(), faults, "whoever has the one history is not to blame");
    world.run_ms(100);
    let head = world.frontier(TILL).into_iter().find(|head| head.chain == author.chain).unwrap();
    assert_eq!(head.seq, 2, "neither of the two third entries counts");
    assert!(world.status(TILL).entries >= entries_before, "the proof is an entry");
    world.converge(5_000);
}

#[test]
fn what_its_author_does_not_hold_counts_for_nothing() {
    let mut world = evening(6);
    let secret = SecretKey::from_seed(&[1; 32]);
    let thief = world.certify(&secret, "mallory", "pos", "hall", (0, VALID_MS));
    let minted = &world.written(HQ, "stock/night")[1];
    let parcel = popmesh_proto::id::Ref { chain: minted.chain, seq: minted.seq };
    let mut author = begin(&secret, &thief, "stock/night", at(1));
    let units = UnitSet::range(1, 5);
    let to = secret.id();
    let own = author.write(
        at(2),
        Body::Transfer(Transfer {
            to,
            lines: vec![Line { parcel, units: units.clone() }],
            aside: None,
            cause: None,
        }),
    );
    // What is built on it counts no more.
    author.write(
        at(3),
        Body::Transfer(Transfer { to, lines: vec![Line { parcel: own, units }], aside: None, cause: None }),
    );
    let levels = |world: &mut World, at| {
        let line = world.stock(at).unwrap();
        let holders = line.holders.iter().map(|holder| (holder.device, holder.units));
        (line.minted, line.mesh, holders.collect::<Vec<_>>())
    };
    let before = levels(&mut world, TILL);
    world.hand(PEER, TILL, entries(vec![author.range()]));
    assert_eq!(levels(&mut world, TILL), before);
    let check = world.check(TILL);
    assert_eq!((check.problems.len(), check.incidents.len()), (0, 2));
    // It is in the log all the same, on every device, so that all see what was tried.
    world.converge(5_000);
    assert_eq!(world.check(HQ).incidents.len(), 2);
    assert_eq!(levels(&mut world, HQ), before);
}

#[test]
fn mail_that_its_author_did_not_sign_is_refused() {
    let mut world = evening(9);
    let event = world.charter.event();
    let presence = encode(&Presence {
        sells: true,
        rates: Vec::new(),
        certificate: None,
        every_s: None,
        reaches: Vec::new(),
        asks: None,
        behind_ms: None,
        narrowly: None,
        program: None,
        neighbours: None,
    });
    let mail = |world: &World, at: Hlc| {
        Mail::sign(&Ed25519, &event, &world.nodes[HQ].secret, at, None, presence.clone())
    };
    let good = mail(&world, at(world.time + 1));
    let verdict = world.hand_gossip(PEER, TILL, encode(&Gossip::Mail(good.clone())));
    assert_eq!(verdict, Verdict::Accept);
    let verdict = world.hand_gossip(PEER, TILL, encode(&Gossip::Mail(good)));
    assert_eq!(verdict, Verdict::Ignore, "it is old by now");
    let good = mail(&world, at(world.time + 1));
    for spoil in [
        |mail: &mut Mail| mail.at = Hlc(mail.at.0 + 1),
        |mail: &mut Mail| mail.to = Some(mail.from),
        |mail: &mut Mail| mail.content.push(0),
        |mail: &mut Mail| mail.signature.0[9] ^= 4,
    ] {
        let mut forged = good.clone();
        spoil(&mut forged);
        let verdict = world.hand_gossip(PEER, TILL, encode(&Gossip::Mail(forged)));
        assert_eq!(verdict, Verdict::Reject);
    }
    still_works(world);
}

#[test]
fn garbage_is_refused_and_does_no_harm() {
    let mut world = evening(7);
    let mut rng = Rng::new(7);
    let genuine: Vec<Vec<u8>> = [TILL, HQ]
        .iter()
        .flat_map(|of| ["programme", "stock/night"].map(|document| (*of, document)))
        .filter(|(of, document)| *of == HQ || *document != "programme")
        .map(|(of, document)| range(&world.written(of, document)))
        .flat_map(|range| [entries(vec![range.clone()]), live(vec![range])])
        .collect();
    for round in 0..4_000 {
        let bytes: Vec<u8> = if round % 4 == 0 {
            (0..rng.below(300)).map(|_| rng.next() as u8).collect()
        } else {
            let mut bytes = genuine[rng.below(genuine.len() as u64) as usize].clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(3) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes[at] = rng.next() as u8,
                    _ => bytes.truncate(at.max(1)),
                }
            }
            bytes
        };
        // Each time from another: one that goes on is cut off.
        let from = DeviceId(world.rng.bytes());
        world.give(TILL, Input::Message { from, bytes: bytes.clone() });
        let token = world.expect_verdict(PEER, TILL, bytes.clone());
        world.give(TILL, Input::Gossip { from, bytes, token });
        if round % 50 == 0 {
            world.run_ms(10);
        }
    }
    for limit in [MAX_MESSAGE + 1, MAX_GOSSIP + 1] {
        let from = world.nodes[PEER].id;
        let token = world.expect_verdict(PEER, TILL, Vec::new());
        world.give(TILL, Input::Message { from, bytes: vec![0x82; limit] });
        world.give(TILL, Input::Gossip { from, bytes: vec![0x82; limit], token });
    }
    assert!(world.faults(TILL).len() > 4_000);
    world.run_ms(1_000);
    world.converge(5_000);
    still_works(world);
}

#[test]
fn a_pickup_at_a_device_nobody_knows_is_refused() {
    let mut world = evening(8);
    let nobody = SecretKey::from_seed(&[5; 32]).id();
    let pickup = Sell { pickup_at: Some(nobody), ..sell(1, 0) };
    world.done(TILL, Command::Sell(pickup)).unwrap_err();
    still_works(world);
}
