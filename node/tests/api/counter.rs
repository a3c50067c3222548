//! What a counter needs: claims by what is at hand, carts that change, and taking back.

use popmesh_proto::command::{Command, Redeem, Refusal};
use serde_json::{Value, json};

use crate::double::{OTHER, refusing, start};
use crate::wire::{get, post, send};

fn claim() -> String {
    format!("{}:9", "01".repeat(16))
}

#[tokio::test]
async fn a_claim_in_a_body_is_whatever_a_person_calls_it() {
    let node = start().await;
    let bodies = |claim: &str| {
        [
            ("/v1/redemptions", json!({"claim": claim}), 201),
            ("/v1/refunds", json!({"claim": claim}), 201),
            ("/v1/custody", json!({"claim": claim, "to": OTHER.to_string()}), 201),
            ("/v1/settlements", json!({"claim": claim, "failed": false}), 201),
            ("/v1/doors/open", json!({"claim": claim}), 200),
            ("/v1/doors/settle", json!({"claim": claim, "handed_over": true, "by": "Ana"}), 200),
        ]
    };
    let done = || node.done.lock().unwrap().pop();
    for ((path, by_code, status), (_, by_claim, _)) in bodies("7K2-M9Q").into_iter().zip(bodies(&claim())) {
        let answer = post(node.address, path, &[("idempotency-key", path)], &by_code).await;
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        let meant = done();
        // Both ways of saying it are one request.
        let again = post(node.address, path, &[("idempotency-key", path)], &by_claim).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (status, Some("true")), "{path}");
        assert_eq!(post(node.address, path, &[], &by_claim).await.status, status);
        assert_eq!(done(), meant, "{path}");
    }
    for (path, body, _) in bodies("T-4711") {
        let problem = post(node.address, path, &[], &body).await.problem(409, "ambiguous_claim");
        assert_eq!(
            (&problem["count"], problem["claims"].as_array().unwrap().len()),
            (&json!(2), 2),
            "{path}"
        );
        assert!(problem["claims"][0]["code"].is_string(), "{problem}");
    }
    for (path, body, _) in bodies("nobody") {
        post(node.address, path, &[], &body).await.problem(404, "no_such_claim");
    }
    assert!(done().is_none(), "what is refused is not done");
}

#[tokio::test]
async fn a_claim_in_a_path_is_whatever_a_person_calls_it() {
    let node = start().await;
    for (method, path) in [("GET", "/v1/claims/{}/token"), ("POST", "/v1/claims/{}/unlock")] {
        let at = |name: &str| path.replace("{}", name);
        let by_code = send(node.address, method, &at("7K2-M9Q"), &[], b"").await;
        let by_claim = send(node.address, method, &at(&claim()), &[], b"").await;
        assert_eq!((by_code.status, by_code.body), (by_claim.status, by_claim.body), "{path}");
        send(node.address, method, &at("T-4711"), &[], b"").await.problem(409, "ambiguous_claim");
        send(node.address, method, &at("no%20body"), &[], b"").await.problem(404, "no_such_claim");
    }
    assert_eq!(get(node.address, "/v1/claims/7K2-M9Q/door").await.status, 200);
    assert_eq!(get(node.address, "/v1/claims?named=T-4711").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_given_for_a_claim_is_redeemed_as_a_token() {
    let node = start().await;
    for token in ["POPMESH1:X", "POPMESH1:"] {
        let body = json!({"pin": "1234", "claim": token});
        assert_eq!(post(node.address, "/v1/redemptions", &[], &body).await.status, 201);
        let Some(Command::Redeem(Redeem { claim: None, token: Some(text), pin: Some(_) })) =
            node.done.lock().unwrap().pop()
        else {
            panic!()
        };
        assert_eq!(text, token);
    }
    // Elsewhere it names the claim, if it is good.
    assert_eq!(post(node.address, "/v1/refunds", &[], &json!({"claim": "POPMESH1:X"})).await.status, 201);
    let altered = post(node.address, "/v1/refunds", &[], &json!({"claim": "POPMESH1:"})).await;
    assert_eq!(altered.problem(422, "token")["why"], "damaged", "what a page says goes by it");
    // What is wrong with a body is said as ever.
    for body in [
        r#"{"claim":"7K2-M9Q","claim":"7K2-M9Q"}"#,
        r#"{"claim":7}"#,
        r#"{"claim":"7K2-M9Q","more":1}"#,
        "[]",
    ] {
        let headers = [("content-type", "application/json")];
        send(node.address, "POST", "/v1/refunds", &headers, body.as_bytes()).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn carts_change_and_acts_are_taken_back() {
    let node = start().await;
    let (add, remove) = (format!("/v1/carts/{}/items", claim()), format!("/v1/carts/{}/removals", claim()));
    let items = json!({"items": [{"sku": "CAP", "quantity": 2}]});
    for path in [&add, &remove] {
        assert_eq!(post(node.address, path, &[], &items).await.status, 200, "{path}");
    }
    let done: Vec<Command> = node.done.lock().unwrap().drain(..).collect();
    assert!(matches!(&done[..], [Command::CartAdd(..), Command::CartRemove(..)]), "{done:?}");
    post(node.address, &remove, &[], &json!({"items": [{"sku": "CAP", "unit_price": 1}]}))
        .await
        .problem(422, "invalid");
    post(node.address, &add, &[], &json!({"items": [], "drop": "neon"})).await.problem(422, "invalid");

    let act = get(node.address, "/v1/undo").await.json();
    assert_eq!((&act["entry"], &act["kind"]), (&json!(claim()), &json!("product")));
    let key = ("idempotency-key", "undo-1");
    let body = json!({"entry": act["entry"]});
    let undone = post(node.address, "/v1/undo", &[key], &body).await;
    assert_eq!((undone.status, &undone.json()["act"]["entry"]), (200, &act["entry"]));
    let again = post(node.address, "/v1/undo", &[key], &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    post(node.address, "/v1/undo", &[], &json!({})).await.problem(422, "invalid");
}

#[tokio::test]
async fn what_is_not_taken_back_says_why() {
    let entry = claim().parse().unwrap();
    for (refusal, status, code) in [
        (Refusal::NothingToUndo, 404, "nothing_to_undo"),
        (Refusal::NotTheLast { entry, last: entry, what: "sold CAP 1".to_owned() }, 409, "not_the_last"),
        (
            Refusal::CannotUndo { entry, what: "minted".to_owned(), why: "units stay".to_owned() },
            409,
            "cannot_undo",
        ),
    ] {
        let node = refusing(refusal).await;
        let problem: Value =
            post(node.address, "/v1/undo", &[], &json!({"entry": claim()})).await.problem(status, code);
        assert!(problem["detail"].is_string());
    }
}
