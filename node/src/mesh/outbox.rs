//! What waits to be sent to each linked peer. One bounded queue a peer, so a slow one holds up nobody else.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{DeviceKey, medium::Medium};

/// Messages that may wait for one peer.
pub(crate) const OUTBOX_MESSAGES_MAX: usize = 256;

/// Bytes that may wait for one peer, unless a single message is larger.
pub(crate) const OUTBOX_BYTES_MAX: usize = 8 << 20;

#[derive(Default)]
struct Outbox {
    over: BTreeSet<Medium>,
    messages: VecDeque<Bytes>,
    bytes: usize,
    dropped: u64,
}

#[derive(Default)]
struct State {
    of_linked: HashMap<DeviceKey, Outbox>,
    dropped_unlinked: u64,
    dropped_overflow: u64,
}

/// The outboxes of all linked peers, shared between the callers that fill them and the task that empties them.
#[derive(Default)]
pub(crate) struct Outboxes {
    state: Mutex<State>,
    /// Told whenever a message was put in.
    pub(crate) filled: Notify,
}

impl Outboxes {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and each change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, or drops and counts it. Says whether it was put in.
    pub(crate) fn put(&self, to: &DeviceKey, message: Bytes) -> bool {
        let mut state = self.state();
        let Some(outbox) = state.of_linked.get_mut(to) else {
            state.dropped_unlinked += 1;
            return false;
        };
        let too_many = outbox.messages.len() >= OUTBOX_MESSAGES_MAX;
        let too_large = !outbox.messages.is_empty() && outbox.bytes + message.len() > OUTBOX_BYTES_MAX;
        if too_many || too_large {
            outbox.dropped += 1;
            state.dropped_overflow += 1;
            return false;
        }
        outbox.bytes += message.len();
        outbox.messages.push_back(message);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Takes the oldest message for a peer.
    pub(crate) fn take(&self, of: &DeviceKey) -> Option<Bytes> {
        let mut state = self.state();
        let outbox = state.of_linked.get_mut(of)?;
        let message = outbox.messages.pop_front()?;
        outbox.bytes -= message.len();
        Some(message)
    }

    /// A peer got linked over a medium. Its outbox is empty if it was not linked before.
    pub(crate) fn open(&self, peer: DeviceKey, medium: Medium) {
        self.state().of_linked.entry(peer).or_default().over.insert(medium);
    }

    /// A link ended. The outbox of a peer without any is discarded.
    pub(crate) fn close(&self, peer: &DeviceKey, medium: Medium) {
        let mut state = self.state();
        if let Some(outbox) = state.of_linked.get_mut(peer) {
            outbox.over.remove(&medium);
            if outbox.over.is_empty() {
                state.of_linked.remove(peer);
            }
        }
    }

    /// Whether the peer is linked over a medium.
    pub(crate) fn is_open(&self, peer: &DeviceKey, medium: Medium) -> bool {
        self.state().of_linked.get(peer).is_some_and(|outbox| outbox.over.contains(&medium))
    }

    /// Messages waiting for a peer, and those dropped because too many waited.
    pub(crate) fn waiting_and_dropped(&self, peer: &DeviceKey) -> (usize, u64) {
        self.state().of_linked.get(peer).map_or((0, 0), |outbox| (outbox.messages.len(), outbox.dropped))
    }

    /// Messages dropped since the start, because the peer was not linked and because its outbox was full.
    pub(crate) fn dropped(&self) -> (u64, u64) {
        let state = self.state();
        (state.dropped_unlinked, state.dropped_overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: DeviceKey = [1; 32];

    fn direct(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn bounds_messages_and_bytes_and_counts_what_it_drops() {
        let outboxes = Outboxes::default();
        assert!(!outboxes.put(&PEER, direct("nobody there")));
        outboxes.open(PEER, Medium::Ip);
        for _ in 0..OUTBOX_MESSAGES_MAX {
            assert!(outboxes.put(&PEER, direct("x")));
        }
        assert!(!outboxes.put(&PEER, direct("x")));
        assert_eq!(outboxes.waiting_and_dropped(&PEER), (OUTBOX_MESSAGES_MAX, 1));
        assert_eq!(outboxes.dropped(), (1, 1));

        outboxes.close(&PEER, Medium::Ip);
        outboxes.open(PEER, Medium::Ip);
        assert!(outboxes.put(&PEER, vec![0; OUTBOX_BYTES_MAX + 1].into()));
        assert!(!outboxes.put(&PEER, direct("x")));
        assert_eq!(outboxes.take(&PEER).map(|message| message.len()), Some(OUTBOX_BYTES_MAX + 1));
        assert!(outboxes.put(&PEER, direct("x")));
    }

    #[test]
    fn what_waits_outlives_one_of_two_links() {
        let outboxes = Outboxes::default();
        outboxes.open(PEER, Medium::Ip);
        outboxes.open(PEER, Medium::Ble);
        assert!(outboxes.put(&PEER, direct("x")));
        outboxes.close(&PEER, Medium::Ip);
        assert!(!outboxes.is_open(&PEER, Medium::Ip) && outboxes.is_open(&PEER, Medium::Ble));
        assert_eq!(outboxes.waiting_and_dropped(&PEER), (1, 0));
        outboxes.close(&PEER, Medium::Ble);
        outboxes.open(PEER, Medium::Ble);
        assert_eq!(outboxes.waiting_and_dropped(&PEER), (0, 0));
    }
}
