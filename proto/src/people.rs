//! Personal data that was taken, and what of it is erased: a function of the set of entries, in whatever order they came.
//! What it says is sealed and not in here.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Hlc;
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::log::{Chain, Log};
use crate::record::{Body, Erase, Personal, Record};
use crate::text::ShopperRef;

/// Personal data that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Who took it.
    pub by: DeviceId,
    /// When.
    pub at: Hlc,
    /// What was written about it.
    pub record: Personal,
    /// When it was erased, and the entry that says so: the earliest of several.
    pub erased: Option<(Hlc, Ref)>,
}

/// An erasure of all that was taken of a shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfShopper {
    at: Hlc,
    entry: Ref,
    /// Only of what this device took; of everything if absent.
    only_by: Option<DeviceId>,
}

/// Personal data, by the entries that say so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    taken: BTreeMap<Ref, Taken>,
    by_shopper: BTreeMap<ShopperRef, BTreeSet<Ref>>,
    erasures: BTreeMap<ShopperRef, Vec<OfShopper>>,
}

impl People {
    /// Everything that was taken, erased or not.
    pub fn all(&self) -> impl Iterator<Item = (&Ref, &Taken)> {
        self.taken.iter()
    }

    /// What an entry says was taken.
    pub fn get(&self, entry: &Ref) -> Option<&Taken> {
        self.taken.get(entry)
    }

    /// How much was taken, erased or not.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// What was taken of a shopper, erased or not.
    pub fn of(&self, shopper: &ShopperRef) -> impl Iterator<Item = (&Ref, &Taken)> {
        let entries = self.by_shopper.get(shopper).into_iter().flatten();
        entries.filter_map(|entry| Some((entry, self.taken.get(entry)?)))
    }

    /// Takes in an entry of the document `people`. Says what is erased by it, which was not before.
    pub(crate) fn apply(&mut self, entry: Ref, chain: &Chain, record: &Record) -> Vec<Ref> {
        match &record.body {
            Body::Personal(personal) => {
                self.take(entry, chain.device, record.at, personal);
                Vec::new()
            }
            Body::Erase(erase) => {
                let only_by = (!chain.certificate.roles.has(Role::Hq)).then_some(chain.device);
                self.erase(entry, only_by, record.at, erase)
            }
            _ => Vec::new(),
        }
    }

    fn take(&mut self, entry: Ref, by: DeviceId, at: Hlc, personal: &Personal) {
        let mut erased = None;
        if let Some(shopper) = &personal.shopper {
            self.by_shopper.entry(shopper.clone()).or_default().insert(entry);
            let erasures = self.erasures.get(shopper).into_iter().flatten();
            erased = erasures
                .filter(|erasure| erasure.at > at && erasure.only_by.is_none_or(|only| only == by))
                .map(|erasure| (erasure.at, erasure.entry))
                .min();
        }
        self.taken.insert(entry, Taken { by, at, record: personal.clone(), erased });
    }

    fn erase(&mut self, entry: Ref, only_by: Option<DeviceId>, at: Hlc, erase: &Erase) -> Vec<Ref> {
        let mut covered: BTreeSet<Ref> = erase.entries.iter().copied().collect();
        if let Some(shopper) = &erase.shopper {
            let erasure = OfShopper { at, entry, only_by };
            let known = self.erasures.entry(shopper.clone()).or_default();
            // In an order of its own, so that equal sets of entries make equal views.
            let place = known.partition_point(|other| (other.at, other.entry) < (at, entry));
            known.insert(place, erasure);
            let before = self.of(shopper).filter(|(_, taken)| taken.at < at).map(|(entry, _)| *entry);
            covered.extend(before.collect::<Vec<_>>());
        }
        let mut fresh = Vec::new();
        for covered in covered {
            let Some(taken) = self.taken.get_mut(&covered) else { continue };
            if only_by.is_some_and(|only| only != taken.by) {
                continue;
            }
            if taken.erased.is_none() {
                fresh.push(covered);
            }
            taken.erased = Some(taken.erased.map_or((at, entry), |before| before.min((at, entry))));
        }
        fresh
    }

    /// The same, worked out again from the log.
    pub(crate) fn anew(log: &Log) -> Self {
        let mut people = Self::default();
        let mut erasures = Vec::new();
        for chain in log.chains().filter(|chain| chain.document == Document::People) {
            for seq in 1..=chain.len() {
                let Some(Ok(record)) = chain.body(seq).map(Record::decode) else { continue };
                let entry = Ref { chain: chain.id, seq };
                if matches!(record.body, Body::Erase(_)) {
                    erasures.push((entry, chain, record));
                } else {
                    people.apply(entry, chain, &record);
                }
            }
        }
        for (entry, chain, record) in erasures {
            people.apply(entry, chain, &record);
        }
        people
    }
}
