//! One connection of the API over a stream of any kind.

use std::net::IpAddr;

use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use super::guard::Arrival;
use super::server::{Handlers, speak};
use super::service::Api;

/// Handlers and limits of one API, for any number of connections.
#[derive(Debug, Clone)]
pub struct Server {
    handlers: Handlers,
    stopping: tokio::sync::watch::Sender<bool>,
}

impl Server {
    /// Those of this API.
    pub fn new(api: &Api) -> Self {
        Self { handlers: TowerToHyperService::new(api.router()), stopping: api.stopping.clone() }
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
        speak(stream, arrival, self.handlers.clone(), self.stopping.subscribe()).await;
    }
}
