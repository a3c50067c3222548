//! Takes entries in: from the store at the start, and from peers. What needs something that is not here yet waits,
//! outside log and views.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::budgets::{cost_of, is_enough};
use super::incidents::late_edit;
use super::waiting::{Need, Waiting};
use crate::document::Document;
use crate::fact::Fact;
use crate::holdings::{Effect, Event};
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::io::Entry;
use crate::log::{Admitted, Fault, Linked, Range};
use crate::planted::Planted;
use crate::record::{Body, Cause, Record};

/// What waits, and what follows from what came in.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub(super) waiting: Waiting,
    /// Chains whose waiting entries may be ready.
    freed: Vec<ChainId>,
    pub(super) received: Vec<(Document, Ref)>,
    /// Claims that have come into this device's custody, which may have handed them out before.
    pub(super) regained: BTreeSet<Ref>,
    /// Whether a retired device may have something that nobody has taken over yet.
    pub(super) heirless: bool,
    /// Whether a device may have shown that it has two pasts, or somebody looked into it.
    pub(super) lives_changed: bool,
}

impl Intake {
    /// How many entries wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.len()
    }

    /// Up to where a chain is here, counting what waits.
    pub(super) fn waiting_up_to(&self, chain: &ChainId) -> Option<u64> {
        self.waiting.tip(chain).map(|tip| tip.seq)
    }

    /// A chain counts for nothing from `first` on: that no longer waits, nor does what waits for it.
    pub(super) fn cut(&mut self, first: &Ref) {
        self.freed.extend(self.waiting.cut(first));
    }

    /// A change of the programme will not come.
    pub(super) fn free_change(&mut self, hash: &Hash) {
        self.freed.extend(self.waiting.unblock(&Need::Change(*hash)));
    }
}

/// What came of ranges from a peer.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) admitted: u64,
    pub(super) gap: bool,
    /// Entries whose author has written more than this device keeps for now.
    pub(super) postponed: u64,
    /// A fault was the sender's own doing.
    pub(super) wrong: bool,
    /// Something was left unread, since it was enough for now.
    pub(super) cut_short: bool,
    pub(super) fault: Option<Fault>,
}

impl Device {
    /// What entries that wait here wait for, for whoever checks a device from outside.
    pub fn waits_for(&self) -> impl Iterator<Item = Need> {
        self.intake.waiting.needs()
    }

    /// Takes back an entry from this device's own store.
    pub(super) fn restore(&mut self, entry: Entry) -> Result<(), Fault> {
        let tip = self.log.tip(&entry.chain);
        let linked = self.log.link_stored(&mut self.gate, entry, tip)?;
        if let Admitted::Edit(edit) = &linked.content {
            self.apply_edit(edit, (linked.entry, linked.author), true)?;
        }
        self.log.admit(&mut self.gate, &linked)?;
        self.show(&linked);
        self.forget_what_was_told();
        Ok(())
    }

    /// Nobody waits to hear what happened before the start, and its facts are stored already.
    pub(super) fn forget_what_was_told(&mut self) {
        self.outbox.open.facts.clear();
        while self.outbox.pop().is_some() {}
    }

    /// Takes in what a peer sent, as far as its budget goes.
    pub(super) fn take_ranges(&mut self, from: DeviceId, ranges: &[Range]) -> Taken {
        let mut taken = Taken::default();
        let now = self.now.mono_ms;
        let mut work_us = 0;
        for range in ranges {
            if self.plant.has(Planted::RefuseSuspended) && self.is_of_suspended(&range.chain) {
                continue;
            }
            if is_enough(work_us) || !self.budgets.may_work(&from, now) {
                taken.cut_short = true;
                break;
            }
            // Whose chain an unknown one is shows only when it has been read.
            if self.author_of(&range.chain).is_some_and(|author| !self.may_write_more(&author)) {
                taken.postponed += range.bodies.len();
                continue;
            }
            let tip = self.intake.waiting.tip(&range.chain).or_else(|| self.log.tip(&range.chain));
            let first = self.intake.waiting.first(&range.chain);
            let linked = self.log.link(&mut self.gate, range, tip, first);
            let known = self.log.chain(&range.chain).map_or(0, |chain| {
                chain.bytes_between(range.first.saturating_sub(1), range.last().min(chain.len()))
            });
            let cost_us = cost_of(range, known, linked.as_deref());
            self.budgets.work(&from, cost_us, now);
            work_us += cost_us;
            match linked {
                Ok(linked) => {
                    let Some(author) = linked.first().map(|first| first.author) else { continue };
                    if !self.may_write_more(&author) {
                        taken.postponed += linked.len() as u64;
                        continue;
                    }
                    self.intake.waiting.push(range.chain, author, from, linked);
                    match self.drain(range.chain) {
                        Ok(admitted) => taken.admitted += admitted,
                        Err(fault) => taken.fault = Some(fault),
                    }
                }
                Err(Fault::Gap { .. }) => taken.gap = true,
                // Whoever has only one of the histories does nothing wrong in telling it.
                Err(Fault::Fork { seq, .. }) if self.found_fork(range, seq) => taken.gap = true,
                Err(fault) => {
                    self.refused += 1;
                    taken.wrong |= self.is_own_doing(from, range, &fault);
                    // It may be right after another history than is here, whose hash frontiers take for the one here.
                    let follows = !matches!(fault, Fault::Range | Fault::ChainId | Fault::Full(_));
                    if follows && range.first > 1 && self.log.chain(&range.chain).is_some() {
                        self.does_not_follow(from, &range.chain);
                    }
                    taken.fault = Some(fault);
                }
            }
        }
        self.drain_freed();
        self.refresh_views();
        self.intake.waiting.keep_in_bounds();
        self.postponed += taken.postponed;
        taken.gap |= ranges.iter().any(|range| self.intake.waiting.has(&range.chain));
        taken
    }

    fn is_of_suspended(&self, chain: &ChainId) -> bool {
        self.log.chain(chain).is_some_and(|chain| self.suspended.contains_key(&chain.device))
    }

    /// Who writes a chain, if anything of it is here.
    pub(super) fn author_of(&self, chain: &ChainId) -> Option<DeviceId> {
        let known = self.log.chain(chain).map(|chain| chain.device);
        known.or_else(|| self.intake.waiting.author(chain))
    }

    fn may_write_more(&mut self, author: &DeviceId) -> bool {
        // Its own past is what a device wants back.
        *author == self.me || self.budgets.may_write(author, self.now.mono_ms)
    }

    /// Whether a fault can only be the doing of who sent the range. Honest devices pass on what another build of popmesh has
    /// admitted, and, of an author with two histories, the branch that they know; what follows a branch does not fit the
    /// other one, and its signature looks wrong here.
    fn is_own_doing(&self, from: DeviceId, range: &Range, fault: &Fault) -> bool {
        match fault {
            Fault::Range | Fault::ChainId => true,
            Fault::Signature => {
                let compared = match self.log.chain(&range.chain) {
                    Some(chain) => range.first <= chain.len(),
                    None => range.first == 1,
                };
                let waits = self.intake.waiting.has(&range.chain);
                (compared && !waits) || self.author_of(&range.chain) == Some(from)
            }
            _ => false,
        }
    }

    fn need_of(&self, linked: &Linked) -> Option<Need> {
        match &linked.content {
            Admitted::Record(_) if self.plant.has(Planted::DecideByArrival) => None,
            Admitted::Record(record) => {
                let missing = |need: &Ref| !self.log.has(need) && !self.log.is_cut(need);
                record.needs().find(missing).map(Need::Entry)
            }
            Admitted::Edit(edit) if self.forks.is_orphan(edit) => None,
            Admitted::Edit(edit) => self.programme.missing(edit).map(Need::Change),
        }
    }

    /// Admits what no longer needs to wait, beginning with one chain, and whatever that sets free.
    fn drain(&mut self, chain: ChainId) -> Result<u64, Fault> {
        let mut admitted = 0;
        let mut fault = None;
        let mut work = vec![chain];
        while let Some(chain) = work.pop().or_else(|| self.intake.freed.pop()) {
            while let Some(next) = self.intake.waiting.first(&chain) {
                let need = self.need_of(next);
                let unseen = need.is_some() && self.plant.has(Planted::DropWaiting);
                if let Some(need) = need.filter(|_| !unseen) {
                    self.intake.waiting.block(chain, need, self.now.mono_ms);
                    break;
                }
                let Some(linked) = self.intake.waiting.pop(&chain) else { break };
                let (entry, hash) = (linked.entry, linked.hash);
                if let Err(wrong) = self.admit(linked, !unseen) {
                    // What follows in this chain builds on what cannot be admitted.
                    self.intake.waiting.drop_chain(&chain);
                    self.refused += 1;
                    fault = Some(wrong);
                    break;
                }
                admitted += 1;
                for need in [Need::Entry(entry), Need::Change(hash)] {
                    work.extend(self.intake.waiting.unblock(&need));
                }
            }
        }
        fault.map_or(Ok(admitted), Err)
    }

    /// Admits what waited for entries that count for nothing now.
    pub(super) fn drain_freed(&mut self) {
        while let Some(chain) = self.intake.freed.pop() {
            // What is wrong with it is counted, and nobody's fault who is there to hear it.
            let _ = self.drain(chain);
        }
    }

    fn admit(&mut self, mut linked: Linked, show: bool) -> Result<(), Fault> {
        if let Admitted::Edit(edit) = &linked.content {
            self.apply_edit(edit, (linked.entry, linked.author), false)?;
        }
        self.log.admit(&mut self.gate, &linked)?;
        if linked.author != self.me {
            let begins = (linked.entry.seq == 1).then(|| self.log.living_of(&linked.author));
            let bytes = linked.body.len();
            self.budgets.written(&linked.author, bytes, begins, self.now.mono_ms);
        }
        if linked.author == self.me {
            self.past.came(linked.entry.chain, linked.entry.seq == 1, self.now.mono_ms);
        }
        self.outbox.store(&mut linked);
        self.narrow.something_is_new();
        if show {
            self.show(&linked);
        }
        Ok(())
    }

    /// Lets the views, the clock and the observers know of an entry that is in the log.
    pub(super) fn show(&mut self, linked: &Linked) {
        let Some(chain) = self.log.chain(&linked.entry.chain) else { return };
        let (author, document) = (chain.device, chain.document.clone());
        if linked.entry.seq == 1 {
            let certificate = chain.certificate.clone();
            self.peers.meet(&certificate);
        }
        self.intake.lives_changed |= self.log.may_tell_of_pasts(&linked.entry);
        if author == self.me {
            self.note_key(linked);
            self.note_act(linked);
        }
        self.see_time(author, &document, linked.at);
        self.peers.wrote(author, linked.at, self.now);
        let record = match &linked.content {
            Admitted::Edit(_) => {
                let (at_ms, entry, by) = (linked.at.ms(), linked.entry, author);
                if self.trust.is_late(&by, &entry) {
                    self.tell_incident(at_ms, entry, late_edit(entry, by));
                    return;
                }
                let by_name = self.name_of(&by);
                self.outbox.tell(Fact::ProgrammeChanged { at_ms, entry, by, by_name });
                return;
            }
            Admitted::Record(record) => record,
        };
        if document == Document::Devices {
            if let Body::Renewal(renewal) = &record.body {
                self.show_renewal(linked.entry, author, record.at.ms(), renewal);
            }
            self.show_trust(linked, author, record);
            return;
        }
        if document == Document::People {
            self.show_people(linked, record);
            return;
        }
        let Some(drop) = document.drop() else { return };
        self.hear_of_pins(drop, author, linked.entry, record);
        let event = Event { entry: linked.entry, drop, author, hash: linked.hash, record };
        self.done.shown += 1;
        let effect = self.holdings.apply(&event);
        if self.plant.has(Planted::FoldAnew) {
            let anew = self.holdings_anew();
            self.replace_holdings(anew);
        }
        self.note_rate(author, linked.at, &event);
        self.note_receipt(author, linked.entry, record);
        self.note_payments(linked.entry, &record.body);
        let breach = self.holdings.breach_by(&linked.entry).map(str::to_owned);
        if let Some(text) = breach {
            self.tell_incident(record.at.ms(), linked.entry, text);
        }
        match effect {
            Effect::None | Effect::Applied => {}
            Effect::Contested(texts) | Effect::Doubled(texts) => {
                for text in texts {
                    self.tell_incident(record.at.ms(), linked.entry, text);
                }
            }
            Effect::Void(text) => {
                self.tell_incident(record.at.ms(), linked.entry, text);
                return;
            }
        }
        if let Body::PaymentSettled(settled) = &record.body
            && let Some(text) = self.settled_by_stranger(linked.entry, &author, &settled.claim)
        {
            self.tell_incident(record.at.ms(), linked.entry, text);
        }
        if let Body::Transfer(transfer) = &record.body
            && transfer.to == self.me
            && self.holdings.parcel(&linked.entry).is_some_and(|parcel| !parcel.received)
        {
            self.intake.received.push((document.clone(), linked.entry));
            if let Some(aside) = &transfer.aside {
                self.carts.came(linked.entry, self.now.mono_ms + aside.left_ms);
            }
            if let Some(Cause::Wish { left_ms, .. }) = transfer.cause {
                self.wishes.came(linked.entry, self.now.mono_ms + left_ms);
            }
            self.asks.given(author);
        }
        if author == self.me || gives_to(&record.body) == Some(self.me) {
            self.may_pass_on();
        }
        self.note_late(&event);
        if gives_to(&record.body) == Some(self.me) {
            self.may_be_over();
        }
        self.intake.heirless |= match &record.body {
            Body::Transfer(transfer) => self.is_retired(&transfer.to),
            Body::Sale(sale) => sale.pickup_at.is_some_and(|device| self.is_retired(&device)),
            Body::Custody(custody) => self.is_retired(&custody.to),
            Body::Refund(_) => self.is_retired(&author),
            _ => false,
        };
        match &record.body {
            Body::RefundRequest(request) if self.plant.has(Planted::RefundOnWord) => {
                self.intake.regained.insert(request.claim);
            }
            Body::Custody(custody) if custody.to == self.me => {
                self.intake.regained.insert(custody.claim);
            }
            _ => {}
        }
        if let Some(fact) = self.fact_of(&event) {
            self.outbox.tell(fact);
        }
    }

    /// Says which transfers have arrived, once in the same write as the transfers themselves.
    pub(super) fn acknowledge(&mut self) {
        let mut by_document: BTreeMap<Document, Vec<Ref>> = BTreeMap::new();
        for (document, transfer) in std::mem::take(&mut self.intake.received) {
            if self.holdings.parcel(&transfer).is_some_and(|parcel| !parcel.received) {
                by_document.entry(document).or_default().push(transfer);
            }
        }
        for (document, transfers) in by_document {
            for some in transfers.chunks(crate::record::MAX_LINES) {
                let received = crate::record::Received { transfers: some.to_vec() };
                // Not to be able to say so loses nothing: the units can be sold, which says it too.
                let _ = self.write(&document, Body::Received(received));
            }
        }
    }

    /// When an entry of the log was written, Unix milliseconds; now if it is not there, or no record.
    pub(super) fn time_of(&self, entry: &Ref) -> u64 {
        let body = self.log.chain(&entry.chain).and_then(|chain| chain.body(entry.seq));
        body.and_then(|body| Record::decode(body).ok())
            .map_or_else(|| self.time_ms(), |record| record.at.ms())
    }

    /// The devices that this device knows to have written or to be there.
    pub(super) fn name_of(&self, device: &DeviceId) -> String {
        self.peers.name(device)
    }
}

/// Who gets stock or custody by a record.
fn gives_to(body: &Body) -> Option<DeviceId> {
    match body {
        Body::Transfer(transfer) => Some(transfer.to),
        Body::Sale(sale) => sale.pickup_at,
        Body::Custody(custody) => Some(custody.to),
        _ => None,
    }
}
