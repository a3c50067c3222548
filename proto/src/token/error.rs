//! What is wrong with a token, and what to do.

use serde::{Deserialize, Serialize};

use super::{MAX_TEXT, MAX_TOKEN};
use crate::identity::{CertificateError, Roles};

/// What kind of fault a token has, for programs: what a person is told to do goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum TokenFault {
    /// It is no popmesh token.
    NotAToken,
    /// It was altered, cut short or forged.
    Damaged,
    /// It is of another version of this format.
    Version,
    /// It is of another event.
    OtherEvent,
    /// Who issued it could not, or cannot be judged: hand nothing out.
    Issuer,
    /// Who issued it had been retired.
    Retired,
    /// It is a cart's, which is not paid.
    Unpaid,
    /// It is a claim's, which is paid.
    Paid,
    /// It is over.
    Expired,
    /// It has not begun.
    NotYet,
    /// It cannot be issued.
    CannotIssue,
}

/// Why a token is not accepted, or cannot be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else.
    #[error("this is not a popmesh token; scan the code whose text begins with POPMESH1:")]
    NotAToken,
    /// More text than any token has.
    #[error(
        "this has more than {MAX_TEXT} characters, so it is no popmesh token; scan the code again, alone"
    )]
    TooLong,
    /// Text or bytes that were cut short or changed on their way.
    #[error("the token was altered or cut short; scan the code again, or copy all of it")]
    Altered,
    /// Of another version of this format.
    #[error("the token is of version {theirs}, and this program reads version 1; update popmesh here")]
    Version {
        /// Its version.
        theirs: String,
    },
    /// It was issued in another event.
    #[error("the token is of another event ({theirs}); this one is {ours}: send the shopper there")]
    OtherEvent {
        /// The event that it is of, shortened.
        theirs: String,
        /// The event at hand, shortened.
        ours: String,
    },
    /// The certificate inside is none of this event.
    #[error("the token's issuer is no device of this event ({0}); hand nothing out, and call the organiser")]
    Certificate(CertificateError),
    /// The issuer's certificate did not hold when the token was issued.
    #[error(
        "{name} issued the token {issued}, when its certificate did not hold; look the claim up, and check the clock of {name}"
    )]
    IssuerValidity {
        /// The issuer's name.
        name: String,
        /// When it was issued, in UTC.
        issued: String,
    },
    /// The issuer has no role that sells.
    #[error(
        "{name} ({roles}) may not sell, so it may issue no token; hand nothing out, and call the organiser"
    )]
    Role {
        /// The issuer's name.
        name: String,
        /// Its roles.
        roles: Roles,
    },
    /// The issuer had been retired when it sold.
    #[error(
        "{name} was retired by {by}, and sold this after that: the claim counts for nothing; hand nothing out, and see `popmesh incidents`"
    )]
    IssuerRetired {
        /// The issuer's name.
        name: String,
        /// Who retired it.
        by: String,
    },
    /// Its issuer did not sell the claim.
    #[error(
        "{name}, which issued the token, did not sell this claim; hand nothing out, and look the claim up"
    )]
    NotTheSeller {
        /// The issuer's name.
        name: String,
    },
    /// The issuer's signature does not fit.
    #[error(
        "the token is not as {name} signed it: altered or forged; scan the code again, or look the claim up"
    )]
    Signature {
        /// The issuer's name.
        name: String,
    },
    /// A cart's, shown for a claim.
    #[error(
        "this is the token of a cart, which is not paid yet; pay it at a till, with `popmesh cart take` there"
    )]
    NotAClaim,
    /// A claim's, shown for a cart.
    #[error("this is the token of a claim, which is paid; redeem it with `popmesh claim redeem`")]
    NotACart,
    /// It is over.
    #[error("the token expired {when}; hand nothing out, and look the claim up for a refund")]
    Expired {
        /// When, in UTC.
        when: String,
    },
    /// It has not begun.
    #[error("the token is not valid before {from}; come back then, or check this device's clock")]
    NotYet {
        /// When it begins, in UTC.
        from: String,
    },
    /// To be signed with a key that is not the certificate's.
    #[error(
        "the key is not the one that the issuer's certificate names; install the certificate of this device"
    )]
    OtherKey,
    /// Nothing that could be redeemed.
    #[error("a token needs a claim, items that each have units, and an end after its beginning")]
    Content,
    /// Too much for one code.
    #[error(
        "the token would have {bytes} bytes, and a code holds {MAX_TOKEN}; sell fewer SKUs or fewer ranges of serials in one claim"
    )]
    TooLarge {
        /// What it would have.
        bytes: usize,
    },
}

impl TokenError {
    /// What kind of fault this is.
    pub fn fault(&self) -> TokenFault {
        match self {
            Self::NotAToken | Self::TooLong => TokenFault::NotAToken,
            Self::Altered | Self::Signature { .. } => TokenFault::Damaged,
            Self::Version { .. } => TokenFault::Version,
            Self::OtherEvent { .. } => TokenFault::OtherEvent,
            Self::Certificate(_)
            | Self::IssuerValidity { .. }
            | Self::Role { .. }
            | Self::NotTheSeller { .. } => TokenFault::Issuer,
            Self::IssuerRetired { .. } => TokenFault::Retired,
            Self::NotAClaim => TokenFault::Unpaid,
            Self::NotACart => TokenFault::Paid,
            Self::Expired { .. } => TokenFault::Expired,
            Self::NotYet { .. } => TokenFault::NotYet,
            Self::OtherKey | Self::Content | Self::TooLarge { .. } => TokenFault::CannotIssue,
        }
    }
}
