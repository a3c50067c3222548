//! The `popmesh` binary.

use std::path::Path;
use std::process::ExitCode;

use popmesh::cli::{self, Hooks};
use popmesh::folder::Identity;
use popmesh::run::{RunOptions, Started, Starter};
use tokio::sync::watch;

fn main() -> ExitCode {
    cli::main(Hooks { starter: Node, check_store })
}

/// Starts this build's device.
struct Node;

impl Starter for Node {
    async fn start(
        self,
        identity: Identity,
        options: &RunOptions,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Started> {
        start_device(identity, options, stop).await
    }
}

async fn start_device(
    _: Identity,
    options: &RunOptions,
    _: watch::Receiver<bool>,
) -> anyhow::Result<Started> {
    anyhow::bail!("this build has no store and no mesh, and cannot run {}", options.data.path().display())
}

fn check_store(folder: &Path) -> Result<String, String> {
    Err(format!("this build has no store, and cannot check {}", folder.display()))
}
