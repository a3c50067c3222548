//! Secrets that somebody gives to a command: on standard input, or in a file. What stands in the arguments of a program
//! can be read by every user of the host, with `ps`; what is in its environment, by the same user alone.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;

use super::failure::Failure;

/// The most bytes of a secret that are read.
const MAX: u64 = 64 * 1024;

/// Where a secret is, or the secret itself, for what may stand in the arguments.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// `-`: the first line of standard input.
    Input,
    /// `@FILE`: the first line of a file.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "-",
            Self::File(_) => "@…",
            Self::Text(_) => "…",
        })
    }
}

impl FromStr for Given {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix('@') {
            Some(file) => Self::File(file.into()),
            None if text == "-" => Self::Input,
            None => Self::Text(text.to_owned()),
        })
    }
}

/// Reads a `-` or `@FILE` of what must not stand in the arguments.
pub(super) fn not_in_arguments(text: &str) -> Result<Given, String> {
    let Ok(given) = text.parse();
    match given {
        Given::Text(_) => Err("every user of this host can read it in the arguments, with `ps`; give it on standard \
                               input, with -, or in a file, with @FILE (and take it for known if others use this host)"
            .to_owned()),
        given => Ok(given),
    }
}

impl Given {
    /// The secret: of what is read the first line, without what is blank around it.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read.
    pub(super) fn read(&self, what: &str) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Input => {
                let input = std::io::stdin().lock();
                if input.is_terminal() {
                    eprintln!("{what}:");
                }
                first_line(input)
                    .map_err(|error| Failure::here(format!("cannot read standard input: {error}")))
            }
            Self::File(path) => File::open(path)
                .and_then(|file| first_line(BufReader::new(file)))
                .map_err(|error| Failure::here(format!("{}: {error}", path.display()))),
        }
    }

    /// The same, understood.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read, or is no such thing.
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, what: &str) -> Result<T, Failure> {
        self.read(what)?.parse().map_err(|error: T::Err| Failure::here(error.to_string()))
    }
}

fn first_line(from: impl BufRead) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX).read_until(b'\n', &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_where_no_other_user_sees_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, " 0417 \nmore").unwrap();
        let given = not_in_arguments(&format!("@{}", path.display())).unwrap();
        assert_eq!(given.read("secret").unwrap(), "0417");
        assert_eq!(given.parse::<u32>("secret").unwrap(), 417);
        assert_eq!(not_in_arguments("-"), Ok(Given::Input));
        let refused = not_in_arguments("popmesh-ticket-1:AAAA").unwrap_err();
        assert!(
            refused.contains("ps") && refused.contains("@FILE") && !refused.contains("AAAA"),
            "{refused}"
        );
        assert!(Given::File(dir.path().join("none")).read("secret").is_err());
        assert_eq!(format!("{:?}", Given::Text("0417".to_owned())), "…");
    }
}
