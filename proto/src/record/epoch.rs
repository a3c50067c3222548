//! The event's secret, renewed after a retirement, and sealed to each device that is left.

use std::collections::BTreeSet;

use minicbor::bytes::ByteVec;

use super::MAX_LINES;
use crate::id::{DeviceId, Ref};
use crate::pin::EpochMark;

/// The most devices that one record seals a secret to; for more there are [`EpochCopies`].
pub const MAX_COPIES: usize = 128;
/// Bytes of a sealed secret: what HPKE adds, and 32.
pub const COPY_BYTES: usize = crate::seal::OVERHEAD + 32;

/// Begins an epoch of the event's secret.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Epoch {
    /// By what tags name it: the beginning of a hash of the secret.
    #[n(0)]
    pub mark: EpochMark,
    /// The retired devices that it is kept from. At most [`MAX_LINES`], each once.
    #[n(1)]
    pub without: Vec<DeviceId>,
    /// Whom it is sealed to, each once; the author as well, so that it has it after a restart.
    #[n(2)]
    pub copies: Vec<EpochCopy>,
}

/// More copies of the secret of an epoch: for devices that had no place in its record, or that came later.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EpochCopies {
    /// The record that began it.
    #[n(0)]
    pub epoch: Ref,
    /// Whom it is sealed to; at least one, each once.
    #[n(1)]
    pub copies: Vec<EpochCopy>,
}

/// The event's secret, sealed to a device.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EpochCopy {
    /// The device.
    #[n(0)]
    pub to: DeviceId,
    /// The secret, sealed to its key: [`COPY_BYTES`].
    #[n(1)]
    pub sealed: ByteVec,
}

impl Epoch {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        let without: BTreeSet<_> = self.without.iter().collect();
        if self.without.len() > MAX_LINES || without.len() != self.without.len() {
            return Err("too many retired devices, or one twice");
        }
        if self.copies.iter().any(|copy| without.contains(&copy.to)) {
            return Err("a copy for a device that it is kept from");
        }
        copies_fit(&self.copies)
    }
}

impl EpochCopies {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        if self.copies.is_empty() { Err("no copies") } else { copies_fit(&self.copies) }
    }
}

fn copies_fit(copies: &[EpochCopy]) -> Result<(), &'static str> {
    let to: BTreeSet<_> = copies.iter().map(|copy| copy.to).collect();
    let fits = copies.len() <= MAX_COPIES && to.len() == copies.len();
    match fits && copies.iter().all(|copy| copy.sealed.len() == COPY_BYTES) {
        true => Ok(()),
        false => Err("impossible copies of a secret"),
    }
}
