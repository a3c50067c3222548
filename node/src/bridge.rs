//! Between the mesh and the rest of the node: neither knows the other.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use popmesh_proto::fact::{Fact, Signal};
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::{Barred, GossipToken, Verdict};
use popmesh_proto::query::{Answer, Query};
use tokio::sync::{broadcast, mpsc};

use crate::api::{self, BleStatus, Direction, Discovered, MeshLink, MeshView, Stranger, Strangers};
use crate::clock::unix_ms;
use crate::mesh::{self, Mesh, MeshEvent, PeerStatus, Strange, Transport};
use crate::runtime::{self, CallError, Guard, Handle, Happening, Inbound, Links};
use crate::shut_out::ShutOut;

/// The runtime's way out: a mesh.
pub(crate) struct MeshLinks(pub(crate) Arc<Mesh>, pub(crate) ShutOut);

impl Links for MeshLinks {
    fn send(&self, to: DeviceId, bytes: Vec<u8>) {
        // The mesh counts what it drops; the device asks again for what it misses.
        let _ = self.0.send(to.0, bytes.into());
    }

    fn publish(&self, bytes: Vec<u8>) {
        self.0.publish(bytes.into());
    }

    fn judge(&self, token: GossipToken, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Accept => mesh::Verdict::Accept,
            Verdict::Ignore => mesh::Verdict::Ignore,
            Verdict::Reject => mesh::Verdict::Reject,
        };
        self.0.judge(token, verdict);
    }

    fn cut_off(&self, peer: DeviceId, for_ms: u64) {
        self.0.cut_off(peer.0, Duration::from_millis(for_ms));
    }

    fn bar(&self, barred: &Barred) {
        let keys = |devices: &[DeviceId]| devices.iter().map(|device| device.0).collect();
        self.1.set(barred.shut.iter().copied());
        self.0.bar(keys(&barred.quiet), keys(&barred.shut));
    }

    fn probe(&self, peer: DeviceId) {
        self.0.probe(peer.0);
    }
}

/// Hands the mesh's events to the runtime until either ends. It never waits for the runtime: what each peer may have waiting
/// there is bounded, and no peer waits behind another.
pub(crate) async fn deliver(mesh: Arc<Mesh>, mut events: mpsc::Receiver<MeshEvent>, inbound: Inbound) {
    while let Some(event) = events.recv().await {
        let put = match event {
            MeshEvent::LinkUp { device, width } => {
                inbound.put(runtime::MeshEvent::LinkUp { peer: DeviceId(device), width }, Guard::none())
            }
            MeshEvent::LinkWidth { device, width } => {
                inbound.put(runtime::MeshEvent::LinkWidth { peer: DeviceId(device), width }, Guard::none())
            }
            MeshEvent::LinkDown { device } => {
                inbound.put(runtime::MeshEvent::LinkDown { peer: DeviceId(device) }, Guard::none())
            }
            MeshEvent::Message { from, bytes, taken } => {
                let event = runtime::MeshEvent::Message { from: DeviceId(from), bytes: bytes.into() };
                inbound.put(event, Guard::of(taken))
            }
            MeshEvent::Gossip { from, bytes, token } => {
                let event = runtime::MeshEvent::Gossip { from: DeviceId(from), bytes: bytes.into(), token };
                let put = inbound.put(event, Guard::none());
                if put == Err(CallError::Busy) {
                    mesh.judge(token, mesh::Verdict::Ignore);
                }
                put
            }
        };
        if put == Err(CallError::Stopping) {
            return;
        }
    }
}

/// Tells the mesh of all devices of the event, whenever there may be another.
pub(crate) async fn tell_known(mesh: Arc<Mesh>, handle: Handle) {
    let mut happenings = handle.happenings();
    loop {
        if let Ok(Answer::Devices(devices)) = handle.query(Query::Devices).await {
            let known = devices.into_iter().filter(|info| info.retired_by.is_none());
            mesh.set_known(known.map(|info| info.device.0).collect());
        }
        loop {
            match happenings.recv().await {
                Ok(Happening::Signal(Signal::Reachable { .. })) => break,
                Ok(Happening::Facts(facts)) if facts.iter().any(is_retirement) => break,
                Err(broadcast::error::RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

fn is_retirement(fact: &Fact) -> bool {
    matches!(fact, Fact::Retired { .. })
}

/// The API's look at a mesh.
pub(crate) struct MeshWindow(pub(crate) Arc<Mesh>);

impl MeshView for MeshWindow {
    fn snapshot(&self) -> BoxFuture<'_, Option<api::MeshSnapshot>> {
        Box::pin(async {
            let snapshot = self.0.snapshot().await;
            Some(api::MeshSnapshot {
                listening: snapshot.listen.iter().map(ToString::to_string).collect(),
                links_on: self.0.links_on(),
                links: snapshot.links.iter().map(link).collect(),
                discovered: snapshot.peers.iter().map(discovered).collect(),
                strangers: strangers(&snapshot.strangers),
                addresses_dialled: snapshot.counters.addresses_dialled,
                ble: snapshot.ble.as_ref().map(ble),
            })
        })
    }

    fn set_links(&self, on: bool) -> BoxFuture<'_, ()> {
        Box::pin(self.0.set_links(on))
    }
}

fn link(link: &mesh::LinkSnapshot) -> MeshLink {
    MeshLink {
        device: DeviceId(link.device),
        addresses: vec![link.address.to_string()],
        transport: match link.transport {
            Transport::Tcp => "tcp".to_owned(),
            Transport::Quic => "quic".to_owned(),
            Transport::Ble => "ble".to_owned(),
        },
        since_ms: unix_ms(link.since),
        rssi_dbm: link.rssi,
        rtt_ms: link.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        direction: if link.dialled { Direction::Outbound } else { Direction::Inbound },
        bytes_in: link.bytes_received,
        bytes_out: link.bytes_sent,
        dropped: link.messages_dropped,
    }
}

fn ble(ble: &mesh::BleSnapshot) -> BleStatus {
    let counters = &ble.counters;
    BleStatus {
        is_up: ble.is_up,
        in_range: ble.in_range as u64,
        links: counters.links,
        let_go: ble.let_go,
        hci_bytes_in: counters.hci_bytes_in,
        hci_bytes_out: counters.hci_bytes_out,
        link_bytes_in: counters.link_bytes_in,
        link_bytes_out: counters.link_bytes_out,
        failures: counters.dials_failed + counters.accepts_failed + counters.stalled + counters.malformed,
        adapter_failures: counters.adapter_failed,
    }
}

fn strangers(heard: &mesh::StrangersSnapshot) -> Strangers {
    let last = heard.last.iter().map(|stranger| Stranger {
        name: stranger.name.clone(),
        address: stranger.address.map(|address| address.to_string()),
        why: match &stranger.why {
            Strange::Sealed => "it is not of this event".to_owned(),
            Strange::Unfit(reason) => format!("it has the event's secret, and no good certificate: {reason}"),
        },
        heard_ago_ms: u64::try_from(stranger.heard_ago.as_millis()).unwrap_or(u64::MAX),
    });
    Strangers { lately: heard.lately as u64, total: heard.total, last: last.collect() }
}

fn discovered(peer: &mesh::PeerSnapshot) -> Discovered {
    let state = match &peer.status {
        PeerStatus::Linked => "linked".to_owned(),
        PeerStatus::Dialling => "being dialled".to_owned(),
        PeerStatus::BackingOff { remaining } => {
            format!("does not answer; dialled again in {:.1} s", remaining.as_secs_f64())
        }
        PeerStatus::CutOff { remaining } => {
            format!("cut off for what it sent, for {:.0} s more", remaining.as_secs_f64().ceil())
        }
        PeerStatus::Refused { reason } => format!("refused: {reason}"),
    };
    Discovered {
        device: DeviceId(peer.device),
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        state,
    }
}
