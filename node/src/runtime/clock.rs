//! The clocks of the machine, as the device counts them.

use std::time::{Duration, Instant};

use popmesh_proto::clock::Now;

use crate::clock::{milliseconds, now_ms};

/// Both clocks; the monotonic one counts from the runtime's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuntimeClock {
    origin: Instant,
}

impl RuntimeClock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn now(self) -> Now {
        Now { wall_ms: now_ms(), mono_ms: milliseconds(self.origin.elapsed()) }
    }

    /// When the monotonic clock shows `mono_ms`.
    pub(super) fn instant(self, mono_ms: u64) -> Instant {
        // Too far ahead to be told apart from never: look again tomorrow.
        self.origin
            .checked_add(Duration::from_millis(mono_ms))
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400))
    }
}
