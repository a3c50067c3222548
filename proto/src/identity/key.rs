//! Ed25519 keys and signatures, and the one-line text form of what people carry on a stick.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::id::DeviceId;

/// A secret Ed25519 key, of the organiser or of a device. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key that 32 random bytes make.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 bytes the key is made of. Secret.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn id(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    /// The X25519 key (RFC 7748) that belongs to it, for what is sealed to its owner. Secret.
    ///
    /// One key in both uses is what libsodium does; see Thormarker, "On using the same key pair for Ed25519 and an X25519
    /// based KEM", 2021.
    pub fn agreement_key(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }

    /// Signs `message` (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey of {:?}", self.id())
    }
}

/// How signatures are made and checked.
///
/// A device always works with [`Ed25519`]. It is a trait so that a simulator, in which one process plays every device,
/// need not check the same signature once for each of them.
pub trait Signatures: std::fmt::Debug + Send + Sync {
    /// Signs `message` with `key`.
    fn sign(&self, key: &SecretKey, message: &[u8]) -> Signature;

    /// Whether `key` signed `message`.
    fn verifies(&self, signature: &Signature, key: &DeviceId, message: &[u8]) -> bool;
}

/// Ed25519 (RFC 8032), each signature checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ed25519;

impl Signatures for Ed25519 {
    fn sign(&self, key: &SecretKey, message: &[u8]) -> Signature {
        key.sign(message)
    }

    fn verifies(&self, signature: &Signature, key: &DeviceId, message: &[u8]) -> bool {
        signature.verifies(key, message)
    }
}

/// The public X25519 key of a device, to seal something to it; `None` if its key is no point of the curve.
pub fn agreement_key_of(device: &DeviceId) -> Option<[u8; 32]> {
    VerifyingKey::from_bytes(&device.0).ok().map(|key| key.to_montgomery().to_bytes())
}

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Whether `key` signed `message`. Strict: refuses weak keys and second forms of one signature.
    pub fn verifies(&self, key: &DeviceId, message: &[u8]) -> bool {
        VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&self.0)).is_ok()
        })
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

impl<C> minicbor::Encode<C> for Signature {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Signature {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        bytes.try_into().map(Self).map_err(|_| minicbor::decode::Error::message("a signature has 64 bytes"))
    }
}

/// `bytes` as one line of text: a label that says what it is, a colon, unpadded URL-safe base64 (RFC 4648 §5).
pub fn armor(label: &str, bytes: &[u8]) -> String {
    format!("{label}:{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What [`armor`] wrote under `label`; white space around it is ignored. `None` if it is anything else.
pub fn unarmor(label: &str, text: &str) -> Option<Vec<u8>> {
    let rest = text.trim().strip_prefix(label)?.strip_prefix(':')?;
    URL_SAFE_NO_PAD.decode(rest).ok()
}
