//! What `popmesh run --door` can be told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ureq::http::Uri;

/// Where the compartment's name goes in a board's URL.
pub(super) const SLOT: &str = "{compartment}";

/// What opens a device's doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorSpec {
    /// Nothing real: for rehearsals.
    Virtual,
    /// A board that is asked with a POST to this URL, which has `{compartment}` in it.
    Http(String),
    /// A program that is run with the compartment as its argument.
    Exec(PathBuf),
}

/// Why something cannot open doors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// None of the kinds.
    #[error("{0:?} opens no doors; say virtual, http://board/open/{SLOT}, or exec:/path/to/program")]
    Kind(String),
    /// Encrypted.
    #[error("boards are asked over plain http, in the locker's own network; not over https")]
    Https,
    /// Every door would be asked for in the same way.
    #[error("put {SLOT} into the path, where the compartment's name goes: http://board/open/{SLOT}")]
    NoSlot,
    /// Not a URL.
    #[error("{url:?} is no URL: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Found in one folder, and not in another.
    #[error("name the program by its whole path, such as exec:/usr/local/bin/open-door")]
    Relative,
    /// No such program.
    #[error("there is no program {0}")]
    Missing(String),
}

impl FromStr for DoorSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        if text == "virtual" {
            return Ok(DoorSpec::Virtual);
        }
        if let Some(path) = text.strip_prefix("exec:") {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(SpecError::Relative);
            }
            if !path.is_file() {
                return Err(SpecError::Missing(path.display().to_string()));
            }
            return Ok(DoorSpec::Exec(path));
        }
        if text.starts_with("https://") {
            return Err(SpecError::Https);
        }
        if !text.starts_with("http://") {
            return Err(SpecError::Kind(text.to_owned()));
        }
        let wrong = |problem: String| SpecError::Url { url: text.to_owned(), problem };
        let uri: Uri = text.replace(SLOT, "07").parse().map_err(|error| wrong(format!("{error}")))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(wrong("it names no host".to_owned()));
        }
        let (_, path) = text["http://".len()..].split_once('/').ok_or(SpecError::NoSlot)?;
        if !path.contains(SLOT) {
            return Err(SpecError::NoSlot);
        }
        Ok(DoorSpec::Http(text.to_owned()))
    }
}

impl fmt::Display for DoorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorSpec::Virtual => f.write_str("virtual"),
            DoorSpec::Http(url) => f.write_str(url),
            DoorSpec::Exec(program) => write!(f, "exec:{}", program.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_doors_is_taken_and_all_else_is_explained() {
        for good in [
            "virtual",
            "http://board/open/{compartment}",
            "http://10.0.0.7:81/?door={compartment}",
            "exec:/bin/sh",
        ] {
            assert_eq!(good.parse::<DoorSpec>().unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("", "say virtual"),
            ("Virtual", "say virtual"),
            ("ftp://board/{compartment}", "say virtual"),
            ("https://board/{compartment}", "not over https"),
            ("http://board/open/7", "put {compartment}"),
            ("http://board", "put {compartment}"),
            ("http://{compartment}/open", "put {compartment}"),
            ("http:///open/{compartment}", "is no URL"),
            ("http://bo ard/{compartment}", "is no URL"),
            ("exec:open-door", "whole path"),
            ("exec:", "whole path"),
            ("exec:/no/such/program", "no program /no/such/program"),
            ("exec:/bin", "no program /bin"),
        ] {
            let error = bad.parse::<DoorSpec>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
