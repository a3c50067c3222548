//! What crosses processes and hosts: a userspace switch, hosts in network namespaces, child processes.
//!
//! A scenario makes a [`Network`], starts programs inside its [`Host`]s under [`Child`] guards and
//! bends the links between them while they run. All of it is real Linux networking; only the wire is
//! ours, because a wire in this process can be slow, lossy or cut per direction without kernel modules.
//! Nothing here knows what a node is.

pub mod children;
pub mod host;
pub mod network;
pub mod switch;

pub use children::Child;
pub use host::Host;
pub use network::Network;
pub use switch::{Counters, LinkSettings, Tally};
