//! Joining while a stranger with a host of its own on the same network does what it can, for the whole time: tries codes
//! without end, says nothing, says anything, holds a thousand connections, announces that it is who is looked for. In each
//! case an honest join ends within seconds. And what a stranger reads.
//!
//! Hosts: 0 admits, 1 joins, 2 is the stranger's.

mod names;
mod reads;
mod stranger;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Child, Event, Host, Network};
use serde_json::Value;
use stranger::{announcement, connect_from, mdns, more_addresses, receive, send, try_wrong_code};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
/// What an honest join may take while a stranger does its worst, on a machine that has much else to do.
const SOME_SECONDS: Duration = Duration::from_secs(20);
const VENUE: &str = "hall-a";

/// Starts the binary in the event's folder on a host; `input` is what it reads.
fn start(event: &Event, host: &Host, name: &str, input: Option<&str>, arguments: &[&str]) -> Result<Child> {
    let input = match input {
        Some(text) => {
            let path = event.path().join(format!("input-of-{name}"));
            fs::write(&path, format!("{text}\n"))?;
            path.display().to_string()
        }
        None => "/dev/null".to_owned(),
    };
    let mut command: Command = host.command("sh");
    command.args(["-c", r#"input=$1; shift; exec "$@" < "$input""#, "sh", &input]).arg(event.program());
    command.args(arguments).current_dir(event.path()).env_remove("POPMESH_DATA").env("NO_COLOR", "1");
    Ok(Child::start(name, &mut command)?.quiet())
}

fn end(child: &mut Child) -> Result<(ExitStatus, String)> {
    Ok((child.wait(DEADLINE)?, child.output()?))
}

/// The JSON objects among the lines of an output.
fn objects(said: &str) -> Vec<Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

/// The code that a new device shows now, and its address.
fn shown(said: &str) -> Option<(String, SocketAddr)> {
    let shown = objects(said).into_iter().rfind(|object| object["attempt"].is_u64())?;
    Some((shown["code"].as_str()?.to_owned(), shown["addresses"][0].as_str()?.parse().ok()?))
}

/// A device that joins by a code, on host 1.
fn new_device(event: &Event, network: &Network) -> Result<(Child, SocketAddr)> {
    let arguments = ["--json", "--data", "till", "join", "--name", "till", "--wait", "2m"];
    let mut child = start(event, network.host(1), "till", None, &arguments)?;
    let said = child.wait_for_output("\"addresses\"", DEADLINE)?;
    let (_, at) = shown(&said).context("no code is shown")?;
    Ok((child, at))
}

/// What a person does: types the code that is shown now, and if that does not do, the one that is shown then.
fn admit_as_a_person_does(
    event: &Event,
    network: &Network,
    new: &mut Child,
    more: &[&str],
) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        ensure!(!new.output()?.contains("urn:popmesh:problem"), "the new device gave up: {}", new.output()?);
        let (code, _) = shown(&new.output()?).context("no code is shown")?;
        let admit = ["device", "admit", &code, "--event", "organiser", "--role", "pos", "--venue", VENUE];
        let mut admitting = start(event, network.host(0), "admitting", None, &[&admit[..], more].concat())?;
        // Who sees that another code is shown does not wait for the one that was.
        while admitting.wait(Duration::from_millis(100)).is_err() {
            let is_shown = shown(&new.output()?).is_some_and(|(now, _)| now == code);
            if !is_shown || begun.elapsed() > DEADLINE {
                admitting.kill()?;
            }
        }
        let (status, said) = end(&mut admitting)?;
        if status.success() {
            return Ok(begun.elapsed());
        }
        println!("not yet, with {} digits: {}", code.len(), said.lines().next().unwrap_or_default());
        ensure!(begun.elapsed() < DEADLINE, "never admitted: {said}");
    }
}

fn ticket(event: &Event, more: &[&str]) -> Result<String> {
    let make = ["device", "ticket", "--event", "organiser", "--role", "pos", "--venue", VENUE];
    let made = event.popmesh(&[&make[..], more].concat())?;
    Ok(made["ticket"].as_str().context("no ticket")?.to_owned())
}

/// Who serves tickets on host 0, and where.
fn serving(event: &Event, network: &Network) -> Result<(Child, SocketAddr)> {
    let serve = ["--json", "device", "admit", "--tickets", "--event", "organiser"];
    let mut child = start(event, network.host(0), "serving", None, &serve)?;
    let said = child.wait_for_output("addresses", DEADLINE)?;
    let at = objects(&said)[0]["addresses"][0].as_str().context("no address")?.parse()?;
    Ok((child, at))
}

fn join_by_ticket(event: &Event, network: &Network, name: &str, ticket: &str) -> Result<Duration> {
    let begun = Instant::now();
    let join = ["--json", "--data", name, "join", "--name", name, "--ticket", "-", "--wait", "50s"];
    let mut child = start(event, network.host(1), name, Some(ticket), &join)?;
    let (status, said) = end(&mut child)?;
    ensure!(status.success(), "{said}");
    Ok(begun.elapsed())
}

/// Does something again and again on the stranger's host until dropped; how often is counted.
struct Busy<'s> {
    stop: &'s AtomicBool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// What the kernel says of a process: resident memory in kB, and threads.
fn status_of(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |key: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    };
    of("VmRSS:").zip(of("Threads:")).context("no status")
}

#[test]
fn codes_that_are_tried_without_end_do_not_stop_a_join() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(71, 3)?;
    let addresses = more_addresses(network.host(2), 50)?;
    let (mut new, at) = new_device(&event, &network)?;
    let (stop, tries) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let _busy = Busy { stop: &stop };
        for addresses in addresses.chunks(10) {
            let (stop, tries, host) = (&stop, &tries, network.host(2));
            scope.spawn(move || {
                host.in_namespace(|| {
                    while !stop.load(Ordering::Acquire) {
                        for address in addresses {
                            tries.fetch_add(try_wrong_code(*address, at).into(), Ordering::AcqRel);
                        }
                        thread::sleep(Duration::from_millis(20));
                    }
                    Ok(())
                })
            });
        }
        // From when nobody can hurry: the codes for one try are spent.
        popmesh_tests::wait_until("three wrong tries", DEADLINE, || {
            Ok((tries.load(Ordering::Acquire) >= 3).then_some(()))
        })?;
        let took = admit_as_a_person_does(&event, &network, &mut new, &[])?;
        let (status, said) = end(&mut new)?;
        println!("{took:.2?} in all, against {} tries; {}", tries.load(Ordering::Acquire), said.trim());
        ensure!(status.success() && took < SOME_SECONDS, "{took:?}: {said}");
        // What strangers do is said in sums.
        ensure!(said.lines().count() < 20, "{said}");
        Ok(())
    })
}

/// How a connection that is held is held.
const MANNERS: usize = 4;

/// Holds connections to `at` on the calling host, each in another manner, as many as there can be.
fn hold(at: SocketAddr, addresses: &[Ipv4Addr], count: usize, stop: &AtomicBool) -> usize {
    let mut held: Vec<TcpStream> = Vec::new();
    let mut made = 0;
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        if held.len() >= count {
            held.remove(0);
        }
        let from = addresses[number % addresses.len()];
        if let Ok(mut stream) = connect_from(from, at, Duration::from_millis(200)) {
            made += 1;
            // 0 says nothing.
            let _ = match number % MANNERS {
                1 => std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n"),
                2 => std::io::Write::write_all(&mut stream, &[0xff; 64]),
                3 => std::io::Write::write_all(&mut stream, &[0, 0, 0x40, 0, 0x82]),
                _ => Ok(()),
            };
            held.push(stream);
        }
        for stream in held.iter_mut().skip(number % 16).step_by(16) {
            // Trickles.
            let _ = stream.set_nonblocking(true);
            let _ = std::io::Write::write_all(stream, &[0]);
        }
        number += 1;
        if number % 50 == 0 {
            thread::sleep(Duration::from_millis(10));
        }
    }
    made
}

#[test]
fn a_thousand_connections_that_lead_nowhere_do_not_stop_a_join() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(72, 3)?;
    let addresses = more_addresses(network.host(2), 100)?;
    let once = ticket(&event, &["--count", "2"])?;
    let (mut serving, tickets_at) = serving(&event, &network)?;
    let (mut new, code_at) = new_device(&event, &network)?;
    let before = [status_of(serving.id())?, status_of(new.id())?];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let busy = Busy { stop: &stop };
        let holding: Vec<_> = [tickets_at, code_at]
            .map(|at| {
                let (stop, host, addresses) = (&stop, network.host(2), &addresses);
                scope.spawn(move || host.in_namespace(|| Ok(hold(at, addresses, 1_000, stop))))
            })
            .into_iter()
            .collect();
        // So that there is something to hold up.
        thread::sleep(Duration::from_secs(2));
        let by_ticket = join_by_ticket(&event, &network, "box", &once)?;
        let during = [status_of(serving.id())?, status_of(new.id())?];
        let by_code = admit_as_a_person_does(&event, &network, &mut new, &[])?;
        let (status, said) = end(&mut new)?;
        drop(busy);
        let made: Vec<_> = holding.into_iter().filter_map(|one| one.join().ok()?.ok()).collect();
        println!("by ticket {by_ticket:.2?}, by code {by_code:.2?}, against {made:?} connections");
        println!("(kB, threads) serving and joining: before {before:?}, during {during:?}");
        ensure!(status.success(), "{said}");
        ensure!(by_ticket < SOME_SECONDS && by_code < SOME_SECONDS, "{by_ticket:?}, {by_code:?}");
        for ((memory_before, _), (memory, threads)) in before.into_iter().zip(during) {
            ensure!(threads <= 100, "{threads} threads");
            ensure!(memory < memory_before + 32_000, "{memory_before} kB, then {memory} kB");
        }
        ensure!(said.lines().count() < 40 && serving.output()?.lines().count() < 60, "{said}");
        serving.kill()?;
        Ok(())
    })
}

/// Announces that who is looked for is at these places, again and again.
fn announce(own: Ipv4Addr, packets: &[Vec<u8>], stop: &AtomicBool) -> Result<()> {
    let socket = mdns(own)?;
    while !stop.load(Ordering::Acquire) {
        for packet in packets {
            socket.send_to(packet, stranger::MDNS)?;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Answers at a port as a new device that does not know the code: every third says nothing, every third anything.
fn pretend(listener: &TcpListener, stop: &AtomicBool) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut held = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        match held.len() % 3 {
            0 => {}
            1 => drop(std::io::Write::write_all(&mut stream, &[0, 0, 0x40, 0, 0x82])),
            _ => {
                // Of either version.
                let _ = send(&mut stream, &stranger::hello(if held.len() % 2 == 0 { 1 } else { 2 }, None));
                let _ = receive(&mut stream);
            }
        }
        held.push(stream);
    }
    Ok(())
}

#[test]
fn a_hundred_who_announce_for_the_code_that_is_looked_for_are_passed_over() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(73, 3)?;
    let own = network.host(2).address();
    let addresses = more_addresses(network.host(2), 99)?;
    let (mut new, _) = new_device(&event, &network)?;
    let (code, _) = shown(&new.output()?).context("no code")?;
    let plate = &code[..3];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let _busy = Busy { stop: &stop };
        let host = network.host(2);
        let listener = host.in_namespace(|| Ok(TcpListener::bind("0.0.0.0:4444")?))?;
        let packets: Vec<_> = [own]
            .iter()
            .chain(&addresses)
            .enumerate()
            .flat_map(|(number, address)| {
                // Of the old and of the new form; some name places where nobody is, and other networks.
                let name = format!("aaaa{number:012x}");
                let at = match number % 10 {
                    8 => SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 250), 4444),
                    9 => SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 4444),
                    _ => SocketAddrV4::new(*address, 4444),
                };
                ["1", "2"].map(|version| {
                    let text = [("v", version), ("for", plate)];
                    announcement("_popmesh-join._tcp", &format!("{name}{version}"), at, &text)
                })
            })
            .collect();
        let stop = &stop;
        scope.spawn(move || pretend(&listener, stop));
        scope.spawn(move || host.in_namespace(|| announce(own, &packets, stop)));
        thread::sleep(Duration::from_millis(500));
        let admit = ["device", "admit", &code, "--event", "organiser", "--role", "pos", "--venue", VENUE];
        let begun = Instant::now();
        let mut admitting = start(&event, network.host(0), "admitting", None, &admit)?;
        let (status, said) = end(&mut admitting)?;
        let took = begun.elapsed();
        println!("{took:.2?}: {}", said.trim());
        ensure!(status.success() && took < SOME_SECONDS, "{took:?}: {said}");
        ensure!(end(&mut new)?.0.success());
        Ok(())
    })
}

/// Announces that it serves the tickets, in the old form; and takes up what who serves them says and says it as its own.
fn repeat(own: Ipv4Addr, event: &str, serving: Ipv4Addr, stop: &AtomicBool) -> Result<usize> {
    let socket = mdns(own)?;
    let at = SocketAddrV4::new(own, 4444);
    let old = announcement("_popmesh-admit._tcp", "aaaa", at, &[("v", "1"), ("for", event)]);
    let (mut buffer, mut repeated, mut last) = ([0; 9000], 0, None::<Instant>);
    while !stop.load(Ordering::Acquire) {
        if last.is_none_or(|last| last.elapsed() > Duration::from_millis(200)) {
            socket.send_to(&old, stranger::MDNS)?;
            last = Some(Instant::now());
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let packet = &buffer[..length];
        if from.ip() == own || !stranger::has(packet, b"_popmesh-") {
            continue;
        }
        repeated += 1;
        // As it is, and with its own addresses in the place of the other's.
        socket.send_to(packet, stranger::MDNS)?;
        let mut altered = packet.to_vec();
        for (theirs, ours) in [
            (serving.octets().to_vec(), own.octets().to_vec()),
            (format!("at={serving}:").into_bytes(), format!("at={own}:").into_bytes()),
        ] {
            while let Some(found) = altered.windows(theirs.len()).position(|bytes| bytes == theirs) {
                altered[found..found + theirs.len()].copy_from_slice(&ours);
            }
        }
        socket.send_to(&altered, stranger::MDNS)?;
    }
    Ok(repeated)
}

/// Says all that is announced of joining again, at once and under the same names, with the stranger's addresses in it.
fn poison(own: Ipv4Addr, stop: &AtomicBool) -> Result<()> {
    let socket = mdns(own)?;
    let (mut buffer, mut altered) = ([0; 9000], Vec::<Vec<u8>>::new());
    while !stop.load(Ordering::Acquire) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let std::net::IpAddr::V4(theirs) = from.ip()
            && theirs != own
            && stranger::has(&buffer[..length], b"_popmesh-join")
        {
            let (mut packet, theirs) = (buffer[..length].to_vec(), theirs.octets());
            while let Some(found) = packet.windows(4).position(|bytes| bytes == theirs) {
                packet[found..found + 4].copy_from_slice(&own.octets());
            }
            // A response, even if it was heard as a question.
            packet[2] = 0x84;
            altered.push(packet);
        }
        for packet in &altered {
            socket.send_to(packet, stranger::MDNS)?;
        }
    }
    Ok(())
}

#[test]
fn a_new_device_is_found_though_another_says_it_is_elsewhere() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(82, 3)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let _busy = Busy { stop: &stop };
        let (host, stop) = (network.host(2), &stop);
        scope.spawn(move || host.in_namespace(|| poison(host.address(), stop)));
        thread::sleep(Duration::from_millis(300));
        let (mut new, _) = new_device(&event, &network)?;
        thread::sleep(Duration::from_secs(2));
        let took = admit_as_a_person_does(&event, &network, &mut new, &[])?;
        println!("{took:.2?}");
        ensure!(took < SOME_SECONDS && end(&mut new)?.0.success(), "{took:?}");
        Ok(())
    })
}

/// Announces devices that there are not, each under a name of its own and for a day, as fast as it goes.
fn flood(own: Ipv4Addr, stop: &AtomicBool) -> Result<u64> {
    let socket = mdns(own)?;
    let (at, mut sent) = (SocketAddrV4::new(own, 4444), 0);
    while !stop.load(Ordering::Acquire) {
        for service in ["_popmesh-join._tcp", "_popmesh-admit._tcp", "_other._tcp"] {
            let ask = format!("{sent:064x}");
            let packet = announcement(service, &format!("{sent:016x}"), at, &[("v", "2"), ("ask", &ask)]);
            let _ = socket.send_to(&packet, stranger::MDNS);
            sent += 1;
        }
        thread::sleep(Duration::from_micros(300));
    }
    Ok(sent)
}

#[test]
fn announcements_without_end_take_no_memory_without_end() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(83, 3)?;
    let ticket = ticket(&event, &["--count", "2"])?;
    let (mut serving, _) = serving(&event, &network)?;
    let (mut new, _) = new_device(&event, &network)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let busy = Busy { stop: &stop };
        let (host, stop) = (network.host(2), &stop);
        let flooding = scope.spawn(move || host.in_namespace(|| flood(host.address(), stop)));
        let mut most = [0; 2];
        for _ in 0..15 {
            thread::sleep(Duration::from_secs(1));
            for (most, pid) in most.iter_mut().zip([serving.id(), new.id()]) {
                *most = status_of(pid)?.0.max(*most);
            }
        }
        let by_ticket = join_by_ticket(&event, &network, "box", &ticket)?;
        let by_code = admit_as_a_person_does(&event, &network, &mut new, &[])?;
        drop(busy);
        let sent = flooding.join().map_err(|_| anyhow::anyhow!("the stranger broke"))??;
        println!(
            "{sent} announcements; at most {most:?} kB; by ticket {by_ticket:.2?}, by code {by_code:.2?}"
        );
        ensure!(most.into_iter().all(|most| most < 120_000), "{most:?} kB");
        ensure!(by_ticket < SOME_SECONDS && by_code < SOME_SECONDS, "{by_ticket:?}, {by_code:?}");
        ensure!(end(&mut new)?.0.success());
        serving.kill()?;
        Ok(())
    })
}

#[test]
fn whoever_announces_that_it_serves_the_tickets_without_having_them_is_not_dialled() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(74, 3)?;
    let own = network.host(2).address();
    let (once, id) = (ticket(&event, &[])?, event_id(&event)?);
    let (mut serving, _) = serving(&event, &network)?;
    let (stop, dialled) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let busy = Busy { stop: &stop };
        let host = network.host(2);
        let listener = host.in_namespace(|| Ok(TcpListener::bind("0.0.0.0:4444")?))?;
        listener.set_nonblocking(true)?;
        let (stop, dialled) = (&stop, &dialled);
        scope.spawn(move || {
            while !stop.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        dialled.fetch_add(1, Ordering::AcqRel);
                        let _ = send(&mut stream, &stranger::wrong_answer());
                        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                        stranger::read_all(&mut stream);
                    }
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        let (key, at) = (id[..16].to_owned(), network.host(0).address());
        let repeating = scope.spawn(move || host.in_namespace(|| repeat(own, &key, at, stop)));
        thread::sleep(Duration::from_millis(500));
        let took = join_by_ticket(&event, &network, "box", &once)?;
        drop(busy);
        let repeated = repeating.join().map_err(|_| anyhow::anyhow!("the stranger broke"))??;
        println!(
            "{took:.2?}; {repeated} packets repeated, {} dials to the stranger",
            dialled.load(Ordering::Acquire)
        );
        ensure!(took < SOME_SECONDS && dialled.load(Ordering::Acquire) == 0, "{took:?}");
        serving.kill()?;
        Ok(())
    })
}

/// The event's id, in hexadecimal.
fn event_id(event: &Event) -> Result<String> {
    let shown = event.popmesh(&["event", "show", "--dir", "organiser"])?;
    Ok(shown["event"].as_str().with_context(|| format!("no id in {shown}"))?.to_owned())
}

#[test]
fn what_joining_takes_where_nobody_minds() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(81, 3)?;
    let ticket = ticket(&event, &["--count", "3"])?;
    let (mut serving, _) = serving(&event, &network)?;
    // What served before was announced long before somebody joined.
    thread::sleep(Duration::from_secs(3));
    for number in 0..3 {
        let took = join_by_ticket(&event, &network, &format!("box-{number}"), &ticket)?;
        println!("by ticket: {took:.2?}");
        ensure!(took < SOME_SECONDS, "{took:?}");
        let (mut new, _) = new_device(&event, &network)?;
        // Nobody types faster.
        thread::sleep(Duration::from_secs(3));
        let took = admit_as_a_person_does(&event, &network, &mut new, &[])?;
        println!("by code: {took:.2?}");
        ensure!(took < SOME_SECONDS && end(&mut new)?.0.success(), "{took:?}");
    }
    serving.kill()?;
    Ok(())
}
