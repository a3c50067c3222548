//! What popmesh costs, as ratios of two things measured in turns in one run, so that they hold on any machine.
//!
//! `cargo bench -p popmesh` runs all of it. After `--`: `--quick` for a smoke run of seconds, and names of benches to
//! run only those. Data is written below the target folder, which must be on a real disk for the figures to mean
//! anything: the first line says what file system it is.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops and says where")]

mod catch_up;
mod event;
mod large;
mod local;
mod measure;
mod redeem;
mod sales;
mod sqlite;

use std::path::Path;
use std::time::Instant;

/// How much to do.
#[derive(Clone, Copy)]
struct Scale {
    quick: bool,
}

impl Scale {
    fn of(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

type Bench = fn(Scale, &Path);

const BENCHES: [(&str, Bench); 5] = [
    ("groups", sales::groups),
    ("latency", sales::latency),
    ("redeem", redeem::run),
    ("catch-up", catch_up::run),
    ("large", large::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if large::is_child(&arguments) {
        return large::child(&arguments);
    }
    let scale = Scale { quick: arguments.iter().any(|argument| argument == "--quick") };
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let known = |name: &str| BENCHES.iter().any(|(bench, _)| *bench == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        eprintln!("no bench {unknown}; there are: {}", all.join(", "));
        std::process::exit(2);
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("file system: {}; load before: {}", measure::file_system(folder.path()), measure::load());
    if scale.quick {
        println!("a smoke run: too little is done for the aims to apply");
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            let inside = folder.path().join(name);
            std::fs::create_dir(&inside).unwrap();
            let started = Instant::now();
            println!("\n{name}");
            bench(scale, &inside);
            println!("  ({:.1} s in all)", started.elapsed().as_secs_f64());
        }
    }
}
