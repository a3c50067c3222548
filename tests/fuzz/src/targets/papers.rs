//! Charters, certificates and enrolments: as they come, and with the signature of whoever may sign.

use popmesh_proto::identity::{
    Enrolment, MAX_CERTIFICATE, MAX_ISSUERS, Role, SecretKey, SignedCertificate, SignedCharter, armor,
};

use crate::Target;
use crate::cursor::{Cursor, put_counted};
use crate::event::{Party, event};

const CHARTER: u8 = 0;
const CERTIFICATE: u8 = 1;
const ENROLMENT: u8 = 2;
const SIGNED_CHARTER: u8 = 3;
const SIGNED_CERTIFICATE: u8 = 4;
const ISSUED: u8 = 5;

pub(crate) const TARGET: Target = Target {
    name: "papers",
    what: "charters, certificates and enrolments, signed or not, certificates also by devices",
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
            certificate(SignedCertificate::from_bytes(
                &signed(&event.root, &covered(), bytes),
                &event.charter,
            ));
        }
        ISSUED => _ = issued(bytes),
        _ => certificate(SignedCertificate::from_bytes(bytes, &event.charter)),
    }
}

fn signed(key: &SecretKey, context: &[u8], body: &[u8]) -> Vec<u8> {
    [&key.sign(&[context, body].concat()).0[..], body].concat()
}

/// What a signature on a certificate covers, besides its body.
fn covered() -> Vec<u8> {
    [b"popmesh certificate v1", &event().charter.event().0[..]].concat()
}

/// Bodies one in the other, each signed by a device of the event, and the issuer of each that which came before it: any of
/// them may be what it should not. How many of them are good.
fn issued(bytes: &[u8]) -> usize {
    let event = event();
    let mut cursor = Cursor::new(bytes);
    let mut issuer: Option<Vec<u8>> = None;
    let mut good = 0;
    while !cursor.is_empty() {
        let by = cursor.byte();
        let key = if by == 0 { &event.root } else { &event.parties()[usize::from(by) % 5].secret };
        let mut body = cursor.counted().to_vec();
        if let Some(issuer) = &issuer {
            // The issuer is the last item of the array.
            if let Some(first) = body.first_mut() {
                *first = first.wrapping_add(1);
            }
            body.extend(minicbor::to_vec(minicbor::bytes::ByteVec::from(issuer.clone())).unwrap());
        }
        let made = signed(key, &covered(), &body);
        let read = SignedCertificate::from_bytes(&made, &event.charter);
        good += usize::from(read.is_ok());
        certificate(read);
        issuer = Some(made);
    }
    good
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
    let issuers: Vec<&SignedCertificate> =
        std::iter::successors(read.issuer(), |certificate| certificate.issuer()).collect();
    assert!(issuers.len() <= MAX_ISSUERS && read.bytes().len() <= MAX_CERTIFICATE);
    let mut issued = &read;
    for issuer in issuers {
        assert!(issuer.roles.admits() && issued.roles.are_among(issuer.roles.may_grant()));
        assert!(![Role::Hq, Role::Registrar].into_iter().any(|role| issued.roles.has(role)));
        assert!(issuer.not_before_ms <= issued.not_before_ms && issued.not_after_ms <= issuer.not_after_ms);
        issued = issuer;
    }
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
    let body = |party: &Party, roles: &str| {
        let mut said = (*party.certificate).clone();
        said.roles = roles.parse().unwrap();
        let signed = SignedCertificate::sign(said, &event.root, &event.charter).unwrap();
        signed.bytes()[64..].to_vec()
    };
    // Who signs, by number, and what.
    for (chain, good) in [
        (&[(0, body(&event.hq, "hq")), (5, body(&event.till, "pos"))][..], 2),
        (
            &[
                (0, body(&event.hq, "hq")),
                (5, body(&event.witness, "steward")),
                (2, body(&event.till, "pos,locker")),
            ],
            3,
        ),
        // A till admits nobody.
        (&[(0, body(&event.till, "pos")), (1, body(&event.witness, "pos"))], 1),
    ] {
        let mut bytes = vec![ISSUED];
        for (by, body) in chain {
            bytes.push(*by);
            put_counted(body, &mut bytes);
        }
        assert_eq!(issued(&bytes[1..]), good);
        seeds.push(bytes);
    }
    seeds
}
