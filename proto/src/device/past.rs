//! This device's own past. What is stored may be an older state of its disk, or nothing; the mark beside the database names
//! how far this device had written, and others prove what they have seen of it. All of that is here, or a person has
//! answered for it, before this device spends anything.
//!
//! An example: the mark says that our chain c went up to 7, and the log has 5. So `missing[c] = (7, hash)`, and nothing is spent
//! until entry 7 with that hash is here, whoever brings it. A peer that has never seen c says nothing about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Device;
use super::budgets::{REQUEST_US, SIGNATURE_US, cost_of_frontier};
use crate::change::{self, ChangeParts};
use crate::command::{AcceptPast, Command, Refusal, Reply};
use crate::document::Document;
use crate::fact::Signal;
use crate::id::{ChainId, DeviceId, Hash, ReceiptHash};
use crate::io::{CallId, Idempotency, Output};
use crate::log::{Chain, signed_message};
use crate::mark::{End, Mark, Marking};
use crate::message::{
    AskPast, Knows, MAX_OWN_ENDS, MAX_PAST_BYTES, MAX_PROOFS, Message, Past as Told, Proof, Seen,
};
use crate::planted::Planted;
use crate::programme::Edit;
use crate::query::{Missing, PastInfo};
use crate::record::Record;

/// For so long a device that nobody suspects waits for the first peer to tell it of its past.
const FIRST_PEER_MS: u64 = 5_000;
/// For so long if all peers have answered, and have never seen anything of it.
const STRANGERS_MS: u64 = 2_000;
/// For so long after the last of what is missing came, or was heard of, commands wait for the rest of it.
const NEXT_ENTRY_MS: u64 = 5_000;
/// How often peers are asked again while this device doubts its past.
const ASK_AGAIN_MS: u64 = 5_000;
/// How often those are that have not answered, while the first peer is waited for.
const REMIND_MS: u64 = 1_000;
/// In so many of its presences a device asks everybody what they have seen of it, once it has a link.
const ASKED_BY_PRESENCE: u32 = 2;
/// The most chains that a status names of what is missing.
const MISSING_SHOWN: usize = 16;

/// What is known of this device's own past.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// A peer has told what it has seen of this device, and all that anybody has told is here; or a person has answered.
    known: bool,
    /// What is stored may be older than what was written, and what lies beside it does not say how much.
    doubted: bool,
    /// Whether anybody doubts it: then observers hear when that is over.
    suspected: bool,
    /// Whether this device had written anything, as far as it knew when it started.
    had_written: bool,
    /// Ends of own chains that are named by the mark, by a peer's proof or by a later start, and that are not here.
    missing: BTreeMap<ChainId, (u64, Hash)>,
    /// Up to where own chains are lost: a person has answered for it.
    lost: BTreeMap<ChainId, u64>,
    /// Something that this device wrote and lacked has come from elsewhere in this life.
    brought: bool,
    /// Own chains that came in, of which it has not been looked what they follow.
    arrived: Vec<ChainId>,
    /// The last receipt that the mark knows.
    receipt: Option<(u64, ReceiptHash)>,
    /// When the first of the peers that are linked now was met.
    met_ms: Option<u64>,
    /// When an own entry came in last that had been missing, or was heard of.
    progress_ms: Option<u64>,
    /// When peers are asked again.
    ask_at_ms: u64,
    /// Presences that asked.
    presences: u32,
    /// What each linked peer knows of this device.
    told: BTreeMap<DeviceId, Knows>,
    /// Peers that were asked in this life. Bounded by the devices that there are.
    asked: BTreeSet<DeviceId>,
    /// When each linked peer was asked that has not answered yet.
    unanswered: BTreeMap<DeviceId, u64>,
    /// Whether the mark has been written anew since own entries came from elsewhere, or ever.
    is_marked: bool,
    /// Commands that wait until then.
    waiting: VecDeque<Waiting>,
}

type Waiting = (CallId, Command, Option<Idempotency>);

/// The most commands that wait.
const MAX_WAITING: usize = 1024;

impl Past {
    pub(super) fn new(doubted: bool, mark: Option<&Mark>) -> Self {
        let mark = mark.cloned().unwrap_or_default();
        Self {
            doubted,
            suspected: doubted,
            had_written: !mark.ends.is_empty(),
            missing: mark.ends,
            lost: mark.lost,
            receipt: mark.receipt,
            ..Self::default()
        }
    }

    /// Whether it is doubted.
    pub(super) fn is_suspected(&self) -> bool {
        self.doubted || !self.missing.is_empty()
    }

    /// A link is up.
    fn meet(&mut self, now_ms: u64) {
        self.met_ms.get_or_insert(now_ms);
    }

    pub(super) fn lose(&mut self, peer: &DeviceId, alone: bool) {
        self.told.remove(peer);
        self.unanswered.remove(peer);
        if alone {
            self.met_ms = None;
        }
    }

    /// A chain of this device's own came from elsewhere, or an entry of one.
    pub(super) fn came(&mut self, chain: ChainId, begins: bool, now_ms: u64) {
        self.is_marked = false;
        self.brought = true;
        if begins {
            self.arrived.push(chain);
        }
        if self.missing.contains_key(&chain) {
            self.progress_ms = Some(now_ms);
        }
    }

    pub(super) fn refuse_all(&mut self, problem: &str) -> Vec<Output> {
        let refused = |(call, ..): Waiting| Output::Reply {
            call,
            result: Err(Refusal::NotStored { problem: problem.to_owned() }),
        };
        self.waiting.drain(..).map(refused).collect()
    }

    /// Whether a peer has said enough of this device for one that nobody suspects.
    fn has_heard(&self) -> bool {
        self.told.values().any(|knows| *knows != Knows::Nothing || !self.had_written)
    }

    /// Until when somebody may tell of it any moment, if anybody may.
    fn on_its_way_until(&self) -> Option<u64> {
        let suspected = self.is_suspected();
        let met = self.met_ms.filter(|_| suspected || !(self.known || self.has_heard()))?;
        if !suspected {
            let strangers = self.unanswered.is_empty() && !self.told.is_empty();
            return Some(met + if strangers { STRANGERS_MS } else { FIRST_PEER_MS });
        }
        let asked = self.unanswered.values().max().copied().unwrap_or(0);
        let first = met.max(asked) + FIRST_PEER_MS;
        let next = self.progress_ms.map_or(0, |at| at + NEXT_ENTRY_MS);
        Some(first.max(next))
    }

    /// When there is something to be done about it.
    pub(super) fn deadline(&self) -> Option<u64> {
        let until = self.on_its_way_until();
        let asks = self.met_ms.is_some() && (self.is_suspected() || until.is_some());
        until.into_iter().chain(asks.then_some(self.ask_at_ms)).min()
    }

    /// The last receipt that this device is known to have written: that in the log, or that of the mark.
    pub(super) fn last_receipt(&self, in_log: Option<(u64, ReceiptHash)>) -> Option<(u64, ReceiptHash)> {
        match (in_log, self.receipt) {
            (Some((here, _)), Some((marked, _))) if here < marked => self.receipt,
            (None, marked) => marked,
            (here, _) => here,
        }
    }
}

impl Device {
    /// Whether what is stored is older than what this device did, and nobody has told it the rest; for whoever checks a device
    /// from outside.
    pub fn doubts_its_past(&self) -> bool {
        self.past.is_suspected()
    }

    /// What is missing of this device's own past, as far as it knows.
    pub fn past_info(&self) -> PastInfo {
        let here = |chain: &ChainId| self.log.chain(chain).map_or(0, Chain::len);
        let of = |(chain, (seq, _)): (&ChainId, &(u64, Hash))| Missing {
            chain: *chain,
            document: self.log.chain(chain).map(|chain| chain.document.to_string()),
            here: here(chain).min(*seq),
            upto: *seq,
        };
        let entries =
            self.past.missing.iter().map(of).map(|missing| (missing.upto - missing.here).max(1)).sum();
        PastInfo {
            unknown: self.past.is_suspected(),
            entries,
            chains: self.past.missing.len() as u64,
            missing: self.past.missing.iter().take(MISSING_SHOWN).map(of).collect(),
        }
    }

    /// After a start: what the log itself says of what came before it.
    pub(super) fn look_back(&mut self) {
        let own: Vec<ChainId> =
            self.log.chains().filter(|chain| chain.device == self.me).map(|chain| chain.id).collect();
        self.past.had_written |= !own.is_empty();
        self.past.arrived = own;
        self.past.is_marked = false;
        if self.plant.has(Planted::ForgetPast) {
            self.past.missing.clear();
            self.past.arrived.clear();
        }
        let told = self.find_missing();
        self.past.suspected |= told || self.past.is_suspected();
    }

    /// Whether this device knows what it has done before, as far as it can.
    ///
    /// # Errors
    /// [`Refusal::PastUnknown`] if it had better hear from another first.
    pub(super) fn check_past(&self) -> Result<(), Refusal> {
        let suspected = self.past.is_suspected();
        if !(suspected || self.is_past_on_its_way()) || self.plant.has(Planted::ForgetPast) {
            return Ok(());
        }
        Err(Refusal::PastUnknown { suspected })
    }

    /// Whether somebody may tell of it any moment.
    fn is_past_on_its_way(&self) -> bool {
        self.past.on_its_way_until().is_some_and(|until| self.now.mono_ms < until)
    }

    /// A command that can be done now; one that had better wait for a moment does.
    pub(super) fn once_past_is_known(
        &mut self,
        call: CallId,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Option<Waiting> {
        let at_once = matches!(command, Command::AcceptPast(_));
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
        self.ask_again();
        while (!self.is_past_on_its_way() || self.check_past().is_ok())
            && let Some((call, command, idempotency)) = self.past.waiting.pop_front()
        {
            self.command(call, command, idempotency);
        }
    }

    // --- What is missing.

    /// Whether the end of an own chain is here; or counts for nothing, and what counts of it is here.
    fn is_reached(&self, chain: &ChainId, (seq, hash): (u64, Hash)) -> bool {
        if self.past.lost.get(chain).is_some_and(|lost| *lost >= seq) {
            return true;
        }
        let here = self.log.chain(chain);
        match self.log.cut_at(chain).filter(|cut| *cut <= seq) {
            Some(cut) => here.map_or(0, Chain::len) + 1 >= cut,
            None => here.and_then(|chain| chain.hash(seq)) == Some(&hash),
        }
    }

    /// What `chain` names as the end of the one before it.
    fn before(&self, chain: &ChainId) -> Option<(ChainId, (u64, Hash))> {
        let previous = self.log.chain(chain)?.previous.as_ref()?;
        Some((previous.chain, (previous.seq, previous.hash)))
    }

    /// Takes note that an own chain goes as far as this. Whether that is missing.
    fn is_missing(&mut self, chain: ChainId, end: (u64, Hash)) -> bool {
        if self.is_reached(&chain, end) {
            return false;
        }
        let known = self.past.missing.entry(chain).or_insert(end);
        if known.0 < end.0 {
            *known = end;
        }
        true
    }

    /// Forgets what is here by now, and looks what those own chains that came in follow. Whether more is missing than before.
    fn find_missing(&mut self) -> bool {
        if !self.past.missing.is_empty() {
            let mut missing = std::mem::take(&mut self.past.missing);
            missing.retain(|chain, end| !self.is_reached(chain, *end));
            self.past.missing = missing;
        }
        let mut more = false;
        while let Some(chain) = self.past.arrived.pop() {
            if let Some((before, end)) = self.before(&chain) {
                more |= self.is_missing(before, end);
            }
        }
        more
    }

    /// Whether all that anybody has told is here now.
    pub(super) fn look_at_past(&mut self) {
        if self.past.known && self.past.missing.is_empty() && self.past.arrived.is_empty() {
            return;
        }
        if self.find_missing() {
            self.hear_of_missing();
        }
        if !self.past.missing.is_empty() {
            return;
        }
        let is_told = match self.past.doubted {
            // Who has what is here may have it from here. Who knew more, and has all that is here, was there later.
            true => self.past.brought && self.past.told.values().any(|knows| *knows == Knows::All),
            false => self.past.has_heard() || self.past.suspected,
        };
        if is_told {
            self.know_past(false);
        }
    }

    fn hear_of_missing(&mut self) {
        self.past.suspected = true;
        self.past.progress_ms = Some(self.now.mono_ms);
        self.past.ask_at_ms = self.now.mono_ms + ASK_AGAIN_MS;
    }

    fn know_past(&mut self, accepted: bool) {
        self.past.known = true;
        self.past.doubted = false;
        if std::mem::take(&mut self.past.suspected) {
            // The mark may name less, or not be there at all.
            self.past.is_marked = false;
            self.outbox.mark();
            self.outbox.emit(Output::Signal(Signal::PastKnown { accepted }));
        }
    }

    /// A person says that what is stored is all that this device has done, or that the risk is theirs.
    pub(super) fn accept_past(&mut self, accept: AcceptPast) -> Result<Reply, Refusal> {
        let entries = self.past_info().entries;
        if accept.seen.is_some_and(|seen| (seen.device, seen.entries) != (self.me, entries)) {
            return Err(self.not_as_said(None, None, Some(entries)));
        }
        if self.past.is_suspected() {
            for (chain, (seq, _)) in std::mem::take(&mut self.past.missing) {
                let lost = self.past.lost.entry(chain).or_default();
                *lost = seq.max(*lost);
            }
            self.know_past(true);
        }
        Ok(Reply::PastAccepted)
    }

    // --- The mark.

    /// What the write that is about to be handed over changes in the mark. `written` are the own chains that it goes on with.
    pub(super) fn marking(&mut self, written: &[(ChainId, u64)], asked: bool) -> Marking {
        if !asked && written.is_empty() {
            return Marking::default();
        }
        let end = |chain: &Chain| {
            let seq = chain.len();
            Some(End { chain: chain.id, seq, hash: *chain.hash(seq)? })
        };
        let receipt = self.past.last_receipt(self.last_receipt);
        if !std::mem::replace(&mut self.past.is_marked, true) {
            let own = self.log.chains().filter(|chain| chain.device == self.me && !chain.has_ended());
            let mut mark = Mark { ends: self.past.missing.clone(), lost: self.past.lost.clone(), receipt };
            own.filter_map(end).for_each(|end| mark.reach(end));
            self.past.receipt = receipt;
            return Marking { anew: Some(mark), ..Marking::default() };
        }
        let ends = written.iter().filter_map(|(chain, _)| self.log.chain(chain).and_then(end)).collect();
        let changed = receipt.filter(|receipt| self.past.receipt != Some(*receipt));
        self.past.receipt = receipt;
        Marking { anew: None, ends, receipt: changed }
    }

    // --- What others have seen.

    /// A link is up: its other end is asked, once in this life.
    pub(super) fn meet_past(&mut self, peer: DeviceId) {
        self.past.meet(self.now.mono_ms);
        self.past.presences = 0;
        self.past.ask_at_ms = self.now.mono_ms + REMIND_MS;
        if self.past.asked.insert(peer) || !self.past.known || self.past.is_suspected() {
            self.past.unanswered.insert(peer, self.now.mono_ms);
            self.ask_for_past(peer);
        }
    }

    fn ask_for_past(&mut self, peer: DeviceId) {
        let ask = Message::AskPast(self.own_ends());
        self.outbox.emit(Output::Send { to: peer, bytes: crate::message::encode(&ask) });
    }

    /// While the past is in doubt everybody is asked again, now and then; before that, who has not answered.
    fn ask_again(&mut self) {
        let now = self.now.mono_ms;
        if self.past.met_ms.is_none() || now < self.past.ask_at_ms {
            return;
        }
        let peers = if self.past.is_suspected() {
            self.past.ask_at_ms = now + ASK_AGAIN_MS;
            self.past.presences = 0;
            self.peers.linked()
        } else if self.is_past_on_its_way() {
            self.past.ask_at_ms = now + REMIND_MS;
            self.past.unanswered.keys().copied().collect()
        } else {
            return;
        };
        for peer in peers {
            self.ask_for_past(peer);
        }
    }

    /// Up to where this device's own chains that go on are here.
    fn own_ends(&self) -> AskPast {
        let own = self.log.chains().filter(|chain| chain.device == self.me && !chain.has_ended());
        let ends = own.filter_map(Chain::head).map(|(chain, seq, _)| Seen { chain: chain.id, seq });
        AskPast { ends: ends.take(MAX_OWN_ENDS).collect() }
    }

    /// What this device's next presence asks everybody: what they have seen of it. After a start and while its past is in
    /// doubt, and then in two presences only.
    pub(super) fn ask_by_presence(&mut self) -> Option<AskPast> {
        // It goes out at once, and must not name what is not durable.
        (self.asks_by_presence() && self.outbox.is_idle()).then(|| {
            self.past.presences += 1;
            self.own_ends()
        })
    }

    /// Whether this device's next presence asks.
    pub(super) fn asks_by_presence(&self) -> bool {
        let asks = self.past.met_ms.is_some() && self.past.presences < ASKED_BY_PRESENCE;
        asks && (!self.past.known || self.past.is_suspected())
    }

    /// Tells a device what this one has seen of it: over a link always; by mail only what it lacks.
    pub(super) fn tell_past(&mut self, to: DeviceId, ask: &AskPast) {
        let chains = self.log.chains().count();
        self.budgets.work(&to, REQUEST_US + cost_of_frontier(chains), self.now.mono_ms);
        let theirs: BTreeMap<ChainId, u64> = ask.ends.iter().map(|seen| (seen.chain, seen.seq)).collect();
        let covers = |seen: &Seen| {
            let seq = self.log.counting(&seen.chain, seen.seq);
            seq == 0 || self.log.chain(&seen.chain).is_some_and(|chain| chain.signed() >= seq)
        };
        let mut seen = self.log.chains().filter(|chain| chain.device == to).peekable();
        let knows = match (seen.peek(), ask.ends.iter().all(covers)) {
            (None, _) => Knows::Nothing,
            (Some(_), true) => Knows::All,
            (Some(_), false) => Knows::Some,
        };
        let lacking = seen.filter(|chain| {
            !chain.has_ended() && theirs.get(&chain.id).is_none_or(|seq| *seq < chain.last_signature())
        });
        let (mut proofs, mut bytes) = (Vec::new(), 0);
        for proof in lacking.filter_map(proof_of).take(MAX_PROOFS) {
            bytes += proof.body.len();
            if bytes > MAX_PAST_BYTES && !proofs.is_empty() {
                break;
            }
            proofs.push(proof);
        }
        let linked = self.peers.is_linked(&to);
        if linked || !proofs.is_empty() {
            let told = Message::Past(Told { knows, proofs });
            if linked {
                // It tells of entries, which are durable first.
                self.outbox.emit(Output::Send { to, bytes: crate::message::encode(&told) });
            } else if self.outbox.is_idle() {
                self.tell(to, &told);
            }
        }
    }

    /// Takes in what another has seen of this device. Only what this device signed is believed.
    pub(super) fn hear_past(&mut self, from: DeviceId, told: &Told) {
        if told.proofs.len() > MAX_PROOFS {
            self.fault(from, "too many proofs".to_owned());
            return;
        }
        let mut more = false;
        for proof in &told.proofs {
            let known = self.past.missing.get(&proof.chain).is_some_and(|(seq, _)| *seq >= proof.seq);
            let here = self.log.chain(&proof.chain).is_some_and(|chain| chain.len() >= proof.seq);
            if known || (here && self.log.cut_at(&proof.chain).is_none()) {
                continue;
            }
            self.budgets.work(&from, SIGNATURE_US, self.now.mono_ms);
            match self.hash_of(proof) {
                Some(hash) => more |= self.is_missing(proof.chain, (proof.seq, hash)),
                None => self.fault(from, "it tells of entries that this device did not write".to_owned()),
            }
        }
        if more {
            self.hear_of_missing();
            // Whoever told has it, and so have others: digests find it soon, a frontier at once.
            if self.peers.is_linked(&from) {
                self.sync_with(from);
            }
        }
        if self.peers.is_linked(&from) {
            self.past.told.insert(from, told.knows);
            self.past.unanswered.remove(&from);
            if told.knows != Knows::Nothing && self.past.is_suspected() {
                // It may have what is missing, and give it any moment.
                self.past.progress_ms = Some(self.now.mono_ms);
            }
        }
        if self.plant.has(Planted::BelieveWhoKnowsNothing) && told.proofs.is_empty() {
            self.past.missing.clear();
            self.past.doubted = false;
        }
        self.look_at_past();
    }

    /// The hash of an entry that proves how far a chain of this device's went; `None` if it proves nothing.
    fn hash_of(&self, proof: &Proof) -> Option<Hash> {
        if !(1..=u64::from(u32::MAX)).contains(&proof.seq) {
            return None;
        }
        let hash = match proof.document {
            Document::Programme => Edit::read(&proof.chain, proof.seq, &proof.body).ok()?.hash,
            _ => {
                let at = Record::decode(&proof.body).ok()?.at;
                let parts = ChangeParts {
                    device: self.me.as_bytes(),
                    actor: proof.chain.as_bytes(),
                    seq: proof.seq,
                    previous: proof.previous.as_ref().map(Hash::as_bytes),
                    time: (at.ms() / 1000) as i64,
                    record: &proof.body,
                };
                Hash(change::hash(&parts, &mut Vec::new()))
            }
        };
        let message = signed_message(&self.gate.event(), &proof.document, &hash);
        let any = self.plant.has(Planted::BelieveAnyProof);
        (any || self.gate.signatures().verifies(&proof.signature, &self.me, &message)).then_some(hash)
    }
}

/// The last signed entry of a chain: proof that its author wrote as far as that.
fn proof_of(chain: &Chain) -> Option<Proof> {
    let seq = chain.last_signature();
    Some(Proof {
        chain: chain.id,
        seq,
        document: chain.document.clone(),
        previous: chain.hash(seq.checked_sub(1)?).copied().filter(|_| chain.document != Document::Programme),
        body: chain.body(seq)?.to_vec().into(),
        signature: *chain.signature(seq)?,
    })
}
