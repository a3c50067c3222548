//! Handing over the right to retire devices.

use crate::id::{DeviceId, Ref};

/// Gives the right to retire devices to another hq. The author has it no more.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Entrust {
    /// Who has it from now on.
    #[n(0)]
    pub to: DeviceId,
    /// What gave it to the author: another record like this; its certificate if absent.
    #[n(1)]
    pub under: Option<Ref>,
}
