//! Counters of the runtime, written by its threads and read by whoever reports them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of write latency, in microseconds; one more bucket has what is above.
pub const WRITE_BOUNDS_US: [u64; 10] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000];

/// A number that counts up, or shows a present state.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }
}

/// What the runtime counts since its start.
#[derive(Debug, Default)]
pub struct RuntimeMetrics {
    /// Durable writes, each of one batch.
    pub writes: Count,
    /// Writes that failed.
    pub writes_failed: Count,
    /// Entries in durable writes.
    pub entries_written: Count,
    /// Time spent in durable writes, in microseconds.
    pub write_us: Count,
    /// Durable writes by latency; the bounds are [`WRITE_BOUNDS_US`]. Not cumulative.
    pub write_buckets: [Count; WRITE_BOUNDS_US.len() + 1],
    /// Calls in the queue when the core last looked.
    pub queue_depth: Count,
    /// Calls that wait for their outcome now.
    pub calls_waiting: Count,
    /// Commands done.
    pub commands_done: Count,
    /// Commands answered from what was stored under their key.
    pub commands_repeated: Count,
    /// Commands refused by the device.
    pub commands_refused: Count,
    /// Commands refused because their key was used for another request, or is under way.
    pub commands_key_conflict: Count,
    /// Commands that could not be written down.
    pub commands_not_stored: Count,
    /// Calls turned away because too many wait.
    pub calls_busy: Count,
    /// Queries answered.
    pub queries: Count,
    /// Messages and gossip taken in.
    pub mesh_messages: Count,
    /// Time that messages and gossip took, in microseconds.
    pub mesh_us: Count,
    /// Messages and gossip dropped while writing failed.
    pub mesh_dropped: Count,
    /// Doors that opened.
    pub doors_opened: Count,
    /// Doors that did not.
    pub doors_stuck: Count,
    /// Times that writing began to fail.
    pub outages: Count,
}

impl RuntimeMetrics {
    pub(crate) fn written(&self, entries: usize, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.writes.add(1);
        self.entries_written.add(entries as u64);
        self.write_us.add(us);
        let bucket = WRITE_BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(WRITE_BOUNDS_US.len());
        self.write_buckets[bucket].add(1);
    }
}
