//! Devices whose key the gate refuses, whatever certificate they show: they were retired, and have been told.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use popmesh_proto::id::DeviceId;

/// These devices. Cheap to clone: clones share what is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShutOut(Arc<RwLock<BTreeSet<DeviceId>>>);

impl ShutOut {
    /// These, and no others, from now on.
    pub(crate) fn set(&self, devices: impl IntoIterator<Item = DeviceId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = devices.into_iter().collect();
    }

    /// Whether a device is among them.
    pub(crate) fn has(&self, device: &DeviceId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(device)
    }
}
