//! What must be refused: with a code, in words that say what to do, and with nothing changed.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::books::books;
use crate::{Answer, Api, Child, Event};

/// Within this a node that will not run has said so.
const RUN_TIMEOUT: Duration = Duration::from_secs(20);

/// Has the command line do what it must refuse; answers what it says to people.
///
/// # Errors
/// When it cannot be started.
///
/// # Panics
/// When it does something else than refuse with this exit code.
pub fn refused(event: &Event, arguments: &[&str], exit_code: i32) -> Result<String> {
    let output = event.run(arguments)?;
    let said = String::from_utf8(output.stderr).context("words that are no text")?;
    println!("popmesh {}\n  {}", arguments.join(" "), said.trim().replace('\n', "\n  "));
    assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {said}");
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    Ok(said)
}

/// Has a node started that must refuse to run; answers what it says.
///
/// # Errors
/// When it runs all the same.
///
/// # Panics
/// When it ends otherwise than by refusing.
pub fn refused_to_run(event: &Event, name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(event.program());
    command.arg("--data").arg(event.path().join(name)).args(["run", "--no-mdns", "--interface", "lo"]);
    if !arguments.contains(&"--api") {
        command.args(["--api", "127.0.0.1:0"]);
    }
    let mut node = Child::start(name, command.args(arguments).env("NO_COLOR", "1"))?.quiet();
    let status = node.wait(RUN_TIMEOUT).context("it must not run")?;
    let said = node.output()?;
    println!("{name}, run {}:\n  {}", arguments.join(" "), said.trim().replace('\n', "\n  "));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
    assert!(!event.path().join(name).join("api.addr").exists(), "it announced an API: {said}");
    Ok(said)
}

/// Runs `ask`, which must leave these devices' books as they are.
///
/// # Errors
/// When a device does not answer, or `ask` fails.
///
/// # Panics
/// When something changed.
pub fn unchanged<T>(devices: &[&Api<'_>], ask: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = || devices.iter().map(|device| books(device)).collect::<Result<Vec<Value>>>();
    let before = all()?;
    let asked = ask()?;
    assert_eq!(all()?, before, "something was changed by what was refused");
    Ok(asked)
}

/// Asserts that an answer is a problem of this status and code; answers its words.
///
/// # Panics
/// When it is not.
pub fn problem(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
    let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
    println!("{status} {code}: {detail}");
    assert!(!detail.is_empty(), "{}", answer.body);
    detail
}
