//! Writing files that are for their owner alone, and that a power cut leaves whole.

use std::io;
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

/// Writes a file that must not exist, durably and in one step, for its owner only: a power cut leaves all of it or nothing.
///
/// # Errors
/// [`FolderError::Exists`] or [`FolderError::Io`].
pub fn write_new(path: &Path, text: &str) -> Result<(), FolderError> {
    match files::create(path, text.as_bytes()) {
        Ok(()) => Ok(()),
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
