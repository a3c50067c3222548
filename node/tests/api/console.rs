//! The console's files, as a browser gets them: who may have them, by what policy, and how often they travel.

use std::io::Read;

use crate::double::start;
use crate::tls::guarded;
use crate::wire::{Answer, get, post, send};

const FILES: &[(&str, &str)] = &[
    ("/", "text/html; charset=utf-8"),
    ("/overlay", "text/html; charset=utf-8"),
    ("/overlay/", "text/html; charset=utf-8"),
    ("/frame/app.js", "text/javascript; charset=utf-8"),
    ("/frame/look.css", "text/css; charset=utf-8"),
    ("/texts/de.json", "application/json"),
    ("/frame/icon.svg", "image/svg+xml"),
    ("/frame/icon-192.png", "image/png"),
    ("/manifest.webmanifest", "application/manifest+json"),
    ("/worker.js", "text/javascript; charset=utf-8"),
    ("/release.json", "application/json"),
];

/// The directives of an answer's policy.
fn policy(answer: &Answer) -> Vec<(&str, &str)> {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    policy.split(';').filter_map(|one| one.trim().split_once(' ')).collect()
}

#[tokio::test]
async fn files_come_under_a_policy_that_allows_their_own_alone() {
    let node = start().await;
    for (path, media_type) in FILES {
        let answer = get(node.address, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(*media_type)), "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = policy(&answer);
        for (directive, value) in [
            ("default-src", "'none'"),
            ("script-src", "'self'"),
            ("connect-src", "'self'"),
            ("frame-ancestors", "'none'"),
            ("base-uri", "'none'"),
            ("form-action", "'none'"),
        ] {
            assert!(policy.contains(&(directive, value)), "{path}: {policy:?}");
        }
        let all = format!("{policy:?}");
        assert!(!all.contains("http") && !all.contains('*') && !all.contains("unsafe-eval"), "{path}: {all}");
        // OBS writes styles of its user into the overlay. No other page takes any.
        if !path.starts_with("/overlay") {
            assert!(!all.contains("unsafe"), "{path}: {all}");
            assert!(policy.contains(&("style-src", "'self'")), "{path}: {policy:?}");
            assert!(policy.contains(&("require-trusted-types-for", "'script'")), "{path}: {policy:?}");
        }
        assert!(
            answer.header("set-cookie").is_none() && answer.header("access-control-allow-origin").is_none()
        );
    }
}

#[tokio::test]
async fn a_file_travels_once_and_small() {
    let node = start().await;
    let plain = get(node.address, "/frame/app.js").await;
    let small = send(node.address, "GET", "/frame/app.js", &[("accept-encoding", "br, gzip")], b"").await;
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert_eq!(small.header("vary"), Some("accept-encoding"));
    assert!(small.body.len() < plain.body.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*small.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let refused = send(node.address, "GET", "/frame/app.js", &[("accept-encoding", "gzip;q=0")], b"").await;
    assert_eq!((refused.header("content-encoding"), &refused.body), (None, &plain.body));

    let tag = plain.header("etag").unwrap();
    assert_eq!(small.header("etag"), Some(tag));
    let again = send(node.address, "GET", "/frame/app.js", &[("if-none-match", tag)], b"").await;
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(tag), 0));
    let other = send(node.address, "GET", "/frame/ui.js", &[("if-none-match", tag)], b"").await;
    assert_eq!(other.status, 200);

    let head = send(node.address, "HEAD", "/frame/app.js", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&*plain.body.len().to_string()));
    assert_eq!(head.header("popmesh-release"), plain.header("popmesh-release"));
}

#[tokio::test]
async fn only_files_are_there_and_only_to_be_had() {
    let node = start().await;
    for path in [
        "/index.js",
        "/frame",
        "/frame/",
        "/frame/nothing.js",
        "/mod.rs",
        "/tests/mod.rs",
        "/frame/../mod.rs",
        "/frame/%2e%2e/mod.rs",
        "/..%2fmod.rs",
        "//frame/app.js",
        "/vendor/lit-html/LICENSE",
    ] {
        get(node.address, path).await.problem(404, "no_such_route");
    }
    for path in ["/", "/frame/app.js", "/overlay"] {
        let answer = post(node.address, path, &[], &serde_json::json!({})).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{path}");
    }
}

#[tokio::test]
async fn a_name_that_is_none_of_this_host_gets_no_page() {
    let node = start().await;
    for path in ["/", "/frame/app.js", "/release.json"] {
        for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1"] {
            send(node.address, "GET", path, &[("host", host)], b"").await.problem(403, "foreign_host");
        }
    }
}

#[tokio::test]
async fn off_loopback_files_want_no_token_and_what_they_show_does() {
    let api = guarded().await;
    for (path, _) in FILES {
        assert_eq!(api.send("GET", path, &[], b"").await.status, 200, "{path}");
    }
    api.send("GET", "/v1/status", &[], b"").await.problem(401, "token_needed");
    api.send("GET", "/", &[("host", "evil.example")], b"").await.problem(403, "foreign_host");
    // A token that is no good is not looked at here: it is not a way to try tokens.
    assert_eq!(api.send("GET", "/", &[("authorization", "Bearer x")], b"").await.status, 200);
}

#[tokio::test]
async fn all_files_are_counted_as_one() {
    let node = start().await;
    for (path, _) in FILES {
        get(node.address, path).await;
    }
    get(node.address, "/frame/nothing.js").await;
    let metrics = String::from_utf8(get(node.address, "/metrics").await.body).unwrap();
    let of_files: Vec<&str> = metrics.lines().filter(|line| line.contains("route=\"console\"")).collect();
    assert!(of_files.iter().any(|line| line.ends_with(&format!(" {}", FILES.len()))), "{of_files:?}");
    assert!(!metrics.contains("app.js"), "{metrics}");
}
