//! Hellos with some of their bytes changed: none makes the gate panic or take more than it may, and none that differs
//! in what counts passes.

use futures::io::Cursor;
use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Certificate, Charter, SecretKey, SignedCertificate, SignedCharter};

use super::*;

const HELLOS: u32 = 100_000;

fn read(bytes: Vec<u8>) -> Result<Hello, GateError> {
    futures::executor::block_on(read_hello(&mut SubstreamBox::new(Cursor::new(bytes))))
}

fn certified() -> (SignedCharter, SignedCertificate) {
    let (root, device) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let charter = Charter {
        name: "Neon".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: root.id(),
        created_ms: 1,
        nonce: Nonce([3; 16]),
    };
    let charter = SignedCharter::sign(charter, &root).unwrap();
    let certificate = Certificate {
        device: device.id(),
        name: "till-1".to_owned(),
        roles: "pos".parse().unwrap(),
        venue: "hall-a".parse().unwrap(),
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    };
    let certificate = SignedCertificate::sign(certificate, &root, &charter).unwrap();
    (charter, certificate)
}

fn hello(event: &[u8; 32], certificate: &[u8]) -> Vec<u8> {
    let length = u16::try_from(certificate.len()).unwrap().to_be_bytes();
    [&MAGIC[..], event, &[9; 16], &[0], &length, certificate].concat()
}

#[test]
fn no_altered_hello_shows_a_certificate_that_was_not_signed() {
    let (charter, certificate) = certified();
    let real = hello(&charter.event().0, certificate.bytes());
    let whole = read(real.clone()).unwrap();
    assert_eq!(whole.certificate, certificate.bytes());
    // xorshift64: any chance will do, so long as it is the same each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    let (mut could_be_read, mut passed) = (0, 0);
    for _ in 0..HELLOS {
        let mut bytes = real.clone();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(6) {
                0 if bytes.len() > 1 => drop(bytes.remove(at)),
                1 => bytes.insert(at, below(256) as u8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes[at] = below(256) as u8,
            }
        }
        let Ok(hello) = read(bytes) else { continue };
        could_be_read += 1;
        assert!(hello.certificate.len() <= CERTIFICATE_BYTES_MAX);
        if SignedCertificate::from_bytes(&hello.certificate, &charter).is_ok() {
            passed += 1;
            assert_eq!(hello.certificate, certificate.bytes(), "a certificate that nobody signed");
        }
    }
    println!(
        "{HELLOS} altered hellos: {could_be_read} could be read, {passed} with the certificate as it was"
    );
    assert!(could_be_read > HELLOS / 4 && passed > HELLOS / 100);
    assert!(could_be_read > passed, "the changes never reach the certificate");
}

#[test]
fn a_length_that_lies_is_refused_before_it_is_believed() {
    let (charter, certificate) = certified();
    let mut bytes = hello(&charter.event().0, certificate.bytes());
    let at = HELLO_HEAD_BYTES - 2;
    for (length, too_long) in
        [(CERTIFICATE_BYTES_MAX as u16, false), (CERTIFICATE_BYTES_MAX as u16 + 1, true), (u16::MAX, true)]
    {
        bytes[at..HELLO_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
        let error = read(bytes.clone()).err().unwrap();
        assert_eq!(matches!(error, GateError::Protocol), too_long, "{length}: {error}");
    }
}
