//! A whole device that is told things by admitted peers: messages, gossip, mail.

use popmesh_proto::clock::Hlc;
use popmesh_proto::id::Ref;
use popmesh_proto::identity::Ed25519;
use popmesh_proto::message::{
    Ask, AskCart, AskClaim, AskEntries, AskPast, Compare, Decline, Frontier, Gossip, Head, Heard, HeardOf,
    Knows, Mail, Message, Past, Presence, Proof, Rate, Seen, Wish, encode,
};

use crate::Target;
use crate::author::Author;
use crate::cursor::{Cursor, put_counted};
use crate::event::{EPOCH_MS, event};
use crate::node::{Node, SECOND_MS, exchange};

/// So long after the event was made the fuzzer comes in.
pub(crate) const LATER_MS: u64 = 3_600_000;
const MOST_STEPS: usize = 12;

const MESSAGE: u8 = 0;
const GOSSIP: u8 = 1;
const MAIL_TO_ONE: u8 = 2;
const MAIL_TO_ALL: u8 = 3;

pub(crate) const TARGET: Target = Target {
    name: "device",
    what: "a device that admitted peers send messages, gossip and mail",
    run,
    seeds,
    most_bytes: 8 * 1024,
};

/// Steps: how, and by whom, then bytes behind their length.
fn run(bytes: &[u8]) {
    let event = event();
    let mut node = Node::open(event, &event.till, &event.evening, LATER_MS);
    node.link_up(event.mallory.id());
    let mut cursor = Cursor::new(bytes);
    for step in 0..MOST_STEPS {
        if cursor.is_empty() {
            break;
        }
        let how = cursor.byte();
        let from = event.parties()[usize::from(how >> 3) % 5];
        match how % 8 {
            MESSAGE => node.message(from.id(), cursor.counted().to_vec()),
            GOSSIP => _ = node.gossip(from.id(), cursor.counted().to_vec()),
            kind @ (MAIL_TO_ONE | MAIL_TO_ALL) => {
                let to = (kind == MAIL_TO_ONE).then_some(event.till.id());
                let at = Hlc::from_ms(EPOCH_MS + LATER_MS + step as u64);
                let content = cursor.counted().to_vec();
                let mail = Mail::sign(&Ed25519, &event.charter.event(), &from.secret, at, to, content);
                node.gossip(from.id(), encode(&Gossip::Mail(mail)));
            }
            4 => node.pass(u64::from(cursor.byte()) * SECOND_MS / 16),
            5 => node.link_up(from.id()),
            6 => node.link_down(),
            _ => node.reopen(),
        }
    }
    node.pass(SECOND_MS);
    node.assert_sound();
}

/// What devices really say to each other when one of them has slept: messages, and gossip.
pub(crate) fn real() -> [Vec<Vec<u8>>; 2] {
    let event = event();
    let mut till = Node::open(event, &event.till, &event.evening, LATER_MS);
    let mut witness = Node::open(event, &event.witness, &[], LATER_MS);
    assert!(till.bars(&witness.id()) || witness.bars(&till.id()) || exchange(&mut till, &mut witness));
    let [messages, gossip] = till.heard;
    let [more_messages, more_gossip] = witness.heard;
    [[messages, more_messages].concat(), [gossip, more_gossip].concat()]
}

/// One of each message that a hostile peer might think of.
fn thought_of() -> Vec<Message> {
    let event = event();
    let last = event.entries().last().unwrap();
    let drop: popmesh_proto::text::DropId = "night".parse().unwrap();
    let sku: popmesh_proto::text::Sku = "shirt".parse().unwrap();
    let head = Head { chain: last.chain, seq: last.seq + 3, hash: [9; 16], rest: None };
    let frontier = Frontier {
        ended: popmesh_proto::id::Hash([2; 32]),
        full: true,
        heads: event
            .entries()
            .map(|entry| Head { chain: entry.chain, seq: entry.seq, hash: [1; 16], rest: None })
            .collect(),
        number: 1,
        since: None,
        again: Some(0),
        start: 1,
        sum: Some([4; 16]),
        from: None,
        upto: Some(last.chain),
    };
    let proof = Proof {
        chain: last.chain,
        seq: last.seq + 1,
        document: "claims/night".parse().unwrap(),
        previous: None,
        body: vec![0x82, 0x01, 0x82, 0x00].into(),
        signature: popmesh_proto::identity::Signature([5; 64]),
    };
    vec![
        Message::Ask(Ask {
            id: 1,
            drop: drop.clone(),
            sku: sku.clone(),
            units: 3,
            place: None,
            wish: Some(Wish { number: 9, total: 40, left_ms: 5_000 }),
        }),
        Message::Ask(Ask { id: 1, drop, sku, units: 3, place: None, wish: None }),
        Message::AskCart(AskCart { id: 2, cart: last }),
        Message::AskClaim(AskClaim { id: 3, claim: last }),
        Message::Decline(Decline { id: 1 }),
        Message::Compare(Compare { chain: last.chain, head, runs: Vec::new() }),
        Message::AskEntries(AskEntries {
            entries: event.entries().take(2).chain([Ref { seq: last.seq + 3, ..last }]).collect(),
            changes: vec![popmesh_proto::id::Hash([5; 32])],
            have: vec![last],
        }),
        Message::Digest(popmesh_proto::id::Hash([3; 32])),
        Message::Hello(event.mallory.certificate.bytes().to_vec().into()),
        Message::Frontier(frontier),
        Message::AskPast(AskPast { ends: vec![Seen { chain: last.chain, seq: last.seq }] }),
        Message::Past(Past { knows: Knows::All, proofs: vec![proof] }),
        Message::Heard(Heard { of: vec![HeardOf { device: [7; 4], at: Hlc(1) }] }),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let event = event();
    let by = |party: u8, how: u8| party << 3 | how;
    let step = |how: u8, bytes: &[u8]| {
        let mut seed = vec![how];
        put_counted(bytes, &mut seed);
        seed
    };
    let [messages, gossip] = real();
    let mut seeds: Vec<Vec<u8>> = messages.iter().map(|bytes| step(by(3, MESSAGE), bytes)).collect();
    seeds.extend(gossip.iter().map(|bytes| step(by(3, GOSSIP), bytes)));
    for message in thought_of() {
        seeds.push(step(by(3, MESSAGE), &encode(&message)));
        seeds.push(step(by(4, MAIL_TO_ONE), &encode(&message)));
    }
    let rate = Rate { drop: "night".parse().unwrap(), sku: "shirt".parse().unwrap(), milli_units: 7_000 };
    let certificate = Some(event.mole.certificate.bytes().to_vec().into());
    seeds.push(step(
        by(4, MAIL_TO_ALL),
        &encode(&Presence {
            sells: true,
            rates: vec![rate],
            certificate,
            every_s: None,
            reaches: Vec::new(),
            asks: Some(AskPast { ends: Vec::new() }),
            behind_ms: None,
            narrowly: Some(event.mole.id().0[..4].to_vec().into()),
            program: Some("0.1.0".to_owned()),
            neighbours: Some(event.mole.id().0[..4].to_vec().into()),
        }),
    ));
    let begun = Author::begin(&event.mole, "claims/night", EPOCH_MS + LATER_MS);
    seeds.push([step(by(4, MESSAGE), &begun.last(1)), vec![4, 64, 7, by(1, 5), 6]].concat());
    let all: Vec<u8> =
        thought_of().iter().flat_map(|message| step(by(3, MESSAGE), &encode(message))).collect();
    seeds.push(all);
    seeds.retain(|seed| seed.len() <= TARGET.most_bytes);
    seeds.sort();
    seeds.dedup();
    seeds
}
