//! What can be typed about the API: how it is served, who may call it, and how to call one elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::ask::Yes;
use super::given::{Given, not_in_arguments};
use super::tls::Trust;
use super::values;
use crate::access::{Scope, TokenId};

/// How the API is served.
#[derive(Debug, Args)]
pub(super) struct ApiServing {
    /// Where the API listens; port 0 takes any free one. Off loopback it speaks TLS and wants tokens (`popmesh api`)
    #[arg(long, value_name = "ADDR", default_value_t = crate::api::DEFAULT_ADDRESS)]
    pub(super) api: SocketAddr,
    /// Speak TLS and want tokens on loopback too
    #[arg(long)]
    pub(super) tls: bool,
    /// Serve this host's own screen here as well, on loopback, without TLS and tokens: where `--api` is for tablets
    #[arg(long, value_name = "ADDR")]
    pub(super) screen: Option<SocketAddr>,
}

/// By what to be let in, and what to trust.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ApiAccess {
    /// The token for an API elsewhere: - reads it from standard input, @FILE from a file; or the token itself in the
    /// environment, as POPMESH_TOKEN, where no other user sees it
    #[arg(long = "token", id = "api_token", value_name = "-|@FILE", value_parser = not_in_arguments)]
    pub(super) token: Option<Given>,
    /// What an API elsewhere is known by: its certificate's fingerprint, its device's key, or a PEM file
    #[arg(long, value_name = "FINGERPRINT|DEVICE|FILE", env = "POPMESH_TRUST", value_parser = Trust::given)]
    pub(super) trust: Option<Trust>,
}

/// Who may call the API from elsewhere.
#[derive(Debug, Subcommand)]
pub(super) enum ApiCommand {
    /// Print the certificate that callers are to trust, and its fingerprint
    Certificate,
    /// Tokens for callers from elsewhere
    #[command(subcommand)]
    Token(ApiToken),
}

/// Tokens for callers from elsewhere.
#[derive(Debug, Subcommand)]
pub(super) enum ApiToken {
    /// Make a token; it is shown this once
    New {
        /// What it may do
        #[arg(long)]
        scope: Scope,
        /// For how long, such as 12h or 3d, at most 366d
        #[arg(long = "for", value_name = "TIME", value_parser = values::duration)]
        lasts: Duration,
        /// Whom or what it is for, for people
        #[arg(long, default_value = "unnamed")]
        name: String,
    },
    /// List the tokens that were made on this device
    List,
    /// Refuse a token from now on
    Revoke {
        /// Its ID
        id: TokenId,
        #[command(flatten)]
        yes: Yes,
    },
}
