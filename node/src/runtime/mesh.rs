//! Between the runtime and the mesh: what goes out, and what comes in.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{Barred, GossipToken, Verdict};
use popmesh_proto::links::Width;

use super::fair::Fair;
use super::handle::CallError;

/// The way out to other devices. No call may block: what cannot be sent is dropped, as on any network.
pub trait Links: Send {
    /// Sends to a linked peer.
    fn send(&self, to: DeviceId, bytes: Vec<u8>);
    /// Gossips to everybody.
    fn publish(&self, bytes: Vec<u8>);
    /// Says whether gossip may be passed on.
    fn judge(&self, token: GossipToken, verdict: Verdict);
    /// Closes the link to a peer, and lets none be for so long.
    fn cut_off(&self, peer: DeviceId, for_ms: u64);
    /// Passes nothing to devices that were retired, and to these alone.
    fn bar(&self, barred: &Barred);
    /// Has the link to a peer looked at, and closed if nothing comes.
    fn probe(&self, peer: DeviceId);
}

/// What happens in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshEvent {
    /// The first link to a peer is up.
    LinkUp {
        /// The peer.
        peer: DeviceId,
        /// How much it carries.
        width: Width,
    },
    /// What goes to a peer goes over a wider or narrower link from now on.
    LinkWidth {
        /// The peer.
        peer: DeviceId,
        /// How much it carries.
        width: Width,
    },
    /// The last link to a peer is gone.
    LinkDown {
        /// The peer.
        peer: DeviceId,
    },
    /// A linked peer sent this.
    Message {
        /// Who.
        from: DeviceId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A neighbour passed on this gossip, which waits to be judged.
    Gossip {
        /// The neighbour.
        from: DeviceId,
        /// What.
        bytes: Vec<u8>,
        /// To be named in [`Links::judge`].
        token: GossipToken,
    },
}

/// What is dropped when an event has been dealt with, so that whoever sent it may send on.
pub struct Guard(Option<Box<dyn Send>>);

impl Guard {
    /// One that tells nobody.
    pub fn none() -> Self {
        Self(None)
    }

    /// One that drops `guard`.
    pub fn of(guard: impl Send + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Guard").field(&self.0.is_some()).finish()
    }
}

#[derive(Debug, Default)]
struct State {
    fair: Fair,
    /// The core, if it sleeps.
    waker: Option<Waker>,
    ended: bool,
}

/// The mesh's end of the way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbound(Arc<Mutex<State>>);

/// The runtime's end of the way in.
#[derive(Debug)]
pub struct InboundEvents(Arc<Mutex<State>>);

/// Makes the way in, so that the mesh can be made before the runtime.
pub fn inbound() -> (Inbound, InboundEvents) {
    let state = Arc::new(Mutex::new(State::default()));
    (Inbound(Arc::clone(&state)), InboundEvents(state))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No code panics while it holds the lock, and each change leaves the state whole.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbound {
    /// Puts an event into its peer's queue; `guard` is dropped when it has been dealt with, or is lost. Never waits.
    ///
    /// # Errors
    /// [`CallError::Busy`] if it was dropped because too much of its peer waits, which is never so for news of links;
    /// [`CallError::Stopping`] if the runtime has ended.
    pub fn put(&self, event: MeshEvent, guard: Guard) -> Result<(), CallError> {
        let mut state = lock(&self.0);
        if state.ended {
            return Err(CallError::Stopping);
        }
        let put = state.fair.put(event, guard);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if put { Ok(()) } else { Err(CallError::Busy) }
    }
}

impl InboundEvents {
    /// The next event, and whose it is. If there is none, `waker` is used when there is.
    pub(super) fn take(&self, waker: &Waker) -> Option<(DeviceId, MeshEvent, Guard)> {
        let mut state = lock(&self.0);
        let taken = state.fair.take();
        if taken.is_none() {
            state.waker = Some(waker.clone());
        }
        taken
    }

    /// What a peer sent has taken so long.
    pub(super) fn used(&self, peer: DeviceId, time: Duration) {
        lock(&self.0).fair.used(peer, time);
    }
}

impl Drop for InboundEvents {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.ended = true;
        let lost = std::mem::take(&mut state.fair);
        drop(state);
        // Outside the lock: guards tell others.
        drop(lost);
    }
}
