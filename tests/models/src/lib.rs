//! Small models of popmesh's rules, each searched through to the last state that it can reach: [`custody`] (one claim, its
//! custodians, its token, and retirement) and [`restore`] (a device whose disk is set back, and its peers).
//!
//! A model is written from the rules in the design, not from the code: it has nothing of `popmesh-proto` in it. It says
//! whether the *rules* keep a promise, in any order of events; that the code follows the rules is for other tests. Each
//! model takes its rules as a parameter, so that the rules as they were can be seen to break what the rules of today keep.

pub mod custody;
pub mod restore;
mod search;

pub use search::{Found, search};
