//! What is going to happen, in order of time; what is due at the same time, in order of planning.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// A node, by its place in the world's list: the scenario's devices first, clones behind them.
pub(super) type NodeIndex = usize;

/// Counts what happens to a node's power: what was meant for an earlier life is lost.
pub(super) type Life = u32;

/// Something that is going to happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A message arrives.
    Message { from: NodeIndex, to: NodeIndex, life: Life, bytes: Rc<[u8]> },
    /// A copy of gossip arrives; changed on the way if `spoiled`.
    Gossip { from: NodeIndex, to: NodeIndex, life: Life, id: u64, spoiled: Option<Rc<[u8]>> },
    /// The write under way is done.
    Written { node: NodeIndex, life: Life },
    /// A device asked to be woken.
    Wake { node: NodeIndex, life: Life, mono_ms: u64 },
    /// A dial may succeed.
    Dial { a: NodeIndex, b: NodeIndex, attempt: u64 },
    /// Both ends of a link that lost its way look whether it is still lost.
    Lost { a: NodeIndex, b: NodeIndex, attempt: u64 },
    /// A device closes its links to those that were retired.
    Barred { node: NodeIndex, life: Life },
    /// A device whose writes fail tries again.
    Probe { node: NodeIndex, life: Life },
    /// Power comes back, or a battery ends, unless something else has happened to the node since.
    Power { node: NodeIndex, change: u64, on: bool },
    /// The wish of a shopper.
    Shopper { shopper: usize },
    /// A till asks again for what it got no answer to.
    Again { shopper: usize },
    /// Somebody comes about a claim, or asks again.
    Visit { visit: usize },
    /// A fault begins or ends.
    Fault { fault: usize, begins: bool },
    /// What the script says of the networks changes.
    Networks,
    /// The organiser does what is due.
    Organise,
    /// The world is looked at.
    Look,
    /// Old messages of a device are sent again.
    Replay { node: NodeIndex },
    /// An adversary acts.
    Act { fault: usize, node: NodeIndex },
    /// A person retires a device: looks at what that risks, or gives the number that was `looked` at.
    Retire { fault: usize, looked: Option<u64> },
    /// The right to retire is handed over.
    Entrust { fault: usize },
    /// An image of a disk is taken.
    Image { fault: usize },
}

#[derive(Debug)]
struct Planned {
    at_us: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at_us, self.order) == (other.at_us, other.order)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    // The heap gives the greatest first: the earliest has to be that.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.order).cmp(&(self.at_us, self.order))
    }
}

/// What is going to happen.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Planned>,
    planned: u64,
}

impl Queue {
    /// Plans an event.
    pub(super) fn plan(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Planned { at_us, order: self.planned, event });
    }

    /// The next event that is due by `until_us`.
    pub(super) fn next(&mut self, until_us: u64) -> Option<(u64, Event)> {
        if self.heap.peek()?.at_us > until_us {
            return None;
        }
        self.heap.pop().map(|planned| (planned.at_us, planned.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_then_what_was_planned_first() {
        let mut queue = Queue::default();
        for (at, shopper) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            queue.plan(at, Event::Shopper { shopper });
        }
        let mut order = Vec::new();
        while let Some((at, Event::Shopper { shopper })) = queue.next(4) {
            order.push((at, shopper));
        }
        assert_eq!(order, [(3, 1), (3, 3)]);
        assert!(matches!(queue.next(5), Some((5, Event::Shopper { shopper: 0 }))));
    }
}
