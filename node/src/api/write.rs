//! Routes that act. An answer means that what was done is durable on this device.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::command::{
    Cart, CartAdd, CartNew, CartRemove, CartTake, Claim, Command, Damage, DropInfo, DropNew, GiveCustody,
    Left, Lot, LotMint, Move, Product, ProductAdd, Redeem, Redeemed, Refund, Refunded, Reply, Sell, Swept,
    Transfer, UnitsDone, Unlock, Unlocked,
};
use popmesh_proto::id::Ref;
use serde::Serialize;

use super::giving::{self, LeaveNow, PastAcceptance, SweepNow, Who};
use super::idempotency::{IDEMPOTENCY_REPLAYED, Key};
use super::made::{self, Made};
use super::mesh::LinkSwitch;
use super::named::{ClaimBody, ClaimPath};
use super::openapi::{CommandProblems, IdempotencyHeader};
use super::problem::Problem;
use super::request::{Body, Name, NoBody};
use super::service::{Api, only};
use crate::access::Given;

/// What was done, its status, where what was made can be fetched, and whether it was done before under the same key.
pub(super) struct Done<T> {
    status: StatusCode,
    what: T,
    location: Option<String>,
    repeated: bool,
}

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.what)).into_response();
        if self.repeated {
            let replayed = HeaderName::from_static(IDEMPOTENCY_REPLAYED);
            response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
        }
        if let Some(location) = self.location.and_then(|path| HeaderValue::try_from(path).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

pub(super) async fn done<B: Serialize, T>(
    api: &Api,
    key: &Key,
    body: B,
    command: impl FnOnce(B) -> Command,
    status: StatusCode,
    pick: impl FnOnce(Reply) -> Option<T>,
) -> Result<Done<T>, Problem> {
    let idempotency = key.over(&body);
    let (what, repeated) = api.act(command(body), idempotency, pick).await?;
    Ok(Done { status, what, location: None, repeated })
}

/// The same where something is made: 201, and where to fetch it; 200 if there was nothing to make.
pub(super) async fn made<B: Serialize, T: Made>(
    api: &Api,
    key: &Key,
    body: B,
    command: impl FnOnce(B) -> Command,
    pick: impl FnOnce(Reply) -> Option<T>,
) -> Result<Done<T>, Problem> {
    made_at(api, key, body, command, pick, T::location).await
}

/// The same where the route alone says what was made.
pub(super) async fn made_at<B: Serialize, T>(
    api: &Api,
    key: &Key,
    body: B,
    command: impl FnOnce(B) -> Command,
    pick: impl FnOnce(Reply) -> Option<T>,
    location: impl FnOnce(&T) -> Option<String>,
) -> Result<Done<T>, Problem> {
    let done = done(api, key, body, command, StatusCode::CREATED, pick).await?;
    let location = location(&done.what);
    let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Done { status, location, ..done })
}

/// Puts a product on the programme, or changes its name and price
#[utoipa::path(
    post, path = "/v1/products", operation_id = "products_create", tag = "act", request_body = ProductAdd, params(IdempotencyHeader),
    responses((status = 200, description = "It is on the programme", body = Product), CommandProblems)
)]
pub(super) async fn add_product(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<ProductAdd>,
) -> Result<Done<Product>, Problem> {
    done(&api, &key, body, Command::ProductAdd, StatusCode::OK, only!(Reply::Product)).await
}

/// Plans a drop
#[utoipa::path(
    post, path = "/v1/drops", operation_id = "drops_create", tag = "act", request_body = DropNew, params(IdempotencyHeader),
    responses((status = 201, description = "It is planned", body = DropInfo, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn plan_drop(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<DropNew>,
) -> Result<Done<DropInfo>, Problem> {
    made(&api, &key, body, Command::DropNew, only!(Reply::Drop)).await
}

/// Mints a lot; its units are then held by this device
#[utoipa::path(
    post, path = "/v1/lots", operation_id = "lots_create", tag = "act", request_body = LotMint, params(IdempotencyHeader),
    responses((status = 201, description = "The lot exists", body = Lot, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn mint_lot(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<LotMint>,
) -> Result<Done<Lot>, Problem> {
    made(&api, &key, body, Command::LotMint, only!(Reply::Lot)).await
}

/// Gives units that this device holds to another
#[utoipa::path(
    post, path = "/v1/transfers", operation_id = "transfers_create", tag = "act", request_body = Transfer, params(IdempotencyHeader),
    responses((status = 201, description = "They are given", body = UnitsDone, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn transfer(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Transfer>,
) -> Result<Done<UnitsDone>, Problem> {
    made_at(&api, &key.or_new(), body, Command::Transfer, only!(Reply::Units), made::units("transfers")).await
}

/// Changes where units that this device holds lie
///
/// A token of scope till or locker moves one unit at a time, six at once, and then one a minute.
#[utoipa::path(
    post, path = "/v1/moves", operation_id = "moves_create", tag = "act", request_body = Move, params(IdempotencyHeader),
    responses((status = 201, description = "They lie there", body = UnitsDone, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn change_place(
    State(api): State<Api>,
    key: Key,
    who: Who,
    Body(body): Body<Move>,
) -> Result<Done<UnitsDone>, Problem> {
    who.may_give(&api, Given::Unit, giving::count(&body.units))?;
    made_at(&api, &key.or_new(), body, Command::Move, only!(Reply::Units), made::units("moves")).await
}

/// Takes units that this device holds out of sale, as damaged or missing
///
/// A token of scope till or locker takes one unit at a time, six at once, and then one a minute.
#[utoipa::path(
    post, path = "/v1/damage", operation_id = "damage_create", tag = "act", request_body = Damage, params(IdempotencyHeader),
    responses((status = 201, description = "They are out of sale", body = UnitsDone, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn damage(
    State(api): State<Api>,
    key: Key,
    who: Who,
    Body(body): Body<Damage>,
) -> Result<Done<UnitsDone>, Problem> {
    who.may_give(&api, Given::Unit, giving::count(&body.units))?;
    made_at(&api, &key.or_new(), body, Command::Damage, only!(Reply::Units), made::units("damage")).await
}

/// Sells units
///
/// If this device holds too few, it asks the others until `wait_ms` is over.
#[utoipa::path(
    post, path = "/v1/sales", operation_id = "sales_create", tag = "act", request_body = Sell, params(IdempotencyHeader),
    responses((status = 201, description = "Sold", body = Claim, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn sell(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<Sell>,
) -> Result<Done<Claim>, Problem> {
    made(&api, &key, body, Command::Sell, only!(Reply::Sale)).await
}

/// Puts units aside for a shopper
///
/// They stay this device's and are nobody else's until they are paid (`POST /v1/sales` with `cart`), released, or their time
/// is over, power cuts or not.
#[utoipa::path(
    post, path = "/v1/carts", operation_id = "carts_create", tag = "act", request_body = CartNew, params(IdempotencyHeader),
    responses((status = 201, description = "They are put aside", body = Cart, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn new_cart(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<CartNew>,
) -> Result<Done<Cart>, Problem> {
    made(&api, &key, body, Command::CartNew, only!(Reply::Cart)).await
}

/// Takes a cart over from the device that holds it
///
/// By the cart, or by its token alone. If its holder cannot be reached, the refusal says so, and what of it this device
/// could put aside itself.
#[utoipa::path(
    post, path = "/v1/carts/take", operation_id = "carts_take", tag = "act", request_body = CartTake, params(IdempotencyHeader),
    responses((status = 200, description = "It is here, and its time runs on", body = Cart), CommandProblems)
)]
pub(super) async fn take_cart(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<CartTake>,
) -> Result<Done<Cart>, Problem> {
    done(&api, &key, body, Command::CartTake, StatusCode::OK, only!(Reply::Cart)).await
}

/// Puts more into a cart that this device holds
///
/// It keeps its name, its shopper and its time, and what is in it stays put aside all the while. If this device holds too few, it
/// asks the others until `wait_ms` is over; a refusal leaves the cart as it was.
#[utoipa::path(
    post, path = "/v1/carts/{cart}/items", operation_id = "carts_add", tag = "act", request_body = CartAdd,
    params(("cart" = String, Path, description = "The cart"), IdempotencyHeader),
    responses((status = 200, description = "All that is in it now", body = Cart), CommandProblems)
)]
pub(super) async fn add_to_cart(
    State(api): State<Api>,
    Name(cart): Name<Ref>,
    key: Key,
    Body(body): Body<CartAdd>,
) -> Result<Done<Cart>, Problem> {
    done(&api, &key, body, |add| Command::CartAdd(cart, add), StatusCode::OK, only!(Reply::Cart)).await
}

/// Puts some of what is in a cart that this device holds back on sale
///
/// Of each SKU what was put aside last. The rest stays as it is; all of it is put back with `POST /v1/carts/{cart}/release`.
#[utoipa::path(
    post, path = "/v1/carts/{cart}/removals", operation_id = "carts_remove", tag = "act", request_body = CartRemove,
    params(("cart" = String, Path, description = "The cart"), IdempotencyHeader),
    responses((status = 200, description = "What is left in it", body = Cart), CommandProblems)
)]
pub(super) async fn remove_from_cart(
    State(api): State<Api>,
    Name(cart): Name<Ref>,
    key: Key,
    Body(body): Body<CartRemove>,
) -> Result<Done<Cart>, Problem> {
    done(&api, &key, body, |remove| Command::CartRemove(cart, remove), StatusCode::OK, only!(Reply::Cart))
        .await
}

/// Puts the units of a cart back on sale
#[utoipa::path(
    post, path = "/v1/carts/{cart}/release", operation_id = "carts_release", tag = "act",
    params(("cart" = String, Path, description = "The cart"), IdempotencyHeader),
    responses((status = 200, description = "What was in it", body = Cart), CommandProblems)
)]
pub(super) async fn release_cart(
    State(api): State<Api>,
    Name(cart): Name<Ref>,
    key: Key,
    NoBody: NoBody,
) -> Result<Done<Cart>, Problem> {
    done(&api, &key, (), |()| Command::CartRelease(cart), StatusCode::OK, only!(Reply::Cart)).await
}

/// Hands out what a claim is for
///
/// Only its custodian can, and only once. When the answer is there it is durable: only then is anything handed out.
#[utoipa::path(
    post, path = "/v1/redemptions", operation_id = "redemptions_create", tag = "act", request_body = Redeem, params(IdempotencyHeader),
    responses((status = 201, description = "Hand these out", body = Redeemed, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn redeem(
    State(api): State<Api>,
    key: Key,
    ClaimBody(body): ClaimBody<Redeem>,
) -> Result<Done<Redeemed>, Problem> {
    made(&api, &key, body, Command::Redeem, only!(Reply::Redeemed)).await
}

/// Gives a claim that is in this device's custody into another's, or fetches one into this device's
///
/// A token of scope till or locker gives away twenty at once, and then one a minute; it fetches as many as it likes.
#[utoipa::path(
    post, path = "/v1/custody", operation_id = "custody_give", tag = "act", request_body = GiveCustody, params(IdempotencyHeader),
    responses((status = 201, description = "The other device is its custodian", body = Claim, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn give_custody(
    State(api): State<Api>,
    key: Key,
    who: Who,
    ClaimBody(body): ClaimBody<GiveCustody>,
) -> Result<Done<Claim>, Problem> {
    // What is fetched is given by another device, which has its own bounds for that.
    if body.to != api.device {
        who.may_give(&api, Given::Claim, 1)?;
    }
    made(&api, &key, body, Command::GiveCustody, only!(Reply::Custody)).await
}

/// Takes a claim, or units of it, back and pays for them
///
/// On the claim's custodian, at once: what was not handed out yet, or what the shopper brings back. On any other device it
/// is a request, which the custodian answers as soon as it hears of it; if the claim is picked up before, it is declined.
#[utoipa::path(
    post, path = "/v1/refunds", operation_id = "refunds_create", tag = "act", request_body = Refund, params(IdempotencyHeader),
    responses((status = 201, description = "Pay this back; nothing if the claim is but marked, for a person on an attended device to pay", body = Refunded, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn refund(
    State(api): State<Api>,
    key: Key,
    who: Who,
    ClaimBody(body): ClaimBody<Refund>,
) -> Result<Done<Refunded>, Problem> {
    who.may_give(&api, Given::Claim, 1)?;
    made(&api, &key.or_new(), body, Command::Refund, only!(Reply::Refund)).await
}

/// Lets the PIN of a claim be tried again on this device
///
/// After too many wrong ones, when somebody has looked who is there: a minute after it was locked for the first time, 5 minutes
/// after the second, 30 minutes after the third, and from then on by an hq alone. Before that, the refusal says in how many
/// milliseconds. On an hq, its owner or a manager need not wait, and unlocks what is locked on other devices.
#[utoipa::path(
    post, path = "/v1/claims/{claim}/unlock", operation_id = "claims_unlock", tag = "act",
    params(("claim" = String, Path, description = "The claim, or what a person calls it: see `claims_get`"), IdempotencyHeader),
    responses((status = 200, description = "It can be tried again", body = Unlocked), CommandProblems)
)]
pub(super) async fn unlock(
    State(api): State<Api>,
    ClaimPath(claim): ClaimPath,
    key: Key,
    who: Who,
    NoBody: NoBody,
) -> Result<Done<Unlocked>, Problem> {
    let at_once = who.answers_for_the_device();
    let command = |()| Command::Unlock(Unlock { claim, at_once });
    done(&api, &key, (), command, StatusCode::OK, only!(Reply::Unlocked)).await
}

/// Gives everything away before this device goes
///
/// All its stock and all claims in its custody, to a device in reach; what still comes is passed on. From then on it sells nothing
/// until its next start, and nothing is at risk when it is gone. The body says which device that is, and how much it has; if that
/// is not so now, the refusal `not_as_said` says what is, and nothing was done.
#[utoipa::path(
    post, path = "/v1/leave", operation_id = "device_leave", tag = "act", request_body = LeaveNow, params(IdempotencyHeader),
    responses((status = 200, description = "It has nothing left", body = Left), CommandProblems)
)]
pub(super) async fn leave(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<LeaveNow>,
) -> Result<Done<Left>, Problem> {
    done(&api, &key, body, |now| Command::Leave(now.into()), StatusCode::OK, only!(Reply::Left)).await
}

/// Takes what is stored on this device for all that it did
///
/// When its database was set back to an earlier state, it neither sells nor hands out until another device has told it what is
/// missing. Where there is none, a person can answer for it: what it sold or gave away meanwhile, it may sell again. The body
/// says which device that is, and how many entries are missing; if that is not so now, the refusal `not_as_said` says what is.
#[utoipa::path(
    post, path = "/v1/past/acceptance", operation_id = "past_accept", tag = "act", request_body = PastAcceptance, params(IdempotencyHeader),
    responses((status = 200, description = "It sells again", body = PastAccepted), CommandProblems)
)]
pub(super) async fn accept_past(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<PastAcceptance>,
) -> Result<Done<PastAccepted>, Problem> {
    let accepted = |reply| match reply {
        Reply::PastAccepted => Some(PastAccepted { past_unknown: false }),
        _ => None,
    };
    done(&api, &key, body, |body| Command::AcceptPast(body.into()), StatusCode::OK, accepted).await
}

/// This device takes what it has stored for all that it did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub(super) struct PastAccepted {
    /// Whether what it did is still in doubt.
    past_unknown: bool,
}

/// Takes back to stock what nobody came for in time
///
/// Of the claims in this device's custody, the most overdue first, at most 100 at a time. The drop says for how long claims
/// wait, and whether they are paid for. The body says which device that is, and how many are late there; if that is not so now,
/// the refusal `not_as_said` says what is, and nothing was done.
#[utoipa::path(
    post, path = "/v1/sweeps", operation_id = "sweeps_create", tag = "act", request_body = SweepNow, params(IdempotencyHeader),
    responses((status = 200, description = "Nothing was late, and nothing was made", body = Swept), (status = 201, description = "These are back in stock", body = Swept, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn sweep(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<SweepNow>,
) -> Result<Done<Swept>, Problem> {
    made(&api, &key.or_new(), body, |now| Command::Sweep(now.into()), only!(Reply::Swept)).await
}

/// Switches the links to other devices off or on
///
/// For rehearsals: with its links off, a device is cut off, and shows what it and the others do then. Nothing is
/// stored; a node starts with its links on.
#[utoipa::path(
    put, path = "/v1/links", operation_id = "links_set", tag = "act", request_body = LinkSwitch,
    responses((status = 200, description = "Done", body = LinkSwitch), CommandProblems)
)]
pub(super) async fn switch_links(State(api): State<Api>, Body(body): Body<LinkSwitch>) -> Json<LinkSwitch> {
    api.mesh.set_links(body.on).await;
    Json(body)
}
