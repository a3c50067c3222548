//! The API as a byte stream: whatever a caller sends on a connection, before HTTP/1.1 was read, goes through the server,
//! the guard and the handlers to a device.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use popmesh::access::{Rights, Scope};
use popmesh::api::{Api, MeshSnapshot, MeshView, PROBLEM_JSON};
use popmesh::folder::Folder;
use popmesh::fuzzed::api::Server;
use popmesh::personal::Sealer;
use popmesh::runtime::{Call, Events, Handle, Outcome, StoreHealth};
use popmesh_proto::fact::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::Target;
use crate::event::event;
use crate::node::Node;
use crate::targets::device::LATER_MS;

pub(crate) const TARGET: Target = Target {
    name: "http",
    what: "what callers of the API send on a connection: on the host itself, and from elsewhere with a token or none",
    run,
    seeds,
    most_bytes: 4 * 1024,
};

/// In the bytes these stand for tokens, which are random: the owner's, and one of each scope.
const OWNER: &str = "@owner";
/// How often nothing may happen before a connection counts as idle.
const IDLE_TURNS: usize = 16;
/// More turns than any connection of so few bytes needs.
const MOST_TURNS: usize = 20_000;
/// More bytes than all answers to so few bytes have; the description of the API is the longest.
const MOST_ANSWERED: usize = 64 << 20;
const PIPE_BYTES: usize = 64 * 1024;

/// Nobody is linked.
struct NoMesh;

impl MeshView for NoMesh {
    fn snapshot(&self) -> BoxFuture<'_, Option<MeshSnapshot>> {
        Box::pin(async { Some(MeshSnapshot::default()) })
    }

    fn set_links(&self, _: bool) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// The server of one device, whose calls are answered by whoever drives it.
struct Served {
    runtime: Runtime,
    server: Server,
    calls: mpsc::Receiver<Call>,
    events: Events,
    tokens: Vec<(String, String)>,
    /// Connections so far: each comes from an address of its own, or those with bad tokens would shut out the others.
    callers: u32,
}

impl Served {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("popmesh-fuzz-{}", std::process::id()));
        let folder = Folder::new(folder);
        let rights = Rights::of(&folder);
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let mut tokens = Vec::new();
        for scope in Scope::ALL {
            let made = rights.make(scope, Duration::from_secs(86_400), "fuzz", now_ms as u64).unwrap();
            tokens.push((format!("@{scope}"), made.text));
        }
        let (rights, owner) = rights.with_owner().unwrap();
        tokens.push((OWNER.to_owned(), owner));
        let (calls, inbox) = mpsc::channel(16);
        let till = event().till.id();
        let events = Events::in_memory(till);
        let handle = Handle::new(calls, events.clone());
        let api = Api::new(till, handle, Arc::new(NoMesh), Arc::default())
            .with_sealer(Sealer::new(&event().charter, till, &event().till.secret))
            .with_rights(rights, vec!["till.local".to_owned()]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, server: Server::new(&api), calls: inbox, events, tokens, callers: 0 }
    }

    /// Says `bytes` on a connection, and returns what came back until nothing more did.
    fn say(&mut self, bytes: &[u8], from_elsewhere: bool) -> Vec<u8> {
        self.callers += 1;
        let (peer, local): (IpAddr, IpAddr) = if from_elsewhere {
            ((0x0a00_0000 + self.callers % 0x0100_0000).to_be_bytes().into(), [192, 168, 0, 7].into())
        } else {
            ([127, 0, 0, 1].into(), [127, 0, 0, 1].into())
        };
        let Self { runtime, server, calls, events, .. } = self;
        runtime.block_on(async {
            let (mut near, far) = duplex(PIPE_BYTES);
            let server = server.clone();
            let serving = tokio::spawn(async move { server.serve(far, peer, local, from_elsewhere).await });
            // The pipe takes all of it at once.
            near.write_all(bytes).await.expect("a caller can send");
            let mut node = None;
            let mut answered = Vec::new();
            hear(&mut near, calls, &mut node, &mut answered).await;
            near.shutdown().await.expect("a caller can hang up");
            hear(&mut near, calls, &mut node, &mut answered).await;
            // A caller that has gone leaves nothing behind: no task, and no call that waits for ever.
            drop(near);
            for turn in 0..MOST_TURNS {
                if serving.is_finished() {
                    break;
                }
                answer(calls, &mut node);
                if turn % IDLE_TURNS == 0 {
                    // Behind further bytes the end of a stream is seen when something is written to it.
                    events.signal(Signal::Unreachable { device: event().mole.id(), name: "mole".to_owned() });
                }
                tokio::task::yield_now().await;
            }
            if !serving.is_finished() && bytes.windows(7).any(|part| part == b"wait_ms") {
                // It may be waited for a door for seconds, which do not pass here.
                serving.abort();
                return answered;
            }
            let said = || String::from_utf8_lossy(bytes);
            assert!(serving.is_finished(), "a caller has gone, and is still served: {}", said());
            serving.await.expect("serving a connection does not panic");
            if let Some(mut node) = node {
                node.assert_sound();
            }
            answered
        })
    }
}

/// Takes what comes, and answers what the handlers ask the device, until nothing more happens.
async fn hear(
    near: &mut DuplexStream,
    calls: &mut mpsc::Receiver<Call>,
    node: &mut Option<Node>,
    answered: &mut Vec<u8>,
) {
    let mut part = vec![0; PIPE_BYTES];
    let mut idle = 0;
    for _ in 0..MOST_TURNS {
        let called = answer(calls, node);
        let read = futures::poll!(std::pin::pin!(near.read(&mut part)));
        match read {
            std::task::Poll::Ready(Ok(0) | Err(_)) => return,
            std::task::Poll::Ready(Ok(count)) => {
                answered.extend_from_slice(&part[..count]);
                assert!(answered.len() <= MOST_ANSWERED, "{} bytes of answers", answered.len());
                idle = 0;
            }
            std::task::Poll::Pending if called => idle = 0,
            std::task::Poll::Pending => idle += 1,
        }
        if idle > IDLE_TURNS {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("a connection that never comes to rest");
}

/// Answers all calls that wait. Whether there were any.
fn answer(calls: &mut mpsc::Receiver<Call>, node: &mut Option<Node>) -> bool {
    let mut any = false;
    while let Ok(call) = calls.try_recv() {
        any = true;
        let node = node.get_or_insert_with(|| Node::open(event(), &event().till, &event().evening, LATER_MS));
        // Who asked may have gone.
        match call {
            Call::Command { command, outcome, .. } => {
                let done = node.command(command).map(|reply| Outcome { reply, repeated: false });
                drop(outcome.send(done.map_err(Into::into)));
            }
            Call::Query { query, answer } => drop(answer.send(node.query(query))),
            Call::Health { answer } => drop(answer.send(StoreHealth::Writable)),
        }
    }
    any
}

thread_local! {
    static SERVED: RefCell<Option<Served>> = const { RefCell::new(None) };
}

/// Whether the caller is on the host itself, and what it sends.
fn run(bytes: &[u8]) {
    let Some((from, bytes)) = bytes.split_first() else { return };
    SERVED.with_borrow_mut(|served| {
        let served = served.get_or_insert_with(Served::new);
        let mut bytes = bytes.to_vec();
        for (name, token) in &served.tokens {
            while let Some(at) = bytes.windows(name.len()).position(|part| part == name.as_bytes()) {
                bytes.splice(at..at + name.len(), token.bytes());
            }
        }
        // Empty lines before a request are passed over.
        let heads = bytes.trim_ascii_start().starts_with(b"HEAD ");
        check(&served.say(&bytes, from % 2 == 1), heads);
    });
}

/// What must hold of what came back: whole answers, none of them a failure of the node's own, and problems in words.
fn check(answered: &[u8], heads: bool) {
    if answered.is_empty() {
        return;
    }
    let end = answered.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head, or nothing");
    let head = std::str::from_utf8(&answered[..end]).expect("heads are text").to_lowercase();
    let body = &answered[end + 4..];
    let status: u16 = head
        .strip_prefix("http/1.1 ")
        .or_else(|| head.strip_prefix("http/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .expect("a status");
    assert!(status < 500 || matches!(status, 503 | 504), "{head}");
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(length) = field("content-length:") {
        let length: usize = length.parse().expect("a length");
        assert!(heads || body.len() >= length, "{length} bytes were promised, and {} came", body.len());
        if !heads && field("content-type:") == Some(PROBLEM_JSON) {
            let problem: serde_json::Value = serde_json::from_slice(&body[..length]).expect("JSON");
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let till = event().till.id();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:7401\r\ncontent-type: application/json\r\nidempotency-key: k1\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let elsewhere = |token: &str, rest: &str| {
        format!("GET /v1/status HTTP/1.1\r\nhost: 192.168.0.7\r\nauthorization: Bearer {token}\r\n{rest}\r\n")
    };
    let here = [
        get("/v1/status"),
        get("/v1/stock?sku=shirt"),
        get("/v1/claims?state=issued&limit=3"),
        get("/v1/peers"),
        get("/v1/health"),
        get("/metrics"),
        get("/v1/events"),
        get("/v1/export"),
        get("/nothing"),
        post("/v1/sales", r#"{"items":[{"sku":"shirt","quantity":1}],"drop":"night","wait_ms":0}"#),
        post("/v1/transfers", &format!(r#"{{"drop":"night","sku":"shirt","units":{{"count":2}},"to":"{till}"}}"#)),
        post("/v1/people", r#"{"kind":"contact","content":"a@example.org","consent":"newsletter"}"#),
        // Two at once, and one in parts.
        format!("{}{}", get("/v1/status"), get("/v1/doors")),
        "POST /v1/sales HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\n{\"ite\r\n8\r\nms\":[]}\n\r\n0\r\n\r\n"
            .to_owned(),
        "\r\n\r\nHEAD /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_owned(),
        "HEAD /v1/status HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n".to_owned(),
        "GET /v1/status HTTP/1.0\r\nhost: localhost\r\norigin: http://evil.example\r\n\r\n".to_owned(),
        format!("GET /v1/status HTTP/1.1\r\nhost: localhost\r\npopmesh-device: {till}\r\nsec-fetch-site: none\r\n\r\n"),
    ];
    let there = [
        elsewhere("none", ""),
        elsewhere(OWNER, "origin: https://192.168.0.7\r\n"),
        elsewhere("@till", ""),
        elsewhere("@read-only", ""),
        "POST /v1/drops/night/steps HTTP/1.1\r\nhost: till.local\r\nauthorization: Bearer @encoder\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"step\":\"open\"}"
            .to_owned(),
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned(),
    ];
    let seed = |from: u8| move |text: &String| [&[from], text.as_bytes()].concat();
    here.iter().map(seed(0)).chain(there.iter().map(seed(1))).collect()
}
