//! The durable log of one device: one SQLite database, appended to and read from the start, nothing else.
//!
//! What [`Store::append`] has returned `Ok` for survives a power cut. What is in here is not interpreted: whether
//! entries fit together is for proto to judge when they are read back.

mod answers;
mod error;
mod events;
pub mod files;
mod header;
mod lock;
mod mark;
mod open;
mod renew;
mod schema;
mod sealed;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use popmesh_proto::fact::Fact;
use popmesh_proto::id::{ChainId, DeviceId, EventId};
use popmesh_proto::identity::Signature;
use popmesh_proto::io::{Entry, Idempotency, SealedWrites, StoredReply};
use popmesh_proto::mark::{Mark, Marking};
use rusqlite::Connection;

pub use answers::{ANSWERS_KEPT, AnswerId};
pub use error::StoreError;
pub use events::{EVENTS_AT_OPENING, EVENTS_BYTES, EVENTS_KEPT, Numbering, Run, StoredEvent, Told};
pub use lock::{FolderLock, LOCK_FILE};
pub use mark::MARK_FILE;

use mark::MarkFile;
use transaction::Transaction;

/// The name of the database in the data folder.
pub const DATABASE_FILE: &str = "popmesh.db";
/// Entries that [`Store::entries`] reads at a time.
pub const PAGE_ENTRIES: usize = 1_024;
/// What a probe writes: more than one batch of sales, so that writing goes on for a while after a probe went well.
const PROBE_BYTES: i64 = 64 << 10;

/// The first half of an idempotency key's SHA-256: enough to tell keys apart, half the memory.
pub type KeyPrefix = [u8; 16];

/// What there is in a store that was just opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Entries stored.
    pub entries: u64,
    /// Where the outcomes of the last commands with an idempotency key are, [`ANSWERS_KEPT`] at most, the oldest first.
    pub answers: Vec<(KeyPrefix, AnswerId)>,
    /// The mark that lies beside the database: how far the device had written, at least.
    pub mark: Option<Mark>,
    /// Whether there was a mark and is none that can be read: the database may have been set back to an earlier state, or
    /// copied from elsewhere, and nothing says how much is missing.
    pub restored: bool,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Where the first of the replies is; the others follow it.
    pub first_answer: AnswerId,
    /// The events.
    pub told: Told,
}

/// The prefix under which a key is indexed.
pub fn key_prefix(key: &[u8; 32]) -> KeyPrefix {
    let mut prefix = KeyPrefix::default();
    prefix.copy_from_slice(&key[..16]);
    prefix
}

/// The open log of one device.
///
/// Dropping it leaves the files as a power cut would, which loses nothing; [`Store::close`] also tidies them up.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    device: DeviceId,
    chains: BTreeMap<ChainId, i64>,
    chains_by_number: Vec<ChainId>,
    entries: i64,
    answers: answers::Answers,
    events: events::Events,
    sealed: sealed::Rows,
    /// Absent where there is no folder.
    mark: Option<MarkFile>,
    _lock: Option<FolderLock>,
}

impl Store {
    /// Takes the data folder and opens the log in it; makes both if they are not there.
    ///
    /// # Errors
    /// [`StoreError`], with nothing changed.
    pub fn open(folder: &Path, event: EventId, device: DeviceId) -> Result<(Self, Loaded), StoreError> {
        files::make_folder(folder).map_err(|error| StoreError::from_io(folder, error))?;
        let folder = &files::real(folder)?;
        let lock = FolderLock::take(folder)?;
        files::remove_drafts(folder);
        let connection = open::in_folder(folder, event, device)?;
        let path = folder.join(DATABASE_FILE);
        let (mut store, mut loaded) = Self::load(connection, path.clone(), device, Some(lock))?;
        let mut run = Run::default();
        getrandom::fill(&mut run)
            .map_err(|error| StoreError::Unexpected { path: path.clone(), detail: error.to_string() })?;
        store.begin_run(run);
        renew::write_ahead_log(&path)?;
        let (file, mark) = MarkFile::read(folder, event, device)?;
        store.mark = Some(file);
        loaded.restored =
            mark.is_none() && mark::was_beside(&store.connection).map_err(|error| store.failed(error))?;
        loaded.mark = mark;
        Ok((store, loaded))
    }

    /// Opens the log at `path` in the file system of a registered SQLite VFS, which has no folders to lock.
    ///
    /// One thing that [`Store::open`] does is left to the caller, as it takes more than SQLite: before anything is believed, the
    /// write-ahead log is to be written anew, the same bytes to the same places, and synced.
    ///
    /// So is [`Store::begin_run`], with what no other opening has.
    ///
    /// With `checkpoint_pages` pages in it the write-ahead log is moved into the database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_in_vfs(
        path: &Path,
        event: EventId,
        device: DeviceId,
        vfs: &str,
        checkpoint_pages: u32,
    ) -> Result<(Self, Loaded), StoreError> {
        let connection = open::at_path(path, event, device, Some(vfs), checkpoint_pages)?;
        Self::load(connection, path.to_owned(), device, None)
    }

    fn load(
        connection: Connection,
        path: PathBuf,
        device: DeviceId,
        lock: Option<FolderLock>,
    ) -> Result<(Self, Loaded), StoreError> {
        let mut store = Self {
            connection,
            path,
            device,
            chains: BTreeMap::new(),
            chains_by_number: Vec::new(),
            entries: 0,
            answers: answers::Answers::default(),
            events: events::Events::default(),
            sealed: sealed::Rows::default(),
            mark: None,
            _lock: lock,
        };
        store.load_chains()?;
        store.entries = store.count("SELECT coalesce(max(id), 0) FROM entries")?;
        let answers = store.load_answers()?;
        store.load_sealed()?;
        store.load_events()?;
        let loaded = Loaded { entries: store.entries.cast_unsigned(), answers, mark: None, restored: false };
        Ok((store, loaded))
    }

    fn load_chains(&mut self) -> Result<(), StoreError> {
        let rows = self.rows("SELECT id, chain FROM chains ORDER BY id", |row| {
            Ok((row.get::<_, i64>(0)?, ChainId(row.get(1)?)))
        })?;
        for (expected, (number, chain)) in (1..).zip(rows) {
            if number != expected || self.chains.insert(chain, number).is_some() {
                return Err(self.damaged(format!("chain {expected} is missing or there twice")));
            }
            self.chains_by_number.push(chain);
        }
        Ok(())
    }

    /// From now on there is a mark beside the database. Not where one was lost, before it is known what is missing: then the
    /// next start doubts nothing.
    pub fn begin_mark(&mut self) {
        if let Some(mark) = &mut self.mark {
            mark.begin(&self.connection);
        }
    }

    /// Changes the mark beside the database, by what is durable. What cannot be written makes it say less.
    pub fn write_mark(&mut self, marking: &Marking) {
        if let Some(mark) = &mut self.mark {
            mark.write(marking);
        }
    }

    /// Whose it is.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Entries stored.
    pub fn len(&self) -> u64 {
        self.entries.cast_unsigned()
    }

    /// Whether nothing is stored yet.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Every entry in the order in which it was appended, a page in memory at a time. Ends after the first error.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, StoreError>> {
        let mut after = 0;
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let page = self.page(after);
            ended = !page.as_ref().is_ok_and(|page| page.len() == PAGE_ENTRIES);
            after += PAGE_ENTRIES as u64;
            Some(page)
        })
        .flat_map(|page| {
            let (entries, error) = match page {
                Ok(entries) => (entries, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            entries.into_iter().map(Ok).chain(error)
        })
    }

    /// The next [`PAGE_ENTRIES`] entries after the first `after`; fewer only at the end.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one is missing, or what else kept it from being read.
    pub fn page(&self, after: u64) -> Result<Vec<Entry>, StoreError> {
        let after = after.cast_signed();
        let until = self.entries.min(after.saturating_add(PAGE_ENTRIES as i64));
        let mut entries = Vec::with_capacity(usize::try_from(until - after).unwrap_or(0));
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, chain, seq, body, signature FROM entries WHERE id > ?1 AND id <= ?2 ORDER BY id",
            )
            .map_err(|error| self.failed(error))?;
        let mut rows = statement.query((after, until)).map_err(|error| self.failed(error))?;
        for expected in after + 1..=until {
            let Some(row) = rows.next().map_err(|error| self.failed(error))? else {
                return Err(self.damaged(format!("entry {expected} is missing")));
            };
            let (id, entry) = self.entry(row).map_err(|error| self.failed(error))?;
            match entry {
                Some(entry) if id == expected => entries.push(entry),
                Some(_) => return Err(self.damaged(format!("entry {expected} is missing"))),
                None => return Err(self.damaged(format!("entry {id} is of a chain that is missing"))),
            }
        }
        Ok(entries)
    }

    fn chain_of(&self, number: i64) -> Option<ChainId> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.chains_by_number.get(index).copied()
    }

    fn entry(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Option<Entry>)> {
        let Some(chain) = self.chain_of(row.get(1)?) else {
            return Ok((row.get(0)?, None));
        };
        let seq = row.get::<_, i64>(2)?.cast_unsigned();
        let signature = row.get::<_, Option<[u8; 64]>>(4)?.map(Signature);
        Ok((row.get(0)?, Some(Entry { chain, seq, body: row.get(3)?, signature })))
    }

    /// Makes all of it durable, or nothing. Answers where the first of `replies` is; the others follow it.
    ///
    /// # Errors
    /// [`StoreError`]; this store has nothing of it then, and the next append goes in its place. If the sync was what failed
    /// and nothing was appended since, a store that is opened later can find it.
    pub fn append(&mut self, entries: &[Entry], replies: &[StoredReply]) -> Result<AnswerId, StoreError> {
        self.append_with(entries, replies, &SealedWrites::default(), &[])
            .map(|appended| appended.first_answer)
    }

    /// The same, and in the same write it deletes and keeps sealed payloads, and stores events. What is deleted is in no file of the database
    /// any more when this returns, or if that fails, after the next write that works, or the next start.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_with(
        &mut self,
        entries: &[Entry],
        replies: &[StoredReply],
        sealed: &SealedWrites,
        facts: &[Fact],
    ) -> Result<Appended, StoreError> {
        let path = &self.path;
        let failed = |error| StoreError::from_sqlite(path, error);
        // What does not encode is a fault in the program; found before anything is written.
        let unencoded = |error: serde_json::Error| StoreError::Unexpected {
            path: path.clone(),
            detail: error.to_string(),
        };
        let encoded = replies
            .iter()
            .map(|stored| serde_json::to_vec(&stored.reply))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unencoded)?;
        let facts = events::encode(facts).map_err(unencoded)?;
        let mut new_chains: BTreeMap<ChainId, i64> = BTreeMap::new();
        let mut next_chain = self.chains_by_number.len() as i64;
        let numbered: Vec<(i64, &Entry)> = entries
            .iter()
            .map(|entry| {
                let number = self.chains.get(&entry.chain).copied().unwrap_or_else(|| {
                    *new_chains.entry(entry.chain).or_insert_with(|| {
                        next_chain += 1;
                        next_chain
                    })
                });
                (number, entry)
            })
            .collect();
        // Dropped without commit, the transaction is rolled back.
        let transaction = Transaction::begin(&self.connection).map_err(failed)?;
        insert_chains(&transaction, &new_chains).map_err(failed)?;
        insert_entries(&transaction, self.entries, &numbered).map_err(failed)?;
        let answers = self.answers.write(&transaction, replies.iter().zip(&encoded)).map_err(failed)?;
        let number = |chain: &ChainId| self.chains.get(chain).or(new_chains.get(chain)).copied();
        let changes = self.sealed.write(&transaction, sealed, number).map_err(failed)?;
        let events = self.events.write(&transaction, facts).map_err(failed)?;
        transaction.commit().map_err(failed)?;

        let mut by_number: Vec<(i64, ChainId)> =
            new_chains.iter().map(|(chain, number)| (*number, *chain)).collect();
        by_number.sort_unstable();
        self.chains_by_number.extend(by_number.into_iter().map(|(_, chain)| chain));
        self.chains.extend(new_chains);
        let first_answer = self.answers.next();
        self.entries += entries.len() as i64;
        self.answers = answers;
        self.sealed.written(changes);
        let told = self.events.written(events);
        // The write is durable, whatever comes of this.
        let _ = self.clean();
        Ok(Appended { first_answer, told })
    }

    /// A command's outcome.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn answer(&self, id: AnswerId) -> Result<StoredReply, StoreError> {
        let (key, request, reply) = self
            .connection
            .prepare_cached("SELECT key, request, reply FROM answers WHERE id = ?1")
            .and_then(|mut statement| {
                statement.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))
            })
            .map_err(|error| self.failed(error))?;
        let reply = serde_json::from_slice(&reply).map_err(|error| {
            self.damaged(format!("the outcome of command {} is unreadable: {error}", id.0))
        })?;
        Ok(StoredReply { idempotency: Idempotency { key, request }, reply })
    }

    /// Proves by a real and durable write that writing works (again).
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO meta (name, value) VALUES ('probe', randomblob(?1))
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut statement| statement.execute([PROBE_BYTES]))
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    /// Reads the whole database and lists what is wrong with it; empty if nothing is.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read at all.
    pub fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.connection.prepare("PRAGMA integrity_check").map_err(|error| self.failed(error))?;
        let mut lines = statement.query([]).map_err(|error| self.failed(error))?;
        let mut problems = Vec::new();
        loop {
            match lines.next().and_then(|row| row.map(|row| row.get::<_, String>(0)).transpose()) {
                Ok(None) => return Ok(problems),
                Ok(Some(line)) if line == "ok" => {}
                Ok(Some(line)) => problems.push(line),
                // The check itself can stumble over what it looks for.
                Err(error) => match self.failed(error) {
                    StoreError::Damaged { detail, .. } => {
                        problems.push(detail);
                        return Ok(problems);
                    }
                    other => return Err(other),
                },
            }
        }
    }

    /// Closes the log, with everything in the one file.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be tidied up; everything that was appended is durable all the same.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Some(mark) = &mut self.mark {
            mark.close();
        }
        // SQLite does it on closing too, but does not tell when that fails.
        open::checkpoint(&self.connection).map_err(|error| self.failed(error))?;
        open::checkpoint_on_close(&self.connection, true).map_err(|error| self.failed(error))?;
        let path = std::mem::take(&mut self.path);
        self.connection.close().map_err(|(_, error)| StoreError::from_sqlite(&path, error))
    }

    fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare(sql).map_err(|error| self.failed(error))?;
        let rows = statement.query_map([], read).map_err(|error| self.failed(error))?;
        rows.collect::<rusqlite::Result<_>>().map_err(|error| self.failed(error))
    }

    fn count(&self, sql: &str) -> Result<i64, StoreError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, error)
    }

    fn damaged(&self, detail: String) -> StoreError {
        StoreError::damaged(&self.path, detail)
    }
}

fn insert_chains(transaction: &Transaction<'_>, chains: &BTreeMap<ChainId, i64>) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO chains (id, chain) VALUES (?1, ?2)")?;
    for (chain, number) in chains {
        insert.execute((number, &chain.0[..]))?;
    }
    Ok(())
}

// Identifiers are given, not left to SQLite, so that a hole is always damage.
fn insert_entries(
    transaction: &Transaction<'_>,
    stored: i64,
    entries: &[(i64, &Entry)],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entries (id, chain, seq, body, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (id, (chain, entry)) in (stored + 1..).zip(entries) {
        let signature = entry.signature.as_ref().map(|signature| &signature.0[..]);
        insert.execute((id, chain, entry.seq.cast_signed(), &entry.body, signature))?;
    }
    Ok(())
}
