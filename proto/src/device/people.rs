//! Personal data: taken, listed and erased. What it says is sealed before it gets here, and lies beside the log (see
//! [`super::sealed`]).

use super::Device;
use super::commands::invalid;
use crate::command::{Erased, Payload, PersonalAdd, PersonalErase, PersonalInfo, Refusal, Reply};
use crate::document::Document;
use crate::id::{Hash, Ref};
use crate::identity::Role;
use crate::log::{Linked, Newest};
use crate::people::{People, Taken};
use crate::query::{Moment, Part, PeopleCounts, PeopleFilter, SealedFilter, SealedPersonal};
use crate::record::{
    Body, Consent, Erase, MAX_CONSENT, MAX_CONSENT_VERSION, MAX_LINES, Personal, Record, SEALED_SIZES,
};
use sha2::{Digest, Sha256};

/// The most bytes of sealed payloads that one answer holds.
const SEALED_AT_ONCE: usize = 1 << 20;

impl Device {
    /// The view of personal data, for whoever checks a device from outside. Shows what is not yet durable, too.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Takes in an entry of the document `people`.
    pub(super) fn show_people(&mut self, linked: &Linked, record: &Record) {
        let Some(chain) = self.log.chain(&linked.entry.chain) else { return };
        let by = chain.device;
        let erased = self.people.apply(linked.entry, chain, record);
        self.sealed.look_again();
        match &record.body {
            Body::Personal(_)
                if self.people.get(&linked.entry).is_some_and(|taken| taken.erased.is_none()) =>
            {
                self.sealed.expect(linked.entry);
            }
            Body::Erase(_) => {
                self.drop_sealed(&erased);
            }
            _ => {}
        }
        if let Some(fact) = self.fact_of_trust(linked.entry, by, record) {
            self.outbox.tell(fact);
        }
    }

    /// Works the view of personal data out anew: some entries count for nothing any more.
    pub(super) fn people_anew(&mut self) {
        self.people = People::anew(&self.log);
        self.reconcile_sealed();
    }

    pub(super) fn add_personal(&mut self, add: PersonalAdd) -> Result<Reply, Refusal> {
        check_sealed(&add.sealed)?;
        if let Some(consent) = &add.consent {
            check_consent(consent)?;
        }
        let record = Personal {
            kind: add.kind,
            shopper: add.shopper,
            sku: add.sku,
            drop: add.drop,
            consent: add.consent,
            hash: Hash(Sha256::digest(&add.sealed).into()),
            size: add.sealed.len() as u32,
        };
        record.bounds().map_err(|problem| match problem {
            "no consent" => invalid("consent", "say what the shopper consented to, and which version of it"),
            _ => invalid("sku", "a waitlist is for one SKU or one drop, and nothing else is"),
        })?;
        if let Some(sku) = &record.sku {
            self.product(sku)?;
        }
        if let Some(drop) = &record.drop {
            self.plan_of(drop)?;
        }
        let entry = self.write(&Document::People, Body::Personal(record))?;
        self.keep_sealed(entry, add.sealed);
        self.personal_info(&entry).map(Reply::Personal).ok_or(Refusal::UnknownPersonal { entry })
    }

    pub(super) fn erase_personal(&mut self, erase: &PersonalErase) -> Result<Reply, Refusal> {
        let roles = self.config.certificate.roles;
        let hq = roles.has(Role::Hq);
        let forbidden = |action: &str| self.forbidden(action, "hq", |roles| roles.has(Role::Hq));
        let (records, covered) = match (&erase.shopper, &erase.entry) {
            (Some(shopper), None) => {
                if !hq {
                    return Err(forbidden("erasing all that was taken of a shopper"));
                }
                let covered: Vec<Ref> = self.people.of(shopper).map(|(entry, _)| *entry).collect();
                // By name, too: a device whose clock is ahead dates what it takes after this.
                let fresh = |entry: &Ref| self.people.get(entry).is_some_and(|taken| taken.erased.is_none());
                let named: Vec<Ref> = covered.iter().copied().filter(fresh).collect();
                let shopper = Some(shopper.clone());
                let mut records: Vec<Erase> = named
                    .chunks(MAX_LINES)
                    .map(|some| Erase { entries: some.to_vec(), shopper: shopper.clone() })
                    .collect();
                if records.is_empty() {
                    records.push(Erase { entries: Vec::new(), shopper });
                }
                (records, covered)
            }
            (None, Some(entry)) => {
                let taken = self.people.get(entry).ok_or(Refusal::UnknownPersonal { entry: *entry })?;
                if !hq && taken.by != self.me {
                    return Err(forbidden("erasing what another device took"));
                }
                let record = Erase { entries: vec![*entry], shopper: None };
                let records = if taken.erased.is_none() { vec![record] } else { Vec::new() };
                (records, vec![*entry])
            }
            _ => return Err(invalid("shopper", "give either a shopper's reference or an entry")),
        };
        let mut entry = None;
        for record in records {
            entry = Some(self.write(&Document::People, Body::Erase(record))?);
        }
        let erased = covered.iter().filter_map(|entry| self.personal_info(entry)).collect();
        Ok(Reply::Erased(Erased { entry, erased }))
    }

    pub(super) fn personal_info(&self, entry: &Ref) -> Option<PersonalInfo> {
        self.people.get(entry).map(|taken| self.personal(entry, taken))
    }

    fn personal(&self, entry: &Ref, taken: &Taken) -> PersonalInfo {
        let record = &taken.record;
        PersonalInfo {
            entry: *entry,
            kind: record.kind,
            shopper: record.shopper.clone(),
            sku: record.sku.clone(),
            drop: record.drop.clone(),
            consent: record.consent.clone(),
            at_ms: taken.at.ms(),
            device: taken.by,
            device_name: self.name_of(&taken.by),
            size: record.size,
            hash: record.hash,
            payload: match (taken.erased, self.sealed.get(entry)) {
                (Some(_), _) => Payload::Erased,
                (None, Some(_)) => Payload::Here,
                (None, None) => Payload::Missing,
            },
            erased_at_ms: taken.erased.map(|(at, _)| at.ms()),
        }
    }

    /// What was taken, the latest first.
    pub(super) fn list_people(&self, filter: &PeopleFilter) -> Part<PersonalInfo, Moment> {
        let chains = self.log.chains().filter(|chain| chain.document == Document::People);
        let is_wanted = |taken: &Taken| {
            let shopper = filter.shopper.as_ref();
            shopper.is_none_or(|shopper| taken.record.shopper.as_ref() == Some(shopper))
                && filter.kind.is_none_or(|kind| taken.record.kind == kind)
        };
        let coming = Newest::before(chains, filter.after)
            .take_while(|(moment, _)| filter.since.is_none_or(|since| moment.at.ms() >= since))
            .filter_map(|(moment, _)| Some((moment, self.people.get(&moment.entry)?)))
            .filter(|(_, taken)| is_wanted(taken))
            .map(|(moment, taken)| (moment, self.personal(&moment.entry, taken)));
        Part::of(coming, filter.limit)
    }

    /// Sealed payloads that are here, in the order of their entries: as many as are wanted, and no more than
    /// [`SEALED_AT_ONCE`] bytes of them.
    pub(super) fn list_sealed(&self, filter: &SealedFilter) -> Part<SealedPersonal, Ref> {
        let kept = self.sealed.after(filter.after.as_ref());
        let coming = kept.filter_map(|(entry, payload)| {
            let info = self.personal_info(entry)?;
            let is_wanted = filter.since.is_none_or(|since| info.at_ms >= since);
            is_wanted.then(|| (*entry, SealedPersonal { info, sealed: payload.to_vec() }))
        });
        let Part { mut items, mut next } = Part::of(coming, filter.limit);
        let mut bytes = 0;
        let fit = items.iter().take_while(|item: &&SealedPersonal| {
            bytes += item.sealed.len();
            bytes <= SEALED_AT_ONCE
        });
        let fit = fit.count().max(1);
        if fit < items.len() {
            items.truncate(fit);
            next = items.last().map(|last| last.info.entry);
        }
        Part { items, next }
    }

    pub(super) fn people_counts(&self) -> PeopleCounts {
        let mut counts = PeopleCounts::default();
        for (entry, taken) in self.people.all() {
            let count = match (taken.erased, self.sealed.get(entry)) {
                (Some(_), _) => &mut counts.erased,
                (None, Some(_)) => &mut counts.here,
                (None, None) => &mut counts.missing,
            };
            *count += 1;
        }
        counts
    }
}

fn check_sealed(sealed: &[u8]) -> Result<(), Refusal> {
    if SEALED_SIZES.iter().any(|size| *size as usize == sealed.len()) {
        return Ok(());
    }
    Err(invalid("content", format!("{} sealed bytes; a payload is padded to {SEALED_SIZES:?}", sealed.len())))
}

fn check_consent(consent: &Consent) -> Result<(), Refusal> {
    consent.check().map_err(|_| {
        invalid(
            "consent",
            format!(
                "give the text in 1 to {MAX_CONSENT} bytes and its version in 1 to {MAX_CONSENT_VERSION}, without line breaks"
            ),
        )
    })
}
