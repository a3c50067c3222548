//! Receipts: each sale and each refund has one; this device's are numbered on from the last that it knows of its own.

use super::Device;
use super::payments::{paid_back, prices_of, sum_of, taxes_back, taxes_of};
use crate::clock::Hlc;
use crate::command::Refusal;
use crate::id::{DeviceId, ReceiptHash, Ref};
use crate::log::Chain;
use crate::query::{
    IncidentKind, Part, Pickup, Receipt, ReceiptFilter, ReceiptItem, ReceiptKind, ReceiptPlace, ReceiptRun,
};
use crate::receipt::{self, ReceiptLink};
use crate::record::{Body, Line, Record, Refund, Sale};
use crate::tax::Prices;
use crate::units::UnitSet;

/// Of a record: what a receipt shows of it.
struct Shown {
    kind: ReceiptKind,
    claim: Ref,
    link: ReceiptLink,
}

fn there_twice(device: &DeviceId, run: &receipt::Run, number: u64) -> Option<(Ref, String)> {
    let entries: Vec<Ref> = run.at(number).collect();
    let all: Vec<String> = entries.iter().map(Ref::to_string).collect();
    let text = format!(
        "receipt {number} of {} is there {} times, as {}: the device was restored or copied",
        device.short(),
        all.len(),
        all.join(" and ")
    );
    Some((*entries.last()?, text))
}

fn follows_not(device: &DeviceId, number: u64, entry: Ref) -> (Ref, String) {
    let (who, before) = (device.short(), number.saturating_sub(1));
    (entry, format!("receipt {number} of {who}, {entry}, does not follow from its receipt {before}"))
}

impl Device {
    /// The number of this device's next receipt, and what it follows.
    pub(super) fn next_receipt(&self) -> ReceiptLink {
        // One that only the mark knows of was written, too.
        match self.past.last_receipt(self.last_receipt) {
            // A device that has written as many receipts as 64 bits count does not exist.
            Some((number, hash)) => ReceiptLink { number: number.saturating_add(1), previous: Some(hash) },
            None => ReceiptLink::FIRST,
        }
    }

    fn receipt_hash(&self, chain: &Chain, entry: &Ref) -> Option<ReceiptHash> {
        Some(receipt::hash(&self.gate.event(), &chain.device, entry, chain.body(entry.seq)?))
    }

    /// Takes note of the receipt of an entry that is in the log. This device's own can come back to it from others, too.
    pub(super) fn note_receipt(&mut self, author: DeviceId, entry: Ref, record: &Record) {
        let Some(link) = ReceiptLink::of(record) else { return };
        let hash = self.log.chain(&entry.chain).and_then(|chain| self.receipt_hash(chain, &entry));
        let Some(hash) = hash else { return };
        if author == self.me && self.last_receipt.is_none_or(|(last, _)| last < link.number) {
            self.last_receipt = Some((link.number, hash));
        }
        let (log, event) = (&self.log, self.gate.event());
        let broken = self.receipts.take(author, (link, hash), entry, |entry| {
            let chain = log.chain(&entry.chain)?;
            let body = chain.body(entry.seq)?;
            let link = ReceiptLink::of(&Record::decode(body).ok()?)?;
            Some((link, receipt::hash(&event, &chain.device, entry, body)))
        });
        if broken {
            // What is wrong can be this one, or the next that is there already.
            let of = |number| self.receipt_incidents_at(&author, number).pop();
            let text = of(link.number).or_else(|| of(link.number.saturating_add(1)));
            let text = text.map(|(_, text)| text).unwrap_or_default();
            self.tell_incident(record.at.ms(), entry, text);
        }
    }

    fn receipt_incidents(&self, device: &DeviceId) -> Vec<(Ref, String)> {
        let Some(run) = self.receipts.of(device) else { return Vec::new() };
        let twice = run.twice().filter_map(|number| there_twice(device, run, number));
        let unlinked = run.unlinked().map(|(number, entry)| follows_not(device, number, entry));
        twice.chain(unlinked).collect()
    }

    /// Those of the receipts of one number.
    fn receipt_incidents_at(&self, device: &DeviceId, number: u64) -> Vec<(Ref, String)> {
        let Some(run) = self.receipts.of(device) else { return Vec::new() };
        let twice = run.is_twice(number).then(|| there_twice(device, run, number)).flatten();
        let unlinked = run.unlinked_at(number).map(|entry| follows_not(device, number, entry));
        twice.into_iter().chain(unlinked).collect()
    }

    /// Proven breaches and doubts about money: the entry, what kind it is of, what it is in words, and the claim that it is about.
    pub(super) fn money_incidents(&self) -> Vec<(Ref, IncidentKind, String, Option<Ref>)> {
        let broken = self.receipts.runs().filter(|(_, run)| run.is_broken());
        let receipts = broken.flat_map(|(device, _)| self.receipt_incidents(device));
        let receipts = receipts.map(|(entry, text)| (entry, IncidentKind::Receipts, text, None));
        let doubts = self.deferred.doubts();
        let doubts = doubts.map(|(entry, text, claim)| (entry, IncidentKind::Payment, text, claim));
        receipts.chain(doubts).collect()
    }

    /// The receipts of each device.
    pub(super) fn receipt_runs(&self) -> Vec<ReceiptRun> {
        let run = |(device, run): (&DeviceId, &receipt::Run)| ReceiptRun {
            device: *device,
            name: self.name_of(device),
            count: run.count(),
            last: run.last(),
            missing: run.missing(),
            twice: run.twice().collect(),
            unlinked: run.unlinked().map(|(number, _)| number).collect(),
        };
        self.receipts.runs().map(run).collect()
    }

    pub(super) fn list_receipts(&self, filter: &ReceiptFilter) -> Part<Receipt, ReceiptPlace> {
        let device = filter.device.unwrap_or(self.me);
        let after = filter.after.map(|after| (after.number, after.entry));
        let newest = self.receipts.of(&device).into_iter().flat_map(|run| run.newest(after));
        let coming = newest
            .filter_map(|(number, entry)| Some((ReceiptPlace { number, entry }, self.receipt(entry)?)))
            .filter(|(_, receipt)| filter.since.is_none_or(|since| receipt.at_ms >= since));
        Part::of(coming, filter.limit)
    }

    pub(super) fn find_receipt(&self, device: Option<DeviceId>, number: u64) -> Result<Receipt, Refusal> {
        let device = device.unwrap_or(self.me);
        let entry = self.receipts.of(&device).and_then(|run| run.at(number).next());
        let receipt = entry.and_then(|entry| self.receipt(entry));
        receipt.ok_or_else(|| Refusal::UnknownReceipt { number, device, name: self.name_of(&device) })
    }

    /// The receipt that an entry is.
    fn receipt(&self, entry: Ref) -> Option<Receipt> {
        let chain = self.log.chain(&entry.chain)?;
        let Record { at, body, .. } = Record::decode(chain.body(entry.seq)?).ok()?;
        match body {
            Body::Sale(sale) => {
                let lines =
                    sale.lines.iter().map(|line| Line { parcel: line.parcel, units: line.units.clone() });
                let lines: Vec<Line> = lines.collect();
                let shown = Shown { kind: ReceiptKind::Sale, claim: entry, link: sale.receipt };
                let mut receipt = self.shown(chain, entry, at, shown, &sale, &lines)?;
                receipt.payments = self.payment_infos(&entry, &chain.device, &sale);
                receipt.total = sale.total()?;
                receipt.taxes = taxes_of(&sale);
                receipt.pickup = sale.pickup_at.map(|device| Pickup {
                    device,
                    name: self.name_of(&device),
                    place: self.peers.certificate(&device).map(|certificate| certificate.venue.clone()),
                });
                Some(receipt)
            }
            Body::Refund(refund) => {
                let (_, _, sale) = self.sale(&refund.claim)?;
                let shown = Shown { kind: ReceiptKind::Refund, claim: refund.claim, link: refund.receipt };
                let mut receipt = self.shown(chain, entry, at, shown, &sale, &refund.lines)?;
                receipt.total = refunded(&refund);
                receipt.taxes = taxes_back(&sale, &refund.lines, &refund.back);
                receipt.paid_back = paid_back(&refund.back);
                Some(receipt)
            }
            _ => None,
        }
    }

    fn shown(
        &self,
        chain: &Chain,
        entry: Ref,
        at: Hlc,
        Shown { kind, claim, link }: Shown,
        sale: &Sale,
        lines: &[Line],
    ) -> Option<Receipt> {
        let run = self.receipts.of(&chain.device)?;
        Some(Receipt {
            event: self.gate.event(),
            event_name: self.config.charter.charter().name.clone(),
            device: chain.device,
            device_name: self.name_of(&chain.device),
            venue: chain.certificate.venue.clone(),
            number: link.number,
            entry,
            kind,
            at_ms: at.ms(),
            claim,
            drop: chain.document.drop()?.clone(),
            currency: self.config.charter.charter().currency,
            items: self.receipt_items(sale, lines),
            prices: sale.taxes.as_ref().map_or(Prices::Included, |taxes| taxes.prices),
            taxes: Vec::new(),
            total: 0,
            payments: Vec::new(),
            paid_back: Vec::new(),
            pickup: None,
            previous: link.previous,
            hash: self.receipt_hash(chain, &entry)?,
            twice: run.at(link.number).filter(|other| *other != entry).collect(),
        })
    }

    /// One line for the units of a lot at a price, wherever they came from.
    fn receipt_items(&self, sale: &Sale, units: &[Line]) -> Vec<ReceiptItem> {
        let mut items: Vec<(Ref, i64, usize, UnitSet)> = Vec::new();
        for (index, line) in sale.lines.iter().enumerate() {
            let Some(lot) = self.holdings.parcel(&line.parcel).map(|parcel| parcel.lot) else { continue };
            let mut of_line = UnitSet::default();
            for units in units.iter().filter(|units| units.parcel == line.parcel) {
                of_line.insert_all(&units.units.intersection(&line.units));
            }
            if of_line.is_empty() {
                continue;
            }
            let rate = sale.taxes.as_ref().map_or(0, |taxes| taxes.rate_of(index));
            let same = |(of, price, at, _): &&mut (Ref, i64, usize, UnitSet)| {
                (*of, *price, *at) == (lot, line.unit_price, rate)
            };
            match items.iter_mut().find(same) {
                Some((.., sum)) => sum.insert_all(&of_line),
                None => items.push((lot, line.unit_price, rate, of_line)),
            }
        }
        let item = |(lot, unit_price, rate, units): (Ref, i64, usize, UnitSet)| {
            let lot = self.holdings.lot(&lot)?;
            let rates = sale.taxes.as_ref().map(|taxes| &taxes.rates);
            let name = self.programme.products().get(&lot.sku).map(|product| product.name.clone());
            Some(ReceiptItem {
                sku: lot.sku.clone(),
                name: name.unwrap_or_else(|| lot.sku.to_string()),
                quantity: units.len(),
                unit_price,
                amount: unit_price.saturating_mul(units.len() as i64),
                rate: rates.and_then(|rates| rates.get(rate)).map(|rate| rate.rate),
                serials: lot.numbered.then_some(units),
                edition: lot.edition.clone(),
            })
        };
        items.into_iter().filter_map(item).collect()
    }

    /// Refunds that give back something else than what their units cost, in words.
    pub(super) fn refund_problem(&self, entry: &Ref, refund: &Refund) -> Option<String> {
        let (_, _, sale) = self.sale(&refund.claim)?;
        let on_top = match &sale.taxes {
            Some(taxes) if taxes.prices == Prices::Excluded => sum_of(refund.back.taxes.iter().flatten()),
            _ => 0,
        };
        if refund.unclaimed == Some(true) && refund.back.parts.is_empty() {
            // A drop's rule can be that what nobody came for is not paid back.
            return None;
        }
        let (worth, back) = (prices_of(&sale, &refund.lines).saturating_add(on_top), refunded(refund));
        let currency = self.config.charter.charter().currency;
        (worth != back).then(|| {
            let (worth, back) = (currency.format(worth), currency.format(back));
            format!("refund {entry} gives {back} back for {worth}")
        })
    }
}

/// What a refund comes to, paid out or not.
pub(super) fn refunded(refund: &Refund) -> i64 {
    refund.back.parts.iter().fold(0, |sum, part| sum.saturating_add(part.amount))
}
