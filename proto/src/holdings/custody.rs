//! What sales, redemptions and refunds do to the stock.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Act, Claim, Deed, Sold};
use super::settle::Work;
use super::spans::Spans;
use super::{Effect, Event, Holdings, Outcome, Parcel};
use crate::id::{DeviceId, Ref};
use crate::planted::Planted;
use crate::record::{Body, Custody, Line, Sale};
use crate::token::UnprovenToken;
use crate::units::UnitSet;

/// What became of units, by lot and by the device that did it.
pub(super) type Tally = BTreeMap<(Ref, DeviceId), Outcome>;

fn by_parcel<'a>(lines: impl Iterator<Item = (Ref, &'a UnitSet)>) -> BTreeMap<Ref, UnitSet> {
    let mut units: BTreeMap<Ref, UnitSet> = BTreeMap::new();
    for (parcel, line) in lines {
        units.entry(parcel).or_default().insert_all(line);
    }
    units
}

impl Holdings {
    /// Makes a claim of those `lines` of a sale that count; deeds about it may be known already. What of the parcels of its
    /// refunds is to be worked out.
    pub(super) fn open_claim(&mut self, event: &Event<'_>, sale: &Sale, lines: &[(Ref, &UnitSet)]) -> Work {
        let sold = Sold {
            seller: event.author,
            at: event.record.at,
            custodian: sale.pickup_at.unwrap_or(event.author),
            handed_over: sale.pickup_at.is_none(),
            units: by_parcel(lines.iter().copied()).into_iter().collect(),
        };
        let handed_over = sold.handed_over;
        let drop_of = &self.drop_of;
        let is_elsewhere = |entry: &Ref| drop_of.get(&entry.chain).is_some_and(|drop| drop != event.drop);
        let acted = self.claims.entry(event.entry).or_default().sell(event.entry, sold, is_elsewhere);
        self.note_waiting(&event.entry, None);
        if !acted {
            self.count(event, lines, |outcome, units| {
                *(if handed_over { &mut outcome.sold } else { &mut outcome.committed }) += units;
            });
            return Work::new();
        }
        self.note_breaches(&event.entry);
        self.adjust(&event.entry, Tally::new());
        let refunds = self.valid_refunds(&event.entry);
        refunds.iter().filter_map(|refund| self.regrant(&event.entry, refund)).collect()
    }

    /// Takes down what was done about a claim and counts for nothing.
    pub(super) fn note_breaches(&mut self, claim: &Ref) {
        let Some(known) = self.claims.get(claim) else { return };
        let void: Vec<(Ref, String)> = match self.void.contains_key(claim) {
            true => known.acts_on_nothing(*claim).collect(),
            false if known.sold().is_none() => known.redeemed_again_unseen(*claim).collect(),
            false => known.void().map(|(entry, text)| (*entry, text.to_owned())).collect(),
        };
        for entry in self.breaches_of.remove(claim).unwrap_or_default() {
            self.breaches.remove(&entry);
            self.steps.add(1);
        }
        if !void.is_empty() {
            self.steps.add(void.len());
            self.breaches_of.insert(*claim, void.iter().map(|(entry, _)| *entry).collect());
            self.breaches.extend(void.into_iter().map(|(entry, text)| (entry, (*claim, text))));
        }
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
                let vouched_by = token.map(|token| self.issuer_of(&redeem.claim, token.issuer().device));
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
        // Where the sale is not known, it says so itself once it is.
        let is_sold = self.claims.get(&claim).is_some_and(|known| known.sold().is_some());
        let elsewhere = is_sold && !self.is_of_drop(&claim, event.drop);
        let author = self.author_of_deed(&claim, event.author);
        let act = Act { entry: event.entry, author, under, deed, elsewhere };
        let precedence = (event.record.at, event.hash);
        self.make_parcel(&act);
        let before = self.tally_of(&claim);
        let counted = self.valid_refunds(&claim);
        let waited_with = self.claims.get(&claim).and_then(Claim::waits_with);
        self.claims.entry(claim).or_default().act(claim, precedence, act);
        self.note_waiting(&claim, waited_with);
        self.note_breaches(&claim);
        self.adjust(&claim, before);
        let now = self.valid_refunds(&claim);
        // A deed that comes late can have one that counted count no more.
        let changed: Vec<Ref> = counted.symmetric_difference(&now).copied().collect();
        let work: Work = changed.iter().filter_map(|refund| self.regrant(&claim, refund)).collect();
        self.settle(work);
        self.note_sold(&claim);
        Effect::Applied
    }

    fn author_of_deed(&self, claim: &Ref, author: DeviceId) -> DeviceId {
        let custodian = self.claims.get(claim).and_then(Claim::custodian);
        custodian.filter(|_| self.plant.has(Planted::DeedsByAnybody)).unwrap_or(author)
    }

    fn issuer_of(&self, claim: &Ref, issuer: DeviceId) -> DeviceId {
        let sold = self.claims.get(claim).and_then(Claim::sold);
        sold.filter(|_| self.plant.has(Planted::TrustAnyToken)).map_or(issuer, |sold| sold.seller)
    }

    /// A claim may wait with another device than before, or with none.
    fn note_waiting(&mut self, claim: &Ref, before: Option<DeviceId>) {
        let now = self.claims.get(claim).and_then(Claim::waits_with);
        if let Some(device) = before.filter(|_| now != before)
            && let Some(claims) = self.waiting.get_mut(&device)
        {
            claims.remove(claim);
            if claims.is_empty() {
                self.waiting.remove(&device);
            }
        }
        if let Some(device) = now {
            self.waiting.entry(device).or_default().insert(*claim);
        }
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
            frozen: UnitSet::default(),
            wish: None,
            back: 0,
            lacking: all.clone(),
            units: all,
            place: place.clone(),
            received: true,
            drawn: Spans::default(),
            aside: Spans::default(),
        };
        self.add(act.entry, parcel);
    }

    pub(super) fn valid_refunds(&self, claim: &Ref) -> BTreeSet<Ref> {
        let acts = self.claims.get(claim).map(Claim::valid).unwrap_or_default();
        acts.iter().filter(|act| matches!(act.deed, Deed::Refund { .. })).map(|act| act.entry).collect()
    }

    /// What became of the units that a claim has: not of those that an earlier spend has.
    pub(super) fn tally_of(&self, claim: &Ref) -> Tally {
        let mut tally = Tally::new();
        let Some(known) = self.claims.get(claim) else { return tally };
        let Some((sold, standing)) = known.sold().zip(known.standing(*claim)) else { return tally };
        let lost = self.outrun.get(claim);
        let mut add = |parcel: &Ref, units: &UnitSet, device: DeviceId, to: fn(&mut Outcome) -> &mut u64| {
            let Some(lot) = self.parcels.get(parcel).map(|parcel| parcel.lot) else { return };
            let lost = lost.and_then(|lost| lost.get(parcel));
            let units = units.len() - lost.map_or(0, |lost| lost.intersection(units).len());
            *to(tally.entry((lot, device)).or_default()) += units;
        };
        let handed_out = standing.redeemed.is_some();
        for (parcel, units) in &standing.left {
            let to: fn(&mut Outcome) -> &mut u64 = match handed_out {
                true => |outcome| &mut outcome.sold,
                false => |outcome| &mut outcome.committed,
            };
            add(parcel, units, sold.seller, to);
        }
        for act in &standing.valid {
            if let Deed::Refund { units, damaged: true, .. } = &act.deed {
                for (parcel, units) in units {
                    add(parcel, units, act.author, |outcome| &mut outcome.damaged);
                }
            }
        }
        tally
    }

    /// Has the stock go by how a claim stands now, `before` being how it went until now.
    pub(super) fn adjust(&mut self, claim: &Ref, before: Tally) {
        for ((lot, device), outcome) in before {
            self.outcome(&lot, &device, |sum| {
                sum.sold = sum.sold.saturating_sub(outcome.sold);
                sum.committed = sum.committed.saturating_sub(outcome.committed);
                sum.damaged = sum.damaged.saturating_sub(outcome.damaged);
            });
        }
        for ((lot, device), outcome) in self.tally_of(claim) {
            self.outcome(&lot, &device, |sum| {
                sum.sold += outcome.sold;
                sum.committed += outcome.committed;
                sum.damaged += outcome.damaged;
            });
        }
    }
}
