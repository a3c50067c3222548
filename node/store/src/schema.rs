//! The tables, how older ones become them, and whose database it is.

use popmesh_proto::id::{DeviceId, EventId};
use rusqlite::Connection;

/// "popm": tells the database apart from those of other programs.
const APPLICATION_ID: i64 = 0x706f_706d;

/// Each step takes the format one further. A step that has been released never changes.
const STEPS: &[&str] = &[
    // Tables that are only ever appended to in rowid order, without an index on random keys: that index would cost
    // more than the sync to disk. Entries repeat their chain, so it is stored as a small number.
    "CREATE TABLE meta (
        name TEXT PRIMARY KEY NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE chains (
        id INTEGER PRIMARY KEY,
        chain BLOB NOT NULL UNIQUE CHECK (length(chain) = 16)
    ) STRICT;
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        chain INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL,
        signature BLOB
    ) STRICT;
    CREATE TABLE answers (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL,
        request BLOB NOT NULL,
        reply BLOB NOT NULL
    ) STRICT;",
    // Only appended to, too; what is deleted is overwritten with zeros (see `sealed`).
    "CREATE TABLE sealed (
        id INTEGER PRIMARY KEY,
        chain INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        erased INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;",
    // A ring: appended to, and deleted from the front (see `events`).
    "CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        fact BLOB NOT NULL
    ) STRICT;
    CREATE TABLE event_runs (
        first INTEGER PRIMARY KEY,
        run BLOB NOT NULL CHECK (length(run) = 8)
    ) STRICT;",
];

/// The newest format.
pub(crate) const FORMAT: i64 = STEPS.len() as i64;

/// What a database says of itself.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing in it yet.
    Empty,
    /// Not ours.
    Foreign,
    /// Of a format that is not known here.
    Newer(i64),
    /// Ours.
    Ours {
        /// Its format.
        format: i64,
        /// Its event.
        event: EventId,
        /// Its device.
        device: DeviceId,
    },
}

/// Looks without changing anything.
pub(crate) fn identify(connection: &Connection) -> rusqlite::Result<Found> {
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if application != APPLICATION_ID {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return Ok(if application == 0 && format == 0 && tables == 0 {
            Found::Empty
        } else {
            Found::Foreign
        });
    }
    if format > FORMAT {
        return Ok(Found::Newer(format));
    }
    let name = |name: &str| {
        connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get::<_, [u8; 32]>(0))
    };
    Ok(Found::Ours { format, event: EventId(name("event")?), device: DeviceId(name("device")?) })
}

/// Makes all tables in an empty database and writes down whose it is, in one transaction.
pub(crate) fn create(connection: &mut Connection, event: EventId, device: DeviceId) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in STEPS {
        transaction.execute_batch(step)?;
    }
    transaction.execute(
        "INSERT INTO meta (name, value) VALUES ('event', ?1), ('device', ?2)",
        (&event.0[..], &device.0[..]),
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Takes an older format to the newest, each step whole or not at all.
pub(crate) fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    for (format, step) in (1i64..).zip(STEPS).filter(|(format, _)| *format > from) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    Ok(())
}
