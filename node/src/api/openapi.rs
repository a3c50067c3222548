//! The API's description (OpenAPI 3.1), made from the handlers themselves.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::Json;
use axum::routing::get;
use popmesh_proto::command::Refusal;
use popmesh_proto::document::Document;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::service::Api;
use super::{
    access, admissions, doors, events, export, health, made, metrics, money, people, picture, read, renew,
    steps, trust, undo, write,
};

#[derive(OpenApi)]
#[openapi(
    modifiers(&Bearer),
    security((), ("token" = [])),
    info(
        title = "popmesh",
        description = "One device of a mesh that sells limited, serial-numbered merch: what it holds, what it sells, \
            and what it knows of the others.\n\nOn loopback anybody may call. Elsewhere it speaks TLS \
            alone and wants a bearer token, made on the device with `popmesh api token new`; each token has a scope \
            (till, locker, encoder, read-only or manager), which says what it may ask for. What empties a device wants a manager's, \
            and says in its body which device that is and how much is there. Idempotency keys are a space for each token. With a \
            token at most 16 requests, 16 streams and 32 connections are open at once; a body arrives within 5 s; what is \
            under way ends with its token.\n\nEvery answer that is not what was asked for \
            is a problem (RFC 9457). Amounts are integers in minor units of the event's currency; times are \
            milliseconds since the Unix epoch.\n\nA request with the header `Popmesh-Device` is refused by every \
            device but the one named."
    ),
    components(schemas(Problem, Refusal, Document, events::Event, events::Reset, money::Format)),
    tags(
        (name = "observe", description = "How this device and the mesh are"),
        (name = "look up", description = "What there is, by this device's own knowledge"),
        (name = "documents", description = "The data itself, readable by any Automerge implementation"),
        (name = "act", description = "What changes something; done means durable"),
    )
)]
struct Description;

/// How a caller shows its token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// Every route with its description.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(read::status))
        .routes(routes!(read::devices))
        .routes(routes!(read::peers))
        .routes(routes!(read::health))
        .routes(routes!(health::list))
        .routes(routes!(picture::mesh))
        .routes(routes!(read::check))
        .routes(routes!(read::programme))
        .routes(routes!(read::stock))
        .routes(routes!(read::claims))
        .routes(routes!(read::claim))
        .routes(routes!(read::token))
        .routes(routes!(read::carts))
        .routes(routes!(read::log))
        .routes(routes!(read::frontier))
        .routes(routes!(export::list))
        .routes(routes!(export::one))
        .route("/v1/export/{kind}/{drop}", get(export::one))
        .routes(routes!(made::device))
        .routes(routes!(made::products))
        .routes(routes!(made::product))
        .routes(routes!(made::product_picture))
        .routes(routes!(made::drops))
        .routes(routes!(made::drop))
        .routes(routes!(made::board))
        .routes(routes!(made::lots))
        .routes(routes!(made::lot))
        .routes(routes!(made::rules))
        .routes(routes!(made::limits))
        .routes(routes!(made::entry))
        .routes(routes!(made::incident))
        .routes(routes!(made::registrar))
        .routes(routes!(made::transfer))
        .routes(routes!(made::moved))
        .routes(routes!(made::damage))
        .routes(routes!(made::redemption))
        .routes(routes!(made::refund))
        .routes(routes!(made::settlement))
        .routes(routes!(made::sweep))
        .routes(routes!(made::retirement))
        .routes(routes!(made::renewal))
        .routes(routes!(made::personal))
        .routes(routes!(made::erasure))
        .routes(routes!(made::cart))
        .routes(routes!(write::add_product))
        .routes(routes!(write::plan_drop))
        .routes(routes!(steps::take_step, steps::steps))
        .routes(routes!(steps::late))
        .routes(routes!(steps::paying))
        .routes(routes!(write::mint_lot))
        .routes(routes!(write::transfer))
        .routes(routes!(write::change_place))
        .routes(routes!(write::damage))
        .routes(routes!(write::sell))
        .routes(routes!(write::new_cart))
        .routes(routes!(write::release_cart))
        .routes(routes!(write::take_cart))
        .routes(routes!(write::add_to_cart))
        .routes(routes!(write::remove_from_cart))
        .routes(routes!(undo::last_act, undo::undo))
        .routes(routes!(read::cart_token))
        .routes(routes!(write::redeem))
        .routes(routes!(write::give_custody))
        .routes(routes!(write::refund))
        .routes(routes!(write::sweep))
        .routes(routes!(trust::incidents))
        .routes(routes!(trust::resolve))
        .routes(routes!(trust::risk))
        .routes(routes!(trust::retire))
        .routes(routes!(renew::renew))
        .routes(routes!(trust::registrars))
        .routes(routes!(trust::entrust))
        .routes(routes!(write::unlock))
        .routes(routes!(write::accept_past))
        .routes(routes!(write::leave))
        .routes(routes!(doors::doors))
        .routes(routes!(doors::of_claim))
        .routes(routes!(doors::open))
        .routes(routes!(doors::settle))
        .routes(routes!(doors::jam))
        .routes(routes!(money::set_rules))
        .routes(routes!(money::set_limit))
        .routes(routes!(money::settle_payment))
        .routes(routes!(money::waiting))
        .routes(routes!(money::receipts))
        .routes(routes!(money::receipt))
        .routes(routes!(money::takings))
        .routes(routes!(people::add_personal))
        .routes(routes!(people::list_people))
        .routes(routes!(people::sealed_people))
        .routes(routes!(people::erase_personal))
        .routes(routes!(write::switch_links))
        .routes(routes!(admissions::open, admissions::list))
        .routes(routes!(admissions::one))
        .routes(routes!(admissions::close))
        .routes(routes!(access::make, access::list))
        .routes(routes!(access::one))
        .routes(routes!(access::revoke))
        .routes(routes!(access::access))
        .routes(routes!(access::own))
        .routes(routes!(access::certificate))
        .routes(routes!(access::profile))
        .routes(routes!(events::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi))
}

/// The description, as `GET /v1/openapi.json` gives it.
pub fn description() -> Value {
    static WHOLE: OnceLock<Value> = OnceLock::new();
    // What the handlers' types say can always be written as JSON.
    let whole =
        || super::description::finish(serde_json::to_value(routes().into_openapi()).unwrap_or_default());
    WHOLE.get_or_init(whole).clone()
}

/// This description
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi_get", tag = "observe",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), QueryProblems)
)]
pub(super) async fn openapi() -> Json<Value> {
    Json(description())
}

/// The header that makes a retry safe.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described; `idempotency::Key` reads it")]
pub(super) struct IdempotencyHeader {
    /// Strongly recommended: a new random text (such as a UUID) for each thing to be done, and the same one when
    /// asking again because no answer came. What was done under a key is not done again; its answer is repeated, with
    /// `Idempotency-Replayed: true`. A refusal is not kept: asking again tries again. Without the header a retry may
    /// do things twice.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    key: Option<String>,
}

/// The problems of a route that looks: [`description`](super::description) has them, by operation.
pub(super) struct QueryProblems;

/// The problems of a route that acts: [`description`](super::description) has them, by operation.
pub(super) struct CommandProblems;

impl IntoResponses for QueryProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::new()
    }
}

impl IntoResponses for CommandProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::new()
    }
}
