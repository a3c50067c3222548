//! Claims by what a person has in hand: the one place where a request's text becomes a claim.
//!
//! Wherever a route takes a claim, in its path or in its body, it takes whatever [`Query::ClaimsNamed`] understands. The claim
//! stands in the body then as if it had been sent: so a code and the claim that it is of are one request under one
//! idempotency key, and a caller needs no look-up of its own. What fits several claims is refused with all of them.

use std::ops::Range;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use popmesh_proto::command::{DoorOpen, DoorSettle, GiveCustody, Redeem, Refund, SettlePayment};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Named, Query};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::request::{self, Raw};
use super::service::{Api, only};

/// The claim in the path.
pub(super) struct ClaimPath(pub(super) Ref);

impl FromRequestParts<Api> for ClaimPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::invalid("path", rejection.body_text()))?;
        one(api, &text).await.map(Self)
    }
}

/// A body that is about a claim, in its field `claim`.
pub(super) trait OfClaim: DeserializeOwned {
    /// The field that a token belongs into, if the token says more than which claim it is.
    const TOKEN: Option<&str> = None;
}

impl OfClaim for Refund {}
impl OfClaim for GiveCustody {}
impl OfClaim for SettlePayment {}
impl OfClaim for DoorOpen {}
impl OfClaim for DoorSettle {}

impl OfClaim for Redeem {
    // Of a sale that nobody here has heard of, too.
    const TOKEN: Option<&str> = Some("token");
}

/// A JSON body in which the claim is whatever a person calls it.
pub(super) struct ClaimBody<T>(pub(super) T);

impl<T: OfClaim> FromRequest<Api> for ClaimBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::from_request(request, api).await?;
        let Some((field, value)) = names_claim(&bytes) else {
            return request::read(api, &bytes).await.map(Self);
        };
        let (text, rest) = (&bytes[value.clone()], &bytes[value.end..]);
        // It was read as text.
        let text = String::from_utf8_lossy(text).into_owned();
        let named = look_up(api, &text).await;
        let (name, claim) = match (T::TOKEN, named) {
            // Whether the token is good is for the device to say, as for one that is sent as what it is.
            (Some(token), Err(problem)) if problem.code == "token" => (token, text),
            (Some(token), Ok(named)) if named.is_token => (token, text),
            (_, named) => ("claim", meant(api, named?, &text).await?.to_string()),
        };
        let mut body = bytes[..field.start].to_vec();
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&bytes[field.end..value.start]);
        body.extend_from_slice(claim.as_bytes());
        body.extend_from_slice(rest);
        request::read(api, &body).await.map(Self)
    }
}

/// Where in a JSON body the name and the text of the field `claim` are, between their quotes; `None` if there is none, or if it
/// is a claim as it is written down.
fn names_claim(body: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    #[derive(Deserialize)]
    struct About<'a> {
        // A text with escapes cannot be borrowed, and none that means a claim has any.
        #[serde(borrow)]
        claim: &'a str,
    }
    let About { claim } = serde_json::from_slice(body).ok()?;
    if claim.parse::<Ref>().is_ok() {
        return None;
    }
    let start = (claim.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let field = body[..start].windows(NAME.len()).rposition(|part| part == NAME.as_bytes())?;
    Some((field..field + NAME.len(), start..start + claim.len()))
}

/// The field.
const NAME: &str = "claim";

/// The one claim that a text means.
async fn one(api: &Api, text: &str) -> Result<Ref, Problem> {
    match text.parse() {
        Ok(claim) => Ok(claim),
        Err(_) => meant(api, look_up(api, text).await?, text).await,
    }
}

async fn look_up(api: &Api, text: &str) -> Result<Named, Problem> {
    Ok(api.ask(Query::ClaimsNamed(text.to_owned()), only!(Answer::ClaimsNamed)).await??)
}

async fn meant(api: &Api, named: Named, text: &str) -> Result<Ref, Problem> {
    let devices = match named.claim {
        Some(_) => Vec::new(),
        None => api.ask(Query::Devices, only!(Answer::Devices)).await?,
    };
    let name_of = |device: &popmesh_proto::id::DeviceId| {
        let known = devices.iter().find(|info| info.device == *device);
        known.map_or_else(|| device.short(), |info| info.name.clone())
    };
    Ok(named.one(text, name_of)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(body: &str) -> Option<(&str, &str)> {
        names_claim(body.as_bytes()).map(|(field, value)| (&body[field], &body[value]))
    }

    #[test]
    fn the_claim_of_a_body_is_found_where_it_stands() {
        for (body, claim) in [
            (r#"{"claim":"7K2-M9Q"}"#, "7K2-M9Q"),
            (r#"{ "reference": "claim", "claim" : "T-4711", "failed": true }"#, "T-4711"),
            (r#"{"claim":"claim"}"#, "claim"),
            (r#"{"claim":""}"#, ""),
        ] {
            assert_eq!(spliced(body), Some(("claim", claim)), "{body}");
        }
        for other in [
            r#"{"claim":"0123456789abcdef0123456789abcdef:7"}"#,
            r#"{"claim":7}"#,
            r#"{"claim":"a","claim":"b"}"#,
            r#"{"claim":"a\u0062"}"#,
            r#"{"token":"x"}"#,
            "[]",
            "",
        ] {
            assert_eq!(spliced(other), None, "{other}");
        }
    }
}
