//! What a shopper says, on its way to the organiser: padded, and sealed to the organiser's key on the device that takes it.
//! Only whoever has that key can open it.

use popmesh_proto::id::{DeviceId, EventId};
use popmesh_proto::identity::{SecretKey, SignedCharter};
use popmesh_proto::pin::authenticate;
use popmesh_proto::record::{MAX_SEALED, PersonalKind, SEALED_SIZES};
use zeroize::Zeroizing;

use crate::seal;

const CONTEXT: &[u8] = b"popmesh personal data v1";
/// What the key is for under which contents are told apart.
const APART: &[u8] = b"popmesh contents under one key v1";
/// Bytes that say how long the content is, before it.
const LENGTH: usize = 2;

/// The most bytes of what a shopper says.
pub const MAX_CONTENT: usize = MAX_SEALED - seal::OVERHEAD - LENGTH;

/// Why something cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Empty, too long, or of characters that control a terminal.
    #[error(
        "give 1 to {MAX_CONTENT} bytes of text, in which nothing but line breaks and tabs controls a terminal"
    )]
    Content,
    /// The organiser's key is none.
    #[error("the charter's key is no Ed25519 key; found the event anew with `popmesh event init`")]
    Key,
}

/// To whom and for what a device seals.
#[derive(Clone, Copy)]
pub struct Sealer {
    event: EventId,
    organiser: DeviceId,
    device: DeviceId,
    /// Under which contents are told apart. Secret.
    apart: [u8; 32],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer of {:?}", self.device)
    }
}

impl Sealer {
    /// The sealer of a device of this event, whose key this is.
    pub fn new(charter: &SignedCharter, device: DeviceId, key: &SecretKey) -> Self {
        let apart = authenticate(&key.seed(), &[APART]);
        Self { event: charter.event(), organiser: charter.charter().root, device, apart }
    }

    /// What tells this content from others that come under the same idempotency key: whoever lacks either key learns
    /// nothing from it, also if it guesses the content.
    pub fn mark(&self, idempotency_key: &[u8], content: &str) -> [u8; 32] {
        let length = (idempotency_key.len() as u64).to_be_bytes();
        authenticate(&self.apart, &[&length, idempotency_key, content.as_bytes()])
    }

    /// Seals what a shopper says. Contents of like length give bytes of the same length.
    ///
    /// # Errors
    /// [`SealError`], which never shows the content.
    pub fn seal(&self, kind: PersonalKind, content: &str) -> Result<Vec<u8>, SealError> {
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if content.trim().is_empty() || content.len() > MAX_CONTENT || content.chars().any(control) {
            return Err(SealError::Content);
        }
        let needed = LENGTH + content.len() + seal::OVERHEAD;
        let size = SEALED_SIZES.iter().map(|size| *size as usize).find(|size| *size >= needed);
        let size = size.ok_or(SealError::Content)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(size));
        plain.extend_from_slice(&(content.len() as u16).to_be_bytes());
        plain.extend_from_slice(content.as_bytes());
        plain.resize(size - seal::OVERHEAD, 0);
        seal::seal(&self.organiser, &info(&self.event, &self.organiser), &aad(&self.device, kind), &plain)
            .ok_or(SealError::Key)
    }
}

/// Opens what `device` of the event has sealed; `None` if this is not the organiser's key, or these not the bytes.
pub fn open(
    key: &SecretKey,
    event: &EventId,
    device: &DeviceId,
    kind: PersonalKind,
    sealed: &[u8],
) -> Option<Zeroizing<String>> {
    let plain = Zeroizing::new(seal::open(key, &info(event, &key.id()), &aad(device, kind), sealed)?);
    let (length, rest) = plain.split_first_chunk::<LENGTH>()?;
    let content = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    String::from_utf8(content.to_vec()).ok().map(Zeroizing::new)
}

fn info(event: &EventId, organiser: &DeviceId) -> Vec<u8> {
    [CONTEXT, &event.0, &organiser.0].concat()
}

/// What is sealed by one device, for one purpose, cannot be shown as another's, or as for another.
fn aad(device: &DeviceId, kind: PersonalKind) -> Vec<u8> {
    let kind = match kind {
        PersonalKind::OptIn => 0,
        PersonalKind::Contact => 1,
        PersonalKind::Note => 2,
        PersonalKind::Waitlist => 3,
    };
    [&device.0[..], &[kind]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENT: EventId = EventId([3; 32]);
    const DEVICE: DeviceId = DeviceId([4; 32]);

    fn organiser() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn sealer() -> Sealer {
        Sealer { event: EVENT, organiser: organiser().id(), device: DEVICE, apart: [3; 32] }
    }

    #[test]
    fn only_the_organiser_opens_it_and_only_as_what_it_is() {
        let kind = PersonalKind::OptIn;
        let sealed = sealer().seal(kind, "mia@example.org").unwrap();
        let text = |key: &SecretKey, event: &EventId, device: &DeviceId, kind| {
            open(key, event, device, kind, &sealed).map(|text| text.to_string())
        };
        assert_eq!(text(&organiser(), &EVENT, &DEVICE, kind).as_deref(), Some("mia@example.org"));
        assert_eq!(text(&SecretKey::from_seed(&[2; 32]), &EVENT, &DEVICE, kind), None);
        assert_eq!(text(&organiser(), &EventId([5; 32]), &DEVICE, kind), None);
        assert_eq!(text(&organiser(), &EVENT, &DeviceId([5; 32]), kind), None);
        assert_eq!(text(&organiser(), &EVENT, &DEVICE, PersonalKind::Note), None);
        assert_ne!(sealer().seal(kind, "mia@example.org").unwrap(), sealed, "sealed alike twice");
    }

    #[test]
    fn lengths_hardly_tell() {
        let length = |content: &str| sealer().seal(PersonalKind::Contact, content).unwrap().len();
        assert_eq!(length("a"), 256);
        assert_eq!(length(&"a".repeat(206)), 256);
        assert_eq!(length(&"a".repeat(207)), 512);
        assert_eq!(length(&"a".repeat(MAX_CONTENT)), MAX_SEALED);
        let refused = |content: &str| sealer().seal(PersonalKind::Contact, content).unwrap_err();
        for bad in ["", " \n ", "a\u{1b}[2J", "a\u{0}", &"a".repeat(MAX_CONTENT + 1)] {
            assert_eq!(refused(bad), SealError::Content);
        }
        assert_eq!(length("two\nlines\tof it"), 256);
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_and_altered_bytes_are_not(
            content in "[ -~äß€\n]{0,400}x",
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut sealed = sealer().seal(PersonalKind::Note, &content).unwrap();
            prop_assert!(SEALED_SIZES.contains(&(sealed.len() as u32)));
            let opened = open(&organiser(), &EVENT, &DEVICE, PersonalKind::Note, &sealed).unwrap();
            prop_assert_eq!(opened.as_str(), content.as_str());
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            let opened = open(&organiser(), &EVENT, &DEVICE, PersonalKind::Note, &sealed);
            // The one bit of an X25519 key that RFC 7748 has everybody ignore.
            prop_assert!(opened.is_none() || (at == 31 && bit == 7));
            sealed.truncate(at);
            prop_assert!(open(&organiser(), &EVENT, &DEVICE, PersonalKind::Note, &sealed).is_none());
        }
    }
}
