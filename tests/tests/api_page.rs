//! docs/api.md: a client made from the description sells, redeems, refunds and follows events through a power cut. Its programs
//! are run as they are printed, and every command is typed as printed, on a host of its own where the API has its usual port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_pages::{Machines, Page, Reader};
use popmesh_tests::{Network, event};

/// The device, and programs on the same host.
struct OneHost(Network);

impl Machines for OneHost {
    fn command(&self, _machine: &str, program: &str) -> Result<Command> {
        Ok(self.0.host(0).command(program))
    }
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the repository")
}

/// The programs of a page, by their names, which stand in their first lines.
fn programs(markdown: &str) -> Result<Vec<(String, String)>> {
    let blocks = markdown.split("```python\n").skip(1);
    let programs = blocks.map(|rest| {
        let program = rest.split_once("```").context("a block without an end")?.0;
        let name = program.strip_prefix("# ").and_then(|text| text.split_once(':'));
        Ok((name.context("a program without a name")?.0.to_owned(), program.to_owned()))
    });
    programs.collect()
}

#[test]
fn a_generated_client_sells_redeems_refunds_and_follows_through_a_power_cut() -> Result<()> {
    let path = root()?.join("docs/api.md");
    let programs = programs(&fs::read_to_string(&path)?)?;
    ensure!(programs.len() >= 4, "{} programs", programs.len());
    let bin = std::env::var_os("POPMESH_DESCRIBED")
        .map_or_else(|| root().map(|root| root.join("target/described")), |folder| Ok(PathBuf::from(folder)))?
        .join("bin");
    ensure!(bin.join("python").exists(), "no {}; run ./scripts/test once", bin.display());
    let program = event::program()?;
    let own = program.parent().context("the program lies in a folder")?.to_owned();
    let mut search: Vec<PathBuf> = vec![own, bin];
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let search = std::env::join_paths(search)?.to_string_lossy().into_owned();
    let mut reader = Reader::new(OneHost(Network::new(27, 1)?), &[])?.with("PATH", &search);
    for (name, program) in programs {
        fs::write(reader.home("shop")?.join(name), program)?;
    }
    reader.read(&Page::read(&path)?)
}
