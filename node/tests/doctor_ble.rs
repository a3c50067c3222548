//! `popmesh doctor --ble`, through the real binary: a virtual controller that is fine, and what can be wrong with others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use popmesh_ble::testing::{Controllers, free_ports};
use serde_json::Value;
use tempfile::TempDir;

/// Whoever owns nothing.
const NOBODY: u32 = 65_534;

fn popmesh(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popmesh"));
    command.args(arguments).current_dir(dir).env_remove("POPMESH_DATA").env("HOME", dir);
    command
}

/// A device that is installed in `till`, with the event's secret.
fn installed() -> TempDir {
    let dir = TempDir::new().unwrap();
    for arguments in [
        "event init Neon --currency EUR --dir org",
        "--data till device new --name till-1",
        "device sign till/till-1.enrolment --event org --role pos --venue hall-a -o till.cert",
        "--data till device install till.cert --charter org/event.charter",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert!(popmesh(dir.path(), &arguments).status().unwrap().success(), "{arguments:?}");
    }
    dir
}

/// What the check of an adapter found: how bad it is, and what it says.
fn found(dir: &Path, adapter: &str, uid: Option<u32>) -> (String, String) {
    let mut command =
        popmesh(dir, &["--json", "--data", "till", "doctor", "--api", "127.0.0.1:0", "--ble", adapter]);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let output = command.output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "bluetooth").expect("it is checked");
    let text = |name: &str| finding[name].as_str().unwrap_or_default();
    let said = format!("{}; {}", text("text"), text("next"));
    println!("{adapter}: {said}");
    if finding["severity"] == "act" {
        assert_eq!(output.status.code(), Some(1), "{finding}");
    }
    (text("severity").to_owned(), said)
}

/// An adapter that answers as this does: to a command's code, what comes after the status. Ends with whoever asks.
fn adapter_that(answers: fn(u16) -> Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut command = [0; 4];
        while stream.read_exact(&mut command).is_ok() {
            let answer = answers(u16::from_le_bytes([command[1], command[2]]));
            let mut event = vec![4, 0x0e, 4 + answer.len() as u8, 1, command[1], command[2], 0];
            event.extend_from_slice(&answer);
            stream.write_all(&event).unwrap();
        }
    });
    format!("tcp:{address}")
}

#[test]
fn a_good_adapter_is_told_from_others() {
    let dir = installed();
    let [port] = free_ports().unwrap();
    let _controllers = Controllers::start(&[port], &[]).unwrap();
    let (severity, said) = found(dir.path(), &format!("tcp:127.0.0.1:{port}"), None);
    assert!(severity == "ok" && said.contains("LE") && said.contains("--ble-links"), "{said}");

    let classic = adapter_that(|command| if command == 0x1003 { vec![0; 8] } else { vec![4; 8] });
    let (severity, said) = found(dir.path(), &classic, None);
    assert!(severity == "act" && said.contains("without LE") && said.contains("take another"), "{said}");

    let simple = adapter_that(|command| match command {
        0x1003 => vec![0, 0, 0, 0, 0x40, 0, 0, 0],
        // It can do one thing at a time.
        0x201c => vec![0xff, 0, 0, 0, 0, 0, 0, 0],
        _ => vec![6; 8],
    });
    let (severity, said) = found(dir.path(), &simple, None);
    assert!(severity == "look" && said.contains("4.0") && said.contains("--ble-links 1"), "{said}");
}

#[test]
fn what_is_wrong_with_an_adapter_says_what_to_do() {
    let dir = installed();
    let wrong = |adapter: &str, what: &str, advice: &str| {
        let (severity, said) = found(dir.path(), adapter, None);
        assert!(severity == "act" && said.contains(what) && said.contains(advice), "{said}");
    };
    wrong("tcp:127.0.0.1:1", "nothing listens", "start the controller");
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    wrong(&format!("tcp:{}", mute.local_addr().unwrap()), "does not answer", "put it back");
    wrong("serial:/dev/ttyNONE", "no such adapter", "plug the dongle in");
    fs::write(dir.path().join("file"), "").unwrap();
    wrong(&format!("serial:{}", dir.path().join("file").display()), "no serial line", "name its line");
    // Either this system has no Bluetooth, or not as many adapters.
    let (severity, said) = found(dir.path(), "hci999", None);
    assert_eq!(severity, "act");
    assert!(
        said.contains("modprobe bluetooth") || said.contains("plug it in") || said.contains("cap_net_admin"),
        "{said}"
    );
}

#[test]
fn a_serial_line_that_this_user_may_not_open_says_which_group_helps() {
    let dir = installed();
    let line = dir.path().join("line");
    fs::write(&line, "").unwrap();
    fs::set_permissions(&line, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if popmesh(dir.path(), &["--version"]).uid(NOBODY).gid(NOBODY).status().is_err() {
        println!("only root can try what somebody else may not: left out");
        return;
    }
    let (severity, said) = found(dir.path(), &format!("serial:{}", line.display()), Some(NOBODY));
    assert!(severity == "act" && said.contains("may not take it") && said.contains("dialout"), "{said}");
}

#[test]
fn a_device_without_the_secret_is_told_that_it_needs_it() {
    let dir = installed();
    fs::remove_file(dir.path().join("till/event.secret")).unwrap();
    let (severity, said) = found(dir.path(), "tcp:127.0.0.1:1", None);
    assert!(severity == "act" && said.contains("event's secret"), "{said}");
}
