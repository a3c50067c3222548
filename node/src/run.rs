//! `popmesh run`: loads who the device is, starts it, serves its API, and stops cleanly.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use libp2p::Multiaddr;
use popmesh_ble::Adapter;
use popmesh_proto::clock::utc;
use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::access::{Authority, Reach, Reached, Rights, Trusted};
use crate::api::{self, Api, Listener, MeshView};
use crate::clock::{self, now_ms};
use crate::door::{DoorSpec, Doors};
use crate::folder::{ApiPlace, Folder, Identity};
use crate::personal::Sealer;
use crate::quiet::{self, Quiet};
use crate::runtime::{Handle, RuntimeMetrics};

/// Which transports link devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transports {
    /// TCP and QUIC.
    Both,
    /// TCP alone.
    TcpOnly,
    /// QUIC alone.
    QuicOnly,
    /// Bluetooth LE alone.
    BleOnly,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// A JSON object a line.
    Json,
    /// What is wrong alone, in lines for people, beside what a person at a terminal is told.
    #[value(skip)]
    Problems,
}

/// A device that is up, for who tells people of it.
pub struct Up {
    /// Puts calls to it.
    pub handle: Handle,
    /// Knows its mesh.
    pub mesh: Arc<dyn MeshView>,
    /// Where its API listens.
    pub place: ApiPlace,
    /// Where it listens for this host's own screen besides.
    pub screen: Option<SocketAddr>,
}

/// How a node is to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The data folder.
    pub data: Folder,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Whether it speaks TLS and wants tokens on loopback too; elsewhere it always does.
    pub api_tls: bool,
    /// Where the API listens for this host's own screen besides: on loopback, without TLS.
    pub screen: Option<SocketAddr>,
    /// Network interfaces to use; all if empty.
    pub interfaces: Vec<String>,
    /// Port for other devices; 0 for any.
    pub listen_port: u16,
    /// Devices to dial, besides those found.
    pub peers: Vec<Multiaddr>,
    /// Whether to announce and find devices by mDNS.
    pub mdns: bool,
    /// Which transports to use.
    pub transports: Transports,
    /// The adapter for Bluetooth LE, if it is to be used.
    pub ble: Option<Adapter>,
    /// What the Wi-Fi of this venue carries, kbit/s.
    pub venue_kbit: u64,
    /// Links over Bluetooth LE at once at most.
    pub ble_links: usize,
    /// How to log.
    pub log_format: LogFormat,
    /// What opens the doors of its compartments; none has one if absent.
    pub door: Option<DoorSpec>,
    /// For how long a door may take.
    pub door_within: Duration,
}

/// A device that runs behind the API.
pub struct Started {
    /// Puts calls to it.
    pub handle: Handle,
    /// Knows its mesh.
    pub mesh: Arc<dyn MeshView>,
    /// Its runtime's counters.
    pub counters: Arc<RuntimeMetrics>,
    /// The doors of its compartments, if they have any.
    pub doors: Option<Doors>,
    /// Runs until the stop signal that the starter was given turns true and everything is flushed, or until the
    /// device fails.
    pub running: BoxFuture<'static, anyhow::Result<()>>,
}

/// Starts a device: opens its store, its runtime and its mesh.
pub trait Starter: Send + 'static {
    /// Starts the device that `identity` names. It is to stop when `stop` turns true.
    fn start(
        self,
        identity: Identity,
        options: &RunOptions,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = anyhow::Result<Started>> + Send;
}

/// Runs a node until it is told to stop (SIGINT or SIGTERM). What `told` makes of it runs beside it, until it stops.
///
/// # Errors
/// What is wrong, and what to do.
pub fn run<T>(options: RunOptions, starter: impl Starter, told: impl FnOnce(Up) -> T) -> anyhow::Result<()>
where
    T: Future<Output = ()> + Send + 'static,
{
    log_to_stderr(options.log_format);
    if let Some(closed) = options.data.close()? {
        tracing::warn!("{closed}");
    }
    let identity = load(&options.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options, identity, starter, told))
}

/// Who the device is, if it may run now.
fn load(folder: &Folder) -> anyhow::Result<Identity> {
    let identity = folder.identity()?;
    let (now_ms, from_ms) = (now_ms(), identity.certificate.not_before_ms);
    if now_ms < from_ms {
        // A till must not stand still for want of a battery behind its clock.
        tracing::warn!(
            clock = %utc(now_ms), begins = %utc(from_ms),
            "this device's certificate begins later than its clock shows; set the clock: until then what it does is dated no \
             earlier than that, and than what it did last"
        );
    } else {
        identity.certificate.valid_at(now_ms)?;
    }
    Ok(identity)
}

/// By what callers know the API, and the API callers.
struct Exposed {
    tls: Option<ServerConfig>,
    rights: Rights,
    owner_token: Option<String>,
    names: Vec<String>,
    /// By what callers from elsewhere reach it, and what they are to trust.
    by: Reach,
    trusted: Option<Trusted>,
}

fn expose(options: &RunOptions, identity: &Identity) -> anyhow::Result<Exposed> {
    let rights = Rights::of(&options.data);
    if !options.api_tls && options.api.ip().is_loopback() {
        let by = Reach::default();
        return Ok(Exposed { tls: None, rights, owner_token: None, names: vec![], by, trusted: None });
    }
    let host = Reach::of_this_host().context("the network interfaces cannot be listed")?;
    let names: Vec<String> = host.names.iter().filter(|name| name.ends_with(".local")).cloned().collect();
    let at = options.api.ip();
    let mut shown = Reach { addresses: vec![at], names: names.clone() };
    if at.is_unspecified() {
        shown.addresses.clone_from(&host.addresses);
    }
    if shown.addresses.iter().any(IpAddr::is_loopback) {
        shown.names.push("localhost".to_owned());
    }
    // A clock that was never set shows a time before this device's certificate.
    let now_ms = now_ms().max(identity.certificate.not_before_ms);
    let authority = Authority::open_for(&options.data, &identity.key, &shown, &host, now_ms)?;
    let tls = authority.server(&shown.addresses, &shown.names, now_ms)?;
    let (rights, token) = rights.with_owner()?;
    let trusted = Some(Trusted::of(&authority));
    Ok(Exposed { tls: Some(tls), rights, owner_token: Some(token), names, by: shown, trusted })
}

/// Where a caller on this host reaches what listens at `address`.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn serve<T>(
    options: RunOptions,
    identity: Identity,
    starter: impl Starter,
    told: impl FnOnce(Up) -> T,
) -> anyhow::Result<()>
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(quiet::tell());
    let mut terminate = signal(SignalKind::terminate())?;
    // Bound before anything else starts, so that a port in use disturbs nobody.
    let Exposed { tls, rights, owner_token, names, by, trusted } = expose(&options, &identity)?;
    let secured = tls.is_some();
    let listener = api::bind(options.api, tls).await?;
    let reached = Reached { listens: listener.address(), by, certificate: trusted };
    let place = ApiPlace { tls: secured, address: here(listener.address()) };
    let screen = match options.screen {
        Some(at) => Some(api::bind(at, None).await?),
        None => None,
    };
    let (stop_device, device_stops) = watch::channel(false);
    let device = identity.certificate.device;
    let name = identity.certificate.name.clone();
    let sealer = Sealer::new(&identity.charter, device, &identity.key);
    let Started { handle, mesh, counters, doors, running } =
        starter.start(identity, &options, device_stops).await.context("the device does not start")?;
    let mut running = tokio::spawn(running);
    options.data.announce_api(place, owner_token.as_deref())?;
    tracing::info!(device = %device, name, api = %place.url(), "running");

    let shown = screen.as_ref().map(Listener::address);
    let telling =
        tokio::spawn(told(Up { handle: handle.clone(), mesh: Arc::clone(&mesh), place, screen: shown }));
    let (stop_api, api_stops) = watch::channel(false);
    let service = Api::new(device, handle, mesh, counters)
        .with_doors(doors)
        .with_folder(options.data.clone())
        .with_reached(reached)
        .with_sealer(sealer)
        .with_rights(rights, names);
    let until = |mut stops: watch::Receiver<bool>| async move {
        // A sender that is gone means the same as one that says stop.
        let _ = stops.wait_for(|stops| *stops).await;
    };
    let mut api = tokio::spawn(async move {
        let everybody = listener.serve(service.clone(), until(api_stops.clone()));
        match screen {
            Some(screen) => tokio::try_join!(everybody, screen.serve(service, until(api_stops))).map(|_| ()),
            None => everybody.await,
        }
    });
    let failed = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        ended = &mut running => Some(match ended? {
            Ok(()) => anyhow::anyhow!("the device stopped by itself"),
            Err(error) => error,
        }),
        served = &mut api => Some(match served? {
            Ok(()) => anyhow::anyhow!("the API stopped by itself"),
            Err(error) => anyhow::Error::new(error).context("the API failed"),
        }),
    };
    tracing::info!("stopping");
    telling.abort();
    // First the API, so that requests under way still get their answers from the device.
    if !api.is_finished() {
        stop_api.send_replace(true);
        api.await??;
    }
    options.data.retract_api(place);
    stop_device.send_replace(true);
    let ended = if running.is_finished() { Ok(()) } else { running.await? };
    failed.map_or(ended, Err)
}

fn log_to_stderr(format: LogFormat) {
    use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};
    let usual = match format {
        LogFormat::Human | LogFormat::Json => "warn,popmesh=info,popmesh_proto=info",
        LogFormat::Problems => "warn",
    };
    let filter = EnvFilter::try_from_env("POPMESH_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // A subscriber that is set already is the embedding program's own.
    let _ = match format {
        LogFormat::Human | LogFormat::Problems => {
            let builder = builder.with_timer(LocalTime).with_writer(|| Localised(std::io::stderr()));
            builder.finish().with(Quiet::default()).try_init()
        }
        LogFormat::Json => {
            builder.json().with_writer(std::io::stderr).finish().with(Quiet::default()).try_init()
        }
    };
}

/// When a line was logged, as people here read it, to the millisecond.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", clock::local_precise(now_ms()))
    }
}

/// Writes lines with the times in them as people here read them. A line comes in one piece.
struct Localised(std::io::Stderr);

impl std::io::Write for Localised {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(clock::localised(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
