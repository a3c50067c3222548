//! The steps of drops, seen from outside (I13): who knows of a close sells no more; what was sold after one is told as that, and
//! nothing else; and in the end all tell the same steps. Works that out from what is written, by code of its own.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::DropState;
use popmesh_proto::holdings::Event;
use popmesh_proto::id::{ChainId, DeviceId, Ref};
use popmesh_proto::io::Entry;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Record, Step, StepKind};
use popmesh_proto::text::{DropId, Place};

use super::ledger::Breach;
use super::node::EPOCH_MS;
use super::queue::NodeIndex;
use super::{MS, World};
use crate::night::{StepNight, percentile};

/// What was asked for before a hard end may be written so much later, milliseconds: disks are slow.
const WRITES_TAKE_MS: u64 = 10_000;

/// What an announcement says, units in all.
fn announced(step: &Step) -> Option<u64> {
    step.units.as_ref().map(|units| units.iter().map(|of| of.units).sum())
}

/// A step that was written.
#[derive(Debug, Clone)]
struct Written {
    drop: DropId,
    kind: StepKind,
    venue: Option<Place>,
    round: u32,
    at: Hlc,
    by: DeviceId,
    /// Of an announcement: units, of all SKUs.
    announced: Option<u64>,
    /// When it was durable, microseconds of the night.
    at_us: u64,
}

/// A sale that was written.
#[derive(Debug, Clone)]
struct Sold {
    drop: DropId,
    claim: Ref,
    seller: DeviceId,
    at: Hlc,
    /// The step that it was made under.
    under: Option<Ref>,
}

/// All steps and sales.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: BTreeMap<Ref, Written>,
    sales: Vec<Sold>,
    /// By chain: the step that its last sale was made under.
    under: BTreeMap<ChainId, Ref>,
}

impl Steps {
    /// Takes in a record.
    pub(super) fn fold(&mut self, event: &Event<'_>, now_us: u64) {
        match &event.record.body {
            Body::Step(step) => {
                let written = Written {
                    drop: event.drop.clone(),
                    kind: step.kind,
                    venue: step.venue.clone(),
                    round: step.round,
                    at: event.record.at,
                    by: event.author,
                    announced: announced(step),
                    at_us: now_us,
                };
                self.all.insert(event.entry, written);
            }
            Body::Sale(sale) => {
                if let Some(step) = sale.step {
                    self.under.insert(event.entry.chain, step);
                }
                self.sales.push(Sold {
                    drop: event.drop.clone(),
                    claim: event.entry,
                    seller: event.author,
                    at: event.record.at,
                    under: self.under.get(&event.entry.chain).copied(),
                });
            }
            _ => {}
        }
    }

    /// How far a drop is at a venue for whoever knows these steps: the latest round, and in it the last step.
    fn far<'s>(
        &'s self,
        drop: &DropId,
        venue: &Place,
        known: impl Iterator<Item = &'s Ref>,
    ) -> Option<StepKind> {
        let of = known.filter_map(|entry| self.all.get(entry)).filter(|step| step.drop == *drop);
        let there = of.filter(|step| step.venue.as_ref().is_none_or(|of| of == venue));
        there.map(|step| (step.round, step.kind)).max().map(|(_, kind)| kind)
    }

    /// When a drop was opened first, anywhere, microseconds.
    pub(super) fn opened_us(&self, drop: &DropId) -> Option<u64> {
        let opens = |step: &&Written| step.drop == *drop && step.kind == StepKind::Open;
        self.all.values().filter(opens).map(|step| step.at_us).min()
    }

    /// Units of a drop as the first announcement has them that says how many.
    pub(super) fn announced(&self, drop: &DropId) -> Option<u64> {
        let of = self.all.values().filter(|step| step.drop == *drop && step.announced.is_some());
        of.min_by_key(|step| (step.round, step.at)).and_then(|step| step.announced)
    }

    /// Sales of a drop after a close: one that was written earlier ended the round that they were made in.
    fn late(&self, drop: &DropId, venues: &BTreeMap<DeviceId, Place>) -> BTreeSet<Ref> {
        let is_late = |sold: &&Sold| {
            let round = sold.under.and_then(|under| self.all.get(&under)).map_or(0, |step| step.round);
            let ends = |step: &Written| {
                step.kind == StepKind::Close
                    && step.drop == sold.drop
                    && step.round >= round
                    && step.at < sold.at
                    && step.venue.as_ref().is_none_or(|venue| venues.get(&sold.seller) == Some(venue))
            };
            sold.drop == *drop && self.all.values().any(ends)
        };
        self.sales.iter().filter(is_late).map(|sold| sold.claim).collect()
    }
}

/// What of steps is followed as a night goes on.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// What each node knows, as far as it is durable there.
    known: BTreeMap<NodeIndex, BTreeSet<Ref>>,
    /// Sales that were looked at.
    sales: usize,
    /// Closes: when they were taken, and who was in reach and has not heard.
    closes: BTreeMap<Ref, (u64, BTreeSet<NodeIndex>)>,
    /// How long it took from a close until each device in reach was closed, microseconds.
    pub(super) closed_us: Vec<u64>,
}

impl World<'_> {
    fn venue_of(&self, node: NodeIndex) -> &Place {
        &self.nodes[node].certificate.venue
    }

    /// A device has taken in entries, and is about to store them: from here on it acts on them.
    pub(super) fn follow_closes(&mut self, node: NodeIndex, entries: &[Entry]) {
        for entry in entries {
            let reference = Ref { chain: entry.chain, seq: entry.seq };
            if let Some((at_us, waiting)) = self.followed.closes.get_mut(&reference) {
                if waiting.remove(&node) {
                    let took_us = self.now_us - *at_us;
                    self.followed.closed_us.push(took_us);
                }
                continue;
            }
            let new = self.ledger.is_new(&entry.chain, entry.seq);
            let Some(Body::Step(step)) = Some(entry).filter(|_| new).and_then(close_of) else { continue };
            let mut near = self.in_reach(node);
            near.retain(|other| step.venue.as_ref().is_none_or(|venue| self.venue_of(*other) == venue));
            near.remove(&node);
            self.followed.closes.insert(reference, (self.now_us, near));
        }
    }

    /// A device has stored an entry: of a step it knows from here on, and a sale is made by what it knew.
    pub(super) fn follow_steps(&mut self, node: NodeIndex, entry: Ref) {
        if self.ledger.steps.all.contains_key(&entry) {
            self.followed.known.entry(node).or_default().insert(entry);
        }
        let from = std::mem::replace(&mut self.followed.sales, self.ledger.steps.sales.len());
        for at in from..self.followed.sales {
            let sold = self.ledger.steps.sales[at].clone();
            let result = self.judge_sale(node, &sold);
            self.check(result);
        }
    }

    /// A device has read all that it has stored.
    pub(super) fn follow_start(&mut self, node: NodeIndex) {
        let Some(device) = self.nodes[node].device() else { return };
        let all = self.ledger.steps.all.keys();
        let known = all.filter(|entry| device.log().has(entry)).copied().collect();
        self.followed.known.insert(node, known);
        self.followed.sales = self.ledger.steps.sales.len();
    }

    fn judge_sale(&self, node: NodeIndex, sold: &Sold) -> Result<(), Breach> {
        if self.ledger.is_in_doubt() || self.nodes[node].id != sold.seller {
            return Ok(());
        }
        let known = self.followed.known.get(&node).into_iter().flatten();
        let far = self.ledger.steps.far(&sold.drop, self.venue_of(node), known);
        let name = &self.nodes[node].name;
        if far == Some(StepKind::Close) {
            let text = format!("{name} knew that {} is closed, and sold {}", sold.drop, sold.claim);
            return Err(Breach::new("I13", text));
        }
        let spec = self.scenario.drops.iter().find(|drop| drop.drop == sold.drop);
        let Some(ends_ms) = spec.and_then(|drop| drop.ends_ms) else { return Ok(()) };
        let ends_ms = EPOCH_MS + self.scenario.starts_at_s * 1_000 + ends_ms;
        // The hard end that was given with the plan is that of the first round.
        let round =
            sold.under.and_then(|under| self.ledger.steps.all.get(&under)).map_or(0, |step| step.round);
        let shows_ms = self.clock(node).wall_ms;
        if round == 0 && shows_ms > ends_ms + WRITES_TAKE_MS * self.nodes[node].slow {
            let late_s = (shows_ms - ends_ms) / 1_000;
            let text = format!("{name} sold {} of {} {late_s} s after its hard end", sold.claim, sold.drop);
            return Err(Breach::new("I13", text));
        }
        Ok(())
    }

    /// After the night: all tell the same steps, and which sales came after a close.
    pub(super) fn check_steps(&mut self) {
        if self.ledger.is_in_doubt() {
            return;
        }
        let venues: BTreeMap<DeviceId, Place> =
            self.nodes.iter().map(|node| (node.id, node.certificate.venue.clone())).collect();
        let companies = self.companies();
        let whole = companies.first().is_some_and(|company| company.len() == self.nodes.len());
        if !whole {
            return;
        }
        let scenario = self.scenario;
        for (node, drop) in
            companies.iter().flatten().flat_map(|node| scenario.drops.iter().map(move |drop| (*node, drop)))
        {
            let name = self.nodes[node].name.clone();
            let of_drop = |(entry, step): (&Ref, &Written)| (step.drop == drop.drop).then_some(*entry);
            let written: BTreeSet<Ref> = self.ledger.steps.all.iter().filter_map(of_drop).collect();
            if let Some(Answer::Steps(Ok(steps))) = self.ask(node, Query::Steps(drop.drop.clone())) {
                let told: BTreeSet<Ref> = steps.iter().map(|step| step.entry).collect();
                if told != written {
                    let text = format!(
                        "{name} tells the steps {told:?} of {}, and {written:?} were taken",
                        drop.drop
                    );
                    self.check(Err(Breach::new("I13", text)));
                }
            }
            let far = self.ledger.steps.far(&drop.drop, self.venue_of(node), written.iter());
            if let Some(Answer::Programme(programme)) = self.ask(node, Query::Programme)
                && let Some(info) = programme.drops.iter().find(|info| info.drop == drop.drop)
            {
                let is = far.map_or(DropState::Planned, state);
                if info.state != is && !(info.ended && info.state == DropState::Closed) {
                    let text =
                        format!("on {name} {} is {}, and by its steps it is {is}", drop.drop, info.state);
                    self.check(Err(Breach::new("I13", text)));
                }
            }
            let late = self.ledger.steps.late(&drop.drop, &venues);
            if let Some(Answer::Late(Ok(sales))) = self.ask(node, Query::Late(drop.drop.clone())) {
                let told: BTreeSet<Ref> = sales.iter().map(|sale| sale.claim).collect();
                if told != late {
                    let text = format!(
                        "{name} tells {told:?} as sold after the close of {}, and {late:?} were",
                        drop.drop
                    );
                    self.check(Err(Breach::new("I13", text)));
                }
            }
        }
    }

    /// How long closes took to be known, microseconds: percentiles 50, 90, 99 and the longest.
    pub(super) fn closes_took(&self) -> Option<[u64; 4]> {
        let mut took = self.followed.closed_us.clone();
        took.sort_unstable();
        (!took.is_empty()).then(|| [500, 900, 990, 1_000].map(|per_mille| percentile(&took, per_mille)))
    }

    /// How many steps were taken, of all drops.
    pub(super) fn steps_taken_in_all(&self) -> usize {
        self.ledger.steps.all.len()
    }

    /// The steps of a drop that were taken, in words.
    pub(super) fn steps_taken(&self, drop: &DropId) -> Vec<StepNight> {
        let of_drop = self.ledger.steps.all.values().filter(|step| step.drop == *drop);
        let mut taken: Vec<StepNight> = of_drop
            .map(|step| {
                let node = self.nodes.iter().find(|node| node.id == step.by);
                let by = node.map_or_else(String::new, |node| format!(" by {}", node.name));
                let at = step.venue.as_ref().map_or_else(String::new, |venue| format!(" at {venue}"));
                let again = if step.round > 0 { " again" } else { "" };
                StepNight { at_ms: step.at_us / MS, said: format!("{}{again}{by}{at}", step.kind) }
            })
            .collect();
        taken.sort_by_key(|step| step.at_ms);
        taken
    }
}

fn state(kind: StepKind) -> DropState {
    match kind {
        StepKind::Announce => DropState::Announced,
        StepKind::Open => DropState::Open,
        StepKind::LastCall => DropState::LastCall,
        StepKind::Close => DropState::Closed,
    }
}

/// The body of an entry that is a close.
fn close_of(entry: &Entry) -> Option<Body> {
    let body = Record::decode(&entry.body).ok()?.body;
    matches!(&body, Body::Step(step) if step.kind == StepKind::Close).then_some(body)
}
