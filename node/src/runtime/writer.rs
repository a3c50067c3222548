//! The thread that owns the store, so that the core never waits for a disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use popmesh_proto::fact::Fact;
use popmesh_proto::io::{BatchId, CallId, Entry, Sealed, SealedWrites, StoredReply};
use popmesh_proto::mark::Marking;
use popmesh_store::{AnswerId, Appended, PAGE_ENTRIES, Store, StoreError, StoredEvent};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::metrics::RuntimeMetrics;
use super::park;

/// How long the writer stays awake for what is likely to come. To be woken takes as long as to handle and sign a sale, so
/// the two are done side by side.
const SOON: Duration = Duration::from_micros(200);

/// A page of entries; `None` after the last.
pub(super) type Page = Result<Option<Vec<Entry>>, StoreError>;

/// Every sealed payload.
pub(super) type Payloads = Result<Vec<Sealed>, StoreError>;

/// What the core wants of the store. Done in order.
#[allow(clippy::large_enum_variant, reason = "few wait at a time, and most are the large one")]
pub(super) enum Job {
    /// Be awake: something to append is likely to come at once.
    Soon,
    /// Make this durable.
    Append {
        batch: BatchId,
        entries: Vec<Entry>,
        replies: Vec<StoredReply>,
        sealed: SealedWrites,
        facts: Arc<[Fact]>,
        mark: Marking,
    },
    /// Read a page of events.
    Events { after: u64, answer: oneshot::Sender<Result<Vec<StoredEvent>, StoreError>> },
    /// Read what a command did.
    Answer { call: CallId, id: AnswerId },
    /// Try whether writing works again.
    Probe,
    /// Have a mark beside the database from now on: the log is whole, as far as anybody knows.
    BeginMark,
    /// Read every entry.
    Load { pages: SyncSender<Page> },
    /// Read every sealed payload.
    Sealed { payloads: SyncSender<Payloads> },
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Written {
    /// The batch is durable.
    Stored { batch: BatchId, appended: Appended },
    /// Nothing of the batch is stored.
    Failed { batch: BatchId, error: StoreError },
    /// What a command did.
    Answer { call: CallId, stored: Box<Result<StoredReply, StoreError>> },
    /// Whether writing works.
    Probed(Result<(), StoreError>),
}

/// Does jobs until the core is gone.
///
/// The channel back is unbounded, and short all the same: the core keeps the number of jobs under way in bounds.
pub(super) fn run(
    mut store: Store,
    jobs: &Receiver<Job>,
    written: &UnboundedSender<Written>,
    metrics: &Arc<RuntimeMetrics>,
) -> Result<(), StoreError> {
    let mut has_written = false;
    while let Some(job) = next(jobs) {
        let outcome = match job {
            Job::Soon => continue,
            Job::Append { batch, entries, replies, sealed, facts, mark } => {
                let before = Instant::now();
                match store.append_with(&entries, &replies, &sealed, &facts) {
                    Ok(appended) => {
                        store.write_mark(&mark);
                        metrics.written(entries.len(), before.elapsed());
                        has_written = true;
                        Written::Stored { batch, appended }
                    }
                    Err(error) => {
                        metrics.writes_failed.add(1);
                        Written::Failed { batch, error }
                    }
                }
            }
            Job::Answer { call, id } => Written::Answer { call, stored: Box::new(store.answer(id)) },
            Job::Events { after, answer } => {
                // Nobody to hear it is nobody to mind.
                let _ = answer.send(store.events(after));
                continue;
            }
            Job::Probe => Written::Probed(store.probe()),
            Job::BeginMark => {
                store.begin_mark();
                continue;
            }
            Job::Sealed { payloads } => {
                // Nobody to hear it is nobody to mind.
                let _ = payloads.send(store.sealed());
                // The log has been read and believed: now what an earlier run was kept from can be done.
                if let Err(error) = store.clean() {
                    tracing::warn!(%error, "bytes of erased personal data may still be in the write-ahead log");
                }
                continue;
            }
            Job::Load { pages } => {
                load(&store, &pages);
                continue;
            }
        };
        if written.send(outcome).is_err() {
            break;
        }
    }
    // Closing moves the write-ahead log into the database. A database that may have been refused as damaged is left
    // as it is, for people to look at.
    if has_written { store.close() } else { Ok(()) }
}

/// The next job but [`Job::Soon`], or that if nothing follows; `None` when the core is gone.
fn next(jobs: &Receiver<Job>) -> Option<Job> {
    let mut job = jobs.recv().ok()?;
    if matches!(job, Job::Soon) {
        park::look(SOON, || match jobs.try_recv() {
            Ok(Job::Soon) | Err(_) => false,
            Ok(next) => {
                job = next;
                true
            }
        });
    }
    Some(job)
}

/// Reads ahead of the core, which checks the entries meanwhile. Stops when the core has seen enough.
fn load(store: &Store, pages: &SyncSender<Page>) {
    for after in (0..store.len()).step_by(PAGE_ENTRIES) {
        let page = store.page(after);
        let failed = page.is_err();
        if pages.send(page.map(Some)).is_err() || failed {
            return;
        }
    }
    // Nobody to hear it is nobody to mind.
    let _ = pages.send(Ok(None));
}
