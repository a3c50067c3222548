//! Bundles of bodies, deflated or not.

use popmesh_proto::bundle::{pack, unpack};

use crate::Target;
use crate::cursor::Cursor;
use crate::event::event;

const LIMIT: usize = 64 * 1024;
const DEFLATED: u8 = 0;
const PLAIN: u8 = 1;

pub(crate) const TARGET: Target = Target {
    name: "bundle",
    what: "bundles of entries, and what they inflate to",
    run,
    seeds,
    most_bytes: 16 * 1024,
};

/// How, how many bodies in two bytes, the bundle.
fn run(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let how = cursor.byte();
    let count = usize::from(cursor.byte()) << 8 | usize::from(cursor.byte());
    let bundle = match how {
        PLAIN => stored(cursor.rest()),
        _ => cursor.rest().to_vec(),
    };
    let Ok(unpacked) = unpack(&bundle, count, LIMIT) else { return };
    let bodies: Vec<&[u8]> = unpacked.iter().collect();
    assert_eq!(bodies.len(), count);
    assert!(bodies.iter().map(|body| body.len()).sum::<usize>() <= LIMIT);
    let mut again = Vec::new();
    pack(&mut bodies.iter().copied(), &mut again);
    // Its own frame may take it beyond the limit.
    let again = unpack(&again, count, 2 * LIMIT + 8 * count).unwrap();
    assert!(again.iter().eq(unpacked.iter()), "what was packed again is something else");
}

/// As deflate writes what it does not compress (RFC 1951, 3.2.4), so that the fuzzer need not know how to deflate.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    let length = (bytes.len() as u16).to_le_bytes();
    let inverse = (!(bytes.len() as u16)).to_le_bytes();
    [&[1], &length[..], &inverse, bytes].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let bodies: Vec<&[u8]> = event().evening.iter().map(|entry| entry.body.as_slice()).collect();
    let alike = vec![bodies[bodies.len() - 1]; 20];
    let mut seeds: Vec<Vec<u8>> = [&bodies[..], &bodies[..1], &alike, &[]]
        .into_iter()
        .map(|bodies| {
            let mut packed = vec![DEFLATED, 0, bodies.len() as u8];
            let mut bundle = Vec::new();
            pack(&mut bodies.iter().copied(), &mut bundle);
            packed.append(&mut bundle);
            packed
        })
        .collect();
    // Three bodies of 2, 2 and 1 bytes: lengths, backs, busy or not, differences.
    seeds.push(vec![PLAIN, 0, 3, 2, 2, 1, 0, 1, 0, 0, 0, 1, 9, 7, 0, 8, 1]);
    seeds
}
