//! Strangers at the port of the mesh: real nodes, and a host with libp2p and keys of its own.
//!
//! What a stranger can read is listed byte by byte, whichever way it calls, and whichever way it is called.
#![allow(clippy::expect_used, reason = "a test that panics fails, as it should")]

mod stranger;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use popmesh::folder::Folder;
use popmesh_tests::{Event, LinkSettings, Network, Node, Options, wait_until};

use stranger::{Answer, Heard, Stranger};

const DEADLINE: Duration = Duration::from_secs(60);
const PORT: u16 = 7_400;
const VENUE: &str = "hall-a";
/// The hosts.
const HQ: usize = 0;
const TILL: usize = 1;
const STRANGER: usize = 2;
const TRANSPORTS: [&str; 2] = ["tcp", "quic"];

fn at(network: &Network, host: usize, port: u16, transport: &str) -> Multiaddr {
    let ip = network.host(host).address();
    let rest = if transport == "tcp" { format!("tcp/{port}") } else { format!("udp/{port}/quic-v1") };
    format!("/ip4/{ip}/{rest}").parse().expect("an address")
}

fn start<'a>(
    event: &Event,
    network: &'a Network,
    host: usize,
    name: &str,
    peers: &[Multiaddr],
) -> Result<Node<'a>> {
    let port = PORT.to_string();
    let mut arguments = ["--no-mdns", "--listen-port", &port].map(str::to_owned).to_vec();
    arguments.extend(peers.iter().flat_map(|peer| ["--peer".to_owned(), peer.to_string()]));
    Node::start(event, name, Options { host: Some(network.host(host)), arguments, ..Options::default() })
}

fn hq_and_till() -> Result<Event> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", VENUE)?;
    event.enrol("till", "pos", VENUE)?;
    Ok(event)
}

fn linked(node: &Node<'_>, wanted: usize) -> Result<Duration> {
    let started = Instant::now();
    node.wait_until("its links", DEADLINE, |node| Ok((node.links()?.len() == wanted).then_some(())))?;
    Ok(started.elapsed())
}

/// What may not be found in anything that a stranger reads: names, and the event's and the device's identity.
fn is_told_nothing(event: &Event, said: &[u8]) -> Result<()> {
    let id = event.popmesh(&["--data", "hq", "device", "show"])?["event"].as_str().map(str::to_owned);
    // Not the name "hq": two letters come by chance among bytes that say nothing.
    let mut secrets = vec![b"hall-a".to_vec(), b"Neon".to_vec(), b"popmesh".to_vec()];
    secrets.extend(id.and_then(|id| unhex(&id)));
    for secret in secrets.iter().filter(|secret| secret.len() <= said.len()) {
        ensure!(
            !said.windows(secret.len()).any(|part| part == secret),
            "a stranger reads {:?} in {} bytes",
            String::from_utf8_lossy(secret),
            said.len()
        );
    }
    Ok(())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What a device of the old kind said at once, with its magic number, an event, a run, and a certificate.
fn old_hello() -> Vec<u8> {
    [&b"popmesh\x01"[..], &[7; 32], &[9; 16], &[0, 0, 200], &[5; 200]].concat()
}

#[test]
fn whatever_a_caller_says_it_reads_one_byte() -> Result<()> {
    let event = hq_and_till()?;
    let network = Network::new(21, 3)?;
    let hq = start(&event, &network, HQ, "hq", &[])?;
    let manners: [(&str, Vec<u8>, usize); 7] = [
        ("nothing", vec![], 0),
        ("one byte", vec![0], 0),
        ("a part", vec![7; 127], 0),
        ("zeros", vec![0; 128], 0),
        ("garbage", vec![0xa5; 128], 0),
        ("too much", vec![7; 100_000], 0),
        ("an old hello, and 300 streams", old_hello(), 300),
    ];
    let mut all = Vec::new();
    for transport in TRANSPORTS {
        let to = at(&network, HQ, PORT, transport);
        let (network, to) = (&network, &to);
        let heard: Vec<(&str, Heard)> = thread::scope(|scope| {
            let calls = manners.iter().enumerate().map(|(number, (name, says, streams))| {
                let call = move || {
                    Stranger::new(number as u32).call_with(network.host(STRANGER), to, says, *streams)
                };
                (*name, scope.spawn(call))
            });
            let calls: Vec<_> = calls.collect();
            calls
                .into_iter()
                .map(|(name, call)| Ok((name, call.join().expect("no panic").context(name)?)))
                .collect::<Result<_>>()
        })?;
        for (name, heard) in heard {
            println!(
                "{transport}, {name}: {} bytes {:02x?} within {:?}, {}; the handshake: the key {}",
                heard.bytes.len(),
                &heard.bytes[..heard.bytes.len().min(16)],
                heard.took,
                if heard.hung_up { "hung up" } else { "not hung up" },
                heard.peer
            );
            all.push((transport, name, heard));
        }
    }
    for (transport, name, heard) in &all {
        is_told_nothing(&event, &heard.bytes)?;
        // A stream on which nothing was said is not even opened.
        if *name == "nothing" {
            ensure!(heard.bytes.is_empty(), "{transport}: {} bytes for nothing", heard.bytes.len());
            continue;
        }
        ensure!(heard.bytes == [0], "{transport}, {name}: {} bytes", heard.bytes.len());
        ensure!(heard.hung_up, "{transport}, {name}: it stays");
    }
    ensure!(hq.links()?.is_empty());
    Ok(())
}

#[test]
fn a_stranger_that_is_called_reads_proofs_and_no_more_whatever_it_answers() -> Result<()> {
    let event = hq_and_till()?;
    let network = Network::new(22, 3)?;
    let answers = [
        Answer::Bytes(vec![0]),
        Answer::Bytes([&[1, 0, 16][..], &[7; 16]].concat()),
        Answer::Bytes([&[3, 0, 17][..], &[7; 17]].concat()),
        Answer::Bytes(vec![0xff; 100_000]),
        Answer::Bytes(old_hello()),
        Answer::Bytes(vec![4, 0, 0]),
        Answer::Reflection,
    ];
    let ports = (0..).map(|number| PORT + 1 + number).take(answers.len());
    let places: Vec<[Multiaddr; 2]> =
        ports.map(|port| TRANSPORTS.map(|transport| at(&network, STRANGER, port, transport))).collect();
    let heard = thread::scope(|scope| -> Result<Vec<Heard>> {
        let listening: Vec<_> = answers
            .into_iter()
            .zip(&places)
            .enumerate()
            .map(|(number, (answer, places))| {
                let host = network.host(STRANGER);
                let time = Duration::from_secs(12);
                scope.spawn(move || Stranger::new(number as u32).listen(host, places, answer, time))
            })
            .collect();
        let hq = start(&event, &network, HQ, "hq", &places.concat())?;
        let mut heard = Vec::new();
        for listening in listening {
            heard.extend(listening.join().expect("no panic")?);
        }
        ensure!(hq.links()?.is_empty());
        Ok(heard)
    })?;
    let mut lengths = BTreeMap::new();
    for heard in &heard {
        *lengths.entry(heard.bytes.len()).or_insert(0) += 1;
    }
    println!("bytes that strangers read who were called, and how often: {lengths:?}");
    for heard in &heard {
        is_told_nothing(&event, &heard.bytes)?;
        ensure!(heard.bytes.len() == 128, "{} bytes", heard.bytes.len());
    }
    ensure!(heard.len() >= 14, "each of them was called: {}", heard.len());
    Ok(())
}

#[test]
fn who_stands_in_the_middle_gets_no_link_and_nothing_to_use_again() -> Result<()> {
    let event = hq_and_till()?;
    let network = Network::new(23, 3)?;
    let hq = start(&event, &network, HQ, "hq", &[])?;
    for transport in TRANSPORTS {
        let stranger = Arc::new(Stranger::new(1));
        let (middle, to) = (at(&network, STRANGER, PORT, transport), at(&network, HQ, PORT, transport));
        let passed = thread::scope(|scope| -> Result<_> {
            let (stranger, network, middle, to) = (&stranger, &network, &middle, &to);
            let time = Duration::from_secs(6);
            let relay = scope.spawn(move || stranger.relay(network.host(STRANGER), middle, to, time));
            let mut till = start(&event, network, TILL, "till", std::slice::from_ref(middle))?;
            let passed = relay.join().expect("no panic")?;
            ensure!(till.links()?.is_empty() && hq.links()?.is_empty(), "a link through a stranger");
            till.kill()?;
            Ok(passed)
        })?;
        ensure!(!passed.is_empty(), "nothing was passed on");
        for (there, back) in &passed {
            println!("{transport}: {} bytes passed on, {} back", there.len(), back.len());
            is_told_nothing(&event, &[&there[..], back].concat())?;
            ensure!(there.len() == 128 && back == &[0], "{} bytes there, {} back", there.len(), back.len());
        }
        // The till's proof, by whoever it was made for, and by somebody else.
        for number in [1, 2] {
            let again = Stranger::new(number).call(network.host(STRANGER), &to, &passed[0].0)?;
            ensure!(again.bytes == [0], "{} bytes", again.bytes.len());
        }
    }
    // Without a stranger in between, they link.
    let till = start(&event, &network, TILL, "till", &[at(&network, HQ, PORT, "tcp")])?;
    linked(&till, 1)?;
    Ok(())
}

/// With all of a device's own keys but those of the event, as somebody has who reads its key alone.
#[test]
fn a_devices_own_key_is_not_enough() -> Result<()> {
    let event = hq_and_till()?;
    let network = Network::new(24, 3)?;
    let hq = start(&event, &network, HQ, "hq", &[])?;
    let key = Folder::new(event.path().join("till")).key()?;
    let keypair = Keypair::ed25519_from_bytes(key.seed()).context("a key")?;
    for transport in TRANSPORTS {
        let to = at(&network, HQ, PORT, transport);
        let stranger = Stranger::with(keypair.clone());
        let heard = stranger.call(network.host(STRANGER), &to, &[7; 128])?;
        ensure!(heard.bytes == [0], "{} bytes", heard.bytes.len());
    }
    ensure!(hq.links()?.is_empty());
    Ok(())
}

#[test]
fn a_device_of_another_event_is_a_stranger() -> Result<()> {
    let (event, other) = (hq_and_till()?, hq_and_till()?);
    let network = Network::new(25, 3)?;
    let mut hq = start(&event, &network, HQ, "hq", &[])?;
    let mut till = start(&other, &network, TILL, "till", &[at(&network, HQ, PORT, "tcp")])?;
    till.child().wait_for_output("it is of another event", DEADLINE)?;
    hq.child().wait_for_output("no device of this event", DEADLINE)?;
    ensure!(hq.links()?.is_empty() && till.links()?.is_empty());
    Ok(())
}

#[test]
fn a_device_whose_certificate_is_over_is_told_so() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq", VENUE)?;
    let ends = Timestamp::now() + 12.seconds();
    event.enrol_for("till", "pos", VENUE, &["--until", &ends.to_string()])?;
    let network = Network::new(26, 3)?;
    let mut till = start(&event, &network, TILL, "till", &[at(&network, HQ, PORT, "tcp")])?;
    let left = Duration::try_from(ends - Timestamp::now()).unwrap_or_default();
    // Nothing else tells that it is over.
    thread::sleep(left);
    let mut hq = start(&event, &network, HQ, "hq", &[])?;
    let said = till.child().wait_for_output("a peer refused this device", DEADLINE)?;
    let line = said.lines().find(|line| line.contains("a peer refused this device")).unwrap_or_default();
    println!("{line}");
    ensure!(line.contains("the certificate of till is not valid after"), "{line}");
    hq.child().wait_for_output("refused a peer's certificate", DEADLINE)?;
    Ok(())
}

/// Strangers call for a while, under a new key each time; a device joins meanwhile.
#[test]
fn hundreds_of_handshakes_leave_a_line_or_two_and_devices_link_meanwhile() -> Result<()> {
    const CALLS: usize = 300;
    const AT_ONCE: usize = 6;
    let event = hq_and_till()?;
    let network = Network::new(27, 3)?;
    let mut hq = start(&event, &network, HQ, "hq", &[])?;
    let before = fs::metadata(hq.child().output_path())?.len();
    let memory_before = memory_kb(hq.id())?;
    let started = Instant::now();
    let (answered, link) = thread::scope(|scope| -> Result<(usize, Duration)> {
        let network = &network;
        let calls: Vec<_> = (0..AT_ONCE)
            .map(|caller| {
                scope.spawn(move || {
                    let mut answered = 0;
                    for number in (caller..CALLS).step_by(AT_ONCE) {
                        let to = at(network, HQ, PORT, TRANSPORTS[number / AT_ONCE % 2]);
                        let streams = if number.is_multiple_of(5) { 300 } else { 0 };
                        let stranger = Stranger::new(1_000 + number as u32);
                        let host = network.host(STRANGER);
                        match stranger.call_with(host, &to, &old_hello(), streams) {
                            Ok(_) => answered += 1,
                            Err(error) => println!("{to}: {error:#}"),
                        }
                    }
                    answered
                })
            })
            .collect();
        let till = start(&event, network, TILL, "till", &[at(network, HQ, PORT, "tcp")])?;
        let link = linked(&till, 1)?;
        let answered = calls.into_iter().map(|call| call.join().expect("no panic")).sum();
        Ok((answered, link))
    })?;
    let took = started.elapsed();
    let output = hq.child().output()?;
    let lines: Vec<&str> = output.split_at(before as usize).1.lines().collect();
    let of_strangers: Vec<&&str> =
        lines.iter().filter(|line| line.contains("no device of this event")).collect();
    println!(
        "{answered} of {CALLS} handshakes in {took:?}: {} bytes in {} lines, {} of them of strangers; a link within \
         {link:?}; memory {} kB before, {} kB at most",
        output.len() as u64 - before,
        lines.len(),
        of_strangers.len(),
        memory_before,
        memory_kb(hq.id())?,
    );
    ensure!(answered > CALLS / 2, "{answered} handshakes");
    let minutes = took.as_secs() as usize / 60 + 1;
    ensure!((1..=1 + minutes).contains(&of_strangers.len()), "{lines:?}");
    // Beside those, what is said of the link, and what libraries may say.
    ensure!(lines.len() <= 12 + 8 * minutes, "{} lines", lines.len());
    Ok(())
}

/// From eighty addresses, which is more than there are places, each taken again as soon as it is lost.
#[test]
fn strangers_that_hold_every_place_keep_no_device_out() -> Result<()> {
    const ADDRESSES: u8 = 80;
    const LINKED_WITHIN: Duration = Duration::from_secs(5);
    let event = hq_and_till()?;
    let network = Network::new(28, 3)?;
    let hq = start(&event, &network, HQ, "hq", &[])?;
    let addresses: Vec<Ipv4Addr> =
        (0..ADDRESSES).map(|number| Ipv4Addr::new(10, 77, 0, 100 + number)).collect();
    for address in &addresses {
        let mut add = network.host(STRANGER).command("ip");
        let status = add.args(["addr", "add", &format!("{address}/24"), "dev", "eth0"]).status()?;
        ensure!(status.success(), "no address {address}");
    }
    let (ends, ended) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let to = SocketAddr::from((network.host(HQ).address(), PORT));
        let (host, addresses, ends_there, lost) =
            (network.host(STRANGER), &addresses, Arc::clone(&ends), &ended);
        scope.spawn(move || stranger::hold(host, addresses, to, &ends_there, lost));
        // All places are held, and were lost and taken again.
        wait_until("a full lobby", DEADLINE, || {
            Ok((ended.load(Ordering::Relaxed) > usize::from(ADDRESSES)).then_some(()))
        })
        .inspect_err(|_| ends.store(true, Ordering::Relaxed))?;
        let till = start(&event, &network, TILL, "till", &[at(&network, HQ, PORT, "tcp")]);
        let link = till.and_then(|till| linked(&till, 1));
        ends.store(true, Ordering::Relaxed);
        let link = link?;
        println!("a link within {link:?}, while {} connections were lost", ended.load(Ordering::Relaxed));
        ensure!(link < LINKED_WITHIN, "a link took {link:?}");
        Ok(())
    })?;
    ensure!(hq.links()?.len() <= 1);
    Ok(())
}

/// On a network where a round trip takes 50 ms. Printed, not asserted but for its order: which round trips there are.
#[test]
fn a_link_takes_few_round_trips() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(25);
    const ROUNDS: usize = 5;
    let event = hq_and_till()?;
    let network = Network::new(29, 2)?;
    network.set_all(LinkSettings { delay: DELAY, ..LinkSettings::default() });
    let hq = start(&event, &network, HQ, "hq", &[])?;
    for transport in TRANSPORTS {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let mut till = start(&event, &network, TILL, "till", &[at(&network, HQ, PORT, transport)])?;
            let said = till.child().wait_for_output("link up", DEADLINE)?;
            took.push(said_at(&said, "link up")? - said_at(&said, "mesh started")?);
            till.kill()?;
            hq.wait_until("no link", DEADLINE, |hq| Ok(hq.links()?.is_empty().then_some(())))?;
        }
        took.sort_unstable();
        let [fastest, median] = [0, ROUNDS / 2].map(|at| took[at] as f64 / (2.0 * DELAY.as_millis() as f64));
        println!("{transport}: {took:?} ms, {fastest:.1} round trips at least, {median:.1} mostly");
        ensure!(took[0] < 1_000, "{transport}: {took:?} ms");
    }
    Ok(())
}

/// How long links take to come back when a network does. Printed: that is the machine's as much as ours.
#[test]
fn links_are_back_soon_after_a_cut() -> Result<()> {
    const ROUNDS: usize = 3;
    let event = hq_and_till()?;
    let network = Network::new(30, 2)?;
    let hq = start(&event, &network, HQ, "hq", &[])?;
    let till = start(&event, &network, TILL, "till", &[at(&network, HQ, PORT, "tcp")])?;
    linked(&till, 1)?;
    for _ in 0..ROUNDS {
        network.cut_off(TILL);
        for node in [&hq, &till] {
            node.wait_until("no link", DEADLINE, |node| Ok(node.links()?.is_empty().then_some(())))?;
        }
        network.rejoin(TILL);
        let (hq, till) = (linked(&hq, 1)?, linked(&till, 1)?);
        println!("linked again within {:?}", hq + till);
    }
    Ok(())
}

/// When a log says something first, in milliseconds.
fn said_at(log: &str, what: &str) -> Result<i64> {
    let line = log.lines().find(|line| line.contains(what)).context("it is not said")?;
    let time: Timestamp = line.split_whitespace().next().context("no time")?.parse()?;
    Ok(time.as_millisecond())
}

/// The most memory that a process has ever had.
fn memory_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
