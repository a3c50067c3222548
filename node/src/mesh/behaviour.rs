//! What runs on each link: limits, gossip, pings and direct messages.

use std::time::Duration;

use libp2p::{
    connection_limits::{self, ConnectionLimits},
    gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode},
    ping,
    swarm::NetworkBehaviour,
};
use sha2::{Digest, Sha256};

use super::{MeshError, lobby::PLACES, medium::Medium, messages, only::Only};

/// Connections established at most, whatever the peers do.
pub(crate) const ESTABLISHED_MAX: u32 = 64;

/// Connections to one peer. The gate keeps it to one over each medium; this is the net below.
const ESTABLISHED_PER_PEER_MAX: u32 = 4;

/// Inbound handshakes under way at most: those that wait in the lobbies, those that have just been shown out of them, and
/// devices that are further than that.
const PENDING_INBOUND_MAX: u32 = 4 * PLACES as u32;

/// Outbound handshakes under way at most.
pub(crate) const PENDING_OUTBOUND_MAX: u32 = 32;

/// The largest gossip message.
pub(crate) const GOSSIP_BYTES_MAX: usize = 256 * 1024;

/// How often a link over the radio is pinged, where a ping costs some 150 bytes and the adapter notices by itself, within seconds, when a
/// peer is out of range. This finds a peer that is there and does not answer.
pub(crate) const PING_EVERY_BLE: Duration = Duration::from_secs(300);

/// The part of that within which the answer has to come.
const PING_TIMEOUT_BLE_PART: u32 = 10;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) gossip: Only<gossipsub::Behaviour>,
    pub(crate) ping_ble: Only<ping::Behaviour>,
    pub(crate) messages: messages::Behaviour,
}

pub(crate) fn build(topic: &IdentTopic, ping_every_ble: Duration) -> Result<Behaviour, MeshError> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INBOUND_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUTBOUND_MAX))
        .with_max_established_per_peer(Some(ESTABLISHED_PER_PEER_MAX))
        .with_max_established(Some(ESTABLISHED_MAX));
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        gossip: Only::over(Medium::Ip, gossip(topic)?),
        ping_ble: ping(Medium::Ble, ping_every_ble, ping_every_ble / PING_TIMEOUT_BLE_PART),
        messages: messages::Behaviour::default(),
    })
}

fn ping(medium: Medium, interval: Duration, timeout: Duration) -> Only<ping::Behaviour> {
    let config = ping::Config::new().with_interval(interval).with_timeout(timeout);
    Only::over(medium, ping::Behaviour::new(config))
}

pub(crate) fn topic(event: &[u8; 32]) -> IdentTopic {
    IdentTopic::new(format!("popmesh/{}", hex::encode(&event[..8])))
}

fn gossip(topic: &IdentTopic) -> Result<gossipsub::Behaviour, MeshError> {
    let setup = |error: &dyn std::fmt::Display| MeshError::Setup(error.to_string());
    let config = gossipsub::ConfigBuilder::default()
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| MessageId::from(&Sha256::digest(&message.data)[..16]))
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .mesh_n(4)
        .mesh_n_low(2)
        .mesh_n_high(5)
        .mesh_outbound_min(1)
        // Nobody is told every heartbeat what there is: what gossip loses, digests find.
        .gossip_lazy(0)
        .gossip_factor(0.0)
        .heartbeat_interval(Duration::from_millis(700))
        .heartbeat_initial_delay(Duration::from_millis(100))
        .history_length(12)
        .history_gossip(4)
        .prune_backoff(Duration::from_secs(5))
        .unsubscribe_backoff(Duration::from_secs(2))
        .graft_flood_threshold(Duration::from_secs(1))
        .flood_publish(true)
        .build()
        .map_err(|error| setup(&error))?;
    let mut gossip =
        gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(|error| setup(&error))?;
    gossip.subscribe(topic).map_err(|error| setup(&error))?;
    Ok(gossip)
}
