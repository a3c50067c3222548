//! The switch against the real network stack of hosts: what passes, what does not, and when.
//!
//! That something did *not* arrive is never concluded from silence: a later message that did arrive on
//! the same socket proves it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use popmesh_tests::{LinkSettings, Network};

const DEADLINE: Duration = Duration::from_secs(20);
const PORT: u16 = 7000;
const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_PORT: u16 = 5353;
/// Ethernet, IPv4 and UDP in front of what a datagram carries.
const HEADERS_BYTES: usize = 14 + 20 + 8;

fn socket(network: &Network, host: usize, port: u16) -> Result<UdpSocket> {
    let socket = network.host(host).in_namespace(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?))?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn sockets(network: &Network) -> Result<Vec<UdpSocket>> {
    (0..network.hosts().len()).map(|host| socket(network, host, PORT)).collect()
}

fn send(network: &Network, socket: &UdpSocket, to: usize, text: &str) -> Result<()> {
    socket.send_to(text.as_bytes(), (network.host(to).address(), PORT))?;
    Ok(())
}

fn receive(socket: &UdpSocket) -> Result<(String, SocketAddr)> {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).context("nothing received")?;
    Ok((String::from_utf8_lossy(&buffer[..length]).into_owned(), from))
}

/// One message there and back; it also fills both hosts' neighbour tables.
fn round_trip(network: &Network, sockets: &[UdpSocket], a: usize, b: usize) -> Result<Duration> {
    let start = Instant::now();
    send(network, &sockets[a], b, "there")?;
    let (text, from) = receive(&sockets[b])?;
    assert_eq!((text.as_str(), from.ip()), ("there", network.host(a).address().into()));
    send(network, &sockets[b], a, "back")?;
    let (text, from) = receive(&sockets[a])?;
    assert_eq!((text.as_str(), from.ip()), ("back", network.host(b).address().into()));
    Ok(start.elapsed())
}

/// Sends what the cut must drop, and waits until it has: more bytes than all else that hosts say to each other, such as
/// whom they look for.
fn lose(network: &Network, sockets: &[UdpSocket], from: usize, to: usize) -> Result<()> {
    const BYTES: usize = 1_200;
    let before = network.counters(from, to).cut.bytes;
    send(network, &sockets[from], to, &"x".repeat(BYTES))?;
    eventually("the cut drops the frame", || network.counters(from, to).cut.bytes >= before + BYTES as u64);
    Ok(())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_clean_network_joins_every_pair() -> Result<()> {
    let network = Network::new(1, 3)?;
    let sockets = sockets(&network)?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        round_trip(&network, &sockets, a, b)?;
    }
    let mut trips: Vec<_> = (0..200).map(|_| round_trip(&network, &sockets, 0, 1)).collect::<Result<_>>()?;
    trips.sort();
    println!("clean round trip: median {:?}, slowest {:?}", trips[100], trips[199]);
    Ok(())
}

#[test]
fn delay_and_jitter_hold_every_frame_back() -> Result<()> {
    let network = Network::new(2, 2)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    let (delay, jitter) = (Duration::from_millis(50), Duration::from_millis(10));
    network.set_all(LinkSettings { delay, jitter, ..LinkSettings::default() });
    for _ in 0..20 {
        let trip = round_trip(&network, &sockets, 0, 1)?;
        assert!(trip >= 2 * (delay - jitter), "a round trip took only {trip:?}");
    }
    network.set_all(LinkSettings::default());
    network.set_link(1, 0, LinkSettings { delay: 4 * delay, ..LinkSettings::default() });
    let trip = round_trip(&network, &sockets, 0, 1)?;
    assert!(trip >= 4 * delay, "a round trip took only {trip:?}");
    Ok(())
}

#[test]
fn a_rate_holds_back_what_is_faster() -> Result<()> {
    let network = Network::new(3, 2)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    let rate = 200_000;
    network.set_link(0, 1, LinkSettings { rate_bits_per_second: Some(rate), ..LinkSettings::default() });
    let (count, text) = (20, "x".repeat(1000));
    let start = Instant::now();
    for _ in 0..count {
        send(&network, &sockets[0], 1, &text)?;
    }
    for _ in 0..count {
        receive(&sockets[1])?;
    }
    let bits = count * (text.len() + HEADERS_BYTES) as u32 * 8;
    let least = Duration::from_secs_f64(f64::from(bits) / rate as f64);
    assert!(start.elapsed() >= least, "{bits} bits took only {:?}, not {least:?}", start.elapsed());
    Ok(())
}

#[test]
fn loss_takes_about_its_share() -> Result<()> {
    const SENT: usize = 1000;
    const UNREAD_MAX: usize = 50;
    let network = Network::new(4, 2)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    network.set_link(0, 1, LinkSettings { loss: 0.2, ..LinkSettings::default() });
    let before = network.counters(0, 1);
    let taken = AtomicUsize::new(0);
    let received = thread::scope(|scope| -> Result<usize> {
        let reader = scope.spawn(|| -> Result<usize> {
            while receive(&sockets[1])?.0 != "end" {
                taken.fetch_add(1, Ordering::Relaxed);
            }
            Ok(taken.load(Ordering::Relaxed))
        });
        for number in 0..SENT {
            send(&network, &sockets[0], 1, &number.to_string())?;
            eventually("the switch decided about a frame", || {
                let now = network.counters(0, 1);
                let decided =
                    |counters: popmesh_tests::Counters| counters.delivered.frames + counters.lost.frames;
                decided(now) - decided(before) > number as u64
            });
            // A full socket buffer would lose messages of its own.
            eventually("the reader keeps up", || {
                let lost = network.counters(0, 1).lost.frames - before.lost.frames;
                taken.load(Ordering::Relaxed) + lost as usize + UNREAD_MAX > number
            });
        }
        network.set_link(0, 1, LinkSettings::default());
        send(&network, &sockets[0], 1, "end")?;
        reader.join().expect("the reader panicked")
    })?;
    let lost = network.counters(0, 1).lost.frames;
    println!("received {received} of {SENT}, the switch lost {lost}");
    assert!((700..900).contains(&received), "received {received} of {SENT} at 20 % loss");
    assert!((100..300).contains(&lost), "the switch counted {lost} of {SENT} lost");
    Ok(())
}

#[test]
fn a_cut_is_one_way() -> Result<()> {
    let network = Network::new(5, 2)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    network.cut(0, 1);
    lose(&network, &sockets, 0, 1)?;
    send(&network, &sockets[1], 0, "the other way")?;
    assert_eq!(receive(&sockets[0])?.0, "the other way");
    network.restore(0, 1);
    send(&network, &sockets[0], 1, "after it")?;
    assert_eq!(receive(&sockets[1])?.0, "after it");
    Ok(())
}

#[test]
fn a_cut_takes_what_is_under_way() -> Result<()> {
    let network = Network::new(6, 2)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    network.set_link(0, 1, LinkSettings { delay: Duration::from_millis(300), ..LinkSettings::default() });
    send(&network, &sockets[0], 1, "under way")?;
    eventually("the frame is under way", || network.counters(0, 1).frames_under_way > 0);
    network.cut(0, 1);
    eventually("the cut drops the frame", || network.counters(0, 1).frames_under_way == 0);
    assert!(network.counters(0, 1).cut.frames > 0);
    network.set_link(0, 1, LinkSettings::default());
    network.heal();
    send(&network, &sockets[0], 1, "after it")?;
    assert_eq!(receive(&sockets[1])?.0, "after it");
    Ok(())
}

#[test]
fn a_host_is_cut_off_and_comes_back() -> Result<()> {
    let network = Network::new(7, 4)?;
    let sockets = sockets(&network)?;
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        round_trip(&network, &sockets, a, b)?;
    }
    network.cut_off(0);
    network.cut_off(3);
    for (from, to) in [(0, 1), (0, 2), (1, 0), (2, 0), (2, 3)] {
        lose(&network, &sockets, from, to)?;
    }
    round_trip(&network, &sockets, 1, 2)?;

    network.rejoin(0);
    round_trip(&network, &sockets, 0, 1)?;
    round_trip(&network, &sockets, 2, 0)?;
    lose(&network, &sockets, 2, 3)?;

    network.heal();
    round_trip(&network, &sockets, 2, 3)?;
    Ok(())
}

#[test]
fn multicast_reaches_every_other_host() -> Result<()> {
    let network = Network::new(8, 3)?;
    let members = (1..3).map(|host| {
        let member = socket(&network, host, MDNS_PORT)?;
        member.join_multicast_v4(&MDNS, &network.host(host).address())?;
        Ok(member)
    });
    let members: Vec<_> = members.collect::<Result<_>>()?;
    let sender = socket(&network, 0, MDNS_PORT)?;
    sender.send_to(b"who sells bread?", (MDNS, MDNS_PORT))?;
    for member in &members {
        let (text, from) = receive(member)?;
        assert_eq!(text, "who sells bread?");
        assert_eq!(from, SocketAddr::from((network.host(0).address(), MDNS_PORT)));
    }
    Ok(())
}

#[test]
fn counters_count_each_direction_and_pair() -> Result<()> {
    const SENT: u64 = 50;
    let network = Network::new(9, 3)?;
    let sockets = sockets(&network)?;
    round_trip(&network, &sockets, 0, 1)?;
    let text = "x".repeat(1000);
    let frame_bytes = (text.len() + HEADERS_BYTES) as u64;
    let before = network.counters(0, 1);
    for _ in 0..SENT {
        send(&network, &sockets[0], 1, &text)?;
        receive(&sockets[1])?;
    }
    let after = network.counters(0, 1);
    let (frames, bytes) =
        (after.delivered.frames - before.delivered.frames, after.delivered.bytes - before.delivered.bytes);
    // The kernel's own housekeeping is counted too: a few frames, and small ones.
    assert!((SENT..SENT + 20).contains(&frames), "{frames} frames for {SENT} messages");
    let least = SENT * frame_bytes;
    assert!((least..least + 20 * 200).contains(&bytes), "{bytes} bytes for {least}");
    for (from, to) in [(1, 0), (0, 2), (2, 1)] {
        let other = network.counters(from, to).delivered;
        assert!(other.bytes < frame_bytes * 10, "{from} → {to} carried {other:?}");
    }
    assert_eq!(after.lost.frames + after.cut.frames + after.overflowed.frames + after.refused.frames, 0);
    Ok(())
}
