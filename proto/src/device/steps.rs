//! A drop's steps on this device: how far it is here, by what was written and by the clock; taking one; and what was sold after
//! a close.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use crate::claim_code::ClaimCode;
use crate::command::{
    DropInfo, DropState, DropStep, LateSale, Refusal, Reply, StepDone, StepInfo, StepNew, VenueState,
};
use crate::document::Document;
use crate::drop_steps::{Done, Fit, Misfit};
use crate::holdings::Event;
use crate::id::Ref;
use crate::identity::{Role, Roles};
use crate::planted::Planted;
use crate::programme::DropPlan;
use crate::record::{Announced, Body, MAX_ANNOUNCED, Step, StepKind};
use crate::text::{DropId, Place, Sku};

/// Sales that came after a close, by drop. It follows from the views, and spares going through all sales at each look.
#[derive(Debug, Default)]
pub(super) struct Late {
    all: BTreeMap<DropId, BTreeSet<Ref>>,
    /// Drops of which it is to be worked out anew.
    stale: BTreeSet<DropId>,
}

impl Late {
    fn of(&self, drop: &DropId) -> impl Iterator<Item = &Ref> {
        self.all.get(drop).into_iter().flatten()
    }
}

/// While clocks in reach disagree, a hard end may be so much earlier than this device's clock says, milliseconds.
const DOUBT_MS: u64 = 30_000;

/// How far a drop is at a venue, by what was written and by this device's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Far {
    pub(super) state: DropState,
    pub(super) round: u32,
    /// Its hard end has come, and nobody closed it.
    pub(super) ended: bool,
    pub(super) ends_ms: Option<u64>,
}

impl Device {
    /// How far a drop of the programme is at a venue.
    pub(super) fn how_far(&self, plan: &DropPlan, venue: &Place) -> Far {
        let steps = self.holdings.steps_of(&plan.drop);
        let (state, round) = match steps.map(|steps| steps.at(venue)) {
            Some(Some(at)) => (at.kind.into(), at.round),
            Some(None) => (DropState::Planned, 0),
            None => (plan.old_state, 0),
        };
        // What was given with the plan binds the first round.
        let planned = plan.ends_ms.filter(|_| round == 0);
        let announced = steps.and_then(|steps| steps.ends_ms(venue, round));
        let ends_ms = [planned, announced].into_iter().flatten().min();
        let ended = state != DropState::Closed && ends_ms.is_some_and(|ends_ms| self.has_ended(ends_ms));
        Far { state: if ended { DropState::Closed } else { state }, round, ended, ends_ms }
    }

    /// How far a drop is at this device's venue.
    pub(super) fn how_far_here(&self, plan: &DropPlan) -> Far {
        self.how_far(plan, &self.venue)
    }

    /// Whether a drop is over at a venue; one that is on no programme here is.
    pub(super) fn is_over(&self, drop: &DropId, venue: &Place) -> bool {
        let plan = self.programme.drops().get(drop);
        plan.is_none_or(|plan| self.how_far(plan, venue).state == DropState::Closed)
    }

    /// The time that people read: what the wall clock shows, unless that cannot be.
    fn shown_ms(&self) -> u64 {
        match self.now.wall_ms < self.config.certificate.not_before_ms {
            true => self.time_ms(),
            false => self.now.wall_ms,
        }
    }

    /// Whether a hard end has come, by this device's own clock, whatever came from others. In doubt it has come a little earlier.
    fn has_ended(&self, ends_ms: u64) -> bool {
        let now = self.shown_ms();
        now >= ends_ms || now.saturating_add(DOUBT_MS) >= ends_ms && self.clocks_apart().is_some()
    }

    /// Whether a drop sells at this device's venue.
    ///
    /// # Errors
    /// [`Refusal::DropNotOpen`], or [`Refusal::UnknownDrop`].
    pub(super) fn is_open(&self, drop: &DropId) -> Result<(), Refusal> {
        let state = self.how_far_here(self.plan_of(drop)?).state;
        let sells_on = self.plant.has(Planted::SellAfterClose) && state == DropState::Closed;
        if state.sells() || sells_on {
            Ok(())
        } else {
            Err(Refusal::DropNotOpen { drop: drop.clone(), state })
        }
    }

    pub(super) fn plan_of(&self, drop: &DropId) -> Result<&DropPlan, Refusal> {
        self.programme.drops().get(drop).ok_or_else(|| Refusal::UnknownDrop {
            drop: drop.to_string(),
            known: self.programme.drops().keys().map(DropId::to_string).take(20).collect(),
        })
    }

    /// The step that a sale of this device's is made under now.
    pub(super) fn step_now(&self, drop: &DropId) -> Option<Ref> {
        self.holdings.steps_of(drop)?.by(&self.venue)
    }

    /// Venues that devices of the event are of.
    fn venues(&self) -> BTreeSet<Place> {
        let known = self.peers.known().into_iter();
        let of = known.filter_map(|device| Some(self.peers.certificate(&device)?.venue.clone()));
        of.chain([self.venue.clone()]).collect()
    }

    /// Every drop of the programme, as it stands.
    pub(super) fn drops_shown(&self) -> Vec<DropInfo> {
        let venues = self.venues();
        self.programme.drops().values().map(|plan| self.drop_at(plan, &venues)).collect()
    }

    /// A drop as it stands.
    pub(super) fn drop_shown(&self, plan: &DropPlan) -> DropInfo {
        self.drop_at(plan, &self.venues())
    }

    fn drop_at(&self, plan: &DropPlan, venues: &BTreeSet<Place>) -> DropInfo {
        let here = self.how_far_here(plan);
        let steps = self.holdings.steps_of(&plan.drop);
        let differs = |venue: &Place| {
            let far = self.how_far(plan, venue);
            (far.state != here.state || far.round != here.round).then(|| VenueState {
                venue: venue.clone(),
                state: far.state,
                round: far.round,
            })
        };
        let known = |done: &&Done| done.step.venue.as_ref().is_none_or(|venue| venues.contains(venue));
        let of_round = steps.into_iter().flat_map(|steps| steps.of_round(here.round)).filter(known);
        let mut shown: Vec<StepInfo> = of_round.map(|done| self.step_info(&plan.drop, done)).collect();
        shown.sort_by_key(|step| (step.at_ms, step.entry));
        DropInfo {
            drop: plan.drop.clone(),
            title: plan.title.clone(),
            state: here.state,
            round: here.round,
            ended: here.ended,
            ends_ms: here.ends_ms,
            venues: venues.iter().filter_map(differs).collect(),
            announced: steps.map_or_else(Vec::new, |steps| steps.announced().to_vec()),
            late: self.late.of(&plan.drop).count() as u64,
            taken: steps.map_or(0, |steps| steps.len() as u64),
            steps: shown,
            pickup_within_ms: plan.pickup_within_ms,
            unclaimed: plan.unclaimed,
        }
    }

    fn step_info(&self, drop: &DropId, done: &Done) -> StepInfo {
        StepInfo {
            entry: done.entry,
            drop: drop.clone(),
            step: done.step.kind,
            venue: done.step.venue.clone(),
            round: done.step.round,
            at_ms: done.at().ms(),
            by: done.by,
            by_name: self.name_of(&done.by),
            units: done.step.units.clone().unwrap_or_default(),
            ends_ms: done.step.ends_ms,
            counts: self.holdings.steps_of(drop).is_some_and(|steps| steps.counts(&done.entry)),
        }
    }

    /// Every step of a drop, the oldest first.
    pub(super) fn steps_shown(&self, drop: &DropId) -> Result<Vec<StepInfo>, Refusal> {
        self.plan_of(drop)?;
        let all = self.holdings.steps_of(drop).into_iter().flat_map(|steps| steps.all());
        let mut all: Vec<&Done> = all.collect();
        all.sort_by_key(|done| done.precedence);
        Ok(all.into_iter().map(|done| self.step_info(drop, done)).collect())
    }

    /// Takes a step.
    pub(super) fn take_step(&mut self, DropStep { drop, taken }: DropStep) -> Result<Reply, Refusal> {
        let runs = |roles: Roles| roles.has(Role::Hq) || roles.has(Role::Encoder);
        if !runs(self.config.certificate.roles) {
            return Err(self.forbidden("taking a step of a drop", "hq or encoder", runs));
        }
        let plan = self.plan_of(&drop)?.clone();
        let venue = taken.venue.clone();
        let venues = self.venues();
        if let Some(venue) = venue.as_ref().filter(|venue| !venues.contains(*venue)) {
            let known = venues.iter().map(Place::to_string).take(20).collect();
            return Err(Refusal::UnknownVenue { venue: venue.clone(), known });
        }
        self.check_said(&taken)?;
        // Where it is for all, what this device's clock says of its own venue stands for it.
        let far = self.how_far(&plan, venue.as_ref().unwrap_or(&self.venue));
        let steps = self.holdings.steps_of(&drop).cloned().unwrap_or_default();
        let entry = match steps.fit(taken.step, venue.as_ref(), taken.again, plan.old_state, far.ended) {
            Fit::Done(entry) => {
                self.check_same(&drop, &taken, far.state, steps.get(&entry))?;
                return self.step_reply(&plan, entry, false);
            }
            Fit::Unfit(why) => {
                let how = how_else(why, &drop, venue.as_ref());
                return Err(Refusal::StepUnfit { drop, step: taken.step, state: far.state, venue, how });
            }
            Fit::Write { round } => {
                let announces = taken.step == StepKind::Announce && venue.is_none();
                let units = if announces { self.units_to_announce(&drop, taken.units)? } else { None };
                let step = Step { kind: taken.step, round, venue, units, ends_ms: taken.ends_ms };
                self.write(&Document::Stock(drop.clone()), Body::Step(step))?
            }
        };
        self.step_reply(&plan, entry, true)
    }

    /// What follows a command that took a step, written now or before.
    pub(super) fn step_reply(&self, plan: &DropPlan, entry: Ref, written: bool) -> Result<Reply, Refusal> {
        let done = self.holdings.steps_of(&plan.drop).and_then(|steps| steps.get(&entry));
        let step = done.map(|done| self.step_info(&plan.drop, done));
        let step = step.ok_or_else(|| Refusal::UnknownEntry { entry, what: "step".to_owned() })?;
        Ok(Reply::Step(Box::new(StepDone { written, step, drop: self.drop_shown(plan) })))
    }

    /// Checks what a step says besides.
    fn check_said(&self, taken: &StepNew) -> Result<(), Refusal> {
        let announces = taken.step == StepKind::Announce;
        if taken.units.is_some() && !(announces && taken.venue.is_none()) {
            let problem = "are announced, of the whole drop: give them with `announce` at all venues";
            return Err(invalid("units", problem));
        }
        if let Some(ends_ms) = taken.ends_ms {
            if !announces {
                return Err(invalid(
                    "ends_ms",
                    "a hard end is given with `announce`, or when the drop is planned",
                ));
            }
            self.check_hard_end(ends_ms)?;
        }
        if taken.again && matches!(taken.step, StepKind::Close | StepKind::LastCall) {
            return Err(invalid("again", "is for `announce` and `open`: they begin the next round"));
        }
        Ok(())
    }

    /// A hard end must be ahead.
    pub(super) fn check_hard_end(&self, ends_ms: u64) -> Result<(), Refusal> {
        if ends_ms > crate::clock::Hlc::MAX_MS {
            return Err(invalid("ends_ms", "no such time; give Unix milliseconds"));
        }
        let now = self.shown_ms();
        if ends_ms > now {
            return Ok(());
        }
        let (ends, now) = (crate::clock::utc(ends_ms), crate::clock::utc(now));
        Err(invalid(
            "ends_ms",
            format!("{ends} is over: it is {now} by this device's clock; give a later time"),
        ))
    }

    /// What is announced stays: other units or another end would say something else.
    fn check_same(
        &self,
        drop: &DropId,
        taken: &StepNew,
        state: DropState,
        done: Option<&Done>,
    ) -> Result<(), Refusal> {
        let Some(step) = done.map(|done| &done.step) else { return Ok(()) };
        let said = |announced: &[Announced]| -> BTreeMap<Sku, u64> {
            announced.iter().map(|of| (of.sku.clone(), of.units)).collect()
        };
        let units = taken
            .units
            .as_ref()
            .is_none_or(|units| *units == said(step.units.as_deref().unwrap_or_default()));
        let ends = taken.ends_ms.is_none_or(|ends_ms| step.ends_ms == Some(ends_ms));
        if units && ends {
            return Ok(());
        }
        let how =
            "it was announced already, and what was said stays; a next round, after a close, can say more"
                .to_owned();
        let (drop, venue) = (drop.clone(), taken.venue.clone());
        Err(Refusal::StepUnfit { drop, step: taken.step, state, venue, how })
    }

    /// The units that an announcement says: no more than are minted.
    fn units_to_announce(
        &self,
        drop: &DropId,
        given: Option<BTreeMap<Sku, u64>>,
    ) -> Result<Option<Vec<Announced>>, Refusal> {
        let mut minted: BTreeMap<Sku, u64> = BTreeMap::new();
        for (_, lot) in self.holdings.lots().filter(|(_, lot)| lot.drop == *drop) {
            *minted.entry(lot.sku.clone()).or_default() += lot.units.len();
        }
        if let Some(given) = &given {
            for (sku, units) in given {
                if *units == 0 {
                    return Err(invalid(
                        "units",
                        format!("0 {sku}; leave it out, or give how many there are"),
                    ));
                }
                let minted = minted.get(sku).copied().unwrap_or(0);
                if minted == 0 {
                    self.product(sku)?;
                }
                if *units > minted {
                    return Err(Refusal::AnnouncedTooMany { sku: sku.clone(), units: *units, minted });
                }
            }
        }
        let said = given.unwrap_or(minted);
        if said.len() > MAX_ANNOUNCED {
            let problem = format!("{} SKUs; {MAX_ANNOUNCED} is the most of one announcement", said.len());
            return Err(invalid("units", problem));
        }
        let said: Vec<Announced> = said.into_iter().map(|(sku, units)| Announced { sku, units }).collect();
        Ok(Some(said).filter(|said| !said.is_empty()))
    }

    /// The close that a sale came after, if it came after one.
    pub(super) fn close_before(&self, drop: &DropId, claim: &Ref) -> Option<&Done> {
        let sold = self.holdings.claim(claim)?.sold()?;
        let venue = &self.log.chain(&claim.chain)?.certificate.venue;
        self.holdings.close_before(drop, claim, sold.at, venue)
    }

    /// Takes note of an entry that was shown: a sale may be after a close, and a step may have sales be that.
    pub(super) fn note_late(&mut self, event: &Event<'_>) {
        match &event.record.body {
            Body::Step(_) => {
                self.late.stale.insert(event.drop.clone());
                self.may_be_over();
            }
            Body::Sale(_) if self.plant.has(Planted::LateByArrival) => {
                self.late.stale.insert(event.drop.clone());
            }
            Body::Sale(_) if self.is_after_close(event.drop, &event.entry) => {
                self.late.all.entry(event.drop.clone()).or_default().insert(event.entry);
            }
            _ => {}
        }
    }

    fn is_after_close(&self, drop: &DropId, claim: &Ref) -> bool {
        self.close_before(drop, claim).is_some() && !self.holdings.is_void(claim)
    }

    /// The stock view was worked out anew: so is what came after a close.
    pub(super) fn late_anew(&mut self) {
        self.late.all.clear();
        self.late.stale.extend(self.holdings.drops_with_steps().cloned());
    }

    /// Works out what came after a close where a step came. Looks at those sales alone that are later than the first close.
    pub(super) fn refresh_late(&mut self) {
        for drop in std::mem::take(&mut self.late.stale) {
            let late = self.late_claims(&drop);
            self.late.all.insert(drop, late);
        }
    }

    /// Whether what is known to have come after a close is what would be found anew.
    pub(super) fn is_late_right(&self) -> bool {
        self.holdings.drops_with_steps().all(|drop| {
            let known = self.late.all.get(drop).cloned().unwrap_or_default();
            self.late.stale.contains(drop) || known == self.late_claims(drop)
        })
    }

    fn late_claims(&self, drop: &DropId) -> BTreeSet<Ref> {
        if self.plant.has(Planted::LateByArrival) {
            return self.holdings.came_after_close(drop).into_iter().collect();
        }
        let Some(first) = self.holdings.steps_of(drop).and_then(|steps| steps.first_close()) else {
            return BTreeSet::new();
        };
        let document = Document::Claims(drop.clone());
        let chains = self.log.chains().filter(|chain| chain.document == document && chain.last_at > first);
        let mut late = BTreeSet::new();
        for chain in chains {
            let (from, to) = (Ref { chain: chain.id, seq: 0 }, Ref { chain: chain.id, seq: chain.len() });
            let sold = self.holdings.sold_between(from, to).rev().take_while(|(_, at)| *at > first);
            late.extend(sold.map(|(claim, _)| claim).filter(|claim| self.is_after_close(drop, claim)));
        }
        late
    }

    /// Sales of a drop that came after a close, the oldest first.
    pub(super) fn late_sales(&self, drop: &DropId) -> Result<Vec<LateSale>, Refusal> {
        self.plan_of(drop)?;
        let mut all: Vec<LateSale> =
            self.late.of(drop).filter_map(|claim| self.late_sale(drop, claim)).collect();
        all.sort_by_key(|sale| (sale.at_ms, sale.claim));
        Ok(all)
    }

    fn late_sale(&self, drop: &DropId, claim: &Ref) -> Option<LateSale> {
        let close = self.close_before(drop, claim)?;
        let sold = self.holdings.claim(claim)?.sold()?;
        let (_, _, sale) = self.sale(claim)?;
        Some(LateSale {
            claim: *claim,
            code: ClaimCode::of(claim),
            at_ms: sold.at.ms(),
            by: sold.seller,
            by_name: self.name_of(&sold.seller),
            venue: self.log.chain(&claim.chain)?.certificate.venue.clone(),
            units: sold.units.iter().map(|(_, units)| units.len()).sum(),
            amount: sale.total().unwrap_or(0),
            currency: self.config.charter.charter().currency,
            step: self.holdings.step_of(claim),
            close: close.entry,
            closed_at_ms: close.at().ms(),
        })
    }
}

/// What would be done instead of a step that does not fit.
fn how_else(why: Misfit, drop: &DropId, venue: Option<&Place>) -> String {
    let there = venue.map_or_else(String::new, |venue| format!(" --venue {venue}"));
    match why {
        Misfit::Closed => {
            format!("it is over; `popmesh drop open {drop}{there} --again` begins its next round")
        }
        Misfit::NotOpen => format!("it does not sell; `popmesh drop open {drop}{there}` has it sell"),
        Misfit::StillSells => {
            format!(
                "it sells, and would not any more; close it first, with `popmesh drop close {drop}{there}`"
            )
        }
        Misfit::TooManyRounds => "it was opened again too often; plan another drop".to_owned(),
    }
}
