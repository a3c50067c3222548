//! How much a device has worked since it was opened: counts, not times, which are the same on every machine.

use super::Device;
use crate::holdings::Holdings;

/// What a device has done since it was opened. Part of no view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Entries that were shown to the stock view, one by one.
    pub shown: u64,
    /// What the stock view has looked at for that.
    pub looked_at: u64,
    /// How often the stock view was worked out anew, of the whole log.
    pub anew: u64,
    /// Heads of chains that were worked into digests of the log.
    pub digested: u64,
}

/// What is counted in passing.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) shown: u64,
    /// By views that were replaced.
    pub(super) looked_at: u64,
    pub(super) anew: u64,
}

impl Device {
    /// Puts a stock view that was worked out anew in the place of the one before, which comes back.
    pub(super) fn replace_holdings(&mut self, anew: Holdings) -> Holdings {
        self.done.looked_at += self.holdings.steps();
        self.done.anew += 1;
        std::mem::replace(&mut self.holdings, anew)
    }

    /// How much this device has worked since it was opened.
    pub fn work(&self) -> Work {
        let Done { shown, looked_at, anew } = self.done;
        let looked_at = looked_at + self.holdings.steps();
        Work { shown, looked_at, anew, digested: self.log.digested() }
    }
}
