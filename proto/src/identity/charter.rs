//! The charter: what roots an event. Its hash is the event's id.

use sha2::{Digest, Sha256};

use super::key::{SecretKey, Signature, armor, unarmor};
use crate::id::{DeviceId, EventId, Nonce};
use crate::money::Currency;

/// The longest name of an event or a device, in characters.
pub const MAX_NAME: usize = 80;

const LABEL: &str = "popmesh-charter-1";
const CONTEXT: &[u8] = b"popmesh charter v1";

/// Why a charter is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// Not the text that `event init` writes.
    #[error("this is not a popmesh charter; give the file that `popmesh event init` wrote")]
    Malformed,
    /// The organiser's signature does not fit.
    #[error("the charter's signature is wrong: the file was damaged or changed")]
    Signature,
    /// The name is empty or too long, or has control characters.
    #[error("an event's name has 1 to {MAX_NAME} characters and none that control a terminal")]
    Name,
}

/// The organiser's statement that an event exists.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Charter {
    /// The event's name, for people.
    #[n(0)]
    pub name: String,
    /// The one currency of the event's prices.
    #[n(1)]
    pub currency: Currency,
    /// The organiser's public key, which signs certificates.
    #[n(2)]
    pub root: DeviceId,
    /// When it was made, milliseconds since the Unix epoch.
    #[n(3)]
    pub created_ms: u64,
    /// Sets two events of one name and one moment apart.
    #[n(4)]
    pub nonce: Nonce,
}

/// A charter with its signature checked. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCharter {
    charter: Charter,
    bytes: Vec<u8>,
    signature: Signature,
    event: EventId,
}

pub(crate) fn is_display_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=MAX_NAME).contains(&length) && !name.trim().is_empty() && !name.chars().any(char::is_control)
}

impl SignedCharter {
    /// Signs a charter with the organiser's key.
    ///
    /// # Errors
    /// [`CharterError::Name`] if the name is unusable.
    pub fn sign(charter: Charter, root: &SecretKey) -> Result<Self, CharterError> {
        let bytes = minicbor::to_vec(&charter).map_err(|_| CharterError::Malformed)?;
        let signature = root.sign(&[CONTEXT, &bytes].concat());
        Self::check(bytes, signature)
    }

    fn check(bytes: Vec<u8>, signature: Signature) -> Result<Self, CharterError> {
        let charter: Charter = minicbor::decode(&bytes).map_err(|_| CharterError::Malformed)?;
        if !is_display_name(&charter.name) {
            return Err(CharterError::Name);
        }
        if !signature.verifies(&charter.root, &[CONTEXT, &bytes].concat()) {
            return Err(CharterError::Signature);
        }
        let event = EventId(Sha256::digest(&bytes).into());
        Ok(Self { charter, bytes, signature, event })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`CharterError`] if it is not a charter, or not as it was signed.
    pub fn from_text(text: &str) -> Result<Self, CharterError> {
        let raw = unarmor(LABEL, text).ok_or(CharterError::Malformed)?;
        let (signature, bytes) = raw.split_first_chunk::<64>().ok_or(CharterError::Malformed)?;
        Self::check(bytes.to_vec(), Signature(*signature))
    }

    /// The text form: one line.
    pub fn to_text(&self) -> String {
        armor(LABEL, &[&self.signature.0[..], &self.bytes].concat())
    }

    /// The event's id.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// What it says.
    pub fn charter(&self) -> &Charter {
        &self.charter
    }
}
