//! What crosses processes and hosts: a userspace switch, hosts in network namespaces, child processes, real nodes.
//!
//! A scenario makes a [`Network`], starts programs inside its [`Host`]s under [`Child`] guards and
//! bends the links between them while they run. All of it is real Linux networking; only the wire is
//! ours, because a wire in this process can be slow, lossy or cut per direction without kernel modules.
//! An [`Event`] enrols devices with the `popmesh` binary, and a [`Node`] is one of them running.

pub mod children;
pub mod event;
pub mod host;
pub mod network;
pub mod node;
pub mod switch;

pub use children::Child;
pub use event::Event;
pub use host::Host;
pub use network::Network;
pub use node::{Answer, Node, Options};
pub use switch::{Counters, LinkSettings, Tally};
