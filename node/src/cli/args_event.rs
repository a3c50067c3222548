//! What can be typed about an event.

use std::path::PathBuf;

use clap::Subcommand;
use popmesh_proto::money::Currency;

use super::args_money::{EventCash, EventLimit, EventTax, EventWishes};
use super::known;

/// What is done about an event.
#[derive(Debug, Subcommand)]
pub(super) enum Event {
    /// Found an event: writes the organiser's key and the charter
    Init {
        /// The event's name, for people
        name: String,
        /// The currency of all prices (ISO 4217), such as EUR; it cannot be changed later
        #[arg(long, value_parser = known::any_currency(), hide_possible_values = true)]
        currency: Currency,
        /// Where to write
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show an event's charter
    Show {
        /// The organiser's folder [default: the data folder's event]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Set whether prices include tax, and where it is rounded
    Tax(EventTax),
    /// Set what cash is rounded to
    Cash(EventCash),
    /// Set how much of a device's sales may wait to be authorised
    Limit(EventLimit),
    /// Up to how many units of a sale or a cart other devices give away their last ones (an hq)
    Wishes(EventWishes),
}
