//! One node per data folder: an exclusive lock that the operating system drops when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::StoreError;
use crate::files;

/// The name of the locked file in the data folder.
pub const LOCK_FILE: &str = "lock";

/// The right to use a data folder, until dropped.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, or says who has it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another node has it; otherwise why the lock file cannot be used.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK_FILE);
        let failed = |source| StoreError::from_io(&path, source);
        // What another node wrote there is what we report; it must survive our look.
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = files::open(&mut options, &path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::Locked { folder: folder.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The number only serves the other's error text, so a full disk must not keep this node from starting: it can
        // still answer, and says itself that it cannot write.
        let noted = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(path = %path.display(), %error, "the process number could not be written into the lock file");
        }
        Ok(Self { _file: file })
    }
}
