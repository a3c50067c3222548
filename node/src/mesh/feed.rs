//! Events on their way to the mesh's owner, while it has no room for them.

use std::collections::VecDeque;

use bytes::Bytes;
use libp2p::{PeerId, swarm::ConnectionId};

use super::{DeviceKey, MeshEvent};

/// Gossip messages that wait at most. Direct messages are bounded by how much each link reads ahead.
const GOSSIP_WAITING_MAX: usize = 2_048;

/// Bytes of gossip that wait at most.
const GOSSIP_WAITING_BYTES_MAX: usize = 16 << 20;

/// An event, and for a direct message the link that may read on once it is taken.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) event: MeshEvent,
    pub(crate) read_from: Option<(PeerId, ConnectionId)>,
}

/// Events that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    waiting: VecDeque<Pending>,
    gossip_waiting: usize,
    gossip_waiting_bytes: usize,
}

impl Feed {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn link_up(&mut self, device: DeviceKey) {
        self.push(MeshEvent::LinkUp { device }, None);
    }

    /// A link whose coming the owner has not heard of yet never was, for it: so at most one going and one coming of a
    /// device wait, however often its link comes and goes.
    pub(crate) fn link_down(&mut self, device: DeviceKey) {
        let up = MeshEvent::LinkUp { device };
        let Some(start) = self.waiting.iter().position(|pending| pending.event == up) else {
            self.push(MeshEvent::LinkDown { device }, None);
            return;
        };
        let mut index = 0;
        self.waiting.retain(|pending| {
            let of_the_link = matches!(&pending.event, MeshEvent::Message { from, .. } if *from == device);
            let keep = index < start || (index != start && !of_the_link);
            index += 1;
            keep
        });
    }

    pub(crate) fn message(&mut self, from: DeviceKey, bytes: Bytes, peer: PeerId, connection: ConnectionId) {
        self.push(MeshEvent::Message { from, bytes }, Some((peer, connection)));
    }

    /// Takes a gossip message, unless too many wait.
    pub(crate) fn gossip(&mut self, from: DeviceKey, bytes: Bytes, token: u64) -> bool {
        if self.gossip_waiting >= GOSSIP_WAITING_MAX || self.gossip_waiting_bytes >= GOSSIP_WAITING_BYTES_MAX
        {
            return false;
        }
        self.gossip_waiting += 1;
        self.gossip_waiting_bytes += bytes.len();
        self.push(MeshEvent::Gossip { from, bytes, token }, None);
        true
    }

    pub(crate) fn pop(&mut self) -> Option<Pending> {
        let pending = self.waiting.pop_front()?;
        if let MeshEvent::Gossip { bytes, .. } = &pending.event {
            self.gossip_waiting -= 1;
            self.gossip_waiting_bytes -= bytes.len();
        }
        Some(pending)
    }

    fn push(&mut self, event: MeshEvent, read_from: Option<(PeerId, ConnectionId)>) {
        self.waiting.push_back(Pending { event, read_from });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DeviceKey = [1; 32];
    const B: DeviceKey = [2; 32];

    fn drain(feed: &mut Feed) -> Vec<MeshEvent> {
        std::iter::from_fn(|| feed.pop()).map(|pending| pending.event).collect()
    }

    #[test]
    fn a_flapping_link_takes_bounded_room_and_ends_in_the_right_state() {
        let mut feed = Feed::default();
        let message = || (PeerId::random(), ConnectionId::new_unchecked(1));
        for _ in 0..1_000 {
            feed.link_down(A);
            feed.link_up(A);
            let (peer, connection) = message();
            feed.message(A, Bytes::from_static(b"a"), peer, connection);
            let (peer, connection) = message();
            feed.message(B, Bytes::from_static(b"b"), peer, connection);
        }
        feed.link_down(A);
        let events = drain(&mut feed);
        assert_eq!(events[0], MeshEvent::LinkDown { device: A });
        assert_eq!(events.len(), 1_001);
        assert!(
            events[1..].iter().all(|event| matches!(event, MeshEvent::Message { from, .. } if *from == B))
        );
    }

    #[test]
    fn gossip_is_bounded_and_link_news_is_not_dropped() {
        let mut feed = Feed::default();
        let taken = (0..10_000).filter(|token| feed.gossip(A, Bytes::new(), *token)).count();
        assert_eq!(taken, GOSSIP_WAITING_MAX);
        feed.link_up(A);
        assert_eq!(drain(&mut feed).len(), GOSSIP_WAITING_MAX + 1);
        assert!(feed.gossip(A, Bytes::new(), 0));
    }
}
