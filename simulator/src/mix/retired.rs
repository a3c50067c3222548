//! Retirements by chance: of devices that have died, and of devices that are merely cut off; and hand-overs of the right
//! to retire.

use popmesh_proto::identity::Role;

use crate::random::Random;
use crate::scenario::{DeviceIndex, Fault, FaultKind, Scenario};

/// So many of a thousand devices that died are retired in the same night.
const OF_THE_DEAD: u64 = 800;
/// How long it takes until somebody does that, milliseconds.
const MISSED_AFTER_MS: (u64, u64) = (2_000, 60_000);
/// So many of a thousand wrong retirements are of a device that was restored, copied or cheats, if there is one; so many of
/// one that has no network; so many come just when stock does; so many are made a second time on another hq.
const OF_THE_SUSPECT: u64 = 300;
const CUT_OFF: u64 = 750;
const AS_STOCK_COMES: u64 = 300;
const TWICE: u64 = 250;

/// So many of a thousand hand-overs go on to a third.
const ON: u64 = 400;

/// Hand-overs of the right to retire, where there is more than one hq.
pub(super) fn hand_overs(scenario: &Scenario, random: &mut Random) -> Vec<Fault> {
    let mut hqs: Vec<DeviceIndex> = hqs(scenario).collect();
    let (from_ms, on) = (random.below(scenario.duration_ms / 2), random.chance(ON));
    let later_ms = random.within(1..=scenario.duration_ms / 2);
    if hqs.len() < 2 {
        return Vec::new();
    }
    let by = hqs.remove(0);
    random.shuffle(&mut hqs);
    let device = hqs[0];
    let mut given = vec![at(from_ms, FaultKind::Entrusted { device, by })];
    // To a third: the first one's certificate is the one that began it.
    if let Some(third) = hqs.get(1).copied().filter(|_| on && from_ms + later_ms < scenario.duration_ms) {
        given.push(at(from_ms + later_ms, FaultKind::Entrusted { device: third, by: device }));
    }
    given
}

/// Retirements of the devices that `faults` let die.
pub(super) fn of_the_dead(scenario: &Scenario, faults: &[Fault], random: &mut Random) -> Vec<Fault> {
    let mut retired = Vec::new();
    for fault in faults {
        let FaultKind::Dies { device } = fault.kind else { continue };
        let from_ms = fault.from_ms + random.within(MISSED_AFTER_MS.0..=MISSED_AFTER_MS.1);
        let is_missed = random.chance(OF_THE_DEAD);
        let by = registrar(scenario, faults, device, from_ms);
        if let Some(by) = by.filter(|_| is_missed && from_ms < scenario.duration_ms) {
            retired.push(at(from_ms, FaultKind::Retired { device, by, once_stock_comes: false }));
        }
    }
    retired
}

/// A retirement of a device that lives, with what comes with it.
pub(super) fn of_the_living(scenario: &Scenario, faults: &[Fault], random: &mut Random) -> Vec<Fault> {
    let suspects: Vec<DeviceIndex> = faults
        .iter()
        .filter_map(|fault| match fault.kind {
            FaultKind::Restored { device, .. }
            | FaultKind::Cloned { device }
            | FaultKind::Cheats { device, .. } => Some(device),
            _ => None,
        })
        .collect();
    let any = random.index(scenario.devices.len());
    let suspect = random.pick(&suspects).copied();
    let device = suspect.filter(|_| random.chance(OF_THE_SUSPECT)).unwrap_or(any);
    let from_ms = random.within(scenario.duration_ms / 8..=scenario.duration_ms - 1);
    let cut_off = random.chance(CUT_OFF);
    let before_ms = random.within(500..=30_000);
    let after_ms = random.within(1_000..=60_000);
    let once_stock_comes = random.chance(AS_STOCK_COMES);
    let twice = random.chance(TWICE);
    let later_ms = random.within(0..=20_000);
    let Some(by) = registrar(scenario, faults, device, from_ms) else { return Vec::new() };
    let mut retired = vec![at(from_ms, FaultKind::Retired { device, by, once_stock_comes })];
    if cut_off {
        let until_ms = (from_ms + after_ms).min(scenario.duration_ms);
        let kind = FaultKind::Offline { device };
        retired.push(Fault { from_ms: from_ms.saturating_sub(before_ms), until_ms, kind });
    }
    let from_ms = from_ms + later_ms;
    if twice && from_ms < scenario.duration_ms {
        let other = hqs(scenario).find(|other| *other != by && *other != device);
        retired
            .extend(other.map(|by| at(from_ms, FaultKind::Retired { device, by, once_stock_comes: false })));
    }
    retired
}

fn at(from_ms: u64, kind: FaultKind) -> Fault {
    Fault { from_ms, until_ms: from_ms, kind }
}

fn hqs(scenario: &Scenario) -> impl Iterator<Item = DeviceIndex> {
    (0..scenario.devices.len()).filter(|device| scenario.devices[*device].roles.has(Role::Hq))
}

/// The hq that lives then, is not the device itself, and was given the right last; or has it.
fn registrar(scenario: &Scenario, faults: &[Fault], device: DeviceIndex, at_ms: u64) -> Option<DeviceIndex> {
    let is_dead = |of: DeviceIndex| {
        faults.iter().any(|fault| fault.from_ms <= at_ms && fault.kind == FaultKind::Dies { device: of })
    };
    let mut given =
        faults.iter().filter(|fault| fault.from_ms <= at_ms).filter_map(|fault| match fault.kind {
            FaultKind::Entrusted { device, .. } => Some(device),
            _ => None,
        });
    let last = given.next_back().filter(|hq| *hq != device && !is_dead(*hq));
    last.or_else(|| hqs(scenario).find(|hq| *hq != device && !is_dead(*hq)))
}
