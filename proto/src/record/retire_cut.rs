//! What a retirement has no room for: the last entries of a device that has written many chains.

use crate::id::{DeviceId, Ref};

/// The most records of these that one retirement goes on from.
pub const MAX_CUT_PARTS: u32 = 4_096;

/// Names more of the last entries known of a device, for the retirement that follows in the same chain. Alone it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RetireCut {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The last entry known of some of its chains, each chain once, at most [`MAX_LINES`](super::MAX_LINES).
    #[n(1)]
    pub cut: Vec<Ref>,
}
