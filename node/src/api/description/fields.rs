//! Bounds of what requests say, from the constants that the parsers compare with.

use popmesh_proto::command::{
    MAX_CATEGORY, MAX_HOLD_MS, MAX_ITEMS, MAX_LOT, MAX_ORDINARY_WISH, MAX_PICKUP_MS, MAX_QUANTITY,
    MAX_RENEWAL_DAYS, MAX_WAIT_MS,
};
use popmesh_proto::identity::MAX_NAME;
use popmesh_proto::money::{MAX_COIN, MAX_PRICE};
use popmesh_proto::payment::{MAX_PAYMENTS, MAX_REFERENCE};
use popmesh_proto::picture::MAX_PICTURE;
use popmesh_proto::record::{MAX_CONSENT, MAX_CONSENT_VERSION, MAX_NOTE};
use popmesh_proto::tax::WHOLE;
use serde_json::{Value, json};

use super::schema;
use crate::join::MAX_COUNT;
use crate::personal::MAX_CONTENT;

/// The fewest items that can be asked for.
pub(super) const LEAST_LIMIT: u32 = 1;

/// A line that a person reads: not blank, and nothing in it that controls a terminal.
pub(super) const LINE: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000-\u001f\u007f-\u009f]*$"
);
/// The same, or nothing.
const OPTIONAL_LINE: &str = concat!(
    r"^([^\u0000-\u001f\u007f-\u009f]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000-\u001f\u007f-\u009f]*)?$"
);
/// The same of several lines, with tabs.
const LINES: &str = concat!(
    r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"
);

fn line(most: usize) -> Value {
    json!({"minLength": 1, "maxLength": most, "pattern": LINE})
}

fn number(least: u64, most: u64) -> Value {
    json!({"minimum": least, "maximum": most})
}

fn token() -> Value {
    json!({"minLength": 1})
}

fn list(least: usize, most: usize) -> Value {
    json!({"minItems": least, "maxItems": most})
}

/// The bounds of each field: its schema, its name, what is said of it, and its value if it is absent.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let (money, any) = (i64::MAX as u64, i64::MAX as u64);
    let price = || number(1, MAX_PRICE as u64);
    let wait = || json!({"minimum": 0, "maximum": MAX_WAIT_MS, "default": 5_000});
    let pickup = || number(1, MAX_PICKUP_MS);
    vec![
        ("ProductAdd", "name", line(MAX_NAME)),
        ("ProductAdd", "price", price()),
        ("ProductAdd", "tax", number(0, WHOLE.into())),
        (
            "ProductAdd",
            "category",
            json!({"minLength": 0, "maxLength": MAX_CATEGORY, "pattern": OPTIONAL_LINE}),
        ),
        (
            "ProductAdd",
            "picture",
            json!({
                "contentEncoding": "base64", "maxLength": MAX_PICTURE.div_ceil(3) * 4, "pattern": "^[A-Za-z0-9+/]*={0,2}$",
            }),
        ),
        ("AdmissionNew", "code", json!({"minLength": 1})),
        ("AdmissionNew", "roles", list(1, 6)),
        ("AdmissionNew", "name", line(MAX_NAME)),
        ("AdmissionNew", "prefix", line(40)),
        ("AdmissionNew", "count", number(1, MAX_COUNT.into())),
        ("AdmissionNew", "days", number(1, 366)),
        ("AdmissionNew", "until_ms", number(0, any)),
        ("AdmissionNew", "open_ms", number(1, 86_400_000)),
        ("AdmissionNew", "reuse_name", json!({"default": false})),
        ("TokenNew", "name", line(80)),
        ("TokenNew", "lasts_ms", number(1_000, 366 * 86_400_000)),
        ("DropNew", "title", line(MAX_NAME)),
        ("DropNew", "pickup_within_ms", pickup()),
        ("DropNew", "unclaimed", json!({"default": "keep"})),
        ("LotMint", "numbered", json!({"default": true})),
        ("SellItem", "quantity", json!({"minimum": 1, "maximum": MAX_QUANTITY, "default": 1})),
        ("SellItem", "unit_price", price()),
        ("Sell", "items", list(1, MAX_ITEMS)),
        ("Sell", "tender", json!({"default": "cash"})),
        ("Sell", "reference", line(MAX_REFERENCE)),
        ("Sell", "deferred", json!({"default": false})),
        ("Sell", "given", number(0, money)),
        ("Sell", "payments", list(1, MAX_PAYMENTS)),
        ("Sell", "pickup_within_ms", pickup()),
        ("Sell", "wait_ms", wait()),
        ("PaymentNew", "amount", number(1, money)),
        ("PaymentNew", "reference", line(MAX_REFERENCE)),
        ("PaymentNew", "deferred", json!({"default": false})),
        ("PaymentNew", "given", number(0, money)),
        ("CartAdd", "items", list(1, MAX_ITEMS)),
        ("CartAdd", "wait_ms", wait()),
        ("CartRemove", "items", list(1, MAX_ITEMS)),
        ("CartItem", "quantity", json!({"minimum": 1, "maximum": MAX_QUANTITY, "default": 1})),
        ("CartNew", "items", list(1, MAX_ITEMS)),
        ("CartNew", "ttl_ms", json!({"minimum": 1, "maximum": MAX_HOLD_MS, "default": 900_000})),
        ("CartNew", "wait_ms", wait()),
        ("CartTake", "wait_ms", wait()),
        ("GiveCustody", "wait_ms", wait()),
        ("Refund", "items", list(0, MAX_ITEMS)),
        ("Refund", "damaged", json!({"default": false})),
        ("RefundItem", "serials", json!({"minLength": 1})),
        ("Retire", "at_risk", number(0, any)),
        ("Retire", "reachable", json!({"default": false})),
        ("Renew", "days", number(1, MAX_RENEWAL_DAYS.into())),
        ("Renew", "until_ms", number(0, any)),
        ("ResolveIncident", "note", line(MAX_NOTE)),
        ("SettlePayment", "payment", number(1, MAX_PAYMENTS as u64)),
        ("SettlePayment", "failed", json!({"default": false})),
        ("SettlePayment", "reference", line(MAX_REFERENCE)),
        ("RulesSet", "cash_coin", number(0, MAX_COIN as u64)),
        ("RulesSet", "ordinary_wish", number(1, MAX_ORDINARY_WISH)),
        ("LimitSet", "amount", number(0, money)),
        ("LeaveNow", "units", number(0, any)),
        ("LeaveNow", "claims", number(0, any)),
        ("PastAcceptance", "entries", number(0, any)),
        ("SweepNow", "claims", number(0, any)),
        ("PersonalNew", "content", json!({"minLength": 1, "maxLength": MAX_CONTENT, "pattern": LINES})),
        ("Consent", "text", line(MAX_CONSENT)),
        ("Consent", "version", line(MAX_CONSENT_VERSION)),
        ("DoorSettle", "by", line(MAX_NAME)),
        ("CartTake", "token", token()),
        ("Redeem", "token", token()),
        ("Problem", "code", json!({"pattern": "^[a-z][a-z_]*$"})),
        ("Problem", "type", json!({"pattern": "^urn:popmesh:problem:[a-z][a-z_]*$"})),
        ("Problem", "status", number(400, 599)),
    ]
}

/// Bounds each field.
pub(super) fn bound(api: &mut Value) {
    for (name, field, bounds) in bounds() {
        let Some(property) = property(api, name, field) else { continue };
        if let (Some(property), Value::Object(bounds)) = (property.as_object_mut(), bounds) {
            property.extend(bounds);
        }
    }
    for choice in
        schema(api, "Units").and_then(|units| units.get_mut("oneOf")?.as_array_mut()).into_iter().flatten()
    {
        choice["additionalProperties"] = json!(false);
        if let Some(Value::Object(count)) = choice.pointer_mut("/properties/count") {
            count.extend([("minimum".to_owned(), json!(1)), ("maximum".to_owned(), json!(MAX_QUANTITY))]);
        }
        if let Some(Value::Object(serials)) = choice.pointer_mut("/properties/serials") {
            serials.insert("minLength".to_owned(), json!(1));
        }
    }
    let _ = MAX_LOT;
}

fn property<'a>(api: &'a mut Value, name: &str, field: &str) -> Option<&'a mut Value> {
    schema(api, name)?.get_mut("properties")?.get_mut(field)
}
