//! What a device says of itself on the local network, sealed so that the event's devices alone can read it.
//!
//! An announcement is one value in a TXT record of multicast DNS:
//!
//! ```text
//! nonce (24) | XChaCha20-Poly1305 of: body | zeros up to a multiple of 128 bytes
//! body: device (32) | TCP port (2) | QUIC port (2) | n (1) | n IPv4 addresses (4 each) | m (1) | m IPv6 addresses (16 each)
//!       | length (2) | certificate | signature by the device over all before it (64)
//! ```
//!
//! The key follows from what the event's devices alone have ([`Membership`](super::Membership)). So a stranger can make up
//! no announcement, and one that it repeats leads where the device itself said that it is. The certificate and the
//! signature are for whoever has the event's secret all the same, such as a thief with a till: it can announce no other
//! device than its own, and none that nobody admitted. Nothing here does I/O, and reading takes any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit},
};
use hkdf::Hkdf;
use libp2p::identity::ed25519;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{DeviceKey, MembershipKey};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;

/// Bytes of a sealed announcement at most: with the names around it, it fits into one packet of multicast DNS.
pub const SEALED_BYTES_MAX: usize = NONCE_BYTES + PLAIN_BYTES_MAX + TAG_BYTES;

/// Addresses that an announcement names at most.
pub const ADDRESSES_MAX: usize = 32;

/// A certificate larger than this is not announced. The event's have 1,024 bytes at most.
const CERTIFICATE_BYTES_MAX: usize = 1_024;

const PLAIN_BYTES_MAX: usize = 1_200;
const TAG_BYTES: usize = 16;
const SIGNATURE_BYTES: usize = 64;

/// Lengths are rounded up to this, so that they tell little of names and addresses.
const ROUNDED_TO: usize = 128;

/// A string of a TXT record has 255 bytes at most, its key and `=` among them.
const PIECE_BYTES_MAX: usize = 250;

/// The keys of the strings that a sealed announcement is cut into.
const PIECES: [&str; 5] = ["a", "b", "c", "d", "e"];

const PURPOSE: &[u8] = b"popmesh announcement 1";
const SIGNED: &[u8] = b"popmesh announcement v1";

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whose announcement it is.
    pub device: DeviceKey,
    /// The port that it listens on over TCP, if it does.
    pub tcp: Option<u16>,
    /// The port that it listens on over QUIC, if it does.
    pub quic: Option<u16>,
    /// Where it says that it is, at most [`ADDRESSES_MAX`] and as many as there is room for.
    pub addresses: Vec<IpAddr>,
    /// Its certificate, as shown at the gate; empty if it is too large to be announced.
    pub certificate: Vec<u8>,
}

/// Seals what a device says under a key of its event. `sign` makes the device's Ed25519 signature. A nonce is random, and
/// used once.
#[must_use]
pub fn seal(
    key: &MembershipKey,
    nonce: [u8; NONCE_BYTES],
    said: &Said,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> Vec<u8> {
    let mut plain = body(said);
    let signature = sign(&to_sign(&plain));
    plain.extend(signature);
    plain.resize(plain.len().next_multiple_of(ROUNDED_TO).min(PLAIN_BYTES_MAX), 0);
    // The cipher takes any text below 256 GiB.
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), &plain[..]).unwrap_or_default();
    [&nonce[..], &sealed].concat()
}

/// Opens an announcement with whichever key fits; `None` if none does, or if it is not of the device that it names.
#[must_use]
pub fn open(keys: &[MembershipKey], sealed: &[u8]) -> Option<Said> {
    if sealed.len() > SEALED_BYTES_MAX {
        return None;
    }
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let plain = keys.iter().find_map(|key| cipher(key).decrypt(&XNonce::from(*nonce), sealed).ok())?;
    read(&plain)
}

/// The strings of the TXT record that carries a sealed announcement: key and value.
#[must_use]
pub fn to_text(sealed: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    PIECES.into_iter().zip(sealed.chunks(PIECE_BYTES_MAX).map(<[u8]>::to_vec)).collect()
}

/// The sealed announcement in a TXT record whose strings `value` looks up by their keys. It may be empty, and is of no
/// more than [`SEALED_BYTES_MAX`] bytes or some more.
#[must_use]
pub fn of_text<'t>(value: impl Fn(&str) -> Option<&'t [u8]>) -> Vec<u8> {
    PIECES.into_iter().map_while(value).flatten().copied().collect()
}

fn cipher(key: &MembershipKey) -> XChaCha20Poly1305 {
    let mut derived = Zeroizing::new([0; 32]);
    // SHA-256 gives 255 times 32 bytes before it runs out.
    let _ = Hkdf::<Sha256>::new(None, &**key).expand(PURPOSE, &mut *derived);
    XChaCha20Poly1305::new((&*derived).into())
}

fn to_sign(body: &[u8]) -> Vec<u8> {
    [SIGNED, body].concat()
}

fn body(said: &Said) -> Vec<u8> {
    let certificate = match said.certificate.len() {
        0..=CERTIFICATE_BYTES_MAX => &said.certificate[..],
        _ => &[],
    };
    let mut room = PLAIN_BYTES_MAX - (32 + 2 + 2 + 1 + 1 + 2 + SIGNATURE_BYTES) - certificate.len();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    // IPv4 first: there is more room for them, and every device has one.
    let of_kind = |is_v4: bool| said.addresses.iter().filter(move |address| address.is_ipv4() == is_v4);
    for address in of_kind(true).chain(of_kind(false)).take(ADDRESSES_MAX) {
        let bytes = if address.is_ipv4() { 4 } else { 16 };
        let Some(left) = room.checked_sub(bytes) else { continue };
        room = left;
        match address {
            IpAddr::V4(address) => v4.push(address.octets()),
            IpAddr::V6(address) => v6.push(address.octets()),
        }
    }
    let mut body = Vec::with_capacity(PLAIN_BYTES_MAX);
    body.extend(said.device);
    body.extend(said.tcp.unwrap_or_default().to_be_bytes());
    body.extend(said.quic.unwrap_or_default().to_be_bytes());
    // Both counts are 32 at most, and the certificate's length 1,024.
    body.push(v4.len() as u8);
    body.extend(v4.as_flattened());
    body.push(v6.len() as u8);
    body.extend(v6.as_flattened());
    body.extend((certificate.len() as u16).to_be_bytes());
    body.extend(certificate);
    body
}

fn read(plain: &[u8]) -> Option<Said> {
    let mut rest = plain;
    let device = *take(&mut rest)?;
    let port = |bytes: &[u8; 2]| Some(u16::from_be_bytes(*bytes)).filter(|port| *port != 0);
    let tcp = port(take(&mut rest)?);
    let quic = port(take(&mut rest)?);
    let mut addresses = Vec::new();
    for _ in 0..counted(&mut rest)? {
        addresses.push(Ipv4Addr::from(*take::<4>(&mut rest)?).into());
    }
    for _ in 0..counted(&mut rest)? {
        addresses.push(Ipv6Addr::from(*take::<16>(&mut rest)?).into());
    }
    let length = usize::from(u16::from_be_bytes(*take(&mut rest)?));
    if length > CERTIFICATE_BYTES_MAX || addresses.len() > ADDRESSES_MAX {
        return None;
    }
    let (certificate, rest_after) = rest.split_at_checked(length)?;
    let signed = &plain[..plain.len() - rest_after.len()];
    rest = rest_after;
    let signature = take::<SIGNATURE_BYTES>(&mut rest)?;
    let key = ed25519::PublicKey::try_from_bytes(&device).ok()?;
    if rest.iter().any(|byte| *byte != 0) || !key.verify(&to_sign(signed), signature) {
        return None;
    }
    Some(Said { device, tcp, quic, addresses, certificate: certificate.to_vec() })
}

fn counted(rest: &mut &[u8]) -> Option<usize> {
    let [count] = *take(rest)?;
    Some(usize::from(count)).filter(|count| *count <= ADDRESSES_MAX)
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keypair(seed: u8) -> ed25519::Keypair {
        ed25519::SecretKey::try_from_bytes([seed; 32]).unwrap().into()
    }

    fn signed_by(seed: u8) -> impl Fn(&[u8]) -> [u8; 64] {
        move |bytes| keypair(seed).sign(bytes).try_into().unwrap()
    }

    fn key(byte: u8) -> MembershipKey {
        [byte; 32].into()
    }

    fn said(seed: u8) -> Said {
        Said {
            device: keypair(seed).public().to_bytes(),
            tcp: Some(4_001),
            quic: Some(4_001),
            addresses: vec!["10.77.0.1".parse().unwrap()],
            certificate: vec![7; 140],
        }
    }

    fn addresses(max: usize) -> impl Strategy<Value = Vec<IpAddr>> {
        let v4 = prop::collection::vec(any::<Ipv4Addr>().prop_map(IpAddr::from), 0..=max);
        let v6 = prop::collection::vec(any::<Ipv6Addr>().prop_map(IpAddr::from), 0..=4);
        (v4, v6).prop_map(|(v4, v6)| [v4, v6].concat())
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_read(
            seed in 1..=255_u8,
            nonce in any::<[u8; 24]>(),
            tcp in prop::option::of(1..=u16::MAX),
            quic in prop::option::of(1..=u16::MAX),
            addresses in addresses(8),
            certificate in prop::collection::vec(any::<u8>(), 0..900),
        ) {
            let said = Said { tcp, quic, addresses, certificate, ..said(seed) };
            let sealed = seal(&key(1), nonce, &said, signed_by(seed));
            prop_assert!(sealed.len() <= SEALED_BYTES_MAX);
            let text = to_text(&sealed);
            prop_assert!(text.iter().all(|(key, value)| key.len() + 1 + value.len() <= 255));
            let read = of_text(|wanted| {
                text.iter().find(|(key, _)| *key == wanted).map(|(_, value)| &value[..])
            });
            prop_assert_eq!(&read, &sealed);
            prop_assert_eq!(open(&[key(2), key(1)], &read), Some(said));
            prop_assert_eq!(open(&[key(2)], &read), None);
        }

        #[test]
        fn however_much_there_is_to_say_it_fits(
            addresses in addresses(64),
            certificate in prop::collection::vec(any::<u8>(), 1_000..4_096),
        ) {
            let said = Said { addresses, certificate, ..said(1) };
            let sealed = seal(&key(1), [1; 24], &said, signed_by(1));
            prop_assert!(sealed.len() <= SEALED_BYTES_MAX);
            let read = open(&[key(1)], &sealed).unwrap();
            prop_assert!(read.addresses.iter().all(|address| said.addresses.contains(address)));
            prop_assert!(read.addresses.len() >= said.addresses.len().min(4));
            let fits = said.certificate.len() <= CERTIFICATE_BYTES_MAX;
            prop_assert_eq!(read.certificate, if fits { said.certificate } else { Vec::new() });
        }

        #[test]
        fn altered_bytes_say_nothing(at in any::<prop::sample::Index>(), by in 1..=255_u8, cut in 0..400_usize) {
            let mut sealed = seal(&key(1), [1; 24], &said(1), signed_by(1));
            let cut = &sealed[..sealed.len().saturating_sub(cut + 1)];
            prop_assert_eq!(open(&[key(1)], cut), None);
            let at = at.index(sealed.len());
            sealed[at] ^= by;
            prop_assert_eq!(open(&[key(1)], &sealed), None);
        }

        /// As from whoever has the event's secret: the seal is good, and what is in there is anything.
        #[test]
        fn whatever_is_sealed_is_read_or_refused(plain in prop::collection::vec(any::<u8>(), 0..1_300)) {
            let sealed = cipher(&key(1)).encrypt(&XNonce::from([1; 24]), &plain[..]).unwrap();
            prop_assert_eq!(open(&[key(1)], &[&[1; 24][..], &sealed].concat()), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert_eq!(open(&[key(1)], &bytes), None);
            prop_assert_eq!(read(&bytes), None);
        }

        /// Nobody alters what a device said and seals it again.
        #[test]
        fn altered_contents_are_refused(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let mut plain = body(&said(1));
            let signature = signed_by(1)(&to_sign(&plain));
            plain.extend(signature);
            prop_assert_eq!(read(&plain), Some(said(1)));
            let at = at.index(plain.len());
            plain[at] ^= by;
            prop_assert_eq!(read(&plain), None);
        }
    }

    #[test]
    fn nobody_announces_another_device() {
        let sealed = seal(&key(1), [1; 24], &said(1), signed_by(2));
        assert_eq!(open(&[key(1)], &sealed), None);
    }

    #[test]
    fn lengths_tell_little() {
        let lengths = [60, 140, 200].map(|length| {
            let said = Said { certificate: vec![7; length], ..said(1) };
            seal(&key(1), [1; 24], &said, signed_by(1)).len()
        });
        assert_eq!(lengths, [296, 296, 424]);
    }
}
