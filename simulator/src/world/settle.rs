//! After the night: all faults end, all that lives must agree (I5), its books must close (I7), and what is unsold must be
//! for sale again (I8).

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::command::{
    AcceptPast, Claim, ClaimItem, ClaimState, Command, Refusal, Reply, Sell, SellItem, Tender,
};
use popmesh_proto::id::{ChainId, DeviceId, Hash, Ref};
use popmesh_proto::log::Log;
use popmesh_proto::query::{Answer, ClaimFilter, Query, ReceiptRun, TakingsFilter, TenderTakings};
use popmesh_proto::text::{DropId, Place, Sku};
use popmesh_proto::{Device, Need};

use super::ledger::{Breach, Taken};
use super::node::{State, Who};
use super::queue::NodeIndex;
use super::shop::is_of_sale;
use super::{MS, SECOND, World};

/// How often is looked whether all agree, milliseconds.
const LOOK_MS: u64 = 20;
/// How long a sale waits for units that are in reach, milliseconds, before that counts as broken.
const SALE_WAIT_MS: u64 = 20_000;
/// So many sales are tried on each device after the night.
const PROBES_EACH: usize = 2;

fn heads(log: &Log) -> impl Iterator<Item = (ChainId, u64, Hash)> {
    log.heads().map(|(chain, seq, hash)| (chain.id, seq, *hash))
}

impl World<'_> {
    pub(super) fn settle(&mut self, progress: &mut dyn FnMut(u64) -> bool) {
        self.advised = Some(self.advice());
        self.heal();
        let from_us = self.now_us;
        let until_us = from_us + self.scenario.settle_ms * MS;
        let mut told = 0;
        while self.breach.is_none() && !self.is_stopped() {
            if self.all_agree() {
                self.watch.agreed_us.get_or_insert(self.now_us - from_us);
                if self.payloads_agree() {
                    break;
                }
            }
            if self.now_us >= until_us {
                let text = format!(
                    "{} s after the night the devices still differ: {}",
                    self.scenario.settle_ms / 1_000,
                    self.differences()
                );
                self.check(Err(Breach::new("I5", text)));
                return;
            }
            if self.now_us >= told + SECOND {
                told = self.now_us;
                if !progress(told / MS) {
                    return;
                }
            }
            let next_us = (self.now_us + LOOK_MS * MS).min(until_us);
            while self.breach.is_none() && self.step(next_us) {}
            self.now_us = self.now_us.max(next_us);
        }
        if self.breach.is_some() || self.is_stopped() {
            return;
        }
        self.look_whether_all_agree();
        self.look_at_quiet_boards();
        self.check_steps();
        self.check_prints();
        self.check_agreement();
        self.check_trust();
        self.check_pasts();
        self.check_retirements();
        self.check_people();
        self.check_all_books();
        self.check_by_rules();
        self.check_claims();
        self.check_money();
        self.take_numbers();
        self.check_nothing_is_aside();
        self.check_unsold_is_for_sale();
        self.alive().into_iter().for_each(|node| self.check_told(node));
    }

    pub(super) fn alive(&self) -> Vec<NodeIndex> {
        (0..self.nodes.len()).filter(|node| !matches!(self.nodes[*node].state, State::Dead)).collect()
    }

    /// Takes note of how long after the last sale all agree, if they do now.
    pub(super) fn look_whether_all_agree(&mut self) {
        let Some(last_us) = self.shop.last_sale_us else { return };
        if self.watch.reconciled.is_some_and(|(sale_us, _)| sale_us == last_us) || !self.all_agree() {
            return;
        }
        self.watch.reconciled = Some((last_us, self.now_us - last_us));
    }

    /// Those that live, by who can hear whom, over others too: some venues have no way to each other all night.
    pub(super) fn companies(&self) -> Vec<Vec<NodeIndex>> {
        // Nobody talks to those that were retired, so they know of nothing, and nobody of them.
        let retired = |node: &NodeIndex| {
            let id = self.nodes[*node].id;
            // Where something was lost for good, the retirement that made another void can be lost with it: then what the devices
            // themselves know is what they go by.
            let known = |other: NodeIndex| {
                let device = self.nodes[other].device();
                other != *node && device.is_some_and(|device| device.trust().retired().contains_key(&id))
            };
            let is_lost = !self.ledger.suspects.is_empty();
            self.ledger.has_retired(&id) || (is_lost && self.alive().into_iter().any(known))
        };
        let mut left: BTreeSet<NodeIndex> = self.alive().into_iter().filter(|node| !retired(node)).collect();
        let mut companies = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut company = vec![first];
            let mut at = 0;
            while let Some(node) = company.get(at).copied() {
                at += 1;
                let near: Vec<NodeIndex> =
                    left.iter().copied().filter(|other| self.path(node, *other).is_some()).collect();
                for other in near {
                    left.remove(&other);
                    company.push(other);
                }
            }
            companies.push(company);
        }
        companies
    }

    /// Whether all that live and can hear each other have the same log, all of it durable, and nothing waits.
    pub(super) fn all_agree(&self) -> bool {
        let quiet = self.alive().into_iter().all(|node| {
            let of = &self.nodes[node];
            of.write.is_none() && of.device().is_some_and(|device| device.waiting().1 == 0)
        });
        quiet
            && self.companies().iter().all(|company| {
                if !self.waits_for_what_is_lost(company) {
                    return false;
                }
                let mut logs = company.iter().filter_map(|node| self.nodes[*node].device()).map(Device::log);
                let Some(first) = logs.next() else { return true };
                // Equal digests are the devices' own word for it.
                logs.all(|log| log.digest(false) == first.digest(false) && heads(log).eq(heads(first)))
            })
    }

    /// Whether nothing waits, or only for what nobody has any more who could be heard: a device was set back or died, or was
    /// retired, and nobody hears it since.
    fn waits_for_what_is_lost(&self, company: &[NodeIndex]) -> bool {
        let devices = || company.iter().filter_map(|node| self.nodes[*node].device());
        if !self.ledger.is_in_doubt() {
            return devices().all(|device| device.waiting().0 == 0);
        }
        let has = |device: &Device, need: &Need| match need {
            Need::Entry(entry) => device.log().has(entry),
            Need::Change(hash) => device.log().has_change(hash),
        };
        let lost = |need: Need| !devices().any(|device| has(device, &need));
        devices().all(|device| device.waits_for().all(lost))
    }

    fn differences(&self) -> String {
        let of = |node: NodeIndex| {
            let of = &self.nodes[node];
            match of.device() {
                Some(device) => {
                    let (entries, sales) = device.waiting();
                    format!(
                        "{} has {} entries, {entries} waiting, {sales} sales waiting, {} links, {} payloads{}",
                        of.name,
                        device.log().len(),
                        self.links.count(node),
                        device.payloads().count(),
                        if of.write.is_some() { ", a write under way" } else { "" }
                    )
                }
                None => format!("{} does not run", of.name),
            }
        };
        self.alive().into_iter().map(of).collect::<Vec<_>>().join("; ")
    }

    /// A number that is printed twice is an incident on every device that knows of both lots, and one that was sold twice
    /// another, which names the claims (I1).
    fn check_prints(&mut self) {
        if !self.ledger.prints.any_twice() || self.ledger.is_in_doubt() {
            return;
        }
        let sold = self.ledger.prints.sold_twice(&self.ledger.hand_outs);
        let lots = self.ledger.prints.printed_twice();
        for node in self.alive() {
            let Some(device) = self.nodes[node].device() else { continue };
            let knows = |claims: &BTreeSet<Ref>| claims.iter().all(|claim| device.log().has(claim));
            let sold: Vec<_> = sold.iter().filter(|(_, claims)| knows(claims)).cloned().collect();
            let knows_lots = knows(&lots);
            let name = self.nodes[node].name.clone();
            let Some(Answer::Incidents(incidents)) = self.ask(node, Query::Incidents) else { continue };
            let names = |entries: &BTreeSet<Ref>| {
                incidents.iter().any(|incident| {
                    entries.contains(&incident.incident)
                        && entries.iter().all(|entry| incident.text.contains(&entry.to_string()))
                })
            };
            if knows_lots && !incidents.iter().any(|incident| lots.contains(&incident.incident)) {
                let text = format!("numbers are printed twice, and {name} says nothing of it");
                self.check(Err(Breach::new("I1", text)));
            }
            for ((sku, _, serial), claims) in sold.iter().filter(|(_, claims)| !names(claims)) {
                let claims: Vec<String> = claims.iter().map(Ref::to_string).collect();
                let claims = claims.join(" and ");
                let text =
                    format!("{sku} {serial} was sold twice, in {claims}, and {name} says nothing of it");
                self.check(Err(Breach::new("I1", text)));
            }
        }
    }

    /// Equal logs make equal views (I5), which are the true ones where nothing was lost for good.
    fn check_agreement(&mut self) {
        let companies = self.companies();
        let all = companies.first().is_some_and(|company| company.len() == self.nodes.len());
        let whole = all && self.ledger.suspects.is_empty();
        let mut result = Ok(());
        for company in companies {
            let first = company.first().and_then(|node| self.nodes[*node].device());
            for (node, device) in company.iter().filter_map(|node| Some((*node, self.nodes[*node].device()?)))
            {
                let alike = first.is_none_or(|first| first.holdings() == device.holdings());
                let otherwise = match alike {
                    true => whole.then(|| self.shows_otherwise(device)).flatten(),
                    false => Some("a stock view that differs from the others'".to_owned()),
                };
                if let Some(otherwise) = otherwise {
                    let name = &self.nodes[node].name;
                    result = Err(Breach::new("I5", format!("{name} has the same log and {otherwise}")));
                }
            }
        }
        self.check(result);
        for node in self.alive() {
            if let Some(Answer::Check(check)) = self.ask(node, Query::Check) {
                for problem in check.problems {
                    let text = format!("on {}: {problem}", self.nodes[node].name);
                    self.check(Err(Breach::new("I4", text)));
                }
                let whole = self.ledger.suspects.is_empty();
                // What an adversary crafts has receipts that nobody gave.
                let honest: Vec<&ReceiptRun> = match whole {
                    true => {
                        let adversaries = &self.ledger.adversaries;
                        check.receipts.iter().filter(|run| !adversaries.contains(&run.device)).collect()
                    }
                    false => Vec::new(),
                };
                for run in honest {
                    // What is missing may be on its way between those who cannot hear each other.
                    let gaps = if run.device == self.nodes[node].id { run.missing } else { 0 };
                    if gaps > 0 || !run.twice.is_empty() || !run.unlinked.is_empty() {
                        let text = format!(
                            "on {}, receipts are not what they should be: {run:?}",
                            self.nodes[node].name
                        );
                        self.check(Err(Breach::new("I7", text)));
                    }
                }
                // Where a device was set back, copied or cheats, the second sale counts for nothing, and is an incident.
                if check.sold_twice > 0 {
                    let text =
                        format!("on {}, {} units are in two claims", self.nodes[node].name, check.sold_twice);
                    self.check(Err(Breach::new("I1", text)));
                }
            }
        }
    }

    /// What a shopper was given is handed out for everybody (I2); and where nothing was lost for good, each device shows
    /// each claim as it was written (I5), and what was paid back for it (I7).
    fn check_claims(&mut self) {
        if self.ledger.is_in_doubt() {
            return;
        }
        let companies = self.companies();
        let whole = companies.first().is_some_and(|company| company.len() == self.nodes.len());
        for company in companies {
            let handed_out: BTreeSet<Ref> = self
                .pickups
                .handed_out
                .iter()
                .filter(|(_, node)| company.contains(node))
                .map(|(claim, _)| *claim)
                .collect();
            for node in company {
                let filter = ClaimFilter { limit: Some(u32::MAX), ..ClaimFilter::default() };
                let Some(Answer::Claims(claims)) = self.ask(node, Query::Claims(filter)) else { continue };
                let result = self.shows_claims(node, &claims.claims, &handed_out, whole);
                self.check(result);
            }
        }
    }

    fn shows_claims(
        &self,
        node: NodeIndex,
        claims: &[Claim],
        handed_out: &BTreeSet<Ref>,
        whole: bool,
    ) -> Result<(), Breach> {
        let name = &self.nodes[node].name;
        let is_out = |claim: &&Claim| matches!(claim.state, ClaimState::Redeemed | ClaimState::Returned);
        let out: BTreeSet<Ref> = claims.iter().filter(is_out).map(|claim| claim.claim).collect();
        // A sale that was lost with its seller is nobody's to show; that it was handed out by its token still is.
        let holdings = self.nodes[node].device().map(Device::holdings);
        let by_token = |claim: &Ref| {
            let by = self.pickups.handed_out.get(claim).map(|by| self.nodes[*by].id);
            let known = holdings.and_then(|holdings| holdings.claim(claim));
            known
                .zip(by)
                .is_some_and(|(known, by)| known.sold().is_none() && known.handed_out_by(&by).is_some())
        };
        if let Some(claim) = handed_out.iter().find(|claim| !out.contains(claim) && !by_token(claim)) {
            return Err(Breach::new("I2", format!("{claim} was handed out, and {name} does not show it")));
        }
        if !whole {
            return Ok(());
        }
        let claims: Vec<&Claim> =
            claims.iter().filter(|claim| !self.ledger.crafted.contains(&claim.claim.chain)).collect();
        if claims.len() != self.ledger.claims.len() {
            let text = format!("{name} shows {} claims of {}", claims.len(), self.ledger.claims.len());
            return Err(Breach::new("I5", text));
        }
        for claim in claims {
            let Some(truth) = self.ledger.claims.get(&claim.claim) else { continue };
            let (is, was) = ((claim.state, claim.custodian), (truth.state(), truth.custodian));
            if is != was {
                let text = format!("{name} shows claim {} as {is:?}, and it is {was:?}", claim.claim);
                return Err(Breach::new("I5", text));
            }
            let sum = |item: &ClaimItem| item.unit_price * item.units.len() as i64;
            let units: u64 = claim.refunded.iter().map(|item| item.units.len()).sum();
            let money: i64 = claim.refunded.iter().map(sum).sum();
            if (units, money) != (truth.units_back, truth.paid_back) {
                let text = format!(
                    "{name} shows {money} paid back for {units} units of claim {}, and {} were for {}",
                    claim.claim, truth.paid_back, truth.units_back
                );
                return Err(Breach::new("I7", text));
            }
        }
        Ok(())
    }

    /// What each device says that it took and paid back is what it has written, its receipts are all there, and each sale
    /// has one outcome that a retry gets (I7).
    fn check_money(&mut self) {
        let mut result = Ok(());
        for node in self.alive() {
            let id = self.nodes[node].id;
            if self.boxes_of(&id).len() > 1 || self.ledger.is_distrusted(&id) {
                continue;
            }
            let filter = TakingsFilter { device: Some(id) };
            let Some(Answer::Takings(mut says)) = self.ask(node, Query::Takings(filter)) else { continue };
            let says = says.pop();
            let takings: BTreeMap<Tender, Taken> = says
                .iter()
                .flat_map(|says| &says.tenders)
                .map(|of| {
                    let TenderTakings { payments, taken, paid_back, .. } = *of;
                    let deferred = of.deferred + of.failed + of.cancelled;
                    (of.tender, Taken { payments, taken, deferred, paid_back })
                })
                .filter(|(_, sum)| *sum != Taken::default())
                .collect();
            let written: BTreeMap<Tender, Taken> = self
                .ledger
                .takings
                .iter()
                .filter(|((device, _), _)| *device == id)
                .map(|((_, tender), sum)| (*tender, *sum))
                .filter(|(_, sum)| *sum != Taken::default())
                .collect();
            let name = &self.nodes[node].name;
            if takings != written {
                result = Err(Breach::new(
                    "I7",
                    format!("{name} says it took {takings:?} and has written {written:?}"),
                ));
            }
            let receipts = self.ledger.receipts.get(&id).copied().unwrap_or(0);
            let last = says.as_ref().map_or(0, |says| says.last_receipt);
            if last != receipts {
                let text = format!("{name} says its last receipt is {last}, and has written {receipts}");
                result = Err(Breach::new("I7", text));
            }
            let sales = says.map_or(0, |says| says.sales);
            let outcomes = self.nodes[node].answers.keys().filter(|key| is_of_sale(key)).count() as u64;
            if sales != outcomes {
                let text = format!("{name} has made {sales} sales and kept {outcomes} outcomes of sales");
                result = Err(Breach::new("I7", text));
            }
        }
        self.check(result);
    }

    /// While a unit is unsold on a device in reach, a sale that waits for it succeeds (I8).
    fn check_unsold_is_for_sale(&mut self) {
        for node in self.alive() {
            // Whoever was retired or has left sells nothing, and says so.
            let of = &self.nodes[node];
            let is_gone = |device: &popmesh_proto::Device| {
                device.holdings().retirement(&of.id).is_some() || device.trust().left(&of.id).is_some()
            };
            if of.device().is_some_and(is_gone) {
                continue;
            }
            for _ in 0..PROBES_EACH {
                let Some((drop, sku)) = self.something_unsold(node) else { break };
                self.probe_sale(node, drop, sku);
                if self.breach.is_some() {
                    return;
                }
            }
        }
    }

    fn is_unsold(&self, node: NodeIndex, drop: &DropId, sku: &Sku) -> bool {
        self.unsold(node).iter().any(|(of, unsold)| of == drop && unsold == sku)
    }

    fn something_unsold(&self, node: NodeIndex) -> Option<(DropId, Sku)> {
        self.unsold(node).into_iter().next()
    }

    /// What is free at the place of a node, as it knows and as is true, on devices that it can hear.
    fn unsold(&self, node: NodeIndex) -> Vec<(DropId, Sku)> {
        let device = &self.scenario.devices[self.nodes[node].device_index];
        let here: &Place = &self.scenario.venues[device.venue].name;
        let companies = self.companies();
        let company = companies.iter().find(|company| company.contains(&node)).map_or(&[][..], Vec::as_slice);
        // Whoever has two pasts gives nothing away until somebody has looked into that.
        let mut near: Vec<DeviceId> = company
            .iter()
            .map(|node| self.nodes[*node].id)
            .filter(|id| *id == self.nodes[node].id || !self.ledger.is_distrusted(id))
            .collect();
        let Some(view) = self.nodes[node].device().map(Device::holdings) else { return Vec::new() };
        // What a retired device held is its heir's, who may be out of reach.
        near.retain(|id| view.retirement(id).is_none());
        let closed = |drop: &DropId| {
            let spec = self.scenario.drops.iter().find(|spec| spec.drop == *drop);
            spec.is_none_or(|spec| spec.open_ms > self.scenario.duration_ms || spec.close_ms.is_some())
        };
        // What another device has just sold, this one may not know yet.
        let unsold = |parcel: &Ref| {
            self.ledger.holdings.parcel(parcel).is_some_and(|known| known.available_count() > 0)
        };
        view.live()
            .filter(|(_, parcel)| {
                parcel.place == *here && near.contains(&parcel.owner) && parcel.available_count() > 0
            })
            .filter(|(reference, _)| unsold(reference))
            .filter_map(|(_, parcel)| view.lot(&parcel.lot))
            .filter(|lot| !closed(&lot.drop))
            .map(|lot| (lot.drop.clone(), lot.sku.clone()))
            .collect()
    }

    fn probe_sale(&mut self, node: NodeIndex, drop: DropId, sku: Sku) {
        // Nobody is left who could tell it what it has forgotten: a person decides.
        let doubts = self.nodes[node].device().is_some_and(popmesh_proto::Device::doubts_its_past);
        if self.nodes[node].past_doubted || doubts {
            self.nodes[node].past_answered = true;
            self.order(node, Who::Crew, Command::AcceptPast(AcceptPast::default()), None);
        }
        let item = SellItem { sku: sku.clone(), quantity: 1, unit_price: None };
        let sell = Sell { drop: Some(drop.clone()), wait_ms: SALE_WAIT_MS, ..Sell::of(vec![item]) };
        self.watch.probe = None;
        let until_us = self.now_us + (SALE_WAIT_MS + 5_000) * MS;
        self.order(node, Who::Probe, Command::Sell(sell), None);
        while self.watch.probe.is_none() && self.breach.is_none() && self.step(until_us) {}
        let name = &self.nodes[node].name;
        let result = match self.watch.probe.take() {
            Some(Ok(_)) => Ok(()),
            // A drop that nobody is left to open, or whose opening was lost with who opened it.
            Some(Err(Refusal::DropNotOpen { .. })) => Ok(()),
            // Nobody has looked into its two pasts yet.
            Some(Err(Refusal::Suspended { .. })) if self.ledger.is_distrusted(&self.nodes[node].id) => Ok(()),
            // A shopper who had no answer in the night has come back meanwhile.
            Some(Err(_)) if !self.is_unsold(node, &drop, &sku) => Ok(()),
            Some(Err(refusal)) => Err(Breach::new(
                "I8",
                format!("{sku} is unsold and in reach, and {name} refused to sell it: {refusal}"),
            )),
            None => {
                Err(Breach::new("I8", format!("{sku} is unsold and in reach, and {name} gave no answer")))
            }
        };
        self.check(result);
    }

    pub(super) fn probed(&mut self, result: Result<Reply, Refusal>) {
        self.watch.probe = Some(result);
    }
}
