//! What comes in from the mesh, in a queue for each peer, so that one peer's backlog holds up nobody else.
//!
//! Whose turn is next goes by the time that each peer's messages have taken so far: start-time fair queueing (Goyal, Vin
//! and Cheng, 1996), with the core's time as what is shared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use popmesh_proto::id::DeviceId;

use super::mesh::{Guard, MeshEvent};

/// Messages of one peer that may wait. The mesh reads on only when they are taken, so this is the net below.
const MESSAGES_MAX: usize = 64;
/// Gossip of one peer that may wait.
const GOSSIP_MAX: usize = 256;
/// Bytes of it.
const GOSSIP_BYTES_MAX: usize = 4 << 20;
/// Peers that are remembered though nothing of theirs waits.
const PEERS_KEPT: usize = 1_024;

#[derive(Debug)]
struct Waiting {
    event: MeshEvent,
    /// Dropped when the event has been dealt with.
    guard: Guard,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    messages: usize,
    gossip: usize,
    gossip_bytes: usize,
    /// Time that its messages have taken, or as much as that of others when it came.
    used: Duration,
}

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Fair {
    queues: BTreeMap<DeviceId, Queue>,
    /// The time that whoever came last had used: who comes now begins there.
    clock: Duration,
}

fn peer_of(event: &MeshEvent) -> DeviceId {
    match event {
        MeshEvent::LinkUp { peer, .. } | MeshEvent::LinkWidth { peer, .. } | MeshEvent::LinkDown { peer } => {
            *peer
        }
        MeshEvent::Message { from, .. } | MeshEvent::Gossip { from, .. } => *from,
    }
}

impl Fair {
    /// Puts an event in, unless too much of its peer waits. News of links always fits: a link whose coming was not seen yet
    /// never was, and what came over one that is gone is of no use.
    pub(super) fn put(&mut self, event: MeshEvent, guard: Guard) -> bool {
        let clock = self.clock;
        let queue = self.queues.entry(peer_of(&event)).or_default();
        if queue.waiting.is_empty() {
            queue.used = queue.used.max(clock);
        }
        match &event {
            MeshEvent::LinkUp { .. } => {}
            MeshEvent::LinkWidth { .. } => {
                let earlier = |waiting: &Waiting| matches!(waiting.event, MeshEvent::LinkWidth { .. });
                queue.waiting.retain(|waiting| !earlier(waiting));
            }
            MeshEvent::LinkDown { .. } => {
                let up =
                    queue.waiting.iter().any(|waiting| matches!(waiting.event, MeshEvent::LinkUp { .. }));
                queue.waiting.retain(|waiting| match waiting.event {
                    MeshEvent::Message { .. } | MeshEvent::LinkUp { .. } | MeshEvent::LinkWidth { .. } => {
                        false
                    }
                    MeshEvent::LinkDown { .. } | MeshEvent::Gossip { .. } => true,
                });
                queue.messages = 0;
                if up {
                    return true;
                }
            }
            MeshEvent::Message { .. } if queue.messages >= MESSAGES_MAX => return false,
            MeshEvent::Message { .. } => queue.messages += 1,
            MeshEvent::Gossip { bytes, .. } => {
                if queue.gossip >= GOSSIP_MAX || queue.gossip_bytes >= GOSSIP_BYTES_MAX {
                    return false;
                }
                queue.gossip += 1;
                queue.gossip_bytes += bytes.len();
            }
        }
        queue.waiting.push_back(Waiting { event, guard });
        true
    }

    /// The next event, of the peer whose messages have taken least.
    pub(super) fn take(&mut self) -> Option<(DeviceId, MeshEvent, Guard)> {
        let waiting = self.queues.iter_mut().filter(|(_, queue)| !queue.waiting.is_empty());
        let (peer, queue) = waiting.min_by_key(|(_, queue)| queue.used)?;
        let peer = *peer;
        self.clock = self.clock.max(queue.used);
        let Waiting { event, guard } = queue.waiting.pop_front()?;
        match &event {
            MeshEvent::Message { .. } => queue.messages -= 1,
            MeshEvent::Gossip { bytes, .. } => {
                queue.gossip -= 1;
                queue.gossip_bytes -= bytes.len();
            }
            MeshEvent::LinkUp { .. } | MeshEvent::LinkWidth { .. } | MeshEvent::LinkDown { .. } => {}
        }
        Some((peer, event, guard))
    }

    /// What a peer sent has taken so long.
    pub(super) fn used(&mut self, peer: DeviceId, time: Duration) {
        if let Some(queue) = self.queues.get_mut(&peer) {
            queue.used += time;
        }
        if self.queues.len() > PEERS_KEPT {
            let clock = self.clock;
            self.queues.retain(|_, queue| !queue.waiting.is_empty() || queue.used > clock);
        }
    }
}

#[cfg(test)]
mod tests {
    use popmesh_proto::links::Width;

    use super::*;

    const A: DeviceId = DeviceId([1; 32]);
    const B: DeviceId = DeviceId([2; 32]);

    fn message(from: DeviceId) -> MeshEvent {
        MeshEvent::Message { from, bytes: vec![0; 10] }
    }

    fn gossip(from: DeviceId, bytes: usize) -> MeshEvent {
        MeshEvent::Gossip { from, bytes: vec![0; bytes], token: 0 }
    }

    #[test]
    fn who_takes_ten_times_as_long_gets_a_tenth_of_the_turns() {
        let mut fair = Fair::default();
        let mut turns = BTreeMap::<DeviceId, u32>::new();
        for _ in 0..1_100 {
            for peer in [A, B] {
                while fair.put(message(peer), Guard::none()) {}
            }
            let (peer, ..) = fair.take().unwrap();
            fair.used(peer, Duration::from_micros(if peer == A { 1_000 } else { 100 }));
            *turns.entry(peer).or_default() += 1;
        }
        assert!((95..=105).contains(&turns[&A]), "{turns:?}");
    }

    #[test]
    fn who_was_quiet_has_the_next_turn_and_has_saved_up_nothing() {
        let mut fair = Fair::default();
        for _ in 0..50 {
            assert!(fair.put(message(A), Guard::none()));
        }
        for _ in 0..40 {
            let (peer, ..) = fair.take().unwrap();
            fair.used(peer, Duration::from_millis(1));
        }
        for _ in 0..10 {
            assert!(fair.put(message(B), Guard::none()));
        }
        let turns: Vec<DeviceId> = std::iter::from_fn(|| {
            let (peer, ..) = fair.take()?;
            fair.used(peer, Duration::from_millis(1));
            Some(peer)
        })
        .collect();
        assert_eq!(turns[0], B);
        assert!(turns[..6].contains(&A), "it does not make up for when it was quiet: {turns:?}");
    }

    #[test]
    fn one_that_floods_fills_its_own_queue_alone() {
        let mut fair = Fair::default();
        let put = (0..10_000).filter(|_| fair.put(gossip(A, 10), Guard::none())).count();
        assert_eq!(put, GOSSIP_MAX);
        assert!(!fair.put(gossip(A, 10), Guard::none()));
        assert!(fair.put(gossip(B, 10), Guard::none()) && fair.put(message(A), Guard::none()));
        let mut large = Fair::default();
        let put = (0..100).filter(|_| large.put(gossip(A, 256 << 10), Guard::none())).count();
        assert_eq!(put, GOSSIP_BYTES_MAX / (256 << 10));
        assert!(fair.put(MeshEvent::LinkDown { peer: A }, Guard::none()));
    }

    #[test]
    fn a_flapping_link_takes_bounded_room_and_ends_in_the_right_state() {
        let mut fair = Fair::default();
        for _ in 0..1_000 {
            fair.put(MeshEvent::LinkDown { peer: A }, Guard::none());
            fair.put(MeshEvent::LinkUp { peer: A, width: Width::Broad }, Guard::none());
            for width in [Width::Narrow, Width::Broad] {
                fair.put(MeshEvent::LinkWidth { peer: A, width }, Guard::none());
            }
            fair.put(message(A), Guard::none());
        }
        fair.put(MeshEvent::LinkDown { peer: A }, Guard::none());
        let left: Vec<MeshEvent> = std::iter::from_fn(|| fair.take()).map(|(_, event, _)| event).collect();
        assert_eq!(left, [MeshEvent::LinkDown { peer: A }]);
    }
}
