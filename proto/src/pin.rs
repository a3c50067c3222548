//! The PIN of a claim, for pickups where showing the code is not enough.
//!
//! A claim carries a tag of its PIN, keyed with a secret that the event's devices alone have: whoever only sees the token
//! cannot try ten thousand PINs on it. The tag is HMAC-SHA-256 (RFC 2104, FIPS 180-4), cut to eight bytes, over the claim
//! and the PIN.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::id::{EventId, Ref};
use crate::identity::SecretKey;

/// Wrong PINs that a custodian takes for one claim before a person must unlock it.
pub const MAX_TRIES: u32 = 5;

const SECRET_CONTEXT: &[u8] = b"popmesh event secret v1";
const TAG_CONTEXT: &[u8] = b"popmesh pin v1";

/// What only the devices of an event know. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct EventSecret([u8; 32]);

impl EventSecret {
    /// That of an event, from its organiser's key: nothing more to keep.
    pub fn derive(organiser: &SecretKey, event: &EventId) -> Self {
        Self(authenticate(&organiser.seed(), &[SECRET_CONTEXT, &event.0]))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes. Secret.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EventSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSecret")
    }
}

/// Not a PIN. Does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a PIN has 4 to 8 digits, and nothing else")]
pub struct PinError;

/// What a shopper chose, or was told. Never printed, never stored.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct Pin(String);

impl FromStr for Pin {
    type Err = PinError;
    fn from_str(text: &str) -> Result<Self, PinError> {
        let fits = (4..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(PinError) }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

impl serde::Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a claim carries of its PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinTag(pub [u8; 8]);

impl PinTag {
    /// That of a claim's PIN.
    pub fn of(secret: &EventSecret, claim: &Ref, pin: &Pin) -> Self {
        let parts = [TAG_CONTEXT, claim.chain.as_bytes(), &claim.seq.to_be_bytes(), pin.0.as_bytes()];
        let whole = authenticate(&secret.0, &parts);
        let mut tag = [0; 8];
        tag.copy_from_slice(&whole[..8]);
        Self(tag)
    }

    /// Whether it is that of `pin`, in a time that tells nothing of it.
    pub fn fits(&self, secret: &EventSecret, claim: &Ref, pin: &Pin) -> bool {
        let other = Self::of(secret, claim, pin);
        let differ = self.0.iter().zip(other.0).fold(0, |differ, (a, b)| differ | (a ^ b));
        std::hint::black_box(differ) == 0
    }
}

impl<C> minicbor::Encode<C> for PinTag {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PinTag {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        bytes.try_into().map(Self).map_err(|_| minicbor::decode::Error::message("a PIN's tag has 8 bytes"))
    }
}

fn authenticate(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // As RFC 2104 has it: filled up with zeros to a block of the hash.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChainId;

    fn pin(text: &str) -> Pin {
        text.parse().unwrap()
    }

    #[test]
    fn a_tag_fits_its_pin_its_claim_and_its_event_alone() {
        let (ours, theirs) = (EventSecret([1; 32]), EventSecret([2; 32]));
        let claim = Ref { chain: ChainId([7; 16]), seq: 3 };
        let tag = PinTag::of(&ours, &claim, &pin("0417"));
        assert!(tag.fits(&ours, &claim, &pin("0417")));
        for number in 0..10_000 {
            let text = format!("{number:04}");
            assert_eq!(tag.fits(&ours, &claim, &pin(&text)), text == "0417", "{text}");
        }
        assert!(!tag.fits(&theirs, &claim, &pin("0417")));
        assert!(!tag.fits(&ours, &Ref { seq: 4, ..claim }, &pin("0417")));
    }

    #[test]
    fn a_pin_is_digits_and_never_shown() {
        for wrong in ["", "123", "123456789", "12a4", " 1234", "１２３４"] {
            assert_eq!(wrong.parse::<Pin>(), Err(PinError), "{wrong}");
        }
        assert_eq!(format!("{:?} {:?}", pin("1234"), EventSecret([1; 32])), "Pin EventSecret");
    }
}
