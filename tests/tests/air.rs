//! Real nodes that have nothing to do leave the air to others, and notice who is gone. How long that takes is printed, not
//! asserted.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use popmesh_tests::{Api, Event, Network, Node, Options};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
/// What devices compare after they have met dies down meanwhile; among many that takes longer.
const SETTLES: Duration = Duration::from_secs(15);
const SETTLES_MANY: Duration = Duration::from_secs(130);
const MEASURED: Duration = Duration::from_secs(15);
const MEASURED_MANY: Duration = Duration::from_secs(60);
/// Bytes a second that each device may send while nothing happens, with all that carries them.
const IDLE_EACH: u64 = 1_000;
/// And all together: a twentieth of 4 Mbit/s.
const IDLE_ALL: u64 = 25_000;

#[test]
fn five_idle_nodes_send_little_and_a_dead_one_is_noticed() -> Result<()> {
    idle(5)
}

#[test]
#[ignore = "for a machine that bears eleven nodes: `cargo test -p popmesh-tests --test air -- --ignored --nocapture`"]
fn eleven_idle_nodes_send_little() -> Result<()> {
    idle(11)
}

#[test]
#[ignore = "for a machine that bears twenty-one"]
fn twenty_one_idle_nodes_send_little() -> Result<()> {
    idle(21)
}

fn idle(count: usize) -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let names: Vec<String> = (0..count).map(|at| format!("device-{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        event.enrol(name, if at == 0 { "hq,pos" } else { "pos" }, "hall-a")?;
    }
    let network = Network::new(21, count)?;
    let nodes = network.hosts().iter().zip(&names);
    let nodes = nodes
        .map(|(host, name)| Node::start(&event, name, Options { host: Some(host), ..Options::default() }));
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    for device in &devices {
        device.wait_until("all others in reach", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == count).then_some(()))
        })?;
    }
    let (settles, measured) = if count > 5 { (SETTLES_MANY, MEASURED_MANY) } else { (SETTLES, MEASURED) };
    thread::sleep(settles);
    let sent = || network.hosts().iter().map(|host| host.in_namespace(sent)).collect::<Result<Vec<_>>>();
    let packets = || network.host(0).in_namespace(packets);
    let (before, since) = (sent()?, Instant::now());
    let packets_before = packets()?;
    thread::sleep(measured);
    let packets_after = packets()?;
    println!("packets of the first, TCP and UDP: {packets_before:?} to {packets_after:?}");
    let (after, took) = (sent()?, since.elapsed());
    let mut all = 0;
    for ((name, before), after) in names.iter().zip(before).zip(after) {
        let per_s = (after - before) * 1_000 / u64::try_from(took.as_millis())?;
        all += per_s;
        println!("{name} sends {per_s} bytes a second");
        assert!(per_s <= IDLE_EACH, "{name} sends {per_s} bytes a second");
    }
    println!("{count} devices send {all} bytes a second");
    assert!(all <= IDLE_ALL, "{count} devices send {all} bytes a second");

    // A plug is pulled: nobody says goodbye.
    let last = count - 1;
    network.cut_off(last);
    let gone = Instant::now();
    for device in &devices[..last] {
        device.wait_until("the last one is out of reach", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == last).then_some(()))
        })?;
    }
    println!("known by all {:?} after the cut", gone.elapsed());
    network.rejoin(last);
    let back = Instant::now();
    devices[last].wait_until("a link", DEADLINE, |device| Ok((!device.links()?.is_empty()).then_some(())))?;
    println!("linked again {:?} after it was back", back.elapsed());
    Ok(())
}

/// TCP segments and UDP datagrams that left the host that this thread is in; of the latter over IPv4 only.
fn packets() -> Result<[u64; 2]> {
    let table = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let count = |protocol: &str, column: &str| {
        let mut rows = table.lines().filter(|line| line.starts_with(protocol)).map(str::split_whitespace);
        let at = rows.next()?.position(|name| name == column)?;
        rows.next()?.nth(at)?.parse().ok()
    };
    let tcp = count("Tcp:", "OutSegs").context("no count of segments")?;
    Ok([tcp, count("Udp:", "OutDatagrams").context("no count of datagrams")?])
}

/// Bytes that left the interface of the host that this thread is in.
fn sent() -> Result<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).context("no eth0")?;
    let sent = line.split_whitespace().nth(8).context("no count of bytes sent")?;
    Ok(sent.parse()?)
}
