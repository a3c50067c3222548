//! One connection of the API over a stream of any kind.

use std::net::IpAddr;

use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use super::guard::Arrival;
use super::places::{MAX_CONNECTIONS, Places};
use super::server::{Handlers, speak};
use super::service::Api;

/// Handlers and limits of one API, for any number of connections.
#[derive(Debug, Clone)]
pub struct Server {
    handlers: Handlers,
    places: Places,
    stopping: tokio::sync::watch::Sender<bool>,
}

impl Server {
    /// Those of this API.
    pub fn new(api: &Api) -> Self {
        Self {
            handlers: TowerToHyperService::new(api.router()),
            places: Places::new(2 * MAX_CONNECTIONS),
            stopping: api.stopping.clone(),
        }
    }

    /// Serves a connection from `peer` to `local` until it ends. Whether it came over TLS is said, not seen.
    pub async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: IpAddr,
        local: IpAddr,
        tls: bool,
    ) {
        let arrival = Arrival { peer, local, tls };
        let Some(place) = self.places.take(peer, peer.is_loopback()) else { return };
        speak(stream, arrival, place, self.handlers.clone(), self.stopping.subscribe()).await;
    }
}
