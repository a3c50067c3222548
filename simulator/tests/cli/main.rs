//! `popmesh-sim` as a person runs it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod cancel;
#[cfg(feature = "planted")]
mod found;

use std::process::{Command, Output};

/// The binary, with arguments split at spaces.
fn popmesh_sim(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popmesh-sim"));
    command.args(arguments.split_whitespace());
    command
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// What is refused prints nothing but one error, and does nothing.
fn is_refused(arguments: &str, code: i32, with: &[&str]) {
    let output = popmesh_sim(arguments).output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {err}");
    assert_eq!(out, "", "{arguments}");
    for part in with {
        assert!(err.contains(part), "{arguments}: no {part:?} in {err}");
    }
    assert_eq!(err.matches("error:").count(), 1, "{arguments}: {err}");
}

#[test]
fn what_there_is_not_is_an_error_that_says_what_there_is() {
    is_refused("rehearse one-stal", 1, &["one-stal"]);
    is_refused("replay --seed 1 --scenario nowhere.toml", 1, &["nowhere.toml"]);
    is_refused("soak --mix sunny --seeds 1", 1, &["\"sunny\"", "default", "calm"]);
    is_refused("replay --mix sunny --seed 1", 1, &["\"sunny\"", "default"]);
}

#[test]
fn wrong_usage_ends_with_2() {
    is_refused("soak --sedes 3", 2, &["--sedes", "--seeds"]);
    is_refused("soak --seeds 0", 2, &["--seeds"]);
    is_refused("soak --failures 0", 2, &["--failures"]);
    is_refused("soak --jobs none", 2, &["--jobs"]);
    is_refused("soak --from 18446744073709551615", 2, &["--from"]);
    is_refused("rehearse one-stall --seed -1", 2, &["'-1'"]);
    is_refused("replay", 2, &["--seed"]);
    is_refused("dream", 2, &["dream"]);
}

#[test]
fn nights_without_a_broken_promise_end_with_0() {
    let output = popmesh_sim("soak --mix calm --seeds 2 --jobs 2").output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.starts_with("2 nights of mix calm: "), "{out}");
    assert!(out.ends_with("no promise was broken\n"), "{out}");
}

#[test]
fn what_a_soak_says_as_json_is_json() {
    let output = popmesh_sim("soak --mix calm --seeds 1 --json").output().unwrap();
    let soak: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&soak["nights"], &soak["broken"]), (&1.into(), &serde_json::json!([])));
}

#[test]
fn a_replay_is_the_same_with_and_without_a_trace_and_stops_where_it_should() {
    let last_lines = |arguments: &str, count: usize| {
        let (out, _) = said(&popmesh_sim(arguments).output().unwrap());
        let lines: Vec<String> = out.lines().map(str::to_owned).collect();
        (lines[lines.len() - count..].to_vec(), lines.len())
    };
    let (plain, length) = last_lines("replay --mix default --seed 2 --until 3000", 3);
    let (traced, traced_length) = last_lines("replay --mix default --seed 2 --until 3000 --trace", 3);
    assert_eq!(plain, traced);
    assert_eq!(length, 3);
    assert!(traced_length > 100);
    assert!(plain[0].contains("after 3000 steps"), "{plain:?}");
}

#[test]
fn a_night_as_a_file_is_the_same_night() {
    let folder = tempfile::tempdir().unwrap();
    let (toml, _) = said(&popmesh_sim("replay --mix default --seed 2 --toml").output().unwrap());
    let file = folder.path().join("night.toml");
    std::fs::write(&file, toml).unwrap();
    let (drawn, _) = said(&popmesh_sim("replay --mix default --seed 2").output().unwrap());
    let (read, _) = said(&popmesh_sim("replay --seed 2 --scenario").arg(&file).output().unwrap());
    assert!(drawn.starts_with("history "), "{drawn}");
    assert_eq!(drawn, read);
}
