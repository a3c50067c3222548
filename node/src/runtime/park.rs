//! Waiting for any of several queues, or a time, on a thread of one's own: a thread parks, and the queues unpark it.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Wakes the present thread.
pub(super) fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Waits until the present thread's waker is used, or was used since the last wait, or `until` has come. May also
/// return for no reason.
pub(super) fn park(until: Option<Instant>) {
    match until {
        Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
        None => thread::park(),
    }
}

/// Looks again and again whether something is there, for so long at most; lets others run meanwhile. Says whether it is.
pub(super) fn look(most: Duration, mut is_there: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_there() {
        if begun.elapsed() >= most {
            return false;
        }
        thread::yield_now();
    }
    true
}
