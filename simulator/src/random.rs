//! Chance: all of it follows from one seed, in whole numbers, alike on every machine.

use std::ops::RangeInclusive;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A stream of chance. Good enough to break disks with, not for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    generator: Xoshiro256PlusPlus,
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, generator: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// The stream of this one's seed and `label`. It is the same however much was drawn here before, so whoever draws
    /// more than it used to shifts nobody else's chance.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        // FNV-1a, which is short and will not change; what comes of it is spread by the seeding.
        let hash = self
            .seed
            .to_le_bytes()
            .iter()
            .chain(label.as_bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self::new(hash)
    }

    /// The next 64 bits.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator that never ends would have to be unwrapped"
    )]
    pub fn next(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: off from uniform by no more than `end` in 2^64.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// An index into something of so many items; 0 if it has none.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number of the range; its start if it is empty.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        match end.saturating_sub(start).checked_add(1) {
            Some(width) => start + self.below(width),
            None => self.next(),
        }
    }

    /// Yes, so many times out of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of `items`, if there are any.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }

    /// Puts `items` into an order of chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// Overwrites all of `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    /// A seed that someone wrote down must replay in every later version.
    #[test]
    fn the_streams_never_change() {
        let mut random = Random::new(1);
        assert_eq!([random.next(), random.next()], [14_971_601_782_005_023_387, 13_781_649_495_232_077_965]);
        assert_eq!(random.fork("disk").next(), 8_413_823_217_480_415_109);
        assert_eq!(random.bytes::<4>(), [32, 245, 170, 87]);
    }

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn_before() {
        let mut random = Random::new(7);
        let before = random.fork("network").next();
        random.next();
        assert_eq!(random.fork("network").next(), before);
        assert_ne!(random.fork("disk").next(), before);
        assert_ne!(Random::new(8).fork("network").next(), before);
        assert_ne!(random.fork("network").fork("network").next(), before);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_both_ends() {
        let mut random = Random::new(2);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.within(3..=6)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&3), Some(&6)));
        assert!((0..1_000).all(|_| random.below(2) < 2));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.within(5..=5), 5);
        random.within(0..=u64::MAX);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn chance_is_out_of_a_thousand() {
        let mut random = Random::new(3);
        let happened = (0..100_000).filter(|_| random.chance(250)).count();
        assert!((24_000..26_000).contains(&happened), "{happened}");
        assert!(!(0..1_000).any(|_| random.chance(0)));
        assert!((0..1_000).all(|_| random.chance(1_000)));
    }

    #[test]
    fn shuffling_loses_nothing_and_moves_everything_somewhere() {
        let mut random = Random::new(4);
        let mut firsts = [0; 5];
        for _ in 0..1_000 {
            let mut items = [0, 1, 2, 3, 4];
            random.shuffle(&mut items);
            firsts[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(firsts.iter().all(|count| (150..250).contains(count)), "{firsts:?}");
    }
}
