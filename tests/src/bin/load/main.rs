//! How a till's page bears a night at its loudest: another device sells so many times a second, and each sale is an event that
//! reaches the open page. How long a tap takes to its answer is measured in the page itself, first with a node that is idle,
//! then under load, in the same run; and how much memory the node and the page take, minute by minute.
//!
//! It says what it measured, as a table and as a line of JSON, and asserts nothing: docs/costs.md has the figures and the command.

mod crowd;
mod taps;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use popmesh_tests::books::{agree, open_drop};
use popmesh_tests::browser::{Browser, Settings};
use popmesh_tests::{Api, Page, Stage};
use serde_json::{Value, json};

use crowd::Crowd;
use taps::Taps;

/// What the crowd buys, and what the page sells.
const LOUD: &str = "STICKER";
const CALM: &str = "CAP";
const DROP: &str = "night";
/// Sales on the page that are not counted: until code and caches are warm.
const WARM: usize = 20;
/// Enough for hours.
const UNITS: u32 = 1_000_000;

/// Measures how a till's page bears many events.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many events a second reach the page
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// For how many minutes
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many sales are made on the page while nothing else happens
    #[arg(long, default_value_t = 60)]
    idle_sales: usize,
}

/// What processes and the page take, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    node: u64,
    renderer: u64,
    heap: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut stage = Stage::open("Loud night", &[("till-2", "hq,pos"), ("till-1", "pos")])?;
    let hq = stage.device("till-2")?;
    hq.done("/v1/drops", &json!({"drop": DROP, "title": "Loud night"}))?;
    for (sku, name) in [(CALM, "Tour cap"), (LOUD, "Sticker")] {
        hq.done("/v1/products", &json!({"sku": sku, "name": name, "price": 500}))?;
        hq.done(
            "/v1/lots",
            &json!({"drop": DROP, "sku": sku, "first": 1, "last": UNITS, "numbered": false}),
        )?;
    }
    open_drop(hq, DROP)?;
    agree(&stage.devices())?;
    let page_till = stage.device("till-1")?.clone();
    let gift = json!({"drop": DROP, "sku": CALM, "units": {"count": 10_000}, "to": page_till.device()?});
    stage.device("till-2")?.done("/v1/transfers", &gift)?;
    agree(&stage.devices())?;
    let node = stage.node("till-1")?.id();

    // What the driver would note of each event would itself be a load.
    let browser = Browser::start(&Settings { notes: false, ..Settings::default() })?;
    let page = browser.open(&stage.page("till-1", "till")?)?;
    page.button("Tour cap").seen()?;

    println!("idle: {} sales on the page", arguments.idle_sales);
    let mut warm = Taps::default();
    for _ in 0..WARM {
        warm.sell(&page, "Tour cap")?;
    }
    let mut idle = Taps::default();
    for _ in 0..arguments.idle_sales {
        idle.sell(&page, "Tour cap")?;
    }
    println!("{idle}");

    let crowd = Crowd::come(stage.device("till-2")?, LOUD, DROP, arguments.rate);
    let began = Instant::now();
    let first = events(&page_till)?;
    let mut loaded = Taps::default();
    let mut memory = Vec::new();
    let end = began + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut next_look = began;
    while Instant::now() < end {
        if Instant::now() >= next_look {
            let now = memory_of(node, &browser, &page)?;
            let passed = began.elapsed();
            println!(
                "{:5.0} s: {:.0} events/s; node {:.1} MB, page {:.1} MB, its heap {:.1} MB; {loaded}",
                passed.as_secs_f64(),
                f64::from(u32::try_from(events(&page_till)? - first)?) / passed.as_secs_f64(),
                mb(now.node),
                mb(now.renderer),
                mb(now.heap),
            );
            memory.push(now);
            next_look += Duration::from_secs(60).min(end - began);
        }
        loaded.sell(&page, "Tour cap")?;
        thread::sleep(Duration::from_millis(200));
    }
    let count = events(&page_till)? - first;
    let seconds = began.elapsed().as_secs_f64();
    let sold = crowd.go_home();
    let last = memory_of(node, &browser, &page)?;
    memory.push(last);
    browser.blame()?;

    let first = memory.first().context("no memory")?;
    ensure!(count > 0, "no event has reached the page's node");
    println!("load: {loaded}");
    let line = json!({
        "events_per_second": count as f64 / seconds, "seconds": seconds, "sold_elsewhere": sold,
        "idle_p95_ms": idle.p95(), "loaded_p95_ms": loaded.p95(), "ratio": loaded.p95() / idle.p95(),
        "node_mb": [mb(first.node), mb(last.node)], "page_mb": [mb(first.renderer), mb(last.renderer)],
        "heap_mb": [mb(first.heap), mb(last.heap)],
        "node_bytes_per_event": (last.node as f64 - first.node as f64) / count as f64,
    });
    println!("{line}");
    Ok(())
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How many entries a node has taken in: a sale is one, and each tells one event.
fn events(api: &Api<'_>) -> Result<u64> {
    api.get("/v1/status")?["entries"].as_u64().context("no entries in the status")
}

fn memory_of(node: u32, browser: &Browser, page: &Page<'_>) -> Result<Memory> {
    page.protocol("HeapProfiler.collectGarbage", json!({}))?;
    page.protocol("Performance.enable", json!({}))?;
    let metrics = page.protocol("Performance.getMetrics", json!({}))?;
    let mut each = metrics["metrics"].as_array().into_iter().flatten();
    let heap = each.find(|one| one["name"] == "JSHeapUsedSize").map(|one| &one["value"]);
    let heap = heap.and_then(Value::as_f64).context("no size of the heap")? as u64;
    Ok(Memory { node: resident(node)?, renderer: renderer(browser.process())?, heap })
}

/// How much of a process is in memory, in bytes.
fn resident(pid: u32) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kb: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kb * 1024)
}

/// The largest process of Chromium's that draws pages: that of the open one.
fn renderer(browser: u32) -> Result<u64> {
    let mut most = 0;
    let mut family = vec![browser];
    while let Some(pid) = family.pop() {
        let children = format!("/proc/{pid}/task/{pid}/children");
        // A process that has just ended has none.
        let children = fs::read_to_string(children).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains("--type=renderer") {
            most = most.max(resident(pid).unwrap_or(0));
        }
    }
    Ok(most)
}
