//! Which claim a person means: whoever stands at a counter has a code, a receipt, an order's number or a token in hand, and
//! seldom the claim's reference.

use std::collections::BTreeSet;

use super::Device;
use crate::claim_code::ClaimCode;
use crate::command::{Claim, Fitting, Refusal};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::query::{MAX_NAMED, Named};
use crate::record::{Body, Record};
use crate::token::{self, Kind, SignedToken, TokenError};

/// A key is meant by its first digits from so many on.
const KEY_DIGITS: usize = 4;

impl Device {
    /// The claims that a text can mean. All ways in which it can be read count: nothing is guessed.
    pub(super) fn claims_named(&self, text: &str) -> Result<Named, Refusal> {
        let meant = self.meant_by(text)?;
        let mut claims: Vec<Claim> = meant.iter().filter_map(|claim| self.known_claim(claim)).collect();
        claims.sort_by_key(|claim| std::cmp::Reverse((claim.at_ms, claim.claim)));
        claims.truncate(MAX_NAMED);
        let claim = meant.first().copied().filter(|_| meant.len() == 1);
        Ok(Named { claim, is_token: token::from_text(text).is_ok(), claims, count: meant.len() as u64 })
    }

    pub(super) fn meant_by(&self, text: &str) -> Result<BTreeSet<Ref>, Refusal> {
        let text = text.trim();
        if let Ok(claim) = text.parse::<Ref>() {
            return Ok(BTreeSet::from([claim]));
        }
        match token::from_text(text) {
            // No text of another kind is one.
            Err(TokenError::NotAToken) => {}
            Err(error) => return Err(error.into()),
            Ok(bytes) => {
                let signed = SignedToken::read(&bytes, &mut self.gate.clone())?;
                return match signed.kind {
                    Kind::Claim => Ok(BTreeSet::from([signed.claim])),
                    Kind::Cart => Err(TokenError::NotAClaim.into()),
                };
            }
        }
        let mut meant = self.of_receipts(text);
        let code = text.parse::<ClaimCode>().ok();
        for chain in self.log.chains().filter(|chain| matches!(chain.document, Document::Claims(_))) {
            for seq in 1..=chain.len() {
                let Some(Ok(record)) = chain.body(seq).map(Record::decode) else { continue };
                let entry = Ref { chain: chain.id, seq };
                match &record.body {
                    Body::Sale(sale) => {
                        let is_paid_so =
                            || sale.parts().iter().any(|part| part.reference.as_deref() == Some(text));
                        let is_for = sale.shopper.as_ref().is_some_and(|shopper| shopper.as_str() == text);
                        if code == Some(ClaimCode::of(&entry)) || is_for || is_paid_so() {
                            meant.insert(entry);
                        }
                    }
                    Body::PaymentSettled(settled) if settled.reference.as_deref() == Some(text) => {
                        meant.insert(settled.claim);
                    }
                    _ => {}
                }
            }
        }
        Ok(meant)
    }

    /// The claims of the receipts with this number, of this device's or another's.
    fn of_receipts(&self, text: &str) -> BTreeSet<Ref> {
        let (devices, number) = match text.rsplit_once([':', ' ', '/']) {
            None => (vec![self.me], text),
            Some((name, number)) => (self.devices_named(name.trim()), number),
        };
        let digits = number.strip_prefix('#').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return BTreeSet::new();
        }
        let Ok(number) = digits.parse::<u64>() else { return BTreeSet::new() };
        let runs = devices.iter().filter_map(|device| self.receipts.of(device));
        let claim_of = |entry: Ref| {
            let body = self.log.chain(&entry.chain)?.body(entry.seq)?;
            match Record::decode(body).ok()?.body {
                Body::Sale(_) => Some(entry),
                Body::Refund(refund) => Some(refund.claim),
                _ => None,
            }
        };
        runs.flat_map(|run| run.at(number)).filter_map(claim_of).collect()
    }

    /// Devices with this name, or with a key that is or begins so.
    fn devices_named(&self, name: &str) -> Vec<DeviceId> {
        let known = self.peers.known();
        let named: Vec<DeviceId> =
            known.iter().copied().filter(|device| self.name_of(device) == name).collect();
        let prefix = name.to_ascii_lowercase();
        let by_key =
            |device: &DeviceId| prefix.len() >= KEY_DIGITS && device.to_string().starts_with(&prefix);
        match named.is_empty() {
            true => known.into_iter().filter(by_key).collect(),
            false => named,
        }
    }
}

impl Named {
    /// The one claim that is meant by `text`.
    ///
    /// # Errors
    /// [`Refusal::NoSuchClaim`], or [`Refusal::AmbiguousClaim`] with those that it can be.
    pub fn one(self, text: &str, name_of: impl Fn(&DeviceId) -> String) -> Result<Ref, Refusal> {
        let named: String = text.trim().chars().take(80).collect();
        match (self.claim, self.count) {
            (Some(claim), _) => Ok(claim),
            (None, 0) => Err(Refusal::NoSuchClaim { named }),
            (None, count) => {
                let fits = |claim: Claim| {
                    let items: Vec<String> = claim
                        .items
                        .iter()
                        .map(|item| format!("{} × {}", item.units.len(), item.sku))
                        .collect();
                    Fitting {
                        claim: claim.claim,
                        code: claim.code,
                        at_ms: claim.at_ms,
                        seller: name_of(&claim.seller),
                        items: items.join(", "),
                        total: claim.total,
                        currency: claim.currency,
                    }
                };
                Err(Refusal::AmbiguousClaim {
                    named,
                    count,
                    claims: self.claims.into_iter().map(fits).collect(),
                })
            }
        }
    }
}
