//! What can be typed about a sale.

use std::time::Duration;

use clap::{Args, ValueEnum};
use popmesh_proto::command::Tender;
use popmesh_proto::text::{DropId, ShopperRef, Sku};

use super::args::{Retry, Target};
use super::args_money::Paying;
use super::given::Given;
use super::values;

/// Sell units.
#[derive(Debug, Args)]
pub(super) struct Sell {
    /// The SKU
    pub(super) sku: Sku,
    /// How many
    #[arg(
        short = 'n',
        long = "quantity",
        value_name = "N",
        default_value_t = 1,
        value_parser = values::quantity,
        allow_hyphen_values = true
    )]
    pub(super) quantity: u64,
    /// The drop [default: the one open drop that has this SKU]
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// Price of one unit, such as 20.00 [default: the programme's]
    #[arg(long, allow_hyphen_values = true)]
    pub(super) price: Option<String>,
    #[command(flatten)]
    pub(super) paying: Paying,
    /// The device that is to hand it out later [default: handed over now]
    #[arg(long, value_name = "DEVICE")]
    pub(super) pickup_at: Option<String>,
    /// For how long it can be picked up, such as 2h or 3d [default: as the drop says]
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "pickup_at")]
    pub(super) pickup_within: Option<Duration>,
    /// What whoever picks it up must know, 4 to 8 digits; - reads it from standard input, @FILE from a file, where other
    /// users of this host do not see it [default: the code alone is enough]
    #[arg(long, value_name = "-|@FILE|DIGITS", requires = "pickup_at")]
    pub(super) pin: Option<Given>,
    /// Who it is for: an order's number, a pseudonym; no personal data
    #[arg(long, value_name = "REFERENCE")]
    pub(super) shopper: Option<ShopperRef>,
    /// How long to wait for units from other devices, at most 60s
    #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
    pub(super) wait: Duration,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// How a shopper paid.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum TenderArg {
    /// Notes and coins
    Cash,
    /// A card terminal
    Card,
    /// A voucher
    Voucher,
    /// Anything else
    Other,
}

impl From<TenderArg> for Tender {
    fn from(tender: TenderArg) -> Self {
        match tender {
            TenderArg::Cash => Tender::Cash,
            TenderArg::Card => Tender::Card,
            TenderArg::Voucher => Tender::Voucher,
            TenderArg::Other => Tender::Other,
        }
    }
}
