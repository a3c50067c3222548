//! Examples: one at least of every body that a request can have, each a good one on a device that is in such a state; and of the
//! main answers.

use serde_json::{Value, json};

use super::operations;

/// A device.
pub(super) const DEVICE: &str = "8d70d691c822d55638b6e7fd54cd94170c87d19eb1f628b757506ede5688d297";
/// A claim.
pub(super) const CLAIM: &str = "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c:7";
/// A cart.
pub(super) const CART: &str = "5d6e7f80912a3b4c5d6e7f80912a3b4c:3";
/// What was taken of a shopper.
pub(super) const ENTRY: &str = "c3d4e5f60718293a4b5c6d7e8f901a2b:1";
/// An incident.
pub(super) const INCIDENT: &str = "9a0b1c2d3e4f50617283940a1b2c3d4e:12";
/// A token, as a scanner sends it.
pub(super) const TOKEN: &str = "POPMESH1:6BFOXN*TS0BI$ZD4N9:9S6RCVN5+O30K3/XIV0W23NTDEMWK";

/// The bodies: the operation, what the example shows, and the body.
pub(super) fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "products_create",
            "A T-shirt with 19 % tax",
            json!({"sku": "TEE-M", "name": "T-shirt, M", "price": 3000, "tax": 1900}),
        ),
        (
            "products_create",
            "Under a heading, with a picture",
            json!({
                "sku": "CAP", "name": "Cap", "price": 2500, "category": "Hats",
                "picture": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
            }),
        ),
        (
            "admissions_create",
            "The device that shows this code",
            json!({"code": "417-7K2-M9Q", "roles": ["pos"], "venue": "hall-a", "at": "192.0.2.7:4001", "open_ms": 1_000}),
        ),
        (
            "admissions_create",
            "Two tills with a ticket, within ten minutes",
            json!({"roles": ["pos"], "venue": "hall-a", "count": 2, "prefix": "till-"}),
        ),
        (
            "tokens_create",
            "A tablet at a counter, for twelve hours",
            json!({"scope": "till", "name": "counter 1", "lasts_ms": 43_200_000}),
        ),
        ("drops_create", "A drop", json!({"drop": "neon", "title": "Neon"})),
        (
            "drops_create",
            "A drop whose claims wait two days",
            json!({"drop": "later", "title": "Later", "pickup_within_ms": 172_800_000, "unclaimed": "refund"}),
        ),
        (
            "lots_create",
            "Numbered units",
            json!({"drop": "neon", "sku": "CAP", "first": 1, "last": 100, "edition": "gold"}),
        ),
        (
            "lots_create",
            "Units without printed serials",
            json!({"drop": "neon", "sku": "TEE-M", "first": 1, "last": 500, "numbered": false}),
        ),
        (
            "transfers_create",
            "Ten, whichever",
            json!({"drop": "neon", "sku": "TEE-M", "units": {"count": 10}, "to": DEVICE}),
        ),
        (
            "transfers_create",
            "These",
            json!({"drop": "neon", "sku": "CAP", "units": {"serials": "1-5,9"}, "to": DEVICE}),
        ),
        (
            "moves_create",
            "Into a locker",
            json!({"drop": "neon", "sku": "CAP", "units": {"serials": "9"}, "place": "L1/07"}),
        ),
        ("damage_create", "One is torn", json!({"drop": "neon", "sku": "TEE-M", "units": {"count": 1}})),
        (
            "sales_create",
            "Two things, paid by card",
            json!({"items": [{"sku": "TEE-M"}, {"sku": "STICKER", "quantity": 2}], "tender": "card", "reference": "terminal-118"}),
        ),
        (
            "sales_create",
            "In cash, with change",
            json!({"items": [{"sku": "TEE-M"}], "tender": "cash", "given": 5000}),
        ),
        (
            "sales_create",
            "Partly by voucher",
            json!({
                "items": [{"sku": "TEE-M"}],
                "payments": [{"tender": "voucher", "amount": 1000}, {"tender": "cash", "amount": 2000, "given": 2000}],
            }),
        ),
        (
            "sales_create",
            "For pickup, with a PIN",
            json!({"items": [{"sku": "TEE-M"}], "tender": "card", "pickup_at": DEVICE, "pin": "4711", "shopper": "order-7"}),
        ),
        ("sales_create", "A cart", json!({"cart": CART, "tender": "card"})),
        (
            "carts_create",
            "For 15 minutes",
            json!({"items": [{"sku": "TEE-M"}], "ttl_ms": 900_000, "shopper": "order-7"}),
        ),
        ("drops_step", "Opens it everywhere", json!({"step": "open"})),
        ("drops_step", "Announces a hundred units", json!({"step": "announce", "units": {"TEE-M": 100}})),
        ("carts_add", "One more", json!({"items": [{"sku": "CAP"}]})),
        ("carts_remove", "One less", json!({"items": [{"sku": "CAP"}]})),
        ("undo_create", "The last sale", json!({"entry": CLAIM})),
        ("carts_take", "The cart", json!({"cart": CART})),
        ("carts_take", "What the shopper shows", json!({"token": TOKEN})),
        ("redemptions_create", "The claim", json!({"claim": CLAIM, "pin": "4711"})),
        ("redemptions_create", "What the shopper shows", json!({"token": TOKEN})),
        ("custody_give", "To another device", json!({"claim": CLAIM, "to": DEVICE})),
        ("refunds_create", "All of it", json!({"claim": CLAIM})),
        (
            "refunds_create",
            "One unit, which is broken",
            json!({"claim": CLAIM, "items": [{"sku": "CAP", "serials": "7"}], "damaged": true}),
        ),
        ("device_leave", "To whoever sells", json!({"device": DEVICE, "units": 120, "claims": 3})),
        ("past_accept", "Two entries are missing", json!({"device": DEVICE, "entries": 2})),
        ("sweeps_create", "What nobody came for", json!({"drop": "later", "device": DEVICE, "claims": 4})),
        (
            "resolutions_create",
            "The money went back",
            json!({"incident": INCIDENT, "note": "the second buyer got the money back"}),
        ),
        ("retirements_create", "Nobody can have sold anything", json!({"device": DEVICE, "at_risk": 0})),
        ("renewals_create", "All that can be, for three days", json!({"days": 3})),
        (
            "renewals_create",
            "One, until a time",
            json!({"device": DEVICE, "until_ms": 1_797_000_000_000_u64}),
        ),
        ("registrars_create", "Another hq", json!({"to": DEVICE})),
        ("doors_open", "Once more", json!({"claim": CLAIM})),
        ("doors_settle", "The shopper has it", json!({"claim": CLAIM, "handed_over": true, "by": "Mia"})),
        ("doors_jam", "It jams", json!({"compartment": "07", "jammed": true})),
        (
            "rules_set",
            "Tax is in the price",
            json!({"prices": "included", "round": "receipt", "cash_coin": 5, "ordinary_wish": 4}),
        ),
        ("limits_set", "100.00 on each device", json!({"amount": 10_000})),
        (
            "settlements_create",
            "The terminal took it",
            json!({"claim": CLAIM, "payment": 1, "reference": "terminal-119"}),
        ),
        (
            "people_create",
            "An address",
            json!({
                "kind": "opt_in", "shopper": "order-7", "content": "mia@example.org",
                "consent": {"text": "May we write to you about the next drop?", "version": "2026-11"},
            }),
        ),
        (
            "people_create",
            "A wait for a SKU",
            json!({
                "kind": "waitlist", "shopper": "order-7", "sku": "TEE-M", "content": "mia@example.org",
                "consent": {"text": "May we write to you when it is there?", "version": "2026-11"},
            }),
        ),
        ("people_create", "A note of the crew's", json!({"kind": "note", "content": "likes caps"})),
        ("people_erase", "Of a shopper", json!({"shopper": "order-7"})),
        ("people_erase", "One entry", json!({"entry": ENTRY})),
        ("links_set", "Cut off", json!({"on": false})),
    ]
}

/// Shows the examples of bodies where they belong.
pub(super) fn show(api: &mut Value) {
    let bodies = bodies();
    for (_, _, operation) in operations(api) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(body) =
            operation.get_mut("requestBody").and_then(|body| body.pointer_mut("/content/application~1json"))
        else {
            continue;
        };
        let of = bodies.iter().filter(|(of, _, _)| *of == id);
        let named = of.enumerate().map(|(number, (_, summary, value))| {
            (format!("{}", number + 1), json!({"summary": summary, "value": value}))
        });
        body["examples"] = named.collect::<serde_json::Map<_, _>>().into();
    }
}
