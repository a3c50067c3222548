//! Certificates that are signed anew.

use axum::extract::State;
use popmesh_proto::command::{Command, Renew, Renewed, Reply};

use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader};
use super::problem::Problem;
use super::request::Body;
use super::service::{Api, only};
use super::write::{Done, made};

/// Signs certificates anew, for longer
///
/// On an hq or a steward. A device keeps its name, its roles and its venue; it takes the new certificate up by itself as soon as
/// it hears of it, without a restart. A device whose certificate is over hears of nothing: it has to join again. Nor is an hq
/// or a registrar renewed here: the organiser signs for those.
#[utoipa::path(
    post, path = "/v1/devices/renewals", operation_id = "renewals_create", tag = "act", request_body = Renew, params(IdempotencyHeader),
    responses((status = 200, description = "No certificate was to be signed, and nothing was made", body = Renewed), (status = 201, description = "They are signed", body = Renewed, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn renew(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Renew>,
) -> Result<Done<Renewed>, Problem> {
    made(&api, &key.or_new(), body, Command::Renew, only!(Reply::Renewed)).await
}
