//! The clocks of the machine, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use popmesh_proto::clock::Now;

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
        // A machine whose clock was never set may think that it is before 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { wall_ms: milliseconds(wall), mono_ms: milliseconds(self.origin.elapsed()) }
    }

    /// When the monotonic clock shows `mono_ms`.
    pub(super) fn instant(self, mono_ms: u64) -> Instant {
        // Too far ahead to be told apart from never: look again tomorrow.
        self.origin
            .checked_add(Duration::from_millis(mono_ms))
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
