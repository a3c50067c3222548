//! Listening and serving: plain HTTP on loopback, TLS elsewhere.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use futures_rustls::TlsAcceptor;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::guard::Arrival;
use super::places::{Place, Places};
use super::service::Api;
use super::taking::Taking;
use super::tally::{Refused, Tally};

/// Where the API listens unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);

/// How long requests under way may take to end once the node stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long a caller may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a caller may take to send the head of a request, or to send none.
const HEAD: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;
/// The most header fields of a request.
const MAX_HEADERS: usize = 64;
/// What the system may hold of an answer that is on its way, about; it takes twice as much for its own use.
const SEND_BYTES: usize = 64 * 1024;
/// How long a caller may be out of reach before its connection is ended.
const GONE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no more sockets to give.
const PAUSE: Duration = Duration::from_millis(100);

/// What a caller gets that speaks HTTP where TLS is spoken.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\r\n\
    {\"type\":\"urn:popmesh:problem:not_tls\",\"title\":\"not tls\",\"status\":400,\"code\":\"not_tls\",\
    \"detail\":\"this API speaks TLS; call it with https://\"}";

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error(
        "port {port} of {ip} is in use, perhaps by another popmesh; stop that one, or choose another with --api {ip}:PORT (port 0 takes any free one)",
        port = .0.port(), ip = .0.ip()
    )]
    InUse(SocketAddr),
    /// Callers from elsewhere could call without TLS.
    #[error("{0} is not a loopback address; there the API listens with TLS alone")]
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

/// A bound address, not yet served.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener on {}", self.address)
    }
}

/// Takes `address`; port 0 takes any free one. Off loopback only with TLS.
///
/// # Errors
/// [`BindError`] says what to do.
pub async fn bind(address: SocketAddr, tls: Option<ServerConfig>) -> Result<Listener, BindError> {
    if tls.is_none() && !address.ip().is_loopback() {
        return Err(BindError::NotLoopback(address));
    }
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Listener { listener, address, tls })
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
        let router = TowerToHyperService::new(api.router());
        let places = Places::new(files());
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        let tally = Arc::clone(&api.tally);
        let mut telling = pin!(tally.tell());
        loop {
            // What has no place is closed, and never waits: what waits in the system's queue would keep out the host's own.
            let accepted = tokio::select! {
                () = &mut stop => break,
                () = &mut telling => continue,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(local) = stream.local_addr() else { continue };
                    let arrival = Arrival {
                        peer: peer.ip().to_canonical(),
                        local: local.ip().to_canonical(),
                        tls: self.tls.is_some(),
                    };
                    let Some(place) = places.take(arrival.peer, arrival.is_own()) else {
                        api.tally.note(Refused::Place, arrival.peer);
                        continue;
                    };
                    let tally = Arc::clone(&api.tally);
                    let (router, tls, stopping) =
                        (router.clone(), self.tls.clone(), api.stopping.subscribe());
                    connections.spawn(async move {
                        let served =
                            connection(stream, arrival, place.clone(), tls, router, &tally, stopping);
                        tokio::select! {
                            () = served => {}
                            () = place.lost() => tally.note(Refused::Place, arrival.peer),
                        }
                    });
                }
                Err(error) if of_one_caller(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    places.make_room();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        api.tally.tell_now();
        api.stopping.send_replace(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            tracing::warn!("requests were still under way when the API stopped");
        }
        Ok(())
    }
}

/// How many files this process may have open: as many as the system lets it, from now on.
fn files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, it stays; unlimited where the system names no limit.
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    now.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// Bounds what the system keeps for a caller that takes nothing, and for how long: it would hold megabytes, and wait a quarter of an
/// hour for one whose power failed. Where that cannot be set, a dead caller only costs more.
fn bound(stream: &TcpStream) {
    use rustix::net::sockopt;
    let _ = sockopt::set_socket_send_buffer_size(stream, SEND_BYTES);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let gone_ms = u32::try_from(GONE.as_millis()).unwrap_or(u32::MAX);
        let _ = sockopt::set_tcp_user_timeout(stream, gone_ms);
    }
}

/// Whether an error of `accept` is about the caller, who went away, and not about this host.
fn of_one_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// The handlers, as a connection calls them.
pub(super) type Handlers = TowerToHyperService<Router>;

async fn connection(
    stream: TcpStream,
    arrival: Arrival,
    place: Place,
    tls: Option<TlsAcceptor>,
    router: Handlers,
    tally: &Tally,
    stopping: watch::Receiver<bool>,
) {
    // A small answer is not to wait for another one. Where that cannot be set, it only is slower.
    let _ = stream.set_nodelay(true);
    bound(&stream);
    let Some(acceptor) = tls else { return speak(stream, arrival, place, router, stopping).await };
    match timeout(HANDSHAKE, agree(stream, acceptor)).await {
        Ok(Ok(Some(stream))) => speak(stream, arrival, place, router, stopping).await,
        Ok(Ok(None)) => tally.note(Refused::NotTls, arrival.peer),
        Ok(Err(_)) | Err(_) => tally.note(Refused::Tls, arrival.peer),
    }
}

/// Agrees on TLS; `None` if the caller was told to.
async fn agree(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
) -> io::Result<Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    // A handshake's first byte is 22; a method's a capital letter.
    if first[0].is_ascii_uppercase() {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Ok(None);
    }
    Ok(Some(acceptor.accept(stream.compat()).await?.compat()))
}

pub(super) async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    arrival: Arrival,
    place: Place,
    router: Handlers,
    mut stopping: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(arrival);
        request.extensions_mut().insert(place.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Taking::new(stream)), service);
    let mut connection = pin!(connection);
    let stop = async {
        // A sender that is gone means the same as one that says stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %arrival.peer, %error, "a connection of the API broke");
    }
}
