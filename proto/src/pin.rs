//! The PIN of a claim, for pickups where showing the code is not enough.
//!
//! A claim carries a tag of its PIN, keyed with a secret that the event's devices alone have: whoever only sees the token
//! cannot try ten thousand PINs on it. The tag is HMAC-SHA-256 (RFC 2104, FIPS 180-4), cut to eight bytes, over the claim
//! and the PIN.
//!
//! After a retirement the secret is another: an *epoch* of it, which the retired device never gets. A tag that was made under
//! a later one than the first says which, by four bytes of a hash of the secret after the eight.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::id::{EventId, Ref};
use crate::identity::SecretKey;

/// Wrong PINs that a custodian takes for one claim before a person must unlock it.
pub const MAX_TRIES: u32 = 5;

const SECRET_CONTEXT: &[u8] = b"popmesh event secret v1";
const MARK_CONTEXT: &[u8] = b"popmesh epoch v1";
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

    /// By what its epoch is named where it is not the first.
    pub fn mark(&self) -> EpochMark {
        let hash = Sha256::new().chain_update(MARK_CONTEXT).chain_update(self.0).finalize();
        EpochMark([hash[0], hash[1], hash[2], hash[3]])
    }
}

/// Names an epoch of the event's secret: the beginning of a hash of it, which says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochMark(pub [u8; 4]);

impl fmt::Display for EpochMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<C> minicbor::Encode<C> for EpochMark {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for EpochMark {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("an epoch's mark has 4 bytes"))
    }
}

/// What a device has of the event's secret: that of each epoch that it was given. Never printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventSecrets {
    /// That of the first epoch, which follows from the organiser's key.
    pub first: Option<EventSecret>,
    /// Those of later epochs, the one that counts first.
    pub later: Vec<EventSecret>,
}

impl EventSecrets {
    /// The one that tags are made under now, and by what they name it.
    pub fn current(&self) -> Option<(&EventSecret, Option<EpochMark>)> {
        let later = self.later.first().map(|secret| (secret, Some(secret.mark())));
        later.or_else(|| self.first.as_ref().map(|secret| (secret, None)))
    }

    /// The one that a tag names.
    pub fn named(&self, epoch: Option<EpochMark>) -> Option<&EventSecret> {
        match epoch {
            None => self.first.as_ref(),
            Some(mark) => self.later.iter().find(|secret| secret.mark() == mark),
        }
    }

    /// The bytes of all: the first epoch's, then the later ones, the one that counts first. Secret. `None` without the first.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let first = self.first.as_ref()?;
        Some([first].into_iter().chain(&self.later).flat_map(|secret| secret.0).collect())
    }

    /// From these bytes; `None` if they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (whole, rest) = bytes.as_chunks::<32>();
        let (first, later) = whole.split_first().filter(|_| rest.is_empty())?;
        Some(Self {
            first: Some(EventSecret(*first)),
            later: later.iter().copied().map(EventSecret).collect(),
        })
    }

    /// These, and what others have besides, which is older.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.first = self.first.or(others.first);
        let more = others.later.into_iter().filter(|secret| !self.later.contains(secret)).collect::<Vec<_>>();
        self.later.extend(more);
        self
    }

    /// All of them, the one that counts first, the first epoch's last.
    pub fn all(&self) -> impl Iterator<Item = &EventSecret> {
        self.later.iter().chain(&self.first)
    }
}

impl From<EventSecret> for EventSecrets {
    fn from(first: EventSecret) -> Self {
        Self { first: Some(first), later: Vec::new() }
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

crate::schema::text_schema!(
    Pin,
    crate::schema::TextSchema {
        name: "Pin",
        description: "What a shopper chose, or was told: 4 to 8 digits.",
        example: "4711",
        pattern: r"^[0-9]+$",
        length: (4, Some(8)),
    }
);

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
pub struct PinTag {
    /// The code over claim and PIN.
    pub code: [u8; 8],
    /// The epoch of the secret that it is keyed with; the first if absent.
    pub epoch: Option<EpochMark>,
}

impl PinTag {
    /// That of a claim's PIN, under the secret that counts; `None` if there is none.
    pub fn of(secrets: &EventSecrets, claim: &Ref, pin: &Pin) -> Option<Self> {
        let (secret, epoch) = secrets.current()?;
        Some(Self { code: Self::code(secret, claim, pin), epoch })
    }

    /// Whether it is that of `pin`, in a time that tells nothing of it; `None` if the secret that it names is not there.
    pub fn fits(&self, secrets: &EventSecrets, claim: &Ref, pin: &Pin) -> Option<bool> {
        let other = Self::code(secrets.named(self.epoch)?, claim, pin);
        let differ = self.code.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b));
        Some(std::hint::black_box(differ) == 0)
    }

    fn code(secret: &EventSecret, claim: &Ref, pin: &Pin) -> [u8; 8] {
        let parts = [TAG_CONTEXT, claim.chain.as_bytes(), &claim.seq.to_be_bytes(), pin.0.as_bytes()];
        let whole = authenticate(&secret.0, &parts);
        let mut code = [0; 8];
        code.copy_from_slice(&whole[..8]);
        code
    }

    /// Its bytes: eight, and four more that name the epoch unless that is the first.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.code[..], self.epoch.as_ref().map_or(&[], |epoch| &epoch.0[..])].concat()
    }
}

impl<C> minicbor::Encode<C> for PinTag {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.bytes())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PinTag {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = || minicbor::decode::Error::message("a PIN's tag has 8 bytes, or 12");
        let (code, epoch) = d.bytes()?.split_first_chunk::<8>().ok_or_else(wrong)?;
        let epoch = match epoch {
            [] => None,
            mark => Some(EpochMark(mark.try_into().map_err(|_| wrong())?)),
        };
        Ok(Self { code: *code, epoch })
    }
}

/// HMAC-SHA-256 (RFC 2104, FIPS 180-4) over the parts one after the other: where they could run into each other, one of them
/// has to say a length.
pub fn authenticate(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
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
        let (ours, theirs) = (EventSecret([1; 32]).into(), EventSecret([2; 32]).into());
        let claim = Ref { chain: ChainId([7; 16]), seq: 3 };
        let tag = PinTag::of(&ours, &claim, &pin("0417")).unwrap();
        assert_eq!(tag.bytes().len(), 8, "the first epoch takes no byte");
        assert_eq!(tag.fits(&ours, &claim, &pin("0417")), Some(true));
        for number in 0..10_000 {
            let text = format!("{number:04}");
            assert_eq!(tag.fits(&ours, &claim, &pin(&text)), Some(text == "0417"), "{text}");
        }
        assert_eq!(tag.fits(&theirs, &claim, &pin("0417")), Some(false));
        assert_eq!(tag.fits(&ours, &Ref { seq: 4, ..claim }, &pin("0417")), Some(false));
        assert_eq!(PinTag::of(&EventSecrets::default(), &claim, &pin("0417")), None);
    }

    #[test]
    fn a_tag_is_made_under_the_secret_that_counts_and_says_which_that_was() {
        let [first, second, third] = [1, 2, 3].map(|byte| EventSecret([byte; 32]));
        let before = EventSecrets { first: Some(first.clone()), later: vec![second.clone()] };
        let after = EventSecrets { first: Some(first.clone()), later: vec![third, second.clone()] };
        let claim = Ref { chain: ChainId([7; 16]), seq: 3 };
        let tag = PinTag::of(&before, &claim, &pin("0417")).unwrap();
        assert_eq!((tag.epoch, tag.bytes().len()), (Some(second.mark()), 12));
        assert_eq!(tag.fits(&after, &claim, &pin("0417")), Some(true), "an earlier one is still checked");
        assert_eq!(tag.fits(&first.into(), &claim, &pin("0417")), None, "who lacks it knows that it does");
        assert_ne!(PinTag::of(&after, &claim, &pin("0417")).unwrap(), tag);
    }

    #[test]
    fn a_pin_is_digits_and_never_shown() {
        for wrong in ["", "123", "123456789", "12a4", " 1234", "１２３４"] {
            assert_eq!(wrong.parse::<Pin>(), Err(PinError), "{wrong}");
        }
        assert_eq!(format!("{:?} {:?}", pin("1234"), EventSecret([1; 32])), "Pin EventSecret");
    }
}
