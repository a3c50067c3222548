//! The machine's network interfaces, and the ports to listen on.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Addresses considered at most, on a machine with very many.
const ADDRESSES_MAX: usize = 64;

/// An address of this machine, and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Local {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
}

/// The usable addresses of the interfaces that are up, of all or of the named ones. IPv6 addresses that need a zone are
/// left out: multiaddrs have no good way to carry it.
pub(crate) fn current(named: Option<&[String]>) -> BTreeSet<Local> {
    let interfaces = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces");
            return BTreeSet::new();
        }
    };
    interfaces
        .into_iter()
        .filter(|interface| interface.is_oper_up() || interface.is_loopback())
        .filter(|interface| named.is_none_or(|names| names.contains(&interface.name)))
        .map(|interface| Local { address: interface.ip(), interface: interface.name })
        .filter(|local| !needs_zone(&local.address))
        .take(ADDRESSES_MAX)
        .collect()
}

/// What to announce of them. Loopback is for machines that have nothing else, and for tests.
pub(crate) fn announced(locals: &BTreeSet<Local>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = locals.iter().map(|local| local.address).collect();
    if addresses.iter().any(|address| !address.is_loopback()) {
        addresses.retain(|address| !address.is_loopback());
    }
    addresses
}

pub(crate) fn needs_zone(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// What to listen on: the wildcard addresses, or every address of the named interfaces.
pub(crate) fn listen_on(named: Option<&[String]>) -> BTreeSet<IpAddr> {
    match named {
        None => BTreeSet::from([Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]),
        Some(_) => current(named).into_iter().map(|local| local.address).collect(),
    }
}

/// Finds out whether a port (0: any) is free for TCP and UDP. Listening sockets share ports silently with others of their
/// kind, so two nodes could otherwise take the same one and each get half of the connections.
pub(crate) fn free_port(wanted: u16, addresses: &BTreeSet<IpAddr>, tcp: bool, udp: bool) -> io::Result<u16> {
    let mut tries = if wanted == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        match probe(wanted, addresses, tcp, udp) {
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
            found => return found,
        }
    }
}

fn probe(wanted: u16, addresses: &BTreeSet<IpAddr>, tcp: bool, udp: bool) -> io::Result<u16> {
    let mut port = wanted;
    let mut held_tcp = Vec::new();
    let mut held_udp = Vec::new();
    for address in addresses.iter().filter(|address| address.is_ipv4() || addresses.len() == 1) {
        if tcp {
            let socket = TcpListener::bind(SocketAddr::new(*address, port))?;
            port = socket.local_addr()?.port();
            held_tcp.push(socket);
        }
        if udp {
            let socket = UdpSocket::bind(SocketAddr::new(*address, port))?;
            port = socket.local_addr()?.port();
            held_udp.push(socket);
        }
    }
    Ok(port)
}

/// The address as a peer dials it.
pub(crate) fn multiaddr(address: IpAddr, port: u16, tcp: bool) -> Multiaddr {
    let base = Multiaddr::from(address);
    if tcp { base.with(Protocol::Tcp(port)) } else { base.with(Protocol::Udp(port)).with(Protocol::QuicV1) }
}
