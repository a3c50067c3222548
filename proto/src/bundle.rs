//! Packs the bodies of consecutive entries of one chain, for long gaps and slow links.
//!
//! Records of one chain are much alike: same length, same ids, times and serials a little further on. So each body is
//! written as its difference, byte by byte, from the one most like it among the last few of the same length. What
//! changes from body to body stands at the same places in all of them, so the differences are laid out by place: first
//! byte of every body of a length, second byte of every one, and so on. Places that hardly change come first, busy ones
//! last, each in a deflate block of their own (RFC 1951), since one code for both would suit neither.
//!
//! Inflated, a bundle is: the length of each body (LEB128); for each body, how many bodies of its length ago the one
//! was that it differs from (one byte; 0: from none); for each length that there is, in ascending order, and each place
//! in it, whether that place is busy (one byte, 0 or 1); the differences at places that are not busy, by length, then
//! by place, then by body; those at busy places, likewise.

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

/// So many earlier bodies of one length are looked at for one that is alike.
const LOOK_BACK: usize = 16;

/// A place is busy if more different differences than so many occur there.
const STEADY_VALUES: usize = 64;

/// Bundles shorter than this, before they are deflated, are live: there is more to be gained by speed than by size.
const SHORT: usize = 4 << 10;

/// Bodies of one length, by their place in the bundle.
type ByLength = BTreeMap<usize, Vec<usize>>;

fn by_length(lengths: impl Iterator<Item = usize>) -> ByLength {
    let mut groups = ByLength::new();
    for (index, length) in lengths.enumerate() {
        groups.entry(length).or_default().push(index);
    }
    groups
}

/// Appends the bundle of `bodies` to `out`.
pub fn pack(bodies: &mut dyn Iterator<Item = &[u8]>, out: &mut Vec<u8>) {
    let bodies: Vec<&[u8]> = bodies.collect();
    let mut content = Vec::new();
    for body in &bodies {
        put_number(body.len() as u64, &mut content);
    }
    let backs_at = content.len();
    content.resize(backs_at + bodies.len(), 0);
    let (mut steady, mut busy) = (Vec::new(), Vec::new());
    for (length, group) in by_length(bodies.iter().map(|body| body.len())) {
        let like: Vec<Option<&[u8]>> = (0..group.len())
            .map(|at| {
                let back = most_alike(&bodies, &group, at);
                content[backs_at + group[at]] = back as u8;
                (back > 0).then(|| bodies[group[at - back]])
            })
            .collect();
        let mut differences = Vec::with_capacity(group.len());
        for place in 0..length {
            differences.clear();
            differences.extend(
                group.iter().zip(&like).map(|(index, like)| {
                    bodies[*index][place].wrapping_sub(like.map_or(0, |like| like[place]))
                }),
            );
            let is_busy = distinct(&differences) > STEADY_VALUES;
            content.push(u8::from(is_busy));
            if is_busy { &mut busy } else { &mut steady }.extend_from_slice(&differences);
        }
    }
    content.append(&mut steady);
    let level = if content.len() < SHORT { Compression::fast() } else { Compression::default() };
    let mut encoder = DeflateEncoder::new(std::mem::take(out), level);
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(&content);
    if !busy.is_empty() {
        // Ends the block.
        let _ = encoder.flush().and_then(|()| encoder.write_all(&busy));
    }
    *out = encoder.finish().unwrap_or_default();
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

/// How many bodies of its group ago the one was that is most like the `at`-th of the group; 0 for the first.
fn most_alike(bodies: &[&[u8]], group: &[usize], at: usize) -> usize {
    let alike = |back: usize| equal_places(bodies[group[at]], bodies[group[at - back]]);
    (1..=at.min(LOOK_BACK)).max_by_key(|back| (alike(*back), std::cmp::Reverse(*back))).unwrap_or(0)
}

/// At how many places two bodies are the same.
fn equal_places(one: &[u8], other: &[u8]) -> usize {
    // Counted in bytes as far as they reach, many places go in one step.
    const REACH: usize = u8::MAX as usize;
    let same = |(one, other): (&[u8], &[u8])| {
        let pairs = one.iter().zip(other);
        usize::from(pairs.map(|(one, other)| u8::from(one == other)).sum::<u8>())
    };
    one.chunks(REACH).zip(other.chunks(REACH)).map(same).sum()
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
    let mut ends = Vec::with_capacity(count.min(inflated.len()));
    let mut lengths = Vec::with_capacity(count.min(inflated.len()));
    let mut end = 0usize;
    for _ in 0..count {
        let length = take_number(&mut rest).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(BundleError::Malformed)?;
        end = end.checked_add(length).ok_or(BundleError::Malformed)?;
        lengths.push(length);
        ends.push(end);
    }
    let groups = by_length(lengths.iter().copied());
    let places = groups.keys().try_fold(0usize, |sum, length| sum.checked_add(*length));
    let (backs, rest) = rest.split_at_checked(count).ok_or(BundleError::Malformed)?;
    let (are_busy, differences) =
        places.and_then(|places| rest.split_at_checked(places)).ok_or(BundleError::Malformed)?;
    if differences.len() != end || are_busy.iter().any(|is_busy| *is_busy > 1) {
        return Err(BundleError::Malformed);
    }
    let mut busy_places = are_busy.iter().map(|is_busy| *is_busy == 1);
    let of_group = |(length, group): (&usize, &Vec<usize>)| {
        busy_places.by_ref().take(*length).filter(|is_busy| !is_busy).count() * group.len()
    };
    let steady: usize = groups.iter().map(of_group).sum();
    // The lengths add up to what there is, so these and what is taken of them below stay within it.
    let (mut steady, mut busy) = differences.split_at(steady);
    let mut busy_places = are_busy.iter().map(|is_busy| *is_busy == 1);
    let mut bytes = vec![0; end];
    for (length, group) in &groups {
        for (place, is_busy) in busy_places.by_ref().take(*length).enumerate() {
            let from = if is_busy { &mut busy } else { &mut steady };
            let (here, rest) = from.split_at(group.len());
            *from = rest;
            for (index, difference) in group.iter().zip(here) {
                bytes[ends[*index] - length + place] = *difference;
            }
        }
        for (at, index) in group.iter().enumerate() {
            let back = usize::from(backs[*index]);
            if back > at.min(LOOK_BACK) {
                return Err(BundleError::Malformed);
            }
            if back > 0 {
                let (before, from_here) = bytes.split_at_mut(ends[*index] - length);
                let like = &before[ends[group[at - back]] - length..][..*length];
                for (byte, like) in from_here.iter_mut().zip(like) {
                    *byte = byte.wrapping_add(*like);
                }
            }
        }
    }
    Ok(Unpacked { bytes, ends })
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
        fn bodies_come_back(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..400)) {
            let unpacked = unpack(&packed(&bodies), bodies.len(), 1 << 20).unwrap();
            prop_assert_eq!(unpacked.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..2000) {
            let _ = unpack(&bytes, count, 10_000);
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).unwrap();
            let _ = unpack(&encoder.finish().unwrap(), count % 8, 10_000);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bodies = vec![vec![0u8; 1 << 16]; 16];
        let bomb = packed(&bodies);
        assert!(bomb.len() < 10_000);
        assert_eq!(unpack(&bomb, 16, 1 << 16), Err(BundleError::TooLarge(1 << 16)));
    }
}
