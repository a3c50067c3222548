//! The world: devices, networks, power, people and time, one event after the other.
//!
//! [`run`] plays one night to its end: first everything may fail, then all faults end, and the devices must agree and
//! sell. After every step the [`ledger`] knows whether a promise was broken.

mod adversary;
mod advice;
mod air;
mod barred;
mod baskets;
mod boards;
mod books;
mod boot;
mod by_rules;
mod carry;
mod cheat;
mod chores;
mod claims;
mod faults;
mod for_sale;
mod gossip;
mod growth;
mod hand_outs;
mod holds;
mod ledger;
mod links;
mod mistakes;
mod node;
mod numbers;
mod options;
mod organiser;
mod people;
mod pickup;
mod power;
mod prints;
mod queue;
mod retirements;
mod settle;
mod shop;
mod signatures;
mod steps;
mod told;
mod trust;
mod verdict;
mod watch;
mod wishes;

use std::collections::BTreeMap;
use std::sync::Arc;

use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::identity::{
    Certificate, CertificateError, Charter, CharterError, Role, Roles, SecretKey, SignedCertificate,
    SignedCharter,
};
use popmesh_proto::io::CallId;
use popmesh_proto::money::CurrencyError;
use popmesh_proto::pin::EventSecret;
use popmesh_proto::text::DropId;
use sha2::{Digest, Sha256};

pub use ledger::Breach;
pub use options::Options;

use crate::connectivity::{Connectivity, Reach};
use crate::coverage::Coverage;
use crate::disk::{DiskError, Disks};
use crate::load::{self, Shopper};
use crate::network::{Carrier, Traffic};
use crate::night::{Finding, Night, Numbers};
use crate::random::Random;
use crate::scenario::{Fault, FaultKind, Scenario, StockPolicy};
use baskets::Baskets;
use ledger::Ledger;
use links::Links;
use node::{EPOCH_MS, Node, State};
use people::Addresses;
use pickup::Pickups;
use queue::{Event, NodeIndex, Queue};
use shop::Shop;
use signatures::Remembered;
use watch::Watch;

/// Microseconds in a millisecond.
const MS: u64 = 1_000;
/// Microseconds in a second.
const SECOND: u64 = 1_000_000;
/// A run that takes more steps than this has gone wrong.
const STEPS_MAX: u64 = 2_000_000_000;

/// Why a night cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The virtual disks.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The currency is none.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
    /// The event cannot be founded.
    #[error("the event cannot be founded: {0}")]
    Charter(#[from] CharterError),
    /// A device cannot be certified.
    #[error("device {name} cannot be certified: {problem}")]
    Certificate {
        /// Which.
        name: String,
        /// Why.
        problem: CertificateError,
    },
    /// A stock policy that is not made of these devices.
    #[error("{0:?} is not a policy of popmesh devices; `compare` runs it")]
    Policy(StockPolicy),
}

/// What a run came to.
#[derive(Debug)]
pub struct Ended {
    /// The night.
    pub night: Night,
    /// The first promise that was broken, and at which step.
    pub breach: Option<(u64, Breach)>,
    /// Steps taken.
    pub steps: u64,
    /// Which faults met which states.
    pub coverage: Coverage,
    /// How often each command was given, by its name.
    pub commands: BTreeMap<&'static str, chores::Count>,
    /// Lines of the trace.
    pub trace: Vec<String>,
}

/// Everything.
struct World<'s> {
    scenario: &'s Scenario,
    options: Options,
    seed: u64,
    random: Random,
    now_us: u64,
    steps: u64,
    queue: Queue,
    disks: Disks,
    charter: SignedCharter,
    root: SecretKey,
    signatures: Arc<Remembered>,
    nodes: Vec<Node>,
    ids: BTreeMap<DeviceId, Vec<NodeIndex>>,
    links: Links,
    carriers: Vec<Carrier>,
    calm: air::Calm,
    traffic: Traffic,
    connectivity: &'s Connectivity,
    reach: Reach<'s>,
    gossip: gossip::UnderWay,
    judging: Option<gossip::Judging>,
    calls: CallId,
    shoppers: Vec<Shopper>,
    shop: Shop,
    shortages: advice::Shortages,
    /// Drops that were due and not open, and what kept whoever was to open them.
    unopened: BTreeMap<DropId, &'static str>,
    pickups: Pickups,
    baskets: Baskets,
    boards: boards::Boards,
    followed: steps::Followed,
    addresses: Addresses,
    issued: chores::Issued,
    event_secret: EventSecret,
    organiser: organiser::Organiser,
    active: Vec<bool>,
    ledger: Ledger,
    watch: Watch,
    /// What stood out when the faults of the night ended.
    advised: Option<Vec<Finding>>,
    mistakes: mistakes::Mistakes,
    adversaries: adversary::Adversaries,
    retirements: retirements::Retirements,
    /// Whether all have been started, so that links can be.
    started: bool,
    healed: bool,
    breach: Option<(u64, Breach)>,
    history: Sha256,
    trace: Vec<String>,
    /// The night's numbers, once it is over: what is tried then, and what the mesh does at rest, is not in them.
    taken: Option<Numbers>,
}

/// Plays a night.
///
/// # Errors
/// [`WorldError`] if it cannot even begin. What goes wrong in the night is in the [`Ended`].
pub fn run(scenario: &Scenario, seed: u64, options: Options) -> Result<Ended, WorldError> {
    let mut progress = |_: u64| true;
    run_with(scenario, seed, options, &mut progress)
}

/// Plays a night, and tells `progress` the time, in milliseconds, now and then; the night ends early when that says
/// `false`.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    scenario: &Scenario,
    seed: u64,
    options: Options,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Ended, WorldError> {
    let connectivity = Connectivity::new(scenario);
    let mut world = World::new(scenario, &connectivity, seed, options)?;
    world.start();
    let night_ends = scenario.duration_ms * MS;
    let mut told = 0;
    while world.breach.is_none() && world.step(night_ends) {
        if world.now_us >= told + SECOND {
            told = world.now_us;
            if !progress(told / MS) {
                return Ok(world.end(seed));
            }
        }
    }
    if world.breach.is_none() && !world.is_stopped() {
        world.now_us = night_ends;
        world.settle(progress);
        world.note_lanes();
        world.take_numbers();
        world.rest();
    }
    Ok(world.end(seed))
}

impl<'s> World<'s> {
    fn new(
        scenario: &'s Scenario,
        connectivity: &'s Connectivity,
        seed: u64,
        options: Options,
    ) -> Result<Self, WorldError> {
        if matches!(scenario.policy, StockPolicy::PlainCounter | StockPolicy::CentralServer) {
            return Err(WorldError::Policy(scenario.policy));
        }
        let mut random = Random::new(seed).fork("world");
        let root = SecretKey::from_seed(&random.bytes());
        let charter = SignedCharter::sign(
            Charter {
                name: scenario.title.chars().take(60).collect(),
                currency: "EUR".parse()?,
                root: root.id(),
                created_ms: EPOCH_MS,
                nonce: Nonce(random.bytes()),
            },
            &root,
        )?;
        let shoppers = load::shoppers(scenario, &Random::new(seed).fork("shoppers"));
        let reach = connectivity.at(0);
        let venues = scenario.venues.len();
        let wan = scenario.wan.unwrap_or(scenario.venues[0].wifi);
        let carriers = scenario
            .venues
            .iter()
            .map(|venue| venue.wifi)
            .chain(scenario.venues.iter().map(|venue| venue.ble.unwrap_or(venue.wifi)))
            .chain((0..venues).map(|_| wan))
            .map(Carrier::new)
            .collect();
        let mut world = Self {
            disks: Disks::start(random.next())?,
            queue: Queue::default(),
            signatures: Arc::default(),
            nodes: Vec::new(),
            ids: BTreeMap::new(),
            links: Links::default(),
            carriers,
            calm: air::Calm::default(),
            traffic: Traffic::default(),
            connectivity,
            reach,
            gossip: gossip::UnderWay::default(),
            judging: None,
            calls: 0,
            shop: Shop::new(shoppers.len()),
            shortages: advice::Shortages::default(),
            unopened: BTreeMap::new(),
            pickups: Pickups::new(Random::new(seed).fork("pickups")),
            baskets: Baskets::default(),
            boards: boards::Boards::default(),
            followed: steps::Followed::default(),
            addresses: Addresses::new(Random::new(seed).fork("addresses")),
            issued: chores::Issued::default(),
            event_secret: EventSecret::derive(&root, &charter.event()),
            shoppers,
            organiser: organiser::Organiser::new(scenario),
            active: vec![false; scenario.faults.len()],
            ledger: Ledger::default(),
            watch: Watch::new(scenario),
            advised: None,
            mistakes: mistakes::Mistakes::default(),
            adversaries: adversary::Adversaries::default(),
            retirements: retirements::Retirements::default(),
            started: false,
            healed: false,
            breach: None,
            history: Sha256::new(),
            trace: Vec::new(),
            taken: None,
            now_us: 0,
            steps: 0,
            scenario,
            options,
            seed,
            random,
            charter,
            root,
        };
        for device in 0..scenario.devices.len() {
            world.add_node(device)?;
        }
        Ok(world)
    }

    fn add_node(&mut self, device: usize) -> Result<(), WorldError> {
        let spec = &self.scenario.devices[device];
        let secret = SecretKey::from_seed(&self.random.bytes());
        let certificate = Certificate {
            device: secret.id(),
            name: spec.name.clone(),
            roles: self.roles_of(device),
            venue: self.scenario.venues[spec.venue].name.clone(),
            not_before_ms: EPOCH_MS - 2 * 86_400_000,
            not_after_ms: EPOCH_MS + 5 * 86_400_000,
        };
        let certificate = SignedCertificate::sign(certificate, &self.root, &self.charter)
            .map_err(|problem| WorldError::Certificate { name: spec.name.clone(), problem })?;
        let id = secret.id();
        if !certificate.roles.are_attended() {
            self.ledger.unattended.insert(id);
        }
        if spec.roles.sells() {
            self.ledger.wishes.sells_at(id, self.scenario.venues[spec.venue].name.clone());
        }
        self.ids.entry(id).or_default().push(self.nodes.len());
        let disk = self.disks.add();
        disk.set_faults(self.usual_faults());
        self.nodes.push(Node::new(device, spec, secret, certificate, disk));
        self.links.add_node();
        Ok(())
    }

    /// What its certificate says: where somebody is to be retired, whoever does that has the right, unless another gives it.
    fn roles_of(&self, device: usize) -> Roles {
        let faults = &self.scenario.faults;
        let needs = |fault: &Fault| match fault.kind {
            FaultKind::Retired { by, .. } | FaultKind::Entrusted { by, .. } => by == device,
            _ => false,
        };
        let gets =
            |fault: &Fault| matches!(fault.kind, FaultKind::Entrusted { device: to, .. } if to == device);
        let right = (faults.iter().any(needs) && !faults.iter().any(gets)).then_some(Role::Registrar);
        self.scenario.devices[device].roles.iter().chain(right).collect()
    }

    fn start(&mut self) {
        for node in 0..self.nodes.len() {
            self.boot(node);
        }
        for (index, shopper) in self.shoppers.iter().enumerate() {
            self.queue.plan(shopper.at_us, Event::Shopper { shopper: index });
        }
        let edges: Vec<u64> = self.connectivity.edges().to_vec();
        for edge in edges {
            self.queue.plan(edge * MS, Event::Networks);
        }
        self.plan_faults();
        self.queue.plan(0, Event::Organise);
        self.queue.plan(0, Event::Look);
        self.started = true;
        self.relink();
    }

    fn is_stopped(&self) -> bool {
        self.options.until_step.is_some_and(|until| self.steps >= until) || self.steps >= STEPS_MAX
    }

    /// Carries out the next event that is due by `until_us`; `false` if there is none, or the run is to stop.
    fn step(&mut self, until_us: u64) -> bool {
        if self.is_stopped() {
            return false;
        }
        let Some((at_us, event)) = self.queue.next(until_us) else { return false };
        self.now_us = self.now_us.max(at_us);
        self.steps += 1;
        if self.options.trace_from.is_some_and(|from| self.steps >= from) {
            self.note_event(&event);
        }
        match event {
            Event::Message { from, to, life, bytes } => self.deliver(from, to, life, &bytes),
            Event::Gossip { from, to, life, id, spoiled } => self.deliver_gossip(from, to, life, id, spoiled),
            Event::Written { node, life } => self.written(node, life),
            Event::Wake { node, life, mono_ms } => self.wake(node, life, mono_ms),
            Event::Barred { node, life } => self.closes_to_barred(node, life),
            Event::Dial { a, b, attempt } => self.dialled(a, b, attempt),
            Event::Lost { a, b, attempt } => self.lost(a, b, attempt),
            Event::Probe { node, life } => self.probe(node, life),
            Event::Power { node, change, on } => self.power(node, change, on),
            Event::Shopper { shopper } => self.tries(shopper),
            Event::Again { shopper } => self.asks_again(shopper),
            Event::Visit { visit } => self.visits(visit),
            Event::Fault { fault, begins } => self.fault(fault, begins),
            Event::Networks => self.networks_change(),
            Event::Organise => self.organise(),
            Event::Look => self.look(),
            Event::Replay { node } => self.replay(node),
            Event::Act { fault, node } => self.acts(fault, node),
            Event::Image { fault } => self.take_image(fault),
            Event::Entrust { fault } => self.entrusts(fault),
            Event::Retire { fault, looked } => self.retires(fault, looked),
        }
        true
    }

    /// Takes note of a broken promise; the first one counts.
    fn check(&mut self, result: Result<(), Breach>) {
        if let Err(breach) = result
            && self.breach.is_none()
        {
            if self.options.trace_from.is_some() {
                self.trace.push(format!("{} BROKEN {}: {}", self.stamp(), breach.invariant, breach.text));
            }
            self.breach = Some((self.steps, breach));
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace_from.is_some_and(|from| self.steps >= from) {
            let line = format!("{} {}", self.stamp(), line());
            self.trace.push(line);
        }
    }

    fn stamp(&self) -> String {
        format!("{:>8} {:>10}.{:03} ms", self.steps, self.now_us / MS, self.now_us % MS)
    }

    fn note_event(&mut self, event: &Event) {
        let line = match event {
            Event::Message { from, to, bytes, .. } => {
                format!(
                    "{} -> {}: message of {} bytes",
                    self.nodes[*from].name,
                    self.nodes[*to].name,
                    bytes.len()
                )
            }
            Event::Gossip { from, to, id, .. } => {
                format!("{} -> {}: gossip {id}", self.nodes[*from].name, self.nodes[*to].name)
            }
            Event::Wake { .. } | Event::Look => return,
            Event::Visit { visit } => self.visit_in_words(*visit),
            other => format!("{other:?}"),
        };
        let line = format!("{} {line}", self.stamp());
        self.trace.push(line);
    }
}
