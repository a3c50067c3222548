//! The organiser's evening: products, drops and lots, each when it is due, and again until it is done.

use std::sync::Arc;

use popmesh_proto::broker::{ByRate, OnDemand, Policy};
use popmesh_proto::command::{
    Command, DropNew, DropStep, LotMint, ProductAdd, Refusal, Reply, StepNew, Transfer, Units,
};
use popmesh_proto::io::Input;
use popmesh_proto::record::StepKind;

use super::node::{Caller, EPOCH_MS, Who};
use super::queue::{Event, NodeIndex};
use super::{MS, World};
use crate::scenario::{Scenario, StepSpec, StepWord, StockPolicy};

/// What could not be done is tried again after so long, milliseconds.
const AGAIN_MS: u64 = 500;

/// The broker's policy on every device.
pub(super) fn policy(policy: StockPolicy) -> Arc<dyn Policy + Sync> {
    match policy {
        // With static shares no sale waits, so none is ever asked for.
        StockPolicy::OnDemand | StockPolicy::StaticShares => Arc::new(OnDemand),
        StockPolicy::ByRate | StockPolicy::PlainCounter | StockPolicy::CentralServer => Arc::new(ByRate),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Asked,
    Done,
}

#[derive(Debug)]
struct Task {
    due_ms: u64,
    node: NodeIndex,
    command: Command,
    progress: Progress,
}

/// What the organiser has to do.
#[derive(Debug)]
pub(super) struct Organiser {
    tasks: Vec<Task>,
}

impl Organiser {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut tasks = Vec::new();
        let hq = scenario.hq();
        let mut add =
            |due_ms, node, command| tasks.push(Task { due_ms, node, command, progress: Progress::Waiting });
        for product in &scenario.products {
            let add_product = ProductAdd::of(product.sku.clone(), product.name.clone(), product.price);
            add(0, hq, Command::ProductAdd(add_product));
        }
        for drop in &scenario.drops {
            let new = DropNew {
                pickup_within_ms: drop.pickup_within_ms,
                unclaimed: drop.unclaimed,
                ends_ms: drop.ends_ms.map(|ends_ms| EPOCH_MS + scenario.starts_at_s * 1_000 + ends_ms),
                ..DropNew::of(drop.drop.clone(), drop.drop.to_string())
            };
            add(0, hq, Command::DropNew(new));
            for lot in &drop.lots {
                let mint = LotMint {
                    drop: drop.drop.clone(),
                    sku: scenario.products[lot.product].sku.clone(),
                    first: lot.first,
                    last: lot.first + lot.units.saturating_sub(1),
                    numbered: lot.numbered,
                    place: Some(scenario.venues[lot.place].name.clone()),
                    edition: None,
                };
                add(drop.mint_ms, lot.at, Command::LotMint(mint));
            }
            for StepSpec { at_ms, step, by, venue } in drop.all_steps() {
                let (step, again) = match step {
                    StepWord::Announce => (StepKind::Announce, false),
                    StepWord::Open => (StepKind::Open, false),
                    StepWord::LastCall => (StepKind::LastCall, false),
                    StepWord::Close => (StepKind::Close, false),
                    StepWord::AnnounceAgain => (StepKind::Announce, true),
                    StepWord::OpenAgain => (StepKind::Open, true),
                };
                let venue = venue.map(|venue| scenario.venues[venue].name.clone());
                let taken = StepNew { step, venue, units: None, ends_ms: None, again };
                add(at_ms, by, Command::DropStep(DropStep { drop: drop.drop.clone(), taken }));
            }
        }
        Self { tasks }
    }
}

impl World<'_> {
    /// Does what is due and not done.
    pub(super) fn organise(&mut self) {
        let now_ms = self.now_us / MS;
        let mut next_ms: Option<u64> = None;
        for task in 0..self.organiser.tasks.len() {
            let Task { due_ms, node, ref command, progress } = self.organiser.tasks[task];
            if progress == Progress::Done {
                continue;
            }
            let again_ms = if due_ms > now_ms { due_ms } else { now_ms + AGAIN_MS };
            next_ms = Some(next_ms.map_or(again_ms, |next| next.min(again_ms)));
            if due_ms > now_ms || progress == Progress::Asked || !self.nodes[node].is_running() {
                continue;
            }
            let command = command.clone();
            self.organiser.tasks[task].progress = Progress::Asked;
            self.calls += 1;
            let caller = Caller { who: Who::Organiser(task), at_once: true };
            self.nodes[node].calls.insert(self.calls, caller);
            self.give(node, Input::Command { call: self.calls, command, idempotency: None });
        }
        if let Some(next_ms) = next_ms {
            self.queue.plan(next_ms * MS, Event::Organise);
        }
    }

    pub(super) fn organised(&mut self, node: NodeIndex, task: usize, result: &Result<Reply, Refusal>) {
        // Minted, though the answer was lost; a step that does not fit any more was taken by somebody else, or is over.
        let done = matches!(
            result,
            Ok(_)
                | Err(Refusal::SerialOverlap { .. } | Refusal::DropExists { .. } | Refusal::StepUnfit { .. })
        );
        self.organiser.tasks[task].progress = if done { Progress::Done } else { Progress::Waiting };
        if let Ok(Reply::Lot(lot)) = result {
            self.watch.minted += lot.units.len();
            if self.scenario.policy == StockPolicy::StaticShares {
                self.share_equally(node, lot);
            }
        }
    }

    pub(super) fn organiser_lost(&mut self, task: usize) {
        self.organiser.tasks[task].progress = Progress::Waiting;
    }

    fn share_equally(&mut self, node: NodeIndex, lot: &popmesh_proto::command::Lot) {
        let sellers: Vec<NodeIndex> = self.scenario.sellers_at(&lot.place).collect();
        let share = lot.units.len() / sellers.len().max(1) as u64;
        let mut left = lot.units.clone();
        for seller in sellers.into_iter().filter(|seller| *seller != node && share > 0) {
            // Named one by one: any units would do for the device, and could lie at another place.
            let units = left.lowest(share);
            left.remove_all(&units);
            let transfer = Transfer {
                drop: lot.drop.clone(),
                sku: lot.sku.clone(),
                units: Units::Serials(units),
                to: self.nodes[seller].id,
            };
            self.organiser.tasks.push(Task {
                due_ms: 0,
                node,
                command: Command::Transfer(transfer),
                progress: Progress::Waiting,
            });
        }
        self.queue.plan(self.now_us, Event::Organise);
    }
}
