//! This device's own past. What is stored may be an older state of its disk; others know what it did since. So it hears
//! from the first peer that it meets what that has of its own before it spends anything.

use std::collections::{BTreeMap, VecDeque};

use super::Device;
use crate::command::{Command, Refusal, Reply};
use crate::id::{ChainId, DeviceId};
use crate::io::{CallId, Idempotency, Notice, Output};
use crate::planted::Planted;

/// For so long a device that nobody suspects waits for the first peer to tell it of its past.
const FIRST_PEER_MS: u64 = 5_000;

/// What is known of this device's own past.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// A peer has told all that it knew, and all of it is here; or a person has answered for it.
    known: bool,
    /// What is stored is older than what was written: somebody set it back.
    suspected: bool,
    /// When the first of the peers that are linked now was met.
    met_ms: Option<u64>,
    /// Of each linked peer that has told what it has: what of it may be this device's, and is not here.
    missing: BTreeMap<DeviceId, BTreeMap<ChainId, u64>>,
    /// Commands that wait until then.
    waiting: VecDeque<Waiting>,
}

type Waiting = (CallId, Command, Option<Idempotency>);

/// The most commands that wait.
const MAX_WAITING: usize = 1024;

impl Past {
    pub(super) fn new(suspected: bool) -> Self {
        Self { suspected, ..Self::default() }
    }

    /// Whether it is doubted.
    pub(super) fn is_suspected(&self) -> bool {
        self.suspected && !self.known
    }

    pub(super) fn meet(&mut self, now_ms: u64) {
        self.met_ms.get_or_insert(now_ms);
    }

    pub(super) fn lose(&mut self, peer: &DeviceId, alone: bool) {
        self.missing.remove(peer);
        if alone {
            self.met_ms = None;
        }
    }

    pub(super) fn refuse_all(&mut self, problem: &str) -> Vec<Output> {
        let refused = |(call, ..): Waiting| Output::Reply {
            call,
            result: Err(Refusal::NotStored { problem: problem.to_owned() }),
        };
        self.waiting.drain(..).map(refused).collect()
    }

    /// When sales need wait no longer for the first peer.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.met_ms.map(|met| met + FIRST_PEER_MS).filter(|_| !self.known)
    }
}

impl Device {
    /// Whether what is stored is older than what this device did, and nobody has told it the rest; for whoever checks a device
    /// from outside.
    pub fn doubts_its_past(&self) -> bool {
        self.past.is_suspected()
    }

    /// Whether this device knows what it has done before, as far as it can.
    ///
    /// # Errors
    /// [`Refusal::PastUnknown`] if it had better hear from another first.
    pub(super) fn check_past(&self) -> Result<(), Refusal> {
        let Past { known, suspected, .. } = self.past;
        if known || !(suspected || self.is_past_on_its_way()) || self.plant.has(Planted::ForgetPast) {
            return Ok(());
        }
        Err(Refusal::PastUnknown { suspected })
    }

    /// Whether somebody may tell of it any moment.
    fn is_past_on_its_way(&self) -> bool {
        let Past { known, met_ms, .. } = self.past;
        !known && met_ms.is_some_and(|met| self.now.mono_ms < met + FIRST_PEER_MS)
    }

    /// A command that can be done now; one that had better wait for a moment does.
    pub(super) fn once_past_is_known(
        &mut self,
        call: CallId,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Option<Waiting> {
        let at_once = matches!(command, Command::AcceptPast);
        if at_once || !self.is_past_on_its_way() || self.check_past().is_ok() {
            return Some((call, command, idempotency));
        }
        if self.past.waiting.len() >= MAX_WAITING {
            self.outbox.emit(Output::Reply { call, result: Err(Refusal::Busy) });
        } else {
            self.past.waiting.push_back((call, command, idempotency));
        }
        None
    }

    /// Does what had to wait.
    pub(super) fn pump_past(&mut self) {
        while !self.is_past_on_its_way()
            && let Some((call, command, idempotency)) = self.past.waiting.pop_front()
        {
            self.command(call, command, idempotency);
        }
    }

    /// A peer has told what it has; `whole` if that is everything that it has.
    pub(super) fn compare_past(&mut self, from: DeviceId, whole: bool) {
        if self.past.known || !whole {
            return;
        }
        let Some(theirs) = self.sync.exchange(&from).and_then(|exchange| exchange.theirs()) else { return };
        let theirs = theirs.collect();
        self.past.missing.insert(from, theirs);
        self.look_at_past();
    }

    /// Of a chain that is not here nobody can tell whose it is.
    fn may_be_own_and_missing(&self, chain: &ChainId, seq: u64) -> bool {
        let counts = self.log.counting(chain, seq);
        match self.log.chain(chain) {
            Some(here) => here.device == self.me && here.len() < counts,
            None => counts > 0,
        }
    }

    /// Whether some peer's word on this device's past is all here now.
    pub(super) fn look_at_past(&mut self) {
        if self.past.known || self.past.missing.is_empty() {
            return;
        }
        let mut told = std::mem::take(&mut self.past.missing);
        for missing in told.values_mut() {
            missing.retain(|chain, seq| self.may_be_own_and_missing(chain, *seq));
        }
        if told.values().any(BTreeMap::is_empty) {
            self.know_past(false);
        } else {
            self.past.missing = told;
        }
    }

    fn know_past(&mut self, accepted: bool) {
        self.past.known = true;
        self.past.missing.clear();
        if self.past.suspected {
            self.outbox.emit(Output::Notice(Notice::PastKnown { accepted }));
        }
    }

    /// A person says that what is stored is all that this device has done, or that the risk is theirs.
    pub(super) fn accept_past(&mut self) -> Reply {
        if self.past.is_suspected() {
            self.know_past(true);
        }
        Reply::PastAccepted
    }
}
