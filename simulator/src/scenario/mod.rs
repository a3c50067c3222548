//! Scenarios: what a night is made of, read from a file or drawn from a mix.
//!
//! `simulator/scenarios/README.md` describes the files for those who write them.

mod built_in;
mod demand;
mod error;
mod faults;
mod field;
mod files;
mod goods;
pub mod limits;
pub mod media;
mod model;
mod names;
mod print;
mod resolve;
mod site;
mod spans;
mod steps;
mod words;

use std::path::Path;

pub use built_in::{built_in, named};
pub use error::{Location, Problem, ScenarioError, Suggestion};
pub(crate) use faults::CHORES;
pub use model::*;
pub use print::to_toml;

/// Reads a scenario file, and all that it includes.
///
/// # Errors
/// [`ScenarioError`] with the first mistake: where it is, what it is, and what to do.
pub fn load(path: impl AsRef<Path>) -> Result<Scenario, ScenarioError> {
    resolve::scenario(&files::from_disk(path.as_ref())?)
}

/// Reads a scenario from a text; `name` stands for the file in errors.
///
/// # Errors
/// [`ScenarioError`] with the first mistake.
pub fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    resolve::scenario(&files::from_text(name, text)?)
}

/// The built-in scenario of this name, or else the file at this path.
///
/// # Errors
/// [`ScenarioError`] with the first mistake, or that there is neither.
pub fn find(name_or_path: &str) -> Result<Scenario, ScenarioError> {
    named(name_or_path).unwrap_or_else(|| load(name_or_path))
}

#[cfg(test)]
mod tests;
