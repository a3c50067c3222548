use popmesh_proto::command::{Command, Units};
use popmesh_proto::query::Query;
use serde_json::json;

use crate::double::{OTHER, start};
use crate::wire::{get, post, send};

#[tokio::test]
async fn every_question_is_answered() {
    let node = start().await;
    for path in [
        "/v1/status",
        "/v1/devices",
        "/v1/peers",
        "/v1/health",
        "/v1/health/list",
        "/v1/mesh",
        "/v1/check",
        "/v1/programme",
        "/v1/stock",
        "/v1/claims",
        "/v1/doors",
        "/v1/receipts",
        "/v1/takings",
        "/v1/payments/waiting",
        "/v1/people",
        "/v1/people/sealed",
        "/v1/log",
        "/v1/frontier",
        "/v1/export",
        "/v1/openapi.json",
    ] {
        let answer = get(node.address, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        answer.json();
    }
}

#[tokio::test]
async fn filters_reach_the_device() {
    let node = start().await;
    let path = format!("/v1/claims?drop=neon&seller={OTHER}&state=issued&limit=7");
    assert_eq!(get(node.address, &path).await.status, 200);
    let asked = node.queries.lock().unwrap().pop();
    let Some(Query::Claims(filter)) = asked else { panic!("asked {asked:?}") };
    assert_eq!((filter.seller, filter.limit), (Some(OTHER), Some(7)));
}

#[tokio::test]
async fn peers_are_devices_with_their_links() {
    let node = start().await;
    let peers = get(node.address, "/v1/peers").await.json();
    assert_eq!(peers["peers"].as_array().unwrap().len(), 1, "this device is no peer of its own");
    let peer = &peers["peers"][0];
    assert_eq!((&peer["name"], &peer["rtt_ms"]), (&json!("till-2"), &json!(1.5)));
    assert_eq!(peer["addresses"], json!(["/ip4/10.0.0.2/tcp/9000"]));
    assert_eq!(peers["unheard"][0]["state"], "being dialled");
    assert_eq!((&peers["strangers"]["lately"], &peers["strangers"]["total"]), (&400.into(), &1_000.into()));
    assert_eq!(peers["strangers"]["last"][0]["why"], "it is not of this event");
}

#[tokio::test]
async fn documents_are_exported_by_name() {
    let node = start().await;
    let list = get(node.address, "/v1/export").await.json();
    assert_eq!(list["items"][1], json!({"document": "stock/neon", "bytes": 3}));
    for path in ["/v1/export/stock/neon", "/v1/export/stock%2Fneon"] {
        let file = get(node.address, path).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some("application/octet-stream")));
        assert_eq!(file.body, [0x85, 0x6f, 0x4a], "{path}");
    }
}

#[tokio::test]
async fn every_command_reaches_the_device() {
    let node = start().await;
    let to = OTHER.to_string();
    let claim = format!("{}:9", "01".repeat(16));
    for (path, body, status) in [
        ("/v1/products", json!({"sku": "CAP", "name": "Cap", "price": 2500}), 200),
        ("/v1/drops", json!({"drop": "neon", "title": "Neon"}), 201),
        ("/v1/lots", json!({"drop": "neon", "sku": "CAP", "first": 1, "last": 9}), 201),
        ("/v1/transfers", json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "to": to}), 201),
        ("/v1/moves", json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "place": "stall-1"}), 201),
        ("/v1/damage", json!({"drop": "neon", "sku": "CAP", "units": {"serials": "4"}}), 201),
        ("/v1/sales", json!({"items": [{"sku": "CAP"}]}), 201),
        ("/v1/carts", json!({"items": [{"sku": "CAP"}], "ttl_ms": 60_000}), 201),
        ("/v1/sales", json!({"cart": claim}), 201),
        ("/v1/redemptions", json!({"token": "POPMESH1:TOKEN"}), 201),
        ("/v1/refunds", json!({"claim": claim, "items": [{"sku": "CAP", "serials": "4"}]}), 201),
        ("/v1/sweeps", json!({"drop": "neon", "device": to, "claims": 1}), 201),
        ("/v1/leave", json!({"device": to, "units": 3, "claims": 1}), 200),
        ("/v1/past/acceptance", json!({"device": to, "entries": 7}), 200),
        ("/v1/carts/take", json!({"token": "POPMESH1:CART"}), 200),
        ("/v1/custody", json!({"claim": claim, "to": to}), 201),
        ("/v1/rules", json!({"prices": "excluded", "round": "line", "cash_coin": 5}), 200),
        ("/v1/rules", json!({"ordinary_wish": 6}), 200),
        ("/v1/limits", json!({"device": to, "amount": 20_000}), 200),
        ("/v1/settlements", json!({"claim": claim, "payment": 2, "failed": true}), 201),
    ] {
        let answer = post(node.address, path, &[], &body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.json());
    }
    for (step, state) in
        [("announce", "announced"), ("open", "open"), ("last_call", "last_call"), ("close", "closed")]
    {
        let answer = post(node.address, "/v1/drops/neon/steps", &[], &json!({ "step": step })).await;
        assert_eq!((answer.status, &answer.json()["drop"]["state"]), (200, &json!(state)));
        assert_eq!(answer.json()["step"]["step"], step);
    }
    let done = node.done.lock().unwrap();
    assert_eq!(done.len(), 24);
    assert!(
        matches!(&done[3], Command::Transfer(given) if given.units == Units::Count(3) && given.to == OTHER)
    );
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads() {
    let node = start().await;
    get(node.address, "/v1/status").await;
    get(node.address, "/v1/nothing").await;
    let answer =
        send(node.address, "GET", "/metrics", &[("accept", "application/openmetrics-text")], b"").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "popmesh_build_info{version=",
        "popmesh_http_requests_total{method=\"GET\",route=\"/v1/status\",status=\"200\"} 1",
        "popmesh_http_requests_total{method=\"GET\",route=\"other\",status=\"404\"} 1",
        "popmesh_http_request_duration_seconds_count{route=\"/v1/status\"} 1",
        "popmesh_entries 12",
        "popmesh_devices_reachable 2",
        "popmesh_carts 2",
        "popmesh_claims{scope=\"mesh\",state=\"issued\"} 3",
        "popmesh_last_receipt 7",
        "popmesh_deferred_minor_units 2500",
        "popmesh_units{drop=\"neon\",sku=\"CAP\",scope=\"own\",state=\"available\"} 40",
        "popmesh_units{drop=\"neon\",sku=\"CAP\",scope=\"mesh\",state=\"sold\"} 10",
        "popmesh_store_writable 1",
        "popmesh_store_outages_total 0",
        "popmesh_commands_total{outcome=\"done\"} 0",
        "popmesh_mesh_links 3",
        "popmesh_mesh_bytes_total{",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let distinct: std::collections::BTreeSet<&&str> = types.iter().collect();
    assert_eq!(types.len(), distinct.len(), "a metric is described once");
}
