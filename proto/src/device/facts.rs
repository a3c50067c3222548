//! What entries tell observers: made as an entry is shown, and put into the write that the entry is in.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::payments::paid_out;
use crate::document::Document;
use crate::fact::{Fact, FactItem, VoidedBy};
use crate::holdings::{Event, spent_lines};
use crate::id::{ChainId, DeviceId, Ref};
use crate::record::{Body, Record};
use crate::text::Sku;

/// Why entries stop counting: what is said with each that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) at_ms: u64,
    pub(super) entry: Ref,
    pub(super) why: VoidedBy,
}

impl Device {
    /// Tells of something that is wrong, by the entry that showed it.
    pub(super) fn tell_incident(&mut self, at_ms: u64, entry: Ref, text: String) {
        self.outbox.tell(Fact::Incident { at_ms, entry, text });
    }

    /// What an entry of a drop's documents tells, if it counts.
    pub(super) fn fact_of(&self, event: &Event<'_>) -> Option<Fact> {
        if !self.holdings.counts(&event.entry) {
            return None;
        }
        let (at_ms, entry) = (event.record.at.ms(), event.entry);
        let (drop, by, by_name) = (event.drop.clone(), event.author, self.name_of(&event.author));
        let spent = || self.fact_items(spent_lines(&event.record.body));
        Some(match &event.record.body {
            Body::Sale(sale) => Fact::Sold {
                at_ms,
                entry,
                claim: entry,
                drop,
                by,
                by_name,
                items: spent(),
                amount: sale.total().unwrap_or(0),
                pickup_at: sale.pickup_at.map(|device| self.name_of(&device)),
            },
            // What is put into a cart changes no hands.
            Body::Transfer(transfer) if transfer.to == by => return None,
            Body::Transfer(transfer) => Fact::Transferred {
                at_ms,
                entry,
                drop,
                from: by,
                from_name: by_name,
                to: transfer.to,
                to_name: self.name_of(&transfer.to),
                items: spent(),
            },
            Body::Inherit(_) => Fact::TakenOver { at_ms, entry, drop, by, by_name, items: spent() },
            Body::Move(moved) => {
                Fact::Moved { at_ms, entry, drop, by, by_name, place: moved.place.clone(), items: spent() }
            }
            Body::Damage(_) => Fact::Damaged { at_ms, entry, drop, by, by_name, items: spent() },
            Body::Mint(mint) => {
                let units = u64::from(mint.last) - u64::from(mint.first) + 1;
                let items = vec![self.fact_item(mint.sku.clone(), units)];
                Fact::Minted { at_ms, entry, lot: entry, drop, by, by_name, items }
            }
            Body::Redeem(redeem) => {
                let (claim, items) = (redeem.claim, self.items_of_claim(&redeem.claim));
                Fact::Redeemed { at_ms, entry, claim, drop, by, by_name, items }
            }
            Body::Refund(refund) => Fact::Refunded {
                at_ms,
                entry,
                claim: refund.claim,
                drop,
                by,
                by_name,
                items: self.fact_items(refund.lines.iter().map(|line| (line.parcel, &line.units))),
                amount: paid_out(std::slice::from_ref(refund)),
                damaged: refund.damaged,
            },
            Body::RefundRequest(request) => {
                // However many ask, it is told once.
                let first = self.holdings.claim(&request.claim).and_then(|known| known.request_for_refund());
                first.filter(|first| first.entry == entry)?;
                let (claim, items) = (request.claim, self.items_of_claim(&request.claim));
                Fact::RefundRequested { at_ms, entry, claim, drop, by, by_name, items }
            }
            Body::Custody(custody) => Fact::CustodyMoved {
                at_ms,
                entry,
                claim: custody.claim,
                drop,
                by,
                by_name,
                to: custody.to,
                to_name: self.name_of(&custody.to),
                items: self.items_of_claim(&custody.claim),
            },
            Body::Door(door) => {
                let opening = self.holdings.opening(&door.redemption)?;
                let (claim, state) = (opening.claim, opening.state());
                let items = self.items_of_claim(&claim);
                Fact::Door { at_ms, entry, claim, drop, by, by_name, state, items }
            }
            Body::Step(step) => {
                let (step, venue, round) = (step.kind, step.venue.clone(), step.round);
                Fact::Step { at_ms, entry, drop, step, venue, round, by, by_name }
            }
            // What anybody else says of it is an incident.
            Body::PaymentSettled(settled) if !self.is_sellers(&settled.claim, &by, event.drop) => {
                return None;
            }
            Body::PaymentSettled(settled) => Fact::PaymentSettled {
                at_ms,
                entry,
                claim: settled.claim,
                drop,
                by,
                by_name,
                payment: u32::from(settled.payment),
                amount: self.amount_of_payment(&settled.claim, settled.payment),
                failed: settled.failed,
            },
            _ => return None,
        })
    }

    fn amount_of_payment(&self, claim: &Ref, payment: u8) -> Option<i64> {
        let record = self.record_of(claim)?;
        let Body::Sale(sale) = &record.body else { return None };
        let index = usize::from(payment).checked_sub(1)?;
        sale.parts().get(index).map(|part| part.amount)
    }

    fn record_of(&self, entry: &Ref) -> Option<Record> {
        Record::decode(self.log.chain(&entry.chain)?.body(entry.seq)?).ok()
    }

    fn items_of_claim(&self, claim: &Ref) -> Vec<FactItem> {
        let sold = self.holdings.claim(claim).and_then(|claim| claim.sold());
        self.fact_items(
            sold.iter().flat_map(|sold| sold.units.iter().map(|(parcel, units)| (*parcel, units))),
        )
    }

    /// Units by SKU.
    fn fact_items<'a>(
        &self,
        lines: impl IntoIterator<Item = (Ref, &'a crate::units::UnitSet)>,
    ) -> Vec<FactItem> {
        let mut by_sku: BTreeMap<Sku, u64> = BTreeMap::new();
        for (parcel, units) in lines {
            let lot = self.holdings.parcel(&parcel).and_then(|parcel| self.holdings.lot(&parcel.lot));
            if let Some(lot) = lot {
                *by_sku.entry(lot.sku.clone()).or_default() += units.len();
            }
        }
        by_sku.into_iter().map(|(sku, units)| self.fact_item(sku, units)).collect()
    }

    fn fact_item(&self, sku: Sku, units: u64) -> FactItem {
        let name = self.programme.products().get(&sku).map(|product| product.name.clone());
        FactItem { sku, name, units }
    }

    /// What an entry of a document that belongs to no drop tells, while it counts.
    pub(super) fn fact_of_trust(&self, entry: Ref, author: DeviceId, record: &Record) -> Option<Fact> {
        let at_ms = record.at.ms();
        let (by, by_name) = (author, self.name_of(&author));
        Some(match &record.body {
            Body::Retire(retire) => {
                let (device, name) = (retire.device, self.name_of(&retire.device));
                Fact::Retired { at_ms, entry, device, name, by, by_name }
            }
            Body::Entrust(entrust) => {
                let (device, name) = (entrust.to, self.name_of(&entrust.to));
                Fact::Entrusted { at_ms, entry, device, name, by, by_name }
            }
            Body::Leave(leave) => {
                let to = leave.to.map(|to| self.name_of(&to));
                Fact::Left { at_ms, entry, device: by, name: by_name, to }
            }
            Body::Resolve(resolve) => {
                let (incident, note) = (resolve.incident, resolve.note.clone());
                Fact::IncidentSettled { at_ms, entry, incident, note, by, by_name }
            }
            Body::Personal(personal) => {
                Fact::PersonalTaken { at_ms, entry, kind: personal.kind, by, by_name }
            }
            Body::Erase(_) => {
                let erased = |taken: &crate::people::Taken| taken.erased.is_some_and(|(_, by)| by == entry);
                let count = self.people.all().filter(|(_, taken)| erased(taken)).count() as u64;
                Fact::PersonalErased { at_ms, entry, by, by_name, count }
            }
            _ => return None,
        })
    }

    /// What an entry of the log, whatever its document, tells now.
    fn fact_now(&self, entry: Ref) -> Option<Fact> {
        let chain = self.log.chain(&entry.chain)?;
        let record = Record::decode(chain.body(entry.seq)?).ok()?;
        let author = chain.device;
        match (&chain.document, chain.document.drop()) {
            (_, Some(drop)) => {
                let hash = *chain.hash(entry.seq)?;
                self.fact_of(&Event { entry, drop, author, hash, record: &record })
            }
            (Document::Devices, _) if self.trust.rights().void_by(&entry).is_some() => None,
            _ => self.fact_of_trust(entry, author, &record),
        }
    }

    /// Tells that what the entries of a chain from `first` on have told counts no more. To be called while they still do.
    pub(super) fn void_chain(&mut self, chain: &ChainId, first: u64, cause: Cause) {
        let last = self.log.chain(chain).map_or(0, |chain| chain.len());
        for seq in first..=last {
            let fact = self.fact_now(Ref { chain: *chain, seq });
            self.void(fact, cause);
        }
    }

    fn void(&mut self, fact: Option<Fact>, cause: Cause) {
        let Cause { at_ms, entry, why } = cause;
        if let Some(told) = fact.map(Box::new) {
            self.outbox.tell(Fact::Voided { at_ms, entry, why, told });
        }
    }

    /// Tells what stopped counting as the stock view was worked out anew, and what counts again.
    pub(super) fn tell_changes(&mut self, before: crate::holdings::Holdings, cause: Cause) {
        let stopped: BTreeSet<Ref> =
            self.holdings.uncounted().filter(|entry| before.counts(entry)).copied().collect();
        let counts = |entry: &&Ref| self.holdings.counts(entry) && self.log.has(entry);
        let counts_again: BTreeSet<Ref> = before.uncounted().filter(counts).copied().collect();
        let now = std::mem::replace(&mut self.holdings, before);
        let told: Vec<Option<Fact>> = stopped.into_iter().map(|entry| self.fact_now(entry)).collect();
        self.holdings = now;
        told.into_iter().for_each(|fact| self.void(fact, cause));
        for entry in counts_again {
            if let Some(fact) = self.fact_now(entry) {
                self.outbox.tell(fact);
            }
        }
    }
}
