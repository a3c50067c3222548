//! Signatures of a run: made for real, and each checked for real once, however many devices ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{Ed25519, SecretKey, Signature, Signatures};

/// When so many are remembered, they are forgotten.
const REMEMBERED: usize = 1 << 16;

type Signed = (DeviceId, Box<[u8]>);

/// Remembers which signatures are good. In one process that plays all devices, a signature made here need never be
/// checked; any other is checked for real every time.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    good: Mutex<BTreeMap<[u8; 64], Signed>>,
}

impl Signatures for Remembered {
    fn sign(&self, key: &SecretKey, message: &[u8]) -> Signature {
        let signature = key.sign(message);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= REMEMBERED {
            good.clear();
        }
        good.insert(signature.0, (key.id(), message.into()));
        signature
    }

    fn verifies(&self, signature: &Signature, key: &DeviceId, message: &[u8]) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.get(&signature.0).is_some_and(|(by, of)| by == key && **of == *message) {
            return true;
        }
        drop(good);
        Ed25519.verifies(signature, key, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_signed_here_is_checked_for_real() {
        let (key, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let remembered = Remembered::default();
        let signature = remembered.sign(&key, b"sold");
        assert!(remembered.verifies(&signature, &key.id(), b"sold"));
        assert!(!remembered.verifies(&signature, &key.id(), b"gold"));
        assert!(!remembered.verifies(&signature, &other.id(), b"sold"));
        assert!(remembered.verifies(&other.sign(b"sold"), &other.id(), b"sold"));
        let mut bent = signature;
        bent.0[3] ^= 1;
        assert!(!remembered.verifies(&bent, &key.id(), b"sold"));
    }
}
