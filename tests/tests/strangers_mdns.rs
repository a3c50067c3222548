//! Strangers and thieves who speak multicast DNS: they take no mesh apart, have nobody dial whom they like, and learn nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use popmesh::assemble::membership;
use popmesh::folder::{Folder, Identity};
use popmesh::mesh::announcement::{Said, seal, to_text};
use popmesh_proto::identity::SecretKey;
use popmesh_tests::mdns::{Announcement, Speaker, Trap, instances};
use popmesh_tests::{Api, Event, Network, Node, Options};

const DEADLINE: Duration = Duration::from_secs(60);
/// Within this, devices in reach are linked again after a cut, whatever strangers have said before.
const LINKED_AGAIN: Duration = Duration::from_secs(10);
const FLOOD: Duration = Duration::from_secs(8);
const FAKES: u64 = 400;
const TRAP: u16 = 9_999;
const TILL: usize = 1;
const STRANGER: usize = 2;

/// An hq and a till, and a host for a stranger.
fn set_up(seed: u64) -> Result<(Event, Network)> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in [("hq", "hq,registrar"), ("till", "pos"), ("thief", "pos")] {
        event.enrol(name, roles, "hall-a")?;
    }
    Ok((event, Network::new(seed, 3)?))
}

fn start<'n>(event: &Event, network: &'n Network) -> Result<[Node<'n>; 2]> {
    let node =
        |name, at| Node::start(event, name, Options { host: Some(network.host(at)), ..Options::default() });
    let nodes = [node("hq", 0)?, node("till", TILL)?];
    linked(&nodes, DEADLINE)?;
    Ok(nodes)
}

fn linked(nodes: &[Node<'_>], within: Duration) -> Result<Duration> {
    let since = Instant::now();
    for node in nodes {
        node.wait_until("a link", within, |node: &Api<'_>| Ok((!node.links()?.is_empty()).then_some(())))?;
    }
    Ok(since.elapsed())
}

/// Cuts the till off until both have noticed, and has it come back. Answers how long it then took.
fn cut_and_heal(network: &Network, nodes: &[Node<'_>]) -> Result<Duration> {
    network.cut_off(TILL);
    for node in nodes {
        node.wait_until("no link", DEADLINE, |node| Ok(node.links()?.is_empty().then_some(())))?;
    }
    network.rejoin(TILL);
    let took = linked(nodes, LINKED_AGAIN)?;
    println!("linked again {took:?} after the cut");
    Ok(took)
}

fn identity(event: &Event, name: &str) -> Result<Identity> {
    Folder::new(event.path().join(name)).identity().context("read a device's folder")
}

/// The strings in which announcements were in clear once: anybody could write these.
fn in_clear(identity: &Identity, device: &[u8; 32]) -> Vec<Vec<u8>> {
    let event = hex(&identity.charter.event().0[..8]);
    let strings = [
        "v=1".to_owned(),
        format!("event={event}"),
        format!("device={}", hex(device)),
        "label=fake".to_owned(),
        format!("tcp={TRAP}"),
        format!("quic={TRAP}"),
    ];
    strings.into_iter().map(String::into_bytes).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sealed(key: &popmesh::mesh::MembershipKey, said: &Said, signer: &SecretKey, nonce: u64) -> Vec<Vec<u8>> {
    let mut bytes = [0x5a; 24];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    let sealed = seal(key, bytes, said, |bytes| signer.sign(bytes).0);
    to_text(&sealed).into_iter().map(|(key, value)| [key.as_bytes(), b"=", &value[..]].concat()).collect()
}

fn fake(number: u64, text: Vec<Vec<u8>>, address: Ipv4Addr) -> Announcement {
    Announcement {
        name: format!("{number:016x}"),
        text,
        port: TRAP,
        addresses: vec![address],
        seconds: 4_500,
    }
}

fn made_up(number: u64) -> SecretKey {
    let mut seed = [0x5a; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_seed(&seed)
}

/// Says all of these, over and over for some time.
fn flood(speaker: &Speaker, packets: &[Vec<u8>], time: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        for packet in packets {
            speaker.say(packet)?;
            thread::sleep(Duration::from_millis(5));
            if start.elapsed() >= time {
                return Ok(());
            }
        }
    }
}

/// Lines that `popmesh peers` prints.
fn lines(event: &Event, node: &Node<'_>, host: &popmesh_tests::Host) -> Result<usize> {
    let mut command = host.command(event.program());
    let output = command.arg("--data").arg(node.data()).arg("peers").output()?;
    ensure!(output.status.success(), "peers: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text:.2000}");
    Ok(text.lines().count())
}

#[test]
fn half_a_minute_of_fakes_takes_no_mesh_apart() -> Result<()> {
    let (event, network) = set_up(81)?;
    let nodes = start(&event, &network)?;
    let speaker = Speaker::join(network.host(STRANGER))?;
    let trap = Trap::set(network.host(STRANGER), [TRAP])?;
    let hq = identity(&event, "hq")?;
    let here = network.host(STRANGER).address();
    let packets: Vec<_> = (0..FAKES)
        .map(|number| {
            let mut text = in_clear(&hq, &made_up(number).id().0);
            text.push([b"a=", &[number as u8; 200][..]].concat());
            fake(number, text, here).packet()
        })
        .collect();
    flood(&speaker, &packets, FLOOD)?;
    network.cut_off(STRANGER);
    cut_and_heal(&network, &nodes)?;
    assert_eq!(trap.arrived(), 0, "connections to the stranger's address");
    for node in &nodes {
        let strangers = node.get("/v1/peers")?["strangers"].clone();
        ensure!(strangers["lately"].as_u64() >= Some(FAKES / 2), "{}: {strangers:.400}", node.name);
        ensure!(strangers["last"].as_array().is_some_and(|last| last.len() <= 4), "{strangers:.400}");
    }
    let printed = lines(&event, &nodes[0], network.host(0))?;
    ensure!(printed <= 20, "{printed} lines");
    for mut node in nodes {
        let log = node.child().output()?;
        let told = log.lines().filter(|line| line.contains("strangers")).count();
        ensure!(told <= 3, "{told} lines about strangers in {}'s log", node.name);
    }
    Ok(())
}

#[test]
fn with_the_secret_alone_nobody_is_announced() -> Result<()> {
    let (event, network) = set_up(82)?;
    let nodes = start(&event, &network)?;
    let speaker = Speaker::join(network.host(STRANGER))?;
    let trap = Trap::set(network.host(STRANGER), [TRAP])?;
    let thief = identity(&event, "thief")?;
    let key = membership(&thief)?.keys().into_iter().next().context("no key")?;
    let here = network.host(STRANGER).address();
    let said = |device: [u8; 32], certificate: &[u8]| Said {
        device,
        tcp: Some(TRAP),
        quic: Some(TRAP),
        addresses: vec![here.into()],
        certificate: certificate.to_vec(),
    };
    let packets: Vec<_> = (0..FAKES)
        .map(|number| {
            let signer = made_up(number);
            let said = match number % 4 {
                // Keys of its own, with a certificate that was signed for another key, and with none.
                0 => said(signer.id().0, thief.certificate.bytes()),
                1 => said(signer.id().0, b""),
                // Devices that there are, somewhere else: under a certificate that it has heard, and under its own.
                2 => said(identity(&event, "hq")?.key.id().0, identity(&event, "hq")?.certificate.bytes()),
                _ => said(identity(&event, "till")?.key.id().0, thief.certificate.bytes()),
            };
            let mut text = sealed(&key, &said, &signer, number);
            // A build that reads no seals hears them, too.
            text.extend(in_clear(&thief, &said.device));
            Ok(fake(number, text, here).packet())
        })
        .collect::<Result<_>>()?;
    flood(&speaker, &packets, FLOOD)?;
    network.cut_off(STRANGER);
    cut_and_heal(&network, &nodes)?;
    assert_eq!(trap.arrived(), 0, "connections to the thief's address");
    let told = nodes[0].get("/v1/peers")?;
    ensure!(told["strangers"]["last"].to_string().contains("no good certificate"), "{told}");
    Ok(())
}

#[test]
fn an_admitted_device_that_announces_itself_everywhere_is_dialled_now_and_then() -> Result<()> {
    let (event, network) = set_up(83)?;
    let nodes = start(&event, &network)?;
    let speaker = Speaker::join(network.host(STRANGER))?;
    let ports: Vec<u16> = (9_000..9_032).collect();
    let trap = Trap::set(network.host(STRANGER), ports.clone())?;
    let thief = identity(&event, "thief")?;
    let key = membership(&thief)?.keys().into_iter().next().context("no key")?;
    let here = network.host(STRANGER).address();
    let packets: Vec<_> = (0..FAKES)
        .map(|number| {
            let port = ports[number as usize % ports.len()];
            let addresses: [IpAddr; 4] = [
                here.into(),
                Ipv4Addr::new(192, 0, 2, number as u8).into(),
                Ipv4Addr::LOCALHOST.into(),
                Ipv4Addr::new(10, 77, 0, 100 + number as u8 % 100).into(),
            ];
            let said = Said {
                device: thief.key.id().0,
                tcp: Some(port),
                quic: Some(port),
                addresses: addresses.to_vec(),
                certificate: thief.certificate.bytes().to_vec(),
            };
            fake(number, sealed(&key, &said, &thief.key, number), here).packet()
        })
        .collect();
    let before: u64 = nodes.iter().map(dialled).sum::<Result<u64>>()?;
    flood(&speaker, &packets, FLOOD)?;
    let connections = trap.arrived();
    let addresses = nodes.iter().map(dialled).sum::<Result<u64>>()? - before;
    println!("{connections} connections and datagrams arrived, {addresses} addresses were dialled");
    ensure!(connections > 0, "it has a certificate, so it is dialled");
    // Two devices, two dials a second at most, a dozen addresses each; over QUIC a dial is several datagrams.
    let most = 2 * 2 * 12 * (FLOOD.as_secs() + 2);
    ensure!(addresses <= most, "{addresses} addresses were dialled");
    ensure!(connections <= 4 * most, "{connections} connections and datagrams arrived");
    network.cut_off(STRANGER);
    cut_and_heal(&network, &nodes)?;
    Ok(())
}

fn dialled(node: &Node<'_>) -> Result<u64> {
    let metrics = node.get("/metrics")?;
    let text = metrics.as_str().context("no metrics")?;
    let line = text.lines().find_map(|line| line.strip_prefix("popmesh_mesh_addresses_dialled_total "));
    line.context("no such metric")?.trim().parse().context("no number")
}

#[test]
fn a_real_announcement_repeated_elsewhere_leads_nowhere_and_a_false_goodbye_parts_nobody() -> Result<()> {
    let (event, network) = set_up(84)?;
    let nodes = start(&event, &network)?;
    let speaker = Speaker::join(network.host(STRANGER))?;
    let till = network.host(TILL).address();
    let heard = speaker.hear(till, Duration::from_secs(2))?;
    let names = instances(&heard);
    ensure!(!names.is_empty(), "the till announces nothing");
    let here = network.host(STRANGER).address();
    // All that it said names the stranger's address where it named its own, and is said for it as well.
    let elsewhere = |packet: &Vec<u8>| {
        let mut packet = packet.clone();
        for at in 0..packet.len() - 3 {
            if packet[at..at + 4] == till.octets() {
                packet[at..at + 4].copy_from_slice(&here.octets());
            }
        }
        packet
    };
    let replayed: Vec<_> = heard.iter().flat_map(|packet| [packet.clone(), elsewhere(packet)]).collect();
    let goodbyes = names.iter().map(|name| {
        let goodbye = Announcement {
            name: name.clone(),
            text: vec![b"v=1".to_vec()],
            port: TRAP,
            addresses: vec![here],
            seconds: 0,
        };
        goodbye.packet()
    });
    // And something else in its name, which takes the place of what others remember of it.
    let instead = names.iter().map(|name| {
        let instead = Announcement {
            name: name.clone(),
            text: vec![b"a=nonsense".to_vec()],
            port: TRAP,
            addresses: vec![here],
            seconds: 4_500,
        };
        instead.packet()
    });
    let said: Vec<_> = replayed.into_iter().chain(goodbyes).chain(instead).collect();
    // Whatever port it listens on there, the stranger does too.
    let listening = nodes[TILL].get("/v1/peers")?["listening"].to_string();
    let port = listening.split("/tcp/").nth(1).and_then(|rest| rest.split(['"', '/']).next()?.parse().ok());
    let trap = Trap::set(network.host(STRANGER), [port.context("no port")?])?;
    network.cut_off(TILL);
    flood(&speaker, &said, FLOOD)?;
    assert_eq!(trap.arrived(), 0, "connections to where the packets were repeated");
    network.rejoin(TILL);
    linked(&nodes, LINKED_AGAIN)?;
    // With its goodbyes in between, the next cut heals as fast.
    flood(&speaker, &said, Duration::from_secs(1))?;
    cut_and_heal(&network, &nodes)?;
    Ok(())
}

#[test]
fn nothing_on_the_wire_says_who_is_there() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let name = "kassenhaeuschen";
    event.enrol(name, "pos", "seitenhalle")?;
    let network = Network::new(85, 2)?;
    let speaker = Speaker::join(network.host(1))?;
    let options = Options { host: Some(network.host(0)), ..Options::default() };
    let mut node = Node::start(&event, name, options)?;
    let identity = identity(&event, name)?;
    let device = identity.key.id().0;
    let id = identity.charter.event().0;
    let certificate = identity.certificate.bytes();
    let from = network.host(0).address();
    let mut secret: Vec<Vec<u8>> = vec![name.into(), "seitenhalle".into(), "Neon".into()];
    for bytes in [&device[..], &id[..]] {
        // Beginnings, too: a mark of eight bytes names an event.
        for part in [bytes, &bytes[..8]] {
            secret.extend([part.to_vec(), hex(part).into_bytes(), hex(part).to_uppercase().into_bytes()]);
        }
        secret.extend([STANDARD_NO_PAD.encode(bytes).into(), URL_SAFE_NO_PAD.encode(bytes).into()]);
    }
    secret.push(certificate[..16].to_vec());
    let mut seen: Vec<std::collections::BTreeSet<String>> = Vec::new();
    for round in 0..2 {
        if round > 0 {
            node.kill()?;
            node.restart()?;
        }
        let heard = speaker.hear(from, Duration::from_secs(4))?;
        let sizes: Vec<usize> = heard.iter().map(Vec::len).collect();
        println!("{} packets, bytes each: {sizes:?}", heard.len());
        ensure!(sizes.iter().any(|size| *size > 200), "no announcement was heard");
        for packet in &heard {
            for secret in &secret {
                let found = packet.windows(secret.len()).any(|window| window == &secret[..]);
                ensure!(!found, "{:?} is in {}", String::from_utf8_lossy(secret), hex(packet));
            }
        }
        let names = instances(&heard);
        ensure!(!names.is_empty(), "it has no name");
        ensure!(seen.iter().all(|before| before.is_disjoint(&names)), "{names:?} again");
        seen.push(names);
    }
    Ok(())
}

#[test]
fn a_device_whose_address_changes_is_found_at_once() -> Result<()> {
    let (event, network) = set_up(86)?;
    let nodes = start(&event, &network)?;
    let namespace = network.host(TILL).namespace();
    let ip = |arguments: &str| -> Result<()> {
        let status = Command::new("ip").args(["-n", namespace]).args(arguments.split(' ')).status()?;
        ensure!(status.success(), "ip {arguments}: {status}");
        Ok(())
    };
    ip("addr del 10.77.0.2/24 dev eth0")?;
    ip("addr add 10.77.0.77/24 brd + dev eth0")?;
    ip("route replace 224.0.0.0/4 dev eth0")?;
    let since = Instant::now();
    nodes[0].wait_until("a link to the new address", DEADLINE, |hq| {
        let links = hq.links()?;
        Ok(links.iter().any(|link| link.to_string().contains("10.77.0.77")).then_some(()))
    })?;
    println!("found {:?} after its address changed", since.elapsed());
    ensure!(since.elapsed() <= LINKED_AGAIN / 2, "it took {:?}", since.elapsed());
    Ok(())
}

#[test]
fn ten_thousand_fakes_take_little_memory_and_a_new_device_is_found_meanwhile() -> Result<()> {
    let (event, network) = set_up(87)?;
    event.enrol("late", "pos", "hall-a")?;
    let network_of_late = network.host(TILL);
    let hq = Node::start(&event, "hq", Options { host: Some(network.host(0)), ..Options::default() })?;
    let speaker = Speaker::join(network.host(STRANGER))?;
    let here = network.host(STRANGER).address();
    let packet = |number| fake(number, vec![[b"a=", &[number as u8; 240][..]].concat()], here).packet();
    let before = memory(&hq)?;
    thread::scope(|scope| -> Result<()> {
        let flooding = scope.spawn(|| -> Result<()> {
            for number in 0..10_000 {
                speaker.say(&packet(number))?;
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        thread::sleep(Duration::from_secs(3));
        let late =
            Node::start(&event, "late", Options { host: Some(network_of_late), ..Options::default() })?;
        let took = linked(&[late], LINKED_AGAIN)?;
        println!("a new device was linked {took:?} after its start");
        flooding.join().expect("the flood panicked")
    })?;
    let strangers = hq.get("/v1/peers")?["strangers"].clone();
    let after = memory(&hq)?;
    println!("{before} kB before, {after} kB after; {}", strangers["total"]);
    ensure!(after <= before + 24_000, "{before} kB before, {after} kB after");
    Ok(())
}

/// Resident kilobytes of a node.
fn memory(node: &Node<'_>) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("no number")
}

#[test]
fn devices_find_each_other_within_seconds() -> Result<()> {
    for count in [2, 8] {
        let event = Event::found("Neon Drop")?;
        let network = Network::new(88, count)?;
        let names: Vec<String> = (0..count).map(|at| format!("device-{at}")).collect();
        for (at, name) in names.iter().enumerate() {
            event.enrol(name, if at == 0 { "hq,pos" } else { "pos" }, "hall-a")?;
        }
        let mut nodes: Vec<Node<'_>> = Vec::new();
        for (host, name) in network.hosts().iter().zip(&names) {
            nodes.push(Node::start(&event, name, Options { host: Some(host), ..Options::default() })?);
            if nodes.len() > 1 {
                let took = linked(&nodes[nodes.len() - 1..], DEADLINE)?;
                println!("{count} devices: {name} has its first link {took:?} after its API answers");
            }
        }
        let since = Instant::now();
        for node in &nodes {
            node.wait_until("links to all others", DEADLINE, |node| {
                Ok((node.links()?.len() == count - 1).then_some(()))
            })?;
        }
        println!("{count} devices: all are linked {:?} after the last has a link", since.elapsed());
    }
    Ok(())
}

#[test]
fn eight_that_start_at_once_are_linked() -> Result<()> {
    start_at_once(8)
}

#[test]
#[ignore = "for a machine that bears twenty nodes: `cargo test -p popmesh-tests --test strangers_mdns -- --ignored --nocapture`"]
fn twenty_that_start_at_once_are_linked() -> Result<()> {
    start_at_once(20)
}

/// Nobody knows anybody yet: they have each other's announcements alone.
fn start_at_once(count: usize) -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(89, count)?;
    let names: Vec<String> = (0..count).map(|at| format!("device-{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        event.enrol(name, if at == 0 { "hq,pos" } else { "pos" }, "hall-a")?;
    }
    let start = |host, name| {
        Node::start(&event, name, Options { host: Some(host), quiet: true, ..Options::default() })
    };
    let nodes = thread::scope(|scope| {
        let start = &start;
        let starting: Vec<_> = network
            .hosts()
            .iter()
            .zip(&names)
            .map(|(host, name)| scope.spawn(move || start(host, name)))
            .collect();
        starting
            .into_iter()
            .map(|node| node.join().map_err(|_| anyhow::anyhow!("a start panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    println!("{count} devices: each has a link {:?} after the last has started", linked(&nodes, DEADLINE)?);
    let since = Instant::now();
    for node in &nodes {
        node.wait_until("all others in reach", DEADLINE, |node| {
            Ok((node.get("/v1/status")?["reachable"] == count).then_some(()))
        })?;
    }
    println!("{count} devices: all are in reach of all {:?} after that", since.elapsed());
    Ok(())
}
