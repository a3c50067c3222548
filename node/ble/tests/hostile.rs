//! A hostile device in range, which speaks to its own adapter as it likes: whatever it sends, links between others go on,
//! and new ones come up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use popmesh_ble::{
    Ble, BleConfig, BleEvent, BleStream, ShortId,
    testing::{Controllers, adapter, free_ports},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::timeout,
};

const A: ShortId = ShortId([0xaa; 4]);
const B: ShortId = ShortId([0xbb; 4]);
const LONG: Duration = Duration::from_secs(30);

/// A host takes 0.5 MB at most for whatever comes over the radio (see SECURITY.md); there are two, and what malloc keeps.
const GROWN_BYTES_MAX: u64 = 2 << 20;

/// What the host waits for somebody who takes nothing, and a good deal more.
const STALLED_WITHIN: Duration = Duration::from_secs(60);

/// The adapter of the hostile device.
struct Hci {
    to: OwnedWriteHalf,
    /// What it says: the kind of each packet, and the rest.
    packets: mpsc::UnboundedReceiver<(u8, Vec<u8>)>,
    addresses: u8,
}

impl Hci {
    async fn new(port: u16) -> Self {
        let (mut from, to) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
        let (packet, packets) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(kind) = from.read_u8().await {
                let mut bytes = vec![0; if kind == 2 { 4 } else { 2 }];
                from.read_exact(&mut bytes).await.unwrap();
                let length = if kind == 2 {
                    usize::from(u16::from_le_bytes([bytes[2], bytes[3]]))
                } else {
                    usize::from(bytes[1])
                };
                let mut body = vec![0; length];
                from.read_exact(&mut body).await.unwrap();
                bytes.extend_from_slice(&body);
                if packet.send((kind, bytes)).is_err() {
                    break;
                }
            }
        });
        let mut hci = Self { to, packets, addresses: 0 };
        hci.command(0x0c03, &[]).await;
        hci
    }

    async fn command(&mut self, code: u16, parameters: &[u8]) {
        let mut packet = vec![1];
        packet.extend_from_slice(&code.to_le_bytes());
        packet.push(parameters.len() as u8);
        packet.extend_from_slice(parameters);
        self.to.write_all(&packet).await.unwrap();
    }

    /// The next packet that the filter takes.
    async fn packet<T>(&mut self, mut filter: impl FnMut(u8, &[u8]) -> Option<T>) -> T {
        let next = async {
            loop {
                let (kind, bytes) = self.packets.recv().await.unwrap();
                if let Some(found) = filter(kind, &bytes) {
                    return found;
                }
            }
        };
        timeout(LONG, next).await.expect("in time")
    }

    /// Connects again if the other end has hung up.
    async fn keep_connected(&mut self, connection: u16, address: [u8; 6]) -> u16 {
        while let Ok((kind, bytes)) = self.packets.try_recv() {
            if kind == 4 && bytes[0] == 5 {
                return self.connect(address).await;
            }
        }
        connection
    }

    /// Addresses that advertise.
    async fn scan(&mut self, wanted: usize) -> Vec<[u8; 6]> {
        self.command(0x200b, &[0, 16, 0, 16, 0, 1, 0]).await;
        self.command(0x200c, &[1, 0]).await;
        let mut found = Vec::new();
        while found.len() < wanted {
            let address: [u8; 6] = self
                .packet(|kind, event| {
                    (kind == 4 && event[0] == 0x3e && event[2] == 2).then(|| event[6..12].try_into().unwrap())
                })
                .await;
            if !found.contains(&address) {
                found.push(address);
            }
        }
        self.command(0x200c, &[0, 0]).await;
        found
    }

    /// Who advertises, and what.
    async fn hear(&mut self) -> ([u8; 6], Vec<u8>) {
        self.command(0x200b, &[0, 16, 0, 16, 0, 1, 0]).await;
        self.command(0x200c, &[1, 0]).await;
        let heard = self
            .packet(|kind, event| {
                let is_report = kind == 4 && event[0] == 0x3e && event[2] == 2;
                let data = |event: &[u8]| event[13..13 + usize::from(event[12])].to_vec();
                is_report.then(|| (event[6..12].try_into().unwrap(), data(event)))
            })
            .await;
        self.command(0x200c, &[0, 0]).await;
        heard
    }

    /// Advertises, from an address of its own or of another.
    async fn advertise(&mut self, address: [u8; 6], data: &[u8]) {
        self.command(0x200a, &[0]).await;
        self.command(0x2005, &address).await;
        self.command(0x2006, &[160, 0, 160, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0]).await;
        let mut padded = [0; 32];
        padded[0] = data.len() as u8;
        padded[1..=data.len()].copy_from_slice(data);
        self.command(0x2008, &padded).await;
        self.command(0x200a, &[1]).await;
    }

    /// A connection to an address, from another one each time: what is under way of an earlier connection is not taken for
    /// one of this.
    async fn connect(&mut self, address: [u8; 6]) -> u16 {
        self.addresses += 1;
        self.command(0x2005, &[self.addresses, 2, 3, 4, 5, 0x47]).await;
        let mut parameters = vec![16, 0, 16, 0, 0, 1];
        parameters.extend_from_slice(&address);
        parameters.extend_from_slice(&[1, 24, 0, 24, 0, 0, 0, 100, 0, 0, 0, 0, 0]);
        self.command(0x200d, &parameters).await;
        self.packet(|kind, event| {
            let connected = kind == 4 && event[0] == 0x3e && event[2] == 1 && event[3] == 0;
            connected.then(|| u16::from_le_bytes([event[4], event[5]]))
        })
        .await
    }

    async fn disconnect(&mut self, connection: u16) {
        let [low, high] = connection.to_le_bytes();
        self.command(0x0406, &[low, high, 0x13]).await;
    }

    /// Bytes over a connection, as they are; `flags` says what part of a frame they are.
    async fn send(&mut self, connection: u16, flags: u16, bytes: &[u8]) {
        let mut packet = vec![2];
        packet.extend_from_slice(&(connection | flags << 12).to_le_bytes());
        packet.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        packet.extend_from_slice(bytes);
        self.to.write_all(&packet).await.unwrap();
    }

    async fn frame(&mut self, connection: u16, channel: u16, bytes: &[u8]) {
        let mut frame = (bytes.len() as u16).to_le_bytes().to_vec();
        frame.extend_from_slice(&channel.to_le_bytes());
        frame.extend_from_slice(bytes);
        self.send(connection, 0, &frame).await;
    }

    async fn signal(&mut self, connection: u16, code: u8, id: u8, bytes: &[u8]) {
        let mut signal = vec![code, id];
        signal.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        signal.extend_from_slice(bytes);
        self.frame(connection, 5, &signal).await;
    }

    /// A channel to the service, with what it is said to take; says which one the other end gave.
    async fn open(&mut self, connection: u16, mtu: u16, mps: u16) -> Option<u16> {
        let mut request = vec![0xb5, 0, 0x50, 0];
        for number in [mtu, mps, 100] {
            request.extend_from_slice(&number.to_le_bytes());
        }
        for _ in 0..50 {
            self.signal(connection, 0x14, 9, &request).await;
            let answer = self
                .packet(|kind, packet| {
                    let number = |at: usize| u16::from_le_bytes([packet[at], packet[at + 1]]);
                    match kind {
                        2 if packet[6..9] == [5, 0, 0x15] => Some(Some((number(20), number(12)))),
                        4 if packet[0] == 5 && number(3) == connection => Some(None),
                        _ => None,
                    }
                })
                .await;
            match answer {
                Some((0, channel)) => return Some(channel),
                // It does not listen on this connection yet.
                Some((4, _)) => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => return None,
            }
        }
        None
    }
}

fn start(port: u16, id: ShortId) -> (Ble, mpsc::Receiver<BleEvent>) {
    Ble::start(BleConfig {
        adapter: adapter(port),
        keys: vec![[1; 32].into()],
        id,
        links_max: 3,
        address_for: Duration::from_secs(900),
    })
    .unwrap()
}

async fn linked(
    a: &Ble,
    seen: &mut mpsc::Receiver<BleEvent>,
    b: &mut mpsc::Receiver<BleEvent>,
) -> (BleStream, BleStream) {
    let dialled = async {
        loop {
            while !matches!(seen.recv().await.unwrap(), BleEvent::Sighted { id: B, .. }) {}
            if let Ok(stream) = a.dial(B).await {
                return stream;
            }
        }
    };
    // What the hostile device opened is there, too, and is closed by whoever has it.
    let (mut dialled, mut streams) = (std::pin::pin!(dialled), Vec::new());
    let one = timeout(LONG, async {
        loop {
            tokio::select! {
                stream = &mut dialled => return stream,
                Some(BleEvent::Incoming(stream)) = b.recv() => streams.push(stream),
            }
        }
    })
    .await
    .expect("a link in time");
    while let Ok(Some(event)) = timeout(Duration::from_millis(500), b.recv()).await {
        if let BleEvent::Incoming(stream) = event {
            streams.push(stream);
        }
    }
    (one, streams.pop().expect("it came in"))
}

async fn talk(one: &mut BleStream, other: &mut BleStream, bytes: usize) {
    let sent = vec![7; bytes];
    let mut read = vec![0; sent.len()];
    let both = async { tokio::try_join!(one.write_all(&sent), other.read_exact(&mut read)) };
    timeout(LONG, both).await.expect("in time").expect("the link lives");
    assert_eq!(read, sent);
}

/// Everything that a stranger can think of, while two others talk.
async fn flood(hostile: &mut Hci, victim: [u8; 6], here: &mut BleStream, there: &mut BleStream) {
    // Frames that are not what they say, on every channel that there may be.
    let mut connection = hostile.connect(victim).await;
    for bytes in [&[][..], &[1], &[0, 0, 5], &[0, 0, 5, 0], &[255, 255, 5, 0, 1, 1, 255, 255], &[0; 250]] {
        hostile.send(connection, 0, bytes).await;
        hostile.send(connection, 1, bytes).await;
        talk(here, there, 10).await;
        connection = hostile.keep_connected(connection, victim).await;
    }
    for channel in (0..0x50).chain([0xffff]) {
        for body in [&[][..], &[1], &[0, 0], &[255, 255, 1], &[6, 1, 4, 0, 0x40, 0, 0x40, 0]] {
            hostile.frame(connection, channel, body).await;
        }
        talk(here, there, 10).await;
        connection = hostile.keep_connected(connection, victim).await;
    }
    for code in 0..=255 {
        for body in [&[][..], &[0; 2], &[255; 10], &[0x40, 0, 0x40, 0], &[0x40, 0, 255, 255]] {
            hostile.signal(connection, code, 1, body).await;
        }
        talk(here, there, 10).await;
        connection = hostile.keep_connected(connection, victim).await;
    }
    talk(here, there, 10_000).await;
    hostile.disconnect(connection).await;

    // Channels of sizes that cannot be.
    for (mtu, mps) in [(0, 0), (1, 1), (23, 2), (65_535, 0), (2, 65_535)] {
        let connection = hostile.connect(victim).await;
        hostile.open(connection, mtu, mps).await;
        talk(here, there, 10_000).await;
        hostile.disconnect(connection).await;
    }

    // A channel on which more is sent than may be, and credits are given without end.
    let (connection, channel) = loop {
        let connection = hostile.connect(victim).await;
        if let Some(channel) = hostile.open(connection, 250, 250).await {
            break (connection, channel);
        }
    };
    for _ in 0..200 {
        hostile.frame(connection, channel, &[2, 0, 0, 7]).await;
    }
    for _ in 0..3 {
        hostile.signal(connection, 0x16, 2, &[0x50, 0, 255, 255]).await;
    }
    talk(here, there, 10_000).await;
    hostile.disconnect(connection).await;

    // Connections that come and go, and one that stays and says nothing.
    for _ in 0..20 {
        let connection = hostile.connect(victim).await;
        hostile.disconnect(connection).await;
    }
    let silent = hostile.connect(victim).await;
    talk(here, there, 10_000).await;
    hostile.disconnect(silent).await;
}

/// Twice as much as may be kept of it: frames on channels that are not there, beginnings without an end, and the reverse.
async fn much(hostile: &mut Hci, victim: [u8; 6], here: &mut BleStream, there: &mut BleStream) {
    let mut connection = hostile.connect(victim).await;
    for _ in 0..2 * GROWN_BYTES_MAX / (500 * 250) {
        for number in 0..125 {
            hostile.frame(connection, 0x40 + number, &[7; 246]).await;
            hostile.signal(connection, 0x14, number as u8, &[7; 242]).await;
            hostile.send(connection, 0, &[[255, 0, 5, 0].as_slice(), &[7; 246]].concat()).await;
            hostile.send(connection, 1, &[7; 250]).await;
        }
        talk(here, there, 10).await;
        connection = hostile.keep_connected(connection, victim).await;
    }
    hostile.disconnect(connection).await;
}

/// Memory of this process, all hosts and the hostile device included.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap() * 4_096
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_stranger_sends_others_go_on() {
    let [a, b, h] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, b, h], &[(a, b), (h, b)]).unwrap();
    let (one, mut seen) = start(a, A);
    let (other, mut incoming) = start(b, B);
    let (mut here, mut there) = linked(&one, &mut seen, &mut incoming).await;
    talk(&mut here, &mut there, 10_000).await;

    let mut hostile = Hci::new(h).await;
    let victim = hostile.scan(1).await[0];

    // The first time it takes what it is allowed to.
    flood(&mut hostile, victim, &mut here, &mut there).await;
    let before = resident_bytes();
    flood(&mut hostile, victim, &mut here, &mut there).await;
    much(&mut hostile, victim, &mut here, &mut there).await;
    flood(&mut hostile, victim, &mut here, &mut there).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{grown} bytes more after twice as much again; {:?}", other.counters());
    assert!(grown < GROWN_BYTES_MAX, "{grown} bytes more");

    drop((here, there));
    let (mut here, mut there) = linked(&one, &mut seen, &mut incoming).await;
    talk(&mut here, &mut there, 10_000).await;
    let counters = other.counters();
    assert_eq!((counters.adapter_up, counters.adapter_failed), (1, 0), "the host never fell: {counters:?}");
    assert!(counters.malformed > 90, "{counters:?}");
    println!("{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_again_from_another_address_is_not_believed() {
    let [a, b, h] = free_ports().unwrap();
    // The two do not hear each other, but for whoever is between them.
    let _controllers = Controllers::start(&[a, b, h], &[(a, h), (h, b)]).unwrap();
    let (_other, _incoming) = start(b, B);
    let mut hostile = Hci::new(h).await;
    let (address, said) = hostile.hear().await;

    let (one, mut seen) = start(a, A);
    let mut own = address;
    own[0] ^= 1;
    hostile.advertise(own, &said).await;
    let sees = async {
        while let Some(event) = seen.recv().await {
            if let BleEvent::Sighted { id, .. } = event {
                return id;
            }
        }
        panic!("the host runs");
    };
    let mut sees = std::pin::pin!(sees);
    assert!(timeout(Duration::from_secs(5), &mut sees).await.is_err(), "it is taken for another");

    // That it would have been heard: from the very same address it is. Who answers there, is for others to find out.
    hostile.advertise(address, &said).await;
    assert_eq!(timeout(LONG, sees).await.expect("it is heard"), B);
    assert_eq!(one.counters().malformed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_let_go_in_the_end() {
    let [a, h] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, h], &[(a, h)]).unwrap();
    let (one, mut events) = start(a, A);
    let mut hostile = Hci::new(h).await;
    let victim = hostile.scan(1).await[0];
    let connection = hostile.connect(victim).await;
    hostile.open(connection, 250, 250).await.expect("a channel");
    let mut stream = timeout(LONG, async {
        loop {
            if let Some(BleEvent::Incoming(stream)) = events.recv().await {
                return stream;
            }
        }
    })
    .await
    .expect("a stream comes in");
    let began = std::time::Instant::now();
    let written = async { while stream.write_all(&[7; 1_000]).await.is_ok() {} };
    timeout(STALLED_WITHIN, written).await.expect("it ends");
    println!("let go after {:?}", began.elapsed());
    // It is counted when the stream has ended.
    let counted = async {
        while one.counters().stalled == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, counted).await.unwrap_or_else(|_| panic!("{:?}", one.counters()));
    assert_eq!(one.counters().stalled, 1);
    assert!(one.is_up());
}
