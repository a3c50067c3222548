//! Sealed payloads of personal data, beside the log. They can be deleted, so that their bytes are in no file of the database
//! any more: they are overwritten where they lie, and the write-ahead log, which still has them, is emptied.
//!
//! Rows are only ever appended, and overwritten with as many zeros, never removed: SQLite then never moves them from page to
//! page, which could leave copies behind in what a page does not use.

use std::collections::BTreeMap;

use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::io::{Sealed, SealedWrites};
use rusqlite::{Connection, OptionalExtension};

use crate::transaction::Transaction;
use crate::{Store, StoreError};

/// In `meta`: the write-ahead log may have what was deleted.
const UNCLEAN: &str = "unclean";

/// Where payloads are.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    by_entry: BTreeMap<Ref, i64>,
    last: i64,
    /// Whether the write-ahead log may have what was deleted.
    unclean: bool,
}

/// What a write changes about them, once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    kept: Vec<(Ref, i64)>,
    erased: Vec<Ref>,
    unclean: bool,
}

impl Rows {
    /// Writes, but notes nothing yet.
    pub(crate) fn write(
        &self,
        transaction: &Transaction<'_>,
        writes: &SealedWrites,
        number: impl Fn(&ChainId) -> Option<i64>,
    ) -> rusqlite::Result<Changes> {
        let mut changes = Changes::default();
        if writes.is_empty() {
            return Ok(changes);
        }
        let mut erase = transaction.prepare_cached(
            "UPDATE sealed SET erased = 1, payload = zeroblob(length(payload)) WHERE id = ?1",
        )?;
        let replaced = writes.kept.iter().map(|sealed| &sealed.entry);
        for entry in writes.erased.iter().chain(replaced) {
            let Some(row) = self.by_entry.get(entry) else { continue };
            erase.execute([row])?;
            changes.erased.push(*entry);
            changes.unclean = true;
        }
        let mut insert = transaction.prepare_cached(
            "INSERT INTO sealed (id, chain, seq, erased, payload) VALUES (?1, ?2, ?3, 0, ?4)",
        )?;
        for (Sealed { entry, payload }, row) in writes.kept.iter().zip(self.last + 1..) {
            let number = number(&entry.chain).ok_or(rusqlite::Error::InvalidQuery)?;
            insert.execute((row, number, entry.seq.cast_signed(), payload))?;
            changes.kept.push((*entry, row));
        }
        if changes.unclean {
            transaction
                .prepare_cached(
                    "INSERT INTO meta (name, value) VALUES (?1, x'01') ON CONFLICT (name) DO NOTHING",
                )?
                .execute([UNCLEAN])?;
        }
        Ok(changes)
    }

    /// Takes note of what is durable now.
    pub(crate) fn written(&mut self, changes: Changes) {
        for entry in changes.erased {
            self.by_entry.remove(&entry);
        }
        for (entry, row) in changes.kept {
            self.by_entry.insert(entry, row);
            self.last = row;
        }
        self.unclean |= changes.unclean;
    }
}

impl Store {
    pub(crate) fn load_sealed(&mut self) -> Result<(), StoreError> {
        self.sealed.last = self.count("SELECT coalesce(max(id), 0) FROM sealed")?;
        let rows = self.rows("SELECT id, chain, seq FROM sealed WHERE erased = 0 ORDER BY id", |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        for (row, number, seq) in rows {
            let Some(chain) = self.chain_of(number) else {
                return Err(self.damaged(format!("sealed payload {row} is of a chain that is missing")));
            };
            self.sealed.by_entry.insert(Ref { chain, seq: seq.cast_unsigned() }, row);
        }
        let unclean = self
            .connection
            .query_row("SELECT 1 FROM meta WHERE name = ?1", [UNCLEAN], |_| Ok(()))
            .optional()
            .map_err(|error| self.failed(error))?;
        self.sealed.unclean = unclean.is_some();
        Ok(())
    }

    /// Every sealed payload that is kept, in the order of their entries.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn sealed(&self) -> Result<Vec<Sealed>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT payload FROM sealed WHERE id = ?1")
            .map_err(|error| self.failed(error))?;
        self.sealed
            .by_entry
            .iter()
            .map(|(entry, row)| {
                let payload = statement.query_row([row], |row| row.get(0));
                Ok(Sealed { entry: *entry, payload: payload.map_err(|error| self.failed(error))? })
            })
            .collect()
    }

    /// Empties the write-ahead log, if it may have payloads that were deleted. [`Store::append_with`] does so itself; this is
    /// for what a power cut, or a disk that failed, kept it from, once the log has been read and is no damaged one.
    ///
    /// # Errors
    /// [`StoreError`]; it is then done after a later write, or at a later start.
    pub fn clean(&mut self) -> Result<(), StoreError> {
        if !self.sealed.unclean {
            return Ok(());
        }
        empty_write_ahead_log(&self.connection).map_err(|error| self.failed(error))?;
        self.connection
            .execute("DELETE FROM meta WHERE name = ?1", [UNCLEAN])
            .map_err(|error| self.failed(error))?;
        self.sealed.unclean = false;
        Ok(())
    }
}

fn empty_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}
