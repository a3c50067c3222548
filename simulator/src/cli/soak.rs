//! `popmesh-sim soak`: many random nights, in processes side by side, until a promise breaks.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::value_parser;
use serde::{Deserialize, Serialize};

use super::cancelled;
use super::progress::{Stop, bar};
use crate::coverage::Coverage;
use crate::minimise::minimise;
use crate::mix;
use crate::night::{CartNumbers, ClaimNumbers, TrustNumbers};
use crate::report;
use crate::scenario;
use crate::words;
use crate::world::{Options, run, run_with};

/// How long at most until somebody who wants to stop is heard.
const LISTEN: Duration = Duration::from_millis(100);
/// The last seed to begin with: a whole number in TOML and in JSON readers alike, with room for all nights of a soak.
const MAX_SEED: u64 = i64::MAX.unsigned_abs();

/// A bug to plant, where the build allows it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Planting {
    /// Let every device work with this bug, to see that it is found.
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "BUG")]
    planted: Option<crate::planted::Planted>,
}

impl Planting {
    pub(super) fn plant(&self, options: &mut Options) {
        #[cfg(feature = "planted")]
        {
            options.planted = self.planted;
        }
        let _ = options;
    }

    fn arguments(&self) -> Vec<String> {
        #[cfg(feature = "planted")]
        if let Some(bug) = self.planted {
            return vec!["--planted".to_owned(), bug.to_string()];
        }
        Vec::new()
    }
}

/// Arguments of `soak`.
#[derive(Debug, clap::Args)]
pub(super) struct Soak {
    /// How many nights.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(..=MAX_SEED))]
    from: u64,
    /// How many processes; one for each core if absent.
    #[arg(long, value_parser = value_parser!(u64).range(1..=256))]
    jobs: Option<u64>,
    /// What may go wrong: see `popmesh-sim list`.
    #[arg(long, default_value = "default")]
    mix: String,
    /// Stop after so many nights with a broken promise.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    failures: u64,
    /// Write the smallest night that still breaks a promise into this folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    keep: PathBuf,
    /// Say which kinds of fault met which states.
    #[arg(long)]
    coverage: bool,
    /// Print what came of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    planting: Planting,
}

/// Arguments of a worker.
#[derive(Debug, clap::Args)]
pub(super) struct Worker {
    #[arg(long)]
    mix: String,
    #[arg(long)]
    from: u64,
    #[arg(long)]
    step: u64,
    #[arg(long)]
    until: u64,
    #[command(flatten)]
    planting: Planting,
}

/// What came of one night.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Played {
    seed: u64,
    steps: u64,
    virtual_ms: u64,
    sold: u64,
    claims: ClaimNumbers,
    carts: CartNumbers,
    trust: TrustNumbers,
    power_cuts: u64,
    boards: u64,
    history: String,
    breach: Option<Broken>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Broken {
    step: u64,
    invariant: String,
    text: String,
}

/// A line of a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Played(Box<Played>),
    Coverage(Coverage),
}

/// Processes that play; they end when this does, whatever they are at.
#[derive(Debug, Default)]
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            // One that has ended is ended.
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// What came of a soak.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    mix: String,
    nights: u64,
    steps: u64,
    virtual_s: u64,
    units_sold: u64,
    claims: ClaimNumbers,
    carts: CartNumbers,
    trust: TrustNumbers,
    power_cuts: u64,
    boards: u64,
    broken: Vec<Played>,
    coverage: Coverage,
}

/// What a soak of this mix should meet: the names are given beforehand, because what never happens cannot name itself.
fn tried(mix: &str) -> Coverage {
    let kinds: Vec<&str> = match mix {
        "honest" => words::KINDS.to_vec(),
        "default" => words::KINDS.into_iter().chain(words::MISTAKES).collect(),
        "mistakes" => words::MISTAKES.to_vec(),
        "retired" => vec!["dies", "retired", "entrusted"],
        "adversary" => vec!["cheat_crafts"],
        _ => Vec::new(),
    };
    Coverage::new(kinds, words::STATES)
}

fn play(mix: &str, seed: u64, planting: &Planting) -> Result<(Played, Coverage)> {
    let scenario = mix::draw(mix, seed)?;
    let mut options = Options { every_step: true, ..Options::default() };
    planting.plant(&mut options);
    let ended = run(&scenario, seed, options)?;
    let breach = ended.breach.map(|(step, breach)| Broken {
        step,
        invariant: breach.invariant.to_owned(),
        text: breach.text,
    });
    let played = Played {
        seed,
        steps: ended.steps,
        virtual_ms: ended.night.ended_ms,
        sold: ended.night.numbers.sold,
        claims: ended.night.numbers.claims,
        carts: ended.night.numbers.carts,
        trust: ended.night.numbers.trust,
        power_cuts: ended.night.numbers.power_cuts,
        boards: ended.night.numbers.boards,
        history: ended.night.history,
        breach,
    };
    Ok((played, ended.coverage))
}

impl Worker {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        let mut coverage = tried(&self.mix);
        let mut seed = self.from;
        while seed < self.until {
            let (played, met) = play(&self.mix, seed, &self.planting)?;
            coverage.merge(&met);
            serde_json::to_writer(&mut out, &Line::Played(Box::new(played)))?;
            out.write_all(b"\n")?;
            out.flush()?;
            seed += self.step;
        }
        serde_json::to_writer(&mut out, &Line::Coverage(coverage))?;
        out.write_all(b"\n")?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Soak {
    /// The same, with the table of what met what, and a failure if anything was never met.
    pub(super) fn with_coverage(mut self) -> Self {
        self.coverage = true;
        self
    }

    pub(super) fn run(self) -> Result<ExitCode> {
        // An unknown mix is told before any process is started.
        mix::draw(&self.mix, self.from)?;
        let stop = Stop::listen()?;
        let jobs =
            self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u64));
        let jobs = jobs.min(self.seeds);
        let (lines, received) = mpsc::channel();
        let mut workers = Workers::default();
        for job in 0..jobs {
            workers.0.push(self.start(job, jobs, lines.clone())?);
        }
        drop(lines);
        let progress = bar(self.seeds, "soaking");
        let mut outcome = Outcome { mix: self.mix.clone(), coverage: tried(&self.mix), ..Outcome::default() };
        while !stop.is_wanted() && (outcome.broken.len() as u64) < self.failures {
            let line = match received.recv_timeout(LISTEN) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match serde_json::from_str(&line).with_context(|| format!("a worker said: {line}"))? {
                Line::Coverage(coverage) => outcome.coverage.merge(&coverage),
                Line::Played(played) => {
                    outcome.nights += 1;
                    outcome.steps += played.steps;
                    outcome.virtual_s += played.virtual_ms / 1_000;
                    outcome.units_sold += played.sold;
                    outcome.claims += played.claims;
                    outcome.carts += played.carts;
                    outcome.trust += played.trust;
                    outcome.power_cuts += played.power_cuts;
                    outcome.boards += played.boards;
                    if played.breach.is_some() {
                        outcome.broken.push(*played);
                    }
                }
            }
            progress.set_position(outcome.nights);
        }
        progress.finish_and_clear();
        drop(workers);
        if stop.is_wanted() {
            return Ok(cancelled());
        }
        if outcome.nights < self.seeds && outcome.broken.is_empty() {
            bail!("a worker stopped early: {} of {} nights were played", outcome.nights, self.seeds);
        }
        self.tell(&mut outcome, &stop)
    }

    fn start(&self, job: u64, jobs: u64, lines: mpsc::Sender<String>) -> Result<Child> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut worker = Command::new(program)
            .args(["worker", "--mix", &self.mix])
            .args(["--from", &(self.from + job).to_string(), "--step", &jobs.to_string()])
            .args(["--until", &(self.from + self.seeds).to_string()])
            .args(self.planting.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("a worker could not be started")?;
        if let Some(out) = worker.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(worker)
    }

    fn tell(&self, outcome: &mut Outcome, stop: &Stop) -> Result<ExitCode> {
        outcome.broken.sort_by_key(|played| played.seed);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            println!(
                "{} nights of mix {}: {} virtual hours, {} steps, {} units sold, {} power cuts, {} boards looked at",
                outcome.nights,
                outcome.mix,
                outcome.virtual_s / 3_600,
                outcome.steps,
                outcome.units_sold,
                outcome.power_cuts,
                outcome.boards
            );
            let (claims, carts) = (&outcome.claims, &outcome.carts);
            println!(
                "{} claims handed out ({} by the token alone), {} refunds, {} fetched from another device, {} swept, {} wrong PINs; {} carts, {} taken over by another till, {} paid, {} over",
                claims.handed_out,
                claims.by_token,
                claims.refunded(),
                claims.fetched,
                claims.swept,
                claims.wrong_pins,
                carts.put_aside,
                carts.taken_over,
                carts.paid,
                carts.expired
            );
            let trust = &outcome.trust;
            println!(
                "{} databases set back and told the rest, {} gone on with by a person; {} forks cut off, {} proofs of two pasts, {} incidents",
                trust.pasts_told, trust.pasts_accepted, trust.forks, trust.double_lives, trust.incidents
            );
            println!(
                "{} devices retired, {} of them alive, {} once more; the right to handed over {} times, {} deeds without it; {} units said to be at risk, {} late sales, {} units given out twice",
                trust.retired,
                trust.retired_alive,
                trust.retired_again,
                trust.handed_over,
                trust.without_right,
                trust.at_risk,
                trust.late_sales,
                trust.twice
            );
        }
        if self.coverage && !self.json {
            print!("{}", report::coverage::table(&outcome.coverage, false));
        }
        let Some(first) = outcome.broken.first() else {
            if !self.json {
                println!("no promise was broken");
            }
            let holes = outcome.coverage.holes();
            let whole = holes.kinds.is_empty() && holes.states.is_empty();
            return Ok(if whole || !self.coverage { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        };
        if !self.json {
            for played in &outcome.broken {
                let Some(breach) = &played.breach else { continue };
                println!(
                    "BROKEN seed {}: {} at step {}: {}",
                    played.seed, breach.invariant, breach.step, breach.text
                );
                println!("  {}", self.replay(&format!("--mix {} --seed {}", outcome.mix, played.seed)));
            }
        }
        let path = self.minimised(first, stop)?;
        if stop.is_wanted() {
            return Ok(cancelled());
        }
        if !self.json {
            println!("  the smallest night found that breaks it: {}", path.display());
            println!(
                "  {} --trace",
                self.replay(&format!("--scenario {} --seed {}", path.display(), first.seed))
            );
        }
        Ok(ExitCode::FAILURE)
    }

    /// The line that plays a night again, with the bug that it was played with.
    fn replay(&self, what: &str) -> String {
        let mut line = format!("popmesh-sim replay {what}");
        for argument in self.planting.arguments() {
            line.push(' ');
            line.push_str(&argument);
        }
        line
    }

    /// Writes the smallest night that was found before somebody wanted to stop.
    fn minimised(&self, played: &Played, stop: &Stop) -> Result<PathBuf> {
        let scenario = mix::draw(&self.mix, played.seed)?;
        let mut options = Options { every_step: true, ..Options::default() };
        self.planting.plant(&mut options);
        let invariant = played.breach.as_ref().map(|breach| breach.invariant.as_str());
        let smallest = minimise(&scenario, |scenario| {
            // What counts is the file, read as whoever gets it will read it.
            let Ok(scenario) = scenario::parse(&scenario.name, &scenario::to_toml(scenario)) else {
                return false;
            };
            let mut progress = |_: u64| !stop.is_wanted();
            let played = run_with(&scenario, played.seed, options.clone(), &mut progress);
            let breach = played.ok().and_then(|ended| ended.breach);
            breach.is_some_and(|(_, breach)| Some(breach.invariant) == invariant)
        });
        let path = self.keep.join(format!("broken-{}-{}.toml", self.mix, played.seed));
        std::fs::write(&path, scenario::to_toml(&smallest)).with_context(|| {
            format!("{} cannot be written; choose another folder with --keep", path.display())
        })?;
        Ok(path)
    }
}
