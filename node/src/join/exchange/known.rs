//! Exchanges of which every byte is known, made by another implementation: Python's `spake2`, with keys, tags and seals
//! written anew from the protocol's description (`tests/independent/join.py`).

use std::convert::Infallible;

use popmesh_proto::id::EventId;
use spake2::rand_core::{TryCryptoRng, TryRng};

use super::*;

/// Chance that is known: 64 bytes, for one scalar.
struct Known([u8; 64]);

impl TryRng for Known {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("a scalar is made of 64 bytes at once")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("a scalar is made of 64 bytes at once")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Known {}

#[derive(serde::Deserialize)]
struct Vector {
    password: String,
    ticket: bool,
    chances: [String; 2],
    clock_ms: u64,
    frames: [String; 5],
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn every_frame_is_what_another_implementation_makes_of_the_same_chance() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../../vectors/join.json")).unwrap();
    assert_eq!(vectors.len(), 4);
    for Vector { password, ticket, chances, clock_ms, frames } in vectors {
        let password = hex::decode(password).unwrap();
        let [hello, answer, proof, sealed, last] = frames.map(|frame| hex::decode(frame).unwrap());
        let [of_device, of_organiser] = chances.map(|chance| Known(bytes(&chance)));
        let (shown, code);
        let with = if ticket {
            shown = Ticket::from_random(EventId([1; 32]), [5; 8], password.clone().try_into().unwrap());
            With::Ticket(&shown)
        } else {
            code = std::str::from_utf8(&password).unwrap().parse::<JoinCode>().unwrap();
            With::Code(&code)
        };
        assert_eq!(with.password(), password);

        let (greeted, said) = greet_by(with, of_device);
        assert_eq!(said, hello, "the hello: share and mark");
        let read = Hello::read(&hello).unwrap();
        let (answered, said) = read.answer_by(&password, of_organiser).unwrap();
        assert_eq!(said, answer, "the answer: share and the organiser's tag");
        let request = Request { enrolment: "popmesh-enrolment-1:AAAA".to_owned(), clock_ms };
        let (mut device, said) = greeted.answered(&answer, &request).unwrap();
        assert_eq!(said, proof, "the proof: the device's tag, and what it asks for");
        let (mut organiser, asked) = answered.proven(&proof).unwrap();
        assert_eq!(asked, request);
        let text = |text: &str| text.to_owned();
        let verdict = if ticket {
            let (charter, certificate, secret) = (text("charter"), text("certificate"), text("secret"));
            Verdict::Admitted(Package { charter, certificate, secret, clock_ms: 7 })
        } else {
            Verdict::Refused(text("no"))
        };
        assert_eq!(organiser.say(&verdict).unwrap(), sealed);
        assert_eq!(device.hear::<Verdict>(&sealed), Ok(verdict));
        assert_eq!(device.say(&Installed::Yes).unwrap(), last);
        assert_eq!(organiser.hear::<Installed>(&last), Ok(Installed::Yes));
    }
}
