use std::collections::BTreeSet;

use serde_json::Value;

use crate::double::start;
use crate::wire::{get, send};

const ROUTES: [(&str, &str); 66] = [
    ("get", "/v1/people"),
    ("post", "/v1/people"),
    ("get", "/v1/people/sealed"),
    ("post", "/v1/people/erase"),
    ("get", "/v1/status"),
    ("get", "/v1/devices"),
    ("get", "/v1/peers"),
    ("get", "/v1/programme"),
    ("get", "/v1/stock"),
    ("get", "/v1/claims"),
    ("get", "/v1/log"),
    ("get", "/v1/frontier"),
    ("get", "/v1/check"),
    ("get", "/v1/health"),
    ("get", "/v1/export"),
    ("get", "/v1/export/{document}"),
    ("post", "/v1/products"),
    ("post", "/v1/drops"),
    ("post", "/v1/drops/{drop}/open"),
    ("post", "/v1/drops/{drop}/close"),
    ("post", "/v1/lots"),
    ("post", "/v1/transfers"),
    ("post", "/v1/moves"),
    ("post", "/v1/damage"),
    ("get", "/v1/claims/{claim}/token"),
    ("get", "/v1/doors"),
    ("get", "/v1/claims/{claim}/door"),
    ("post", "/v1/doors/open"),
    ("post", "/v1/doors/settle"),
    ("put", "/v1/doors/jam"),
    ("get", "/v1/carts"),
    ("post", "/v1/carts"),
    ("post", "/v1/carts/{cart}/release"),
    ("post", "/v1/redemptions"),
    ("post", "/v1/custody"),
    ("post", "/v1/refunds"),
    ("post", "/v1/sweeps"),
    ("get", "/v1/incidents"),
    ("post", "/v1/resolutions"),
    ("get", "/v1/devices/{device}/retirement"),
    ("post", "/v1/retirements"),
    ("get", "/v1/registrars"),
    ("post", "/v1/registrars"),
    ("post", "/v1/devices/renewals"),
    ("post", "/v1/carts/take"),
    ("get", "/v1/carts/{cart}/token"),
    ("post", "/v1/claims/{claim}/unlock"),
    ("post", "/v1/leave"),
    ("post", "/v1/past/acceptance"),
    ("get", "/v1/claims/{claim}"),
    ("post", "/v1/sales"),
    ("post", "/v1/rules"),
    ("post", "/v1/limits"),
    ("post", "/v1/settlements"),
    ("get", "/v1/payments/waiting"),
    ("get", "/v1/receipts"),
    ("get", "/v1/receipts/{device}/{number}"),
    ("get", "/v1/takings"),
    ("post", "/v1/carts/{cart}/items"),
    ("post", "/v1/carts/{cart}/removals"),
    ("get", "/v1/undo"),
    ("post", "/v1/undo"),
    ("put", "/v1/links"),
    ("get", "/v1/events"),
    ("get", "/v1/openapi.json"),
    ("get", "/metrics"),
];

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_description_is_whole() {
    let node = start().await;
    let api = get(node.address, "/v1/openapi.json").await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1."), "{}", api["openapi"]);
    let mut found = BTreeSet::new();
    references(&api, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("references stay in the document");
        assert!(api.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (method, path) in ROUTES {
        let operation = &api["paths"][path][method];
        assert!(
            operation["responses"]["200"].is_object() || operation["responses"]["201"].is_object(),
            "{path}"
        );
        let problem = &operation["responses"]["503"]["content"]["application/problem+json"];
        assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{path}");
        let has_key = operation["parameters"].as_array().is_some_and(|list| {
            list.iter().any(|one| one["name"] == "Idempotency-Key" && one["required"] != true)
        });
        assert_eq!(has_key, method == "post", "{path}");
    }
    for schema in ["Problem", "Refusal", "Fact", "Signal", "Reset", "Claim", "Sell", "UnitSet", "Ref"] {
        assert!(api["components"]["schemas"][schema].is_object(), "{schema} is not described");
    }
}

#[tokio::test]
async fn every_described_path_is_served() {
    let node = start().await;
    let api = get(node.address, "/v1/openapi.json").await.json();
    let mut operations = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operations.insert(operation["operationId"].to_string()), "operation ids are unique");
            let known = ROUTES.contains(&(method.as_str(), path.as_str()));
            assert!(known, "{method} {path} is not in this test's list");
            let concrete = path
                .replace("{drop}", "neon")
                .replace("{device}", &"07".repeat(32))
                .replace("{number}", "1")
                .replace("{document}", "programme")
                .replace("{cart}", &format!("{}:8", "01".repeat(16)))
                .replace("{claim}", &format!("{}:9", "01".repeat(16)));
            send(node.address, "DELETE", &concrete, &[], b"").await.problem(405, "method_not_allowed");
        }
    }
}
