//! The certificate: the word of the organiser, or of a device that may admit others, that a device key belongs to the
//! event, and what it may do.
//!
//! What travels is a signature (64 bytes) and a body, one CBOR array (RFC 8949):
//!
//! ```text
//! [mark, device, name, roles, venue, from, until, ? issuer]
//! ```
//!
//! `mark` is the beginning of the event's id; the signature covers all of that, before the body. `issuer` is the certificate
//! of the device that signed, as it travels; without it, the organiser did. So a certificate can be judged alone, offline,
//! whoever signed it: each issuer must have a role that admits, may grant no more than that, for no longer than it has it
//! itself, and there are no more than [`MAX_ISSUERS`] of them.

use std::sync::Arc;

use minicbor::bytes::ByteSlice;

use super::charter::{SignedCharter, is_display_name};
use super::key::{SecretKey, Signature, armor, unarmor};
use super::role::Roles;
use crate::clock::utc;
use crate::id::{DeviceId, EventId, EventMark};
use crate::text::Place;

/// The most bytes a certificate has on the wire, with those of its issuers. A usual one has some 140, with one issuer
/// 280, with two 420; three devices with the longest names that there can be do not fit, and are told so.
pub const MAX_CERTIFICATE: usize = 1024;

/// From when on a device that can be heard says that its certificate ends, in milliseconds before.
pub const ENDS_SOON_MS: u64 = 2 * 86_400_000;

/// The most devices between the organiser and a device: an hq, and one that it made a steward.
pub const MAX_ISSUERS: usize = 2;

const CERTIFICATE: &str = "popmesh-certificate-1";
const ENROLMENT: &str = "popmesh-enrolment-1";
const CONTEXT: &[u8] = b"popmesh certificate v1";
const ENROLMENT_CONTEXT: &[u8] = b"popmesh enrolment v1";

/// Why a certificate or an enrolment is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate at all.
    #[error("this is not a popmesh certificate; give the file that `popmesh device sign` wrote")]
    Malformed,
    /// Not an enrolment at all, or its own signature does not fit.
    #[error("this is not a device's enrolment; give the file that `popmesh device new` wrote")]
    Enrolment,
    /// It was signed for another event.
    #[error("the certificate is of another event ({theirs}); this one is {ours}")]
    OtherEvent {
        /// The event that it is for, shortened.
        theirs: String,
        /// The event at hand, shortened.
        ours: String,
    },
    /// The organiser's signature does not fit.
    #[error("the certificate was not signed by this event's organiser")]
    Signature,
    /// The signature of the device that it names as its issuer does not fit.
    #[error("the certificate was not signed by {issuer}, whose certificate it carries")]
    IssuerSignature {
        /// The issuer's name.
        issuer: String,
    },
    /// Its issuer has no role that admits.
    #[error(
        "{issuer} ({roles}) may not admit devices, so what it signed is no certificate; an hq, a steward or the organiser may"
    )]
    Issuer {
        /// The issuer's name.
        issuer: String,
        /// Its roles.
        roles: Roles,
    },
    /// It grants more than its issuer may.
    #[error("{issuer} may make a device {may}, and not {granted}; have {who} sign that")]
    Granted {
        /// The issuer's name.
        issuer: String,
        /// What was to be granted.
        granted: Roles,
        /// What the issuer may grant.
        may: Roles,
        /// Who may grant more.
        who: &'static str,
    },
    /// It would hold when its issuer's does not.
    #[error(
        "the certificate would hold from {} to {}, and that of {issuer}, who signs it, does from {} to {}; keep within that",
        utc(*.from_ms), utc(*.until_ms), utc(*.issuer_from_ms), utc(*.issuer_until_ms)
    )]
    Outlasts {
        /// The issuer's name.
        issuer: String,
        /// Its beginning, Unix milliseconds.
        from_ms: u64,
        /// Its end, Unix milliseconds.
        until_ms: u64,
        /// The beginning of the issuer's, Unix milliseconds.
        issuer_from_ms: u64,
        /// The end of the issuer's, Unix milliseconds.
        issuer_until_ms: u64,
    },
    /// More issuers than there may be.
    #[error(
        "there are more than {MAX_ISSUERS} devices between the certificate and the organiser; have an hq or the organiser sign it"
    )]
    Issuers,
    /// More bytes than others take.
    #[error(
        "the certificate would have {bytes} bytes with those of its issuers, and may have {MAX_CERTIFICATE}; give the devices shorter names"
    )]
    TooLarge {
        /// What it would have.
        bytes: usize,
    },
    /// It is somebody else's.
    #[error("the certificate is for device {theirs}, not for {ours}; enrol this device and install its own")]
    OtherDevice {
        /// The device that it is for, shortened.
        theirs: String,
        /// The device at hand, shortened.
        ours: String,
    },
    /// It does not hold at that time.
    #[error(
        "the certificate of {name} is not valid {when}; check the clock, or have the device admitted again with `popmesh join`"
    )]
    Validity {
        /// The device's name.
        name: String,
        /// `before …` or `after …`, in UTC.
        when: String,
    },
    /// A name, or the roles, cannot be.
    #[error(
        "a certificate needs a name of 1 to 80 characters, at least one role, and an end after its beginning"
    )]
    Content,
}

/// What is stated about a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The device's public key.
    pub device: DeviceId,
    /// Its name, for people.
    pub name: String,
    /// What it may do.
    pub roles: Roles,
    /// The venue where it stands; the place its units are sold from.
    pub venue: Place,
    /// Valid from, Unix milliseconds, inclusive.
    pub not_before_ms: u64,
    /// Valid until, Unix milliseconds, exclusive.
    pub not_after_ms: u64,
}

/// What is signed.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Body<'b> {
    #[n(0)]
    mark: EventMark,
    #[n(1)]
    device: DeviceId,
    #[n(2)]
    name: String,
    #[n(3)]
    roles: Roles,
    #[n(4)]
    venue: Place,
    #[n(5)]
    not_before_ms: u64,
    #[n(6)]
    not_after_ms: u64,
    #[b(7)]
    issuer: Option<&'b ByteSlice>,
}

impl Body<'_> {
    fn certificate(self) -> Certificate {
        let Self { device, name, roles, venue, not_before_ms, not_after_ms, .. } = self;
        Certificate { device, name, roles, venue, not_before_ms, not_after_ms }
    }
}

/// What a signature on a certificate is over.
fn message(event: &EventId, body: &[u8]) -> Vec<u8> {
    [CONTEXT, &event.0, body].concat()
}

/// What the bytes of a certificate say, of which nothing is proven: the beginning of its event's id, and the rest.
pub(crate) fn unproven(bytes: &[u8]) -> Option<(EventMark, Certificate)> {
    let body: Body<'_> = minicbor::decode(bytes.get(64..)?).ok()?;
    Some((body.mark, body.certificate()))
}

/// A certificate whose signature and content have been checked against a charter, and those of its issuers. Only this
/// module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    certificate: Certificate,
    event: EventId,
    issuer: Option<Arc<SignedCertificate>>,
    bytes: Vec<u8>,
}

impl SignedCertificate {
    /// Signs a certificate with the organiser's key.
    ///
    /// # Errors
    /// [`CertificateError`] if its content cannot be, or the key is not the charter's.
    pub fn sign(
        certificate: Certificate,
        root: &SecretKey,
        charter: &SignedCharter,
    ) -> Result<Self, CertificateError> {
        Self::make(certificate, root, None, charter)
    }

    /// Signs a certificate with the key of a device that may admit others.
    ///
    /// # Errors
    /// [`CertificateError`] if its content cannot be, the key is not the issuer's, or the issuer may not do this.
    pub fn sign_as(
        certificate: Certificate,
        key: &SecretKey,
        issuer: &SignedCertificate,
        charter: &SignedCharter,
    ) -> Result<Self, CertificateError> {
        Self::make(certificate, key, Some(issuer), charter)
    }

    fn make(
        certificate: Certificate,
        key: &SecretKey,
        issuer: Option<&SignedCertificate>,
        charter: &SignedCharter,
    ) -> Result<Self, CertificateError> {
        let event = charter.event();
        let Certificate { device, name, roles, venue, not_before_ms, not_after_ms } = certificate;
        let issuer = issuer.map(|issuer| issuer.bytes().into());
        let body =
            Body { mark: event.mark(), device, name, roles, venue, not_before_ms, not_after_ms, issuer };
        let body = minicbor::to_vec(&body).map_err(|_| CertificateError::Malformed)?;
        let bytes = [&key.sign(&message(&event, &body)).0[..], &body].concat();
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge { bytes: bytes.len() });
        }
        Self::from_bytes(&bytes, charter)
    }

    /// Reads the bytes that travel: signature, then the certificate as CBOR, and its issuer's in it.
    ///
    /// Says nothing about when it is valid: ask [`SignedCertificate::valid_at`].
    ///
    /// # Errors
    /// [`CertificateError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8], charter: &SignedCharter) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed);
        }
        Self::read(bytes, charter, MAX_ISSUERS)
    }

    fn read(bytes: &[u8], charter: &SignedCharter, issuers: usize) -> Result<Self, CertificateError> {
        let event = charter.event();
        let (signature, signed) = bytes.split_first_chunk::<64>().ok_or(CertificateError::Malformed)?;
        let body: Body<'_> = minicbor::decode(signed).map_err(|_| CertificateError::Malformed)?;
        if body.mark != event.mark() {
            return Err(CertificateError::OtherEvent { theirs: body.mark.short(), ours: event.short() });
        }
        let issuer = match (body.issuer, issuers.checked_sub(1)) {
            (None, _) => None,
            (Some(_), None) => return Err(CertificateError::Issuers),
            (Some(issuer), Some(further)) => Some(Arc::new(Self::read(issuer, charter, further)?)),
        };
        let signer = issuer.as_ref().map_or(charter.charter().root, |issuer| issuer.device);
        if !Signature(*signature).verifies(&signer, &message(&event, signed)) {
            return Err(match issuer {
                None => CertificateError::Signature,
                Some(issuer) => CertificateError::IssuerSignature { issuer: issuer.name.clone() },
            });
        }
        let certificate = body.certificate();
        let lasts = certificate.not_before_ms < certificate.not_after_ms;
        if !is_display_name(&certificate.name) || certificate.roles.iter().next().is_none() || !lasts {
            return Err(CertificateError::Content);
        }
        if let Some(issuer) = &issuer {
            issuer.may_issue(&certificate)?;
        }
        Ok(Self { certificate, event, issuer, bytes: bytes.to_vec() })
    }

    /// Whether the device of this certificate may sign that one.
    fn may_issue(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        let issuer = || self.name.clone();
        if !self.roles.admits() {
            return Err(CertificateError::Issuer { issuer: issuer(), roles: self.roles });
        }
        let (granted, may) = (certificate.roles, self.roles.may_grant());
        if !granted.are_among(may) {
            return Err(CertificateError::Granted {
                issuer: issuer(),
                granted,
                may,
                who: if self.roles.has(super::Role::Hq) {
                    "the organiser"
                } else {
                    "an hq, or the organiser,"
                },
            });
        }
        let within =
            self.not_before_ms <= certificate.not_before_ms && certificate.not_after_ms <= self.not_after_ms;
        if !within {
            return Err(CertificateError::Outlasts {
                issuer: issuer(),
                from_ms: certificate.not_before_ms,
                until_ms: certificate.not_after_ms,
                issuer_from_ms: self.not_before_ms,
                issuer_until_ms: self.not_after_ms,
            });
        }
        Ok(())
    }

    /// The event that it is of.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// The certificate of the device that signed it; none if the organiser did.
    pub fn issuer(&self) -> Option<&SignedCertificate> {
        self.issuer.as_deref()
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// As [`SignedCertificate::from_bytes`].
    pub fn from_text(text: &str, charter: &SignedCharter) -> Result<Self, CertificateError> {
        let bytes = unarmor(CERTIFICATE, text).ok_or(CertificateError::Malformed)?;
        Self::from_bytes(&bytes, charter)
    }

    /// The text form: one line.
    pub fn to_text(&self) -> String {
        armor(CERTIFICATE, &self.bytes)
    }

    /// The bytes that travel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that it belongs to `device`.
    ///
    /// # Errors
    /// [`CertificateError::OtherDevice`] otherwise.
    pub fn belongs_to(&self, device: &DeviceId) -> Result<(), CertificateError> {
        if self.certificate.device == *device {
            return Ok(());
        }
        Err(CertificateError::OtherDevice { theirs: self.certificate.device.short(), ours: device.short() })
    }

    /// Checks that it holds at `ms`, Unix milliseconds.
    ///
    /// # Errors
    /// [`CertificateError::Validity`] otherwise.
    pub fn valid_at(&self, ms: u64) -> Result<(), CertificateError> {
        let Certificate { not_before_ms, not_after_ms, name, .. } = &self.certificate;
        let when = if ms < *not_before_ms {
            format!("before {}", utc(*not_before_ms))
        } else if ms >= *not_after_ms {
            format!("after {}", utc(*not_after_ms))
        } else {
            return Ok(());
        };
        Err(CertificateError::Validity { name: name.clone(), when })
    }
}

impl std::ops::Deref for SignedCertificate {
    type Target = Certificate;
    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

/// A device's request for a certificate: its key and the name it proposes, signed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The device's public key.
    pub device: DeviceId,
    /// The name it proposes.
    pub name: String,
}

impl Enrolment {
    /// The text form of a device's request, signed with its key so that nobody enrols a key he does not have.
    ///
    /// # Errors
    /// [`CertificateError::Content`] if the name is unusable.
    pub fn to_text(name: &str, key: &SecretKey) -> Result<String, CertificateError> {
        if !is_display_name(name) {
            return Err(CertificateError::Content);
        }
        let body = [&key.id().0[..], name.as_bytes()].concat();
        let signature = key.sign(&[ENROLMENT_CONTEXT, &body].concat());
        Ok(armor(ENROLMENT, &[&signature.0[..], &body].concat()))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`CertificateError::Enrolment`] if it is not one.
    pub fn from_text(text: &str) -> Result<Self, CertificateError> {
        let refused = CertificateError::Enrolment;
        let raw = unarmor(ENROLMENT, text).ok_or(refused.clone())?;
        let (signature, body) = raw.split_first_chunk::<64>().ok_or(refused.clone())?;
        let (device, name) = body.split_first_chunk::<32>().ok_or(refused.clone())?;
        let device = DeviceId(*device);
        let name = std::str::from_utf8(name).map_err(|_| refused.clone())?;
        if !is_display_name(name)
            || !Signature(*signature).verifies(&device, &[ENROLMENT_CONTEXT, body].concat())
        {
            return Err(refused);
        }
        Ok(Self { device, name: name.to_owned() })
    }
}
