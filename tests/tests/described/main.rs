//! Strangers that know nothing but the description: every operation is called by it, as well and as badly as it can be (with
//! [Schemathesis](https://schemathesis.readthedocs.io)), on a real node that has something of everything.
//!
//! For longer than in the tests, with another seed: `DESCRIBED_EXAMPLES=500 DESCRIBED_SEED=8 cargo test -p popmesh-tests --test
//! described`.

mod examples;
mod metrics;
mod stage;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Event;
use serde_json::json;

use stage::Stage;

/// Made by `scripts/test` of tests/described/requirements.txt.
fn python() -> Command {
    let folder = std::env::var_os("POPMESH_DESCRIBED")
        .map_or_else(|| tests().join("../target/described"), PathBuf::from);
    let mut command = Command::new(folder.join("bin/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn asked(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

/// Left out by the script, since they end the node's usefulness for all others or never end themselves: leaving
/// (`device_leave`), switching links off (`links_set`), and the stream of events (`events_follow`). These three are called by
/// [`what_strangers_leave_out_is_as_described`].
#[test]
fn no_stranger_is_surprised() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let stage = Stage::set(&event)?;
    let known = event.path().join("stage.json");
    std::fs::write(&known, stage.known.to_string())?;
    let (examples, seed) = (asked("DESCRIBED_EXAMPLES", "12"), asked("DESCRIBED_SEED", "7"));
    let output = python()
        .arg(tests().join("described/strangers.py"))
        .args([stage.node.api(), &known.to_string_lossy(), &examples, &seed])
        .current_dir(event.path())
        .output()
        .context("no target/described; run ./scripts/test once")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!(
        "{}",
        said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    ensure!(stage.node.get("/v1/check")?["problems"] == json!([]), "the books do not close afterwards");
    Ok(())
}

#[test]
fn a_validator_has_nothing_to_say() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let description = event.run(&["openapi"])?;
    let path = event.path().join("openapi.json");
    std::fs::write(&path, description.stdout)?;
    let output = python().args(["-m", "openapi_spec_validator", "--errors", "all"]).arg(path).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
fn what_strangers_leave_out_is_as_described() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let stage = Stage::set(&event)?;
    let node = &stage.node;
    let off = node.call("PUT", "/v1/links", Some(&json!({"on": false})), None)?;
    assert_eq!((off.status, off.body), (200, json!({"on": false})));
    for bad in [json!({"on": 1}), json!({}), json!({"on": true, "more": 1}), json!([true])] {
        assert_eq!(node.call("PUT", "/v1/links", Some(&bad), None)?.code(), "invalid", "{bad}");
    }
    let device = node.device()?;
    let wrong = json!({"device": device, "units": 1, "claims": 0});
    let refused = node.post("/v1/leave", &wrong, None)?;
    ensure!([409, 422].contains(&refused.status), "{}", refused.body);
    for bad in [json!({}), json!({"device": device, "units": -1, "claims": 0})] {
        assert_eq!(node.post("/v1/leave", &bad, None)?.code(), "invalid", "{bad}");
    }
    Ok(())
}
