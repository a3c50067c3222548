//! Names of things: event, device, chain, change hash, and a reference to one entry.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A name that is not the hexadecimal text it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Wrong number of digits, or a digit that is not hexadecimal.
    #[error("expected {expected} hexadecimal digits for a {what}, got {given:?}")]
    Hex {
        /// What was to be read.
        what: &'static str,
        /// Digits it should have.
        expected: usize,
        /// What was given (shortened).
        given: String,
    },
    /// A reference lacks its `:` or its number.
    #[error("expected a reference CHAIN:NUMBER, got {0:?}")]
    Reference(String),
}

/// Reads a name from its text.
struct AsText<T>(PhantomData<T>);

impl<'de, T: FromStr<Err = IdError>> serde::de::Visitor<'de> for AsText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(inner)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! byte_name {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $pattern:literal, $description:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $bytes]);

        crate::schema::text_schema!(
            $name,
            crate::schema::TextSchema {
                name: stringify!($name),
                description: $description,
                example: $example,
                pattern: $pattern,
                length: ($bytes * 2, Some($bytes * 2)),
            }
        );

        impl $name {
            /// What a [`serde::Deserializer`] is told that it reads, so that one that knows other names of such a thing can
            /// take them.
            pub const NEWTYPE: &str = stringify!($name);

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// The first eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl Ord for $name {
            // By their bytes. Names are the keys of most maps here, and nearly always differ at their very beginning, which
            // is compared in one step.
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                let begins = |name: &Self| name.0.first_chunk().copied().map(u64::from_be_bytes);
                begins(self).cmp(&begins(other)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0u8; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::Hex {
                    what: $what,
                    expected: $bytes * 2,
                    given: text.chars().take(80).collect(),
                })?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_newtype_struct(Self::NEWTYPE, AsText(PhantomData))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                bytes
                    .try_into()
                    .map(Self)
                    .map_err(|_| minicbor::decode::Error::message(concat!("wrong length of a ", $what)))
            }
        }
    };
}

byte_name!(
    /// An event: the SHA-256 of its charter.
    EventId, 32, "event id", r"^[0-9A-Fa-f]{64}$",
    "An event: the SHA-256 of its charter, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);
byte_name!(
    /// The beginning of an event's id, where a signature covers the rest: enough to tell events apart.
    EventMark, 8, "event mark", r"^[0-9A-Fa-f]{16}$",
    "The beginning of an event's id, hexadecimal.",
    "0f3a5b0c6d1e2f4a"
);
byte_name!(
    /// A device: its Ed25519 public key, which is its libp2p identity too.
    DeviceId, 32, "device id", r"^[0-9A-Fa-f]{64}$",
    "A device: its Ed25519 public key, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);
byte_name!(
    /// One life of one device in one document: the Automerge actor id of the chain of changes written there.
    ChainId, 16, "chain id", r"^[0-9A-Fa-f]{32}$",
    "What one device writes to one document in one life, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);
byte_name!(
    /// SHA-256 of an Automerge change chunk, as Automerge defines a change hash.
    Hash, 32, "change hash", r"^[0-9A-Fa-f]{64}$",
    "The SHA-256 of an entry, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);
byte_name!(
    /// Random bytes made once per start of a device; with the device key it names a life.
    Nonce, 16, "nonce", r"^[0-9A-Fa-f]{32}$",
    "Random bytes, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);
byte_name!(
    /// A receipt's contents: SHA-256, the first half. See [`crate::receipt`].
    ReceiptHash, 16, "receipt hash", r"^[0-9A-Fa-f]{32}$",
    "The first half of the SHA-256 of a receipt's contents, hexadecimal.",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c"
);

/// How a request of the API names a device; it is a [`DeviceId`] once it is read.
#[cfg(feature = "schema")]
#[derive(Debug)]
pub struct DeviceName;

crate::schema::text_schema!(
    DeviceName,
    crate::schema::TextSchema {
        name: "DeviceName",
        description: "A device: by its name, by its key, or by the first digits of its key, four at least.",
        example: "till-1",
        pattern: r"^[^\u0000-\u001f\u007f]+$",
        length: (1, Some(80)),
    }
);

impl EventId {
    /// Its beginning.
    pub fn mark(&self) -> EventMark {
        let mut mark = [0; 8];
        mark.copy_from_slice(&self.0[..8]);
        EventMark(mark)
    }
}

impl ChainId {
    /// The chain of `device` in `document` during the life that drew `nonce`.
    pub fn derive(device: &DeviceId, nonce: &Nonce, document: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"popmesh chain v1");
        hasher.update(device.0);
        hasher.update(nonce.0);
        hasher.update(document.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut id = [0u8; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

/// One entry: the `seq`-th (from 1) of its chain. Lots, parcels and claims are named by the entry that made them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
pub struct Ref {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Position in the chain, from 1.
    #[n(1)]
    pub seq: u64,
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, self.seq)
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain.short(), self.seq)
    }
}

impl FromStr for Ref {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (chain, seq) =
            text.split_once(':').ok_or_else(|| IdError::Reference(text.chars().take(80).collect()))?;
        let plain =
            seq.len() <= SEQ_DIGITS && !seq.starts_with('0') && seq.bytes().all(|b| b.is_ascii_digit());
        let seq = Some(seq).filter(|_| plain).and_then(|seq| seq.parse().ok());
        let seq = seq.ok_or_else(|| IdError::Reference(text.chars().take(80).collect()))?;
        Ok(Self { chain: chain.parse()?, seq })
    }
}

/// The most digits of a position: as many as always fit 64 bits.
const SEQ_DIGITS: usize = 19;

crate::schema::text_schema!(
    Ref,
    crate::schema::TextSchema {
        name: "Ref",
        description: "One entry: a chain's id, a colon, and the position from 1. Lots, carts, claims and incidents are named by the entry \
            that made them.",
        example: "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c:7",
        pattern: r"^[0-9A-Fa-f]{32}:[1-9][0-9]{0,18}$",
        length: (34, Some(52)),
    }
);

impl serde::Serialize for Ref {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Ref {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a hash begins: its first 16 bytes. Enough to tell it from any other by accident; two that begin alike take 2^64 tries
/// to make, so where something stays unequal whole hashes are compared.
pub type HashStart = [u8; 16];

impl Hash {
    /// Its first half.
    pub fn begins(&self) -> HashStart {
        self.0.first_chunk().copied().unwrap_or_default()
    }

    /// Its second half.
    pub fn ends(&self) -> HashStart {
        self.0.last_chunk().copied().unwrap_or_default()
    }
}
