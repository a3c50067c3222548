//! What can be typed about products, drops, lots and stock.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use popmesh_proto::command::Unclaimed;
use popmesh_proto::text::{DropId, Edition, Place, Sku};

use super::args::{Retry, Target};
use super::ask::Yes;
use super::values;

#[derive(Debug, Subcommand)]
pub(super) enum Product {
    /// Put a product on the programme, or change its name and price
    Add {
        /// The SKU
        sku: Sku,
        /// Its name, for people
        name: String,
        /// Price of one unit, such as 25.00
        #[arg(long, allow_hyphen_values = true)]
        price: String,
        /// Its tax rate in per cent, such as 19 or 7.5 [default: what it has, 0 if it is new]
        #[arg(long, value_name = "PERCENT", value_parser = super::money::rate)]
        tax: Option<u16>,
        /// Under which heading tills show it, such as Shirts; an empty one takes it away [default: what it has]
        #[arg(long, value_name = "TEXT")]
        category: Option<String>,
        /// Its picture: a still PNG, JPEG or WebP file of at most 8 kB and 512 pixels each way [default: what it has]
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
        /// Take its picture away
        #[arg(long, conflicts_with = "picture")]
        no_picture: bool,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// List products
    List(Target),
}

#[derive(Debug, Subcommand)]
pub(super) enum Drop {
    /// Plan a drop
    New {
        /// Its short name
        name: DropId,
        /// Its title, for people [default: the short name]
        #[arg(long)]
        title: Option<String>,
        /// For how long claims can be picked up after their sale, such as 2h or 3d [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        pickup_within: Option<Duration>,
        /// What becomes of claims that nobody came for in that time
        #[arg(long, default_value = "keep")]
        unclaimed: UnclaimedArg,
        /// Its hard end: a time such as 2026-12-01T22:00, or from now on such as 90m. It is over then on every device by itself
        #[arg(long, value_name = "TIME", value_parser = values::later)]
        ends: Option<values::Later>,
        /// Open it for sale at once
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Announce a drop, and how many units there are of it
    Announce {
        #[command(flatten)]
        step: DropChange,
        /// Units that are announced [default: what is minted by now]
        #[arg(long, value_name = "SKU=UNITS", value_parser = values::units_of_sku)]
        units: Vec<(Sku, u64)>,
        /// Its hard end: a time such as 2026-12-01T22:00, or from now on such as 90m. It is over then on every device by itself
        #[arg(long, value_name = "TIME", value_parser = values::later)]
        ends: Option<values::Later>,
        /// Where it is over: begin its next round
        #[arg(long)]
        again: bool,
    },
    /// Open a drop for sale
    Open {
        #[command(flatten)]
        step: DropChange,
        /// Where it is over: begin its next round
        #[arg(long)]
        again: bool,
    },
    /// Say that a drop is about to be closed; it sells on
    LastCall(DropChange),
    /// Close a drop, here at once and wherever it is heard
    Close(DropChange),
    /// List the steps of a drop
    Steps(DropLook),
    /// List sales that were made after a close
    Late(DropLook),
    /// List drops
    List(Target),
}

/// What becomes of claims that nobody came for in time.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum UnclaimedArg {
    /// They wait on
    Keep,
    /// Their custodian may take them back to stock, and pays for them
    Refund,
    /// Their custodian may take them back to stock, and pays nothing
    Forfeit,
}

impl From<UnclaimedArg> for Unclaimed {
    fn from(unclaimed: UnclaimedArg) -> Self {
        match unclaimed {
            UnclaimedArg::Keep => Unclaimed::Keep,
            UnclaimedArg::Refund => Unclaimed::Refund,
            UnclaimedArg::Forfeit => Unclaimed::Forfeit,
        }
    }
}

/// Which drop to look at.
#[derive(Debug, Args)]
pub(super) struct DropLook {
    /// Its short name
    pub(super) name: DropId,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Of which drop to take a step.
#[derive(Debug, Args)]
pub(super) struct DropChange {
    /// Its short name
    pub(super) name: DropId,
    /// At this venue only [default: all]
    #[arg(long)]
    pub(super) venue: Option<Place>,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Debug, Subcommand)]
pub(super) enum Lot {
    /// Mint a lot; its units are then held by this device
    Mint {
        /// The drop
        #[arg(long)]
        drop: DropId,
        /// The SKU
        #[arg(long)]
        sku: Sku,
        /// First and last serial, such as 1-100
        #[arg(long, value_parser = values::serial_range)]
        serials: (u32, u32),
        /// The serials are not printed on the units: any piece will do
        #[arg(long)]
        unnumbered: bool,
        /// The word that is printed with each serial, such as gold: lots of one SKU and edition share no serial
        #[arg(long, conflicts_with = "unnumbered")]
        edition: Option<Edition>,
        /// Where the units lie [default: this device's venue]
        #[arg(long)]
        place: Option<Place>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// List lots
    List(Target),
}

/// Which stock.
#[derive(Debug, Args)]
pub(super) struct Stock {
    /// One drop only
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// One SKU only
    #[arg(long)]
    pub(super) sku: Option<Sku>,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Which units.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["count", "serials"]))]
pub(super) struct UnitsArgs {
    /// The drop
    #[arg(long)]
    pub(super) drop: DropId,
    /// The SKU
    #[arg(long)]
    pub(super) sku: Sku,
    /// Any units, so many
    #[arg(long, value_name = "N", value_parser = values::quantity, allow_hyphen_values = true)]
    pub(super) count: Option<u64>,
    /// Exactly these, such as 1-5,9
    #[arg(long, value_name = "SERIALS")]
    pub(super) serials: Option<String>,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Give units to another device.
#[derive(Debug, Args)]
pub(super) struct Transfer {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
    /// Who gets them: a device's name, or the first digits of its key
    #[arg(long, value_name = "DEVICE")]
    pub(super) to: String,
}

/// Change where units lie.
#[derive(Debug, Args)]
pub(super) struct Move {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
    /// Where they lie from now on
    #[arg(long)]
    pub(super) place: Place,
}

/// Take units out of sale.
#[derive(Debug, Args)]
pub(super) struct Damage {
    #[command(flatten)]
    pub(super) units: UnitsArgs,
    #[command(flatten)]
    pub(super) yes: Yes,
}
