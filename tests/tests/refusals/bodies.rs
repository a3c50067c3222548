//! Requests that are none: what is no JSON, too large, of the wrong type or under the wrong header.

use std::time::Duration;

use anyhow::Result;
use popmesh_tests::refusal::{problem, unchanged};

use crate::{event, start_hq};

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Headers, a body, the status and code that it must be answered with, and words that must be in it.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16, &'a str, &'a str);

#[test]
fn requests_that_are_none() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    let sale = br#"{"items": [{"sku": "CAP"}]}"#;
    let large = vec![b' '; 64 * 1024 + 1];
    let deep = "[".repeat(10_000);
    let cases: [Case<'_>; 19] = [
        (&[], sale, 415, "not_json", "Content-Type: application/json"),
        (&[TEXT], sale, 415, "not_json", "Content-Type: application/json"),
        (&[FORM], sale, 415, "not_json", "Content-Type: application/json"),
        (&[JSON], b"", 400, "malformed_json", "not JSON"),
        (&[JSON], b"CAP, please", 400, "malformed_json", "line 1"),
        (&[JSON], br#"{"items": [{"sku": "CAP"}]"#, 400, "malformed_json", "not JSON"),
        (&[JSON], br#"{"items": [{"sku": "CAP"}]} and one more"#, 400, "malformed_json", "not JSON"),
        (&[JSON], b"{\"items\": [{\"sku\": \"C\xff\"}]}", 400, "malformed_json", "not JSON"),
        (&[JSON], deep.as_bytes(), 422, "invalid", "not a list"),
        (&[JSON], &large, 413, "body_too_large", "65536 bytes"),
        (&[JSON], br#"[[["CAP"]]]"#, 422, "invalid", "body: send an object with named fields"),
        (&[JSON], br#"{"items": [["CAP"]]}"#, 422, "invalid", "items[0]: send an object with named fields"),
        (&[JSON], br#"{"items": [[7]]}"#, 422, "invalid", "items[0]: send an object with named fields"),
        (&[JSON], br#""CAP""#, 422, "invalid", "body: invalid type: string \"CAP\", expected an object"),
        (&[JSON], b"{}", 422, "invalid", "0 items; a sale has 1 to 32, or pays a cart"),
        (&[JSON], br#"{"items": [{"sku": 7}]}"#, 422, "invalid", "items[0].sku"),
        (&[JSON], br#"{"items": [{"sku": "CAP", "quantity": "one"}]}"#, 422, "invalid", "items[0].quantity"),
        (
            &[JSON],
            br#"{"items": [{"sku": "CAP", "discount": 99}]}"#,
            422,
            "invalid",
            "unknown field `discount`",
        ),
        (&[JSON, ("idempotency-key", "")], sale, 400, "bad_idempotency_key", "1 to 255"),
    ];
    for (headers, body, status, code, words) in cases {
        let answer = unchanged(&[&hq], || hq.raw("POST", "/v1/sales", headers, body))?;
        let detail = problem(&answer, status, code);
        assert!(detail.contains(words), "{words:?} is not in {detail}");
    }
    for (method, path, status, code) in [
        ("POST", "/v1/nothing", 404, "no_such_route"),
        ("DELETE", "/v1/sales", 405, "method_not_allowed"),
        ("GET", "/v1/stock?size=large", 422, "invalid"),
        ("GET", "/v1/claims?limit=1001", 422, "invalid"),
    ] {
        problem(&unchanged(&[&hq], || hq.raw(method, path, &[], b""))?, status, code);
    }
    // After all that it sells.
    hq.sell("CAP", Duration::ZERO, None)?.ok().map(drop)
}

#[test]
fn callers_that_may_not() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    let sale = br#"{"items": [{"sku": "CAP"}]}"#;
    let foreign = [JSON, ("origin", "http://evil.example")];
    let answer = unchanged(&[&hq], || hq.raw("POST", "/v1/sales", &foreign, sale))?;
    problem(&answer, 403, "foreign_origin");
    let other = "00".repeat(32);
    let mistaken = [JSON, ("popmesh-device", other.as_str())];
    let answer = unchanged(&[&hq], || hq.raw("POST", "/v1/sales", &mistaken, sale))?;
    problem(&answer, 421, "other_device");
    Ok(())
}
