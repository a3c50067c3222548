//! What people read of a run: the page of a night and its JSON twin, the summary on the terminal, policies side by side,
//! and what a soak has met. All of it follows from its input alone: no clock, no environment, no order by chance.
//!
//! The charts are drawn here as SVG by hand, in per cent across and pixels upwards, so that a page can be narrow or wide
//! and its labels stay readable.

pub mod compare;
pub mod coverage;

mod digest;
mod files;
mod html;
mod scale;
mod table;
mod terminal;
mod thin;
mod words;

pub use files::{WriteError, json, write_both, write_comparison};
pub use html::{MOST_BYTES, html};
pub use terminal::summary;
