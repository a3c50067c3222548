//! Parameters of paths and queries, by their names: each is what its type's parser takes.

use serde_json::{Value, json};

use super::{each_object, given, operations, schema};

/// The types of parameters, by name.
const TYPES: [(&str, &str); 12] = [
    ("drop", "DropId"),
    ("sku", "Sku"),
    ("shopper", "ShopperRef"),
    ("code", "ClaimCode"),
    ("claim", "ClaimName"),
    ("cart", "Ref"),
    ("entry", "Ref"),
    ("incident", "Ref"),
    ("device", "DeviceName"),
    ("seller", "DeviceName"),
    ("custodian", "DeviceName"),
    ("document", "Document"),
];

/// The requests in which a claim is named.
const NAMING: [&str; 4] = ["Redeem", "GiveCustody", "Refund", "SettlePayment"];

/// Has requests name claims by what people have in hand; in answers they are named by their entries.
pub(super) fn claims(api: &mut Value) {
    for name in NAMING {
        let Some(claim) = schema(api, name).and_then(|schema| schema.get_mut("properties")?.get_mut("claim"))
        else {
            continue;
        };
        each_object(claim, &mut |object| {
            if object.get("$ref").is_some_and(|reference| reference == "#/components/schemas/Ref") {
                object.insert("$ref".to_owned(), json!("#/components/schemas/ClaimName"));
            }
        });
    }
    if let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") {
        let name = json!({
            "type": "string",
            "description": "A claim: itself, its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its \
                payment or of its shopper, or its token. What fits none, or several, is refused as `no_such_claim` or `ambiguous_claim`.",
            "examples": ["0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c:7", "7K2-M9Q", "till-2:12"],
            "minLength": 1,
        });
        schemas.insert("ClaimName".to_owned(), name);
    }
}

/// Refers each parameter to its type. A parameter is given or absent, never `null`.
pub(super) fn name(api: &mut Value) {
    for (_, path, operation) in operations(api) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            if let Some(schema) = parameter.get_mut("schema") {
                given(schema);
                let kind = TYPES.iter().find(|(of, _)| *of == name).map(|(_, kind)| *kind);
                if let Some(kind) = kind.filter(|_| schema["type"] == "string") {
                    *schema = json!({"$ref": format!("#/components/schemas/{kind}")});
                }
                if name == "number" && path.starts_with("/v1/receipts/") {
                    schema["minimum"] = json!(1);
                    schema["maximum"] = json!(i64::MAX);
                }
                if name == "wait_ms" {
                    schema["minimum"] = json!(0);
                }
                if name == "limit" {
                    schema["minimum"] = json!(super::fields::LEAST_LIMIT);
                }
                if name == "since" {
                    schema["minimum"] = json!(0);
                    schema["maximum"] = json!(u64::MAX);
                }
            }
        }
    }
}
