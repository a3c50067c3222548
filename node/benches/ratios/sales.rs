//! Sales through the runtime and the real store, against rows of the same size in bare SQLite.

use std::path::Path;
use std::time::Instant;

use futures::future::join_all;
use popmesh::runtime::{InboundEvents, Links, Runtime, inbound};
use popmesh::store::Store;
use popmesh_proto::command::Command;
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{GossipToken, Verdict};
use popmesh_proto::{Config, Device};

use crate::Scale;
use crate::event::{Event, drop, opening, sale};
use crate::measure::{Aim, Random, Samples, Unit, ratio, say};
use crate::sqlite::Bare;

/// Sales given at once.
const GROUP: usize = 32;

/// A device that really runs, with nobody to talk to.
pub(crate) struct Running {
    tokio: tokio::runtime::Runtime,
    runtime: Runtime,
    random: Random,
}

struct Nobody;

impl Links for Nobody {
    fn send(&self, _: DeviceId, _: Vec<u8>) {}
    fn publish(&self, _: Vec<u8>) {}
    fn judge(&self, _: GossipToken, _: Verdict) {}
}

pub(crate) fn nobody() -> (Box<dyn Links>, InboundEvents) {
    (Box::new(Nobody), inbound().1)
}

impl Running {
    pub(crate) fn start(config: Config, folder: &Path) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let event = config.charter.event();
        let (store, loaded) = Store::open(folder, event, config.secret.id()).unwrap();
        let (links, events) = nobody();
        let runtime = Runtime::start::<Device>(config, store, loaded, links, events).unwrap();
        Self { tokio, runtime, random: Random::new(5) }
    }

    /// Starts a device that has nothing yet, and opens its drop.
    pub(crate) fn start_anew(folder: &Path) -> Self {
        let running = Self::start(Event::new().hq(1), folder);
        for command in opening(1) {
            running.tokio.block_on(running.runtime.handle.command(command, None)).unwrap();
        }
        running
    }

    fn sales(&mut self, count: usize) -> Vec<Command> {
        (0..count).map(|_| sale(&mut self.random, &drop(0))).collect()
    }

    /// Sells, and returns when all of it is acknowledged.
    fn sell(&self, sales: Vec<Command>) {
        let handle = &self.runtime.handle;
        let outcomes = join_all(sales.into_iter().map(|sale| handle.command(sale, None)));
        for outcome in self.tokio.block_on(outcomes) {
            outcome.unwrap();
        }
    }

    /// How long one sale takes, in seconds.
    pub(crate) fn time_one_sale(&mut self) -> f64 {
        let sales = self.sales(1);
        let before = Instant::now();
        self.sell(sales);
        before.elapsed().as_secs_f64()
    }

    pub(crate) fn stop(self) {
        self.tokio.block_on(self.runtime.join.stop()).unwrap();
    }
}

/// What a device stored, as rows: bodies with their signatures.
fn rows_stored(folder: &Path) -> Vec<Vec<u8>> {
    let config = Event::new().hq(1);
    let (store, _) = Store::open(folder, config.charter.event(), config.secret.id()).unwrap();
    let row = |entry: popmesh_proto::io::Entry| {
        let signature = entry.signature.map_or(Vec::new(), |signature| signature.0.to_vec());
        [entry.body, signature].concat()
    };
    store.entries().map(|entry| row(entry.unwrap())).collect()
}

/// Rows such as single sales, or groups of sales, make: taken from a device that makes some.
fn rows_like(folder: &Path, at_once: usize) -> Vec<Vec<u8>> {
    std::fs::create_dir(folder).unwrap();
    let mut running = Running::start_anew(folder);
    for _ in 0..256usize.div_ceil(at_once) {
        let sales = running.sales(at_once);
        running.sell(sales);
    }
    running.stop();
    let rows = rows_stored(folder);
    rows[rows.len() - 256..].to_vec()
}

/// Durable sales a second in groups of 32.
pub(crate) fn groups(scale: Scale, folder: &Path) {
    let rows = rows_like(&folder.join("rows"), GROUP);
    let mut running = Running::start_anew(folder);
    let mut bare = Bare::open(folder);
    let (mut ours, mut theirs) = (Samples::new(), Samples::new());
    for round in 0..scale.of(1_500, 100) {
        let sales = running.sales(GROUP);
        let before = Instant::now();
        running.sell(sales);
        ours.time(before.elapsed());
        let from = round * GROUP % rows.len();
        let before = Instant::now();
        bare.append(rows[from..from + GROUP].iter().map(Vec::as_slice));
        theirs.time(before.elapsed());
    }
    println!("  rows of {} bytes", rows.iter().map(Vec::len).sum::<usize>() / rows.len());
    say("32 sales, acknowledged", &ours, Unit::Seconds);
    say("32 rows in bare SQLite, one commit", &theirs, Unit::Seconds);
    let a_second = |samples: &Samples| GROUP as f64 / samples.median();
    println!("  {:.0} sales a second, {:.0} rows a second", a_second(&ours), a_second(&theirs));
    ratio("sales a second / rows a second", a_second(&ours) / a_second(&theirs), Aim::AtLeast(0.5));
    running.stop();
}

/// The latency of one sale.
pub(crate) fn latency(scale: Scale, folder: &Path) {
    let rows = rows_like(&folder.join("rows"), 1);
    let mut running = Running::start_anew(folder);
    let mut bare = Bare::open(folder);
    let (mut ours, mut theirs) = (Samples::new(), Samples::new());
    for round in 0..scale.of(6_000, 300) {
        ours.add(running.time_one_sale());
        let before = Instant::now();
        bare.append(std::iter::once(rows[round % rows.len()].as_slice()));
        theirs.time(before.elapsed());
    }
    println!("  rows of {} bytes", rows.iter().map(Vec::len).sum::<usize>() / rows.len());
    say("one sale, acknowledged", &ours, Unit::Seconds);
    say("one row in bare SQLite, one commit", &theirs, Unit::Seconds);
    ratio("sale / row", ours.median() / theirs.median(), Aim::AtMost(1.5));
    running.stop();
}
