//! Callers from elsewhere, as far as their addresses tell them apart.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// What one caller has at will counts as one address: all of an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// How much each address has of something, of which none may have too much. This host's own programs may.
#[derive(Debug)]
pub(crate) struct Counted {
    most: usize,
    taken: BTreeMap<IpAddr, usize>,
}

impl Counted {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: BTreeMap::new() }
    }

    /// Takes one for an address. False if it has enough.
    pub(crate) fn take(&mut self, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return true;
        }
        let taken = self.taken.entry(network(address)).or_default();
        let may = *taken < self.most;
        *taken += usize::from(may);
        may
    }

    /// Gives back one that was taken.
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        let address = network(address);
        // Nothing of this host's own is counted.
        if let Some(taken) = self.taken.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_so_many_and_others_none_the_less() {
        let mut counted = Counted::new(3);
        let [one, other, same] =
            ["2001:db8::1", "10.0.0.1", "2001:db8::2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!((0..10).filter(|_| counted.take(one)).count(), 3);
        assert!(!counted.take(same), "one network of IPv6 is one address");
        assert!(counted.take(other));
        counted.give_back(one);
        assert!(counted.take(same) && !counted.take(one));
        for address in [one, one, one, other] {
            counted.give_back(address);
        }
        assert!(counted.taken.is_empty());
        assert_eq!((0..10).filter(|_| counted.take("127.0.0.1".parse().unwrap())).count(), 10);
        assert_eq!((0..10).filter(|_| counted.take("::1".parse().unwrap())).count(), 10);
    }
}
