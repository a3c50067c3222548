//! Listening and serving.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;

use super::service::Api;

/// Where the API listens unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);

/// How long requests under way may take to end once the node stops.
const GRACE: Duration = Duration::from_secs(5);

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error(
        "port {port} of {ip} is in use, perhaps by another popmesh; stop that one, or choose another with --api {ip}:PORT (port 0 takes any free one)",
        port = .0.port(), ip = .0.ip()
    )]
    InUse(SocketAddr),
    /// The address is not this host's own.
    #[error("{0} is not a loopback address; the API listens on this host only, such as --api 127.0.0.1:7401")]
    NotLoopback(SocketAddr),
    /// The system says no.
    #[error("cannot listen on {address}: {problem}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// What it says.
        problem: io::Error,
    },
}

/// `address`, if it is a loopback address: without tokens and TLS, nobody off this host may call.
///
/// # Errors
/// [`BindError::NotLoopback`] otherwise.
pub fn loopback(address: SocketAddr) -> Result<SocketAddr, BindError> {
    if address.ip().is_loopback() { Ok(address) } else { Err(BindError::NotLoopback(address)) }
}

/// A bound address, not yet served.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Takes `address`; port 0 takes any free one.
///
/// # Errors
/// [`BindError`] says what to do.
pub async fn bind(address: SocketAddr) -> Result<Listener, BindError> {
    let address = loopback(address)?;
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Listener { listener, address })
    };
    bound.await.map_err(|problem: io::Error| match problem.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        _ => BindError::Io { address, problem },
    })
}

impl Listener {
    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then ends streams at once and gives requests under way a few seconds.
    ///
    /// # Errors
    /// What the listener says when it fails.
    pub async fn serve(self, api: Api, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let stopping = api.stopping.clone();
        let mut stopped = stopping.subscribe();
        let serving = axum::serve(self.listener, api.router()).with_graceful_shutdown(async move {
            stop.await;
            stopping.send_replace(true);
        });
        let grace_over = async move {
            // The sender lives in `api`, which outlives this; were it gone, stopping would be right too.
            let _ = stopped.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = serving => result,
            () = grace_over => {
                tracing::warn!("requests were still under way when the API stopped");
                Ok(())
            }
        }
    }
}
