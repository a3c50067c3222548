//! A hostile device that was admitted floods a till, in every manner, while the till sells.
//!
//! Every honest sale succeeds, the till's memory stays below a stated bound, its links to honest devices stay, and they
//! agree at the end. How fast it sells, flooded and not, in turns, is printed: that is the machine's as much as ours.
//! For figures of the node as it is shipped, over some seconds at a time, in which bursts are over:
//! `cargo build --release -p popmesh -p popmesh-tests && POPMESH_FLOOD_SALES=400 cargo nextest run --release -p popmesh-tests
//! --test flood --no-capture`.

use std::fs;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, give, put_on_sale};
use popmesh_tests::{Api, Child, Event, Network, Node, Options};

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;
const MALLORY: usize = 3;
const NAMES: [&str; 3] = ["hq", "till", "other"];
const PORT: u16 = 7_400;
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the till may ever have in memory, whoever floods it. Idle it has some 40 MB; SECURITY.md says what adds up.
const MEMORY_BOUND_KB: u64 = 256 * 1_024;
/// Shoppers at the till at once.
const SHOPPERS: usize = 4;
/// What each of them buys in one go, unless [`SALES_VARIABLE`] says how much.
const SALES_EACH: usize = 40;
const SALES_VARIABLE: &str = "POPMESH_FLOOD_SALES";
/// Goes with and without the flood, of each manner.
const ROUNDS: usize = 3;

#[test]
fn valid_entries() -> Result<()> {
    flooded("valid", 1)
}

#[test]
fn large_entries() -> Result<()> {
    flooded("large", 2)
}

#[test]
fn endless_gaps() -> Result<()> {
    flooded("gaps", 3)
}

#[test]
fn useless_gossip() -> Result<()> {
    flooded("gossip", 4)
}

#[test]
fn forged_signatures() -> Result<()> {
    let (event, network) = set_up(5)?;
    let evening = Evening::open(&event, &network)?;
    evening.go_on("forged")?;
    // It never told its name as devices do, so it is none of those that the till knows.
    let told = evening.devices()[TILL].get("/v1/peers")?;
    let strangers = told["unheard"].as_array().into_iter().flatten();
    let cut_off =
        strangers.filter_map(|peer| peer["state"].as_str()).any(|state| state.starts_with("cut off"));
    ensure!(cut_off, "it was not cut off: {told}");
    Ok(())
}

#[test]
fn wanting_everything() -> Result<()> {
    flooded("wants", 6)
}

#[test]
fn reading_nothing() -> Result<()> {
    flooded("slow", 7)
}

#[test]
fn ten_thousand_connections() -> Result<()> {
    flooded("connections", 8)
}

fn flooded(manner: &str, seed: u64) -> Result<()> {
    let (event, network) = set_up(seed)?;
    Evening::open(&event, &network)?.go_on(manner)
}

fn set_up(seed: u64) -> Result<(Event, Network)> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in NAMES.into_iter().zip(["hq,pos", "pos", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    event.enrol("mallory", "pos", "hall-a")?;
    Ok((event, Network::new(seed, 4)?))
}

struct Evening<'a> {
    event: &'a Event,
    network: &'a Network,
    nodes: Vec<Node<'a>>,
}

impl<'a> Evening<'a> {
    fn open(event: &'a Event, network: &'a Network) -> Result<Self> {
        let peer = |host: usize| format!("/ip4/{}/tcp/{PORT}", network.host(host).address());
        let nodes = NAMES.iter().enumerate().map(|(number, name)| {
            let arguments = ["--no-mdns", "--tcp-only", "--listen-port", &PORT.to_string()];
            let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            arguments.extend((0..number).flat_map(|other| ["--peer".to_owned(), peer(other)]));
            let host = Some(network.host(number));
            Node::start(event, name, Options { host, arguments, quiet: true, ..Options::default() })
        });
        let evening = Self { event, network, nodes: nodes.collect::<Result<_>>()? };
        for device in evening.devices() {
            device.wait_until("links to both others", DEADLINE, |device| {
                Ok((device.links()?.len() == NAMES.len() - 1).then_some(()))
            })?;
        }
        Ok(evening)
    }

    fn devices(&self) -> Vec<&Api<'a>> {
        self.nodes.iter().map(|node| &**node).collect()
    }

    fn flooder(&self, manner: &str) -> Result<Child> {
        let at = format!("{}:{PORT}", self.network.host(TILL).address());
        let program = self.event.program().with_file_name("popmesh-flooder");
        let mut command = self.network.host(MALLORY).command(program);
        command.arg("--data").arg(self.event.path().join("mallory")).args(["--at", &at, "--manner", manner]);
        let mut child = Child::start(manner, &mut command)?;
        child.wait_for_output("flooding", DEADLINE)?;
        Ok(child)
    }

    /// Sells with the flood and without it, in turns.
    fn go_on(&self, manner: &str) -> Result<()> {
        let devices = self.devices();
        let (hq, till) = (devices[HQ], devices[TILL]);
        let sales = (2 * ROUNDS * SHOPPERS * sales_each()?) as u32;
        // More than are sold, so that no sale has to ask for units, and few enough that none move by themselves.
        put_on_sale(hq, "CAP", 2 * sales)?;
        give(hq, "CAP", sales, till)?;
        agree(&devices)?;
        let before = [HQ, OTHER].map(|peer| link_since(till, devices[peer]));
        let idle_kb = self.memory_kb()?;
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        let (mut quiet_ms, mut flooded_ms, mut flooder_ms) = (0, 0, 0);
        for _ in 0..ROUNDS {
            let before = self.worked_ms(None)?;
            quiet.push(sell(till)?);
            quiet_ms += self.worked_ms(None)? - before;
            let flooder = self.flooder(manner)?;
            let before = (self.worked_ms(None)?, self.worked_ms(Some(&flooder))?);
            flooded.push(sell(till)?);
            flooded_ms += self.worked_ms(None)? - before.0;
            flooder_ms += self.worked_ms(Some(&flooder))? - before.1;
        }
        let peak_kb = self.memory_kb()?;
        let took = agree(&devices).with_context(|| {
            let told = |device: &&Api<'_>| device.get("/v1/status").unwrap_or_default().to_string();
            devices.iter().map(told).collect::<Vec<_>>().join("\n")
        })?;
        for device in &devices {
            ensure!(check(device, "CAP")? == u64::from(sales), "{} knows of other sales", device.name);
        }
        let after = [HQ, OTHER].map(|peer| link_since(till, devices[peer]));
        for (before, after) in before.into_iter().zip(after) {
            assert_eq!(before?, after?, "a link to an honest device was lost");
        }
        let status = till.get("/v1/status")?;
        let ratios: Vec<String> =
            quiet.iter().zip(&flooded).map(|(quiet, flooded)| format!("{:.2}", flooded / quiet)).collect();
        println!(
            "{manner}: {:.0} sales/s without and {:.0} with it, ratio {:.2} (by round {}); the till worked \
             {quiet_ms} and {flooded_ms} ms, the flooder {flooder_ms} ms; {} MB at the most ({} MB \
             before), bound {} MB; {} entries, {} waiting, {} messages unread, {} entries put off; agreed within {took:?}",
            median(&quiet),
            median(&flooded),
            median(&flooded) / median(&quiet),
            ratios.join(", "),
            peak_kb / 1_024,
            idle_kb / 1_024,
            MEMORY_BOUND_KB / 1_024,
            status["entries"],
            status["waiting"],
            status["unread"],
            status["postponed"],
        );
        ensure!(peak_kb < MEMORY_BOUND_KB, "the till took {peak_kb} kB");
        Ok(())
    }

    /// Processor time of the till, or of the flooder, so far, in milliseconds.
    fn worked_ms(&self, flooder: Option<&Child>) -> Result<u64> {
        let pid = flooder.map_or_else(|| self.nodes[TILL].id(), Child::id);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // Behind the name, which may have blanks: the state, and ten fields more before the two that count.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("no times");
        Ok((ticks(11)? + ticks(12)?) * 10)
    }

    /// The most memory that the till has ever had.
    fn memory_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.nodes[TILL].id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

fn sales_each() -> Result<usize> {
    match std::env::var(SALES_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{SALES_VARIABLE} is no number: {number}")),
        Err(_) => Ok(SALES_EACH),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Has shoppers buy at once; each sale must succeed. Answers sales a second.
fn sell(till: &Api<'_>) -> Result<f64> {
    let each = sales_each()?;
    let before = Instant::now();
    thread::scope(|scope| {
        let buy =
            || (0..each).try_for_each(|_| till.sell("CAP", Duration::from_secs(20), None)?.ok().map(drop));
        let shoppers: Vec<_> = (0..SHOPPERS).map(|_| scope.spawn(buy)).collect();
        shoppers
            .into_iter()
            .try_for_each(|shopper| shopper.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    Ok((SHOPPERS * each) as f64 / before.elapsed().as_secs_f64())
}

/// Since when there is a link to an honest device.
fn link_since(device: &Api<'_>, peer: &Api<'_>) -> Result<u64> {
    let peer = peer.device()?;
    let links = device.links()?;
    let link = links.iter().find(|link| link["device"] == peer.as_str());
    link.and_then(|link| link["since_ms"].as_u64()).with_context(|| format!("no link to {peer}: {links:?}"))
}
