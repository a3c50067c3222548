//! From an event's founding to an installed certificate, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn popmesh(dir: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_popmesh"))
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env_remove("POPMESH_DATA")
        .env("HOME", dir)
        .output()
        .unwrap()
}

fn done(dir: &Path, arguments: &str) -> Value {
    let output = popmesh(dir, &format!("--json {arguments}"));
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs what must be refused, and gives what it says.
fn refused(dir: &Path, arguments: &str, code: i32) -> String {
    let output = popmesh(dir, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
    assert!(said.starts_with("error: "), "{arguments}: {said}");
    said
}

/// An event in `org`, and a device in `till` with a certificate that is signed but not installed.
fn signed() -> TempDir {
    let dir = TempDir::new().unwrap();
    done(dir.path(), "event init Neon --currency EUR --dir org");
    done(dir.path(), "--data till device new --name till-1");
    done(
        dir.path(),
        "device sign till/till-1.enrolment --event org --role pos,locker --venue hall-a -o till.cert",
    );
    dir
}

const INSTALL: &str = "--data till device install till.cert --charter org/event.charter";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_device_is_enrolled_signed_and_installed() {
    let dir = signed();
    let installed = done(dir.path(), INSTALL);
    let shown = done(dir.path(), "--data till device show");
    assert_eq!(installed, shown);
    assert_eq!((&shown["name"], &shown["venue"]), (&"till-1".into(), &"hall-a".into()));
    assert_eq!(shown["roles"], serde_json::json!(["pos", "locker"]));
    let event = done(dir.path(), "event show --dir org");
    assert_eq!(event["event"], shown["event"]);
    assert_eq!(done(dir.path(), "--data till event show")["event"], shown["event"]);
    for key in ["org/organiser.key", "till/device.key"] {
        assert_eq!(mode(&dir.path().join(key)), 0o600, "{key}");
    }
    // A later certificate of the same event takes the place of the first.
    let renew = "device sign till/till-1.enrolment --event org --role pos --venue hall-b -o renewed.cert";
    done(dir.path(), renew);
    let renewed = done(dir.path(), &INSTALL.replace("till.cert", "renewed.cert"));
    assert_eq!(renewed["venue"], "hall-b");
}

/// A device of an event, with a certificate from the organiser.
fn enrolled(dir: &Path, name: &str, role: &str) {
    done(dir, &format!("--data {name} device new --name {name}"));
    done(
        dir,
        &format!(
            "device sign {name}/{name}.enrolment --event org --role {role} --venue hall-a -o {name}.cert"
        ),
    );
    done(dir, &format!("--data {name} device install {name}.cert --charter org/event.charter"));
}

#[test]
fn an_hq_signs_without_the_organisers_key_what_it_may() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    done(dir, "event init Neon --currency EUR --dir org");
    enrolled(dir, "hq", "hq");
    enrolled(dir, "till", "pos");
    fs::remove_dir_all(dir.join("org")).unwrap();
    done(dir, "--data new device new --name new");
    let sign =
        |data: &str, more: &str| format!("--data {data} device sign new/new.enrolment --venue hall-b {more}");

    let said = refused(dir, &sign("till", "--role pos"), 1);
    assert!(said.contains("till (pos) may not admit devices: do it on an hq or a steward"), "{said}");
    let said = refused(dir, &sign("hq", "--role hq"), 1);
    assert!(said.contains("hq may make a device pos,locker,encoder,steward, and not hq"), "{said}");
    let said = refused(dir, &sign("hq", "--role pos --until 2099-01-01T00:00:00Z"), 1);
    assert!(said.contains("2099-01-01") && said.contains("that of hq, who signs it"), "{said}");
    let said = refused(dir, &sign("hq", "--role pos --from 2020-01-01T00:00:00Z"), 1);
    assert!(said.contains("2020-01-01") && said.contains("that of hq, who signs it"), "{said}");
    let said = refused(dir, "device sign new/new.enrolment --venue hall-b --role pos", 1);
    assert!(said.contains("nobody is here who may admit") && said.contains("--data"), "{said}");
    assert!(!dir.join("new/new.certificate").exists());

    let hq = done(dir, "--data hq device show");
    assert_eq!(hq["issuer"], Value::Null);
    let output = popmesh(dir, &sign("hq", "--role steward --days 300"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && told.contains("since the certificate of hq, who signs, ends then"),
        "{told}"
    );
    let install = "--data new device install new/new.certificate --charter hq/event.charter";
    let new = done(dir, install);
    assert_eq!((&new["issuer"]["name"], &new["roles"]), (&"hq".into(), &serde_json::json!(["steward"])));
    assert_eq!(new["not_after_ms"], hq["not_after_ms"]);
    assert_eq!(
        fs::read(dir.join("hq/event.secret")).unwrap(),
        fs::read(dir.join("new/event.secret")).unwrap()
    );

    // The steward goes on from there, and no further.
    done(dir, "--data third device new --name third");
    let third =
        |role: &str| format!("--data new device sign third/third.enrolment --venue hall-b --role {role}");
    let said = refused(dir, &third("steward"), 1);
    assert!(said.contains("new may make a device pos,locker,encoder, and not steward"), "{said}");
    done(dir, &third("pos,locker"));
    let installed =
        done(dir, "--data third device install third/third.certificate --charter new/event.charter");
    assert_eq!(installed["issuer"]["name"], "new");
    fs::remove_file(dir.join("hq/event.secret")).unwrap();
    let said = refused(dir, &sign("hq", "--role pos -o again.cert"), 1);
    assert!(said.contains("event.secret is not there"), "{said}");
}

#[test]
fn keys_and_charters_are_never_overwritten() {
    let dir = signed();
    let files = ["org/organiser.key", "org/event.charter", "till/device.key", "till.cert"];
    let before: Vec<Vec<u8>> = files.iter().map(|file| fs::read(dir.path().join(file)).unwrap()).collect();
    for again in [
        "event init Other --currency EUR --dir org",
        "--data till device new --name till-2",
        "device sign till/till-1.enrolment --event org --role hq --venue hall-a -o till.cert",
    ] {
        let said = refused(dir.path(), again, 1);
        assert!(said.contains("exists and is not overwritten"), "{said}");
    }
    fs::remove_file(dir.path().join("org/event.charter")).unwrap();
    let said = refused(dir.path(), "event init Other --currency EUR --dir org", 1);
    assert!(said.contains("organiser.key exists"), "{said}");
    fs::write(dir.path().join("org/event.charter"), &before[1]).unwrap();
    for (file, before) in files.iter().zip(before) {
        assert_eq!(fs::read(dir.path().join(file)).unwrap(), before, "{file}");
    }
}

#[test]
fn a_certificate_that_is_over_is_refused() {
    let dir = signed();
    let over = "device sign till/till-1.enrolment --event org --role pos --venue a --from 2020-01-01T00:00:00Z \
                --until 2020-01-02T00:00:00Z -o over.cert";
    assert!(refused(dir.path(), over, 1).contains("would be over already"));
    assert!(!dir.path().join("over.cert").exists());

    // One that ends is made through the library: the command line does not sign what is over.
    let root = popmesh::folder::read_key(&dir.path().join("org/organiser.key")).unwrap();
    let charter = popmesh::folder::read_charter(&dir.path().join("org/event.charter")).unwrap();
    let good = popmesh::folder::read_certificate(&dir.path().join("till.cert"), &charter).unwrap();
    let mut certificate = (*good).clone();
    (certificate.not_before_ms, certificate.not_after_ms) = (1, 2);
    let over = popmesh_proto::identity::SignedCertificate::sign(certificate, &root, &charter).unwrap();
    fs::write(dir.path().join("over.cert"), over.to_text()).unwrap();
    let said = refused(dir.path(), &INSTALL.replace("till.cert", "over.cert"), 1);
    assert!(said.contains("the certificate ended") && said.contains("sign a new one"), "{said}");
    assert!(!dir.path().join("till/device.certificate").exists());

    done(dir.path(), INSTALL);
    fs::write(dir.path().join("till/device.certificate"), over.to_text()).unwrap();
    let said = refused(dir.path(), "--data till run --api 127.0.0.1:0", 1);
    assert!(said.contains("not valid"), "{said}");
}

#[test]
fn a_certificate_of_another_device_or_event_is_refused() {
    let dir = signed();
    done(dir.path(), "--data thief device new --name thief");
    let said = refused(dir.path(), &INSTALL.replace("--data till", "--data thief"), 1);
    assert!(said.contains("is for device"), "{said}");

    done(dir.path(), "event init Other --currency EUR --dir other");
    let said = refused(dir.path(), &INSTALL.replace("org/", "other/"), 1);
    assert!(said.contains("of another event"), "{said}");
    done(dir.path(), INSTALL);
    done(dir.path(), "device sign till/till-1.enrolment --event other --role pos --venue a -o other.cert");
    let other = INSTALL.replace("org/", "other/").replace("till.cert", "other.cert");
    let said = refused(dir.path(), &other, 1);
    assert!(said.contains("belongs to event"), "{said}");

    fs::copy(dir.path().join("org/organiser.key"), dir.path().join("key")).unwrap();
    fs::copy(dir.path().join("other/organiser.key"), dir.path().join("org/organiser.key")).unwrap();
    let forged = "device sign till/till-1.enrolment --event org --role hq --venue a -o forged.cert";
    assert!(refused(dir.path(), forged, 1).contains("not the key of this event"));
}

#[test]
fn files_that_are_something_else_are_told_apart() {
    let dir = signed();
    fs::write(dir.path().join("picture"), [0xff, 0xd8, 0xff, 0xe0]).unwrap();
    for (arguments, what) in [
        ("device sign picture --event org --role pos --venue hall-a", "enrolment"),
        ("--data till device install picture --charter org/event.charter", "certificate"),
        ("--data till device install till.cert --charter picture", "charter"),
    ] {
        let said = refused(dir.path(), arguments, 1);
        assert!(said.contains("picture: ") && said.contains(what), "{arguments}: {said}");
    }
}

#[test]
fn what_is_missing_or_exposed_says_what_to_do() {
    let dir = signed();
    let run = "--data till run --api 127.0.0.1:0";
    assert!(refused(dir.path(), &run.replace("till", "none"), 1).contains("popmesh --data none join"));
    assert!(refused(dir.path(), run, 1).contains("popmesh device install"));
    done(dir.path(), INSTALL);
    fs::set_permissions(dir.path().join("till/device.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(dir.path(), run, 1).contains("chmod 600"));
    let doctor = popmesh(dir.path(), "--data till doctor");
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("FAIL  key") && said.contains("chmod 600"), "{said}");
}

#[test]
fn exit_codes_tell_usage_from_a_node_that_is_not_there() {
    let dir = signed();
    assert!(refused(dir.path(), "--data till status", 1).contains("in no event yet"));
    done(dir.path(), INSTALL);
    let said = refused(dir.path(), "--data till status", 3);
    assert!(said.contains("help: start it with `popmesh run --data till`"), "{said}");
    fs::write(dir.path().join("till/api.addr"), "127.0.0.1:1\n").unwrap();
    refused(dir.path(), "--data till sell CAP", 3);
    refused(dir.path(), "status --volume 11", 2);
    refused(dir.path(), "transfer --drop a --sku b --to c", 2);
    let output = popmesh(dir.path(), "--json --data till status");
    let problem: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &problem["code"]), (Some(3), &"node_not_reachable".into()));
}
