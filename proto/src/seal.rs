//! Sealing bytes to the holder of an Ed25519 key, with HPKE (RFC 9180: base mode, X25519, HKDF-SHA-256, ChaCha20-Poly1305)
//! to the X25519 form of that key. What is random in it comes from outside.

use std::convert::Infallible;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};
use sha2::{Digest, Sha256};

use crate::id::DeviceId;
use crate::identity::{SecretKey, agreement_key_of};

type Seal = X25519HkdfSha256;

/// Bytes of the key that HPKE sends along, before what is sealed.
const ENCAPSULATED: usize = 32;
/// Bytes by which sealed is longer than what it seals.
pub const OVERHEAD: usize = ENCAPSULATED + 16;

/// Seals, bound to `info` and `aad`; `None` if `to` is no Ed25519 key. `random` is for this one seal: 32 bytes that nobody
/// else knows, and that are never used again.
pub fn seal(random: [u8; 32], to: &DeviceId, info: &[u8], aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let key = <Seal as Kem>::PublicKey::from_bytes(&agreement_key_of(to)?).ok()?;
    let mut random = Random::new(random);
    let (encapsulated, sealed) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Seal>(
        &OpModeS::Base,
        &key,
        info,
        plain,
        aad,
        &mut random,
    )
    .ok()?;
    Some([&encapsulated.to_bytes()[..], &sealed].concat())
}

/// Opens what [`seal`] has sealed to this key with the same `info` and `aad`; `None` for anything else.
pub fn open(key: &SecretKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (encapsulated, sealed) = sealed.split_at_checked(ENCAPSULATED)?;
    let encapsulated = <Seal as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    let private = <Seal as Kem>::PrivateKey::from_bytes(&key.agreement_key()).ok()?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, Seal>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        info,
        sealed,
        aad,
    )
    .ok()
}

/// Bytes without end out of 32 that nobody else knows: SHA-256 over these and a number that counts up.
pub(crate) struct Random {
    seed: [u8; 32],
    count: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn next(&mut self) -> [u8; 32] {
        self.count += 1;
        let hash = Sha256::new().chain_update(b"popmesh random v1").chain_update(self.seed);
        hash.chain_update(self.count.to_be_bytes()).finalize().into()
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.next();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.next();
        Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for part in into.chunks_mut(32) {
            part.copy_from_slice(&self.next()[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_receiver_alone_and_never_alike_twice() {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
        let mut random = Random::new([7; 32]);
        let sealed = seal(random.next(), &key(1).id(), b"info", b"", b"plain").unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(open(&key(1), b"info", b"", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(open(&key(2), b"info", b"", &sealed), None);
        assert_eq!(open(&key(1), b"other", b"", &sealed), None);
        assert_ne!(seal(random.next(), &key(1).id(), b"info", b"", b"plain").unwrap(), sealed);
        for length in 0..sealed.len() {
            assert_eq!(open(&key(1), b"info", b"", &sealed[..length]), None);
        }
    }
}
