//! Multicast DNS as a stranger speaks it: packets put together by hand, and what others say, as it was on the wire.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Host;

/// The service that devices announce.
pub const SERVICE: &str = "_popmesh._udp.local";

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;

/// An announcement of one instance, as DNS-SD has it.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The first label of the instance's name, and of its host's.
    pub name: String,
    /// The strings of its TXT record.
    pub text: Vec<Vec<u8>>,
    /// The port in its SRV record.
    pub port: u16,
    /// Its A records.
    pub addresses: Vec<Ipv4Addr>,
    /// Seconds that all of that holds; 0 says goodbye.
    pub seconds: u32,
}

impl Announcement {
    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let instance = format!("{}.{SERVICE}", self.name);
        let host = format!("{}.local", self.name);
        let mut packet = vec![0, 0, 0x84, 0, 0, 0];
        packet.extend((3 + self.addresses.len() as u16).to_be_bytes());
        packet.extend([0; 4]);
        let mut record = |name: &str, kind: u16, data: &[u8]| {
            packet.extend(labels(name));
            packet.extend(kind.to_be_bytes());
            // Of all but the service's own name there is one: what others remember of it is to be forgotten.
            packet.extend(if kind == PTR { [0, 1] } else { [0x80, 1] });
            packet.extend(self.seconds.to_be_bytes());
            packet.extend((data.len() as u16).to_be_bytes());
            packet.extend(data);
        };
        record(SERVICE, PTR, &labels(&instance));
        let to_host = [&[0; 4][..], &self.port.to_be_bytes(), &labels(&host)].concat();
        record(&instance, SRV, &to_host);
        let text: Vec<u8> =
            self.text.iter().flat_map(|text| [&[text.len() as u8], &text[..]].concat()).collect();
        record(&instance, TXT, &text);
        for address in &self.addresses {
            record(&host, A, &address.octets());
        }
        packet
    }
}

/// The question who is there.
pub fn question() -> Vec<u8> {
    let head = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], &labels(SERVICE), &PTR.to_be_bytes(), &[0, 1]].concat()
}

fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The instances that packets name: first labels before the service's.
pub fn instances(packets: &[Vec<u8>]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for packet in packets {
        // A pointer's data begins with the label itself, whatever is compressed behind it.
        for at in 12..packet.len().saturating_sub(1) {
            let length = usize::from(packet[at]);
            let (Some(label), Some(after)) =
                (packet.get(at + 1..at + 1 + length), packet.get(at + 1 + length))
            else {
                continue;
            };
            let is_name = (8..=63).contains(&length)
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ');
            // Behind it stands a pointer to the service's name, or that name.
            if is_name && (*after >= 0xc0 || packet[at + 1 + length..].starts_with(&labels(SERVICE))) {
                names.insert(String::from_utf8_lossy(label).into_owned());
            }
        }
    }
    names
}

/// A host's place in the group that speaks multicast DNS.
#[derive(Debug)]
pub struct Speaker {
    socket: UdpSocket,
    address: Ipv4Addr,
}

impl Speaker {
    /// Joins the group in a host where nobody else has.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn join(host: &Host) -> Result<Self> {
        let address = host.address();
        let socket = host.in_namespace(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("bind the port of mDNS")?;
            socket.join_multicast_v4(&GROUP, &address).context("join the group of mDNS")?;
            socket.set_multicast_loop_v4(false)?;
            Ok(socket)
        })?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(Self { socket, address })
    }

    /// Says something to all.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn say(&self, packet: &[u8]) -> Result<()> {
        self.socket.send_to(packet, (GROUP, PORT)).map(drop).context("speak mDNS")
    }

    /// What one host says within this time from now, asked who is there once.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn hear(&self, from: Ipv4Addr, time: Duration) -> Result<Vec<Vec<u8>>> {
        let mut buffer = [0; 9_000];
        // What was said before is still there to be read.
        self.socket.set_nonblocking(true)?;
        while self.socket.recv_from(&mut buffer).is_ok() {}
        self.socket.set_nonblocking(false)?;
        self.say(&question())?;
        let until = Instant::now() + time;
        let mut heard = Vec::new();
        while Instant::now() < until {
            if let Ok((length, whose)) = self.socket.recv_from(&mut buffer)
                && whose.ip() == from
                && whose.ip() != self.address
            {
                heard.push(buffer[..length].to_vec());
            }
        }
        Ok(heard)
    }
}

/// Counts what arrives at some ports of a host, until it is dropped. What connects over TCP is let in, and hears nothing.
#[derive(Debug)]
pub struct Trap {
    arrived: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Trap {
    /// Counts at these ports, TCP and UDP.
    ///
    /// # Errors
    /// When one is taken.
    pub fn set(host: &Host, ports: impl IntoIterator<Item = u16>) -> Result<Self> {
        let (arrived, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut threads = Vec::new();
        for port in ports {
            let (tcp, udp) = host.in_namespace(|| {
                let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("bind over TCP")?;
                Ok((tcp, UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).context("bind over UDP")?))
            })?;
            tcp.set_nonblocking(true)?;
            udp.set_nonblocking(true)?;
            let (arrived, done) = (Arc::clone(&arrived), Arc::clone(&done));
            threads.push(thread::spawn(move || {
                let mut kept = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    while let Ok((stream, _)) = tcp.accept() {
                        kept.push(stream);
                        arrived.fetch_add(1, Ordering::Relaxed);
                    }
                    while udp.recv_from(&mut [0; 2_000]).is_ok() {
                        arrived.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            }));
        }
        Ok(Self { arrived, done, threads })
    }

    /// Connections and datagrams so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has counted too little, which its test has noticed.
            let _ = thread.join();
        }
    }
}
