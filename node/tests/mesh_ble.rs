//! Meshes over virtual Bluetooth controllers, and over the network beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p::{identity::Keypair, multiaddr::Protocol};
use popmesh::mesh::{
    BleConfig, DeviceKey, Listen, Membership, Mesh, MeshConfig, MeshEvent, Multiaddr, Transport, Verdict,
};
use popmesh_ble::testing::{Controllers, adapter, free_ports};
use popmesh_proto::links::Width;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// So that a test sees a ping fail: twice, each after a tenth of it.
const PING_EVERY: Duration = Duration::from_secs(6);

struct Node {
    mesh: Mesh,
    events: mpsc::Receiver<MeshEvent>,
}

/// A mesh over the radio at a port, with a key that those with the same one recognise; and over TCP, if it is to dial or
/// be dialled there.
async fn start(seed: u8, radio: u16, key: u8, tcp: bool, peers: &[Multiaddr]) -> Node {
    let (mesh, events) = Mesh::start(MeshConfig {
        secret: [seed; 32].into(),
        event: [7; 32],
        membership: Membership::new(vec![[key; 32].into()]),
        certificate: b"good".to_vec(),
        admit: Arc::new(|_, certificate| if certificate == b"good" { Ok(()) } else { Err("bad".into()) }),
        listen: Listen { interfaces: Some(vec!["lo".into()]), port: 0, tcp, quic: false },
        peers: peers.to_vec(),
        mdns: false,
        ble: Some(BleConfig {
            adapter: adapter(radio),
            keys: vec![[key; 32].into()],
            links_max: 4,
            ping_every: PING_EVERY,
        }),
    })
    .await
    .unwrap();
    Node { mesh, events }
}

impl Node {
    fn key(&self) -> DeviceKey {
        self.mesh.device()
    }

    /// The next event that the filter takes. Gossip is accepted on the way.
    async fn event<T>(&mut self, what: &str, mut filter: impl FnMut(MeshEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the mesh runs");
                if let MeshEvent::Gossip { token, .. } = &event {
                    self.mesh.judge(*token, Verdict::Accept);
                }
                if let Some(found) = filter(event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    async fn link(&mut self, to: DeviceKey) -> Width {
        self.event("link", |event| match event {
            MeshEvent::LinkUp { device, width } if device == to => Some(width),
            _ => None,
        })
        .await
    }

    /// Waits until what goes to a device goes over a link of this width.
    async fn width(&mut self, device: DeviceKey, width: Width) {
        self.event("width", |event| (event == MeshEvent::LinkWidth { device, width }).then_some(())).await;
    }

    async fn message(&mut self, text: &'static str) {
        self.event(text, |event| match event {
            MeshEvent::Message { bytes, .. } if bytes == text.as_bytes() => Some(()),
            _ => None,
        })
        .await;
    }

    async fn gossip(&mut self, text: &'static str) {
        self.event(text, |event| match event {
            MeshEvent::Gossip { bytes, .. } if bytes == text.as_bytes() => Some(()),
            _ => None,
        })
        .await;
    }

    /// Over what there are links, and how many messages went over each.
    async fn over(&self) -> Vec<(Transport, u64)> {
        self.mesh.snapshot().await.links.iter().map(|link| (link.transport, link.messages_sent)).collect()
    }

    async fn port(&self) -> u16 {
        loop {
            let listening = self.mesh.snapshot().await.listen;
            let port = |address: &Multiaddr| {
                address.to_string().strip_prefix("/ip4/127.0.0.1/tcp/").and_then(|port| port.parse().ok())
            };
            if let Some(port) = listening.iter().find_map(port) {
                return port;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_over(&self, wanted: &[Transport]) -> Duration {
        let started = Instant::now();
        let wait = async {
            while self.over().await.iter().map(|(transport, _)| *transport).collect::<Vec<_>>() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not over {wanted:?}"));
        started.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_in_a_line_talk_over_the_radio_alone() {
    let [a, b, c] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, b, c], &[(a, b), (b, c)]).unwrap();
    let mut one = start(1, a, 9, false, &[]).await;
    let mut middle = start(2, b, 9, false, &[]).await;
    let mut other = start(3, c, 9, false, &[]).await;
    let (one_key, middle_key, other_key) = (one.key(), middle.key(), other.key());
    assert_eq!(one.link(middle_key).await, Width::Narrow);
    assert_eq!(other.link(middle_key).await, Width::Narrow);
    middle.until_over(&[Transport::Ble, Transport::Ble]).await;

    assert!(one.mesh.send(middle_key, Bytes::from_static(b"to the middle")));
    middle.message("to the middle").await;
    assert!(!one.mesh.send(other_key, Bytes::from_static(b"out of range")));
    let large = Bytes::from(vec![7; 200_000]);
    assert!(middle.mesh.send(one_key, large.clone()));
    one.event("large message", |event| match event {
        MeshEvent::Message { bytes, .. } if bytes == large => Some(()),
        _ => None,
    })
    .await;

    assert_eq!(one.over().await.len(), 1);
}

/// Passes TCP on to a port, as long as it is open.
async fn wire(to: u16) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, is_open) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut is_open = is_open.clone();
            if !*is_open.borrow() {
                continue;
            }
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_open.wait_for(|is_open| !*is_open) => {}
                }
            });
        }
    });
    (port, open)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_used_while_it_lives_and_the_radio_when_it_dies() {
    the_network_dies_and_returns(false).await;
}

/// Who is known by its key, as by mDNS, is dialled though there is a link over the radio.
#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_returned_to_where_it_is_known_whose_address_it_is() {
    the_network_dies_and_returns(true).await;
}

async fn the_network_dies_and_returns(by_key: bool) {
    let [a, b] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).unwrap();
    let mut one = start(1, a, 9, true, &[]).await;
    let port = timeout(DEADLINE, one.port()).await.expect("it listens");
    let (port, open) = wire(port).await;
    let mut peer: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    if by_key {
        let keypair = Keypair::ed25519_from_bytes([1; 32]).unwrap();
        peer = peer.with(Protocol::P2p(keypair.public().to_peer_id()));
    }
    let mut other = start(2, b, 9, true, &[peer]).await;
    let (one_key, other_key) = (one.key(), other.key());
    let both = [Transport::Tcp, Transport::Ble];
    one.until_over(&both).await;
    other.until_over(&both).await;

    one.event("a link", |event| {
        matches!(event, MeshEvent::LinkUp { device, .. } if device == other_key).then_some(())
    })
    .await;
    assert!(one.mesh.send(other_key, Bytes::from_static(b"over the network")));
    other.message("over the network").await;
    one.mesh.publish(Bytes::from_static(b"said once"));
    other.gossip("said once").await;
    let used = one.over().await;
    assert_eq!(used[1], (Transport::Ble, 0), "the radio is not used: {used:?}");

    open.send(false).unwrap();
    let cut = Instant::now();
    one.until_over(&[Transport::Ble]).await;
    one.width(other_key, Width::Narrow).await;
    assert!(one.mesh.send(other_key, Bytes::from_static(b"over the radio")));
    other.message("over the radio").await;
    println!("over the radio {:?} after the network died", cut.elapsed());

    open.send(true).unwrap();
    let back = Instant::now();
    one.until_over(&both).await;
    one.width(other_key, Width::Broad).await;
    let before = one.over().await;
    assert!(one.mesh.send(other_key, Bytes::from_static(b"over the network again")));
    other.message("over the network again").await;
    println!("over the network {:?} after it returned", back.elapsed());
    let after = one.over().await;
    assert_eq!((after[0].1, after[1].1), (before[0].1 + 1, before[1].1), "{after:?}");
    assert!(other.mesh.send(one_key, Bytes::from_static(b"and back")));
    one.message("and back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_another_event_are_not_even_dialled() {
    let [a, b, c] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, b, c], &[(a, b), (a, c), (b, c)]).unwrap();
    let mut one = start(1, a, 9, false, &[]).await;
    let stranger = start(2, b, 8, false, &[]).await;
    let friend = start(3, c, 9, false, &[]).await;
    one.link(friend.key()).await;
    let ble = stranger.mesh.snapshot().await.ble.expect("it has a radio");
    assert_eq!((ble.counters.accepted, ble.counters.accepts_failed, ble.in_range), (0, 0, 0));
    assert_eq!(one.over().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_range_and_does_not_answer_is_let_go() {
    let [a, b] = free_ports().unwrap();
    let _controllers = Controllers::start(&[a, b], &[(a, b)]).unwrap();
    let mut one = start(1, a, 9, false, &[]).await;
    // The other's program hangs, while its Bluetooth host goes on by itself.
    let (linked, is_linked) = tokio::sync::oneshot::channel();
    let (hang_up, hung_up) = std::sync::mpsc::channel::<()>();
    let hangs = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut other = start(2, b, 9, false, &[]).await;
            let link = |event| matches!(event, MeshEvent::LinkUp { .. }).then_some(());
            other.event("link", link).await;
            linked.send(()).unwrap();
            // Until the test is over, in the only thread of this runtime.
            let _ = hung_up.recv();
        });
    });
    timeout(DEADLINE, is_linked).await.expect("in time").expect("it is linked");
    let since = Instant::now();
    one.event("end of the link", |event| matches!(event, MeshEvent::LinkDown { .. }).then_some(())).await;
    println!("let go {:?} after it fell silent", since.elapsed());
    assert_eq!(one.mesh.snapshot().await.counters.silent_closed, 1);
    drop(hang_up);
    hangs.join().unwrap();
}
