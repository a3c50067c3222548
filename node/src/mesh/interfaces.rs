//! The machine's network interfaces, and the ports to listen on.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use if_addrs::IfAddr;
use libp2p::{Multiaddr, multiaddr::Protocol};

/// Addresses considered at most, on a machine with very many.
const ADDRESSES_MAX: usize = 64;

/// An address of this machine, and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Local {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
    /// How many of the address's first bits its whole network has.
    pub(crate) prefix: u8,
}

impl Local {
    /// Whether an address is in the network of this one.
    fn is_in_network(&self, address: &IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
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
        .map(|interface| Local {
            address: interface.ip(),
            prefix: prefix(&interface.addr),
            interface: interface.name,
        })
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

/// Whether an address can be that of a device beside this one: in the network of one of this machine's interfaces, and of
/// one device alone. Loopback counts on machines that have nothing else, as in [`announced`].
pub(crate) fn is_near(locals: &BTreeSet<Local>, address: &IpAddr) -> bool {
    let is_one = match address {
        IpAddr::V4(address) => {
            !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
        }
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    };
    let only_loopback = locals.iter().all(|local| local.address.is_loopback());
    is_one
        && address.is_loopback() == only_loopback
        && locals.iter().any(|local| local.is_in_network(address))
}

/// The same of an address that begins with one, as those do that devices announce.
pub(crate) fn is_address_near(locals: &BTreeSet<Local>, address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(host)) => is_near(locals, &host.into()),
        Some(Protocol::Ip6(host)) => is_near(locals, &host.into()),
        _ => false,
    }
}

/// Whether a connection to an address cannot live, given this machine's addresses before and now: all that it had in that
/// network are gone.
pub(crate) fn is_cut_off(before: &BTreeSet<Local>, now: &BTreeSet<Local>, address: &Multiaddr) -> bool {
    let host: IpAddr = match address.iter().next() {
        Some(Protocol::Ip4(host)) => host.into(),
        Some(Protocol::Ip6(host)) => host.into(),
        _ => return false,
    };
    let mut beside = before.iter().filter(|local| local.is_in_network(&host)).peekable();
    beside.peek().is_some() && beside.all(|local| now.iter().all(|left| left.address != local.address))
}

fn prefix(address: &IfAddr) -> u8 {
    match address {
        IfAddr::V4(address) => address.prefixlen,
        IfAddr::V6(address) => address.prefixlen,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn locals(addresses: &[(&str, u8)]) -> BTreeSet<Local> {
        let local = |(address, prefix): &(&str, u8)| Local {
            interface: "eth0".to_owned(),
            address: address.parse().unwrap(),
            prefix: *prefix,
        };
        addresses.iter().map(local).collect()
    }

    fn near(locals: &BTreeSet<Local>, address: &str) -> bool {
        is_near(locals, &address.parse().unwrap())
    }

    #[test]
    fn what_is_in_no_network_of_this_machine_is_not_near() {
        let here = locals(&[("127.0.0.1", 8), ("10.77.3.1", 22), ("2001:db8::1", 64), ("::1", 128)]);
        for address in ["10.77.0.200", "10.77.3.255", "2001:db8::9"] {
            assert!(near(&here, address), "{address}");
        }
        for address in [
            "10.77.4.1",
            "8.8.8.8",
            "127.0.0.1",
            "127.0.0.9",
            "::1",
            "2001:db8:1::1",
            "0.0.0.0",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "ff02::fb",
        ] {
            assert!(!near(&here, address), "{address}");
        }
        let alone = locals(&[("10.77.3.1", 32)]);
        assert!(!near(&alone, "10.77.3.2"));
        let everywhere = locals(&[("10.77.3.1", 0)]);
        assert!(near(&everywhere, "8.8.8.8") && !near(&everywhere, "2001:db8::1"));
        assert!(!near(&BTreeSet::new(), "10.77.3.1") && !near(&BTreeSet::new(), "127.0.0.1"));
    }

    #[test]
    fn loopback_is_near_where_there_is_nothing_else() {
        let here = locals(&[("127.0.0.1", 8), ("::1", 128)]);
        assert!(near(&here, "127.0.0.1") && near(&here, "::1"));
        assert!(!near(&here, "10.77.0.1"));
    }

    #[test]
    fn a_connection_dies_with_the_last_address_in_its_network() {
        let before = locals(&[("127.0.0.1", 8), ("10.77.3.1", 24), ("2001:db8::1", 64), ("2001:db8::2", 64)]);
        let after = locals(&[("127.0.0.1", 8), ("10.77.3.9", 24), ("2001:db8::2", 64)]);
        let is_cut_off = |text: &str| is_cut_off(&before, &after, &text.parse().unwrap());
        assert!(is_cut_off("/ip4/10.77.3.2/tcp/1"));
        for other in
            ["/ip4/127.0.0.1/tcp/1", "/ip6/2001:db8::7/tcp/1", "/ip4/192.0.2.1/tcp/1", "/dns4/hq/tcp/1"]
        {
            assert!(!is_cut_off(other), "{other}");
        }
    }
}
