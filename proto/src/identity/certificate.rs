//! The certificate: the organiser's word that a device key belongs to the event, and what it may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::charter::{SignedCharter, is_display_name};
use super::key::{SecretKey, Signature, armor, unarmor};
use crate::clock::utc;
use crate::id::{DeviceId, EventId};
use crate::text::Place;

/// The most bytes a certificate has on the wire.
pub const MAX_CERTIFICATE: usize = 1024;

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
        "the certificate of {name} is not valid {when}; have the organiser sign a new one, and check the clock"
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

/// What a device is used as. A device may have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// Sells.
    Pos,
    /// Hands out; may sell.
    Locker,
    /// Runs the stream; announces drops and sells to viewers.
    Encoder,
    /// The organiser's: edits the programme and mints lots.
    Hq,
    /// Retires devices that are lost or dead. One device of an event: two could share out the same stock twice.
    Registrar,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Pos, Role::Locker, Role::Encoder, Role::Hq, Role::Registrar];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Pos => "pos",
            Role::Locker => "locker",
            Role::Encoder => "encoder",
            Role::Hq => "hq",
            Role::Registrar => "registrar",
        })
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Role::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no role: pos, locker, encoder, hq or registrar"))
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Roles(#[n(0)] u8);

impl Roles {
    /// Whether `role` is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether one of them sells, and so issues claims; an hq alone only keeps stock for those that do.
    pub fn sells(self) -> bool {
        [Role::Pos, Role::Locker, Role::Encoder].into_iter().any(|role| self.has(role))
    }

    /// The roles, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|role| role.to_string()).collect();
        f.write_str(&names.join(","))
    }
}

/// What the organiser states about a device.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Certificate {
    /// The event.
    #[n(0)]
    pub event: EventId,
    /// The device's public key.
    #[n(1)]
    pub device: DeviceId,
    /// Its name, for people.
    #[n(2)]
    pub name: String,
    /// What it may do.
    #[n(3)]
    pub roles: Roles,
    /// The venue where it stands; the place its units are sold from.
    #[n(4)]
    pub venue: Place,
    /// Valid from, Unix milliseconds, inclusive.
    #[n(5)]
    pub not_before_ms: u64,
    /// Valid until, Unix milliseconds, exclusive.
    #[n(6)]
    pub not_after_ms: u64,
}

/// A certificate whose signature and content have been checked against a charter. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    certificate: Certificate,
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
        let body = minicbor::to_vec(&certificate).map_err(|_| CertificateError::Malformed)?;
        let signature = root.sign(&[CONTEXT, &body].concat());
        Self::from_bytes(&[&signature.0[..], &body].concat(), charter)
    }

    /// Reads the bytes that travel: signature, then the certificate as CBOR.
    ///
    /// Says nothing about when it is valid: ask [`SignedCertificate::valid_at`].
    ///
    /// # Errors
    /// [`CertificateError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8], charter: &SignedCharter) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed);
        }
        let (signature, body) = bytes.split_first_chunk::<64>().ok_or(CertificateError::Malformed)?;
        let certificate: Certificate = minicbor::decode(body).map_err(|_| CertificateError::Malformed)?;
        if certificate.event != charter.event() {
            return Err(CertificateError::OtherEvent {
                theirs: certificate.event.short(),
                ours: charter.event().short(),
            });
        }
        if !Signature(*signature).verifies(&charter.charter().root, &[CONTEXT, body].concat()) {
            return Err(CertificateError::Signature);
        }
        let lasts = certificate.not_before_ms < certificate.not_after_ms;
        if !is_display_name(&certificate.name) || certificate.roles.iter().next().is_none() || !lasts {
            return Err(CertificateError::Content);
        }
        Ok(Self { certificate, bytes: bytes.to_vec() })
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

/// The roles of a text such as `pos,locker`.
///
/// # Errors
/// The word that is no role.
impl FromStr for Roles {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let roles: BTreeSet<Role> =
            text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>()?;
        Ok(roles.into_iter().collect())
    }
}
