//! Starts and stops of nodes: power on, power cuts, and writes that fail.

use std::collections::BTreeMap;

use popmesh_proto::id::{ChainId, Nonce};
use popmesh_proto::io::{BatchId, Entry, Input};
use popmesh_proto::mark::End;
use popmesh_proto::record::Record;
use popmesh_proto::{Config, Device};
use popmesh_store::{Store, StoreError};

use super::ledger::Breach;
use super::node::{NotOpened, State, open_device, open_store};
use super::queue::{Event, NodeIndex};
use super::told::Told;
use super::{MS, World};
use crate::disk::Kept;
#[cfg(feature = "planted")]
use crate::planted::Planted;

/// A node whose disk could not be read at its start is started again after so long, milliseconds.
const START_AGAIN_MS: u64 = 3_000;

impl World<'_> {
    /// Starts a node that has no power.
    pub(super) fn boot(&mut self, node: NodeIndex) {
        if !matches!(self.nodes[node].state, State::Off) {
            return;
        }
        self.reset_links_of(node);
        if let Err(error) = self.nodes[node].disk.power_on() {
            self.check(Err(Breach::new("I9", format!("the simulator left files open: {error}"))));
            return;
        }
        if let Some(operation) = self.nodes[node].cut_in_recovery.take() {
            self.nodes[node].disk.arm_fuse(operation, Kept::Any);
        }
        self.nodes[node].booted_us = self.now_us;
        let opened = open_store(&self.nodes[node], self.charter.event());
        if self.nodes[node].disk.fuse_blown() {
            drop(opened);
            self.power_fails_again(node);
            return;
        }
        match opened {
            Ok((store, answers)) => {
                self.nodes[node].answers = answers;
                self.open(node, store);
            }
            Err(error) => self.does_not_start(node, &error),
        }
    }

    /// A disk that cannot be read does not say what was on it: the crew starts the node again.
    fn does_not_start(&mut self, node: NodeIndex, error: &StoreError) {
        self.note(|| format!("{node} does not start: {error}"));
        self.check_damage(node, error);
        self.watch.starts_failed += 1;
        self.nodes[node].disk.cut(Kept::Everything);
        let change = self.next_power_change(node);
        self.queue.plan(self.now_us + START_AGAIN_MS * MS, Event::Power { node, change, on: true });
        self.note_lanes();
    }

    /// What was synced stays as it was: no cut and no fault of these disks damages a database.
    fn check_damage(&mut self, node: NodeIndex, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) {
            let text = format!("{} came back with a damaged database: {error}", self.nodes[node].name);
            self.check(Err(Breach::new("I3", text)));
        }
    }

    fn config(&mut self, node: NodeIndex) -> Config {
        let nonce = self.mistakes.nonce(node).unwrap_or_else(|| Nonce(self.random.bytes()));
        let of = &mut self.nodes[node];
        of.nonce = nonce;
        let venue = self.scenario.devices[of.device_index].venue;
        let wifi_kbit = self.scenario.venues[venue].wifi.kbit_per_s;
        let mut config = Config::new(of.secret.clone(), self.charter.clone(), of.certificate.clone(), nonce);
        // A crew says where a Wi-Fi carries less than usual; nobody says where it carries more.
        config.carries_kbit_per_s = config.carries_kbit_per_s.min(wifi_kbit);
        config.secrets = self.event_secret.clone().into();
        config.policy = super::organiser::policy(self.scenario.policy);
        config.restored = of.mark.is_none();
        config.mark.clone_from(&of.mark);
        config.signatures = self.signatures.clone();
        #[cfg(feature = "planted")]
        {
            config.planted = self.options.planted.and_then(Planted::of_device);
        }
        config
    }

    /// Opens the device of a node from its store, and begins a new life.
    fn open(&mut self, node: NodeIndex, mut store: Store) {
        if self.mistakes.wants_boot_image(node) {
            self.nodes[node].boot_image = Some(self.nodes[node].disk.image());
        }
        let config = self.config(node);
        if let Some(run) = config.nonce.0.first_chunk() {
            store.begin_run(*run);
        }
        let now = self.clock(node);
        let me = self.nodes[node].id;
        let mut told = Told::default();
        let mut read: BTreeMap<ChainId, u64> = BTreeMap::new();
        let mut problem = Ok(());
        self.ledger.for_sale.now_us = self.now_us;
        let ledger = &mut self.ledger;
        let opened = open_device(config, &store, now, |entry| {
            let length = read.entry(entry.chain).or_default();
            *length = entry.seq.max(*length);
            told.take(entry);
            if problem.is_ok() {
                problem = ledger.read_back(node, me, entry);
            }
        });
        let of = &mut self.nodes[node];
        of.life += 1;
        of.wake_at_ms = None;
        of.write = None;
        match opened {
            Ok(device) => {
                let ends = of.mark.iter().flat_map(|mark| &mark.ends);
                let lost = |chain: &ChainId, seq| {
                    of.mark.as_ref().is_some_and(|mark| mark.lost.get(chain).is_some_and(|lost| *lost >= seq))
                };
                of.owed = ends
                    .filter(|(chain, (seq, _))| {
                        read.get(chain).is_none_or(|have| have < seq) && !lost(chain, *seq)
                    })
                    .map(|(chain, (seq, hash))| End { chain: *chain, seq: *seq, hash: *hash })
                    .collect();
                of.past_doubted = of.mark.is_none() || !of.owed.is_empty();
                of.past_answered = false;
                let told = told.check(&store);
                of.state = State::Running { device: Box::new(device), store: Box::new(store) };
                self.check(problem);
                self.judge_told(node, told);
                self.look_at_board(node);
                self.follow_start(node);
                self.check_start(node, read.values().sum());
                if !self.ledger.suspects.contains(&me) {
                    let recovered = self.ledger.recovered(me, &read);
                    self.check(recovered);
                    let answers = self.shop.answers_kept(node, &self.nodes[node].answers);
                    self.check(answers);
                    let addresses = self.addresses_kept(node);
                    self.check(addresses);
                }
                self.give(node, Input::Tick);
                let peers: Vec<NodeIndex> = self.links.peers(node).collect();
                for peer in peers {
                    let width = self.width(node, peer);
                    self.links.set_width(node, peer, width);
                    let peer = self.nodes[peer].id;
                    self.give(node, Input::LinkUp { peer, width });
                }
            }
            Err(NotOpened::Disk(error)) => {
                if self.nodes[node].disk.fuse_blown() {
                    drop(store);
                    self.power_fails_again(node);
                } else {
                    self.note(|| format!("{node} cannot read its log: {error}"));
                    self.check_damage(node, &error);
                    self.wait_to_probe(node, store);
                }
            }
            Err(NotOpened::Log(text)) => {
                let text = format!("{} does not take its own log: {text}", self.nodes[node].name);
                self.check(Err(Breach::new("I3", text)));
                drop(store);
                self.nodes[node].disk.cut(Kept::Everything);
            }
        }
        self.relink();
    }

    fn wait_to_probe(&mut self, node: NodeIndex, store: Store) {
        let of = &mut self.nodes[node];
        of.state = State::Failing { store: Box::new(store) };
        let life = of.life;
        let wait_ms = of.next_probe_wait_ms();
        self.queue.plan(self.now_us + wait_ms * MS, Event::Probe { node, life });
    }

    /// A write failed: what the device believes is no longer what is stored, so it says goodbye and is dropped, as the
    /// node's runtime does.
    pub(super) fn write_failed(&mut self, node: NodeIndex, batch: BatchId, error: &StoreError) {
        let problem = error.to_string();
        self.note(|| format!("{node} cannot write: {problem}"));
        self.watch.writes_failed += 1;
        self.give(node, Input::StoreFailed { batch, problem });
        self.drop_device(node);
    }

    /// A device wants to be opened again from what is stored.
    pub(super) fn begins_anew(&mut self, node: NodeIndex, problem: &str) {
        self.note(|| format!("{node} begins anew: {problem}"));
        self.mistakes.numbers.begun_anew += 1;
        self.drop_device(node);
    }

    /// What a device had forgotten is there again: as the node's runtime does, its store is told.
    pub(super) fn past_known(&mut self, node: NodeIndex, accepted: bool) {
        self.note(|| format!("{node} knows its past{}", if accepted { ", a person says" } else { "" }));
        let numbers = &mut self.mistakes.numbers;
        *(if accepted { &mut numbers.pasts_accepted } else { &mut numbers.pasts_told }) += 1;
        // It may say so only when all is here that the mark named; a person may say so whatever is.
        if !accepted && self.nodes[node].owes() {
            let text = format!(
                "{} says that it knows its past, and lacks what it had written",
                self.nodes[node].name
            );
            self.check(Err(Breach::new("I1", text)));
        }
        let of = &mut self.nodes[node];
        of.trust_past();
        if of.disk.fuse_blown() {
            self.power_failed_meanwhile(node);
        }
    }

    /// A device whose database was set back spends nothing before it has heard what it did since.
    pub(super) fn check_past(&mut self, node: NodeIndex, entries: &[Entry]) {
        let of = &self.nodes[node];
        if of.past_answered {
            return;
        }
        // What it heard may be on its way to the disk in the same write.
        // Whether it knows of it itself or not.
        if !of.past_doubted || !(of.device().is_some_and(Device::doubts_its_past) || of.owes()) {
            return;
        }
        let own = |entry: &&Entry| {
            let chain = of.device().and_then(|device| device.log().chain(&entry.chain));
            // In the life that it leads now: what it wrote before comes back to it from others.
            chain.is_some_and(|chain| chain.device == of.id) && self.ledger.is_new(&entry.chain, entry.seq)
        };
        let spends = |entry: &Entry| Record::decode(&entry.body).is_ok_and(|record| record.body.spends());
        if entries.iter().filter(own).any(spends) {
            let text =
                format!("{} spends, and what it did before it was set back nobody has told it", of.name);
            self.check(Err(Breach::new("I1", text)));
        }
    }

    fn drop_device(&mut self, node: NodeIndex) {
        let of = &mut self.nodes[node];
        of.life += 1;
        of.wake_at_ms = None;
        of.write = None;
        match std::mem::replace(&mut of.state, State::Off) {
            State::Running { store, .. } => self.wait_to_probe(node, *store),
            other => of.state = other,
        }
        self.calls_lost(node);
        self.note_lanes();
    }

    pub(super) fn probe(&mut self, node: NodeIndex, life: super::queue::Life) {
        if self.nodes[node].life != life {
            return;
        }
        let State::Failing { store } = &mut self.nodes[node].state else { return };
        let probed = store.probe();
        if self.nodes[node].disk.fuse_blown() {
            self.power_failed_meanwhile(node);
            return;
        }
        match probed {
            Ok(()) => {
                if let State::Failing { store } = std::mem::replace(&mut self.nodes[node].state, State::Off) {
                    self.open(node, *store);
                }
            }
            Err(_) => {
                let wait_ms = self.nodes[node].next_probe_wait_ms();
                self.queue.plan(self.now_us + wait_ms * MS, Event::Probe { node, life });
            }
        }
    }

    // --- Power.

    /// Only what was decided last about a node's power happens.
    pub(super) fn next_power_change(&mut self, node: NodeIndex) -> u64 {
        self.nodes[node].power_change += 1;
        self.nodes[node].power_change
    }

    /// The power of a node is gone now.
    pub(super) fn power_fails(&mut self, node: NodeIndex) {
        if !self.nodes[node].has_power() {
            return;
        }
        self.half_write(node);
        self.nodes[node].disk.cut(Kept::Any);
        if self.random.chance(300) {
            let of = &mut self.nodes[node];
            of.mark.clone_from(&of.mark_synced);
        }
        self.watch.power_cuts += 1;
        self.note(|| format!("{node} has no power"));
        let of = &mut self.nodes[node];
        of.life += 1;
        of.wake_at_ms = None;
        of.write = None;
        of.state = State::Off;
        self.calls_lost(node);
        self.forget_links_of(node);
        self.relink();
    }

    /// The power failed while the node was at its disk. Unless a fault keeps it off, somebody turns it on again.
    pub(super) fn power_failed_meanwhile(&mut self, node: NodeIndex) {
        self.power_fails(node);
        if self.nodes[node].kept_off == 0 {
            self.turn_on_soon(node);
        }
    }

    fn turn_on_soon(&mut self, node: NodeIndex) {
        let change = self.next_power_change(node);
        let wait_ms = self.random.within(500..=5_000);
        self.queue.plan(self.now_us + wait_ms * MS, Event::Power { node, change, on: true });
    }

    /// A cut in the middle of a write: some of its operations are done, and the disk keeps of them what it keeps.
    fn half_write(&mut self, node: NodeIndex) {
        if self.nodes[node].disk.fuse_blown() || !self.random.chance(600) {
            return;
        }
        let operations = self.random.below(12);
        let of = &mut self.nodes[node];
        if let (Some(write), State::Running { store, .. }) = (of.write.take(), &mut of.state) {
            of.disk.arm_fuse(operations, Kept::Any);
            // Whether it got through makes no difference: nobody is left who could be told.
            let _ = store.append_with(&write.entries, &write.replies, &write.sealed, &write.facts);
        }
    }

    /// Cut again, while it started.
    fn power_fails_again(&mut self, node: NodeIndex) {
        self.nodes[node].disk.cut(Kept::Any);
        self.watch.power_cuts += 1;
        self.watch.cuts_in_recovery += 1;
        self.nodes[node].state = State::Off;
        self.turn_on_soon(node);
        self.note_lanes();
    }

    pub(super) fn power(&mut self, node: NodeIndex, change: u64, on: bool) {
        if self.nodes[node].power_change != change {
            return;
        }
        if on {
            self.boot_if_it_can(node);
        } else {
            self.power_fails(node);
        }
    }
}
