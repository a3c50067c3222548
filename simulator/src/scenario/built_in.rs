//! The scenarios that come with the simulator.

use super::error::{Problem, ScenarioError, Suggestion, list};
use super::{Scenario, files, resolve};

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*];
    };
}

scenarios!(
    "one-stall",
    "three-venues-live-drop",
    "wifi-dies-at-the-drop",
    "battery-night",
    "locker-over-ble",
    "encoder-runs-the-drop",
    "two-hundred-devices",
);

/// What the built-in scenarios include.
const PARTS: &[(&str, &str)] =
    &[("three-venues-site", include_str!("../../scenarios/three-venues-site.toml"))];

pub(super) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().chain(PARTS).find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn names() -> impl Iterator<Item = &'static str> + Clone {
    FILES.iter().map(|(name, _)| *name)
}

/// That there is neither a file nor a built-in scenario of this name.
pub(super) fn not_found(name: &str) -> Problem {
    Problem::NotFound { suggestion: Suggestion::among(name, names()), known: list(names()) }
}

/// The built-in scenario of this name, if there is one.
///
/// # Errors
/// None for what is built in, which a test makes sure of; the type is that of [`super::load`].
#[must_use]
pub fn named(name: &str) -> Option<Result<Scenario, ScenarioError>> {
    names()
        .find(|known| *known == name)
        .map(|name| files::from_built_in(name).and_then(|files| resolve::scenario(&files)))
}

/// Name and title of each built-in scenario.
#[must_use]
pub fn built_in() -> Vec<(String, String)> {
    names().filter_map(|name| named(name)?.ok()).map(|scenario| (scenario.name, scenario.title)).collect()
}
