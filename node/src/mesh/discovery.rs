//! Finding the event's devices on the local network: multicast DNS service discovery.
//!
//! What a device announces is sealed (`announcement.rs`), under names that are random and change, so that nobody else
//! learns who is there. It is a hint all the same: whether a device is there, and who it is, only the gate finds out. What
//! others announce goes to [`Strangers`], and nowhere else.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use libp2p::{Multiaddr, identity::Keypair};
use mdns_sd::{
    IfKind, IfPredicate, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    Admit, DeviceKey, Membership, MembershipKey,
    announcement::{self, NONCE_BYTES, Said},
    gate::Gate,
    identity::short,
    interfaces::{self, Local, multiaddr, needs_zone},
    strangers::{Strange, Strangers},
};

const SERVICE: &str = "_popmesh._udp.local.";

/// The port in the SRV record, which everybody can read: that of nothing. The real ones are sealed.
const PORT_SHOWN: u16 = 9;

/// How long an announcement keeps its names: as long as the radio keeps its address.
const NAMES_FOR: Duration = Duration::from_secs(15 * 60);

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

/// How often to look at what the daemon has come to remember, and at whether the announcement still says what is so.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for the daemon's count of what it remembers.
const METRICS_WITHIN: Duration = Duration::from_millis(200);

/// How long to wait before another try when the daemon cannot be had, and how long one lasts at least.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long a stopping daemon gets to say goodbye on the network.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(300);

/// Records of others that the daemon may remember before another one takes its place, which remembers nothing. A device has
/// five or six of them; a stranger can name as many as it likes, good for as long as it likes.
const RECORDS_MAX: i64 = 2_048;

/// Addresses of a device that are used, of those that are near.
const ADDRESSES_MAX: usize = 8;

const NAMES_MAX: usize = 1_024;

/// What discovery found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A device of this event announces itself, with a good certificate.
    Seen { device: DeviceKey, addresses: Vec<Multiaddr> },
    /// A device no longer does, or its announcement ran out.
    Gone { device: DeviceKey },
}

/// What discovery needs of its device.
#[derive(Clone)]
pub(crate) struct Discovery {
    pub(crate) keypair: Keypair,
    pub(crate) gate: Arc<Gate>,
    pub(crate) membership: Membership,
    pub(crate) admit: Admit,
    pub(crate) tcp: Option<u16>,
    pub(crate) quic: Option<u16>,
    pub(crate) interfaces: Option<Vec<String>>,
    pub(crate) strangers: Arc<Mutex<Strangers>>,
}

/// Announces and browses until the task that started it goes. A message on `changed` says that the machine's addresses
/// have changed; `missing` says whether somebody is missed.
pub(crate) async fn run(
    discovery: Discovery,
    found: mpsc::Sender<Found>,
    mut changed: mpsc::Receiver<()>,
    missing: Arc<AtomicBool>,
) {
    loop {
        let started = Instant::now();
        let session = match Session::start(&discovery) {
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
            Ended::Stale => tracing::debug!("announcing under new names"),
            Ended::Crowded => {
                tracing::debug!("very many announcements: forgetting them, and listening anew");
                sleep(RETRY_AFTER.saturating_sub(started.elapsed())).await;
            }
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
    /// The machine's addresses are others.
    Changed,
    /// The names have been used long enough, or the certificate or the event's secret is another.
    Stale,
    /// The daemon remembers too much.
    Crowded,
    Failed,
}

/// One daemon, and one announcement under one pair of names.
struct Session<'d> {
    discovery: &'d Discovery,
    daemon: ServiceDaemon,
    service: ServiceInfo,
    locals: BTreeSet<Local>,
    key: Option<MembershipKey>,
    certificate: Vec<u8>,
    until: Instant,
}

impl<'d> Session<'d> {
    fn start(discovery: &'d Discovery) -> Result<Self, mdns_sd::Error> {
        let locals = interfaces::current(discovery.interfaces.as_deref());
        let key = discovery.membership.keys().into_iter().next();
        let certificate = discovery.certificate();
        let service = discovery.service(&locals, key.as_ref(), &certificate)?;
        let daemon = ServiceDaemon::new()?;
        if let Some(names) = discovery.interfaces.clone() {
            daemon.disable_interface(IfKind::All)?;
            // Multicast over IPv6 on the loopback interface is refused by some kernels, and IPv4 is enough there.
            let wanted = IfPredicate::new(move |interface| {
                names.contains(&interface.name) && (!interface.is_loopback() || interface.ip().is_ipv4())
            });
            daemon.enable_interface(IfKind::Predicate(wanted))?;
        }
        let until = Instant::now() + NAMES_FOR;
        let session = Self { discovery, daemon, service, locals, key, certificate, until };
        session.announce()?;
        Ok(session)
    }

    fn announce(&self) -> Result<(), mdns_sd::Error> {
        // Without a key there is nothing that the event's devices could read.
        if self.key.is_some() { self.daemon.register(self.service.clone()) } else { Ok(()) }
    }

    async fn browse(
        &self,
        found: &mpsc::Sender<Found>,
        changed: &mut mpsc::Receiver<()>,
        missing: &AtomicBool,
    ) -> Ended {
        let mut names = Names::default();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announced = Instant::now();
        let mut asked: Option<Instant> = None;
        let mut events: Option<Receiver<ServiceEvent>> = None;
        loop {
            let event = tokio::select! {
                next = changed.recv() => {
                    return if next.is_some() { Ended::Changed } else { Ended::Stopped };
                }
                () = found.closed() => return Ended::Stopped,
                _ = look.tick() => {
                    if let Some(ended) = self.is_over().await {
                        return ended;
                    }
                    self.tell_of_strangers();
                    let is_missing = missing.load(Ordering::Relaxed);
                    let every =
                        if is_missing { BROWSE_EVERY_MISSING } else { browse_every(names.devices()) };
                    if events.is_some() && asked.is_some_and(|asked| asked.elapsed() < every) {
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
                        if self.announce().is_err() {
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
                    look.reset_after(Duration::from_millis(200));
                    None
                }
                Some(Some(ServiceEvent::ServiceResolved(service))) => self.resolved(&service, &mut names),
                Some(Some(ServiceEvent::ServiceRemoved(_, name))) => {
                    names.take(&name).map(|device| Found::Gone { device })
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

    /// Whether it is time for another daemon, or for other names.
    async fn is_over(&self) -> Option<Ended> {
        let key = self.discovery.membership.keys().into_iter().next();
        if Instant::now() >= self.until || key != self.key || self.discovery.certificate() != self.certificate
        {
            return Some(Ended::Stale);
        }
        // A daemon that has no time to answer is asked again later: another one would have as little.
        let metrics = self.daemon.get_metrics().ok()?;
        let metrics = tokio::time::timeout(METRICS_WITHIN, metrics.recv_async()).await.ok()?.ok()?;
        let records: i64 =
            metrics.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| count).sum();
        (records > RECORDS_MAX).then_some(Ended::Crowded)
    }

    fn tell_of_strangers(&self) {
        let mut strangers = self.discovery.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = strangers.tidy(Instant::now()) {
            tracing::info!(
                new,
                "strangers announce themselves on the network; `popmesh peers` shows the last"
            );
        }
    }

    fn resolved(&self, service: &ResolvedService, names: &mut Names) -> Option<Found> {
        if service.fullname.eq_ignore_ascii_case(self.service.get_fullname()) {
            return None;
        }
        let sealed = announcement::of_text(|key| service.get_property_val(key).flatten());
        // With each question the daemon tells anew of all that it remembers.
        if let Some(HeardOf { device, addresses, .. }) =
            names.known.get(&service.fullname).filter(|known| known.sealed == sealed)
        {
            return Some(Found::Seen { device: *device, addresses: addresses.clone() });
        }
        match hear(&self.discovery.membership.keys(), &sealed, &self.discovery.admit) {
            Heard::Device(said) if said.device == self.discovery.gate.me => None,
            Heard::Device(said) => {
                let addresses = self.discovery.dialled_at(&said, &self.locals);
                if addresses.is_empty() {
                    tracing::debug!(device = %short(&said.device), ?said.addresses, "announces itself nowhere near");
                    return None;
                }
                names.put(
                    service.fullname.clone(),
                    HeardOf { device: said.device, addresses: addresses.clone(), sealed },
                );
                Some(Found::Seen { device: said.device, addresses })
            }
            Heard::Stranger(why) => {
                let name = service.fullname.strip_suffix(SERVICE).unwrap_or(&service.fullname);
                let address = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).min();
                let mut strangers = self.discovery.strangers.lock().unwrap_or_else(PoisonError::into_inner);
                strangers.heard(name.trim_end_matches('.'), address, why, Instant::now());
                None
            }
        }
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

/// What an announcement turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A device of this event, whose certificate is good.
    Device(Said),
    /// Anything else.
    Stranger(Strange),
}

/// Judges a sealed announcement. No more than this decides what of the network's talk is ever dialled.
pub(crate) fn hear(keys: &[MembershipKey], sealed: &[u8], admit: &Admit) -> Heard {
    let Some(said) = announcement::open(keys, sealed) else { return Heard::Stranger(Strange::Sealed) };
    match admit(&said.device, &said.certificate) {
        Ok(()) => Heard::Device(said),
        Err(reason) => Heard::Stranger(Strange::Unfit(reason.to_string())),
    }
}

impl Discovery {
    /// The certificate that this device shows now.
    fn certificate(&self) -> Vec<u8> {
        self.gate.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where to dial a device, of what it says: within the networks that this one is in, and over what is in use here.
    fn dialled_at(&self, said: &Said, locals: &BTreeSet<Local>) -> Vec<Multiaddr> {
        let tcp = said.tcp.filter(|_| self.tcp.is_some());
        let quic = said.quic.filter(|_| self.quic.is_some());
        let near: BTreeSet<IpAddr> = said
            .addresses
            .iter()
            .filter(|address| interfaces::is_near(locals, address) && !needs_zone(address))
            .copied()
            .collect();
        near.into_iter()
            .take(ADDRESSES_MAX)
            .flat_map(|host| {
                [tcp.map(|port| multiaddr(host, port, true)), quic.map(|port| multiaddr(host, port, false))]
            })
            .flatten()
            .collect()
    }

    fn service(
        &self,
        locals: &BTreeSet<Local>,
        key: Option<&MembershipKey>,
        certificate: &[u8],
    ) -> Result<ServiceInfo, mdns_sd::Error> {
        let addresses = interfaces::announced(locals);
        let said = Said {
            device: self.gate.me,
            tcp: self.tcp,
            quic: self.quic,
            addresses: addresses.clone(),
            certificate: certificate.to_vec(),
        };
        let sealed = match key {
            Some(key) => announcement::seal(key, random::<NONCE_BYTES>()?, &said, |bytes| self.sign(bytes)),
            None => Vec::new(),
        };
        let (instance, host) = (hex::encode(random::<8>()?), hex::encode(random::<8>()?));
        let text: Vec<TxtProperty> = announcement::to_text(&sealed).into_iter().map(Into::into).collect();
        let mut service = ServiceInfo::new(
            SERVICE,
            &instance,
            &format!("{host}.local."),
            &addresses[..],
            PORT_SHOWN,
            text,
        )?;
        // Nobody else has such names, and whoever claims them all the same must not keep this device from being heard.
        service.set_requires_probe(false);
        Ok(service)
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        // An Ed25519 key, which the mesh's is, signs anything, in 64 bytes; without a signature nobody believes it.
        self.keypair.sign(bytes).ok().and_then(|signature| signature.try_into().ok()).unwrap_or([0; 64])
    }
}

fn random<const N: usize>() -> Result<[u8; N], mdns_sd::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| mdns_sd::Error::Msg(error.to_string()))?;
    Ok(bytes)
}

async fn next_event(events: Option<&Receiver<ServiceEvent>>) -> Option<ServiceEvent> {
    match events {
        Some(events) => events.recv_async().await.ok(),
        None => std::future::pending().await,
    }
}

/// What a device announced under one name.
struct HeardOf {
    device: DeviceKey,
    addresses: Vec<Multiaddr>,
    sealed: Vec<u8>,
}

/// What the most recent names of devices stand for.
#[derive(Default)]
struct Names {
    known: HashMap<String, HeardOf>,
    /// The oldest first.
    order: VecDeque<String>,
}

impl Names {
    fn put(&mut self, name: String, heard: HeardOf) {
        if self.known.insert(name.clone(), heard).is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > NAMES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn take(&mut self, name: &str) -> Option<DeviceKey> {
        self.order.retain(|other| other != name);
        self.known.remove(name).map(|heard| heard.device)
    }

    /// How many devices these are: one that has changed its names may still be here under its old ones.
    fn devices(&self) -> usize {
        self.known.values().map(|heard| heard.device).collect::<HashSet<_>>().len()
    }
}
