//! The log on one disk, and what must be in it.

use popmesh_proto::id::{DeviceId, EventId};
use popmesh_store::{Loaded, Store, StoreError, key_prefix};
use sha2::{Digest, Sha256};

use super::batch::{Batch, Batches};
use super::{CutsError, Finding, Options, Report};
use crate::disk::{Disk, Faults, Kept};
use crate::random::Random;

const EVENT: EventId = EventId([1; 32]);
const DEVICE: DeviceId = DeviceId([2; 32]);

/// The power fails within so many operations of the disk: a few appends.
const OPERATIONS_TO_CUT_MAX: u64 = 40;
/// Within so many in some cycles, in which the log can also be closed or started again and then be appended to.
const OPERATIONS_TO_CUT_IN_LONG_CYCLE_MAX: u64 = 250;
const LONG_CYCLES_PER_MILLE: u64 = 120;
/// Within so many while a log is opened, which takes about that.
const OPERATIONS_TO_CUT_IN_RECOVERY_MAX: u64 = 40;
/// How many recoveries out of a thousand are cut in their turn.
const CUT_IN_RECOVERY_PER_MILLE: u64 = 300;
/// How many times out of a thousand the log is closed and opened again instead of appended to.
const CLOSE_PER_MILLE: u64 = 60;
/// How many checks out of a thousand look at every page.
const INTEGRITY_CHECK_PER_MILLE: u64 = 60;
/// How much room a full disk has left, at most.
const ROOM_BYTES_MAX: u64 = 12_000;
/// Times that a log is opened on a disk that fails, before the disk stops failing.
const OPENINGS_MAX: u64 = 50;

/// A log, the disk below it, and what was appended.
#[derive(Debug)]
pub(super) struct Log {
    disk: Disk,
    store: Option<Store>,
    batches: Batches,
    random: Random,
    faults: Faults,
    full_per_mille: u64,
    seed: u64,
    acknowledged: Batch,
    /// What was not acknowledged and can be there, or come back: nobody was told of it, so either will do, but only one of
    /// them, and whole.
    in_doubt: Vec<Batch>,
}

impl Log {
    pub(super) fn new(disk: Disk, batches: Batches, random: Random, options: &Options) -> Self {
        Self {
            disk,
            store: None,
            batches,
            random,
            faults: options.faults,
            full_per_mille: options.full_per_mille,
            seed: options.seed,
            acknowledged: Batch::default(),
            in_doubt: Vec::new(),
        }
    }

    /// Opens it for the first time.
    pub(super) fn make(&mut self, report: &mut Report) -> Result<(), CutsError> {
        self.disk.set_faults(self.faults);
        self.recover(report)
    }

    /// Appends until the power fails, recovers, and checks.
    pub(super) fn cycle(&mut self, report: &mut Report) -> Result<(), CutsError> {
        let long = self.random.chance(LONG_CYCLES_PER_MILLE);
        let most = if long { OPERATIONS_TO_CUT_IN_LONG_CYCLE_MAX } else { OPERATIONS_TO_CUT_MAX };
        let operation = self.random.within(1..=most);
        self.disk.arm_fuse(operation, Kept::Any);
        // Each turn takes at least one operation, or fails.
        while self.disk.is_on() {
            if self.random.chance(CLOSE_PER_MILLE) {
                self.close(report)?;
            } else {
                self.append(report)?;
            }
        }
        self.recover(report)
    }

    fn append(&mut self, report: &mut Report) -> Result<(), CutsError> {
        let Some(store) = &mut self.store else {
            return self.recover_with_power(report);
        };
        let batch = self.batches.next();
        let full = self.random.chance(self.full_per_mille);
        if full {
            self.disk.set_capacity(Some(self.disk.used_bytes() + self.random.below(ROOM_BYTES_MAX)));
        }
        let appended = store.append(&batch.entries, &batch.outcomes);
        if full {
            self.disk.set_capacity(None);
        }
        match appended {
            Ok(_) => {
                report.batches_acknowledged += 1;
                // It went where the ones that failed went. Until then they can come back, also after a recovery that did
                // not find them: a later write to the same place can bring the very sectors that were missing.
                report.batches_gone += self.in_doubt.len() as u64;
                self.in_doubt.clear();
                self.acknowledge(batch);
            }
            Err(error) => {
                self.in_doubt.push(batch);
                if self.disk.is_on() {
                    report.appends_failed += 1;
                    self.expect_a_reason(&error, full, report)?;
                    // The node goes on with the store that it has; a person may start it again.
                    if self.random.chance(300) {
                        self.store = None;
                        self.recover_with_power(report)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, batch: Batch) {
        self.acknowledged.entries.extend(batch.entries);
        self.acknowledged.outcomes.extend(batch.outcomes);
    }

    /// A disk that works has to take what is appended.
    fn expect_a_reason(&self, error: &StoreError, full: bool, report: &Report) -> Result<(), CutsError> {
        let expected = match error {
            StoreError::Full { .. } => full,
            StoreError::Disk { .. } => self.faults != Faults::NONE,
            _ => false,
        };
        if expected { Ok(()) } else { Err(self.broken(unusable(error), report)) }
    }

    fn close(&mut self, report: &mut Report) -> Result<(), CutsError> {
        if let Some(store) = self.store.take() {
            match store.close() {
                Ok(()) => report.closed += 1,
                Err(_) if !self.disk.is_on() => return Ok(()),
                Err(error) => self.expect_a_reason(&error, false, report)?,
            }
        }
        self.recover_with_power(report)
    }

    /// Turns the power on and opens the log until that goes well: the power may fail again meanwhile.
    fn recover(&mut self, report: &mut Report) -> Result<(), CutsError> {
        loop {
            self.store = None;
            self.disk.power_on()?;
            if self.random.chance(CUT_IN_RECOVERY_PER_MILLE) {
                let operation = self.random.within(1..=OPERATIONS_TO_CUT_IN_RECOVERY_MAX);
                self.disk.arm_fuse(operation, Kept::Any);
            }
            self.recover_with_power(report)?;
            if self.disk.is_on() {
                self.disk.disarm_fuse();
                return Ok(());
            }
        }
    }

    /// Opens the log and checks it. The power may be off afterwards.
    fn recover_with_power(&mut self, report: &mut Report) -> Result<(), CutsError> {
        for opening in 1.. {
            if opening == OPENINGS_MAX {
                self.disk.set_faults(Faults::NONE);
            }
            match self.disk.open_log(EVENT, DEVICE) {
                Ok((store, loaded)) => {
                    // Faults while checking would say nothing about the log.
                    self.disk.set_faults(Faults::NONE);
                    let checked = self.check(&store, &loaded, report);
                    self.disk.set_faults(self.faults);
                    self.store = Some(store);
                    return match checked {
                        Err(Finding::Unusable { .. }) if !self.disk.is_on() => cut_in_recovery(report),
                        Err(finding) => Err(self.broken(finding, report)),
                        Ok(()) => Ok(()),
                    };
                }
                Err(_) if !self.disk.is_on() => return cut_in_recovery(report),
                Err(StoreError::Disk { .. }) if opening < OPENINGS_MAX && self.faults != Faults::NONE => {}
                Err(error) => return Err(self.broken(unusable(&error), report)),
            }
        }
        Ok(())
    }

    fn check(&mut self, store: &Store, loaded: &Loaded, report: &mut Report) -> Result<(), Finding> {
        let mut found = Batch::default();
        for entry in store.entries() {
            found.entries.push(entry.map_err(|error| unusable(&error))?);
        }
        for (prefix, id) in &loaded.answers {
            let outcome = store.answer(*id).map_err(|error| unusable(&error))?;
            if *prefix != key_prefix(&outcome.idempotency.key) {
                return Err(Finding::Changed { what: "outcome", number: found.outcomes.len() + 1 });
            }
            found.outcomes.push(outcome);
        }
        let entries_beyond = beyond("entries", "entry", &self.acknowledged.entries, &mut found.entries)?;
        let outcomes_beyond =
            beyond("outcomes", "outcome", &self.acknowledged.outcomes, &mut found.outcomes)?;
        let there = Batch { entries: entries_beyond, outcomes: outcomes_beyond };
        report.entries_checked += self.acknowledged.entries.len() as u64;
        if there != Batch::default() {
            if !self.in_doubt.contains(&there) {
                return Err(Finding::Torn { entries: there.entries.len(), outcomes: there.outcomes.len() });
            }
            report.batches_kept += 1;
            report.batches_gone += self.in_doubt.len() as u64 - 1;
            self.in_doubt.clear();
            self.acknowledge(there);
        }
        if self.random.chance(INTEGRITY_CHECK_PER_MILLE) {
            report.integrity_checks += 1;
            let problems = store.integrity_check().map_err(|error| unusable(&error))?.join("; ");
            if !problems.is_empty() {
                // SQLite counts a page that it could not read among the damage.
                return Err(if self.disk.is_on() {
                    Finding::Damaged { problems }
                } else {
                    Finding::Unusable { problem: problems }
                });
            }
        }
        Ok(())
    }

    /// The history so far, with what is on this disk now.
    pub(super) fn history(&self, so_far: [u8; 32]) -> [u8; 32] {
        Sha256::new().chain_update(so_far).chain_update(self.disk.image().digest()).finalize().into()
    }

    fn broken(&self, finding: Finding, report: &Report) -> CutsError {
        CutsError::Broken { seed: self.seed, cycle: report.cycles, finding }
    }
}

fn cut_in_recovery(report: &mut Report) -> Result<(), CutsError> {
    report.cuts_in_recovery += 1;
    Ok(())
}

fn unusable(error: &StoreError) -> Finding {
    Finding::Unusable { problem: error.to_string() }
}

/// What was found beyond what was acknowledged, which must all be there and in order.
fn beyond<T: PartialEq>(
    whats: &'static str,
    what: &'static str,
    acknowledged: &[T],
    found: &mut Vec<T>,
) -> Result<Vec<T>, Finding> {
    if found.len() < acknowledged.len() {
        let (acknowledged, found) = (acknowledged.len(), found.len());
        return Err(Finding::Lost { what: whats, acknowledged, found });
    }
    if let Some(at) = acknowledged.iter().zip(&*found).position(|(wanted, found)| wanted != found) {
        return Err(Finding::Changed { what, number: at + 1 });
    }
    Ok(found.split_off(acknowledged.len()))
}
