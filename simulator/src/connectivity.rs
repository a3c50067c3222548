//! Who can talk to whom, by the script: what a scenario's faults leave of its networks, at any time of the night.
//!
//! Nothing changes between two neighbouring [`Connectivity::edges`], so whoever walks through the night asks once an
//! edge. Power is told apart from the network: a device without power still has a path here, and
//! [`Reach::powered`] says that it cannot use it. What only shows when the night is run is not known here: batteries
//! that run empty, and power cuts that wait for an operation of the disk.

use std::collections::{BTreeMap, BTreeSet};

use crate::scenario::{DeviceIndex, Fault, FaultKind, Scenario, VenueIndex};

/// What carries messages between two devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// A venue's Wi-Fi.
    Wifi {
        /// Which venue's.
        venue: VenueIndex,
    },
    /// A venue's Bluetooth LE.
    Ble {
        /// Which venue's.
        venue: VenueIndex,
    },
    /// The network between venues.
    Wan,
}

/// Times during which something is so: from, until. Sorted, and no two touch.
type Spans = Vec<(u64, u64)>;

/// The networks of a whole night.
#[derive(Debug, Clone)]
pub struct Connectivity {
    devices: Vec<Attached>,
    ble: Vec<bool>,
    wan: bool,
    offline: Vec<Spans>,
    unpowered: Vec<Spans>,
    wifi_down: Vec<Spans>,
    wan_down: Vec<Spans>,
    splits: Vec<(u64, u64, Vec<bool>)>,
    one_way: Vec<(u64, u64, DeviceIndex, DeviceIndex)>,
    edges: Vec<u64>,
}

/// Where a device stands, and what it can use there.
#[derive(Debug, Clone, Copy)]
struct Attached {
    venue: VenueIndex,
    wifi: bool,
    ble: bool,
}

impl Connectivity {
    /// Works out when what is up.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let devices = scenario
            .devices
            .iter()
            .map(|device| Attached { venue: device.venue, wifi: device.wifi, ble: device.ble })
            .collect();
        let mut connectivity = Self {
            devices,
            ble: scenario.venues.iter().map(|venue| venue.ble.is_some()).collect(),
            wan: scenario.wan.is_some(),
            offline: vec![Vec::new(); scenario.devices.len()],
            unpowered: vec![Vec::new(); scenario.devices.len()],
            wifi_down: vec![Vec::new(); scenario.venues.len()],
            wan_down: vec![Vec::new(); scenario.venues.len()],
            splits: Vec::new(),
            one_way: Vec::new(),
            edges: Vec::new(),
        };
        for fault in &scenario.faults {
            connectivity.add(fault, scenario);
        }
        connectivity.close();
        connectivity
    }

    fn add(&mut self, fault: &Fault, scenario: &Scenario) {
        let span = (fault.from_ms, fault.until_ms);
        match &fault.kind {
            FaultKind::Offline { device } => self.offline[*device].push(span),
            FaultKind::Flapping { device, period_ms } => {
                self.offline[*device].extend(downs(span, *period_ms));
            }
            FaultKind::Clog { devices, back } => {
                for (device, span) in clogged(span, devices, back) {
                    self.offline[device].push(span);
                }
            }
            FaultKind::WifiDown { venue } => self.wifi_down[*venue].push(span),
            FaultKind::WanDown { venue } => self.wan_down[*venue].push(span),
            FaultKind::Split { side } => {
                let on_side = (0..self.devices.len()).map(|device| side.contains(&device)).collect();
                self.splits.push((span.0, span.1, on_side));
            }
            FaultKind::OneWay { from, to } => self.one_way.push((span.0, span.1, *from, *to)),
            FaultKind::PowerCut { device, at_operation: None, .. } => self.unpowered[*device].push(span),
            FaultKind::MainsDown { venue } => {
                for (index, device) in scenario.devices.iter().enumerate() {
                    if device.venue == *venue && device.battery.is_none() {
                        self.unpowered[index].push(span);
                    }
                }
            }
            FaultKind::Dies { device } => self.unpowered[*device].push((span.0, u64::MAX)),
            FaultKind::PowerCut { .. }
            | FaultKind::BadWifi { .. }
            | FaultKind::BadWan { .. }
            | FaultKind::BatterySwap { .. }
            | FaultKind::DiskFull { .. }
            | FaultKind::DiskErrors { .. }
            | FaultKind::SlowDisk { .. }
            | FaultKind::ClockStep { .. }
            | FaultKind::Restored { .. }
            | FaultKind::Cloned { .. }
            | FaultKind::Retired { .. }
            | FaultKind::Entrusted { .. }
            | FaultKind::Reprints { .. }
            | FaultKind::Chore { .. }
            | FaultKind::Cheats { .. } => {}
        }
    }

    fn close(&mut self) {
        let mut edges = BTreeSet::new();
        let every = [&mut self.offline, &mut self.unpowered, &mut self.wifi_down, &mut self.wan_down];
        for spans in every.into_iter().flatten() {
            *spans = joined(std::mem::take(spans));
            edges.extend(spans.iter().flat_map(|(from, until)| [*from, *until]));
        }
        self.splits.retain(|(from, until, _)| from < until);
        self.one_way.retain(|(from, until, ..)| from < until);
        edges.extend(self.splits.iter().flat_map(|(from, until, _)| [*from, *until]));
        edges.extend(self.one_way.iter().flat_map(|(from, until, ..)| [*from, *until]));
        edges.remove(&u64::MAX);
        self.edges = edges.into_iter().collect();
    }

    /// The times at which something changes, in order, milliseconds.
    #[must_use]
    pub fn edges(&self) -> &[u64] {
        &self.edges
    }

    /// Who can talk to whom from `time_ms` on, until the next edge.
    #[must_use]
    pub fn at(&self, time_ms: u64) -> Reach<'_> {
        let now = |spans: &Vec<Spans>| spans.iter().map(|spans| covers(spans, time_ms)).collect();
        // Two devices are on the same side of every split exactly if they are in the same group.
        let mut group = vec![0; self.devices.len()];
        for (from, until, on_side) in &self.splits {
            if (*from..*until).contains(&time_ms) {
                let mut numbers = BTreeMap::new();
                for (group, on_side) in group.iter_mut().zip(on_side) {
                    let next = numbers.len();
                    *group = *numbers.entry((*group, *on_side)).or_insert(next);
                }
            }
        }
        let one_way = self
            .one_way
            .iter()
            .filter(|(from, until, ..)| (*from..*until).contains(&time_ms))
            .map(|(_, _, from, to)| (*from, *to))
            .collect();
        Reach {
            networks: self,
            offline: now(&self.offline),
            unpowered: now(&self.unpowered),
            wifi_down: now(&self.wifi_down),
            wan_down: now(&self.wan_down),
            group,
            one_way,
        }
    }
}

/// A flapping network is down for the first half of each period.
fn downs((from, until): (u64, u64), period_ms: u64) -> impl Iterator<Item = (u64, u64)> {
    let period = period_ms.max(2);
    (from..until)
        .step_by(usize::try_from(period).unwrap_or(usize::MAX))
        .map(move |start| (start, start.saturating_add(period / 2).min(until)))
}

/// Swizzle-clog: in the first half of its time the networks stop one after the other, the first at once; in the second
/// half they come back one after the other, the last at the end.
fn clogged(
    (from, until): (u64, u64),
    devices: &[DeviceIndex],
    back: &[DeviceIndex],
) -> Vec<(DeviceIndex, (u64, u64))> {
    let half = (until - from) / 2;
    let step = |count: usize, index: usize| half * index as u64 / count.max(1) as u64;
    devices
        .iter()
        .enumerate()
        .map(|(index, device)| {
            let returns = back.iter().position(|other| other == device).unwrap_or(back.len());
            let comes_back = (until - half + step(back.len(), returns + 1)).min(until);
            (*device, (from + step(devices.len(), index), comes_back))
        })
        .collect()
}

fn joined(mut spans: Spans) -> Spans {
    spans.retain(|(from, until)| from < until);
    spans.sort_unstable();
    let mut joined: Spans = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = until.max(*end),
            _ => joined.push((from, until)),
        }
    }
    joined
}

fn covers(spans: &Spans, time_ms: u64) -> bool {
    let after = spans.partition_point(|(from, _)| *from <= time_ms);
    after.checked_sub(1).and_then(|index| spans.get(index)).is_some_and(|(_, until)| time_ms < *until)
}

/// The networks at one time.
#[derive(Debug, Clone)]
pub struct Reach<'c> {
    networks: &'c Connectivity,
    offline: Vec<bool>,
    unpowered: Vec<bool>,
    wifi_down: Vec<bool>,
    wan_down: Vec<bool>,
    group: Vec<usize>,
    one_way: BTreeSet<(DeviceIndex, DeviceIndex)>,
}

impl Reach<'_> {
    /// What carries messages between two devices, the fastest first; the same both ways. A path that works one way
    /// only is a path: [`Reach::one_way`] says which way messages vanish.
    #[must_use]
    pub fn path(&self, a: DeviceIndex, b: DeviceIndex) -> Option<PathKind> {
        if a == b || self.offline[a] || self.offline[b] || self.group[a] != self.group[b] {
            return None;
        }
        let (one, other) = (self.networks.devices[a], self.networks.devices[b]);
        let on_wifi = |device: Attached| device.wifi && !self.wifi_down[device.venue];
        let both_on_wifi = on_wifi(one) && on_wifi(other);
        if one.venue == other.venue {
            let venue = one.venue;
            let ble = one.ble && other.ble && self.networks.ble[venue];
            return if both_on_wifi {
                Some(PathKind::Wifi { venue })
            } else {
                ble.then_some(PathKind::Ble { venue })
            };
        }
        // The way out of a venue is over its Wi-Fi.
        let connected = self.networks.wan && !self.wan_down[one.venue] && !self.wan_down[other.venue];
        (both_on_wifi && connected).then_some(PathKind::Wan)
    }

    /// Whether messages from one device to another vanish although there is a path.
    #[must_use]
    pub fn one_way(&self, from: DeviceIndex, to: DeviceIndex) -> bool {
        self.one_way.contains(&(from, to))
    }

    /// Whether a message from one device arrives at another.
    #[must_use]
    pub fn carries(&self, from: DeviceIndex, to: DeviceIndex) -> bool {
        self.path(from, to).is_some() && !self.one_way(from, to)
    }

    /// Whether two devices can talk: a path that works both ways.
    #[must_use]
    pub fn linked(&self, a: DeviceIndex, b: DeviceIndex) -> bool {
        self.carries(a, b) && !self.one_way(b, a)
    }

    /// Whether a device has power, as far as the script says.
    #[must_use]
    pub fn powered(&self, device: DeviceIndex) -> bool {
        !self.unpowered[device]
    }
}

#[cfg(test)]
mod tests;
