//! Many devices in one process under virtual time: rehearse a night, and prove the promises.
//!
//! Every device runs the production state machine (`popmesh-proto`) and the production store (`popmesh-store`) on a
//! real SQLite database over a faulty virtual disk; network, power, people's mistakes and shoppers are simulated.
//!
//! Never in here, while a run is under way: a wall clock, a thread, a file, a socket, randomness that does not follow
//! from the seed, or a map that is walked in an order that does not. The same seed gives the same history, byte for
//! byte. Runs that shall go on side by side go into processes of their own.

pub mod baseline;
pub mod cli;
pub mod comparison;
pub mod connectivity;
pub mod coverage;
pub mod cuts;
pub mod disk;
pub mod judge;
pub mod load;
pub mod minimise;
pub mod mix;
pub mod network;
pub mod night;
pub mod planted;
pub mod random;
pub mod report;
pub mod scenario;
pub mod words;
pub mod world;
