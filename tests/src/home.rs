//! A user's home, in which the binary is run as its owner types it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::event::program;

/// A home folder of its own, with nothing in it; it goes when this is dropped.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    program: PathBuf,
}

impl Home {
    /// # Errors
    /// When there is no folder to be had, or no binary.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("popmesh-home-").tempdir().context("make a folder")?;
        Ok(Self { folder, program: program()? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary, about to be run in this home with these arguments, and with nothing of the caller's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.path()).env("HOME", self.path()).env("NO_COLOR", "1");
        let settings = [
            "POPMESH_DATA",
            "POPMESH_TOKEN",
            "POPMESH_TRUST",
            "POPMESH_LOG",
            "XDG_DATA_HOME",
            "LC_ALL",
            "LC_MONETARY",
            "LANG",
            "TZ",
        ];
        settings.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().with_context(|| format!("run {}", self.program.display()))
    }

    /// Runs it, and answers what it printed.
    ///
    /// # Errors
    /// When it refuses, with what it said.
    pub fn says(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let (printed, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("$ popmesh {}\n{printed}{said}", arguments.join(" "));
        ensure!(output.status.success(), "popmesh {}: {said}", arguments.join(" "));
        Ok(printed.into_owned())
    }

    /// Runs it, which must end with this exit code; answers what it said about that.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn fails(&self, arguments: &[&str], exit_code: i32) -> Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("$ popmesh {}\n{said}", arguments.join(" "));
        ensure!(
            output.status.code() == Some(exit_code),
            "popmesh {} ended with {}: {said}",
            arguments.join(" "),
            output.status
        );
        Ok(said)
    }

    /// Every file below this home, with its content.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let found = path.symlink_metadata()?;
                if found.is_dir() {
                    folders.push(path);
                } else if found.is_symlink() {
                    let leads_to = fs::read_link(&path)?.into_os_string().into_encoded_bytes();
                    files.insert(path, leads_to);
                } else {
                    files.insert(path.clone(), fs::read(&path)?);
                }
            }
        }
        Ok(files)
    }
}
