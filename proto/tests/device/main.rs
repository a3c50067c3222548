//! Devices against each other, without a network: what they do together, and what no failure may make them do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

mod admission;
mod altered;
mod author;
mod budgets;
mod carts;
mod catching_up;
mod chaos;
mod claims;
mod clocks;
mod doors;
mod durable;
mod event;
mod expiry;
mod forking;
mod leaving;
mod malformed;
mod narrow;
mod node;
mod past;
mod payments;
mod people;
mod pins;
mod receipts;
mod registrar;
mod renewing;
mod retiring;
mod rng;
mod selling;
mod views;
mod visible;
mod wire;
mod world;
