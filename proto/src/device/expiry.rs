//! Claims that nobody came for in time: which ones are late, and taking them back to stock.

use super::Device;
use super::commands::invalid;
use super::payments::paid_out;
use super::refunds::Why;
use crate::command::{LateClaims, MAX_PICKUP_MS, Refusal, Reply, Sell, Sweep, Swept, Unclaimed};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::text::DropId;

/// The most claims that one command sweeps, so that one write stays short.
const MAX_SWEPT: usize = 100;

impl Device {
    /// Whether what is sold can be picked up where it is to be.
    pub(super) fn check_custodian(&self, sell: &Sell) -> Result<(), Refusal> {
        let Some(device) = sell.pickup_at else { return Ok(()) };
        if !self.peers.known().contains(&device) {
            return Err(Refusal::UnknownDevice { device });
        }
        self.check_may_keep(&device)
    }

    /// Until when a sale can be picked up, if that ends: so long after the time that it bears.
    pub(super) fn pickup_ends(&self, drop: &DropId, sell: &Sell) -> Result<Option<u64>, Refusal> {
        if sell.pickup_at.is_none() {
            return Ok(None);
        }
        let within = sell.pickup_within_ms.or(self.plan_of(drop)?.pickup_within_ms);
        Ok(within.map(|within| self.time_ms().saturating_add(within)))
    }

    /// Whether a claim waits longer than it may.
    pub(super) fn is_late(&self, claim: &Ref) -> bool {
        let waits = self.holdings.claim(claim).and_then(|known| known.standing(*claim));
        waits.is_some_and(|standing| standing.waits())
            && self.expires_ms(claim).is_some_and(|expires_ms| expires_ms <= self.now.wall_ms)
    }

    fn expires_ms(&self, claim: &Ref) -> Option<u64> {
        self.sale(claim)?.2.expires_ms
    }

    /// Takes back what nobody came for, of the claims in this device's custody. Where that is paid for and nobody with a
    /// drawer is here, it marks them instead: the money goes back on an attended device, by a person's act.
    pub(super) fn sweep(&mut self, sweep: &Sweep) -> Result<Reply, Refusal> {
        let drop = &sweep.drop;
        let pays = match self.plan_of(drop)?.unclaimed {
            Unclaimed::Keep => {
                let problem = format!(
                    "drop {drop} keeps what nobody came for; refund a claim instead, or plan drops with another rule"
                );
                return Err(invalid("drop", problem));
            }
            Unclaimed::Refund => true,
            Unclaimed::Forfeit => false,
        };
        self.check_clocks()?;
        let marks = pays && !self.is_attended();
        let mut late = self.late_here(drop);
        if marks {
            late.retain(|(_, claim)| !self.holdings.claim(claim).is_some_and(|known| known.is_asked_back()));
        }
        if let Some(seen) = sweep.seen {
            let claims = late.len() as u64;
            if seen != (LateClaims { device: self.me, claims }) {
                return Err(self.not_as_said(None, Some(claims), None));
            }
        }
        late.sort();
        let left = late.len().saturating_sub(MAX_SWEPT) as u64;
        let mut swept = Swept { entry: None, amount: 0, claims: Vec::new(), left };
        for (_, claim) in late.into_iter().take(MAX_SWEPT) {
            if marks {
                let entry = self.mark_refund(claim)?;
                swept.entry.get_or_insert(entry);
                swept.claims.extend(self.known_claim(&claim));
                continue;
            }
            let (_, standing) = self.claim_in_custody(claim)?;
            let (first, written) = self.take_back(claim, &standing.left, Why::Unclaimed { pays })?;
            swept.entry = swept.entry.or(first);
            swept.amount = swept.amount.saturating_add(paid_out(&written));
            swept.claims.extend(self.known_claim(&claim));
        }
        Ok(Reply::Swept(swept))
    }

    /// The late claims of a drop in this device's custody, with the end of their time.
    fn late_here(&self, drop: &DropId) -> Vec<(u64, Ref)> {
        self.late_at(&self.me, drop)
    }

    /// The same of any device, by this one's clock.
    pub(super) fn late_at(&self, device: &DeviceId, drop: &DropId) -> Vec<(u64, Ref)> {
        let of_drop = |claim: &Ref| {
            let chain = self.log.chain(&claim.chain);
            chain.is_some_and(|chain| chain.document == Document::Claims(drop.clone()))
        };
        let here = self.holdings.waiting_with(device).filter(of_drop);
        here.filter_map(|claim| Some((self.expires_ms(&claim)?, claim)))
            .filter(|(expires_ms, _)| *expires_ms <= self.now.wall_ms)
            .collect()
    }
}

/// Checks what a sale says of its pickup.
pub(super) fn check_pickup_of(sell: &Sell) -> Result<(), Refusal> {
    if sell.pin.is_some() && sell.pickup_at.is_none() {
        return Err(invalid("pin", "only what is picked up later takes a PIN; give pickup_at, too"));
    }
    match sell.pickup_within_ms {
        Some(_) if sell.pickup_at.is_none() => {
            let problem = "only what is picked up later has a time for it; give pickup_at, too";
            Err(invalid("pickup_within_ms", problem))
        }
        Some(within_ms) => check_pickup(within_ms),
        None => Ok(()),
    }
}

pub(super) fn check_pickup(within_ms: u64) -> Result<(), Refusal> {
    if (1..=MAX_PICKUP_MS).contains(&within_ms) {
        return Ok(());
    }
    Err(invalid("pickup_within_ms", format!("{within_ms} ms; give 1 to {MAX_PICKUP_MS}, a year")))
}
