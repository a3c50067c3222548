//! What is said at the gate after the proofs, by either end, as bytes of a stream.

use popmesh::mesh::hello::{Hello, REASON_BYTES_MAX, SAID_BYTES_MAX, Said};
use popmesh_proto::identity::SignedCertificate;

use crate::Target;
use crate::event::event;

pub(crate) const TARGET: Target = Target {
    name: "hello",
    what: "what is said at the gate, by a dialler or a listener",
    run,
    seeds,
    most_bytes: 5 * 1024,
};

fn run(bytes: &[u8]) {
    // As from a stream: so many bytes are waited for, and memory taken, whatever was announced.
    let mut known = 0;
    let whole = loop {
        match Said::wanted(&bytes[..known]) {
            Err(_) => break None,
            Ok(wanted) if wanted == known => break Some(&bytes[..known]),
            Ok(wanted) => {
                assert!(
                    known < wanted && wanted <= SAID_BYTES_MAX,
                    "{wanted} bytes are wanted after {known}"
                );
                if wanted > bytes.len() {
                    break None;
                }
                known = wanted;
            }
        }
    };
    let Some(whole) = whole else {
        return assert!(Said::decode(bytes).is_err(), "what is not whole was read");
    };
    let Ok(said) = Said::decode(whole) else { return };
    assert_eq!(said.encode(), whole, "what is read is written the same");
    assert!(whole.len() == bytes.len() || Said::decode(bytes).is_err(), "what has more behind it was read");
    match said {
        Said::Unfit(words) => assert!(words.len() <= REASON_BYTES_MAX),
        Said::Hello(hello) | Said::Welcome(hello) => {
            let shown = SignedCertificate::from_bytes(&hello.certificate, &event().charter);
            if let Ok(shown) = shown {
                assert!(event().parties().iter().any(|party| party.id() == shown.device), "nobody signed it");
            }
        }
        _ => {}
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let hello = |linked: bool, certificate: &[u8]| Hello {
        boot: [9; 16],
        linked,
        certificate: certificate.to_vec().into(),
    };
    let mut said = vec![
        Said::Refused,
        Said::Proven([7; 16]),
        Said::Hello(hello(false, &[])),
        Said::Accepted,
        Said::Duplicate,
        Said::Busy,
        Said::Unfit("the certificate ended".to_owned()),
        Said::Unfit(String::new()),
    ];
    for party in event().parties() {
        said.push(Said::Hello(hello(false, party.certificate.bytes())));
        said.push(Said::Welcome(hello(true, party.certificate.bytes())));
    }
    let mut seeds: Vec<_> = said.iter().map(Said::encode).collect();
    // One behind the other, as on a stream.
    seeds.push(seeds[..3].concat());
    seeds
}
