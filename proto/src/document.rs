//! The documents that entries belong to.

use std::fmt;
use std::str::FromStr;

use crate::text::DropId;

/// A document of the event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// Products, prices and drops; people edit it together.
    Programme,
    /// Lots, transfers, moves and damage of one drop.
    Stock(DropId),
    /// Sales of one drop.
    Claims(DropId),
    /// Retirements, and what became of incidents.
    Devices,
    /// Personal data that was taken, sealed to the organiser, and what is to be erased of it.
    People,
}

impl Document {
    /// The drop whose stock or claims it holds.
    pub fn drop(&self) -> Option<&DropId> {
        match self {
            Document::Programme | Document::Devices | Document::People => None,
            Document::Stock(drop) | Document::Claims(drop) => Some(drop),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Document::Programme => f.write_str("programme"),
            Document::Devices => f.write_str("devices"),
            Document::People => f.write_str("people"),
            Document::Stock(drop) => write!(f, "stock/{drop}"),
            Document::Claims(drop) => write!(f, "claims/{drop}"),
        }
    }
}

/// Not the name of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no document: programme, devices, people, stock/DROP or claims/DROP")]
pub struct DocumentError(String);

impl FromStr for Document {
    type Err = DocumentError;
    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let error = || DocumentError(text.chars().take(80).collect());
        match text.split_once('/') {
            None if text == "programme" => Ok(Document::Programme),
            None if text == "devices" => Ok(Document::Devices),
            None if text == "people" => Ok(Document::People),
            Some(("stock", drop)) => drop.parse().map(Document::Stock).map_err(|_| error()),
            Some(("claims", drop)) => drop.parse().map(Document::Claims).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

crate::schema::text_schema!(
    Document,
    crate::schema::TextSchema {
        name: "Document",
        description: "A document: `programme`, `devices`, `people`, `stock/DROP` or `claims/DROP`.",
        example: "stock/neon",
        pattern: concat!(
            "^(programme|devices|people|(stock|claims)/[",
            crate::text::letters!(),
            "._-]{1,40})$"
        ),
        length: (6, Some(47)),
    }
);

impl<C> minicbor::Encode<C> for Document {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Document {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a document"))
    }
}
