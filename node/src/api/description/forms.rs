//! Requests that have several forms, which exclude each other: each form is a schema of its own, and the request is one of
//! them. And what one field allows another to be.
//!
//! A field of another form may be there with the value that it has if it is absent, so that a program with one structure for
//! all forms is understood too.

use serde_json::{Map, Value, json};

use super::{given, schema};

/// One form of a request.
struct Form {
    name: &'static str,
    description: &'static str,
    /// The fields that make it this form.
    needs: &'static [&'static str],
    /// The fields that it does not have, each with what it may be all the same.
    lacks: Vec<(&'static str, Value)>,
    /// What a field is in this form.
    only: Option<(&'static str, &'static [&'static str])>,
}

fn form(
    name: &'static str,
    description: &'static str,
    needs: &'static [&'static str],
    lacks: Vec<(&'static str, Value)>,
) -> Form {
    Form { name, description, needs, lacks, only: None }
}

fn none() -> Value {
    json!({"type": "null"})
}

fn empty() -> Value {
    json!({"type": "array", "maxItems": 0})
}

fn forms() -> Vec<(&'static str, Vec<Form>)> {
    let no_cart = || vec![("cart", none())];
    let no_items = || vec![("items", empty()), ("drop", none())];
    let whole = |mut lacks: Vec<_>| {
        lacks.push(("payments", empty()));
        lacks
    };
    let split = |mut lacks: Vec<_>| {
        lacks.extend([
            ("tender", json!({"const": "cash"})),
            ("reference", none()),
            ("deferred", json!({"const": false})),
            ("given", none()),
        ]);
        lacks
    };
    let no_target = || vec![("sku", none()), ("drop", none())];
    vec![
        (
            "Sell",
            vec![
                form("SellItems", "Items are sold, and paid in one way.", &["items"], whole(no_cart())),
                form(
                    "SellItemsSplit",
                    "Items are sold, and paid in several ways.",
                    &["items", "payments"],
                    split(no_cart()),
                ),
                form("SellCart", "A cart is sold, and paid in one way.", &["cart"], whole(no_items())),
                form(
                    "SellCartSplit",
                    "A cart is sold, and paid in several ways.",
                    &["cart", "payments"],
                    split(no_items()),
                ),
            ],
        ),
        (
            "CartTake",
            vec![
                form("CartTakeNamed", "The cart is named.", &["cart"], vec![("token", none())]),
                form(
                    "CartTakeShown",
                    "The shopper shows the cart's token.",
                    &["token"],
                    vec![("cart", none())],
                ),
            ],
        ),
        (
            "Redeem",
            vec![
                form("RedeemNamed", "The claim is named.", &["claim"], vec![("token", none())]),
                form(
                    "RedeemShown",
                    "The shopper shows the claim's token.",
                    &["token"],
                    vec![("claim", none())],
                ),
            ],
        ),
        (
            "Renew",
            vec![
                form("RenewForDays", "For so many days.", &[], vec![("until_ms", none())]),
                form("RenewUntil", "Until a time.", &["until_ms"], vec![("days", none())]),
            ],
        ),
        (
            "PersonalErase",
            vec![
                form(
                    "EraseShopper",
                    "All that was taken of a shopper.",
                    &["shopper"],
                    vec![("entry", none())],
                ),
                form("EraseEntry", "What one entry says was taken.", &["entry"], vec![("shopper", none())]),
            ],
        ),
        (
            "PersonalNew",
            vec![
                Form {
                    only: Some(("kind", &["note"])),
                    ..form("NoteNew", "What the crew wants to remember.", &[], no_target())
                },
                Form {
                    only: Some(("kind", &["opt_in", "contact"])),
                    ..form("ContactNew", "How to reach the shopper.", &["consent"], no_target())
                },
                Form {
                    only: Some(("kind", &["waitlist"])),
                    ..form("SkuWaitlistNew", "A wait for a SKU.", &["consent", "sku"], vec![("drop", none())])
                },
                Form {
                    only: Some(("kind", &["waitlist"])),
                    ..form(
                        "DropWaitlistNew",
                        "A wait for a drop.",
                        &["consent", "drop"],
                        vec![("sku", none())],
                    )
                },
            ],
        ),
    ]
}

/// What one field allows another to be, by request.
fn conditions() -> Vec<(&'static str, Value)> {
    let is = |field: &str, schema: Value| json!({"properties": {field: schema}, "required": [field]});
    let may_be = |fields: Value| json!({"properties": fields});
    let cash = |tender_needed: bool| {
        let other = is("tender", json!({"enum": ["card", "voucher", "other"]}));
        let _ = tender_needed;
        json!({
            "if": other,
            "then": may_be(json!({"given": {"type": "null"}})),
            "else": may_be(json!({"deferred": {"const": false}})),
        })
    };
    let pickup = json!({
        "if": is("pickup_at", json!({"type": "string"})),
        "else": may_be(json!({"pin": {"type": "null"}, "pickup_within_ms": {"type": "null"}})),
    });
    let both = json!({"allOf": [cash(false), pickup]});
    vec![
        ("SellItems", both.clone()),
        ("SellCart", both),
        ("SellItemsSplit", pickup.clone()),
        ("SellCartSplit", pickup),
        ("PaymentNew", cash(true)),
        (
            "DropNew",
            json!({
                "if": is("pickup_within_ms", json!({"type": "integer"})),
                "else": may_be(json!({"unclaimed": {"const": "keep"}})),
            }),
        ),
        (
            "LotMint",
            json!({
                "if": is("numbered", json!({"const": false})),
                "then": may_be(json!({"edition": {"type": "null"}})),
            }),
        ),
        (
            "RulesSet",
            json!({"not": may_be(json!({
                "prices": {"type": "null"}, "round": {"type": "null"},
                "cash_coin": {"type": "null"}, "ordinary_wish": {"type": "null"},
            }))}),
        ),
    ]
}

/// Splits requests into their forms.
pub(super) fn split(api: &mut Value) {
    for (name, forms) in forms() {
        let Some(whole) = schema(api, name).cloned() else { continue };
        let mut choices = Vec::new();
        for form in forms {
            choices.push(json!({"$ref": format!("#/components/schemas/{}", form.name)}));
            let part = part(&whole, &form);
            if let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") {
                schemas.insert(form.name.to_owned(), part.into());
            }
        }
        if let Some(schema) = schema(api, name) {
            let description = schema.remove("description").unwrap_or_default();
            *schema = Map::from_iter([
                ("description".to_owned(), description),
                ("oneOf".to_owned(), choices.into()),
            ]);
        }
    }
    for (name, condition) in conditions() {
        if let (Some(schema), Value::Object(condition)) = (schema(api, name), condition) {
            schema.extend(condition);
        }
    }
}

fn part(whole: &Map<String, Value>, form: &Form) -> Map<String, Value> {
    let mut part = whole.clone();
    part.insert("description".to_owned(), json!(form.description));
    let mut also = Map::new();
    if let Some(Value::Object(properties)) = part.get_mut("properties") {
        for (field, may_be) in &form.lacks {
            properties.remove(*field);
            also.insert(format!("^{field}$"), may_be.clone());
        }
        for field in form.needs {
            properties.get_mut(*field).map(given);
        }
        if let Some((field, values)) = form.only {
            let only = match values {
                [one] => json!({"type": "string", "const": one}),
                several => json!({"type": "string", "enum": several}),
            };
            properties.insert(field.to_owned(), only);
        }
    }
    part.insert("patternProperties".to_owned(), also.into());
    let required = part.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.extend(form.needs.iter().map(|field| json!(field)));
        if required.is_empty() {
            part.remove("required");
        }
    }
    part
}
