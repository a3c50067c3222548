//! How much each peer may send: messages, bytes, gossip.
//!
//! Direct messages beyond it are not lost: they are not read until it is their time, which the sender feels through the
//! stream's flow control. Gossip cannot be held back so: what is beyond is dropped, and who goes on all the same is cut
//! off for a while.

use std::collections::BTreeMap;

use popmesh_proto::budget::{Bucket, Penalty, Terms};

use super::DeviceKey;

/// Direct messages.
const MESSAGES: Terms = Terms { burst: 1_000, per_second: 1_000 };
/// Bytes of direct messages.
const BYTES: Terms = Terms { burst: 16 << 20, per_second: 4 << 20 };
/// Gossip messages.
const GOSSIP: Terms = Terms { burst: 2_000, per_second: 500 };
/// Bytes of gossip.
const GOSSIP_BYTES: Terms = Terms { burst: 8 << 20, per_second: 2 << 20 };
/// Gossip messages beyond that, each of which costs the time to read it and nothing else, before the link is closed.
const BEYOND: Terms = Terms { burst: 5_000, per_second: 200 };
/// Peers that are remembered at most, the linked ones aside.
const PEERS_KEPT: usize = 1_024;

#[derive(Debug)]
struct Peer {
    messages: Bucket,
    bytes: Bucket,
    gossip: Bucket,
    gossip_bytes: Bucket,
    beyond: Bucket,
    cut_off: Penalty,
    /// When it is let in again, if somebody else had it cut off.
    out_until_ms: u64,
}

impl Peer {
    fn new(now_ms: u64) -> Self {
        Self {
            messages: Bucket::full(MESSAGES, now_ms),
            bytes: Bucket::full(BYTES, now_ms),
            gossip: Bucket::full(GOSSIP, now_ms),
            gossip_bytes: Bucket::full(GOSSIP_BYTES, now_ms),
            beyond: Bucket::full(BEYOND, now_ms),
            cut_off: Penalty::default(),
            out_until_ms: 0,
        }
    }
}

/// What to do with gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gossiped {
    /// Take it.
    Take,
    /// Drop it.
    Drop,
    /// Drop it, and cut the peer off for so many milliseconds.
    CutOff(u64),
}

/// The budgets of all peers that were ever linked, so that who comes back goes on with what was left.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<DeviceKey, Peer>);

impl Budgets {
    fn peer(&mut self, device: DeviceKey, now_ms: u64) -> &mut Peer {
        self.0.entry(device).or_insert_with(|| Peer::new(now_ms))
    }

    /// A direct message was taken. Says when the peer may send on.
    pub(crate) fn message(&mut self, device: DeviceKey, bytes: usize, now_ms: u64) -> u64 {
        let peer = self.peer(device, now_ms);
        peer.messages.draw(1, now_ms);
        peer.bytes.draw(bytes as u64, now_ms);
        peer.messages.ready_at_ms(now_ms).max(peer.bytes.ready_at_ms(now_ms))
    }

    /// Gossip came in.
    pub(crate) fn gossip(&mut self, device: DeviceKey, bytes: usize, now_ms: u64) -> Gossiped {
        let peer = self.peer(device, now_ms);
        if peer.gossip.has_any(now_ms) && peer.gossip_bytes.has_any(now_ms) {
            peer.gossip.draw(1, now_ms);
            peer.gossip_bytes.draw(bytes as u64, now_ms);
            return Gossiped::Take;
        }
        if peer.beyond.take(1, now_ms) {
            return Gossiped::Drop;
        }
        peer.beyond = Bucket::full(BEYOND, now_ms);
        Gossiped::CutOff(peer.cut_off.begin(now_ms))
    }

    /// Somebody has good reasons to have a peer cut off.
    pub(crate) fn cut_off(&mut self, device: DeviceKey, for_ms: u64, now_ms: u64) {
        let peer = self.peer(device, now_ms);
        peer.out_until_ms = peer.out_until_ms.max(now_ms.saturating_add(for_ms));
    }

    /// For how long a peer is still cut off.
    pub(crate) fn out_for_ms(&self, device: &DeviceKey, now_ms: u64) -> Option<u64> {
        self.0.get(device)?.out_until_ms.checked_sub(now_ms).filter(|left| *left > 0)
    }

    /// Forgets peers that are not linked, if there are many. Each had to show a certificate of this event.
    pub(crate) fn tidy(&mut self, now_ms: u64, is_linked: impl Fn(&DeviceKey) -> bool) {
        if self.0.len() > PEERS_KEPT {
            self.0.retain(|device, peer| is_linked(device) || peer.out_until_ms > now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DeviceKey = [1; 32];
    const B: DeviceKey = [2; 32];

    #[test]
    fn a_peer_that_sends_too_much_waits_and_nobody_else() {
        let mut budgets = Budgets::default();
        let mut ready = 0;
        for _ in 0..MESSAGES.burst + 100 {
            ready = budgets.message(A, 100, 0);
        }
        assert!((100..=101).contains(&ready), "{ready}");
        assert_eq!(budgets.message(B, 100, 0), 0);
        let large = budgets.message(B, 24 << 20, 0);
        assert!((2_000..=2_001).contains(&large), "{large}");
    }

    #[test]
    fn gossip_beyond_it_is_dropped_and_in_the_end_the_link_is_cut_for_longer_each_time() {
        let mut budgets = Budgets::default();
        let all = GOSSIP.burst + BEYOND.burst;
        for number in 0..all {
            let wanted = if number < GOSSIP.burst { Gossiped::Take } else { Gossiped::Drop };
            assert_eq!(budgets.gossip(A, 10, 0), wanted, "{number}");
        }
        assert_eq!(budgets.gossip(A, 10, 0), Gossiped::CutOff(Penalty::FIRST_MS));
        for _ in 0..BEYOND.burst {
            assert_eq!(budgets.gossip(A, 10, 0), Gossiped::Drop);
        }
        assert_eq!(budgets.gossip(A, 10, 0), Gossiped::CutOff(2 * Penalty::FIRST_MS));
        assert_eq!(budgets.gossip(B, 10, 0), Gossiped::Take);
    }

    #[test]
    fn who_is_cut_off_comes_back() {
        let mut budgets = Budgets::default();
        budgets.cut_off(A, 500, 1_000);
        budgets.cut_off(A, 100, 1_000);
        assert_eq!(budgets.out_for_ms(&A, 1_100), Some(400));
        assert_eq!(budgets.out_for_ms(&A, 1_500), None);
        assert_eq!(budgets.out_for_ms(&B, 1_100), None);
    }
}
