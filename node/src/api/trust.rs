//! Incidents, and devices that are retired.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use popmesh_proto::command::{Command, Reply, ResolveIncident, Retire, Retired};
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Answer, Incident, Query, RetirementRisk};

use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::problem::Problem;
use super::request::{Body, Name};
use super::service::{Api, only};
use super::write::{Done, done};

/// What is proven to be wrong, or in doubt, the latest first
#[utoipa::path(
    get, path = "/v1/incidents", tag = "look up",
    responses((status = 200, description = "Incidents, settled or not", body = Vec<Incident>), QueryProblems)
)]
pub(super) async fn incidents(State(api): State<Api>) -> Result<Json<Vec<Incident>>, Problem> {
    api.ask(Query::Incidents, only!(Answer::Incidents)).await.map(Json)
}

/// Writes down what was done about an incident
///
/// On an hq. It is settled on every device then, and a device that was suspended for it is given stock again.
#[utoipa::path(
    post, path = "/v1/resolutions", tag = "act", request_body = ResolveIncident, params(IdempotencyHeader),
    responses((status = 201, description = "It is settled", body = Incident), CommandProblems)
)]
pub(super) async fn resolve(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<ResolveIncident>,
) -> Result<Done<Incident>, Problem> {
    done(&api, &key, body, Command::ResolveIncident, StatusCode::CREATED, only!(Reply::Incident)).await
}

/// What retiring a device would risk
#[utoipa::path(
    get, path = "/v1/devices/{device}/retirement", tag = "look up",
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
/// On the registrar. What the device held is this one's from then on, stock and claims; what it may still have sold, and not
/// told anybody, becomes an incident when it appears.
#[utoipa::path(
    post, path = "/v1/retirements", tag = "act", request_body = Retire, params(IdempotencyHeader),
    responses((status = 201, description = "It is retired", body = Retired), CommandProblems)
)]
pub(super) async fn retire(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Retire>,
) -> Result<Done<Retired>, Problem> {
    done(&api, &key, body, Command::Retire, StatusCode::CREATED, only!(Reply::Retired)).await
}
