//! `popmesh-sim compare`: the same night under each stock policy, side by side.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::progress::{Stop, bar};
use super::{ReportTo, cancelled};
use crate::comparison::{POLICIES, compare};
use crate::report;
use crate::scenario::{self, StockPolicy};

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// A scenario that comes with popmesh (see `popmesh-sim list`), or a TOML file.
    scenario: String,
    /// The seed: shoppers and faults are the same under each policy.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play so many seeds, from that one on, and show the median and the worst of each number.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    #[command(flatten)]
    report: ReportTo,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<ExitCode> {
        let scenario = scenario::find(&self.scenario)?;
        let until = self
            .seed
            .checked_add(self.seeds)
            .context("the last seed is too great; begin with a lower one")?;
        let stop = Stop::listen()?;
        let nights = POLICIES.len() as u64 * self.seeds;
        let progress = bar(nights * scenario.duration_ms, "comparing");
        let comparison = compare(&scenario, self.seed..until, &mut |done, now_ms| {
            progress.set_position(done * scenario.duration_ms + now_ms.min(scenario.duration_ms));
            !stop.is_wanted()
        })?;
        progress.finish_and_clear();
        let Some(comparison) = comparison else { return Ok(cancelled()) };
        if let Some(path) = &self.report.report {
            report::write_comparison(path, &comparison)
                .with_context(|| format!("no report in {}", path.display()))?;
        }
        if self.json {
            print!("{}", report::compare::json(&comparison)?);
        } else {
            print!("{}", report::compare::table(&comparison, std::io::stdout().is_terminal()));
            if let Some(path) = &self.report.report {
                println!("report: {}", path.display());
            }
        }
        // Of the others nobody expects that they keep what only popmesh promises.
        let ours = comparison.worst.iter().filter(|row| {
            matches!(row.policy, StockPolicy::ByRate | StockPolicy::OnDemand | StockPolicy::StaticShares)
        });
        let kept = ours.into_iter().all(|row| row.kept);
        Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
