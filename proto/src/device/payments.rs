//! How sales are paid: split over tenders, in coins that there are, and authorised later within a limit. And what of it
//! goes back.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use crate::command::{
    MAX_ITEMS, PaidBack, PaymentInfo, PaymentNew, PaymentState, Refusal, Reply, Sell, SettlePayment, Settled,
    Tender,
};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::money::in_coins;
use crate::payment::{
    Back, BackPart, MAX_PAYMENTS, MAX_REFERENCE, Payment, PaymentSettled, Payments, is_reference,
};
use crate::query::WaitingPayment;
use crate::record::{Body, Line, Record, Refund, Sale, SaleLine};
use crate::tax::{Prices, RateTax, TaxLine, Taxes, reckon, share};
use crate::text::Sku;

/// Payments that were to be authorised later: which still wait, and what a person must look at. A function of the set
/// of records.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    settlements: BTreeMap<Ref, BTreeSet<Ref>>,
    /// By claim: whether this device sold it, and how much waits.
    waiting: BTreeMap<Ref, (bool, i64)>,
    doubts: BTreeMap<Ref, Vec<(Ref, String)>>,
}

impl Deferred {
    /// What a person must look at: the entry that said so, in words, and the claim.
    pub(super) fn doubts(&self) -> impl Iterator<Item = (Ref, String, Option<Ref>)> {
        let of = |(claim, doubts): (&Ref, &Vec<(Ref, String)>)| {
            let claim = *claim;
            doubts.clone().into_iter().map(move |(entry, text)| (entry, text, Some(claim)))
        };
        self.doubts.iter().flat_map(of)
    }

    /// What of this device's own sales waits, minor units.
    pub(super) fn of_own(&self) -> i64 {
        let own = self.waiting.values().filter(|(own, _)| *own);
        own.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }
}

/// What a sale comes to, and how it is paid.
pub(super) struct Priced {
    pub(super) taxes: Option<Taxes>,
    pub(super) payments: Payments,
    pub(super) total: i64,
}

/// So many units of one SKU at one price.
pub(super) struct Good<'a> {
    pub(super) sku: &'a Sku,
    pub(super) unit_price: i64,
    pub(super) quantity: u64,
}

/// How far one payment of a claim is, minor units. `waiting`, `settled`, `failed` and `cancelled` make up a deferred one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) state: PaymentState,
    pub(super) waiting: i64,
    pub(super) settled: i64,
    pub(super) failed: i64,
    pub(super) cancelled: i64,
}

fn too_much() -> Refusal {
    invalid("items", "more money than can be written down; sell less at once")
}

impl Device {
    /// The total of goods with their tax, and the tax by rate if anything is taxed.
    fn taxed(&self, goods: &[Good<'_>]) -> Result<(Option<Taxes>, i64), Refusal> {
        let amount = |good: &Good<'_>| {
            let quantity = i64::try_from(good.quantity).ok()?;
            good.unit_price.checked_mul(quantity)
        };
        let amounts: Vec<i64> = goods.iter().map(amount).collect::<Option<_>>().ok_or_else(too_much)?;
        let sum =
            amounts.iter().try_fold(0i64, |sum, amount| sum.checked_add(*amount)).ok_or_else(too_much)?;
        let rate = |good: &Good<'_>| self.programme.products().get(good.sku).map_or(0, |product| product.tax);
        let rates: Vec<u16> = goods.iter().map(rate).collect();
        if rates.iter().all(|rate| *rate == 0) {
            return Ok((None, sum));
        }
        // Where units come from makes no line of its own.
        let mut lines: BTreeMap<(&Sku, i64), (u16, i64)> = BTreeMap::new();
        for ((good, rate), amount) in goods.iter().zip(&rates).zip(&amounts) {
            lines.entry((good.sku, good.unit_price)).or_insert((*rate, 0)).1 += amount;
        }
        let lines: Vec<(u16, i64)> = lines.into_values().collect();
        let rules = self.programme.rules();
        let taxed = reckon(&lines, rules.prices, rules.round).ok_or_else(too_much)?;
        if taxed.len() > MAX_ITEMS {
            return Err(invalid("items", format!("more than {MAX_ITEMS} tax rates in one sale")));
        }
        // Each rate is one of those, of which there are no more than 32.
        let of = |rate: &u16| taxed.iter().position(|tax| tax.rate == *rate).unwrap_or(0) as u8;
        let of = (taxed.len() > 1).then(|| rates.iter().map(of).collect());
        let taxes = Taxes { prices: rules.prices, rates: taxed, of };
        let total = taxes.on_top().and_then(|tax| sum.checked_add(tax)).ok_or_else(too_much)?;
        Ok((Some(taxes), total))
    }

    /// What goods come to, and how that is paid.
    pub(super) fn priced(&self, goods: &[Good<'_>], sell: &Sell) -> Result<Priced, Refusal> {
        let (taxes, total) = self.taxed(goods)?;
        Ok(Priced { taxes, total, payments: self.paid(sell, total)? })
    }

    /// The same for lines of a sale or a cart.
    pub(super) fn priced_lines(&self, lines: &[SaleLine], sell: &Sell) -> Result<Priced, Refusal> {
        let good = |line: &'_ SaleLine| {
            let lot = self.holdings.parcel(&line.parcel)?.lot;
            let sku = &self.holdings.lot(&lot)?.sku;
            Some(Good { sku, unit_price: line.unit_price, quantity: line.units.len() })
        };
        let goods: Option<Vec<Good<'_>>> = lines.iter().map(good).collect();
        self.priced(&goods.ok_or_else(|| invalid("items", "units of a lot that is not known here"))?, sell)
    }

    fn paid(&self, sell: &Sell, total: i64) -> Result<Payments, Refusal> {
        let coin = self.programme.rules().cash_coin;
        let short = sell.reference.is_none() && !sell.deferred && sell.given.is_none();
        if sell.payments.is_empty() && short && (sell.tender != Tender::Cash || coin == 1) {
            return Ok(Payments::Whole(sell.tender));
        }
        if !sell.payments.is_empty() && (!short || sell.tender != Tender::Cash) {
            return Err(invalid(
                "payments",
                "give either these, or tender with reference, deferred and given",
            ));
        }
        let whole = || PaymentNew {
            tender: sell.tender,
            amount: total,
            reference: sell.reference.clone(),
            deferred: sell.deferred,
            given: sell.given,
        };
        let (asked, listed) = match sell.payments.as_slice() {
            [] => (vec![whole()], false),
            payments => (payments.to_vec(), true),
        };
        if asked.len() > MAX_PAYMENTS {
            return Err(invalid("payments", format!("{} payments; {MAX_PAYMENTS} is the most", asked.len())));
        }
        let field = |index: usize, name: &str| {
            if listed { format!("payments[{index}].{name}") } else { name.to_owned() }
        };
        let mut paid = 0i64;
        for (index, payment) in asked.iter().enumerate() {
            check_payment(payment, |name| field(index, name))?;
            paid = paid.saturating_add(payment.amount);
        }
        if asked.iter().filter(|payment| payment.tender == Tender::Cash).count() > 1 {
            return Err(invalid("payments", "cash is there twice; give one payment in cash"));
        }
        let currency = self.config.charter.charter().currency;
        if paid != total {
            return Err(Refusal::PaymentsDiffer { total, paid, currency });
        }
        self.check_limit(
            asked.iter().filter(|payment| payment.deferred).map(|payment| payment.amount).sum(),
        )?;
        let parts = asked.into_iter().map(|payment| {
            let PaymentNew { tender, amount, reference, deferred, given } = payment;
            let due = if tender == Tender::Cash { in_coins(amount, coin) } else { amount };
            if let Some(given) = given.filter(|given| *given < due) {
                return Err(Refusal::CashShort { due, given, lacks: due - given.max(0), currency });
            }
            let rounding = Some(due - amount).filter(|rounding| *rounding != 0);
            Ok(Payment { tender, amount, deferred, rounding, given, reference })
        });
        Ok(Payments::of(parts.collect::<Result<_, Refusal>>()?))
    }

    /// Whether so much more may wait to be authorised on this device.
    fn check_limit(&self, more: i64) -> Result<(), Refusal> {
        let Some(limit) = self.programme.rules().limit_of(&self.me).filter(|_| more > 0) else {
            return Ok(());
        };
        let waiting = self.deferred.of_own();
        if waiting.saturating_add(more) <= limit {
            return Ok(());
        }
        let currency = self.config.charter.charter().currency;
        Err(Refusal::DeferredLimit { limit, waiting, left: limit.saturating_sub(waiting).max(0), currency })
    }

    /// Writes down what became of a payment that this device took and that waited to be authorised.
    pub(super) fn settle_payment(&mut self, settle: SettlePayment) -> Result<Reply, Refusal> {
        let SettlePayment { claim, payment, failed, reference } = settle;
        let unknown = Refusal::UnknownClaim { claim };
        let (chain, _, sale) = self.sale(&claim).ok_or_else(|| unknown.clone())?;
        if chain.device != self.me {
            let seller = self.name_of(&chain.device);
            return Err(invalid("claim", format!("{seller} took the payment, and says what became of it")));
        }
        if reference.as_deref().is_some_and(|text| !is_reference(text)) {
            return Err(bad_reference("reference"));
        }
        let drop = chain.document.drop().cloned().ok_or(unknown)?;
        let progress = self.progress(&claim, &self.me, &sale);
        let waits: Vec<usize> = (0..progress.len()).filter(|index| progress[*index].waiting > 0).collect();
        let index = match (payment, waits.as_slice()) {
            (Some(payment), _) => (payment as usize).checked_sub(1).filter(|index| waits.contains(index)),
            (None, [one]) => Some(*one),
            (None, []) => None,
            (None, several) => {
                let several: Vec<String> = several.iter().map(|index| (index + 1).to_string()).collect();
                return Err(invalid("payment", format!("several wait; name one of {}", several.join(", "))));
            }
        };
        let index = index.ok_or(Refusal::NotDeferred { claim, payment: payment.unwrap_or(1) })?;
        let (amount, number) = (progress[index].waiting, index as u8 + 1);
        let settled = PaymentSettled { claim, payment: number, amount, failed, reference };
        let entry = self.write(&Document::Claims(drop), Body::PaymentSettled(settled))?;
        Ok(Reply::Settled(Settled { entry, claim, payment: u32::from(number), amount, failed }))
    }

    /// The refunds of a claim that count, in order.
    pub(super) fn refunds_of(&self, claim: &Ref) -> Vec<Refund> {
        let Some(known) = self.holdings.claim(claim) else { return Vec::new() };
        let refund =
            |entry: &Ref| match Record::decode(self.log.chain(&entry.chain)?.body(entry.seq)?).ok()?.body {
                Body::Refund(refund) => Some(refund),
                _ => None,
            };
        known.counted_refunds().filter_map(|entry| refund(&entry)).collect()
    }

    /// What was said of a claim's payments, by whom and by which entry, in the order of their times.
    fn settlements_of(&self, claim: &Ref) -> Vec<(Ref, DeviceId, PaymentSettled)> {
        let entries = self.deferred.settlements.get(claim).into_iter().flatten();
        let drop = self.log.chain(&claim.chain).map(|chain| &chain.document);
        let mut settlements: Vec<_> = entries
            // Written after its author was retired.
            .filter(|entry| !self.holdings.is_void(entry))
            .filter_map(|entry| {
                let chain = self.log.chain(&entry.chain).filter(|chain| Some(&chain.document) == drop)?;
                let record = Record::decode(chain.body(entry.seq)?).ok()?;
                match record.body {
                    Body::PaymentSettled(settled) => Some((record.at, *entry, chain.device, settled)),
                    _ => None,
                }
            })
            .collect();
        settlements.sort_by_key(|(at, entry, ..)| (*at, *entry));
        settlements.into_iter().map(|(_, entry, device, settled)| (entry, device, settled)).collect()
    }

    /// How far each payment of a sale is.
    pub(super) fn progress(&self, claim: &Ref, seller: &DeviceId, sale: &Sale) -> Vec<Progress> {
        let parts = sale.parts();
        let taken =
            Progress { state: PaymentState::Approved, waiting: 0, settled: 0, failed: 0, cancelled: 0 };
        if !sale.payments.are_deferred() {
            return vec![taken; parts.len()];
        }
        let (refunds, settlements) = (self.refunds_of(claim), self.settlements_of(claim));
        let of = |(number, part): (u8, &Payment)| {
            if !part.deferred {
                return taken;
            }
            let backs = refunds.iter().flat_map(|refund| &refund.back.parts);
            let cancelled = backs.filter(|back| back.cancelled && back.payment == number);
            let cancelled =
                cancelled.fold(0i64, |sum, back| sum.saturating_add(back.amount)).min(part.amount);
            let rest = part.amount - cancelled;
            let said = settlements.iter().find(|(_, by, settled)| by == seller && settled.payment == number);
            match said {
                Some((_, _, settled)) if settled.failed => {
                    Progress { state: PaymentState::Failed, failed: rest, cancelled, ..taken }
                }
                Some((_, _, settled)) => {
                    let settled = settled.amount.min(part.amount);
                    let cancelled = part.amount - settled;
                    Progress { state: PaymentState::Settled, settled, cancelled, ..taken }
                }
                None if rest == 0 => Progress { state: PaymentState::Cancelled, cancelled, ..taken },
                None => Progress { state: PaymentState::Deferred, waiting: rest, cancelled, ..taken },
            }
        };
        (1..).zip(&parts).map(of).collect()
    }

    /// The payments of a claim, for people.
    pub(super) fn payment_infos(&self, claim: &Ref, seller: &DeviceId, sale: &Sale) -> Vec<PaymentInfo> {
        let progress = self.progress(claim, seller, sale);
        let info = |(part, progress): (Payment, Progress)| PaymentInfo {
            change: part.change(),
            tender: part.tender,
            amount: part.amount,
            rounding: part.rounding.unwrap_or(0),
            given: part.given,
            reference: part.reference,
            state: progress.state,
        };
        sale.parts().into_iter().zip(progress).map(info).collect()
    }

    /// Takes note of a record that may say something of deferred payments.
    pub(super) fn note_payments(&mut self, entry: Ref, body: &Body) {
        let claim = match body {
            Body::Sale(sale) if sale.payments.are_deferred() => entry,
            Body::Refund(refund) => refund.claim,
            Body::Custody(custody) => custody.claim,
            Body::Redeem(redeem) => redeem.claim,
            Body::PaymentSettled(settled) => {
                self.deferred.settlements.entry(settled.claim).or_default().insert(entry);
                settled.claim
            }
            _ => return,
        };
        let known =
            self.deferred.waiting.contains_key(&claim) || self.deferred.settlements.contains_key(&claim);
        if !known && claim != entry {
            return;
        }
        self.reckon_payments(claim);
    }

    /// Works out anew what waits to be authorised: other settlements and refunds count.
    pub(super) fn payments_anew(&mut self) {
        let known: BTreeSet<Ref> =
            self.deferred.waiting.keys().chain(self.deferred.settlements.keys()).copied().collect();
        known.into_iter().for_each(|claim| self.reckon_payments(claim));
    }

    fn reckon_payments(&mut self, claim: Ref) {
        let Some((chain, _, sale)) = self.sale(&claim) else { return };
        let seller = chain.device;
        let progress = self.progress(&claim, &seller, &sale);
        let waiting = progress.iter().fold(0i64, |sum, payment| sum.saturating_add(payment.waiting));
        let doubts = self.doubts_about(&claim, &seller, &sale, &progress);
        // A claim of which nothing waits now may wait again: a refund can come to count for nothing.
        self.deferred.waiting.insert(claim, (seller == self.me, waiting));
        self.deferred.doubts.remove(&claim);
        if !doubts.is_empty() {
            self.deferred.doubts.insert(claim, doubts);
        }
    }

    fn doubts_about(
        &self,
        claim: &Ref,
        seller: &DeviceId,
        sale: &Sale,
        progress: &[Progress],
    ) -> Vec<(Ref, String)> {
        let currency = self.config.charter.charter().currency;
        let parts = sale.parts();
        let mut said: BTreeSet<u8> = BTreeSet::new();
        let mut doubts = Vec::new();
        let refunds = self.refunds_of(claim);
        for (entry, by, settled) in self.settlements_of(claim) {
            let index = usize::from(settled.payment).saturating_sub(1);
            let what = format!("payment {} of claim {claim}", settled.payment);
            let (Some(part), Some(progress)) = (parts.get(index), progress.get(index)) else {
                doubts.push((entry, format!("settlement {entry} by {}: there is no {what}", by.short())));
                continue;
            };
            if !part.deferred || by != *seller {
                doubts.push((
                    entry,
                    format!("settlement {entry} of {what} by {}: it is not for it to say", by.short()),
                ));
                continue;
            }
            if !said.insert(settled.payment) {
                doubts.push((
                    entry,
                    format!("settlement {entry} of {what} by {}: it was settled before", by.short()),
                ));
                continue;
            }
            if progress.failed > 0 {
                let amount = currency.format(progress.failed);
                let name = settled.reference.as_ref().or(part.reference.as_ref());
                let name = name.map_or_else(String::new, |name| format!(", reference {name}"));
                let seller = seller.short();
                doubts
                    .push((entry, format!("{what}, {amount} by {}{name}, failed on {seller}", part.tender)));
            }
            let backs = refunds.iter().flat_map(|refund| &refund.back.parts);
            let cancelled = backs.filter(|back| back.cancelled && back.payment == settled.payment);
            let cancelled = cancelled.fold(0i64, |sum, back| sum.saturating_add(back.amount));
            let over = settled.amount.saturating_add(cancelled).saturating_sub(part.amount);
            if !settled.failed && over > 0 {
                let over = currency.format(over);
                doubts.push((entry, format!("{what} was taken after it was refunded: pay {over} back")));
            }
        }
        doubts
    }

    /// What waits to be authorised, everywhere.
    pub(super) fn waiting_payments(&self) -> Vec<WaitingPayment> {
        let currency = self.config.charter.charter().currency;
        let of = |claim: &Ref| {
            let (chain, at, sale) = self.sale(claim)?;
            let progress = self.progress(claim, &chain.device, &sale);
            let each = (1..).zip(sale.parts()).zip(progress).filter(|(_, progress)| progress.waiting > 0);
            let each = each.map(|((payment, part), progress)| WaitingPayment {
                claim: *claim,
                payment,
                seller: chain.device,
                seller_name: self.name_of(&chain.device),
                tender: part.tender,
                amount: progress.waiting,
                currency,
                reference: part.reference,
                at_ms: at.ms(),
            });
            Some(each.collect::<Vec<_>>())
        };
        let waiting = self.deferred.waiting.iter().filter(|(_, (_, amount))| *amount > 0);
        waiting.filter_map(|(claim, _)| of(claim)).flatten().collect()
    }

    /// What is given back for units of a claim: their price, their share of the tax, of the payments from the last to
    /// the first. Together with the refunds before, all of it is exactly what was paid.
    pub(super) fn back_for(&self, claim: &Ref, lines: &[Line]) -> Back {
        let Some((chain, _, sale)) = self.sale(claim) else { return Back::default() };
        let before = self.refunds_of(claim);
        let taxes = sale.taxes.as_ref().and_then(|taxes| {
            let whole = taxes.goods(&sale.lines)?;
            let now = goods_of(&sale, lines);
            let mut then = vec![0i64; now.len()];
            for refund in &before {
                then.iter_mut().zip(goods_of(&sale, &refund.lines)).for_each(|(sum, goods)| *sum += goods);
            }
            let each = taxes.rates.iter().zip(whole).zip(then.into_iter().zip(now));
            let each = each.filter(|(_, (_, now))| *now > 0).map(|((rate, whole), (then, now))| {
                let gone = before.iter().flat_map(|refund| refund.back.taxes.iter().flatten());
                let gone = sum_of(gone.filter(|gone| gone.rate == rate.rate));
                RateTax { rate: rate.rate, tax: (share(rate.tax, then + now, whole) - gone).max(0) }
            });
            Some(each.collect::<Vec<_>>())
        });
        let on_top = match &sale.taxes {
            Some(Taxes { prices: Prices::Excluded, .. }) => taxes.iter().flatten().map(|rate| rate.tax).sum(),
            _ => 0,
        };
        let mut left = prices_of(&sale, lines).saturating_add(on_top);
        let progress = self.progress(claim, &chain.device, &sale);
        let parts = sale.parts();
        let mut back = Vec::new();
        for (index, (part, progress)) in parts.iter().zip(progress).enumerate().rev() {
            let payment = index as u8 + 1;
            let gone =
                before.iter().flat_map(|refund| &refund.back.parts).filter(|gone| gone.payment == payment);
            let (gone, paid_out) = gone.fold((0i64, 0i64), |(gone, out), back| {
                (gone.saturating_add(back.amount), out.saturating_add(back.paid_out()))
            });
            let amount = left.min(part.amount.saturating_sub(gone));
            if amount <= 0 {
                continue;
            }
            left -= amount;
            let cancelled = matches!(progress.state, PaymentState::Deferred | PaymentState::Failed);
            let rounding = match part.tender {
                Tender::Cash => self.cash_back(part, gone + amount, paid_out) - amount,
                _ => 0,
            };
            let rounding = Some(rounding).filter(|rounding| *rounding != 0);
            back.push(BackPart { payment, tender: part.tender, amount, cancelled, rounding });
        }
        Back { parts: back, taxes: taxes.filter(|taxes| !taxes.is_empty()) }
    }

    /// How much cash is paid out now, once `gone` of a payment's amount has gone back, of which `paid_out` is paid: in
    /// coins that there are, and with the last all that was taken.
    fn cash_back(&self, part: &Payment, gone: i64, paid_out: i64) -> i64 {
        let taken = part.taken();
        let out = if gone >= part.amount {
            taken
        } else {
            in_coins(gone, self.programme.rules().cash_coin).min(taken)
        };
        out.saturating_sub(paid_out).max(0)
    }
}

/// Taxes together. Other devices' records may say anything.
pub(super) fn sum_of<'a>(taxes: impl Iterator<Item = &'a RateTax>) -> i64 {
    taxes.fold(0, |sum, rate| sum.saturating_add(rate.tax))
}

/// What units of a sale cost, by its tax rates.
fn goods_of(sale: &Sale, units: &[Line]) -> Vec<i64> {
    let Some(taxes) = &sale.taxes else { return Vec::new() };
    let mut goods = vec![0i64; taxes.rates.len()];
    for (index, line) in sale.lines.iter().enumerate() {
        if let Some(sum) = goods.get_mut(taxes.rate_of(index)) {
            *sum = sum.saturating_add(price_of(line, units));
        }
    }
    goods
}

/// What units of a sale cost.
pub(super) fn prices_of(sale: &Sale, units: &[Line]) -> i64 {
    sale.lines.iter().map(|line| price_of(line, units)).fold(0, i64::saturating_add)
}

fn price_of(line: &SaleLine, units: &[Line]) -> i64 {
    let of = units.iter().filter(|units| units.parcel == line.parcel);
    let count: u64 = of.map(|units| units.units.intersection(&line.units).len()).sum();
    line.unit_price.saturating_mul(count as i64)
}

/// The tax that goes back with units of a sale, and what it is on.
pub(super) fn taxes_back(sale: &Sale, units: &[Line], back: &Back) -> Vec<TaxLine> {
    let Some(taxes) = &sale.taxes else { return Vec::new() };
    let goods = goods_of(sale, units);
    let of = |rate: &RateTax| {
        let index = taxes.rates.iter().position(|of| of.rate == rate.rate)?;
        let included = if taxes.prices == Prices::Included { rate.tax } else { 0 };
        Some(TaxLine { rate: rate.rate, net: goods.get(index)? - included, tax: rate.tax })
    };
    back.taxes.iter().flatten().filter_map(of).collect()
}

/// Adds up tax lines by rate.
pub(super) fn add_taxes(sum: &mut Vec<TaxLine>, more: impl IntoIterator<Item = TaxLine>) {
    for line in more {
        match sum.iter_mut().find(|of| of.rate == line.rate) {
            Some(of) => {
                of.net = of.net.saturating_add(line.net);
                of.tax = of.tax.saturating_add(line.tax);
            }
            None => sum.push(line),
        }
    }
    sum.sort_by_key(|line| line.rate);
}

/// What is paid out for refunds, minor units.
pub(super) fn paid_out(refunds: &[Refund]) -> i64 {
    let parts = refunds.iter().flat_map(|refund| &refund.back.parts);
    parts.fold(0, |sum, part| sum.saturating_add(part.paid_out()))
}

/// What goes back, for people.
pub(super) fn paid_back(back: &Back) -> Vec<PaidBack> {
    let part = |part: &BackPart| PaidBack {
        payment: u32::from(part.payment),
        tender: part.tender,
        amount: part.amount,
        rounding: part.rounding.unwrap_or(0),
        cancelled: part.cancelled,
    };
    back.parts.iter().map(part).collect()
}

/// The tax of a sale, for people.
pub(super) fn taxes_of(sale: &Sale) -> Vec<TaxLine> {
    let Some(taxes) = &sale.taxes else { return Vec::new() };
    taxes.goods(&sale.lines).map(|goods| taxes.lines(&goods)).unwrap_or_default()
}

fn bad_reference(field: &str) -> Refusal {
    invalid(field, format!("give 1 to {MAX_REFERENCE} printable characters"))
}

fn check_payment(payment: &PaymentNew, field: impl Fn(&str) -> String) -> Result<(), Refusal> {
    let cash = payment.tender == Tender::Cash;
    if payment.amount < 1 {
        let problem = format!("{} minor units; a payment is above zero", payment.amount);
        return Err(invalid(&field("amount"), problem));
    }
    if payment.reference.as_deref().is_some_and(|text| !is_reference(text)) {
        return Err(bad_reference(&field("reference")));
    }
    if payment.deferred && cash {
        return Err(invalid(
            &field("deferred"),
            "cash is there or it is not; only other tenders are authorised later",
        ));
    }
    if payment.given.is_some() && !cash {
        return Err(invalid(&field("given"), "only cash is given change; leave it out for other tenders"));
    }
    Ok(())
}
