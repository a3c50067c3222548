//! Power cuts on one disk, many a second: the production store appends, the power fails in the middle of any operation, in
//! recovery too, and what was acknowledged must be there afterwards.
//!
//! Not in here: what entries mean. To the store they are bytes, so they are made up.

mod batch;
mod log;

use std::ops::ControlFlow;

use batch::Batches;
use log::Log;

use crate::disk::{DiskError, Disks, Faults, Stats};
use crate::random::Random;

/// Power cuts that one log lives through before the next begins on an empty disk, at most: so that making a log is cut often
/// enough, and checking one does not take ever longer.
const CYCLES_PER_LOG_MAX: u64 = 64;
/// Logs, out of a thousand, whose entries are so large that the write-ahead log is emptied while it is written to.
const LARGE_PER_MILLE: u64 = 15;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What all chance follows from.
    pub seed: u64,
    /// How many times to append, lose power, recover and check.
    pub cycles: u64,
    /// How the disk fails besides. With lying syncs a loss is to be expected.
    pub faults: Faults,
    /// How many appends out of a thousand find the disk full.
    pub full_per_mille: u64,
}

impl Options {
    /// Power cuts alone.
    #[must_use]
    pub fn new(seed: u64, cycles: u64) -> Self {
        Self { seed, cycles, faults: Faults::NONE, full_per_mille: 0 }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Cycles of append, cut, recovery and check.
    pub cycles: u64,
    /// Power cuts while a log was opened: recovered, made, or opened after it was closed.
    pub cuts_in_recovery: u64,
    /// Logs begun on an empty disk.
    pub logs: u64,
    /// Batches that the store has acknowledged.
    pub batches_acknowledged: u64,
    /// Batches that were not acknowledged and were found.
    pub batches_kept: u64,
    /// Batches that were not acknowledged and are gone for good.
    pub batches_gone: u64,
    /// Appends that failed with the power on.
    pub appends_failed: u64,
    /// Logs closed, which moves everything into the one file.
    pub closed: u64,
    /// Entries found where they should be, counted at every check.
    pub entries_checked: u64,
    /// Looks at every page.
    pub integrity_checks: u64,
    /// What the disks did and suffered.
    pub disk: Stats,
    /// A number that only this history has: over the bytes of all disks.
    pub history: [u8; 32],
}

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutsError {
    /// There is something else on this thread, or a store was not dropped.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A promise was broken.
    #[error("seed {seed}, cycle {cycle}: {finding}")]
    Broken {
        /// The run's seed.
        seed: u64,
        /// In which cycle, from 1.
        cycle: u64,
        /// What is wrong.
        finding: Finding,
    },
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// What was acknowledged is gone.
    #[error("{acknowledged} {what} were acknowledged and only {found} are there")]
    Lost {
        /// Of what.
        what: &'static str,
        /// How many were.
        acknowledged: usize,
        /// How many are.
        found: usize,
    },
    /// Something else is there than was appended.
    #[error("{what} {number} is not what was appended")]
    Changed {
        /// Of what.
        what: &'static str,
        /// Which, from 1.
        number: usize,
    },
    /// More is there than what was acknowledged, and it is not a batch that was under way.
    #[error("{entries} entries and {outcomes} outcomes are there that are no batch which was under way")]
    Torn {
        /// Entries too many.
        entries: usize,
        /// Outcomes too many.
        outcomes: usize,
    },
    /// The log cannot be opened or read on a disk that works.
    #[error("the log is unusable: {problem}")]
    Unusable {
        /// What the store said.
        problem: String,
    },
    /// The database is not whole.
    #[error("the database is damaged: {problems}")]
    Damaged {
        /// What SQLite said.
        problems: String,
    },
}

/// Runs. `progress` sees the numbers after each cycle and can end the run, which then has fewer cycles than asked for.
///
/// # Errors
/// [`CutsError::Broken`] at the first promise that was broken; the same options break it again.
pub fn run(
    options: &Options,
    mut progress: impl FnMut(&Report) -> ControlFlow<()>,
) -> Result<Report, CutsError> {
    let mut disks = Disks::start(options.seed)?;
    let random = Random::new(options.seed).fork("cuts");
    let mut report = Report::default();
    while report.cycles < options.cycles {
        let mut random = random.fork(&format!("log {}", report.logs));
        let batches = Batches::new(random.fork("batches"), random.chance(LARGE_PER_MILLE));
        let cycles = random.within(1..=CYCLES_PER_LOG_MAX).min(options.cycles - report.cycles);
        report.logs += 1;
        let disk = disks.add();
        let mut log = Log::new(disk.clone(), batches, random, options);
        let so_far = report.disk;
        let mut run = || -> Result<ControlFlow<()>, CutsError> {
            log.make(&mut report)?;
            for _ in 0..cycles {
                report.cycles += 1;
                log.cycle(&mut report)?;
                report.disk = so_far;
                report.disk += disk.stats();
                if progress(&report).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let flow = run()?;
        disks.remove(&disk);
        report.history = log.history(report.history);
        if flow.is_break() {
            break;
        }
    }
    Ok(report)
}
