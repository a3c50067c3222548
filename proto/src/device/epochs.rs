//! The epochs of the event's secret on one device: which it has, and making the next after a retirement, sealed to all that
//! are left.
//!
//! A retirement and the epoch after it are in one write. What is left to be made up for (two registrars that retired at once
//! and each sealed to the other's lost device; a device that was admitted by who had not heard yet) is seen in the log, and
//! done by the heir of the retired device, or by who made the epoch; if they do not come to it, by any hq.

use std::collections::BTreeMap;

use super::Device;
use super::receivers::CLOCKS_DIFFER_MS;
use crate::document::Document;
use crate::fact::Fact;
use crate::id::{DeviceId, EventId, Ref};
use crate::identity::{Role, SecretKey};
use crate::io::Output;
use crate::pin::{EpochMark, EventSecret, EventSecrets};
use crate::planted::Planted;
use crate::query::SecretInfo;
use crate::record::{Body, Epoch, EpochCopies, EpochCopy, MAX_COPIES, MAX_LINES};
use crate::seal::{self, Random};

const SEALED: &[u8] = b"popmesh epoch copy v1";
const SEED: &[u8] = b"popmesh epoch seed v1";
/// What whoever is first to do it has not done for so long, another does.
const OTHERS_WAIT_MS: u64 = 30_000;

/// What this device has of the event's secret.
#[derive(Debug)]
pub(super) struct Epochs {
    /// As it was given before the log was read: by whoever admitted it.
    given: EventSecrets,
    /// Those that are sealed to it in the log.
    opened: BTreeMap<Ref, EventSecret>,
    /// All it has, the one that counts first; as the runtime was told.
    known: EventSecrets,
    /// Whether a record may have changed any of that.
    pub(super) stale: bool,
    /// Since when something is to be done that is another's to do first.
    overdue_ms: Option<u64>,
    random: Random,
}

impl Epochs {
    /// `nonce` is new at every start, and the key is nobody else's: so what follows from both is random to all others, and
    /// to whoever has the key it tells no more than the copy for this device, which it opens.
    pub(super) fn new(given: EventSecrets, key: &SecretKey, nonce: &[u8]) -> Self {
        let seed = crate::pin::authenticate(&key.seed(), &[SEED, nonce]);
        Self {
            known: given.clone(),
            given,
            opened: BTreeMap::new(),
            stale: true,
            overdue_ms: None,
            random: Random::new(seed),
        }
    }
}

fn info(event: &EventId, to: &DeviceId) -> Vec<u8> {
    [SEALED, &event.0, &to.0].concat()
}

impl Device {
    /// What this device has of the event's secret.
    pub(super) fn secrets(&self) -> &EventSecrets {
        &self.epochs.known
    }

    /// Looks which epochs there are, and opens what is sealed to this device. Tells the runtime if that makes a difference.
    pub(super) fn refresh_epochs(&mut self, tells: bool) {
        if !std::mem::take(&mut self.epochs.stale) {
            return;
        }
        let order = self.trust.epochs().in_order(self.trust.retired());
        for epoch in &order {
            if !self.epochs.opened.contains_key(epoch)
                && let Some(secret) = self.open_epoch(epoch)
            {
                self.epochs.opened.insert(*epoch, secret);
            }
        }
        let mut known = EventSecrets { first: self.epochs.given.first.clone(), later: Vec::new() };
        let marks: Vec<Option<EpochMark>> =
            order.iter().map(|epoch| self.trust.epochs().mark(epoch)).collect();
        // What was given and is in no record here yet is newer than what is.
        let given = self.epochs.given.later.iter();
        known.later.extend(given.clone().filter(|secret| !marks.contains(&Some(secret.mark()))).cloned());
        for (epoch, mark) in order.iter().zip(&marks) {
            let given = given.clone().find(|secret| Some(secret.mark()) == *mark);
            known.later.extend(self.epochs.opened.get(epoch).or(given).cloned());
        }
        if known == self.epochs.known {
            return;
        }
        let is_another = known.later.first() != self.epochs.known.later.first();
        self.epochs.known = known.clone();
        if !tells {
            return;
        }
        self.outbox.emit(Output::Secrets { secrets: known });
        if let (true, Some(epoch)) = (is_another, order.first()) {
            let without = self.trust.epochs().without(epoch);
            let without = without.map(|device| self.name_of(&device)).collect();
            let by = self.trust.epochs().author(epoch).unwrap_or(self.me);
            let (by_name, at_ms, entry) = (self.name_of(&by), self.time_of(epoch), *epoch);
            let mark = marks.first().copied().flatten().map(|mark| mark.to_string()).unwrap_or_default();
            self.outbox.tell(Fact::SecretRenewed { at_ms, entry, epoch: mark, by, by_name, without });
        }
    }

    /// What this device is to tell the runtime at its start.
    pub(super) fn tell_secrets(&mut self) {
        let secrets = self.epochs.known.clone();
        self.outbox.emit_now(Output::Secrets { secrets });
    }

    fn open_epoch(&self, epoch: &Ref) -> Option<EventSecret> {
        let mark = self.trust.epochs().mark(epoch)?;
        let copies = self.trust.epochs().copies_of(epoch, self.trust.retired());
        let info = info(&self.gate.event(), &self.me);
        copies.filter(|copy| copy.to == self.me).find_map(|copy| {
            let opened = seal::open(&self.config.secret, &info, &mark.0, &copy.sealed)?;
            let secret = EventSecret::from_bytes(opened.try_into().ok()?);
            (secret.mark() == mark).then_some(secret)
        })
    }

    /// Makes what is due: an epoch that no retired device has, and copies for those that lack the one that counts.
    pub(super) fn look_at_epochs(&mut self) {
        let retired = self.trust.retired();
        let roles = self.config.certificate.roles;
        let may = roles.has(Role::Hq) || roles.has(Role::Registrar);
        if retired.is_empty() || !may || self.may_write().is_err() || self.plant.has(Planted::KeepSecret) {
            return;
        }
        let order = self.trust.epochs().in_order(retired);
        let best = order.first().copied();
        let exposed: Vec<DeviceId> = match &best {
            Some(epoch) => self.trust.epochs().exposed_to(epoch, retired).collect(),
            None => retired.keys().copied().collect(),
        };
        let lacking = if exposed.is_empty() { self.lacking(best.as_ref()) } else { Vec::new() };
        if exposed.is_empty() && lacking.is_empty() {
            self.epochs.overdue_ms = None;
            return;
        }
        let author = best.and_then(|epoch| self.trust.epochs().author(&epoch));
        let is_mine = match exposed.is_empty() {
            false => exposed.iter().any(|device| self.heir_of(device) == self.me),
            true => author == Some(self.me),
        };
        let now = self.now.mono_ms;
        let since = *self.epochs.overdue_ms.get_or_insert(now);
        if !is_mine && now < since + OTHERS_WAIT_MS {
            return;
        }
        self.epochs.overdue_ms = None;
        // What cannot be written now is tried again with the next look.
        let _ = match best.filter(|_| exposed.is_empty()) {
            None => self.begin_epoch(&exposed),
            Some(epoch) => self.seal_to(epoch, lacking),
        };
        self.refresh_epochs(true);
    }

    /// The devices that are to have the secret: known, not retired, with a certificate that holds.
    fn entitled(&self) -> Vec<DeviceId> {
        let holds = |device: &DeviceId| {
            let until = self.peers.certificate(device).map_or(0, |certificate| certificate.not_after_ms);
            self.now.wall_ms < until.saturating_add(CLOCKS_DIFFER_MS)
        };
        let known = self.peers.known().into_iter();
        known.filter(|device| !self.is_retired(device) && holds(device)).collect()
    }

    /// Those of them that have no copy of an epoch's secret, if this device has it.
    fn lacking(&self, epoch: Option<&Ref>) -> Vec<DeviceId> {
        let Some(epoch) = epoch.filter(|epoch| self.secret_of(epoch).is_some()) else { return Vec::new() };
        let given = self.trust.epochs().given_to(epoch, self.trust.retired());
        self.entitled().into_iter().filter(|device| !given.contains(device)).collect()
    }

    fn secret_of(&self, epoch: &Ref) -> Option<EventSecret> {
        let mark = self.trust.epochs().mark(epoch);
        self.epochs
            .opened
            .get(epoch)
            .or_else(|| mark.and_then(|mark| self.secrets().named(Some(mark))))
            .cloned()
    }

    fn begin_epoch(&mut self, exposed: &[DeviceId]) -> Result<(), crate::command::Refusal> {
        let secret = EventSecret::from_bytes(self.epochs.random.next());
        // Those first that no other epoch is kept from.
        let others = self.trust.retired().keys().filter(|device| !exposed.contains(device));
        let without = exposed.iter().chain(others).take(MAX_LINES).copied().collect();
        let mut to = self.entitled();
        let rest = to.split_off(to.len().min(MAX_COPIES));
        let copies = self.copies(&secret, &to);
        let record = Epoch { mark: secret.mark(), without, copies };
        let entry = self.write(&Document::Devices, Body::Epoch(record))?;
        self.epochs.opened.insert(entry, secret);
        self.seal_to(entry, rest)
    }

    fn seal_to(&mut self, epoch: Ref, to: Vec<DeviceId>) -> Result<(), crate::command::Refusal> {
        let Some(secret) = self.secret_of(&epoch) else { return Ok(()) };
        for some in to.chunks(MAX_COPIES) {
            let copies = self.copies(&secret, some);
            // A key to which nothing can be sealed is no device's.
            if !copies.is_empty() {
                self.write(&Document::Devices, Body::EpochCopies(EpochCopies { epoch, copies }))?;
            }
        }
        Ok(())
    }

    fn copies(&mut self, secret: &EventSecret, to: &[DeviceId]) -> Vec<EpochCopy> {
        let (event, mark) = (self.gate.event(), secret.mark());
        let random = &mut self.epochs.random;
        to.iter()
            .filter_map(|to| {
                let sealed = seal::seal(random.next(), to, &info(&event, to), &mark.0, secret.bytes())?;
                Some(EpochCopy { to: *to, sealed: sealed.into() })
            })
            .collect()
    }

    /// How it stands with the event's secret here.
    pub(super) fn secret_info(&self) -> SecretInfo {
        let order = self.trust.epochs().in_order(self.trust.retired());
        let best = order.first();
        let has = |epoch: &Ref| self.secret_of(epoch).is_some();
        SecretInfo {
            epoch: self.secrets().current().and_then(|(_, mark)| mark).map(|mark| mark.to_string()),
            epochs: self.secrets().all().count() as u64,
            lacks_newest: self.secrets().current().is_none() || best.is_some_and(|epoch| !has(epoch)),
            exposed: match best {
                Some(epoch) => self.trust.epochs().exposed_to(epoch, self.trust.retired()).count() as u64,
                None => self.trust.retired().len() as u64,
            },
        }
    }

    /// Whether the secret that counts was sealed to a device in the log; nothing while it is the first, which all have.
    pub(super) fn has_newest_secret(&self, device: &DeviceId) -> Option<bool> {
        let order = self.trust.epochs().in_order(self.trust.retired());
        let given = self.trust.epochs().given_to(order.first()?, self.trust.retired());
        Some(given.contains(device))
    }
}
