//! What a device knows to be missing of its own past.

use serde::{Deserialize, Serialize};

use crate::id::ChainId;

/// What a device knows of its own past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PastInfo {
    /// Whether it doubts that all of it is here. Until that is over it sells nothing and hands out nothing.
    pub unknown: bool,
    /// So many entries that it wrote are not here, at least; 0 while it only doubts it, as what lies beside the database is
    /// lost.
    pub entries: u64,
    /// They are of so many chains.
    pub chains: u64,
    /// Those chains, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// A chain of a device's own of which some is missing on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Missing {
    /// The chain.
    pub chain: ChainId,
    /// Its document, if its first entry is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// So many of its entries are here.
    pub here: u64,
    /// So many there are, at least.
    pub upto: u64,
}

impl std::fmt::Display for PastInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.unknown {
            return f.write_str("known");
        }
        if self.entries == 0 {
            return f.write_str(
                "in doubt: what lay beside the database is lost, and with it how far this device had written; bring it into \
                 reach of a device that knows more of it than is here, or say `popmesh past accept`",
            );
        }
        let (entries, chains) = (self.entries, self.chains);
        let of: Vec<String> = self
            .missing
            .iter()
            .map(|missing| {
                let document = missing.document.as_deref().unwrap_or("a document not known here");
                format!("{document} {}: {} of {}", missing.chain.short(), missing.here, missing.upto)
            })
            .collect();
        write!(
            f,
            "not all here: at least {entries} entries of {chains} chains that this device wrote are missing ({}); bring it \
             into reach of a device that has them, or say `popmesh past accept` if there is none",
            of.join(", ")
        )
    }
}
