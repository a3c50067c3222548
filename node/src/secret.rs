//! The event's secret on its way to a device, and in its folder: sealed to the device's key (see [`seal`]), so that it can
//! travel in the file that holds the certificate.

use popmesh_proto::id::{DeviceId, EventId};
use popmesh_proto::identity::{SecretKey, armor, unarmor};
use popmesh_proto::pin::EventSecrets;

use crate::seal;

/// The label of a sealed secret's text form.
const SEALED: &str = "popmesh-sealed-secret-1";
const CONTEXT: &[u8] = b"popmesh event secret for a device v1";

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

/// The text form of an event's secret, that of all epochs, for one device.
///
/// # Errors
/// [`SecretError::Key`] if nothing can be sealed to the device.
pub fn seal(secrets: &EventSecrets, event: &EventId, to: &DeviceId) -> Result<String, SecretError> {
    let bytes = secrets.to_bytes().ok_or(SecretError::Key)?;
    let sealed = seal::seal(to, &info(event, to), &[], &bytes).ok_or(SecretError::Key)?;
    Ok(armor(SEALED, &sealed))
}

/// Opens what [`seal`] wrote; `None` if `text` is something else.
///
/// # Errors
/// [`SecretError::NotOurs`] if it cannot be opened with this key.
pub fn open(text: &str, event: &EventId, key: &SecretKey) -> Result<Option<EventSecrets>, SecretError> {
    if !text.trim_start().starts_with(SEALED) {
        return Ok(None);
    }
    let bytes = unarmor(SEALED, text).ok_or(SecretError::NotOurs)?;
    let opened = seal::open(key, &info(event, &key.id()), &[], &bytes).ok_or(SecretError::NotOurs)?;
    EventSecrets::from_bytes(&opened).map(Some).ok_or(SecretError::NotOurs)
}

/// What the seal is bound to.
fn info(event: &EventId, to: &DeviceId) -> Vec<u8> {
    [CONTEXT, &event.0, &to.0].concat()
}

#[cfg(test)]
mod tests {
    use popmesh_proto::pin::EventSecret;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn a_secret_is_opened_by_its_device_in_its_event_alone() {
        let event = EventId([3; 32]);
        let later = vec![EventSecret::from_bytes([8; 32]), EventSecret::from_bytes([9; 32])];
        let secret = EventSecrets { first: Some(EventSecret::derive(&key(1), &event)), later };
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
