//! The event's secret on its way to a device, and in its folder: sealed to the device's key with HPKE (RFC 9180, base
//! mode, X25519, HKDF-SHA-256, ChaCha20-Poly1305), so that it can travel in the file that holds the certificate.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use popmesh_proto::id::{DeviceId, EventId};
use popmesh_proto::identity::{SecretKey, agreement_key_of, armor, unarmor};
use popmesh_proto::pin::EventSecret;

type Seal = X25519HkdfSha256;

/// The label of a sealed secret's text form.
const SEALED: &str = "popmesh-sealed-secret-1";
const CONTEXT: &[u8] = b"popmesh event secret for a device v1";
/// Bytes of the key that HPKE sends along.
const ENCAPSULATED: usize = 32;

/// Why a secret cannot be sealed to a device, or opened by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The device's key is none.
    #[error("the device's key is no Ed25519 key; make the device anew with `popmesh device new`")]
    Key,
    /// Not sealed to this device and this event, or damaged.
    #[error(
        "the event's secret in the certificate's file is not for this device, or is damaged; have the organiser sign again"
    )]
    NotOurs,
}

/// The text form of an event's secret for one device.
///
/// # Errors
/// [`SecretError::Key`] if nothing can be sealed to the device.
pub fn seal(secret: &EventSecret, event: &EventId, to: &DeviceId) -> Result<String, SecretError> {
    let key = agreement_key_of(to).ok_or(SecretError::Key)?;
    let key = <Seal as Kem>::PublicKey::from_bytes(&key).map_err(|_| SecretError::Key)?;
    let (encapsulated, sealed) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Seal>(
        &OpModeS::Base,
        &key,
        &info(event, to),
        secret.bytes(),
        &[],
    )
    .map_err(|_| SecretError::Key)?;
    Ok(armor(SEALED, &[&encapsulated.to_bytes()[..], &sealed].concat()))
}

/// Opens what [`seal`] wrote; `None` if `text` is something else.
///
/// # Errors
/// [`SecretError::NotOurs`] if it cannot be opened with this key.
pub fn open(text: &str, event: &EventId, key: &SecretKey) -> Result<Option<EventSecret>, SecretError> {
    if !text.trim_start().starts_with(SEALED) {
        return Ok(None);
    }
    let bytes = unarmor(SEALED, text).ok_or(SecretError::NotOurs)?;
    let (encapsulated, sealed) = bytes.split_at_checked(ENCAPSULATED).ok_or(SecretError::NotOurs)?;
    let not_ours = |_| SecretError::NotOurs;
    let encapsulated = <Seal as Kem>::EncappedKey::from_bytes(encapsulated).map_err(not_ours)?;
    let private = <Seal as Kem>::PrivateKey::from_bytes(&key.agreement_key()).map_err(not_ours)?;
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Seal>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        &info(event, &key.id()),
        sealed,
        &[],
    )
    .map_err(not_ours)?;
    let opened = <[u8; 32]>::try_from(opened).map_err(|_| SecretError::NotOurs)?;
    Ok(Some(EventSecret::from_bytes(opened)))
}

/// What the seal is bound to.
fn info(event: &EventId, to: &DeviceId) -> Vec<u8> {
    [CONTEXT, &event.0, &to.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn a_secret_is_opened_by_its_device_in_its_event_alone() {
        let event = EventId([3; 32]);
        let secret = EventSecret::derive(&key(1), &event);
        let sealed = seal(&secret, &event, &key(2).id()).unwrap();
        assert_eq!(open(&sealed, &event, &key(2)), Ok(Some(secret.clone())));
        assert_ne!(seal(&secret, &event, &key(2).id()).unwrap(), sealed, "sealed alike twice");
        assert_eq!(open(&sealed, &event, &key(4)), Err(SecretError::NotOurs));
        assert_eq!(open(&sealed, &EventId([5; 32]), &key(2)), Err(SecretError::NotOurs));
        let cut = &sealed[..sealed.len() - 8];
        assert_eq!(open(cut, &event, &key(2)), Err(SecretError::NotOurs));
        assert_eq!(open("popmesh-sealed-secret-1:AAAA", &event, &key(2)), Err(SecretError::NotOurs));
        assert_eq!(open("something else", &event, &key(2)), Ok(None));
    }
}
