//! Who else can get at a folder: found out, told, and ended where this user may.
//!
//! A folder that is made here is closed to others. One that was there before may not be: systemd's state folders, volumes
//! of containers and folders of packages are made with mode 755, and a restored backup has whatever modes it has. So who
//! uses a folder closes it first. What cannot be closed is refused: another user's folder or file, a link that another may
//! have planted, a file system that keeps no modes.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use popmesh_store::files;
use rustix::fs::{Mode, OFlags};

use super::{FolderError, io_error};

/// What the names of popmesh's own files and folders begin with.
const OWN_PREFIXES: [&str; 10] =
    ["api", "device.", "event.", "lock", "mark", "names", "organiser.", "popmesh.", "retired.", "tickets"];
/// What the names of files end with that popmesh writes under names of people's choice.
const OWN_SUFFIXES: [&str; 6] = [".certificate", ".charter", ".enrolment", ".key", ".secret", ".ticket"];
/// A folder with one of these is one of popmesh's.
const SIGNS: [&str; 4] = ["device.key", "organiser.key", "event.charter", "popmesh.db"];
/// So deep are popmesh's own folders in each other: a ticket's uses are in `tickets/<ticket>/`.
const DEPTH_MAX: usize = 3;
/// What every new file system has.
const LOST_AND_FOUND: &str = "lost+found";
/// Bits by which others than the owner get at something.
const OTHERS: u32 = 0o077;
/// Bits by which others than the owner write.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What is to be said of a folder that others could get at until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    folder: PathBuf,
    /// Its mode before, if that was open.
    mode: Option<u32>,
    /// What else was open, by its name in the folder.
    names: Vec<String>,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.folder.display())?;
        match self.mode {
            Some(mode) => write!(f, " was open to others on this host (mode {mode:03o})")?,
            None => f.write_str(" had files with rights for others")?,
        }
        if !self.names.is_empty() {
            write!(f, ", with {}", listed(&self.names))?;
        }
        f.write_str("; it is closed to them now (folders 700, files 600)")?;
        if self.mode.is_some() {
            f.write_str(". If anybody else has an account here, what was in it may be known to them")?;
        }
        Ok(())
    }
}

/// A few names, and how many more.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What stands open about a folder, or has to be seen to by a person.
#[derive(Debug, Default)]
pub struct Survey {
    /// Where it is, without links; absent if it is not there.
    pub folder: Option<PathBuf>,
    /// Its mode, if others get in by it.
    pub mode: Option<u32>,
    /// What in it has rights for others, with its mode; not the folder itself.
    pub open: Vec<(PathBuf, u32)>,
    /// What a person has to see to; nothing is done about a folder with any of these.
    pub problems: Vec<FolderError>,
    /// How many files and folders in it are popmesh's.
    pub count: usize,
    /// Folders above it in which somebody else can put another in its place, and why.
    pub above: Vec<(PathBuf, String)>,
    /// The file system, if it keeps no modes of its own.
    pub modeless: Option<&'static str>,
}

/// Closes the folder at `path` to others, with all that is popmesh's in it. None if it was closed, or is not there.
///
/// Files that hold keys or secrets are left as they are: whoever could read one has it, and that is for a person to judge.
///
/// # Errors
/// [`FolderError`] says what cannot be closed, and what to do.
pub fn close(path: &Path) -> Result<Option<Closed>, FolderError> {
    let Some(found) = look(path)? else { return Ok(None) };
    let mut closed = Closed { folder: path.to_owned(), mode: None, names: Vec::new() };
    if found.mode & OTHERS != 0 {
        if !found.is_popmeshs {
            return Err(FolderError::Shared { path: path.to_owned(), mode: found.mode });
        }
        // First of all, so that nobody puts anything there meanwhile.
        shut(&found.folder, OFlags::DIRECTORY)?;
        closed.mode = Some(found.mode);
    }
    let mut survey = Survey::default();
    look_into(&found.folder, 0, &mut survey);
    if let Some(problem) = survey.problems.into_iter().next() {
        return Err(problem);
    }
    for (file, _) in survey.open {
        shut(&file, OFlags::empty())?;
        let name = file.strip_prefix(&found.folder).unwrap_or(&file);
        closed.names.push(name.display().to_string());
    }
    Ok((closed.mode.is_some() || !closed.names.is_empty()).then_some(closed))
}

/// Finds out who else can get at the folder at `path`, and changes nothing.
pub fn survey(path: &Path) -> Survey {
    let mut survey = Survey::default();
    let found = match look(path) {
        Ok(Some(found)) => found,
        Ok(None) => return survey,
        Err(problem) => {
            survey.problems.push(problem);
            return survey;
        }
    };
    survey.mode = (found.mode & OTHERS != 0).then_some(found.mode);
    if survey.mode.is_some() && !found.is_popmeshs {
        survey.problems.push(FolderError::Shared { path: path.to_owned(), mode: found.mode });
    }
    look_into(&found.folder, 0, &mut survey);
    survey.above = above(&found.folder);
    survey.modeless = modeless(&found.folder);
    survey.folder = Some(found.folder);
    survey
}

/// A folder that this user owns.
struct Found {
    folder: PathBuf,
    mode: u32,
    /// Whether nothing in it is somebody else's to read.
    is_popmeshs: bool,
}

fn mode_of(found: &Metadata) -> u32 {
    found.permissions().mode() & 0o7777
}

/// The user that this process acts as.
fn this_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn look(path: &Path) -> Result<Option<Found>, FolderError> {
    let failed = |error| io_error(path, error);
    // Without a slash at its end, behind which a link would not be seen.
    let plain: PathBuf = path.components().collect();
    let itself = match fs::symlink_metadata(&plain) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if itself.is_symlink() && ![0, this_user()].contains(&itself.uid()) {
        return Err(FolderError::Foreign { path: path.to_owned(), owner: itself.uid(), user: this_user() });
    }
    let folder = match fs::canonicalize(&plain) {
        Ok(folder) => folder,
        // A link that leads nowhere yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = fs::symlink_metadata(&folder).map_err(failed)?;
    if !found.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    if found.uid() != this_user() {
        return Err(FolderError::Foreign { path: path.to_owned(), owner: found.uid(), user: this_user() });
    }
    let mut names = fs::read_dir(&folder).map_err(failed)?.flatten().map(|entry| entry.file_name());
    let is_new = names.all(|name| name == LOST_AND_FOUND);
    let has_sign = SIGNS.iter().any(|name| fs::symlink_metadata(folder.join(name)).is_ok());
    Ok(Some(Found { mode: mode_of(&found), is_popmeshs: is_new || has_sign, folder }))
}

/// Whether a file in a folder of popmesh's is popmesh's.
fn is_own(name: &str) -> bool {
    OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || OWN_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether somebody who has read the file could be the device, or the organiser, or open what is sealed.
fn is_secret(name: &str) -> bool {
    name.ends_with(".key") || name.starts_with("event.secret")
}

fn look_into(folder: &Path, depth: usize, survey: &mut Survey) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return survey.problems.push(io_error(folder, error)),
    };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    entries.sort();
    for name in entries {
        let path = folder.join(&name);
        let name = name.to_string_lossy();
        // All that is in one of popmesh's own folders is popmesh's.
        if depth == 0 && !is_own(&name) {
            continue;
        }
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            // It went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                survey.problems.push(io_error(&path, error));
                continue;
            }
        };
        let mode = mode_of(&found);
        survey.count += 1;
        if found.is_symlink() || !found.is_file() && !found.is_dir() {
            survey.problems.extend(files::check(&path).err().map(|what| io_error(&path, what)));
        } else if found.uid() != this_user() {
            survey.problems.push(FolderError::Foreign { path, owner: found.uid(), user: this_user() });
        } else if mode & OTHERS != 0 && found.is_file() && is_secret(&name) {
            survey.problems.push(FolderError::Exposed { path, mode: mode & 0o777 });
        } else {
            if mode & OTHERS != 0 {
                survey.open.push((path.clone(), mode));
            }
            if found.is_dir() && depth < DEPTH_MAX {
                look_into(&path, depth + 1, survey);
            }
        }
    }
}

/// Leaves a file or folder to its owner alone. Under an access list (ACL) that is the end of all other entries, too: what is the
/// group's in a mode is what they may have at most.
fn shut(path: &Path, kind: OFlags) -> Result<(), FolderError> {
    let failed = |error: rustix::io::Errno| io_error(path, error.into());
    // By a handle on what was looked at, since a link could have taken its place.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | kind;
    let opened = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?);
    let mode = |file: &File| file.metadata().map(|found| mode_of(&found));
    let before = mode(&opened).map_err(|error| io_error(path, error))?;
    let changed = opened.set_permissions(Permissions::from_mode(before & 0o700));
    let after = mode(&opened).map_err(|error| io_error(path, error))?;
    if after & OTHERS == 0 {
        return Ok(());
    }
    let why = match (modeless(path), changed) {
        (Some(system), _) => format!("its file system ({system}) keeps no modes"),
        (None, Err(error)) => error.to_string(),
        (None, Ok(())) => "its file system does not keep modes".to_owned(),
    };
    Err(FolderError::Unclosable { path: path.to_owned(), mode: after, why })
}

/// The folders above one in which somebody else could put another in its place.
fn above(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in folder.ancestors().skip(1) {
        let Ok(metadata) = fs::metadata(folder) else { continue };
        let (owner, mode) = (metadata.uid(), mode_of(&metadata));
        if ![0, this_user()].contains(&owner) {
            found.push((folder.to_owned(), format!("it belongs to user {owner}")));
        } else if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            found.push((folder.to_owned(), format!("others may write in it (mode {:03o})", mode & 0o777)));
        }
    }
    found
}

/// The name of the file system, if it keeps no modes: then what its mount says holds for all of it.
fn modeless(path: &Path) -> Option<&'static str> {
    match rustix::fs::statfs(path).ok()?.f_type as u64 & 0xffff_ffff {
        0x4d44 => Some("vfat"),
        0x2011_bab0 => Some("exfat"),
        0x5346_544e | 0x7366_746e => Some("ntfs"),
        _ => None,
    }
}
