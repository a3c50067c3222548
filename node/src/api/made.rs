//! What was made, and where it can be fetched: the `Location` of each 201, and the routes that it leads to.
//!
//! What a command did is told again from the log ([`Query::Deed`]), as it was answered, on any device that has the entry.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::command::{
    Cart, Claim, DropInfo, Erased, EventRules, Lot, PersonalInfo, Product, Redeemed, Refunded, Renewed,
    Reply, Retired, Settled, Swept, UnitsDone,
};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::query::{
    Answer, Board, DeedKind, DeviceInfo, Incident, LogLine, Picture, Programme, Query, Registrar,
};
use popmesh_proto::text::{DropId, Sku};

use super::openapi::QueryProblems;
use super::page::{List, Listed, PageParams, Unfiltered};
use super::problem::Problem;
use super::request::Name;
use super::service::{Api, only};
use super::{called, files};

/// Where what a reply tells of can be fetched; none if nothing was made.
pub(super) trait Made {
    /// A path of this API.
    fn location(&self) -> Option<String>;
}

macro_rules! made {
    ($($reply:ident: $made:ident => $($path:literal),+ ; $name:expr;)*) => {$(
        impl Made for $reply {
            fn location(&self) -> Option<String> {
                let $made = self;
                let name: Option<String> = $name;
                Some([$($path,)+ &segment(&name?)].concat())
            }
        }
    )*};
}

made! {
    DropInfo: made => "/v1/drops/"; Some(made.drop.to_string());
    Lot: made => "/v1/lots/"; Some(made.lot.to_string());
    Claim: made => "/v1/claims/"; Some(made.claim.to_string());
    Cart: made => "/v1/carts/"; Some(made.cart.to_string());
    Redeemed: made => "/v1/redemptions/"; Some(made.entry.to_string());
    Refunded: made => "/v1/refunds/"; made.entry.map(|entry| entry.to_string());
    Swept: made => "/v1/sweeps/"; made.entry.map(|entry| entry.to_string());
    Settled: made => "/v1/settlements/"; Some(made.entry.to_string());
    Retired: made => "/v1/retirements/"; Some(made.entry.to_string());
    Renewed: made => "/v1/devices/renewals/"; made.devices.first().map(|device| device.entry.to_string());
    Registrar: made => "/v1/registrars/"; Some(made.device.to_string());
    Incident: made => "/v1/incidents/"; Some(made.incident.to_string());
    PersonalInfo: made => "/v1/people/"; Some(made.entry.to_string());
    Erased: made => "/v1/people/erasures/"; made.entry.map(|entry| entry.to_string());
}

/// Units that were given, moved or taken out: a list of things done, each with a path of its own.
pub(super) fn units(list: &'static str) -> impl Fn(&UnitsDone) -> Option<String> {
    move |done| Some(format!("/v1/{list}/{}", segment(&done.entry.to_string())))
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':');
    name.bytes()
        .map(|byte| if bare(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn deed<T>(
    api: &Api,
    kind: DeedKind,
    entry: Ref,
    pick: impl FnOnce(Reply) -> Option<T>,
) -> Result<Json<T>, Problem> {
    let told = *api.ask(Query::Deed(kind, entry), only!(Answer::Deed)).await??;
    pick(told).map(Json).ok_or_else(Problem::mismatch)
}

fn none(code: &str, detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail)
}

async fn whole(api: &Api) -> Result<Programme, Problem> {
    api.ask(Query::Programme, only!(Answer::Programme)).await
}

/// One device
#[utoipa::path(
    get, path = "/v1/devices/{device}", operation_id = "devices_get", tag = "observe",
    params(("device" = String, Path, description = "The device")),
    responses((status = 200, description = "What is known of it", body = DeviceInfo), QueryProblems)
)]
pub(super) async fn device(
    State(api): State<Api>,
    Name(device): Name<DeviceId>,
) -> Result<Json<DeviceInfo>, Problem> {
    let devices = called::devices(&api).await?;
    let found = devices.iter().find(|info| info.device == device);
    found.cloned().map(Json).ok_or_else(|| called::unknown(&device.to_string(), &devices))
}

/// Products, by SKU
#[utoipa::path(
    get, path = "/v1/products", operation_id = "products_list", tag = "look up",
    params(PageParams),
    responses((status = 200, description = "Products", body = List<Product>), QueryProblems)
)]
pub(super) async fn products(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<Product>>, Problem> {
    page.cut(whole(&api).await?.products, |product| product.sku.clone())
}

/// One product
#[utoipa::path(
    get, path = "/v1/products/{sku}", operation_id = "products_get", tag = "look up",
    params(("sku" = String, Path, description = "Its SKU")),
    responses((status = 200, description = "As it is on the programme", body = Product), QueryProblems)
)]
pub(super) async fn product(State(api): State<Api>, Name(sku): Name<Sku>) -> Result<Json<Product>, Problem> {
    let known = whole(&api).await?.products;
    let found = known.iter().find(|product| product.sku == sku).cloned();
    found.map(Json).ok_or_else(|| {
        let known = known.iter().map(|product| product.sku.to_string()).collect();
        popmesh_proto::command::Refusal::UnknownSku { sku, known }.into()
    })
}

/// The picture of a product
///
/// As it was given, with what it is by its bytes alone. A page fetches it with its token and shows it from memory; `picture.hash` of the
/// product says when there is another.
#[utoipa::path(
    get, path = "/v1/products/{sku}/picture", operation_id = "products_picture", tag = "look up",
    params(("sku" = String, Path, description = "Its SKU")),
    responses(
        (status = 200, description = "A PNG, JPEG or WebP file", content(
            (String = "image/png"), (String = "image/jpeg"), (String = "image/webp"),
            (String = "application/octet-stream")
        )),
        QueryProblems
    )
)]
pub(super) async fn product_picture(
    State(api): State<Api>,
    Name(sku): Name<Sku>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let found = api.ask(Query::Picture(sku.clone()), only!(Answer::Picture)).await??;
    let Some(Picture { info, bytes }) = found else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no_picture",
            format!("{sku} has no picture; show its initials, or give it one with POST /v1/products"),
        )
        .with("sku", sku.to_string()));
    };
    let tag = format!("\"{}\"", info.hash);
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, files::media_type(&asked, info.kind.media_type()));
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    // Opened by itself it is a picture and nothing else, whatever its bytes say.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok(response)
}

/// Drops, by their short names
#[utoipa::path(
    get, path = "/v1/drops", operation_id = "drops_list", tag = "look up",
    params(PageParams),
    responses((status = 200, description = "Drops", body = List<DropInfo>), QueryProblems)
)]
pub(super) async fn drops(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<DropInfo>>, Problem> {
    page.cut(whole(&api).await?.drops, |drop| drop.drop.clone())
}

/// One drop
#[utoipa::path(
    get, path = "/v1/drops/{drop}", operation_id = "drops_get", tag = "look up",
    params(("drop" = String, Path, description = "Its short name")),
    responses((status = 200, description = "As it stands", body = DropInfo), QueryProblems)
)]
pub(super) async fn drop(
    State(api): State<Api>,
    Name(drop): Name<DropId>,
) -> Result<Json<DropInfo>, Problem> {
    let known = whole(&api).await?.drops;
    let found = known.iter().find(|known| known.drop == drop).cloned();
    found.map(Json).ok_or_else(|| {
        let known = known.iter().map(|known| known.drop.to_string()).collect();
        popmesh_proto::command::Refusal::UnknownDrop { drop: drop.to_string(), known }.into()
    })
}

/// What overlay and encoder's page show of a drop
///
/// Every number is as it is to be shown. `claimed` never goes back, and is no more than is true; `left` is no less, as of
/// `as_of_ms`.
#[utoipa::path(
    get, path = "/v1/drops/{drop}/board", operation_id = "drops_board", tag = "look up",
    params(("drop" = String, Path, description = "Its short name")),
    responses((status = 200, description = "What is claimed and left, as known here", body = Board), QueryProblems)
)]
pub(super) async fn board(State(api): State<Api>, Name(drop): Name<DropId>) -> Result<Json<Board>, Problem> {
    Ok(Json(*api.ask(Query::Board(drop), only!(Answer::Board)).await??))
}

/// Lots, by drop and SKU
#[utoipa::path(
    get, path = "/v1/lots", operation_id = "lots_list", tag = "look up",
    params(PageParams),
    responses((status = 200, description = "Lots", body = List<Lot>), QueryProblems)
)]
pub(super) async fn lots(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<Lot>>, Problem> {
    page.cut(whole(&api).await?.lots, |lot| (lot.drop.clone(), lot.sku.clone(), lot.lot))
}

/// The event's rules for tax, cash, deferred payments and large wishes
#[utoipa::path(
    get, path = "/v1/rules", operation_id = "rules_get", tag = "look up",
    responses((status = 200, description = "The rules", body = EventRules), QueryProblems)
)]
pub(super) async fn rules(State(api): State<Api>) -> Result<Json<EventRules>, Problem> {
    Ok(Json(whole(&api).await?.rules))
}

/// The same rules, with how much of each device's sales may wait to be authorised
#[utoipa::path(
    get, path = "/v1/limits", operation_id = "limits_get", tag = "look up",
    responses((status = 200, description = "The rules", body = EventRules), QueryProblems)
)]
pub(super) async fn limits(State(api): State<Api>) -> Result<Json<EventRules>, Problem> {
    Ok(Json(whole(&api).await?.rules))
}

/// One entry
#[utoipa::path(
    get, path = "/v1/log/{entry}", operation_id = "log_get", tag = "look up",
    params(("entry" = String, Path, description = "The entry")),
    responses((status = 200, description = "It, in words", body = LogLine), QueryProblems)
)]
pub(super) async fn entry(State(api): State<Api>, Name(entry): Name<Ref>) -> Result<Json<LogLine>, Problem> {
    Ok(Json(api.ask(Query::Entry(entry), only!(Answer::Entry)).await??))
}

/// One incident
#[utoipa::path(
    get, path = "/v1/incidents/{incident}", operation_id = "incidents_get", tag = "look up",
    params(("incident" = String, Path, description = "The incident, by the entry that it is named with")),
    responses((status = 200, description = "Settled or not", body = Incident), QueryProblems)
)]
pub(super) async fn incident(
    State(api): State<Api>,
    Name(incident): Name<Ref>,
) -> Result<Json<Incident>, Problem> {
    let known = api.ask(Query::Incidents, only!(Answer::Incidents)).await?;
    let found = known.into_iter().find(|known| known.incident == incident);
    Ok(Json(found.ok_or(popmesh_proto::command::Refusal::UnknownIncident { incident })?))
}

/// One device's right to retire others
#[utoipa::path(
    get, path = "/v1/registrars/{device}", operation_id = "registrars_get", tag = "look up",
    params(("device" = String, Path, description = "The device")),
    responses((status = 200, description = "It has the right", body = Registrar), QueryProblems)
)]
pub(super) async fn registrar(
    State(api): State<Api>,
    Name(device): Name<DeviceId>,
) -> Result<Json<Registrar>, Problem> {
    let known = api.ask(Query::Registrars, only!(Answer::Registrars)).await?;
    let found = known.into_iter().find(|known| known.device == device);
    found.map(Json).ok_or_else(|| {
        let detail =
            format!("{} has no right to retire devices; see /v1/registrars for who has", device.short());
        none("no_registrar", detail)
    })
}

macro_rules! deeds {
    ($($(#[$doc:meta])* $name:ident $path:literal $id:literal $kind:ident $said:literal $reply:ident $body:ident;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(
            get, path = $path, operation_id = $id, tag = "look up",
            params(("entry" = String, Path, description = "The entry, as the answer to what was done names it")),
            responses((status = 200, description = $said, body = $body), QueryProblems)
        )]
        pub(super) async fn $name(
            State(api): State<Api>,
            Name(entry): Name<Ref>,
        ) -> Result<Json<$body>, Problem> {
            deed(&api, DeedKind::$kind, entry, only!(Reply::$reply)).await
        }
    )*};
}

deeds! {
    /// One lot
    lot "/v1/lots/{entry}" "lots_get" Lot "As it was minted" Lot Lot;
    /// One transfer
    transfer "/v1/transfers/{entry}" "transfers_get" Transfer "What was given" Units UnitsDone;
    /// One move
    moved "/v1/moves/{entry}" "moves_get" Move "What was moved" Units UnitsDone;
    /// What was taken out of sale at once
    damage "/v1/damage/{entry}" "damage_get" Damage "What was taken out of sale" Units UnitsDone;
    /// One redemption
    redemption "/v1/redemptions/{entry}" "redemptions_get" Redemption "What was handed out" Redeemed Redeemed;
    /// One refund, or that one was asked for
    refund "/v1/refunds/{entry}" "refunds_get" Refund "What was paid back" Refund Refunded;
    /// One settlement of a payment
    settlement "/v1/settlements/{entry}" "settlements_get" Settlement "What became of the payment" Settled Settled;
    /// One sweep
    sweep "/v1/sweeps/{entry}" "sweeps_get" Sweep "What was taken back" Swept Swept;
    /// One retirement
    retirement "/v1/retirements/{entry}" "retirements_get" Retirement "Who was retired, and what was taken over" Retired Retired;
    /// One renewal of certificates
    renewal "/v1/devices/renewals/{entry}" "renewals_get" Renewal "Whose were signed anew" Renewed Renewed;
    /// What is known of personal data that was taken
    personal "/v1/people/{entry}" "people_get" Personal "Not what it says" Personal PersonalInfo;
    /// One erasure of personal data
    erasure "/v1/people/erasures/{entry}" "people_erasure" Erasure "What was erased" Erased Erased;
}

/// One cart, over or not
#[utoipa::path(
    get, path = "/v1/carts/{cart}", operation_id = "carts_get", tag = "look up",
    params(("cart" = String, Path, description = "The cart")),
    responses((status = 200, description = "What is in it, or was", body = Cart), QueryProblems)
)]
pub(super) async fn cart(State(api): State<Api>, Name(cart): Name<Ref>) -> Result<Json<Cart>, Problem> {
    deed(&api, DeedKind::Cart, cart, only!(Reply::Cart)).await
}
