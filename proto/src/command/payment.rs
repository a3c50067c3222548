//! How things are paid, what the event's rules for it are, and what of it goes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tender;
use crate::id::{DeviceId, Ref};
use crate::tax::{Prices, Rounding};

/// One payment of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PaymentNew {
    /// How.
    pub tender: Tender,
    /// What of the total it pays, minor units, above zero.
    pub amount: i64,
    /// Its name elsewhere, such as the terminal's; 1 to 64 printable characters.
    #[serde(default)]
    pub reference: Option<String>,
    /// A terminal authorises it later. Not for cash.
    #[serde(default)]
    pub deferred: bool,
    /// What the shopper hands over, minor units. For cash only.
    #[serde(default)]
    pub given: Option<i64>,
}

/// What became of a payment that was to be authorised later. See [`super::Command::SettlePayment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettlePayment {
    /// The claim. On the device that sold it.
    pub claim: Ref,
    /// Which of its payments, from 1. May be absent while only one waits.
    #[serde(default)]
    pub payment: Option<u32>,
    /// It could not be taken. A person then has to look at it.
    #[serde(default)]
    pub failed: bool,
    /// Its name elsewhere, such as the terminal's; 1 to 64 printable characters.
    #[serde(default)]
    pub reference: Option<String>,
}

/// What is known of a payment that waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Settled {
    /// The entry that says so.
    pub entry: Ref,
    /// The claim.
    pub claim: Ref,
    /// Which of its payments, from 1.
    pub payment: u32,
    /// What of it was taken, or could not be, minor units.
    pub amount: i64,
    /// Whether it could not be taken.
    pub failed: bool,
}

/// Rules that change. See [`super::Command::RulesSet`]. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RulesSet {
    /// Whether prices include tax.
    #[serde(default)]
    pub prices: Option<Prices>,
    /// Where tax is rounded.
    #[serde(default)]
    pub round: Option<Rounding>,
    /// What cash is rounded to, minor units: 5 for 5 cents. 0 for what is usual for the currency, 1 for no rounding.
    #[serde(default)]
    pub cash_coin: Option<i64>,
    /// The most units of a sale or a cart for which other devices give away their last ones, 1 to 1,000. For more, each that sells
    /// keeps so many, or a minute's sales.
    #[serde(default)]
    pub ordinary_wish: Option<u64>,
}

/// How much may wait to be authorised. See [`super::Command::LimitSet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LimitSet {
    /// For which device; absent for all that have no limit of their own.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::id::DeviceName>))]
    pub device: Option<DeviceId>,
    /// The most that may wait to be authorised at once, minor units from 0; absent to take the limit away.
    #[serde(default)]
    pub amount: Option<i64>,
}

/// The event's rules for tax, cash and deferred payments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventRules {
    /// Whether prices include tax.
    pub prices: Prices,
    /// Where tax is rounded.
    pub round: Rounding,
    /// What cash is rounded to, minor units.
    pub cash_coin: i64,
    /// The most units of a sale or a cart for which other devices give away their last ones. For more, each that sells keeps so
    /// many, or a minute's sales.
    pub ordinary_wish: u64,
    /// The most that may wait to be authorised at once on a device, minor units; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_limit: Option<i64>,
    /// Devices with a limit of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deferred_limits: Vec<DeferredLimit>,
}

/// A device's own limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeferredLimit {
    /// The device.
    pub device: DeviceId,
    /// The most that may wait to be authorised at once, minor units.
    pub amount: i64,
}

impl EventRules {
    /// The limit of a device.
    pub fn limit_of(&self, device: &DeviceId) -> Option<i64> {
        let own = self.deferred_limits.iter().find(|limit| limit.device == *device);
        own.map(|limit| limit.amount).or(self.deferred_limit)
    }

    /// Devices' own limits, by device.
    pub(crate) fn set_limits(&mut self, limits: BTreeMap<DeviceId, i64>) {
        self.deferred_limits =
            limits.into_iter().map(|(device, amount)| DeferredLimit { device, amount }).collect();
    }
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PaymentState {
    /// Taken at once.
    Approved,
    /// Waits to be authorised.
    Deferred,
    /// Waited, and was taken.
    Settled,
    /// Waited, and could not be taken.
    Failed,
    /// Waited, and was refunded before that.
    Cancelled,
}

impl std::fmt::Display for PaymentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PaymentState::Approved => "approved",
            PaymentState::Deferred => "deferred",
            PaymentState::Settled => "settled",
            PaymentState::Failed => "failed",
            PaymentState::Cancelled => "cancelled",
        })
    }
}

/// One payment of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PaymentInfo {
    /// How.
    pub tender: Tender,
    /// What of the total it pays, minor units.
    pub amount: i64,
    /// What was taken beyond that, or less if negative, since cash has no smaller coin.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: i64,
    /// What the shopper handed over, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<i64>,
    /// What the shopper gets back of it, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// Its name elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How far it is.
    pub state: PaymentState,
}

/// What of a payment goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PaidBack {
    /// Which of the claim's payments, from 1.
    pub payment: u32,
    /// How.
    pub tender: Tender,
    /// What of its amount, minor units.
    pub amount: i64,
    /// What is paid out beyond that, or less if negative, since cash has no smaller coin.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: i64,
    /// Nothing is paid out, since nothing had been taken.
    #[serde(default)]
    pub cancelled: bool,
}

pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}
