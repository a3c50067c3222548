//! `popmesh-sim cuts`: one disk, and power cuts as fast as they come.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;

use super::cancelled;
use super::progress::{Stop, Stopwatch, bar};
use crate::cuts::{Options, run};
use crate::disk::Faults;

/// Arguments of `cuts`.
#[derive(Debug, clap::Args)]
pub(super) struct Cuts {
    /// How many times to append, lose power, recover and check.
    #[arg(long, default_value_t = 10_000)]
    cycles: u64,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let reads, writes and syncs fail as well, and the disk be full now and then.
    #[arg(long)]
    errors: bool,
}

impl Cuts {
    pub(super) fn run(self) -> Result<ExitCode> {
        let stop = Stop::listen()?;
        let mut options = Options::new(self.seed, self.cycles);
        if self.errors {
            options.faults = Faults {
                read_errors_per_mille: 1,
                write_errors_per_mille: 3,
                sync_errors_per_mille: 5,
                ..Faults::NONE
            };
            options.full_per_mille = 10;
        }
        let progress = bar(self.cycles, "cutting");
        let watch = Stopwatch::start();
        let done = run(&options, |report| {
            progress.set_position(report.cycles);
            if stop.is_wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        progress.finish_and_clear();
        let report = done?;
        if stop.is_wanted() {
            return Ok(cancelled());
        }
        println!(
            "{} cycles, {} power cuts, {} of them in recovery, on {} logs: {} cuts with recovery and check a second",
            report.cycles,
            report.disk.cuts,
            report.cuts_in_recovery,
            report.logs,
            watch.a_second(report.disk.cuts)
        );
        println!(
            "{} batches acknowledged, none lost; of those not acknowledged {} were found and {} are gone; {} appends failed",
            report.batches_acknowledged, report.batches_kept, report.batches_gone, report.appends_failed
        );
        println!("history {}", hex::encode(report.history));
        Ok(ExitCode::SUCCESS)
    }
}
