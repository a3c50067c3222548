//! A stranger over the radio: it knows how devices call themselves on the air, which it would need the event's key for, and
//! has no key of the mesh. What it can read is one byte.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt},
        transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent},
        upgrade::Version,
    },
    identity::Keypair,
    noise, yamux,
};
use popmesh::mesh::{BLE_PING_EVERY, BleConfig, Listen, Membership, Mesh, MeshConfig, MeshEvent};
use popmesh_ble::{
    Ble, BleEvent, BleStream, ShortId,
    testing::{Controllers, adapter, free_ports},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
const ON_THE_AIR: [u8; 32] = [9; 32];

/// The radio of a stranger, as far as libp2p wants to know.
struct Dials {
    ble: Ble,
    whom: ShortId,
}

impl Transport for Dials {
    type Output = BleStream;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<BleStream>>;
    type Dial = BoxFuture<'static, io::Result<BleStream>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, _: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let (ble, whom) = (self.ble.clone(), self.whom);
        Ok(async move { ble.dial(whom).await.map_err(io::Error::other) }.boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

async fn start(seed: u8, radio: u16) -> (Mesh, mpsc::Receiver<MeshEvent>) {
    Mesh::start(MeshConfig {
        secret: [seed; 32].into(),
        event: [7; 32],
        membership: Membership::new(vec![[3; 32].into()]),
        certificate: b"the certificate of a till".to_vec(),
        admit: Arc::new(|_, _| Ok(())),
        listen: Listen { interfaces: None, port: 0, tcp: false, quic: false },
        peers: Vec::new(),
        mdns: false,
        ble: Some(BleConfig {
            adapter: adapter(radio),
            keys: vec![ON_THE_AIR.into()],
            links_max: 4,
            ping_every: BLE_PING_EVERY,
        }),
    })
    .await
    .unwrap()
}

async fn drive<T>(muxer: &mut StreamMuxerBox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        while let Poll::Ready(Ok(_)) = muxer.poll_unpin(cx) {}
        work.as_mut().poll(cx)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_calls_over_the_radio_reads_one_byte() {
    let [here, there, other] = free_ports().unwrap();
    let _controllers = Controllers::start(&[here, there, other], &[(here, there), (here, other)]).unwrap();
    let (device, _events) = start(1, here).await;
    // The lowest there is, so that the device leaves it to this one to dial.
    let (ble, mut events) = Ble::start(popmesh_ble::BleConfig {
        adapter: adapter(there),
        keys: vec![ON_THE_AIR.into()],
        id: ShortId([0; 4]),
        links_max: 4,
        address_for: Duration::from_secs(900),
    })
    .unwrap();
    let sighted = async {
        loop {
            match events.recv().await.expect("the radio works") {
                BleEvent::Sighted { id, .. } => return id,
                BleEvent::Incoming(_) => {}
            }
        }
    };
    let whom = timeout(DEADLINE, sighted).await.expect("it is heard");
    let keypair = Keypair::ed25519_from_bytes([0x5a; 32]).unwrap();
    let mut transport = Dials { ble, whom }
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dial = transport.dial("/unix/ble-00000000".parse().unwrap(), options).unwrap();
    let (_, mut muxer) = timeout(DEADLINE, dial).await.expect("in time").expect("a handshake with any key");
    let mut stream = poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap();
    let said = Instant::now();
    let mut read = Vec::new();
    let talk = async {
        stream.write_all(&[7; 200]).await.unwrap();
        stream.flush().await.unwrap();
        let mut bytes = [0; 256];
        while let Ok(more @ 1..) = stream.read(&mut bytes).await {
            read.extend_from_slice(&bytes[..more]);
        }
    };
    timeout(DEADLINE, drive(&mut muxer, talk)).await.expect("it hangs up");
    println!("{} bytes {read:02x?} within {:?}", read.len(), said.elapsed());
    assert_eq!(read, [0]);
    let counted = async {
        loop {
            let snapshot = device.snapshot().await;
            if snapshot.counters.strangers_called > 0 {
                return snapshot;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let snapshot = timeout(DEADLINE, counted).await.expect("it is counted");
    assert_eq!((snapshot.links.len(), snapshot.counters.links_up), (0, 0));
    assert!(snapshot.refusals.is_empty());

    // A device of the event gets in all the same.
    let (friend, _events) = start(2, other).await;
    let linked = async {
        while friend.snapshot().await.links.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, linked).await.expect("a link");
}
