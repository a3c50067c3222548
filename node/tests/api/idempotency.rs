use serde_json::json;

use crate::double::start;
use crate::wire::{post, send};

const KEY: (&str, &str) = ("idempotency-key", "order-17");

#[tokio::test]
async fn a_retry_under_one_key_gets_the_same_answer_and_does_nothing() {
    let node = start().await;
    let body = json!({"items": [{"sku": "CAP"}], "drop": "neon"});
    let first = post(node.address, "/v1/sales", &[KEY], &body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));

    // Other white space, another order and defaults written out are the same request.
    let same = r#" {"drop":"neon", "tender":"cash", "items":[{"quantity":1,"sku":"CAP"}]} "#;
    let headers = [KEY, ("content-type", "application/json; charset=utf-8")];
    let again = send(node.address, "POST", "/v1/sales", &headers, same.as_bytes()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.body, first.body);
    assert_eq!(node.done.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn one_key_is_for_one_request() {
    let node = start().await;
    let body = json!({"items": [{"sku": "CAP"}]});
    assert_eq!(post(node.address, "/v1/sales", &[KEY], &body).await.status, 201);
    let other = json!({"items": [{"sku": "CAP", "quantity": 2}]});
    post(node.address, "/v1/sales", &[KEY], &other).await.problem(422, "key_reused");
    // The same (empty) body at another path is another request too.
    let opening = ("idempotency-key", "k2");
    assert_eq!(
        send(node.address, "POST", "/v1/carts/01010101010101010101010101010101:9/release", &[opening], b"")
            .await
            .status,
        200
    );
    send(node.address, "POST", "/v1/carts/01010101010101010101010101010101:9/paying", &[opening], b"")
        .await
        .problem(422, "key_reused");
}

#[tokio::test]
async fn without_a_key_each_request_is_done() {
    let node = start().await;
    let body = json!({"items": [{"sku": "CAP"}]});
    for _ in 0..2 {
        assert_eq!(post(node.address, "/v1/sales", &[], &body).await.status, 201);
    }
    assert_eq!(node.done.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn unusable_keys_are_refused_before_anything_is_done() {
    let node = start().await;
    let body = json!({"items": [{"sku": "CAP"}]});
    let long = "k".repeat(256);
    for bad in ["", "with space", "kéy", &long] {
        let answer = post(node.address, "/v1/sales", &[("idempotency-key", bad)], &body).await;
        answer.problem(400, "bad_idempotency_key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    post(node.address, "/v1/sales", &twice, &body).await.problem(400, "bad_idempotency_key");
    assert!(node.done.lock().unwrap().is_empty());
    let longest = "k".repeat(255);
    assert_eq!(post(node.address, "/v1/sales", &[("idempotency-key", &longest)], &body).await.status, 201);
}
