//! Packs the bodies of consecutive entries of one chain, for long gaps and slow links.
//!
//! Records of one chain are much alike: same length, same ids, times and serials a little further on. So each body is
//! written as its difference, byte by byte, from the last one of the same length, and all of it is deflated (RFC 1951).

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Not a bundle, or a larger one than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes are no bundle of so many bodies.
    #[error("a bundle that cannot be read")]
    Malformed,
    /// It would inflate beyond the limit.
    #[error("a bundle that inflates to more than {0} bytes")]
    TooLarge(usize),
}

/// Bodies, unpacked into one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Unpacked {
    /// The bodies.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(index, end)| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[start..*end]
        })
    }
}

/// Appends the bundle of `bodies` to `out`.
pub fn pack(bodies: &mut dyn Iterator<Item = &[u8]>, out: &mut Vec<u8>) {
    let mut lengths = Vec::new();
    let mut differences = Vec::new();
    let mut last: BTreeMap<usize, &[u8]> = BTreeMap::new();
    for body in bodies {
        put_number(body.len() as u64, &mut lengths);
        match last.insert(body.len(), body) {
            Some(before) => {
                differences.extend(body.iter().zip(before).map(|(new, old)| new.wrapping_sub(*old)))
            }
            None => differences.extend_from_slice(body),
        }
    }
    let mut encoder = DeflateEncoder::new(std::mem::take(out), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(&lengths).and_then(|()| encoder.write_all(&differences));
    *out = encoder.finish().unwrap_or_default();
}

/// Unpacks a bundle of `count` bodies, which together have at most `limit` bytes.
///
/// # Errors
/// [`BundleError`]; no more than `limit` bytes, and some, are ever inflated.
pub fn unpack(bytes: &[u8], count: usize, limit: usize) -> Result<Unpacked, BundleError> {
    let most = limit as u64 + 1;
    let mut inflated = Vec::new();
    let read = DeflateDecoder::new(bytes).take(most).read_to_end(&mut inflated);
    read.map_err(|_| BundleError::Malformed)?;
    if inflated.len() as u64 == most || count > limit {
        return Err(BundleError::TooLarge(limit));
    }
    let mut rest = inflated.as_slice();
    let mut lengths = Vec::with_capacity(count.min(inflated.len()));
    for _ in 0..count {
        let length = take_number(&mut rest).ok_or(BundleError::Malformed)?;
        lengths.push(usize::try_from(length).map_err(|_| BundleError::Malformed)?);
    }
    let mut bytes = rest.to_vec();
    let mut ends = Vec::with_capacity(count);
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let mut start = 0usize;
    for length in lengths {
        let end =
            start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(BundleError::Malformed)?;
        if let Some(before) = last.insert(length, start) {
            for offset in 0..length {
                bytes[start + offset] = bytes[start + offset].wrapping_add(bytes[before + offset]);
            }
        }
        ends.push(end);
        start = end;
    }
    if start == bytes.len() { Ok(Unpacked { bytes, ends }) } else { Err(BundleError::Malformed) }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(&mut bodies.iter().map(Vec::as_slice), &mut out);
        out
    }

    proptest! {
        #[test]
        fn bodies_come_back(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..40)) {
            let unpacked = unpack(&packed(&bodies), bodies.len(), 1 << 20).unwrap();
            prop_assert_eq!(unpacked.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..2000) {
            let _ = unpack(&bytes, count, 10_000);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bodies = vec![vec![0u8; 1 << 20]; 64];
        let bomb = packed(&bodies);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(&bomb, 64, 1 << 20), Err(BundleError::TooLarge(1 << 20)));
    }
}
