//! What happens to every request before and after its handler: who may call, how many at once, how long, and what is
//! counted and traced. Bodies are never logged.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use popmesh_proto::command::MAX_WAIT_MS;
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Answer, Query};
use tracing::Instrument;

use super::permits::Full;
use super::places::Place;
use super::problem::{Problem, Told};
use super::service::Api;
use super::{authority, description, request};

/// Names the device: the one that answers, in a response; the one that is meant, in a request, which any other
/// refuses. So a client with a stale address never sells from the wrong device.
pub const DEVICE_HEADER: &str = "popmesh-device";

const QUERY_LIMIT: Duration = Duration::from_secs(30);
/// A sale may wait for stock, and then for the disk.
const COMMAND_LIMIT: Duration = Duration::from_millis(MAX_WAIT_MS + 30_000);

pub(super) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("http", %method, route, status = tracing::field::Empty);
    let mut response = admit(&api, &route, request, next)
        .instrument(span.clone())
        .await
        .unwrap_or_else(IntoResponse::into_response);
    let status = response.status();
    let took = began.elapsed();
    span.record("status", status.as_u16());
    span.in_scope(|| tracing::debug!(took_ms = took.as_millis() as u64, "answered"));
    api.metrics.answered(&method, &route, status, took);
    if let Some(told) = response.extensions_mut().remove::<Told>()
        && description::is_own(&told.code)
    {
        api.metrics.turned_away(&told.code, told.scope.as_deref());
    }

    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(device) = HeaderValue::from_str(&api.device.to_string()) {
        headers.insert(HeaderName::from_static(DEVICE_HEADER), device);
    }
    response
}

async fn admit(api: &Api, route: &str, mut request: Request, next: Next) -> Result<Response, Problem> {
    // The server notes it of every connection; what came some other way is from nowhere.
    let arrival = request.extensions().get::<Arrival>().copied().unwrap_or(Arrival::NOWHERE);
    check_caller(request.uri(), request.headers(), arrival, &api.names)?;
    check_device(api, arrival, request.headers()).await?;
    let bearer = authority::check(api, arrival, route, request.method(), request.headers())?;
    let place = request.extensions().get::<Place>().cloned();
    if let (Some(bearer), Some(place)) = (&bearer, &place)
        && !place.prove(bearer.id())
    {
        return Err(full(Full::Token));
    }
    if let Some(bearer) = bearer.clone() {
        request.extensions_mut().insert(bearer);
    }
    // Nothing is taken from others while a body is on its way.
    let request = request::whole(request).await?;
    let _work = place.as_ref().map(Place::work);
    let counted = bearer.as_ref().and_then(|bearer| bearer.counted(arrival));
    let _permit = api.requests.take(arrival.is_own(), counted).map_err(full)?;
    let acts = request.method() == Method::POST;
    let limit = if acts { COMMAND_LIMIT } else { QUERY_LIMIT };
    let unwanted = request::unwanted(&request);
    let answered = tokio::time::timeout(limit, next.run(request));
    let answered = tokio::select! {
        biased;
        answered = answered => answered,
        denied = authority::ended(api, bearer) => return Err(authority::ended_under_way(denied, acts)),
    };
    // Whoever asks for what is not there is told that first.
    if let Some(problem) = unwanted
        && answered.as_ref().is_ok_and(|answer| answer.status().is_success())
    {
        return Err(problem);
    }
    answered.map_err(|_| {
        let detail = if acts {
            "this took too long, and whether it was done is not known; ask again with the same Idempotency-Key"
        } else {
            "this took too long; try again in a moment"
        };
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).retry()
    })
}

/// Says who has too much under way.
pub(super) fn full(full: Full) -> Problem {
    match full {
        Full::All => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many requests are under way on this device; try again in a moment",
        ),
        Full::Token => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_at_once",
            "too many requests, streams or connections are under way with this token; end one, or try again in a moment",
        ),
    }
    .retry()
}

/// How a request came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Who sent it.
    pub(super) peer: IpAddr,
    /// The address of this host that it was sent to.
    pub(super) local: IpAddr,
    /// Whether it came over TLS.
    pub(super) tls: bool,
}

impl Arrival {
    /// Whether the caller is on this host: nobody else's packets have one of its own addresses at both ends.
    pub(super) fn is_own(&self) -> bool {
        self.peer.is_loopback() || (self.peer == self.local && !self.peer.is_unspecified())
    }

    /// From nowhere: as what did not come over a connection of the server's.
    pub(super) const NOWHERE: Self =
        Self { peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED), local: IpAddr::V4(Ipv4Addr::UNSPECIFIED), tls: true };
}

/// Refuses what a web page could make a browser send: a foreign name that resolves to this host (DNS rebinding), and
/// calls from pages of another origin.
fn check_caller(uri: &Uri, headers: &HeaderMap, arrival: Arrival, names: &[String]) -> Result<(), Problem> {
    let host = check_host(uri, headers, arrival, names)?;
    let same_site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let scheme = if arrival.tls { "https://" } else { "http://" };
    let same_origin = headers.get_all(header::ORIGIN).iter().all(|origin| {
        origin.to_str().is_ok_and(|origin| {
            origin.strip_prefix(scheme).is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str()))
        })
    });
    if same_site && same_origin {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "web pages of another origin may not call this API; call it from a program, or from its own address",
    ))
}

/// The host that a request names, which must be this device as it was reached.
pub(super) fn check_host(
    uri: &Uri,
    headers: &HeaderMap,
    arrival: Arrival,
    names: &[String],
) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let ours = |host: &Authority| is_ours(host, arrival, names);
    let named = uri.authority().is_none_or(ours);
    host.filter(|host| named && ours(host)).ok_or_else(|| {
        let detail = if arrival.tls {
            "the Host header must be an address of this device, or its name with .local; call this API by such an address"
        } else {
            "the Host header must be localhost, 127.0.0.1 or [::1]; call this API by such an address"
        };
        Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail)
    })
}

/// Whether a host is this device as the caller reached it. An address cannot be bound to another by a name server, so
/// the very address that was reached is enough; of names, only those that no stranger's name server answers for.
fn is_ours(authority: &Authority, arrival: Arrival, names: &[String]) -> bool {
    let host = authority.host();
    let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = unbracketed.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    let local = arrival.local.to_canonical();
    let here = local.is_loopback()
        && (host.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback()));
    let reached = arrival.tls && address == Some(local);
    let named = arrival.tls && names.iter().any(|name| host.eq_ignore_ascii_case(name));
    !authority.as_str().contains('@') && (here || reached || named)
}

async fn check_device(api: &Api, arrival: Arrival, headers: &HeaderMap) -> Result<(), Problem> {
    let ours = api.device.to_string();
    let Some(meant) = headers.get(DEVICE_HEADER).filter(|meant| meant.as_bytes() != ours.as_bytes()) else {
        return Ok(());
    };
    let meant = meant.to_str().ok().and_then(|meant| meant.parse::<DeviceId>().ok());
    // Names are for those who may ask for them: here, without TLS, whoever uses this host.
    let may_know = !arrival.tls && arrival.peer.is_loopback();
    let known = match api.handle.query(Query::Devices).await {
        Ok(Answer::Devices(devices)) if may_know => devices,
        _ => vec![],
    };
    let named = |device: &DeviceId| {
        let info = known.iter().find(|info| info.device == *device)?;
        Some(format!("{} ({})", info.name, device.short()))
    };
    let this = named(&api.device).unwrap_or_else(|| format!("device {}", api.device.short()));
    let other = match &meant {
        Some(meant) => named(meant).unwrap_or_else(|| format!("device {}", meant.short())),
        None => "another device".to_owned(),
    };
    let detail = format!(
        "{this} answers at this address, and {other} was meant, whose API is at another; `popmesh --data DIR status` finds it by \
         the device's folder"
    );
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "other_device", detail).with("device", ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)]) -> bool {
        check_at("127.0.0.1", false, headers)
    }

    fn check_at(local: &str, tls: bool, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let arrival = Arrival { peer: "192.0.2.9".parse().unwrap(), local: local.parse().unwrap(), tls };
        check_caller(&Uri::from_static("/v1/status"), &map, arrival, &["till-1.local".to_owned()]).is_ok()
    }

    #[test]
    fn off_loopback_only_the_address_that_was_reached_and_the_local_name_are_hosts() {
        for good in ["192.0.2.7", "192.0.2.7:7443", "till-1.local:7443", "TILL-1.LOCAL"] {
            assert!(check_at("192.0.2.7", true, &[("host", good)]), "{good}");
            assert!(check_at("::ffff:192.0.2.7", true, &[("host", good)]), "{good}");
        }
        for bad in
            ["192.0.2.8", "localhost", "127.0.0.1", "till-1", "till-1.local.evil.example", "evil.example"]
        {
            assert!(!check_at("192.0.2.7", true, &[("host", bad)]), "{bad}");
        }
        assert!(check_at("2001:db8::7", true, &[("host", "[2001:db8::7]:7443")]));
        assert!(!check(&[("host", "till-1.local")]), "without TLS a name is no proof");
        let host = ("host", "192.0.2.7:7443");
        assert!(check_at("192.0.2.7", true, &[host, ("origin", "https://192.0.2.7:7443")]));
        for bad in ["http://192.0.2.7:7443", "https://192.0.2.7", "https://evil.example", "null"] {
            assert!(!check_at("192.0.2.7", true, &[host, ("origin", bad)]), "{bad}");
        }
    }

    #[test]
    fn only_local_names_are_hosts() {
        for good in ["localhost", "LOCALHOST:7401", "127.0.0.1:1", "[::1]:7401", "127.0.0.2:80"] {
            assert!(check(&[("host", good)]), "{good}");
        }
        for bad in
            ["evil.example", "evil.example:7401", "localhost.evil.example", "10.0.0.1", "a@localhost", ""]
        {
            assert!(!check(&[("host", bad)]), "{bad}");
        }
        assert!(!check(&[]), "a host must be named");
        assert!(!check(&[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = ("host", "localhost:7401");
        assert!(check(&[host, ("origin", "http://localhost:7401")]));
        assert!(check(&[host, ("sec-fetch-site", "same-origin")]));
        for bad in ["null", "http://evil.example", "http://localhost:3000", "https://localhost:7401"] {
            assert!(!check(&[host, ("origin", bad)]), "{bad}");
        }
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
    }
}
