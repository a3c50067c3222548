//! The mark: a file beside the database that names how far this device has written, so that a database that was set back to
//! an earlier state, or moved away, is found out.
//!
//! Format: a head of 80 bytes (`popmesh mark 1`, the event, the device), then slots of 64 bytes, each with a checksum. What a write
//! changes is appended, without waiting for the disk: a thread syncs it within two seconds. So a write costs one more system
//! call and no second sync; after a power cut the mark may lack the last of them, which makes it say less and never more. A slot
//! that cannot be read is passed over. The file is made anew, and synced before anything else, with the first write of each
//! start and when it has grown to 1 MiB.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use popmesh_proto::id::{ChainId, DeviceId, EventId, Hash, ReceiptHash};
use popmesh_proto::mark::{End, Mark, Marking};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::files;

/// The file beside the database.
pub const MARK_FILE: &str = "mark";
const MAGIC: &[u8; 16] = b"popmesh mark 1\0\0";
const HEAD_BYTES: usize = 16 + 32 + 32;
const SLOT_BYTES: usize = 64;
const SUM_BYTES: usize = 4;
/// The file is made anew when it is so long.
const MOST_BYTES: u64 = 1 << 20;
/// The thread syncs so often at the most.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// In the database: that there was a mark beside it.
const MARKED: &str = "marked";

const END: u8 = 1;
const LOST: u8 = 2;
const RECEIPT: u8 = 3;

/// Whether a mark lay beside this database before.
pub(crate) fn was_beside(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM meta WHERE name = ?1")?;
    Ok(statement.query_row([MARKED], |_| Ok(())).optional()?.is_some())
}

fn note_beside(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT INTO meta (name, value) VALUES (?1, x'01') ON CONFLICT (name) DO NOTHING")?;
    statement.execute([MARKED]).map(|_| ())
}

type Slot = [u8; SLOT_BYTES];

fn slot(kind: u8, parts: &[&[u8]]) -> Slot {
    let mut slot = [0; SLOT_BYTES];
    slot[0] = kind;
    let mut at = 1;
    for part in parts {
        slot[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    let sum = sum(&slot);
    slot[SLOT_BYTES - SUM_BYTES..].copy_from_slice(&sum);
    slot
}

fn sum(slot: &Slot) -> [u8; SUM_BYTES] {
    let digest = Sha256::digest(&slot[..SLOT_BYTES - SUM_BYTES]);
    digest.first_chunk().copied().unwrap_or_default()
}

fn slots_of(marking: &Marking) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut end = |End { chain, seq, hash }: &End| {
        bytes.extend_from_slice(&slot(END, &[&chain.0, &seq.to_be_bytes(), &hash.0]));
    };
    marking.ends.iter().for_each(&mut end);
    if let Some((number, hash)) = &marking.receipt {
        bytes.extend_from_slice(&slot(RECEIPT, &[&number.to_be_bytes(), &hash.0]));
    }
    bytes
}

fn all_slots(mark: &Mark) -> Vec<u8> {
    let ends = mark.ends.iter().map(|(chain, (seq, hash))| End { chain: *chain, seq: *seq, hash: *hash });
    let mut bytes = slots_of(&Marking { anew: None, ends: ends.collect(), receipt: mark.receipt });
    for (chain, seq) in &mark.lost {
        bytes.extend_from_slice(&slot(LOST, &[&chain.0, &seq.to_be_bytes()]));
    }
    bytes
}

fn read_slot(mark: &mut Mark, bytes: &Slot) {
    if bytes[SLOT_BYTES - SUM_BYTES..] != sum(bytes) {
        return;
    }
    let number = |at: usize| bytes[at..].first_chunk().copied().map_or(0, u64::from_be_bytes);
    let chain = || ChainId(bytes[1..].first_chunk().copied().unwrap_or_default());
    match bytes[0] {
        END => {
            let hash = Hash(bytes[25..].first_chunk().copied().unwrap_or_default());
            mark.reach(End { chain: chain(), seq: number(17), hash });
        }
        LOST => _ = mark.lost.insert(chain(), number(17)),
        RECEIPT => {
            mark.count_receipt((
                number(1),
                ReceiptHash(bytes[9..].first_chunk().copied().unwrap_or_default()),
            ));
        }
        _ => {}
    }
}

/// The mark in a folder.
#[derive(Debug)]
pub(crate) struct MarkFile {
    path: PathBuf,
    head: [u8; HEAD_BYTES],
    mark: Mark,
    /// Open once something was written to it, with the length of what was.
    file: Option<(Arc<File>, u64)>,
    syncs: Option<SyncSender<Arc<File>>>,
}

impl MarkFile {
    /// Reads what there is. `None` beside it: there is no mark of this device in this event, or none that can be read.
    ///
    /// # Errors
    /// If something other than a file is in its place.
    pub(crate) fn read(
        folder: &Path,
        event: EventId,
        device: DeviceId,
    ) -> Result<(Self, Option<Mark>), StoreError> {
        let mut head = [0; HEAD_BYTES];
        head[..16].copy_from_slice(MAGIC);
        head[16..48].copy_from_slice(&event.0);
        head[48..].copy_from_slice(&device.0);
        let path = folder.join(MARK_FILE);
        let mut bytes = Vec::new();
        let read = files::open(OpenOptions::new().read(true), &path)
            .and_then(|mut file| file.read_to_end(&mut bytes));
        let read = match read {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(StoreError::from_io(&path, error));
            }
            Ok(_) => bytes.split_first_chunk::<HEAD_BYTES>().filter(|(found, _)| **found == head).map(
                |(_, slots)| {
                    let mut mark = Mark::default();
                    slots.as_chunks::<SLOT_BYTES>().0.iter().for_each(|slot| read_slot(&mut mark, slot));
                    mark
                },
            ),
            Err(_) => None,
        };
        Ok((Self { path, head, mark: read.clone().unwrap_or_default(), file: None, syncs: None }, read))
    }

    /// Makes the file if it is not there, and has the database know of it.
    pub(crate) fn begin(&mut self, connection: &Connection) {
        let there = self.path.exists() || self.make_anew().is_ok();
        // What fails now is for others to complain of: without a mark the next start doubts nothing that it could have named.
        if there && let Err(error) = note_beside(connection) {
            tracing::debug!(%error, "the database cannot say that there is a mark beside it");
        }
    }

    /// Takes in what a write changed, which is durable now.
    pub(crate) fn write(&mut self, marking: &Marking) {
        if marking.is_empty() {
            return;
        }
        self.mark.take(marking);
        let written = match &self.file {
            Some((_, length)) if marking.anew.is_none() && *length < MOST_BYTES => {
                self.append(&slots_of(marking))
            }
            _ => self.make_anew(),
        };
        if let Err(error) = written {
            // It says less than it could, until the next write.
            tracing::warn!(path = %self.path.display(), %error, "the mark beside the database cannot be written");
            self.file = None;
        }
    }

    fn append(&mut self, slots: &[u8]) -> std::io::Result<()> {
        let Some((file, length)) = &mut self.file else { return Ok(()) };
        let mut at = &**file;
        at.seek(SeekFrom::Start(*length))?;
        at.write_all(slots)?;
        *length += slots.len() as u64;
        let file = Arc::clone(file);
        // One that waits to be synced covers this, too.
        drop(self.syncer()?.try_send(file));
        Ok(())
    }

    fn make_anew(&mut self) -> std::io::Result<()> {
        let mut bytes = self.head.to_vec();
        bytes.extend_from_slice(&all_slots(&self.mark));
        let file = files::replace(&self.path, &bytes)?;
        self.file = Some((Arc::new(file), bytes.len() as u64));
        Ok(())
    }

    /// The thread that syncs.
    fn syncer(&mut self) -> std::io::Result<&SyncSender<Arc<File>>> {
        if self.syncs.is_none() {
            let (sender, files) = sync_channel::<Arc<File>>(1);
            std::thread::Builder::new().name("mark".to_owned()).spawn(move || {
                for file in files {
                    std::thread::sleep(SYNC_EVERY);
                    if let Err(error) = file.sync_data() {
                        tracing::warn!(%error, "the mark beside the database may say less after a power cut");
                    }
                }
            })?;
            self.syncs = Some(sender);
        }
        self.syncs.as_ref().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    /// Syncs what was written.
    pub(crate) fn close(&mut self) {
        if let Some((file, _)) = self.file.take() {
            // What a power cut then takes makes it say less.
            let _ = file.sync_data();
        }
    }
}
