//! What is advertised: who is there, for those who have the key, and nothing for anybody else.
//!
//! A legacy advertisement has 31 bytes: flags take 3, the service's 128-bit UUID with its header 18, which leaves 10.
//! They are `tag (4) || short id (4) and standing (2), encrypted`. Tag and key stream depend on the address that is
//! advertised from, which is 46 random bits anew each time it changes: so the 10 bytes change with it, tell a passer-by
//! nothing, and are worth nothing under another address. The key stream depends on the tag and the tag on all that it
//! hides, so no key stream is used for two contents. No clock is needed, since devices that were off for long have a
//! wrong one.
//!
//! Of the group that a device is in, it tells a mark that depends on the address, too: who knows the key can tell
//! whether it is the same group as its own. Two groups may have one mark by chance, one in 8,192, until either address
//! changes.

use std::fmt;
use std::sync::{PoisonError, RwLock};

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
const TAG_BYTES: usize = 4;
const ID_BYTES: usize = 4;
const BODY_BYTES: usize = ID_BYTES + 2;
const SERVICE_DATA_BYTES: usize = SERVICE.len() + TAG_BYTES + BODY_BYTES;

const IS_OPEN: u16 = 1 << 15;
const HAS_ROOM: u16 = 1 << 14;
const BRIDGES: u16 = 1 << 13;
const MARK: u16 = BRIDGES - 1;
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

/// How a device stands among others, as it tells those with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Names all that it is linked to, directly or through others.
    pub group: ShortId,
    /// Whether it has links beside those over the radio.
    pub bridges: bool,
    /// Whether it has a use for links to devices of its own group.
    pub has_room: bool,
}

/// How a device said that it stands. By default it is closed, and of no group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    address: Address,
    state: u16,
}

impl Heard {
    #[cfg(test)]
    pub(crate) fn of(address: Address, state: u16) -> Self {
        Self { address, state }
    }

    /// Whether it can be connected to.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state & IS_OPEN != 0
    }

    /// Whether it has a use for links to devices of its own group.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state & HAS_ROOM != 0
    }

    /// Whether it has links beside those over the radio.
    #[must_use]
    pub fn bridges(&self) -> bool {
        self.state & BRIDGES != 0
    }
}

/// A key under which advertisements are written. Secret.
pub type Key = Zeroizing<[u8; 32]>;

/// Writes advertisements under the newest of some keys, and reads those under any of them: nothing on the air says which
/// one it was.
pub(crate) struct Beacon {
    /// The newest first.
    keys: RwLock<Vec<Key>>,
}

impl Beacon {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        Self { keys: RwLock::new(keys) }
    }

    /// Has these from now on, the newest first.
    pub(crate) fn set_keys(&self, keys: Vec<Key>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn keys(&self) -> Vec<Key> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a device advertises from an address.
    pub(crate) fn write(
        &self,
        id: ShortId,
        standing: Standing,
        is_open: bool,
        address: &Address,
    ) -> [u8; ADVERT_BYTES] {
        let key = self.keys().into_iter().next().unwrap_or_default();
        let flags = [(is_open, IS_OPEN), (standing.has_room, HAS_ROOM), (standing.bridges, BRIDGES)];
        let state = flags
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .fold(mark(&key, standing.group, address), |state, (_, flag)| state | flag);
        let mut body = [0; BODY_BYTES];
        body[..ID_BYTES].copy_from_slice(&id.0);
        body[ID_BYTES..].copy_from_slice(&state.to_be_bytes());
        let tag: [u8; TAG_BYTES] = derive(&key, b"tag", &body, address);
        let mut advert = [0; ADVERT_BYTES];
        advert[..3].copy_from_slice(&[2, FLAGS, FLAGS_LE_ONLY]);
        advert[3..5].copy_from_slice(&[1 + SERVICE_DATA_BYTES as u8, SERVICE_DATA_128]);
        let (service, data) = advert[5..].split_at_mut(SERVICE.len());
        service.copy_from_slice(&SERVICE);
        let (tag_there, body_there) = data.split_at_mut(TAG_BYTES);
        tag_there.copy_from_slice(&tag);
        body_there.copy_from_slice(&masked(body, derive(&key, b"mask", &tag, address)));
        advert
    }

    /// Who advertises, and how that device stands, if it is one with one of these keys.
    pub(crate) fn read(&self, advert: &[u8], address: &Address) -> Option<(ShortId, Heard)> {
        let data = service_data(advert)?;
        let (tag, body) = data.split_at_checked(TAG_BYTES)?;
        let hidden: [u8; BODY_BYTES] = body.try_into().ok()?;
        self.keys().iter().find_map(|key| {
            let body = masked(hidden, derive(key, b"mask", tag, address));
            let expected: [u8; TAG_BYTES] = derive(key, b"tag", &body, address);
            let [id @ .., high, low] = body;
            let heard = Heard { address: *address, state: u16::from_be_bytes([high, low]) };
            bool::from(expected.ct_eq(tag)).then_some((ShortId(id), heard))
        })
    }

    /// Whether a device said that it is in this group.
    pub(crate) fn is_of(&self, heard: &Heard, group: ShortId) -> bool {
        self.keys().iter().any(|key| heard.state & MARK == mark(key, group, &heard.address))
    }
}

fn mark(key: &Key, group: ShortId, address: &Address) -> u16 {
    u16::from_be_bytes(derive(key, b"group", &group.0, address)) & MARK
}

fn derive<const N: usize>(key: &Key, label: &[u8], of: &[u8], address: &Address) -> [u8; N] {
    // HMAC takes keys of any length; the other branch is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&**key) else { return [0; N] };
    for part in [b"popmesh ble ", label, &[0], of, address] {
        mac.update(part);
    }
    let mut derived = [0; N];
    derived.copy_from_slice(&mac.finalize().into_bytes()[..N]);
    derived
}

fn masked(body: [u8; BODY_BYTES], mask: [u8; BODY_BYTES]) -> [u8; BODY_BYTES] {
    std::array::from_fn(|index| body[index] ^ mask[index])
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
        Beacon::new(vec![Zeroizing::new([key; 32])])
    }

    const ALONE: Standing = Standing { group: ID, bridges: false, has_room: true };

    fn who(read: Option<(ShortId, Heard)>) -> Option<ShortId> {
        read.map(|(id, _)| id)
    }

    #[test]
    fn members_read_it_and_nobody_else() {
        let advert = beacon(1).write(ID, ALONE, true, &HERE);
        assert!(advert.len() <= 31);
        assert_eq!(who(beacon(1).read(&advert, &HERE)), Some(ID));
        assert_eq!(who(beacon(2).read(&advert, &HERE)), None, "of another event");
        assert_eq!(who(beacon(1).read(&advert, &THERE)), None, "said again from another address");
    }

    #[test]
    fn it_is_written_under_the_newest_key_and_read_under_any() {
        let key = |byte: u8| Zeroizing::new([byte; 32]);
        let (old, renewed) = (beacon(1), Beacon::new(vec![key(2), key(1)]));
        let (by_old, by_new) = (old.write(ID, ALONE, true, &HERE), renewed.write(ID, ALONE, true, &HERE));
        assert_eq!(who(renewed.read(&by_old, &HERE)), Some(ID), "who was away is understood");
        assert_eq!(who(renewed.read(&by_new, &HERE)), Some(ID));
        assert_eq!(who(old.read(&by_new, &HERE)), None, "who was retired is not told");
        for advert in [by_old, by_new] {
            let (_, heard) = renewed.read(&advert, &HERE).unwrap();
            assert!(renewed.is_of(&heard, ALONE.group), "the group, too");
        }
        old.set_keys(vec![key(2), key(1)]);
        assert_eq!(old.write(ID, ALONE, true, &HERE), by_new);
    }

    #[test]
    fn how_a_device_stands_is_read_as_it_was_written() {
        let beacon = beacon(1);
        for number in 0..8 {
            let [is_open, bridges, has_room] = [1, 2, 4].map(|bit| number & bit != 0);
            let standing = Standing { group: ShortId([9, 8, 7, number]), bridges, has_room };
            let (_, heard) = beacon.read(&beacon.write(ID, standing, is_open, &HERE), &HERE).unwrap();
            assert_eq!((heard.is_open(), heard.bridges(), heard.has_room()), (is_open, bridges, has_room));
            assert!(beacon.is_of(&heard, standing.group) && !beacon.is_of(&heard, ID));
        }
    }

    #[test]
    fn groups_that_look_alike_from_one_address_differ_from_another() {
        let alike = |number: u32, address| {
            let key = Zeroizing::new([1; 32]);
            mark(&key, ShortId(number.to_be_bytes()), address) == mark(&key, ALONE.group, address)
        };
        let here: Vec<u32> = (0..40_000).filter(|number| alike(*number, &HERE)).collect();
        assert!(!here.is_empty() && here.len() < 20, "{here:?}");
        assert!(!here.iter().any(|number| alike(*number, &THERE)));
    }

    #[test]
    fn nothing_of_it_stays_when_the_address_or_the_standing_changes() {
        let one = beacon(1).write(ID, ALONE, true, &HERE);
        let others = [
            beacon(1).write(ID, ALONE, true, &THERE),
            beacon(1).write(ID, ALONE, false, &HERE),
            beacon(1).write(ID, Standing { bridges: true, ..ALONE }, true, &HERE),
        ];
        for other in others {
            assert_eq!(one[..21], other[..21], "the service is the same");
            let same = one[21..].iter().zip(&other[21..]).filter(|(one, other)| one == other).count();
            assert!(same <= 2, "{same} of 10 bytes are the same");
        }
        assert!(!one.windows(4).any(|window| window == ID.0));
    }

    #[test]
    fn whatever_is_on_the_air_is_read_without_harm() {
        let beacon = beacon(1);
        let advert = beacon.write(ID, ALONE, true, &HERE);
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
