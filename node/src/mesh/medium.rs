//! What a connection runs over, and how addresses say so.
//!
//! Multiaddr has no word for Bluetooth. Of those it has, `unix` names something on this machine by a text, which is
//! what the radio is to it; popmesh uses no Unix sockets here. So `/unix/ble` is this device's radio, and
//! `/unix/ble-1f2e3d4c` a device in range: by its short id where it was dialled, by its address of the moment, twelve
//! digits, where it came in.

use libp2p::{Multiaddr, core::ConnectedPoint, multiaddr::Protocol};
use popmesh_ble::ShortId;

/// What a connection runs over. There is at most one connection of each to a device; the first is the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Medium {
    /// The network: Wi-Fi or a cable.
    Ip,
    /// Bluetooth LE.
    Ble,
}

const RADIO: &str = "ble";
const IN_RANGE: &str = "ble-";

/// This device's radio.
pub(crate) fn radio() -> Multiaddr {
    Protocol::Unix(RADIO.into()).into()
}

/// A device in range, by its short id.
pub(crate) fn in_range(id: ShortId) -> Multiaddr {
    Protocol::Unix(format!("{IN_RANGE}{id}").into()).into()
}

/// Who connected from this address.
pub(crate) fn caller(address: [u8; 6]) -> Multiaddr {
    Protocol::Unix(format!("{IN_RANGE}{}", hex::encode(address)).into()).into()
}

fn name(address: &Multiaddr) -> Option<String> {
    match address.iter().next()? {
        Protocol::Unix(name) => Some(name.into_owned()),
        _ => None,
    }
}

/// Whether an address is this device's radio.
pub(crate) fn is_radio(address: &Multiaddr) -> bool {
    name(address).as_deref() == Some(RADIO)
}

/// The short id that an address names.
pub(crate) fn short_id(address: &Multiaddr) -> Option<ShortId> {
    let name = name(address)?;
    let mut id = [0; 4];
    hex::decode_to_slice(name.strip_prefix(IN_RANGE)?, &mut id).ok()?;
    Some(ShortId(id))
}

/// What a connection to or from this address runs over.
pub(crate) fn medium(address: &Multiaddr) -> Medium {
    if name(address).is_some_and(|name| name.starts_with(RADIO)) { Medium::Ble } else { Medium::Ip }
}

/// What a connection runs over.
pub(crate) fn medium_of(point: &ConnectedPoint) -> Medium {
    medium(point.get_remote_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_what_they_are_and_can_be_written_and_read() {
        let id = ShortId([0x1f, 0x2e, 0x3d, 0x4c]);
        let ip: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        assert_eq!(in_range(id).to_string(), "/unix/ble-1f2e3d4c");
        for address in [radio(), in_range(id), caller([1, 2, 3, 4, 5, 6])] {
            assert_eq!(address.to_string().parse::<Multiaddr>().unwrap(), address);
            assert_eq!(medium(&address), Medium::Ble);
        }
        assert_eq!(medium(&ip), Medium::Ip);
        assert_eq!(short_id(&in_range(id)), Some(id));
        assert_eq!(short_id(&caller([1; 6])), None);
        assert_eq!(short_id(&ip), None);
        assert!(is_radio(&radio()) && !is_radio(&in_range(id)));
    }
}
