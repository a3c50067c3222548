//! Writing files that are for their owner alone, and that a power cut leaves whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use popmesh_store::files;

use super::{FolderError, io_error};

/// Makes a folder and those above it; the folder itself is closed to others.
///
/// # Errors
/// [`FolderError::Io`].
pub fn create_private(path: &Path) -> Result<(), FolderError> {
    files::make_folder(path).map_err(|error| io_error(path, error))
}

/// Writes a file that must not exist, durably, for its owner only.
///
/// # Errors
/// [`FolderError::Exists`] or [`FolderError::Io`].
pub fn write_new(path: &Path, text: &str) -> Result<(), FolderError> {
    // With create_new, a link in its place is a file that exists, wherever it leads.
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    match written {
        Ok(()) => {
            let folder = files::folder_of(path);
            files::sync(folder).map_err(|error| io_error(folder, error))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(FolderError::Exists(path.to_owned()))
        }
        Err(error) => Err(io_error(path, error)),
    }
}

/// Writes a file in one step, for its owner only: whoever reads it sees the old or the new, even after a power cut.
///
/// # Errors
/// [`FolderError::NotAFile`] if a link or something else is in its place, or [`FolderError::Io`].
pub fn replace(path: &Path, text: &str) -> Result<(), FolderError> {
    replace_bytes(path, text.as_bytes())
}

/// Like [`replace`], for what is no text.
///
/// # Errors
/// As [`replace`].
pub fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    files::replace(path, bytes).map(drop).map_err(|error| io_error(path, error))
}
