//! A behaviour on the connections over one medium, which knows of no other.

use std::{
    collections::{HashMap, HashSet},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionEstablished, toggle::Toggle},
    },
};

use super::medium::{Medium, medium, medium_of};

/// A behaviour that runs over one medium alone.
pub(crate) struct Only<B> {
    medium: Medium,
    behaviour: Toggle<B>,
    /// Makes the handlers of the other connections, which do nothing.
    off: Toggle<B>,
    /// Connections of each peer over this medium, as the behaviour knows them.
    connections: HashMap<PeerId, Vec<(ConnectionId, ConnectedPoint)>>,
    /// Peers that the behaviour is to know nothing of.
    muted: HashSet<PeerId>,
    /// Connections that there are and that the behaviour does not know of, or not any more.
    silent: HashSet<ConnectionId>,
}

impl<B> Only<B> {
    pub(crate) fn over(medium: Medium, behaviour: B) -> Self {
        let (behaviour, off) = (Some(behaviour).into(), None.into());
        Self {
            medium,
            behaviour,
            off,
            connections: HashMap::new(),
            muted: HashSet::new(),
            silent: HashSet::new(),
        }
    }

    /// The behaviour. It is always there.
    pub(crate) fn inner(&mut self) -> Option<&mut B> {
        self.behaviour.as_mut()
    }
}

impl<B: NetworkBehaviour> Only<B> {
    fn for_address(&mut self, address: &Multiaddr) -> &mut Toggle<B> {
        if medium(address) == self.medium { &mut self.behaviour } else { &mut self.off }
    }

    fn for_peer(&mut self, peer: &PeerId, address: &Multiaddr) -> &mut Toggle<B> {
        if self.muted.contains(peer) { &mut self.off } else { self.for_address(address) }
    }

    /// From now on the behaviour takes a peer for gone, whatever connections there are.
    pub(crate) fn mute(&mut self, peer: PeerId) {
        if !self.muted.insert(peer) {
            return;
        }
        let mut connections = self.connections.remove(&peer).unwrap_or_default();
        while let Some((connection_id, endpoint)) = connections.pop() {
            self.silent.insert(connection_id);
            self.behaviour.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id: peer,
                connection_id,
                endpoint: &endpoint,
                cause: None,
                remaining_established: connections.len(),
            }));
        }
    }

    /// The behaviour learns of the peer's next connection again.
    pub(crate) fn unmute(&mut self, peer: &PeerId) {
        self.muted.remove(peer);
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Only<B> {
    type ConnectionHandler = THandler<Toggle<B>>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.for_address(remote).handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.for_peer(&peer, remote).handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.for_peer(&peer, remote)
            .handle_established_outbound_connection(connection, peer, remote, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let event = match event {
            FromSwarm::ConnectionEstablished(event) => {
                if medium_of(event.endpoint) != self.medium {
                    return;
                }
                if self.muted.contains(&event.peer_id) {
                    self.silent.insert(event.connection_id);
                    return;
                }
                let connections = self.connections.entry(event.peer_id).or_default();
                let other_established = connections.len();
                connections.push((event.connection_id, event.endpoint.clone()));
                FromSwarm::ConnectionEstablished(ConnectionEstablished { other_established, ..event })
            }
            FromSwarm::ConnectionClosed(event) => {
                if medium_of(event.endpoint) != self.medium {
                    return;
                }
                if self.silent.remove(&event.connection_id) {
                    return;
                }
                let connections = self.connections.entry(event.peer_id).or_default();
                connections.retain(|(connection, _)| *connection != event.connection_id);
                let remaining_established = connections.len();
                if remaining_established == 0 {
                    self.connections.remove(&event.peer_id);
                }
                FromSwarm::ConnectionClosed(ConnectionClosed { remaining_established, ..event })
            }
            FromSwarm::AddressChange(event) if medium_of(event.new) != self.medium => return,
            other => other,
        };
        self.behaviour.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if self.silent.contains(&connection) {
            return;
        }
        self.behaviour.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.behaviour.poll(cx)
    }
}
