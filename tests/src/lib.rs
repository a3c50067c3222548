//! What crosses processes and hosts: a userspace switch, hosts in network namespaces, child processes, real nodes.
//!
//! A scenario makes a [`Network`], starts programs inside its [`Host`]s under [`Child`] guards and
//! bends the links between them while they run. All of it is real Linux networking; only the wire is
//! ours, because a wire in this process can be slow, lossy or cut per direction without kernel modules.
//! An [`Event`] enrols devices with the `popmesh` binary, and a [`Node`] is one of them running, on disks of its own if
//! it is given [`Mounts`].

pub mod api;
pub mod books;
pub mod browser;
pub mod children;
pub mod event;
pub mod home;
pub mod host;
pub mod listener;
pub mod mdns;
pub mod mounts;
pub mod network;
pub mod node;
pub mod refusal;
pub mod serve;
pub mod stage;
pub mod switch;
pub mod terminal;
pub mod wares;

pub use api::{Answer, Api};
pub use browser::{Browser, Page};
pub use children::Child;
pub use event::Event;
pub use home::Home;
pub use host::Host;
pub use mounts::Mounts;
pub use network::Network;
pub use node::{Node, Options, wait_until};
pub use stage::Stage;
pub use switch::{Counters, LinkSettings, Random, Tally};
pub use terminal::Terminal;
