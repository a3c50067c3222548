//! Reads the documentation as a reader does: types every command as printed, and compares what it answers.
//!
//! A [`Page`] is what a Markdown file has to be typed. A [`Reader`] types it, block after block, into [`Terminal`]s of a
//! real shell, and compares each answer with the printed one ([`compare`]). Where the shells run, a test says with
//! [`Machines`]. Nothing here knows popmesh but for the words that ask it to look and change nothing, and the forms that
//! its ids and codes have. How to write a page: HACKING.md.

pub mod compare;
pub mod page;
pub mod reader;
pub mod terminal;
pub mod varying;

pub use page::{Block, Page, Step};
pub use reader::{Machines, Reader};
pub use terminal::Terminal;
