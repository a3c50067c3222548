//! Two nodes with both a network and Bluetooth between them: the network dies in the middle of a long catch-up, and of a drop.
//!
//! It dies as Wi-Fi does: nothing is closed, nothing arrives any more. Times are printed, not asserted: they are the
//! machine's as much as ours.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_ble::testing::{Controllers, free_ports};
use popmesh_tests::books::{agree, check, put_on_sale, serials};
use popmesh_tests::{Api, Event, Node, Options, wait_until};

/// Entries that one has to catch up with.
const MISSED: u32 = 10_000;
/// The network dies when so much has passed, long before all of them have, and returns when so many have arrived.
const DIES_AT_BYTES: usize = 6_000;
const RETURNS_AT: u64 = 5_000;
/// Sales of the drop on each device.
const SALES: usize = 60;
/// As slow as Wi-Fi in a crowd, so that a catch-up has a middle.
const BYTES_PER_STEP: usize = 128;
const STEP: Duration = Duration::from_millis(15);
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_secs(30);
/// Callers at once.
const CALLERS: usize = 8;

/// The network between two nodes: passes TCP on to a port while it is alive.
struct Network {
    port: u16,
    alive: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    passed: Arc<AtomicUsize>,
}

impl Network {
    fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let network = Self {
            port: listener.local_addr()?.port(),
            alive: Arc::new(AtomicBool::new(true)),
            over: Arc::new(AtomicBool::new(false)),
            passed: Arc::default(),
        };
        let (alive, over, passed) = (network.alive.clone(), network.over.clone(), network.passed.clone());
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(far) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) else {
                    continue;
                };
                for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                    let (Ok(from), Ok(to)) = (from, to) else { continue };
                    let (alive, over, passed) = (alive.clone(), over.clone(), passed.clone());
                    std::thread::spawn(move || {
                        // Its end is what a connection's end is.
                        let _ = pass_on(&from, &to, [&alive, &over], &passed);
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Ok(network)
    }

    fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Ordering::Relaxed);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes whoever accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Passes bytes on at a pace. What comes while the network is dead is lost, and with it the connection.
fn pass_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    [alive, over]: [&AtomicBool; 2],
    passed: &AtomicUsize,
) -> Result<()> {
    from.set_read_timeout(Some(STEP))?;
    let mut bytes = [0; BYTES_PER_STEP];
    let mut lossy = false;
    while !over.load(Ordering::Relaxed) {
        let is_alive = alive.load(Ordering::Relaxed);
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(_) if !is_alive => lossy = true,
            Ok(_) if lossy => break,
            Ok(count) => {
                to.write_all(&bytes[..count])?;
                passed.fetch_add(count, Ordering::Relaxed);
                if count == bytes.len() {
                    std::thread::sleep(STEP);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What a node's links go over, the better ones first.
fn over(device: &Api<'_>) -> Result<Vec<String>> {
    let links = device.links()?;
    let mut over: Vec<String> =
        links.iter().filter_map(|link| link["transport"].as_str().map(str::to_owned)).collect();
    over.sort_unstable_by(|one, other| other.cmp(one));
    Ok(over)
}

fn until_over(device: &Api<'_>, wanted: &[&str]) -> Result<Duration> {
    let since = Instant::now();
    device.wait_until(&format!("links over {wanted:?}"), DEADLINE, |device| {
        Ok((over(device)? == wanted).then_some(()))
    })?;
    Ok(since.elapsed())
}

fn entries(device: &Api<'_>) -> Result<u64> {
    device.get("/v1/status")?["entries"].as_u64().context("no entries")
}

fn until_entries(device: &Api<'_>, wanted: u64) -> Result<u64> {
    device.wait_until("entries", DEADLINE, |device| {
        let have = entries(device)?;
        Ok((have >= wanted).then_some(have))
    })
}

/// Sells so many units on a device, several callers at once, and says which.
fn sell(device: &Api<'_>, units: usize) -> Result<Vec<u32>> {
    let left = AtomicUsize::new(units);
    let one_by_one = || {
        let mut sold = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            sold.extend(serials(&device.sell("CAP", WAIT, None)?.ok()?)?);
        }
        anyhow::Ok(sold)
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(one_by_one)).collect();
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??);
        }
        Ok(all)
    })
}

#[test]
fn bluetooth_carries_on_while_the_network_is_dead() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in [("hq", "hq"), ("till", "pos")] {
        event.enrol(name, roles, "hall-a")?;
    }
    let [at_hq, at_till, port] = free_ports::<3>()?;
    let _controllers = Controllers::start(&[at_hq, at_till], &[(at_hq, at_till)])?;
    let network = Network::to(port)?;
    let start = |name: &str, controller: u16, peers: &[String], more: &[&str]| {
        let mut options = Options::loopback(peers);
        let ble = format!("tcp:127.0.0.1:{controller}");
        options
            .arguments
            .extend(["--tcp-only", "--ble", &ble].into_iter().chain(more.iter().copied()).map(str::to_owned));
        Node::start(&event, name, options)
    };
    let hq = start("hq", at_hq, &[], &["--listen-port", &port.to_string()])?;
    let peer = format!("/ip4/127.0.0.1/tcp/{}", network.port);
    let till = start("till", at_till, &[peer], &[])?;
    until_over(&till, &["tcp", "ble"])?;

    let units = MISSED + 4 * SALES as u32;
    agree(&[&hq, &till])?;
    // Before there is stock, which would be shared out.
    till.set_links(false)?;
    put_on_sale(&hq, "CAP", units)?;
    let mut sold = sell(&hq, MISSED as usize)?;
    let wanted = entries(&hq)?;

    till.set_links(true)?;
    let began = Instant::now();
    until_over(&till, &["tcp", "ble"])?;
    let before = network.passed.load(Ordering::Relaxed);
    wait_until("the network to be in the middle", DEADLINE, || {
        let passed = network.passed.load(Ordering::Relaxed) - before;
        Ok((passed > DIES_AT_BYTES).then_some(()))
    })?;
    network.set_alive(false);
    println!("the network dies {:?} after the first link", began.elapsed());
    ensure!(entries(&till)? < RETURNS_AT, "too late to be the middle");
    println!("over Bluetooth alone {:?} after that", until_over(&till, &["ble"])?);
    let stopped_at = entries(&till)?;
    let had = until_entries(&till, RETURNS_AT.max(stopped_at + 500))?;
    println!("{stopped_at} entries then; {had} of {wanted} when the network returns");
    network.set_alive(true);
    println!("over both {:?} after that", until_over(&till, &["tcp", "ble"])?);
    println!("the two agreed {:?} later, {:?} after the first link", agree(&[&hq, &till])?, began.elapsed());
    ensure!(entries(&till)? >= wanted);

    // A drop: both sell, each also what the other holds.
    let (at_hq, at_till) = std::thread::scope(|scope| {
        let at_hq = scope.spawn(|| sell(&hq, SALES));
        let at_till = scope.spawn(|| sell(&till, SALES));
        network.set_alive(false);
        let cut = until_over(&till, &["ble"]);
        let last = sell(&till, SALES);
        network.set_alive(true);
        let back = until_over(&till, &["tcp", "ble"]);
        println!("in the drop: over Bluetooth after {:?}, over both again after {:?}", cut?, back?);
        let join = |seller: std::thread::ScopedJoinHandle<'_, Result<Vec<u32>>>| {
            seller.join().map_err(|_| anyhow::anyhow!("a seller panicked"))?
        };
        let (at_hq, mut at_till) = (join(at_hq)?, join(at_till)?);
        at_till.extend(last?);
        anyhow::Ok((at_hq, at_till))
    })?;
    sold.extend(at_hq.into_iter().chain(at_till));
    println!("the two agreed {:?} after the drop", agree(&[&hq, &till])?);
    let distinct: BTreeSet<u32> = sold.iter().copied().collect();
    ensure!(distinct.len() == sold.len() && sold.len() == MISSED as usize + 3 * SALES, "{} sold", sold.len());
    for device in [&hq, &till] {
        ensure!(check(device, "CAP")? == sold.len() as u64, "its books say something else");
    }
    hq.stop()?;
    till.stop()
}
