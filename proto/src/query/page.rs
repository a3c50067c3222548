//! Lists that are given in parts: where a part begins, and where the next one does.
//!
//! A part begins after the *place* of the last item of the part before, and never at a number of items to skip: so a walk over
//! all parts gives each item that is there from its beginning to its end exactly once, whatever comes in meanwhile.

use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::id::Ref;

/// How many items a part of a list has, if nobody says.
pub const USUAL_LIMIT: u32 = 100;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T, K> {
    /// Items, in the order of the list.
    pub items: Vec<T>,
    /// The place of the last of them, if there are more behind it.
    pub next: Option<K>,
}

impl<T, K: Copy> Part<T, K> {
    /// The first `limit` of what comes. Of more than that, one is looked at.
    pub(crate) fn of(mut coming: impl Iterator<Item = (K, T)>, limit: Option<u32>) -> Self {
        let limit = limit.unwrap_or(USUAL_LIMIT) as usize;
        let (mut items, mut last) = (Vec::new(), None);
        while items.len() < limit {
            let Some((place, item)) = coming.next() else { return Self { items, next: None } };
            items.push(item);
            last = Some(place);
        }
        Self { items, next: last.filter(|_| coming.next().is_some()) }
    }
}

/// The place of an entry among all entries in the order of their times; of two with one time, in that of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// When it was written, by its author's hybrid clock.
    pub at: Hlc,
    /// The entry.
    pub entry: Ref,
}

/// Where a part of the claims begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsAfter {
    /// The last claim of the part before.
    pub claim: Moment,
    /// How many there were as the walk began: they are counted once.
    pub count: u64,
}

/// The place of a receipt among those of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReceiptPlace {
    /// Its number.
    pub number: u64,
    /// The entry that it is: a device that was restored or copied has written one number twice.
    pub entry: Ref,
}
