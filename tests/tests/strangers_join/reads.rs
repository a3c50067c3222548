//! What a stranger reads of joining: every packet of mDNS, and what comes from both ports, in bytes.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Event, Network};

use super::stranger::{self, connect_from, has, mdns, read_all};
use super::{Busy, event_id, join_by_ticket, new_device, serving, shown, ticket};

/// For how long it is listened to those who have nothing to say.
const QUIET: Duration = Duration::from_secs(4);

/// The packets of joining that are heard until it is enough.
fn listen(own: Ipv4Addr, stop: &AtomicBool) -> Result<Vec<Vec<u8>>> {
    let socket = mdns(own)?;
    let (mut buffer, mut heard) = ([0; 9000], Vec::new());
    while !stop.load(Ordering::Acquire) {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        if has(&buffer[..length], b"popmesh") {
            heard.push(buffer[..length].to_vec());
        }
    }
    Ok(heard)
}

/// What the stranger hears while something is done.
fn heard_during(network: &Network, work: impl FnOnce() -> Result<()>) -> Result<Vec<Vec<u8>>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = Busy { stop: &stop };
        let (host, stop) = (network.host(2), &stop);
        let listening = scope.spawn(move || host.in_namespace(|| listen(host.address(), stop)));
        // The group is joined at once.
        thread::sleep(Duration::from_millis(300));
        work()?;
        thread::sleep(Duration::from_millis(300));
        drop(busy);
        listening.join().map_err(|_| anyhow::anyhow!("the stranger broke"))?
    })
}

/// Values of a property in these packets.
fn values(packets: &[Vec<u8>], key: &str) -> Vec<Vec<u8>> {
    let key = format!("{key}=");
    let mut found = Vec::new();
    for packet in packets {
        for at in 1..packet.len().saturating_sub(key.len()) {
            let length = usize::from(packet[at - 1]);
            if packet[at..].starts_with(key.as_bytes()) && at + length <= packet.len() {
                found.push(packet[at + key.len()..at + length].to_vec());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn total(packets: &[Vec<u8>]) -> String {
    format!("{} packets, {} bytes", packets.len(), packets.iter().map(Vec::len).sum::<usize>())
}

#[test]
fn nothing_is_announced_while_nobody_joins_and_then_nothing_of_event_device_or_ticket() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(75, 3)?;
    let (id, ticket) = (event_id(&event)?, ticket(&event, &["--count", "2"])?);
    let (mut serving, _) = serving(&event, &network)?;
    thread::sleep(Duration::from_secs(1));
    let quiet = heard_during(&network, || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    println!("tickets are served and nobody joins: {}", total(&quiet));
    let mut of_joins = Vec::new();
    for name in ["box-one", "box-two"] {
        let heard = heard_during(&network, || join_by_ticket(&event, &network, name, &ticket).map(drop))?;
        println!("{name} joins with the ticket: {}", total(&heard));
        of_joins.push(heard);
        // Until the answer is announced no more.
        thread::sleep(Duration::from_secs(7));
    }
    let by_code = heard_during(&network, || {
        let (mut new, _) = new_device(&event, &network)?;
        thread::sleep(QUIET);
        let (code, _) = shown(&new.output()?).context("no code")?;
        new.kill()?;
        println!("it shows {code}");
        Ok(())
    })?;
    println!("a device shows a code: {}", total(&by_code));
    serving.kill()?;

    let all: Vec<Vec<u8>> = of_joins.iter().flatten().chain(&quiet).chain(&by_code).cloned().collect();
    let event_bytes: Vec<u8> =
        (0..id.len()).step_by(2).filter_map(|at| u8::from_str_radix(&id[at..at + 2], 16).ok()).collect();
    for packet in &all {
        for known in
            [&id.as_bytes()[..12], &event_bytes[..6], b"Neon", b"box-", b"till", &ticket.as_bytes()[20..40]]
        {
            ensure!(!has(packet, known), "{} is in a packet", String::from_utf8_lossy(known));
        }
    }
    // Of the code only what is no secret, in whatever form.
    for value in values(&by_code, "for") {
        ensure!(value.len() == 3 && value.iter().all(u8::is_ascii_digit), "{value:?}");
    }
    for key in ["ask", "answer"] {
        let [one, other] = [0, 1].map(|join: usize| values(&of_joins[join], key));
        ensure!(!one.is_empty() && !other.is_empty(), "{key} was not heard");
        ensure!(one.iter().all(|value| !other.contains(value)), "{key} is the same for two");
    }
    ensure!(quiet.is_empty(), "something is announced while nobody joins");
    Ok(())
}

/// What comes back for `said`.
fn answer_to(from: Ipv4Addr, at: SocketAddr, said: &[u8]) -> Result<Vec<u8>> {
    // Longer than either side waits for somebody who says nothing.
    let mut stream = connect_from(from, at, Duration::from_secs(7))?;
    stream.write_all(said)?;
    Ok(read_all(&mut stream))
}

#[test]
fn both_ports_say_a_share_or_one_refusal_and_nothing_else_to_a_stranger() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(76, 3)?;
    let id = event_id(&event)?;
    ticket(&event, &[])?;
    let mut addresses = stranger::more_addresses(network.host(2), 20)?.into_iter();
    let (mut serving, tickets_at) = serving(&event, &network)?;
    let (mut new, code_at) = new_device(&event, &network)?;
    let framed = |frame: &[u8]| [&u32::try_from(frame.len()).unwrap_or(0).to_be_bytes()[..], frame].concat();
    let known = ticket_id(&event)?;
    let said = [
        ("nothing", Vec::new()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a frame of garbage", framed(&[0xff; 40])),
        ("a hello of the version before", framed(&stranger::hello(1, None))),
        ("a hello with a code", framed(&stranger::hello(2, None))),
        ("a hello with a ticket's id", framed(&stranger::hello(2, Some(known)))),
        ("the same, of the version before", framed(&stranger::hello(1, Some(known)))),
        ("a hello with a mark", framed(&stranger::hello(2, Some([7; 8])))),
        ("the same, of the version before", framed(&stranger::hello(1, Some([7; 8])))),
        ("a wrong answer", framed(&stranger::wrong_answer())),
    ];
    let refusal = framed(&[0x82, 0x04, 0x80]);
    let mut wrong = Vec::new();
    for (what, said) in &said {
        for (port, at) in [("tickets", tickets_at), ("code", code_at)] {
            let from = addresses.next().context("no address is left")?;
            let heard = network.host(2).in_namespace(|| answer_to(from, at, said))?;
            println!("{port}: {what}: {} bytes {:02x?}", heard.len(), heard);
            // A new device speaks first: version, no ticket, a share.
            let rest = match port {
                "code" => heard.get(4 + 40..).context("no hello")?,
                _ => &heard[..],
            };
            let first = [0, 0, 0, 40, 0x82, 0, 0x83, 2, 0xf6, 0x58, 33];
            if port == "code" && heard[..first.len()] != first {
                wrong.push((port, what, heard.clone()));
            }
            for known in [&id.as_bytes()[..8], b"Neon", b"till"] {
                ensure!(!has(&heard, known), "{what}: {heard:02x?}");
            }
            if !rest.is_empty() && rest != refusal {
                wrong.push((port, what, rest.to_vec()));
            }
        }
    }
    ensure!(wrong.is_empty(), "said to a stranger: {wrong:02x?}");
    new.kill()?;
    serving.kill()?;
    Ok(())
}

/// The id of the one ticket there is: its folder's name.
fn ticket_id(event: &Event) -> Result<[u8; 8]> {
    let folder = std::fs::read_dir(event.path().join("organiser/tickets"))?.next().context("no ticket")??;
    let name = folder.file_name();
    let number = u64::from_str_radix(name.to_str().context("a name")?, 16)?;
    Ok(number.to_be_bytes())
}
