use std::collections::BTreeSet;

use serde_json::Value;

use crate::double::start;
use crate::wire::{get, send};

/// Every operation with its method and path. That these are all that there is, `scopes` compares with its own list.
fn operations(api: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    api["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

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
    for (method, path, operation) in operations(&api) {
        assert!(
            operation["responses"]["200"].is_object() || operation["responses"]["201"].is_object(),
            "{path}"
        );
        let response = &operation["responses"]["503"];
        let shared = response["$ref"].as_str().and_then(|at| api.pointer(at.trim_start_matches('#')));
        let problem = &shared.unwrap_or(response)["content"]["application/problem+json"];
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
        for operation in item.as_object().unwrap().values() {
            assert!(operations.insert(operation["operationId"].to_string()), "operation ids are unique");
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
