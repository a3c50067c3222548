//! Personal data: taken and sealed here, listed, given out sealed, and erased. What it says is in no answer but sealed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_proto::command::{Command, Erased, PersonalAdd, PersonalErase, PersonalInfo, Reply};
use popmesh_proto::query::{Answer, Part, PeopleFilter, Query, SealedFilter, SealedPersonal};
use popmesh_proto::record::{Consent, PersonalKind};
use popmesh_proto::text::{DropId, ShopperRef, Sku};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, SinceParam};
use super::problem::Problem;
use super::request::Body;
use super::service::{Api, only};
use super::write::{Done, made};

/// Personal data that a shopper gives.
// Not `Debug`, so that no log can show it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonalNew {
    /// What it is for.
    pub kind: PersonalKind,
    /// Whose it is, by the reference that the shopper's sales have.
    #[serde(default)]
    pub shopper: Option<ShopperRef>,
    /// Of a waitlist: for which SKU.
    #[serde(default)]
    pub sku: Option<Sku>,
    /// Of a waitlist, instead of a SKU: for which drop.
    #[serde(default)]
    pub drop: Option<DropId>,
    /// What the shopper consented to; only a note of the crew's can be without. Every device reads it.
    #[serde(default)]
    pub consent: Option<Consent>,
    /// An address, a number, a note: 1 to 4,046 bytes. It is sealed to the organiser before anything is written, and no
    /// device can read it.
    pub content: String,
}

/// Personal data as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealedData {
    /// What is known of it.
    #[serde(flatten)]
    pub info: PersonalInfo,
    /// What it says, sealed to the organiser; base64.
    pub sealed: String,
}

impl From<SealedPersonal> for SealedData {
    fn from(kept: SealedPersonal) -> Self {
        Self { info: kept.info, sealed: BASE64_STANDARD.encode(kept.sealed) }
    }
}

/// Takes personal data of a shopper
///
/// It is sealed to the organiser's key on this device, at once. The same idempotency key with another content is refused as a
/// conflict, and nothing of that is kept. What is kept to tell is a MAC of the content under the idempotency key, which is
/// kept nowhere, and a key of this device: take a random text for it, and nobody can compare a guess.
#[utoipa::path(
    post, path = "/v1/people", operation_id = "people_create", tag = "act", request_body = PersonalNew, params(IdempotencyHeader),
    responses((status = 201, description = "It is kept, sealed", body = PersonalInfo, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn add_personal(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<PersonalNew>,
) -> Result<Done<PersonalInfo>, Problem> {
    let PersonalNew { kind, shopper, sku, drop, consent, content } = body;
    let content = Zeroizing::new(content);
    let sealer = api.sealer.ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot_seal",
            "this API was not told the organiser's key, so it takes no personal data",
        )
    })?;
    let sealed =
        sealer.seal(kind, &content).map_err(|error| Problem::invalid("content", error.to_string()))?;
    let mark = hex::encode(sealer.mark(key.text(), &content));
    let facts = (kind, shopper, sku, drop, consent, mark);
    let command = |(kind, shopper, sku, drop, consent, _)| {
        Command::PersonalAdd(PersonalAdd { kind, shopper, sku, drop, consent, sealed })
    };
    let taken = made(&api, &key, facts, command, only!(Reply::Personal)).await;
    taken.map_err(Problem::or_conflict)
}

/// What personal data was taken, the latest first; not what it says
#[utoipa::path(
    get, path = "/v1/people", operation_id = "people_list", tag = "look up",
    params(
        ("shopper" = Option<String>, Query, description = "Of this shopper only"),
        ("kind" = Option<PersonalKind>, Query, description = "Of this kind only"),
        SinceParam,
        PageParams,
    ),
    responses((status = 200, description = "What was taken", body = List<PersonalInfo>), QueryProblems)
)]
pub(super) async fn list_people(
    State(api): State<Api>,
    Listed { mut filter, page }: Listed<PeopleFilter>,
) -> Result<Json<List<PersonalInfo>>, Problem> {
    (filter.after, filter.limit) = (page.after()?, Some(page.limit()));
    api.ask(Query::People(filter), only!(Answer::People)).await.map(|part| Json(page.given(part)))
}

/// Sealed personal data that this device has, for whoever has the organiser's key
///
/// In the order of their entries, with no more than a megabyte of payloads in one answer. What is here at the beginning comes
/// once; what arrives meanwhile may come or not.
#[utoipa::path(
    get, path = "/v1/people/sealed", operation_id = "people_sealed", tag = "look up",
    params(SinceParam, PageParams),
    responses((status = 200, description = "What is kept", body = List<SealedData>), QueryProblems)
)]
pub(super) async fn sealed_people(
    State(api): State<Api>,
    Listed { mut filter, page }: Listed<SealedFilter>,
) -> Result<Json<List<SealedData>>, Problem> {
    (filter.after, filter.limit) = (page.after()?, Some(page.limit()));
    let Part { items, next } = api.ask(Query::Sealed(filter), only!(Answer::Sealed)).await?;
    Ok(Json(page.given(Part { items: items.into_iter().map(SealedData::from).collect(), next })))
}

/// Has personal data deleted, here and on every device
///
/// On an hq; what a device has taken itself, there too. That it was taken, and the hash of what it said sealed, stay.
#[utoipa::path(
    post, path = "/v1/people/erase", operation_id = "people_erase", tag = "act", request_body = PersonalErase, params(IdempotencyHeader),
    responses((status = 200, description = "All of it had been erased before, and nothing was made", body = Erased), (status = 201, description = "It is gone here, and from others as soon as they hear of it", body = Erased, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn erase_personal(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<PersonalErase>,
) -> Result<Done<Erased>, Problem> {
    made(&api, &key.or_new(), body, Command::PersonalErase, only!(Reply::Erased)).await
}
