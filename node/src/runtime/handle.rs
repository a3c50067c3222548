//! What the rest of the node holds of the runtime: a bounded queue of calls, and the events.

use popmesh_proto::command::{Command, Refusal, Reply};
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, Query};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::events::{Events, Happening};

/// A command's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub reply: Reply,
    /// Whether it had been done before, under the same idempotency key.
    pub repeated: bool,
}

/// Why a call got no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The device refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request; use a new key for a new request")]
    KeyReused,
    /// The same key is being worked on.
    #[error("a request with this idempotency key is under way; ask again with the same key")]
    InProgress,
    /// The queue is full.
    #[error("this device is busy: too many calls are waiting; try again in a moment")]
    Busy,
    /// It was done before, but its outcome cannot be read.
    #[error("this request was done before, but its outcome cannot be read: {problem}")]
    Unreadable {
        /// What the disk said, and what to do.
        problem: String,
    },
    /// The node is stopping.
    #[error("this node is stopping")]
    Stopping,
}

/// How writing goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// The last write succeeded.
    Writable,
    /// Writing fails; commands are refused until a write succeeds again.
    Failing {
        /// What the disk said, and what to do.
        problem: String,
        /// Since when, Unix milliseconds.
        since_ms: u64,
    },
}

/// One call.
#[derive(Debug)]
pub enum Call {
    /// Do something.
    Command {
        /// What.
        command: Command,
        /// Under which key.
        idempotency: Option<Idempotency>,
        /// Where the outcome goes.
        outcome: oneshot::Sender<Result<Outcome, CallError>>,
    },
    /// Look something up.
    Query {
        /// What.
        query: Query,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// How is writing going?
    Health {
        /// Where the answer goes.
        answer: oneshot::Sender<StoreHealth>,
    },
}

/// A handle on a running device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    events: Events,
}

impl Handle {
    /// A handle that puts calls into `calls` and has these events.
    pub fn new(calls: mpsc::Sender<Call>, events: Events) -> Self {
        Self { calls, events }
    }

    /// Has a command done. Returns when it is durable, or refused.
    ///
    /// # Errors
    /// [`CallError`] if it was not done.
    pub async fn command(
        &self,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Outcome, CallError> {
        let (outcome, result) = oneshot::channel();
        self.call(Call::Command { command, idempotency, outcome })?;
        result.await.unwrap_or(Err(CallError::Stopping))
    }

    /// Has a query answered.
    ///
    /// # Errors
    /// [`CallError::Busy`] or [`CallError::Stopping`].
    pub async fn query(&self, query: Query) -> Result<Answer, CallError> {
        let (answer, result) = oneshot::channel();
        self.call(Call::Query { query, answer })?;
        result.await.map_err(|_| CallError::Stopping)
    }

    /// How writing goes.
    ///
    /// # Errors
    /// [`CallError::Busy`] or [`CallError::Stopping`].
    pub async fn health(&self) -> Result<StoreHealth, CallError> {
        let (answer, result) = oneshot::channel();
        self.call(Call::Health { answer })?;
        result.await.map_err(|_| CallError::Stopping)
    }

    /// The events, for who listens from elsewhere.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Everything that happens from now on, for a watcher in this process; a slow one misses the oldest.
    pub fn happenings(&self) -> broadcast::Receiver<Happening> {
        self.events.watch()
    }

    fn call(&self, call: Call) -> Result<(), CallError> {
        self.calls.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Stopping,
        })
    }
}
