//! A venue on this machine: an hq, two tills, an encoder and a locker, each a real `popmesh run`, selling a limited run.
//!
//! Nothing is told where anything else is: the nodes find each other by mDNS on the loopback interface. One till is cut
//! off on the way, sells on alone until it has nothing left, and is healed. The last line is the verdict, as JSON. Unless it is
//! to close then, the venue goes on as one to play with: consoles to open, plugs to pull, a crowd to let in.

mod controls;
mod crowd;
mod night;
mod play;
mod shopper;
mod venue;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use play::Play;
use venue::{Venue, step};

/// What shells expect of a program that was interrupted.
const INTERRUPTED: u8 = 130;
/// How often an open venue looks whether it is to close.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Opens a venue of five popmesh nodes on this machine and sells a run of 100 numbered units.
#[derive(Debug, Parser)]
#[command(name = "scripts/demo")]
struct Arguments {
    /// Close the venue after the verdict, instead of leaving it open to play with
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stop = Arc::new(AtomicBool::new(false));
    match run(&arguments, &stop) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if stop.load(Ordering::Relaxed) => {
            eprintln!("\nInterrupted; the venue is closed and its folder removed.");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("\nThe demo could not go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
fn run(arguments: &Arguments, stop: &Arc<AtomicBool>) -> Result<bool> {
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(stop)).context("listen for Ctrl-C")?;
    }
    let mut venue = Venue::open(stop)?;
    night::stock(&venue)?;
    let sales = night::sell(&venue)?;
    night::settle(&venue)?;
    let verdict = verdict::reach(&venue, &sales)?;
    if arguments.once {
        println!("{}", verdict.line());
        return Ok(verdict.kept());
    }
    let play = Play::begin(&mut venue, stop)?;
    let played = play_on(&venue, &play, &verdict.line(), stop);
    play.end()?;
    played.map(|()| verdict.kept())
}

/// Says how to play with the venue, and has it played with until somebody closes it.
fn play_on(venue: &Venue, play: &Arc<Play>, verdict: &str, stop: &Arc<AtomicBool>) -> Result<()> {
    let page = controls::serve_page(play)?;
    venue.print_hints();
    step("A venue to play with. Each device has its console, in a browser on this machine:");
    println!("{}", play.addresses());
    println!("    Controls are at http://{page}/, and here, as lines to type:\n\n{}\n", controls::help());
    println!("{verdict}");
    controls::listen(play, stop);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
    }
    println!("\nClosing the venue.");
    Ok(())
}
