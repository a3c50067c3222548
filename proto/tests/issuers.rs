//! Certificates that a device signed instead of the organiser: what each issuer may grant, judged from the bytes alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use popmesh_proto::id::{EventId, Nonce};
use popmesh_proto::identity::{
    Certificate, CertificateError, Charter, MAX_CERTIFICATE, Role, Roles, SecretKey, SignedCertificate,
    SignedCharter,
};
use proptest::prelude::*;

const FROM_MS: u64 = 1_790_000_000_000;
const UNTIL_MS: u64 = FROM_MS + 7 * 86_400_000;
const HQ: u8 = 2;
const STEWARD: u8 = 3;
const TILL: u8 = 4;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn charter(name: &str) -> SignedCharter {
    let charter = Charter {
        name: name.to_owned(),
        currency: "EUR".parse().unwrap(),
        root: key(1).id(),
        created_ms: FROM_MS,
        nonce: Nonce([4; 16]),
    };
    SignedCharter::sign(charter, &key(1)).unwrap()
}

fn night() -> SignedCharter {
    charter("Night market")
}

fn certificate(device: u8, roles: &str) -> Certificate {
    Certificate {
        device: key(device).id(),
        name: format!("device {device}"),
        roles: roles.parse().unwrap(),
        venue: "hall-a".parse().unwrap(),
        not_before_ms: FROM_MS,
        not_after_ms: UNTIL_MS,
    }
}

fn by_root(device: u8, roles: &str) -> SignedCertificate {
    SignedCertificate::sign(certificate(device, roles), &key(1), &night()).unwrap()
}

fn hq() -> SignedCertificate {
    by_root(HQ, "hq")
}

fn sign(
    certificate: Certificate,
    by: u8,
    issuer: &SignedCertificate,
) -> Result<SignedCertificate, CertificateError> {
    SignedCertificate::sign_as(certificate, &key(by), issuer, &night())
}

fn steward() -> SignedCertificate {
    sign(certificate(STEWARD, "steward"), HQ, &hq()).unwrap()
}

/// What an attacker with a device's key can make: any body, signed for any event.
fn forge(
    certificate: &Certificate,
    by: u8,
    issuer: Option<&[u8]>,
    mark: &EventId,
    event: &EventId,
) -> Vec<u8> {
    let Certificate { device, name, roles, venue, not_before_ms, not_after_ms } = certificate;
    let mut body = minicbor::Encoder::new(Vec::new());
    body.array(7 + u64::from(issuer.is_some())).unwrap();
    body.encode(mark.mark()).unwrap().encode(device).unwrap().encode(name).unwrap().encode(roles).unwrap();
    body.encode(venue).unwrap().u64(*not_before_ms).unwrap().u64(*not_after_ms).unwrap();
    if let Some(issuer) = issuer {
        body.bytes(issuer).unwrap();
    }
    let body = body.into_writer();
    let signature = key(by).sign(&[b"popmesh certificate v1", &event.0[..], &body].concat());
    [&signature.0[..], &body].concat()
}

fn forged(certificate: &Certificate, by: u8, issuer: &[u8]) -> Vec<u8> {
    let event = night().event();
    forge(certificate, by, Some(issuer), &event, &event)
}

fn read(bytes: &[u8]) -> Result<SignedCertificate, CertificateError> {
    SignedCertificate::from_bytes(bytes, &night())
}

#[test]
fn what_an_hq_or_its_steward_signed_is_good_alone() {
    let till = certificate(TILL, "pos,locker,encoder");
    for (by, issuer) in [(HQ, hq()), (STEWARD, steward()), (STEWARD, by_root(STEWARD, "steward"))] {
        let signed = sign(till.clone(), by, &issuer).unwrap();
        assert_eq!(*signed, till);
        assert_eq!(read(signed.bytes()).as_ref(), Ok(&signed));
        assert_eq!(SignedCertificate::from_text(&signed.to_text(), &night()).as_ref(), Ok(&signed));
        assert_eq!(signed.issuer(), Some(&issuer));
        assert_eq!(signed.event(), night().event());
        // Byte for byte what another implementation makes.
        assert_eq!(signed.bytes(), forged(&till, by, issuer.bytes()));
        println!("{} bytes", signed.bytes().len());
    }
    assert_eq!(hq().issuer(), None);
    assert_eq!(
        sign(certificate(STEWARD, "steward,pos"), HQ, &hq()).unwrap().roles,
        "steward,pos".parse().unwrap()
    );
}

#[test]
fn who_has_no_role_for_it_admits_nobody() {
    for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::Hq | Role::Steward)) {
        let issuer = by_root(TILL, &role.to_string());
        let refused = sign(certificate(9, "pos"), TILL, &issuer).unwrap_err();
        let expected = CertificateError::Issuer { issuer: "device 4".to_owned(), roles: issuer.roles };
        assert_eq!(refused, expected);
        let said = refused.to_string();
        assert!(
            said.contains("device 4") && said.contains("an hq, a steward or the organiser may"),
            "{said}"
        );
        assert_eq!(read(&forged(&certificate(9, "pos"), TILL, issuer.bytes())), Err(refused));
    }
}

#[test]
fn nobody_grants_more_than_he_may() {
    for (by, issuer, roles, who) in [
        (HQ, hq(), "hq", "have the organiser sign"),
        (HQ, hq(), "registrar", "have the organiser sign"),
        (HQ, by_root(HQ, "hq,registrar"), "pos,registrar", "have the organiser sign"),
        (STEWARD, steward(), "steward", "have an hq, or the organiser, sign"),
        (STEWARD, steward(), "pos,steward", "have an hq, or the organiser, sign"),
        (STEWARD, by_root(STEWARD, "steward,pos"), "hq", "have an hq, or the organiser, sign"),
    ] {
        let refused = sign(certificate(9, roles), by, &issuer).unwrap_err();
        assert!(matches!(refused, CertificateError::Granted { .. }), "{roles}: {refused:?}");
        let said = refused.to_string();
        assert!(said.contains("pos,locker,encoder") && said.contains(who) && said.contains(roles), "{said}");
        assert_eq!(read(&forged(&certificate(9, roles), by, issuer.bytes())), Err(refused));
    }
    // A role of a later version is nobody's to grant but the organiser's.
    let later: Roles = minicbor::decode(&[0x18, 0b0100_0001]).unwrap();
    let unknown = Certificate { roles: later, ..certificate(9, "pos") };
    assert!(SignedCertificate::sign(unknown.clone(), &key(1), &night()).is_ok());
    let refused = sign(unknown, HQ, &hq()).unwrap_err();
    assert!(matches!(refused, CertificateError::Granted { .. }), "{refused:?}");
}

#[test]
fn no_certificate_holds_when_its_issuers_does_not() {
    for (not_before_ms, not_after_ms, holds) in [
        (FROM_MS, UNTIL_MS, true),
        (FROM_MS + 1, UNTIL_MS - 1, true),
        (FROM_MS - 1, UNTIL_MS, false),
        (FROM_MS, UNTIL_MS + 1, false),
        (0, u64::MAX, false),
        (UNTIL_MS, UNTIL_MS + 1, false),
    ] {
        let till = Certificate { not_before_ms, not_after_ms, ..certificate(TILL, "pos") };
        let signed = sign(till.clone(), HQ, &hq());
        assert_eq!(read(&forged(&till, HQ, hq().bytes())), signed);
        match signed {
            Ok(_) => assert!(holds),
            Err(refused) => {
                assert!(matches!(refused, CertificateError::Outlasts { .. }), "{refused:?}");
                assert!(
                    !holds && refused.to_string().contains("that of device 2, who signs it"),
                    "{refused}"
                );
            }
        }
    }
}

#[test]
fn what_its_issuer_did_not_sign_is_refused() {
    let refused = sign(certificate(TILL, "pos"), 9, &hq()).unwrap_err();
    assert_eq!(refused, CertificateError::IssuerSignature { issuer: "device 2".to_owned() });
    // The organiser's signature is no issuer's.
    let by_organiser = forged(&certificate(TILL, "pos"), 1, hq().bytes());
    assert_eq!(read(&by_organiser), Err(refused));
    // An hq that leaves its own certificate away is not the organiser.
    let event = night().event();
    let without = forge(&certificate(TILL, "pos"), HQ, None, &event, &event);
    assert_eq!(read(&without), Err(CertificateError::Signature));
}

#[test]
fn an_issuer_whose_own_certificate_is_bad_admits_nobody() {
    let bad_hq = forged(&certificate(HQ, "hq"), 9, by_root(9, "pos").bytes());
    let refused = read(&forged(&certificate(TILL, "pos"), HQ, &bad_hq));
    assert!(matches!(refused, Err(CertificateError::Issuer { .. })), "{refused:?}");
    let more = forged(&certificate(STEWARD, "steward,hq"), HQ, hq().bytes());
    let refused = read(&forged(&certificate(TILL, "pos"), STEWARD, &more));
    assert!(matches!(refused, Err(CertificateError::Granted { .. })), "{refused:?}");
    let mut damaged = hq().bytes().to_vec();
    damaged[0] ^= 1;
    assert_eq!(read(&forged(&certificate(TILL, "pos"), HQ, &damaged)), Err(CertificateError::Signature));
    for junk in [&[][..], &[0; 63], &[0; 64], &[0xff; 200]] {
        assert_eq!(read(&forged(&certificate(TILL, "pos"), HQ, junk)), Err(CertificateError::Malformed));
    }
}

#[test]
fn between_a_device_and_the_organiser_are_two_devices_at_most() {
    let two = sign(certificate(TILL, "pos"), STEWARD, &steward()).unwrap();
    // Counted before anything else is said of it.
    let mut nested = two.bytes().to_vec();
    for depth in 3.. {
        nested = forged(&certificate(TILL, "steward"), TILL, &nested);
        if nested.len() > MAX_CERTIFICATE {
            assert_eq!(read(&nested), Err(CertificateError::Malformed));
            assert!(depth > 4, "the test hardly nests");
            return;
        }
        let refused = read(&nested).unwrap_err();
        assert_eq!(refused, CertificateError::Issuers, "{depth} deep");
        assert!(refused.to_string().contains("more than 2 devices"), "{refused}");
    }
}

#[test]
fn names_that_make_it_too_large_are_said_so() {
    let long =
        |device: u8, roles: &str| Certificate { name: "🎪".repeat(80), ..certificate(device, roles) };
    let hq = SignedCertificate::sign(long(HQ, "hq"), &key(1), &night()).unwrap();
    let till = sign(long(TILL, "pos"), HQ, &hq).unwrap();
    assert!(till.bytes().len() <= MAX_CERTIFICATE);
    let steward = sign(long(STEWARD, "steward"), HQ, &hq).unwrap();
    let refused = sign(long(TILL, "pos"), STEWARD, &steward).unwrap_err();
    assert!(
        matches!(refused, CertificateError::TooLarge { bytes } if bytes > MAX_CERTIFICATE),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("shorter names"), "{refused}");
}

#[test]
fn the_signature_covers_all_of_the_events_id() {
    let (ours, theirs) = (night().event(), charter("Rival night").event());
    let foreign =
        SignedCertificate::sign(certificate(TILL, "pos"), &key(1), &charter("Rival night")).unwrap();
    let refused = read(foreign.bytes()).unwrap_err();
    assert_eq!(refused, CertificateError::OtherEvent { theirs: theirs.short(), ours: ours.short() });
    // The same organiser, another event that begins alike: as far as its bytes say, it could be this one.
    let alike = forge(&certificate(TILL, "pos"), 1, None, &ours, &theirs);
    assert_eq!(read(&alike), Err(CertificateError::Signature));
    let hq_elsewhere = forge(&certificate(HQ, "hq"), 1, None, &ours, &theirs);
    assert_eq!(read(&forged(&certificate(TILL, "pos"), HQ, &hq_elsewhere)), Err(CertificateError::Signature));
    let issuer = forge(&certificate(HQ, "hq"), 1, None, &theirs, &theirs);
    let refused = read(&forged(&certificate(TILL, "pos"), HQ, &issuer)).unwrap_err();
    assert!(matches!(refused, CertificateError::OtherEvent { .. }), "{refused}");
}

fn roles() -> impl Strategy<Value = Roles> {
    prop::sample::subsequence(Role::ALL.to_vec(), 1..=Role::ALL.len())
        .prop_map(|roles| roles.into_iter().collect())
}

/// A certificate of a device, with whatever roles and times.
fn any_certificate(device: u8) -> impl Strategy<Value = Certificate> {
    (roles(), 0u64..50, 1u64..50).prop_map(move |(roles, from, lasts)| Certificate {
        roles,
        not_before_ms: FROM_MS + from,
        not_after_ms: FROM_MS + from + lasts,
        ..certificate(device, "pos")
    })
}

/// Whether one may sign the other, said once more and otherwise.
fn may_sign(issuer: &Certificate, signed: &Certificate) -> bool {
    let within = (issuer.not_before_ms..=issuer.not_after_ms).contains(&signed.not_before_ms)
        && (issuer.not_before_ms..=issuer.not_after_ms).contains(&signed.not_after_ms);
    let may = |role: Role| match role {
        Role::Pos | Role::Locker | Role::Encoder => {
            issuer.roles.has(Role::Hq) || issuer.roles.has(Role::Steward)
        }
        Role::Steward => issuer.roles.has(Role::Hq),
        Role::Hq | Role::Registrar => false,
    };
    within && signed.roles.iter().all(may)
}

proptest! {
    #[test]
    fn a_chain_is_good_if_each_of_it_may_sign_the_next(
        hq in any_certificate(HQ), steward in any_certificate(STEWARD), till in any_certificate(TILL),
        bit in any::<prop::sample::Index>(),
    ) {
        let first = SignedCertificate::sign(hq.clone(), &key(1), &night()).unwrap();
        let second = sign(steward.clone(), HQ, &first);
        prop_assert_eq!(second.is_ok(), may_sign(&hq, &steward));
        let raw = forged(&steward, HQ, first.bytes());
        prop_assert_eq!(&read(&raw), &second);
        let third = read(&forged(&till, STEWARD, &raw));
        prop_assert_eq!(third.is_ok(), may_sign(&hq, &steward) && may_sign(&steward, &till));
        for signed in [Some(first), second.ok(), third.ok()].into_iter().flatten() {
            prop_assert_eq!(&read(signed.bytes()).unwrap(), &signed);
            let mut damaged = signed.bytes().to_vec();
            let bit = bit.index(damaged.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(read(&damaged).is_err());
        }
    }
}
