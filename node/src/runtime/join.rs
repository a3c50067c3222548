//! The end of a runtime: how it is brought about, and how it is noticed.

use std::any::Any;
use std::thread::JoinHandle;

use popmesh_store::StoreError;
use tokio::sync::oneshot;

/// Why a runtime could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// What is stored could not be read, or not tidied up at the end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored was read, but makes no sense to the device.
    #[error("what is stored on this device does not fit together: {0}")]
    Open(String),
    /// The operating system gives no more threads.
    #[error("the operating system refuses another thread: {0}; close other programs and start again")]
    Thread(std::io::Error),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(String),
    /// The thread that writes is gone.
    #[error("the thread that writes has ended")]
    WriterEnded,
    /// A fault in the program.
    #[error("a fault in the program ended the thread {thread}: {message}; please report this")]
    Panicked {
        /// Which thread.
        thread: &'static str,
        /// What it said.
        message: String,
    },
}

impl RuntimeError {
    pub(super) fn panicked(thread: &'static str, payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Panicked { thread, message }
    }
}

/// The end of a running runtime. Dropping it stops the runtime, without waiting.
#[derive(Debug)]
pub struct RuntimeJoin {
    pub(super) stop: oneshot::Sender<()>,
    pub(super) ended: Ended,
}

/// The word of the core's thread on how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: Option<oneshot::Receiver<Result<(), RuntimeError>>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl RuntimeJoin {
    /// Returns when the runtime has ended, which without [`RuntimeJoin::stop`] is always a fault: the process must
    /// not go on half-dead. May be dropped and called again.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> Result<(), RuntimeError> {
        self.ended.wait().await
    }

    /// Stops the runtime: no more calls, the write under way is finished, the store is closed.
    ///
    /// # Errors
    /// What went wrong, before or in stopping. Everything that was replied to is durable all the same.
    pub async fn stop(self) -> Result<(), RuntimeError> {
        let Self { stop, mut ended } = self;
        // If it has ended already, the wait says how.
        let _ = stop.send(());
        ended.wait().await
    }
}

impl Ended {
    async fn wait(&mut self) -> Result<(), RuntimeError> {
        let Some(result) = &mut self.result else {
            return Ok(());
        };
        let word = result.await.ok();
        self.result = None;
        // The word is the last thing that the thread does, so joining it waits for nothing.
        self.join(word)
    }

    /// Why a runtime did not start, told by blocking until its threads are gone.
    pub(super) fn failed_start(mut self) -> RuntimeError {
        let result = self.result.take();
        let joined = self.thread.take().map(JoinHandle::join);
        match (result.and_then(|mut word| word.try_recv().ok()), joined) {
            (Some(Err(error)), _) => error,
            (_, Some(Err(payload))) => RuntimeError::panicked("core", payload.as_ref()),
            _ => RuntimeError::WriterEnded,
        }
    }

    fn join(&mut self, word: Option<Result<(), RuntimeError>>) -> Result<(), RuntimeError> {
        let joined = self.thread.take().map_or(Ok(()), JoinHandle::join);
        let ended = match (word, joined) {
            (_, Err(payload)) => Err(RuntimeError::panicked("core", payload.as_ref())),
            (Some(result), Ok(())) => result,
            (None, Ok(())) => Err(RuntimeError::panicked("core", &())),
        };
        if let Err(error) = &ended {
            tracing::error!(%error, "the runtime has ended");
        }
        ended
    }
}
