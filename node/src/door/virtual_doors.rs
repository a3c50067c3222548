//! Virtual doors, for rehearsals: they open in memory, can be looked at, and can be jammed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use popmesh_proto::text::Compartment;
use serde::{Deserialize, Serialize};

use super::{DoorError, Driver};
use crate::clock::now_ms;

/// One virtual door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VirtualDoor {
    /// Its compartment.
    pub compartment: Compartment,
    /// How often it opened since the node started. It shuts by itself.
    pub opened: u64,
    /// When it opened last, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at_ms: Option<u64>,
    /// Whether it is jammed: it does not open until that is over.
    pub jammed: bool,
}

/// Every virtual door that was ever asked for. As the node starts, all are shut and none is jammed.
#[derive(Debug, Default)]
pub struct VirtualDoors(Mutex<BTreeMap<Compartment, VirtualDoor>>);

impl VirtualDoors {
    /// All of them.
    pub fn all(&self) -> Vec<VirtualDoor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Jams a door, or sets it free.
    pub fn jam(&self, compartment: &Compartment, jammed: bool) -> VirtualDoor {
        self.change(compartment, |door| {
            door.jammed = jammed;
            door.clone()
        })
    }

    fn change<T>(&self, compartment: &Compartment, change: impl FnOnce(&mut VirtualDoor) -> T) -> T {
        // Nothing that holds the lock can leave a door half changed.
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(doors.entry(compartment.clone()).or_insert_with(|| VirtualDoor {
            compartment: compartment.clone(),
            opened: 0,
            opened_at_ms: None,
            jammed: false,
        }))
    }
}

impl Driver for VirtualDoors {
    fn open<'a>(&'a self, compartment: &'a Compartment) -> BoxFuture<'a, Result<(), DoorError>> {
        let opened = self.change(compartment, |door| {
            if door.jammed {
                return Err(DoorError::Jammed);
            }
            door.opened += 1;
            door.opened_at_ms = Some(now_ms());
            Ok(())
        });
        Box::pin(async { opened })
    }
}
