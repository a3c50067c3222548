//! The `Idempotency-Key` header: a retry under the same key does nothing twice.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).

use std::collections::VecDeque;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use popmesh_proto::io::Idempotency;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::authority::Bearer;
use super::problem::Problem;
use crate::access::Right;

/// The request header with the key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The response header that says that the outcome is an earlier one.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// The longest key, in characters.
pub const MAX_KEY: usize = 255;

/// What the hash of a token's key begins with.
const TOKEN_SPACE: &[u8] = b"popmesh key of a token v1\0";

/// The key that a request carries, if any, and what the request is.
pub(super) struct Key {
    key: Option<[u8; 32]>,
    /// The key itself.
    text: Vec<u8>,
    method: Method,
    path: String,
}

impl Key {
    /// The key as it was sent, which is kept nowhere; empty if there is none.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The same, with a key that nobody knows if the caller gave none. What a command writes in several records is told
    /// together by the key that they carry.
    pub(super) fn or_new(mut self) -> Self {
        if self.key.is_none() {
            let mut key = [0; 32];
            self.key = getrandom::fill(&mut key).is_ok().then_some(key);
        }
        self
    }

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
            (Some(value), None) if is_key(value.as_bytes()) => {
                Some(in_space(parts.extensions.get::<Bearer>(), value.as_bytes()))
            }
            _ => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "bad_idempotency_key",
                    format!("send one Idempotency-Key of 1 to {MAX_KEY} visible ASCII characters"),
                ));
            }
        };
        let text =
            parts.headers.get(IDEMPOTENCY_KEY).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        Ok(Self { key, text, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

/// What stands for a key: each token has keys of its own, which no other can ask for or use up. Those of the device's owner
/// are the keys alone, with a token or, on loopback, without.
fn in_space(bearer: Option<&Bearer>, key: &[u8]) -> [u8; 32] {
    match bearer {
        Some(bearer) if bearer.right() != Right::Owner => {
            // No key is of these bytes, as a key is visible ASCII.
            Sha256::new().chain_update(TOKEN_SPACE).chain_update(bearer.id().0).chain_update(key).finalize()
        }
        _ => Sha256::digest(key),
    }
    .into()
}

fn is_key(bytes: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// Keys that are remembered of what is not in the log; the oldest goes.
const MADE_MAX: usize = 256;

/// What was made under which key since the node started, of what is not in the log and ends with the node. Who holds it makes the
/// next, so that two requests under one key make one thing.
#[derive(Debug, Default)]
pub(super) struct MadeUnder<T>(VecDeque<(Idempotency, T)>);

impl<T: Clone> MadeUnder<T> {
    /// What was made under a key.
    ///
    /// # Errors
    /// [`Problem`] if that was another request.
    pub(super) fn get(&self, idempotency: Option<Idempotency>) -> Result<Option<T>, Problem> {
        let Some(asked) = idempotency else { return Ok(None) };
        match self.0.iter().find(|(under, _)| under.key == asked.key) {
            Some((under, _)) if under.request != asked.request => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "this Idempotency-Key was used for another request; take a new one for each thing to be done",
            )),
            found => Ok(found.map(|(_, made)| made.clone())),
        }
    }

    /// Something was made under a key.
    pub(super) fn note(&mut self, idempotency: Option<Idempotency>, made: T) {
        let Some(under) = idempotency.filter(|asked| self.0.iter().all(|(under, _)| under.key != asked.key))
        else {
            return;
        };
        if self.0.len() >= MADE_MAX {
            self.0.pop_front();
        }
        self.0.push_back((under, made));
    }
}
