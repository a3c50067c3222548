//! Serves the console's files. They say nothing of this device, so nobody needs a token for them; what they show comes from
//! the routes under `/v1`, by the rights of whoever looks.

use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::guard::{self, Arrival};
use super::permits::{Permit, Permits};
use super::problem::Problem;
use super::service::{Api, wrong_method};
use crate::console::{self, File};

/// Scripts, styles and calls from this node alone; nothing in line; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html popmesh";

/// Says which files a page was put together of: see [`console::release`].
const RELEASE: HeaderName = HeaderName::from_static("popmesh-release");

/// What all files are counted under: their names say nothing of how the device does.
const ROUTE: &str = "console";

/// The overlay's. OBS puts what its user wrote as "Custom CSS" into the page as a `<style>` element, older ones of it by
/// `innerHTML`: the console's policy refuses both without a word. Here are no texts of others to be read as anything but text.
const OVERLAY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Where the files are.
pub(super) fn router(api: &Api) -> Router<Api> {
    let mut router =
        Router::new().route("/", get(serve)).route("/overlay", get(serve)).route("/overlay/", get(serve));
    for path in console::paths() {
        router = router.route(&format!("/{path}"), get(serve));
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(api.clone(), around))
}

async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let is_overlay = matches!(request.uri().path(), "/overlay" | "/overlay/" | "/overlay/index.html");
    let policy = if is_overlay { OVERLAY_POLICY } else { POLICY };
    let mut response = match admit(&api.requests, &api.names, &request) {
        Ok(_permit) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    api.metrics.answered(&method, ROUTE, response.status(), began.elapsed());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    // Asked about each time, by its tag: a node that was made newer never runs with half of an older page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(release) = HeaderValue::from_str(&console::release()) {
        headers.insert(RELEASE, release);
    }
    response
}

/// Whoever asks for files takes of the same permits as whoever calls the API, and must name this host as well.
fn admit(permits: &Permits, names: &[String], request: &Request) -> Result<Permit, Problem> {
    let arrival = request.extensions().get::<Arrival>().copied().unwrap_or(Arrival::NOWHERE);
    guard::check_host(request.uri(), request.headers(), arrival, names)?;
    permits.take(arrival.is_own(), None).map_err(guard::full)
}

async fn serve(request: Request) -> Result<Response, Problem> {
    let path = request.uri().path().trim_start_matches('/');
    let file = console::file(path).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is no page at /{path}"))
    })?;
    Ok(answer(file, request.headers()))
}

fn answer(file: File, headers: &HeaderMap) -> Response {
    // Weak, since it names what is in the file, and not how that is compressed.
    let tag = format!("W/\"{}\"", file.tag);
    let head = [(header::ETAG, tag), (header::VARY, "accept-encoding".to_owned())];
    if has(headers, &file.tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.media_type)];
    if takes_gzip(headers) {
        return (head, kind, [(header::CONTENT_ENCODING, "gzip")], file.gzip).into_response();
    }
    (head, kind, file.bytes).into_response()
}

/// The parts of a header that is a list.
fn parts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether the caller has what a tag names (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &str) -> bool {
    parts(headers, header::IF_NONE_MATCH).any(|part| {
        let named = part.strip_prefix("W/").unwrap_or(part);
        part == "*" || named.strip_prefix('"').and_then(|named| named.strip_suffix('"')) == Some(tag)
    })
}

/// Whether the caller takes gzip (RFC 9110, 12.5.3): by its name, else by `*`; not at a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        parts(headers, header::ACCEPT_ENCODING).find_map(|part| {
            let mut part = part.split(';');
            let named = part.next()?.trim().eq_ignore_ascii_case(coding);
            let weight = part.find_map(|one| one.trim().strip_prefix("q=")?.parse::<f32>().ok());
            named.then(|| weight.unwrap_or(1.0))
        })
    };
    weight("gzip").or_else(|| weight("x-gzip")).or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::permits::Most;
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        for good in ["gzip", "GZIP", "br, gzip", "gzip;q=0.1", "*", "br;q=1, *;q=0.5", "x-gzip", "gzip ; q=1"]
        {
            assert!(takes_gzip(&with(header::ACCEPT_ENCODING, good)), "{good}");
        }
        for bad in ["", "br", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzipped"] {
            assert!(!takes_gzip(&with(header::ACCEPT_ENCODING, bad)), "{bad}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn who_asks_for_files_takes_of_the_permits_of_all_and_names_this_host() {
        let from = |peer: &str, host: &str| {
            let request = axum::http::Request::get("/frame/app.js").header(header::HOST, host);
            let mut request = request.body(axum::body::Body::empty()).unwrap();
            let local = "192.0.2.7".parse().unwrap();
            request.extensions_mut().insert(Arrival { peer: peer.parse().unwrap(), local, tls: true });
            request
        };
        let permits = Permits::new(Most { own: 1, shared: 2, each: 1 });
        let code = |request: &Request| admit(&permits, &[], request).map_err(|problem| problem.code);
        let stranger = from("192.0.2.9", "192.0.2.7:7443");
        assert_eq!(code(&from("192.0.2.9", "evil.example")).unwrap_err(), "foreign_host");
        let held: Vec<_> = (0..2).map(|_| code(&stranger).unwrap()).collect();
        assert_eq!(code(&stranger).unwrap_err(), "busy");
        // What the host's own have for themselves, strangers have not taken.
        assert!(code(&from("192.0.2.7", "192.0.2.7:7443")).is_ok());
        drop(held);
        assert!(code(&stranger).is_ok());
    }

    #[test]
    fn who_has_a_file_is_not_sent_it() {
        for good in ["\"aa\"", "W/\"aa\"", "\"bb\", \"aa\"", "*"] {
            assert!(has(&with(header::IF_NONE_MATCH, good), "aa"), "{good}");
        }
        for bad in ["", "aa", "\"bb\"", "W/aa", "\"aa", "\"aab\""] {
            assert!(!has(&with(header::IF_NONE_MATCH, bad), "aa"), "{bad}");
        }
        assert!(!has(&HeaderMap::new(), "aa"));
    }
}
