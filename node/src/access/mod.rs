//! Who may call the API from elsewhere: the certificate by which callers know the device, and the tokens by which the
//! device knows callers. Both live in the data folder.

mod certificate;
mod reached;
mod scope;
mod throttle;
mod tokens;

pub use certificate::{Authority, CertificateError, Reach, fingerprint, holds_at, vouched_device};
pub use reached::{Reached, Trusted};
pub use scope::Scope;
pub use throttle::{FAILURES, GIVES_CLAIMS, GIVES_EVERY, GIVES_UNITS, Given, Throttle, WINDOW};
pub use tokens::{Denied, MAX_LIFE, NewToken, Right, Rights, StoredToken, TokenId, TokensError};
