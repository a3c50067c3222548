//! A look at the database file before SQLite gets it, because SQLite takes an empty or missing file for a new database
//! and throws away the write-ahead log beside it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::files;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// Whether there is a database to open. Reads only.
pub(crate) fn exists(path: &Path) -> Result<bool, StoreError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = beside(path, suffix);
        files::check(&beside).map_err(|error| StoreError::from_io(&beside, error))?;
    }
    let wal_bytes = match std::fs::metadata(wal_path(path)) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(StoreError::from_io(&wal_path(path), error)),
    };
    let mut file = match files::open(File::options().read(true), path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if wal_bytes > 0 {
                return Err(StoreError::damaged(
                    path,
                    "the file is missing though its popmesh.db-wal is there",
                ));
            }
            return Ok(false);
        }
        Err(error) => return Err(StoreError::from_io(path, error)),
    };
    let bytes = file.metadata().map_err(|error| StoreError::from_io(path, error))?.len();
    let mut header = [0u8; HEADER_BYTES];
    if bytes < HEADER_BYTES as u64 {
        return Err(StoreError::damaged(path, format!("the file has only {bytes} bytes")));
    }
    file.read_exact(&mut header).map_err(|error| StoreError::from_io(path, error))?;
    if !header.starts_with(MAGIC) {
        return Err(StoreError::damaged(path, "the file does not start as a database does"));
    }
    // With a write-ahead log there, pages beyond the end of the file may be in it: a cut can fall between the first
    // page and the last of a checkpoint.
    if wal_bytes == 0 && size_is_valid(&header) {
        let expected = page_bytes(&header) * u64::from(number(&header, 28));
        if bytes < expected {
            let detail = format!("the file ends after {bytes} of {expected} bytes");
            return Err(StoreError::damaged(path, detail));
        }
    }
    Ok(true)
}

/// The write-ahead log of a database.
pub(crate) fn wal_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

// "The in-header database size is only considered to be valid if it is non-zero and if the change counter at offset 24
// exactly matches the version-valid-for number at offset 92." https://www.sqlite.org/fileformat2.html
fn size_is_valid(header: &[u8; HEADER_BYTES]) -> bool {
    number(header, 28) > 0 && number(header, 24) == number(header, 92)
}

fn page_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    // 1 stands for 65,536, which does not fit.
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    }
}

fn number(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
