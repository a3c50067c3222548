//! One file: what is on the disk, what programs see, and the writes between the two.

use std::ops::Range;

use super::content::{self, Content};
use crate::random::Random;

/// The unit that a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// What is kept of the memory for un-synced writes once they are synced.
const MEMORY_KEPT: usize = 256 << 10;

/// What becomes of an un-synced write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It never reached the disk.
    Lost,
    /// Some of its sectors did.
    Torn,
    /// It did.
    Whole,
}

/// What programs did to a file since the last sync, of which any part can be on the disk already.
#[derive(Debug, Clone)]
struct Unsynced {
    order: u64,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Range<usize> },
    Resize(usize),
}

/// A file, whatever its name.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    current: Content,
    durable: Content,
    unsynced: Vec<Unsynced>,
    /// The bytes of the un-synced writes.
    bytes: Vec<u8>,
    /// Chunks in which `current` may differ from `durable` because of what is un-synced.
    touched: Vec<usize>,
    /// Whether `current` may differ from `durable` in more than that: after a sync that failed.
    diverged: bool,
}

impl File {
    /// A file that is all on the disk.
    pub(super) fn durable(content: Content) -> Self {
        Self { current: content.clone(), durable: content, ..Self::default() }
    }

    /// What programs see.
    pub(super) fn current(&self) -> &Content {
        &self.current
    }

    pub(super) fn write(&mut self, order: u64, offset: usize, bytes: &[u8]) {
        self.current.write(offset, bytes);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let change = Change::Write { offset, bytes: start..self.bytes.len() };
        self.unsynced.push(Unsynced { order, change });
        self.touch(content::chunks(offset, bytes.len()));
    }

    pub(super) fn resize(&mut self, order: u64, length: usize) {
        let before = self.current.length();
        self.current.resize(length);
        self.unsynced.push(Unsynced { order, change: Change::Resize(length) });
        if length < before {
            self.touch(content::chunks(length, before - length));
        }
    }

    fn touch(&mut self, chunks: Range<usize>) {
        // Writes mostly go on where the one before ended.
        let last = self.touched.last().copied();
        self.touched.extend(chunks.filter(|chunk| Some(*chunk) != last));
    }

    /// Everything reaches the disk.
    pub(super) fn sync(&mut self) {
        if self.diverged {
            self.keep(|_| Fate::Whole, &mut Random::new(0));
            return;
        }
        self.durable.resize(self.current.length());
        for chunk in self.touched.drain(..) {
            self.durable.share(chunk, &self.current);
        }
        self.forget_unsynced();
    }

    /// As Linux does it: some of it reaches the disk, and what does not is taken for written all the same. Programs go on
    /// seeing it, no later sync writes it.
    pub(super) fn fail_to_sync(&mut self, fate: impl FnMut(u64) -> Fate, random: &mut Random) {
        self.keep(fate, random);
        self.diverged = true;
    }

    /// The power fails: programs see what is on the disk.
    pub(super) fn cut(&mut self, fate: impl FnMut(u64) -> Fate, random: &mut Random) {
        self.keep(fate, random);
        self.current.clone_from(&self.durable);
        self.diverged = false;
    }

    /// Brings what is un-synced to the disk, each by its fate, in the order in which it was done.
    fn keep(&mut self, mut fate: impl FnMut(u64) -> Fate, random: &mut Random) {
        for Unsynced { order, change } in std::mem::take(&mut self.unsynced) {
            match (fate(order), change) {
                (Fate::Lost, _) => {}
                (Fate::Whole, Change::Write { offset, bytes }) => {
                    self.durable.write(offset, &self.bytes[bytes]);
                }
                (Fate::Torn, Change::Write { offset, bytes }) => {
                    for (offset, sector) in sectors(offset, &self.bytes[bytes]) {
                        if random.chance(500) {
                            self.durable.write(offset, sector);
                        }
                    }
                }
                // The length is one number of the file system, in one sector of its journal.
                (Fate::Whole | Fate::Torn, Change::Resize(length)) => self.durable.resize(length),
            }
        }
        self.forget_unsynced();
    }

    fn forget_unsynced(&mut self) {
        self.unsynced.clear();
        self.touched.clear();
        self.bytes.clear();
        self.bytes.shrink_to(MEMORY_KEPT);
    }

    /// When each un-synced change was made.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = u64> {
        self.unsynced.iter().map(|unsynced| unsynced.order)
    }
}

/// A write, sector by sector of the disk.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = rest.chunks(SECTOR_BYTES).enumerate();
    std::iter::once((offset, head))
        .chain(rest.map(move |(sector, bytes)| (offset + first + sector * SECTOR_BYTES, bytes)))
}

#[cfg(test)]
mod tests {
    use super::{Fate, File, SECTOR_BYTES};
    use crate::random::Random;

    fn bytes(file: &File) -> Vec<u8> {
        file.current.parts().collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_cut_takes_what_was_not_synced_and_nothing_else() {
        let mut file = File::default();
        file.write(1, 0, &[1; 10_000]);
        file.sync();
        let synced = bytes(&file);
        file.write(2, 5_000, &[2; 9_000]);
        file.resize(3, 100);
        file.write(4, 6_000, &[4; 10]);
        assert_eq!(bytes(&file).len(), 6_010);
        file.cut(|_| Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&file), synced);
    }

    #[test]
    fn what_was_cut_off_and_grew_again_is_zero_after_a_sync() {
        let mut file = File::default();
        file.write(1, 0, &[1; 10_000]);
        file.sync();
        file.resize(2, 1_000);
        file.resize(3, 10_000);
        file.sync();
        file.cut(|_| Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&file), [vec![1; 1_000], vec![0; 9_000]].concat());
    }

    #[test]
    fn any_of_the_writes_can_be_kept() {
        let mut file = File::default();
        file.write(1, 0, &[1; 3_000]);
        file.write(2, 1_000, &[2; 1_000]);
        file.write(3, 1_500, &[3; 3_000]);
        file.cut(|order| if order == 2 { Fate::Lost } else { Fate::Whole }, &mut Random::new(1));
        assert_eq!(bytes(&file), [vec![1; 1_500], vec![3; 3_000]].concat());
    }

    #[test]
    fn a_torn_write_is_torn_between_sectors() {
        let mut torn = 0;
        for seed in 0..100 {
            let mut file = File::durable(Default::default());
            file.write(1, 0, &[1; 8_000]);
            file.sync();
            file.write(2, 700, &[2; 4_000]);
            file.cut(|_| Fate::Torn, &mut Random::new(seed));
            let bytes = bytes(&file);
            let changes: Vec<usize> = (1..bytes.len()).filter(|at| bytes[at - 1] != bytes[*at]).collect();
            assert!(
                changes.iter().all(|at| at % SECTOR_BYTES == 0 || *at == 700 || *at == 4_700),
                "{changes:?}"
            );
            torn += usize::from(changes.len() > 2);
        }
        assert!(torn > 50, "{torn}");
    }

    #[test]
    fn a_sync_after_one_that_failed_does_not_write_what_was_lost() {
        let mut file = File::default();
        file.write(1, 0, &[1; 100]);
        file.sync();
        file.write(2, 0, &[2; 100]);
        file.fail_to_sync(|_| Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&file), [2; 100]);
        file.write(3, 50, &[3; 10]);
        file.sync();
        assert_eq!(bytes(&file), [vec![2; 50], vec![3; 10], vec![2; 40]].concat());
        file.cut(|_| Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&file), [vec![1; 50], vec![3; 10], vec![1; 40]].concat());
    }
}
