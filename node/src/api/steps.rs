//! A drop's steps: taking one, those that were taken, and what was sold after the last.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use popmesh_proto::command::{Cart, Command, DropStep, LateSale, Reply, StepDone, StepInfo, StepNew};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::DropId;

use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, Unfiltered};
use super::problem::Problem;
use super::request::{Body, Name, NoBody};
use super::service::{Api, only};
use super::write::{Done, done};

/// Announces, opens or closes a drop, or says that it is about to be closed
///
/// On an hq or an encoder. A step that is done stays done: whoever takes it again is answered with what is there. With a close this
/// device takes nothing more from that moment on, puts carts that nobody is paying back, and begins to give away what is left; so
/// does every device that hears of it. The answer comes when the step is durable, and waits for nobody.
#[utoipa::path(
    post, path = "/v1/drops/{drop}/steps", operation_id = "drops_step", tag = "act", request_body = StepNew,
    params(("drop" = String, Path, description = "Its short name"), IdempotencyHeader),
    responses((status = 200, description = "It is done", body = StepDone), CommandProblems)
)]
pub(super) async fn take_step(
    State(api): State<Api>,
    Name(drop): Name<DropId>,
    key: Key,
    Body(taken): Body<StepNew>,
) -> Result<Done<StepDone>, Problem> {
    let pick = |reply| match reply {
        Reply::Step(done) => Some(*done),
        _ => None,
    };
    let command = |taken| Command::DropStep(DropStep { drop, taken });
    done(&api, &key, taken, command, StatusCode::OK, pick).await
}

/// The steps of a drop that were taken, the oldest first
#[utoipa::path(
    get, path = "/v1/drops/{drop}/steps", operation_id = "drops_steps", tag = "look up",
    params(("drop" = String, Path, description = "Its short name"), PageParams),
    responses((status = 200, description = "Steps", body = List<StepInfo>), QueryProblems)
)]
pub(super) async fn steps(
    State(api): State<Api>,
    Name(drop): Name<DropId>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<StepInfo>>, Problem> {
    let all = api.ask(Query::Steps(drop), only!(Answer::Steps)).await??;
    page.cut(all, |step| (step.at_ms, step.entry))
}

/// Sales that were made after the close of their round, the oldest first
///
/// By who had not heard of it, or was being paid then. They count. Which they are follows from the step that a sale names, never
/// from when it came here.
#[utoipa::path(
    get, path = "/v1/drops/{drop}/late", operation_id = "drops_late", tag = "look up",
    params(("drop" = String, Path, description = "Its short name"), PageParams),
    responses((status = 200, description = "Sales after a close", body = List<LateSale>), QueryProblems)
)]
pub(super) async fn late(
    State(api): State<Api>,
    Name(drop): Name<DropId>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<LateSale>>, Problem> {
    let all = api.ask(Query::Late(drop), only!(Answer::Late)).await??;
    page.cut(all, |sale| (sale.at_ms, sale.claim))
}

/// Says that a cart is being paid
///
/// For five minutes, or until its time is over, a close of its drop leaves it alone, and it can be paid after that. To be said again
/// while it goes on.
#[utoipa::path(
    post, path = "/v1/carts/{cart}/paying", operation_id = "carts_paying", tag = "act",
    params(("cart" = String, Path, description = "The cart"), IdempotencyHeader),
    responses((status = 200, description = "What is in it", body = Cart), CommandProblems)
)]
pub(super) async fn paying(
    State(api): State<Api>,
    Name(cart): Name<Ref>,
    key: Key,
    NoBody: NoBody,
) -> Result<Done<Cart>, Problem> {
    done(&api, &key, (), |()| Command::CartPaying(cart), StatusCode::OK, only!(Reply::Cart)).await
}
