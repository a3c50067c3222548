//! Events on their way to the mesh's owner, while it has no room for them.

use std::collections::VecDeque;

use bytes::Bytes;
use popmesh_proto::links::Width;

use super::{DeviceKey, MeshEvent, Taken};

/// Gossip messages that wait at most. Direct messages are bounded by how much each link reads ahead.
const GOSSIP_WAITING_MAX: usize = 2_048;

/// Bytes of gossip that wait at most.
const GOSSIP_WAITING_BYTES_MAX: usize = 16 << 20;

/// Events that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    waiting: VecDeque<MeshEvent>,
    gossip_waiting: usize,
    gossip_waiting_bytes: usize,
}

impl Feed {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn link_up(&mut self, device: DeviceKey, width: Width) {
        self.waiting.push_back(MeshEvent::LinkUp { device, width });
    }

    /// At most one such change of a device waits.
    pub(crate) fn link_width(&mut self, device: DeviceKey, width: Width) {
        self.waiting
            .retain(|pending| !matches!(pending, MeshEvent::LinkWidth { device: of, .. } if *of == device));
        self.waiting.push_back(MeshEvent::LinkWidth { device, width });
    }

    /// A link whose coming the owner has not heard of yet never was, for it: so at most one going and one coming of a
    /// device wait, however often its link comes and goes.
    pub(crate) fn link_down(&mut self, device: DeviceKey) {
        let is_up =
            |pending: &MeshEvent| matches!(pending, MeshEvent::LinkUp { device: of, .. } if *of == device);
        let Some(start) = self.waiting.iter().position(is_up) else {
            self.waiting.push_back(MeshEvent::LinkDown { device });
            return;
        };
        let mut index = 0;
        self.waiting.retain(|pending| {
            let of_the_link = match pending {
                MeshEvent::Message { from: of, .. } | MeshEvent::LinkWidth { device: of, .. } => {
                    *of == device
                }
                _ => false,
            };
            let keep = index < start || (index != start && !of_the_link);
            index += 1;
            keep
        });
    }

    pub(crate) fn message(&mut self, from: DeviceKey, bytes: Bytes, taken: Taken) {
        self.waiting.push_back(MeshEvent::Message { from, bytes, taken });
    }

    /// Takes a gossip message, unless too many wait.
    pub(crate) fn gossip(&mut self, from: DeviceKey, bytes: Bytes, token: u64) -> bool {
        if self.gossip_waiting >= GOSSIP_WAITING_MAX || self.gossip_waiting_bytes >= GOSSIP_WAITING_BYTES_MAX
        {
            return false;
        }
        self.gossip_waiting += 1;
        self.gossip_waiting_bytes += bytes.len();
        self.waiting.push_back(MeshEvent::Gossip { from, bytes, token });
        true
    }

    pub(crate) fn pop(&mut self) -> Option<MeshEvent> {
        let event = self.waiting.pop_front()?;
        if let MeshEvent::Gossip { bytes, .. } = &event {
            self.gossip_waiting -= 1;
            self.gossip_waiting_bytes -= bytes.len();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::{PeerId, swarm::ConnectionId};
    use tokio::sync::mpsc;

    use super::{super::taken::Done, *};

    const A: DeviceKey = [1; 32];
    const B: DeviceKey = [2; 32];

    fn drain(feed: &mut Feed) -> Vec<MeshEvent> {
        std::iter::from_fn(|| feed.pop()).collect()
    }

    #[test]
    fn a_flapping_link_takes_bounded_room_and_ends_in_the_right_state() {
        let mut feed = Feed::default();
        let (tell, mut told) = mpsc::unbounded_channel();
        let taken = || {
            let connection = ConnectionId::new_unchecked(1);
            Taken::new(Done { peer: PeerId::random(), connection, bytes: 1 }, tell.clone())
        };
        for _ in 0..1_000 {
            feed.link_down(A);
            feed.link_up(A, Width::Broad);
            feed.message(A, Bytes::from_static(b"a"), taken());
            feed.message(B, Bytes::from_static(b"b"), taken());
        }
        feed.link_down(A);
        assert_eq!(
            std::iter::from_fn(|| told.try_recv().ok()).count(),
            1_000,
            "what is dropped was dealt with"
        );
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
        feed.link_up(A, Width::Broad);
        assert_eq!(drain(&mut feed).len(), GOSSIP_WAITING_MAX + 1);
        assert!(feed.gossip(A, Bytes::new(), 0));
    }
}
