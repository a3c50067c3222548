//! The targets, one file each.

#[cfg(feature = "node")]
pub(crate) mod announcement;
pub(crate) mod bundle;
pub(crate) mod cheat;
pub(crate) mod command;
pub(crate) mod device;
#[cfg(feature = "node")]
pub(crate) mod hello;
#[cfg(feature = "node")]
pub(crate) mod http;
#[cfg(feature = "node")]
pub(crate) mod join;
pub(crate) mod message;
pub(crate) mod papers;
pub(crate) mod programme;
pub(crate) mod record;
#[cfg(feature = "scenario")]
pub(crate) mod scenario;
#[cfg(feature = "node")]
pub(crate) mod ticket;
pub(crate) mod token;
