//! Reports on disk: a page and its JSON twin, each written beside its place and moved there when it is whole.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::comparison::Comparison;
use crate::night::Night;

use super::compare;
use super::html::html;

/// Why a report could not be written, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path names no file, or the JSON file itself.
    #[error("{} cannot be the name of a report; give it a name that ends in .html", .0.display())]
    Name(PathBuf),
    /// There is no such folder.
    #[error("there is no folder {}; make it first, or write the report elsewhere", .0.display())]
    NoFolder(PathBuf),
    /// There is a folder of this name.
    #[error("{} is a folder; give the report another name", .0.display())]
    Folder(PathBuf),
    /// The system says no.
    #[error("{} could not be written: {problem}; free some room or write the report elsewhere", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        problem: io::Error,
    },
    /// The night has no JSON form.
    #[error("the night could not be put into JSON: {0}; please report this")]
    Json(#[from] serde_json::Error),
}

/// The JSON twin of a night's page: the whole night, indented, fields in the order of their definition.
///
/// # Errors
///
/// If the night has no JSON form, which is a bug.
pub fn json(night: &Night) -> Result<String, WriteError> {
    pretty(night)
}

/// Writes the page of `night` to `path`, and its JSON twin beside it: `night.html` and `night.json`. Returns where the
/// twin is. Files of these names are replaced; no reader ever finds half a file.
///
/// # Errors
///
/// If `path` cannot be the page's name, or the system refuses.
pub fn write_both(path: &Path, night: &Night) -> Result<PathBuf, WriteError> {
    pair(path, &html(night), &json(night)?)
}

/// Writes the page of a comparison to `path`, and its JSON twin beside it, as [`write_both`] does.
///
/// # Errors
///
/// As [`write_both`].
pub fn write_comparison(path: &Path, comparison: &Comparison) -> Result<PathBuf, WriteError> {
    pair(path, &compare::html(comparison), &pretty(comparison)?)
}

/// `value` as indented JSON that ends in a line end.
pub(super) fn pretty(value: &impl Serialize) -> Result<String, WriteError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

fn pair(path: &Path, page: &str, twin: &str) -> Result<PathBuf, WriteError> {
    let beside = path.with_extension("json");
    if path.file_name().is_none() || beside == path {
        return Err(WriteError::Name(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(WriteError::NoFolder(folder.to_owned()));
    }
    for target in [path, &beside] {
        if target.is_dir() {
            return Err(WriteError::Folder(target.to_owned()));
        }
    }
    let page_draft = Draft::write(path, page)?;
    let twin_draft = Draft::write(&beside, twin)?;
    page_draft.publish()?;
    twin_draft.publish()?;
    Ok(beside)
}

/// A file that is not yet in its place. It goes away if it never gets there.
struct Draft {
    from: PathBuf,
    to: PathBuf,
}

impl Draft {
    fn write(to: &Path, text: &str) -> Result<Self, WriteError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(format!(".{}.draft", std::process::id()));
        let draft = Self { from: to.with_file_name(name), to: to.to_owned() };
        let written = fs::File::create(&draft.from).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|problem| WriteError::Io { path: to.to_owned(), problem })?;
        Ok(draft)
    }

    fn publish(self) -> Result<(), WriteError> {
        fs::rename(&self.from, &self.to).map_err(|problem| WriteError::Io { path: self.to.clone(), problem })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is published there is nothing under this name.
        let _ = fs::remove_file(&self.from);
    }
}
