//! What can be typed about carts.

use std::time::Duration;

use clap::Subcommand;
use popmesh_proto::id::Ref;
use popmesh_proto::text::{DropId, ShopperRef};

use super::args::{Retry, Target};
use super::args_claim::Picture;
use super::args_money::Paying;
use super::given::Given;
use super::items::Item;
use super::values;

/// What is done about carts.
#[derive(Debug, Subcommand)]
pub(super) enum Cart {
    /// Put units aside
    New {
        /// What, and how many of it: a SKU, as SKU:N, SKU*N or N*SKU, and @PRICE where the programme's is not meant (see `popmesh
        /// sell --help`)
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<Item>,
        /// How many, of one item [default: 1]
        #[arg(
            short = 'n',
            long = "quantity",
            value_name = "N",
            value_parser = values::quantity,
            allow_hyphen_values = true
        )]
        quantity: Option<u64>,
        /// The drop [default: the one open drop that has these SKUs]
        #[arg(long)]
        drop: Option<DropId>,
        /// Price of one unit of one item, such as 20.00 [default: the programme's]
        #[arg(long, allow_hyphen_values = true)]
        price: Option<String>,
        /// For how long, at most a day
        #[arg(long = "for", default_value = "15m", value_parser = values::duration, allow_hyphen_values = true)]
        ttl: Duration,
        /// Who it is for: an order's number, a pseudonym; no personal data
        #[arg(long, value_name = "REFERENCE")]
        shopper: Option<ShopperRef>,
        /// How long to wait for units from other devices, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Put more into a cart that this device holds: it keeps its name and its time
    Add {
        /// The cart
        cart: Ref,
        /// What, and how many of it, as for `popmesh cart new`
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<Item>,
        /// How many, of one item [default: 1]
        #[arg(short = 'n', long = "quantity", value_name = "N", value_parser = values::quantity, allow_hyphen_values = true)]
        quantity: Option<u64>,
        /// Price of one unit of one item, such as 20.00 [default: the programme's]
        #[arg(long, allow_hyphen_values = true)]
        price: Option<String>,
        /// How long to wait for units from other devices, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Put some of what is in a cart that this device holds back on sale; the rest stays. All of it: `popmesh cart release`
    Remove {
        /// The cart
        cart: Ref,
        /// What, and how many of it, as for `popmesh cart new`; what was put aside last goes first
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<Item>,
        /// How many, of one item [default: 1]
        #[arg(short = 'n', long = "quantity", value_name = "N", value_parser = values::quantity, allow_hyphen_values = true)]
        quantity: Option<u64>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Every cart, here and elsewhere
    List {
        /// For this shopper only
        #[arg(long, value_name = "REFERENCE")]
        shopper: Option<ShopperRef>,
        #[command(flatten)]
        target: Target,
    },
    /// Take a cart over from the device that holds it, to pay it here
    Take {
        /// The cart, or its token as the scanner gave it; - reads it from standard input
        cart: Given,
        /// How long to wait for its holder, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Draw the QR code of its token, which the shopper shows at another till
    Token {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        picture: Picture,
        #[command(flatten)]
        target: Target,
    },
    /// Sell what is in a cart: on the device that holds it
    Pay {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        paying: Paying,
        /// The device that is to hand it out later [default: handed over now]
        #[arg(long, value_name = "DEVICE")]
        pickup_at: Option<String>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Put what is in a cart back on sale
    Release {
        /// The cart
        cart: Ref,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}
