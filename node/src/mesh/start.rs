//! Puts a mesh together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use libp2p::{
    Swarm,
    core::{transport::ListenerId, upgrade::Version},
    identity::Keypair,
    swarm,
};
use popmesh_ble::Ble;
use tokio::sync::mpsc;

use super::{
    BleConfig, CONTROL_QUEUE_MAX, DeviceKey, Listen, Mesh, MeshConfig, MeshError, MeshEvent,
    barred::Barred,
    behaviour::{self, Behaviour},
    discovery::{self, Discovery},
    gate::{Gate, hello::CERTIFICATE_BYTES_MAX},
    identity::device_of,
    interfaces::{self, multiaddr},
    medium,
    nearby::Sighting,
    outbox::Outboxes,
    radio::{Radio, short_id_of},
    sightings::Side,
    strangers::Strangers,
    task::{Parts, Task},
    transport,
};

/// Events that may wait for the mesh's owner before peers are made to wait. Few, since each may hold 4 MiB.
const EVENT_QUEUE_MAX: usize = 64;

/// Notes from handshakes that may wait for the task.
const DESK_QUEUE_MAX: usize = 128;

/// Sightings that may wait for the task.
const FOUND_QUEUE_MAX: usize = 128;

/// How often to look for another port when a free one was taken in between.
const PORT_TRIES: u32 = 8;

/// Links stay open, however quiet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long this device keeps its address on the air: what phones do.
const BLE_ADDRESS_FOR: Duration = Duration::from_secs(15 * 60);

/// Inbound streams of a link that may be negotiating at once.
const NEGOTIATING_STREAMS_MAX: usize = 32;

pub(crate) async fn start(config: MeshConfig) -> Result<(Mesh, mpsc::Receiver<MeshEvent>), MeshError> {
    if config.certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(MeshError::CertificateTooLarge);
    }
    let setup = |error: &dyn std::fmt::Display| MeshError::Setup(error.to_string());
    let keypair = Keypair::ed25519_from_bytes(config.secret.clone()).map_err(|error| setup(&error))?;
    let me_peer = keypair.public().to_peer_id();
    let me = device_of(&me_peer).ok_or_else(|| setup(&"the key is of the wrong kind"))?;
    let mut boot = [0; 16];
    getrandom::fill(&mut boot).map_err(|error| setup(&error))?;

    let outboxes = Arc::new(Outboxes::default());
    let (desk, desk_notes) = mpsc::channel(DESK_QUEUE_MAX);
    let gate = Arc::new(Gate {
        me,
        event: config.event,
        membership: config.membership.clone(),
        boot,
        certificate: RwLock::new(config.certificate),
        admit: Arc::clone(&config.admit),
        outboxes: Arc::clone(&outboxes),
        desk,
        lobby: Arc::default(),
        links_on: AtomicBool::new(true),
    });
    let barred = Arc::new(Barred::default());
    let ping_every = config.ble.as_ref().map_or(behaviour::PING_EVERY_BLE, |ble| ble.ping_every);
    let (sightings, sighted) = mpsc::channel(FOUND_QUEUE_MAX);
    let (radio, side) = config.ble.map(|ble| start_radio(ble, &me, sightings)).transpose()?.unzip();
    let transport = transport::build(&keypair, &config.listen, radio, &gate)?;
    let topic = behaviour::topic(&config.event);
    let behaviour = behaviour::build(&topic, ping_every)?;
    let swarm_config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIMEOUT)
        // Each protocol names one version of itself, so its first message need not wait for the other end's consent.
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
        .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX);
    let mut swarm = Swarm::new(transport, behaviour, me_peer, swarm_config);
    let (port, listeners) = match config.listen.is_on() {
        true => listen(&mut swarm, &config.listen)?,
        false => Default::default(),
    };
    if side.is_some() {
        swarm.listen_on(medium::radio()).map_err(|error| setup(&error))?;
    }

    let (changed, changes) = mpsc::channel(1);
    let (found, findings) = mpsc::channel(FOUND_QUEUE_MAX);
    let missing = Arc::new(AtomicBool::new(true));
    let strangers = Arc::new(Mutex::new(Strangers::default()));
    let discovery = (config.mdns && config.listen.is_on()).then(|| {
        tokio::spawn(discovery::run(
            Discovery {
                keypair,
                gate: Arc::clone(&gate),
                membership: config.membership,
                admit: Arc::clone(&config.admit),
                tcp: config.listen.tcp.then_some(port),
                quic: config.listen.quic.then_some(port),
                interfaces: config.listen.interfaces.clone(),
                strangers: Arc::clone(&strangers),
            },
            found,
            changes,
            Arc::clone(&missing),
        ))
    });
    let (control, requests) = mpsc::channel(CONTROL_QUEUE_MAX);
    let (events, events_receiver) = mpsc::channel(EVENT_QUEUE_MAX);
    let parts = Parts {
        me,
        event: config.event,
        admit: config.admit,
        swarm,
        topic,
        listen: Listen { port, ..config.listen },
        listeners,
        peers: config.peers,
        outboxes: Arc::clone(&outboxes),
        requests,
        desk_notes,
        findings,
        sighted,
        changed,
        missing,
        discovery,
        strangers,
        events,
        barred: Arc::clone(&barred),
    };
    let ble = side.as_ref().map(Side::ble);
    tokio::spawn(Task::new(parts, side).run());
    tracing::info!(device = %hex::encode(me), port, "mesh started");
    let dropped_requests = Arc::new(AtomicU64::new(0));
    let mesh = Mesh { device: me, gate, outboxes, control, barred, ble, dropped_requests };
    Ok((mesh, events_receiver))
}

fn start_radio(
    config: BleConfig,
    me: &DeviceKey,
    sightings: mpsc::Sender<Sighting>,
) -> Result<(Radio, Side), MeshError> {
    // By this key devices know each other's short ids, whatever epochs they have: so it is one that all have.
    let oldest = config.keys.last().cloned().unwrap_or_default();
    let (ble, events) = Ble::start(popmesh_ble::BleConfig {
        adapter: config.adapter,
        id: short_id_of(&oldest, me),
        keys: config.keys,
        links_max: config.links_max,
        address_for: BLE_ADDRESS_FOR,
    })
    .map_err(|error| MeshError::Setup(error.to_string()))?;
    let side = Side::new(ble.clone(), oldest, me, config.links_max);
    Ok((Radio::over(ble, events, sightings), side))
}

/// The listeners of each address.
pub(crate) type Listeners = BTreeMap<IpAddr, Vec<ListenerId>>;

fn listen(swarm: &mut Swarm<Behaviour>, wanted: &Listen) -> Result<(u16, Listeners), MeshError> {
    let addresses = interfaces::listen_on(wanted.interfaces.as_deref());
    if addresses.is_empty() {
        return Err(MeshError::NoAddress);
    }
    let failed = |port, error: &dyn std::fmt::Display| MeshError::Listen { port, reason: error.to_string() };
    let mut tries = if wanted.port == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let port = interfaces::free_port(wanted.port, &addresses, wanted.tcp, wanted.quic)
            .map_err(|error| failed(wanted.port, &error))?;
        match listen_on_all(swarm, &addresses, &Listen { port, ..wanted.clone() }) {
            Ok(listeners) => return Ok((port, listeners)),
            Err(reason) if tries == 0 => return Err(failed(port, &reason)),
            Err(_) => {}
        }
    }
}

fn listen_on_all(
    swarm: &mut Swarm<Behaviour>,
    addresses: &BTreeSet<IpAddr>,
    wanted: &Listen,
) -> Result<Listeners, String> {
    let mut listeners = Listeners::new();
    for address in addresses {
        match listen_at(swarm, *address, wanted) {
            Ok(ids) => {
                listeners.insert(*address, ids);
            }
            // A machine without IPv6 still listens on IPv4.
            Err(reason) if address.is_ipv6() && addresses.len() > 1 => {
                tracing::warn!(%address, %reason, "not listening");
            }
            Err(reason) => {
                for id in listeners.into_values().flatten() {
                    swarm.remove_listener(id);
                }
                return Err(reason);
            }
        }
    }
    Ok(listeners)
}

/// Listens at one address, on each transport that is switched on.
pub(crate) fn listen_at(
    swarm: &mut Swarm<Behaviour>,
    address: IpAddr,
    wanted: &Listen,
) -> Result<Vec<ListenerId>, String> {
    let mut ids = Vec::new();
    for tcp in [true, false] {
        if !(if tcp { wanted.tcp } else { wanted.quic }) {
            continue;
        }
        match swarm.listen_on(multiaddr(address, wanted.port, tcp)) {
            Ok(id) => ids.push(id),
            Err(error) => {
                for id in ids {
                    swarm.remove_listener(id);
                }
                return Err(error.to_string());
            }
        }
    }
    Ok(ids)
}
