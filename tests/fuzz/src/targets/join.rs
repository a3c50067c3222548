//! Frames of joining, as somebody sends them who does not know the code; and what is sealed in them by somebody who does.

use popmesh::fuzzed::join::{self, Heard, MAX_FRAME, Place};

use crate::Target;

/// Added to a place's number: the bytes are what the other side sealed there.
const SEALED: u8 = 5;

pub(crate) const TARGET: Target = Target {
    name: "join",
    what: "frames of joining by who does not know the code, and what is sealed in them by who does",
    run,
    seeds,
    most_bytes: 1024,
};

fn run(bytes: &[u8]) {
    let Some((at, bytes)) = bytes.split_first() else { return };
    let at = usize::from(at % (2 * SEALED));
    let place = Place::ALL[at % Place::ALL.len()];
    if at >= usize::from(SEALED) {
        return written_again(bytes, |plain| join::sealed_rewritten(place, plain));
    }
    written_again(bytes, join::rewritten);
    match join::stranger(place, bytes) {
        Heard::Refused => {}
        Heard::Answered(length) => assert!(place == Place::Hello && length <= MAX_FRAME),
        Heard::Believed => panic!("a frame was believed at {place:?} that nobody with the code made"),
    }
}

/// What is read is written, and then read and written the same.
fn written_again(bytes: &[u8], rewritten: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(once) = rewritten(bytes) {
        assert_eq!(rewritten(&once).as_ref(), Some(&once));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |at: usize, bytes: &[u8]| [&[at as u8], bytes].concat();
    let mut seeds = Vec::new();
    for (at, place) in Place::ALL.into_iter().enumerate() {
        // Of an exchange of its own, so that none is believed.
        seeds.push(seed(at, &join::honest(place)));
        seeds.push(seed(at, &join::refusal()));
        seeds.extend(join::sealed(place).iter().map(|plain| seed(at + usize::from(SEALED), plain)));
    }
    seeds
}
