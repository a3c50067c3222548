//! One popmesh device for real: runtime, store, mesh, HTTP API and command line.

pub mod runtime;
pub mod store;
