//! `GET /metrics`: OpenMetrics text for Prometheus. What the API counts itself is kept; the rest is asked for at each
//! scrape.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::query::{Answer, Levels, Query, Status, Stock, StockFilter};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::mesh::MeshSnapshot;
use super::openapi::QueryProblems;
use super::problem::Problem;
use super::service::{Api, only};
use crate::runtime::StoreHealth;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnitLabels {
    drop: String,
    sku: String,
    scope: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LinkLabels {
    device: String,
    transport: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeviceLabels {
    device: String,
}

/// What the API counts from its start.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refusals: Family<CodeLabels, Counter>,
}

fn latency_histogram() -> Histogram {
    // 0.5 ms to 131 s: a sale may wait a minute for stock.
    Histogram::new(exponential_buckets(0.0005, 4.0, 10))
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("popmesh");
        let requests = Family::default();
        let latency = Family::new_with_constructor(latency_histogram as fn() -> Histogram);
        let refusals = Family::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This program", build);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_duration_seconds", "Time until an answer began", latency.clone());
        registry.register("refusals", "Commands refused, by code", refusals.clone());
        Self { registry, requests, latency, refusals }
    }

    pub(super) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // A client may invent methods; labels must stay few.
        let known = [Method::GET, Method::HEAD, Method::POST].contains(method);
        let method = if known { method.as_str() } else { "other" }.to_owned();
        let labels = RequestLabels { method, route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&RouteLabels { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    pub(super) fn refused(&self, code: &str) {
        self.refusals.get_or_create(&CodeLabels { code: code.to_owned() }).inc();
    }
}

/// Metrics for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "observe",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"), QueryProblems)
)]
pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let mut now = Registry::with_prefix("popmesh");
    let status = api.ask(Query::Status, only!(Answer::Status)).await;
    let stock = api.ask(Query::Stock(StockFilter::default()), only!(Answer::Stock)).await;
    // A device that does not answer must not blind its observer to that very fact.
    gauge(&mut now, "answering", "1 if the device answers queries", u64::from(status.is_ok()));
    if let Ok(status) = status {
        register_status(&mut now, &status);
    }
    if let Ok(stock) = stock {
        register_stock(&mut now, &stock);
    }
    if let Ok(health) = api.handle.health().await {
        let writable = u64::from(health == StoreHealth::Writable);
        gauge(&mut now, "store_writable", "1 if the last write succeeded", writable);
    }
    if let Some(mesh) = api.mesh.snapshot().await {
        register_mesh(&mut now, &mesh);
    }
    let text = encode(&api.metrics.registry, &now).map_err(|_| Problem::mismatch())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn encode(kept: &Registry, now: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, kept)?;
    encode_registry(&mut text, now)?;
    encode_eof(&mut text)?;
    Ok(text)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(signed(value));
    registry.register(name, help, gauge);
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn register_status(registry: &mut Registry, status: &Status) {
    gauge(registry, "entries", "Entries in the log", status.entries);
    gauge(registry, "chains", "Chains in the log", status.chains);
    gauge(registry, "entries_waiting", "Entries held back until what they need arrives", status.waiting);
    gauge(registry, "entries_refused", "Entries and messages refused since the start", status.refused);
    gauge(registry, "incidents", "Proven breaches that a person must look at", status.incidents);
    gauge(registry, "sales_waiting", "Sales that wait for units from elsewhere", status.sales_waiting);
    gauge(registry, "devices", "Devices known, this one included", status.devices);
    gauge(registry, "devices_reachable", "Devices heard lately, this one included", status.reachable);
}

fn register_stock(registry: &mut Registry, stock: &Stock) {
    let units = Family::<UnitLabels, Gauge>::default();
    for line in &stock.lines {
        for (scope, levels) in [("own", &line.own), ("mesh", &line.mesh)] {
            for (state, count) in states(levels) {
                let (drop, sku) = (line.drop.to_string(), line.sku.to_string());
                units.get_or_create(&UnitLabels { drop, sku, scope, state }).set(signed(count));
            }
        }
    }
    registry.register("units", "Units of each drop and SKU, own and mesh-wide, by state", units);
}

fn states(levels: &Levels) -> [(&'static str, u64); 7] {
    [
        ("available", levels.available),
        ("held", levels.held),
        ("committed", levels.committed),
        ("damaged", levels.damaged),
        ("in_transit", levels.in_transit),
        ("sold", levels.sold),
        ("stranded", levels.stranded),
    ]
}

fn register_mesh(registry: &mut Registry, mesh: &MeshSnapshot) {
    gauge(registry, "mesh_links", "Links to devices", mesh.links.len() as u64);
    gauge(registry, "mesh_discovered", "Nodes found on the network", mesh.discovered.len() as u64);
    let bytes = Family::<LinkLabels, Counter>::default();
    let dropped = Family::<DeviceLabels, Counter>::default();
    for link in &mesh.links {
        let device = link.device.to_string();
        for (direction, count) in [("in", link.bytes_in), ("out", link.bytes_out)] {
            let labels = LinkLabels { device: device.clone(), transport: link.transport.clone(), direction };
            bytes.get_or_create(&labels).inc_by(count);
        }
        dropped.get_or_create(&DeviceLabels { device }).inc_by(link.dropped);
    }
    registry.register("mesh_bytes", "Bytes over each link since it is up", bytes);
    registry.register("mesh_dropped", "Messages dropped because a link was too slow", dropped);
}
