//! Routes that only look.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use popmesh_proto::command::{Cart, Claim};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{
    Answer, CartFilter, CartToken, Check, ClaimFilter, ClaimToken, Claims, DeviceInfo, Head, LogFilter,
    LogLine, Part, Programme, Query, Status, StockFilter, StockLine,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::called;
use super::mesh::{BleStatus, Discovered, MeshLink, Strangers};
use super::named::ClaimPath;
use super::openapi::QueryProblems;
use super::page::{Envelope, List, Listed, PageParams, SinceParam, Unfiltered};
use super::problem::Problem;
use super::request::Name;
use super::service::{Api, only};
use crate::runtime::StoreHealth;

/// This device, at a glance
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status_get", tag = "observe",
    responses((status = 200, description = "Its state", body = Status), QueryProblems)
)]
pub(super) async fn status(State(api): State<Api>) -> Result<Json<Status>, Problem> {
    api.ask(Query::Status, only!(Answer::Status)).await.map(Json)
}

/// Every device known, this one included
#[utoipa::path(
    get, path = "/v1/devices", operation_id = "devices_list", tag = "observe",
    params(PageParams),
    responses((status = 200, description = "Devices", body = List<DeviceInfo>), QueryProblems)
)]
pub(super) async fn devices(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<DeviceInfo>>, Problem> {
    page.cut(called::devices(&api).await?, |info| info.device)
}

/// Another device of the event, and the links to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// The device.
    #[serde(flatten)]
    pub info: DeviceInfo,
    /// The shortest round-trip time of its links, milliseconds.
    pub rtt_ms: Option<f64>,
    /// Every address that it is linked by or was found at (multiaddrs).
    pub addresses: Vec<String>,
    /// The links.
    pub links: Vec<MeshLink>,
    /// What became of the last try to link to it, in words; absent if there was none since this node started.
    #[serde(default)]
    pub state: Option<String>,
}

/// The other devices, as known here and as linked now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peers {
    /// Devices of the event, without this one.
    pub peers: Vec<Peer>,
    /// Devices with a good certificate of which nothing is in the log yet.
    pub unheard: Vec<Discovered>,
    /// What else announces itself in the network.
    pub strangers: Strangers,
    /// Addresses this node listens on (multiaddrs).
    pub listening: Vec<String>,
    /// Whether links are switched on.
    pub links_on: bool,
    /// Whether the mesh answered; if not, only what the log says is shown.
    pub mesh_answers: bool,
    /// Bluetooth LE, where this node uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ble: Option<BleStatus>,
}

/// The other devices and the links to them
#[utoipa::path(
    get, path = "/v1/peers", operation_id = "peers_get", tag = "observe",
    responses((status = 200, description = "Peers", body = Peers), QueryProblems)
)]
pub(super) async fn peers(State(api): State<Api>) -> Result<Json<Peers>, Problem> {
    let devices = called::devices(&api).await?;
    let snapshot = api.mesh.snapshot().await;
    let mesh_answers = snapshot.is_some();
    let mesh = snapshot.unwrap_or_default();
    let known = |found: &Discovered| devices.iter().any(|info| info.device == found.device);
    let unheard = mesh.discovered.iter().filter(|found| !known(found)).cloned().collect();
    let peers = devices
        .iter()
        .filter(|info| info.device != api.device)
        .map(|info| {
            let links: Vec<MeshLink> =
                mesh.links.iter().filter(|link| link.device == info.device).cloned().collect();
            let found = mesh.discovered.iter().filter(|found| found.device == info.device);
            let state = found.clone().map(|found| found.state.clone()).next();
            let mut addresses: Vec<String> = links
                .iter()
                .flat_map(|link| &link.addresses)
                .chain(found.flat_map(|found| &found.addresses))
                .cloned()
                .collect();
            addresses.sort();
            addresses.dedup();
            let rtt_ms = links.iter().filter_map(|link| link.rtt_ms).min_by(f64::total_cmp);
            Peer { info: info.clone(), rtt_ms, addresses, links, state }
        })
        .collect();
    Ok(Json(Peers {
        peers,
        unheard,
        strangers: mesh.strangers,
        listening: mesh.listening,
        links_on: mesh.links_on,
        mesh_answers,
        ble: mesh.ble,
    }))
}

/// How writing goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `writable`: what is done is made durable. Anything else is answered as a problem.
    #[schema(example = "writable")]
    pub store: String,
}

/// Whether this device can do its work
#[utoipa::path(
    get, path = "/v1/health", operation_id = "health_get", tag = "observe",
    responses((status = 200, description = "It can", body = Health), QueryProblems)
)]
pub(super) async fn health(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    match api.handle.health().await? {
        StoreHealth::Writable => Ok(Json(Health { store: "writable".to_owned() })),
        StoreHealth::Failing { problem, since_ms } => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_stored",
            format!("nothing can be written down, so nothing is sold: {problem}"),
        )
        .with("problem", problem)
        .with("since_ms", since_ms)),
    }
}

/// The invariants, checked now
#[utoipa::path(
    get, path = "/v1/check", operation_id = "check_get", tag = "observe",
    responses((status = 200, description = "What holds and what does not", body = Check), QueryProblems)
)]
pub(super) async fn check(State(api): State<Api>) -> Result<Json<Check>, Problem> {
    api.ask(Query::Check, only!(Answer::Check)).await.map(Json)
}

/// Products, drops and lots
#[utoipa::path(
    get, path = "/v1/programme", operation_id = "programme_get", tag = "look up",
    responses((status = 200, description = "The programme", body = Programme), QueryProblems)
)]
pub(super) async fn programme(State(api): State<Api>) -> Result<Json<Programme>, Problem> {
    api.ask(Query::Programme, only!(Answer::Programme)).await.map(Json)
}

/// Stock levels, this device's own and the whole event's
#[utoipa::path(
    get, path = "/v1/stock", operation_id = "stock_list", tag = "look up",
    params(
        ("drop" = Option<String>, Query, description = "One drop only"),
        ("sku" = Option<String>, Query, description = "One SKU only"),
        PageParams,
    ),
    responses((status = 200, description = "A line for each drop and SKU", body = List<StockLine>), QueryProblems)
)]
pub(super) async fn stock(
    State(api): State<Api>,
    Listed { filter, page }: Listed<StockFilter>,
) -> Result<Json<List<StockLine>>, Problem> {
    let stock = api.ask(Query::Stock(filter), only!(Answer::Stock)).await?;
    page.cut(stock.lines, |line| (line.drop.clone(), line.sku.clone()))
}

/// Claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimList {
    /// How many fit the filter in all, as they were counted for the first part.
    pub count: u64,
    /// The newest of them.
    pub items: Vec<Claim>,
    /// Where the next part begins: give it as `after`, with the other parameters as they were. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Envelope for ClaimList {
    type Item = Claim;

    fn parts(&mut self) -> (&mut Vec<Claim>, &mut Option<String>) {
        (&mut self.items, &mut self.next)
    }
}

/// Claims, newest first
#[utoipa::path(
    get, path = "/v1/claims", operation_id = "claims_list", tag = "look up",
    params(
        ("drop" = Option<String>, Query, description = "One drop only"),
        ("seller" = Option<String>, Query, description = "Sold by this device only"),
        ("custodian" = Option<String>, Query, description = "In the custody of this device only"),
        ("state" = Option<popmesh_proto::command::ClaimState>, Query, description = "In this state only"),
        ("shopper" = Option<String>, Query, description = "For this shopper only"),
        ("code" = Option<String>, Query, description = "With this short code only"),
        ("named" = Option<String>, Query, description = "Only those that a person can mean by this: see `claims_get`"),
        ("late" = Option<bool>, Query, description = "Only those that wait longer than they may, or only the others"),
        SinceParam,
        PageParams,
    ),
    responses((status = 200, description = "Claims", body = ClaimList), QueryProblems)
)]
pub(super) async fn claims(
    State(api): State<Api>,
    Listed { mut filter, page }: Listed<ClaimFilter>,
) -> Result<Json<ClaimList>, Problem> {
    (filter.after, filter.limit) = (page.after()?, Some(page.limit()));
    let Claims { count, claims, next } = api.ask(Query::Claims(filter), only!(Answer::Claims)).await?;
    let List { items, next } = page.given(Part { items: claims, next });
    Ok(Json(ClaimList { count, items, next }))
}

/// Carts, here and elsewhere
#[utoipa::path(
    get, path = "/v1/carts", operation_id = "carts_list", tag = "look up",
    params(("shopper" = Option<String>, Query, description = "For this shopper only"), PageParams),
    responses((status = 200, description = "Carts", body = List<Cart>), QueryProblems)
)]
pub(super) async fn carts(
    State(api): State<Api>,
    Listed { filter, page }: Listed<CartFilter>,
) -> Result<Json<List<Cart>>, Problem> {
    page.cut(api.ask(Query::Carts(filter), only!(Answer::Carts)).await?, |cart| cart.cart)
}

/// The token of a cart that this device holds, for its QR code: another till can take it over by it
#[utoipa::path(
    get, path = "/v1/carts/{cart}/token", operation_id = "carts_token", tag = "look up",
    params(("cart" = String, Path, description = "The cart")),
    responses((status = 200, description = "What the shopper shows", body = CartToken), QueryProblems)
)]
pub(super) async fn cart_token(
    State(api): State<Api>,
    Name(cart): Name<Ref>,
) -> Result<Json<CartToken>, Problem> {
    Ok(Json(api.ask(Query::CartToken(cart), only!(Answer::CartToken)).await??))
}

/// One claim
///
/// Wherever a claim is asked for, in a path or in a body, it can be given as what a person has in hand: its short code in any case
/// and with or without its dash, the number of one of its receipts (of this device `12`, of another `till-2:12`), the reference of one
/// of its payments or of its shopper, its token, or the claim itself. All that a text can mean counts: what fits several claims is
/// refused as `ambiguous_claim`, which lists them, and what fits none as `no_such_claim`.
#[utoipa::path(
    get, path = "/v1/claims/{claim}", operation_id = "claims_get", tag = "look up",
    params(("claim" = String, Path, description = "The claim, or what a person calls it")),
    responses((status = 200, description = "As it stands here", body = Claim), QueryProblems)
)]
pub(super) async fn claim(
    State(api): State<Api>,
    ClaimPath(claim): ClaimPath,
) -> Result<Json<Claim>, Problem> {
    Ok(Json(*api.ask(Query::Claim(claim), only!(Answer::Claim)).await??))
}

/// The token of a claim that this device has sold, for its QR code
#[utoipa::path(
    get, path = "/v1/claims/{claim}/token", operation_id = "claims_token", tag = "look up",
    params(("claim" = String, Path, description = "The claim, or what a person calls it: see `claims_get`")),
    responses((status = 200, description = "What the shopper shows", body = ClaimToken), QueryProblems)
)]
pub(super) async fn token(
    State(api): State<Api>,
    ClaimPath(claim): ClaimPath,
) -> Result<Json<ClaimToken>, Problem> {
    Ok(Json(api.ask(Query::Token(claim), only!(Answer::Token)).await??))
}

/// Entries of the log, newest first
#[utoipa::path(
    get, path = "/v1/log", operation_id = "log_list", tag = "look up",
    params(
        ("device" = Option<String>, Query, description = "Of this device only"),
        SinceParam,
        PageParams,
    ),
    responses((status = 200, description = "Entries, in words", body = List<LogLine>), QueryProblems)
)]
pub(super) async fn log(
    State(api): State<Api>,
    Listed { mut filter, page }: Listed<LogFilter>,
) -> Result<Json<List<LogLine>>, Problem> {
    (filter.after, filter.limit) = (page.after()?, Some(page.limit()));
    api.ask(Query::Log(filter), only!(Answer::Log)).await.map(|part| Json(page.given(part)))
}

/// The head of every chain, to compare devices
#[utoipa::path(
    get, path = "/v1/frontier", operation_id = "frontier_list", tag = "documents",
    params(PageParams),
    responses((status = 200, description = "Heads", body = List<Head>), QueryProblems)
)]
pub(super) async fn frontier(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<Head>>, Problem> {
    let heads = api.ask(Query::Frontier, only!(Answer::Frontier)).await?;
    page.cut(heads, |head| (head.document.to_string(), head.chain))
}
