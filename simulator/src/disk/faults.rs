//! What can go wrong with a disk, and what a disk counts.

use std::ops::AddAssign;

use super::file::Fate;
use crate::random::Random;

/// What a power cut keeps of that which was written and not synced.
///
/// Under [`Kept::Prefix`] and [`Kept::Some`] single writes are also torn: some of their sectors of 512 bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// What was done first, over all files; the last of it may be torn.
    Prefix,
    /// Any of the writes, in any file, whole or torn; of the changes to the directory, those done first.
    Some,
    /// One of these, by chance.
    Any,
}

/// What a program asks of a disk and may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Bytes of a file are read.
    Read,
    /// A file is written to, made longer or shorter, made or removed.
    Write,
    /// What was written is made durable.
    Sync,
}

/// How often a disk fails, out of a thousand times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Reads that fail.
    pub read_errors_per_mille: u64,
    /// Writes that fail; a part may be there all the same.
    pub write_errors_per_mille: u64,
    /// Syncs that fail. What was to be synced is then taken for clean, as Linux does it: programs see it until the power
    /// fails, and no later sync writes it.
    pub sync_errors_per_mille: u64,
    /// Syncs that do nothing and say that all went well, as some drives do. A later sync makes good for it.
    pub lying_syncs_per_mille: u64,
}

impl Faults {
    /// A disk that does what it should.
    pub const NONE: Self = Self {
        read_errors_per_mille: 0,
        write_errors_per_mille: 0,
        sync_errors_per_mille: 0,
        lying_syncs_per_mille: 0,
    };

    pub(super) fn errors_per_mille(&self, operation: Operation) -> u64 {
        match operation {
            Operation::Read => self.read_errors_per_mille,
            Operation::Write => self.write_errors_per_mille,
            Operation::Sync => self.sync_errors_per_mille,
        }
    }
}

/// What a disk has done and suffered since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Operations of all kinds: what a fuse counts. The difference over an append is what that append took.
    pub operations: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Syncs, those that lied or failed too.
    pub syncs: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Power cuts by a fuse, in the middle of an operation.
    pub fuses_blown: u64,
    /// Un-synced writes that a cut kept.
    pub writes_kept: u64,
    /// Un-synced writes that a cut tore.
    pub writes_torn: u64,
    /// Un-synced writes that a cut took.
    pub writes_lost: u64,
    /// Changes to the directory that a cut took.
    pub directory_changes_lost: u64,
    /// Reads that were made to fail.
    pub read_errors: u64,
    /// Writes that were made to fail.
    pub write_errors: u64,
    /// Syncs that were made to fail.
    pub sync_errors: u64,
    /// Syncs that lied.
    pub lying_syncs: u64,
    /// Writes that found no room.
    pub refused_for_space: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart by name, so that a number that is added later cannot be forgotten here.
        let Self {
            operations,
            reads,
            bytes_read,
            writes,
            bytes_written,
            syncs,
            cuts,
            fuses_blown,
            writes_kept,
            writes_torn,
            writes_lost,
            directory_changes_lost,
            read_errors,
            write_errors,
            sync_errors,
            lying_syncs,
            refused_for_space,
        } = other;
        self.operations += operations;
        self.reads += reads;
        self.bytes_read += bytes_read;
        self.writes += writes;
        self.bytes_written += bytes_written;
        self.syncs += syncs;
        self.cuts += cuts;
        self.fuses_blown += fuses_blown;
        self.writes_kept += writes_kept;
        self.writes_torn += writes_torn;
        self.writes_lost += writes_lost;
        self.directory_changes_lost += directory_changes_lost;
        self.read_errors += read_errors;
        self.write_errors += write_errors;
        self.sync_errors += sync_errors;
        self.lying_syncs += lying_syncs;
        self.refused_for_space += refused_for_space;
    }
}

/// A power cut's choice: what becomes of each change that was not synced.
#[derive(Debug)]
pub(super) enum Choice {
    All(Fate),
    /// Kept before this one, torn at it, lost after it.
    Until(Option<u64>),
    Each(Random),
}

impl Choice {
    /// Chooses among changes made at these times.
    pub(super) fn make(kept: Kept, mut orders: Vec<u64>, random: &mut Random) -> Self {
        let kinds = [Kept::Nothing, Kept::Everything, Kept::Prefix, Kept::Some];
        let kept = match kept {
            Kept::Any => kinds[random.index(kinds.len())],
            other => other,
        };
        match kept {
            Kept::Nothing => Self::All(Fate::Lost),
            Kept::Everything => Self::All(Fate::Whole),
            Kept::Prefix => {
                orders.sort_unstable();
                Self::Until(orders.get(random.index(orders.len() + 1)).copied())
            }
            Kept::Some | Kept::Any => Self::Each(Random::new(random.next())),
        }
    }

    pub(super) fn fate(&mut self, order: u64) -> Fate {
        match self {
            Self::All(fate) => *fate,
            Self::Until(None) => Fate::Whole,
            Self::Until(Some(end)) => match order.cmp(end) {
                std::cmp::Ordering::Less => Fate::Whole,
                std::cmp::Ordering::Equal => Fate::Torn,
                std::cmp::Ordering::Greater => Fate::Lost,
            },
            Self::Each(random) => [Fate::Lost, Fate::Torn, Fate::Whole][random.index(3)],
        }
    }

    /// How many of the directory's changes made at these times, in order, are kept.
    pub(super) fn directory_changes(&mut self, orders: &[u64]) -> usize {
        match self {
            Self::Each(random) => random.index(orders.len() + 1),
            _ => orders.iter().take_while(|order| self.fate(**order) == Fate::Whole).count(),
        }
    }
}
