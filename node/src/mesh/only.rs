//! A behaviour on the connections over one medium, which knows of no other.

use std::{
    collections::HashMap,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
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
    /// Connections of each peer over this medium.
    connections: HashMap<PeerId, usize>,
}

impl<B> Only<B> {
    pub(crate) fn over(medium: Medium, behaviour: B) -> Self {
        let (behaviour, off) = (Some(behaviour).into(), None.into());
        Self { medium, behaviour, off, connections: HashMap::new() }
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
        self.for_address(remote).handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.for_address(remote).handle_established_outbound_connection(connection, peer, remote, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let event = match event {
            FromSwarm::ConnectionEstablished(event) => {
                if medium_of(event.endpoint) != self.medium {
                    return;
                }
                let connections = self.connections.entry(event.peer_id).or_default();
                *connections += 1;
                let other_established = *connections - 1;
                FromSwarm::ConnectionEstablished(ConnectionEstablished { other_established, ..event })
            }
            FromSwarm::ConnectionClosed(event) => {
                if medium_of(event.endpoint) != self.medium {
                    return;
                }
                let remaining_established =
                    self.connections.get(&event.peer_id).copied().unwrap_or_default().saturating_sub(1);
                if remaining_established == 0 {
                    self.connections.remove(&event.peer_id);
                } else {
                    self.connections.insert(event.peer_id, remaining_established);
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
        self.behaviour.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.behaviour.poll(cx)
    }
}
