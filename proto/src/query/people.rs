//! What can be looked up of personal data.

use serde::{Deserialize, Serialize};

use super::Moment;
use crate::command::PersonalInfo;
use crate::id::Ref;
use crate::record::PersonalKind;
use crate::text::ShopperRef;

/// Which personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleFilter {
    /// Of this shopper only.
    pub shopper: Option<ShopperRef>,
    /// Of this kind only.
    pub kind: Option<PersonalKind>,
    /// Taken at that time or later only, Unix milliseconds by the clock of the device that took it.
    pub since: Option<u64>,
    /// Those after this one.
    #[serde(skip)]
    pub after: Option<Moment>,
    /// At most so many; 100 if absent.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// Which sealed payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedFilter {
    /// Taken at that time or later only, Unix milliseconds by the clock of the device that took it.
    pub since: Option<u64>,
    /// Those after this entry.
    #[serde(skip)]
    pub after: Option<Ref>,
    /// At most so many; 100 if absent, and fewer where they are large.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// Personal data as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPersonal {
    /// What is known of it.
    pub info: PersonalInfo,
    /// What it says, sealed.
    pub sealed: Vec<u8>,
}

/// How much personal data was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PeopleCounts {
    /// With its sealed payload on this device.
    pub here: u64,
    /// Without: the payload has not come yet.
    pub missing: u64,
    /// Erased.
    pub erased: u64,
}
