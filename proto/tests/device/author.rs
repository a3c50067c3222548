//! Chains written by hand, in lives that a test names by a number.

use popmesh_proto::clock::Hlc;
use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{SecretKey, SignedCertificate};

pub(crate) use popmesh_crafted::{Author, range, sign};

/// A chain that begins as it should.
pub(crate) fn begin(secret: &SecretKey, certificate: &SignedCertificate, document: &str, at: Hlc) -> Author {
    begin_with(secret, certificate, document, at, 7)
}

/// The same, in the life of this number.
pub(crate) fn begin_with(
    secret: &SecretKey,
    certificate: &SignedCertificate,
    document: &str,
    at: Hlc,
    life: u8,
) -> Author {
    Author::begin(secret, certificate, &document.parse().unwrap(), at, Nonce([life; 16]), None)
}
