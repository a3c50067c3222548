//! Bare SQLite: the least that a durable row can cost here, under the settings that the store uses.

use std::path::Path;

use rusqlite::Connection;

/// A database with one table that is only appended to.
pub(crate) struct Bare {
    connection: Connection,
    rows: i64,
}

impl Bare {
    pub(crate) fn open(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("bare.db")).unwrap();
        let mode: String = connection
            .query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))
            .and_then(|()| connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(mode, "wal");
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
                 CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
            )
            .unwrap();
        Self { connection, rows: 0 }
    }

    /// Makes rows durable in one transaction.
    pub(crate) fn append<'a>(&mut self, bodies: impl Iterator<Item = &'a [u8]>) {
        let transaction = self.connection.transaction().unwrap();
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO rows (id, body) VALUES (?1, ?2)").unwrap();
            for body in bodies {
                self.rows += 1;
                insert.execute((self.rows, body)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    /// Reads every row. Returns how many bytes there were.
    pub(crate) fn read_all(&self) -> usize {
        let mut select = self.connection.prepare("SELECT body FROM rows ORDER BY id").unwrap();
        let mut rows = select.query([]).unwrap();
        let mut bytes = 0;
        while let Some(row) = rows.next().unwrap() {
            bytes += row.get::<_, Vec<u8>>(0).unwrap().len();
        }
        bytes
    }
}
