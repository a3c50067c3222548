//! The targets, one file each.

pub(crate) mod bundle;
pub(crate) mod cheat;
pub(crate) mod command;
pub(crate) mod device;
pub(crate) mod message;
pub(crate) mod papers;
pub(crate) mod programme;
pub(crate) mod record;
#[cfg(feature = "scenario")]
pub(crate) mod scenario;
pub(crate) mod token;
