//! How much the view has looked at. Part of no view: it depends on the order in which entries came.

/// A count that two views never differ by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps(u64);

impl Steps {
    pub(super) fn add(&mut self, steps: usize) {
        self.0 += steps as u64;
    }

    pub(super) fn count(self) -> u64 {
        self.0
    }
}

impl PartialEq for Steps {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Steps {}
