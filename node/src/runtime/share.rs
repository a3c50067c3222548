//! What this device's own callers get of the core: while they are active, peers get a quarter of it at the most.

use std::time::{Duration, Instant};

/// Callers count as active for so long after a command.
const ACTIVE_FOR: Duration = Duration::from_millis(250);
/// So long peers' messages are taken in at a time, while callers are active; one message at least.
pub(super) const SLICE: Duration = Duration::from_millis(1);
/// Then peers wait so many times as long as that took.
const REST_TIMES: u32 = 3;
/// But no longer than this.
const REST_MOST: Duration = Duration::from_millis(500);

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Share {
    called_at: Option<Instant>,
    /// Until when peers wait.
    rest_until: Option<Instant>,
}

impl Share {
    /// Somebody on this device wants something done.
    pub(super) fn called(&mut self, now: Instant) {
        self.called_at = Some(now);
    }

    /// Until when peers wait, if they have to.
    pub(super) fn peers_wait_until(&self, now: Instant) -> Option<Instant> {
        self.rest_until.filter(|until| now < *until && self.is_active(now))
    }

    /// Whether callers are active.
    pub(super) fn is_active(&self, now: Instant) -> bool {
        self.called_at.is_some_and(|at| now.saturating_duration_since(at) < ACTIVE_FOR)
    }

    /// Peers' messages have taken so long, until now: what follows is for the callers.
    pub(super) fn peers_took(&mut self, time: Duration, now: Instant) {
        self.rest_until = Some(now + (time * REST_TIMES).min(REST_MOST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn peers_rest_for_longer_than_they_took_while_callers_are_active() {
        let mut share = Share::default();
        let now = Instant::now();
        share.peers_took(20 * MS, now);
        assert_eq!(share.peers_wait_until(now), None, "nobody calls");
        share.called(now);
        assert_eq!(share.peers_wait_until(now), Some(now + 60 * MS));
        assert_eq!(share.peers_wait_until(now + 60 * MS), None);
        share.peers_took(10_000 * MS, now);
        assert_eq!(share.peers_wait_until(now), Some(now + REST_MOST));
        assert_eq!(share.peers_wait_until(now + ACTIVE_FOR), None, "nobody calls any more");
    }
}
