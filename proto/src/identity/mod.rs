//! Who may take part: the organiser's charter, and the certificate that each device of the event carries.

mod certificate;
mod charter;
mod key;
mod role;

pub(crate) use certificate::unproven;
pub use certificate::{
    Certificate, CertificateError, ENDS_SOON_MS, Enrolment, MAX_CERTIFICATE, MAX_ISSUERS, SignedCertificate,
};
pub(crate) use charter::is_display_name;
pub use charter::{Charter, CharterError, MAX_NAME, SignedCharter};
pub use key::{Ed25519, SecretKey, Signature, Signatures, agreement_key_of, armor, unarmor};
pub use role::{Role, Roles};
