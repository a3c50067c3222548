//! An event with enrolled devices, made on disk as an organiser and a crew would: with the `popmesh` binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// Names the binary to use, if not the one that was built beside this program.
pub const PROGRAM_VARIABLE: &str = "POPMESH_PROGRAM";

/// An organiser's folder, and a data folder for each device.
#[derive(Debug)]
pub struct Event {
    folder: TempDir,
    program: PathBuf,
}

impl Event {
    /// Founds an event in a folder of its own, which goes when this is dropped.
    ///
    /// # Errors
    /// When there is no binary, or it refuses.
    pub fn found(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("popmesh-").tempdir().context("make a folder")?;
        let event = Self { folder, program: program()? };
        event.popmesh(&["event", "init", name, "--currency", "EUR", "--dir", "organiser"])?;
        Ok(event)
    }

    /// Enrols a device by file; answers its data folder.
    ///
    /// # Errors
    /// When the binary refuses.
    pub fn enrol(&self, name: &str, roles: &str, venue: &str) -> Result<PathBuf> {
        self.enrol_for(name, roles, venue, &[])
    }

    /// The same, telling `popmesh device sign` something more.
    ///
    /// # Errors
    /// When the binary refuses.
    pub fn enrol_for(&self, name: &str, roles: &str, venue: &str, signing: &[&str]) -> Result<PathBuf> {
        let enrolment = format!("{name}/{name}.enrolment");
        let certificate = format!("{name}.certificate");
        self.popmesh(&["--data", name, "device", "new", "--name", name])?;
        let sign = ["device", "sign", &enrolment, "--event", "organiser", "--role", roles, "--venue", venue];
        self.popmesh(&[&sign[..], &["-o", &certificate], signing].concat())?;
        let charter = "organiser/event.charter";
        self.popmesh(&["--data", name, "device", "install", &certificate, "--charter", charter])?;
        Ok(self.path().join(name))
    }

    /// The folder that has everything.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The `popmesh` binary.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs the binary in this event's folder, and answers what it printed as JSON.
    ///
    /// # Errors
    /// When it refuses, with what it said.
    pub fn popmesh(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.run(&[&["--json"], arguments].concat())?;
        ensure!(
            output.status.success(),
            "popmesh {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("popmesh {} printed no JSON", arguments.join(" ")))
    }

    /// Runs the binary in this event's folder to its end, whatever it says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(self.path())
            .env_remove("POPMESH_DATA")
            .env("HOME", self.path())
            .output()
            .with_context(|| format!("run {}", self.program.display()))
    }
}

/// The `popmesh` binary that was built beside this program, or that the environment names.
///
/// # Errors
/// When there is none.
pub fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(program.into());
    }
    let own = std::env::current_exe().context("find this program")?;
    // Tests lie in `deps`, one folder below the binaries.
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("popmesh"));
    match beside.into_iter().find(|program| program.is_file()) {
        Some(program) => Ok(program),
        None => bail!(
            "no popmesh binary beside {}; build it with `cargo build -p popmesh`, or name one in {PROGRAM_VARIABLE}",
            own.display()
        ),
    }
}
