//! Sales by when they arrived here, for a planted bug alone. Part of no view.

use std::collections::BTreeSet;

use crate::id::Ref;
use crate::text::DropId;

/// Sales that two views never differ by.
#[derive(Debug, Clone, Default)]
pub(super) struct ByArrival(pub(super) BTreeSet<(DropId, Ref)>);

impl PartialEq for ByArrival {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByArrival {}
