//! Routes about the doors of compartments.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use popmesh_proto::command::{Command, Door, DoorOpen, DoorSettle, DoorState, Doors, Refusal, Reply};
use popmesh_proto::fact::Fact;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::Compartment;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::idempotency::Key;
use super::named::{ClaimBody, ClaimPath};
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::problem::Problem;
use super::request::{Body, Filter};
use super::service::{Api, only};
use super::write::{Done, done};
use crate::door::VirtualDoor;
use crate::runtime::Happening;

/// The longest that a door is waited for in one request, milliseconds.
const MAX_WAIT_MS: u64 = 20_000;

/// The compartments of this device and their doors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoorsNow {
    /// What opens them; absent if nothing does, so that a person opens them by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "virtual")]
    pub driver: Option<String>,
    /// What lies behind them, and which a person must look at.
    #[serde(flatten)]
    pub doors: Doors,
    /// Every virtual door that was asked for since the node started; empty if the doors are real.
    pub virtual_doors: Vec<VirtualDoor>,
}

/// Whether a virtual door is jammed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Jam {
    /// Its compartment.
    pub compartment: Compartment,
    /// `true`: it does not open until it is set free, or the node starts again.
    pub jammed: bool,
}

/// For how long to wait.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    wait_ms: Option<u64>,
}

/// This device's compartments, and the doors that a person must look at, here and elsewhere
#[utoipa::path(
    get, path = "/v1/doors", operation_id = "doors_list", tag = "look up",
    responses((status = 200, description = "Compartments and doors", body = DoorsNow), QueryProblems)
)]
pub(super) async fn doors(State(api): State<Api>) -> Result<Json<DoorsNow>, Problem> {
    let doors = api.ask(Query::Doors, only!(Answer::Doors)).await?;
    let driver = api.doors.as_ref().map(|doors| doors.name().to_owned());
    let virtual_doors = api.doors.as_ref().and_then(|doors| doors.virtual_doors());
    let virtual_doors = virtual_doors.map(|doors| doors.all()).unwrap_or_default();
    Ok(Json(DoorsNow { driver, doors, virtual_doors }))
}

/// The doors that were opened for a claim
///
/// With `wait_ms`, answers as soon as it is known how they behaved, or when that time is over.
#[utoipa::path(
    get, path = "/v1/claims/{claim}/door", operation_id = "claims_door", tag = "look up",
    params(
        ("claim" = String, Path, description = "The claim, or what a person calls it: see `claims_get`"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait, milliseconds", maximum = 20_000),
    ),
    responses((status = 200, description = "How they stand", body = Door), QueryProblems)
)]
pub(super) async fn of_claim(
    State(api): State<Api>,
    ClaimPath(claim): ClaimPath,
    Filter(wait): Filter<Wait>,
) -> Result<Json<Door>, Problem> {
    let wait_ms = wait.wait_ms.unwrap_or(0);
    if wait_ms > MAX_WAIT_MS {
        return Err(Problem::invalid("wait_ms", format!("{wait_ms} ms; {MAX_WAIT_MS} is the most")));
    }
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let (mut happenings, mut stopping) = (api.handle.happenings(), api.stopping.subscribe());
    loop {
        let door = api.ask(Query::Door(claim), only!(Answer::Door)).await??;
        let awaited = door.being_opened || (door.state == DoorState::Opening && !door.in_doubt);
        if !awaited {
            return Ok(Json(door));
        }
        loop {
            tokio::select! {
                received = happenings.recv() => match received {
                    Ok(Happening::Facts(facts))
                        if facts.iter().any(|fact| matches!(fact, Fact::Door { claim: of, .. } if *of == claim)) =>
                    {
                        break;
                    }
                    Ok(_) => {}
                    // Whatever was missed may have been about this door.
                    Err(_) => break,
                },
                () = tokio::time::sleep_until(deadline) => return Ok(Json(door)),
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(Json(door)),
            }
        }
    }
}

/// Opens the doors again of what was redeemed on this device and did not open, or is in doubt
///
/// Refused once they opened, or a person settled it. How they behave comes later: as an event, and at
/// `GET /v1/claims/{claim}/door`.
#[utoipa::path(
    post, path = "/v1/doors/open", operation_id = "doors_open", tag = "act", request_body = DoorOpen, params(IdempotencyHeader),
    responses((status = 200, description = "They are being opened", body = Door), CommandProblems)
)]
pub(super) async fn open(
    State(api): State<Api>,
    key: Key,
    ClaimBody(body): ClaimBody<DoorOpen>,
) -> Result<Done<Door>, Problem> {
    done(&api, &key, body, Command::DoorOpen, StatusCode::OK, only!(Reply::Door)).await
}

/// Says what a person found out about the doors of what was redeemed on this device
///
/// Once. The claim stays redeemed; what was not handed over is paid back with a refund.
#[utoipa::path(
    post, path = "/v1/doors/settle", operation_id = "doors_settle", tag = "act", request_body = DoorSettle, params(IdempotencyHeader),
    responses((status = 200, description = "It is settled", body = Door), CommandProblems)
)]
pub(super) async fn settle(
    State(api): State<Api>,
    key: Key,
    ClaimBody(body): ClaimBody<DoorSettle>,
) -> Result<Done<Door>, Problem> {
    done(&api, &key, body, Command::DoorSettle, StatusCode::OK, only!(Reply::Door)).await
}

/// Jams a virtual door, or sets it free
///
/// For rehearsals. Nothing is stored; as a node starts, no door is jammed.
#[utoipa::path(
    put, path = "/v1/doors/jam", operation_id = "doors_jam", tag = "act", request_body = Jam,
    responses((status = 200, description = "Done", body = VirtualDoor), CommandProblems)
)]
pub(super) async fn jam(State(api): State<Api>, Body(body): Body<Jam>) -> Result<Json<VirtualDoor>, Problem> {
    let doors = api.doors.as_ref().ok_or(Problem::from(Refusal::NoDriver))?;
    let Some(virtual_doors) = doors.virtual_doors() else {
        let text = format!(
            "these doors are real ({}); only virtual ones can be jammed: `popmesh run --door virtual`",
            doors.name()
        );
        return Err(Problem::new(StatusCode::CONFLICT, "doors_are_real", text));
    };
    Ok(Json(virtual_doors.jam(&body.compartment, body.jammed)))
}
