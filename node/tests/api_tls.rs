//! An API behind TLS, called by the real command line from another folder, as from another host.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn command(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popmesh"));
    for name in ["POPMESH_DATA", "POPMESH_TOKEN", "POPMESH_TRUST"] {
        command.env_remove(name);
    }
    command.args(arguments.split_whitespace()).current_dir(dir).env("HOME", dir).env("TZ", "UTC");
    command
}

fn run(dir: &Path, arguments: &str, token: Option<&str>) -> Output {
    let mut command = command(dir, arguments);
    if let Some(token) = token {
        command.env("POPMESH_TOKEN", token);
    }
    command.output().unwrap()
}

fn done(dir: &Path, arguments: &str, token: Option<&str>) -> String {
    let output = run(dir, arguments, token);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What it said on standard error when it failed with `code`.
fn refused(dir: &Path, arguments: &str, token: Option<&str>, code: i32) -> String {
    let output = run(dir, arguments, token);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
    said
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A node that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_command_line_calls_an_api_elsewhere_with_a_token_and_what_it_trusts() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path();
    done(dir, "event init Neon --currency EUR --dir org", None);
    done(dir, "--data till device new --name till-1", None);
    done(dir, "device sign till/till-1.enrolment --event org --role pos --venue hall-a -o till.cert", None);
    done(dir, "--data till device install till.cert --charter org/event.charter", None);
    let device =
        json(&done(dir, "--json --data till device show", None))["device"].as_str().unwrap().to_owned();
    let shown = json(&done(dir, "--json --data till api certificate", None));
    let fingerprint = shown["fingerprint_sha256"].as_str().unwrap().to_owned();
    assert_eq!((shown["device"].as_str(), fingerprint.len()), (Some(device.as_str()), 64));
    let make = |scope: &str| {
        let made =
            json(&done(dir, &format!("--json --data till api token new --for 1h --scope {scope}"), None));
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let (id, look) = make("read-only");
    let (_, till) = make("till");

    let child = command(dir, "--data till run --tls --api 127.0.0.1:0 --no-mdns --interface lo")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut node = Running(child);
    let mut log = BufReader::new(node.0.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" running ") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "it did not come up: {said}");
    }
    let api = std::fs::read_to_string(dir.join("till/api.addr")).unwrap().trim().to_owned();
    assert!(api.starts_with("https://127.0.0.1:"), "{api}");
    let mode = std::fs::metadata(dir.join("till/api.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Whoever owns the folder needs to say nothing.
    let status = json(&done(dir, "--json --data till status", None));
    assert_eq!(status["device"]["device"], device.as_str());

    // By fingerprint, with colons or without, by the device's key, by file.
    let colons: Vec<&str> = (0..32).map(|at| &fingerprint[2 * at..2 * at + 2]).collect();
    for trust in [&fingerprint, &colons.join(":").to_uppercase(), &device, "till/api-ca.pem"] {
        let status =
            done(dir, &format!("--json --data none status --api {api} --trust {trust}"), Some(&look));
        assert_eq!(json(&status)["device"]["device"], device.as_str(), "{trust}");
    }
    let ask = |rest: &str| format!("--data none {rest} --api {api} --trust {fingerprint}");
    let said = refused(dir, &format!("--data none status --api {api}"), Some(&look), 1);
    assert!(said.contains("--trust"), "{said}");
    let other = "00".repeat(32);
    let said = refused(dir, &format!("--data none status --api {api} --trust {other}"), Some(&look), 3);
    assert!(said.contains("another certificate"), "{said}");
    let said = refused(dir, &format!("--data none status --api {}", api.replace("https", "http")), None, 1);
    assert!(said.contains("call it with https://"), "{said}");
    let said = refused(dir, "--data none status --api http://192.0.2.7:7443", Some(&look), 1);
    assert!(said.contains("not on this host"), "{said}");
    let said = refused(dir, &ask("status"), None, 1);
    assert!(said.contains("api token new") && said.contains("POPMESH_TOKEN"), "{said}");

    let said = refused(dir, &ask("sell CAP --wait 0s"), Some(&look), 1);
    assert!(said.contains("scope is read-only") && said.contains("till"), "{said}");
    let said = refused(dir, &ask("sell CAP --wait 0s"), Some(&till), 1);
    assert!(said.contains("CAP") && !said.contains("scope"), "{said}");
    let said = refused(dir, &ask("links off"), Some(&till), 1);
    assert!(said.contains("on the device itself"), "{said}");

    done(dir, &format!("--data till api token revoke {id} --yes"), None);
    let said = refused(dir, &ask("status"), Some(&look), 1);
    assert!(said.contains("revoked"), "{said}");
    let list = done(dir, "--data till api token list", None);
    assert!(list.contains("revoked") && list.contains("good") && !list.contains(&look), "{list}");

    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(node.0.id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(node.0.wait().unwrap().success(), "{rest}");
    assert!(!dir.join("till/api.token").exists() && !dir.join("till/api.addr").exists());
    assert!(rest.contains("refused") && rest.contains(&id), "a refusal is logged: {rest}");
    for secret in [&look, &till] {
        assert!(!rest.contains(&secret[25..]), "a token is in the log: {rest}");
    }
}

#[test]
fn an_api_off_loopback_without_its_certificate_does_not_start() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path();
    done(dir, "event init Neon --currency EUR --dir org", None);
    done(dir, "--data till device new --name till-1", None);
    done(dir, "device sign till/till-1.enrolment --event org --role pos --venue hall-a -o till.cert", None);
    done(dir, "--data till device install till.cert --charter org/event.charter", None);
    done(dir, "--data till api certificate", None);
    std::fs::remove_file(dir.join("till/api-ca.key")).unwrap();
    let said = refused(dir, "--data till run --api 0.0.0.0:0 --no-mdns", None, 1);
    assert!(said.contains("not one pair") && said.contains("remove both"), "{said}");
    assert!(!dir.join("till/api.addr").exists());
}
