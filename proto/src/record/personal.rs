//! What is written about personal data: that it was taken, of whom, for what, and its hash; and that it is to be erased.
//! Never what it says: that is sealed, and lies beside the log.

use serde::{Deserialize, Serialize};

use crate::id::{Hash, Ref};
use crate::record::MAX_LINES;
use crate::text::{DropId, ShopperRef, Sku};

/// The sizes that a sealed payload can have, in bytes. What is sealed is padded to one of them, so that its length
/// hardly tells what it is.
pub const SEALED_SIZES: [u32; 5] = [256, 512, 1024, 2048, 4096];

/// The most bytes of a sealed payload.
pub const MAX_SEALED: usize = 4096;

/// The most bytes of what a shopper consented to.
pub const MAX_CONSENT: usize = 400;

/// The most bytes of the version of what a shopper consented to.
pub const MAX_CONSENT_VERSION: usize = 40;

/// What personal data is for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PersonalKind {
    /// The shopper wants to hear from the organiser.
    #[n(0)]
    OptIn,
    /// How to reach the shopper.
    #[n(1)]
    Contact,
    /// What the crew wants to remember about the shopper.
    #[n(2)]
    Note,
    /// The shopper wants to be told when a SKU, or a drop, is there.
    #[n(3)]
    Waitlist,
}

impl std::fmt::Display for PersonalKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PersonalKind::OptIn => "opt-in",
            PersonalKind::Contact => "contact",
            PersonalKind::Note => "note",
            PersonalKind::Waitlist => "waitlist",
        })
    }
}

/// What a shopper consented to. When, the record's time says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Consent {
    /// The words that were shown or read out; 1 to 400 bytes, and no personal data: every device reads them.
    #[n(0)]
    pub text: String,
    /// Which version of them; 1 to 40 bytes.
    #[n(1)]
    pub version: String,
}

impl Consent {
    /// Whether it can be written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_text = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && !text.trim().is_empty() && !text.chars().any(char::is_control)
        };
        match (is_text(&self.text, MAX_CONSENT), is_text(&self.version, MAX_CONSENT_VERSION)) {
            (true, true) => Ok(()),
            (false, _) => Err("a consent whose text is empty, too long or controls a terminal"),
            (_, false) => Err("a consent whose version is empty, too long or controls a terminal"),
        }
    }
}

/// Says that personal data was taken. It is named by this entry.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Personal {
    /// What it is for.
    #[n(0)]
    pub kind: PersonalKind,
    /// Whose it is, by the reference that sales have.
    #[n(1)]
    pub shopper: Option<ShopperRef>,
    /// Of a waitlist: for which SKU.
    #[n(2)]
    pub sku: Option<Sku>,
    /// Of a waitlist: for which drop.
    #[n(3)]
    pub drop: Option<DropId>,
    /// What the shopper consented to. Only the crew's own notes can be without.
    #[n(4)]
    pub consent: Option<Consent>,
    /// The SHA-256 of the sealed payload.
    #[n(5)]
    pub hash: Hash,
    /// The bytes of the sealed payload: one of [`SEALED_SIZES`].
    #[n(6)]
    pub size: u32,
}

impl Personal {
    /// Whether it can be written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn bounds(&self) -> Result<(), &'static str> {
        let targets = usize::from(self.sku.is_some()) + usize::from(self.drop.is_some());
        if targets != usize::from(self.kind == PersonalKind::Waitlist) {
            return Err("a SKU or a drop where there is none, or none for a waitlist, or both");
        }
        if self.consent.is_none() && self.kind != PersonalKind::Note {
            return Err("no consent");
        }
        if !SEALED_SIZES.contains(&self.size) {
            return Err("a size that no sealed payload has");
        }
        self.consent.as_ref().map_or(Ok(()), Consent::check)
    }
}

/// Says that the payloads of personal data are to be deleted everywhere, now and for ever. By an hq, or else of what the
/// author itself took.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Erase {
    /// These.
    #[n(0)]
    pub entries: Vec<Ref>,
    /// All that was taken of this shopper before this record.
    #[n(1)]
    pub shopper: Option<ShopperRef>,
}

impl Erase {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        let each: std::collections::BTreeSet<_> = self.entries.iter().collect();
        let some = !self.entries.is_empty() || self.shopper.is_some();
        if some && self.entries.len() <= MAX_LINES && each.len() == self.entries.len() {
            Ok(())
        } else {
            Err("nothing to erase, too much, or something twice")
        }
    }
}
