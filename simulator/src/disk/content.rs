//! Bytes of a file in chunks that are shared until they are written to: a copy costs a pointer a chunk.

use std::sync::{Arc, LazyLock};

/// As large as a page of the database, so that writing a page copies a page.
pub(super) const CHUNK_BYTES: usize = 4_096;

/// What a file grows by, until it is written to.
static ZEROS: LazyLock<Arc<[u8; CHUNK_BYTES]>> = LazyLock::new(|| Arc::new([0; CHUNK_BYTES]));

/// The bytes of a file. Beyond its length its last chunk is zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    chunks: Vec<Arc<[u8; CHUNK_BYTES]>>,
    length: usize,
}

impl Content {
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Fills `into` from `offset` on. Answers how many bytes there were; what is beyond them stays as it was.
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let available = self.length.saturating_sub(offset).min(into.len());
        for (chunk, within, place) in pieces(offset, available) {
            let bytes = within.len();
            into[place..place + bytes].copy_from_slice(&self.chunks[chunk][within]);
        }
        available
    }

    /// Overwrites from `offset` on; grows where needed, with zeros up to `offset`.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if offset + bytes.len() > self.length {
            self.resize(offset + bytes.len());
        }
        for (chunk, within, place) in pieces(offset, bytes.len()) {
            let from = &bytes[place..place + within.len()];
            match <&[u8; CHUNK_BYTES]>::try_from(from) {
                // Nothing of what was there is left: no need to copy it first.
                Ok(whole) => match Arc::get_mut(&mut self.chunks[chunk]) {
                    Some(alone) => alone.copy_from_slice(whole),
                    None => self.chunks[chunk] = Arc::new(*whole),
                },
                Err(_) => Arc::make_mut(&mut self.chunks[chunk])[within].copy_from_slice(from),
            }
        }
    }

    /// Cuts off the end, or adds zeros.
    pub(super) fn resize(&mut self, length: usize) {
        let chunks = length.div_ceil(CHUNK_BYTES);
        if chunks > self.chunks.len() {
            self.chunks.resize(chunks, ZEROS.clone());
        } else {
            self.chunks.truncate(chunks);
        }
        let tail = length % CHUNK_BYTES;
        if length < self.length && tail > 0 {
            Arc::make_mut(&mut self.chunks[chunks - 1])[tail..].fill(0);
        }
        self.length = length;
    }

    /// Takes over a chunk of `other`, which is as long as this.
    pub(super) fn share(&mut self, chunk: usize, other: &Self) {
        if let (Some(mine), Some(theirs)) = (self.chunks.get_mut(chunk), other.chunks.get(chunk)) {
            mine.clone_from(theirs);
        }
    }

    /// All bytes, in order, a part at a time.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks
            .iter()
            .enumerate()
            .map(|(chunk, bytes)| &bytes[..(self.length - chunk * CHUNK_BYTES).min(CHUNK_BYTES)])
    }
}

/// The chunks that a stretch touches.
pub(super) fn chunks(offset: usize, bytes: usize) -> std::ops::Range<usize> {
    offset / CHUNK_BYTES..(offset + bytes).div_ceil(CHUNK_BYTES)
}

/// A stretch, chunk by chunk: which chunk, where in it, and where in the stretch.
fn pieces(offset: usize, bytes: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == bytes {
            return None;
        }
        let start = (offset + done) % CHUNK_BYTES;
        let length = (CHUNK_BYTES - start).min(bytes - done);
        let piece = ((offset + done) / CHUNK_BYTES, start..start + length, done);
        done += length;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::Content;
    use crate::random::Random;

    /// Against the simplest thing that can do the same.
    #[test]
    fn behaves_like_a_vector_of_bytes_and_so_do_its_copies() {
        let mut random = Random::new(1);
        let mut content = Content::default();
        let mut expected: Vec<u8> = Vec::new();
        let mut copies = Vec::new();
        for _ in 0..2_000 {
            let offset = random.index(40_000);
            match random.below(8) {
                0 => {
                    content.resize(offset);
                    expected.resize(offset, 0);
                }
                1 if copies.len() < 20 => copies.push((content.clone(), expected.clone())),
                _ => {
                    let length = *random.pick(&[1, 24, 511, 4_096, 4_120, 9_000]).unwrap();
                    let offset = if random.chance(300) { offset / 4_096 * 4_096 } else { offset };
                    let mut bytes = vec![0; length];
                    random.fill(&mut bytes);
                    content.write(offset, &bytes);
                    expected.resize(expected.len().max(offset + length), 0);
                    expected[offset..offset + length].copy_from_slice(&bytes);
                }
            }
            let mut read = vec![0; 5_000];
            let from = random.index(40_000);
            let there = content.read(from, &mut read);
            let end = expected.len().min(from + 5_000);
            assert_eq!(&read[..there], expected.get(from..end).unwrap_or_default());
        }
        copies.push((content, expected));
        for (content, expected) in copies {
            assert!(content.parts().collect::<Vec<_>>().concat() == expected);
            assert_eq!(content.length(), expected.len());
        }
    }
}
