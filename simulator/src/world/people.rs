//! Shoppers who leave an address with what they buy, and some who want it erased. What they say is sealed by the node; in
//! here it is bytes.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::command::{Command, Erased, PersonalAdd, PersonalErase, PersonalInfo, Refusal, Reply};
use popmesh_proto::id::{Hash, Ref};
use popmesh_proto::identity::Role;
use popmesh_proto::record::{Consent, PersonalKind, SEALED_SIZES};
use sha2::{Digest, Sha256};

use super::World;
use super::ledger::Breach;
use super::node::{State, Who};
use super::queue::NodeIndex;
use crate::night::PeopleNumbers;
use crate::random::Random;

/// So many of a thousand who buy leave an address.
const OPT_IN: u64 = 120;
/// So many of a thousand times that somebody does, somebody else wants theirs erased.
const ERASED: u64 = 250;
/// So many of those go to the organiser, and are known there by their reference alone.
const AT_HQ: u64 = 500;

/// Personal data that devices said they keep, or have erased.
#[derive(Debug)]
pub(super) struct Addresses {
    random: Random,
    /// Acknowledged: by which node, and the hash of what it keeps.
    taken: BTreeMap<Ref, (NodeIndex, Hash)>,
    /// Of which an erasure was acknowledged, and the entry that says so.
    erased: BTreeMap<Ref, Ref>,
    pub(super) numbers: PeopleNumbers,
}

impl Addresses {
    pub(super) fn new(random: Random) -> Self {
        Self { random, taken: BTreeMap::new(), erased: BTreeMap::new(), numbers: PeopleNumbers::default() }
    }
}

impl World<'_> {
    /// Somebody has bought something, and may leave an address.
    pub(super) fn may_opt_in(&mut self, node: NodeIndex, shopper: usize) {
        let mut random = self.addresses.random.fork(&format!("shopper {shopper}"));
        if !random.chance(OPT_IN) {
            return;
        }
        let size = SEALED_SIZES[if random.chance(800) { 0 } else { random.index(SEALED_SIZES.len()) }];
        let mut sealed = vec![0; size as usize];
        random.fill(&mut sealed);
        let consent = Consent { text: "news of the next drop".to_owned(), version: "1".to_owned() };
        let add = PersonalAdd {
            kind: PersonalKind::OptIn,
            shopper: format!("shopper-{shopper}").parse().ok(),
            sku: None,
            drop: None,
            consent: Some(consent),
            sealed,
        };
        self.order(node, Who::Person, Command::PersonalAdd(add), None);
    }

    pub(super) fn person_answered(&mut self, node: NodeIndex, result: Result<Reply, Refusal>) {
        match result {
            Ok(Reply::Personal(personal)) => self.keeps_address(node, &personal),
            Ok(Reply::Erased(Erased { entry, erased })) => {
                self.addresses.numbers.erased += 1;
                let by = erased.iter().map(|personal| personal.entry).zip(entry.into_iter().cycle());
                self.addresses.erased.extend(by);
            }
            Ok(_) => self.check(Err(Breach::new("I3", "an address was answered with something else"))),
            // Nobody is told that anything is kept.
            Err(_) => self.addresses.numbers.refused += 1,
        }
    }

    fn keeps_address(&mut self, node: NodeIndex, personal: &PersonalInfo) {
        self.addresses.numbers.taken += 1;
        self.addresses.taken.insert(personal.entry, (node, personal.hash));
        let mut random = self.addresses.random.fork(&format!("entry {}", personal.entry));
        if !random.chance(ERASED) {
            return;
        }
        let left: Vec<(Ref, NodeIndex)> = self
            .addresses
            .taken
            .iter()
            .filter(|(entry, _)| !self.addresses.erased.contains_key(entry))
            .map(|(entry, (node, _))| (*entry, *node))
            .collect();
        let Some((entry, taken_by)) = random.pick(&left).copied() else { return };
        let hq = (0..self.nodes.len()).find(|node| self.nodes[*node].certificate.roles.has(Role::Hq));
        let (at, erase) = match hq.filter(|_| random.chance(AT_HQ)) {
            Some(hq) => {
                let people = self.nodes[hq].device().map(Device::people);
                let known = people.and_then(|people| people.get(&entry));
                // The hq may not have heard of it: what it knows nothing of, it erases by the shopper alone.
                let shopper = known.and_then(|taken| taken.record.shopper.clone());
                (hq, PersonalErase { entry: shopper.is_none().then_some(entry), shopper })
            }
            None => (taken_by, PersonalErase { shopper: None, entry: Some(entry) }),
        };
        if self.nodes[at].is_running() {
            self.order(at, Who::Person, Command::PersonalErase(erase), None);
        }
    }

    /// What a node has acknowledged it still has after its start (I3).
    pub(super) fn addresses_kept(&self, node: NodeIndex) -> Result<(), Breach> {
        let Some(device) = self.nodes[node].device() else { return Ok(()) };
        let here: BTreeMap<&Ref, &[u8]> = device.payloads().collect();
        for (entry, (by, hash)) in self.addresses.taken.iter().filter(|(_, (by, _))| *by == node) {
            let erased = device.people().get(entry).is_some_and(|taken| taken.erased.is_some());
            let is_here =
                here.get(entry).is_some_and(|payload| *hash == Hash(Sha256::digest(payload).into()));
            if !erased && !is_here {
                let name = &self.nodes[*by].name;
                return Err(Breach::new(
                    "I3",
                    format!("{name} has lost the payload of {entry} that it acknowledged"),
                ));
            }
        }
        Ok(())
    }

    /// Whether all that live and hear each other have the same payloads: every one that one of them has, and no erased one.
    pub(super) fn payloads_agree(&self) -> bool {
        self.companies().iter().all(|company| {
            let devices = || company.iter().filter_map(|node| self.nodes[*node].device());
            let all: BTreeSet<&Ref> =
                devices().flat_map(|device| device.payloads().map(|(entry, _)| entry)).collect();
            devices().all(|device| {
                let erased =
                    |entry: &Ref| device.people().get(entry).is_none_or(|taken| taken.erased.is_some());
                device.payloads().count() == all.len() && !all.iter().any(|entry| erased(entry))
            })
        })
    }

    /// What is known of personal data is the same everywhere; what each device has is on its disk, and nothing else (I5).
    pub(super) fn check_people(&mut self) {
        let mut result = Ok(());
        for company in self.companies() {
            let first = company.first().and_then(|node| self.nodes[*node].device());
            for node in company.iter().copied() {
                let State::Running { device, store } = &self.nodes[node].state else { continue };
                let name = &self.nodes[node].name;
                let breach = |text: &str| Err(Breach::new("I5", format!("{name} {text}")));
                if first.is_some_and(|first| first.people() != device.people()) {
                    result = breach("knows of other personal data than the others, and has the same log");
                }
                let stored = store.sealed().unwrap_or_default();
                let has = device.payloads().map(|(entry, payload)| (*entry, payload));
                if !has.eq(stored.iter().map(|sealed| (sealed.entry, sealed.payload.as_slice()))) {
                    result = breach("has other payloads on its disk than it says");
                }
                // Who said so may have died before anybody heard of it.
                let back = self.addresses.erased.iter().find(|(entry, by)| {
                    let taken = device.people().get(entry);
                    device.log().has(by) && taken.is_some_and(|taken| taken.erased.is_none())
                });
                if let Some((entry, _)) = back.filter(|_| self.ledger.suspects.is_empty()) {
                    result = breach(&format!("has forgotten that {entry} is erased"));
                }
            }
        }
        self.check(result);
        let here = self.alive().into_iter().filter_map(|node| self.nodes[node].device());
        self.addresses.numbers.kept = here.map(|device| device.payloads().count() as u64).max().unwrap_or(0);
    }
}
