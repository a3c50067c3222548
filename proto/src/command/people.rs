//! Personal data: taken and sealed, erased, and what is known of it. What it says is in none of these.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Hash, Ref};
use crate::record::{Consent, PersonalKind};
use crate::text::{DropId, ShopperRef, Sku};

/// Personal data, sealed. See [`super::Command::PersonalAdd`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalAdd {
    /// What it is for.
    pub kind: PersonalKind,
    /// Whose it is.
    pub shopper: Option<ShopperRef>,
    /// Of a waitlist: for which SKU.
    pub sku: Option<Sku>,
    /// Of a waitlist: for which drop.
    pub drop: Option<DropId>,
    /// What the shopper consented to.
    pub consent: Option<Consent>,
    /// What it says, sealed to the organiser and padded to one of [`crate::record::SEALED_SIZES`].
    pub sealed: Vec<u8>,
}

/// What is to be deleted everywhere. See [`super::Command::PersonalErase`]. Exactly one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalErase {
    /// Whose: all that was taken of this shopper until now, anywhere, also what this device has not heard of yet. On an hq.
    #[serde(default)]
    pub shopper: Option<ShopperRef>,
    /// What an entry says was taken. On an hq, or on the device that took it.
    #[serde(default)]
    pub entry: Option<Ref>,
}

/// Where the sealed payload of personal data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Payload {
    /// On this device.
    Here,
    /// Not here yet: this device asks for it.
    Missing,
    /// Deleted for ever, everywhere.
    Erased,
}

impl std::fmt::Display for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Payload::Here => "here",
            Payload::Missing => "missing",
            Payload::Erased => "erased",
        })
    }
}

/// What is known of personal data that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalInfo {
    /// The entry that says so.
    pub entry: Ref,
    /// What it is for.
    pub kind: PersonalKind,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopper: Option<ShopperRef>,
    /// Of a waitlist: for which SKU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// Of a waitlist: for which drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<DropId>,
    /// What the shopper consented to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// When it was taken and consented to, milliseconds since the Unix epoch by the clock of who took it.
    pub at_ms: u64,
    /// Who took it.
    pub device: DeviceId,
    /// The name of who took it.
    pub device_name: String,
    /// The bytes of the sealed payload.
    pub size: u32,
    /// The SHA-256 of the sealed payload.
    pub hash: Hash,
    /// Where the sealed payload is.
    pub payload: Payload,
    /// When it was erased, milliseconds since the Unix epoch by the clock of who did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at_ms: Option<u64>,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erased {
    /// The entry that says so; absent if all of it had been erased before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Ref>,
    /// What it is of, as far as this device knows.
    pub erased: Vec<PersonalInfo>,
}
