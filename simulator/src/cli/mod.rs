//! The command line of `popmesh-sim`.

mod compare;
mod cuts;
mod progress;
mod rehearse;
mod replay;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Rehearse a night of popmesh, and prove its promises: many devices in one process, under virtual time.
#[derive(Debug, Parser)]
#[command(name = "popmesh-sim", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a scenario, print its verdict and numbers, and write a report.
    Rehearse(rehearse::Rehearse),
    /// Play a scenario under each stock policy, a plain counter and a central server too, and print what came of each.
    Compare(compare::Compare),
    /// Play many random nights in which everything may fail, and look for a broken promise.
    Soak(soak::Soak),
    /// Play one night of a soak again, step by step.
    Replay(replay::Replay),
    /// Say which kinds of fault met which states over a soak; a kind that never happened is a hole.
    Coverage(soak::Soak),
    /// Cut the power of one disk, again and again, under the production store.
    Cuts(cuts::Cuts),
    /// List the scenarios that come with popmesh, and the mixes of faults.
    List,
    /// Play some seeds of a soak and print what came of each: what `soak` runs several of.
    #[command(hide = true)]
    Worker(soak::Worker),
}

/// Where a report goes.
#[derive(Debug, clap::Args)]
struct ReportTo {
    /// Write the report to this HTML file, and its JSON twin beside it.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// Runs the command line. Exit codes: 0 all promises kept, 1 something broken or failed, 2 wrong usage, 130 cancelled.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Rehearse(rehearse) => rehearse.run(),
        Command::Compare(compare) => compare.run(),
        Command::Soak(soak) => soak.run(),
        Command::Coverage(soak) => soak.with_coverage().run(),
        Command::Cuts(cuts) => cuts.run(),
        Command::Replay(replay) => replay.run(),
        Command::Worker(worker) => worker.run(),
        Command::List => list(),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever read what is printed has seen enough, as `head` has.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn list() -> Result<ExitCode> {
    println!("Scenarios, for `popmesh-sim rehearse NAME`; a path to a file of your own does as well:");
    for (name, title) in crate::scenario::built_in() {
        println!("  {name:<26} {title}");
    }
    println!("Mixes, for `popmesh-sim soak --mix NAME`:");
    for (name, about) in crate::mix::mixes() {
        println!("  {name:<26} {about}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What a cancelled command ends with, as a shell has it.
fn cancelled() -> ExitCode {
    eprintln!("cancelled");
    ExitCode::from(130)
}
