//! The runtime of one device: feeds proto its inputs and carries out its outputs.
//!
//! Two threads: the *core* owns the device, the *writer* owns the store. The core never does I/O, so queries and
//! messages are handled while a write is under way, and what arrives meanwhile shares the next write. There is no
//! decision about stock, claims or peers in here: those are proto's.

mod book;
mod clock;
mod core;
mod effects;
mod events;
mod fair;
mod handle;
mod join;
mod machine;
mod mesh;
mod metrics;
mod park;
mod share;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use popmesh_store::{Loaded, Store};
use tokio::sync::{mpsc, oneshot};

pub use book::MAX_CALLS_WAITING;
pub use effects::{Keep, Wanted};
pub use events::{
    Event, EventId, EventIdError, Events, EventsError, Follower, Happening, Reset, ResetWhy, Taken,
};
pub use handle::{Call, CallError, Handle, Outcome, StoreHealth};
pub use join::{RuntimeError, RuntimeJoin};
pub use machine::Machine;
pub use mesh::{Guard, Inbound, InboundEvents, Links, MeshEvent, inbound};
pub use metrics::{Count, RuntimeMetrics, WRITE_BOUNDS_US};

use self::book::Book;
use self::core::{Core, Sources};
use self::effects::Effects;
use self::join::Ended;

/// Calls that may wait for the core to take them in.
pub const CALL_QUEUE: usize = 1_024;

/// A runtime that was started.
#[derive(Debug)]
pub struct Runtime {
    /// The way to the device.
    pub handle: Handle,
    /// Its end.
    pub join: RuntimeJoin,
    /// Its counters.
    pub metrics: Arc<RuntimeMetrics>,
    /// Doors that it wants opened.
    pub doors: mpsc::UnboundedReceiver<Wanted>,
    /// What it wants kept for its next start: renewed certificates of its own, the event's secret, who was retired.
    pub kept: mpsc::UnboundedReceiver<Keep>,
}

impl Runtime {
    /// Opens a device from what is stored, and runs it.
    ///
    /// Blocks while the log is read, for seconds if it is long: in asynchronous code call it where blocking is
    /// allowed. `config` must have a fresh nonce.
    ///
    /// # Errors
    /// [`RuntimeError`] if the log cannot be read or taken up; it was not changed then.
    pub fn start<D: Machine>(
        config: D::Config,
        store: Store,
        loaded: Loaded,
        links: Box<dyn Links>,
        inbound: InboundEvents,
    ) -> Result<Self, RuntimeError> {
        let metrics = Arc::new(RuntimeMetrics::default());
        let (call_sender, calls) = mpsc::channel(CALL_QUEUE);
        let (door_sender, doors) = mpsc::unbounded_channel();
        let (kept_sender, kept) = mpsc::unbounded_channel();
        let (job_sender, jobs) = channel();
        let tail = store.last_events().map_err(RuntimeError::Store)?;
        let events = Events::new(store.device(), store.numbering(), tail, Some(job_sender.clone()));
        let (written_sender, written) = mpsc::unbounded_channel();
        let (stop, stop_receiver) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let (opened_sender, opened) = channel();

        let writer_metrics = Arc::clone(&metrics);
        let writer = thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer::run(store, &jobs, &written_sender, &writer_metrics))
            .map_err(RuntimeError::Thread)?;

        let sources = Sources { calls, mesh: inbound, written, stop: stop_receiver };
        let effects = Effects {
            jobs: job_sender,
            links,
            events: events.clone(),
            doors: door_sender,
            kept: kept_sender,
            book: Book::new(loaded.answers, Arc::clone(&metrics)),
            mark: loaded.mark,
            write: None,
            wake_at_ms: None,
        };
        let is_trusted = !loaded.restored;
        let core_metrics = Arc::clone(&metrics);
        let closing = CloseAtEnd(events.clone());
        let core = thread::Builder::new()
            .name("core".to_owned())
            .spawn(move || {
                let ran = Core::<D>::open(config, sources, effects, core_metrics).and_then(|core| {
                    if is_trusted {
                        core.begin_mark();
                    }
                    // Who started us may be gone; then the stop channel is closed and we end at once.
                    let _ = opened_sender.send(());
                    core.run()
                });
                // What could still ask the writer.
                drop(closing);
                // The core and its channel are gone, so the writer ends when it has done what it was given.
                let wrote = match writer.join() {
                    Ok(closed) => closed.map_err(RuntimeError::Store),
                    Err(payload) => Err(RuntimeError::panicked("writer", payload.as_ref())),
                };
                let result = match (ran, wrote) {
                    // The core only saw that the writer was gone; the writer knows why.
                    (Err(RuntimeError::WriterEnded), Err(why)) => Err(why),
                    (ran, wrote) => ran.and(wrote),
                };
                let _ = ended_sender.send(result);
            })
            .map_err(RuntimeError::Thread)?;

        let ended = Ended { result: Some(ended), thread: Some(core) };
        if opened.recv().is_err() {
            return Err(ended.failed_start());
        }
        let handle = Handle::new(call_sender, events);
        Ok(Self { handle, join: RuntimeJoin { stop, ended }, metrics, doors, kept })
    }
}

/// Has nobody ask the store for events any more, also when the core panics: the writer would go on for ever.
struct CloseAtEnd(Events);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}
