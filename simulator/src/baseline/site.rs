//! The site of a baseline: its shoppers, networks, power and time, as popmesh meets them too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::agenda::Agenda;
use super::tally::Tally;
use crate::comparison::ComparisonRow;
use crate::connectivity::{Connectivity, PathKind, Reach};
use crate::load::{self, Shopper};
use crate::network::{Carrier, Traffic};
use crate::random::Random;
use crate::scenario::{DeviceIndex, FaultKind, Medium, Scenario, StockPolicy};

const MS: u64 = 1_000;
/// A till without power is asked again after so long, milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Something that happens to whoever keeps the stock.
#[derive(Debug)]
pub(super) enum Happens<E> {
    /// What it planned or sent itself.
    Own(E),
    /// A shopper stands at a till that has power, while the drop is open.
    Shopper(usize),
    /// A device loses its power, and all that is not durable.
    PowerLost(DeviceIndex),
    /// A device has power again.
    PowerBack(DeviceIndex),
    /// Who can hear whom may have changed.
    Networks,
}

#[derive(Debug)]
enum Planned<E> {
    /// Happens whatever becomes of any device.
    Anyway(E),
    /// Happens if the device keeps its power until then.
    On(DeviceIndex, u32, E),
    Shopper(usize),
    Edge,
}

/// The site.
#[derive(Debug)]
pub(super) struct Site<'s, E> {
    pub(super) scenario: &'s Scenario,
    pub(super) random: Random,
    shoppers: Vec<Shopper>,
    tally: Tally,
    traffic: Traffic,
    connectivity: &'s Connectivity,
    reach: Reach<'s>,
    carriers: Vec<Carrier>,
    powered: Vec<bool>,
    /// How often each device has lost its power.
    lives: Vec<u32>,
    /// When the last message from one device to another arrives.
    last_us: BTreeMap<(DeviceIndex, DeviceIndex), u64>,
    agenda: Agenda<Planned<E>>,
    at_once: VecDeque<Happens<E>>,
    now_us: u64,
}

impl<'s, E: Clone> Site<'s, E> {
    pub(super) fn new(scenario: &'s Scenario, connectivity: &'s Connectivity, random: &Random) -> Self {
        let shoppers = load::shoppers(scenario, &random.fork("shoppers"));
        let mut agenda = Agenda::new();
        let edges: BTreeSet<u64> = connectivity
            .edges()
            .iter()
            .copied()
            .chain(scenario.faults.iter().flat_map(|fault| [fault.from_ms, fault.until_ms]))
            .chain([0])
            .collect();
        for edge_ms in edges {
            agenda.plan(edge_ms * MS, Planned::Edge);
        }
        for (index, shopper) in shoppers.iter().enumerate() {
            agenda.plan(shopper.at_us, Planned::Shopper(index));
        }
        Self {
            random: random.fork("baseline"),
            tally: Tally::new(shoppers.len()),
            traffic: Traffic::default(),
            reach: connectivity.at(0),
            carriers: media(scenario, 0).into_iter().map(Carrier::new).collect(),
            powered: vec![false; scenario.devices.len()],
            lives: vec![0; scenario.devices.len()],
            last_us: BTreeMap::new(),
            at_once: VecDeque::new(),
            now_us: 0,
            scenario,
            shoppers,
            connectivity,
            agenda,
        }
    }

    // --- Time.

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_us / MS
    }

    /// What happens next, until every shopper has an answer.
    pub(super) fn next(&mut self) -> Option<Happens<E>> {
        loop {
            if let Some(happens) = self.at_once.pop_front() {
                return Some(happens);
            }
            if self.tally.all_answered() {
                return None;
            }
            let (at_us, planned) = self.agenda.next()?;
            self.now_us = self.now_us.max(at_us);
            match planned {
                Planned::Anyway(event) => return Some(Happens::Own(event)),
                Planned::On(device, life, event) => {
                    if self.powered[device] && self.lives[device] == life {
                        return Some(Happens::Own(event));
                    }
                }
                Planned::Shopper(shopper) => {
                    if self.may_be_served(shopper) {
                        return Some(Happens::Shopper(shopper));
                    }
                }
                Planned::Edge => self.edge(),
            }
        }
    }

    pub(super) fn plan(&mut self, after_us: u64, event: E) {
        self.agenda.plan(self.now_us + after_us, Planned::Anyway(event));
    }

    /// Plans what a power cut of `device` cancels.
    pub(super) fn plan_on(&mut self, device: DeviceIndex, after_us: u64, event: E) {
        self.agenda.plan(self.now_us + after_us, Planned::On(device, self.lives[device], event));
    }

    fn edge(&mut self) {
        let now_ms = self.now_ms();
        self.reach = self.connectivity.at(now_ms);
        for (carrier, medium) in self.carriers.iter_mut().zip(media(self.scenario, now_ms)) {
            if carrier.medium != medium {
                *carrier = Carrier::new(medium);
            }
        }
        for device in 0..self.powered.len() {
            let powered = self.reach.powered(device) && !cut_in_a_write(self.scenario, device, now_ms);
            if powered && !self.powered[device] {
                self.at_once.push_back(Happens::PowerBack(device));
            } else if !powered && self.powered[device] {
                self.lives[device] += 1;
                self.at_once.push_back(Happens::PowerLost(device));
            }
            self.powered[device] = powered;
        }
        self.at_once.push_back(Happens::Networks);
    }

    // --- Power, disks and networks.

    pub(super) fn powered(&self, device: DeviceIndex) -> bool {
        self.powered[device]
    }

    /// Whether two devices can talk now. Each can talk to itself.
    pub(super) fn linked(&self, a: DeviceIndex, b: DeviceIndex) -> bool {
        self.powered[a] && self.powered[b] && (a == b || self.reach.linked(a, b))
    }

    /// How long a durable write of a device takes that begins now.
    pub(super) fn write_us(&mut self, device: DeviceIndex) -> u64 {
        let speed = self.scenario.devices[device].disk;
        let now_ms = self.now_ms();
        let slower = |kind: &FaultKind| match kind {
            FaultKind::SlowDisk { device: of, times } if *of == device => Some((*times).max(1)),
            _ => None,
        };
        let faults = self.scenario.faults.iter();
        let times = faults
            .filter(|fault| (fault.from_ms..fault.until_ms).contains(&now_ms))
            .find_map(|fault| slower(&fault.kind));
        (speed.write_us + self.random.below(speed.jitter_us + 1)) * times.unwrap_or(1)
    }

    /// Sends a message of so many bytes; what arrives is `event`, perhaps twice, perhaps never.
    pub(super) fn send(&mut self, from: DeviceIndex, to: DeviceIndex, bytes: usize, event: E) {
        if from == to {
            self.plan_on(to, 0, event);
            return;
        }
        let venues = self.scenario.venues.len();
        let carrier = match self.reach.path(from, to) {
            Some(_) if self.reach.one_way(from, to) => return,
            Some(PathKind::Wifi { venue }) => venue,
            Some(PathKind::Ble { venue }) => venues + venue,
            Some(PathKind::Wan) => 2 * venues + self.scenario.devices[from].venue,
            None => return,
        };
        let fate = self.carriers[carrier].send(self.now_us, bytes, &mut self.random, &mut self.traffic);
        for arrival in fate.into_iter().flatten().filter(|arrival| !arrival.spoiled) {
            let mut at_us = arrival.at_us;
            if !arrival.overtaken {
                let last_us = self.last_us.entry((from, to)).or_default();
                *last_us = at_us.max(*last_us);
                at_us = *last_us;
            }
            self.plan_on(to, at_us - self.now_us, event.clone());
        }
    }

    // --- Shoppers.

    pub(super) fn wish(&self, shopper: usize) -> &Shopper {
        &self.shoppers[shopper]
    }

    /// When a shopper gives up.
    pub(super) fn gone_us(&self, shopper: usize) -> u64 {
        self.shoppers[shopper].at_us + self.shoppers[shopper].patience_ms * MS
    }

    pub(super) fn is_answered(&self, shopper: usize) -> bool {
        self.tally.is_answered(shopper)
    }

    /// Whether the drop that a shopper wants is open at the shopper's till.
    pub(super) fn is_open(&self, shopper: usize) -> bool {
        self.opens_ms(shopper).is_none()
    }

    /// Until when a shopper whose till does not sell the drop now waits for its opening, milliseconds; `None` if it is open.
    fn opens_ms(&self, shopper: usize) -> Option<u64> {
        let wish = &self.shoppers[shopper];
        let spans = self.scenario.drops[wish.drop].open_spans(self.scenario.devices[wish.device].venue);
        let now_ms = self.now_ms();
        let next = spans.into_iter().find(|(_, closes_ms)| now_ms < *closes_ms);
        next.map_or(Some(u64::MAX), |(opens_ms, _)| (now_ms < opens_ms).then_some(opens_ms))
    }

    fn may_be_served(&mut self, shopper: usize) -> bool {
        if self.is_answered(shopper) {
            return false;
        }
        let device = self.shoppers[shopper].device;
        if !self.powered[device] {
            self.comes_again(shopper);
            return false;
        }
        if let Some(opens_ms) = self.opens_ms(shopper) {
            let opens_us = opens_ms.saturating_mul(MS);
            if opens_us <= self.gone_us(shopper) {
                self.agenda.plan(opens_us, Planned::Shopper(shopper));
            } else {
                self.tally.refused(shopper, false);
            }
            return false;
        }
        true
    }

    /// The till has no power: the shopper comes again in a moment, or leaves without an answer.
    pub(super) fn comes_again(&mut self, shopper: usize) {
        let again_us = self.now_us + AGAIN_MS * MS;
        if again_us < self.gone_us(shopper) {
            self.agenda.plan(again_us, Planned::Shopper(shopper));
        } else {
            self.tally.refused(shopper, false);
        }
    }

    /// The shopper has what was wanted.
    pub(super) fn sold(&mut self, shopper: usize) {
        let wish = &self.shoppers[shopper];
        let venue = self.scenario.devices[wish.device].venue;
        self.tally.sold(shopper, wish, wish.pickup_at.is_none().then_some(venue), self.now_us);
    }

    /// The shopper is told no; `wrongly` if somebody in reach could have sold.
    pub(super) fn refused(&mut self, shopper: usize, wrongly: bool) {
        self.tally.refused(shopper, wrongly);
    }

    /// Units of a drop and product that were minted by now and are in no sale.
    pub(super) fn unsold(&self, drop: usize, product: usize) -> u64 {
        let spec = &self.scenario.drops[drop];
        let minted = if spec.mint_ms <= self.now_ms() { self.scenario.minted(drop, product) } else { 0 };
        minted.saturating_sub(self.tally.sold_of(drop, product))
    }

    pub(super) fn row(&self, policy: StockPolicy) -> ComparisonRow {
        self.tally.row(policy, self.scenario, &self.shoppers, &self.traffic)
    }
}

/// How good each carrier is: each venue's Wi-Fi, its Bluetooth, its way out.
fn media(scenario: &Scenario, now_ms: u64) -> Vec<Medium> {
    let venues = scenario.venues.len();
    let wan = scenario.wan.unwrap_or(scenario.venues[0].wifi);
    let wifi = scenario.venues.iter().map(|venue| venue.wifi);
    let ble = scenario.venues.iter().map(|venue| venue.ble.unwrap_or(venue.wifi));
    let mut media: Vec<Medium> = wifi.chain(ble).chain((0..venues).map(|_| wan)).collect();
    for fault in scenario.faults.iter().filter(|fault| (fault.from_ms..fault.until_ms).contains(&now_ms)) {
        match fault.kind {
            FaultKind::BadWifi { venue, medium } => media[venue] = medium,
            FaultKind::BadWan { medium } => media[2 * venues..].fill(medium),
            _ => {}
        }
    }
    media
}

/// Whether a power cut keeps a device off that popmesh meets in the middle of a write. The script of the networks does
/// not know when that is; here it is when the fault begins.
fn cut_in_a_write(scenario: &Scenario, device: DeviceIndex, now_ms: u64) -> bool {
    scenario.faults.iter().any(|fault| {
        let cut = matches!(fault.kind, FaultKind::PowerCut { device: of, at_operation: Some(_), .. } if of == device);
        cut && (fault.from_ms..fault.until_ms).contains(&now_ms)
    })
}
