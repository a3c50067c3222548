//! Leaving, and what units are given for.

use crate::id::{DeviceId, Ref};

/// Says that the author has left: it has given everything away and takes nothing more. Of several by one device the latest
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Leave {
    /// Who gets what it had, and what still comes to it; absent once it is back.
    #[n(0)]
    pub to: Option<DeviceId>,
}

/// What units are given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Cause {
    /// The giver has left: the entry that says so.
    #[n(0)]
    Leave(#[n(0)] Ref),
    /// A large sale, or cart, that waits at the receiver. Until that has it, or lets go of it, they are put aside.
    #[n(1)]
    Wish {
        /// The receiver's number for it.
        #[n(0)]
        number: u64,
        /// For how long they are put aside at the most, milliseconds from 1 to a day, by the receiver's clock.
        #[n(1)]
        left_ms: u64,
    },
}
