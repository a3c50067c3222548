//! The files of a data folder, so that no other user reads or redirects them.
//!
//! A link in place of a file would have whoever planted it choose what is read, or what is written over. So none is followed,
//! and what takes the place of a file is written under a random name first, which nobody can have planted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::{Builder, NamedTempFile};

use crate::error::StoreError;

/// What the name of a file ends with that is not whole yet.
const DRAFT_SUFFIX: &str = ".new";
/// After this a draft is one that a power cut left.
const DRAFT_LASTS: Duration = Duration::from_secs(60);

/// Opens a file, unless it is a link or no ordinary file.
///
/// # Errors
/// The system's, or [`io::ErrorKind::InvalidInput`] with what the file is.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Without NONBLOCK a pipe would have this wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = options.custom_flags(flags.bits().cast_signed()).mode(0o600).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => not_a_file("it is a link"),
        _ => error,
    })?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(not_a_file("it is a folder"));
    }
    if !metadata.is_file() {
        return Err(not_a_file("it is no ordinary file"));
    }
    Ok(file)
}

/// Says what is in the place of a file.
fn not_a_file(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}, and popmesh uses ordinary files alone here"))
}

/// Fails if something other than an ordinary file is at `path`, or a link.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] with what it is, or the system's.
pub fn check(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(not_a_file("it is a link")),
        Ok(found) if found.is_dir() => Err(not_a_file("it is a folder")),
        Ok(found) if !found.is_file() => Err(not_a_file("it is no ordinary file")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has a file say `bytes`, in one step: whoever reads it sees the old or the new, even after a power cut. Its owner alone can
/// read it. Returns it, open.
///
/// # Errors
/// The system's, with the file as it was; as [`check`] if it is none.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    check(path)?;
    let folder = folder_of(path);
    let mut draft = draft(folder, path)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    let file = draft.persist(path).map_err(|error| error.error)?;
    sync(folder)?;
    Ok(file)
}

/// Writes a file that must not exist, in one step: after a power cut it is whole or not there. Its owner alone can read it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if anything is in its place, also a link, wherever that leads; or the system's.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut draft = draft(folder, path)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(path).map_err(|error| error.error)?;
    sync(folder)
}

/// A new file beside `path`, under a random name, which is gone if it is dropped.
fn draft(folder: &Path, path: &Path) -> io::Result<NamedTempFile> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    Builder::new().prefix(&name).suffix(DRAFT_SUFFIX).tempfile_in(folder)
}

/// Removes what power cuts left of files that were being replaced in this folder. One that is being written now stays.
pub fn remove_drafts(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // Such as mark.Ab3dEf.new: the name, six random letters and digits, the suffix.
        let random = name.strip_suffix(DRAFT_SUFFIX).and_then(|name| name.rsplit_once('.')).map(|it| it.1);
        let drawn = random.is_some_and(|it| it.len() == 6 && it.bytes().all(|b| b.is_ascii_alphanumeric()));
        let Ok(found) = entry.path().symlink_metadata() else { continue };
        let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw();
        // One from the future is from before a clock was set.
        let old = found.modified().is_ok_and(|then| then.elapsed().map_or(true, |age| age > DRAFT_LASTS));
        if drawn && ours && old {
            // One that stays takes room, and comes to no other harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes a folder and those above it, for their owner alone.
///
/// # Errors
/// The system's.
pub fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The system's.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder itself, by a path without links: SQLite refuses a database behind any.
pub(crate) fn real(folder: &Path) -> Result<PathBuf, StoreError> {
    folder.canonicalize().map_err(|error| StoreError::from_io(folder, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_takes_the_place_of_a_file_is_for_its_owner_alone_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("file"), folder.path().join("target"));
        replace(&path, b"one").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&target, "untouched").unwrap();
        std::fs::remove_file(&path).unwrap();
        symlink(&target, &path).unwrap();
        assert!(replace(&path, b"three").unwrap_err().to_string().contains("is a link"));
        let read = || open(OpenOptions::new().read(true), &path);
        assert!(read().unwrap_err().to_string().contains("is a link"));
        assert_eq!(std::fs::read(&target).unwrap(), b"untouched");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"four").unwrap_err().to_string().contains("is a folder"));
        assert!(read().unwrap_err().to_string().contains("is a folder"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn drafts_that_a_power_cut_left_go_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - 2 * DRAFT_LASTS;
        let names = ["mark.Ab3dEf.new", "mark.Zz9Zz9.new", "mark.new", "mark", "notes.2026-1.new", "a.b"];
        for name in names {
            let file = File::create(folder.path().join(name)).unwrap();
            if name != "mark.Zz9Zz9.new" {
                file.set_modified(old).unwrap();
            }
        }
        remove_drafts(folder.path());
        let left: Vec<_> = names.into_iter().filter(|name| folder.path().join(name).exists()).collect();
        assert_eq!(left, names[1..]);
    }
}
