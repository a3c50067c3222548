//! What is announced by multicast DNS: the strings of a TXT record, as anybody sends them, and what is sealed in them by
//! somebody who has the event's secret. The seal is derived here anew, so that another one in popmesh would be noticed.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use popmesh::mesh::MembershipKey;
use popmesh::mesh::announcement::{
    ADDRESSES_MAX, NONCE_BYTES, SEALED_BYTES_MAX, Said, of_text, open, seal, to_text,
};
use popmesh_proto::identity::SecretKey;
use sha2::Sha256;

use crate::Target;
use crate::cursor::{Cursor, put_counted};
use crate::event::event;

const TEXT: u8 = 0;
const SEALED: u8 = 1;
const SIGNED: u8 = 2;
const SAID: u8 = 3;

pub(crate) const TARGET: Target = Target {
    name: "announcement",
    what: "strings of an mDNS announcement by anybody, and what is sealed in them by who has the event's secret",
    run,
    seeds,
    most_bytes: 2 * 1024,
};

const KEY: [u8; 32] = [0x2a; 32];
const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

fn keys() -> [MembershipKey; 2] {
    [[1; 32].into(), KEY.into()]
}

/// What somebody seals who has the event's secret: any bytes.
fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, &KEY).expand(b"popmesh announcement 1", &mut key).unwrap();
    let sealed = XChaCha20Poly1305::new((&key).into()).encrypt(&XNonce::from(NONCE), plain).unwrap();
    [&NONCE[..], &sealed].concat()
}

fn sign(key: &SecretKey, body: &[u8]) -> [u8; 64] {
    key.sign(&[b"popmesh announcement v1", body].concat()).0
}

fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match *kind {
        TEXT => {
            let mut strings = Vec::new();
            let mut cursor = Cursor::new(bytes);
            while !cursor.is_empty() {
                let name = char::from(b'a' + cursor.byte() % 8).to_string();
                strings.push((name, cursor.counted()));
            }
            let found = of_text(|name| strings.iter().find(|(key, _)| key == name).map(|(_, value)| *value));
            assert!(found.len() <= bytes.len(), "more was read than came");
            check(&found, open(&keys(), &found));
        }
        SEALED => {
            let sealed = sealed(bytes);
            check(&sealed, open(&keys(), &sealed));
        }
        SIGNED => {
            let till = &event().till.secret;
            let sealed = sealed(&[bytes, &sign(till, bytes)].concat());
            check(&sealed, open(&keys(), &sealed));
        }
        _ => {
            if let Some(said) = open(&keys(), bytes) {
                panic!("nobody sealed it: {said:?}");
            }
        }
    }
}

/// What must hold of what was read off sealed bytes.
fn check(sealed: &[u8], read: Option<Said>) {
    let Some(said) = read else { return };
    assert!(sealed.len() <= SEALED_BYTES_MAX && said.addresses.len() <= ADDRESSES_MAX);
    let parties = event().parties();
    let author = parties.iter().find(|party| party.id().0 == said.device).expect("nobody signed it");
    // What is read is written, and read the same: addresses of a kind keep their order, IPv4 first.
    let mut again = said.clone();
    again.addresses.sort_by_key(std::net::IpAddr::is_ipv6);
    let sealed = seal(&KEY.into(), NONCE, &again, |body| {
        let at = b"popmesh announcement v1".len();
        assert!(body.starts_with(b"popmesh announcement v1"));
        sign(&author.secret, &body[at..])
    });
    assert!(sealed.len() <= SEALED_BYTES_MAX);
    let text = to_text(&sealed);
    assert!(text.iter().all(|(key, value)| key.len() + 1 + value.len() <= 255), "a string is too long");
    let carried = of_text(|name| text.iter().find(|(key, _)| *key == name).map(|(_, value)| &value[..]));
    let read = open(&keys(), &carried).expect("what was written is read");
    assert!(read == again || read.addresses.len() < again.addresses.len(), "{read:?} {again:?}");
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for party in event().parties() {
        let said = Said {
            device: party.id().0,
            tcp: Some(4_001),
            quic: Some(4_002),
            addresses: vec!["10.77.0.1".parse().unwrap(), "fd00::7".parse().unwrap()],
            certificate: party.certificate.bytes().to_vec(),
        };
        let mut signed = Vec::new();
        let sealed = seal(&KEY.into(), NONCE, &said, |body| {
            signed = body.to_vec();
            party.secret.sign(body).0
        });
        let body = &signed[b"popmesh announcement v1".len()..];
        seeds.push([&[SIGNED], body].concat());
        seeds.push([&[SEALED], body, &sign(&party.secret, body)].concat());
        let mut text = vec![TEXT];
        for (number, (_, value)) in to_text(&sealed).iter().enumerate() {
            text.push(number as u8);
            put_counted(value, &mut text);
        }
        assert!(open(&keys(), &sealed).is_some());
        seeds.push(text);
    }
    seeds.push(vec![SAID, 1, 2, 3]);
    seeds
}
