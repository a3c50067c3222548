//! What a token can do beside its scope: keys of its own, requests at once, what is under way when it ends, and what goes
//! out of the device by it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use popmesh::access::{GIVES_CLAIMS, GIVES_UNITS, NewToken, Rights, Scope};
use popmesh::folder::Folder;
use popmesh::runtime::{Call, Events, Handle, Outcome, StoreHealth};
use popmesh_proto::command::Command;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::double::{DEVICE, Double, Inside, OTHER, behind, entry, reply_to, serve_at};
use crate::wire::{Answer, connect, parse, request, send};

const HOUR: Duration = Duration::from_secs(3600);
const KEY: (&str, &str) = ("idempotency-key", "order-17");
const JSON: (&str, &str) = ("content-type", "application/json");

struct Shop {
    node: Double,
    rights: Rights,
    _folder: TempDir,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

async fn shop_of(handle: Handle, inside: Inside) -> Shop {
    let folder = TempDir::new().unwrap();
    let rights = Rights::of(&Folder::new(folder.path()));
    let given = rights.clone();
    let node = serve_at("127.0.0.1:0", None, handle, inside, |api| api.with_rights(given, vec![])).await;
    Shop { node, rights, _folder: folder }
}

async fn shop() -> Shop {
    let (handle, inside) = behind(Arc::new(|command| Ok(reply_to(command))), StoreHealth::Writable);
    shop_of(handle, inside).await
}

impl Shop {
    fn token(&self, scope: Scope) -> NewToken {
        self.rights.make(scope, HOUR, "test", now_ms()).unwrap()
    }

    async fn post(&self, token: &str, path: &str, more: &[(&str, &str)], body: &serde_json::Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [&[("authorization", bearer.as_str()), JSON], more].concat();
        send(self.node.address, "POST", path, &headers, body.to_string().as_bytes()).await
    }
}

#[tokio::test]
async fn keys_are_a_space_for_each_token() {
    let shop = shop().await;
    let (one, other) = (shop.token(Scope::Till).text, shop.token(Scope::Till).text);
    let sale = json!({"items": [{"sku": "CAP"}]});
    let first = shop.post(&one, "/v1/sales", &[KEY], &sale).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    // Another token gets neither the stored reply nor a refusal: the key is its own.
    let second = shop.post(&other, "/v1/sales", &[KEY], &sale).await;
    assert_eq!((second.status, second.header("idempotency-replayed")), (201, None));
    let two = json!({"items": [{"sku": "CAP", "quantity": 2}]});
    shop.post(&other, "/v1/sales", &[KEY], &two).await.problem(422, "key_reused");
    let owner = send(shop.node.address, "POST", "/v1/sales", &[KEY, JSON], two.to_string().as_bytes()).await;
    assert_eq!((owner.status, owner.header("idempotency-replayed")), (201, None));
    for token in [&one, &other] {
        let again = shop.post(token, "/v1/sales", &[KEY], &sale).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    }
    assert_eq!(shop.node.done.lock().unwrap().len(), 3);
}

/// What lets a runtime answer.
type Open = Arc<(Mutex<bool>, Condvar)>;

/// A runtime that answers nothing until it is let, and how many calls it has.
fn stalled() -> (Handle, Inside, Open, watch::Receiver<usize>) {
    let (calls, mut inbox) = mpsc::channel(1_024);
    let events = Events::in_memory(DEVICE);
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::clone(&open);
    let done: Arc<Mutex<Vec<Command>>> = Arc::default();
    let seen = Arc::clone(&done);
    let (count, counted) = watch::channel(0);
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        while let Some(call) = inbox.blocking_recv() {
            waiting.push(call);
            count.send_modify(|count| *count += 1);
            if !*gate.0.lock().unwrap() {
                continue;
            }
            for call in waiting.drain(..) {
                if let Call::Command { command, outcome, .. } = call {
                    seen.lock().unwrap().push(command.clone());
                    let _ = outcome.send(Ok(Outcome { reply: reply_to(&command), repeated: false }));
                }
            }
        }
    });
    let inside = Inside { events: events.clone(), done, queries: Arc::default() };
    (Handle::new(calls, events), inside, open, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_requests_at_once_and_the_owner_is_answered_beside_them() {
    let (handle, inside, open, _) = stalled();
    let shop = shop_of(handle, inside).await;
    let (one, other) = (shop.token(Scope::Till).text, shop.token(Scope::Till).text);
    let sale = br#"{"items":[{"sku":"CAP"}]}"#;
    let to = shop.node.address;
    let talk = |token: &str| {
        let bearer = format!("Bearer {token}");
        let mut stream = connect(to);
        stream
            .write_all(&request(to, "POST", "/v1/sales", &[("authorization", &bearer), JSON], sale))
            .unwrap();
        stream
    };
    let answer = |mut stream: std::net::TcpStream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        parse(&bytes)
    };
    let mut streams: Vec<_> = (0..17).map(|_| talk(&one)).collect();
    // One of them is one too many: which, nobody can say.
    let refused = streams.iter().position(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.peek(&mut [0]).is_ok()
    });
    let refused = streams.remove(refused.expect("none of 17 was refused"));
    answer(refused).problem(429, "too_many_at_once");
    let (beside, own) = (talk(&other), send(to, "GET", "/v1/openapi.json", &[], b"").await);
    assert_eq!(own.status, 200);
    *open.0.lock().unwrap() = true;
    let last = talk(&other);
    for stream in streams.into_iter().chain([beside, last]) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(answer(stream).status, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_with_its_token() {
    let (handle, inside, _open, mut calls) = stalled();
    let shop = shop_of(handle, inside).await;
    let sale = json!({"items": [{"sku": "CAP"}], "wait_ms": 60_000});
    let revoked = shop.token(Scope::Till);
    let revoke = async {
        calls.wait_for(|calls| *calls >= 1).await.unwrap();
        shop.rights.revoke(revoked.id, now_ms()).unwrap();
    };
    // Nothing ever answers here but the end of the token.
    let (first, ()) = tokio::join!(shop.post(&revoked.text, "/v1/sales", &[], &sale), revoke);
    let said = first.problem(401, "token_revoked");
    assert!(said["detail"].as_str().unwrap().contains("not known"), "{said}");
    let ending = shop.rights.make(Scope::Till, Duration::from_secs(2), "short", now_ms()).unwrap();
    shop.post(&ending.text, "/v1/sales", &[], &sale).await.problem(401, "token_ended");
}

#[tokio::test]
async fn a_lesser_token_gives_one_thing_at_a_time_and_not_in_a_loop() {
    let shop = shop().await;
    let (drop, sku) = ("neon", "CAP");
    let units = |units: serde_json::Value| json!({"drop": drop, "sku": sku, "units": units});
    let moved = |of: serde_json::Value| {
        let mut body = units(of);
        body["place"] = json!("stall-9");
        body
    };
    let claim = entry(9).to_string();
    let give = json!({"claim": claim, "to": OTHER});
    for scope in [Scope::Till, Scope::Locker] {
        let token = shop.token(scope).text;
        for many in [json!({"count": 2}), json!({"serials": "1-40"})] {
            shop.post(&token, "/v1/damage", &[], &units(many.clone())).await.problem(403, "one_at_a_time");
            shop.post(&token, "/v1/moves", &[], &moved(many)).await.problem(403, "one_at_a_time");
        }
        shop.node.done.lock().unwrap().clear();
        let mut last = BTreeMap::new();
        for number in 0..3 * (GIVES_CLAIMS + 5) {
            let (path, body) = match number % 3 {
                0 => ("/v1/damage", units(json!({"count": 1}))),
                1 => ("/v1/moves", moved(json!({"serials": "7"}))),
                _ => ("/v1/custody", give.clone()),
            };
            last.insert(path, shop.post(&token, path, &[], &body).await);
        }
        let done = shop.node.done.lock().unwrap().len();
        assert_eq!(done, (GIVES_UNITS + GIVES_CLAIMS) as usize, "{scope}");
        for answer in last.values() {
            let wait = answer.problem(429, "gives_too_much")["retry_after_s"].as_u64().unwrap();
            assert!((1..=61).contains(&wait), "{wait}");
        }
        // What comes here takes nothing away.
        let fetch = json!({"claim": claim, "to": DEVICE});
        assert_eq!(shop.post(&token, "/v1/custody", &[], &fetch).await.status, 201);
    }
    let manager = shop.token(Scope::Manager).text;
    for _ in 0..2 * GIVES_CLAIMS {
        let answer = shop.post(&manager, "/v1/damage", &[], &units(json!({"count": 40}))).await;
        assert_eq!(answer.status, 201);
    }
}

#[tokio::test]
async fn who_answers_for_the_device_unlocks_at_once_and_a_till_does_not() {
    let shop = shop().await;
    let path = format!("/v1/claims/{}/unlock", entry(9));
    for (scope, at_once) in [(Some(Scope::Till), false), (Some(Scope::Manager), true), (None, true)] {
        let bearer = scope.map(|scope| format!("Bearer {}", shop.token(scope).text));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        assert_eq!(send(shop.node.address, "POST", &path, &headers, b"").await.status, 200);
        let done = shop.node.done.lock().unwrap().pop();
        assert!(matches!(&done, Some(Command::Unlock(unlock)) if unlock.at_once == at_once), "{done:?}");
    }
    let locker = shop.token(Scope::Locker).text;
    shop.post(&locker, &path, &[], &json!({})).await.problem(403, "wrong_scope");
}

#[tokio::test]
async fn no_other_spelling_of_a_route_gets_past_its_scope() {
    let shop = shop().await;
    let token = shop.token(Scope::Till).text;
    let leave = json!({"device": DEVICE, "units": 3, "claims": 1});
    for path in
        ["/v1/leave", "/v1/leave/", "//v1/leave", "/v1/%6ceave", "/v1/./leave", "/V1/LEAVE", "/v1/leave?a=b"]
    {
        let answer = shop.post(&token, path, &[], &leave).await;
        assert!([403, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    for header in
        ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"]
    {
        let value = if header.ends_with("url") { "/v1/leave" } else { "POST" };
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), (header, value)];
        send(shop.node.address, "GET", "/v1/leave", &headers, b"").await.problem(403, "wrong_scope");
        send(shop.node.address, "GET", "/v1/status", &headers, b"").await;
    }
    for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"] {
        let bearer = format!("Bearer {token}");
        let answer = send(shop.node.address, method, "/v1/leave", &[("authorization", &bearer)], b"").await;
        assert_eq!(answer.status, 403, "{method}");
    }
    assert!(shop.node.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_takes_no_body_refuses_every_body() {
    let shop = shop().await;
    let to = shop.node.address;
    for path in [
        "/v1/carts/01010101010101010101010101010101:9/release",
        "/v1/carts/01010101010101010101010101010101:9/paying",
    ] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"] {
            for body in [&b""[..], b"{}", b"a=b"] {
                send(to, "POST", path, &[("content-type", kind)], body).await.problem(415, "not_json");
            }
        }
        for body in [&b"{\"a\":1}"[..], b"x", b"[]"] {
            send(to, "POST", path, &[JSON], body).await.problem(422, "invalid");
        }
    }
    send(to, "GET", "/v1/status", &[JSON], b"{}").await.problem(422, "invalid");
    assert!(shop.node.done.lock().unwrap().is_empty());
    for (headers, body) in [(&[][..], &b""[..]), (&[][..], b"{}"), (&[JSON][..], b"{}"), (&[JSON][..], b"")] {
        assert_eq!(
            send(to, "POST", "/v1/carts/01010101010101010101010101010101:9/release", headers, body)
                .await
                .status,
            200
        );
    }
}
