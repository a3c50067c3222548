//! What a person did last, and what came of taking it back.

use serde::{Deserialize, Serialize};

use super::{Cart, EventRules, Product, Refunded, UnitsDone};
use crate::id::Ref;

/// What kind of thing a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ActKind {
    /// Sold.
    Sale,
    /// Put aside in a new cart.
    Cart,
    /// Put more into a cart, or some of it back on sale.
    CartItems,
    /// Took a cart over.
    CartTaken,
    /// Put all of a cart back on sale.
    CartReleased,
    /// Changed where units lie.
    Move,
    /// Planned a drop, or took a step of one.
    Drop,
    /// Put a product on the programme, or changed it.
    Product,
    /// Changed the event's rules.
    Rules,
    /// Gave units to another device.
    Transfer,
    /// Took units out of sale.
    Damage,
    /// Minted a lot.
    Lot,
    /// Handed a claim out.
    Redemption,
    /// Paid a claim back.
    Refund,
    /// Marked a claim for a refund.
    RefundRequest,
    /// Gave a claim into another device's custody.
    Custody,
    /// Anything else.
    Other,
}

/// What a person did last on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Act {
    /// The entry that it is named with: the claim of a sale, the cart of what was put aside.
    pub entry: Ref,
    /// What kind of thing it was.
    pub kind: ActKind,
    /// When, Unix milliseconds by this device's clock.
    pub at_ms: u64,
    /// What, in words that go on from the device's name: `sold TEE-M 17 for 25.00 EUR (cash) and handed it over`.
    pub what: String,
    /// How many units taking it back would move to another place.
    #[serde(default)]
    pub moves: u64,
    /// What taking it back would do, in words; absent if it cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Why it cannot be taken back, and what can be done instead; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// The claim that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Ref>,
}

/// What taking the last act back did: one of the fields says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Undone {
    /// What was taken back.
    pub act: Act,
    /// Of a sale: what to pay back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refunded>,
    /// Of a cart: it, as it was before it was released or given back, or as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart: Option<Cart>,
    /// Of units that were moved: what lies where it lay before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitsDone>,
    /// Of a product: as it is again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// Of the event's rules: as they are again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<EventRules>,
}

impl Undone {
    /// The act, with nothing said of what came of it yet.
    pub fn of(act: Act) -> Self {
        Self { act, refund: None, cart: None, units: Vec::new(), product: None, rules: None }
    }
}
