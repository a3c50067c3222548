//! Tokens that are good, and all that must be refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::{ChainId, Nonce};
use crate::identity::{Charter, Ed25519, Role, SignedCharter};
use crate::pin::{EpochMark, PinTag};

const ISSUED_MS: u64 = 1_790_000_000_000;
const DAY_MS: u64 = 86_400_000;
const QR_ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/// What a QR code of version 15 holds at error correction M in alphanumeric mode (ISO/IEC 18004, table 7).
const QR_15_M: usize = 600;
/// The same of version 18.
const QR_18_M: usize = 816;
/// The same of version 21.
const QR_21_M: usize = 1035;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn charter(name: &str) -> SignedCharter {
    let charter = Charter {
        name: name.to_owned(),
        currency: "EUR".parse().unwrap(),
        root: key(1).id(),
        created_ms: 0,
        nonce: Nonce([7; 16]),
    };
    SignedCharter::sign(charter, &key(1)).unwrap()
}

fn gate_of(charter: SignedCharter) -> Gate {
    Gate::of(charter, Arc::new(Ed25519))
}

fn gate() -> Gate {
    gate_of(charter("Neon Night"))
}

fn certified(roles: &[Role], change: impl FnOnce(&mut Certificate)) -> SignedCertificate {
    let charter = charter("Neon Night");
    let mut certificate = Certificate {
        device: key(2).id(),
        name: "merch-till-upstairs2".to_owned(),
        roles: roles.iter().copied().collect(),
        venue: "festsaal-ost".parse().unwrap(),
        not_before_ms: ISSUED_MS - DAY_MS,
        not_after_ms: ISSUED_MS + 6 * DAY_MS,
    };
    change(&mut certificate);
    SignedCertificate::sign(certificate, &key(1), &charter).unwrap()
}

fn issuer() -> SignedCertificate {
    certified(&[Role::Pos, Role::Locker], |_| {})
}

/// The same till, admitted by a steward that an hq admitted: by the hq alone if there is no steward.
fn admitted(has_steward: bool) -> SignedCertificate {
    let charter = charter("Neon Night");
    let hq = certified(&[Role::Hq], |hq| (hq.device, hq.name) = (key(4).id(), "hq-laptop".to_owned()));
    let (mut by, mut issuer) = (key(4), hq);
    if has_steward {
        let steward = Certificate {
            device: key(5).id(),
            name: "floor-manager".to_owned(),
            roles: [Role::Steward].into_iter().collect(),
            ..(*issuer).clone()
        };
        issuer = SignedCertificate::sign_as(steward, &by, &issuer, &charter).unwrap();
        by = key(5);
    }
    SignedCertificate::sign_as((*self::issuer()).clone(), &by, &issuer, &charter).unwrap()
}

fn item(sku: &str, units: &str) -> TokenItem {
    TokenItem { sku: sku.parse().unwrap(), units: units.parse().unwrap() }
}

fn token() -> Token {
    Token {
        kind: Kind::Claim,
        claim: Ref { chain: ChainId([0xc5; 16]), seq: 1_234 },
        drop: "midnight".parse().unwrap(),
        items: vec![item("TOUR-TEE-BLACK-L", "117-118")],
        custodian: key(3).id(),
        under: None,
        issued_ms: ISSUED_MS,
        not_before_ms: Some(ISSUED_MS + 60_000),
        expires_ms: Some(ISSUED_MS + DAY_MS),
        pin: None,
    }
}

fn signed() -> SignedToken {
    token().sign(&Ed25519, &key(2), &issuer()).unwrap()
}

/// Bytes that `Token::sign` would not make.
fn sealed(token: &Token, certificate: &SignedCertificate, key: &SecretKey) -> Vec<u8> {
    wire::seal(token, certificate, |message| key.sign(message)).unwrap()
}

fn refused(bytes: &[u8]) -> TokenError {
    SignedToken::read(bytes, &mut gate()).unwrap_err()
}

#[test]
fn a_token_comes_back_from_its_text() {
    let signed = signed();
    let text = signed.to_text();
    assert!(text.starts_with("POPMESH1:"), "{text}");
    let read = SignedToken::read(&from_text(&text).unwrap(), &mut gate()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(*read, token());
    assert_eq!(read.certificate(), &issuer());
}

#[test]
fn a_token_of_two_units_fits_a_code_that_any_phone_shows() {
    let text = signed().to_text();
    assert!(text.chars().all(|c| QR_ALPHANUMERIC.contains(c)), "{text}");
    println!("{} bytes, {} characters", signed().bytes().len(), text.len());
    assert!(text.len() <= QR_15_M, "{} characters", text.len());
}

#[test]
fn a_token_of_a_till_that_a_device_admitted_is_checked_with_the_charter_alone() {
    for (has_steward, characters) in [(false, QR_18_M), (true, QR_21_M)] {
        let signed = token().sign(&Ed25519, &key(2), &admitted(has_steward)).unwrap();
        let text = signed.to_text();
        println!("{} bytes, {} characters", signed.bytes().len(), text.len());
        assert!(text.len() <= characters, "{} characters", text.len());
        let read = SignedToken::read(&from_text(&text).unwrap(), &mut gate()).unwrap();
        assert_eq!(read, signed);
        let issuers = std::iter::successors(Some(read.certificate()), |certificate| certificate.issuer());
        assert_eq!(issuers.count(), 2 + usize::from(has_steward));
        let mut elsewhere = gate_of(charter("Rival Night"));
        let error = SignedToken::read(signed.bytes(), &mut elsewhere).unwrap_err();
        assert!(matches!(error, TokenError::OtherEvent { .. }), "{error}");
    }
}

/// The record of custody takes some twenty bytes, and none where custody has not moved.
#[test]
fn a_token_names_the_custody_that_moved() {
    let under = Ref { chain: ChainId([0xc7; 16]), seq: 70_000 };
    let moved = Token { under: Some(under), ..token() };
    let read =
        SignedToken::read(moved.clone().sign(&Ed25519, &key(2), &issuer()).unwrap().bytes(), &mut gate());
    let read = read.unwrap();
    assert_eq!(*read, moved);
    assert!(read.bytes().len() <= signed().bytes().len() + 24, "{} bytes more", read.bytes().len());
    let here =
        Token { custodian: key(2).id(), pin: Some(PinTag { code: [7; 8], epoch: None }), ..moved.clone() };
    let read =
        SignedToken::read(here.clone().sign(&Ed25519, &key(2), &issuer()).unwrap().bytes(), &mut gate());
    assert_eq!(*read.unwrap(), here);
    // There is one way to say that the sale made it the custodian, and a cart has none.
    let odd = [
        Token { under: Some(moved.claim), ..moved.clone() },
        Token { under: Some(Ref { seq: 0, ..under }), ..moved.clone() },
        Token { kind: Kind::Cart, ..moved },
    ];
    for token in odd {
        assert_eq!(refused(&sealed(&token, &issuer(), &key(2))), TokenError::Altered);
        assert_eq!(token.sign(&Ed25519, &key(2), &issuer()).unwrap_err(), TokenError::Content);
    }
}

#[test]
fn times_are_widened_to_whole_seconds() {
    let odd = Token {
        issued_ms: ISSUED_MS + 999,
        not_before_ms: Some(ISSUED_MS + 1_001),
        expires_ms: Some(ISSUED_MS + 2_001),
        ..token()
    };
    let signed = odd.sign(&Ed25519, &key(2), &issuer()).unwrap();
    assert_eq!(signed.issued_ms, ISSUED_MS);
    assert_eq!(signed.not_before_ms, Some(ISSUED_MS + 1_000));
    assert_eq!(signed.expires_ms, Some(ISSUED_MS + 3_000));
    assert_eq!(SignedToken::read(signed.bytes(), &mut gate()).unwrap(), signed);
}

#[test]
fn it_is_good_from_its_beginning_up_to_its_end() {
    let signed = signed();
    let (from_ms, until_ms) = (ISSUED_MS + 60_000, ISSUED_MS + DAY_MS);
    let early = signed.check_at(from_ms - 1).unwrap_err();
    assert!(matches!(&early, TokenError::NotYet { from } if from.contains("UTC")), "{early}");
    assert_eq!(signed.check_at(from_ms), Ok(()));
    assert_eq!(signed.check_at(until_ms - 1), Ok(()));
    let late = signed.check_at(until_ms).unwrap_err();
    assert!(matches!(&late, TokenError::Expired { when } if when.contains("UTC")), "{late}");
    let endless = Token { not_before_ms: None, expires_ms: None, ..token() };
    let endless = endless.sign(&Ed25519, &key(2), &issuer()).unwrap();
    assert_eq!((endless.check_at(0), endless.check_at(u64::MAX)), (Ok(()), Ok(())));
}

#[test]
fn what_scanners_and_people_do_to_the_text_is_undone() {
    let signed = signed();
    let text = signed.to_text();
    let wrapped: String = text
        .chars()
        .enumerate()
        .map(|(i, c)| if i % 60 == 59 { format!("{c}\r\n") } else { c.into() })
        .collect();
    for given in [
        text.to_lowercase(),
        format!("{text}\r\n"),
        format!(" \t{text} \t\n"),
        format!("]Q1{text}\r"),
        format!("]Q3 {text}"),
        format!("]q1{}", text.to_lowercase()),
        format!("https://popmesh.example/t#{text}"),
        format!("]Q1HTTPS://X.EXAMPLE/?T={text}"),
        format!("popmesh:{text}"),
        text.replacen(':', ": ", 1),
        text.replacen(':', ":\n", 1),
        wrapped,
    ] {
        assert_eq!(from_text(&given).as_deref(), Ok(signed.bytes()), "{given:?}");
    }
}

#[test]
fn no_token_has_a_space_at_either_end_of_its_digits() {
    // On this rests that blanks around the digits may go.
    for last in 0..=u8::MAX {
        assert!(!base45::encode([last]).ends_with(' '));
        for before in 0..=u8::MAX {
            assert!(!base45::encode([before, last]).ends_with(' '));
        }
    }
    assert!(base45::encode(wire::BEGINNING).starts_with('R'));
}

#[test]
fn text_that_is_no_token_says_so() {
    let text = signed().to_text();
    let not_a_token = [
        "",
        "POPMESH",
        "POPMESH1",
        "POPMESHX:00",
        "POPMESH12345:00",
        "HC1:6BF",
        "https://example.org/",
        "]Q1",
        "sold POPMESH1:R00",
        "a\u{e4}\u{20ac}",
        "\u{20ac}\u{20ac}\u{20ac}POPMESH1:00",
    ];
    for bad in not_a_token {
        assert_eq!(from_text(bad), Err(TokenError::NotAToken), "{bad:?}");
    }
    assert_eq!(
        from_text(&text.replace("POPMESH1", "POPMESH2")),
        Err(TokenError::Version { theirs: "2".to_owned() })
    );
    // The last two: more than a byte, and more than two bytes, can be.
    for bad in ["POPMESH1:", "POPMESH1:A", "POPMESH1:AB,", "POPMESH1:\u{e4}", "POPMESH1:::", "POPMESH1::::"] {
        assert_eq!(from_text(bad), Err(TokenError::Altered), "{bad:?}");
    }
    assert_eq!(from_text(&"A".repeat(MAX_TEXT + 1)), Err(TokenError::TooLong));
    assert_eq!(from_text(&text.repeat(5)), Err(TokenError::TooLong));
}

#[test]
fn bytes_that_are_no_token_say_so() {
    let signed = signed();
    for bad in [&[][..], &[0xd2], &[0xd1, 0x84], &[0xff; 40], issuer().bytes()] {
        assert_eq!(refused(bad), TokenError::NotAToken);
    }
    for length in 2..signed.bytes().len() {
        assert_eq!(refused(&signed.bytes()[..length]), TokenError::Altered, "{length} bytes");
    }
    let nested = [&wire::BEGINNING[..], &[0x81; MAX_TOKEN - 2]].concat();
    assert_eq!(refused(&nested), TokenError::Altered);
    assert_eq!(refused(&[signed.bytes(), &[0]].concat()), TokenError::Altered);
    assert_eq!(refused(&[signed.bytes(), &[0; MAX_TOKEN]].concat()), TokenError::NotAToken);
}

#[test]
fn another_form_of_the_same_token_is_refused() {
    let bytes = signed().bytes().to_vec();
    // The payload's length in two bytes is the shortest form; in four it is the same to any lenient reader.
    let at = 2 + 4 + 1;
    assert_eq!(bytes[..at], [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0]);
    assert_eq!(bytes[at], 0x59);
    let longer = [&bytes[..at], &[0x5a, 0, 0], &bytes[at + 1..]].concat();
    assert!(coset::TaggedCborSerializable::from_tagged_slice(&longer).is_ok_and(|_: coset::CoseSign1| true));
    assert_eq!(refused(&longer), TokenError::Altered);
    // A header that is not signed.
    let unprotected = [&bytes[..6], &[0xa1, 0x04, 0x41, 0x31], &bytes[at..]].concat();
    assert!(
        coset::TaggedCborSerializable::from_tagged_slice(&unprotected).is_ok_and(|_: coset::CoseSign1| true)
    );
    assert_eq!(refused(&unprotected), TokenError::Altered);
}

#[test]
fn another_form_of_the_same_payload_is_refused_though_the_issuer_signed_it() {
    let read = |payload: Vec<u8>| {
        let event = charter("Neon Night").event();
        let bytes = wire::seal_payload(payload, &event, |message| key(2).sign(message)).unwrap();
        SignedToken::read(&bytes, &mut gate())
    };
    let endless = Token { not_before_ms: None, expires_ms: None, custodian: key(2).id(), ..token() };
    let payload = wire::encode(&endless, &issuer(), issuer().bytes()).unwrap();
    assert!(read(payload.clone()).is_ok());
    // {6: four bytes of seconds, -65537: [five parts]}
    assert_eq!(payload[..3], [0xa2, 0x06, 0x1a]);
    let (issued, claim) = (&payload[1..7], &payload[7..]);
    assert_eq!(claim[..6], [0x3a, 0, 1, 0, 0, 0x85]);
    let custodian = [&[0x58, 0x20][..], &key(2).id().0].concat();
    for other in [
        [&[0xa2], claim, issued].concat(),
        [&[0xbf], issued, claim, &[0xff]].concat(),
        [&[0xa2, 0x06, 0x1b, 0, 0, 0, 0], &issued[2..], claim].concat(),
        [&[0xa3], issued, issued, claim].concat(),
        [&[0xa3], issued, &[0x07, 0x41, 0x31], claim].concat(),
        [&[0xa2], issued, &claim[..5], &[0x86], &claim[6..], &custodian].concat(),
        [&payload[..], &[0]].concat(),
    ] {
        assert_eq!(read(other.clone()), Err(TokenError::Altered), "{}", hex::encode(other));
    }
}

#[test]
fn a_token_of_another_event_names_both() {
    let mut elsewhere = gate_of(charter("Rival Night"));
    let error = SignedToken::read(signed().bytes(), &mut elsewhere).unwrap_err();
    let (theirs, ours) = (charter("Neon Night").event().short(), charter("Rival Night").event().short());
    assert_eq!(error, TokenError::OtherEvent { theirs, ours });
}

#[test]
fn a_certificate_that_the_organiser_did_not_sign_is_refused() {
    let issuer = issuer();
    // Another organiser claims the same event: what a forger can do.
    let (event, body) = (charter("Neon Night").event(), &issuer.bytes()[64..]);
    let forged = key(9).sign(&[b"popmesh certificate v1", &event.0[..], body].concat());
    let mut bytes = signed().bytes().to_vec();
    let at = bytes.windows(64).position(|window| window == &issuer.bytes()[..64]).unwrap();
    bytes[at..at + 64].copy_from_slice(&forged.0);
    assert_eq!(refused(&bytes), TokenError::Certificate(CertificateError::Signature));
}

#[test]
fn a_token_signed_by_another_key_is_refused() {
    let forged = sealed(&token(), &issuer(), &key(9));
    assert_eq!(refused(&forged), TokenError::Signature { name: "merch-till-upstairs2".to_owned() });
    assert_eq!(token().sign(&Ed25519, &key(9), &issuer()), Err(TokenError::OtherKey));
    // The same statement signed under no context, or another event's.
    for external in [&b""[..], b"popmesh token v1", &[b"popmesh token v1", &[0; 32][..]].concat()] {
        let bytes = sealed(&token(), &issuer(), &key(2));
        let mut sign1: coset::CoseSign1 = coset::TaggedCborSerializable::from_tagged_slice(&bytes).unwrap();
        sign1.signature = key(2).sign(&sign1.tbs_data(external)).0.to_vec();
        let bytes = coset::TaggedCborSerializable::to_tagged_vec(sign1).unwrap();
        assert!(matches!(refused(&bytes), TokenError::Signature { .. }));
    }
}

#[test]
fn a_certificate_must_have_held_when_the_token_was_issued() {
    for (issued_ms, held) in [
        (ISSUED_MS - DAY_MS - 1_000, false),
        (ISSUED_MS - DAY_MS, true),
        (ISSUED_MS + 6 * DAY_MS - 1_000, true),
        (ISSUED_MS + 6 * DAY_MS, false),
    ] {
        let token = Token { issued_ms, not_before_ms: None, expires_ms: None, ..token() };
        let read = SignedToken::read(&sealed(&token, &issuer(), &key(2)), &mut gate());
        let signed = token.sign(&Ed25519, &key(2), &issuer());
        assert_eq!(read, signed);
        assert_eq!(signed.is_ok(), held);
        assert!(held || matches!(signed, Err(TokenError::IssuerValidity { .. })), "{signed:?}");
    }
    // It may begin, or end, within the second.
    let ms = ISSUED_MS + 500;
    let token = Token { issued_ms: ms, ..token() };
    for certificate in [
        certified(&[Role::Pos], |certificate| certificate.not_before_ms = ms),
        certified(&[Role::Pos], |certificate| certificate.not_after_ms = ms),
    ] {
        let signed = token.clone().sign(&Ed25519, &key(2), &certificate).unwrap();
        assert_eq!(SignedToken::read(signed.bytes(), &mut gate()).unwrap(), signed);
    }
}

#[test]
fn only_devices_that_sell_issue_tokens() {
    for role in Role::ALL {
        let certificate = certified(&[role], |_| {});
        let read = SignedToken::read(&sealed(&token(), &certificate, &key(2)), &mut gate());
        let signed = token().sign(&Ed25519, &key(2), &certificate);
        assert_eq!(read, signed);
        let sells = !matches!(role, Role::Hq | Role::Registrar | Role::Steward);
        assert_eq!(signed.is_ok(), sells, "{role}");
        assert!(sells || matches!(signed, Err(TokenError::Role { .. })), "{signed:?}");
    }
}

#[test]
fn what_could_not_be_redeemed_is_neither_signed_nor_read() {
    let impossible = [
        Token { items: vec![], ..token() },
        Token { items: vec![item("CAP", "1"), item("TEE", "")], ..token() },
        Token { claim: Ref { seq: 0, ..token().claim }, ..token() },
        Token { expires_ms: Some(ISSUED_MS), ..token() },
        Token { expires_ms: Some(ISSUED_MS + 60_000), ..token() },
    ];
    for token in impossible {
        assert_eq!(refused(&sealed(&token, &issuer(), &key(2))), TokenError::Altered, "{token:?}");
        assert_eq!(token.sign(&Ed25519, &key(2), &issuer()), Err(TokenError::Content));
    }
    let never = Token { expires_ms: Some(u64::MAX), ..token() };
    assert_eq!(never.sign(&Ed25519, &key(2), &issuer()), Err(TokenError::Content));
}

#[test]
fn a_claim_too_large_for_a_code_is_not_signed() {
    let scattered: Vec<String> = (1..900).map(|serial| (serial * 2).to_string()).collect();
    let large = Token { items: vec![item("CAP", &scattered.join(","))], ..token() };
    let refusal = large.sign(&Ed25519, &key(2), &issuer());
    assert!(matches!(refusal, Err(TokenError::TooLarge { bytes }) if bytes > MAX_TOKEN), "{refusal:?}");
}

#[test]
fn every_bit_counts() {
    let mut gate = gate();
    let moved = Token { under: Some(Ref { chain: ChainId([0xc7; 16]), seq: 7 }), ..token() };
    let moved = moved.sign(&Ed25519, &key(2), &issuer()).unwrap();
    for signed in [signed(), moved, token().sign(&Ed25519, &key(2), &admitted(true)).unwrap()] {
        for at in 0..signed.bytes().len() {
            for bit in 0..8 {
                let mut bytes = signed.bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(SignedToken::read(&bytes, &mut gate).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}

/// A million tokens with bytes changed, cut out, put in or swapped.
#[test]
fn no_altered_token_is_taken_for_good() {
    const TOKENS: u32 = 1_000_000;
    let signed = signed();
    let mut gate = gate();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        // xorshift64: any chance will do, so long as it is the same each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    let (mut parsed, mut signatures) = (0, 0);
    for _ in 0..TOKENS {
        let mut bytes = signed.bytes().to_vec();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(6) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, below(256) as u8),
                2 => {
                    let other = below(bytes.len());
                    bytes.swap(at, other);
                }
                _ => bytes[at] = below(256) as u8,
            }
        }
        if bytes == signed.bytes() {
            continue;
        }
        parsed += u32::from(UnprovenToken::parse(&bytes).is_ok());
        match SignedToken::read(&bytes, &mut gate) {
            Ok(token) => panic!("taken for good: {token:?}"),
            Err(TokenError::Signature { .. }) => signatures += 1,
            Err(_) => {}
        }
    }
    println!("{TOKENS} altered: {parsed} could be read, {signatures} refused by the issuer's signature");
    assert!(parsed > TOKENS / 20 && signatures > TOKENS / 40, "the changes hardly get past the parser");
}

prop_compose! {
    fn items()(items in proptest::collection::vec(
        ("[A-Z0-9._-]{1,40}", proptest::collection::vec((0u32..5_000, 0u32..9), 1..4)), 1..6,
    )) -> Vec<TokenItem> {
        items.into_iter().map(|(sku, ranges)| {
            let mut units = UnitSet::default();
            for (first, more) in ranges {
                units.insert_all(&UnitSet::range(first, first + more));
            }
            TokenItem { sku: sku.parse().unwrap(), units }
        }).collect()
    }
}

prop_compose! {
    fn tokens()(
        chain in any::<[u8; 16]>(), seq in 1..=u64::MAX, drop in "[a-zäß0-9-]{1,40}", items in items(),
        custodian in 2u8..4, after in proptest::option::of(0u64..DAY_MS),
        lasts in proptest::option::of(DAY_MS..1_000 * DAY_MS), issued in 0..DAY_MS,
        pin in proptest::option::of((any::<[u8; 8]>(), proptest::option::of(any::<[u8; 4]>()))), under in proptest::option::of((any::<[u8; 16]>(), 1..=u64::MAX)),
    ) -> Token {
        Token {
            claim: Ref { chain: ChainId(chain), seq },
            drop: drop.parse().unwrap(),
            items,
            custodian: key(custodian).id(),
            under: under
                .map(|(chain, seq)| Ref { chain: ChainId(chain), seq })
                .filter(|under| *under != Ref { chain: ChainId(chain), seq }),
            issued_ms: ISSUED_MS + issued,
            not_before_ms: after.map(|after| ISSUED_MS + after),
            expires_ms: lasts.map(|lasts| ISSUED_MS + DAY_MS + lasts),
            pin: pin.map(|(code, epoch): ([u8; 8], Option<[u8; 4]>)| PinTag {
                code,
                epoch: epoch.map(EpochMark),
            }),
            ..token()
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_comes_back(token in tokens()) {
        let signed = token.clone().sign(&Ed25519, &key(2), &issuer()).unwrap();
        let text = signed.to_text();
        prop_assert!(text.len() <= MAX_TEXT);
        let read = SignedToken::read(&from_text(&text.to_lowercase()).unwrap(), &mut gate()).unwrap();
        prop_assert_eq!(&read, &signed);
        prop_assert_eq!((&read.items, read.claim, &read.drop), (&token.items, token.claim, &token.drop));
        prop_assert_eq!((read.custodian, read.under, read.pin), (token.custodian, token.under, token.pin));
    }

    #[test]
    fn one_altered_byte_is_refused(token in tokens(), at in any::<prop::sample::Index>(), by in 1u8..) {
        let signed = token.sign(&Ed25519, &key(2), &issuer()).unwrap();
        let mut bytes = signed.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(SignedToken::read(&bytes, &mut gate()).is_err());
    }

    #[test]
    fn one_altered_character_is_refused(
        token in tokens(), at in any::<prop::sample::Index>(), to in "[0-9A-Z $%*+./:\u{0}-\u{ff}-]",
    ) {
        let text = token.sign(&Ed25519, &key(2), &issuer()).unwrap().to_text();
        let at = at.index(text.len());
        prop_assume!(!text[at..=at].eq_ignore_ascii_case(&to));
        let altered = format!("{}{to}{}", &text[..at], &text[at + 1..]);
        let read = from_text(&altered).and_then(|bytes| SignedToken::read(&bytes, &mut gate()));
        prop_assert!(read.is_err(), "{altered:?}");
    }

    #[test]
    fn nothing_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "(POPMESH1:)?\\PC{0,60}",
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = from_text(&text);
        prop_assert!(SignedToken::read(&bytes, &mut gate()).is_err());
        let begun = [&wire::BEGINNING[..], &bytes].concat();
        prop_assert!(SignedToken::read(&begun, &mut gate()).is_err());
        let _ = wire::decode(&payload);
    }
}
