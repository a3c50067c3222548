//! What addresses say.

use std::net::IpAddr;

use libp2p::{Multiaddr, multiaddr::Protocol};

/// The IP address in an address, if it has one.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(address) => Some(address.into()),
        Protocol::Ip6(address) => Some(address.into()),
        _ => None,
    })
}
