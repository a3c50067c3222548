//! What killed test processes leave behind. Alone in its file, because a process cleans up only once.

use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::Result;
use popmesh_tests::Network;

/// Above the kernel's limit of pids, so never alive.
const DEAD_PID: u32 = 4_194_305;

struct Name(String);

impl Name {
    fn add(pid: u32) -> Result<Self> {
        let name = format!("popmesh-test-{pid}-{}", process::id());
        assert!(Command::new("ip").args(["netns", "add", &name]).status()?.success());
        Ok(Self(name))
    }

    fn path(&self) -> PathBuf {
        Path::new("/var/run/netns").join(&self.0)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if self.path().exists() {
            let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
        }
    }
}

#[test]
fn names_of_dead_processes_go_and_of_living_ones_stay() -> Result<()> {
    let living = Name::add(1)?;
    let dead = Name::add(DEAD_PID)?;
    let _network = Network::new(1, 1)?;
    assert!(!dead.path().exists());
    assert!(living.path().exists());
    Ok(())
}
