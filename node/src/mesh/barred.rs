//! Devices that were retired: no gossip goes to them, and once they have been told, they have no link.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::{DeviceKey, identity::peer_of, task::Task};

/// Who is barred, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// No gossip goes to these.
    quiet: BTreeSet<DeviceKey>,
    /// These have no link.
    shut: BTreeSet<DeviceKey>,
}

impl Lists {
    fn all(&self) -> BTreeSet<DeviceKey> {
        self.quiet.union(&self.shut).copied().collect()
    }
}

/// The same, from the mesh's owner to its task. The last word counts, and none is lost.
#[derive(Debug, Default)]
pub(crate) struct Barred(Mutex<Lists>);

impl Barred {
    pub(crate) fn set(&self, quiet: Vec<DeviceKey>, shut: Vec<DeviceKey>) {
        let lists = Lists { quiet: quiet.into_iter().collect(), shut: shut.into_iter().collect() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lists;
    }

    fn lists(&self) -> Lists {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Task {
    /// Looks who is barred now.
    pub(crate) fn take_barred(&mut self) {
        let now = self.parts.barred.lists();
        if now == self.barred {
            return;
        }
        let before = std::mem::replace(&mut self.barred, now);
        let (before, now) = (before.all(), self.barred.all());
        for device in now.difference(&before) {
            if let Some(peer) = peer_of(device) {
                self.parts.swarm.behaviour_mut().gossip.mute(peer);
            }
        }
        for device in before.difference(&now) {
            if let Some(peer) = peer_of(device) {
                self.parts.swarm.behaviour_mut().gossip.unmute(&peer);
            }
            // It begins anew, with gossip.
            self.close_link(*device, "it was not retired, for all that is known now");
        }
        for device in self.barred.shut.clone() {
            if self.links.is_linked(&device) {
                self.close_link(device, "it was retired");
            }
        }
    }

    /// Whether a device that was retired has come through the gate all the same, just before it was barred.
    pub(crate) fn is_shut_out(&self, device: &DeviceKey) -> bool {
        self.barred.shut.contains(device)
    }
}
