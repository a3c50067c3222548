//! What a token is for.

use serde::{Deserialize, Serialize};

/// What a caller with a token may do. What the device itself may do, its roles, bounds this further.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Sell, put aside, hand out, take back; damage, move and hand on one thing at a time
    Till,
    /// Hand out claims and mind the doors of compartments
    Locker,
    /// Open and close drops
    Encoder,
    /// Look, and change nothing
    ReadOnly,
    /// All that a till, a locker and who looks may; and what empties the device, or answers for its past
    Manager,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Till, Self::Locker, Self::Encoder, Self::ReadOnly, Self::Manager];
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Till => "till",
            Self::Locker => "locker",
            Self::Encoder => "encoder",
            Self::ReadOnly => "read-only",
            Self::Manager => "manager",
        })
    }
}
