//! Tokens that are made from a page.

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

fn get(node: &Node<'_>, path: &str, token: &str) -> Result<(u16, String)> {
    let bearer = format!("Bearer {token}");
    let answer = node.raw("GET", path, &[("authorization", &bearer)], b"")?;
    Ok((answer.status, answer.code().to_owned()))
}

#[test]
fn a_token_that_is_made_here_works_until_it_is_revoked_and_makes_no_others() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("till", "pos", "hall-a")?;
    let till = Node::start(&event, "till", Options::loopback(&[]))?;
    let body = json!({"scope": "till", "name": "counter 1", "lasts_ms": 60_000});
    let made = till.post("/v1/tokens", &body, Some("tablet-1"))?;
    assert_eq!(made.status, 201, "{}", made.body);
    let text = made.body["text"].as_str().context("no text")?.to_owned();
    let id = made.body["token"].as_str().context("no id")?.to_owned();
    // Told once, also to who asks again.
    let again = till.post("/v1/tokens", &body, Some("tablet-1"))?;
    assert_eq!((again.status, again.code()), (409, "token_told"));
    let other = json!({"scope": "manager", "name": "counter 1", "lasts_ms": 60_000});
    assert_eq!(till.post("/v1/tokens", &other, Some("tablet-1"))?.code(), "key_reused");
    let listed = till.list("/v1/tokens")?;
    assert_eq!((listed.len(), &listed[0]["token"], &listed[0]["name"]), (1, &json!(id), &json!("counter 1")));
    ensure!(!Value::from(listed).to_string().contains(&text[30..]), "the list has its secret");
    // The same that the command line sees.
    let seen = event.popmesh(&["--data", "till", "api", "token", "list"])?;
    assert_eq!((&seen[0]["id"], &seen[0]["scope"]), (&json!(id), &json!("till")));

    assert_eq!(get(&till, "/v1/status", &text)?.0, 200);
    assert_eq!(get(&till, "/v1/health/list", &text)?.0, 200);
    for path in ["/v1/tokens", "/v1/access", "/v1/access/certificate.pem", "/v1/admissions"] {
        assert_eq!(get(&till, path, &text)?, (403, "wrong_scope".to_owned()), "{path}");
    }
    assert_eq!(get(&till, "/v1/access/own", &text)?.0, 200);
    let bearer = format!("Bearer {text}");
    let own = till.raw("GET", "/v1/access/own", &[("authorization", &bearer)], b"")?;
    assert_eq!((&own.body, &till.get("/v1/access/own")?), (&json!({"scope": "till"}), &json!({})));
    let json = ("content-type", "application/json");
    for scope in ["till", "manager"] {
        let manager = json!({"scope": scope, "name": "another", "lasts_ms": 60_000}).to_string();
        let refused =
            till.raw("POST", "/v1/tokens", &[("authorization", &bearer), json], manager.as_bytes())?;
        assert_eq!((refused.status, refused.code()), (403, "wrong_scope"));
    }

    for bad in [
        json!({"scope": "owner", "name": "a", "lasts_ms": 60_000}),
        json!({"scope": "till", "name": "", "lasts_ms": 60_000}),
        json!({"scope": "till", "name": "a", "lasts_ms": 0}),
        json!({"scope": "till", "name": "a", "lasts_ms": i64::MAX}),
    ] {
        assert_eq!(till.post("/v1/tokens", &bad, None)?.code(), "invalid", "{bad}");
    }
    let gone = till.done(&format!("/v1/tokens/{id}/revoke"), &json!({}))?;
    ensure!(gone["revoked_ms"].is_u64(), "{gone}");
    assert_eq!(get(&till, "/v1/status", &text)?, (401, "token_revoked".to_owned()));
    assert_eq!(till.post("/v1/tokens/0000000000000000/revoke", &json!({}), None)?.code(), "no_such_token");
    let climbing = till.post("/v1/tokens/..%2f..%2fdevice.key/revoke", &json!({}), None)?;
    ensure!((400..500).contains(&climbing.status), "{}", climbing.body);

    // It listens for this host alone, and says so.
    let access = till.get("/v1/access")?;
    assert_eq!((&access["tls"], &access["urls"]), (&json!(false), &json!([])));
    let none = till.call("GET", "/v1/access/profile.mobileconfig", None, None)?;
    assert_eq!((none.status, none.code()), (404, "no_certificate"));
    Ok(())
}
