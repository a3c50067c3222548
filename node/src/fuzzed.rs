//! What reads the bytes of strangers, as `popmesh-fuzz` calls it: functions without a network. Nothing for other programs
//! to build on.

pub use crate::api::fuzzed as api;
pub use crate::join::fuzzed as join;
