//! Incidents, devices that are retired, and who may do that.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use popmesh_proto::command::{Command, Entrust, Reply, ResolveIncident, Retire, Retired};
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Answer, Incident, Query, Registrar, RetirementRisk};
use sha2::{Digest, Sha256};

use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, Since, SinceParam, Unfiltered};
use super::problem::Problem;
use super::request::{Body, Name};
use super::service::{Api, only};
use super::write::{Done, made};

/// What is proven to be wrong, or in doubt, the latest first
#[utoipa::path(
    get, path = "/v1/incidents", operation_id = "incidents_list", tag = "look up",
    params(SinceParam, PageParams),
    responses((status = 200, description = "Incidents, settled or not", body = List<Incident>), QueryProblems)
)]
pub(super) async fn incidents(
    State(api): State<Api>,
    Listed { filter: since, page }: Listed<Since>,
) -> Result<Json<List<Incident>>, Problem> {
    let mut incidents = api.ask(Query::Incidents, only!(Answer::Incidents)).await?;
    incidents.retain(|incident| since.has(incident.at_ms));
    // Several can be named with one entry, each with words of its own.
    page.cut(incidents, |incident| {
        let words = Sha256::digest(&incident.text).first_chunk().copied().map(u64::from_be_bytes);
        (Reverse(incident.at_ms), incident.incident, words)
    })
}

/// Writes down what was done about an incident
///
/// On an hq. It is settled on every device then, and a device that was suspended for it is given stock again.
#[utoipa::path(
    post, path = "/v1/resolutions", operation_id = "resolutions_create", tag = "act", request_body = ResolveIncident, params(IdempotencyHeader),
    responses((status = 201, description = "It is settled", body = Incident, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn resolve(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<ResolveIncident>,
) -> Result<Done<Incident>, Problem> {
    made(&api, &key, body, Command::ResolveIncident, only!(Reply::Incident)).await
}

/// What retiring a device would risk
#[utoipa::path(
    get, path = "/v1/devices/{device}/retirement", operation_id = "retirements_risk", tag = "look up",
    params(("device" = String, Path, description = "The device")),
    responses((status = 200, description = "What it held, and the most that could be sold twice", body = RetirementRisk), QueryProblems)
)]
pub(super) async fn risk(
    State(api): State<Api>,
    Name(device): Name<DeviceId>,
) -> Result<Json<RetirementRisk>, Problem> {
    Ok(Json(api.ask(Query::Retirement(device), only!(Answer::Retirement)).await??))
}

/// Retires a device that is lost or dead
///
/// On the device that has the right to. What the device held is this one's from then on, stock and claims; what it may still have sold, and not
/// told anybody, becomes an incident when it appears.
#[utoipa::path(
    post, path = "/v1/retirements", operation_id = "retirements_create", tag = "act", request_body = Retire, params(IdempotencyHeader),
    responses((status = 201, description = "It is retired", body = Retired, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn retire(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Retire>,
) -> Result<Done<Retired>, Problem> {
    made(&api, &key.or_new(), body, Command::Retire, only!(Reply::Retired)).await
}

/// Who has the right to retire devices
///
/// One device, unless the organiser has signed certificates with the role `registrar` for several.
#[utoipa::path(
    get, path = "/v1/registrars", operation_id = "registrars_list", tag = "look up",
    params(PageParams),
    responses((status = 200, description = "Who has the right, one for each certificate that gives it", body = List<Registrar>), QueryProblems)
)]
pub(super) async fn registrars(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<Registrar>>, Problem> {
    let registrars = api.ask(Query::Registrars, only!(Answer::Registrars)).await?;
    // A device that two gave their right has it twice.
    page.cut(registrars, |registrar| (registrar.device, registrar.given_at_ms, registrar.given_by.clone()))
}

/// Gives the right to retire devices to another hq
///
/// On who has it. From then on this device retires nobody any more.
#[utoipa::path(
    post, path = "/v1/registrars", operation_id = "registrars_create", tag = "act", request_body = Entrust, params(IdempotencyHeader),
    responses((status = 201, description = "The other has it", body = Registrar, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn entrust(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Entrust>,
) -> Result<Done<Registrar>, Problem> {
    made(&api, &key, body, Command::Entrust, only!(Reply::Entrusted)).await
}
