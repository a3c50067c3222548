//! Faults by chance, each with its times.

use popmesh_proto::identity::Role;

use super::retired;
use crate::random::Random;
use crate::scenario::limits::MAX_FLAPS;
use crate::scenario::{CHORES, Cheat, Chore, Fault, FaultKind, Scenario, media};

/// A kind of fault, as the swarm turns it on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "as in FaultKind; a power cut is three kinds")]
pub enum Kind {
    Offline,
    Flapping,
    OneWay,
    WifiDown,
    WanDown,
    Split,
    Clog,
    BadWifi,
    BadWan,
    CutAtOnce,
    CutInWrite,
    CutInRecovery,
    MainsDown,
    BatterySwap,
    DiskFull,
    DiskErrors,
    SlowDisk,
    Clock,
    Dies,
    Restored,
    Cloned,
    Cheats,
    Crafts,
    Entrusted,
    RetiredDead,
    RetiredAlive,
    Reprints,
    Chores,
}

/// Each kind is on in so many of a thousand seeds.
const ON_PER_MILLE: u64 = 400;
/// The most faults of one kind in one night.
const MOST_OF_A_KIND: u64 = 4;
/// The most devices that are retired wrongly in one night: somebody has to be left who sells.
const MOST_RETIRED: u64 = 2;
/// The most that the crew does in one night besides selling.
const MOST_CHORES: u64 = 40;
/// So many of a thousand nights with an adversary have two.
const TWO_CHEAT: u64 = 250;
/// The least that a lasting fault lasts.
const SHORTEST_MS: u64 = 500;

/// Draws the faults of a night, in order of their beginning.
pub(super) fn draw(kinds: &[Kind], scenario: &Scenario, random: &Random) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut dead = Vec::new();
    for kind in kinds {
        // A stream for each kind: that one kind is drawn differently moves no other.
        let mut random = random.fork(&format!("{kind:?}"));
        // Whoever died is missed in any night.
        let always = matches!(kind, Kind::RetiredDead | Kind::Chores | Kind::Crafts);
        if !always && !random.chance(ON_PER_MILLE) {
            continue;
        }
        match kind {
            Kind::Crafts => faults.extend(adversaries(scenario, &mut random)),
            Kind::Reprints => faults.extend(reprints(scenario, &mut random)),
            Kind::Chores => faults.extend(chores(scenario, &mut random)),
            Kind::Entrusted => faults.extend(retired::hand_overs(scenario, &mut random)),
            Kind::RetiredDead => faults.extend(retired::of_the_dead(scenario, &faults, &mut random)),
            Kind::RetiredAlive => {
                for _ in 0..random.within(1..=MOST_RETIRED) {
                    faults.extend(retired::of_the_living(scenario, &faults, &mut random));
                }
            }
            _ => {
                for _ in 0..random.within(1..=MOST_OF_A_KIND) {
                    faults.extend(fault(*kind, scenario, &mut dead, &mut random));
                }
            }
        }
    }
    faults.sort_by_key(|fault| fault.from_ms);
    faults
}

/// One fault, if the night has what it needs.
fn fault(kind: Kind, scenario: &Scenario, dead: &mut Vec<usize>, random: &mut Random) -> Option<Fault> {
    let (from_ms, until_ms) = span(scenario.duration_ms, random);
    let device = random.index(scenario.devices.len());
    let venue = random.index(scenario.venues.len());
    let at_once = |kind| Some(Fault { from_ms, until_ms: from_ms, kind });
    let lasting = |kind| Some(Fault { from_ms, until_ms, kind });
    match kind {
        Kind::Offline => lasting(FaultKind::Offline { device }),
        Kind::Flapping => {
            let period_ms = random.within(200..=20_000).max((until_ms - from_ms) / MAX_FLAPS + 1);
            lasting(FaultKind::Flapping { device, period_ms })
        }
        Kind::OneWay => {
            let to = (device + 1 + random.index(scenario.devices.len() - 1)) % scenario.devices.len();
            (to != device).then_some(())?;
            lasting(FaultKind::OneWay { from: device, to })
        }
        Kind::WifiDown => lasting(FaultKind::WifiDown { venue }),
        Kind::WanDown => {
            scenario.wan?;
            lasting(FaultKind::WanDown { venue })
        }
        Kind::Split => lasting(FaultKind::Split { side: some_devices(scenario, 1, random)? }),
        Kind::Clog => {
            let devices = some_devices(scenario, 2, random)?;
            let mut back = devices.clone();
            random.shuffle(&mut back);
            lasting(FaultKind::Clog { devices, back })
        }
        Kind::BadWifi => {
            let medium = *random.pick(&[media::CROWDED_WIFI, media::HOSTILE])?;
            lasting(FaultKind::BadWifi { venue, medium })
        }
        Kind::BadWan => {
            scenario.wan?;
            let medium = *random.pick(&[media::BAD_WAN, media::HOSTILE])?;
            lasting(FaultKind::BadWan { medium })
        }
        Kind::CutAtOnce | Kind::CutInWrite | Kind::CutInRecovery => {
            let at_operation = (kind != Kind::CutAtOnce).then(|| random.within(1..=60));
            let in_recovery = (kind == Kind::CutInRecovery).then(|| random.within(1..=60));
            lasting(FaultKind::PowerCut { device, at_operation, in_recovery })
        }
        Kind::MainsDown => lasting(FaultKind::MainsDown { venue }),
        Kind::BatterySwap => {
            let with: Vec<usize> = (0..scenario.devices.len())
                .filter(|index| scenario.devices[*index].battery.is_some())
                .collect();
            at_once(FaultKind::BatterySwap { device: *random.pick(&with)? })
        }
        Kind::DiskFull => lasting(FaultKind::DiskFull { device }),
        Kind::DiskErrors => {
            let mut share = || if random.chance(600) { random.within(1..=200) } else { 0 };
            let (read_per_mille, write_per_mille) = (share(), share());
            let sync_per_mille = share().max(u64::from(read_per_mille + write_per_mille == 0));
            lasting(FaultKind::DiskErrors { device, read_per_mille, write_per_mille, sync_per_mille })
        }
        Kind::SlowDisk => lasting(FaultKind::SlowDisk { device, times: random.within(5..=500) }),
        Kind::Clock => {
            let most_ms = *random.pick(&[2_000, 60_000, 600_000, 7_200_000])?;
            let by_ms = random.within(0..=2 * most_ms).cast_signed() - most_ms.cast_signed();
            at_once(FaultKind::ClockStep { device, by_ms })
        }
        Kind::Dies => {
            // Somebody must be left to agree with: two, as one always agrees with itself.
            let left = scenario.devices.len() - dead.len();
            (left > 2 && !dead.contains(&device)).then_some(())?;
            dead.push(device);
            at_once(FaultKind::Dies { device })
        }
        Kind::Restored => {
            (from_ms > 1_000).then_some(())?;
            let image_ms = random.within(0..=from_ms - 1_000);
            at_once(FaultKind::Restored { device, image_ms })
        }
        Kind::Cloned => lasting(FaultKind::Cloned { device }),
        Kind::Cheats => {
            let how = *random.pick(&[Cheat::Forks, Cheat::Overspends, Cheat::Replays])?;
            // Two boxes with one life seldom get to write two histories: they hear of each other first.
            let how = if how == Cheat::Forks && random.chance(500) { Cheat::Rewrites } else { how };
            lasting(FaultKind::Cheats { device, how })
        }
        // Drawn with what the night has already.
        Kind::Crafts
        | Kind::Entrusted
        | Kind::RetiredDead
        | Kind::RetiredAlive
        | Kind::Reprints
        | Kind::Chores => None,
    }
}

/// What the crew does, here and there, all night.
fn chores(scenario: &Scenario, random: &mut Random) -> Vec<Fault> {
    let one = |random: &mut Random| {
        let at_ms = random.below(scenario.duration_ms);
        let (_, what) = *random.pick(&CHORES)?;
        let office = matches!(
            what,
            Chore::Renews | Chore::Resolves | Chore::Unlocks | Chore::SetsRules | Chore::SetsLimit
        );
        let able: Vec<usize> = (0..scenario.devices.len())
            .filter(|index| !office || scenario.devices[*index].roles.has(Role::Hq))
            .collect();
        let device = *random.pick(&able)?;
        Some(Fault { from_ms: at_ms, until_ms: at_ms, kind: FaultKind::Chore { device, what } })
    };
    let mut chores: Vec<Fault> = (0..random.within(5..=MOST_CHORES)).filter_map(|_| one(random)).collect();
    // In the end hqs look at what has come to light.
    let hqs = (0..scenario.devices.len()).filter(|index| scenario.devices[*index].roles.has(Role::Hq));
    for device in hqs {
        let at_ms = scenario.duration_ms - random.below(scenario.duration_ms / 4 + 1);
        let late = [Chore::Unlocks, Chore::Resolves].map(|what| Fault {
            from_ms: at_ms,
            until_ms: at_ms,
            kind: FaultKind::Chore { device, what },
        });
        chores.extend(late);
    }
    // Somebody is left who sells, and who has heard of it.
    let mut may_leave = scenario.devices.len() > 2;
    chores.retain(|fault| match fault.kind {
        FaultKind::Chore { what: Chore::Leaves, .. } => std::mem::take(&mut may_leave),
        _ => true,
    });
    chores
}

/// One device cheats for most of the night, sometimes two; two at least do not.
fn adversaries(scenario: &Scenario, random: &mut Random) -> Vec<Fault> {
    let mut devices: Vec<usize> = (0..scenario.devices.len()).collect();
    random.shuffle(&mut devices);
    let many = if random.chance(TWO_CHEAT) { 2 } else { 1 };
    devices.truncate(many.min(devices.len().saturating_sub(2)));
    let of = |device| {
        let from_ms = random.within(0..=scenario.duration_ms / 3);
        let until_ms = random.within(2 * scenario.duration_ms / 3..=scenario.duration_ms);
        Fault { from_ms, until_ms, kind: FaultKind::Cheats { device, how: Cheat::Crafts } }
    };
    devices.into_iter().map(of).collect()
}

/// An hq is cut off before another mints, and mints the same meanwhile.
fn reprints(scenario: &Scenario, random: &mut Random) -> Vec<Fault> {
    let lots = scenario.drops.iter().flat_map(|drop| drop.lots.iter().map(move |lot| (drop.mint_ms, lot)));
    let numbered: Vec<_> = lots.filter(|(_, lot)| lot.numbered).collect();
    let Some((mint_ms, lot)) = random.pick(&numbered).copied() else { return Vec::new() };
    let hqs: Vec<usize> = (0..scenario.devices.len())
        .filter(|index| *index != lot.at && scenario.devices[*index].roles.has(Role::Hq))
        .collect();
    let Some(device) = random.pick(&hqs).copied() else { return Vec::new() };
    let from_ms = mint_ms.saturating_sub(random.within(0..=5_000));
    let at_ms = (mint_ms + random.within(0..=10_000)).min(scenario.duration_ms);
    let until_ms = (at_ms + random.within(1_000..=60_000)).min(scenario.duration_ms);
    if from_ms >= until_ms {
        return Vec::new();
    }
    vec![
        Fault { from_ms, until_ms, kind: FaultKind::Offline { device } },
        Fault { from_ms: at_ms, until_ms: at_ms, kind: FaultKind::Reprints { device } },
    ]
}

/// From when to when: often short, sometimes for most of the night, over when the night is.
fn span(duration_ms: u64, random: &mut Random) -> (u64, u64) {
    let from_ms = random.below(duration_ms.saturating_sub(SHORTEST_MS).max(1));
    let left_ms = duration_ms - from_ms;
    let most_ms = if random.chance(700) { (duration_ms / 8).min(left_ms) } else { left_ms };
    let lasts_ms = random.within(SHORTEST_MS.min(left_ms)..=most_ms.max(SHORTEST_MS.min(left_ms)));
    (from_ms, from_ms + lasts_ms)
}

/// At least `least` of the devices, and never all of them, if there are enough; in an order of chance.
fn some_devices(scenario: &Scenario, least: u64, random: &mut Random) -> Option<Vec<usize>> {
    let count = scenario.devices.len() as u64;
    (count > least).then_some(())?;
    let mut devices: Vec<usize> = (0..scenario.devices.len()).collect();
    random.shuffle(&mut devices);
    devices.truncate(random.within(least..=count - 1) as usize);
    Some(devices)
}
