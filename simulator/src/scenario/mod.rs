//! Scenarios: what a night is made of, read from a file or drawn from a mix.

mod model;

pub use model::*;
