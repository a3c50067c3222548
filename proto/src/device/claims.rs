//! Claims after the sale: handed out, and given into other custody. Each is for the custodian alone, and what a device has
//! done once it never does again, whatever the view makes of it.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use super::compartments::compartments_of;
use super::payments::taxes_of;
use super::retire::Succession;
use crate::claim_code::ClaimCode;
use crate::clock::Hlc;
use crate::command::{Claim, ClaimState, GiveCustody, HandOut, Redeem, Redeemed, Refusal, Reply};
use crate::document::Document;
use crate::holdings::claims::{HandedOut, Standing};
use crate::id::{DeviceId, Ref};
use crate::identity::SignedCertificate;
use crate::log::Chain;
use crate::pin::Pin;
use crate::planted::Planted;
use crate::query::ClaimToken;
use crate::record::{self, Body, MAX_LINES, Record, Sale, SaleLine};
use crate::text::{DropId, Sku};
use crate::token::{self, Kind, SignedToken, Token, TokenError, TokenItem};
use crate::units::UnitSet;

pub(super) type ByParcel = BTreeMap<Ref, UnitSet>;

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
        self.check_not_handed_out(claim)?;
        let (drop, standing) = self.claim_in_custody(claim)?;
        self.check_not_refunded(claim, &standing.left)?;
        let tag = self.sale(&claim).and_then(|(_, _, sale)| sale.pin);
        self.check_pin(claim, &drop, tag, pin)?;
        let items = self.hand_outs(&standing.left);
        self.hand_out(claim, drop, standing.under, None, items)
    }

    /// Whether a claim was handed out: by anybody, as far as the view knows; by this device, whether or not that counts.
    pub(super) fn check_not_handed_out(&self, claim: Ref) -> Result<(), Refusal> {
        let Some(known) = self.holdings.claim(&claim) else { return Ok(()) };
        let standing = known.standing(claim);
        let own = || known.handed_out_by(&self.me).filter(|_| !self.plant.has(Planted::HandOutAgain));
        match standing.and_then(|standing| standing.redeemed).or_else(own) {
            Some(redeemed) => Err(self.already(claim, redeemed)),
            None => Ok(()),
        }
    }

    /// Whether this device has paid back units that the view still has in the claim.
    fn check_not_refunded(&self, claim: Ref, left: &ByParcel) -> Result<(), Refusal> {
        let paid = self.refunded_in_vain(claim);
        let is_paid =
            |(parcel, units): (&Ref, &UnitSet)| paid.get(parcel).is_some_and(|paid| paid.intersects(units));
        if left.iter().any(is_paid) { Err(Refusal::AlreadyRefunded { claim }) } else { Ok(()) }
    }

    /// Units that are left of a claim and in its token.
    fn both(&self, left: &ByParcel, items: &[TokenItem]) -> ByParcel {
        let in_token = |(parcel, left): (&Ref, &UnitSet)| {
            let lot = self.holdings.lot(&self.holdings.parcel(parcel)?.lot)?;
            let item = items.iter().find(|item| item.sku == lot.sku)?;
            let both = left.intersection(&item.units);
            (!both.is_empty()).then_some((*parcel, both))
        };
        left.iter().filter_map(in_token).collect()
    }

    /// Units of a claim that this device has paid back, and that the view has in the claim all the same.
    pub(super) fn refunded_in_vain(&self, claim: Ref) -> ByParcel {
        let known = self.holdings.claim(&claim);
        known.map(|known| known.refunded_in_vain_by(&self.me)).unwrap_or_default()
    }

    /// The token is enough: the sale may be on its way for as long as it likes, and its issuer be anybody of the event.
    fn redeem_token(&mut self, text: &str, pin: Option<&Pin>) -> Result<Reply, Refusal> {
        let bytes = token::from_text(text)?;
        let signed = SignedToken::read(&bytes, &mut self.gate)?;
        if signed.kind != Kind::Claim {
            return Err(TokenError::NotAClaim.into());
        }
        let issuer = signed.certificate();
        if let Some(retired) = self.trust.retired().get(&issuer.device)
            && retired.is_late(&signed.claim)
        {
            let by = self.name_of(&retired.by);
            return Err(TokenError::IssuerRetired { name: issuer.name.clone(), by }.into());
        }
        let claim = signed.claim;
        let seller = self.sale(&claim).map(|(chain, ..)| chain.device);
        if seller.is_some_and(|seller| seller != issuer.device) {
            return Err(TokenError::NotTheSeller { name: issuer.name.clone() }.into());
        }
        // Second showings are told so even after the token has expired.
        self.check_not_handed_out(claim)?;
        signed.check_at(self.now.wall_ms)?;
        let standing = match self.standing(claim) {
            Ok((_, standing)) if !self.is_news(&signed) => {
                debug_assert!(standing.redeemed.is_none());
                return self.redeem_known(claim, pin);
            }
            Ok((_, standing)) => Some(standing),
            Err(_) => None,
        };
        if signed.custodian != self.me {
            return Err(self.not_custodian(claim, signed.custodian));
        }
        let items: Vec<HandOut> = match &standing {
            // What was taken back before is known here, or to who issued the token.
            Some(standing) => self.hand_outs(&self.both(&standing.left, &signed.items)),
            None => {
                let items = signed.items.iter();
                items.flat_map(|item| self.whereabouts(&signed.drop, &item.sku, &item.units)).collect()
            }
        };
        if items.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        self.check_not_refunded(claim, &self.refunded_in_vain(claim))?;
        let tag = self.sale(&claim).map_or(signed.pin, |(_, _, sale)| sale.pin);
        self.check_pin(claim, &signed.drop, tag, pin)?;
        let under = signed.under.filter(|_| !self.plant.has(Planted::HandOutAgain)).unwrap_or(claim);
        self.hand_out(claim, signed.drop.clone(), under, Some(signed.bytes().to_vec()), items)
    }

    /// Whether a token says that this device is the custodian by a record of custody that is not here yet. What is here says
    /// nothing against it then: who gave the claim here knew all that was done before.
    fn is_news(&self, token: &Token) -> bool {
        let known = self.holdings.claim(&token.claim);
        let is_known = |under: &Ref| known.is_some_and(|known| known.knows_of(under));
        token.custodian == self.me && token.under.is_some_and(|under| !is_known(&under))
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
            under: (standing.under != claim).then_some(standing.under),
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
        signed.map(|signed| signed.to_text()).map_err(Refusal::from)
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
        self.check_may_keep(&to)?;
        let (drop, standing) = self.claim_in_custody(claim)?;
        self.check_not_handed_out(claim)?;
        if to != self.me {
            self.write_custody(claim, drop, &standing, to, None)?;
        }
        Ok(Reply::Custody(self.known_claim(&claim).ok_or(Refusal::UnknownClaim { claim })?))
    }

    /// Writes that another device, or this one as an heir, is the custodian of a claim that stands so.
    pub(super) fn write_custody(
        &mut self,
        claim: Ref,
        drop: DropId,
        standing: &Standing,
        to: DeviceId,
        succession: Option<Succession>,
    ) -> Result<(), Refusal> {
        let (retirement, heirs) = succession.map(|by| (by.retirement, by.heirs)).unzip();
        let custody = record::Custody {
            claim,
            under: standing.under,
            to,
            retirement,
            heirs: heirs.flatten(),
            handed_out: standing.redeemed.map(|redeemed| redeemed.entry),
            refunds: self.paid_back_so_far(&claim),
        };
        self.write(&Document::Claims(drop), Body::Custody(custody)).map(|_| ())
    }

    /// The refunds of parts of a claim, if there are any.
    pub(super) fn paid_back_so_far(&self, claim: &Ref) -> Option<Vec<Ref>> {
        let refunds: Vec<Ref> = self.holdings.claim(claim)?.counted_refunds().take(MAX_LINES).collect();
        (!refunds.is_empty()).then_some(refunds)
    }

    /// Says again, by the right that it has now, what this device has handed out and what counts for nothing: so the claim
    /// ends, and what was handed out can be brought back. Nothing is handed out by that.
    pub(super) fn settle_own_hand_outs(&mut self) {
        let may = !self.intake.regained.is_empty() && self.may_write().is_ok();
        if !may || self.check_not_suspended().is_err() {
            return;
        }
        for claim in std::mem::take(&mut self.intake.regained) {
            self.refund_on_a_word(claim);
            let own =
                self.holdings.claim(&claim).is_some_and(|known| known.handed_out_by(&self.me).is_some());
            if !own {
                continue;
            }
            let Ok((drop, standing)) = self.claim_in_custody(claim) else { continue };
            if standing.redeemed.is_none() && standing.custodian == self.me {
                let under = standing.under;
                let redeem = record::Redeem { claim, under, token: None, compartments: None };
                // What cannot be written now is tried again at the next start; until then the claim is refused here.
                let _ = self.write(&Document::Claims(drop), Body::Redeem(redeem));
            }
        }
    }

    /// After a start, or when somebody's entries count no more: claims that this device may have handed out in vain.
    pub(super) fn find_own_hand_outs(&mut self) {
        let own = self.holdings.claims().filter(|(_, known)| {
            let waits = known.custodian() == Some(self.me) && !known.is_handed_out();
            waits && known.handed_out_by(&self.me).is_some()
        });
        self.intake.regained = own.map(|(claim, _)| *claim).collect();
    }

    /// The drop and the standing of a claim that this device may redeem or refund, with something left.
    pub(super) fn claim_in_custody(&self, claim: Ref) -> Result<(DropId, Standing), Refusal> {
        let (drop, standing) = self.standing(claim)?;
        if standing.left.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        if standing.custodian != self.me && !self.plant.has(Planted::RedeemWithoutCustody) {
            return Err(self.not_custodian(claim, standing.custodian));
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

    pub(super) fn already(&self, claim: Ref, redeemed: HandedOut) -> Refusal {
        let name = self.name_of(&redeemed.by);
        Refusal::AlreadyRedeemed { claim, at_ms: redeemed.at.ms(), by: redeemed.by, name }
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
        let asked = known.and_then(|known| known.request_for_refund());
        let declined = redeemed.filter(|redeemed| asked.is_some() && redeemed.entry != claim);
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
            after_close: self.close_before(drop, &claim).is_some(),
            redeemed_at_ms: redeemed.map(|redeemed| redeemed.at.ms()),
            redeemed_by: redeemed.map(|redeemed| redeemed.by),
            door: redeemed.and_then(|redeemed| self.door(&redeemed.entry)).map(Box::new),
            refunded: self.items_of(&taken.collect::<Vec<_>>()),
            refund_asked_at_ms: asked.map(|asked| asked.at().ms()),
            refund_asked_by: asked.map(|asked| asked.by),
            refund_declined: declined.map(|redeemed| self.already(claim, redeemed).to_string()),
            contested: match self.holdings.is_void(&claim) {
                true => self.items_of(&sale.lines),
                false => self.items_of(&lost.collect::<Vec<_>>()),
            },
        }
    }
}
