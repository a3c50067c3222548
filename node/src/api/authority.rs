//! What a caller may do, by the token it shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, StatusCode, header};

use super::guard::Arrival;
use super::problem::Problem;
use super::scopes;
use super::service::Api;
use super::tally::Refused;
use crate::access::{Denied, Right, TokenId};
use crate::clock::now_ms;

/// How soon a token that ended or was revoked ends what is under way with it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The good token that a request came with.
#[derive(Debug, Clone)]
pub(super) struct Bearer {
    text: Arc<str>,
    id: TokenId,
    right: Right,
}

impl Bearer {
    /// Which it is.
    pub(super) fn id(&self) -> TokenId {
        self.id
    }

    /// What it allows.
    pub(super) fn right(&self) -> Right {
        self.right
    }

    /// The token that bounds how much is under way; the owner is not bounded on this host.
    pub(super) fn counted(&self, arrival: Arrival) -> Option<TokenId> {
        (self.right != Right::Owner || !arrival.is_own()).then_some(self.id)
    }

    fn check(&self, api: &Api) -> Result<(), Denied> {
        let rights = api.rights.as_ref().ok_or(Denied::Unknown)?;
        rights.check(&self.text, now_ms()).map(drop)
    }
}

/// Ends when the token is no longer good, within a second of that. Never without one.
pub(super) async fn ended(api: &Api, bearer: Option<Bearer>) -> Denied {
    let Some(bearer) = bearer else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Err(denied) = bearer.check(api) {
            return denied;
        }
    }
}

/// What is said when a token ended while its request was under way.
pub(super) fn ended_under_way(denied: Denied, acts: bool) -> Problem {
    let done =
        if acts { "; whether this was done is not known: look, or ask again under the same key" } else { "" };
    Problem::new(StatusCode::UNAUTHORIZED, code_of(denied), format!("{denied}{done}"))
}

fn code_of(denied: Denied) -> &'static str {
    match denied {
        Denied::Unknown => "unknown_token",
        Denied::Ended => "token_ended",
        Denied::Revoked => "token_revoked",
    }
}

/// The token of a request, if it has a good one that allows it. Without TLS, which is on loopback alone, none is needed.
pub(super) fn check(
    api: &Api,
    arrival: Arrival,
    route: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Bearer>, Problem> {
    let now = Instant::now();
    if arrival.tls
        && let Some(wait) = api.throttle.shut_out(arrival.peer, now)
    {
        api.tally.note(Refused::ShutOut, arrival.peer);
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let detail =
            format!("too many bad tokens came from this address; try again in {seconds} s, with a good one");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail);
        return Err(Problem { retry_after_s: Some(seconds), ..problem });
    }
    let token = match bearer(headers) {
        Ok(Some(token)) => token,
        Ok(None) if !arrival.tls => return Ok(None),
        Ok(None) => {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "token_needed",
                "send a token of this device with `Authorization: Bearer …`; make one on it with `popmesh api token new`",
            ));
        }
        Err(()) => return Err(refuse(api, arrival, now, Denied::Unknown)),
    };
    let checked = api.rights.as_ref().map_or(Err(Denied::Unknown), |rights| rights.check(token, now_ms()));
    let (id, right) = checked.map_err(|denied| refuse(api, arrival, now, denied))?;
    if !api.throttle.may_ask(id, now) {
        let detail = "too many requests with this token; ask less often";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry());
    }
    if !scopes::allow(right, method, route) {
        api.tally.note_scope(id, arrival.peer);
        tracing::debug!(peer = %arrival.peer, token = %id, %method, route, "a token of the wrong scope was refused");
        return Err(wrong_scope(right, method, route));
    }
    Ok(Some(Bearer { text: token.into(), id, right }))
}

/// The token that is sent; an error if something is sent that is none.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (sent.next(), sent.next());
    let Some(first) = first else { return Ok(None) };
    if second.is_some() {
        return Err(());
    }
    let (scheme, token) = first.to_str().map_err(|_| ())?.split_once(' ').ok_or(())?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(()) }
}

/// Counts a token that is not good. Never logs the token.
fn refuse(api: &Api, arrival: Arrival, now: Instant, denied: Denied) -> Problem {
    if arrival.tls {
        api.throttle.failed(arrival.peer, now);
    }
    let what = match denied {
        Denied::Unknown => Refused::Unknown,
        Denied::Ended => Refused::Ended,
        Denied::Revoked => Refused::Revoked,
    };
    api.tally.note(what, arrival.peer);
    tracing::debug!(peer = %arrival.peer, reason = ?denied, "a caller's token was refused");
    Problem::new(StatusCode::UNAUTHORIZED, code_of(denied), denied.to_string())
}

pub(super) fn wrong_scope(right: Right, method: &Method, route: &str) -> Problem {
    let scopes = scopes::of(method, route);
    let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let has = match right {
        Right::Owner => "owner".to_owned(),
        Right::Scoped(scope) => scope.to_string(),
    };
    let needs = match names.split_last() {
        None => "no token may do this; do it on the device itself".to_owned(),
        Some((last, [])) => format!("this wants one of scope {last}"),
        Some((last, others)) => format!("this wants one of scope {} or {last}", others.join(", ")),
    };
    Problem::new(StatusCode::FORBIDDEN, "wrong_scope", format!("the token's scope is {has}; {needs}"))
        .with("scope", has)
        .with("scopes", names)
}
