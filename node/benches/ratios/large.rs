//! A node with a long log: how long it takes to start, how much memory it takes, and what a sale costs on it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use popmesh::runtime::Runtime;
use popmesh_proto::Device;
use popmesh_store::Store;

use crate::Scale;
use crate::event::{Event, Night};
use crate::measure::{Aim, Samples, Unit, compare, figure, say};
use crate::sales::{Running, nobody};
use crate::sqlite::Bare;

const OPEN: &str = "--open-in-a-process-of-its-own";
const DROPS: usize = 4;
const TILLS: u8 = 10;
const ENTRIES_A_WRITE: usize = 4_096;

pub(crate) fn run(scale: Scale, folder: &Path) {
    let event = Event::new();
    let before = Instant::now();
    let long = folder.join("long");
    let mut bare = Bare::open(folder);
    {
        let night = Night::of(&event, DROPS, TILLS, scale.of(200_000, 10_000));
        let config = event.hq(1);
        let (mut store, _) = Store::open(&long, config.charter.event(), config.secret.id()).unwrap();
        for entries in night.entries().chunks(ENTRIES_A_WRITE) {
            store.append(entries, &[]).unwrap();
            bare.append(entries.iter().map(|entry| entry.body.as_slice()));
        }
        println!(
            "  {} entries in {} documents by {} devices, made in {:.1} s; {:.1} MB on disk",
            night.entries().len(),
            2 * DROPS + 1,
            TILLS + 1,
            before.elapsed().as_secs_f64(),
            store_bytes(&long) as f64 / 1e6
        );
        store.close().unwrap();
    }
    let empty = folder.join("empty");
    Running::start_anew(&empty).stop();

    let (mut starts, mut reads, mut memory, mut memory_empty, mut peak) =
        (Samples::new(), Samples::new(), Samples::new(), Samples::new(), Samples::new());
    for _ in 0..scale.of(7, 2) {
        let opened = open_in_a_process(&long);
        starts.add(opened.seconds);
        memory.add(opened.resident);
        peak.add(opened.peak);
        memory_empty.add(open_in_a_process(&empty).resident);
        let before = Instant::now();
        bare.read_all();
        reads.time(before.elapsed());
    }
    say("start: store, log and views", &starts, Unit::Seconds);
    say("the same rows read from bare SQLite", &reads, Unit::Seconds);
    compare("start / read", &starts, &reads, Aim::None);
    figure("start", starts.median(), Unit::Seconds, 2.0);
    say("resident memory", &memory, Unit::Megabytes);
    say("resident memory of an empty node", &memory_empty, Unit::Megabytes);
    compare("memory / memory of an empty node", &memory, &memory_empty, Aim::None);
    figure("resident memory", memory.median(), Unit::Megabytes, 250.0);
    figure("resident memory at its peak", peak.median(), Unit::Megabytes, 250.0);

    let mut on_long = Running::start(event.hq(2), &long);
    let mut on_empty = Running::start(event.hq(2), &empty);
    let (mut long_sales, mut empty_sales) = (Samples::new(), Samples::new());
    for _ in 0..scale.of(4_000, 200) {
        long_sales.add(on_long.time_one_sale());
        empty_sales.add(on_empty.time_one_sale());
    }
    say("one sale on the long log", &long_sales, Unit::Seconds);
    say("one sale on an empty node", &empty_sales, Unit::Seconds);
    compare("sale on the long log / on an empty node", &long_sales, &empty_sales, Aim::AtMost(1.3));
    on_long.stop();
    on_empty.stop();
}

fn store_bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

struct Opened {
    seconds: f64,
    resident: f64,
    peak: f64,
}

/// Starts a device in a fresh process, which measures itself.
fn open_in_a_process(folder: &Path) -> Opened {
    let child = Command::new(std::env::current_exe().unwrap()).arg(OPEN).arg(folder).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let text = String::from_utf8(child.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    Opened { seconds: numbers[0], resident: numbers[1], peak: numbers[2] }
}

/// Whether this process is such a fresh one.
pub(crate) fn is_child(arguments: &[String]) -> bool {
    arguments.first().is_some_and(|argument| argument == OPEN)
}

/// What such a process does.
pub(crate) fn child(arguments: &[String]) {
    let folder = Path::new(&arguments[1]);
    let config = Event::new().hq(3);
    let before = Instant::now();
    let (store, loaded) = Store::open(folder, config.charter.event(), config.secret.id()).unwrap();
    let (links, events) = nobody();
    let runtime = Runtime::start::<Device>(config, store, loaded, links, events).unwrap();
    let seconds = before.elapsed().as_secs_f64();
    println!("{seconds} {} {}", memory("VmRSS:"), memory("VmHWM:"));
    drop(runtime);
}

/// Megabytes that the system counts for this process.
fn memory(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024.0 / 1e6
}
