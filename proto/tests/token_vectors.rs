//! Test vectors of claim tokens, for other implementations: made anew and compared with the files in `vectors/token`.
//!
//! With `POPMESH_WRITE_VECTORS=1` the files are written instead. Look at the difference before you keep it: a token
//! that was sold must stay good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::path::Path;
use std::sync::Arc;

use coset::{CoseSign1, TaggedCborSerializable};
use popmesh_proto::id::{ChainId, Nonce, Ref};
use popmesh_proto::identity::{
    Certificate, Charter, Ed25519, Role, Roles, SecretKey, SignedCertificate, SignedCharter,
};
use popmesh_proto::log::Gate;
use popmesh_proto::pin::{EventSecret, EventSecrets, PinTag};
use popmesh_proto::token::{Kind, SignedToken, Token, TokenError, TokenItem, from_text};
use serde_json::{Value, json};

const ORGANISER: [u8; 32] = [0x11; 32];
const ISSUER: [u8; 32] = [0x22; 32];
const LOCKER: [u8; 32] = [0x33; 32];
const HQ: [u8; 32] = [0x66; 32];
const STEWARD: [u8; 32] = [0x77; 32];
const ISSUED_MS: u64 = 1_790_000_000_000;
const HOUR_MS: u64 = 3_600_000;

fn key(seed: &[u8; 32]) -> SecretKey {
    SecretKey::from_seed(seed)
}

fn charter() -> SignedCharter {
    let organiser = key(&ORGANISER);
    let charter = Charter {
        name: "Neon Night".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: organiser.id(),
        created_ms: ISSUED_MS - 24 * HOUR_MS,
        nonce: Nonce([0x44; 16]),
    };
    SignedCharter::sign(charter, &organiser).unwrap()
}

fn gate() -> Gate {
    Gate::of(charter(), Arc::new(Ed25519))
}

fn certificate(name: &str, roles: &[Role]) -> Certificate {
    Certificate {
        device: key(&ISSUER).id(),
        name: name.to_owned(),
        roles: roles.iter().copied().collect::<Roles>(),
        venue: "hall-a".parse().unwrap(),
        not_before_ms: ISSUED_MS - HOUR_MS,
        not_after_ms: ISSUED_MS + HOUR_MS,
    }
}

fn sign_certificate(certificate: Certificate) -> SignedCertificate {
    SignedCertificate::sign(certificate, &key(&ORGANISER), &charter()).unwrap()
}

/// An hq, and a steward that it admitted.
fn hq_and_steward() -> (SignedCertificate, SignedCertificate) {
    let hq = sign_certificate(Certificate { device: key(&HQ).id(), ..certificate("hq", &[Role::Hq]) });
    let steward = Certificate { device: key(&STEWARD).id(), ..certificate("floor", &[Role::Steward]) };
    let steward = SignedCertificate::sign_as(steward, &key(&HQ), &hq, &charter()).unwrap();
    (hq, steward)
}

/// A certificate as no library signs it, with whatever issuer.
fn unruly(certificate: &Certificate, signer: &[u8; 32], issuer: &[u8]) -> Vec<u8> {
    let Certificate { device, name, roles, venue, not_before_ms, not_after_ms } = certificate;
    let mut body = minicbor::Encoder::new(Vec::new());
    let event = charter().event();
    body.array(8).unwrap();
    body.encode(event.mark()).unwrap().encode(device).unwrap().encode(name).unwrap().encode(roles).unwrap();
    body.encode(venue).unwrap().u64(*not_before_ms).unwrap().u64(*not_after_ms).unwrap();
    let body = body.bytes(issuer).unwrap().writer().clone();
    let signature = key(signer).sign(&[b"popmesh certificate v1", &event.0[..], &body].concat());
    [&signature.0[..], &body].concat()
}

fn token(items: &[(&str, &str)]) -> Token {
    let items = items
        .iter()
        .map(|(sku, units)| TokenItem { sku: sku.parse().unwrap(), units: units.parse().unwrap() })
        .collect();
    Token {
        kind: Kind::Claim,
        claim: Ref { chain: ChainId([0x55; 16]), seq: 7 },
        drop: "midnight".parse().unwrap(),
        items,
        custodian: key(&ISSUER).id(),
        under: None,
        issued_ms: ISSUED_MS,
        not_before_ms: None,
        expires_ms: None,
        pin: None,
    }
}

/// The secret of the vectors' event.
fn secret() -> EventSecret {
    EventSecret::derive(&key(&ORGANISER), &charter().event())
}

fn ranges(item: &TokenItem) -> Vec<[u32; 2]> {
    item.units.ranges().map(|range| [*range.start(), *range.end()]).collect()
}

fn vector(about: &str, token: Token, certificate: Certificate) -> Value {
    vector_by(about, token, &sign_certificate(certificate))
}

fn shown(certificate: &SignedCertificate) -> Value {
    json!({
        "device": certificate.device,
        "name": certificate.name,
        "roles": certificate.roles.iter().collect::<Vec<_>>(),
        "venue": certificate.venue,
        "not_before_ms": certificate.not_before_ms,
        "not_after_ms": certificate.not_after_ms,
        "issuer": certificate.issuer().map(shown),
    })
}

fn vector_by(about: &str, token: Token, certificate: &SignedCertificate) -> Value {
    let signed = token.sign(&Ed25519, &key(&ISSUER), certificate).unwrap();
    let text = signed.to_text();
    assert_eq!(SignedToken::read(&from_text(&text).unwrap(), &mut gate()).unwrap(), signed);
    let seconds = |ms: u64| ms / 1_000;
    let mut vector = json!({
        "about": about,
        "charter": charter().to_text(),
        "issuer_seed": hex::encode(ISSUER),
        "issuer": shown(certificate),
        "certificate": hex::encode(certificate.bytes()),
        "token": {
            "event": charter().event(),
            "claim": {"chain": signed.claim.chain, "seq": signed.claim.seq},
            "drop": signed.drop,
            "items": signed.items.iter()
                .map(|item| json!({"sku": item.sku, "units": ranges(item)})).collect::<Vec<_>>(),
            "custodian": signed.custodian,
            "issued_s": seconds(signed.issued_ms),
            "not_before_s": signed.not_before_ms.map(seconds),
            "expires_s": signed.expires_ms.map(seconds),
            "pin_tag": signed.pin.map(|tag| hex::encode(tag.bytes())),
        },
        "cose": hex::encode(signed.bytes()),
        "text": text,
    });
    if let Some(under) = signed.under {
        vector["token"]["under"] = json!({"chain": under.chain, "seq": under.seq});
    }
    vector
}

/// A token with another certificate inside, signed over `external` with `signer`.
fn forged(certificate: &[u8], signer: &[u8; 32], external: &[u8]) -> Vec<u8> {
    let issuer = sign_certificate(certificate_of_a_till());
    let good = token(&[("CAP", "1")]).sign(&Ed25519, &key(&ISSUER), &issuer).unwrap();
    let mut envelope = CoseSign1::from_tagged_slice(good.bytes()).unwrap();
    let payload = envelope.payload.take().unwrap();
    let string = |bytes: &[u8]| minicbor::to_vec(minicbor::bytes::ByteVec::from(bytes.to_vec())).unwrap();
    let (old, new) = (string(issuer.bytes()), string(certificate));
    let at = payload.windows(old.len()).position(|window| window == old).unwrap();
    envelope.payload = Some([&payload[..at], &new, &payload[at + old.len()..]].concat());
    envelope.signature = key(signer).sign(&envelope.tbs_data(external)).0.to_vec();
    envelope.to_tagged_vec().unwrap()
}

fn certificate_of_a_till() -> Certificate {
    certificate("till-1", &[Role::Pos])
}

fn refused() -> Value {
    let till = sign_certificate(certificate_of_a_till());
    let external = [&b"popmesh token v1"[..], &charter().event().0].concat();
    let over = Certificate { not_after_ms: ISSUED_MS, ..certificate_of_a_till() };
    let early = Certificate { not_before_ms: ISSUED_MS + 1_000, ..certificate_of_a_till() };
    let body = &till.bytes()[64..];
    let usurper = key(&LOCKER).sign(&[b"popmesh certificate v1", &charter().event().0[..], body].concat());
    let (hq, steward) = hq_and_steward();
    let by = |certificate: Certificate, signer: &[u8; 32], issuer: &[u8]| {
        forged(&unruly(&certificate, signer, issuer), &ISSUER, &external)
    };
    let pos = certificate_of_a_till;
    let other_till = sign_certificate(Certificate { device: key(&LOCKER).id(), ..certificate_of_a_till() });
    let below = unruly(
        &Certificate { device: key(&LOCKER).id(), ..certificate("floor", &[Role::Steward]) },
        &STEWARD,
        steward.bytes(),
    );
    let third = unruly(&Certificate { device: key(&LOCKER).id(), ..pos() }, &STEWARD, steward.bytes());
    let mut altered = forged(till.bytes(), &ISSUER, &external);
    *altered.last_mut().unwrap() ^= 1;
    let cases = [
        ("one bit of the signature is altered", "signature", altered),
        ("another key signed it", "signature", forged(till.bytes(), &LOCKER, &external)),
        ("it was signed for no event", "signature", forged(till.bytes(), &ISSUER, b"popmesh token v1")),
        (
            "an hq issued it, which does not sell",
            "role",
            forged(sign_certificate(certificate("till-1", &[Role::Hq])).bytes(), &ISSUER, &external),
        ),
        (
            "it was issued as the certificate ended",
            "validity",
            forged(sign_certificate(over).bytes(), &ISSUER, &external),
        ),
        (
            "it was issued before the certificate began",
            "validity",
            forged(sign_certificate(early).bytes(), &ISSUER, &external),
        ),
        (
            "somebody else than the organiser signed the certificate",
            "certificate",
            forged(&[&usurper.0[..], body].concat(), &ISSUER, &external),
        ),
        (
            "another device than its issuer signed the certificate",
            "certificate",
            by(pos(), &LOCKER, hq.bytes()),
        ),
        ("its issuer is a till, which admits nobody", "certificate", by(pos(), &LOCKER, other_till.bytes())),
        (
            "an hq made it a registrar, too",
            "certificate",
            by(certificate("till-1", &[Role::Pos, Role::Registrar]), &HQ, hq.bytes()),
        ),
        (
            "a steward made it a steward, too",
            "certificate",
            by(certificate("till-1", &[Role::Pos, Role::Steward]), &STEWARD, steward.bytes()),
        ),
        (
            "it would outlast the hq that admitted it",
            "certificate",
            by(Certificate { not_after_ms: ISSUED_MS + HOUR_MS + 1, ..pos() }, &HQ, hq.bytes()),
        ),
        (
            "it would begin before the hq that admitted it",
            "certificate",
            by(Certificate { not_before_ms: ISSUED_MS - HOUR_MS - 1, ..pos() }, &HQ, hq.bytes()),
        ),
        ("there are three devices between it and the organiser", "certificate", by(pos(), &LOCKER, &third)),
        ("its issuer was made a steward by a steward", "certificate", by(pos(), &LOCKER, &below)),
    ];
    let cases: Vec<Value> = cases
        .into_iter()
        .map(|(about, why, cose)| {
            let said = match SignedToken::read(&cose, &mut gate()).unwrap_err() {
                TokenError::Signature { .. } => "signature",
                TokenError::Role { .. } => "role",
                TokenError::IssuerValidity { .. } => "validity",
                TokenError::Certificate(_) => "certificate",
                other => panic!("{about}: {other}"),
            };
            assert_eq!(said, why, "{about}");
            json!({"about": about, "why": why, "cose": hex::encode(cose)})
        })
        .collect();
    assert!(SignedToken::read(&forged(till.bytes(), &ISSUER, &external), &mut gate()).is_ok());
    json!({"about": "Tokens that must be refused, and why.", "charter": charter().to_text(), "cases": cases})
}

fn compare(name: &str, made: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/token").join(name);
    let made = format!("{made:#}\n");
    if std::env::var_os("POPMESH_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with POPMESH_WRITE_VECTORS=1", path.display()));
    assert_eq!(made, kept, "{} is made otherwise now", path.display());
}

#[test]
fn the_smallest_token() {
    let about = "Two units, for ever, redeemed where they were sold: custodian and times are left away.";
    compare("smallest.json", &vector(about, token(&[("CAP", "1-2")]), certificate_of_a_till()));
}

#[test]
fn a_token_for_a_locker() {
    let about =
        "Picked up elsewhere within a window: another custodian, two SKUs, serials in several ranges.";
    let pickup = Token {
        custodian: key(&LOCKER).id(),
        not_before_ms: Some(ISSUED_MS + HOUR_MS),
        expires_ms: Some(ISSUED_MS + 48 * HOUR_MS),
        ..token(&[("TOUR-TEE-BLACK-L", "117-118"), ("POSTER_A2", "3,5-9,4000000000-4294967295")])
    };
    let till = certificate("merch-till-upstairs2", &[Role::Pos, Role::Locker]);
    compare("locker.json", &vector(about, pickup, till));
}

#[test]
fn a_token_of_a_claim_whose_custody_has_moved() {
    let about = "Sold for pickup, and given to another locker since: the record of custody stands with the custodian.";
    let moved = Token {
        custodian: key(&LOCKER).id(),
        under: Some(Ref { chain: ChainId([0x99; 16]), seq: 300 }),
        ..token(&[("CAP", "1-2")])
    };
    compare("moved.json", &vector(about, moved.clone(), certificate_of_a_till()));
    // Back with the seller, which the certificate names, it is said all the same; before a PIN as anywhere.
    let mut back = Token { custodian: key(&ISSUER).id(), ..moved };
    back.pin = PinTag::of(&secret().into(), &back.claim, &"0417".parse().unwrap());
    compare("moved-back.json", &vector(about, back, certificate_of_a_till()));
}

#[test]
fn a_token_with_names_beyond_ascii() {
    let about = "Names of the drop, the SKU and the issuer in UTF-8; a claim far along its chain.";
    let mut token = token(&[("TÜTE-Ø", "1")]);
    token.drop = "mitternacht-零時".parse().unwrap();
    token.claim.seq = 70_000;
    compare("unicode.json", &vector(about, token, certificate("Käse & Söhne 🎪", &[Role::Encoder])));
}

#[test]
fn a_token_with_a_pin() {
    let about =
        "The shopper must know 0417: the tag is HMAC-SHA-256 under the event's secret, cut to 8 bytes.";
    let mut token = token(&[("CAP", "7")]);
    token.pin = PinTag::of(&secret().into(), &token.claim, &"0417".parse().unwrap());
    let mut made = vector(about, token, certificate_of_a_till());
    made["pin"] = json!("0417");
    made["organiser_seed"] = json!(hex::encode(ORGANISER));
    made["event_secret"] = json!(hex::encode(secret().bytes()));
    compare("pin.json", &made);
}

#[test]
fn a_token_with_a_pin_that_was_made_after_a_retirement() {
    let about = "The event's secret was renewed: the tag is under that of a later epoch, which four bytes of its hash name.";
    let renewed = EventSecret::from_bytes([0x5e; 32]);
    let secrets = EventSecrets { first: Some(secret()), later: vec![renewed.clone()] };
    let mut token = token(&[("CAP", "7")]);
    token.pin = PinTag::of(&secrets, &token.claim, &"0417".parse().unwrap());
    let mut made = vector(about, token, certificate_of_a_till());
    made["pin"] = json!("0417");
    made["epoch_secret"] = json!(hex::encode(renewed.bytes()));
    compare("pin-renewed.json", &made);
}

#[test]
fn a_token_of_a_till_that_an_hq_admitted() {
    let about = "The till's certificate was signed by an hq, whose own it carries.";
    let (hq, _) = hq_and_steward();
    let till = SignedCertificate::sign_as(certificate_of_a_till(), &key(&HQ), &hq, &charter()).unwrap();
    compare("by-hq.json", &vector_by(about, token(&[("CAP", "1-2")]), &till));
}

#[test]
fn a_token_of_a_till_that_a_steward_admitted() {
    let about = "The till's certificate was signed by a steward, whose own was signed by an hq.";
    let (_, steward) = hq_and_steward();
    let till = certificate_of_a_till();
    let till = SignedCertificate::sign_as(till, &key(&STEWARD), &steward, &charter()).unwrap();
    compare("by-steward.json", &vector_by(about, token(&[("CAP", "1-2")]), &till));
}

#[test]
fn tokens_that_must_be_refused() {
    compare("refused.json", &refused());
}
