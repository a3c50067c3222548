//! Hearing what is announced on the local network: sockets on the multicast groups, each packet looked at by itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use super::announced;
use super::lan::{LanError, Seen, Service, VERSION};

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// The largest packet that multicast DNS has.
const PACKET_MAX: usize = 9000;
/// How often a reader looks whether anybody still wants to know, and joins the groups on interfaces that came meanwhile.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How long after the first question there is another; then twice as long each time, up to the last.
const ASKED_AGAIN: Duration = Duration::from_secs(1);
const ASKED_LAST: Duration = Duration::from_secs(8);
/// Announcements that wait to be looked at; more are dropped, and are said again.
const WAITING: usize = 1024;
/// What RFC 6762 wants of multicast DNS packets.
const HOPS: u32 = 255;

/// A look around the local network; it ends when this is dropped.
pub struct Browsing {
    seen: Receiver<Seen>,
}

impl Browsing {
    /// Asks around for those who announce.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn start(service: Service) -> Result<Self, LanError> {
        Self::begin(service, true)
    }

    /// Listens for those who announce, and says nothing itself: nobody learns that somebody listens.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn listen(service: Service) -> Result<Self, LanError> {
        Self::begin(service, false)
    }

    fn begin(service: Service, asks: bool) -> Result<Self, LanError> {
        let (sender, seen) = mpsc::sync_channel(WAITING);
        let v4 = open(AddressFamily::INET)?;
        let readers = [(false, Some(v4)), (true, open(AddressFamily::INET6).ok())];
        for (is_v6, socket) in readers {
            // A host without IPv6 has the one socket.
            let Some(socket) = socket else { continue };
            let reader = Reader { socket, is_v6, service, sender: sender.clone(), asks };
            thread::spawn(move || reader.run());
        }
        Ok(Self { seen })
    }

    /// The next that is heard, or nobody before `until`. What is said again is heard again.
    pub fn next(&mut self, until: Instant) -> Option<Seen> {
        loop {
            let seen = self.seen.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            if seen.says("v").is_some() {
                return Some(seen);
            }
        }
    }
}

/// A socket that shares the port with every other program that speaks multicast DNS.
fn open(family: AddressFamily) -> io::Result<UdpSocket> {
    let socket = socket(family, SocketType::DGRAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
        sockopt::set_ipv6_multicast_hops(&socket, HOPS)?;
        bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)))?;
    } else {
        sockopt::set_ip_multicast_ttl(&socket, HOPS)?;
        bind(&socket, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)))?;
    }
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(LOOKED_EVERY))?;
    Ok(socket)
}

struct Reader {
    socket: UdpSocket,
    is_v6: bool,
    service: Service,
    sender: SyncSender<Seen>,
    asks: bool,
}

impl Reader {
    fn run(self) {
        let service = self.service.name().trim_end_matches('.');
        let question = announced::question(service);
        let mut packet = vec![0; PACKET_MAX];
        let (mut joined, mut asked, mut pause) = (None::<Instant>, None::<Instant>, Duration::ZERO);
        loop {
            let now = Instant::now();
            let mut interfaces = Vec::new();
            let is_time_to_ask = self.asks && asked.is_none_or(|asked| now - asked >= pause);
            let is_time_to_join = joined.is_none_or(|joined| now - joined >= LOOKED_EVERY);
            if is_time_to_ask || is_time_to_join {
                interfaces = if_addrs::get_if_addrs().unwrap_or_default();
            }
            if is_time_to_join {
                self.join(&interfaces);
                joined = Some(now);
                if !self.is_wanted() {
                    return;
                }
            }
            if is_time_to_ask {
                self.ask(&interfaces, &question);
                asked = Some(now);
                pause = (pause * 2).clamp(ASKED_AGAIN, ASKED_LAST);
            }
            // An error is a time that is over, or an interface that went.
            let Ok((length, _)) = self.socket.recv_from(&mut packet) else { continue };
            for instance in announced::instances(&packet[..length], service) {
                let seen = Seen(instance);
                if seen.says("v") == Some(VERSION)
                    && matches!(self.sender.try_send(seen), Err(TrySendError::Disconnected(_)))
                {
                    return;
                }
            }
        }
    }

    /// Whether somebody still wants to know: an empty announcement, which nobody asks for, tells.
    fn is_wanted(&self) -> bool {
        let nothing = Seen(announced::Instance::default());
        !matches!(self.sender.try_send(nothing), Err(TrySendError::Disconnected(_)))
    }

    /// Joins the group on every interface; where it has been joined already, that is refused, and no harm.
    fn join(&self, interfaces: &[if_addrs::Interface]) {
        for interface in interfaces {
            match interface.ip() {
                IpAddr::V4(address) if !self.is_v6 => {
                    let _ = self.socket.join_multicast_v4(&GROUP_V4, &address);
                }
                IpAddr::V6(_) if self.is_v6 => {
                    let index = interface.index.unwrap_or_default();
                    let _ = self.socket.join_multicast_v6(&GROUP_V6, index);
                }
                _ => {}
            }
        }
    }

    /// Asks on every interface. Where it cannot be asked, somebody may be heard all the same.
    fn ask(&self, interfaces: &[if_addrs::Interface], question: &[u8]) {
        for interface in interfaces {
            match interface.ip() {
                IpAddr::V4(address) if !self.is_v6 => {
                    let _ = sockopt::set_ip_multicast_if(&self.socket, &address);
                    let _ = self.socket.send_to(question, (GROUP_V4, PORT));
                }
                IpAddr::V6(_) if self.is_v6 => {
                    let index = interface.index.unwrap_or_default();
                    let _ = sockopt::set_ipv6_multicast_if(&self.socket, index);
                    let _ = self.socket.send_to(question, (GROUP_V6, PORT));
                }
                _ => {}
            }
        }
    }
}
