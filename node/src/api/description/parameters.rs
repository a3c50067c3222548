//! Parameters of paths and queries, by their names: each is what its type's parser takes.

use serde_json::{Value, json};

use super::{each_object, given, operations, schema};

/// The types of parameters, by name.
const TYPES: [(&str, &str); 11] = [
    ("drop", "DropId"),
    ("sku", "Sku"),
    ("shopper", "ShopperRef"),
    ("code", "ClaimCode"),
    ("claim", "Ref"),
    ("cart", "Ref"),
    ("entry", "Ref"),
    ("device", "DeviceNamed"),
    ("seller", "DeviceNamed"),
    ("custodian", "DeviceNamed"),
    ("document", "Document"),
];

/// What a device may be named by in a request.
fn device_named() -> Value {
    json!({
        "type": "string",
        "description": "A device: by its name, by its key, or by the first digits of its key, at least four. Who is not known is refused as \
            `unknown_device`, with those that are.",
        "examples": ["till-1"],
        "minLength": 1,
    })
}

/// Has requests name devices as people do; in answers they are named by their keys.
pub(super) fn devices(api: &mut Value) {
    let mut wanted: Vec<String> = Vec::new();
    for (_, _, operation) in operations(api) {
        if let Some(body) = operation.get_mut("requestBody") {
            references(body, &mut wanted);
        }
    }
    let mut at = 0;
    while let Some(name) = wanted.get(at).cloned() {
        at += 1;
        if let Some(schema) = schema(api, &name) {
            let mut whole = Value::Object(std::mem::take(schema));
            references(&mut whole, &mut wanted);
            if let Value::Object(whole) = whole {
                *schema = whole;
            }
        }
    }
    if let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") {
        schemas.insert("DeviceNamed".to_owned(), device_named());
    }
}

/// Names the schemas that are referred to, and refers to devices as requests name them.
fn references(value: &mut Value, found: &mut Vec<String>) {
    each_object(value, &mut |object| {
        let Some(Value::String(reference)) = object.get_mut("$ref") else { return };
        if reference.ends_with("/DeviceId") {
            *reference = "#/components/schemas/DeviceNamed".to_owned();
        }
        if let Some(name) = reference.strip_prefix("#/components/schemas/")
            && !found.iter().any(|known| known == name)
        {
            found.push(name.to_owned());
        }
    });
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
                if name == "since" {
                    schema["minimum"] = json!(0);
                    schema["maximum"] = json!(u64::MAX);
                }
            }
        }
    }
}
