//! How often this device has started, counted in the database and in a file beside it. A database whose count is behind was
//! set back to an earlier state; one that is whole cannot tell that by itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

/// The file beside the database.
pub const BOOTS_FILE: &str = "boots";
const BOOTS: &str = "boots";

/// The starts that the database has counted.
pub(crate) fn in_database(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let bytes: Option<Vec<u8>> = statement.query_row([BOOTS], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// Has the database count so many starts.
pub(crate) fn put_in_database(connection: &Connection, boots: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    statement.execute((BOOTS, boots.to_be_bytes())).map(|_| ())
}

/// The starts that the file has counted; `None` if there is none, or one that says nothing.
fn in_file(folder: &Path) -> Option<u64> {
    std::fs::read_to_string(folder.join(BOOTS_FILE)).ok()?.trim().parse().ok()
}

fn put_in_file(folder: &Path, boots: u64) -> std::io::Result<()> {
    let draft = folder.join(format!("{BOOTS_FILE}.new"));
    let mut file = File::create(&draft)?;
    file.write_all(format!("{boots}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, folder.join(BOOTS_FILE))?;
    File::open(folder)?.sync_all()
}

/// Whether the database was set back. Reads only: a start counts once the log has been read, and not if that is damaged.
pub(crate) fn is_behind(connection: &Connection, folder: &Path) -> rusqlite::Result<bool> {
    let in_database = in_database(connection)?;
    let in_file = in_file(folder);
    Ok(match in_file {
        Some(in_file) => in_database < in_file,
        // A copy of the database alone, or of a folder without what is beside it.
        None => in_database > 0,
    })
}

/// Counts one more start than `boots` in both: in the database first, so that no cut in between looks as if it had been set
/// back. A disk that is full or fails is for others to complain of: then both stay alike, or the file is behind, which says
/// nothing.
fn settle(connection: &Connection, folder: &Path, boots: u64) {
    let next = boots.saturating_add(1);
    if put_in_database(connection, next).is_ok() {
        let _ = put_in_file(folder, next);
    }
}

/// Counts a start in both, and has the database catch up with the file if it was set back: what it had lost is back.
pub(crate) fn count(connection: &Connection, folder: &Path) {
    if let Ok(in_database) = in_database(connection) {
        settle(connection, folder, in_database.max(in_file(folder).unwrap_or(0)));
    }
}
