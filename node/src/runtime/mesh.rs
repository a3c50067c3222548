//! Between the runtime and the mesh: what goes out, and what comes in.

use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{GossipToken, Verdict};
use tokio::sync::mpsc;

use super::handle::CallError;

/// What comes in from the mesh before the mesh has to wait.
pub const INBOUND_QUEUE: usize = 1_024;

/// The way out to other devices. No call may block: what cannot be sent is dropped, as on any network.
pub trait Links: Send {
    /// Sends to a linked peer.
    fn send(&self, to: DeviceId, bytes: Vec<u8>);
    /// Gossips to everybody.
    fn publish(&self, bytes: Vec<u8>);
    /// Says whether gossip may be passed on.
    fn judge(&self, token: GossipToken, verdict: Verdict);
}

/// What happens in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshEvent {
    /// The first link to a peer is up.
    LinkUp {
        /// The peer.
        peer: DeviceId,
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

/// The mesh's end of the way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbound {
    events: mpsc::Sender<MeshEvent>,
}

/// The runtime's end of the way in.
#[derive(Debug)]
pub struct InboundEvents {
    pub(super) events: mpsc::Receiver<MeshEvent>,
}

/// Makes the way in, so that the mesh can be made before the runtime.
pub fn inbound() -> (Inbound, InboundEvents) {
    let (sender, events) = mpsc::channel(INBOUND_QUEUE);
    (Inbound { events: sender }, InboundEvents { events })
}

impl Inbound {
    /// Delivers what must not be lost, such as a link that came or went; waits while the queue is full.
    ///
    /// # Errors
    /// [`CallError::Stopping`] if the runtime has ended.
    pub async fn deliver(&self, event: MeshEvent) -> Result<(), CallError> {
        self.events.send(event).await.map_err(|_| CallError::Stopping)
    }

    /// Delivers what may be lost.
    ///
    /// # Errors
    /// [`CallError::Busy`] if it was dropped because the queue is full; [`CallError::Stopping`] if the runtime has
    /// ended.
    pub fn offer(&self, event: MeshEvent) -> Result<(), CallError> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Stopping,
        })
    }
}
