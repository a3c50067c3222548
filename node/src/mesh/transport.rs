//! The transports, each with the certificate gate behind it.

use std::{sync::Arc, time::Duration};

use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport, timeout::TransportTimeout, upgrade::Version},
    },
    identity::Keypair,
    noise, quic, tcp, yamux,
};

use super::{Listen, MeshError, gate::Gate, lobby::Waiting, names::Names, pace::Paced, radio::Radio};

/// A TCP connect that gets no answer is given up after this, so that a healed cut is noticed by the next one soon.
const TCP_CONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The same for QUIC's handshake.
const QUIC_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything until a connection has passed the gate. Generous, for links that lose packets.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same over the radio, where finding each other takes seconds.
const HANDSHAKE_TIMEOUT_BLE: Duration = Duration::from_secs(30);

/// QUIC gives up a silent connection after this. Whoever looks after links is quicker; this is for connections that are not
/// seen there. Idle ones are asked once a minute.
const QUIC_IDLE_MS_MAX: u32 = 180_000;

/// What may be on its way on one stream of a connection over QUIC, and on all of them. A stranger can fill it before it is
/// turned away; a link carries 4 MB a second at most.
const QUIC_STREAM_BYTES_MAX: u32 = 1 << 20;
const QUIC_CONNECTION_BYTES_MAX: u32 = 3 << 20;

/// Streams of a connection over TCP at once, each of which may have 256 KiB on their way. A link has a handful.
const STREAMS_MAX: usize = 64;

type Connections = Boxed<(PeerId, StreamMuxerBox)>;

pub(crate) fn build(
    keypair: &Keypair,
    listen: &Listen,
    radio: Option<Radio>,
    gate: &Arc<Gate>,
) -> Result<Connections, MeshError> {
    let tcp = listen.tcp.then(|| tcp_transport(keypair)).transpose()?;
    let quic = listen.quic.then(|| quic_transport(keypair));
    let over_network = tcp.into_iter().chain(quic).reduce(either).map(|secured| {
        let gated = gated(Names::over(secured).boxed(), gate);
        let in_time = TransportTimeout::new(gated, HANDSHAKE_TIMEOUT).boxed();
        Waiting::over(in_time, Arc::clone(&gate.lobby)).boxed()
    });
    let over_radio = radio
        .map(|radio| radio_transport(keypair, radio))
        .transpose()?
        .map(|secured| TransportTimeout::new(gated(secured, gate), HANDSHAKE_TIMEOUT_BLE).boxed());
    over_network.into_iter().chain(over_radio).reduce(either).ok_or(MeshError::NoTransport)
}

fn either(one: Connections, other: Connections) -> Connections {
    OrTransport::new(one, other).map(|either, _| either.into_inner()).boxed()
}

fn gated(secured: Connections, gate: &Arc<Gate>) -> Connections {
    let gate = Arc::clone(gate);
    secured.and_then(move |(peer, muxer), point| Arc::clone(&gate).pass(peer, muxer, point)).boxed()
}

fn radio_transport(keypair: &Keypair, radio: Radio) -> Result<Connections, MeshError> {
    let noise = noise::Config::new(keypair).map_err(|error| MeshError::Setup(error.to_string()))?;
    Ok(radio.upgrade(Version::V1Lazy).authenticate(noise).multiplex(multiplexing()).boxed())
}

fn multiplexing() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    config
}

fn tcp_transport(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, MeshError> {
    let tcp = Paced::over(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true)));
    let noise = noise::Config::new(keypair).map_err(|error| MeshError::Setup(error.to_string()))?;
    Ok(TransportTimeout::with_outgoing_timeout(tcp, TCP_CONNECT_TIMEOUT)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(multiplexing())
        .boxed())
}

fn quic_transport(keypair: &Keypair) -> Boxed<(PeerId, StreamMuxerBox)> {
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = QUIC_HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = QUIC_IDLE_MS_MAX;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config.keep_alive_interval = Duration::from_secs(120);
    quic::tokio::Transport::new(config)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .boxed()
}
