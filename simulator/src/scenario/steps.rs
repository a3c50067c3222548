//! The steps of a drop: who announces, opens and closes it, when, and where.

use popmesh_proto::identity::Role;

use super::error::{Problem, ScenarioError};
use super::field::{Field, Hours, Table};
use super::site::{Site, too_many};
use super::{DeviceIndex, StepSpec, StepWord};

/// The most further steps of one drop.
const MAX_STEPS: usize = 100;

/// The words for steps.
pub(super) const STEPS: [(&str, StepWord); 6] = [
    ("announce", StepWord::Announce),
    ("open", StepWord::Open),
    ("last-call", StepWord::LastCall),
    ("close", StepWord::Close),
    ("announce-again", StepWord::AnnounceAgain),
    ("open-again", StepWord::OpenAgain),
];

/// Who takes the steps of a drop: the device that is named, or the first hq.
pub(super) fn run_by(field: Option<&Field<'_>>, site: &Site) -> Result<DeviceIndex, ScenarioError> {
    match field {
        Some(field) => runs(field, site),
        // There is one: the site was not read without.
        None => Ok(site.devices.iter().position(|device| device.roles.has(Role::Hq)).unwrap_or(0)),
    }
}

fn runs(field: &Field<'_>, site: &Site) -> Result<DeviceIndex, ScenarioError> {
    let device = site.device_names.find(field)?;
    let spec = &site.devices[device];
    if spec.roles.has(Role::Hq) || spec.roles.has(Role::Encoder) {
        return Ok(device);
    }
    let problem =
        format!("{} is neither hq nor encoder, and takes no step of a drop; name one that is", spec.name);
    Err(field.error(Problem::Impossible { problem }))
}

/// Reads the further steps of a drop.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    drop: &Field<'_>,
    run_by: DeviceIndex,
    site: &Site,
    hours: Hours,
) -> Result<Vec<StepSpec>, ScenarioError> {
    if tables.len() > MAX_STEPS {
        return Err(too_many(drop, "steps", tables.len(), MAX_STEPS));
    }
    tables.into_iter().map(|table| step(table, run_by, site, hours)).collect()
}

fn step(
    mut table: Table<'_>,
    run_by: DeviceIndex,
    site: &Site,
    hours: Hours,
) -> Result<StepSpec, ScenarioError> {
    let by = table.take("by").map_or(Ok(run_by), |field| runs(&field, site))?;
    let venue = table.take("venue").map(|field| site.venue_names.find(&field)).transpose()?;
    let at_ms = table.need("at", "at = \"18:30\"")?.time_ms(hours)?;
    let step = table.need("step", "step = \"close\"")?.word("step", &STEPS)?;
    table.end()?;
    Ok(StepSpec { at_ms, step, by, venue })
}
