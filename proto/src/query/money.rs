//! Receipts and takings, as they are shown.

use serde::{Deserialize, Serialize};

use super::ReceiptPlace;
use crate::command::{PaidBack, PaymentInfo, Tender};
use crate::id::{DeviceId, EventId, ReceiptHash, Ref};
use crate::money::Currency;
use crate::tax::{Prices, TaxLine};
use crate::text::{DropId, Edition, Place, Sku};
use crate::units::UnitSet;

/// Which receipts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFilter {
    /// Of this device only; of this one if absent.
    pub device: Option<DeviceId>,
    /// Written at that time or later only, Unix milliseconds by the device's clock.
    pub since: Option<u64>,
    /// Those with lower numbers.
    #[serde(skip)]
    pub after: Option<ReceiptPlace>,
    /// At most so many; 100 if absent.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// Whose takings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakingsFilter {
    /// Of this device only; of all if absent.
    pub device: Option<DeviceId>,
}

/// What a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ReceiptKind {
    /// A sale.
    Sale,
    /// A refund.
    Refund,
}

/// A receipt: of a sale, or of a refund of units of one lot and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The event.
    pub event: EventId,
    /// Its name.
    pub event_name: String,
    /// Who wrote it.
    pub device: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// Where the device stood.
    pub venue: Place,
    /// Its number, from 1, without gaps for each device.
    pub number: u64,
    /// The entry that it is.
    pub entry: Ref,
    /// Sale or refund.
    pub kind: ReceiptKind,
    /// When, milliseconds since the Unix epoch by the device's clock.
    pub at_ms: u64,
    /// The claim.
    pub claim: Ref,
    /// Its drop.
    pub drop: DropId,
    /// The event's currency.
    pub currency: Currency,
    /// What was sold, or taken back.
    pub items: Vec<ReceiptItem>,
    /// Whether the prices include tax.
    pub prices: Prices,
    /// The tax, by rate; none if nothing of it is taxed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxLine>,
    /// What was to be paid, or given back, with tax, minor units.
    pub total: i64,
    /// How it was paid. Empty in a refund.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentInfo>,
    /// How it was given back. Empty in a sale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paid_back: Vec<PaidBack>,
    /// Where it is picked up, if it was not handed over at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<Pickup>,
    /// The hash of the device's receipt before; absent in its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReceiptHash>,
    /// The hash of this one.
    pub hash: ReceiptHash,
    /// Other entries with this number: the device was restored or copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twice: Vec<Ref>,
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReceiptItem {
    /// The SKU.
    pub sku: Sku,
    /// The product's name, as the programme has it now.
    pub name: String,
    /// The serials, where they are printed on the units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serials: Option<UnitSet>,
    /// The edition that is printed with them, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// How many units.
    pub quantity: u64,
    /// Price of one, minor units.
    pub unit_price: i64,
    /// What they cost together, minor units.
    pub amount: i64,
    /// Their tax rate in basis points; absent if nothing of the receipt is taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u16>,
}

/// Where a claim is picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pickup {
    /// The device that was to hand it out when it was sold.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Where it stands, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// The receipts of one device, as far as known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReceiptRun {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// The highest number.
    pub last: u64,
    /// Numbers up to it that are not here; those of another device may be on their way.
    pub missing: u64,
    /// Numbers that are there more than once.
    pub twice: Vec<u64>,
    /// Numbers that do not follow from the receipt before.
    pub unlinked: Vec<u64>,
}

/// What a device took and paid back, over all its records: the base of its closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Takings {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// The event's currency.
    pub currency: Currency,
    /// Sales.
    pub sales: u64,
    /// What they came to, minor units.
    pub sold: i64,
    /// Refunds.
    pub refunds: u64,
    /// What they came to, minor units.
    pub refunded: i64,
    /// The last receipt's number.
    pub last_receipt: u64,
    /// By tender.
    pub tenders: Vec<TenderTakings>,
    /// Sales less refunds, by tax rate.
    pub taxes: Vec<TaxLine>,
    /// The most that may wait to be authorised on it, minor units, if there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_limit: Option<i64>,
}

/// What a device took and paid back by one tender, minor units.
///
/// What was sold by it is `taken - rounding + deferred + failed + cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenderTakings {
    /// The tender.
    pub tender: Tender,
    /// Payments.
    pub payments: u64,
    /// What was taken, at once or when it was authorised.
    pub taken: i64,
    /// What of that is due to cash having no smaller coin.
    pub rounding: i64,
    /// What was paid back by this device, for whoever's sales.
    pub paid_back: i64,
    /// `taken` less `paid_back`: what must be there.
    pub net: i64,
    /// What waits to be authorised.
    pub deferred: i64,
    /// What could not be taken.
    pub failed: i64,
    /// What was refunded before it was authorised.
    pub cancelled: i64,
}

impl TenderTakings {
    /// Nothing yet.
    pub fn none(tender: Tender) -> Self {
        Self {
            tender,
            payments: 0,
            taken: 0,
            rounding: 0,
            paid_back: 0,
            net: 0,
            deferred: 0,
            failed: 0,
            cancelled: 0,
        }
    }
}

/// A payment that waits to be authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaitingPayment {
    /// The claim.
    pub claim: Ref,
    /// Which of its payments, from 1.
    pub payment: u32,
    /// Who sold, and can say what became of it.
    pub seller: DeviceId,
    /// The seller's name.
    pub seller_name: String,
    /// How it is paid.
    pub tender: Tender,
    /// What of it waits, minor units.
    pub amount: i64,
    /// The event's currency.
    pub currency: Currency,
    /// Its name elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was sold, milliseconds since the Unix epoch by the seller's clock.
    pub at_ms: u64,
}
