//! Who may call from elsewhere, for whoever owns the device: its tokens, and where and by what it is reached. The tokens are
//! those of `popmesh api token`: files in the data folder.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use popmesh_proto::query::{Answer, Query};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::authority::Bearer;
use super::files;
use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, Unfiltered};
use super::problem::Problem;
use super::request::{Body, Name, NoBody};
use super::service::{Api, only};
use crate::access::{MAX_LIFE, Reached, Right, Rights, Scope, StoredToken, TokenId, TokensError, Trusted};
use crate::clock::now_ms;

/// A token that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenNew {
    /// What it may do.
    pub scope: Scope,
    /// Whom or what it is for, for people.
    pub name: String,
    /// For how long it is good, milliseconds: a second at least, 366 days at most.
    pub lasts_ms: u64,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Its ID, which is no secret.
    pub token: String,
    /// Whom or what it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// From when it is no longer good, Unix milliseconds.
    pub ends_ms: u64,
    /// When it was revoked, if it was, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// A token that was just made.
// Not `Debug`, so that no log can show it.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// What is known of it.
    #[serde(flatten)]
    pub info: TokenInfo,
    /// What a caller sends, as `Authorization: Bearer`. It is shown this once and kept nowhere.
    pub text: String,
}

/// Where this API is reached from elsewhere, and by what it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessNow {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where it listens.
    #[schema(example = "0.0.0.0:7443")]
    pub listens: String,
    /// By what callers from elsewhere can call it; empty if it listens for this host alone.
    pub urls: Vec<String>,
    /// What they are to trust; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<AccessCertificate>,
}

/// What whoever asks may do here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessOwn {
    /// What its token is for; absent for whoever owns the device, who may do everything that the device may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// The certificate of the small authority of this device, which vouches for what its API shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessCertificate {
    /// Its SHA-256, 64 hexadecimal digits.
    pub fingerprint: String,
    /// It, in PEM.
    pub pem: String,
    /// When it ends, Unix milliseconds.
    pub ends_ms: u64,
}

fn info(id: TokenId, stored: StoredToken) -> TokenInfo {
    let StoredToken { name, scope, created_ms, ends_ms, revoked_ms, .. } = stored;
    TokenInfo { token: id.to_string(), name, scope, created_ms, ends_ms, revoked_ms }
}

/// Has the tokens of this device read or written, on a thread that may wait for the disk.
async fn tokens<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(Rights) -> Result<T, TokensError> + Send + 'static,
) -> Result<T, Problem> {
    let rights = api.rights.clone().ok_or_else(|| unknown_here("tokens"))?;
    match spawn_blocking(move || work(rights)).await {
        Ok(done) => done.map_err(|error| match error {
            TokensError::Name => Problem::invalid("name", error.to_string()),
            TokensError::Life => Problem::invalid("lasts_ms", error.to_string()),
            TokensError::NoSuch(id) => {
                let detail = format!("there is no token {id} on this device; see GET /v1/tokens");
                Problem::new(StatusCode::NOT_FOUND, "no_such_token", detail).with("token", id.to_string())
            }
            TokensError::Damaged(_) | TokensError::Random(_) | TokensError::Folder(_) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", error.to_string())
            }
        }),
        Err(_) => Err(Problem::mismatch()),
    }
}

fn unknown_here(what: &str) -> Problem {
    let detail = format!("this API was not told where its {what} are kept");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", detail)
}

/// Makes a token for a caller from elsewhere, such as a tablet
///
/// For whoever owns the device. Its text is in this answer and nowhere else: asked again under the same key it is refused, and whoever
/// did not get it revokes it and makes another.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "tokens_create", tag = "act", request_body = TokenNew, params(IdempotencyHeader),
    responses((status = 201, description = "It is good from now on", body = TokenMade, headers(("Location" = String, description = "Where it can be fetched"))), CommandProblems)
)]
pub(super) async fn make(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<TokenNew>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<TokenMade>), Problem> {
    let idempotency = key.over(&body);
    let mut under = api.made_tokens.lock().await;
    if let Some(token) = under.get(idempotency)? {
        let detail = format!(
            "token {token} was made under this key, and its text is not told twice; revoke it, and make another"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "token_told", detail).with("token", token));
    }
    let TokenNew { scope, name, lasts_ms } = body;
    let lasts = Duration::from_millis(lasts_ms).min(MAX_LIFE + Duration::from_secs(1));
    let made = tokens(&api, move |rights| rights.make(scope, lasts, &name, now_ms())).await?;
    under.note(idempotency, made.id.to_string());
    let at = format!("/v1/tokens/{}", made.id);
    let info = info(made.id, made.stored);
    Ok((StatusCode::CREATED, [(header::LOCATION, at)], Json(TokenMade { info, text: made.text })))
}

/// One token; not its text
#[utoipa::path(
    get, path = "/v1/tokens/{token}", operation_id = "tokens_get", tag = "look up",
    params(("token" = String, Path, description = "Its ID", pattern = "^[0-9a-f]{16}$")),
    responses((status = 200, description = "The token, good or not", body = TokenInfo), QueryProblems)
)]
pub(super) async fn one(
    State(api): State<Api>,
    Name(token): Name<TokenId>,
) -> Result<Json<TokenInfo>, Problem> {
    let find = move |rights: Rights| {
        let found = rights.list()?.into_iter().find(|(id, _)| *id == token);
        found.map(|(_, stored)| stored).ok_or(TokensError::NoSuch(token))
    };
    tokens(&api, find).await.map(|stored| Json(info(token, stored)))
}

/// The tokens that were made on this device, the newest first; not their texts
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "tokens_list", tag = "look up", params(PageParams),
    responses((status = 200, description = "Tokens, good or not", body = List<TokenInfo>), QueryProblems)
)]
pub(super) async fn list(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<TokenInfo>>, Problem> {
    let all = tokens(&api, |rights| rights.list()).await?;
    let all = all.into_iter().map(|(id, stored)| info(id, stored)).collect();
    page.cut(all, |token: &TokenInfo| (std::cmp::Reverse(token.created_ms), token.token.clone()))
}

/// Refuses a token from now on
#[utoipa::path(
    post, path = "/v1/tokens/{token}/revoke", operation_id = "tokens_revoke", tag = "act",
    params(("token" = String, Path, description = "Its ID", pattern = "^[0-9a-f]{16}$"), IdempotencyHeader),
    responses((status = 200, description = "Whoever has it is let in no more", body = TokenInfo), CommandProblems)
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    Name(token): Name<TokenId>,
    _: Key,
    NoBody: NoBody,
) -> Result<Json<TokenInfo>, Problem> {
    let stored = tokens(&api, move |rights| rights.revoke(token, now_ms())).await?;
    Ok(Json(info(token, stored)))
}

fn reached(api: &Api) -> Result<&Reached, Problem> {
    api.reached.as_deref().ok_or_else(|| unknown_here("addresses"))
}

fn trusted(api: &Api) -> Result<&Trusted, Problem> {
    reached(api)?.certificate.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no_certificate",
            "this API speaks to its own host alone, without TLS; start the node with --api 0.0.0.0:7443 for tablets",
        )
    })
}

/// Where this API is reached from elsewhere, and what callers are to trust
#[utoipa::path(
    get, path = "/v1/access", operation_id = "access_get", tag = "observe",
    responses((status = 200, description = "Addresses and certificate", body = AccessNow), QueryProblems)
)]
pub(super) async fn access(State(api): State<Api>) -> Result<Json<AccessNow>, Problem> {
    let reached = reached(&api)?;
    Ok(Json(AccessNow {
        tls: reached.certificate.is_some(),
        listens: reached.listens.to_string(),
        urls: reached.urls(),
        certificate: reached.certificate.as_ref().map(|trusted| AccessCertificate {
            fingerprint: hex::encode(trusted.fingerprint),
            pem: trusted.pem.clone(),
            ends_ms: trusted.ends_ms,
        }),
    }))
}

/// What the caller's own token may do
///
/// A page asks this once, and shows nothing that would be refused.
#[utoipa::path(
    get, path = "/v1/access/own", operation_id = "access_own", tag = "observe",
    responses((status = 200, description = "Its scope", body = AccessOwn), QueryProblems)
)]
pub(super) async fn own(bearer: Option<Extension<Bearer>>) -> Json<AccessOwn> {
    let scope = bearer.and_then(|Extension(bearer)| match bearer.right() {
        Right::Owner => None,
        Right::Scoped(scope) => Some(scope),
    });
    Json(AccessOwn { scope })
}

/// The certificate that callers are to trust, as a file
#[utoipa::path(
    get, path = "/v1/access/certificate.pem", operation_id = "access_certificate", tag = "observe",
    responses((status = 200, description = "PEM", content((String = "application/x-pem-file"), (String = "application/octet-stream"))), QueryProblems)
)]
pub(super) async fn certificate(State(api): State<Api>, asked: HeaderMap) -> Result<Response, Problem> {
    let pem = trusted(&api)?.pem.clone();
    Ok(file(files::media_type(&asked, "application/x-pem-file"), "pem", &api, pem))
}

/// The same as a profile for an iPhone or an iPad
///
/// Whoever installs it has to trust it besides, in the tablet's settings: General, About, Certificate Trust Settings. It makes the
/// tablet trust this device at its own addresses and names, and nothing else.
#[utoipa::path(
    get, path = "/v1/access/profile.mobileconfig", operation_id = "access_profile", tag = "observe",
    responses((status = 200, description = "A configuration profile", content((String = "application/x-apple-aspen-config"), (String = "application/octet-stream"))), QueryProblems)
)]
pub(super) async fn profile(State(api): State<Api>, asked: HeaderMap) -> Result<Response, Problem> {
    let name = api.ask(Query::Status, only!(Answer::Status)).await?.device.name;
    let profile = trusted(&api)?.profile(api.device, &name);
    Ok(file(files::media_type(&asked, "application/x-apple-aspen-config"), "mobileconfig", &api, profile))
}

/// A file to keep.
fn file(media_type: HeaderValue, ending: &str, api: &Api, content: String) -> Response {
    let kept = format!("attachment; filename=\"popmesh-{}.{ending}\"", api.device.short());
    ([(header::CONTENT_TYPE, media_type)], [(header::CONTENT_DISPOSITION, kept)], content).into_response()
}
