//! Why a scenario cannot be run: where the mistake is, what it is, and what to do.

use std::fmt;

use super::limits::{MAX_FILE_BYTES, MAX_FILES, MAX_INCLUDE_DEPTH};

/// Why a scenario cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct ScenarioError {
    /// Where.
    pub at: Location,
    /// What.
    pub problem: Box<Problem>,
}

/// A place in a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, from 1; absent where the file as a whole is meant.
    pub position: Option<(usize, usize)>,
    /// The field, such as `device[2].venue`; empty where none is meant.
    pub field: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Neither a file nor a built-in scenario.
    #[error("there is no such file, and no built-in scenario of this name{suggestion}; built in: {known}")]
    NotFound {
        /// A name that is like it.
        suggestion: Suggestion,
        /// The built-in ones.
        known: String,
    },
    /// A file that is included is not there.
    #[error("there is no file {file:?}; includes are looked for beside the file that names them")]
    IncludeNotFound {
        /// The file, as it was looked for.
        file: String,
    },
    /// The system does not let it be read.
    #[error("cannot be read: {problem}")]
    Unreadable {
        /// What the system says.
        problem: String,
    },
    /// A folder, a pipe, a device.
    #[error("is {found}; give a TOML file")]
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// Larger than any scenario.
    #[error(
        "the file has {bytes} bytes and was not read; a scenario has at most {MAX_FILE_BYTES}. \
         Is this the right file?"
    )]
    FileTooLarge {
        /// How large.
        bytes: u64,
    },
    /// Not text.
    #[error("this byte is not UTF-8; save the file as UTF-8 text")]
    NotUtf8,
    /// Not TOML.
    #[error("{problem}")]
    Syntax {
        /// What the TOML parser says.
        problem: String,
    },
    /// Files that include each other.
    #[error("the includes go in a circle: {}; take one of them out", chain.join(" → "))]
    IncludeCycle {
        /// The files, the first one again at the end.
        chain: Vec<String>,
    },
    /// Includes in includes in includes.
    #[error("more than {MAX_INCLUDE_DEPTH} includes inside each other; put them side by side")]
    IncludesTooDeep,
    /// Very many files.
    #[error("more than {MAX_FILES} files in one scenario; put some of them together")]
    TooManyFiles,
    /// A key that means nothing here.
    #[error("there is no key {key:?} here{suggestion}; the keys here are {known}")]
    UnknownKey {
        /// It.
        key: String,
        /// A key that is like it.
        suggestion: Suggestion,
        /// The keys that are known.
        known: String,
    },
    /// A key that must be there.
    #[error("{key:?} is missing; add it, such as `{example}`")]
    Missing {
        /// It.
        key: &'static str,
        /// A line that would do.
        example: &'static str,
    },
    /// A number where a text should be, and so on.
    #[error("this is {found}; write {wanted}")]
    WrongType {
        /// What should be there.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A text, or a number, that cannot be understood.
    #[error("{given:?} cannot be understood; write {wanted}")]
    NotUnderstood {
        /// It, shortened.
        given: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// Too much or too little.
    #[error("{given} is out of range; this goes from {least} to {most}")]
    OutOfRange {
        /// What was given.
        given: String,
        /// The least.
        least: String,
        /// The most.
        most: String,
    },
    /// A time before the night begins or after it ends.
    #[error("{given} is outside the night, which goes from {starts} to {ends}; move it, or change `lasts`")]
    OutsideTheNight {
        /// The time as given.
        given: String,
        /// When the night begins.
        starts: String,
        /// When it ends.
        ends: String,
    },
    /// A name of nothing.
    #[error("no {what} is named {given:?}{suggestion}; there are {known}")]
    UnknownName {
        /// What should have been named.
        what: &'static str,
        /// The name.
        given: String,
        /// A name that is like it.
        suggestion: Suggestion,
        /// The names that are known, the first few.
        known: String,
    },
    /// A name that cannot be.
    #[error("{problem}")]
    BadName {
        /// Why.
        problem: String,
    },
    /// Two things of one name.
    #[error(
        "{name:?} is already the name of the {what} at {first}; every device, venue and product needs its own"
    )]
    NameTaken {
        /// It.
        name: String,
        /// What has it.
        what: &'static str,
        /// Where that is.
        first: Location,
    },
    /// A device that is listed twice where once is meant.
    #[error("{name:?} is there twice; name each device once, by itself, by a pattern or by its venue")]
    NamedTwice {
        /// It.
        name: String,
    },
    /// A night without something that no night goes without.
    #[error("there is no {what}; add `[[{table}]]`")]
    None {
        /// What is missing.
        what: &'static str,
        /// The table that adds it.
        table: &'static str,
    },
    /// Nobody who can found the programme.
    #[error("no device has the role hq, so nobody can open drops and mint lots; give one `roles = \"hq\"`")]
    NoHq,
    /// More than can be.
    #[error("{given} {what} are too many; the most is {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        given: u64,
        /// How many there may be.
        most: u64,
    },
    /// Roles that cannot be.
    #[error("{problem}; write one or more of pos, locker, encoder, hq, with commas between")]
    BadRoles {
        /// Why.
        problem: String,
    },
    /// A lot of a device that may not mint.
    #[error("{device} has not the role hq and cannot mint; name an hq in `minted_by`, or give it the role")]
    CannotMint {
        /// Which device.
        device: String,
    },
    /// Shoppers at a device without anything to sell with.
    #[error(
        "{device} has the roles {roles} only and sells nothing; send the shoppers to a pos, a locker or an encoder"
    )]
    SellsNothing {
        /// Which device.
        device: String,
        /// Its roles.
        roles: String,
    },
    /// Two lots with one serial.
    #[error(
        "serials {first}-{last} of {sku} overlap with {other_first}-{other_last} at {other}; set `first` to the next free serial"
    )]
    SerialsOverlap {
        /// The SKU.
        sku: String,
        /// The first serial of this lot.
        first: u32,
        /// Its last.
        last: u32,
        /// The first serial of the other lot.
        other_first: u32,
        /// Its last.
        other_last: u32,
        /// Where that lot is.
        other: Location,
    },
    /// Things that do not go together.
    #[error("{problem}")]
    Impossible {
        /// Why, and what to do.
        problem: String,
    },
}

/// A name that was perhaps meant; empty if none is near.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestion(pub Option<String>);

impl Suggestion {
    /// Texts that are less alike than this are not worth a question.
    const ALIKE: f64 = 0.75;

    /// The one of `known` that is most like `given`, if any is near.
    pub(super) fn among<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let likeness = |name: &str| strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase());
        let best = known
            .into_iter()
            .map(|name| (likeness(name), name))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        Self(best.filter(|(likeness, _)| *likeness >= Self::ALIKE).map(|(_, name)| name.to_owned()))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}

/// The most names that an error lists.
const LISTED: usize = 12;

/// Names for people: the first few, and how many more.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "none".to_owned(),
        1..=LISTED => names.join(", "),
        count => format!("{} and {} more", names[..LISTED].join(", "), count - LISTED),
    }
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
