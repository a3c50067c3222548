//! Parameters of paths and queries, by their names: each is what its type's parser takes.

use serde_json::{Value, json};

use super::{given, operations};

/// The types of parameters, by name.
const TYPES: [(&str, &str); 12] = [
    ("drop", "DropId"),
    ("sku", "Sku"),
    ("shopper", "ShopperRef"),
    ("code", "ClaimCode"),
    ("claim", "Ref"),
    ("cart", "Ref"),
    ("entry", "Ref"),
    ("incident", "Ref"),
    ("device", "DeviceName"),
    ("seller", "DeviceName"),
    ("custodian", "DeviceName"),
    ("document", "Document"),
];

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
