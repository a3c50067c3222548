//! Two hosts over virtual controllers: they find each other, talk, and get over what happens to adapters.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use popmesh_ble::{
    Ble, BleConfig, BleEvent, BleStream, DialError, Pace, ShortId,
    testing::{Controllers, adapter, free_ports},
};
use tokio::{sync::mpsc, time::timeout};

const A: ShortId = ShortId([0xaa; 4]);
const B: ShortId = ShortId([0xbb; 4]);
const LONG: Duration = Duration::from_secs(20);

struct Host {
    ble: Ble,
    events: mpsc::Receiver<BleEvent>,
}

fn host(port: u16, id: ShortId, key: u8, address_for: Duration) -> Host {
    let config =
        BleConfig { adapter: adapter(port), keys: vec![[key; 32].into()], id, links_max: 4, address_for };
    let (ble, events) = Ble::start(config).expect("a thread");
    Host { ble, events }
}

impl Host {
    async fn sees(&mut self, wanted: ShortId) {
        let seen = async {
            loop {
                if let Some(BleEvent::Sighted { id, .. }) = self.events.recv().await
                    && id == wanted
                {
                    return;
                }
            }
        };
        timeout(LONG, seen).await.unwrap_or_else(|_| panic!("{wanted} is not seen"));
    }

    async fn incoming(&mut self) -> BleStream {
        let come = async {
            loop {
                if let Some(BleEvent::Incoming(stream)) = self.events.recv().await {
                    return stream;
                }
            }
        };
        timeout(LONG, come).await.expect("a stream comes in")
    }
}

async fn linked(a: &mut Host, b: &mut Host) -> (BleStream, BleStream) {
    // An address may change between the two.
    let dialled = async {
        loop {
            a.sees(B).await;
            match a.ble.dial(B).await {
                Ok(stream) => return stream,
                Err(error) => println!("dialled again: {error}"),
            }
        }
    };
    let both = async { tokio::join!(dialled, b.incoming()) };
    timeout(LONG, both).await.expect("in time")
}

fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(bytes)
    .collect()
}

async fn exchange(one: BleStream, other: BleStream, bytes: usize) -> (BleStream, BleStream) {
    let (from_one, from_other) = (noise(bytes, 1), noise(bytes, 2));
    let (mut read_one, mut write_one) = one.split();
    let (mut read_other, mut write_other) = other.split();
    let (mut at_one, mut at_other) = (vec![0; bytes], vec![0; bytes]);
    let all = async {
        tokio::try_join!(
            write_one.write_all(&from_one),
            write_other.write_all(&from_other),
            read_one.read_exact(&mut at_one),
            read_other.read_exact(&mut at_other),
        )
    };
    timeout(LONG, all).await.expect("in time").expect("both ways");
    assert!(at_one == from_other && at_other == from_one, "the bytes arrive as they were sent");
    (read_one.reunite(write_one).expect("its own"), read_other.reunite(write_other).expect("its own"))
}

#[tokio::test]
async fn two_hosts_find_each_other_and_carry_bytes_both_ways() {
    let [a, b] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).expect("controllers");
    let mut a = host(a, A, 1, LONG);
    let mut b = host(b, B, 1, LONG);
    let (one, other) = linked(&mut a, &mut b).await;
    let before = a.ble.counters();
    let started = std::time::Instant::now();
    let (mut one, other) = exchange(one, other, 100 * 1024).await;
    let after = a.ble.counters();
    println!("100 KiB each way in {:?}; {before:?} {after:?}", started.elapsed());
    assert!(after.link_bytes_out - before.link_bytes_out > 100 * 1024);
    assert_eq!((after.links, after.dialled), (1, 1));
    drop(other);
    let mut rest = Vec::new();
    timeout(LONG, one.read_to_end(&mut rest)).await.expect("in time").expect("an end");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn whoever_does_not_read_holds_up_the_sender_and_nothing_is_lost() {
    let [a, b] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).expect("controllers");
    let mut a = host(a, A, 1, LONG);
    let mut b = host(b, B, 1, LONG);
    let (mut one, mut other) = linked(&mut a, &mut b).await;
    let sent = noise(256 * 1024, 7);
    let mut written = 0;
    while let Ok(wrote) = timeout(Duration::from_secs(1), one.write(&sent[written..])).await {
        written += wrote.expect("it is open");
    }
    assert!(written < 32 * 1024, "{written} bytes are under way to somebody who does not read");
    let mut read = vec![0; sent.len()];
    let both = async { tokio::try_join!(one.write_all(&sent[written..]), other.read_exact(&mut read)) };
    timeout(LONG, both).await.expect("in time").expect("it goes on");
    assert!(read == sent);
}

#[tokio::test]
async fn an_adapter_that_vanishes_comes_back_by_itself() {
    let [a, b] = free_ports().expect("ports");
    let controllers = Controllers::start(&[a, b], &[(a, b)]).expect("controllers");
    let (port_a, port_b) = (a, b);
    let mut a = host(a, A, 1, LONG);
    let mut b = host(b, B, 1, LONG);
    let (mut one, mut other) = linked(&mut a, &mut b).await;
    drop(controllers);
    for stream in [&mut one, &mut other] {
        let ended = timeout(LONG, stream.read(&mut [0; 1])).await.expect("in time");
        assert!(matches!(ended, Ok(0) | Err(_)), "a stream ends with its adapter");
    }
    let controllers = Controllers::start(&[port_a, port_b], &[(port_a, port_b)]).expect("controllers");
    let returned = std::time::Instant::now();
    let (one, other) = linked(&mut a, &mut b).await;
    println!("linked again {:?} after the adapter returned", returned.elapsed());
    exchange(one, other, 1_000).await;
    assert!(a.ble.counters().adapter_failed >= 1);
    drop(controllers);
}

#[tokio::test]
async fn addresses_change_and_links_stay() {
    let [a, b] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).expect("controllers");
    let mut a = host(a, A, 1, Duration::from_millis(2_500));
    let mut b = host(b, B, 1, Duration::from_millis(2_500));
    let (one, other) = linked(&mut a, &mut b).await;
    let first = one.address();
    let (one, other) = exchange(one, other, 1_000).await;
    tokio::time::timeout(Duration::from_secs(6), async {
        loop {
            b.sees(A).await;
            a.sees(B).await;
        }
    })
    .await
    .expect_err("they see each other on and on");
    let (one, other) = exchange(one, other, 1_000).await;
    drop((one, other));
    let (one, other) = linked(&mut a, &mut b).await;
    assert_ne!(one.address(), first);
    exchange(one, other, 1_000).await;
}

#[tokio::test]
async fn strangers_are_not_seen_and_who_is_not_seen_is_not_dialled() {
    let [a, b, c] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b, c], &[(a, b), (a, c)]).expect("controllers");
    let mut a = host(a, A, 1, LONG);
    let _stranger = host(b, B, 2, LONG);
    let friend = ShortId([0xcc; 4]);
    let _friend = host(c, friend, 1, LONG);
    a.ble.set_pace(Pace::Seeking);
    let mut seen = Vec::new();
    let _ = timeout(Duration::from_secs(6), async {
        while let Some(BleEvent::Sighted { id, .. }) = a.events.recv().await {
            seen.push(id);
        }
    })
    .await;
    assert!(!seen.is_empty() && seen.iter().all(|id| *id == friend), "{seen:?}");
    assert_eq!(a.ble.dial(B).await.err(), Some(DialError::NotSeen));
}

#[tokio::test]
async fn a_host_that_panics_starts_anew_and_gives_the_adapter_back() {
    let [a, b] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).expect("controllers");
    let mut a = host(a, A, 1, LONG);
    let mut b = host(b, B, 1, LONG);
    for round in 1..=2 {
        let (mut one, mut other) = linked(&mut a, &mut b).await;
        b.ble.panic();
        for stream in [&mut one, &mut other] {
            let ended = timeout(LONG, stream.read(&mut [0; 1])).await.expect("in time");
            assert!(matches!(ended, Ok(0) | Err(_)), "a stream ends with its host");
        }
        let (one, other) = linked(&mut a, &mut b).await;
        exchange(one, other, 1_000).await;
        let counters = b.ble.counters();
        assert_eq!((counters.adapter_up, counters.adapter_failed), (round + 1, round));
    }
    assert_eq!(a.ble.counters().adapter_failed, 0, "the other host goes on");
}

#[tokio::test]
async fn one_place_is_enough_to_dial_and_who_has_none_left_is_heard_all_the_same() {
    let [a, b, c] = free_ports().expect("ports");
    let _controllers = Controllers::start(&[a, b, c], &[(a, b), (b, c)]).expect("controllers");
    let single = |port, id| {
        let (keys, address_for) = (vec![[1; 32].into()], LONG);
        let (ble, events) =
            Ble::start(BleConfig { adapter: adapter(port), keys, id, links_max: 1, address_for })
                .expect("a thread");
        Host { ble, events }
    };
    let (mut a, mut b) = (single(a, A), single(b, B));
    let (one, other) = linked(&mut a, &mut b).await;
    let mut c = single(c, ShortId([0xcc; 4]));
    let closed = async {
        loop {
            if let Some(BleEvent::Sighted { id: B, heard, .. }) = c.events.recv().await
                && !heard.is_open()
            {
                return;
            }
        }
    };
    timeout(LONG, closed).await.expect("it is heard");
    assert_eq!(b.ble.dial(ShortId([0xcc; 4])).await.err(), Some(DialError::Busy));
    exchange(one, other, 1_000).await;
    // The place is free again: whoever waited gets it.
    let (one, other) = linked(&mut c, &mut b).await;
    exchange(one, other, 1_000).await;
}
