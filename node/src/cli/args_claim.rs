//! What can be typed about claims and their tokens.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::ClaimState;
use popmesh_proto::text::{DropId, ShopperRef, Sku};
use popmesh_proto::units::UnitSet;

use super::args::{Retry, Target};
use super::ask::Yes;
use super::given::Given;
use super::values;

/// Which claims.
#[derive(Debug, Args)]
pub(super) struct Claims {
    /// One drop only
    #[arg(long)]
    pub(super) drop: Option<DropId>,
    /// Sold by this device only
    #[arg(long, value_name = "DEVICE")]
    pub(super) seller: Option<String>,
    /// In the custody of this device only: what waits there
    #[arg(long, value_name = "DEVICE")]
    pub(super) custodian: Option<String>,
    /// In this state only
    #[arg(long)]
    pub(super) state: Option<StateArg>,
    /// For this shopper only
    #[arg(long, value_name = "REFERENCE")]
    pub(super) shopper: Option<ShopperRef>,
    /// Only those that this can mean: a short code, the number of a receipt (12, or till-2:12), the reference of a payment or a
    /// shopper, a token
    #[arg(long, value_name = "TEXT")]
    pub(super) named: Option<String>,
    /// With this short code only, which stands under its QR code
    #[arg(long, value_name = "CODE")]
    pub(super) code: Option<ClaimCode>,
    /// Only those that wait longer than they may
    #[arg(long)]
    pub(super) late: bool,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) target: Target,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StateArg {
    /// Waiting to be picked up
    Issued,
    /// Waiting to be picked up, and marked: its shopper wants the money back
    RefundRequested,
    /// Handed over
    Redeemed,
    /// Paid back before it was handed over
    Refunded,
    /// Handed over, brought back and paid back
    Returned,
    /// Nobody came for it in time, and it is back in stock
    Expired,
}

impl From<StateArg> for ClaimState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Issued => ClaimState::Issued,
            StateArg::RefundRequested => ClaimState::RefundRequested,
            StateArg::Redeemed => ClaimState::Redeemed,
            StateArg::Refunded => ClaimState::Refunded,
            StateArg::Returned => ClaimState::Returned,
            StateArg::Expired => ClaimState::Expired,
        }
    }
}

/// What is done about a claim.
#[derive(Debug, Subcommand)]
pub(super) enum Claim {
    /// Hand it out, once: on its custodian. Opens its doors, and waits for how they behave
    Redeem {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        /// Its PIN, if it has one; - reads it from standard input, @FILE from a file, where other users of this host do not
        /// see it
        #[arg(long, value_name = "-|@FILE|DIGITS")]
        pin: Option<Given>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Take it back and pay for it, on a device with a person and a drawer, to which its custodian gives it; elsewhere, and
    /// where the custodian is out of reach, mark it. Of what was handed out elsewhere, say which units are brought
    Refund {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        /// Units of this SKU only, those of --serials [default: everything that is left]
        #[arg(long, requires = "serials")]
        sku: Option<Sku>,
        /// Which ones, such as 1-5,9
        #[arg(long, requires = "sku", value_name = "SERIALS")]
        serials: Option<UnitSet>,
        /// They are out of sale from now on
        #[arg(long)]
        damaged: bool,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Show all that is known of it
    Show {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        #[command(flatten)]
        target: Target,
    },
    /// Let its PIN be tried again on this device, after too many wrong ones
    Unlock {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Take back to stock what nobody came for in time, of the claims in this device's custody
    Sweep {
        /// The drop, whose rule says whether they are paid for
        #[arg(long)]
        drop: DropId,
        /// Do not ask: on which device, by its name or the first digits of its key
        #[arg(long, value_name = "DEVICE", requires = "claims")]
        device: Option<String>,
        /// Do not ask: so many claims are late there
        #[arg(long, value_name = "N", requires = "device")]
        claims: Option<u64>,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Draw the QR code of its token, which the shopper shows: on the device that sold it
    Token {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        #[command(flatten)]
        picture: Picture,
        #[command(flatten)]
        target: Target,
    },
    /// Give it into another device's custody, which hands it out then; or fetch it into this one's
    Give {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        /// The device: this one, to fetch it from its custodian
        #[arg(long, value_name = "DEVICE")]
        to: String,
        /// How long to wait for its custodian, at most 60s
        #[arg(long, default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
        wait: Duration,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Explain a claim token and check it, without a network: exit code 0 if it is good, 1 if not
    Inspect {
        /// The token's text, or - for standard input
        text: String,
    },
    /// Draw a claim token's QR code, on the terminal or into a file
    Qr(TokenCode),
}

/// Draw a claim token's QR code.
#[derive(Debug, Args)]
pub(super) struct TokenCode {
    /// The token's text, or - for standard input
    pub(super) text: String,
    #[command(flatten)]
    pub(super) picture: Picture,
}

/// Where a code is drawn: on the terminal, or into a file.
#[derive(Debug, Args)]
pub(super) struct Picture {
    /// Write an SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "png")]
    pub(super) svg: Option<PathBuf>,
    /// Write a PNG file
    #[arg(long, value_name = "FILE")]
    pub(super) png: Option<PathBuf>,
}
