//! The picture of the mesh: who is there, and who sees whom, as far as it is known here.

use serde::{Deserialize, Serialize};

use super::DeviceInfo;
use crate::id::DeviceId;

/// What carries a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Medium {
    /// A network, such as Wi-Fi or a cable.
    Network,
    /// Bluetooth LE.
    Bluetooth,
}

/// Who sees whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MeshPicture {
    /// As of when, Unix milliseconds by this device's clock.
    pub as_of_ms: u64,
    /// Every device known, this one included.
    pub nodes: Vec<MeshNode>,
    /// Links between two that are known, by what at least one of them said last, or by this device's own.
    pub edges: Vec<MeshEdge>,
}

/// A device of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MeshNode {
    /// What is known of it.
    #[serde(flatten)]
    pub info: DeviceInfo,
    /// Whether it is this device.
    pub here: bool,
    /// Entries that are here and that it lacks, by what it told and was sent. Absent where that is not known, as it is of
    /// linked devices alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<u64>,
    /// Entries that it has and that are not here. Absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacked: Option<u64>,
    /// When it last told whom it is linked to, Unix milliseconds by this device's clock. Absent if it has not: then it is not
    /// known who its neighbours are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at_ms: Option<u64>,
}

/// A link between two devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MeshEdge {
    /// The one with the lower key.
    pub a: DeviceId,
    /// The other.
    pub b: DeviceId,
    /// What carries it.
    pub medium: Medium,
    /// Whose word it is: one of the two, or both.
    pub told_by: Vec<DeviceId>,
    /// When that was said, Unix milliseconds by this device's clock; the later, if both did.
    pub as_of_ms: u64,
}
