//! Finding the event's devices on the local network: multicast DNS service discovery.
//!
//! What it says is a hint. Whether a device is there, and who it is, only the gate finds out.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use libp2p::Multiaddr;
use mdns_sd::{IfKind, IfPredicate, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    DeviceKey,
    identity::short,
    interfaces::{self, Local, multiaddr, needs_zone},
};

const SERVICE: &str = "_popmesh._udp.local.";

/// How often to ask anew. The daemon's own questions get rarer and rarer, up to an hour, and nothing tells of a cut
/// somewhere between two switches.
const BROWSE_EVERY: Duration = Duration::from_secs(15);

/// Every question is answered by all, to all: so among many devices each asks the more seldom, this times the square of their
/// number. Those that start announce themselves, and those that were linked are dialled where they were.
const BROWSE_EVERY_EACH: Duration = Duration::from_millis(200);

/// The same for a device that has few links and misses somebody. One that was started while it was cut off knows no
/// address but what it hears, and must find the others in seconds when the cut heals.
const BROWSE_EVERY_MISSING: Duration = Duration::from_secs(3);

/// How often to announce anew, for the same reason.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(60);

/// How long to wait before another try when the daemon cannot be had.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long a stopping daemon gets to say goodbye on the network.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(300);

const ADDRESSES_MAX: usize = 8;
const LABEL_BYTES_MAX: usize = 40;
const NAMES_MAX: usize = 1_024;

/// What discovery found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A device of this event announces itself.
    Seen { device: DeviceKey, label: String, addresses: BTreeSet<Multiaddr> },
    /// A device no longer does, or its announcement ran out.
    Gone { device: DeviceKey },
}

/// What a device says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    pub(crate) device: DeviceKey,
    pub(crate) event: [u8; 32],
    pub(crate) label: String,
    pub(crate) tcp: Option<u16>,
    pub(crate) quic: Option<u16>,
    pub(crate) interfaces: Option<Vec<String>>,
}

/// Announces and browses until the task that started it goes. A message on `changed` says that the machine's addresses
/// have changed; `missing` says whether somebody is missed.
pub(crate) async fn run(
    announcement: Announcement,
    found: mpsc::Sender<Found>,
    mut changed: mpsc::Receiver<()>,
    missing: Arc<AtomicBool>,
) {
    loop {
        let session = match Session::start(&announcement) {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(%error, "no discovery on the local network; trying again");
                tokio::select! {
                    () = sleep(RETRY_AFTER) => continue,
                    next = changed.recv() => match next {
                        Some(()) => continue,
                        None => return,
                    },
                }
            }
        };
        let ended = session.browse(&found, &mut changed, &missing).await;
        session.goodbye().await;
        match ended {
            Ended::Stopped => return,
            Ended::Changed => tracing::info!("addresses changed: announcing anew"),
            Ended::Failed => sleep(RETRY_AFTER).await,
        }
    }
}

/// How often to ask anew among so many devices, if nobody is missed.
fn browse_every(devices: usize) -> Duration {
    let devices = u32::try_from(devices).unwrap_or(u32::MAX);
    BROWSE_EVERY_EACH.saturating_mul(devices.saturating_mul(devices)).max(BROWSE_EVERY)
}

enum Ended {
    Stopped,
    Changed,
    Failed,
}

struct Session {
    announcement: Announcement,
    daemon: ServiceDaemon,
    service: ServiceInfo,
}

impl Session {
    fn start(announcement: &Announcement) -> Result<Self, mdns_sd::Error> {
        let locals = interfaces::current(announcement.interfaces.as_deref());
        let service = service_info(announcement, &locals)?;
        let daemon = ServiceDaemon::new()?;
        if let Some(names) = announcement.interfaces.clone() {
            daemon.disable_interface(IfKind::All)?;
            // Multicast over IPv6 on the loopback interface is refused by some kernels, and IPv4 is enough there.
            let wanted = IfPredicate::new(move |interface| {
                names.contains(&interface.name) && (!interface.is_loopback() || interface.ip().is_ipv4())
            });
            daemon.enable_interface(IfKind::Predicate(wanted))?;
        }
        daemon.register(service.clone())?;
        Ok(Self { announcement: announcement.clone(), daemon, service })
    }

    async fn browse(
        &self,
        found: &mpsc::Sender<Found>,
        changed: &mut mpsc::Receiver<()>,
        missing: &AtomicBool,
    ) -> Ended {
        let mut names = Names::default();
        let mut ask = interval(BROWSE_EVERY_MISSING);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announced = Instant::now();
        let mut asked: Option<Instant> = None;
        let mut events: Option<Receiver<ServiceEvent>> = None;
        loop {
            let event = tokio::select! {
                next = changed.recv() => {
                    return if next.is_some() { Ended::Changed } else { Ended::Stopped };
                }
                () = found.closed() => return Ended::Stopped,
                _ = ask.tick() => {
                    let lately = asked.is_some_and(|asked| asked.elapsed() < browse_every(names.0.len()));
                    if events.is_some() && lately && !missing.load(Ordering::Relaxed) {
                        continue;
                    }
                    None
                }
                event = next_event(events.as_ref()) => Some(event),
            };
            let news = match event {
                None => {
                    asked = Some(Instant::now());
                    if announced.elapsed() >= ANNOUNCE_EVERY {
                        announced = Instant::now();
                        if self.daemon.register(self.service.clone()).is_err() {
                            return Ended::Failed;
                        }
                    }
                    match self.daemon.browse(SERVICE) {
                        Ok(receiver) => events = Some(receiver),
                        Err(_) => return Ended::Failed,
                    }
                    None
                }
                Some(None) => {
                    // The daemon closes a subscription whose reader is slow, without a word.
                    events = None;
                    ask.reset_after(Duration::from_millis(200));
                    None
                }
                Some(Some(ServiceEvent::ServiceResolved(service))) => {
                    self.resolved(&service).inspect(|found| {
                        if let Found::Seen { device, .. } = found {
                            names.put(service.fullname.clone(), *device);
                        }
                    })
                }
                Some(Some(ServiceEvent::ServiceRemoved(_, name))) => {
                    names.0.get(&name).map(|device| Found::Gone { device: *device })
                }
                Some(Some(_)) => None,
            };
            if let Some(news) = news
                && found.send(news).await.is_err()
            {
                return Ended::Stopped;
            }
        }
    }

    fn resolved(&self, service: &ResolvedService) -> Option<Found> {
        let text = |key| service.get_property_val_str(key);
        let device: DeviceKey = hex::decode(text("device")?).ok()?.try_into().ok()?;
        if text("v")? != "1"
            || text("event")? != hex::encode(&self.announcement.event[..8])
            || device == self.announcement.device
        {
            return None;
        }
        let port = |key| text(key).and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0);
        // A transport that is switched off here is of no use for dialling there.
        let tcp = port("tcp").filter(|_| self.announcement.tcp.is_some());
        let quic = port("quic").filter(|_| self.announcement.quic.is_some());
        let mut hosts: Vec<IpAddr> = service
            .addresses
            .iter()
            .map(mdns_sd::ScopedIp::to_ip_addr)
            .filter(|address| !needs_zone(address) && !address.is_unspecified() && !address.is_multicast())
            .collect();
        hosts.sort_unstable();
        let addresses: BTreeSet<Multiaddr> = hosts
            .into_iter()
            .take(ADDRESSES_MAX)
            .flat_map(|host| {
                [tcp.map(|port| multiaddr(host, port, true)), quic.map(|port| multiaddr(host, port, false))]
            })
            .flatten()
            .collect();
        let label = text("label").unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect();
        (!addresses.is_empty()).then_some(Found::Seen { device, label, addresses })
    }

    async fn goodbye(self) {
        let waited = async {
            if let Ok(done) = self.daemon.unregister(self.service.get_fullname()) {
                let _ = done.recv_async().await;
            }
            if let Ok(done) = self.daemon.shutdown() {
                let _ = done.recv_async().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, waited).await;
    }
}

async fn next_event(events: Option<&Receiver<ServiceEvent>>) -> Option<ServiceEvent> {
    match events {
        Some(events) => events.recv_async().await.ok(),
        None => std::future::pending().await,
    }
}

/// Which device a service name belongs to, of the most recent names.
#[derive(Default)]
struct Names(HashMap<String, DeviceKey>, VecDeque<String>);

impl Names {
    fn put(&mut self, name: String, device: DeviceKey) {
        if self.0.insert(name.clone(), device).is_none() {
            self.1.push_back(name);
        }
        if self.1.len() > NAMES_MAX
            && let Some(oldest) = self.1.pop_front()
        {
            self.0.remove(&oldest);
        }
    }
}

fn service_info(
    announcement: &Announcement,
    locals: &BTreeSet<Local>,
) -> Result<ServiceInfo, mdns_sd::Error> {
    let addresses = interfaces::announced(locals);
    let label = cut(&announcement.label, LABEL_BYTES_MAX);
    let mut text = vec![
        ("v", "1".to_owned()),
        ("event", hex::encode(&announcement.event[..8])),
        ("device", hex::encode(announcement.device)),
        ("label", label.to_owned()),
    ];
    text.extend(announcement.tcp.map(|port| ("tcp", port.to_string())));
    text.extend(announcement.quic.map(|port| ("quic", port.to_string())));
    let port = announcement.quic.or(announcement.tcp).unwrap_or_default();
    let instance = format!("{label} {}", short(&announcement.device));
    let host = format!("popmesh-{}.local.", hex::encode(&announcement.device[..8]));
    ServiceInfo::new(SERVICE, &instance, &host, &addresses[..], port, &text[..])
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut length = text.len().min(bytes_max);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text[..length]
}
