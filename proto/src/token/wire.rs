//! A token as bytes: one form each, the deterministic one (RFC 8949 §4.2).
//!
//! ```text
//! 18([ protected: << {1: -8} >>,        EdDSA, and nothing else
//!      unprotected: {},
//!      payload: << {
//!        ? 4: expires,                  exp, nbf, iat of RFC 8392: Unix seconds
//!        ? 5: not before,
//!          6: issued,
//!          -65537: [                    a key for private use, once, since each takes five bytes
//!            certificate,               of the issuer, as it travels
//!            chain, sequence,           the claim
//!            drop,
//!            [sku, units, …],           units as gaps and lengths
//!            ? custodian                only if it is not the issuer, or a PIN follows; where custody made it that:
//!              / [custodian, chain, sequence]  and which record of custody
//!            ? tag                      of the PIN, 8 bytes, and 4 that name the epoch of the event's secret, if not the first
//!          ]} >>,
//!      signature ])
//! ```
//!
//! A cart's token has -65538 in the place of -65537.
//!
//! The event is that of the certificate. It is signed once more as the external data of the signature, after a text
//! that keeps signatures on tokens apart from all others of the same key.

use coset::{CoseError, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::{Kind, SECOND_MS, Token, TokenError, TokenItem, signature};
use crate::clock::Hlc;
use crate::id::{DeviceId, EventId, EventMark, Ref};
use crate::identity::{self, Certificate, Signature, SignedCertificate};
use crate::units::UnitSet;

/// The most bytes of a token; its text then has some two thousand characters.
pub const MAX_TOKEN: usize = 1_344;

/// The tag and the array of four that each token begins with.
pub(super) const BEGINNING: [u8; 2] = [0xd2, 0x84];

const CONTEXT: &[u8] = b"popmesh token v1";
const EXPIRES: i64 = 4;
const NOT_BEFORE: i64 = 5;
const ISSUED: i64 = 6;
const CLAIM: i64 = -65_537;
const CART: i64 = -65_538;

/// Whether a time can be written.
pub(super) fn fits(ms: u64) -> bool {
    ms <= Hlc::MAX_MS
}

fn external(event: &EventId) -> Vec<u8> {
    [CONTEXT, &event.0].concat()
}

fn envelope(payload: Vec<u8>) -> CoseSign1Builder {
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build();
    CoseSign1Builder::new().protected(protected).payload(payload)
}

/// The bytes of a token, signed.
///
/// # Errors
/// [`TokenError::Content`] if it cannot be written.
pub(super) fn seal(
    token: &Token,
    certificate: &SignedCertificate,
    sign: impl FnOnce(&[u8]) -> Signature,
) -> Result<Vec<u8>, TokenError> {
    let payload = encode(token, certificate, certificate.bytes()).map_err(|_| TokenError::Content)?;
    seal_payload(payload, &certificate.event(), sign).map_err(|_| TokenError::Content)
}

/// The bytes of a payload, whatever it is, signed.
pub(super) fn seal_payload(
    payload: Vec<u8>,
    event: &EventId,
    sign: impl FnOnce(&[u8]) -> Signature,
) -> Result<Vec<u8>, CoseError> {
    envelope(payload)
        .create_signature(&external(event), |message| sign(message).0.to_vec())
        .build()
        .to_tagged_vec()
}

/// A COSE_Sign1 of the one form that tokens have.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    payload: Vec<u8>,
    signature: Signature,
    envelope: CoseSign1,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Takes it apart; `None` if it is something else, or in another form.
    pub(super) fn open(bytes: &[u8]) -> Option<Self> {
        let read = CoseSign1::from_tagged_slice(bytes).ok()?;
        let payload = read.payload?;
        let envelope = envelope(payload.clone()).signature(read.signature.clone()).build();
        let is_deterministic = envelope.clone().to_tagged_vec().is_ok_and(|again| again == bytes);
        if !is_deterministic {
            return None;
        }
        Some(Self { payload, signature: signature(&read.signature)?, envelope, bytes: bytes.to_vec() })
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the signature is over.
    pub(super) fn message(&self, event: &EventId) -> Vec<u8> {
        self.envelope.tbs_data(&external(event))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

pub(super) type Written<T> = Result<T, minicbor::encode::Error<std::convert::Infallible>>;

pub(super) fn encode(token: &Token, issuer: &Certificate, certificate: &[u8]) -> Written<Vec<u8>> {
    let mut e = Encoder::new(Vec::new());
    let times =
        [(EXPIRES, token.expires_ms), (NOT_BEFORE, token.not_before_ms), (ISSUED, Some(token.issued_ms))];
    e.map(1 + times.iter().filter(|(_, ms)| ms.is_some()).count() as u64)?;
    for (key, ms) in times {
        if let Some(ms) = ms {
            e.i64(key)?.u64(ms / SECOND_MS)?;
        }
    }
    let elsewhere = token.custodian != issuer.device || token.under.is_some();
    let (custodian, pin) = (elsewhere || token.pin.is_some(), token.pin.is_some());
    let key = match token.kind {
        Kind::Claim => CLAIM,
        Kind::Cart => CART,
    };
    e.i64(key)?.array(5 + u64::from(custodian) + u64::from(pin))?;
    e.bytes(certificate)?.encode(token.claim.chain)?.u64(token.claim.seq)?.encode(&token.drop)?;
    e.array(token.items.len() as u64 * 2)?;
    for item in &token.items {
        e.encode(&item.sku)?.encode(&item.units)?;
    }
    match token.under {
        Some(under) => {
            e.array(3)?.encode(token.custodian)?.encode(under.chain)?.u64(under.seq)?;
        }
        None if custodian => {
            e.encode(token.custodian)?;
        }
        None => {}
    }
    if let Some(pin) = token.pin {
        e.encode(pin)?;
    }
    Ok(e.into_writer())
}

/// What a payload says.
pub(super) struct Said {
    pub(super) token: Token,
    pub(super) event: EventMark,
    pub(super) issuer: Certificate,
    /// The issuer's, as it came.
    pub(super) certificate: Vec<u8>,
}

/// Reads a payload. `None` for all but what [`encode`] writes.
pub(super) fn decode(payload: &[u8]) -> Option<Said> {
    let mut d = Decoder::new(payload);
    let (mut expires_ms, mut not_before_ms, mut issued_ms, mut claimed) = (None, None, None, None);
    for _ in 0..d.map().ok()?? {
        match d.i64().ok()? {
            EXPIRES => expires_ms = Some(time_ms(&mut d)?),
            NOT_BEFORE => not_before_ms = Some(time_ms(&mut d)?),
            ISSUED => issued_ms = Some(time_ms(&mut d)?),
            CLAIM => claimed = Some(claim(&mut d, Kind::Claim)?),
            CART => claimed = Some(claim(&mut d, Kind::Cart)?),
            _ => return None,
        }
    }
    let said = claimed?;
    let said =
        Said { token: Token { issued_ms: issued_ms?, not_before_ms, expires_ms, ..said.token }, ..said };
    let again = encode(&said.token, &said.issuer, &said.certificate).ok()?;
    (again == payload).then_some(said)
}

/// The custodian, and the record of custody that made it that, if one did.
fn custodian(d: &mut Decoder<'_>) -> Option<(DeviceId, Option<Ref>)> {
    if d.datatype().ok()? != Type::Array {
        return Some((d.decode().ok()?, None));
    }
    // What is longer, or shorter, is no form that this module writes.
    d.array().ok()??;
    let custodian = d.decode().ok()?;
    Some((custodian, Some(Ref { chain: d.decode().ok()?, seq: d.u64().ok()? })))
}

fn time_ms(d: &mut Decoder<'_>) -> Option<u64> {
    d.u64().ok()?.checked_mul(SECOND_MS).filter(|ms| fits(*ms))
}

fn claim(d: &mut Decoder<'_>, kind: Kind) -> Option<Said> {
    let parts = d.array().ok()??;
    let certificate = d.bytes().ok()?;
    // The gate checks it.
    let (event, issuer) = identity::unproven(certificate)?;
    let claim = Ref { chain: d.decode().ok()?, seq: d.u64().ok()? };
    let drop = d.decode().ok()?;
    let length = d.array().ok()??;
    let mut items = Vec::new();
    for _ in 0..length / 2 {
        items.push(TokenItem { sku: d.decode().ok()?, units: d.decode::<UnitSet>().ok()? });
    }
    let (custodian, under) = if parts > 5 { custodian(d)? } else { (issuer.device, None) };
    let pin = if parts > 6 { Some(d.decode().ok()?) } else { None };
    let token = Token {
        kind,
        claim,
        drop,
        items,
        custodian,
        under,
        issued_ms: 0,
        not_before_ms: None,
        expires_ms: None,
        pin,
    };
    Some(Said { token, event, issuer, certificate: certificate.to_vec() })
}
