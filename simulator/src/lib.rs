//! Many devices in one process under virtual time: rehearse a night, and prove the promises.
//!
//! Every device runs the production state machine (`popmesh-proto`) and the production store (`popmesh-store`) on a
//! real SQLite database over a faulty virtual disk; network, power, people's mistakes and shoppers are simulated. In a
//! run there is no wall clock, no thread and no randomness but the seed's: the same seed gives the same history, byte
//! for byte.

pub mod connectivity;
pub mod load;
pub mod mix;
pub mod night;
pub mod random;
pub mod scenario;
