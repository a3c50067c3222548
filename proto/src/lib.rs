//! popmesh without I/O: what a device does with its inputs.
//!
//! `Device` is the state machine; [`io`] is its boundary. There is no clock, thread, file, socket or source of
//! randomness in here: the same inputs give the same outputs, byte for byte.

pub mod clock;
pub mod command;
pub mod document;
pub mod id;
pub mod identity;
pub mod io;
pub mod money;
pub mod query;
#[cfg(feature = "schema")]
mod schema;
pub mod text;
pub mod units;
