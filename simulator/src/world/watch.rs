//! What is seen of a night while it goes on: curves, lanes, counts. Nothing in here decides anything.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::command::{Refusal, Reply};
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::CallId;
use popmesh_proto::query::Answer;

use super::node::{Node, State};
use super::queue::{Event, NodeIndex};
use super::{MS, SECOND, World};
use crate::coverage::Coverage;
use crate::night::{Growth, LaneState, Severity, Span};
use crate::scenario::{DeviceIndex, FaultKind, Scenario};
use crate::words;

/// A device that has had no peer for so long has lost sync, milliseconds.
const ALONE_MS: u64 = 5_000;
/// How often is looked whether devices agree again, milliseconds.
const AGREE_LOOK_MS: u64 = 100;
/// So many texts of findings are kept apart.
const FINDINGS: usize = 200;

/// A fault that happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Struck {
    pub(super) fault: usize,
    pub(super) from_us: u64,
    pub(super) until_us: Option<u64>,
    /// Counts at the beginning, then how much they grew.
    counts: u64,
    pub(super) times: u64,
}

/// Alike findings.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) severity: Severity,
    pub(super) first_us: u64,
    pub(super) times: u64,
    pub(super) devices: BTreeSet<String>,
}

/// What is seen.
#[derive(Debug)]
pub(super) struct Watch {
    /// The answer to the query just asked.
    pub(super) answer: Option<(CallId, Answer)>,
    /// The answer to the sale that the world tried.
    pub(super) probe: Option<Result<Reply, Refusal>>,
    pub(super) minted: u64,
    pub(super) writes: u64,
    pub(super) writes_failed: u64,
    pub(super) power_cuts: u64,
    pub(super) cuts_in_recovery: u64,
    pub(super) starts_failed: u64,
    pub(super) batteries_emptied: u64,
    /// Messages sent where no way was.
    pub(super) sent_to_nobody: u64,
    pub(super) sent: Vec<(u64, u64)>,
    pub(super) loss_events: [u64; 3],
    pub(super) agreed_us: Option<u64>,
    /// The last sale after which all agreed, and how long after it.
    pub(super) reconciled: Option<(u64, u64)>,
    pub(super) lanes: Vec<Vec<Span>>,
    pub(super) holding: Vec<Vec<(u64, u64)>>,
    pub(super) stock_left: BTreeMap<String, Vec<(u64, u64)>>,
    pub(super) backlog: Vec<(u64, u64)>,
    pub(super) convergence_ms: Vec<u64>,
    pub(super) struck: Vec<Struck>,
    pub(super) findings: BTreeMap<String, Seen>,
    pub(super) coverage: Coverage,
    /// When the links changed last, while not all have agreed since.
    unsettled_since_us: Option<u64>,
    alone_since_us: Vec<Option<u64>>,
    looked_us: u64,
    pub(super) open_device_ms: u64,
    pub(super) growth: Growth,
}

impl Watch {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let devices = scenario.devices.len();
        Self {
            answer: None,
            probe: None,
            minted: 0,
            writes: 0,
            writes_failed: 0,
            power_cuts: 0,
            cuts_in_recovery: 0,
            starts_failed: 0,
            batteries_emptied: 0,
            sent_to_nobody: 0,
            sent: vec![(0, 0); devices],
            loss_events: [0; 3],
            agreed_us: None,
            reconciled: None,
            lanes: vec![Vec::new(); devices],
            holding: vec![Vec::new(); devices],
            stock_left: BTreeMap::new(),
            backlog: Vec::new(),
            convergence_ms: Vec::new(),
            struck: Vec::new(),
            findings: BTreeMap::new(),
            coverage: Coverage::new(words::KINDS, words::STATES),
            growth: Growth::default(),
            unsettled_since_us: None,
            alone_since_us: vec![None; devices],
            looked_us: 0,
            open_device_ms: 0,
        }
    }

    pub(super) fn sent(&mut self, device: DeviceIndex, bytes: usize) {
        self.sent[device].0 += 1;
        self.sent[device].1 += bytes as u64;
    }

    pub(super) fn sent_to_nobody(&mut self) {
        self.sent_to_nobody += 1;
    }

    pub(super) fn links_changed(&mut self, now_us: u64) {
        self.unsettled_since_us = Some(now_us);
    }

    pub(super) fn incident(&mut self, now_us: u64, device: &str, text: &str) {
        self.loss_events[2] += 1;
        self.find(Severity::Warning, now_us, device, format!("incident: {text}"));
    }

    pub(super) fn peer_fault(&mut self, now_us: u64, device: &str, text: &str) {
        self.find(Severity::Note, now_us, device, format!("a peer's message was refused: {text}"));
    }

    fn find(&mut self, severity: Severity, now_us: u64, device: &str, text: String) {
        if self.findings.len() >= FINDINGS && !self.findings.contains_key(&text) {
            return;
        }
        let seen = self.findings.entry(text).or_insert(Seen {
            severity,
            first_us: now_us,
            times: 0,
            devices: BTreeSet::new(),
        });
        seen.times += 1;
        if seen.devices.len() < 6 {
            seen.devices.insert(device.to_owned());
        }
    }

    pub(super) fn fault(&mut self, fault: usize, now_us: u64, begins: bool) {
        let counts = self.sent_to_nobody + self.writes_failed + self.power_cuts + self.batteries_emptied;
        if begins {
            self.struck.push(Struck { fault, from_us: now_us, until_us: None, counts, times: 0 });
        } else if let Some(struck) =
            self.struck.iter_mut().rev().find(|struck| struck.fault == fault && struck.until_us.is_none())
        {
            struck.until_us = Some(now_us);
            struck.times = counts - struck.counts;
        }
    }
}

fn lane_of(node: &Node, links: usize) -> LaneState {
    match node.state {
        State::Dead => LaneState::Dead,
        State::Off => LaneState::Off,
        State::Failing { .. } => LaneState::NotStoring,
        State::Running { .. } if links == 0 => LaneState::CutOff,
        State::Running { .. } if node.restored => LaneState::Restored,
        State::Running { .. } if !node.supply.mains => LaneState::OnBattery,
        State::Running { .. } => LaneState::Online,
    }
}

impl World<'_> {
    /// Draws the lanes on to now.
    pub(super) fn note_lanes(&mut self) {
        if !self.options.record {
            return;
        }
        let now_ms = self.now_us / MS;
        for device in 0..self.scenario.devices.len() {
            let state = lane_of(&self.nodes[device], self.links.count(device));
            let lane = &mut self.watch.lanes[device];
            match lane.last_mut() {
                Some(span) if span.state == state => span.until_ms = now_ms,
                Some(span) => {
                    span.until_ms = now_ms;
                    if span.from_ms == now_ms {
                        lane.pop();
                    }
                    lane.push(Span { from_ms: now_ms, until_ms: now_ms, state });
                }
                None => lane.push(Span { from_ms: now_ms, until_ms: now_ms, state }),
            }
        }
    }

    /// Looks at everything, once a second, and more often while devices that can hear each other differ.
    pub(super) fn look(&mut self) {
        let every_second = self.now_us >= self.watch.looked_us + SECOND || self.now_us == 0;
        if every_second {
            self.watch.looked_us = self.now_us;
            self.drain_batteries();
            self.look_at_air();
            self.look_who_is_alone();
            self.look_who_opens();
            self.look_at_a_board();
            self.look_at_work();
            if !self.options.every_step {
                self.check_some_books();
            }
            if self.options.record {
                self.draw_curves();
                self.note_lanes();
            }
        }
        self.look_whether_all_agree();
        if let Some(since) = self.watch.unsettled_since_us
            && self.neighbours_agree()
        {
            self.watch.unsettled_since_us = None;
            self.watch.convergence_ms.push((self.now_us - since) / MS);
        }
        let unsettled = self.watch.unsettled_since_us.is_some() && self.nodes.len() < 50;
        let next_us = if unsettled { self.now_us + AGREE_LOOK_MS * MS } else { self.now_us + SECOND };
        self.queue.plan(next_us.min(self.watch.looked_us + SECOND).max(self.now_us + MS), Event::Look);
    }

    fn look_who_is_alone(&mut self) {
        let open = self.scenario.drops.iter().any(|drop| {
            drop.open_ms * MS <= self.now_us && drop.close_ms.is_none_or(|close| close * MS > self.now_us)
        });
        // What comes after the night is nobody's loss.
        if !open || self.now_us >= self.scenario.duration_ms * MS {
            return;
        }
        for device in 0..self.scenario.devices.len() {
            if !self.nodes[device].is_running() {
                self.watch.alone_since_us[device] = None;
                continue;
            }
            self.watch.open_device_ms += 1_000;
            if self.links.count(device) > 0 || self.scenario.devices.len() == 1 {
                self.watch.alone_since_us[device] = None;
                continue;
            }
            let since = *self.watch.alone_since_us[device].get_or_insert(self.now_us);
            let late = (self.now_us - since) / MS;
            // Once for each time, at the look at which it has become too long.
            if (ALONE_MS..ALONE_MS + 1_000).contains(&late) {
                self.watch.loss_events[0] += 1;
            }
        }
    }

    /// Whether all devices that can hear each other, over others too, have the same log.
    fn neighbours_agree(&self) -> bool {
        let mut seen = BTreeSet::new();
        for node in 0..self.nodes.len() {
            if seen.contains(&node) || !self.nodes[node].is_running() {
                continue;
            }
            let near = self.in_reach(node);
            let mut digest = None;
            for other in &near {
                seen.insert(*other);
                let Some(device) = self.nodes[*other].device() else { continue };
                let own = device.log().digest(false);
                if *digest.get_or_insert(own) != own {
                    return false;
                }
            }
        }
        true
    }

    fn draw_curves(&mut self) {
        let now_ms = self.now_us / MS;
        let mut held: BTreeMap<DeviceId, u64> = BTreeMap::new();
        let mut left: BTreeMap<String, u64> = BTreeMap::new();
        for (_, lot) in self.ledger.holdings.lots() {
            left.entry(lot.sku.to_string()).or_default();
        }
        for (_, parcel) in self.ledger.holdings.live() {
            let units = parcel.free.len();
            *held.entry(parcel.owner).or_default() += units;
            if let Some(lot) = self.ledger.holdings.lot(&parcel.lot) {
                *left.entry(lot.sku.to_string()).or_default() += units;
            }
        }
        for device in 0..self.scenario.devices.len() {
            let units = held.get(&self.nodes[device].id).copied().unwrap_or(0);
            draw(&mut self.watch.holding[device], now_ms, units);
        }
        for (sku, units) in left {
            draw(self.watch.stock_left.entry(sku).or_default(), now_ms, units);
        }
        let most =
            self.nodes.iter().filter_map(Node::device).map(|device| device.log().len()).max().unwrap_or(0);
        let backlog =
            self.nodes.iter().filter_map(Node::device).map(|device| most - device.log().len()).sum();
        draw(&mut self.watch.backlog, now_ms, backlog);
    }

    /// Which states a fault met.
    pub(super) fn note_coverage(&mut self, kind: &FaultKind) {
        let name = words::kind_of(kind);
        let struck: Vec<NodeIndex> = words::devices_of(kind, self.scenario);
        let mut states: BTreeSet<&'static str> = BTreeSet::new();
        for node in struck {
            let of = &self.nodes[node];
            match (&of.state, of.device()) {
                (State::Failing { .. }, _) => {
                    states.insert("writing fails");
                }
                (_, Some(device)) => {
                    let (entries, sales) = device.waiting();
                    if of.write.is_some() {
                        states.insert("writing");
                    }
                    if sales > 0 {
                        states.insert("a sale waits");
                    }
                    if entries > 0 {
                        states.insert("entries wait");
                    }
                    if self.links.count(node) == 0 && self.nodes.len() > 1 {
                        states.insert("cut off");
                    }
                    if self.watch.unsettled_since_us.is_some() {
                        states.insert("catching up");
                    }
                    let holdings = device.holdings();
                    if holdings.live_of(&of.id).any(|(_, parcel)| !parcel.free.is_empty()) {
                        states.insert("holds units");
                    }
                    if holdings.live().any(|(_, parcel)| !parcel.received) {
                        states.insert("units in transit");
                    }
                    if self.ledger.claims.are_kept_by(&of.id) {
                        states.insert("keeps claims");
                    }
                }
                _ => {
                    states.insert("without power");
                }
            }
            if of.life > 1 {
                states.insert("after a restart");
            }
        }
        if states.is_empty() {
            states.insert("at rest");
        }
        for state in states {
            self.watch.coverage.record(name, state);
        }
    }
}

fn draw(curve: &mut Vec<(u64, u64)>, now_ms: u64, value: u64) {
    if curve.last().is_none_or(|(_, last)| *last != value) {
        curve.push((now_ms, value));
    }
}
