//! Sealing bytes to the holder of an Ed25519 key, with HPKE (RFC 9180: base mode, X25519, HKDF-SHA-256, ChaCha20-Poly1305)
//! to the X25519 form of that key.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{SecretKey, agreement_key_of};

type Seal = X25519HkdfSha256;

/// Bytes of the key that HPKE sends along, before what is sealed.
const ENCAPSULATED: usize = 32;
/// Bytes by which sealed is longer than what it seals.
pub(crate) const OVERHEAD: usize = ENCAPSULATED + 16;

/// Seals, bound to `info` and `aad`; `None` if `to` is no Ed25519 key. Twice the same gives different bytes.
pub(crate) fn seal(to: &DeviceId, info: &[u8], aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let key = <Seal as Kem>::PublicKey::from_bytes(&agreement_key_of(to)?).ok()?;
    let (encapsulated, sealed) =
        single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Seal>(&OpModeS::Base, &key, info, plain, aad)
            .ok()?;
    Some([&encapsulated.to_bytes()[..], &sealed].concat())
}

/// Opens what [`seal`] has sealed to this key with the same `info` and `aad`; `None` for anything else.
pub(crate) fn open(key: &SecretKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
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
