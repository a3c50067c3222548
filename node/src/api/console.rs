//! Serves the console's files. They say nothing of this device, so nobody needs a token for them; what they show comes from
//! the routes under `/v1`, by the rights of whoever looks.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::guard::{self, Arrival};
use super::problem::Problem;
use super::service::Api;
use crate::console::{self, File};

/// Scripts, styles and calls from this node alone; nothing in line; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html";

/// The overlay's. OBS puts what its user wrote as "Custom CSS" into the page as a `<style>` element, older ones of it by
/// `innerHTML`: the console's policy refuses both without a word. Here are no texts of others to be read as anything but text.
const OVERLAY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Where the files are.
pub(super) fn router() -> Router<Api> {
    let mut router =
        Router::new().route("/", get(serve)).route("/overlay", get(serve)).route("/overlay/", get(serve));
    for path in console::paths() {
        router = router.route(&format!("/{path}"), get(serve));
    }
    router.layer(middleware::from_fn(around))
}

async fn around(request: Request, next: Next) -> Response {
    let is_overlay = matches!(request.uri().path(), "/overlay" | "/overlay/" | "/overlay/index.html");
    let policy = if is_overlay { OVERLAY_POLICY } else { POLICY };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    // Asked about each time, by its tag: a node that was made newer never runs with half of an older page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn serve(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let arrival = request.extensions().get::<Arrival>().copied().unwrap_or(Arrival::NOWHERE);
    guard::check_host(request.uri(), request.headers(), arrival, &api.names)?;
    let path = request.uri().path().trim_start_matches('/');
    let file = console::file(path).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is no page at /{path}"))
    })?;
    Ok(answer(file, request.headers()))
}

fn answer(file: File, headers: &HeaderMap) -> Response {
    // Whether one of the values of a list is `wanted`, whatever its parameters.
    let says = |name, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut parts = values.flat_map(|value| value.split(','));
        parts.any(|part| part.split(';').next().is_some_and(|value| value.trim() == wanted))
    };
    let tag = [(header::ETAG, file.tag.clone()), (header::VARY, "accept-encoding".to_owned())];
    if says(header::IF_NONE_MATCH, &file.tag) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.media_type)];
    if says(header::ACCEPT_ENCODING, "gzip") {
        let encoded = [(header::CONTENT_ENCODING, "gzip")];
        return (tag, kind, encoded, file.gzip.into_owned()).into_response();
    }
    (tag, kind, file.bytes.into_owned()).into_response()
}
