//! `popmesh-sim rehearse`: one night, its verdict and its report.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::progress::{Stop, Stopwatch, bar};
use super::{ReportTo, cancelled};
use crate::report;
use crate::scenario;
use crate::world::{Options, run_with};

/// Arguments of `rehearse`.
#[derive(Debug, clap::Args)]
pub(super) struct Rehearse {
    /// A scenario that comes with popmesh (see `popmesh-sim list`), or a TOML file.
    scenario: String,
    /// The seed: the same one gives the same night, byte for byte.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportTo,
    /// Print the JSON twin of the report instead of words.
    #[arg(long)]
    json: bool,
}

impl Rehearse {
    pub(super) fn run(self) -> Result<ExitCode> {
        let scenario = scenario::find(&self.scenario)?;
        let stop = Stop::listen()?;
        let progress = bar(scenario.duration_ms, "rehearsing");
        let watch = Stopwatch::start();
        let options = Options { record: true, ..Options::default() };
        let ended = run_with(&scenario, self.seed, options, &mut |now_ms| {
            progress.set_position(now_ms);
            !stop.is_wanted()
        })?;
        progress.finish_and_clear();
        let rate = watch.a_second(ended.night.ended_ms / 1_000);
        if stop.is_wanted() {
            return Ok(cancelled());
        }
        let mut night = ended.night;
        if scenario::named(&self.scenario).is_none() {
            night.replay = format!("popmesh-sim rehearse {} --seed {}", self.scenario, self.seed);
        }
        if let Some(path) = &self.report.report {
            report::write_both(path, &night).with_context(|| format!("no report in {}", path.display()))?;
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            out.write_all(report::json(&night)?.as_bytes())?;
        } else {
            out.write_all(report::summary(&night, std::io::stdout().is_terminal()).as_bytes())?;
            writeln!(out, "{} devices, {rate} virtual seconds a second", night.devices.len())?;
            if let Some(path) = &self.report.report {
                writeln!(out, "report: {}", path.display())?;
            }
        }
        Ok(if night.verdict.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
