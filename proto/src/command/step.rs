//! Steps of a drop: asked for, done, and what was sold after the last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Command, DropInfo, DropState};
use crate::claim_code::ClaimCode;
use crate::id::{DeviceId, Ref};
use crate::money::Currency;
use crate::record::{Announced, StepKind};
use crate::text::{DropId, Place, Sku};

/// A step that is to be taken. See [`super::Command::DropStep`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropStep {
    /// The drop.
    pub drop: DropId,
    /// What.
    pub taken: StepNew,
}

/// What is to be done with a drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepNew {
    /// Which step.
    pub step: StepKind,
    /// At this venue only; at all of them if absent.
    #[serde(default)]
    pub venue: Option<Place>,
    /// Of an announcement at all venues: the units that are announced, by SKU; what is minted by now if absent.
    #[serde(default)]
    pub units: Option<BTreeMap<Sku, u64>>,
    /// Of an announcement: when the drop is over by itself, Unix milliseconds.
    #[serde(default)]
    pub ends_ms: Option<u64>,
    /// Begins the next round where the drop is over. To announce or to open.
    #[serde(default)]
    pub again: bool,
}

impl StepNew {
    /// A step at all venues.
    pub fn of(step: StepKind) -> Self {
        Self { step, venue: None, units: None, ends_ms: None, again: false }
    }
}

impl Command {
    /// Takes a step of a drop at all venues.
    pub fn step(drop: DropId, step: StepKind) -> Self {
        Self::DropStep(DropStep { drop, taken: StepNew::of(step) })
    }
}

/// A step of a drop that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepInfo {
    /// Its entry.
    pub entry: Ref,
    /// The drop.
    pub drop: DropId,
    /// What.
    pub step: StepKind,
    /// At which venue; at all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<Place>,
    /// Of which round: 0 is the first, and opening again after a close begins the next.
    pub round: u32,
    /// When, Unix milliseconds by its author's clock.
    pub at_ms: u64,
    /// Who did.
    pub by: DeviceId,
    /// Its name.
    pub by_name: String,
    /// Units that were announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<Announced>,
    /// When that round is over by itself, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<u64>,
    /// Whether it is the one that counts, of those of one step, round and venue: devices that are cut off from each other can
    /// write one twice.
    pub counts: bool,
}

/// What came of a step that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepDone {
    /// Whether it was written now; if not, it was done already.
    pub written: bool,
    /// The step that counts.
    pub step: StepInfo,
    /// The drop as it stands now.
    pub drop: DropInfo,
}

/// How far a drop is at another venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VenueState {
    /// Which.
    pub venue: Place,
    /// How far it is there.
    pub state: DropState,
    /// In which round.
    pub round: u32,
}

/// A sale that was made after the close of its round, by who had not heard of it, or paid a cart then. It counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LateSale {
    /// The claim.
    pub claim: Ref,
    /// Its short code.
    pub code: ClaimCode,
    /// When it was sold, Unix milliseconds by its seller's clock.
    pub at_ms: u64,
    /// Who sold.
    pub by: DeviceId,
    /// Its name.
    pub by_name: String,
    /// Its venue.
    pub venue: Place,
    /// How many units.
    pub units: u64,
    /// What was paid, minor units.
    pub amount: i64,
    /// The event's currency.
    pub currency: Currency,
    /// The step that it was made under; absent if its seller knew of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Ref>,
    /// The close that it came after.
    pub close: Ref,
    /// When that was, Unix milliseconds by its author's clock.
    pub closed_at_ms: u64,
}
