//! The files of a scenario: opening them without trusting them, and following their includes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::de::DeTable;

use super::built_in;
use super::error::{Location, Problem, ScenarioError};
use super::field::{Field, Source, Spot, Table};
use super::limits::{MAX_FILE_BYTES, MAX_FILES, MAX_INCLUDE_DEPTH};

/// One file, read.
#[derive(Debug)]
pub(super) struct File {
    source: Rc<Source>,
}

impl File {
    /// Parses it.
    pub(super) fn parse(&self) -> Result<DeTable<'_>, ScenarioError> {
        DeTable::parse(&self.source.text).map(|table| table.into_inner()).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            let problem = error.message().trim().replace('\n', "; ");
            Spot::new(&self.source, offset, "").error(Problem::Syntax { problem })
        })
    }

    /// Where the file as a whole is.
    pub(super) fn spot(&self) -> Spot {
        Spot::new(&self.source, None, "")
    }

    /// The name of the file without folders and ending.
    pub(super) fn stem(&self) -> &str {
        let path = Path::new(&self.source.name);
        path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("scenario")
    }
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Disk(PathBuf),
    BuiltIn(String),
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Origin::Disk(path) => path.display().to_string(),
            Origin::BuiltIn(name) => format!("{name}.toml"),
        }
    }

    /// Equal for two ways to write one path.
    fn identity(&self) -> Origin {
        match self {
            Origin::Disk(path) => Origin::Disk(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
            Origin::BuiltIn(_) => self.clone(),
        }
    }

    fn relative(&self, include: &str) -> Origin {
        match self {
            Origin::Disk(path) => Origin::Disk(
                path.parent().map_or_else(|| PathBuf::from(include), |folder| folder.join(include)),
            ),
            Origin::BuiltIn(_) => {
                Origin::BuiltIn(include.strip_suffix(".toml").unwrap_or(include).to_owned())
            }
        }
    }

    fn error(&self, problem: Problem) -> ScenarioError {
        let at = Location { file: self.name(), ..Location::default() };
        ScenarioError { at, problem: Box::new(problem) }
    }

    fn read(&self) -> Result<String, ScenarioError> {
        match self {
            Origin::Disk(path) => read(path).map_err(|problem| match problem {
                Unread::Told(problem) => self.error(problem),
                Unread::NotUtf8(valid) => {
                    let source = Rc::new(Source { name: self.name(), text: valid });
                    Spot::new(&source, Some(source.text.len()), "").error(Problem::NotUtf8)
                }
            }),
            Origin::BuiltIn(name) => match built_in::text(name) {
                Some(text) => Ok(text.to_owned()),
                None => Err(self.error(built_in::not_found(name))),
            },
        }
    }
}

enum Unread {
    Told(Problem),
    NotUtf8(String),
}

/// Reads a file, after having looked at what it is: a pipe would block for ever, a huge file would fill the memory.
fn read(path: &Path) -> Result<String, Unread> {
    let failed = |error: std::io::Error| {
        Unread::Told(match error.kind() {
            std::io::ErrorKind::NotFound => built_in::not_found(&path.display().to_string()),
            _ => Problem::Unreadable { problem: error.to_string() },
        })
    };
    let about = fs::metadata(path).map_err(failed)?;
    if about.is_dir() {
        return Err(Unread::Told(Problem::NotAFile { found: "a folder" }));
    }
    if !about.is_file() {
        return Err(Unread::Told(Problem::NotAFile { found: "a pipe, a socket or a device" }));
    }
    if about.len() > MAX_FILE_BYTES {
        return Err(Unread::Told(Problem::FileTooLarge { bytes: about.len() }));
    }
    let mut bytes = Vec::new();
    // It may have grown since, and some files (in /proc) say that they have no length.
    fs::File::open(path).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Unread::Told(Problem::FileTooLarge { bytes: bytes.len() as u64 }));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(valid);
        Unread::NotUtf8(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// Reads a scenario file and all that it includes: what is included comes before what includes it, each file once.
pub(super) fn from_disk(path: &Path) -> Result<Vec<File>, ScenarioError> {
    let mut reading = Reading::default();
    reading.add(&Origin::Disk(path.to_owned()))?;
    Ok(reading.files)
}

/// The same for one of the built-in scenarios.
pub(super) fn from_built_in(name: &str) -> Result<Vec<File>, ScenarioError> {
    let mut reading = Reading::default();
    reading.add(&Origin::BuiltIn(name.to_owned()))?;
    Ok(reading.files)
}

/// The same for a text without a file. It includes nothing but built-in files.
pub(super) fn from_text(name: &str, text: &str) -> Result<Vec<File>, ScenarioError> {
    let mut reading = Reading::default();
    let name = name.strip_suffix(".toml").unwrap_or(name).to_owned();
    reading.add_text(&Origin::BuiltIn(name), text.to_owned())?;
    Ok(reading.files)
}

#[derive(Default)]
struct Reading {
    files: Vec<File>,
    known: Vec<Origin>,
    /// From the scenario itself down to the file that is being read: what it is, and what it is called.
    chain: Vec<(Origin, String)>,
}

impl Reading {
    fn add(&mut self, origin: &Origin) -> Result<(), ScenarioError> {
        let text = origin.read()?;
        self.add_text(origin, text)
    }

    fn add_text(&mut self, origin: &Origin, text: String) -> Result<(), ScenarioError> {
        let file = File { source: Rc::new(Source { name: origin.name(), text }) };
        self.known.push(origin.identity());
        self.chain.push((origin.identity(), origin.name()));
        if let Some(includes) = Table::new(&file.parse()?, file.spot()).take("include") {
            for include in includes.one_or_more()? {
                self.include(origin, &include)?;
            }
        }
        self.chain.pop();
        self.files.push(file);
        Ok(())
    }

    fn include(&mut self, from: &Origin, include: &Field<'_>) -> Result<(), ScenarioError> {
        let origin = from.relative(include.text_as("a file's name in quotes, such as \"tills.toml\"")?);
        let identity = origin.identity();
        if let Some(start) = self.chain.iter().position(|(above, _)| *above == identity) {
            let mut chain: Vec<String> = self.chain[start..].iter().map(|(_, name)| name.clone()).collect();
            chain.push(origin.name());
            return Err(include.error(Problem::IncludeCycle { chain }));
        }
        if self.known.contains(&identity) {
            return Ok(());
        }
        if self.chain.len() > MAX_INCLUDE_DEPTH {
            return Err(include.error(Problem::IncludesTooDeep));
        }
        if self.known.len() >= MAX_FILES {
            return Err(include.error(Problem::TooManyFiles));
        }
        match self.add(&origin) {
            Err(error) if matches!(*error.problem, Problem::NotFound { .. }) => {
                Err(include.error(Problem::IncludeNotFound { file: origin.name() }))
            }
            result => result,
        }
    }
}
