//! Devices that people retire: those that died, and those that were merely not heard of and go on selling. What was said
//! to be at risk when it was confirmed is kept, and compared after the night with what two people got.
//!
//! What is promised, and checked here: on every device exactly those entries of a retired device count for nothing that
//! come after its retirement, and each that did something is an incident; whatever two people got is in an incident on
//! every device; and where nobody was set back, copied or cheats, what two people got is among what was stated (what the
//! retired device held and kept, as far as whoever retired it knew) or came to it in entries that had not reached whoever
//! retired it, which nobody could have stated. What was left behind is the heir's, to the last unit.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Entrust, Refusal, Reply, Retire};
use popmesh_proto::document::Document;
use popmesh_proto::holdings::Holdings;
use popmesh_proto::id::{ChainId, DeviceId, Hash, Ref};
use popmesh_proto::log::Log;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record};

use super::hand_outs::Unit;
use super::ledger::Breach;
use super::node::{State, Who};
use super::queue::{Event, NodeIndex};
use super::{MS, SECOND, World};
use crate::scenario::FaultKind;

/// So long it is waited for stock on its way to a device, and how often is looked.
const STOCK_COMES_WITHIN_US: u64 = 10 * SECOND;
const STOCK_LOOK_MS: u64 = 20;
/// How long somebody takes at most from looking at the risk to confirming it, milliseconds.
const THINKS_MS: u64 = 4_000;
/// What could not be done is tried again after so long, milliseconds.
const AGAIN_MS: u64 = 1_500;
/// What incidents say that are about late entries.
const LATE: &str = "written after it was retired";

/// What was said when a retirement was confirmed.
#[derive(Debug)]
struct Statement {
    device: DeviceId,
    by: DeviceId,
    at_risk: u64,
    /// Which units that were.
    units: BTreeSet<Unit>,
    /// How much of each chain whoever retired had.
    known: BTreeMap<ChainId, u64>,
    alive: bool,
    /// Whether whoever retired waited for its own past first, and went by what it knew after that.
    waits: bool,
}

/// What was said about whom.
#[derive(Debug, Default)]
pub(super) struct Retirements {
    since_us: BTreeMap<usize, u64>,
    /// By fault: the last time that it was confirmed.
    statements: BTreeMap<usize, Statement>,
}

impl World<'_> {
    pub(super) fn will_retire(&mut self, fault: usize) {
        self.retirements.since_us.insert(fault, self.now_us);
        self.queue.plan(self.now_us, Event::Retire { fault, looked: None });
    }

    pub(super) fn retires_again(&mut self, fault: usize) {
        self.queue.plan(self.now_us + AGAIN_MS * MS, Event::Retire { fault, looked: None });
    }

    /// Somebody looks at what a retirement would risk, or confirms it.
    pub(super) fn retires(&mut self, fault: usize, looked: Option<u64>) {
        let FaultKind::Retired { device, by, once_stock_comes } = self.scenario.faults[fault].kind else {
            return;
        };
        if self.healed {
            return;
        }
        let id = self.nodes[device].id;
        let since_us = self.retirements.since_us.get(&fault).copied().unwrap_or_default();
        let waits = once_stock_comes && self.now_us < since_us + STOCK_COMES_WITHIN_US;
        if waits && looked.is_none() && !self.something_comes_to(&id) {
            self.queue.plan(self.now_us + STOCK_LOOK_MS * MS, Event::Retire { fault, looked: None });
            return;
        }
        let risk = match self.ask(by, Query::Retirement(id)) {
            Some(Answer::Retirement(Ok(risk))) => risk,
            // It does not run, or has never heard of it.
            _ => return self.retires_again(fault),
        };
        if risk.retired_by.is_some() {
            return;
        }
        let Some(at_risk) = looked else {
            let thinks_ms = if once_stock_comes { 0 } else { self.random.below(THINKS_MS) };
            let at_us = self.now_us + thinks_ms * MS;
            self.queue.plan(at_us, Event::Retire { fault, looked: Some(risk.at_risk) });
            return;
        };
        self.states(fault, by, id, at_risk);
        let retire = Retire { device: id, at_risk, reachable: true };
        self.order(by, Who::Registrar(fault), Command::Retire(retire), None);
    }

    /// Takes down what a device says to be at risk at the moment in which somebody confirms it.
    fn states(&mut self, fault: usize, by: NodeIndex, device: DeviceId, at_risk: u64) {
        let Some(of) = self.nodes[by].device() else { return };
        let statement = Statement {
            device,
            by: self.nodes[by].id,
            at_risk,
            units: units_left_with(of, &device),
            known: of.log().chains().map(|chain| (chain.id, chain.len())).collect(),
            alive: self.boxes_of(&device).iter().any(|node| !matches!(self.nodes[*node].state, State::Dead)),
            waits: of.doubts_its_past(),
        };
        self.retirements.statements.insert(fault, statement);
    }

    pub(super) fn retired(&mut self, fault: usize, result: &Result<Reply, Refusal>) {
        let statement = self.retirements.statements.get(&fault);
        match result {
            Ok(Reply::Retired(retired)) => {
                let waited = statement.is_some_and(|statement| statement.waits);
                let stated = statement.map_or(0, |statement| {
                    if waited { statement.at_risk } else { statement.units.len() as u64 }
                });
                if waited {
                    self.retirements.statements.remove(&fault);
                }
                if retired.at_risk != stated {
                    let text = format!(
                        "{} units are said to be at risk, and {stated} are with the device",
                        retired.at_risk
                    );
                    self.check(Err(Breach::new("I1", text)));
                }
            }
            Ok(_) => self.check(Err(Breach::new("I3", "a retirement was answered with something else"))),
            // It may be stored all the same.
            Err(Refusal::NotStored { .. }) => self.retires_again(fault),
            Err(refusal) => {
                self.retirements.statements.remove(&fault);
                match refusal {
                    // Who is to have the right may get it yet.
                    Refusal::RiskChanged { .. }
                    | Refusal::NotRegistrar { .. }
                    | Refusal::PastUnknown { .. }
                    | Refusal::Busy => {
                        self.retires_again(fault);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Gives the right to retire away, if the device runs and has it.
    pub(super) fn entrusts(&mut self, fault: usize) {
        let FaultKind::Entrusted { device, by } = self.scenario.faults[fault].kind else { return };
        if self.healed {
            return;
        }
        let to = self.nodes[device].id;
        if self.nodes[by].is_running() {
            self.order(by, Who::Entruster(fault), Command::Entrust(Entrust { to }), None);
        } else {
            self.entrusts_again(fault);
        }
    }

    pub(super) fn entrusts_again(&mut self, fault: usize) {
        self.queue.plan(self.now_us + AGAIN_MS * MS, Event::Entrust { fault });
    }

    pub(super) fn entrusted(&mut self, fault: usize, result: &Result<Reply, Refusal>) {
        match result {
            Ok(Reply::Entrusted(_)) => {}
            Ok(_) => self.check(Err(Breach::new("I3", "a hand-over was answered with something else"))),
            // It may be stored all the same: then there is nothing to give any more.
            Err(Refusal::NotStored { .. } | Refusal::PastUnknown { .. } | Refusal::UnknownDevice { .. }) => {
                self.entrusts_again(fault);
            }
            Err(_) => {}
        }
    }

    /// Whether units or a claim are on their way to a device.
    fn something_comes_to(&self, device: &DeviceId) -> bool {
        let view = &self.ledger.holdings;
        if view.live_of(device).any(|(_, parcel)| !parcel.received) {
            return true;
        }
        let unheard = |claim: &Ref| {
            self.boxes_of(device)
                .iter()
                .filter_map(|node| self.nodes[*node].device())
                .any(|of| of.holdings().claim(claim).is_none_or(|known| known.custodian() != Some(*device)))
        };
        let mut claims = view.claims();
        claims.any(|(claim, known)| known.custodian() == Some(*device) && unheard(claim))
    }

    /// After the night, on every device.
    pub(super) fn check_retirements(&mut self) {
        for company in self.companies() {
            for node in company.iter().copied() {
                let result = self.shows_retirements(node, &company);
                self.check(result);
            }
        }
        let result = self.stated_what_was_risked();
        self.check(result);
        self.count_retirements();
    }

    fn shows_retirements(&mut self, node: NodeIndex, company: &[NodeIndex]) -> Result<(), Breach> {
        let Some(Answer::Incidents(incidents)) = self.ask(node, Query::Incidents) else { return Ok(()) };
        let Some(device) = self.nodes[node].device() else { return Ok(()) };
        let name = &self.nodes[node].name;
        let Line { retired: cuts, void, .. } = Line::in_log(device.log());
        // Whoever doubts its past, or has two, spends nothing until that is over.
        let me = self.nodes[node].id;
        if !device.doubts_its_past() && !self.ledger.is_distrusted(&me) && device.trust().left(&me).is_none()
        {
            for left in cuts.keys().filter(|retired| heir(&cuts, retired) == me) {
                let units = units_with(device.holdings(), left).len();
                if units > 0 {
                    let left = left.short();
                    let text = format!(
                        "{units} units are still with {left}, which was retired, and {name} is its heir"
                    );
                    return Err(Breach::new("I8", text));
                }
            }
        }
        let expected = late_in(device.log(), &cuts);
        let shown: BTreeSet<Ref> =
            incidents.iter().filter(|known| known.text.contains(LATE)).map(|known| known.incident).collect();
        if let Some(entry) = expected.difference(&shown).next() {
            let text =
                format!("{entry} was written after its author was retired, and {name} shows no incident");
            return Err(Breach::new("I1", text));
        }
        if let Some(entry) = shown.difference(&expected).next() {
            let text = format!(
                "{entry} was written before its author was retired, and {name} lets it count for nothing"
            );
            return Err(Breach::new("I6", text));
        }
        let named: BTreeSet<Ref> = incidents.iter().map(|known| known.incident).collect();
        if let Some(entry) = void.iter().find(|entry| !named.contains(entry)) {
            let text = format!("{entry} was done without the right to retire, and {name} shows no incident");
            return Err(Breach::new("I6", text));
        }
        let silent = self.ledger.hand_outs.twice().iter().find(|twice| {
            let both = [twice.first, twice.second];
            both.iter().all(|entry| device.log().has(entry))
                && !both.iter().any(|entry| named.contains(entry))
        });
        if let Some(twice) = silent {
            let text = format!(
                "unit {} of lot {} was given out by {} and by {}, and {name} shows no incident",
                twice.unit.1, twice.unit.0, twice.first, twice.second
            );
            return Err(Breach::new("I1", text));
        }
        if let Some(text) = self.leaves_secret_exposed(node, &cuts, company) {
            return Err(Breach::new("I11", text));
        }
        for (retired, cut) in &cuts {
            let by = heir(&cuts, &cut.by);
            let heir = company.iter().copied().find(|node| self.nodes[*node].id == by);
            let takes_over = heir.is_some_and(|heir| {
                let able = !self.ledger.suspects.contains(&by);
                let heir = &self.nodes[heir];
                able && heir.device().is_some_and(|device| !device.doubts_its_past()) && !heir.past_doubted
            });
            let left = units_with(device.holdings(), retired).len();
            if takes_over && left > 0 {
                let text = format!("{name} sees {left} units with {}, which was retired", retired.short());
                return Err(Breach::new("I8", text));
            }
        }
        Ok(())
    }

    /// A retired device has the event's secret as it is now, though its heir is there to renew it.
    fn leaves_secret_exposed(
        &self,
        node: NodeIndex,
        cuts: &BTreeMap<DeviceId, Cut>,
        company: &[NodeIndex],
    ) -> Option<String> {
        let trust = self.nodes[node].device()?.trust();
        let best = trust.epochs().in_order(trust.retired()).first().copied();
        let exposed: Vec<DeviceId> = match best {
            Some(epoch) => trust.epochs().exposed_to(&epoch, trust.retired()).collect(),
            None => cuts.keys().copied().collect(),
        };
        let of = exposed.iter().find(|retired| {
            let by = heir(cuts, retired);
            let is_able = |at: &&NodeIndex| {
                let of = &self.nodes[**at];
                of.id == by && of.device().is_some_and(|device| !device.doubts_its_past()) && !of.past_doubted
            };
            company.iter().any(|at| is_able(&at)) && !self.ledger.suspects.contains(&by)
        })?;
        let name = &self.nodes[node].name;
        Some(format!("{}, which was retired, has the event's secret as {name} uses it", of.short()))
    }

    /// What two people got was stated, or could not have been: it came to the retired device in entries that whoever
    /// retired it had not got.
    fn stated_what_was_risked(&self) -> Result<(), Breach> {
        if !self.ledger.suspects.is_empty() {
            return Ok(());
        }
        let mut unstated = BTreeSet::new();
        for statement in self.made() {
            unstated.extend(self.came_unseen(statement));
        }
        for twice in self.ledger.hand_outs.twice() {
            let stated = self.made().any(|statement| statement.units.contains(&twice.unit));
            if !stated && !unstated.contains(&twice.unit) {
                let text = format!(
                    "unit {} of lot {} was given out twice, by {} and by {}, and no retirement said that it was at risk",
                    twice.unit.1, twice.unit.0, twice.first, twice.second
                );
                return Err(Breach::new("I1", text));
            }
        }
        Ok(())
    }

    /// What was said of retirements that were written down.
    fn made(&self) -> impl Iterator<Item = &Statement> {
        let written = |statement: &&Statement| {
            self.ledger.retirements.iter().any(|of| (of.by, of.device) == (statement.by, statement.device))
        };
        self.retirements.statements.values().filter(written)
    }

    /// Units that came to a device in entries that whoever retired it had not got.
    fn came_unseen(&self, statement: &Statement) -> BTreeSet<Unit> {
        let device = statement.device;
        let all = &self.ledger.hand_outs;
        let mut units = BTreeSet::new();
        for (entry, author, record) in self.ledger.written_of_stock() {
            if statement.known.get(&entry.chain).is_some_and(|known| entry.seq <= *known) {
                continue;
            }
            let own = author == device;
            match &record.body {
                Body::Transfer(transfer) if transfer.to == device => {
                    units.extend(transfer.lines.iter().flat_map(|line| all.units(&line.parcel, &line.units)));
                }
                Body::Inherit(inherit) if own => {
                    units.extend(inherit.lines.iter().flat_map(|line| all.units(&line.parcel, &line.units)));
                }
                Body::Refund(refund) if own => {
                    units.extend(refund.lines.iter().flat_map(|line| all.units(&line.parcel, &line.units)));
                }
                Body::Sale(sale) if sale.pickup_at == Some(device) && !own => {
                    units.extend(sale.lines.iter().flat_map(|line| all.units(&line.parcel, &line.units)));
                }
                Body::Custody(custody) if custody.to == device => {
                    units.extend(all.of_claim(&custody.claim).iter().copied());
                }
                _ => {}
            }
        }
        units
    }

    fn count_retirements(&mut self) {
        let retired: BTreeSet<DeviceId> =
            self.ledger.retirements.iter().map(|retirement| retirement.device).collect();
        let again = self.ledger.retirements.len() as u64 - retired.len() as u64;
        let at_risk = self.made().map(|statement| statement.at_risk).sum::<u64>();
        let alive: BTreeSet<DeviceId> =
            self.made().filter(|statement| statement.alive).map(|statement| statement.device).collect();
        let (mut late, mut void, mut given) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for node in self.alive() {
            let Some(log) = self.nodes[node].device().map(Device::log) else { continue };
            let is_sale = |entry: &Ref| {
                record_of(log, entry).is_some_and(|record| matches!(record.body, Body::Sale(_)))
            };
            let line = Line::in_log(log);
            late.extend(late_in(log, &line.retired).into_iter().filter(is_sale));
            void.extend(line.void);
            given.extend(line.given.into_values().map(|(entry, _)| entry));
        }
        let numbers = &mut self.mistakes.numbers;
        numbers.retired = retired.len() as u64;
        numbers.retired_alive = alive.len() as u64;
        numbers.retired_again = again;
        numbers.handed_over = given.len() as u64;
        numbers.without_right = void.len() as u64;
        numbers.at_risk = at_risk;
        numbers.late_sales = late.len() as u64;
        numbers.twice = self.ledger.hand_outs.twice().len() as u64;
    }
}

/// A retirement that counts, read from a log.
#[derive(Debug)]
struct Cut {
    by: DeviceId,
    upto: BTreeMap<ChainId, u64>,
}

/// What a log says of the right to retire, and what was done with it, worked out here anew.
#[derive(Debug, Default)]
struct Line {
    /// Of each retired device the retirement that counts.
    retired: BTreeMap<DeviceId, Cut>,
    /// Retirements and hand-overs by who had no right to.
    void: BTreeSet<Ref>,
    /// By what gave the right (a hand-over, else the author's certificate): which hand-over gave it away, and to whom.
    given: BTreeMap<(Option<Ref>, DeviceId), (Ref, DeviceId)>,
}

impl Line {
    fn in_log(log: &Log) -> Self {
        let mut deeds: BTreeMap<(Hlc, Hash, Ref), (DeviceId, Body)> = BTreeMap::new();
        for chain in log.chains().filter(|chain| chain.document == Document::Devices) {
            for seq in 1..=chain.len() {
                let record = chain.body(seq).and_then(|body| Record::decode(body).ok());
                let (Some(record), Some(hash)) = (record, chain.hash(seq)) else { continue };
                if matches!(record.body, Body::Retire(_) | Body::Entrust(_)) {
                    let entry = Ref { chain: chain.id, seq };
                    deeds.insert((record.at, *hash, entry), (chain.device, record.body));
                }
            }
        }
        let under_of = |body: &Body| match body {
            Body::Retire(retire) => retire.under,
            Body::Entrust(entrust) => entrust.under,
            _ => None,
        };
        let mut line = Self::default();
        // Always the earliest of what is done under a certificate, or under a hand-over that counts.
        while let Some(key) = deeds.iter().find_map(|(key, (_, body))| {
            let mut given = line.given.values();
            under_of(body).is_none_or(|under| given.any(|(entry, _)| *entry == under)).then_some(*key)
        }) {
            let Some((author, body)) = deeds.remove(&key) else { break };
            let (entry, under) = (key.2, under_of(&body));
            let own = line.retired.get(&author);
            let is_late =
                own.is_some_and(|cut| cut.upto.get(&entry.chain).is_none_or(|upto| entry.seq > *upto));
            let was_given =
                under.is_none_or(|under| line.given.values().any(|given| *given == (under, author)));
            let retires_heir = match &body {
                Body::Retire(retire) => {
                    let known = line.retired.contains_key(&retire.device);
                    !known && heir(&line.retired, &author) == retire.device
                }
                _ => false,
            };
            if is_late || retires_heir || !was_given || line.given.contains_key(&(under, author)) {
                line.void.insert(entry);
                continue;
            }
            match body {
                Body::Entrust(entrust) => {
                    line.given.insert((under, author), (entry, entrust.to));
                }
                Body::Retire(retire) => {
                    let before = entry.seq.saturating_sub(u64::from(retire.parts.unwrap_or(0)));
                    let parts = (before..entry.seq)
                        .filter_map(|seq| record_of(log, &Ref { seq, ..entry }))
                        .filter_map(|record| match record.body {
                            Body::RetireCut(part) if part.device == retire.device => Some(part.cut),
                            _ => None,
                        });
                    let named = parts.flatten().chain(retire.cut.iter().copied());
                    let upto = named.map(|last| (last.chain, last.seq)).collect();
                    line.retired.entry(retire.device).or_insert(Cut { by: author, upto });
                }
                _ => {}
            }
        }
        line.void.extend(deeds.into_keys().map(|(_, _, entry)| entry));
        line
    }
}

/// Who has what a device left behind, whoever of its heirs was retired since.
fn heir(cuts: &BTreeMap<DeviceId, Cut>, device: &DeviceId) -> DeviceId {
    let next = |at: &DeviceId| cuts.get(at).map(|cut| cut.by);
    // There are no circles; if there were, this would end all the same.
    std::iter::successors(Some(*device), next).take(cuts.len() + 1).last().unwrap_or(*device)
}

/// What a device holds and keeps, and what it is the heir of, which it may have taken over and not been heard.
fn units_left_with(of: &Device, device: &DeviceId) -> BTreeSet<Unit> {
    let cuts = Line::in_log(of.log()).retired;
    let estate = cuts.keys().filter(|retired| heir(&cuts, retired) == *device);
    estate.chain([device]).flat_map(|left| units_with(of.holdings(), left)).collect()
}

fn record_of(log: &Log, entry: &Ref) -> Option<Record> {
    Record::decode(log.chain(&entry.chain)?.body(entry.seq)?).ok()
}

/// Entries of retired devices that come after the retirement, and did something.
fn late_in(log: &Log, cuts: &BTreeMap<DeviceId, Cut>) -> BTreeSet<Ref> {
    let mut late = BTreeSet::new();
    for chain in log.chains() {
        let Some(cut) = cuts.get(&chain.device) else { continue };
        let upto = cut.upto.get(&chain.id).copied().unwrap_or(0);
        let entries = (upto + 1..=chain.len()).map(|seq| Ref { chain: chain.id, seq });
        late.extend(entries.filter(|entry| does_something(log, &chain.document, entry)));
    }
    late
}

/// Whether something would change by an entry, if it counted.
fn does_something(log: &Log, document: &Document, entry: &Ref) -> bool {
    if *document == Document::Programme {
        return true;
    }
    let Some(record) = record_of(log, entry) else { return false };
    if document.drop().is_none() {
        return matches!(record.body, Body::Resolve(_) | Body::Epoch(_) | Body::EpochCopies(_));
    }
    !matches!(
        record.body,
        Body::Start(_) | Body::Received(_) | Body::Hold(_) | Body::Release(_) | Body::RefundRequest(_)
    )
}

/// What a device holds and keeps for who may come, as a view has it.
fn units_with(view: &Holdings, device: &DeviceId) -> BTreeSet<Unit> {
    let mut units = BTreeSet::new();
    for (_, parcel) in view.live_of(device) {
        units.extend(parcel.free.iter().map(|serial| (parcel.lot, serial)));
    }
    for (claim, known) in view.claims().filter(|(_, known)| known.custodian() == Some(*device)) {
        let Some(standing) = known.standing(*claim).filter(|standing| standing.waits()) else { continue };
        for (parcel, left) in &standing.left {
            let lot = view.parcel(parcel).map_or(*parcel, |parcel| parcel.lot);
            units.extend(left.iter().map(|serial| (lot, serial)));
        }
    }
    units
}
