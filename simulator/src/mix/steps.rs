//! Drops that an encoder runs, as a rule: announced, opened, closed, opened again, here or everywhere, while each hq is off and a
//! venue is cut off from before a close to after it. Two may take one step at once.

use popmesh_proto::identity::{Role, Roles};

use crate::random::Random;
use crate::scenario::{DeviceSpec, DropSpec, Fault, FaultKind, Scenario, StepSpec, StepWord};

/// Changes a drawn night so that steps matter in it.
pub(super) fn draw(scenario: &mut Scenario, random: &mut Random) {
    has_encoder(&mut scenario.devices);
    let runners: Vec<usize> = with_role(scenario, Role::Encoder);
    let hqs: Vec<usize> = with_role(scenario, Role::Hq);
    let night_ms = scenario.duration_ms;
    let mut drops = std::mem::take(&mut scenario.drops);
    for drop in &mut drops {
        run(drop, night_ms, &runners, &hqs, scenario.venues.len(), random);
    }
    scenario.drops = drops;
    let Some(first) = scenario.drops.first() else { return };
    let (open_ms, close_ms) = (first.open_ms, first.close_ms.unwrap_or(night_ms));
    if random.chance(600) {
        let from_ms = (open_ms + random.within(1_000..=10_000)).min(night_ms - 1);
        for device in hqs {
            let kind = FaultKind::PowerCut { device, at_operation: None, in_recovery: None };
            scenario.faults.push(Fault { from_ms, until_ms: night_ms, kind });
        }
    }
    if scenario.venues.len() > 1 && random.chance(600) {
        let venue = random.index(scenario.venues.len());
        let from_ms = random.within(open_ms..=close_ms.saturating_sub(1).max(open_ms));
        let until_ms = (close_ms + random.within(5_000..=40_000)).min(night_ms).max(from_ms + 1);
        scenario.faults.push(Fault { from_ms, until_ms, kind: FaultKind::WanDown { venue } });
    }
    scenario.faults.sort_by_key(|fault| (fault.from_ms, fault.until_ms));
}

fn with_role(scenario: &Scenario, role: Role) -> Vec<usize> {
    (0..scenario.devices.len()).filter(|device| scenario.devices[*device].roles.has(role)).collect()
}

/// There is one, at a venue of somebody who sells.
fn has_encoder(devices: &mut Vec<DeviceSpec>) {
    if devices.iter().any(|device| device.roles.has(Role::Encoder)) {
        return;
    }
    let Some(till) = devices.get(1).cloned() else { return };
    let roles: Roles = [Role::Encoder].into_iter().collect();
    devices.push(DeviceSpec { name: "encoder-1".to_owned(), roles, ..till });
}

fn run(
    drop: &mut DropSpec,
    night_ms: u64,
    encoders: &[usize],
    hqs: &[usize],
    venues: usize,
    random: &mut Random,
) {
    let by = |random: &mut Random| {
        let of = if random.chance(800) { encoders } else { hqs };
        random.pick(of).or_else(|| hqs.first()).copied().unwrap_or(0)
    };
    drop.run_by = by(random);
    drop.announce_ms = random.chance(700).then(|| random.within(drop.mint_ms..=drop.open_ms));
    let least_ms = (drop.open_ms + night_ms / 5).min(night_ms - 2);
    let close_ms = random.within(least_ms..=(night_ms * 9 / 10).max(least_ms));
    drop.close_ms = random.chance(850).then_some(close_ms);
    drop.ends_ms = random.chance(250).then(|| random.within(least_ms..=night_ms));
    let venue = |random: &mut Random, per_mille: u64| random.chance(per_mille).then(|| random.index(venues));
    let mut add = |at_ms: u64, step, by, venue| {
        drop.steps.push(StepSpec { at_ms: at_ms.min(night_ms - 1), step, by, venue });
    };
    if random.chance(400) {
        let (at_ms, by) = (random.within(drop.open_ms..=close_ms), by(random));
        add(at_ms, StepWord::LastCall, by, venue(random, 300));
    }
    // Somebody else closes it as well, or one venue alone.
    if random.chance(400) {
        let (at_ms, by) = (close_ms.saturating_sub(5_000) + random.below(10_000), by(random));
        add(at_ms.max(drop.open_ms + 1), StepWord::Close, by, venue(random, 500));
    }
    if random.chance(350) {
        let (at_ms, who) = (close_ms + random.within(1_000..=20_000), by(random));
        let at = venue(random, 300);
        add(at_ms, StepWord::OpenAgain, who, at);
        if random.chance(500) {
            let who = by(random);
            add(at_ms + random.within(1_000..=30_000), StepWord::Close, who, at);
        }
    }
    drop.steps.sort_by_key(|step| step.at_ms);
}
