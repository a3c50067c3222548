//! Doors of compartments: what is asked about them, and how they stand.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Ref};
use crate::text::{Compartment, DropId, Place, Sku};
use crate::units::UnitSet;

/// How a door behaved. See [`super::Command::DoorReport`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorReport {
    /// The redemption that the door was to be opened for.
    pub redemption: Ref,
    /// The compartment.
    pub compartment: Compartment,
    /// Why it did not open; absent if it did. What is too long is cut off.
    pub problem: Option<String>,
}

/// Whose doors are opened again. See [`super::Command::DoorOpen`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DoorOpen {
    /// The claim, redeemed on this device.
    pub claim: Ref,
}

/// What a person found out about doors. See [`super::Command::DoorSettle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DoorSettle {
    /// The claim, redeemed on this device.
    pub claim: Ref,
    /// Whether the shopper has the units.
    pub handed_over: bool,
    /// Who looked; 1 to 80 characters.
    pub by: String,
}

/// How the doors of a redemption behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DoorState {
    /// Nothing is known yet of one of them.
    Opening,
    /// All of them opened.
    Opened,
    /// One of them did not open.
    Stuck,
    /// A person looked and said what was the matter.
    Settled,
}

impl std::fmt::Display for DoorState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DoorState::Opening => "opening",
            DoorState::Opened => "opened",
            DoorState::Stuck => "stuck",
            DoorState::Settled => "settled",
        })
    }
}

/// The doors of one redemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Door {
    /// The claim.
    pub claim: Ref,
    /// The entry that redeemed it.
    pub redemption: Ref,
    /// Where.
    pub device: DeviceId,
    /// That device's name.
    pub name: String,
    /// When it was redeemed, milliseconds since the Unix epoch by that device's clock.
    pub at_ms: u64,
    /// The compartments.
    pub compartments: Vec<Compartment>,
    /// Those of them that are not known to have opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shut: Vec<Compartment>,
    /// How they stand.
    pub state: DoorState,
    /// One of them is being opened now. Only the device itself can say so.
    #[serde(default)]
    pub being_opened: bool,
    /// Nothing is known of a door, and nobody is about to open it: the device lost its power in between. A person must
    /// look. Only the device itself can say so.
    #[serde(default)]
    pub in_doubt: bool,
    /// Why a door did not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the shopper has the units, once a person said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<bool>,
    /// Who looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<String>,
}

/// The compartments of this device, and the doors that a person must look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Doors {
    /// This device's compartments that something lies in, or that were opened.
    pub compartments: Vec<CompartmentInfo>,
    /// Here and on every other device, the oldest first: doors in doubt or stuck, and units that were redeemed but not
    /// handed over, until they are paid back.
    pub to_look_at: Vec<Door>,
}

/// A compartment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CompartmentInfo {
    /// It.
    pub compartment: Compartment,
    /// Its place.
    pub place: Place,
    /// What lies in it, by this device's own knowledge.
    pub items: Vec<Lying>,
    /// The last redemption that it was opened for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Door>,
}

/// Units that lie in a compartment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Lying {
    /// Their drop.
    pub drop: DropId,
    /// Their SKU.
    pub sku: Sku,
    /// Their serials.
    pub units: UnitSet,
    /// The claim that they are sold by; absent while they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Ref>,
}
