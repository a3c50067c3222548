//! Fuzzing: what is done with bytes from outside, and what must hold whatever they are.
//!
//! Each [`Target`] is one way by which bytes come in. Its body is used twice: by libFuzzer, which looks for new paths for
//! as long as it is let (`scripts/fuzz`, with the crate in `guided/`), and by an ordinary test of the workspace, which
//! runs the seeds and some altered ones. A body that panics has found something.
//!
//! Most bytes from outside are signed, so bytes alone would never get behind a signature. An admitted device is the
//! strongest attacker that there is; hence the targets `record`, `cheat` and `programme` sign whatever they are given with an
//! admitted key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a body that panics has found something, as it should"
)]

mod alter;
mod author;
mod cursor;
mod event;
mod node;
mod targets;

pub use alter::Alter;

/// One way by which bytes come in.
pub struct Target {
    /// Its name: that of the libFuzzer target, too.
    pub name: &'static str,
    /// What comes in.
    pub what: &'static str,
    /// Takes the bytes in, and panics if anything does not hold afterwards.
    pub run: fn(&[u8]),
    /// Real material to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The most bytes that are worth trying.
    pub most_bytes: usize,
}

/// All targets. Those that hold most of an evening come first.
pub static TARGETS: &[Target] = &[
    targets::record::TARGET,
    targets::cheat::TARGET,
    targets::device::TARGET,
    targets::programme::TARGET,
    targets::message::TARGET,
    targets::bundle::TARGET,
    targets::token::TARGET,
    targets::papers::TARGET,
    targets::command::TARGET,
    #[cfg(feature = "node")]
    targets::hello::TARGET,
    #[cfg(feature = "node")]
    targets::announcement::TARGET,
    #[cfg(feature = "node")]
    targets::http::TARGET,
    #[cfg(feature = "node")]
    targets::join::TARGET,
    #[cfg(feature = "node")]
    targets::ticket::TARGET,
    #[cfg(feature = "scenario")]
    targets::scenario::TARGET,
];

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("there is such a target")
}
