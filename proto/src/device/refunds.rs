//! Money back. Whoever asks for it marks the claim, and no more; it goes back where a person pays it: on an *attended* device,
//! which has a drawer. A locker is none, so what it keeps is first given into the custody of the device whose crew pays.

use super::Device;
use super::claims::ByParcel;
use super::commands::invalid;
use super::payments::{add_taxes, paid_back, paid_out, taxes_back};
use super::retire::Succession;
use crate::command::{Claim, MAX_ITEMS, PaidBack, Refund, RefundItem, Refunded, Refusal, Reply};
use crate::document::Document;
use crate::holdings::claims::Standing;
use crate::id::{DeviceId, Ref};
use crate::io::{CallId, Idempotency};
use crate::payment::Back;
use crate::planted::Planted;
use crate::record::{self, Body, Line, Sale};
use crate::text::{DropId, Place};

/// For so long a refund waits for the custodian to give the claim here, milliseconds.
const REFUND_WAIT_MS: u64 = 5_000;
/// So many attended devices are named to who is sent to one.
pub(super) const NAMED: usize = 5;

/// Why units of a claim are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The shopper wants the money.
    Refund {
        /// The units are out of sale.
        damaged: bool,
    },
    /// Nobody came for them in time.
    Unclaimed {
        /// They are paid for all the same.
        pays: bool,
    },
}

impl Device {
    /// Whether a person with a drawer is at this device.
    pub(super) fn is_attended(&self) -> bool {
        self.config.certificate.roles.are_attended()
    }

    /// Whether a person with a drawer is at another device; not of one that nobody here knows.
    fn is_attended_at(&self, device: &DeviceId) -> bool {
        self.peers.certificate(device).is_some_and(|certificate| certificate.roles.are_attended())
    }

    /// Whether money may go back at another device.
    pub(super) fn check_pays(&self, device: &DeviceId) -> Result<(), Refusal> {
        if self.is_attended_at(device) {
            return Ok(());
        }
        Err(invalid("to", format!("{} pays nothing back; name a till or an hq", self.name_of(device))))
    }

    /// Whether money may go back here.
    ///
    /// # Errors
    /// [`Refusal::Unattended`] with those that can be reached where it may.
    pub(super) fn check_attended(&self) -> Result<(), Refusal> {
        if self.is_attended() {
            return Ok(());
        }
        let reachable = self.peers.reachable().map(|(device, _)| device);
        let attended = reachable.filter(|device| self.is_attended_at(device) && !self.is_retired(device));
        let mut at: Vec<String> = attended.map(|device| self.name_of(device)).collect();
        at.sort();
        at.truncate(NAMED);
        Err(Refusal::Unattended { roles: self.config.certificate.roles.to_string(), at })
    }

    /// Refunds a claim, or part of it: at once what this device is the custodian of; of what another one is, once that has
    /// given it here. Where nobody with a drawer is, or the custodian cannot be reached, the claim is marked.
    ///
    /// `None` if the answer comes later.
    pub(super) fn refund(
        &mut self,
        call: CallId,
        refund: &Refund,
        idempotency: Option<Idempotency>,
    ) -> Result<Option<Reply>, Refusal> {
        if refund.items.len() > MAX_ITEMS {
            return Err(invalid("items", format!("{} items; {MAX_ITEMS} is the most", refund.items.len())));
        }
        let claim = refund.claim;
        let custodian = match self.claim_in_custody(claim) {
            Ok(_) => return self.pay_back(refund).map(Some),
            Err(Refusal::NotCustodian { custodian, .. }) => custodian,
            Err(refusal) => return Err(refusal),
        };
        let (drop, standing) = self.standing(claim)?;
        if standing.left.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        if !self.is_attended() {
            return self.request_refund(refund).map(Some);
        }
        if let Some(redeemed) = standing.redeemed {
            let opening = self.holdings.opening(&redeemed.entry);
            let kept_back = opening.is_some_and(|opening| !opening.may_be_out());
            // Who pays for what was handed out has it in hand, and says what it is.
            let brought = kept_back || refund.damaged || !refund.items.is_empty();
            let taken_there = self.is_attended_at(&custodian) && !self.is_retired(&custodian);
            if taken_there || !brought {
                return Err(self.already(claim, redeemed));
            }
        }
        let keeper = self.heir_of(&custodian);
        if keeper == self.me {
            // The refund alone carries the command's key, so that the key leads to it.
            let key = self.doing.take();
            self.take_over_claim(claim, drop, &standing)?;
            self.doing = key;
            return self.pay_back(refund).map(Some);
        }
        if !self.peers.is_reachable(&keeper) {
            return self.request_refund(refund).map(Some);
        }
        self.fetch_to_refund(call, refund.clone(), keeper, REFUND_WAIT_MS, idempotency)?;
        Ok(None)
    }

    /// Takes a claim over that a retired device kept, and whose heir this one is.
    pub(super) fn take_over_claim(
        &mut self,
        claim: Ref,
        drop: DropId,
        standing: &Standing,
    ) -> Result<(), Refusal> {
        let succession = Succession::of(self.trust.retired(), &standing.custodian);
        self.write_custody(claim, drop, standing, self.me, succession)
    }

    /// Refunds what this device is the custodian of, from its own drawer.
    pub(super) fn pay_back(&mut self, refund: &Refund) -> Result<Reply, Refusal> {
        self.check_attended()?;
        let claim = refund.claim;
        let (_, standing) = self.claim_in_custody(claim)?;
        let left = self.unpaid(claim, standing.left);
        let units = match refund.items.is_empty() {
            true if left.is_empty() => return Err(Refusal::AlreadyRefunded { claim }),
            true => left,
            false => self.picked(&left, &refund.items)?,
        };
        let (first, written) = self.take_back(claim, &units, Why::Refund { damaged: refund.damaged })?;
        let unknown = Refusal::UnknownClaim { claim };
        let (_, _, sale) = self.sale(&claim).ok_or_else(|| unknown.clone())?;
        let known = self.known_claim(&claim).ok_or(unknown)?;
        Ok(Reply::Refund(refunded_by(&sale, first, &written, known)))
    }

    /// What is left of a claim without what this device has paid back already, whatever the view makes of that.
    fn unpaid(&self, claim: Ref, mut left: ByParcel) -> ByParcel {
        for (parcel, paid) in self.refunded_in_vain(claim) {
            if let Some(left) = left.get_mut(&parcel) {
                left.remove_all(&paid);
            }
        }
        left.retain(|_, left| !left.is_empty());
        left
    }

    /// Writes the refund of these units, one record for each lot and place. Returns the first entry, and the records.
    pub(super) fn take_back(
        &mut self,
        claim: Ref,
        units: &ByParcel,
        why: Why,
    ) -> Result<(Option<Ref>, Vec<record::Refund>), Refusal> {
        let (drop, standing) = self.claim_in_custody(claim)?;
        let handed_out = standing.redeemed.map(|redeemed| redeemed.entry);
        if handed_out.is_none() {
            self.check_not_handed_out(claim)?;
        }
        let kept_back = |entry| self.holdings.opening(&entry).is_some_and(|opening| opening.kept_back());
        let never_left = handed_out.is_none_or(kept_back);
        let found = units.iter().map(|(parcel, units)| (*parcel, units.clone())).collect();
        let damaged = why == Why::Refund { damaged: true };
        let unclaimed = matches!(why, Why::Unclaimed { .. }).then_some(true);
        let (mut first, mut written) = (None, Vec::new());
        for lines in self.parcels_of(found) {
            let lay = lines.first().and_then(|line: &Line| self.holdings.parcel(&line.parcel));
            // What was never handed out lies where it lay; what is brought back is brought here.
            let place: Place = match lay {
                Some(parcel) if never_left => parcel.place.clone(),
                _ => self.venue.clone(),
            };
            let back = match why {
                Why::Unclaimed { pays: false } => Back::default(),
                _ => self.back_for(&claim, &lines),
            };
            let receipt = self.next_receipt();
            let under = standing.under;
            let refund =
                record::Refund { claim, under, lines, place, damaged, handed_out, receipt, back, unclaimed };
            let entry = self.write(&Document::Claims(drop.clone()), Body::Refund(refund.clone()))?;
            first.get_or_insert(entry);
            written.push(refund);
        }
        Ok((first, written))
    }

    /// Marks a claim whose shopper wants the money back, once.
    pub(super) fn request_refund(&mut self, refund: &Refund) -> Result<Reply, Refusal> {
        let claim = refund.claim;
        let unknown = Refusal::UnknownClaim { claim };
        self.check_not_handed_out(claim)?;
        if !refund.items.is_empty() || refund.damaged {
            let name = self.name_of(&self.standing(claim)?.1.custodian);
            return Err(invalid(
                "items",
                format!(
                    "single units are taken back where {name} can be reached, and a person pays; ask for all of it here"
                ),
            ));
        }
        let entry = self.mark_refund(claim)?;
        let claim = self.known_claim(&claim).ok_or(unknown)?;
        Ok(Reply::Refund(Refunded::asked(claim, Some(entry))))
    }

    /// Writes that money is to go back, unless somebody has. Returns the entry that says so.
    pub(super) fn mark_refund(&mut self, claim: Ref) -> Result<Ref, Refusal> {
        let (drop, _) = self.standing(claim)?;
        match self.holdings.claim(&claim).and_then(|known| known.request_for_refund()) {
            Some(request) => Ok(request.entry),
            None => self.write(&Document::Claims(drop), Body::RefundRequest(record::RefundRequest { claim })),
        }
    }

    /// A planted bug: the custodian pays as soon as somebody asks.
    pub(super) fn refund_on_a_word(&mut self, claim: Ref) {
        if self.plant.has(Planted::RefundOnWord)
            && let Ok((_, standing)) = self.claim_in_custody(claim)
            && standing.redeemed.is_none()
        {
            let _ = self.take_back(claim, &standing.left, Why::Refund { damaged: false });
        }
    }

    /// The units left that are named.
    fn picked(&self, left: &ByParcel, items: &[RefundItem]) -> Result<ByParcel, Refusal> {
        let mut picked = ByParcel::new();
        for (index, item) in items.iter().enumerate() {
            let mut lacking = item.serials.clone();
            for (parcel, units) in left {
                let of = self.holdings.parcel(parcel).and_then(|parcel| self.holdings.lot(&parcel.lot));
                let units = units.intersection(&lacking);
                if !units.is_empty() && of.is_some_and(|lot| lot.sku == item.sku) {
                    lacking.remove_all(&units);
                    picked.entry(*parcel).or_default().insert_all(&units);
                }
            }
            if item.serials.is_empty() || !lacking.is_empty() {
                let problem = format!("the claim has no {} {lacking} left", item.sku);
                return Err(invalid(&format!("items[{index}].serials"), problem));
            }
        }
        Ok(picked)
    }
}

/// What refunds of one claim come to together; the claim as it stands now.
pub(super) fn refunded_by(
    sale: &Sale,
    first: Option<Ref>,
    written: &[record::Refund],
    claim: Claim,
) -> Refunded {
    let mut refunded = Refunded { amount: paid_out(written), ..Refunded::asked(claim, first) };
    for record::Refund { lines, receipt, back, .. } in written {
        refunded.receipts.push(receipt.number);
        add_taxes(&mut refunded.taxes, taxes_back(sale, lines, back));
        for part in paid_back(back) {
            let same = |of: &&mut PaidBack| (of.payment, of.cancelled) == (part.payment, part.cancelled);
            match refunded.payments.iter_mut().find(same) {
                Some(of) => {
                    of.amount = of.amount.saturating_add(part.amount);
                    of.rounding = of.rounding.saturating_add(part.rounding);
                }
                None => refunded.payments.push(part),
            }
        }
    }
    refunded
}
