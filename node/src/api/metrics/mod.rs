//! `GET /metrics`: what Prometheus scrapes. What the API counts itself is kept; the rest is asked for at each scrape.

mod drops;
mod form;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::query::{Answer, Levels, Query, Status, Stock, StockFilter};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::form::Form;
use super::mesh::{BleStatus, MeshSnapshot};
use super::openapi::QueryProblems;
use super::problem::Problem;
use super::service::{Api, only};
use super::tally::Refused;
use crate::access::Scope;
use crate::runtime::{RuntimeMetrics, StoreHealth, WRITE_BOUNDS_US};

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
struct ScopeLabels {
    scope: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PayloadLabels {
    payload: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnitLabels {
    drop: String,
    sku: String,
    scope: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    drop: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClaimLabels {
    scope: &'static str,
    state: String,
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
    turned_away: Family<CodeLabels, Counter>,
    scopes: Family<ScopeLabels, Counter>,
}

/// What is counted from the start although it has never been, so that the first time is seen as a change.
const TURNED_AWAY: [&str; 10] = [
    "foreign_host",
    "foreign_origin",
    "other_device",
    "token_needed",
    "unknown_token",
    "too_many_failures",
    "too_many_requests",
    "too_many_at_once",
    "gives_too_much",
    "busy",
];

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
        let turned_away = Family::<CodeLabels, Counter>::default();
        for code in TURNED_AWAY {
            let _ = turned_away.get_or_create(&CodeLabels { code: code.to_owned() });
        }
        let scopes = Family::<ScopeLabels, Counter>::default();
        for scope in Scope::ALL {
            let _ = scopes.get_or_create(&ScopeLabels { scope: scope.to_string() });
        }
        registry.register(
            "http_problems",
            "Requests answered with a problem of the API's own, by code",
            turned_away.clone(),
        );
        registry.register(
            "http_wrong_scope",
            "Requests that the token's scope does not allow, by scope",
            scopes.clone(),
        );
        Self { registry, requests, latency, refusals, turned_away, scopes }
    }

    /// A request was answered with a problem that is no refusal.
    pub(super) fn turned_away(&self, code: &str, scope: Option<&str>) {
        self.turned_away.get_or_create(&CodeLabels { code: code.to_owned() }).inc();
        if let Some(scope) = scope {
            self.scopes.get_or_create(&ScopeLabels { scope: scope.to_owned() }).inc();
        }
    }

    pub(super) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // A client may invent methods; labels must stay few.
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT].contains(method);
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
///
/// As OpenMetrics 1.0 for who accepts `application/openmetrics-text`, otherwise in Prometheus' text form 0.0.4.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics_get", tag = "observe",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain"), (String = "application/openmetrics-text")
        )),
        QueryProblems
    )
)]
pub(super) async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
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
    register_runtime(&mut now, &api.counters);
    let connections = Family::<ReasonLabels, Counter>::default();
    for (what, reason) in [(Refused::Tls, "tls"), (Refused::NotTls, "not_tls"), (Refused::Place, "place")] {
        connections.get_or_create(&ReasonLabels { reason }).inc_by(api.tally.since_start(what));
    }
    now.register(
        "http_connections_refused",
        "Connections to the API that were let go, by reason",
        connections,
    );
    if let Some(mesh) = api.mesh.snapshot().await {
        register_mesh(&mut now, &mesh);
    }
    let text = encode(&api.metrics.registry, &now).map_err(|_| Problem::mismatch())?;
    let mut response = ([(header::CONTENT_TYPE, form.content_type())], form.write(&text)).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
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

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    registry.register(name, help, ConstCounter::new(value));
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn register_status(registry: &mut Registry, status: &Status) {
    gauge(registry, "entries", "Entries in the log", status.entries);
    gauge(registry, "chains", "Chains in the log", status.chains);
    gauge(registry, "entries_waiting", "Entries held back until what they need arrives", status.waiting);
    counter(registry, "entries_refused", "Entries and messages refused", status.refused);
    counter(
        registry,
        "messages_unread",
        "Messages dropped unread: their senders sent too much, or are cut off",
        status.unread,
    );
    counter(
        registry,
        "entries_postponed",
        "Entries put off, since their authors wrote too much",
        status.postponed,
    );
    gauge(registry, "devices_cut_off", "Devices cut off for what they sent", status.cut_off);
    gauge(
        registry,
        "secret_epochs",
        "Epochs of the event's secret that this device has",
        status.secret.epochs,
    );
    gauge(
        registry,
        "secret_exposed",
        "Retired devices that have the event's secret as it counts",
        status.secret.exposed,
    );
    gauge(registry, "incidents", "Proven breaches that a person must look at", status.incidents);
    gauge(registry, "sales_waiting", "Sales that wait for units from elsewhere", status.sales_waiting);
    gauge(registry, "carts", "Carts put aside, here and elsewhere", status.carts);
    register_drops(registry, status);
    let claims = Family::<ClaimLabels, Gauge>::default();
    for count in &status.claims {
        for (scope, claims_there) in [("own", count.own), ("mesh", count.mesh)] {
            let state = count.state.to_string().replace(' ', "_");
            claims.get_or_create(&ClaimLabels { scope, state }).set(signed(claims_there));
        }
    }
    registry.register("claims", "Claims in the custody of this device and mesh-wide, by state", claims);
    let past_unknown = u64::from(status.past_unknown);
    gauge(
        registry,
        "past_unknown",
        "1 while this device may have forgotten what it did, and spends nothing",
        past_unknown,
    );
    let apart_ms = status.clocks_apart.as_ref().map_or(0, |apart| apart.apart_ms);
    gauge(
        registry,
        "past_missing_entries",
        "Entries that this device wrote and that are not here, as far as it knows",
        status.past.entries,
    );
    let apart = Gauge::<f64, AtomicU64>::default();
    apart.set(Duration::from_millis(apart_ms).as_secs_f64());
    registry.register(
        "clocks_apart_seconds",
        "How far the wall clocks in reach are apart, if that is more than a minute; 0 otherwise",
        apart,
    );
    gauge(registry, "last_receipt", "The number of this device's last receipt", status.last_receipt);
    let deferred = u64::try_from(status.deferred).unwrap_or(0);
    gauge(registry, "deferred_minor_units", "What of this device's sales waits to be authorised", deferred);
    let people = Family::<PayloadLabels, Gauge>::default();
    let counts = status.people;
    for (payload, count) in [("here", counts.here), ("missing", counts.missing), ("erased", counts.erased)] {
        people.get_or_create(&PayloadLabels { payload }).set(signed(count));
    }
    registry.register("people", "Personal data that was taken, by where its sealed payload is", people);
    drops::register(registry, &status.drops);
    gauge(registry, "devices", "Devices known, this one included", status.devices);
    gauge(registry, "devices_reachable", "Devices heard lately, this one included", status.reachable);
}

/// Drop-to-claim: its numerator, its denominator, and how many devices it lacks.
fn register_drops(registry: &mut Registry, status: &Status) {
    let [claimed, announced, not_heard]: [Family<DropLabels, Gauge>; 3] = Default::default();
    for of in &status.drop_to_claim {
        let labels = DropLabels { drop: of.drop.to_string() };
        claimed.get_or_create(&labels).set(signed(of.claimed));
        announced.get_or_create(&labels).set(signed(of.announced));
        not_heard.get_or_create(&labels).set(signed(of.not_heard));
    }
    registry.register(
        "drop_claimed_units",
        "Units of each drop that a shopper was ever sold, at least",
        claimed,
    );
    registry.register("drop_announced_units", "Units of each drop that were announced, or minted", announced);
    registry.register(
        "drop_devices_not_heard",
        "Devices that sell, hand out, or hold units of each drop, and are out of reach",
        not_heard,
    );
}

/// How long durable writes took. The runtime keeps its buckets apart, where Prometheus wants each to hold those below it.
#[derive(Debug)]
struct WriteSeconds {
    sum: f64,
    buckets: Vec<(f64, u64)>,
}

impl WriteSeconds {
    fn of(runtime: &RuntimeMetrics) -> Self {
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        let bounds = WRITE_BOUNDS_US.into_iter().map(seconds).chain([f64::INFINITY]);
        let counts = runtime.write_buckets.iter().map(|count| count.get());
        Self { sum: seconds(runtime.write_us.get()), buckets: bounds.zip(counts).collect() }
    }
}

impl EncodeMetric for WriteSeconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn register_runtime(registry: &mut Registry, runtime: &RuntimeMetrics) {
    let writes = WriteSeconds::of(runtime);
    registry.register("store_write_seconds", "Time that durable writes took, each of one batch", writes);
    counter(registry, "store_writes_failed", "Writes that failed", runtime.writes_failed.get());
    counter(registry, "store_entries", "Entries in durable writes", runtime.entries_written.get());
    counter(registry, "store_outages", "Times that writing began to fail", runtime.outages.get());
    let commands = Family::<OutcomeLabels, Counter>::default();
    for (outcome, count) in [
        ("done", &runtime.commands_done),
        ("repeated", &runtime.commands_repeated),
        ("refused", &runtime.commands_refused),
        ("key_conflict", &runtime.commands_key_conflict),
        ("not_stored", &runtime.commands_not_stored),
    ] {
        commands.get_or_create(&OutcomeLabels { outcome }).inc_by(count.get());
    }
    registry.register("commands", "Commands, by what became of them", commands);
    let doors = Family::<OutcomeLabels, Counter>::default();
    for (outcome, count) in [("opened", &runtime.doors_opened), ("stuck", &runtime.doors_stuck)] {
        doors.get_or_create(&OutcomeLabels { outcome }).inc_by(count.get());
    }
    registry.register("doors", "Doors of compartments, by how they behaved", doors);
    counter(
        registry,
        "calls_busy",
        "Commands and queries turned away because too many wait",
        runtime.calls_busy.get(),
    );
    gauge(registry, "calls_queued", "Commands and queries not yet taken in", runtime.queue_depth.get());
    gauge(registry, "calls_waiting", "Commands that wait for their outcome", runtime.calls_waiting.get());
    counter(registry, "queries", "Queries answered", runtime.queries.get());
    counter(registry, "mesh_messages", "Messages and gossip taken in", runtime.mesh_messages.get());
    let seconds = Duration::from_micros(runtime.mesh_us.get()).as_secs_f64();
    let took = ConstCounter::new(seconds);
    registry.register("mesh_seconds", "Time that messages and gossip took of the device", took);
    let unwritable = runtime.mesh_dropped.get();
    counter(
        registry,
        "mesh_messages_unwritable",
        "Messages and gossip dropped while writing failed",
        unwritable,
    );
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

fn states(levels: &Levels) -> [(&'static str, u64); 8] {
    [
        ("available", levels.available),
        ("held", levels.held),
        ("committed", levels.committed),
        ("damaged", levels.damaged),
        ("frozen", levels.frozen),
        ("in_transit", levels.in_transit),
        ("sold", levels.sold),
        ("stranded", levels.stranded),
    ]
}

fn register_ble(registry: &mut Registry, ble: &BleStatus) {
    gauge(registry, "ble_up", "Whether the Bluetooth adapter is there", u64::from(ble.is_up));
    gauge(registry, "ble_in_range", "Devices of the event in range of the radio", ble.in_range);
    counter(registry, "ble_let_go", "Bluetooth links let go because there were too few places", ble.let_go);
    counter(registry, "ble_hci_bytes_in", "Bytes from the Bluetooth adapter", ble.hci_bytes_in);
    counter(registry, "ble_hci_bytes_out", "Bytes to the Bluetooth adapter", ble.hci_bytes_out);
    counter(registry, "ble_link_bytes_in", "Bytes over Bluetooth links, with all headers", ble.link_bytes_in);
    counter(
        registry,
        "ble_link_bytes_out",
        "Bytes over Bluetooth links, with all headers",
        ble.link_bytes_out,
    );
    counter(registry, "ble_failures", "Bluetooth links that failed, or were dropped", ble.failures);
    counter(registry, "ble_adapter_failures", "Times the Bluetooth adapter was lost", ble.adapter_failures);
}

fn register_mesh(registry: &mut Registry, mesh: &MeshSnapshot) {
    gauge(registry, "mesh_links", "Links to devices", mesh.links.len() as u64);
    gauge(registry, "mesh_discovered", "Devices found on the network", mesh.discovered.len() as u64);
    gauge(registry, "mesh_strangers", "Strangers that announced themselves lately", mesh.strangers.lately);
    counter(
        registry,
        "mesh_addresses_dialled",
        "Connections begun to addresses of devices",
        mesh.addresses_dialled,
    );
    let bytes = Family::<LinkLabels, Counter>::default();
    let dropped = Family::<DeviceLabels, Counter>::default();
    let signals = Family::<DeviceLabels, Gauge>::default();
    for link in &mesh.links {
        let device = link.device.to_string();
        for (direction, count) in [("in", link.bytes_in), ("out", link.bytes_out)] {
            let labels = LinkLabels { device: device.clone(), transport: link.transport.clone(), direction };
            bytes.get_or_create(&labels).inc_by(count);
        }
        if let Some(rssi_dbm) = link.rssi_dbm {
            signals.get_or_create(&DeviceLabels { device: device.clone() }).set(rssi_dbm.into());
        }
        dropped.get_or_create(&DeviceLabels { device }).inc_by(link.dropped);
    }
    registry.register("mesh_bytes", "Bytes over each link since it is up", bytes);
    if let Some(ble) = &mesh.ble {
        register_ble(registry, ble);
        registry.register(
            "ble_rssi_dbm",
            "How strong the signal of each device linked over Bluetooth is",
            signals,
        );
    }
    registry.register("mesh_dropped", "Messages dropped because a link was too slow", dropped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_counts_is_written_as_prometheus_wants_it() {
        let runtime = RuntimeMetrics::default();
        for (entries, us) in [(3, 90), (1, 150), (1, 150), (2, 3_000_000)] {
            runtime.written(entries, Duration::from_micros(us));
        }
        runtime.writes_failed.add(2);
        runtime.outages.add(1);
        runtime.commands_done.add(4);
        runtime.commands_key_conflict.add(5);
        runtime.calls_waiting.set(6);
        runtime.mesh_dropped.add(7);
        runtime.doors_stuck.add(8);
        let mut registry = Registry::with_prefix("popmesh");
        register_runtime(&mut registry, &runtime);
        let text = encode(&Registry::default(), &registry).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "# TYPE popmesh_store_write_seconds histogram",
            "popmesh_store_write_seconds_count 4",
            "popmesh_store_write_seconds_sum 3.00039",
            "popmesh_store_write_seconds_bucket{le=\"0.0001\"} 1",
            "popmesh_store_write_seconds_bucket{le=\"0.0002\"} 3",
            "popmesh_store_write_seconds_bucket{le=\"1.0\"} 3",
            "popmesh_store_write_seconds_bucket{le=\"+Inf\"} 4",
            "# TYPE popmesh_store_writes_failed counter",
            "popmesh_store_writes_failed_total 2",
            "popmesh_store_entries_total 7",
            "popmesh_store_outages_total 1",
            "popmesh_commands_total{outcome=\"done\"} 4",
            "popmesh_commands_total{outcome=\"key_conflict\"} 5",
            "popmesh_calls_waiting 6",
            "popmesh_mesh_messages_unwritable_total 7",
            "popmesh_doors_total{outcome=\"opened\"} 0",
            "popmesh_doors_total{outcome=\"stuck\"} 8",
        ] {
            assert!(lines.contains(&line), "{line} is not in:\n{text}");
        }
    }
}
