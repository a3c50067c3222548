//! Several meshes in one process, on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::{
    future::Future,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use libp2p::identity::{Keypair, ed25519};
use popmesh::mesh::{
    Admit, DeviceKey, Listen, Membership, MembershipKey, Mesh, MeshConfig, MeshError, MeshEvent,
    MeshSnapshot, Multiaddr, PeerStatus, Transport, Unfit, Verdict,
};
use tokio::{net::UdpSocket, sync::mpsc, task::spawn_blocking, time::timeout};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(30);

/// Messages of one link that are read and not yet dealt with, at most.
const UNTAKEN: usize = 16;

struct Node {
    mesh: Mesh,
    events: mpsc::Receiver<MeshEvent>,
}

#[derive(Clone)]
struct Setup {
    event: [u8; 32],
    tcp: bool,
    quic: bool,
    mdns: bool,
    membership: Membership,
    over: Arc<AtomicBool>,
}

static EVENTS: AtomicU8 = AtomicU8::new(1);

impl Setup {
    /// An event of its own for each test, also between test processes.
    fn new() -> Self {
        let mut event = [0; 32];
        event[..4].copy_from_slice(&std::process::id().to_be_bytes());
        event[4] = EVENTS.fetch_add(1, Ordering::Relaxed);
        let membership = Membership::new(vec![event.into()]);
        Self { event, tcp: true, quic: true, mdns: false, membership, over: Arc::default() }
    }

    fn tcp_only(self) -> Self {
        Self { quic: false, ..self }
    }

    fn quic_only(self) -> Self {
        Self { tcp: false, ..self }
    }

    fn with_mdns(self) -> Self {
        Self { mdns: true, ..self }
    }

    /// The same event, for a device that knows the keys of these epochs, newest first.
    fn with_epochs(&self, epochs: &[u8]) -> Self {
        Self { membership: Membership::new(self.keys_of(epochs)), ..self.clone() }
    }

    fn keys_of(&self, epochs: &[u8]) -> Vec<MembershipKey> {
        let key = |epoch: &u8| {
            let mut key = self.event;
            key[31] = *epoch;
            key.into()
        };
        epochs.iter().map(key).collect()
    }

    async fn start(&self, seed: u8, peers: &[Multiaddr]) -> Node {
        self.start_with(seed, peers, certificate(seed)).await.unwrap()
    }

    async fn start_with(
        &self,
        seed: u8,
        peers: &[Multiaddr],
        certificate: Vec<u8>,
    ) -> Result<Node, MeshError> {
        let (mesh, events) = Mesh::start(MeshConfig {
            secret: [seed; 32].into(),
            event: self.event,
            membership: self.membership.clone(),
            certificate,
            admit: admit(Arc::clone(&self.over)),
            listen: Listen { interfaces: Some(vec!["lo".into()]), port: 0, tcp: self.tcp, quic: self.quic },
            peers: peers.to_vec(),
            mdns: self.mdns,
            ble: None,
        })
        .await?;
        Ok(Node { mesh, events })
    }
}

/// A certificate is good if it is "good" and the key, unless it is that of [`SHORT_LIVED`] and `over`.
fn admit(over: Arc<AtomicBool>) -> Admit {
    Arc::new(move |key, certificate| match certificate.strip_prefix(b"good") {
        _ if *key == self::key(RETIRED) => Err(Unfit::Retired),
        Some(named) if !named.starts_with(key) => Err("it is for another device".into()),
        Some(named) if named.starts_with(&self::key(SHORT_LIVED)) && over.load(Ordering::Relaxed) => {
            Err("it is over".into())
        }
        Some(_) => Ok(()),
        None if certificate == RENEWED => Ok(()),
        None => Err("it is not good".into()),
    })
}

const SHORT_LIVED: u8 = 9;
const RETIRED: u8 = 10;
const RENEWED: &[u8] = b"renewed";

fn key(seed: u8) -> DeviceKey {
    let secret = ed25519::SecretKey::try_from_bytes([seed; 32]).unwrap();
    Keypair::from(ed25519::Keypair::from(secret)).public().try_into_ed25519().unwrap().to_bytes()
}

fn certificate(seed: u8) -> Vec<u8> {
    [b"good", &key(seed)[..]].concat()
}

impl Node {
    fn key(&self) -> DeviceKey {
        self.mesh.device()
    }

    async fn address(&self, transport: &str) -> Multiaddr {
        until("an address to listen on", || async {
            let listen = self.mesh.snapshot().await.listen;
            listen.into_iter().find(|address| {
                let text = address.to_string();
                text.contains("127.0.0.1") && text.contains(transport)
            })
        })
        .await
    }

    /// The next event that the filter takes; the others are passed over, gossip being accepted on the way.
    async fn event<T>(&mut self, what: &str, mut filter: impl FnMut(&MeshEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the mesh runs");
                if let MeshEvent::Gossip { token, .. } = &event {
                    self.mesh.judge(*token, Verdict::Accept);
                }
                if let Some(found) = filter(&event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    async fn link_up(&mut self, other: DeviceKey) {
        self.event("link", |event| {
            matches!(event, MeshEvent::LinkUp { device, .. } if *device == other).then_some(())
        })
        .await;
    }

    async fn link_down(&mut self, other: DeviceKey) {
        self.event("end of the link", |event| {
            (*event == MeshEvent::LinkDown { device: other }).then_some(())
        })
        .await;
    }

    async fn message(&mut self, from: DeviceKey) -> Bytes {
        self.event("message", |event| match event {
            MeshEvent::Message { from: sender, bytes, .. } if *sender == from => Some(bytes.clone()),
            _ => None,
        })
        .await
    }

    async fn gossip(&mut self, wanted: &[u8]) {
        self.event("gossip", |event| match event {
            MeshEvent::Gossip { bytes, .. } if bytes == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    fn no_event(&mut self) {
        if let Ok(event) = self.events.try_recv() {
            panic!("an event where there must be none: {event:?}");
        }
    }
}

/// Asks again and again until there is an answer.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Gossips until the other has heard: the first tries may come before the subscriptions have been exchanged.
async fn gossip_reaches(from: &Node, to: &mut Node, what: &str) {
    let mut round = 0;
    let wait = async {
        loop {
            round += 1;
            let text = format!("{what} {round}");
            from.mesh.publish(Bytes::from(text.clone()));
            if timeout(Duration::from_millis(300), to.gossip(text.as_bytes())).await.is_ok() {
                return;
            }
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("gossip never arrives: {what}"));
}

async fn two_meet_and_talk(setup: Setup, transport: Transport) {
    let mut a = setup.start(1, &[]).await;
    let mut b = setup.start(2, &[]).await;
    a.link_up(b.key()).await;
    b.link_up(a.key()).await;

    for (from, to) in [(&a, &b), (&b, &a)] {
        for number in 0..100_u32 {
            assert!(from.mesh.send(to.key(), Bytes::copy_from_slice(&number.to_be_bytes())));
        }
        assert!(from.mesh.send(to.key(), vec![7; popmesh::mesh::MESSAGE_BYTES_MAX].into()));
        assert!(!from.mesh.send(to.key(), vec![7; popmesh::mesh::MESSAGE_BYTES_MAX + 1].into()));
    }
    for number in 0..100_u32 {
        assert_eq!(a.message(b.key()).await, number.to_be_bytes()[..], "in order");
        assert_eq!(b.message(a.key()).await, number.to_be_bytes()[..], "in order");
    }
    assert_eq!(a.message(b.key()).await.len(), popmesh::mesh::MESSAGE_BYTES_MAX);
    assert_eq!(b.message(a.key()).await.len(), popmesh::mesh::MESSAGE_BYTES_MAX);
    gossip_reaches(&a, &mut b, "there").await;
    gossip_reaches(&b, &mut a, "and back").await;
    let large = vec![9; 200 * 1024];
    a.mesh.publish(large.clone().into());
    b.gossip(&large).await;

    for node in [&a, &b] {
        // That a message is out is counted after the other end may already have it, and who is wanted is chosen anew with
        // the next look at the peers.
        let snapshot = until("a measured round trip, all messages counted, a wanted peer", || async {
            Some(node.mesh.snapshot().await).filter(|snapshot| {
                snapshot.links.len() == 1
                    && snapshot.links[0].rtt.is_some()
                    && snapshot.links[0].messages_sent >= 101
                    && snapshot.peers[0].wanted
            })
        })
        .await;
        assert_eq!(snapshot.links[0].transport, transport);
        assert_eq!(snapshot.links[0].messages_sent, 101);
        assert_eq!(snapshot.links[0].messages_received, 101);
        assert_eq!(snapshot.peers[0].status, PeerStatus::Linked);
    }
    a.mesh.stop().await;
    b.link_down(key(1)).await;
    b.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_find_each_other_and_talk_over_tcp() {
    two_meet_and_talk(Setup::new().with_mdns().tcp_only(), Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_find_each_other_and_talk_over_quic() {
    two_meet_and_talk(Setup::new().with_mdns().quic_only(), Transport::Quic).await;
}

/// One that was away knows older keys alone. What it announces is read all the same, whoever has the lower key; and once it
/// knows the newest, it announces itself under that, to who knows no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_an_older_key_is_found_and_announces_itself_under_the_new_one() {
    let setup = Setup::new().with_mdns();
    let away = setup.with_epochs(&[1]);
    let mut first = setup.with_epochs(&[2, 1]).start(1, &[]).await;
    let mut second = setup.with_epochs(&[2, 1]).start(2, &[]).await;
    let returned = away.start(3, &[]).await;
    first.link_up(returned.key()).await;
    second.link_up(returned.key()).await;
    first.mesh.stop().await;
    second.mesh.stop().await;
    let mut fresh = setup.with_epochs(&[2]).start(4, &[]).await;
    fresh.no_event();
    away.membership.set(setup.keys_of(&[2, 1]));
    fresh.link_up(returned.key()).await;
}

/// What it announces of itself still fits into one packet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_the_largest_certificate_is_found() {
    let setup = Setup::new().with_mdns();
    let large = |seed: u8| [certificate(seed), vec![0; 1_024 - 36]].concat();
    let mut first = setup.start_with(1, &[], large(1)).await.unwrap();
    let second = setup.start_with(2, &[], large(2)).await.unwrap();
    first.link_up(second.key()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_dialled_by_the_name_of_its_host() {
    for (protocol, transport) in [("tcp", Transport::Tcp), ("udp", Transport::Quic)] {
        let setup = Setup::new();
        let mut a = setup.start(1, &[]).await;
        let at = a.address(protocol).await.to_string();
        let by_name = at.replace("/ip4/127.0.0.1/", "/dns4/localhost/").parse().unwrap();
        let mut b = setup.start(2, &[by_name]).await;
        a.link_up(key(2)).await;
        b.link_up(key(1)).await;
        assert_eq!(b.mesh.snapshot().await.links[0].transport, transport);
    }
}

async fn refused(setup: Setup, transport: &str, wrong: Vec<u8>, reason: &str) {
    let mut honest = setup.start(1, &[]).await;
    let at = honest.address(transport).await;
    let mut stranger = setup.start_with(2, &[at], wrong).await.unwrap();
    let told = |snapshot: MeshSnapshot, by_peer: bool| {
        snapshot.refusals.into_iter().find(|refusal| refusal.by_peer == by_peer)
    };
    let seen_here = until("refused", || async { told(honest.mesh.snapshot().await, false) }).await;
    assert_eq!((seen_here.device, seen_here.reason.as_str()), (stranger.key(), reason));
    let seen_there = until("told why", || async { told(stranger.mesh.snapshot().await, true) }).await;
    assert_eq!((seen_there.device, seen_there.reason.as_str()), (honest.key(), reason));

    assert!(!stranger.mesh.send(honest.key(), Bytes::from_static(b"let me in")));
    stranger.mesh.publish(Bytes::from_static(b"hear me"));
    // What was sent has had its time when the stranger has come back and was turned away again.
    until("refused again", || async {
        let again = honest.mesh.snapshot().await.counters.refused_by_us >= 3
            && stranger.mesh.snapshot().await.counters.refused_by_peer >= 3;
        again.then_some(())
    })
    .await;
    honest.no_event();
    stranger.no_event();
    assert!(honest.mesh.snapshot().await.links.is_empty());
    assert_eq!(honest.mesh.snapshot().await.counters.links_up, 0);
    assert_eq!(stranger.mesh.snapshot().await.counters.links_up, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_certificate_is_refused_over_tcp() {
    refused(Setup::new(), "tcp", b"bad".to_vec(), "it is not good").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_certificate_is_refused_over_quic() {
    refused(Setup::new(), "quic", b"bad".to_vec(), "it is not good").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_another_device_is_refused() {
    refused(Setup::new(), "tcp", certificate(3), "it is for another device").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_another_event_is_refused() {
    let mut here = Setup::new().start(1, &[]).await;
    let at = here.address("tcp").await;
    let mut there = Setup::new().start(2, &[at]).await;
    // To each other they are strangers, who take nobody's place.
    let strangers = |snapshot: &MeshSnapshot| {
        snapshot.refusals.is_empty()
            && snapshot.counters.strangers_called + snapshot.counters.strangers_answered > 0
    };
    for node in [&here, &there] {
        until("turned away", || async { strangers(&node.mesh.snapshot().await).then_some(()) }).await;
    }
    here.no_event();
    there.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_device_gets_no_link_and_no_reason() {
    let setup = Setup::new();
    let mut here = setup.start(1, &[]).await;
    let at = here.address("tcp").await;
    let mut retired = setup.start(RETIRED, &[at]).await;
    let here_knows = until("refused", || async { here.mesh.snapshot().await.refusals.pop() }).await;
    assert_eq!((here_knows.device, here_knows.reason.as_str()), (retired.key(), "it was retired"));
    let told = until("turned away", || async { retired.mesh.snapshot().await.refusals.pop() }).await;
    assert!(told.by_peer && told.reason.contains("does not say why"), "{}", told.reason);
    here.no_event();
    retired.no_event();
}

/// Whichever of the two dials, and whichever has the lower key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_with_an_epoch_in_common_link_and_others_do_not() {
    for (listener, dialler) in [(1, 2), (2, 1)] {
        for (listens, dials) in [(&[4, 3, 2, 1][..], &[2, 1][..]), (&[1], &[12, 11, 10, 9, 8, 7, 6, 5, 4, 1])]
        {
            let setup = Setup::new();
            let mut a = setup.with_epochs(listens).start(listener, &[]).await;
            let at = [a.address("tcp").await];
            let mut b = setup.with_epochs(dials).start(dialler, &at).await;
            a.link_up(b.key()).await;
            b.link_up(a.key()).await;
        }
        let setup = Setup::new();
        let a = setup.with_epochs(&[3]).start(listener, &[]).await;
        let at = [a.address("tcp").await];
        let b = setup.with_epochs(&[4]).start(dialler, &at).await;
        until("turned away", || async {
            (b.mesh.snapshot().await.counters.strangers_answered > 0).then_some(())
        })
        .await;
        assert_eq!(a.mesh.snapshot().await.counters.links_up, 0);
    }
}

async fn ends_while_linked(setup: Setup) {
    let mut a = setup.start(1, &[]).await;
    let at = [a.address("").await];
    let mut b = setup.start(2, &at).await;
    let mut guest = setup.start(SHORT_LIVED, &at).await;
    a.event_set([b.key(), guest.key()]).await;
    b.link_up(a.key()).await;
    guest.link_up(a.key()).await;

    setup.over.store(true, Ordering::Relaxed);
    a.link_down(guest.key()).await;
    guest.link_down(a.key()).await;
    assert!(!a.mesh.send(guest.key(), Bytes::from_static(b"goodbye")));
    until("told why", || async {
        let refusals = guest.mesh.snapshot().await.refusals;
        refusals.into_iter().find(|refusal| refusal.by_peer && refusal.reason == "it is over")
    })
    .await;
    assert!(a.mesh.send(b.key(), Bytes::from_static(b"still here")));
    assert_eq!(b.message(a.key()).await, "still here");

    guest.mesh.set_certificate(RENEWED.to_vec()).unwrap();
    a.link_up(guest.key()).await;
    guest.link_up(a.key()).await;
    gossip_reaches(&guest, &mut a, "with a new one").await;
    assert_eq!(a.mesh.snapshot().await.counters.links_down, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_ends_the_link_over_tcp() {
    ends_while_linked(Setup::new().tcp_only()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_ends_the_link_over_quic() {
    ends_while_linked(Setup::new().quic_only()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_a_certificate_is_an_error_at_the_start() {
    let result = Setup::new().start_with(1, &[], vec![0; 5_000]).await;
    assert!(matches!(result, Err(MeshError::CertificateTooLarge)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_on_the_port_does_nothing() {
    let setup = Setup::new();
    let mut a = setup.start(1, &[]).await;
    let at = a.address("tcp").await;
    let port = at.to_string().rsplit('/').next().unwrap().parse::<u16>().unwrap();
    let noise: Vec<u8> =
        (0..4_096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let shouted = noise.clone();
    let hung_up = spawn_blocking(move || {
        // All at once: noise that looks like the beginning of something long is waited for until the handshake's end.
        let shout = |round| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // The other end may hang up in the middle of it.
            let _ = stream.write_all(&shouted[round..]);
            stream
        };
        let shouting: Vec<_> = (0..20).map(shout).collect();
        for mut stream in shouting {
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for round in 0..50 {
        udp.send_to(&noise[round..round + 1_200], ("127.0.0.1", port)).await.unwrap();
    }
    timeout(DEADLINE, hung_up).await.expect("it hangs up").unwrap();
    until("counted", || async { (a.mesh.snapshot().await.counters.inbound_failed >= 10).then_some(()) })
        .await;
    a.no_event();
    let mut b = setup.start(2, &[at]).await;
    a.link_up(b.key()).await;
    b.link_up(a.key()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_device_is_missed_and_other_links_stay() {
    let setup = Setup::new().with_mdns();
    let mut a = setup.start(1, &[]).await;
    let mut b = setup.start(2, &[]).await;
    let c = setup.start(3, &[]).await;
    let (key_a, key_b, key_c) = (a.key(), b.key(), c.key());
    a.event_set([key_b, key_c]).await;
    b.event_set([key_a, key_c]).await;
    c.mesh.stop().await;
    a.link_down(key_c).await;
    b.link_down(key_c).await;
    assert!(!a.mesh.send(key_c, Bytes::from_static(b"nobody")));
    assert!(a.mesh.send(key_b, Bytes::from_static(b"still here")));
    assert_eq!(b.message(key_a).await, "still here");
    assert_eq!(a.mesh.snapshot().await.counters.links_down, 1);
}

impl Node {
    async fn event_set(&mut self, mut others: [DeviceKey; 2]) {
        let mut seen = Vec::new();
        others.sort_unstable();
        self.event("both links", |event| {
            if let MeshEvent::LinkUp { device, .. } = event {
                seen.push(*device);
                seen.sort_unstable();
            }
            (seen == others).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_device_is_back_with_gossip_both_ways() {
    let setup = Setup::new().with_mdns();
    let mut a = setup.start(1, &[]).await;
    for round in 0..3 {
        let mut b = setup.start(2, &[]).await;
        a.link_up(b.key()).await;
        b.link_up(a.key()).await;
        gossip_reaches(&a, &mut b, &format!("to the restarted {round}")).await;
        gossip_reaches(&b, &mut a, &format!("from the restarted {round}")).await;
        if round == 0 {
            b.mesh.stop().await;
        } else {
            drop(b);
        }
        a.link_down(key(2)).await;
    }
}

/// The peer comes back before its old connection was noticed to be dead: here, it still is alive.
async fn replaced(staying: u8, returning: u8) {
    let setup = Setup::new();
    let mut old = setup.start(returning, &[]).await;
    // It was dialled, so it does not come back by itself.
    let mut a = setup.start(staying, &[old.address("tcp").await]).await;
    a.link_up(old.key()).await;
    old.link_up(a.key()).await;
    gossip_reaches(&a, &mut old, "to the old one").await;

    let mut new = setup.start(returning, &[a.address("tcp").await]).await;
    new.link_up(a.key()).await;
    a.link_down(new.key()).await;
    a.link_up(new.key()).await;
    old.link_down(a.key()).await;
    gossip_reaches(&a, &mut new, "to the new one").await;
    gossip_reaches(&new, &mut a, "from the new one").await;
    a.mesh.send(new.key(), Bytes::from_static(b"welcome back"));
    assert_eq!(new.message(a.key()).await, "welcome back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_run_of_a_peer_replaces_the_link_of_the_old_one() {
    replaced(1, 2).await;
    replaced(2, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_does_not_listen_holds_up_nobody() {
    let setup = Setup::new();
    let mut a = setup.start(1, &[]).await;
    let at = [a.address("tcp").await];
    let deaf = setup.start(2, &at).await;
    let mut c = setup.start(3, &at).await;
    a.event_set([deaf.key(), c.key()]).await;

    until("the deaf one's outbox is full", || async {
        (0..100).any(|_| !a.mesh.send(deaf.key(), vec![1; 100_000].into())).then_some(())
    })
    .await;
    for number in 0..1_000_u32 {
        until("room in the outbox", || async {
            a.mesh.send(c.key(), Bytes::copy_from_slice(&number.to_be_bytes())).then_some(())
        })
        .await;
        if number % 100 == 99 {
            let mut seen = 0;
            while seen < 100 {
                c.message(a.key()).await;
                seen += 1;
            }
        }
    }
    gossip_reaches(&a, &mut c, "past the deaf one").await;
    let snapshot = a.mesh.snapshot().await;
    assert!(snapshot.counters.dropped_overflow > 0);
    assert_eq!(snapshot.links.len(), 2, "being slow is no reason to lose a link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_dealt_with_is_not_read_on() {
    let setup = Setup::new();
    let mut a = setup.start(1, &[]).await;
    let at = [a.address("tcp").await];
    let mut b = setup.start(2, &at).await;
    a.link_up(b.key()).await;
    b.link_up(a.key()).await;
    let all = 40_u32;
    for number in 0..all {
        assert!(a.mesh.send(b.key(), Bytes::copy_from_slice(&number.to_be_bytes())));
    }
    let mut held = Vec::new();
    let mut next = 0;
    while next < all {
        // Nothing tells that nothing comes; a second is a thousand times what a message takes here.
        let patience = if held.len() < UNTAKEN { DEADLINE } else { Duration::from_secs(1) };
        match timeout(patience, b.events.recv()).await {
            Ok(Some(MeshEvent::Message { bytes, taken, .. })) => {
                assert_eq!(bytes[..], next.to_be_bytes());
                next += 1;
                held.push(taken);
                assert!(held.len() <= UNTAKEN, "read on while {UNTAKEN} are not dealt with");
            }
            Ok(Some(_)) => {}
            Ok(None) => panic!("the mesh has ended"),
            Err(_) => {
                assert_eq!(held.len(), UNTAKEN, "held up early");
                held.clear();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_goes_on_only_when_it_was_accepted() {
    let setup = Setup::new();
    let mut middle = setup.start(2, &[]).await;
    let at = [middle.address("tcp").await];
    let mut left = setup.start(1, &at).await;
    let mut right = setup.start(3, &at).await;
    middle.event_set([left.key(), right.key()]).await;
    left.link_up(middle.key()).await;
    right.link_up(middle.key()).await;
    gossip_reaches(&middle, &mut left, "ready").await;
    gossip_reaches(&middle, &mut right, "ready").await;

    for (text, verdict) in [
        ("good", Verdict::Accept),
        ("dull", Verdict::Ignore),
        ("bad", Verdict::Reject),
        ("better", Verdict::Accept),
    ] {
        left.mesh.publish(Bytes::from(text));
        let token = middle.gossip_unjudged(text.as_bytes()).await;
        hears_nothing_of(text, &middle, &mut right, "before the verdict").await;
        middle.mesh.judge(token, verdict);
        if verdict == Verdict::Accept {
            right.gossip(text.as_bytes()).await;
        } else {
            hears_nothing_of(text, &middle, &mut right, "after the verdict").await;
        }
    }
}

/// What `from` had gone on with would have reached `to` before the second of two later messages: a device's own messages
/// may overtake those that it passes on, but not while it has nothing else to send.
async fn hears_nothing_of(text: &str, from: &Node, to: &mut Node, when: &str) {
    for round in 0..2 {
        let later = format!("later than {text}, {when}, {round}");
        from.mesh.publish(Bytes::from(later.clone()));
        to.event(&later, |event| match event {
            MeshEvent::Gossip { bytes, .. } => {
                assert!(bytes != text.as_bytes(), "{text} must not go on {when}");
                (bytes == later.as_bytes()).then_some(())
            }
            _ => None,
        })
        .await;
    }
}

impl Node {
    async fn gossip_unjudged(&mut self, wanted: &[u8]) -> u64 {
        let wait = async {
            loop {
                match self.events.recv().await.expect("the mesh runs") {
                    MeshEvent::Gossip { bytes, token, .. } if bytes == wanted => return token,
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, wait).await.expect("gossip")
    }
}
