//! What a command was answered with, made again from what it wrote: for who asks about an entry, on any device that has it, and
//! for a command whose key comes back.
//!
//! What stands in the log is told as it was done: the units, the amounts, the receipts. What changes is told as it stands now: the
//! claim of a refund, what of an event's secret a device has.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::payments::paid_out;
use super::refunds::refunded_by;
use crate::command::{
    Cart, Erased, HandOut, Redeemed, Refunded, Refusal, Renewed, RenewedDevice, Reply, Retired, Settled,
    Swept, UnitsDone,
};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::log::Chain;
use crate::query::{DeedKind, HeldUnits};
use crate::record::{self, Body, Record};
use crate::text::{DropId, Sku};
use crate::token::SignedToken;
use crate::units::UnitSet;

/// Records of one chain that one command wrote, with their numbers: they follow each other.
pub(super) type Run = Vec<(u64, Record)>;

impl Device {
    /// What was done by the command that wrote an entry.
    ///
    /// # Errors
    /// [`Refusal::UnknownEntry`] if the entry is not here, or is of another kind.
    pub(super) fn deed(&self, kind: DeedKind, entry: Ref) -> Result<Reply, Refusal> {
        let chain = self.log.chain(&entry.chain);
        let told = chain.and_then(|chain| self.retold(kind, chain, &run_around(chain, entry.seq)?));
        told.ok_or_else(|| Refusal::UnknownEntry { entry, what: kind.to_string() })
    }

    /// The reply to a command that wrote these records, if it was of this kind. `None` where they do not say enough.
    pub(super) fn retold(&self, kind: DeedKind, chain: &Chain, run: &Run) -> Option<Reply> {
        let (seq, Record { at, body, .. }) = run.first()?;
        let first = Ref { chain: chain.id, seq: *seq };
        let last = Ref { chain: chain.id, seq: run.last()?.0 };
        let bodies = || run.iter().map(|(_, record)| &record.body);
        match (kind, body) {
            (DeedKind::Sale, Body::Sale(_)) => self.known_claim(&first).map(Reply::Sale),
            (DeedKind::Cart, Body::Hold(_)) => self.cart_known(first).map(Reply::Cart),
            (DeedKind::Lot, Body::Mint(_)) => self.lot_info(&first).map(Reply::Lot),
            (DeedKind::Transfer, Body::Transfer(_))
            | (DeedKind::Move, Body::Move(_))
            | (DeedKind::Damage, Body::Damage(_)) => {
                let mut units = UnitSet::default();
                let mut sku = None;
                for line in bodies().flat_map(lines_of) {
                    let lot = self.holdings.parcel(&line.parcel)?.lot;
                    sku = Some(self.holdings.lot(&lot)?.sku.clone());
                    units.insert_all(&line.units);
                }
                let drop = chain.document.drop()?.clone();
                Some(Reply::Units(UnitsDone { entry: last, drop, sku: sku?, units }))
            }
            (DeedKind::Redemption, Body::Redeem(redeem)) => {
                let items = self.handed_out(redeem)?;
                let doors = redeem.compartments.clone().unwrap_or_default();
                let (claim, drop) = (redeem.claim, chain.document.drop()?.clone());
                Some(Reply::Redeemed(Redeemed { claim, drop, entry: first, at_ms: at.ms(), items, doors }))
            }
            (DeedKind::Custody, Body::Custody(custody)) => {
                self.known_claim(&custody.claim).map(Reply::Custody)
            }
            (DeedKind::Refund, Body::RefundRequest(request)) => {
                Some(Reply::Refund(Refunded::asked(self.known_claim(&request.claim)?, Some(first))))
            }
            (DeedKind::Refund, Body::Refund(refund)) if refund.unclaimed != Some(true) => {
                let refunds: Vec<record::Refund> = bodies().filter_map(refund_of).collect();
                let (_, _, sale) = self.sale(&refund.claim)?;
                Some(Reply::Refund(refunded_by(
                    &sale,
                    Some(first),
                    &refunds,
                    self.known_claim(&refund.claim)?,
                )))
            }
            (DeedKind::Sweep, Body::Refund(record::Refund { unclaimed: Some(true), .. }))
            | (DeedKind::Sweep, Body::RefundRequest(_)) => self.swept_again(chain, first, run),
            (DeedKind::Settlement, Body::PaymentSettled(settled)) => Some(Reply::Settled(Settled {
                entry: first,
                claim: settled.claim,
                payment: u32::from(settled.payment),
                amount: settled.amount,
                failed: settled.failed,
            })),
            (DeedKind::Retirement, _) => self.retired_again(chain, run),
            (DeedKind::Renewal, Body::Renewal(_)) => {
                let devices = run
                    .iter()
                    .filter_map(|(seq, record)| renewed(&record.body, Ref { chain: chain.id, seq: *seq }));
                Some(Reply::Renewed(Renewed { devices: devices.collect(), skipped: Vec::new() }))
            }
            (DeedKind::Personal, Body::Personal(_)) => self.personal_info(&first).map(Reply::Personal),
            (DeedKind::Erasure, Body::Erase(_)) => {
                let mut covered = BTreeSet::new();
                for (_, record) in run {
                    let Body::Erase(erase) = &record.body else { continue };
                    covered.extend(erase.entries.iter().copied());
                    let of = erase.shopper.iter().flat_map(|shopper| self.people.of(shopper));
                    covered.extend(of.filter(|(_, taken)| taken.at < record.at).map(|(entry, _)| *entry));
                }
                let erased = covered.iter().filter_map(|entry| self.personal_info(entry)).collect();
                Some(Reply::Erased(Erased { entry: Some(last), erased }))
            }
            _ => None,
        }
    }

    /// What was handed out by a redemption, as far as is known here: whatever was brought back since.
    fn handed_out(&self, redeem: &record::Redeem) -> Option<Vec<HandOut>> {
        if let Ok((_, standing)) = self.standing(redeem.claim) {
            return Some(self.hand_outs(&standing.handed_out()));
        }
        let signed = SignedToken::read(redeem.token.as_deref()?, &mut self.gate.clone()).ok()?;
        let items = signed.items.iter();
        Some(items.flat_map(|item| self.whereabouts(&signed.drop, &item.sku, &item.units)).collect())
    }

    /// A cart, over or not.
    pub(super) fn cart_known(&self, cart: Ref) -> Option<Cart> {
        self.cart(cart).or_else(|| {
            let chain = self.log.chain(&cart.chain)?;
            let Record { at, body: Body::Hold(hold), .. } = Record::decode(chain.body(cart.seq)?).ok()?
            else {
                return None;
            };
            let items = self.items_of(&hold.lines);
            Some(Cart {
                cart,
                drop: chain.document.drop()?.clone(),
                holder: chain.device,
                total: super::sales::total_of(&items),
                items,
                currency: self.config.charter.charter().currency,
                until_ms: at.ms().saturating_add(hold.ttl_ms),
                shopper: hold.shopper,
                over: true,
            })
        })
    }

    fn swept_again(&self, chain: &Chain, first: Ref, run: &Run) -> Option<Reply> {
        let refunds: Vec<record::Refund> =
            run.iter().filter_map(|(_, record)| refund_of(&record.body)).collect();
        let mut claims = Vec::new();
        for (_, record) in run {
            let claim = match &record.body {
                Body::Refund(refund) => refund.claim,
                Body::RefundRequest(request) => request.claim,
                _ => continue,
            };
            if claims.last() != Some(&claim) {
                claims.push(claim);
            }
        }
        let left = self.late_at(&chain.device, chain.document.drop()?).len() as u64;
        let claims = claims.iter().filter_map(|claim| self.known_claim(claim)).collect();
        Some(Reply::Swept(Swept { entry: Some(first), amount: paid_out(&refunds), claims, left }))
    }

    /// What a retirement had its author take over, from what says so.
    fn retired_again(&self, chain: &Chain, run: &Run) -> Option<Reply> {
        let (seq, device) = run.iter().find_map(|(seq, record)| match &record.body {
            Body::Retire(retire) => Some((*seq, retire.device)),
            _ => None,
        })?;
        let entry = Ref { chain: chain.id, seq };
        let (held, in_claims) = self.taken_over(&chain.device, &entry);
        let at_risk = held.values().sum::<u64>() + in_claims;
        let held = held.into_iter().map(|((drop, sku), units)| HeldUnits { drop, sku, units }).collect();
        Some(Reply::Retired(Retired { entry, device, at_risk, held, secret: self.secret_info() }))
    }

    /// The units that a device took over by a retirement, and those in claims whose custody it took.
    fn taken_over(&self, by: &DeviceId, retirement: &Ref) -> (BTreeMap<(DropId, Sku), u64>, u64) {
        let mut held: BTreeMap<(DropId, Sku), u64> = BTreeMap::new();
        let mut in_claims = 0;
        for chain in self.log.chains().filter(|chain| chain.device == *by) {
            let Some(drop) = chain.document.drop() else { continue };
            for seq in 1..=chain.len() {
                let Some(Ok(record)) = chain.body(seq).map(Record::decode) else { continue };
                match record.body {
                    Body::Inherit(inherit) if inherit.retirement == *retirement => {
                        for line in &inherit.lines {
                            let lot = self.holdings.parcel(&line.parcel).map(|parcel| parcel.lot);
                            let Some(lot) = lot.and_then(|lot| self.holdings.lot(&lot)) else { continue };
                            *held.entry((drop.clone(), lot.sku.clone())).or_default() += line.units.len();
                        }
                    }
                    Body::Custody(custody) if custody.retirement == Some(*retirement) => {
                        let sold = self.sale(&custody.claim).map(|(.., sale)| sale);
                        let lines = sold.iter().flat_map(|sale| &sale.lines);
                        in_claims += lines.map(|line| line.units.len()).sum::<u64>();
                    }
                    _ => {}
                }
            }
        }
        (held, in_claims)
    }
}

/// The records of the command that wrote an entry; of one without a key, that entry alone.
fn run_around(chain: &Chain, seq: u64) -> Option<Run> {
    if chain.document == Document::Programme {
        return None;
    }
    let record = |seq| Some((seq, Record::decode(chain.body(seq)?).ok()?));
    let (_, Record { key, .. }) = record(seq)?;
    if key.is_none() {
        return Some(vec![record(seq)?]);
    }
    let is_of_run = |(_, record): &(u64, Record)| record.key == key;
    let before = (1..seq).rev().map_while(record).take_while(is_of_run);
    let mut run: Run = before.collect();
    run.reverse();
    run.extend((seq..).map_while(record).take_while(is_of_run));
    Some(run)
}

fn refund_of(body: &Body) -> Option<record::Refund> {
    match body {
        Body::Refund(refund) => Some(refund.clone()),
        _ => None,
    }
}

fn renewed(body: &Body, entry: Ref) -> Option<RenewedDevice> {
    let Body::Renewal(renewal) = body else { return None };
    let (_, signed) = crate::identity::unproven(&renewal.certificate)?;
    Some(RenewedDevice { device: signed.device, name: signed.name, until_ms: signed.not_after_ms, entry })
}

fn lines_of(body: &Body) -> &[record::Line] {
    match body {
        Body::Transfer(transfer) => &transfer.lines,
        Body::Move(moved) => &moved.lines,
        Body::Damage(damage) => &damage.lines,
        _ => &[],
    }
}
