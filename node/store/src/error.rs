//! What can go wrong with a data folder, in words that say what to do.

use std::path::{Path, PathBuf};

use popmesh_proto::id::{DeviceId, EventId};
use rusqlite::ErrorCode;

/// A data folder that cannot be used, or a write or read that failed. Nothing was changed by what failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another node runs on this folder.
    #[error(
        "another popmesh node{} runs on {}; stop it, or give this one a folder of its own",
        with_pid(*pid),
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, if it wrote down its number.
        pid: Option<u32>,
    },
    /// Another program has the database open.
    #[error("another program has {} open; close it and try again", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The folder or a file in it cannot be made or opened.
    #[error("{} cannot be opened: {problem}; check that it exists and that this user may write there", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
    /// Something other than a file is in its place, which somebody may have put there.
    #[error("{}: {problem}; find out who put it there, and remove it", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is.
        problem: std::io::Error,
    },
    /// Nothing can be written there.
    #[error(
        "{} is read-only; make it writable for this user (a failing card or disk turns read-only by itself: then \
         replace it)",
        path.display()
    )]
    ReadOnly {
        /// What is.
        path: PathBuf,
    },
    /// No room.
    #[error("the disk that holds {} is full; make room on it", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The disk fails.
    #[error("the disk that holds {} fails ({detail}); check it, and replace it if this goes on", path.display())]
    Disk {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The database is not what was written.
    #[error(
        "{} is damaged ({detail}) and was left as it is; move popmesh.db and popmesh.db-wal to another folder, keep \
         them, and start again: this device then gets its past back from the other devices",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// An SQLite database of another program.
    #[error("{} is a database of another program; give popmesh a folder of its own", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// Written by a newer popmesh.
    #[error(
        "{} was written by a newer popmesh (format {found}, this one knows up to {known}); install that version",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The folder belongs to another event.
    #[error("{} belongs to event {found}, not to {wanted}; use the folder of that event", path.display())]
    OtherEvent {
        /// The database.
        path: PathBuf,
        /// The event in it.
        found: EventId,
        /// The event asked for.
        wanted: EventId,
    },
    /// The folder belongs to another device.
    #[error(
        "{} belongs to device {found}, not to {wanted}; never copy a folder from one device to another",
        path.display()
    )]
    OtherDevice {
        /// The database.
        path: PathBuf,
        /// The device in it.
        found: DeviceId,
        /// The device asked for.
        wanted: DeviceId,
    },
    /// SQLite would not work in the mode that makes writes survive a power cut.
    #[error(
        "{} cannot be used safely: {setting} is {found:?} instead of {wanted:?}; use a local disk, not a network \
         folder",
        path.display()
    )]
    Mode {
        /// The database.
        path: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// What SQLite answered.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Anything else that SQLite says.
    #[error("the database {} failed: {detail}; please report this", path.display())]
    Unexpected {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StoreError {
    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.into() }
    }

    pub(crate) fn from_io(path: &Path, problem: std::io::Error) -> Self {
        match problem.kind() {
            std::io::ErrorKind::InvalidInput => Self::NotAFile { path: path.to_owned(), problem },
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path: path.to_owned() },
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned() }
            }
            _ => Self::Folder { path: path.to_owned(), problem },
        }
    }

    pub(crate) fn from_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path_owned = path.to_owned();
        let detail = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return match error {
                // A value of another type or size than was ever written.
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::QueryReturnedNoRows => Self::Damaged { path: path_owned, detail },
                _ => Self::Unexpected { path: path_owned, detail },
            };
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full { path: path_owned },
            ErrorCode::ReadOnly => Self::ReadOnly { path: path_owned },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Self::Damaged { path: path_owned, detail }
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::InUse { path: path_owned },
            ErrorCode::SystemIoFailure => Self::Disk { path: path_owned, detail },
            ErrorCode::CannotOpen => {
                Self::Folder { path: path_owned, problem: std::io::Error::other(detail) }
            }
            _ => Self::Unexpected { path: path_owned, detail },
        }
    }
}
