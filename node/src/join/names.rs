//! Names in use: a new device may not take that of another, nor one that people would take for it.
//!
//! Two sources say what is in use. The running node of who admits knows the devices of the event; a register in the
//! folder has the names that were given there, so the organiser, who has no node, and newcomers that come at once are
//! covered too. Two that admit while cut off from each other can still give one name twice.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use icu_normalizer::uts46::Uts46MapperBorrowed;
use popmesh_proto::id::DeviceId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::folder::{self, FolderError};

const FOLDER: &str = "names";
/// Greek capitals whose small forms look like other letters than they do.
const CAPITALS: [(char, char); 4] = [('Η', 'h'), ('Ν', 'n'), ('Υ', 'y'), ('Ζ', 'z')];
/// Letters of other scripts, small, that look like Latin ones, and those; and what people confuse within Latin.
const ALIKE: [(&str, char); 24] = [
    ("аα", 'a'),
    ("вβь", 'b'),
    ("сϲ", 'c'),
    ("ԁ", 'd'),
    ("её", 'e'),
    ("ɡ", 'g'),
    ("һн", 'h'),
    ("ілιӏі1іı|", 'l'),
    ("i", 'l'),
    ("ј", 'j'),
    ("кκ", 'k'),
    ("мμ", 'm'),
    ("ոηп", 'n'),
    ("оο0օσ", 'o'),
    ("рρ", 'p'),
    ("ԛ", 'q'),
    ("г", 'r'),
    ("ѕ", 's'),
    ("тτ", 't'),
    ("υս", 'u'),
    ("νѵ", 'v'),
    ("ԝω", 'w'),
    ("хχ", 'x'),
    ("уγү", 'y'),
];

/// What a name is compared by: names that people take for each other have the same. Compatibility forms, case and what is
/// not seen are made alike by UTS #46, which is there for the like purpose in domain names; spaces and hyphens go, and
/// letters that look like others become those. For example `HQ`, `h q`, `ＨＱ` and `h\u{200b}q` are all `hq`.
pub(super) fn key(name: &str) -> String {
    let mapper = Uts46MapperBorrowed::new();
    let capital = |c: char| CAPITALS.iter().find(|(capital, _)| *capital == c).map_or(c, |(_, latin)| *latin);
    let mapped = mapper.map_normalize(name.chars().map(capital));
    mapped
        .filter(|c| !c.is_whitespace() && !c.is_control() && !is_blank_or_hyphen(*c))
        .map(|c| ALIKE.iter().find(|(alike, _)| alike.contains(c)).map_or(c, |(_, latin)| *latin))
        .collect()
}

fn is_blank_or_hyphen(c: char) -> bool {
    matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2800}' | '\u{3164}' | '\u{fffd}')
}

/// Why a name is not given.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Another device has it.
    #[error(
        "the name {name:?} is that of another device, {held:?} ({}): join with another --name, or retire that device \
         first; who admits by a code can give another with --name, or the same with --reuse-name if the other is gone for \
         good",
        device.short()
    )]
    InUse {
        /// The name that was wanted.
        name: String,
        /// The other's.
        held: String,
        /// The other.
        device: DeviceId,
    },
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What the running node of who admits knows.
pub trait Known: Send + Sync {
    /// Every device of the event, by its certificate: key and name.
    fn devices(&self) -> Vec<(DeviceId, String)>;
    /// Whether a device was retired.
    fn is_retired(&self, device: &DeviceId) -> bool;
}

#[derive(Serialize, Deserialize)]
struct Given {
    device: DeviceId,
    name: String,
    at_ms: u64,
}

/// The names that were given to devices admitted here.
#[derive(Debug, Clone)]
pub struct Names {
    folder: PathBuf,
    /// Held while one is given, since newcomers come at once.
    giving: Arc<Mutex<()>>,
}

impl Names {
    /// Those of a folder: an organiser's, or that of a device that may admit others.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.join(FOLDER), giving: Arc::default() }
    }

    /// Gives a name to a device, durably, unless another has it. Whether it was given only now.
    ///
    /// # Errors
    /// [`NameError`].
    pub(super) fn give(
        &self,
        name: &str,
        device: &DeviceId,
        at_ms: u64,
        is_gone: impl Fn(&DeviceId) -> bool,
    ) -> Result<bool, NameError> {
        folder::create_private(&self.folder)?;
        let _giving = self.giving.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        let given = Given { device: *device, name: name.to_owned(), at_ms };
        // A name and a key are always JSON.
        let text = format!("{}\n", serde_json::to_string(&given).unwrap_or_default());
        match folder::write_new(&path, &text) {
            Ok(()) => {}
            Err(FolderError::Exists(_)) => match read(&path)? {
                Some(held) if held.device == *device => return Ok(false),
                Some(held) if !is_gone(&held.device) => {
                    return Err(NameError::InUse {
                        name: name.to_owned(),
                        held: held.name,
                        device: held.device,
                    });
                }
                // A power cut while it was written: no certificate had left yet.
                _ => folder::replace(&path, &text)?,
            },
            Err(error) => return Err(error.into()),
        }
        self.take_back(device, Some(&path));
        Ok(true)
    }

    /// Notes the name of a device whose certificate a person signed from a file, so that no newcomer gets it.
    ///
    /// # Errors
    /// [`NameError::InUse`] if another has it, which keeps it here; or the folder's.
    pub fn note(&self, name: &str, device: &DeviceId, at_ms: u64) -> Result<(), NameError> {
        self.give(name, device, at_ms, |_| false).map(drop)
    }

    /// The devices that names were given to, by their keys.
    ///
    /// # Errors
    /// [`FolderError`] if the register cannot be read.
    pub fn given(&self) -> Result<Vec<(DeviceId, String)>, FolderError> {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return Ok(vec![]) };
        let mut given = Vec::new();
        for file in files.flatten() {
            given.extend(read(&file.path())?.map(|given| (given.device, given.name)));
        }
        given.sort_unstable();
        Ok(given)
    }

    /// Takes back what was given to a device that is not admitted after all.
    pub(super) fn take_back(&self, device: &DeviceId, but: Option<&Path>) {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return };
        for path in files.flatten().map(|file| file.path()) {
            let is_its = matches!(read(&path), Ok(Some(given)) if given.device == *device);
            if is_its && but != Some(path.as_path()) {
                // A name too many is refused with what to do about it.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(hex::encode(&Sha256::digest(key(name))[..16]))
    }
}

/// The file, if it can be understood.
fn read(path: &Path) -> Result<Option<Given>, FolderError> {
    match folder::read_text(path) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(FolderError::Io { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u8) -> DeviceId {
        DeviceId([number; 32])
    }

    #[test]
    fn names_that_people_take_for_each_other_are_the_same() {
        for alike in [
            "HQ",
            " hq ",
            "h q",
            "ＨＱ",
            "h\u{200b}q",
            "h\u{ad}q",
            "Hq\u{feff}",
            "һԛ",
            "𝐡𝐪",
            "Ηq",
            "h\u{a0}q",
            "h-q",
        ] {
            assert_eq!(key(alike), key("hq"), "{alike:?}");
        }
        for (one, other) in
            [("till-1", "TILL 1"), ("till-1", "tіll-l"), ("Box 10", "box‑1O"), ("Straße", "STRASSE")]
        {
            assert_eq!(key(one) == key(other), one != "Straße", "{one} {other}");
        }
        for other in ["hq2", "hqs", "h", "q", "kasse", "本部"] {
            assert_ne!(key(other), key("hq"), "{other}");
        }
        assert_ne!(key("till-1"), key("till-2"));
    }

    #[test]
    fn a_name_is_one_device_s_until_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let give = |name: &str, number: u8, gone: bool| {
            // Opened anew each time, as after a restart.
            Names::of(dir.path()).give(name, &device(number), 5, |_| gone)
        };
        assert!(give("till-1", 1, false).unwrap());
        assert!(!give("till-1", 1, false).unwrap(), "the same device again");
        let refused = give("TILL 1", 2, false).unwrap_err().to_string();
        assert!(refused.contains("\"till-1\" (01010101)") && refused.contains("another --name"), "{refused}");
        assert!(give("TILL 1", 2, true).unwrap());
        assert!(give("till-1", 1, false).is_err(), "it is the second's now");
        // Who takes another name gives up the one before.
        assert!(give("till-2", 2, false).unwrap());
        assert!(give("till-1", 1, false).unwrap());
        Names::of(dir.path()).take_back(&device(1), None);
        assert!(give("till-1", 3, false).unwrap());
    }

    #[test]
    fn of_devices_that_come_at_once_one_gets_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::of(dir.path());
        let got = std::thread::scope(|scope| {
            let each: Vec<_> = (0..20)
                .map(|number| {
                    scope.spawn({
                        let names = &names;
                        move || names.give("till", &device(number), 5, |_| false).is_ok()
                    })
                })
                .collect();
            each.into_iter().filter(|_| true).map(|one| one.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
    }

    #[test]
    fn a_name_that_a_power_cut_tore_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::of(dir.path());
        names.give("till", &device(1), 5, |_| false).unwrap();
        std::fs::write(names.path("till"), "{\"dev").unwrap();
        assert!(names.give("till", &device(2), 5, |_| false).unwrap());
    }
}
