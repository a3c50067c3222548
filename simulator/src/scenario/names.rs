//! Names of devices, venues and products: each once, and found again with a hint if mistyped.

use std::collections::BTreeMap;

use super::error::{Problem, ScenarioError};
use super::field::{Field, Spot};

/// What has a name.
#[derive(Debug)]
pub(super) struct Names {
    what: &'static str,
    indices: BTreeMap<String, usize>,
    names: Vec<(String, Spot)>,
}

impl Names {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, indices: BTreeMap::new(), names: Vec::new() }
    }

    /// Adds the next one, unless one of `others` or of these has the name.
    pub(super) fn add(&mut self, name: &str, spot: &Spot, others: &[&Names]) -> Result<(), ScenarioError> {
        let taken = others.iter().copied().chain([&*self]).find_map(|names| {
            names.indices.get(name).and_then(|index| names.names.get(*index)).map(|found| (names.what, found))
        });
        if let Some((what, (_, first))) = taken {
            let name = name.to_owned();
            return Err(spot.error(Problem::NameTaken { name, what, first: first.location() }));
        }
        self.indices.insert(name.to_owned(), self.names.len());
        self.names.push((name.to_owned(), spot.clone()));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// The one that a field names.
    pub(super) fn find(&self, field: &Field<'_>) -> Result<usize, ScenarioError> {
        let name = field.text()?;
        self.get(name).ok_or_else(|| field.unknown(self.what, name, self.iter()))
    }

    /// Those whose name fits a pattern with one `*`.
    pub(super) fn matching(&self, pattern: &str) -> Vec<usize> {
        let Some((start, end)) = pattern.split_once('*') else { return Vec::new() };
        let fits = |name: &str| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        self.iter().enumerate().filter(|(_, name)| fits(name)).map(|(index, _)| index).collect()
    }
}
