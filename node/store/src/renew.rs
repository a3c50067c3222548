//! Writes anew what may be in memory only though it was read from a file.
//!
//! When a sync fails, Linux takes what it could not write for written. A node that is started again reads it back as if it
//! were on the disk, and no later sync writes it: what is appended behind it is lost with it at the next power cut, and a
//! checkpoint that a cut falls into leaves pages behind that nothing can repair. Writing the same bytes again makes the next
//! sync write them. A cut meanwhile harms nothing: each sector is as it was on the disk, or as it was read.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::StoreError;
use crate::{files, header};

/// Bytes that are read and written at a time.
const PART_BYTES: usize = 1 << 20;

/// Makes sure that all of the write-ahead log of the database at `path` is on the disk. The database itself needs no such
/// care: what a checkpoint wrote to it is also in the log until it was synced.
///
/// To be called while the database is locked, so that nobody else writes there.
pub(crate) fn write_ahead_log(path: &Path) -> Result<(), StoreError> {
    let path = header::wal_path(path);
    let failed = |error| StoreError::from_io(&path, error);
    let mut file = match files::open(File::options().read(true).write(true), &path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    rewrite(&mut file).and_then(|()| file.sync_all()).map_err(failed)
}

fn rewrite(file: &mut (impl Read + Write + Seek)) -> std::io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let bytes = file.read(&mut part)?;
        if bytes == 0 {
            return Ok(());
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&part[..bytes])?;
        at += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Seek, SeekFrom, Write};

    use super::{PART_BYTES, rewrite};

    /// Notes which bytes were written.
    struct Watched {
        file: Cursor<Vec<u8>>,
        written: Vec<bool>,
    }

    impl Read for Watched {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            // A file may give less than it is asked for.
            let most = into.len().min(700_000);
            self.file.read(&mut into[..most])
        }
    }

    impl Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let at = self.file.position() as usize;
            self.written[at..at + bytes.len()].fill(true);
            self.file.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Watched {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.file.seek(to)
        }
    }

    #[test]
    fn every_byte_is_written_and_none_is_changed() {
        for length in [0, 1, PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES + 5] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut file = Watched { file: Cursor::new(bytes.clone()), written: vec![false; length] };
            rewrite(&mut file).unwrap();
            assert!(file.file.into_inner() == bytes, "{length}");
            assert!(file.written.iter().all(|written| *written), "{length}");
        }
    }
}
