//! What can be looked up of personal data.

use serde::{Deserialize, Serialize};

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
    /// At most so many; 1,000 if absent.
    pub limit: Option<u32>,
}

/// Which sealed payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedFilter {
    /// Those after this entry: the last one of an answer before.
    pub after: Option<Ref>,
    /// At most so many; 200 if absent or more.
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
