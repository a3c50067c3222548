//! The state machine of one device: inputs in, outputs out.

mod again;
mod air;
mod asks;
mod bars;
mod board;
mod budgets;
mod by_name;
mod cart_items;
mod carts;
mod claims;
mod clocks;
mod closing;
mod commands;
mod compartments;
mod deeds;
mod doors;
mod epochs;
mod exchange;
mod expiry;
mod facts;
mod forks;
mod frontiers;
mod incidents;
mod intake;
mod leave;
mod named;
mod narrow;
mod outbox;
mod past;
mod payments;
mod peers;
mod people;
mod picture;
mod pins;
mod presence;
mod queries;
mod reach;
mod receipts;
mod receivers;
mod refunds;
mod registrar;
mod renew;
mod retire;
mod rules;
mod sales;
mod sealed;
mod steps;
mod stock;
mod sync;
mod take;
mod takings;
mod telling;
mod undo;
mod waiting;
mod wishes;
mod words;
mod work;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use waiting::Need;
pub use work::Work;

use crate::broker::{ByRate, Policy, RateMeter};
use crate::clock::{Clock, Hlc, Now};
use crate::command::Refusal;
use crate::document::Document;
use crate::holdings::Holdings;
use crate::id::{ChainId, DeviceId, Hash, Nonce, ReceiptHash, Ref};
use crate::identity::{CertificateError, Ed25519, SecretKey, Signatures, SignedCertificate, SignedCharter};
use crate::io::{Entry, Input, Output, Verdict};
use crate::key::CommandKey;
use crate::log::{Fault, Gate, Log};
use crate::mark::Mark;
use crate::people::People;
use crate::pin::EventSecrets;
use crate::planted::{Plant, Planted};
use crate::programme::{EditError, Programme};
use crate::query::Answer;
use crate::receipt::Receipts;
use crate::text::Place;
use crate::trust::Trust;

/// What a device is made of, besides its log.
#[derive(Debug, Clone)]
pub struct Config {
    /// The device's key.
    pub secret: SecretKey,
    /// The event.
    pub charter: SignedCharter,
    /// The device's certificate.
    pub certificate: SignedCertificate,
    /// Random bytes, new at every start.
    pub nonce: Nonce,
    /// How stock moves.
    pub policy: Arc<dyn Policy + Sync>,
    /// How signatures are made and checked.
    pub signatures: Arc<dyn Signatures>,
    /// What only the devices of the event know, as this device was given it: more comes with the log. Without any, PINs can be
    /// neither given nor checked.
    pub secrets: EventSecrets,
    /// Whether the runtime opens the doors of this device's compartments. Without, a person opens them by hand, and nothing
    /// is written about them.
    pub doors: bool,
    /// The mark that lies beside what is stored: what it names and is not stored has to come from others before anything is
    /// spent. Absent if the runtime keeps none, or lost it.
    pub mark: Option<Mark>,
    /// Whether the runtime opens the device again without having been started anew, such as after a failed write: a device
    /// that has left then stays so.
    pub goes_on: bool,
    /// Whether the runtime has found that what is stored may be older than what this device has written, as the mark is lost:
    /// nothing is spent until a peer has told, and given, what is missing, or a person has answered for it. That a peer has as
    /// much as is stored proves nothing: it may have it from here.
    pub restored: bool,
    /// What the Wi-Fi of a venue carries, kbit/s: all that repeats takes a twentieth of it at most while nothing happens.
    pub carries_kbit_per_s: u64,
    /// The version of the program, which others are told; at most 24 visible ASCII characters.
    pub program: Option<String>,
    /// A bug to work with, for the tests of tests.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Planted>,
}

impl Config {
    /// The usual policy, real signatures.
    pub fn new(
        secret: SecretKey,
        charter: SignedCharter,
        certificate: SignedCertificate,
        nonce: Nonce,
    ) -> Self {
        Self {
            secret,
            charter,
            certificate,
            nonce,
            policy: Arc::new(ByRate),
            signatures: Arc::new(Ed25519),
            secrets: EventSecrets::default(),
            doors: false,
            mark: None,
            goes_on: false,
            restored: false,
            carries_kbit_per_s: air::CARRIES_KBIT_PER_S,
            program: None,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

/// Why a device cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The certificate is not this device's, or not of this event.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The programme cannot be made.
    #[error(transparent)]
    Programme(#[from] EditError),
    /// An entry that was stored cannot be admitted again: the database is damaged.
    #[error(
        "the stored log is damaged at entry {entry} ({fault}); move popmesh.db and popmesh.db-wal out of the data folder, keep them, and start again: this device then gets its past back from the other devices"
    )]
    Damaged {
        /// Which entry, counted from 1.
        entry: u64,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// One device.
#[derive(Debug)]
pub struct Device {
    config: Config,
    me: DeviceId,
    venue: Place,
    gate: Gate,
    clock: Clock,
    /// The time of the last mail of its own.
    last_mail: Hlc,
    now: Now,
    log: Log,
    programme: Programme,
    holdings: Holdings,
    trust: Trust,
    people: People,
    sealed: sealed::Payloads,
    /// Devices with two pasts, and the proof.
    suspended: BTreeMap<DeviceId, Ref>,
    own: BTreeMap<Document, ChainId>,
    priced_under: BTreeMap<ChainId, Vec<Hash>>,
    /// The step of its drop that each of this device's chains made its last sale under.
    sold_under: BTreeMap<ChainId, Ref>,
    receipts: Receipts,
    /// The number and the hash of the last receipt of this device's own.
    last_receipt: Option<(u64, ReceiptHash)>,
    deferred: payments::Deferred,
    forks: forks::Forks,
    past: past::Past,
    /// The key of the command that is being done.
    doing: Option<CommandKey>,
    keys: again::Keys,
    last_act: Option<undo::LastAct>,
    renewing: renew::Renewing,
    leaving: leave::Leaving,
    closing: closing::Closing,
    late: steps::Late,
    wishes: wishes::Wishes,
    shared: presence::Shared,
    budgets: budgets::Budgets,
    intake: intake::Intake,
    outbox: outbox::Outbox,
    peers: peers::Peers,
    sync: sync::Sync,
    in_step: board::InStep,
    narrow: narrow::Narrow,
    sales: sales::Sales,
    carts: carts::Carts,
    pins: pins::Pins,
    takes: take::Takes,
    asks: asks::Asks,
    bars: bars::Bars,
    epochs: epochs::Epochs,
    doors: doors::Opening,
    meter: RateMeter,
    telling: telling::Telling,
    next_look_ms: u64,
    next_share_ms: u64,
    wake_at: Option<u64>,
    refused: u64,
    /// Entries that came and were not looked at, their authors having written too much for now.
    postponed: u64,
    failed: Option<String>,
    done: work::Done,
    plant: Plant,
}

impl Device {
    /// Opens a device from what it has stored, in the order in which it was stored.
    ///
    /// # Errors
    /// [`OpenError`] if the certificate is not its own, or the log is damaged.
    pub fn open(config: Config, entries: impl Iterator<Item = Entry>, now: Now) -> Result<Self, OpenError> {
        let me = config.secret.id();
        #[cfg(feature = "planted")]
        let plant = Plant::new(config.planted);
        #[cfg(not(feature = "planted"))]
        let plant = Plant::default();
        config.certificate.belongs_to(&me)?;
        let mut device = Self {
            me,
            venue: config.certificate.venue.clone(),
            gate: Gate::new(config.charter.clone(), config.signatures.clone(), plant),
            clock: Clock::default(),
            last_mail: Hlc::default(),
            now,
            log: Log::new(plant),
            programme: Programme::new(config.charter.charter().currency)?,
            holdings: Holdings::new(plant),
            trust: Trust::default(),
            people: People::default(),
            sealed: sealed::Payloads::default(),
            suspended: BTreeMap::new(),
            own: BTreeMap::new(),
            priced_under: BTreeMap::new(),
            sold_under: BTreeMap::new(),
            receipts: Receipts::default(),
            last_receipt: None,
            deferred: payments::Deferred::default(),
            forks: forks::Forks::default(),
            past: past::Past::new(config.restored, config.mark.as_ref()),
            doing: None,
            keys: again::Keys::default(),
            last_act: None,
            renewing: renew::Renewing::default(),
            leaving: leave::Leaving::default(),
            closing: closing::Closing::default(),
            late: steps::Late::default(),
            wishes: wishes::Wishes::default(),
            shared: presence::Shared::default(),
            budgets: budgets::Budgets::default(),
            intake: intake::Intake::default(),
            outbox: outbox::Outbox::new(plant),
            peers: peers::Peers::default(),
            sync: sync::Sync::default(),
            in_step: board::InStep::default(),
            narrow: narrow::Narrow::default(),
            sales: sales::Sales::default(),
            carts: carts::Carts::default(),
            pins: pins::Pins::new(now.mono_ms),
            takes: take::Takes::default(),
            asks: asks::Asks::default(),
            bars: bars::Bars::default(),
            epochs: epochs::Epochs::new(config.secrets.clone(), &config.secret, &config.nonce.0),
            doors: doors::Opening::default(),
            meter: RateMeter::default(),
            telling: telling::Telling::new(now.mono_ms),
            next_look_ms: now.mono_ms,
            next_share_ms: now.mono_ms,
            wake_at: None,
            refused: 0,
            postponed: 0,
            failed: None,
            done: work::Done::default(),
            plant,
            config,
        };
        device.gate.certificate(device.config.certificate.bytes())?;
        let certificate = device.config.certificate.clone();
        device.peers.meet(&certificate);
        device.clock.resume(Hlc::from_ms(certificate.not_before_ms));
        let mut read = 0;
        for entry in entries {
            read += 1;
            device.restore(entry).map_err(|fault| OpenError::Damaged { entry: read, fault })?;
        }
        device
            .log
            .verify_tips(&device.gate)
            .map_err(|(_, fault)| OpenError::Damaged { entry: read, fault })?;
        device.refresh_restored();
        device.look_back();
        device.intake.lives_changed = true;
        device.forks.reopen = None;
        device.look_for_doubles();
        device.forget_what_was_told();
        device.take_up_renewal();
        device.find_own_hand_outs();
        device.find_carts();
        device.late_anew();
        device.refresh_late();
        device.find_wishes();
        device.end_leave();
        (device.bars.stale, device.epochs.stale) = (true, true);
        device.refresh_epochs(false);
        device.tell_secrets();
        device.refresh_bars();
        if plant.has(Planted::NumberReceiptsAnew) {
            device.last_receipt = None;
        }
        if plant.has(Planted::CountFromZero) {
            device.count_from_zero();
        }
        if plant.has(Planted::KeepOldLife) {
            device.keep_old_life();
        }
        Ok(device)
    }

    fn keep_old_life(&mut self) {
        let documents: Vec<Document> = self
            .log
            .chains()
            .filter(|chain| chain.device == self.me)
            .map(|chain| chain.document.clone())
            .collect();
        for document in documents.into_iter().filter(|document| *document != Document::Programme) {
            if let Some(last) = self.log.last_of(&self.me, &document) {
                self.own.insert(document, last.chain);
            }
        }
    }

    /// This device's id.
    pub fn id(&self) -> DeviceId {
        self.me
    }

    /// The log, for whoever checks a device from outside. Holds what is not yet durable, too.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The stock view, for whoever checks a device from outside. Shows what is not yet durable, too.
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Entries held back until what they need arrives, and sales that wait for units from elsewhere.
    pub fn waiting(&self) -> (u64, u64) {
        (self.intake.waiting(), self.sales.len() as u64)
    }

    /// Whether all that is in the log is stored, for whoever checks a device from outside.
    pub fn is_all_durable(&self) -> bool {
        self.outbox.is_idle()
    }

    /// Takes one input. What follows from it comes out of [`Device::poll`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        let is_of_store = matches!(input, Input::Stored { .. } | Input::StoreFailed { .. });
        let problem = self.failed.as_ref().or(self.forks.reopen.as_ref().filter(|_| !is_of_store));
        if let Some(problem) = problem.cloned() {
            self.refuse_input(input, problem);
            return;
        }
        match input {
            Input::Command { call, command, idempotency } => self.command(call, command, idempotency),
            Input::Query { call, query } => {
                let answer = Box::new(self.answer(query));
                self.outbox.emit(Output::Answer { call, answer });
            }
            Input::Message { from, bytes } => self.message(from, &bytes),
            Input::Gossip { from, bytes, token } => {
                let verdict = self.gossip(from, &bytes);
                self.outbox.emit_now(Output::Judge { token, verdict });
            }
            Input::LinkUp { peer, width } => self.link_up(peer, width),
            Input::LinkWidth { peer, width } => self.link_width(peer, width),
            Input::LinkDown { peer } => self.link_down(peer),
            Input::Tick => {}
            Input::Stored { batch } => self.outbox.stored(batch),
            Input::StoreFailed { problem, .. } => {
                self.give_up(problem);
                return;
            }
        }
        self.refresh_views();
        self.refresh_late();
        self.refresh_bars();
        self.refresh_epochs(true);
        self.look_at_past();
        self.look_for_doubles();
        self.pump_past();
        if self.check_past().is_ok() {
            self.acknowledge();
            self.take_over();
            self.settle_own_hand_outs();
            self.pump_return();
            self.pump_leave();
            self.pump_carts();
            self.pump_closing(self.now.mono_ms >= self.next_look_ms);
            self.pump_takes();
        }
        self.pump_sales();
        if self.check_past().is_ok() {
            self.pump_wishes();
        }
        self.pump_sealed();
        self.pump_time();
    }

    /// Refuses everything that waits, and from now on everything.
    fn give_up(&mut self, problem: String) {
        self.outbox.fail(&problem);
        self.sales.refuse_all(&problem, &mut self.outbox);
        self.takes.refuse_all(&problem).into_iter().for_each(|output| self.outbox.emit_now(output));
        self.past.refuse_all(&problem).into_iter().for_each(|output| self.outbox.emit_now(output));
        self.failed = Some(problem);
    }

    /// Takes in nothing, and says so to who waits for an answer.
    fn refuse_input(&mut self, input: Input, problem: String) {
        match input {
            Input::Command { call, .. } => {
                let result = Err(Refusal::NotStored { problem });
                self.outbox.emit_now(Output::Reply { call, result });
            }
            Input::Query { call, .. } => {
                let answer = Box::new(Answer::Failed(problem));
                self.outbox.emit_now(Output::Answer { call, answer });
            }
            Input::Gossip { token, .. } => {
                self.outbox.emit_now(Output::Judge { token, verdict: Verdict::Ignore });
            }
            _ => {}
        }
    }

    /// The next output, until there is none. To be called after every [`Device::handle`].
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(store) = self.close_batch() {
            return Some(store);
        }
        // After the write was handed over, so that it is under way while gossip is packed.
        self.announce();
        while let Some(output) = self.outbox.pop() {
            match &output {
                // It waited for a write, and its receiver was retired meanwhile.
                Output::Send { to, .. } if self.bars.has(to) => {}
                _ => return Some(output),
            }
        }
        if self.failed.is_some() {
            return None;
        }
        // What proves it is stored first.
        if let Some(problem) = self.forks.reopen.take_if(|_| self.outbox.is_idle()) {
            self.give_up(problem.clone());
            self.outbox.emit_now(Output::Reopen { problem });
            return self.outbox.pop();
        }
        let at = self.next_wake();
        if self.wake_at != Some(at) {
            self.wake_at = Some(at);
            return Some(Output::Wake { at_mono_ms: at });
        }
        None
    }

    fn pump_time(&mut self) {
        let now = self.now.mono_ms;
        if now >= self.next_look_ms {
            self.next_look_ms = now + presence::LOOK_EVERY_MS;
            self.look_for_silence();
            self.budgets.tidy(now);
            self.plan_telling();
            self.tell_end();
            self.look_at_epochs();
            if self.plant.has(Planted::GossipOn) {
                self.gossip_on();
            }
        }
        self.pump_bars();
        self.pump_telling();
        if now >= self.next_share_ms {
            self.next_share_ms = now + self.share_every_ms();
            self.share_out();
        }
        self.ask_by_name();
        self.pump_sync();
    }

    fn next_wake(&self) -> u64 {
        [
            self.outbox.next_deadline(),
            self.sales.next_deadline(),
            self.carts.next_deadline(),
            self.takes.next_deadline(),
            self.wishes.next_deadline(),
            self.leave_deadline(),
            self.closing_deadline(),
            self.asks.next_deadline(self.now.mono_ms),
            self.sync_deadline(),
            self.by_name_deadline(),
            self.sealed.next_deadline(),
            self.bars.next_deadline(),
            self.past.deadline().filter(|at| *at > self.now.mono_ms),
        ]
        .into_iter()
        .flatten()
        .chain([self.telling.next_deadline(), self.next_look_ms])
        .fold(self.next_share_ms, u64::min)
        .max(self.now.mono_ms + 1)
    }
}
