//! After the night: what proves that a device was set back, copied or cheats is an incident on every device alike, and what
//! was spent twice is spent twice in incidents only.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::id::{ChainId, DeviceId, Ref};
use popmesh_proto::log::Log;
use popmesh_proto::query::{Answer, Incident, Query};

use super::World;
use super::ledger::Breach;
use super::queue::NodeIndex;

/// A chain, and the last entry before it that its start names.
type Begin = (ChainId, u64);

impl World<'_> {
    pub(super) fn check_trust(&mut self) {
        for company in self.companies() {
            let result = self.company_agrees_on_incidents(&company);
            self.check(result);
        }
    }

    fn company_agrees_on_incidents(&mut self, company: &[NodeIndex]) -> Result<(), Breach> {
        let mut first: Option<(NodeIndex, Vec<Incident>)> = None;
        for node in company.iter().copied() {
            let Some(Answer::Incidents(incidents)) = self.ask(node, Query::Incidents) else { continue };
            let name = &self.nodes[node].name;
            if let Some((other, shown)) = &first
                && kinds_of(shown) != kinds_of(&incidents)
            {
                let other = &self.nodes[*other].name;
                return Err(Breach::new("I5", format!("{name} shows other incidents than {other}")));
            }
            let Some(device) = self.nodes[node].device() else { continue };
            if let Some(proof) = unnamed(device.log(), &incidents) {
                return Err(Breach::new(
                    "I1",
                    format!("{name} has proof of {proof}, and no incident says so"),
                ));
            }
            first.get_or_insert((node, incidents));
        }
        let Some((node, incidents)) = first else { return Ok(()) };
        let numbers = &mut self.mistakes.numbers;
        numbers.incidents += incidents.len() as u64;
        if let Some(log) = self.nodes[node].device().map(Device::log) {
            numbers.forks += log.cuts().count() as u64;
            numbers.double_lives += doubles(log).len() as u64;
        }
        Ok(())
    }
}

/// What must be the same everywhere. How a device is called may not be known everywhere, and its name stands in the text.
fn kinds_of(incidents: &[Incident]) -> BTreeSet<(Ref, String, Option<Ref>)> {
    let kind = |incident: &Incident| format!("{:?}", incident.kind);
    incidents.iter().map(|incident| (incident.incident, kind(incident), incident.claim)).collect()
}

/// What a log proves of two pasts or two histories that no incident is about.
fn unnamed(log: &Log, incidents: &[Incident]) -> Option<String> {
    let named: BTreeSet<Ref> = incidents.iter().map(|incident| incident.incident).collect();
    let cut = log.cuts().find(|(chain, seq)| !named.contains(&Ref { chain: *chain, seq: *seq }));
    if let Some((chain, seq)) = cut {
        return Some(format!("two histories of {} from {seq} on", chain.short()));
    }
    let mut doubles = doubles(log).into_iter();
    let double =
        doubles.find(|(_, begun)| !begun.iter().any(|chain| named.contains(&Ref { chain: *chain, seq: 1 })));
    double.map(|(device, _)| format!("two pasts of {}", device.short()))
}

/// Devices of which several lives follow one, or one that does not follow all of the one before; with the lives in question.
fn doubles(log: &Log) -> Vec<(DeviceId, Vec<ChainId>)> {
    let mut follows: BTreeMap<(DeviceId, String, Option<ChainId>), Vec<Begin>> = BTreeMap::new();
    for chain in log.chains() {
        let before = chain.previous.map(|previous| previous.chain);
        let known = chain.previous.map_or(0, |previous| previous.seq);
        let of = follows.entry((chain.device, chain.document.to_string(), before)).or_default();
        of.push((chain.id, known));
    }
    follows
        .into_iter()
        .filter(|((_, _, before), begun)| {
            let whole = before.and_then(|before| log.chain(&before)).map_or(0, |chain| chain.len());
            begun.len() > 1 || begun.iter().any(|(_, known)| *known < whole)
        })
        .map(|((device, ..), begun)| (device, begun.into_iter().map(|(chain, _)| chain).collect()))
        .collect()
}
