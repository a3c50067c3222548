use std::sync::{Arc, Mutex};

use popmesh::api::MAX_BODY;
use popmesh::runtime::{CallError, Events, Handle, StoreHealth};
use popmesh_proto::command::{DropState, Holder, Refusal};
use popmesh_proto::record::StepKind;
use serde_json::json;
use tokio::sync::mpsc;

use crate::double::{DEVICE, OTHER, entry, refusing, serve, start, start_with};
use crate::wire::{get, post, send};

fn refusals() -> Vec<(Refusal, u16, &'static str)> {
    let sku = || "CAP".parse().unwrap();
    let drop = || "neon".parse().unwrap();
    let text = || "text".to_owned();
    let holder = Holder {
        device: OTHER,
        name: "till-2".to_owned(),
        units: 3,
        lying: vec![],
        places: vec!["hall-b".parse().unwrap()],
        last_heard_ms: Some(5),
        reachable: false,
    };
    vec![
        (Refusal::UnknownSku { sku: sku(), known: vec![] }, 404, "unknown_sku"),
        (Refusal::UnknownDrop { drop: text(), known: vec![] }, 404, "unknown_drop"),
        (Refusal::UnknownDevice { device: OTHER }, 404, "unknown_device"),
        (Refusal::AmbiguousDrop { drops: vec![text()] }, 409, "ambiguous_drop"),
        (Refusal::DropExists { drop: drop() }, 409, "drop_exists"),
        (Refusal::DropNotOpen { drop: drop(), state: DropState::Closed }, 409, "drop_not_open"),
        (
            Refusal::StepUnfit {
                drop: drop(),
                step: StepKind::Open,
                state: DropState::Closed,
                venue: None,
                how: "say `--again`".to_owned(),
            },
            409,
            "step_unfit",
        ),
        (Refusal::UnknownVenue { venue: "moon".parse().unwrap(), known: Vec::new() }, 404, "unknown_venue"),
        (
            Refusal::AnnouncedTooMany { sku: "CAP".parse().unwrap(), units: 9, minted: 8 },
            409,
            "announced_too_many",
        ),
        (Refusal::Invalid { field: text(), problem: text() }, 422, "invalid"),
        (
            Refusal::SerialOverlap {
                sku: sku(),
                edition: None,
                lot: entry(1),
                drop: "neon".parse().unwrap(),
                units: Default::default(),
                next_free: Some(21),
            },
            409,
            "serial_overlap",
        ),
        (Refusal::Frozen { sku: sku(), units: Default::default() }, 409, "frozen"),
        (
            Refusal::NotHeld {
                sku: sku(),
                asked: text(),
                held: 2,
                serials: Default::default(),
                holders: vec![],
            },
            409,
            "not_held",
        ),
        (
            Refusal::RoleForbids {
                name: text(),
                action: text(),
                roles: text(),
                needs: text(),
                at: Box::default(),
            },
            403,
            "role_forbids",
        ),
        (Refusal::Unattended { roles: text(), at: vec![text()] }, 403, "unattended"),
        (Refusal::Certificate { problem: text() }, 403, "certificate"),
        (Refusal::SoldOut { sku: sku(), minted: 100 }, 409, "sold_out"),
        (
            Refusal::HeldElsewhere {
                sku: sku(),
                wanted: 2,
                held: 0,
                on_hold: 0,
                could_get: 0,
                holders: vec![holder],
            },
            409,
            "held_elsewhere",
        ),
        (Refusal::NotStored { problem: text() }, 503, "not_stored"),
        (Refusal::Busy, 503, "busy"),
    ]
}

#[tokio::test]
async fn every_refusal_has_its_status_and_its_own_fields() {
    for (refusal, status, code) in refusals() {
        let node = refusing(refusal.clone()).await;
        let answer = post(node.address, "/v1/sales", &[], &json!({"items": [{"sku": "CAP"}]})).await;
        let problem = answer.problem(status, code);
        let own = serde_json::to_value(&refusal).unwrap();
        for (field, value) in own.as_object().unwrap() {
            assert_eq!(&problem[field], value, "{code}");
        }
        let metrics = String::from_utf8(get(node.address, "/metrics").await.body).unwrap();
        assert!(metrics.contains(&format!("popmesh_refusals_total{{code=\"{code}\"}} 1")), "{metrics}");
    }
}

#[tokio::test]
async fn what_can_be_tried_again_says_when() {
    for (error, status, code, retry) in [
        (CallError::Busy, 503, "busy", true),
        (CallError::InProgress, 409, "in_progress", true),
        (CallError::KeyReused, 422, "key_reused", false),
        (CallError::Stopping, 503, "stopping", false),
        (CallError::Refused(Refusal::Busy), 503, "busy", true),
    ] {
        let node = refusing(error).await;
        let answer = post(node.address, "/v1/sales", &[], &json!({"items": [{"sku": "CAP"}]})).await;
        answer.problem(status, code);
        assert_eq!(answer.header("retry-after").is_some(), retry, "{code}");
    }
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_closed_one_is_stopping() {
    let (calls, inbox) = mpsc::channel(1);
    let events = Events::in_memory(DEVICE);
    let handle = Handle::new(calls.clone(), events.clone());
    let empty = || Arc::new(Mutex::new(Vec::new()));
    let node = serve(handle, events, Arc::new(Mutex::new(Vec::new())), empty()).await;
    let permit = calls.reserve().await.unwrap();
    let busy = get(node.address, "/v1/status").await;
    busy.problem(503, "busy");
    assert_eq!(busy.header("retry-after"), Some("1"));
    drop(permit);
    drop(inbox);
    get(node.address, "/v1/status").await.problem(503, "stopping");
}

#[tokio::test]
async fn wrong_bodies_say_what_is_wrong_and_where() {
    let node = start().await;
    let json = [("content-type", "application/json")];
    let malformed = send(node.address, "POST", "/v1/sales", &json, b"{\"items\":").await;
    malformed.problem(400, "malformed_json");
    send(node.address, "POST", "/v1/sales", &json, b"{} x").await;
    for unlabelled in [&[][..], &[("content-type", "text/plain")]] {
        send(node.address, "POST", "/v1/sales", unlabelled, b"{}").await.problem(415, "not_json");
    }
    for (body, field) in [
        (json!({"items": [{"sku": "CAP"}, {"sku": "HAT", "quantity": "two"}]}), "items[1].quantity"),
        (json!({"items": [{"sku": "a b"}]}), "items[0].sku"),
        (json!({"items": [{"sku": "CAP", "quantity": -1}]}), "items[0].quantity"),
        (json!({"items": [{"sku": "CAP", "colour": "red"}]}), "items[0].colour"),
        (json!({"items": [], "tender": "gold"}), "tender"),
        (json!({"cart": "neon"}), "cart"),
        (json!([]), "body"),
    ] {
        let problem = post(node.address, "/v1/sales", &[], &body).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for units in [json!({}), json!({"count": 1, "serials": "1"})] {
        let body = json!({"drop": "neon", "sku": "CAP", "units": units, "to": OTHER});
        let problem = post(node.address, "/v1/transfers", &[], &body).await.problem(422, "invalid");
        assert_eq!(problem["field"], "units", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("exactly one"), "{problem}");
    }
    let body = b"{\"now\": true}";
    send(node.address, "POST", "/v1/carts/01010101010101010101010101010101:9/release", &json, body)
        .await
        .problem(422, "invalid");
    assert!(node.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn bodies_are_bounded() {
    let node = start().await;
    let body = json!({"sku": "CAP", "name": "x".repeat(MAX_BODY), "price": 1});
    let problem = post(node.address, "/v1/products", &[], &body).await.problem(413, "body_too_large");
    assert_eq!(problem["limit_bytes"], MAX_BODY);
}

#[tokio::test]
async fn wrong_queries_and_paths_name_the_part() {
    let node = start().await;
    for (path, field) in [
        ("/v1/claims?limit=many", "limit"),
        ("/v1/claims?limit=1001", "limit"),
        ("/v1/stock?sku=a%20b", "sku"),
        ("/v1/stock?colour=red", "colour"),
        ("/v1/export/secrets", "path"),
    ] {
        let problem = get(node.address, path).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{path}: {problem}");
    }
    let problem = get(node.address, "/v1/claims?limit=many").await.problem(422, "invalid");
    let detail = "limit: \"many\" is no number of items; give a whole number from 1 to 1000";
    assert_eq!(problem["detail"], detail);
    get(node.address, "/v1/claims?seller=zz").await.problem(404, "unknown_device");
    let problem = get(node.address, "/v1/export/claims/neon").await.problem(404, "unknown_document");
    assert_eq!(problem["known"], json!(["programme", "stock/neon"]));
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let node = start().await;
    for path in ["/nothing", "/v1", "/v1/nothing", "/v1/status/", "/v1/drops/neon/burn"] {
        get(node.address, path).await.problem(404, "no_such_route");
    }
    let answer = send(node.address, "DELETE", "/v1/status", &[], b"").await;
    answer.problem(405, "method_not_allowed");
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
    let answer = get(node.address, "/v1/sales").await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_turned_away() {
    let node = start().await;
    let to = node.address;
    for host in ["evil.example", "evil.example:7401", "192.168.1.5"] {
        send(to, "GET", "/v1/status", &[("host", host)], b"").await.problem(403, "foreign_host");
    }
    for origin in ["http://evil.example", "null", "http://localhost:3000"] {
        send(to, "POST", "/v1/carts/01010101010101010101010101010101:9/release", &[("origin", origin)], b"")
            .await
            .problem(403, "foreign_origin");
    }
    let cross = [("sec-fetch-site", "cross-site")];
    send(to, "GET", "/v1/status", &cross, b"").await.problem(403, "foreign_origin");
    assert!(node.done.lock().unwrap().is_empty());

    let localhost = format!("localhost:{}", to.port());
    let origin = format!("http://{localhost}");
    let own_page = [("host", localhost.as_str()), ("origin", origin.as_str())];
    assert_eq!(send(to, "GET", "/v1/status", &own_page, b"").await.status, 200);
}

#[tokio::test]
async fn a_request_for_another_device_is_not_done_here() {
    let node = start().await;
    let (ours, theirs) = (DEVICE.to_string(), OTHER.to_string());
    let wrong = send(
        node.address,
        "POST",
        "/v1/carts/01010101010101010101010101010101:9/release",
        &[("popmesh-device", &theirs)],
        b"",
    )
    .await;
    assert_eq!(wrong.problem(421, "other_device")["device"], ours);
    assert!(node.done.lock().unwrap().is_empty());
    let right = send(
        node.address,
        "POST",
        "/v1/carts/01010101010101010101010101010101:9/release",
        &[("popmesh-device", &ours)],
        b"",
    )
    .await;
    assert_eq!((right.status, right.header("popmesh-device")), (200, Some(ours.as_str())));
}

#[tokio::test]
async fn a_disk_that_fails_is_a_problem() {
    let health = StoreHealth::Failing { problem: "disk full; free some space".to_owned(), since_ms: 5 };
    let node = start_with(Arc::new(|_| Err(CallError::Stopping)), health).await;
    let problem = get(node.address, "/v1/health").await.problem(503, "not_stored");
    assert_eq!(
        (&problem["since_ms"], &problem["problem"]),
        (&json!(5), &json!("disk full; free some space"))
    );
    let metrics = String::from_utf8(get(node.address, "/metrics").await.body).unwrap();
    assert!(metrics.contains("popmesh_store_writable 0"), "{metrics}");
}

#[tokio::test]
async fn only_loopback_is_listened_on_without_tls_and_a_port_in_use_says_what_to_do() {
    use popmesh::api::{BindError, bind};
    for address in ["0.0.0.0:0", "192.0.2.1:7401", "[::]:0"] {
        let refused = bind(address.parse().unwrap(), None).await;
        assert!(matches!(refused, Err(BindError::NotLoopback(_))), "{address}");
    }
    let node = start().await;
    let error = bind(node.address, None).await.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().contains("--api"), "{error}");
}
