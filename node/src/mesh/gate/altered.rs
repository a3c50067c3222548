//! What is said at the gate, with some of its bytes changed: none makes the gate panic or take more than it may, and none
//! that differs in what counts passes.

use futures::io::Cursor;
use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Certificate, Charter, SecretKey, SignedCertificate, SignedCharter};

use super::*;

const HELLOS: u32 = 100_000;
const CERTIFICATE_BYTES_MAX: usize = hello::CERTIFICATE_BYTES_MAX;

fn read(bytes: Vec<u8>) -> Result<Said, GateError> {
    let mut stream = SubstreamBox::new(Cursor::new(bytes));
    futures::executor::block_on(hear_up_to(&mut stream, hello::SAID_BYTES_MAX))
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

fn hello(certificate: &[u8]) -> Vec<u8> {
    let certificate = Bytes::copy_from_slice(certificate);
    Said::Hello(Hello { boot: [9; 16], linked: false, certificate }).encode()
}

/// xorshift64: any chance will do, so long as it is the same each time.
fn chance() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |limit| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    }
}

#[test]
fn no_altered_hello_shows_a_certificate_that_was_not_signed() {
    let (charter, certificate) = certified();
    let real = hello(certificate.bytes());
    let Said::Hello(whole) = read(real.clone()).unwrap() else { panic!("it is a hello") };
    assert_eq!(whole.certificate, certificate.bytes());
    let mut below = chance();
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
        let Ok(Said::Hello(hello)) = read(bytes) else { continue };
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
    let (_, certificate) = certified();
    let mut bytes = hello(certificate.bytes());
    let most = hello::SAID_BYTES_MAX - 3;
    for (length, too_long) in [(most as u16, false), (most as u16 + 1, true), (u16::MAX, true)] {
        bytes[1..3].copy_from_slice(&length.to_be_bytes());
        let error = read(bytes.clone()).err().unwrap();
        assert_eq!(matches!(error, GateError::Protocol(_)), too_long, "{length}: {error}");
    }
}

/// Whatever a stranger says instead of an answer, no more of it is read than an answer has.
#[test]
fn no_answer_is_longer_than_one() {
    let answer = Said::Proven([7; hello::TAG_BYTES]).encode();
    assert_eq!(answer.len(), hello::ANSWER_BYTES_MAX);
    for kind in 0..=u8::MAX {
        for length in [0, 1, hello::TAG_BYTES as u16, 17, 200, 4_000, u16::MAX] {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.resize(bytes.len() + 70_000, 7);
            let mut stream = SubstreamBox::new(Cursor::new(bytes));
            let said = futures::executor::block_on(hear_if_short(&mut stream)).unwrap();
            let allowed = match said {
                None => true,
                Some(Said::Refused) => kind == hello::REFUSED,
                Some(said) => said.encode().len() <= hello::ANSWER_BYTES_MAX,
            };
            assert!(allowed, "{kind} with {length}");
        }
    }
}
