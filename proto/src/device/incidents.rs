//! Incidents: what is proven to be wrong, or in doubt, and what a person has done about it.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use crate::command::{Refusal, Reply, ResolveIncident};
use crate::document::Document;
use crate::holdings::Breach;
use crate::id::{ChainId, DeviceId, Ref};
use crate::log::Chain;
use crate::query::{Incident, IncidentKind};
use crate::record::{Body, MAX_NOTE, Record, Resolve};
use crate::trust::{Forked, double_lives};

impl Device {
    /// Every incident, the latest first.
    pub(super) fn incidents(&self) -> Vec<Incident> {
        let breaches = self.holdings.breaches();
        let breaches =
            breaches.map(|(entry, breach, text, claim)| (entry, kind_of(breach), text.to_owned(), claim));
        let again = self.trust.retired_again().map(|(entry, device)| {
            let text = format!("{} was retired twice: what both took over is in doubt", self.name_of(device));
            (*entry, IncidentKind::RetiredTwice, text, None)
        });
        let void = self.trust.rights().void();
        let void = void.map(|(entry, text)| (*entry, IncidentKind::NoRight, text.to_owned(), None));
        let doubles = double_lives(&self.log).into_iter();
        let doubles = doubles.map(|proof| (proof.entry, IncidentKind::TwoPasts, proof.text, None));
        let late = self.late_words();
        let late = late.into_iter().map(|(entry, text)| (entry, IncidentKind::AfterRetirement, text, None));
        let all: Vec<(Ref, IncidentKind, String, Option<Ref>)> = breaches
            .chain(again)
            .chain(void)
            .chain(late)
            .chain(doubles)
            .chain(self.money_incidents())
            .collect();
        let mut incidents: Vec<Incident> = all
            .into_iter()
            .filter_map(|(entry, kind, text, claim)| self.incident(entry, kind, text, claim))
            .collect();
        incidents.extend(self.trust.forks().map(|(chain, forked)| self.fork_incident(*chain, forked)));
        incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.at_ms), incident.incident));
        incidents
    }

    /// What retired devices wrote too late in documents that are no drop's, in words. That of drops is in the stock view.
    fn late_words(&self) -> Vec<(Ref, String)> {
        let of_retired = |chain: &&Chain| chain.document.drop().is_none() && self.is_retired(&chain.device);
        let chains = self.log.chains().filter(of_retired);
        let entries = chains.flat_map(|chain| {
            let upto = self.trust.retired().get(&chain.device).map_or(0, |retired| retired.upto(&chain.id));
            (upto + 1..=chain.len()).map(move |seq| (chain, seq))
        });
        entries
            .filter_map(|(chain, seq)| {
                let entry = Ref { chain: chain.id, seq };
                if chain.document == Document::Programme {
                    return Some((entry, late_edit(entry, chain.device)));
                }
                let record = Record::decode(chain.body(seq)?).ok()?;
                Some((entry, self.late_word(entry, chain.device, &record)?))
            })
            .collect()
    }

    /// What is said of an entry that a retired device wrote too late, if it says anything by which something would change.
    fn late_word(&self, entry: Ref, author: DeviceId, record: &Record) -> Option<String> {
        let says = match &record.body {
            Body::Resolve(_) | Body::Epoch(_) | Body::EpochCopies(_) => true,
            // Those of the right to retire are void by themselves. Certificates are judged alone, whatever became of who
            // signed them, and a proof of two histories is made of the signatures of who wrote them.
            _ => false,
        };
        let late = says && self.trust.is_late(&author, &entry);
        late.then(|| {
            format!("{} {entry} by {}: written after it was retired", record.body.kind(), author.short())
        })
    }

    /// Tells of an entry that a retired device wrote too late. Whether it is one.
    pub(super) fn tell_late(&mut self, entry: Ref, author: DeviceId, record: &Record) -> bool {
        let Some(text) = self.late_word(entry, author, record) else { return false };
        self.tell_incident(record.at.ms(), entry, text);
        true
    }

    /// A fork is named with the first entry that there are two of; neither is in the log.
    fn fork_incident(&self, chain: ChainId, forked: &Forked) -> Incident {
        let Forked { device, document, seq, at_ms, .. } = forked;
        let incident = Ref { chain, seq: *seq };
        let who = device.short();
        let text = format!(
            "{who} wrote two histories of one life in {document}, from entry {seq} on: it cheats, or there are two of it; \
             that life counts up to there"
        );
        let resolution = self.trust.resolution(&incident);
        Incident {
            incident,
            kind: IncidentKind::TwoPasts,
            text,
            device: *device,
            device_name: self.name_of(device),
            at_ms: *at_ms,
            claim: None,
            resolved: resolution.map(|resolution| resolution.note.clone()),
            resolved_by: resolution.map(|resolution| self.name_of(&resolution.by)),
            resolved_at_ms: resolution.map(|resolution| resolution.at_ms),
        }
    }

    fn incident(&self, entry: Ref, kind: IncidentKind, text: String, claim: Option<Ref>) -> Option<Incident> {
        let chain = self.log.chain(&entry.chain)?;
        let record = Record::decode(chain.body(entry.seq)?).ok();
        let is_sale = record.as_ref().is_some_and(|record| matches!(record.body, Body::Sale(_)));
        let resolution = self.trust.resolution(&entry);
        Some(Incident {
            incident: entry,
            kind,
            text,
            device: chain.device,
            device_name: self.name_of(&chain.device),
            at_ms: record.map_or(chain.last_at.ms(), |record| record.at.ms()),
            claim: claim.or(is_sale.then_some(entry)),
            resolved: resolution.map(|resolution| resolution.note.clone()),
            resolved_by: resolution.map(|resolution| self.name_of(&resolution.by)),
            resolved_at_ms: resolution.map(|resolution| resolution.at_ms),
        })
    }

    /// Writes down what was done about an incident.
    pub(super) fn resolve_incident(&mut self, resolve: &ResolveIncident) -> Result<Reply, Refusal> {
        self.needs_hq("settling an incident")?;
        let note = resolve.note.trim();
        let whole = &resolve.note;
        if note.is_empty() || whole.len() > MAX_NOTE || whole.chars().any(char::is_control) {
            let problem =
                format!("say in 1 to {MAX_NOTE} bytes what was done: who got the unit, who the money");
            return Err(invalid("note", problem));
        }
        let incident = resolve.incident;
        let open = self.incidents().into_iter().find(|known| known.incident == incident);
        match open {
            None => return Err(Refusal::UnknownIncident { incident }),
            Some(Incident { resolved: Some(note), resolved_by: Some(by), .. }) => {
                return Err(invalid("incident", format!("{by} has settled it already: {note}")));
            }
            Some(_) => {}
        }
        let record = Body::Resolve(Resolve { incident, note: note.to_owned() });
        self.write(&Document::Devices, record)?;
        let settled = self.incidents().into_iter().find(|known| known.incident == incident);
        settled.map(Reply::Incident).ok_or(Refusal::UnknownIncident { incident })
    }

    /// Finds devices with two pasts that nobody has looked into yet: they are given nothing.
    pub(super) fn look_for_doubles(&mut self) {
        if !std::mem::take(&mut self.intake.lives_changed) {
            return;
        }
        let doubles = double_lives(&self.log).into_iter();
        let forks = self.trust.forks().map(|(chain, forked)| {
            let entry = Ref { chain: *chain, seq: forked.seq };
            (forked.device, entry, self.fork_incident(*chain, forked).text)
        });
        let proofs = doubles.map(|proof| (proof.device, proof.entry, proof.text)).chain(forks);
        let open = proofs.filter(|(_, entry, _)| self.trust.resolution(entry).is_none());
        let now: BTreeMap<DeviceId, (Ref, String)> =
            open.map(|(device, entry, text)| (device, (entry, text))).collect();
        for (device, (entry, text)) in &now {
            if !self.suspended.contains_key(device) {
                let text = format!("{}: {text}", self.name_of(device));
                let at_ms = self.time_of(entry);
                self.tell_incident(at_ms, *entry, text);
            }
        }
        self.suspended = now.into_iter().map(|(device, (entry, _))| (device, entry)).collect();
    }
}

/// What is said of a change of the programme that a retired device made too late.
pub(super) fn late_edit(entry: Ref, author: DeviceId) -> String {
    format!("change of the programme {entry} by {}: written after it was retired", author.short())
}

fn kind_of(breach: Breach) -> IncidentKind {
    match breach {
        Breach::SpentTwice => IncidentKind::SpentTwice,
        Breach::NotHeld => IncidentKind::NotHeld,
        Breach::AfterRetirement => IncidentKind::AfterRetirement,
        Breach::PrintedTwice => IncidentKind::PrintedTwice,
        Breach::ClaimUsedTwice => IncidentKind::ClaimUsedTwice,
    }
}
