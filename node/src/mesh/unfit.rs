//! Why a device of the event gets no link.

use std::fmt;

/// Why a device gets no link, though it may have what only the devices of the event have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Its certificate is not good. Why, in words, for the operators of both ends.
    Certificate(String),
    /// The device was retired. It is not told so here: what it has to know it was told once, over its last link.
    Retired,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(reason) => formatter.write_str(reason),
            Self::Retired => formatter.write_str("it was retired"),
        }
    }
}

impl From<String> for Unfit {
    fn from(reason: String) -> Self {
        Self::Certificate(reason)
    }
}

impl From<&str> for Unfit {
    fn from(reason: &str) -> Self {
        Self::Certificate(reason.to_owned())
    }
}
