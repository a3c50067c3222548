//! One node of the world: the production state machine and the production store, on a disk that may fail, with a clock
//! that may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::clock::Now;
use popmesh_proto::fact::Fact;
use popmesh_proto::id::{DeviceId, EventId, Nonce};
use popmesh_proto::identity::{SecretKey, SignedCertificate};
use popmesh_proto::io::{Barred, BatchId, CallId, Entry, SealedWrites, StoredReply};
use popmesh_proto::mark::{End, Mark, Marking};
use popmesh_proto::{Config, Device};
use popmesh_store::{AnswerId, KeyPrefix, Store, StoreError};

use super::chores::CartChore;
use super::queue::Life;
use crate::disk::{Disk, Image};
use crate::scenario::{Battery, DeviceIndex, DeviceSpec, DiskSpeed};

/// The world's time zero, Unix milliseconds; the wall clock then shows what the scenario says.
pub(super) const EPOCH_MS: u64 = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000;

/// The first and the longest wait before writing is tried again: as the node's runtime has them.
const PROBE_FIRST_MS: u64 = 200;
const PROBE_LAST_MS: u64 = 2_000;

/// The write under way.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) batch: BatchId,
    pub(super) entries: Vec<Entry>,
    pub(super) replies: Vec<StoredReply>,
    pub(super) sealed: SealedWrites,
    pub(super) facts: Vec<Fact>,
    pub(super) mark: Marking,
}

/// Who waits for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A shopper, by number.
    Shopper(usize),
    /// Somebody who comes about a claim, by visit.
    Visitor(usize),
    /// A shopper who leaves an address, or wants it erased.
    Person,
    /// Who retires a device, for a fault.
    Registrar(usize),
    /// Who gives the right to retire away, for a fault.
    Entruster(usize),
    /// The crew, which needs no answer.
    Crew,
    /// The crew, about a cart, and what it does next with it.
    Cart(CartChore),
    /// The organiser, for a task.
    Organiser(usize),
    /// The world itself, that wants to see whether units can still be sold.
    Probe,
}

/// A command that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) who: Who,
    /// Whether it could be done at once.
    pub(super) at_once: bool,
}

/// A node's power and program.
#[derive(Debug)]
pub(super) enum State {
    /// No power.
    Off,
    /// Runs.
    Running { device: Box<Device>, store: Box<Store> },
    /// The device was dropped because a write failed; the store is tried now and then.
    Failing { store: Box<Store> },
    /// Dead for good.
    Dead,
}

/// A clock that may be wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrongClock {
    /// Ahead by so much at the start, and by every step since.
    pub(super) ahead_ms: i64,
    /// Too fast, parts per million.
    pub(super) drift_ppm: i64,
}

/// Where a node gets its power from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Supply {
    pub(super) battery: Option<Battery>,
    /// Whether there is mains.
    pub(super) mains: bool,
    /// How much is left, milliseconds of idle life, as of `as_of_us`.
    pub(super) left_ms: u64,
    pub(super) as_of_us: u64,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    /// Which device it plays. A clone plays the same one as its original.
    pub(super) device_index: DeviceIndex,
    pub(super) name: String,
    pub(super) id: DeviceId,
    pub(super) secret: SecretKey,
    pub(super) certificate: SignedCertificate,
    /// Whom its mesh passes nothing to.
    pub(super) barred: Barred,
    /// Those that are barred no more, while links to them from before may be.
    pub(super) freed: BTreeSet<DeviceId>,
    pub(super) disk: Disk,
    pub(super) state: State,
    pub(super) life: Life,
    /// Goes up whenever something decides on the node's power.
    pub(super) power_change: u64,
    /// So many faults keep it without power.
    pub(super) kept_off: u32,
    /// Whether its battery is empty.
    pub(super) empty: bool,
    /// The power is to fail again at this operation of the disk after the next start.
    pub(super) cut_in_recovery: Option<u64>,
    pub(super) booted_us: u64,
    pub(super) clock: WrongClock,
    pub(super) wake_at_ms: Option<u64>,
    pub(super) write: Option<Write>,
    pub(super) calls: BTreeMap<CallId, Caller>,
    pub(super) answers: BTreeMap<KeyPrefix, AnswerId>,
    pub(super) probe_wait_ms: u64,
    pub(super) disk_speed: DiskSpeed,
    /// So many times slower than it should be.
    pub(super) slow: u64,
    pub(super) supply: Supply,
    /// The nonce of the life under way.
    pub(super) nonce: Nonce,
    /// The disk as it was at the last start, where a cheat will need it.
    pub(super) boot_image: Option<Image>,
    /// Runs on an older image of its disk.
    pub(super) restored: bool,
    /// The mark beside its database, as it is while it has power; `None` if that was lost.
    pub(super) mark: Option<Mark>,
    /// The same as a power cut leaves it: what was written last may not be on the disk.
    pub(super) mark_synced: Option<Mark>,
    /// What was beside its database at its start named more than was in it, or was lost; and nobody has told it the rest yet.
    pub(super) past_doubted: bool,
    /// A person was told to answer for it in this life: the device believes that as soon as it hears it.
    pub(super) past_answered: bool,
    /// Of what the mark named at its start, what was not in the database.
    pub(super) owed: Vec<End>,
    /// The life in which its books were checked last, and the version of its log then.
    pub(super) checked: Option<(Life, u64)>,
}

impl Node {
    /// A node without power.
    pub(super) fn new(
        device_index: DeviceIndex,
        spec: &DeviceSpec,
        secret: SecretKey,
        certificate: SignedCertificate,
        disk: Disk,
    ) -> Self {
        let battery = spec.battery;
        let supply = Supply {
            battery,
            mains: battery.is_none_or(|battery| battery.on_mains),
            left_ms: battery.map_or(0, |battery| battery.lasts_ms * battery.charge_per_mille / 1_000),
            as_of_us: 0,
        };
        let clock = WrongClock { ahead_ms: spec.clock_ahead_ms, drift_ppm: spec.clock_drift_ppm };
        Self {
            device_index,
            name: spec.name.clone(),
            id: secret.id(),
            secret,
            certificate,
            barred: Barred::default(),
            freed: BTreeSet::new(),
            disk,
            state: State::Off,
            life: 0,
            power_change: 0,
            kept_off: 0,
            empty: false,
            cut_in_recovery: None,
            booted_us: 0,
            clock,
            wake_at_ms: None,
            write: None,
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            probe_wait_ms: PROBE_FIRST_MS,
            disk_speed: spec.disk,
            slow: 1,
            supply,
            nonce: Nonce([0; 16]),
            boot_image: None,
            restored: false,
            mark: Some(Mark::default()),
            mark_synced: Some(Mark::default()),
            past_doubted: false,
            past_answered: false,
            owed: Vec::new(),
            checked: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether its network is up: it runs, or waits for its disk.
    pub(super) fn has_power(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Failing { .. })
    }

    pub(super) fn device(&self) -> Option<&Device> {
        match &self.state {
            State::Running { device, .. } => Some(device),
            _ => None,
        }
    }

    pub(super) fn device_mut(&mut self) -> Option<&mut Device> {
        match &mut self.state {
            State::Running { device, .. } => Some(device),
            _ => None,
        }
    }

    /// What its clocks show.
    pub(super) fn now(&self, now_us: u64, starts_at_s: u64) -> Now {
        let drift_ms = now_us as i64 / 1_000 * self.clock.drift_ppm / 1_000_000;
        let ahead = self.clock.ahead_ms + drift_ms;
        let wall = (EPOCH_MS + starts_at_s * 1_000 + now_us / 1_000).saturating_add_signed(ahead);
        Now { wall_ms: wall, mono_ms: now_us.saturating_sub(self.booted_us) / 1_000 }
    }

    /// The next wait before writing is tried again, milliseconds. Doubles until something was stored.
    pub(super) fn next_probe_wait_ms(&mut self) -> u64 {
        let wait = self.probe_wait_ms;
        self.probe_wait_ms = (wait * 2).min(PROBE_LAST_MS);
        wait
    }

    /// Whether something is not in its log that the mark named at its start, and that counts.
    pub(super) fn owes(&self) -> bool {
        let Some(log) = self.device().map(Device::log) else { return false };
        self.owed.iter().any(|end| {
            let is_cut = log.cut_at(&end.chain).is_some_and(|cut| cut <= end.seq);
            let here = log.chain(&end.chain).and_then(|chain| chain.hash(end.seq)) == Some(&end.hash);
            !here && !is_cut
        })
    }

    /// What its database had lost is there again, or a person answers for it.
    pub(super) fn trust_past(&mut self) {
        self.past_doubted = false;
        self.owed.clear();
    }

    /// A write is durable: so is what it changes in the mark, but for a power cut soon after.
    pub(super) fn write_mark(&mut self, marking: &Marking) {
        if marking.is_empty() {
            return;
        }
        if marking.anew.is_none() {
            self.mark_synced.clone_from(&self.mark);
        }
        self.mark.get_or_insert_default().take(marking);
        if marking.anew.is_some() {
            self.mark_synced.clone_from(&self.mark);
        }
    }

    pub(super) fn stored_something(&mut self) {
        self.probe_wait_ms = PROBE_FIRST_MS;
    }
}

/// Opens the store of a node.
pub(super) fn open_store(
    node: &Node,
    event: EventId,
) -> Result<(Store, BTreeMap<KeyPrefix, AnswerId>), StoreError> {
    let (store, loaded) = node.disk.open_log(event, node.id)?;
    Ok((store, loaded.answers.into_iter().collect()))
}

/// Why a device did not open.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The disk failed in the reading.
    Disk(StoreError),
    /// What was read is not a log that it can have written.
    Log(String),
}

/// Opens a device from what is stored. `seen` gets every entry that was read.
pub(super) fn open_device(
    config: Config,
    store: &Store,
    now: Now,
    mut seen: impl FnMut(&Entry),
) -> Result<Device, NotOpened> {
    let mut problem = None;
    let entries = store.entries().map_while(|entry| match entry {
        Ok(entry) => {
            seen(&entry);
            Some(entry)
        }
        Err(error) => {
            problem = Some(error);
            None
        }
    });
    let mut opened = Device::open(config, entries, now);
    if let (None, Ok(device)) = (&problem, &mut opened) {
        match store.sealed() {
            Ok(payloads) => device.take_back_sealed(payloads),
            Err(error) => problem = Some(error),
        }
    }
    // A log that was cut off in the reading says nothing about the log.
    match problem {
        Some(error) => Err(NotOpened::Disk(error)),
        None => opened.map_err(|error| NotOpened::Log(error.to_string())),
    }
}
