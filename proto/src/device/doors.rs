//! Doors of this device's compartments: when one is opened, and what is written about how it behaved.
//!
//! A redemption names the compartments that are opened for it. They are opened once it is durable; what became of that is
//! another record. Between the two the power may fail: then nothing is known of the door, nobody opens it by himself, and a
//! person looks.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use super::compartments::{Inside, compartments_of};
use crate::command::{CompartmentInfo, Door, DoorReport, DoorSettle, DoorState, Doors, Refusal, Reply};
use crate::holdings::doors::{Opening as Redemption, Seen};
use crate::id::Ref;
use crate::identity::{MAX_NAME, is_display_name};
use crate::io::Output;
use crate::record::{self, Behaved, Body, MAX_REASON};
use crate::text::{Compartment, Place};

/// The doors that are being opened now, in this life: for which redemption, and which.
#[derive(Debug, Default)]
pub(super) struct Opening(BTreeSet<(Ref, Compartment)>);

impl Opening {
    /// The runtime has said how a door behaved, whatever becomes of that.
    pub(super) fn done(&mut self, report: &DoorReport) {
        self.0.remove(&(report.redemption, report.compartment.clone()));
    }

    fn any_of(&self, redemption: &Ref) -> bool {
        self.0.iter().any(|(opened_for, _)| opened_for == redemption)
    }
}

impl Device {
    /// Has doors opened once everything taken in so far is durable.
    pub(super) fn open_doors(&mut self, redemption: Ref, compartments: &[Compartment]) {
        for compartment in compartments {
            self.doors.0.insert((redemption, compartment.clone()));
            self.outbox.emit(Output::OpenDoor { redemption, compartment: compartment.clone() });
        }
    }

    /// Writes down how a door behaved.
    pub(super) fn door_behaved(&mut self, report: DoorReport) -> Result<Reply, Refusal> {
        let DoorReport { redemption, compartment, problem } = report;
        let known = self.holdings.opening(&redemption).filter(|opening| opening.by == self.me);
        let seen = known.and_then(|opening| opening.doors.get(&compartment));
        let seen = seen.ok_or_else(|| invalid("compartment", "it was not opened for this redemption"))?;
        let claim = known.map_or(redemption, |opening| opening.claim);
        if *seen == Seen::Opened || known.is_some_and(|opening| opening.settled.is_some()) {
            let state = known.map_or(DoorState::Opened, Redemption::state);
            return Err(Refusal::DoorDone { claim, state });
        }
        let behaved = match problem {
            None => Behaved::Opened(compartment),
            Some(problem) => {
                let printable = |c: char| if c.is_control() { ' ' } else { c };
                let reason = problem.chars().map(printable).take(MAX_REASON).collect();
                Behaved::Stuck { compartment, reason }
            }
        };
        self.write_door(redemption, behaved)
    }

    /// Has those doors opened again that did not open, or of which nothing is known.
    pub(super) fn open_again(&mut self, claim: Ref) -> Result<Reply, Refusal> {
        if !self.config.doors {
            return Err(Refusal::NoDriver);
        }
        let redemption = self.own_doors(claim)?;
        let opening = self.holdings.opening(&redemption).ok_or(Refusal::NoDoor { claim })?;
        let state = opening.state();
        if matches!(state, DoorState::Opened | DoorState::Settled) {
            return Err(Refusal::DoorDone { claim, state });
        }
        let mut shut: Vec<Compartment> = opening.shut().cloned().collect();
        if let Ok((_, standing)) = self.standing(claim) {
            // What was paid back meanwhile is no longer the shopper's.
            let still = compartments_of(&self.hand_outs(&standing.left));
            shut.retain(|compartment| still.contains(compartment));
        }
        if shut.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        self.open_doors(redemption, &shut);
        self.door(&redemption).map(Reply::Door).ok_or(Refusal::NoDoor { claim })
    }

    /// Writes down what a person found out.
    pub(super) fn settle_door(&mut self, settle: DoorSettle) -> Result<Reply, Refusal> {
        let DoorSettle { claim, handed_over, by } = settle;
        if !is_display_name(&by) {
            return Err(invalid("by", format!("say who looked, in 1 to {MAX_NAME} characters")));
        }
        let redemption = self.own_doors(claim)?;
        if self.holdings.opening(&redemption).is_some_and(|opening| opening.settled.is_some()) {
            return Err(Refusal::DoorDone { claim, state: DoorState::Settled });
        }
        self.write_door(redemption, Behaved::Settled { handed_over, by })
    }

    fn write_door(&mut self, redemption: Ref, behaved: Behaved) -> Result<Reply, Refusal> {
        let missing = Refusal::NoDoor { claim: redemption };
        let document = self.log.chain(&redemption.chain).map(|chain| chain.document.clone());
        let document = document.ok_or_else(|| missing.clone())?;
        self.write(&document, Body::Door(record::Door { redemption, behaved }))?;
        self.door(&redemption).map(Reply::Door).ok_or(missing)
    }

    /// The redemption of a claim by this device, with doors that a person may do something about now.
    fn own_doors(&self, claim: Ref) -> Result<Ref, Refusal> {
        let door = self.door_of(claim)?;
        if door.device != self.me {
            return Err(Refusal::DoorElsewhere { claim, device: door.device, name: door.name });
        }
        if self.doors.any_of(&door.redemption) {
            return Err(Refusal::DoorOpening { claim });
        }
        Ok(door.redemption)
    }

    /// The doors that were opened for a claim.
    pub(super) fn door_of(&self, claim: Ref) -> Result<Door, Refusal> {
        let known = self.holdings.claim(&claim).ok_or(Refusal::UnknownClaim { claim })?;
        let redeemed = match known.standing(claim) {
            Some(standing) => standing.redeemed,
            None => known.handed_out_by(&self.me),
        };
        redeemed.and_then(|redeemed| self.door(&redeemed.entry)).ok_or(Refusal::NoDoor { claim })
    }

    /// The doors that were opened for a redemption.
    pub(super) fn door(&self, redemption: &Ref) -> Option<Door> {
        let opening = self.holdings.opening(redemption)?;
        let state = opening.state();
        let mine = opening.by == self.me;
        let being_opened = self.doors.any_of(redemption);
        Some(Door {
            claim: opening.claim,
            redemption: *redemption,
            device: opening.by,
            name: self.name_of(&opening.by),
            at_ms: opening.at.ms(),
            compartments: opening.doors.keys().cloned().collect(),
            shut: opening.shut().cloned().collect(),
            state,
            being_opened,
            in_doubt: mine && state == DoorState::Opening && !being_opened,
            problem: opening.problem().map(str::to_owned),
            handed_over: opening.settled.as_ref().map(|(handed_over, _)| *handed_over),
            looked: opening.settled.as_ref().map(|(_, by)| by.clone()),
        })
    }

    pub(super) fn doors_view(&self) -> Doors {
        let mut doors: Vec<Door> =
            self.holdings.openings().filter_map(|(redemption, _)| self.door(redemption)).collect();
        doors.sort_by_key(|door| (door.at_ms, door.redemption));
        let mut compartments: BTreeMap<Compartment, (Inside, Option<Door>)> = self
            .lying_here()
            .into_iter()
            .map(|(compartment, inside)| (compartment, (inside, None)))
            .collect();
        for door in doors.iter().filter(|door| door.device == self.me) {
            for compartment in &door.compartments {
                compartments.entry(compartment.clone()).or_default().1 = Some(door.clone());
            }
        }
        let name = &self.config.certificate.name;
        let info = |(compartment, (items, last)): (Compartment, (Inside, Option<Door>))| {
            let place = Place::in_device(name, &compartment).ok()?;
            Some(CompartmentInfo { compartment, place, items, last })
        };
        let compartments = compartments.into_iter().filter_map(info).collect();
        doors.retain(|door| self.is_to_look_at(door));
        Doors { compartments, to_look_at: doors }
    }

    fn is_to_look_at(&self, door: &Door) -> bool {
        let paid_back = || self.standing(door.claim).is_ok_and(|(_, standing)| standing.left.is_empty());
        let open_question = match door.state {
            DoorState::Opening => door.in_doubt,
            DoorState::Stuck => true,
            DoorState::Settled => door.handed_over == Some(false),
            DoorState::Opened => false,
        };
        open_question && !paid_back()
    }
}
