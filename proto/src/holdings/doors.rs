//! Doors: how those behaved that were opened for a redemption. A function of the set of records, in whatever order they
//! came.
//!
//! Only who redeemed may say anything about it, of compartments that the redemption names. A door that opened stays
//! opened, and what a person settled stays settled: what comes after counts for nothing.

use std::collections::BTreeMap;

use super::{Effect, Event, Holdings, Precedence};
use crate::clock::Hlc;
use crate::command::DoorState;
use crate::id::{DeviceId, Ref};
use crate::record::{Behaved, Door, Redeem};
use crate::text::Compartment;

/// How one door behaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nobody has said anything.
    Nothing,
    /// It opened.
    Opened,
    /// It did not.
    Stuck(String),
}

/// A redemption that doors are opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The claim.
    pub claim: Ref,
    /// Who redeemed it.
    pub by: DeviceId,
    /// When.
    pub at: Hlc,
    /// Its compartments, and how each behaved.
    pub doors: BTreeMap<Compartment, Seen>,
    /// What a person found out: whether the units were handed over, and who looked.
    pub settled: Option<(bool, String)>,
    words: BTreeMap<(Precedence, Ref), Behaved>,
}

impl Opening {
    /// How all of it stands.
    pub fn state(&self) -> DoorState {
        let mut seen = self.doors.values();
        if self.settled.is_some() {
            DoorState::Settled
        } else if seen.clone().any(|seen| matches!(seen, Seen::Stuck(_))) {
            DoorState::Stuck
        } else if seen.all(|seen| *seen == Seen::Opened) {
            DoorState::Opened
        } else {
            DoorState::Opening
        }
    }

    /// The compartments that are not known to have opened.
    pub fn shut(&self) -> impl Iterator<Item = &Compartment> {
        self.doors.iter().filter(|(_, seen)| **seen != Seen::Opened).map(|(compartment, _)| compartment)
    }

    /// Why the first stuck door did not open.
    pub fn problem(&self) -> Option<&str> {
        self.doors.values().find_map(|seen| match seen {
            Seen::Stuck(reason) => Some(reason.as_str()),
            Seen::Nothing | Seen::Opened => None,
        })
    }

    /// Whether what lay in a compartment may still lie there.
    pub fn may_still_have(&self, compartment: &Compartment) -> bool {
        match &self.settled {
            Some((handed_over, _)) => !handed_over,
            None => self.doors.get(compartment).is_some_and(|seen| *seen != Seen::Opened),
        }
    }

    /// Whether a person found that the units were not handed over.
    pub fn kept_back(&self) -> bool {
        matches!(self.settled, Some((false, _)))
    }

    /// Whether somebody may have taken along what lay there: all doors opened, or a person says that it was handed over.
    pub fn may_be_out(&self) -> bool {
        match self.state() {
            DoorState::Opened => true,
            DoorState::Settled => !self.kept_back(),
            DoorState::Opening | DoorState::Stuck => false,
        }
    }

    /// Works out how it stands. Returns the words that count for nothing, and why.
    fn fold(&mut self) -> Vec<(Ref, String)> {
        self.doors.values_mut().for_each(|seen| *seen = Seen::Nothing);
        self.settled = None;
        let mut void = Vec::new();
        for ((_, entry), behaved) in &self.words {
            let taken = match behaved {
                _ if self.settled.is_some() => Err("a person had settled it before"),
                Behaved::Settled { handed_over, by } => {
                    self.settled = Some((*handed_over, by.clone()));
                    Ok(())
                }
                Behaved::Opened(compartment) | Behaved::Stuck { compartment, .. } => {
                    match self.doors.get_mut(compartment) {
                        None => Err("it is about another compartment"),
                        Some(Seen::Opened) => Err("it had opened before"),
                        Some(seen) => {
                            *seen = match behaved {
                                Behaved::Stuck { reason, .. } => Seen::Stuck(reason.clone()),
                                _ => Seen::Opened,
                            };
                            Ok(())
                        }
                    }
                }
            };
            if let Err(problem) = taken {
                let (by, claim) = (self.by.short(), self.claim);
                let text = format!("word {entry} by {by} on a door of claim {claim}: {problem}");
                void.push((*entry, text));
            }
        }
        void
    }
}

impl Holdings {
    /// The doors of a redemption, by its entry.
    pub fn opening(&self, redemption: &Ref) -> Option<&Opening> {
        self.openings.get(redemption)
    }

    /// Every redemption that doors are opened for.
    pub fn openings(&self) -> impl Iterator<Item = (&Ref, &Opening)> {
        self.openings.iter()
    }

    pub(super) fn begin_opening(&mut self, event: &Event<'_>, redeem: &Redeem) {
        let Some(compartments) = &redeem.compartments else { return };
        let opening = Opening {
            claim: redeem.claim,
            by: event.author,
            at: event.record.at,
            doors: compartments.iter().map(|compartment| (compartment.clone(), Seen::Nothing)).collect(),
            settled: None,
            words: BTreeMap::new(),
        };
        self.openings.insert(event.entry, opening);
    }

    /// Takes in a word on a door. It needs its redemption, so it comes after it.
    pub(super) fn hear_of_door(&mut self, event: &Event<'_>, door: &Door) -> Effect {
        let is_of_drop = self.is_of_drop(&door.redemption, event.drop);
        let problem = match self.openings.get_mut(&door.redemption) {
            Some(_) if !is_of_drop => "it was opened in another drop",
            Some(opening) if opening.by == event.author => {
                opening.words.insert(((event.record.at, event.hash), event.entry), door.behaved.clone());
                let void = opening.fold();
                for (_, entry) in opening.words.keys() {
                    self.void_words.remove(entry);
                }
                self.void_words.extend(void);
                return Effect::Applied;
            }
            Some(_) => "another device redeemed it",
            None => "no door was opened for it",
        };
        let text = format!("word {} on a door by {}: {problem}", event.entry, event.author.short());
        self.make_void(event, text)
    }
}
