//! The board: what an overlay and an encoder's page show of a drop, as numbers that are to be shown as they are.

use serde::{Deserialize, Serialize};

use crate::command::DropState;
use crate::id::DeviceId;
use crate::text::{DropId, Place, Sku};

/// What is shown of a drop, by all that is known here.
///
/// What holds of it, whatever has not been heard: `claimed` and `here` are no more than is true, `left` is no less, but for
/// units that came back, or lots that were minted, after `as_of_ms` and have not been heard of: then `left` rises, and says so
/// by `back` and by what was minted. With all devices linked, and nothing done for a second, all of it is the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Board {
    /// The drop.
    pub drop: DropId,
    /// Its title.
    pub title: String,
    /// How far it is at this device's venue.
    pub state: DropState,
    /// In which round: 0 is the first, opening again after a close begins the next.
    pub round: u32,
    /// Whether it is closed by its hard end, by this device's clock. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// The hard end that binds here, Unix milliseconds; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<u64>,
    /// How long until then from `now_ms`, milliseconds; 0 once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_ms: Option<u64>,
    /// This device's clock as of this answer, Unix milliseconds.
    pub now_ms: u64,
    /// What `announced` is counted from.
    pub counted_from: CountedFrom,
    /// The age of `left`, Unix milliseconds by this device's clock: when the device was last heard that has been silent for
    /// longest, or, if all are in reach, when this device had last compared its log with its neighbours' and had all of it; the
    /// present if it has now. Of a device that was not heard since this one was started, when it last wrote, by its own clock.
    /// Of a device whose news come over Bluetooth, when the two last compared their logs; where others are in between, when it last
    /// said that it is there, and at least four minutes before now.
    /// Absent if some device was never heard, or is ahead of this one by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_ms: Option<u64>,
    /// How long ago that was, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// All SKUs together.
    pub total: Counts,
    /// Each SKU, in order.
    pub skus: Vec<BoardSku>,
    /// Devices that sell, hand out, or hold units of the drop, and are out of reach: those with most units first.
    pub cut_off: Vec<CutOff>,
    /// How many those are.
    pub not_heard: u64,
    /// How many devices sell, hand out, or hold units of the drop, this one included if it does.
    pub devices: u64,
    /// Why `claimed` is less than it once was, if it ever is: sales of these devices count for nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voided: Vec<Voided>,
}

/// What a number of announced units is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CountedFrom {
    /// The drop was announced with so many.
    Announced,
    /// It was not announced: those that are minted.
    Minted,
}

/// Counts of units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Counts {
    /// Those that were announced.
    pub announced: u64,
    /// Those that a shopper was ever sold, each once; at least. Never less than before, but for what is `voided`.
    pub claimed: u64,
    /// The same in per cent of those announced, rounded down; absent if none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_percent: Option<u64>,
    /// Of those claimed, those that came back and are for sale again.
    pub back: u64,
    /// Those that can be sold, at most: `here`, `elsewhere` and `cut_off` together.
    pub left: u64,
    /// Of these, those that this device holds: exact.
    pub here: u64,
    /// Of these, those that devices in reach hold.
    pub elsewhere: u64,
    /// Of these, those that devices out of reach hold: they may have sold them since.
    pub cut_off: u64,
    /// Those that are not for sale, and not in `left`: another lot prints the same serials. See `incidents`.
    pub frozen: u64,
    /// Those that were claimed by sales which count for nothing any more, and by no other.
    pub voided: u64,
    /// Nothing is left anywhere, not in a cart either.
    pub sold_out: bool,
}

/// One SKU of a drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BoardSku {
    /// The SKU.
    pub sku: Sku,
    /// Its product's name; absent if the programme has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A device out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CutOff {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its venue; absent if its certificate is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<Place>,
    /// Whether it sells.
    pub sells: bool,
    /// Units of the drop that it holds, as far as known here.
    pub units: u64,
    /// When it was last heard, Unix milliseconds by this device's clock; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard_ms: Option<u64>,
}

/// A device of whose sales some count for nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Voided {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: VoidedWhy,
    /// Units that its sales, and those built on what it gave, claimed, and no other; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
}

/// Why sales of a device count for nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum VoidedWhy {
    /// It was retired, and sold later.
    Retired,
    /// It wrote two histories: what follows where they part is in no log any more.
    Forked,
}

/// How much of a drop was claimed: drop-to-claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DropToClaim {
    /// The drop.
    pub drop: DropId,
    /// Units that a shopper was ever sold, each once; at least.
    pub claimed: u64,
    /// Units that were announced.
    pub announced: u64,
    /// What these are counted from.
    pub counted_from: CountedFrom,
    /// Devices that sell, hand out, or hold units of the drop, and are out of reach.
    pub not_heard: u64,
}
