//! What a token is for.

use serde::{Deserialize, Serialize};

/// What a caller with a token may do. What the device itself may do, its roles, bounds this further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Sell, put aside, hand out, take back, move stock
    Till,
    /// Hand out claims and mind the doors of compartments
    Locker,
    /// Open and close drops
    Encoder,
    /// Look, and change nothing
    ReadOnly,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Till, Self::Locker, Self::Encoder, Self::ReadOnly];
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Till => "till",
            Self::Locker => "locker",
            Self::Encoder => "encoder",
            Self::ReadOnly => "read-only",
        })
    }
}
