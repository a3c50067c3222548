//! The API as callers from elsewhere see it: TLS, tokens, scopes, and the limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh::access::{Authority, FAILURES, Reach, Reached, Rights, Scope, Trusted, fingerprint};
use popmesh::folder::Folder;
use popmesh::runtime::StoreHealth;
use popmesh_proto::fact::Fact;
use popmesh_proto::identity::SecretKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::double::{DEVICE, Double, behind, reply_to, serve_at};
use crate::wire::{Answer, connect, parse, request, send};

const HOUR: Duration = Duration::from_secs(3600);
const SALE: &[u8] = br#"{"items":[{"sku":"CAP"}]}"#;

/// An API behind TLS, and a client's trust in it.
pub(crate) struct Guarded {
    pub(crate) node: Double,
    rights: Rights,
    owner: String,
    client: Arc<ClientConfig>,
    _folder: TempDir,
}

pub(crate) async fn guarded() -> Guarded {
    let dir = TempDir::new().unwrap();
    let folder = Folder::new(dir.path());
    let authority = Authority::open(&folder, &SecretKey::from_seed(&[7; 32])).unwrap();
    let (rights, owner) = Rights::of(&folder).with_owner().unwrap();
    let tls = authority.server(&["127.0.0.1".parse().unwrap()], &["localhost".to_owned()], now_ms()).unwrap();
    let (handle, inside) = behind(Arc::new(|command| Ok(reply_to(command))), StoreHealth::Writable);
    let given = rights.clone();
    let reached = Reached {
        listens: "0.0.0.0:7443".parse().unwrap(),
        by: Reach { addresses: vec!["192.0.2.7".parse().unwrap()], names: vec!["till-1.local".to_owned()] },
        certificate: Some(Trusted::of(&authority)),
    };
    let shape = |api: popmesh::api::Api| api.with_rights(given, vec![]).with_reached(reached);
    let node = serve_at("127.0.0.1:0", Some(tls), handle, inside, shape).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Guarded { node, rights, owner, client: Arc::new(client), _folder: dir }
}

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn talk(to: SocketAddr, client: Arc<ClientConfig>, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(client, name).unwrap(), connect(to))
}

impl Guarded {
    pub(crate) fn token(&self, scope: Scope) -> String {
        self.rights.make(scope, HOUR, "test", now_ms()).unwrap().text
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let bytes = request(self.node.address, method, path, headers, body);
        let (to, client) = (self.node.address, Arc::clone(&self.client));
        let exchange = tokio::task::spawn_blocking(move || {
            let mut stream = talk(to, client, "127.0.0.1");
            stream.write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        });
        parse(&exchange.await.unwrap())
    }

    async fn with(&self, token: &str, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, if method == "GET" { b"" } else { SALE }).await
    }
}

#[tokio::test]
async fn without_a_good_token_nobody_is_answered() {
    let api = guarded().await;
    let answer = api.send("GET", "/v1/status", &[], b"").await;
    answer.problem(401, "token_needed");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"popmesh\""));
    api.send("GET", "/v1/nothing", &[], b"").await.problem(401, "token_needed");
    let made = api.rights.make(Scope::ReadOnly, HOUR, "test", now_ms()).unwrap();
    assert_eq!(api.with(&made.text, "GET", "/v1/status").await.status, 200);
    let cut = &made.text[..made.text.len() - 1];
    for wrong in [&format!("{cut}!"), cut, "x"] {
        api.with(wrong, "GET", "/v1/status").await.problem(401, "unknown_token");
    }
    for header in ["Basic YTpi", "Bearer", &made.text] {
        api.send("GET", "/v1/status", &[("authorization", header)], b"").await.problem(401, "unknown_token");
    }
    let ended = api.rights.make(Scope::ReadOnly, HOUR, "old", now_ms() - 2 * 3_600_000).unwrap();
    api.with(&ended.text, "GET", "/v1/status").await.problem(401, "token_ended");
    api.rights.revoke(made.id, now_ms()).unwrap();
    api.with(&made.text, "GET", "/v1/status").await.problem(401, "token_revoked");
    assert!(api.node.queries.lock().unwrap().len() == 1, "only the good one was asked");
}

#[tokio::test]
async fn each_scope_gets_what_is_its_own_and_no_more() {
    let api = guarded().await;
    let (seen, sell) = (("GET", "/v1/status"), ("POST", "/v1/sales"));
    let (books, log) = (("GET", "/v1/takings"), ("GET", "/v1/log"));
    let (door, drop) = (("POST", "/v1/doors/open"), ("POST", "/v1/drops/neon/steps"));
    let (claim, retire) =
        (("GET", "/v1/claims/01010101010101010101010101010101:9/token"), ("POST", "/v1/retirements"));
    let (leave, past) = (("POST", "/v1/leave"), ("POST", "/v1/past/acceptance"));
    let (sweep, give) = (("POST", "/v1/sweeps"), ("POST", "/v1/transfers"));
    let unlock = ("POST", "/v1/claims/01010101010101010101010101010101:9/unlock");
    let all = [seen, sell, books, log, door, drop, claim, retire, leave, past, sweep, give, unlock];
    for (scope, allowed) in [
        (Scope::Till, &[seen, sell, books, claim, unlock][..]),
        (Scope::Manager, &[seen, sell, books, log, door, claim, leave, past, sweep, give, unlock]),
        (Scope::Locker, &[seen, door]),
        (Scope::Encoder, &[seen, drop]),
        (Scope::ReadOnly, &[seen, books, log]),
    ] {
        let token = api.token(scope);
        for (method, path) in all {
            let answer = api.with(&token, method, path).await;
            if allowed.contains(&(method, path)) {
                assert!(![401, 403, 429].contains(&answer.status), "{scope} {path}: {answer:?}");
            } else {
                let problem = answer.problem(403, "wrong_scope");
                assert_eq!(problem["scope"], json!(scope), "{path}");
                assert!(problem["detail"].as_str().unwrap().contains("this"), "{problem}");
            }
        }
    }
    for (method, path) in all {
        let answer = api.with(&api.owner, method, path).await;
        assert!(![401, 403, 429].contains(&answer.status), "owner {path}: {answer:?}");
    }
    let sold =
        api.node.done.lock().unwrap().iter().filter(|done| format!("{done:?}").starts_with("Sell")).count();
    assert_eq!(sold, 3, "the till's, the manager's and the owner's");
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_before_the_token_is_looked_at() {
    let api = guarded().await;
    let token = format!("Bearer {}", api.token(Scope::ReadOnly));
    let bearer = ("authorization", token.as_str());
    for host in ["evil.example", "192.0.2.7", "127.0.0.1@evil.example"] {
        api.send("GET", "/v1/status", &[bearer, ("host", host)], b"").await.problem(403, "foreign_host");
    }
    let own = format!("https://{}", api.node.address);
    let plain = format!("http://{}", api.node.address);
    assert_eq!(api.send("GET", "/v1/status", &[bearer, ("origin", &own)], b"").await.status, 200);
    for origin in ["https://evil.example", "null", &plain] {
        api.send("POST", "/v1/sales", &[bearer, ("origin", origin)], SALE)
            .await
            .problem(403, "foreign_origin");
    }
    let cross = ("sec-fetch-site", "cross-site");
    api.send("GET", "/v1/status", &[bearer, cross], b"").await.problem(403, "foreign_origin");
    assert!(api.node.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_many_bad_tokens_shut_an_address_out() {
    let api = guarded().await;
    let good = api.token(Scope::ReadOnly);
    for _ in 0..FAILURES {
        api.with("popmesh_guess", "GET", "/v1/status").await.problem(401, "unknown_token");
    }
    let shut = api.with(&good, "GET", "/v1/status").await;
    shut.problem(429, "too_many_failures");
    let wait: u64 = shut.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
}

#[tokio::test]
async fn one_token_cannot_ask_without_end() {
    let api = guarded().await;
    let token = format!("Bearer {}", api.token(Scope::ReadOnly));
    let (to, client) = (api.node.address, Arc::clone(&api.client));
    let bytes = request(to, "GET", "/v1/nothing", &[("authorization", &token)], b"");
    let one = String::from_utf8(bytes).unwrap().replace("connection: close\r\n", "");
    // One connection and many requests at once, so that the pace is that of the device and not of the test.
    let refused = tokio::task::spawn_blocking(move || {
        let mut stream = talk(to, client, "127.0.0.1");
        let mut said = String::new();
        let mut buffer = [0; 16 * 1024];
        for _ in 0..20 {
            stream.write_all(one.repeat(300).as_bytes()).unwrap();
            said.clear();
            while said.matches("HTTP/1.1 ").count() < 300 {
                let count = stream.read(&mut buffer).unwrap();
                assert_ne!(count, 0, "it hung up");
                said.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
            if said.contains("HTTP/1.1 429") && said.contains("too_many_requests") {
                return true;
            }
        }
        false
    });
    assert!(refused.await.unwrap());
}

#[tokio::test]
async fn what_is_not_tls_or_not_trusted_gets_nowhere() {
    let api = guarded().await;
    send(api.node.address, "GET", "/v1/status", &[], b"").await.problem(400, "not_tls");
    let (to, client) = (api.node.address, Arc::clone(&api.client));
    let stranger =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
    tokio::task::spawn_blocking(move || {
        assert!(talk(to, Arc::new(stranger), "127.0.0.1").write_all(b"GET").is_err(), "an unknown authority");
        assert!(talk(to, Arc::clone(&client), "127.0.0.2").write_all(b"GET").is_err(), "another address");
        assert!(talk(to, client, "localhost").write_all(b"GET").is_ok());
        // Bytes that are no handshake end the connection.
        let mut stream = connect(to);
        stream.write_all(&[0x16, 3, 1, 0xff, 0xff, 0, 0, 0]).unwrap();
        stream.write_all(&[0; 70_000]).ok();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "it was answered: {rest:?}");
    })
    .await
    .unwrap();
    assert!(api.node.queries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn heads_are_bounded() {
    let api = guarded().await;
    let token = format!("Bearer {}", api.token(Scope::ReadOnly));
    let long = "x".repeat(40 * 1024);
    let answer = api.send("GET", "/v1/status", &[("authorization", &token), ("x-long", &long)], b"").await;
    assert_eq!(answer.status, 431);
    let many: Vec<(&str, &str)> = std::iter::repeat_n(("x-many", "1"), 100).collect();
    assert_eq!(api.send("GET", "/v1/status", &many, b"").await.status, 431);
}

#[tokio::test]
async fn events_end_with_the_token_that_opened_them() {
    let api = guarded().await;
    let made = api.rights.make(Scope::ReadOnly, HOUR, "screen", now_ms()).unwrap();
    let bearer = format!("Bearer {}", made.text);
    let bytes = request(api.node.address, "GET", "/v1/events", &[("authorization", &bearer)], b"");
    let (to, client) = (api.node.address, Arc::clone(&api.client));
    let (listening, listens) = tokio::sync::oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || {
        let mut stream = talk(to, client, "127.0.0.1");
        stream.write_all(&bytes).unwrap();
        let mut said = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&said).contains("listening") {
            let count = stream.read(&mut buffer).unwrap();
            said.extend_from_slice(&buffer[..count]);
        }
        listening.send(()).unwrap();
        // Until it ends, or says what it should not.
        while !String::from_utf8_lossy(&said).contains("event:") {
            match stream.read(&mut buffer).unwrap() {
                0 => break,
                count => said.extend_from_slice(&buffer[..count]),
            }
        }
        String::from_utf8(said).unwrap()
    });
    listens.await.unwrap();
    api.rights.revoke(made.id, now_ms()).unwrap();
    // It ends by itself, without anything to tell, and tells nothing more.
    let said = reader.await.unwrap();
    assert!(!said.contains("event:"), "{said}");
}

#[tokio::test]
async fn on_loopback_a_token_is_not_needed_but_a_bad_one_is_refused() {
    let dir = TempDir::new().unwrap();
    let rights = Rights::of(&Folder::new(dir.path()));
    let made = rights.make(Scope::ReadOnly, HOUR, "screen", now_ms()).unwrap();
    let (handle, inside) = behind(Arc::new(|command| Ok(reply_to(command))), StoreHealth::Writable);
    let node = serve_at("127.0.0.1:0", None, handle, inside, |api| api.with_rights(rights, vec![])).await;
    assert_eq!(send(node.address, "GET", "/v1/status", &[], b"").await.status, 200);
    let good = format!("Bearer {}", made.text);
    assert_eq!(send(node.address, "GET", "/v1/status", &[("authorization", &good)], b"").await.status, 200);
    let json = ("content-type", "application/json");
    send(node.address, "POST", "/v1/sales", &[("authorization", &good), json], SALE)
        .await
        .problem(403, "wrong_scope");
    for _ in 0..=FAILURES {
        let answer = send(node.address, "GET", "/v1/status", &[("authorization", "Bearer x")], b"").await;
        answer.problem(401, "unknown_token");
    }
}

#[tokio::test]
async fn a_token_hears_of_what_it_may_ask_for_and_goes_on_behind_the_rest() {
    let api = guarded().await;
    let (claim, drop) = (crate::double::entry(9), "neon".parse().unwrap());
    let (by, by_name) = (DEVICE, "till-1".to_owned());
    let redeemed =
        Fact::Redeemed { at_ms: 1, entry: claim, claim, drop, by, by_name: by_name.clone(), items: vec![] };
    let changed = |at_ms| Fact::ProgrammeChanged { at_ms, entry: claim, by, by_name: by_name.clone() };
    api.node.events.tell(vec![changed(1), redeemed, changed(2)]).unwrap();
    for (scope, kinds) in [
        (Scope::Till, &["programme_changed", "redeemed", "programme_changed"][..]),
        (Scope::Encoder, &["programme_changed", "programme_changed"]),
    ] {
        let bearer = format!("Bearer {}", api.rights.make(scope, HOUR, "app", now_ms()).unwrap().text);
        let headers = [("authorization", &*bearer), ("accept", "application/json")];
        let page = api.send("GET", "/v1/events", &headers, b"").await.json();
        let heard: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["data"]["event"].as_str().unwrap())
            .collect();
        assert_eq!(heard, kinds, "{scope}");
        let last = page["items"][kinds.len() - 1]["id"].as_str().unwrap();
        assert!(last.ends_with(":3"), "{last}");
    }
}

#[tokio::test]
async fn the_owner_gets_what_a_tablet_has_to_trust_and_nobody_else_does() {
    let api = guarded().await;
    let get = |path| api.with(&api.owner, "GET", path);
    let access = get("/v1/access").await.json();
    assert_eq!(access["urls"], json!(["https://till-1.local:7443", "https://192.0.2.7:7443"]));
    let pem = get("/v1/access/certificate.pem").await;
    assert_eq!((pem.status, pem.header("content-type")), (200, Some("application/x-pem-file")));
    assert!(pem.header("content-disposition").unwrap().contains(".pem"), "{pem:?}");
    let certificate = CertificateDer::from_pem_slice(&pem.body).unwrap();
    assert_eq!(access["certificate"]["fingerprint"], hex::encode(fingerprint(&certificate)));
    let profile = get("/v1/access/profile.mobileconfig").await;
    assert_eq!(profile.header("content-type"), Some("application/x-apple-aspen-config"));
    let profile = String::from_utf8(profile.body).unwrap();
    let data = profile.split("<data>").nth(1).unwrap().split("</data>").next().unwrap();
    let data: String = data.split_whitespace().collect();
    assert_eq!(BASE64_STANDARD.decode(data).unwrap(), certificate.as_ref(), "it is another certificate");
    for scope in Scope::ALL {
        let token = api.token(scope);
        for path in
            ["/v1/access", "/v1/access/certificate.pem", "/v1/access/profile.mobileconfig", "/v1/tokens"]
        {
            api.with(&token, "GET", path).await.problem(403, "wrong_scope");
        }
    }
}
