//! Sales through the runtime and the real store, against rows of the same size in bare SQLite.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::poll;
use popmesh::runtime::{CallError, InboundEvents, Links, Outcome, Runtime, inbound};
use popmesh_proto::command::Command;
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{Barred, GossipToken, Verdict};
use popmesh_proto::{Config, Device};
use popmesh_store::Store;

use crate::Scale;
use crate::event::{Event, drop_named, opening, sale};
use crate::measure::{Aim, Random, Samples, Unit, compare, say};
use crate::sqlite::Bare;

/// Sales given at once.
const GROUP: usize = 32;
/// Groups in a row, where the next is given while one is written.
const BLOCK: usize = 20;

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
    fn cut_off(&self, _: DeviceId, _: u64) {}
    fn bar(&self, _: &Barred) {}
    fn probe(&self, _: DeviceId) {}
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
        (0..count).map(|_| sale(&mut self.random, &drop_named(0))).collect()
    }

    /// Sells group after group, giving so many groups ahead, and returns when all of it is acknowledged.
    fn sell(&self, groups: Vec<Vec<Command>>, ahead: usize) {
        let handle = &self.runtime.handle;
        self.tokio.block_on(async {
            let mut under_way = VecDeque::new();
            for group in groups {
                let mut calls = Vec::new();
                for sale in group {
                    let mut call = Box::pin(handle.command(sale, None));
                    // Polled once, it is in the queue; on a busy machine it may even be done.
                    match poll!(&mut call) {
                        Poll::Ready(outcome) => assert!(outcome.is_ok()),
                        Poll::Pending => calls.push(call),
                    }
                }
                under_way.push_back(calls);
                if under_way.len() > ahead {
                    acknowledged(under_way.pop_front().unwrap()).await;
                }
            }
            for calls in under_way {
                acknowledged(calls).await;
            }
        });
    }

    /// Has one command done, and returns when it is acknowledged.
    pub(crate) fn done(&self, command: Command) {
        self.tokio.block_on(self.runtime.handle.command(command, None)).unwrap();
    }

    /// Writes so far, and the microseconds spent in them.
    fn writes(&self) -> (u64, u64) {
        (self.runtime.metrics.writes.get(), self.runtime.metrics.write_us.get())
    }

    /// How long one sale takes, in seconds.
    pub(crate) fn time_one_sale(&mut self) -> f64 {
        let sales = vec![self.sales(1)];
        let before = Instant::now();
        self.sell(sales, 0);
        before.elapsed().as_secs_f64()
    }

    pub(crate) fn stop(self) {
        self.tokio.block_on(self.runtime.join.stop()).unwrap();
    }
}

/// Waits for the last call first: replies come in order, and to be woken for each would cost more than the sales.
async fn acknowledged(calls: Vec<impl Future<Output = Result<Outcome, CallError>>>) {
    for call in calls.into_iter().rev() {
        call.await.unwrap();
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
        let sales = vec![running.sales(at_once)];
        running.sell(sales, 0);
    }
    running.stop();
    let rows = rows_stored(folder);
    rows[rows.len() - 256..].to_vec()
}

/// Durable sales a second in groups of 32.
pub(crate) fn groups(scale: Scale, folder: &Path) {
    let rows = rows_like(&folder.join("rows"), GROUP);
    println!("  rows of {} bytes", mean_length(&rows));
    let mut running = Running::start_anew(folder);
    let mut bare = Bare::open(folder);

    let (mut ours, mut theirs) = (Samples::new(), Samples::new());
    let before = running.writes();
    for round in 0..scale.of(1_500, 100) {
        let sales = vec![running.sales(GROUP)];
        ours.time(timed(|| running.sell(sales, 0)));
        theirs.time(timed(|| bare.append(group_of(&rows, round))));
    }
    let after = running.writes();
    let writes = (after.0 - before.0) as f64;
    println!(
        "  one group at a time: {:.2} writes a group, {:.0} µs each on average",
        writes / ours.count() as f64,
        (after.1 - before.1) as f64 / writes
    );
    say("32 sales, acknowledged", &ours, Unit::Seconds);
    say("32 rows in bare SQLite, one commit", &theirs, Unit::Seconds);
    compare_rates("sales a second / rows a second", &ours, &theirs);

    println!("  the next group given while one is written, {BLOCK} groups in a row:");
    let (mut ours, mut theirs) = (Samples::new(), Samples::new());
    for round in 0..scale.of(150, 10) {
        let sales = (0..BLOCK).map(|_| running.sales(GROUP)).collect();
        ours.time(timed(|| running.sell(sales, 1)) / BLOCK as u32);
        let commits = || (0..BLOCK).for_each(|group| bare.append(group_of(&rows, round + group)));
        theirs.time(timed(commits) / BLOCK as u32);
    }
    say("32 sales, acknowledged", &ours, Unit::Seconds);
    say("32 rows in bare SQLite, one commit", &theirs, Unit::Seconds);
    compare_rates("sales a second / rows a second", &ours, &theirs);
    running.stop();
}

/// Compares what is done in a second, where the samples are seconds for a group.
fn compare_rates(name: &str, ours: &Samples, theirs: &Samples) {
    let a_second = |samples: &Samples| GROUP as f64 / samples.median();
    println!("  {:.0} sales a second, {:.0} rows a second", a_second(ours), a_second(theirs));
    // Twice the rate is half the time.
    compare(name, theirs, ours, Aim::AtLeast(0.5));
}

fn mean_length(rows: &[Vec<u8>]) -> usize {
    rows.iter().map(Vec::len).sum::<usize>() / rows.len()
}

fn group_of(rows: &[Vec<u8>], round: usize) -> impl Iterator<Item = &[u8]> {
    let from = round * GROUP % rows.len();
    rows[from..from + GROUP].iter().map(Vec::as_slice)
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let before = Instant::now();
    work();
    before.elapsed()
}

/// The latency of one sale.
pub(crate) fn latency(scale: Scale, folder: &Path) {
    let rows = rows_like(&folder.join("rows"), 1);
    println!("  rows of {} bytes", mean_length(&rows));
    let mut running = Running::start_anew(folder);
    let mut bare = Bare::open(folder);
    let mut hands = Hands::new();
    let (mut ours, mut theirs, mut handed) = (Samples::new(), Samples::new(), Samples::new());
    for round in 0..scale.of(6_000, 300) {
        ours.add(running.time_one_sale());
        let row = std::iter::once(rows[round % rows.len()].as_slice());
        theirs.time(timed(|| bare.append(row)));
        handed.time(hands.time());
    }
    say("one sale, acknowledged", &ours, Unit::Seconds);
    say("one row in bare SQLite, one commit", &theirs, Unit::Seconds);
    compare("sale / row", &ours, &theirs, Aim::AtMost(1.5));
    say("for scale: from one idle thread to another", &handed, Unit::Seconds);
    running.stop();
}

/// Another thread, to see what it costs to hand it something: a sale is handed on four times.
struct Hands {
    there: Sender<()>,
    back: Receiver<()>,
}

impl Hands {
    fn new() -> Self {
        let (there, taken) = channel();
        let (given, back) = channel();
        thread::spawn(move || while taken.recv().is_ok_and(|()| given.send(()).is_ok()) {});
        Self { there, back }
    }

    /// How long it takes to hand something over, once: half of there and back.
    fn time(&mut self) -> Duration {
        timed(|| {
            self.there.send(()).unwrap();
            self.back.recv().unwrap();
        }) / 2
    }
}
