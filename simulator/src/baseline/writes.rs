//! Durable writes of one device: one at a time, and all that came meanwhile goes into the next.

/// What a device has to write, and what it is writing.
#[derive(Debug)]
pub(super) struct Writes<T> {
    waiting: Vec<T>,
    under_way: Vec<T>,
}

impl<T> Writes<T> {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new(), under_way: Vec::new() }
    }

    pub(super) fn add(&mut self, what: T) {
        self.waiting.push(what);
    }

    /// Begins a write if there is something to write and none is under way.
    pub(super) fn begin(&mut self) -> bool {
        if !self.under_way.is_empty() || self.waiting.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.waiting, &mut self.under_way);
        true
    }

    /// What is durable now.
    pub(super) fn done(&mut self) -> Vec<T> {
        std::mem::take(&mut self.under_way)
    }

    /// What a power cut takes, in order.
    pub(super) fn lost(&mut self) -> Vec<T> {
        let mut lost = std::mem::take(&mut self.under_way);
        lost.append(&mut self.waiting);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::Writes;

    #[test]
    fn what_comes_during_a_write_goes_into_the_next_one() {
        let mut writes = Writes::new();
        assert!(!writes.begin());
        writes.add(1);
        assert!(writes.begin());
        writes.add(2);
        writes.add(3);
        assert!(!writes.begin(), "one at a time");
        assert_eq!(writes.done(), [1]);
        assert!(writes.begin());
        writes.add(4);
        assert_eq!(writes.lost(), [2, 3, 4]);
        assert!(!writes.begin());
    }
}
