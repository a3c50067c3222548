//! Claim tokens: what a shopper shows to get what was sold, checked offline by whoever knows the event's charter.
//!
//! A token is a COSE_Sign1 (RFC 9052) over a map in the manner of a CBOR Web Token (RFC 8392); `wire` says which, byte
//! for byte. As text it is base45 (RFC 9285) after `POPMESH1:`, which a QR code holds in its alphanumeric mode. The
//! issuer's certificate travels inside, so that no device need ever have heard of the issuer.
//!
//! A token proves what was sold. It does not prove who shows it, nor that the claim is still open: redeeming it is the
//! custodian's affair.

mod error;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub use error::{TokenError, TokenFault};
pub use text::{MAX_TEXT, from_text, to_text};
pub use wire::MAX_TOKEN;

use crate::clock::utc;
use crate::id::{DeviceId, EventMark, Ref};
use crate::identity::{Certificate, CertificateError, SecretKey, Signature, Signatures, SignedCertificate};
use crate::log::Gate;
use crate::pin::PinTag;
use crate::text::{DropId, Sku};
use crate::units::UnitSet;

/// A second, in which tokens tell times.
const SECOND_MS: u64 = 1_000;

/// What a token says. Its event is that of the issuer's certificate. Times are Unix milliseconds; the wire has whole
/// seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is for.
    pub kind: Kind,
    /// The claim, by the entry that made it.
    pub claim: Ref,
    /// The drop in which it was sold.
    pub drop: DropId,
    /// What was sold. At least one item.
    pub items: Vec<TokenItem>,
    /// The device that may redeem or refund the claim, as far as the issuer knew; custody can have moved since.
    pub custodian: DeviceId,
    /// What made it the custodian: the record of custody that gave it the claim; the sale itself if absent. So a custodian
    /// that has heard of neither can name, in what it writes, by what right it hands out. Never in a cart's token.
    pub under: Option<Ref>,
    /// When it was issued.
    pub issued_ms: u64,
    /// From when it may be redeemed, inclusive; at once if absent.
    pub not_before_ms: Option<u64>,
    /// Until when it may be redeemed, exclusive; for ever if absent.
    pub expires_ms: Option<u64>,
    /// The tag of the PIN that whoever shows it must know; it can be checked by devices of the event alone.
    pub pin: Option<PinTag>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A claim, to be redeemed.
    Claim,
    /// A cart, to be paid: `claim` is the cart then, and `custodian` its holder.
    Cart,
}

/// Units of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenItem {
    /// The SKU.
    pub sku: Sku,
    /// The serials. At least one.
    pub units: UnitSet,
}

impl Token {
    /// Signs it with the issuer's key. Times are widened to whole seconds: beginnings down, the end up.
    ///
    /// # Errors
    /// [`TokenError`] if this issuer could not issue it, so that no other device would take it, or if it is too long.
    pub fn sign(
        mut self,
        signatures: &dyn Signatures,
        key: &SecretKey,
        certificate: &SignedCertificate,
    ) -> Result<SignedToken, TokenError> {
        self.issued_ms -= self.issued_ms % SECOND_MS;
        self.not_before_ms = self.not_before_ms.map(|ms| ms - ms % SECOND_MS);
        self.expires_ms = self.expires_ms.map(|ms| ms.div_ceil(SECOND_MS).saturating_mul(SECOND_MS));
        if key.id() != certificate.device {
            return Err(TokenError::OtherKey);
        }
        if !self.is_possible() {
            return Err(TokenError::Content);
        }
        issued_by_right(&self, certificate)?;
        let bytes = wire::seal(&self, certificate, |message| signatures.sign(key, message))?;
        if bytes.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge { bytes: bytes.len() });
        }
        Ok(SignedToken { token: self, certificate: certificate.clone(), bytes })
    }

    /// Whether it says anything that could be redeemed.
    fn is_possible(&self) -> bool {
        let begins_ms = self.issued_ms.max(self.not_before_ms.unwrap_or(0));
        !self.items.is_empty()
            && self.items.iter().all(|item| !item.units.is_empty())
            && self.claim.seq > 0
            && self.under.is_none_or(|under| self.kind == Kind::Claim && under.seq > 0 && under != self.claim)
            && self.expires_ms.is_none_or(|expires_ms| begins_ms < expires_ms)
            && wire::fits(begins_ms.max(self.expires_ms.unwrap_or(0)))
    }
}

/// Whether the certificate let its device issue the token when it did.
fn issued_by_right(token: &Token, certificate: &Certificate) -> Result<(), TokenError> {
    // The token tells the second only: the certificate may have begun within it.
    let latest_ms = token.issued_ms.saturating_add(SECOND_MS - 1);
    let held = certificate.not_before_ms <= latest_ms && token.issued_ms < certificate.not_after_ms;
    if !held {
        return Err(TokenError::IssuerValidity {
            name: certificate.name.clone(),
            issued: utc(token.issued_ms),
        });
    }
    if !certificate.roles.sells() {
        return Err(TokenError::Role { name: certificate.name.clone(), roles: certificate.roles });
    }
    Ok(())
}

/// A token whose bytes can be read, and of which nothing is proven: for showing what is wrong with it.
#[derive(Debug, Clone)]
pub struct UnprovenToken {
    token: Token,
    event: EventMark,
    issuer: Certificate,
    certificate: Vec<u8>,
    sealed: wire::Sealed,
}

impl UnprovenToken {
    /// Takes the bytes apart. There is one form of each token; every other is refused.
    ///
    /// # Errors
    /// [`TokenError::NotAToken`], or [`TokenError::Altered`] if it begins like one.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        if !bytes.starts_with(&wire::BEGINNING) || bytes.len() > MAX_TOKEN {
            return Err(TokenError::NotAToken);
        }
        let sealed = wire::Sealed::open(bytes).ok_or(TokenError::Altered)?;
        let wire::Said { token, event, issuer, certificate } =
            wire::decode(sealed.payload()).ok_or(TokenError::Altered)?;
        if !token.is_possible() {
            return Err(TokenError::Altered);
        }
        Ok(Self { token, event, issuer, certificate, sealed })
    }

    /// What it says.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The beginning of the id of the event that its certificate is of.
    pub fn event(&self) -> EventMark {
        self.event
    }

    /// What its certificate says of the issuer.
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// Checks that it was issued in this gate's event by a device that might, and not altered since.
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong with it.
    pub fn prove(self, gate: &mut Gate) -> Result<SignedToken, TokenError> {
        let certificate = gate.certificate(&self.certificate).map_err(|error| match error {
            CertificateError::OtherEvent { theirs, ours } => TokenError::OtherEvent { theirs, ours },
            error => TokenError::Certificate(error),
        })?;
        let message = self.sealed.message(&certificate.event());
        if !gate.signatures().verifies(self.sealed.signature(), &certificate.device, &message) {
            return Err(TokenError::Signature { name: certificate.name.clone() });
        }
        issued_by_right(&self.token, &certificate)?;
        Ok(SignedToken { token: self.token, certificate, bytes: self.sealed.into_bytes() })
    }
}

/// A token whose issuer and signature have been checked. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    token: Token,
    certificate: SignedCertificate,
    bytes: Vec<u8>,
}

impl SignedToken {
    /// Reads the bytes that travel, and checks all but the time: ask [`SignedToken::check_at`].
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong with it.
    pub fn read(bytes: &[u8], gate: &mut Gate) -> Result<Self, TokenError> {
        UnprovenToken::parse(bytes)?.prove(gate)
    }

    /// Checks that it may be redeemed at `now_ms`, Unix milliseconds.
    ///
    /// # Errors
    /// [`TokenError::NotYet`] or [`TokenError::Expired`].
    pub fn check_at(&self, now_ms: u64) -> Result<(), TokenError> {
        match (self.token.not_before_ms, self.token.expires_ms) {
            (Some(from_ms), _) if now_ms < from_ms => Err(TokenError::NotYet { from: utc(from_ms) }),
            (_, Some(until_ms)) if now_ms >= until_ms => Err(TokenError::Expired { when: utc(until_ms) }),
            _ => Ok(()),
        }
    }

    /// The certificate of the device that issued it.
    pub fn certificate(&self) -> &SignedCertificate {
        &self.certificate
    }

    /// The bytes that travel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text form, of QR alphanumeric characters alone.
    pub fn to_text(&self) -> String {
        text::to_text(&self.bytes)
    }
}

impl std::ops::Deref for SignedToken {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}

/// The signature's bytes, if there are as many as there must be.
fn signature(bytes: &[u8]) -> Option<Signature> {
    bytes.try_into().ok().map(Signature)
}
