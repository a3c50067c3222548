//! Numbers that are printed on units, seen from outside: which numbered lots have which, and which claims. Knows nothing
//! of how devices judge the same records.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::holdings::Event;
use popmesh_proto::id::Ref;
use popmesh_proto::record::Body;
use popmesh_proto::text::{Edition, Sku};

use super::hand_outs::HandOuts;

/// What stands on a unit.
pub(super) type Number = (Sku, Option<Edition>, u32);

/// What stands on which units.
#[derive(Debug, Default)]
pub(super) struct Prints {
    lots: BTreeMap<Ref, (Sku, Option<Edition>)>,
    printed: BTreeMap<Number, Vec<Ref>>,
    twice: BTreeSet<Number>,
}

impl Prints {
    /// Whether any number stands on two units.
    pub(super) fn any_twice(&self) -> bool {
        !self.twice.is_empty()
    }

    /// Takes in a record.
    pub(super) fn fold(&mut self, event: &Event<'_>) {
        let Body::Mint(mint) = &event.record.body else { return };
        if !mint.numbered {
            return;
        }
        self.lots.insert(event.entry, (mint.sku.clone(), mint.edition.clone()));
        for serial in mint.first..=mint.last {
            let number = (mint.sku.clone(), mint.edition.clone(), serial);
            let lots = self.printed.entry(number.clone()).or_default();
            lots.push(event.entry);
            if lots.len() > 1 {
                self.twice.insert(number);
            }
        }
    }

    /// Numbers that several claims have, and the claims.
    pub(super) fn sold_twice(&self, sold: &HandOuts) -> Vec<(Number, BTreeSet<Ref>)> {
        let claims = |number: &Number| -> BTreeSet<Ref> {
            let lots = self.printed.get(number).into_iter().flatten();
            lots.filter_map(|lot| sold.claim_with(&(*lot, number.2))).collect()
        };
        let all = self.twice.iter().map(|number| (number.clone(), claims(number)));
        all.filter(|(_, claims)| claims.len() > 1).collect()
    }

    /// Lots of which a number stands on units of another, too.
    pub(super) fn printed_twice(&self) -> BTreeSet<Ref> {
        self.twice.iter().filter_map(|number| self.printed.get(number)).flatten().copied().collect()
    }
}
