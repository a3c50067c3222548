//! What is advertised: who is there, for those who have the key, and nothing for anybody else.
//!
//! A legacy advertisement has 31 bytes: flags take 3, the service's 128-bit UUID with its header 18, which leaves 10.
//! They are `tag (6) || short id (4), encrypted`. Tag and key stream depend on the address that is advertised from,
//! which is 46 random bits anew each time it changes: so the 10 bytes change with it, tell a passer-by nothing, and are
//! worth nothing under another address. No clock is needed, since devices that were off for long have a wrong one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The service that is advertised, in the order of the air: `7d2e1f05-…`, drawn by chance.
const SERVICE: [u8; 16] =
    [0x91, 0x5c, 0x0e, 0xd4, 0x77, 0xa3, 0x6b, 0x9f, 0xc2, 0x4a, 0x38, 0xb6, 0x05, 0x1f, 0x2e, 0x7d];

const FLAGS: u8 = 0x01;
/// General discoverable, and nothing but LE.
const FLAGS_LE_ONLY: u8 = 0x06;
const SERVICE_DATA_128: u8 = 0x21;
const TAG_BYTES: usize = 6;
const ID_BYTES: usize = 4;
const SERVICE_DATA_BYTES: usize = SERVICE.len() + TAG_BYTES + ID_BYTES;
const ADVERT_BYTES: usize = 3 + 2 + SERVICE_DATA_BYTES;

/// A device's address on the air, in the order of the air.
pub(crate) type Address = [u8; 6];

/// Tells the devices of one key apart. Whoever uses this crate says which device has which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId(pub [u8; 4]);

impl fmt::Display for ShortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Writes and reads advertisements under one key.
pub(crate) struct Beacon {
    key: Zeroizing<[u8; 32]>,
}

impl Beacon {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key }
    }

    /// What a device advertises from an address.
    pub(crate) fn write(&self, id: ShortId, address: &Address) -> [u8; ADVERT_BYTES] {
        let mut advert = [0; ADVERT_BYTES];
        advert[..3].copy_from_slice(&[2, FLAGS, FLAGS_LE_ONLY]);
        advert[3..5].copy_from_slice(&[1 + SERVICE_DATA_BYTES as u8, SERVICE_DATA_128]);
        let (service, data) = advert[5..].split_at_mut(SERVICE.len());
        service.copy_from_slice(&SERVICE);
        let (tag, body) = data.split_at_mut(TAG_BYTES);
        tag.copy_from_slice(&self.tag(id, address));
        body.copy_from_slice(&masked(id.0, self.mask(tag, address)));
        advert
    }

    /// Who advertises, if it is one with the same key.
    pub(crate) fn read(&self, advert: &[u8], address: &Address) -> Option<ShortId> {
        let data = service_data(advert)?;
        let (tag, body) = data.split_at_checked(TAG_BYTES)?;
        let id = ShortId(masked(body.try_into().ok()?, self.mask(tag, address)));
        bool::from(self.tag(id, address).ct_eq(tag)).then_some(id)
    }

    fn tag(&self, id: ShortId, address: &Address) -> [u8; TAG_BYTES] {
        self.derive(b"tag", &id.0, address)
    }

    fn mask(&self, tag: &[u8], address: &Address) -> [u8; ID_BYTES] {
        self.derive(b"mask", tag, address)
    }

    fn derive<const N: usize>(&self, label: &[u8], of: &[u8], address: &Address) -> [u8; N] {
        // HMAC takes keys of any length; the other branch is never taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.key) else { return [0; N] };
        for part in [b"popmesh ble ", label, &[0], of, address] {
            mac.update(part);
        }
        let mut derived = [0; N];
        derived.copy_from_slice(&mac.finalize().into_bytes()[..N]);
        derived
    }
}

fn masked(id: [u8; ID_BYTES], mask: [u8; ID_BYTES]) -> [u8; ID_BYTES] {
    std::array::from_fn(|index| id[index] ^ mask[index])
}

/// The service data of this service, in an advertisement of anybody.
fn service_data(advert: &[u8]) -> Option<&[u8]> {
    let mut rest = advert;
    while let Some((length, after)) = rest.split_first() {
        let (structure, next) = after.split_at_checked(usize::from(*length))?;
        if let Some((&SERVICE_DATA_128, data)) = structure.split_first()
            && let Some(data) = data.strip_prefix(&SERVICE)
        {
            return Some(data);
        }
        rest = next;
    }
    None
}

/// An address by chance, of the form that private addresses of phones have: whoever does not know the key that it could
/// be resolved with cannot tell that there is none.
pub(crate) fn fresh_address() -> Result<Address, getrandom::Error> {
    let mut address = [0; 6];
    getrandom::fill(&mut address)?;
    address[5] = address[5] & 0x3f | 0x40;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ShortId = ShortId([1, 2, 3, 4]);
    const HERE: Address = [1, 2, 3, 4, 5, 0x46];
    const THERE: Address = [1, 2, 3, 4, 6, 0x46];

    fn beacon(key: u8) -> Beacon {
        Beacon::new(Zeroizing::new([key; 32]))
    }

    #[test]
    fn members_read_it_and_nobody_else() {
        let advert = beacon(1).write(ID, &HERE);
        assert!(advert.len() <= 31);
        assert_eq!(beacon(1).read(&advert, &HERE), Some(ID));
        assert_eq!(beacon(2).read(&advert, &HERE), None, "of another event");
        assert_eq!(beacon(1).read(&advert, &THERE), None, "said again from another address");
    }

    #[test]
    fn nothing_of_it_stays_when_the_address_changes() {
        let (one, other) = (beacon(1).write(ID, &HERE), beacon(1).write(ID, &THERE));
        assert_eq!(one[..21], other[..21], "the service is the same");
        let same = one[21..].iter().zip(&other[21..]).filter(|(one, other)| one == other).count();
        assert!(same <= 2, "{same} of 10 bytes are the same");
        assert!(!one.windows(4).any(|window| window == ID.0));
    }

    #[test]
    fn whatever_is_on_the_air_is_read_without_harm() {
        let beacon = beacon(1);
        let advert = beacon.write(ID, &HERE);
        for cut in 0..advert.len() {
            assert_eq!(beacon.read(&advert[..cut], &HERE), None);
        }
        // The flags before it are nobody's business.
        for bit in 3 * 8..advert.len() * 8 {
            let mut altered = advert;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(beacon.read(&altered, &HERE), None, "bit {bit}");
        }
        assert_eq!(beacon.read(&[0; 31], &HERE), None);
        assert_eq!(beacon.read(&[255; 31], &HERE), None);
    }

    #[test]
    fn addresses_are_private_ones() {
        for _ in 0..100 {
            assert_eq!(fresh_address().unwrap()[5] >> 6, 1);
        }
        assert_ne!(fresh_address().unwrap(), fresh_address().unwrap());
    }
}
