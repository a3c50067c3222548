//! Personal data through the API: sealed before it reaches the device, and in no answer.

use popmesh::personal::{self, Sealer};
use popmesh_proto::command::Command;
use popmesh_proto::identity::SecretKey;
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
async fn another_content_under_the_same_key_is_a_conflict_and_the_same_is_told_again() {
    let node = start().await;
    let key = ("idempotency-key", "order-7");
    assert_eq!(post(node.address, "/v1/people", &[key], &opt_in(MARKER)).await.status, 201);
    let again = post(node.address, "/v1/people", &[key], &opt_in(MARKER)).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    // A second shopper's address is not lost under a first one's key: whoever types it is told.
    post(node.address, "/v1/people", &[key], &opt_in("another")).await.problem(409, "key_reused");
    let mut other = opt_in(MARKER);
    other["shopper"] = json!("order-8");
    post(node.address, "/v1/people", &[key], &other).await.problem(409, "key_reused");
    assert_eq!(node.done.lock().unwrap().len(), 1);
    let fresh = ("idempotency-key", "order-8");
    assert_eq!(post(node.address, "/v1/people", &[fresh], &opt_in("another")).await.status, 201);
}

#[test]
fn what_tells_contents_apart_says_nothing_to_who_lacks_a_key() {
    let sealer = |seed: u8| Sealer::new(&charter(), DEVICE, &SecretKey::from_seed(&[seed; 32]));
    let mark = sealer(1).mark(b"a", MARKER);
    assert_eq!(mark, sealer(1).mark(b"a", MARKER));
    for other in [sealer(2).mark(b"a", MARKER), sealer(1).mark(b"b", MARKER), sealer(1).mark(b"a", "x")] {
        assert_ne!(mark, other);
    }
    assert_ne!(sealer(1).mark(b"ab", "c"), sealer(1).mark(b"a", "bc"));
    assert!(!format!("{:?}", sealer(1)).contains("apart"));
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
    let kept = get(node.address, "/v1/people/sealed?limit=5").await.json()["items"].clone();
    assert_eq!((kept[0]["kind"].as_str(), kept[0]["size"].as_u64()), (Some("contact"), Some(256)));
    assert_eq!(kept[0]["sealed"].as_str().map(str::len), Some(344));
    let erased = post(node.address, "/v1/people/erase", &[], &json!({"shopper": "order-7"})).await;
    assert_eq!((erased.status, erased.json()["erased"].as_array().map(Vec::len)), (201, Some(1)));
}
