//! Altered bytes without libFuzzer: the same ones each time.

/// Chance that follows from a seed (SplitMix64: Steele, Lea, Flood, 2014), and what it does to bytes.
#[derive(Debug, Clone)]
pub struct Alter(u64);

impl Alter {
    /// Chance that follows from this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of the seeds with up to four changes: bytes set, left out, put in, swapped, or a stretch of another seed.
    pub fn any(&mut self, seeds: &[Vec<u8>], most_bytes: usize) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(9) {
                0 if at < bytes.len() => drop(bytes.remove(at)),
                1 => bytes.insert(at, self.next() as u8),
                2 if at < bytes.len() => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
                3 => bytes.truncate(at),
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(64)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                5 => {
                    // A string or a list of 2^60 in CBOR, for whoever believes it.
                    let head = [0x5b, 0x7b, 0x9b, 0xbb][self.below(4)];
                    bytes.splice(at..at, [head, 0x10, 0, 0, 0, 0, 0, 0, 0]);
                }
                6 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ if at < bytes.len() => bytes[at] = self.next() as u8,
                _ => {}
            }
        }
        bytes.truncate(most_bytes);
        bytes
    }
}
