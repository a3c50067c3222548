//! What is said at the gate, as bytes: how much of it there is, written and read. Pure functions, for bytes of strangers.
//!
//! ```text
//! dialler   proofs          128 bytes: 8 tags, of which as many are real as it has keys
//! listener  Proven(tag)     or Refused: one byte, whatever the reason, and no more
//! dialler   Hello
//! listener  Welcome(hello)  or Duplicate, Busy, Unfit(words); Refused
//! dialler   Accepted        or the same
//! ```

use bytes::Bytes;

/// A tag: the first bytes of an HMAC-SHA-256.
pub const TAG_BYTES: usize = 16;

/// Tags that a dialler sends, however many keys it has.
pub const TAGS: usize = 8;

/// All of them.
pub const PROOFS_BYTES: usize = TAGS * TAG_BYTES;

/// Certificates larger than this are neither shown nor read.
pub const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;

/// A refusal in words is cut to this, and a longer one not read.
pub const REASON_BYTES_MAX: usize = 200;

/// The kind and the length of what follows, in front of everything but a refusal without words.
const HEAD_BYTES: usize = 3;

/// Run and link, in front of the certificate.
const HELLO_HEAD_BYTES: usize = 16 + 1;

/// The longest of all that is said after the proofs.
pub const SAID_BYTES_MAX: usize = HEAD_BYTES + HELLO_HEAD_BYTES + CERTIFICATE_BYTES_MAX;

/// The longest answer to proofs.
pub const ANSWER_BYTES_MAX: usize = HEAD_BYTES + TAG_BYTES;

/// The one byte that everybody gets who is refused without words.
pub const REFUSED: u8 = 0;
const PROVEN: u8 = 1;
const HELLO: u8 = 2;
const WELCOME: u8 = 3;
const ACCEPTED: u8 = 4;
const DUPLICATE: u8 = 5;
const BUSY: u8 = 6;
const UNFIT: u8 = 7;

/// Shows that its author has a key of the event's devices.
pub type Tag = [u8; TAG_BYTES];

/// Identifies one run of a process, so that a peer can tell a restarted device from the one it still has a link to.
pub type Boot = [u8; 16];

/// What devices show each other, once each knows that the other is one of the event's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The run of its author.
    pub boot: Boot,
    /// Whether its author has a link to the other end already, over the same medium.
    pub linked: bool,
    /// Its author's certificate.
    pub certificate: Bytes,
}

/// Everything that is said at the gate after the dialler's proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// No, and no more about it.
    Refused,
    /// The listener is a device of the event, too.
    Proven(Tag),
    /// The dialler shows itself.
    Hello(Hello),
    /// The listener finds the dialler good, and shows itself.
    Welcome(Hello),
    /// The dialler finds the listener good.
    Accepted,
    /// There is a link already.
    Duplicate,
    /// There is no room for a link.
    Busy,
    /// The other end's certificate is not good: why, in words.
    Unfit(String),
}

/// Bytes that nobody says at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what is said at a gate")]
pub struct Malformed;

/// The longest body of each kind, and the shortest.
fn bounds(kind: u8) -> Option<(usize, usize)> {
    match kind {
        PROVEN => Some((TAG_BYTES, TAG_BYTES)),
        HELLO | WELCOME => Some((HELLO_HEAD_BYTES, HELLO_HEAD_BYTES + CERTIFICATE_BYTES_MAX)),
        ACCEPTED | DUPLICATE | BUSY => Some((0, 0)),
        UNFIT => Some((0, REASON_BYTES_MAX)),
        _ => None,
    }
}

impl Hello {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.boot);
        into.push(u8::from(self.linked));
        into.extend_from_slice(&self.certificate[..self.certificate.len().min(CERTIFICATE_BYTES_MAX)]);
    }

    fn read(body: &[u8]) -> Result<Self, Malformed> {
        let (boot, rest) = body.split_first_chunk().ok_or(Malformed)?;
        let (linked, certificate) = match rest.split_first().ok_or(Malformed)? {
            (0, certificate) => (false, certificate),
            (1, certificate) => (true, certificate),
            _ => return Err(Malformed),
        };
        Ok(Self { boot: *boot, linked, certificate: Bytes::copy_from_slice(certificate) })
    }
}

impl Said {
    fn kind(&self) -> u8 {
        match self {
            Self::Refused => REFUSED,
            Self::Proven(_) => PROVEN,
            Self::Hello(_) => HELLO,
            Self::Welcome(_) => WELCOME,
            Self::Accepted => ACCEPTED,
            Self::Duplicate => DUPLICATE,
            Self::Busy => BUSY,
            Self::Unfit(_) => UNFIT,
        }
    }

    /// As bytes. A certificate or a reason that is too long is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind(), 0, 0];
        match self {
            Self::Refused => return vec![REFUSED],
            Self::Proven(tag) => bytes.extend_from_slice(tag),
            Self::Hello(hello) | Self::Welcome(hello) => hello.write(&mut bytes),
            Self::Accepted | Self::Duplicate | Self::Busy => {}
            Self::Unfit(reason) => {
                bytes.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(REASON_BYTES_MAX)]);
            }
        }
        // The bodies are cut to what two bytes can tell.
        let length = (bytes.len() - HEAD_BYTES) as u16;
        bytes[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// How many bytes it has in all that begins so, or how many it takes to know that.
    ///
    /// # Errors
    /// If nothing begins so.
    pub fn wanted(begun: &[u8]) -> Result<usize, Malformed> {
        let Some(kind) = begun.first() else { return Ok(1) };
        if *kind == REFUSED {
            return Ok(1);
        }
        let (least, most) = bounds(*kind).ok_or(Malformed)?;
        let Some(length) = begun.get(1..HEAD_BYTES) else { return Ok(HEAD_BYTES) };
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if (least..=most).contains(&length) { Ok(HEAD_BYTES + length) } else { Err(Malformed) }
    }

    /// Reads one, whole, with nothing behind it.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() || Self::wanted(bytes)? != bytes.len() {
            return Err(Malformed);
        }
        let body = bytes.get(HEAD_BYTES..).unwrap_or_default();
        Ok(match bytes[0] {
            REFUSED => Self::Refused,
            PROVEN => Self::Proven(body.try_into().map_err(|_| Malformed)?),
            HELLO => Self::Hello(Hello::read(body)?),
            WELCOME => Self::Welcome(Hello::read(body)?),
            ACCEPTED => Self::Accepted,
            DUPLICATE => Self::Duplicate,
            BUSY => Self::Busy,
            UNFIT => Self::Unfit(str::from_utf8(body).map_err(|_| Malformed)?.to_owned()),
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> impl Strategy<Value = Hello> {
        let certificate = prop::collection::vec(any::<u8>(), 0..=CERTIFICATE_BYTES_MAX);
        (any::<Boot>(), any::<bool>(), certificate).prop_map(|(boot, linked, certificate)| Hello {
            boot,
            linked,
            certificate: certificate.into(),
        })
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            Just(Said::Refused),
            any::<Tag>().prop_map(Said::Proven),
            hello().prop_map(Said::Hello),
            hello().prop_map(Said::Welcome),
            Just(Said::Accepted),
            Just(Said::Duplicate),
            Just(Said::Busy),
            "\\PC{0,50}".prop_map(Said::Unfit),
        ]
    }

    proptest! {
        #[test]
        fn what_was_said_is_read(said in said()) {
            let bytes = said.encode();
            prop_assert!(bytes.len() <= SAID_BYTES_MAX);
            prop_assert_eq!(Said::decode(&bytes), Ok(said));
            // By and by, as from a stream.
            let mut known = 0;
            while known < bytes.len() {
                let wanted = Said::wanted(&bytes[..known]).unwrap();
                prop_assert!(known < wanted && wanted <= bytes.len());
                known = wanted;
            }
            prop_assert_eq!(Said::wanted(&bytes), Ok(bytes.len()));
            for length in 0..bytes.len() {
                prop_assert!(Said::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn whatever_can_be_read_is_written_so(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(said) = Said::decode(&bytes) {
                prop_assert_eq!(said.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_refusal_without_words_is_one_byte_and_words_are_cut_between_letters() {
        assert_eq!(Said::Refused.encode(), [REFUSED]);
        let reason = "ä".repeat(REASON_BYTES_MAX);
        let Ok(Said::Unfit(cut)) = Said::decode(&Said::Unfit(reason.clone()).encode()) else {
            panic!("it can be read");
        };
        assert!(reason.starts_with(&cut) && cut.len() == REASON_BYTES_MAX);
    }
}
