//! Claim tokens, as scanners send them; and those that an admitted till issues, whatever they say.

use std::sync::Arc;

use popmesh_proto::command::{Command, Redeem};
use popmesh_proto::identity::Ed25519;
use popmesh_proto::log::Gate;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::token::{SignedToken, UnprovenToken, from_text, to_text};

use crate::Target;
use crate::event::event;
use crate::node::Node;
use crate::targets::device::LATER_MS;

const TEXT: u8 = 0;
const BYTES: u8 = 1;

pub(crate) const TARGET: Target = Target {
    name: "token",
    what: "claim tokens as scanners send them, and as a till signs them",
    run,
    seeds,
    most_bytes: 2 * 1024,
};

fn run(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    if *how == TEXT {
        if let Ok(token) = from_text(&String::from_utf8_lossy(bytes)) {
            assert_eq!(from_text(&to_text(&token)).as_ref(), Ok(&token));
            looked_at(&token);
        }
    } else {
        looked_at(bytes);
    }
}

fn looked_at(bytes: &[u8]) {
    let event = event();
    let mut gate = Gate::of(event.charter.clone(), Arc::new(Ed25519));
    let Ok(token) = UnprovenToken::parse(bytes) else { return };
    let said = token.token().clone();
    match token.prove(&mut gate) {
        Ok(proven) => assert_eq!(*proven, said),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // An admitted till says the same, and signs it.
    let (key, certificate) = (&event.mallory.secret, &event.mallory.certificate);
    let Ok(signed) = said.sign(&Ed25519, key, certificate) else { return };
    assert_eq!(SignedToken::read(signed.bytes(), &mut gate).as_ref(), Ok(&signed));
    for ms in [0, signed.issued_ms, u64::MAX] {
        let _ = signed.check_at(ms);
    }
    let mut till = Node::open(event, &event.till, &event.evening, LATER_MS);
    let _ = till.command(Command::Redeem(Redeem::by_token(signed.to_text())));
    till.assert_sound();
}

fn seeds() -> Vec<Vec<u8>> {
    let event = event();
    let mut till = Node::open(event, &event.till, &event.evening, LATER_MS);
    let mut seeds = Vec::new();
    for claim in event.entries() {
        let texts = [Query::Token(claim), Query::CartToken(claim)].map(|query| match till.query(query) {
            Answer::Token(Ok(token)) => Some(token.token),
            Answer::CartToken(Ok(token)) => Some(token.token),
            _ => None,
        });
        for text in texts.into_iter().flatten() {
            seeds.push([&[BYTES], &from_text(&text).unwrap()[..]].concat());
            seeds.push([&[TEXT], text.as_bytes()].concat());
            let scanned = format!("]Q1https://pop.example/t#{}\r\n", text.to_lowercase());
            seeds.push([&[TEXT], scanned.as_bytes()].concat());
        }
    }
    assert!(seeds.len() >= 6, "{}", seeds.len());
    seeds
}
