//! PINs at a pickup: asked for, checked, and locked after too many wrong ones. Wrong ones are written down before
//! anybody is told, so that pulling the plug gives nobody another try.
//!
//! A claim's PIN is locked on a device by the fifth wrong one there. A person on the device unlocks it, who looks who is
//! there: after a minute the first time, then after 5, then after 30; the fourth time, and from then on, an hq alone. So
//! nobody but an hq lets more than 20 be tried, and what is tried while it is locked is neither looked at nor written down.
//! An hq need not wait: its unlocking names the wrong PIN that locked the claim, wherever that was given, and the device
//! that wrote that takes it for its own as soon as it hears of it.
//!
//! The time is that of this device's monotonic clock, which nobody sets. It does not go on over a restart: after one, a wait
//! begins anew.
//!
//! An example: five wrong PINs at a locker at 20:00, unlocked there at 20:01 or later; five more at 20:10, unlocked at 20:15
//! or later; five more at 20:20, and the locker starts anew at 20:40: unlocked at 21:10 or later, or by an hq at any time.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use crate::clock::Hlc;
use crate::command::{Refusal, Reply, Unlock, Unlocked};
use crate::document::Document;
use crate::fact::Fact;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::pin::{EpochMark, MAX_TRIES, Pin, PinTag};
use crate::record::{self, Body, Record};
use crate::text::DropId;

/// How long a person waits with unlocking a claim, in milliseconds: after it was locked for the first time, for the second,
/// and for the third. After that an hq alone unlocks it.
const UNLOCK_AFTER_MS: [u64; 3] = [60_000, 5 * 60_000, 30 * 60_000];

/// Wrong PINs, and what was done about them: those of this device; on an hq, those of all.
#[derive(Debug)]
pub(super) struct Pins {
    tried: BTreeMap<(Ref, DeviceId), Tried>,
    /// Which wrong PINs no longer lock, and the hq that says so.
    lifted: BTreeMap<Ref, BTreeSet<DeviceId>>,
    /// Which wrong PINs have locked claims here in this life, and when, by the monotonic clock.
    locked_ms: BTreeMap<Ref, u64>,
    /// When this life began, by the same clock.
    started_ms: u64,
}

/// The PINs of one claim, as they were given to one device.
#[derive(Debug)]
struct Tried {
    drop: DropId,
    /// Its entries about it by the time that they bear, in whatever order they came: true if it was unlocked.
    entries: BTreeMap<(Hlc, Ref), bool>,
}

/// How a claim's PIN stands on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    /// Wrong ones since the device itself last unlocked it, or began anew.
    wrong: u32,
    /// How often it was locked.
    locks: usize,
    /// The wrong one that locks it, unless an hq has lifted that.
    lock: Option<Ref>,
}

impl Tried {
    fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for ((_, entry), is_unlocked) in &self.entries {
            // Nothing is unlocked that is not locked: tries would be had for nothing.
            if *is_unlocked && standing.lock.is_none() {
                continue;
            }
            // One more after it was locked can only be when an hq has unlocked it.
            if *is_unlocked || standing.lock.is_some() {
                (standing.wrong, standing.lock) = (0, None);
            }
            if !is_unlocked {
                standing.wrong += 1;
                if standing.wrong == MAX_TRIES {
                    standing.locks += 1;
                    standing.lock = Some(*entry);
                }
            }
        }
        standing
    }
}

impl Pins {
    pub(super) fn new(started_ms: u64) -> Self {
        Self { tried: BTreeMap::new(), lifted: BTreeMap::new(), locked_ms: BTreeMap::new(), started_ms }
    }

    fn standing(&self, claim: Ref, device: DeviceId) -> Standing {
        self.tried.get(&(claim, device)).map(Tried::standing).unwrap_or_default()
    }
}

impl Device {
    /// The tag of a PIN for the claim that the next record in a document makes.
    pub(super) fn tag_of(&self, document: &Document, pin: Option<&Pin>) -> Result<Option<PinTag>, Refusal> {
        let Some(pin) = pin else { return Ok(None) };
        let tag = PinTag::of(self.secrets(), &self.next_entry(document), pin);
        tag.map(Some).ok_or_else(no_secret)
    }

    /// Takes note of a record about a PIN. An hq tells whoever looks on when a claim is locked elsewhere.
    pub(super) fn hear_of_pins(&mut self, drop: &DropId, author: DeviceId, entry: Ref, record: &Record) {
        let (claim, is_unlocked) = match &record.body {
            Body::WrongPin(wrong) => (wrong.claim, false),
            Body::Unlock(record::Unlock { lock: Some(lock), .. }) => {
                let is_hq = self.peers.certificate(&author).is_some_and(|known| known.roles.has(Role::Hq));
                if is_hq {
                    self.pins.lifted.entry(*lock).or_default().insert(author);
                }
                return;
            }
            Body::Unlock(unlock) => (unlock.claim, true),
            _ => return,
        };
        let own = author == self.me;
        if !own && !self.is_hq() {
            return;
        }
        let tried = self
            .pins
            .tried
            .entry((claim, author))
            .or_insert_with(|| Tried { drop: drop.clone(), entries: BTreeMap::new() });
        tried.entries.insert((record.at, entry), is_unlocked);
        if !own && tried.standing().lock == Some(entry) {
            let name = self.name_of(&author);
            let text = format!(
                "claim {claim}: {MAX_TRIES} wrong PINs at {name}; look who is there, then `popmesh claim unlock` here"
            );
            self.tell_locked(entry, claim, drop.clone(), author, text);
        }
    }

    fn tell_locked(&mut self, entry: Ref, claim: Ref, drop: DropId, by: DeviceId, text: String) {
        let (at_ms, by_name) = (self.time_of(&entry), self.name_of(&by));
        self.outbox.tell(Fact::PinLocked { at_ms, entry, claim, drop, by, by_name, text });
    }

    /// Wrong PINs, for whoever checks a device from outside: of which claim, on which device, how many since it was unlocked
    /// there, and the one that locks it. Those of this device; on an hq, those of all that were not retired.
    pub fn pins(&self) -> impl Iterator<Item = (Ref, DeviceId, u32, Option<Ref>)> {
        let here = self.pins.tried.keys().filter(|(_, device)| !self.is_retired(device));
        let all = here.map(|(claim, device)| {
            let Standing { wrong, lock, .. } = self.pin_standing(*claim, *device);
            (*claim, *device, wrong, lock)
        });
        all.filter(|(_, _, wrong, _)| *wrong > 0)
    }

    fn is_hq(&self) -> bool {
        self.config.certificate.roles.has(Role::Hq)
    }

    /// How a claim's PIN stands here, with what hqs say.
    fn pin_standing(&self, claim: Ref, device: DeviceId) -> Standing {
        let standing = self.pins.standing(claim, device);
        let lifted = standing.lock.and_then(|lock| self.pins.lifted.get(&lock));
        match lifted.is_some_and(|by| by.iter().any(|hq| !self.is_retired(hq))) {
            true => Standing { wrong: 0, lock: None, ..standing },
            false => standing,
        }
    }

    /// In how long a person can unlock here what is locked; an hq alone can if none.
    fn unlock_in_ms(&self, lock: Ref, locks: usize) -> Option<u64> {
        let wait_ms = *UNLOCK_AFTER_MS.get(locks.checked_sub(1)?)?;
        let since_ms = self.pins.locked_ms.get(&lock).copied().unwrap_or(self.pins.started_ms);
        Some((since_ms + wait_ms).saturating_sub(self.now.mono_ms))
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
        let standing = self.pin_standing(claim, self.me);
        if let Some(lock) = standing.lock {
            return Err(Refusal::PinLocked { claim, unlock_in_ms: self.unlock_in_ms(lock, standing.locks) });
        }
        let pin = pin.ok_or(Refusal::PinNeeded { claim })?;
        if tag.fits(self.secrets(), &claim, pin) == Some(true) {
            return Ok(());
        }
        let entry =
            self.write(&Document::Claims(drop.clone()), Body::WrongPin(record::WrongPin { claim }))?;
        let left = MAX_TRIES.saturating_sub(standing.wrong + 1);
        if left == 0 {
            self.pins.locked_ms.insert(entry, self.now.mono_ms);
            let text = format!("claim {claim}: {MAX_TRIES} wrong PINs at {}", self.name_of(&self.me));
            self.tell_locked(entry, claim, drop.clone(), self.me, text);
        }
        Err(Refusal::WrongPin { claim, left })
    }

    /// Lets a claim's PIN be tried again: somebody has looked who is there.
    pub(super) fn unlock(&mut self, unlock: &Unlock) -> Result<Reply, Refusal> {
        let claim = unlock.claim;
        let at_once = unlock.at_once && self.is_hq();
        let standing = self.pin_standing(claim, self.me);
        if let Some(lock) = standing.lock {
            let unlock_in_ms = self.unlock_in_ms(lock, standing.locks);
            if !at_once && unlock_in_ms != Some(0) {
                return Err(Refusal::PinLocked { claim, unlock_in_ms });
            }
            return self.write_unlock(claim, self.me, None);
        }
        let of_claim =
            self.pins.tried.range((claim, DeviceId([0; 32]))..).take_while(|((of, _), _)| *of == claim);
        let devices: Vec<DeviceId> = of_claim.map(|((_, device), _)| *device).collect();
        let locked = devices
            .into_iter()
            .filter_map(|device| Some((device, self.pin_standing(claim, device).lock?)))
            .collect::<Vec<_>>();
        let mut done = Err(invalid("claim", "its PIN is not locked, as far as is known here"));
        for (device, lock) in locked {
            if !at_once {
                let problem = "it is locked on another device; have whoever answers for this hq unlock it";
                return Err(invalid("claim", problem));
            }
            done = Ok(self.write_unlock(claim, device, Some(lock))?);
        }
        done
    }

    fn write_unlock(&mut self, claim: Ref, device: DeviceId, lock: Option<Ref>) -> Result<Reply, Refusal> {
        let tried = self.pins.tried.get(&(claim, device));
        let drop = tried.map(|tried| tried.drop.clone()).ok_or(Refusal::UnknownClaim { claim })?;
        let entry = self.write(&Document::Claims(drop), Body::Unlock(record::Unlock { claim, lock }))?;
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
