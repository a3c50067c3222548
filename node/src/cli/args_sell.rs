//! What can be typed about a sale.

use std::time::Duration;

use clap::{Args, ValueEnum};
use popmesh_proto::command::Tender;
use popmesh_proto::text::{DropId, ShopperRef};

use super::args::{Retry, Target};
use super::args_money::Paying;
use super::given::Given;
use super::items::Item;
use super::values;

/// Sell units.
#[derive(Debug, Args)]
pub(super) struct Sell {
    /// What, and how many of it: a SKU, as SKU:N, SKU*N or N*SKU, and @PRICE where the programme's is not meant: TEE-M STICKER:2
    /// CAP@20.00. A shell may take * for the names of files; SKU:N needs no quotes anywhere. STICKERx2 is a SKU of its own
    #[arg(required = true, value_name = "ITEM")]
    pub(super) items: Vec<Item>,
    /// How many, of one item [default: 1]
    #[arg(
        short = 'n',
        long = "quantity",
        value_name = "N",
        value_parser = values::quantity,
        allow_hyphen_values = true
    )]
    pub(super) quantity: Option<u64>,
    /// The drop [default: the one open drop that has these SKUs]
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// Price of one unit of one item, such as 20.00 [default: the programme's]
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
