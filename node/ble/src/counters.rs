//! What has passed at the HCI, and what became of links.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes from the adapter, all kinds of packets with their headers.
    pub hci_bytes_in: u64,
    /// Bytes to the adapter, all kinds of packets with their headers.
    pub hci_bytes_out: u64,
    /// Those of them that came over a link, with the headers of HCI and L2CAP.
    pub link_bytes_in: u64,
    /// Those of them that went over a link, with the headers of HCI and L2CAP.
    pub link_bytes_out: u64,
    /// Streams that are open.
    pub links: u64,
    /// Streams that this device opened.
    pub dialled: u64,
    /// Streams that others opened.
    pub accepted: u64,
    /// Attempts to open a stream that failed.
    pub dials_failed: u64,
    /// Connections from others that did not become a stream.
    pub accepts_failed: u64,
    /// Streams that were dropped because the other end did not take what was sent to it.
    pub stalled: u64,
    /// Packets that no well-behaved device sends. They were left out.
    pub malformed: u64,
    /// How often the adapter was taken.
    pub adapter_up: u64,
    /// How often the adapter was lost, or could not be had.
    pub adapter_failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) hci_bytes_in: AtomicU64,
    pub(crate) hci_bytes_out: AtomicU64,
    pub(crate) link_bytes_in: AtomicU64,
    pub(crate) link_bytes_out: AtomicU64,
    pub(crate) links: AtomicU64,
    pub(crate) dialled: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) dials_failed: AtomicU64,
    pub(crate) accepts_failed: AtomicU64,
    pub(crate) stalled: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) adapter_up: AtomicU64,
    pub(crate) adapter_failed: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counting {
    pub(crate) fn read(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            hci_bytes_in: get(&self.hci_bytes_in),
            hci_bytes_out: get(&self.hci_bytes_out),
            link_bytes_in: get(&self.link_bytes_in),
            link_bytes_out: get(&self.link_bytes_out),
            links: get(&self.links),
            dialled: get(&self.dialled),
            accepted: get(&self.accepted),
            dials_failed: get(&self.dials_failed),
            accepts_failed: get(&self.accepts_failed),
            stalled: get(&self.stalled),
            malformed: get(&self.malformed),
            adapter_up: get(&self.adapter_up),
            adapter_failed: get(&self.adapter_failed),
        }
    }
}
