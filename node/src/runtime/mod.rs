//! The runtime of one device: feeds proto its inputs and carries out its outputs.

mod handle;

pub use handle::{Call, CallError, Handle, Outcome, StoreHealth};
