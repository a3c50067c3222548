//! What only the devices of an event have: by this they recognise each other before they say who they are.
//!
//! There is a key for each epoch of the event's secret. A device that was away may have older ones alone, so what it says
//! under one of those is understood, too; what is said to all is under the newest.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

/// A key of one epoch. Secret.
pub type MembershipKey = Zeroizing<[u8; 32]>;

/// The keys of all epochs that this device knows, newest first. Cheap to clone: clones share what is known.
#[derive(Clone)]
pub struct Membership(Arc<RwLock<Vec<MembershipKey>>>);

impl Membership {
    /// These keys, newest first.
    #[must_use]
    pub fn new(keys: Vec<MembershipKey>) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Has these from now on, newest first.
    pub fn set(&self, keys: Vec<MembershipKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// All of them, newest first.
    #[must_use]
    pub fn keys(&self) -> Vec<MembershipKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Membership")
    }
}
