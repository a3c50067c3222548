//! How closely a run is looked at.

use crate::planted::Planted;

/// How closely a run is looked at. Nothing in here changes what happens, but for a planted bug.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Check each device's own books after every step that touched it, instead of once a second.
    pub every_step: bool,
    /// Keep what a report needs: curves, lanes and answers.
    pub record: bool,
    /// Say what happens, a line each, from this step on.
    pub trace_from: Option<u64>,
    /// Stop after so many steps.
    pub until_step: Option<u64>,
    /// A bug that every device works with.
    #[cfg(feature = "planted")]
    pub planted: Option<Planted>,
}

impl Options {
    /// Whether this bug is planted.
    #[cfg(feature = "planted")]
    pub(super) fn has(&self, bug: Planted) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    pub(super) const fn has(&self, _: Planted) -> bool {
        false
    }
}
