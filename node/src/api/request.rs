//! Reading requests: JSON bodies, query strings and names in paths, each with an error that says where and what.

use std::str::FromStr;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use super::called::{self, Names};
use super::objects::Objects;
use super::problem::Problem;
use super::service::Api;

/// The most bytes of a request's body.
pub const MAX_BODY: usize = 64 * 1024;

/// How long a body may take to arrive, in all.
pub(super) const BODY_WITHIN: Duration = Duration::from_secs(5);

/// The same request, with its body read to the end.
pub(super) async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let read = Request::from_parts(parts.clone(), body);
    let bytes = tokio::time::timeout(BODY_WITHIN, bytes(read, &())).await.map_err(|_| {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_slow",
            format!("the body did not arrive within {} s; send it again", BODY_WITHIN.as_secs()),
        )
        .retry()
    })??;
    Ok(Request::from_parts(parts, bytes.into()))
}

/// The problem of a request that only looks, and has a body.
pub(super) fn unwanted(request: &Request) -> Option<Problem> {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    (looks && !request.body().is_end_stream()).then(takes_no_body)
}

fn takes_no_body() -> Problem {
    Problem::invalid("body", "this takes no body; send none")
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::from_request(request, api).await?;
        read(api, &bytes).await.map(Self)
    }
}

/// Reads a body, in which devices may be named.
pub(super) async fn read<T: DeserializeOwned>(api: &Api, bytes: &[u8]) -> Result<T, Problem> {
    called::reading(api, false, |names| parse(bytes, names)).await
}

/// A body that is declared as JSON, not read yet.
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "send the body as JSON, with the header `Content-Type: application/json`",
            ));
        }
        bytes(request, state).await.map(Self)
    }
}

/// No body, or an empty JSON object for clients that cannot send none.
pub(super) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // What a web page may send to anybody without asking has a type of its own.
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        if typed && !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "this takes no body; send none, and no Content-Type, or an empty JSON object with \
                 `Content-Type: application/json`",
            ));
        }
        match bytes(request, state).await?.trim_ascii() {
            b"" | b"{}" => Ok(Self),
            _ => Err(takes_no_body()),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("a body may have at most {MAX_BODY} bytes; split the request"),
        )
        .with("limit_bytes", MAX_BODY),
        _ => {
            Problem::new(StatusCode::BAD_REQUEST, "body_cut", "the body did not arrive whole; send it again")
        }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], names: &Names) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Objects(&mut json, names)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let field = if path == "." { "body".to_owned() } else { path };
                Problem::invalid(field, in_words(without_position(&inner.to_string())))
            }
            // One of several forms is told by its one field, and serde_json calls any other number of them no JSON.
            _ if serde_json::from_slice::<serde_json::Value>(bytes).is_ok() => Problem::invalid(
                path,
                "give exactly one of the fields that can be here; see /v1/openapi.json",
            ),
            _ => malformed(&inner),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is not JSON: {error}"))
}

fn without_position(text: &str) -> &str {
    text.rfind(" at line ").map_or(text, |at| &text[..at])
}

/// The same without names that only Rust has.
fn in_words(text: &str) -> String {
    match text {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            return "no whole number from 0".to_owned();
        }
        "number too large to fit in target type" => return "too large a number".to_owned(),
        _ => {}
    }
    let Some((given, expected)) = text.rsplit_once("expected ") else { return text.to_owned() };
    match expected {
        "a sequence" => format!("{given}expected a list"),
        "a boolean" => format!("{given}expected true or false"),
        "u8" | "u16" | "u32" | "u64" | "usize" => format!("{given}expected a whole number from 0"),
        "i8" | "i16" | "i32" | "i64" => format!("{given}expected a whole number"),
        name if name.starts_with("struct ") => format!("{given}expected an object with named fields"),
        _ => text.to_owned(),
    }
}

/// A query string.
pub(super) struct Filter<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Filter<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        query(&pairs(&parts.uri), api).await.map(Self)
    }
}

/// The parameters of a query string, in their order.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// What parameters say. Of devices, only those that are known.
pub(super) async fn query<T: DeserializeOwned>(pairs: &[(String, String)], api: &Api) -> Result<T, Problem> {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    called::reading(api, true, |names| {
        let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(encoded.as_bytes()));
        serde_path_to_error::deserialize(Objects(parameters, names)).map_err(|error| {
            let field = error.path().to_string();
            let problem = error.into_inner().to_string();
            let field = if field == "." { "query".to_owned() } else { field };
            Problem::invalid(field, in_words(&problem))
        })
    })
    .await
}

/// The name in the path. A document's name spans two segments, which are joined again. A device is named as anywhere.
pub(super) struct Name<T>(pub(super) T);

impl<T> FromRequestParts<Api> for Name<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(named) = Path::<Vec<(String, String)>>::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::invalid("path", rejection.body_text()))?;
        let mut segments = Vec::new();
        for (name, segment) in named {
            segments.push(match name.as_str() {
                "device" => called::one(api, &segment).await?.to_string(),
                _ => segment,
            });
        }
        let name = segments.join("/").parse();
        name.map(Self).map_err(|error: T::Err| Problem::invalid("path", error.to_string()))
    }
}
