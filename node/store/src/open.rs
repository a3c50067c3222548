//! From a path to a connection that can be trusted with writes, or to a reason why not with nothing changed.

use std::fs::File;
use std::path::Path;

use popmesh_proto::id::{DeviceId, EventId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::error::StoreError;
use crate::schema::{self, Found};
use crate::{DATABASE_FILE, files, header};

/// Pages in the write-ahead log (16 MiB) at which SQLite moves them into the database.
const CHECKPOINT_PAGES: u32 = 4_000;
/// What is kept of the write-ahead log after it has grown while a checkpoint was not possible.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Opens the database in `folder`, making it if there is none.
pub(crate) fn in_folder(folder: &Path, event: EventId, device: DeviceId) -> Result<Connection, StoreError> {
    let path = folder.join(DATABASE_FILE);
    if !header::exists(&path)? {
        create(folder, &path, event, device)?;
    }
    at_path(&path, event, device, None, CHECKPOINT_PAGES)
}

/// Opens or makes the database at `path` through a VFS.
pub(crate) fn at_path(
    path: &Path,
    event: EventId,
    device: DeviceId,
    vfs: Option<&str>,
    checkpoint_pages: u32,
) -> Result<Connection, StoreError> {
    let failed = |error| StoreError::from_sqlite(path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW),
    }
    .map_err(failed)?;
    // Asked before the first read, which would fail for want of a lock and blame the disk.
    if connection.is_readonly(MAIN_DB).map_err(failed)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    // Closing would move the write-ahead log into the database, even after we have refused it as damaged.
    checkpoint_on_close(&connection, false).map_err(failed)?;
    // Before journal_mode=WAL, so that the log's index is in memory: without shared memory SQLite would silently stay
    // with a rollback journal.
    set(&connection, path, "locking_mode", "EXCLUSIVE", "exclusive")?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;").map_err(failed)?;
    let found = schema::identify(&connection).map_err(failed)?;
    refuse_others(path, &found, event, device)?;
    set(&connection, path, "journal_mode", "WAL", "wal")?;
    // NORMAL loses acknowledged commits at a power cut.
    set(&connection, path, "synchronous", "FULL", "2")?;
    // On macOS a plain fsync does not reach the disk; elsewhere this does nothing.
    connection.execute_batch("PRAGMA fullfsync = ON;").map_err(failed)?;
    pragma(&connection, "wal_autocheckpoint", i64::from(checkpoint_pages)).map_err(failed)?;
    // What is deleted is overwritten in the database, not only forgotten.
    pragma(&connection, "secure_delete", "ON").map_err(failed)?;
    pragma(&connection, "journal_size_limit", WAL_BYTES_KEPT).map_err(failed)?;
    match found {
        Found::Empty => schema::create(&mut connection, event, device).map_err(failed)?,
        Found::Ours { format, .. } => schema::migrate(&mut connection, format).map_err(failed)?,
        Found::Foreign | Found::Newer(_) => {}
    }
    Ok(connection)
}

/// Whether closing empties the write-ahead log into the database.
pub(crate) fn checkpoint_on_close(connection: &Connection, yes: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !yes).map(|_| ())
}

/// Moves everything from the write-ahead log into the database, durably.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let (left, found, moved): (i64, i64, i64) =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.try_into())?;
    if left == 0 && found == moved {
        return Ok(());
    }
    // Somebody reads an older state, which only a second connection can.
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}

/// Makes a new database under another name first, so that an empty or half-made `popmesh.db` is always damage, never
/// an interrupted first start.
fn create(folder: &Path, path: &Path, event: EventId, device: DeviceId) -> Result<(), StoreError> {
    let failed = |source| StoreError::from_io(folder, source);
    let draft = folder.join(format!("{DATABASE_FILE}.new"));
    for suffix in ["", "-wal", "-journal"] {
        match std::fs::remove_file(folder.join(format!("{DATABASE_FILE}.new{suffix}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    // SQLite takes an empty file for a new database, and gives its own rights to what it writes beside it. Where a folder has a
    // default access list, it would let others read what SQLite makes itself.
    files::open(File::options().write(true).create_new(true), &draft).map_err(failed)?;
    let connection = at_path(&draft, event, device, None, CHECKPOINT_PAGES)?;
    checkpoint(&connection).map_err(|error| StoreError::from_sqlite(path, error))?;
    checkpoint_on_close(&connection, true).map_err(|error| StoreError::from_sqlite(path, error))?;
    connection.close().map_err(|(_, error)| StoreError::from_sqlite(path, error))?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    files::sync(folder).map_err(failed)
}

fn refuse_others(path: &Path, found: &Found, event: EventId, device: DeviceId) -> Result<(), StoreError> {
    let path = path.to_owned();
    match *found {
        Found::Foreign => Err(StoreError::Foreign { path }),
        Found::Newer(found) => Err(StoreError::Newer { path, found, known: schema::FORMAT }),
        Found::Ours { event: found, .. } if found != event => {
            Err(StoreError::OtherEvent { path, found, wanted: event })
        }
        Found::Ours { device: found, .. } if found != device => {
            Err(StoreError::OtherDevice { path, found, wanted: device })
        }
        Found::Empty | Found::Ours { .. } => Ok(()),
    }
}

/// Sets what durability hangs on, and reads it back: SQLite answers with what it chose, not with an error.
fn set(
    connection: &Connection,
    path: &Path,
    setting: &'static str,
    to: &str,
    wanted: &'static str,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_sqlite(path, error);
    pragma(connection, setting, to).map_err(failed)?;
    let found = connection
        .pragma_query_value(None, setting, |row| row.get::<_, rusqlite::types::Value>(0))
        .map_err(failed)?;
    let found = match found {
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    if found == wanted {
        Ok(())
    } else {
        Err(StoreError::Mode { path: path.to_owned(), setting, found, wanted })
    }
}

/// Sets a pragma whether or not it answers. Runs it to its end: changing the journal mode writes to the file after it has
/// answered, and a write that failed then would leave a rollback journal behind an answer of "wal".
fn pragma(connection: &Connection, name: &str, value: impl std::fmt::Display) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA {name} = {value}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
