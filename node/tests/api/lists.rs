//! Lists: one envelope, cursors, and what is refused; devices by whatever names them; and where what was made can be fetched.

use popmesh_proto::command::Command;
use popmesh_proto::query::Query;
use serde_json::{Value, json};

use crate::double::{DEVICE, OTHER, entry, start};
use crate::wire::{get, post, send};

/// Every list, and a filter that it has.
const LISTS: [&str; 17] = [
    "/v1/devices",
    "/v1/products",
    "/v1/drops",
    "/v1/lots",
    "/v1/stock?sku=CAP",
    "/v1/claims?state=issued",
    "/v1/carts?shopper=order-7",
    "/v1/log?device=till-2",
    "/v1/frontier",
    "/v1/incidents?since=5",
    "/v1/registrars",
    "/v1/people?kind=note",
    "/v1/people/sealed?since=5",
    "/v1/payments/waiting?since=5",
    "/v1/receipts?device=till-1",
    "/v1/takings?device=till-2",
    "/v1/export",
];

fn with(path: &str, more: &str) -> String {
    format!("{path}{}{more}", if path.contains('?') { '&' } else { '?' })
}

#[tokio::test]
async fn every_list_has_one_envelope_and_the_same_bounds() {
    let node = start().await;
    for path in LISTS {
        let list = get(node.address, path).await;
        assert_eq!(list.status, 200, "{path}: {}", list.json());
        assert!(list.json()["items"].is_array(), "{path}");
        for limit in ["1", "1000"] {
            assert_eq!(get(node.address, &with(path, &format!("limit={limit}"))).await.status, 200, "{path}");
        }
        for limit in ["0", "1001", "2147483648", "18446744073709551616", "-1", "%2B1", "1.0", "many", ""] {
            let problem = get(node.address, &with(path, &format!("limit={limit}"))).await;
            assert_eq!(problem.problem(422, "invalid")["field"], "limit", "{path} {limit}");
        }
        let twice = get(node.address, &with(path, "limit=1&limit=1")).await.problem(422, "invalid");
        assert_eq!(twice["field"], "limit", "{path}");
        for after in ["", "x", "%00", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(2_000)] {
            let problem = get(node.address, &with(path, &format!("after={after}"))).await;
            assert_eq!(problem.problem(422, "bad_cursor")["field"], "after", "{path} {after}");
        }
        get(node.address, &with(path, "color=red")).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_part_before_ended_and_fits_nothing_else() {
    let node = start().await;
    let first = get(node.address, "/v1/devices?limit=1").await.json();
    assert_eq!((&first["items"][0]["name"], first["items"].as_array().unwrap().len()), (&json!("till-1"), 1));
    let next = first["next"].as_str().unwrap();
    let second = get(node.address, &format!("/v1/devices?limit=5&after={next}")).await.json();
    assert_eq!((&second["items"][0]["name"], second.get("next")), (&json!("till-2"), None));
    for path in LISTS.iter().filter(|path| **path != "/v1/devices") {
        let other = get(node.address, &with(path, &format!("after={next}"))).await.problem(422, "bad_cursor");
        assert!(other["detail"].as_str().unwrap().contains("another list"), "{other}");
    }
    // One byte further, or with other parameters, it is none.
    let mut broken = next.to_owned();
    broken.replace_range(20..21, if &broken[20..21] == "A" { "B" } else { "A" });
    get(node.address, &format!("/v1/devices?after={broken}")).await.problem(422, "bad_cursor");
    let documents = get(node.address, "/v1/export?limit=1").await.json();
    assert_eq!(documents["items"][0]["document"], "programme");
    let next = documents["next"].as_str().unwrap();
    let rest = get(node.address, &format!("/v1/export?after={next}")).await.json();
    assert_eq!((&rest["items"][0]["document"], rest.get("next")), (&json!("stock/neon"), None));
}

#[tokio::test]
async fn the_parameters_of_a_walk_stay_as_they_were() {
    let node = start().await;
    let one = get(node.address, "/v1/claims?seller=till-1&limit=1").await.json();
    assert_eq!((one["count"].as_u64(), one["items"].as_array().unwrap().len()), (Some(2), 1));
    let next = one["next"].as_str().unwrap();
    // A name, a key and the beginning of a key are one parameter.
    for seller in ["till-1".to_owned(), DEVICE.to_string(), "0707".to_owned()] {
        let path = format!("/v1/claims?seller={seller}&after={next}");
        assert_eq!(get(node.address, &path).await.status, 200, "{seller}");
    }
    for other in ["seller=till-2", "", "seller=till-1&since=7"] {
        let path = format!("/v1/claims?{other}&after={next}");
        let problem = get(node.address, &path).await.problem(422, "bad_cursor");
        assert!(problem["detail"].as_str().unwrap().contains("other parameters"), "{problem}");
    }
    let asked = node.queries.lock().unwrap().clone();
    let after = asked.iter().find_map(|query| match query {
        Query::Claims(filter) => filter.after,
        _ => None,
    });
    assert_eq!(after.unwrap().count, 2, "what was counted once is in the cursor");
}

#[tokio::test]
async fn a_device_is_named_by_its_key_its_name_or_how_its_key_begins() {
    let node = start().await;
    let key = OTHER.to_string();
    for name in ["till-2", "0808", "08080808", &key, &key.to_uppercase()] {
        let path = format!("/v1/devices/{name}");
        assert_eq!(get(node.address, &path).await.json()["name"], "till-2", "{name}");
        assert_eq!(get(node.address, &format!("{path}/retirement")).await.json()["device"], key, "{name}");
        let body = json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "to": name});
        assert_eq!(post(node.address, "/v1/transfers", &[], &body).await.status, 201, "{name}");
        let last = node.done.lock().unwrap().pop();
        assert!(matches!(last, Some(Command::Transfer(given)) if given.to == OTHER), "{name}");
    }
    for (path, body) in [
        ("/v1/sales", json!({"items": [{"sku": "CAP"}], "pickup_at": "till-2"})),
        ("/v1/custody", json!({"claim": entry(9), "to": "till-2"})),
        ("/v1/sweeps", json!({"drop": "neon", "device": "till-1", "claims": 1})),
        ("/v1/leave", json!({"device": "till-1", "to": "till-2", "units": 3, "claims": 1})),
        ("/v1/past/acceptance", json!({"device": "till-1", "entries": 7})),
        ("/v1/retirements", json!({"device": "till-2", "at_risk": 6})),
        ("/v1/registrars", json!({"to": "till-2"})),
        ("/v1/devices/renewals", json!({"device": "till-2"})),
        ("/v1/limits", json!({"device": "till-2", "amount": 20_000})),
    ] {
        let answer = post(node.address, path, &[], &body).await;
        assert!(answer.status < 300, "{path}: {}", answer.json());
        let unknown = body.to_string().replace("till-2", "till-3").replace("till-1", "till-3");
        let unknown: Value = serde_json::from_str(&unknown).unwrap();
        let problem = post(node.address, path, &[], &unknown).await.problem(404, "unknown_device");
        assert_eq!((&problem["device"], &problem["known"][1]["name"]), (&json!("till-3"), &json!("till-2")));
        // Both of the double's devices begin with a zero, and three digits are no key.
        let short = body.to_string().replace("till-2", "080").replace("till-1", "080");
        let short: Value = serde_json::from_str(&short).unwrap();
        post(node.address, path, &[], &short).await.problem(404, "unknown_device");
    }
    // A body that cannot be is told first, whoever is named in it.
    let body = json!({"drop": "neon", "sku": "CAP", "units": {"count": -3}, "to": "nobody"});
    post(node.address, "/v1/transfers", &[], &body).await.problem(422, "invalid");
}

#[tokio::test]
async fn one_request_by_a_name_and_by_a_key_is_the_same_under_a_key() {
    let node = start().await;
    let key = [("idempotency-key", "k1")];
    for to in ["till-2".to_owned(), OTHER.to_string()] {
        let body = json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "to": to});
        assert_eq!(post(node.address, "/v1/transfers", &key, &body).await.status, 201, "{to}");
    }
    assert_eq!(node.done.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn whatever_is_made_says_where_it_can_be_fetched() {
    let node = start().await;
    let claim = entry(9).to_string();
    let device = OTHER.to_string();
    for (path, body, location) in [
        ("/v1/drops", json!({"drop": "neon", "title": "Neon"}), "/v1/drops/neon".to_owned()),
        (
            "/v1/lots",
            json!({"drop": "neon", "sku": "CAP", "first": 1, "last": 9}),
            format!("/v1/lots/{}", entry(1)),
        ),
        (
            "/v1/transfers",
            json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "to": device}),
            format!("/v1/transfers/{}", entry(3)),
        ),
        (
            "/v1/moves",
            json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "place": "stall-1"}),
            format!("/v1/moves/{}", entry(3)),
        ),
        (
            "/v1/damage",
            json!({"drop": "neon", "sku": "CAP", "units": {"serials": "4"}}),
            format!("/v1/damage/{}", entry(3)),
        ),
        ("/v1/sales", json!({"items": [{"sku": "CAP"}]}), format!("/v1/claims/{claim}")),
        ("/v1/carts", json!({"items": [{"sku": "CAP"}]}), format!("/v1/carts/{}", entry(8))),
        ("/v1/redemptions", json!({"claim": claim}), format!("/v1/redemptions/{}", entry(10))),
        ("/v1/refunds", json!({"claim": claim}), format!("/v1/refunds/{}", entry(14))),
        (
            "/v1/sweeps",
            json!({"drop": "neon", "device": device, "claims": 1}),
            format!("/v1/sweeps/{}", entry(15)),
        ),
        ("/v1/custody", json!({"claim": claim, "to": device}), format!("/v1/claims/{claim}")),
        (
            "/v1/resolutions",
            json!({"incident": entry(13), "note": "looked"}),
            format!("/v1/incidents/{}", entry(13)),
        ),
        (
            "/v1/retirements",
            json!({"device": device, "at_risk": 6}),
            format!("/v1/retirements/{}", entry(12)),
        ),
        ("/v1/registrars", json!({"to": device}), format!("/v1/registrars/{device}")),
        ("/v1/people", json!({"kind": "note", "content": "x"}), format!("/v1/people/{}", entry(13))),
    ] {
        for again in [false, true] {
            let made = post(node.address, path, &[("idempotency-key", path)], &body).await;
            assert_eq!((made.status, made.header("location")), (201, Some(location.as_str())), "{path}");
            assert_eq!(made.header("idempotency-replayed").is_some(), again, "{path}");
        }
    }
    // What the double knows of is what was answered, with HEAD as with GET.
    for path in [format!("/v1/moves/{}", entry(3)), format!("/v1/carts/{}", entry(8))] {
        let fetched = get(node.address, &path).await;
        assert_eq!(fetched.status, 200, "{path}");
        let head = send(node.address, "HEAD", &path, &[], b"").await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    for path in ["transfers", "moves", "damage", "redemptions", "refunds", "settlements", "sweeps", "lots"] {
        get(node.address, &format!("/v1/{path}/{}", entry(99))).await.problem(404, "unknown_entry");
        get(node.address, &format!("/v1/{path}/x")).await.problem(422, "invalid");
    }
    get(node.address, &format!("/v1/log/{}", entry(99))).await.problem(404, "unknown_entry");
    get(node.address, &format!("/v1/incidents/{}", entry(99))).await.problem(404, "unknown_incident");
    get(node.address, "/v1/products/HAT").await.problem(404, "unknown_sku");
    get(node.address, "/v1/drops/none").await.problem(404, "unknown_drop");
    get(node.address, "/v1/registrars/till-2").await.problem(404, "no_registrar");
}

#[tokio::test]
async fn nothing_that_was_made_is_200_without_a_location() {
    let node = start().await;
    let none = post(node.address, "/v1/devices/renewals", &[], &json!({})).await;
    assert_eq!((none.status, none.header("location")), (200, None), "no certificate was signed");
    let product = json!({"sku": "CAP", "name": "Cap", "price": 2500});
    let changed = post(node.address, "/v1/products", &[], &product).await;
    assert_eq!((changed.status, changed.header("location")), (200, None));
}
