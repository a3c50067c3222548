//! What a stranger on the venue's network has: addresses, sockets, mDNS packets made by hand, and half of an exchange.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Host;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

pub(crate) const MDNS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
/// A point of the curve, as both kinds of share have it.
const POINT: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

/// Gives a host `count` more addresses, from 10.77.0.100 on.
pub(crate) fn more_addresses(host: &Host, count: u8) -> Result<Vec<Ipv4Addr>> {
    let mut addresses = Vec::new();
    for number in 0..count {
        let address = Ipv4Addr::new(10, 77, 0, 100 + number);
        let mut command: Command = host.command("ip");
        let added = command.args(["address", "add", &format!("{address}/24"), "dev", "eth0"]).status();
        ensure!(added.context("run ip")?.success(), "{address} is not taken");
        addresses.push(address);
    }
    Ok(addresses)
}

/// Connects from one of the addresses of this host.
pub(crate) fn connect_from(from: Ipv4Addr, to: SocketAddr, patience: Duration) -> Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(from, 0))?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// Sends a frame of an exchange.
pub(crate) fn send(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    let length = u32::try_from(frame.len())?.to_be_bytes();
    Ok(stream.write_all(&[&length[..], frame].concat())?)
}

/// Receives a frame of an exchange.
pub(crate) fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// All that comes until the other side hangs up or says nothing for as long as the stream is patient.
pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..read]);
    }
    all
}

/// What who admits answers a hello with, with a tag that is none.
pub(crate) fn wrong_answer() -> Vec<u8> {
    [&[0x82, 0x01, 0x82, 0x58, 33, b'B'][..], &POINT, &[0x58, 32], &[0; 32]].concat()
}

/// What a new device says first: with a code, or with the mark of a ticket.
pub(crate) fn hello(version: u8, ticket: Option<[u8; 8]>) -> Vec<u8> {
    let ticket = ticket.map_or_else(|| vec![0xf6], |mark| [&[0x48][..], &mark].concat());
    [&[0x82, 0x00, 0x83, version][..], &ticket, &[0x58, 33, b'A'], &POINT].concat()
}

/// Tries a code at a new device that shows one, as nobody can who does not know it. Whether it was let try.
pub(crate) fn try_wrong_code(from: Ipv4Addr, at: SocketAddr) -> bool {
    let tried = || -> Result<()> {
        let mut stream = connect_from(from, at, Duration::from_secs(2))?;
        receive(&mut stream)?;
        send(&mut stream, &wrong_answer())?;
        read_all(&mut stream);
        Ok(())
    };
    tried().is_ok()
}

/// A socket for mDNS in the host that calls, with the group joined.
pub(crate) fn mdns(own: Ipv4Addr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, MDNS.port()))?;
    socket.join_multicast_v4(MDNS.ip(), &own)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(socket)
}

/// An announcement: that instance `name` of `service` is at this address, and says `text`.
pub(crate) fn announcement(service: &str, name: &str, at: SocketAddrV4, text: &[(&str, &str)]) -> Vec<u8> {
    let (service, instance) =
        (labels(&format!("{service}.local")), labels(&format!("{name}.{service}.local")));
    let host = labels(&format!("{name}.local"));
    let txt: Vec<u8> = text
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .flat_map(|text| [&[u8::try_from(text.len()).unwrap_or(u8::MAX)][..], text.as_bytes()].concat())
        .collect();
    let srv = [&[0, 0, 0, 0][..], &at.port().to_be_bytes(), &host].concat();
    let records = [
        record(&service, 12, 1, &instance),
        record(&instance, 33, 0x8001, &srv),
        record(&instance, 16, 0x8001, &txt),
        record(&host, 1, 0x8001, &at.ip().octets()),
    ];
    let header = [0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    [&header[..], &records.concat()].concat()
}

fn record(name: &[u8], kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let [kind, class, length] = [kind, class, length].map(u16::to_be_bytes);
    [name, &kind, &class, &120_u32.to_be_bytes(), &length, data].concat()
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Whether a packet has these bytes somewhere.
pub(crate) fn has(packet: &[u8], bytes: &[u8]) -> bool {
    packet.windows(bytes.len()).any(|window| window == bytes)
}
