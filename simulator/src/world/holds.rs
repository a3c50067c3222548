//! What is put aside, seen from outside: what is in a cart is in no sale, and in no other holding, until its holder has
//! taken it out. Knows nothing of how devices judge the same records.

use std::collections::BTreeMap;

use popmesh_proto::holdings::{Event, spent_lines};
use popmesh_proto::id::Ref;
use popmesh_proto::record::Body;
use popmesh_proto::units::UnitSet;

/// Units put aside, by parcel.
type Lines = Vec<(Ref, UnitSet)>;

/// Every hold that has not ended.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<Ref, Lines>);

impl Holds {
    /// Takes in a record. What it does to units that are put aside is the error.
    pub(super) fn fold(&mut self, event: &Event<'_>) -> Result<(), String> {
        match &event.record.body {
            Body::Hold(hold) => {
                let lines: Lines = hold.lines.iter().map(|line| (line.parcel, line.units.clone())).collect();
                self.free(&lines, "puts aside")?;
                self.0.insert(event.entry, lines);
                return Ok(());
            }
            Body::Release(release) => {
                self.0.remove(&release.hold);
                return Ok(());
            }
            _ => {}
        }
        let lines: Lines = spent_lines(&event.record.body)
            .into_iter()
            .map(|(parcel, units)| (parcel, units.clone()))
            .collect();
        if matches!(event.record.body, Body::Inherit(_)) {
            // What a retired device had put aside is put aside no more.
            return Ok(());
        }
        self.free(&lines, event.record.body.kind())?;
        if let Body::Transfer(transfer) = &event.record.body
            && transfer.aside.is_some()
        {
            let mut all = UnitSet::default();
            lines.iter().for_each(|(_, units)| all.insert_all(units));
            self.0.insert(event.entry, vec![(event.entry, all)]);
        }
        Ok(())
    }

    fn free(&self, lines: &Lines, what: &str) -> Result<(), String> {
        for (parcel, units) in lines {
            let aside = self
                .0
                .iter()
                .find(|(_, held)| held.iter().any(|(of, held)| of == parcel && held.intersects(units)));
            if let Some((hold, _)) = aside {
                return Err(format!("{what} {units} of {parcel}, which are put aside in {hold}"));
            }
        }
        Ok(())
    }
}
