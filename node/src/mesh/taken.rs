//! Says when a message has been dealt with: until then its link reads only so much more.

use std::{fmt, sync::Arc};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::sync::mpsc;

/// A message that was dealt with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) bytes: usize,
}

struct Guard {
    done: Done,
    /// Not bounded here: each link has at most so many messages out as it may read.
    tell: mpsc::UnboundedSender<Done>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A mesh that has stopped reads nothing more anyway.
        let _ = self.tell.send(self.done);
    }
}

/// Comes with each message. When the last copy is dropped, the link that brought the message may read on.
#[derive(Clone)]
pub struct Taken(Arc<Guard>);

impl Taken {
    pub(crate) fn new(done: Done, tell: mpsc::UnboundedSender<Done>) -> Self {
        Self(Arc::new(Guard { done, tell }))
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Taken").field(&self.0.done.bytes).finish()
    }
}

impl PartialEq for Taken {
    /// It says nothing about the message.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Taken {}
