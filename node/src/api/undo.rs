//! What this device's person did last, and taking it back.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use popmesh_proto::command::{Act, ActKind, Command, Refusal, Reply, Undo, Undone};
use popmesh_proto::query::{Answer, Query};

use super::giving::Who;
use super::idempotency::Key;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::problem::Problem;
use super::request::Body;
use super::service::{Api, only};
use super::write::{Done, done};
use crate::access::Given;

/// What was done last on this device, and what taking it back would do
///
/// By its people: what a device does by itself, such as giving stock to another that lacks some, is nobody's act. Transfers,
/// custody and releases are acts where they were asked for under an `Idempotency-Key`.
#[utoipa::path(
    get, path = "/v1/undo", operation_id = "undo_get", tag = "look up",
    responses((status = 200, description = "The last act", body = Act), QueryProblems)
)]
pub(super) async fn last_act(State(api): State<Api>) -> Result<Json<Act>, Problem> {
    Ok(Json(*api.ask(Query::LastAct, only!(Answer::LastAct)).await??))
}

/// Takes back what was done last on this device
///
/// The body names the act, as `GET /v1/undo` shows it; refused as `not_the_last` if another came after. A sale is paid back, a cart
/// is released, what was moved lies where it lay, a drop or a product is what it was. What stays is refused as `cannot_undo`, which
/// says what can be done instead. The undo is an act itself: asked for again, that is what would be taken back, and never what
/// was done before it. A token may take back what it may do.
#[utoipa::path(
    post, path = "/v1/undo", operation_id = "undo_create", tag = "act", request_body = Undo, params(IdempotencyHeader),
    responses((status = 200, description = "It is taken back", body = Undone), CommandProblems)
)]
pub(super) async fn undo(
    State(api): State<Api>,
    key: Key,
    who: Who,
    Body(body): Body<Undo>,
) -> Result<Done<Undone>, Problem> {
    // Whoever owns the device may do everything; what of it a token may is told by the act, which an entry names for good.
    if !who.owns()
        && let Ok(act) = api.ask(Query::LastAct, only!(Answer::LastAct)).await?
    {
        if act.entry != body.entry {
            return Err(Refusal::NotTheLast { entry: body.entry, last: act.entry, what: act.what }.into());
        }
        who.may_use(&Method::POST, route_of(act.kind))?;
        match act.kind {
            ActKind::Sale => who.may_give(&api, Given::Claim, 1)?,
            ActKind::Move => who.may_give(&api, Given::Unit, act.moves)?,
            _ => {}
        }
    }
    let undone = |reply| match reply {
        Reply::Undone(undone) => Some(*undone),
        _ => None,
    };
    done(&api, &key, body, Command::Undo, StatusCode::OK, undone).await
}

/// The route by which the same could be done.
fn route_of(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Sale => "/v1/refunds",
        ActKind::Cart | ActKind::CartReleased => "/v1/carts/{cart}/release",
        ActKind::CartItems => "/v1/carts/{cart}/removals",
        ActKind::CartTaken => "/v1/carts/take",
        ActKind::Move => "/v1/moves",
        ActKind::Drop => "/v1/drops/{drop}/steps",
        ActKind::Product => "/v1/products",
        ActKind::Rules => "/v1/rules",
        // What stays is refused to whoever may sell.
        ActKind::Transfer
        | ActKind::Damage
        | ActKind::Lot
        | ActKind::Redemption
        | ActKind::Refund
        | ActKind::RefundRequest
        | ActKind::Custody
        | ActKind::Other => "/v1/undo",
    }
}
