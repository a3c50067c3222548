//! popmesh without I/O: what a device does with its inputs.
//!
//! [`Device`] is the state machine; [`io`] is its boundary. There is no clock, thread, file, socket or source of
//! randomness in here: the same inputs give the same outputs, byte for byte.

pub mod base32;
pub mod broker;
pub mod budget;
pub mod bundle;
pub mod change;
pub mod claim_code;
pub mod clock;
pub mod command;
mod device;
pub mod document;
pub mod drop_steps;
pub mod epochs;
pub mod export;
pub mod fact;
pub mod holdings;
pub mod id;
pub mod identity;
pub mod io;
pub mod key;
pub mod links;
pub mod log;
pub mod mark;
pub mod message;
pub mod money;
pub mod payment;
pub mod people;
pub mod picture;
pub mod pin;
pub mod planted;
pub mod programme;
pub mod query;
pub mod receipt;
pub mod record;
pub mod rights;
pub mod schema;
pub mod seal;
pub mod tax;
pub mod text;
pub mod token;
pub mod trust;
pub mod units;

pub use device::{Config, Device, Need, OpenError, Work};
