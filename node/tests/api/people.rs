//! Personal data through the API: sealed before it reaches the device, and in no answer.

use popmesh::personal;
use popmesh_proto::command::Command;
use serde_json::{Value, json};

use crate::double::{DEVICE, charter, organiser, start};
use crate::wire::{get, post};

const MARKER: &str = "mia-7f3a9c21@example.org";

fn opt_in(content: &str) -> Value {
    let consent = json!({"text": "news of the next drop", "version": "2"});
    json!({"kind": "opt_in", "shopper": "order-7", "consent": consent, "content": content})
}

#[tokio::test]
async fn the_device_gets_it_sealed_to_the_organiser() {
    let node = start().await;
    let answer = post(node.address, "/v1/people", &[], &opt_in(MARKER)).await;
    assert_eq!(answer.status, 201);
    assert!(!String::from_utf8_lossy(&answer.body).contains(MARKER));
    let done = node.done.lock().unwrap().pop().unwrap();
    assert!(!format!("{done:?}").contains(MARKER));
    let Command::PersonalAdd(add) = done else { panic!("{done:?}") };
    assert!(!add.sealed.windows(8).any(|window| window == &MARKER.as_bytes()[..8]));
    let opened = personal::open(&organiser(), &charter().event(), &DEVICE, add.kind, &add.sealed);
    assert_eq!(opened.unwrap().as_str(), MARKER);
}

#[tokio::test]
async fn nothing_of_the_content_is_kept_under_the_idempotency_key() {
    let node = start().await;
    let key = ("idempotency-key", "order-7");
    assert_eq!(post(node.address, "/v1/people", &[key], &opt_in(MARKER)).await.status, 201);
    // A hash of it could be guessed at: the content makes no other request of it.
    let again = post(node.address, "/v1/people", &[key], &opt_in("another")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    let mut other = opt_in(MARKER);
    other["shopper"] = json!("order-8");
    post(node.address, "/v1/people", &[key], &other).await.problem(422, "key_reused");
}

#[tokio::test]
async fn what_cannot_be_is_refused_without_being_shown() {
    let node = start().await;
    let marked = format!("{MARKER}\u{1b}[2J");
    for content in ["", "  \n", &marked, &"x".repeat(personal::MAX_CONTENT + 1)] {
        let answer = post(node.address, "/v1/people", &[], &opt_in(content)).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains(MARKER));
        assert_eq!(answer.problem(422, "invalid")["field"], "content");
    }
    let mut unknown = opt_in(MARKER);
    unknown["email"] = json!(1);
    post(node.address, "/v1/people", &[], &unknown).await.problem(422, "invalid");
    assert!(node.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_kept_comes_out_sealed() {
    let node = start().await;
    let kept = get(node.address, "/v1/people/sealed?limit=5").await.json();
    assert_eq!((kept[0]["kind"].as_str(), kept[0]["size"].as_u64()), (Some("contact"), Some(256)));
    assert_eq!(kept[0]["sealed"].as_str().map(str::len), Some(344));
    let erased = post(node.address, "/v1/people/erase", &[], &json!({"shopper": "order-7"})).await;
    assert_eq!((erased.status, erased.json()["erased"].as_array().map(Vec::len)), (201, Some(1)));
}
