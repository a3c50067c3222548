//! Claims after the sale: handed out, given into other custody, taken back. Each is for the custodian alone.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use super::compartments::compartments_of;
use super::payments::{add_taxes, paid_back, paid_out, taxes_back, taxes_of};
use crate::claim_code::ClaimCode;
use crate::clock::Hlc;
use crate::command::{
    Claim, ClaimState, GiveCustody, HandOut, MAX_ITEMS, PaidBack, Redeem, Redeemed, Refund, RefundItem,
    Refunded, Refusal, Reply,
};
use crate::document::Document;
use crate::holdings::claims::{HandedOut, Standing};
use crate::id::{DeviceId, Ref};
use crate::identity::SignedCertificate;
use crate::log::Chain;
use crate::payment::Back;
use crate::pin::Pin;
use crate::query::ClaimToken;
use crate::record::{self, Body, Line, Record, Sale, SaleLine};
use crate::text::{DropId, Place, Sku};
use crate::token::{self, Kind, SignedToken, Token, TokenError, TokenItem};
use crate::units::UnitSet;

type ByParcel = BTreeMap<Ref, UnitSet>;

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
    /// Hands a claim out. The reply, at which a door may open, comes when that is durable.
    pub(super) fn redeem(&mut self, redeem: &Redeem) -> Result<Reply, Refusal> {
        match (redeem.claim, &redeem.token) {
            (Some(claim), None) => self.redeem_known(claim, redeem.pin.as_ref()),
            (None, Some(text)) => self.redeem_token(text, redeem.pin.as_ref()),
            _ => Err(invalid("claim", "give either a claim or its token")),
        }
    }

    fn redeem_known(&mut self, claim: Ref, pin: Option<&Pin>) -> Result<Reply, Refusal> {
        if let Some(redeemed) = self.standing(claim)?.1.redeemed {
            return Err(self.already(claim, redeemed));
        }
        let (drop, standing) = self.claim_in_custody(claim)?;
        let tag = self.sale(&claim).and_then(|(_, _, sale)| sale.pin);
        self.check_pin(claim, &drop, tag, pin)?;
        let items = self.hand_outs(&standing.left);
        self.hand_out(claim, drop, standing.under, None, items)
    }

    /// The token is enough: the sale may be on its way for as long as it likes, and its issuer be anybody of the event.
    fn redeem_token(&mut self, text: &str, pin: Option<&Pin>) -> Result<Reply, Refusal> {
        let wrong = |error: TokenError| Refusal::Token { problem: error.to_string() };
        let bytes = token::from_text(text).map_err(wrong)?;
        let signed = SignedToken::read(&bytes, &mut self.gate).map_err(wrong)?;
        if signed.kind != Kind::Claim {
            return Err(wrong(TokenError::NotAClaim));
        }
        let issuer = signed.certificate();
        if let Some(retired) = self.trust.retired().get(&issuer.device)
            && retired.is_late(&signed.claim)
        {
            return Err(wrong(TokenError::IssuerRetired {
                name: issuer.name.clone(),
                by: self.name_of(&retired.by),
            }));
        }
        let claim = signed.claim;
        if let Ok((_, standing)) = self.standing(claim) {
            // Second showings are told so even after the token has expired.
            if standing.redeemed.is_none() {
                signed.check_at(self.now.wall_ms).map_err(wrong)?;
            }
            return self.redeem_known(claim, pin);
        }
        if let Some(redeemed) = self.holdings.claim(&claim).and_then(|known| known.redeemed_unseen(&self.me))
        {
            return Err(self.already(claim, redeemed));
        }
        signed.check_at(self.now.wall_ms).map_err(wrong)?;
        if signed.custodian != self.me {
            return Err(self.not_custodian(claim, signed.custodian));
        }
        self.check_pin(claim, &signed.drop, signed.pin, pin)?;
        let items = signed
            .items
            .iter()
            .flat_map(|item| self.whereabouts(&signed.drop, &item.sku, &item.units))
            .collect();
        self.hand_out(claim, signed.drop.clone(), claim, Some(signed.bytes().to_vec()), items)
    }

    /// Issues the token of a claim that waits to be picked up.
    pub(super) fn token_of(&self, claim: Ref) -> Result<ClaimToken, Refusal> {
        let (drop, standing) = self.standing(claim)?;
        let (chain, at, sale) = self.sale(&claim).ok_or(Refusal::UnknownClaim { claim })?;
        if chain.device != self.me {
            let seller = self.name_of(&chain.device);
            return Err(invalid("claim", format!("{seller} sold it, and issues its token")));
        }
        if let Some(redeemed) = standing.redeemed {
            return Err(self.already(claim, redeemed));
        }
        if standing.left.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        let mut items: BTreeMap<Sku, UnitSet> = BTreeMap::new();
        for item in self.hand_outs(&standing.left) {
            items.entry(item.sku).or_default().insert_all(&item.units);
        }
        let token = Token {
            kind: Kind::Claim,
            claim,
            drop,
            items: items.into_iter().map(|(sku, units)| TokenItem { sku, units }).collect(),
            custodian: standing.custodian,
            issued_ms: at.ms(),
            not_before_ms: None,
            expires_ms: sale.expires_ms,
            pin: sale.pin,
        };
        Ok(ClaimToken { claim, token: self.sign_token(token, &chain.certificate)? })
    }

    /// The text of a token that this device issues, under one of its certificates: that which held then.
    pub(super) fn sign_token(
        &self,
        token: Token,
        certificate: &SignedCertificate,
    ) -> Result<String, Refusal> {
        let signed = token.sign(self.gate.signatures(), &self.config.secret, certificate);
        signed.map(|signed| signed.to_text()).map_err(|error| Refusal::Token { problem: error.to_string() })
    }

    fn hand_out(
        &mut self,
        claim: Ref,
        drop: DropId,
        under: Ref,
        token: Option<Vec<u8>>,
        items: Vec<HandOut>,
    ) -> Result<Reply, Refusal> {
        let doors = if self.config.doors { compartments_of(&items) } else { Vec::new() };
        let compartments = (!doors.is_empty()).then(|| doors.clone());
        let redeem = record::Redeem { claim, under, token, compartments };
        let entry = self.write(&Document::Claims(drop.clone()), Body::Redeem(redeem))?;
        let at_ms = self.log.chain(&entry.chain).map_or(self.now.wall_ms, |chain| chain.last_at.ms());
        self.open_doors(entry, &doors);
        Ok(Reply::Redeemed(Redeemed { claim, drop, entry, at_ms, items, doors }))
    }

    pub(super) fn give_custody(&mut self, give: &GiveCustody) -> Result<Reply, Refusal> {
        let GiveCustody { claim, to, .. } = *give;
        if !self.peers.known().contains(&to) {
            return Err(Refusal::UnknownDevice { device: to });
        }
        self.check_may_get(&to)?;
        let (drop, standing) = self.claim_in_custody(claim)?;
        if let Some(redeemed) = standing.redeemed {
            return Err(self.already(claim, redeemed));
        }
        if to != self.me {
            let custody = record::Custody { claim, under: standing.under, to, retirement: None };
            self.write(&Document::Claims(drop), Body::Custody(custody))?;
        }
        Ok(Reply::Custody(self.known_claim(&claim).ok_or(Refusal::UnknownClaim { claim })?))
    }

    /// Refunds what this device is the custodian of; asks the custodian to refund what another one is.
    pub(super) fn refund(&mut self, refund: &Refund) -> Result<Reply, Refusal> {
        let claim = refund.claim;
        if refund.items.len() > MAX_ITEMS {
            return Err(invalid("items", format!("{} items; {MAX_ITEMS} is the most", refund.items.len())));
        }
        let units = match self.claim_in_custody(claim) {
            Ok((_, standing)) if refund.items.is_empty() => standing.left,
            Ok((_, standing)) => self.picked(&standing.left, &refund.items)?,
            Err(Refusal::NotCustodian { .. }) => return self.request_refund(refund),
            Err(refusal) => return Err(refusal),
        };
        let written = self.take_back(claim, &units, Why::Refund { damaged: refund.damaged })?;
        let unknown = Refusal::UnknownClaim { claim };
        let (_, _, sale) = self.sale(&claim).ok_or_else(|| unknown.clone())?;
        let known = self.known_claim(&claim).ok_or(unknown)?;
        Ok(Reply::Refund(refunded_by(&sale, &written, known)))
    }

    /// Writes the refund of these units, one record for each lot and place. Returns the records.
    pub(super) fn take_back(
        &mut self,
        claim: Ref,
        units: &ByParcel,
        why: Why,
    ) -> Result<Vec<record::Refund>, Refusal> {
        let (drop, standing) = self.claim_in_custody(claim)?;
        let handed_out = standing.redeemed.map(|redeemed| redeemed.entry);
        let kept_back = |entry| self.holdings.opening(&entry).is_some_and(|opening| opening.kept_back());
        let never_left = handed_out.is_none_or(kept_back);
        let found = units.iter().map(|(parcel, units)| (*parcel, units.clone())).collect();
        let damaged = why == Why::Refund { damaged: true };
        let unclaimed = matches!(why, Why::Unclaimed { .. }).then_some(true);
        let mut written = Vec::new();
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
            self.write(&Document::Claims(drop.clone()), Body::Refund(refund.clone()))?;
            written.push(refund);
        }
        Ok(written)
    }

    fn request_refund(&mut self, refund: &Refund) -> Result<Reply, Refusal> {
        let claim = refund.claim;
        let unknown = Refusal::UnknownClaim { claim };
        let (drop, standing) = self.standing(claim)?;
        let known = self.holdings.claim(&claim).ok_or_else(|| unknown.clone())?;
        if let Some(redeemed) = standing.redeemed {
            return Err(self.already(claim, redeemed));
        }
        if !refund.items.is_empty() || refund.damaged {
            let name = self.name_of(&standing.custodian);
            return Err(invalid(
                "items",
                format!("only {name} can take single units back; ask for all of it here"),
            ));
        }
        if !known.is_asked_back() {
            let request = record::RefundRequest { claim };
            self.write(&Document::Claims(drop), Body::RefundRequest(request))?;
        }
        let claim = self.known_claim(&claim).ok_or(unknown)?;
        Ok(Reply::Refund(Refunded::asked(claim)))
    }

    /// Refunds what this device is the custodian of and was asked to refund elsewhere. What has been handed out
    /// meanwhile stays so, which declines the request.
    pub(super) fn answer_refund_requests(&mut self) {
        for claim in std::mem::take(&mut self.intake.refunds_asked) {
            let Ok((_, standing)) = self.claim_in_custody(claim) else { continue };
            let asked = self.holdings.claim(&claim).is_some_and(|known| known.is_asked_back());
            if asked && standing.redeemed.is_none() {
                // What cannot be written now is tried again at the next start.
                let _ = self.take_back(claim, &standing.left, Why::Refund { damaged: false });
            }
        }
    }

    /// After a start: requests that came before it.
    pub(super) fn find_refund_requests(&mut self) {
        let asked = self.holdings.claims().filter(|(_, claim)| claim.is_asked_back());
        self.intake.refunds_asked = asked.map(|(claim, _)| *claim).collect();
    }

    /// The drop and the standing of a claim that this device may redeem or refund, with something left.
    pub(super) fn claim_in_custody(&self, claim: Ref) -> Result<(DropId, Standing), Refusal> {
        let (drop, standing) = self.standing(claim)?;
        if standing.custodian != self.me && !self.plant.has(crate::planted::Planted::RedeemWithoutCustody) {
            return Err(self.not_custodian(claim, standing.custodian));
        }
        if standing.left.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        Ok((drop, standing))
    }

    /// The drop and the standing of a claim whose sale is known.
    pub(super) fn standing(&self, claim: Ref) -> Result<(DropId, Standing), Refusal> {
        let standing = self.holdings.claim(&claim).and_then(|known| known.standing(claim));
        let drop = self.log.chain(&claim.chain).and_then(|chain| chain.document.drop()).cloned();
        drop.zip(standing).ok_or(Refusal::UnknownClaim { claim })
    }

    /// The custodian of a claim that somebody may still come for.
    pub(super) fn waits_with(&self, claim: Ref) -> Result<DeviceId, Refusal> {
        let (_, standing) = self.standing(claim)?;
        match standing.redeemed {
            Some(redeemed) => Err(self.already(claim, redeemed)),
            None if standing.left.is_empty() => Err(Refusal::AlreadyRefunded { claim }),
            None => Ok(standing.custodian),
        }
    }

    pub(super) fn not_custodian(&self, claim: Ref, custodian: DeviceId) -> Refusal {
        let name = self.name_of(&custodian);
        Refusal::NotCustodian { claim, custodian, name, reachable: self.peers.is_reachable(&custodian) }
    }

    fn already(&self, claim: Ref, redeemed: HandedOut) -> Refusal {
        let name = self.name_of(&redeemed.by);
        Refusal::AlreadyRedeemed { claim, at_ms: redeemed.at.ms(), by: redeemed.by, name }
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

    /// What these units are, and where they lie.
    pub(super) fn hand_outs(&self, units: &ByParcel) -> Vec<HandOut> {
        let mut all = BTreeMap::new();
        for (reference, units) in units {
            let Some(parcel) = self.holdings.parcel(reference) else { continue };
            let Some(lot) = self.holdings.lot(&parcel.lot) else { continue };
            let lying = (lot.sku.clone(), Some(parcel.place.clone()));
            all.entry(lying).or_insert_with(UnitSet::default).insert_all(units);
        }
        all.into_iter().map(|((sku, place), units)| self.lying_at(sku, units, place)).collect()
    }

    pub(super) fn sale(&self, claim: &Ref) -> Option<(&Chain, Hlc, Sale)> {
        let chain = self.log.chain(&claim.chain)?;
        let record = Record::decode(chain.body(claim.seq)?).ok()?;
        match record.body {
            Body::Sale(sale) => Some((chain, record.at, sale)),
            _ => None,
        }
    }

    /// Units of a claim that were taken back, by parcel.
    pub(super) fn refunded_of(&self, claim: &Ref) -> ByParcel {
        let standing = self.holdings.claim(claim).and_then(|known| known.standing(*claim));
        standing.map(|standing| standing.refunded).unwrap_or_default()
    }

    pub(super) fn custodian_of(&self, claim: &Ref) -> Option<DeviceId> {
        self.holdings.claim(claim)?.custodian()
    }

    pub(super) fn state_of(&self, claim: &Ref) -> Option<ClaimState> {
        self.holdings.claim(claim)?.state()
    }

    pub(super) fn known_claim(&self, claim: &Ref) -> Option<Claim> {
        let (chain, at, sale) = self.sale(claim)?;
        Some(self.claim(*claim, chain.document.drop()?, chain, &sale, at.ms()))
    }

    pub(super) fn claim(&self, claim: Ref, drop: &DropId, chain: &Chain, sale: &Sale, at_ms: u64) -> Claim {
        let items = self.items_of(&sale.lines);
        let lost = self.holdings.lost_of(&claim).into_iter().flatten().map(|(parcel, units)| SaleLine {
            parcel: *parcel,
            units: units.clone(),
            unit_price: 0,
        });
        let known = self.holdings.claim(&claim);
        let standing = known.and_then(|known| known.standing(claim));
        let redeemed = standing.as_ref().and_then(|standing| standing.redeemed);
        let refunded = self.refunded_of(&claim);
        let taken = sale.lines.iter().filter_map(|line| {
            let units = refunded.get(&line.parcel)?.intersection(&line.units);
            (!units.is_empty()).then(|| SaleLine { units, ..line.clone() })
        });
        let asked = known.is_some_and(|known| known.is_asked_back());
        let declined = redeemed.filter(|redeemed| asked && redeemed.entry != claim);
        Claim {
            claim,
            drop: drop.clone(),
            at_ms,
            seller: chain.device,
            total: sale.total().unwrap_or(0),
            items,
            currency: self.config.charter.charter().currency,
            tender: sale.payments.tender(),
            payments: self.payment_infos(&claim, &chain.device, sale),
            taxes: taxes_of(sale),
            receipt: sale.receipt.number,
            custodian: standing
                .as_ref()
                .map_or(sale.pickup_at.unwrap_or(chain.device), |standing| standing.custodian),
            state: self.state_of(&claim).unwrap_or(ClaimState::Issued),
            code: ClaimCode::of(&claim),
            pin: sale.pin.is_some(),
            shopper: sale.shopper.clone(),
            expires_ms: sale.expires_ms,
            redeemed_at_ms: redeemed.map(|redeemed| redeemed.at.ms()),
            redeemed_by: redeemed.map(|redeemed| redeemed.by),
            door: redeemed.and_then(|redeemed| self.door(&redeemed.entry)).map(Box::new),
            refunded: self.items_of(&taken.collect::<Vec<_>>()),
            refund_declined: declined.map(|redeemed| self.already(claim, redeemed).to_string()),
            contested: match self.holdings.is_void(&claim) {
                true => self.items_of(&sale.lines),
                false => self.items_of(&lost.collect::<Vec<_>>()),
            },
        }
    }
}

/// What refunds of one claim come to together; the claim as it stands now.
pub(super) fn refunded_by(sale: &Sale, written: &[record::Refund], claim: Claim) -> Refunded {
    let mut refunded = Refunded { amount: paid_out(written), ..Refunded::asked(claim) };
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
