//! What is going to happen, in order of time; what is due at the same time, in order of planning.

use std::collections::BTreeMap;

/// What is going to happen.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    planned: BTreeMap<(u64, u64), E>,
    count: u64,
}

impl<E> Agenda<E> {
    pub(super) fn new() -> Self {
        Self { planned: BTreeMap::new(), count: 0 }
    }

    pub(super) fn plan(&mut self, at_us: u64, event: E) {
        self.count += 1;
        self.planned.insert((at_us, self.count), event);
    }

    /// What is due next, and when.
    pub(super) fn next(&mut self) -> Option<(u64, E)> {
        self.planned.pop_first().map(|((at_us, _), event)| (at_us, event))
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn what_is_due_first_comes_first_and_then_what_was_planned_first() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            agenda.plan(at, what);
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd')]);
    }
}
