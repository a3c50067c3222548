//! The key of a command, as far as its records carry it: so that a past that comes back from other devices brings back
//! which commands were done, and none is done twice.
//!
//! A *command key* is 12 bytes: the first 8 of the SHA-256 of the caller's key, and the first 4 of the SHA-256 of what was
//! asked for. The 8 only have to tell the commands of one device apart: among a million of them two are alike with a
//! probability of 1 in 37 million, and whoever meets that is refused, and can ask under another key. The 4 tell a retry from
//! another request under the same key. Both are beginnings of hashes, so neither shows what the caller's key was.

use crate::io::Idempotency;

/// How many bytes tell the caller's keys apart.
pub const KEY_BYTES: usize = 8;
/// How many bytes tell requests apart.
pub const REQUEST_BYTES: usize = 4;
const BYTES: usize = KEY_BYTES + REQUEST_BYTES;

/// The key of the command that wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey {
    /// How the SHA-256 of the caller's key begins.
    pub key: [u8; KEY_BYTES],
    /// How the SHA-256 of the request begins.
    pub request: [u8; REQUEST_BYTES],
}

impl CommandKey {
    /// As many bytes of each hash as travel.
    pub fn of(idempotency: &Idempotency) -> Self {
        Self {
            key: idempotency.key.first_chunk().copied().unwrap_or_default(),
            request: idempotency.request.first_chunk().copied().unwrap_or_default(),
        }
    }

    /// As one byte string.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..KEY_BYTES].copy_from_slice(&self.key);
        bytes[KEY_BYTES..].copy_from_slice(&self.request);
        bytes
    }

    /// What [`CommandKey::to_bytes`] made; `None` if these are not 12 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, request) = bytes.split_first_chunk()?;
        Some(Self { key: *key, request: request.try_into().ok()? })
    }
}

impl<C> minicbor::Encode<C> for CommandKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for CommandKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?)
            .ok_or_else(|| minicbor::decode::Error::message("wrong length of a command's key"))
    }
}
