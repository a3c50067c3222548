//! PINs at a pickup: asked for, checked, and locked after too many wrong ones. Wrong ones are written down before
//! anybody is told, so that pulling the plug gives nobody another try.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use crate::command::{Refusal, Reply, Unlock, Unlocked};
use crate::document::Document;
use crate::id::Ref;
use crate::io::{Notice, Output};
use crate::pin::{EpochMark, MAX_TRIES, Pin, PinTag};
use crate::record::{self, Body};
use crate::text::DropId;

/// Wrong PINs given on this device since a person looked, by claim.
#[derive(Debug, Default)]
pub(super) struct Pins {
    wrong: BTreeMap<Ref, (DropId, u32)>,
}

impl Pins {
    /// Takes note of a record of this device's own.
    pub(super) fn note(&mut self, drop: &DropId, body: &Body) {
        match body {
            Body::WrongPin(wrong) => self.wrong.entry(wrong.claim).or_insert((drop.clone(), 0)).1 += 1,
            Body::Unlock(unlock) => {
                self.wrong.remove(&unlock.claim);
            }
            _ => {}
        }
    }
}

impl Device {
    /// The tag of a PIN for the claim that the next record in a document makes.
    pub(super) fn tag_of(&self, document: &Document, pin: Option<&Pin>) -> Result<Option<PinTag>, Refusal> {
        let Some(pin) = pin else { return Ok(None) };
        let tag = PinTag::of(self.secrets(), &self.next_entry(document), pin);
        tag.map(Some).ok_or_else(no_secret)
    }

    /// Whether a claim may be handed out to somebody who gives this PIN.
    pub(super) fn check_pin(
        &mut self,
        claim: Ref,
        drop: &DropId,
        tag: Option<PinTag>,
        pin: Option<&Pin>,
    ) -> Result<(), Refusal> {
        let Some(tag) = tag else { return Ok(()) };
        if self.secrets().named(tag.epoch).is_none() {
            return Err(tag.epoch.map_or_else(no_secret, no_epoch));
        }
        let tries = self.pins.wrong.get(&claim).map_or(0, |(_, wrong)| *wrong);
        if tries >= MAX_TRIES {
            return Err(Refusal::PinLocked { claim });
        }
        let pin = pin.ok_or(Refusal::PinNeeded { claim })?;
        if tag.fits(self.secrets(), &claim, pin) == Some(true) {
            return Ok(());
        }
        self.write(&Document::Claims(drop.clone()), Body::WrongPin(record::WrongPin { claim }))?;
        let left = MAX_TRIES.saturating_sub(tries + 1);
        if left == 0 {
            let text = format!("claim {claim}: {MAX_TRIES} wrong PINs at {}", self.name_of(&self.me));
            self.outbox.emit(Output::Notice(Notice::PinLocked { claim, text }));
        }
        Err(Refusal::WrongPin { claim, left })
    }

    /// Lets a claim's PIN be tried again: somebody has looked who is there.
    pub(super) fn unlock(&mut self, unlock: &Unlock) -> Result<Reply, Refusal> {
        let claim = unlock.claim;
        let Some((drop, _)) = self.pins.wrong.get(&claim).cloned() else {
            return Err(invalid("claim", "no wrong PIN was given for it here"));
        };
        let entry = self.write(&Document::Claims(drop), Body::Unlock(record::Unlock { claim }))?;
        Ok(Reply::Unlocked(Unlocked { claim, entry, tries: MAX_TRIES }))
    }
}

fn no_secret() -> Refusal {
    Refusal::Certificate {
        problem:
            "this device does not have the event's secret, which PINs take; have the organiser sign its \
                  enrolment again, and install that certificate"
                .to_owned(),
    }
}

/// The claim was made after a retirement, with what this device has not been given yet.
fn no_epoch(epoch: EpochMark) -> Refusal {
    Refusal::Certificate {
        problem: format!(
            "this claim's PIN takes the event's secret of epoch {epoch}, renewed when a device was retired, and this device \
             does not have that yet: it comes with the log, so have it linked to an hq for a moment, and try again"
        ),
    }
}
