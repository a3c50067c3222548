//! Callers from elsewhere, as far as their addresses tell them apart.

use std::net::{IpAddr, Ipv6Addr};

/// What one caller has at will counts as one address: all of an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}
