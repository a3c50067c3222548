//! The HTTP API over a real socket, with a double in the runtime's place.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

mod altered;
mod console;
mod counter;
mod description;
mod doors;
mod double;
mod events;
mod idempotency;
mod lists;
mod money;
mod people;
mod problems;
mod reading;
mod texts;
mod tls;
mod tokens;
mod wire;
