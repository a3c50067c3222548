//! Transactions whose beginning and end are parsed once: on a fast disk that is a part of a commit that can be measured.

use std::ops::Deref;

use rusqlite::Connection;

/// A transaction that is rolled back unless it is committed.
#[derive(Debug)]
pub(crate) struct Transaction<'c>(&'c Connection);

impl<'c> Transaction<'c> {
    /// Begins one.
    pub(crate) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }

    /// Makes durable what was written. If that fails, it is rolled back.
    pub(crate) fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // What cannot be rolled back now is when the database is opened next.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
