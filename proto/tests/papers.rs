//! Charters, certificates and enrolments with some of their characters or bytes changed: what is taken is what was
//! signed, whatever was done to it on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Certificate, Charter, Enrolment, SecretKey, SignedCertificate, SignedCharter};

const PAPERS: u32 = 20_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn charter() -> SignedCharter {
    let charter = Charter {
        name: "Night market".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: key(1).id(),
        created_ms: 1_790_000_000_000,
        nonce: Nonce([4; 16]),
    };
    SignedCharter::sign(charter, &key(1)).unwrap()
}

fn certificate(charter: &SignedCharter) -> SignedCertificate {
    let certificate = Certificate {
        device: key(2).id(),
        name: "till-1".to_owned(),
        roles: "pos,locker".parse().unwrap(),
        venue: "hall-a".parse().unwrap(),
        not_before_ms: 1_790_000_000_000,
        not_after_ms: 1_790_600_000_000,
    };
    SignedCertificate::sign(certificate, &key(1), charter).unwrap()
}

/// One that a steward signed, whose own an hq signed.
fn admitted(charter: &SignedCharter) -> SignedCertificate {
    let of = |seed: u8, roles: &str| {
        let (device, roles) = (key(seed).id(), roles.parse().unwrap());
        Certificate { device, roles, ..(*certificate(charter)).clone() }
    };
    let hq = SignedCertificate::sign(of(3, "hq"), &key(1), charter).unwrap();
    let steward = SignedCertificate::sign_as(of(4, "steward"), &key(3), &hq, charter).unwrap();
    SignedCertificate::sign_as(of(2, "pos"), &key(4), &steward, charter).unwrap()
}

/// Chance that is the same each time: xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn alter(&mut self, real: &[u8], any: impl Fn(&mut Self) -> u8) -> Vec<u8> {
        let mut bytes = real.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 if bytes.len() > 1 => drop(bytes.remove(at)),
                1 => bytes.insert(at, any(self)),
                2 => bytes.truncate(at.max(1)),
                // A string or a list of 2^60 in CBOR, for whoever believes it.
                3 => drop(bytes.splice(at..at, [0x5b | any(self) & 0xc0, 0x10, 0, 0, 0, 0, 0, 0, 0])),
                _ => bytes[at] = any(self),
            }
        }
        bytes
    }

    fn alter_text(&mut self, real: &str) -> String {
        const USUAL: &[u8] = b"ABCDEFabcdef0123456789-_: \n=+/";
        let bytes = self.alter(real.as_bytes(), |chance| USUAL[chance.below(USUAL.len())]);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn no_altered_paper_is_taken_for_good() {
    let charter = charter();
    let certificate = certificate(&charter);
    let admitted = admitted(&charter);
    let enrolment = Enrolment::to_text("till-1", &key(2)).unwrap();
    let enrolled = Enrolment::from_text(&enrolment).unwrap();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut whole = 0;
    for _ in 0..PAPERS {
        if let Ok(read) = SignedCharter::from_text(&chance.alter_text(&charter.to_text())) {
            assert_eq!(read, charter, "a charter that nobody signed");
            whole += 1;
        }
        if let Ok(read) = SignedCertificate::from_text(&chance.alter_text(&certificate.to_text()), &charter) {
            assert_eq!(read, certificate, "a certificate that nobody signed");
            whole += 1;
        }
        if let Ok(read) = Enrolment::from_text(&chance.alter_text(&enrolment)) {
            assert_eq!(
                (read.device, &read.name),
                (enrolled.device, &enrolled.name),
                "an enrolment that nobody made"
            );
            whole += 1;
        }
        for certificate in [&certificate, &admitted] {
            let bytes = chance.alter(certificate.bytes(), |chance| chance.below(256) as u8);
            if let Ok(read) = SignedCertificate::from_bytes(&bytes, &charter) {
                assert_eq!(&read, certificate, "a certificate that nobody signed");
                whole += 1;
            }
        }
    }
    println!("{} altered papers, of which {whole} said what they had said", 5 * PAPERS);
    assert!(whole > 0, "white space is no change");
}
