//! What is written when a certificate is renewed.

use crate::identity::MAX_CERTIFICATE;

/// A certificate that the author of this record has signed for a device that has one already.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Renewal {
    /// It, as it travels: with the author's own in it.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
}

impl Renewal {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        if self.certificate.len() <= MAX_CERTIFICATE { Ok(()) } else { Err("a certificate that is too long") }
    }
}
