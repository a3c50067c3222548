//! A step of a drop: announce, open, last call, close.

use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::command::{MAX_ITEMS, MAX_LOT};
use crate::text::{Place, Sku};

/// The most rounds of one drop. A drop that is opened again after a close is in its next round.
pub const MAX_ROUND: u32 = 1_000;

/// The most SKUs whose units one record announces.
pub const MAX_ANNOUNCED: usize = 8 * MAX_ITEMS;

/// What a step does. In this order: of two of one round the later counts.
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
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum StepKind {
    /// The public knows of it, and how many units there are.
    #[n(0)]
    Announce,
    /// It is on sale.
    #[n(1)]
    Open,
    /// It is on sale, and not for long any more.
    #[n(2)]
    LastCall,
    /// It is over.
    #[n(3)]
    Close,
}

impl std::fmt::Display for StepKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StepKind::Announce => "announce",
            StepKind::Open => "open",
            StepKind::LastCall => "last call",
            StepKind::Close => "close",
        })
    }
}

/// Units of one SKU that were announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Announced {
    /// The SKU.
    #[n(0)]
    pub sku: Sku,
    /// How many, of the whole drop.
    #[n(1)]
    pub units: u64,
}

/// A step of a drop. However often one is written, it is done: see [`crate::drop_steps`].
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Step {
    /// What.
    #[n(0)]
    pub kind: StepKind,
    /// Of which round: 0 is the first, and opening again after a close begins the next.
    #[n(1)]
    pub round: u32,
    /// At which venue; at all of them if absent.
    #[n(2)]
    pub venue: Option<Place>,
    /// Of an announcement at all venues: the units by SKU, in ascending order.
    #[n(3)]
    pub units: Option<Vec<Announced>>,
    /// Of an announcement: when the round is over by itself, Unix milliseconds.
    #[n(4)]
    pub ends_ms: Option<u64>,
}

impl Step {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        if self.round >= MAX_ROUND {
            return Err("an impossible round");
        }
        let says_more = self.units.is_some() || self.ends_ms.is_some();
        if says_more && self.kind != StepKind::Announce {
            return Err("units or a hard end that only an announcement has");
        }
        if self.ends_ms.is_some_and(|ms| ms > Hlc::MAX_MS) {
            return Err("an impossible hard end");
        }
        let Some(units) = &self.units else { return Ok(()) };
        if self.venue.is_some() {
            return Err("units that are announced at one venue");
        }
        let ascends = units.windows(2).all(|two| two[0].sku < two[1].sku);
        let each = units.iter().all(|of| (1..=MAX_LOT * MAX_LOTS).contains(&of.units));
        match (1..=MAX_ANNOUNCED).contains(&units.len()) && ascends && each {
            true => Ok(()),
            false => Err("impossible units"),
        }
    }
}

/// So many of the largest lots of one SKU may be announced together.
const MAX_LOTS: u64 = 1_000;
