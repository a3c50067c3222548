//! Joining with an implementation that shares no line with popmesh's: on paper, as a new device, and as who admits one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Child, Event};
use serde_json::Value;

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python(arguments: &[&str], folder: &Path) -> Result<Output> {
    let python = std::env::var_os("POPMESH_INDEPENDENT_PYTHON")
        .map_or_else(|| tests().join("../target/independent/bin/python"), PathBuf::from);
    let mut command = Command::new(&python);
    command.arg(tests().join("independent/join.py")).args(arguments).current_dir(folder);
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output();
    output.with_context(|| format!("no {}; run ./scripts/test once", python.display()))
}

fn said(output: Output) -> Result<String> {
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complained}");
    Ok(String::from_utf8(output.stdout)?)
}

fn start(event: &Event, name: &str, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(event.program());
    command.args(arguments).current_dir(event.path()).env_remove("POPMESH_DATA").env("NO_COLOR", "1");
    Ok(Child::start(name, &mut command)?.quiet())
}

/// The first line of JSON that has a value at `pointer`.
fn shown(output: &str, pointer: &str) -> Result<String> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.filter_map(|line| Some(line.pointer(pointer)?.as_str()?.to_owned()));
    found.into_iter().next().with_context(|| format!("nobody says {pointer}: {output}"))
}

/// Those vectors are what `node/src/join/exchange/known.rs` compares with, byte by byte.
#[test]
fn the_vectors_are_what_the_other_implementation_makes() -> Result<()> {
    let made = said(python(&["vectors"], tests())?)?;
    let kept = fs::read_to_string(tests().join("../node/vectors/join.json"))?;
    assert_eq!(made, kept);
    Ok(())
}

#[test]
fn a_new_device_of_the_other_implementation_joins_with_a_ticket() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.popmesh(&["--data", "box", "device", "new", "--name", "box"])?;
    let ticket = ["device", "ticket", "--event", "organiser", "--role", "pos", "--venue", "hall-a"];
    event.popmesh(&[&ticket[..], &["-o", "box.ticket"]].concat())?;
    let ticket = fs::read_to_string(event.path().join("box.ticket"))?;
    let serve = [
        "--json",
        "device",
        "admit",
        "--tickets",
        "--event",
        "organiser",
        "--listen",
        "127.0.0.1:0",
        "--no-mdns",
    ];
    let mut serving = start(&event, "tickets", &serve)?;
    let at = shown(&serving.wait_for_output("addresses", DEADLINE)?, "/addresses/0")?;
    let joined = said(python(&["newcomer", &at, ticket.trim(), "box/box.enrolment", "."], event.path())?)?;
    assert_eq!(joined, "admitted\n");
    serving.wait_for_output("\"admitted\":true", DEADLINE)?;
    // What it was given is what makes the device the event's.
    event.popmesh(&["--data", "box", "device", "install", "certificate", "--charter", "charter"])?;
    let shown = event.popmesh(&["--data", "box", "device", "show"])?;
    assert_eq!((&shown["name"], &shown["venue"]), (&"box".into(), &"hall-a".into()));
    ensure!(event.path().join("box/event.secret").exists(), "the event's secret did not come along");
    // Last, since an address that failed has to wait.
    let wrong = ticket.trim().replace("popmesh-ticket-1:", "popmesh-ticket-1:A");
    let wrong = format!(
        "popmesh-ticket-1:{}",
        &wrong["popmesh-ticket-1:A".len()..].chars().rev().collect::<String>()
    );
    let refused = python(&["newcomer", &at, &wrong, "box/box.enrolment", "."], event.path())?;
    ensure!(!refused.status.success(), "another ticket is as good");
    serving.kill().map(drop)
}

#[test]
fn an_organiser_of_the_other_implementation_is_believed_by_a_new_device_for_its_code() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let join = ["--json", "--data", "box", "join", "--name", "box", "--listen", "127.0.0.1:0", "--no-mdns"];
    let mut new = start(&event, "box", &join)?;
    let told = new.wait_for_output("\"attempt\":1", DEADLINE)?;
    let (code, at) =
        (shown(&told, "/code")?, shown(&told, "/address").or_else(|_| shown(&told, "/addresses/0"))?);
    let asked: Value = serde_json::from_str(&said(python(&["organiser", &at, &code], event.path())?)?)?;
    let enrolment = asked["enrolment"].as_str().context("it asks for nothing")?;
    ensure!(enrolment.starts_with("popmesh-enrolment-1:"), "{enrolment}");
    // It proved itself, so its refusal is taken for what it is.
    let told = new.wait_for_output("not by me", DEADLINE)?;
    ensure!(told.contains("refuses"), "{told}");
    new.kill().map(drop)
}
