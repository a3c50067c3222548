//! The HTTP API over a real socket, with a double in the runtime's place.

mod description;
mod double;
mod idempotency;
mod notices;
mod problems;
mod reading;
mod wire;
