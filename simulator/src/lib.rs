//! Rehearses popmesh: what a run needs to be the same history, byte for byte, every time its seed is given.
//!
//! In here: the one source of chance, and disks that lose what was not synced, tear writes, fill up and fail, under the
//! store that devices run on; and power cuts on one disk, many a second.
//!
//! Never in here, while a run is under way: a wall clock, a thread, a file, a socket, randomness that does not follow
//! from the seed, or a map that is walked in an order that does not. Runs that shall go on side by side go into
//! processes of their own.

pub mod cuts;
pub mod disk;
pub mod random;
