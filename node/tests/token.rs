//! Claim tokens explained, checked and drawn, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use popmesh::folder::Folder;
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::identity::{Ed25519, SecretKey};
use popmesh_proto::token::{Kind, Token, TokenItem};
use serde_json::{Value, json};
use tempfile::TempDir;

const HOUR_MS: u64 = 3_600_000;

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popmesh"));
    command.args(arguments).current_dir(dir).env_remove("POPMESH_DATA").env("HOME", dir).env("TZ", "UTC");
    command
}

fn popmesh(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

fn piped(dir: &Path, arguments: &[&str], text: &str) -> Output {
    let mut child = command(dir, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It stops reading at what is too long, which breaks the pipe.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn done(dir: &Path, arguments: &str) {
    let output = popmesh(dir, &arguments.split_whitespace().collect::<Vec<_>>());
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A device `till` of an event, admitted by an hq.
fn till_by_hq() -> TempDir {
    let dir = TempDir::new().unwrap();
    done(dir.path(), "event init Neon --currency EUR --dir org");
    done(dir.path(), "--data hq device new --name hq-laptop");
    done(dir.path(), "device sign hq/hq-laptop.enrolment --event org --role hq --venue hall-a -o hq.cert");
    done(dir.path(), "--data hq device install hq.cert --charter org/event.charter");
    done(dir.path(), "--data till device new --name till-1");
    done(dir.path(), "--data hq device sign till/till-1.enrolment --role pos --venue hall-a -o till.cert");
    done(dir.path(), "--data till device install till.cert --charter hq/event.charter");
    dir
}

/// A device `till` of an event.
fn till() -> TempDir {
    let dir = TempDir::new().unwrap();
    done(dir.path(), "event init Neon --currency EUR --dir org");
    done(dir.path(), "--data till device new --name till-1");
    done(dir.path(), "device sign till/till-1.enrolment --event org --role pos --venue hall-a -o till.cert");
    done(dir.path(), "--data till device install till.cert --charter org/event.charter");
    dir
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A token that the device issues, good from `from_ms` until `until_ms`.
fn issued(dir: &Path, from_ms: Option<u64>, until_ms: u64) -> String {
    let identity = Folder::new(dir.join("till")).identity().unwrap();
    let token = Token {
        kind: Kind::Claim,
        claim: Ref { chain: ChainId([0xc5; 16]), seq: 12 },
        drop: "midnight".parse().unwrap(),
        items: vec![TokenItem { sku: "CAP".parse().unwrap(), units: "7-8".parse().unwrap() }],
        custodian: SecretKey::from_seed(&[3; 32]).id(),
        under: Some(Ref { chain: ChainId([0xc6; 16]), seq: 3 }),
        issued_ms: now_ms() - HOUR_MS / 2,
        not_before_ms: from_ms,
        expires_ms: Some(until_ms),
        pin: None,
    };
    token.sign(&Ed25519, &identity.key, &identity.certificate).unwrap().to_text()
}

fn good(dir: &Path) -> String {
    issued(dir, None, now_ms() + HOUR_MS)
}

fn inspect(dir: &Path, text: &str, code: i32) -> String {
    let output = popmesh(dir, &["--data", "till", "token", "inspect", text]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{text:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn a_good_token_is_explained() {
    let dir = till();
    let text = good(dir.path());
    let said = inspect(dir.path(), &text, 0);
    let custodian = SecretKey::from_seed(&[3; 32]).id().to_string();
    for part in [
        "claim       c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5:12\n",
        "drop        midnight\n",
        "item        CAP: 2 units, serials 7-8\n",
        &custodian,
        "issuer      till-1 (",
        "), pos at hall-a\n",
        "issued      20",
        "expires     20",
        "Good: sold in Neon.",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("proven"), "{said}");

    let output = popmesh(dir.path(), &["--json", "--data", "till", "token", "inspect", &text]);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&facts["good"], &facts["proven"], &facts["problem"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(facts["token"]["items"], json!([{"sku": "CAP", "units": "7-8"}]));
    assert_eq!(facts["token"]["claim"], "c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5:12");
    assert_eq!((&facts["issuer"]["name"], &facts["issuer"]["roles"]), (&json!("till-1"), &json!(["pos"])));
}

#[test]
fn a_scanner_may_type_it_on_standard_input() {
    let dir = till();
    let typed = format!("]Q1{}\r\n", good(dir.path()).to_lowercase());
    let arguments = ["--data", "till", "token", "inspect", "-"];
    let output = piped(dir.path(), &arguments, &typed);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let output = piped(dir.path(), &arguments, &"A".repeat(100_000));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("NOT GOOD: this has more than 2048 characters"), "{said}");
}

#[test]
fn what_is_wrong_with_a_token_is_said() {
    let dir = till();
    let text = good(dir.path());
    let over = inspect(dir.path(), &issued(dir.path(), None, now_ms() - HOUR_MS / 4), 1);
    assert!(over.contains("NOT GOOD: the token expired 20") && !over.contains("proven"), "{over}");
    let early = inspect(dir.path(), &issued(dir.path(), Some(now_ms() + HOUR_MS), now_ms() + 2 * HOUR_MS), 1);
    assert!(early.contains("NOT GOOD: the token is not valid before 20"), "{early}");
    assert!(inspect(dir.path(), "HELLO", 1).starts_with("NOT GOOD: this is not a popmesh token"));
    let cut = inspect(dir.path(), &text[..text.len() - 3], 1);
    assert!(cut.starts_with("NOT GOOD: the token was altered or cut short"), "{cut}");

    // The last digits are the signature's.
    let (kept, last) = text.split_at(text.len() - 3);
    let other = if last == "000" { "100" } else { "000" };
    let forged = inspect(dir.path(), &format!("{kept}{other}"), 1);
    assert!(forged.starts_with("Nothing of this is proven:\nclaim "), "{forged}");
    assert!(forged.contains("NOT GOOD: the token is not as till-1 signed it"), "{forged}");

    done(dir.path(), "event init Rival --currency EUR --dir rival");
    std::fs::copy(dir.path().join("rival/event.charter"), dir.path().join("till/event.charter")).unwrap();
    let foreign = inspect(dir.path(), &text, 1);
    assert!(foreign.contains("NOT GOOD: the token is of another event ("), "{foreign}");
    let output = popmesh(dir.path(), &["--json", "--data", "till", "token", "inspect", &text]);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&facts["good"], &facts["proven"]), (&json!(false), &json!(false)));
    assert!(facts["problem"].as_str().unwrap().contains("another event"), "{facts}");

    let output = popmesh(dir.path(), &["--data", "none", "token", "inspect", &text]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("there is no folder none"), "{said}");
}

#[test]
fn a_scanner_reads_the_picture_back() {
    for (dir, version) in [(till(), 15), (till_by_hq(), 18)] {
        let text = good(dir.path());
        // What a person copied makes the code of what was issued.
        let copied = format!(" {}\n", text.to_lowercase());
        let output = popmesh(dir.path(), &["token", "qr", &copied, "--png", "token.png"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let scanned = Command::new("zbarimg")
            .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "token.png"])
            .current_dir(dir.path())
            .output()
            .expect("no zbarimg; on Debian and Ubuntu: apt-get install zbar-tools");
        let scanned = String::from_utf8(scanned.stdout).unwrap();
        assert_eq!(scanned.trim_end_matches('\n'), text);
        let said = inspect(dir.path(), scanned.trim_end_matches('\n'), 0);
        assert!(said.contains("CAP: 2 units") && said.contains("Good: sold in Neon."), "{said}");
        let modules = popmesh::qr::Code::new(&text).unwrap().modules().len();
        println!("{} characters, version {}", text.len(), (modules - 17) / 4);
        assert!((modules - 17) / 4 <= version, "{modules} modules");
    }
}

#[test]
fn a_code_goes_to_a_file_or_to_the_terminal() {
    let dir = till();
    let text = good(dir.path());
    let output = popmesh(dir.path(), &["--json", "token", "qr", &text, "--svg", "token.svg"]);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let svg = std::fs::read_to_string(dir.path().join("token.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.ends_with("</svg>"), "{svg}");
    assert_eq!((&facts["text"], &facts["bytes"]), (&json!(text), &json!(svg.len())));
    let output = popmesh(dir.path(), &["--json", "token", "qr", &text]);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(facts["svg"], svg);
    let output = piped(dir.path(), &["token", "qr", "-"], &text);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains('▀') && shown.lines().count() > 30, "{shown}");
    for (arguments, code) in [
        (&["token", "qr", "HELLO"][..], 1),
        (&["token", "qr", &text, "--svg", "no/such/folder.svg"], 1),
        (&["token", "qr", &text, "--svg", "a", "--png", "b"], 2),
    ] {
        let output = popmesh(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
