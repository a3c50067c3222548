//! Progress bars, and the wish to stop.

#![allow(clippy::disallowed_types, reason = "around a run, not in it: how long it takes is told to people")]

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether somebody wants the command to stop.
#[derive(Debug, Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for Ctrl-C and for a kind kill. A second one ends the program at once.
    pub(super) fn listen() -> std::io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, wanted.clone())?;
            signal_hook::flag::register(signal, wanted.clone())?;
        }
        Ok(Self(wanted))
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something takes, for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// So many times since the start, as a rate a second.
    pub(super) fn a_second(self, times: u64) -> u64 {
        let elapsed_ms = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        times.saturating_mul(1_000) / elapsed_ms.max(1)
    }
}

/// A bar of `length` steps on the terminal; nothing where there is none.
pub(super) fn bar(length: u64, what: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} %  {elapsed} (still {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(length), target).with_style(style).with_message(what.to_owned())
}
