//! Writes entries of this device's own: one chain for each document and life, signed once a batch.

use super::Device;
use super::outbox::{Fresh, OpenBatch};
use crate::change::RUN;
use crate::command::Refusal;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::io::{Entry, Output, StoredReply};
use crate::log::{Admitted, Fault, MAX_RANGE_BYTES, Range, STRETCH_BYTES, own_start, signed_message};
use crate::message::{Entries, Gossip, MAX_GOSSIP, Message, encode};
use crate::programme::{Authorship, EditError, Programme};
use crate::record::{Body, Record};

impl Device {
    /// Writes a record into this device's chain in `document`, which it begins if need be.
    ///
    /// # Errors
    /// [`Refusal::Retired`] or [`Refusal::Suspended`] if this device may not; or what the log says.
    pub(super) fn write(&mut self, document: &Document, body: Body) -> Result<Ref, Refusal> {
        self.check_not_retired()?;
        // Whatever it writes says after what: a life that follows an old entry would look like a copy's.
        self.check_past()?;
        if body.spends() {
            self.check_not_suspended()?;
        }
        let chain = match self.own.get(document) {
            Some(chain) => *chain,
            None => {
                let chain = self.new_chain(document)?;
                let previous = self.log.last_of(&self.me, document);
                let start = own_start(document, &self.config.certificate, self.config.nonce, previous);
                self.append_record(chain, Body::Start(start))?;
                self.own.insert(document.clone(), chain);
                chain
            }
        };
        self.append_record(chain, body)
    }

    /// The id of this life's chain in a document that it has not written to.
    ///
    /// # Errors
    /// [`Refusal::NotStored`] if somebody else leads this life: then this device begins another.
    fn new_chain(&mut self, document: &Document) -> Result<ChainId, Refusal> {
        let chain = ChainId::derive(&self.me, &self.config.nonce, &document.to_string());
        if self.log.chain(&chain).is_none() && self.log.cut_at(&chain).is_none() {
            return Ok(chain);
        }
        let problem =
            "another device runs with the key of this one, and goes on where it began; this one begins anew";
        self.begin_anew(problem);
        Err(Refusal::NotStored { problem: problem.to_owned() })
    }

    /// The entry that the next record in a document of this device's will be.
    pub(super) fn next_entry(&self, document: &Document) -> Ref {
        match self.own.get(document) {
            Some(chain) => {
                Ref { chain: *chain, seq: self.log.chain(chain).map_or(0, |chain| chain.len()) + 1 }
            }
            // A start comes before it.
            None => {
                Ref { chain: ChainId::derive(&self.me, &self.config.nonce, &document.to_string()), seq: 2 }
            }
        }
    }

    fn append_record(&mut self, chain: ChainId, body: Body) -> Result<Ref, Refusal> {
        // A start is nobody's command, and a wrong PIN is written down although the command is refused.
        let key = self.doing.filter(|_| !matches!(body, Body::Start(_) | Body::WrongPin(_)));
        let record = Record { at: self.clock.next(self.now), body, key };
        self.append_own(chain, record.encode(), None)
    }

    /// Makes a change of the programme.
    pub(super) fn write_programme(
        &mut self,
        edit: impl FnOnce(&mut Programme, &Authorship<'_>) -> Result<Vec<u8>, EditError>,
    ) -> Result<Ref, Refusal> {
        self.check_past()?;
        let document = Document::Programme;
        let chain = match self.own.get(&document) {
            Some(chain) => *chain,
            None => self.new_chain(&document)?,
        };
        let start = match self.own.get(&document) {
            Some(_) => None,
            None => {
                let previous = self.log.last_of(&self.me, &document);
                Some(own_start(&document, &self.config.certificate, self.config.nonce, previous))
            }
        };
        let authorship =
            Authorship { chain, at: self.clock.next(self.now), start: start.as_ref(), key: self.doing };
        // Automerge makes a change by applying it. One that the log then does not take must leave no trace: what is
        // not in the log is on no other device, and every later change would depend on it.
        let before = self.programme.clone();
        let made = edit(&mut self.programme, &authorship)
            .map_err(|error| Refusal::Invalid { field: "programme".to_owned(), problem: error.to_string() });
        let written = made.and_then(|bytes| self.append_own(chain, bytes, Some(())));
        match &written {
            Ok(_) => {
                self.own.insert(document, chain);
            }
            Err(_) => self.programme = before,
        }
        written
    }

    fn append_own(&mut self, chain: ChainId, body: Vec<u8>, sign: Option<()>) -> Result<Ref, Refusal> {
        let refusal =
            |fault: Fault| Refusal::Invalid { field: "entry".to_owned(), problem: fault.to_string() };
        let seq = self.log.chain(&chain).map_or(0, |chain| chain.len()) + 1;
        let entry = Entry { chain, seq, body, signature: None };
        let tip = self.log.tip(&chain);
        let mut linked = self.log.link_stored(&mut self.gate, entry, tip).map_err(refusal)?;
        if sign.is_some() {
            linked.signature = Some(self.sign(&Document::Programme, &linked.hash));
        }
        self.log.admit(&mut self.gate, &linked).map_err(refusal)?;
        let open = &mut self.outbox.open;
        if !open.own.iter().any(|(own, _)| *own == chain) {
            open.own.push((chain, seq));
        }
        if let Admitted::Record(Record { body: Body::Transfer(transfer), .. }) = &linked.content {
            open.given_to.insert(transfer.to);
        }
        self.outbox.store(&mut linked);
        self.show(&linked);
        Ok(linked.entry)
    }

    fn sign(&self, document: &Document, hash: &Hash) -> crate::identity::Signature {
        let message = signed_message(&self.gate.event(), document, hash);
        self.gate.signatures().sign(&self.config.secret, &message)
    }

    /// Puts the outcome of a command into the same write as what it did.
    pub(super) fn keep_reply(
        &mut self,
        idempotency: Option<crate::io::Idempotency>,
        reply: &crate::command::Reply,
    ) {
        if let Some(idempotency) = idempotency {
            self.outbox.open.replies.push(StoredReply { idempotency, reply: reply.clone() });
        }
    }

    /// Signs and hands over the batch that is due.
    pub(super) fn close_batch(&mut self) -> Option<Output> {
        if self.failed.is_some() {
            return None;
        }
        if self.forks.reopen.is_some() {
            self.outbox.press();
        }
        let (batch, mut open) = self.outbox.due(self.now.mono_ms)?;
        for (id, first) in &open.own {
            let Some(chain) = self.log.chain(id) else { continue };
            let (document, last) = (chain.document.clone(), chain.len());
            if document == Document::Programme {
                continue;
            }
            let mut begun = first - 1;
            let ends = (*first..=last).filter(|seq| {
                let far = chain.bytes_between(begun, *seq) > STRETCH_BYTES;
                let is_end = seq % RUN == 0 || *seq == last || far;
                begun = if is_end { *seq } else { begun };
                is_end
            });
            let signed: Vec<(u64, Hash)> = ends.filter_map(|seq| Some((seq, *chain.hash(seq)?))).collect();
            for (seq, hash) in signed {
                let signature = self.sign(&document, &hash);
                self.log.vouch(&Ref { chain: *id, seq }, signature);
                let entry =
                    open.entries.iter_mut().rev().find(|entry| entry.chain == *id && entry.seq == seq);
                if let Some(entry) = entry {
                    entry.signature = Some(signature);
                }
            }
        }
        let mark = self.marking(&open.own, open.marks);
        self.outbox.fresh = Some(Fresh {
            batch,
            own: std::mem::take(&mut open.own),
            given_to: std::mem::take(&mut open.given_to),
        });
        let OpenBatch { entries, replies, sealed, facts, .. } = open;
        Some(Output::Store { batch, entries, replies, sealed, facts, mark })
    }

    /// Lines up the gossip of the write under way for when it is stored.
    pub(super) fn announce(&mut self) {
        let Some(Fresh { batch, own, given_to }) = self.outbox.fresh.take() else { return };
        let mut fresh: Vec<Range> = Vec::new();
        for (id, first) in &own {
            let mut have = first - 1;
            while let Some(range) =
                self.log.chain(id).and_then(|chain| chain.range_after(have, MAX_RANGE_BYTES))
            {
                have += range.bodies.len();
                fresh.push(range);
            }
        }
        if fresh.is_empty() {
            return;
        }
        self.narrow.something_is_new();
        let directly = |to: &DeviceId| self.peers.is_linked(to) && !self.narrow.is_to(to);
        let given_to: Vec<_> = given_to.into_iter().filter(directly).collect();
        if !given_to.is_empty() {
            let entries = encode(&Message::Entries(Entries { ranges: fresh.clone(), more: false }));
            for to in given_to {
                self.outbox.hold(batch, Output::Send { to, bytes: entries.clone() });
            }
        }
        let gossip = encode(&Gossip::Live(fresh));
        if gossip.len() <= MAX_GOSSIP {
            self.outbox.hold(batch, Output::Publish { bytes: gossip });
        } else {
            self.sync.nudge_all(None);
        }
    }

    /// With a planted bug, tells everybody again what it wrote last.
    pub(super) fn gossip_on(&mut self) {
        let own = self.own.values().next_back().and_then(|chain| self.log.chain(chain));
        let last = own.and_then(|chain| chain.range_after(chain.len().saturating_sub(1), MAX_RANGE_BYTES));
        if let Some(range) = last {
            self.outbox.emit_now(Output::Publish { bytes: encode(&Gossip::Live(vec![range])) });
        }
    }
}
