//! Charters, certificates and enrolments: as they come, and with the signature of whoever may sign.

use popmesh_proto::identity::{Enrolment, SecretKey, SignedCertificate, SignedCharter, armor};

use crate::Target;
use crate::event::event;

const CHARTER: u8 = 0;
const CERTIFICATE: u8 = 1;
const ENROLMENT: u8 = 2;
const SIGNED_CHARTER: u8 = 3;
const SIGNED_CERTIFICATE: u8 = 4;

pub(crate) const TARGET: Target = Target {
    name: "papers",
    what: "charters, certificates and enrolments, signed or not",
    run,
    seeds,
    most_bytes: 2 * 1024,
};

fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (text, event) = (String::from_utf8_lossy(bytes), event());
    match *kind {
        CHARTER => charter(&text),
        CERTIFICATE => certificate(SignedCertificate::from_text(&text, &event.charter)),
        ENROLMENT => {
            if let Ok(read) = Enrolment::from_text(&text) {
                assert_eq!(read.device, event.till.id(), "an enrolment that nobody made");
            }
        }
        SIGNED_CHARTER => {
            charter(&armor("popmesh-charter-1", &signed(&event.root, b"popmesh charter v1", bytes)))
        }
        SIGNED_CERTIFICATE => {
            let signed = signed(&event.root, b"popmesh certificate v1", bytes);
            certificate(SignedCertificate::from_bytes(&signed, &event.charter));
        }
        _ => certificate(SignedCertificate::from_bytes(bytes, &event.charter)),
    }
}

fn signed(key: &SecretKey, context: &[u8], body: &[u8]) -> Vec<u8> {
    [&key.sign(&[context, body].concat()).0[..], body].concat()
}

fn charter(text: &str) {
    if let Ok(read) = SignedCharter::from_text(text) {
        assert_eq!(SignedCharter::from_text(&read.to_text()), Ok(read));
    }
}

fn certificate(read: Result<SignedCertificate, popmesh_proto::identity::CertificateError>) {
    let event = event();
    let read = match read {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(SignedCertificate::from_text(&read.to_text(), &event.charter).as_ref(), Ok(&read));
    for ms in [0, read.not_before_ms, read.not_after_ms, u64::MAX] {
        let valid = read.valid_at(ms);
        assert_eq!(valid.is_ok(), (read.not_before_ms..read.not_after_ms).contains(&ms));
        let _ = valid.map_err(|error| error.to_string());
    }
    assert!(read.roles.iter().next().is_some() && !read.name.trim().is_empty());
}

fn seeds() -> Vec<Vec<u8>> {
    let event = event();
    let seed = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let enrolment = Enrolment::to_text("till", &event.till.secret).unwrap();
    let mut seeds = vec![
        seed(CHARTER, event.charter.to_text().as_bytes()),
        seed(ENROLMENT, enrolment.as_bytes()),
        seed(SIGNED_CHARTER, &minicbor::to_vec(event.charter.charter()).unwrap()),
    ];
    for party in event.parties() {
        seeds.push(seed(CERTIFICATE, party.certificate.to_text().as_bytes()));
        seeds.push(seed(SIGNED_CERTIFICATE, &party.certificate.bytes()[64..]));
        seeds.push(seed(u8::MAX, party.certificate.bytes()));
    }
    seeds
}
