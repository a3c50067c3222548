//! What sales, redemptions and refunds do to the stock.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Act, Claim, Deed, Sold, Standing};
use super::{Effect, Event, Holdings, Outcome, Parcel};
use crate::id::{DeviceId, Ref};
use crate::record::{Body, Custody, Line, Sale};
use crate::token::UnprovenToken;
use crate::units::UnitSet;

/// What became of units, by lot and by the device that did it.
type Tally = BTreeMap<(Ref, DeviceId), Outcome>;

fn by_parcel<'a>(lines: impl Iterator<Item = (Ref, &'a UnitSet)>) -> BTreeMap<Ref, UnitSet> {
    let mut units: BTreeMap<Ref, UnitSet> = BTreeMap::new();
    for (parcel, line) in lines {
        units.entry(parcel).or_default().insert_all(line);
    }
    units
}

impl Holdings {
    /// Makes a claim of those `lines` of a sale that count; deeds about it may be known already. They change the stock now unless it is to be worked
    /// out anew.
    ///
    /// Returns the lots that are to be worked out anew.
    pub(super) fn open_claim(
        &mut self,
        event: &Event<'_>,
        sale: &Sale,
        lines: &[(Ref, &UnitSet)],
        settled: bool,
    ) -> BTreeSet<Ref> {
        let sold = Sold {
            seller: event.author,
            at: event.record.at,
            custodian: sale.pickup_at.unwrap_or(event.author),
            handed_over: sale.pickup_at.is_none(),
            units: by_parcel(lines.iter().copied()).into_iter().collect(),
        };
        if !self.claims.entry(event.entry).or_default().sell(event.entry, sold.clone()) {
            return BTreeSet::new();
        }
        let before = self.tally_at_first(&event.entry, &sold);
        let refunds = self.valid_refunds(&event.entry);
        // Of a claim of several lots, one that is worked out anew takes the others with it: what was done is of all of them.
        if self.note_breaches(&event.entry) || !settled {
            return self.lots_of_claim(&event.entry);
        }
        self.adjust(&event.entry, before, &refunds);
        BTreeSet::new()
    }

    /// Takes down what was done about a claim and counts for nothing. Whether there is anything.
    pub(super) fn note_breaches(&mut self, claim: &Ref) -> bool {
        let Some(known) = self.claims.get(claim) else { return false };
        let void: Vec<(Ref, String)> = match self.void.contains_key(claim) {
            true => known.acts_on_nothing(*claim).collect(),
            false if known.sold().is_none() => known.redeemed_again_unseen(*claim).collect(),
            false => known.void().map(|(entry, text)| (*entry, text.to_owned())).collect(),
        };
        let some = !void.is_empty();
        self.breaches.retain(|(of, _), _| of != claim);
        self.breaches.extend(void.into_iter().map(|(entry, text)| ((*claim, entry), text)));
        some
    }

    /// Takes in what a custodian did about a claim.
    pub(super) fn act(&mut self, event: &Event<'_>) -> Effect {
        let (claim, under, deed) = match &event.record.body {
            Body::Custody(custody) => {
                let deed = Deed::Custody {
                    to: custody.to,
                    from: self.inherited_from(custody, &event.author),
                    handed_out: custody.handed_out,
                };
                (custody.claim, custody.under, deed)
            }
            Body::Redeem(redeem) => {
                let token = redeem.token.as_ref().and_then(|token| UnprovenToken::parse(token).ok());
                let vouched_by = token.map(|token| token.issuer().device);
                (redeem.claim, redeem.under, Deed::Redeem { vouched_by })
            }
            Body::Refund(refund) => {
                if let Some(problem) = self.mixes(&refund.lines) {
                    let text = format!("refund {} by {}: {problem}", event.entry, event.author.short());
                    return self.make_void(event, text);
                }
                let deed = Deed::Refund {
                    units: by_parcel(refund.lines.iter().map(|line| (line.parcel, &line.units))),
                    place: refund.place.clone(),
                    damaged: refund.damaged,
                    returned: refund.handed_out,
                    unclaimed: refund.unclaimed.unwrap_or(false),
                };
                (refund.claim, refund.under, deed)
            }
            _ => return Effect::None,
        };
        let act = Act { entry: event.entry, author: event.author, under, deed };
        let precedence = (event.record.at, event.hash);
        self.make_parcel(&act);
        let before = self.tally_of(&claim);
        let refunds = self.valid_refunds(&claim);
        self.claims.entry(claim).or_default().act(claim, precedence, act);
        let in_doubt = self.note_breaches(&claim);
        let lots = self.lots_of_claim(&claim);
        if in_doubt {
            self.empty_parcels(&claim);
            for lot in &lots {
                if let Some(lot) = self.lots.get_mut(lot) {
                    lot.contested = true;
                }
            }
        }
        if lots.iter().any(|lot| self.lots.get(lot).is_some_and(|lot| lot.contested)) {
            return Effect::Contested(lots);
        }
        let now = self.valid_refunds(&claim);
        let new: Vec<Ref> = now.into_iter().filter(|refund| !refunds.contains(refund)).collect();
        self.adjust(&claim, before, &new);
        Effect::Applied
    }

    /// The retired device whose custody this takes over, if its author is an heir of one by the retirements that it names.
    fn inherited_from(&self, custody: &Custody, author: &DeviceId) -> Option<DeviceId> {
        let first = custody.retirement?;
        let mut retired = self.retired.iter().filter(|(_, retirement)| retirement.entry == first);
        let (from, _) = retired.next()?;
        self.takes_over(from, first, custody.heirs.as_deref(), author).then_some(*from)
    }

    /// One parcel is made of what comes back: of one lot.
    fn mixes(&self, lines: &[Line]) -> Option<&'static str> {
        let lots: BTreeSet<Option<Ref>> =
            lines.iter().map(|line| self.parcels.get(&line.parcel).map(|parcel| parcel.lot)).collect();
        match lots.len() {
            1 if !lots.contains(&None) => None,
            1 => Some("takes back units of what is no parcel"),
            _ => Some("mixes lots"),
        }
    }

    fn lots_of_claim(&self, claim: &Ref) -> BTreeSet<Ref> {
        let sold = self.claims.get(claim).and_then(|claim| claim.sold());
        let parcels = sold.into_iter().flat_map(|sold| &sold.units);
        parcels.filter_map(|(parcel, _)| self.parcels.get(parcel)).map(|parcel| parcel.lot).collect()
    }

    /// What any refund takes back is a parcel, whether or not it counts: whoever draws on it must find it. Its units are
    /// free once it counts.
    fn make_parcel(&mut self, act: &Act) {
        let Deed::Refund { units, place, damaged: false, .. } = &act.deed else { return };
        let Some(lot) = units.keys().find_map(|parcel| self.parcels.get(parcel)).map(|parcel| parcel.lot)
        else {
            return;
        };
        let mut all = UnitSet::default();
        units.values().for_each(|units| all.insert_all(units));
        let parcel = Parcel {
            lot,
            owner: act.author,
            from: None,
            free: UnitSet::default(),
            held: UnitSet::default(),
            units: all,
            place: place.clone(),
            received: true,
        };
        self.add(act.entry, parcel);
    }

    /// Takes what refunds of a claim made free out of sale again, until the lots are worked out anew.
    fn empty_parcels(&mut self, claim: &Ref) {
        let refunds = self.claims.get(claim).into_iter().flat_map(|claim| claim.refunds());
        for refund in refunds.collect::<Vec<_>>() {
            self.change(&refund, |parcel| parcel.free = UnitSet::default());
        }
    }

    fn valid_refunds(&self, claim: &Ref) -> Vec<Ref> {
        let acts = self.claims.get(claim).map(Claim::valid).unwrap_or_default();
        acts.iter().filter(|act| matches!(act.deed, Deed::Refund { .. })).map(|act| act.entry).collect()
    }

    /// What became of the units of a claim before anything was done about it.
    fn tally_at_first(&self, claim: &Ref, sold: &Sold) -> Tally {
        self.tally(&Standing::of(*claim, sold), sold)
    }

    fn tally_of(&self, claim: &Ref) -> Tally {
        let known = self.claims.get(claim);
        let sold = known.and_then(Claim::sold);
        let standing = known.and_then(|known| known.standing(*claim));
        sold.zip(standing).map_or_else(Tally::new, |(sold, standing)| self.tally(&standing, sold))
    }

    /// What became of the units of a claim.
    fn tally(&self, standing: &Standing, sold: &Sold) -> Tally {
        let mut tally = Tally::new();
        let mut add = |parcel: &Ref, device: DeviceId, outcome: Outcome| {
            let Some(parcel) = self.parcels.get(parcel) else { return };
            let sum = tally.entry((parcel.lot, device)).or_default();
            sum.sold += outcome.sold;
            sum.committed += outcome.committed;
            sum.damaged += outcome.damaged;
        };
        for (parcel, units) in &standing.left {
            let units = units.len();
            let outcome = match standing.redeemed {
                Some(_) => Outcome { sold: units, ..Outcome::default() },
                None => Outcome { committed: units, ..Outcome::default() },
            };
            add(parcel, sold.seller, outcome);
        }
        for act in &standing.valid {
            if let Deed::Refund { units, damaged: true, .. } = &act.deed {
                for (parcel, units) in units {
                    add(parcel, act.author, Outcome { damaged: units.len(), ..Outcome::default() });
                }
            }
        }
        tally
    }

    /// Has the stock go by how a claim stands now, `before` being how it went until now.
    fn adjust(&mut self, claim: &Ref, before: Tally, new_refunds: &[Ref]) {
        let after = self.tally_of(claim);
        for ((lot, device), outcome) in before {
            if let Some(sum) = self.lots.get_mut(&lot).and_then(|lot| lot.outcome.get_mut(&device)) {
                sum.sold = sum.sold.saturating_sub(outcome.sold);
                sum.committed = sum.committed.saturating_sub(outcome.committed);
                sum.damaged = sum.damaged.saturating_sub(outcome.damaged);
            }
        }
        for ((lot, device), outcome) in after {
            if let Some(lot) = self.lots.get_mut(&lot) {
                let sum = lot.outcome.entry(device).or_default();
                sum.sold += outcome.sold;
                sum.committed += outcome.committed;
                sum.damaged += outcome.damaged;
            }
        }
        for refund in new_refunds {
            self.change(refund, |parcel| parcel.free = parcel.units.clone());
        }
    }
}
