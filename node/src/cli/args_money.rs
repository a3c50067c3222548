//! What can be typed about money: the rules for it, payments, receipts and takings.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use popmesh_proto::tax::{Prices, Rounding};

use super::args::{Retry, Target};
use super::args_sell::TenderArg;
use super::given::Given;

/// Whether prices include tax, and where it is rounded.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["prices", "round"]))]
pub(super) struct EventTax {
    /// Whether prices include tax
    #[arg(long)]
    pub(super) prices: Option<PricesArg>,
    /// Where tax is rounded to a minor unit, halves away from zero
    #[arg(long)]
    pub(super) round: Option<RoundArg>,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// What cash is rounded to.
#[derive(Debug, Args)]
pub(super) struct EventCash {
    /// The smallest coin, such as 0.05; `none` for no rounding, `usual` for what is usual for the currency
    #[arg(long, value_name = "AMOUNT")]
    pub(super) coin: String,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Up to how many units a wish is ordinary.
#[derive(Debug, Args)]
pub(super) struct EventWishes {
    /// The most units of a sale or a cart for which other devices give away their last ones, 1 to 1000; for more, each that sells
    /// keeps so many, or a minute's sales
    #[arg(long, value_name = "UNITS")]
    pub(super) ordinary: u64,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

/// How much may wait to be authorised.
#[derive(Debug, Args)]
pub(super) struct EventLimit {
    /// The most that may wait on a device at once, such as 200.00; `none` takes the limit away
    #[arg(long, value_name = "AMOUNT")]
    pub(super) deferred: String,
    /// For this device only [default: all that have no limit of their own]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    #[command(flatten)]
    pub(super) retry: Retry,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PricesArg {
    /// The price is what is paid
    Included,
    /// Tax comes on top
    Excluded,
}

impl From<PricesArg> for Prices {
    fn from(prices: PricesArg) -> Self {
        match prices {
            PricesArg::Included => Prices::Included,
            PricesArg::Excluded => Prices::Excluded,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoundArg {
    /// On each line
    Line,
    /// Once for each rate of a receipt
    Receipt,
}

impl From<RoundArg> for Rounding {
    fn from(round: RoundArg) -> Self {
        match round {
            RoundArg::Line => Rounding::Line,
            RoundArg::Receipt => Rounding::Receipt,
        }
    }
}

/// How something is paid.
#[derive(Debug, Args)]
pub(super) struct Paying {
    /// How all of it is paid
    #[arg(long, default_value = "cash")]
    pub(super) tender: TenderArg,
    /// The payment's name elsewhere, such as the terminal's
    #[arg(long, value_name = "TEXT")]
    pub(super) reference: Option<String>,
    /// A terminal authorises it later; see `popmesh payment settle`
    #[arg(long)]
    pub(super) deferred: bool,
    /// The cash that is handed over, such as 50.00
    #[arg(long, value_name = "AMOUNT")]
    pub(super) given: Option<String>,
    /// Instead: one of several payments, such as card:20.00, card:20.00:REFERENCE or cash:5.00; add `,deferred` to the
    /// tender, as in card,deferred:20.00
    #[arg(long, value_name = "TENDER:AMOUNT[:REFERENCE]", conflicts_with_all = ["tender", "reference", "deferred"])]
    pub(super) pay: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Payment {
    /// Payments that wait to be authorised, here and elsewhere
    List(Target),
    /// Say what became of one: on the device that sold
    Settle {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        /// Which of its payments, from 1 [default: the one that waits]
        #[arg(long, value_name = "N")]
        payment: Option<u32>,
        /// It could not be taken
        #[arg(long)]
        failed: bool,
        /// The payment's name elsewhere
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

/// Which receipts.
#[derive(Debug, Args)]
pub(super) struct Receipts {
    /// Of this device [default: the one asked]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) target: Target,
}

/// One receipt.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").args(["text", "html"]))]
pub(super) struct Receipt {
    /// Its number
    pub(super) number: u64,
    /// Of this device [default: the one asked]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// As text of 48 columns, for an 80 mm printer; what is printed anyway
    #[arg(long)]
    pub(super) text: bool,
    /// As a page that prints
    #[arg(long)]
    pub(super) html: bool,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Whose takings.
#[derive(Debug, Args)]
pub(super) struct Takings {
    /// Of this device only
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    #[command(flatten)]
    pub(super) target: Target,
}
