//! The `Idempotency-Key` header: a retry under the same key does nothing twice.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use popmesh_proto::io::Idempotency;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// The request header with the key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The response header that says that the outcome is an earlier one.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// The longest key, in characters.
pub const MAX_KEY: usize = 255;

/// The key that a request carries, if any, and what the request is.
pub(super) struct Key {
    key: Option<[u8; 32]>,
    method: Method,
    path: String,
}

impl Key {
    /// The key with the hash of the request: its method, path and body as parsed, so that white space and the order
    /// of fields make no other request of it.
    pub(super) fn over(&self, body: &impl Serialize) -> Option<Idempotency> {
        let key = self.key?;
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut hasher = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.path.as_bytes(), &body] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Some(Idempotency { key, request: hasher.finalize().into() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) if is_key(value.as_bytes()) => Some(Sha256::digest(value.as_bytes()).into()),
            _ => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "bad_idempotency_key",
                    format!("send one Idempotency-Key of 1 to {MAX_KEY} visible ASCII characters"),
                ));
            }
        };
        Ok(Self { key, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

fn is_key(bytes: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}
