//! `popmesh-sim replay`: one night of a soak again, with every step in words.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::soak::Planting;
use crate::mix;
use crate::scenario;
use crate::world::{Options, run};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// The mix that the night was drawn from.
    #[arg(long, default_value = "default")]
    mix: String,
    /// Play this scenario file instead of one drawn from a mix.
    #[arg(long, value_name = "FILE")]
    scenario: Option<String>,
    /// Stop after so many steps.
    #[arg(long, value_name = "STEP")]
    until: Option<u64>,
    /// Say what happens, a line a step.
    #[arg(long)]
    trace: bool,
    /// Say it only from this step on.
    #[arg(long, value_name = "STEP", default_value_t = 0)]
    from: u64,
    /// Check the devices' books once a second instead of after every step.
    #[arg(long)]
    quick: bool,
    /// Print the night as a scenario file instead of playing it.
    #[arg(long)]
    toml: bool,
    #[command(flatten)]
    planting: Planting,
}

impl Replay {
    pub(super) fn run(self) -> Result<ExitCode> {
        let scenario = match &self.scenario {
            Some(name) => scenario::find(name)?,
            None => mix::draw(&self.mix, self.seed)?,
        };
        if self.toml {
            print!("{}", scenario::to_toml(&scenario));
            return Ok(ExitCode::SUCCESS);
        }
        let mut options = Options {
            every_step: !self.quick,
            trace_from: self.trace.then_some(self.from),
            until_step: self.until,
            ..Options::default()
        };
        self.planting.plant(&mut options);
        let ended = run(&scenario, self.seed, options)?;
        let mut out = std::io::stdout().lock();
        for line in &ended.trace {
            writeln!(out, "{line}")?;
        }
        let night = &ended.night;
        writeln!(out, "history {} after {} steps, {} ms", night.history, ended.steps, night.ended_ms)?;
        writeln!(
            out,
            "{} entries, {} writes, {} messages, {} bytes",
            night.numbers.entries, night.numbers.writes, night.numbers.messages, night.numbers.bytes
        )?;
        match ended.breach {
            Some((step, breach)) => {
                writeln!(out, "BROKEN at step {step}: {} {}", breach.invariant, breach.text)?;
                Ok(ExitCode::FAILURE)
            }
            None => {
                writeln!(out, "no promise was broken")?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
