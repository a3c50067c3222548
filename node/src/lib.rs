//! One popmesh device for real: runtime, mesh, HTTP API and command line.

pub mod access;
pub mod api;
pub mod assemble;
mod bridge;
mod caller;
pub mod cli;
mod clock;
pub mod console;
pub mod door;
pub mod enrol;
pub mod folder;
#[doc(hidden)]
pub mod fuzzed;
mod health;
pub mod join;
pub mod mesh;
pub mod personal;
pub mod qr;
mod quiet;
pub mod receipt;
pub mod run;
pub mod runtime;
mod seal;
pub mod secret;
mod shut_out;
