//! `GET /v1/events`: what happens, as it happens, as server-sent events; or a page of what has happened, as JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::{self, StreamExt};
use popmesh_proto::fact::{Fact, Signal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::accept::Accept;
use super::authority::{self, Bearer};
use super::guard::{Arrival, full};
use super::openapi::QueryProblems;
use super::places::Place;
use super::problem::Problem;
use super::request::Filter;
use super::scopes;
use super::service::Api;
use crate::access::Right;
use crate::runtime::{self, EventId, EventsError, Follower, ResetWhy, Taken};

/// How often a stream says that it is alive, while nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";
const USUAL_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// The data of one server-sent event. A fact is durable and has an `id`; a signal and a reset have none in their data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "one at a time")]
pub enum Event {
    /// What a record tells.
    Fact(Fact),
    /// Presence or progress.
    Signal(Signal),
    /// The stream cannot go on from the id that was given.
    Reset(Reset),
}

/// The first event of a stream whose reader gave an id that it cannot go on from, or that the ring has gone past meanwhile.
/// What follows is everything that this device still has, from the oldest on. Whoever keeps something that follows from events
/// begins anew, and looks up what may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reset {
    /// Says that this is one.
    pub event: ResetTag,
    /// Why.
    pub why: ResetReason,
    /// The same in words.
    pub text: String,
    /// What the stream goes on after: the place before the oldest event.
    #[schema(example = "3f9a12c4-8d0e5b1f2a3c4d5e:0")]
    pub after: String,
}

/// The tag of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetTag {
    /// A reset.
    Reset,
}

/// Why a reader has to begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The id is another device's.
    OtherNode,
    /// Events after it are kept no more.
    TooOld,
    /// This device's database does not have that event: it was set back to an earlier state, lost, or copied.
    SetBack,
}

impl ResetReason {
    /// As its JSON has it.
    fn word(self) -> &'static str {
        match self {
            ResetReason::OtherNode => "other_node",
            ResetReason::TooOld => "too_old",
            ResetReason::SetBack => "set_back",
        }
    }
}

/// An event that has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventItem {
    /// Its id: what `after` takes, and the header `Last-Event-ID`.
    #[schema(example = "3f9a12c4-8d0e5b1f2a3c4d5e:17")]
    pub id: String,
    /// The event.
    #[schema(value_type = Fact)]
    pub data: Box<RawValue>,
}

/// A page of what has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventPage {
    /// Events, in order.
    pub items: Vec<EventItem>,
    /// What `after` takes for the page that follows; absent at the end. There, ask again later after the last item's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// From where on, and how much.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventFilter {
    /// The id of the last event that was seen: everything after it follows. The header `Last-Event-ID` says the same, and wins.
    /// Without either a stream has what happens from now on, and a page begins with the oldest that is kept.
    #[param(
        pattern = "^[0-9a-f]{8}-[0-9a-f]{16}:(0|[1-9][0-9]*)$",
        example = "3f9a12c4-8d0e5b1f2a3c4d5e:17"
    )]
    after: Option<String>,
    /// How many events a page has at most; 100 if absent. Not for a stream.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The header by which a reader of server-sent events goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described; the handler reads it")]
pub(super) struct LastEventId {
    /// The id of the last event that was seen, as browsers send it when they connect again.
    #[param(rename = "Last-Event-ID", pattern = "^[0-9a-f]{8}-[0-9a-f]{16}:(0|[1-9][0-9]*)$")]
    id: Option<String>,
}

/// What happens, as it happens
///
/// As server-sent events, unless `Accept` asks for JSON. Facts, which records tell, have an id `<node>:<n>`, are
/// kept (the last 65,536, of at most 64 MiB), and come again after the id that is given, each once, in order, with nothing
/// missing; the numbers count up by one. `<node>` names this device and the run of numbers: it changes when the node is
/// started, and ids from before stay good. Presence and progress have no id, and are left out where a reader is slow. Each
/// event has its kind as its name and JSON as its data. The first block has the id to go on from and no data, `reset` says that
/// the id that was given is no good here any more. A comment comes at the beginning and every 15 seconds. A reader that takes
/// less than 16 kB a second while there is more is let go; it goes on after the last id that it has.
///
/// As JSON: a page of facts, for who rather asks now and then. A problem `events_reset` (410) says what `reset` does.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "events_follow", tag = "observe",
    params(EventFilter, LastEventId),
    responses(
        (status = 200, description = "Events", content(
            (Event = "text/event-stream"),
            (EventPage = "application/json"),
        )),
        QueryProblems
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    Filter(filter): Filter<EventFilter>,
    arrival: Option<Extension<Arrival>>,
    bearer: Option<Extension<Bearer>>,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = filter.limit.map(limit).transpose()?;
    let after = after(&filter, &headers)?;
    // On loopback nobody needs a token.
    let right = bearer_right(bearer.as_ref().map(|Extension(bearer)| bearer));
    match form(&headers)? {
        Form::Page => page(&api, after, right, limit.unwrap_or(USUAL_LIMIT)).await,
        Form::Stream => {
            let arrival = arrival.map(|Extension(arrival)| arrival);
            let bearer = bearer.map(|Extension(bearer)| bearer);
            open(&api, after, arrival, bearer, place.map(|Extension(place)| place))
        }
    }
}

fn bearer_right(bearer: Option<&Bearer>) -> Right {
    bearer.map_or(Right::Owner, Bearer::right)
}

fn limit(limit: u32) -> Result<usize, Problem> {
    let most = 1..=MAX_LIMIT;
    let count = usize::try_from(limit).ok().filter(|count| most.contains(count));
    count.ok_or_else(|| Problem::invalid("limit", format!("{limit}; give 1 to {MAX_LIMIT}")))
}

/// After which event the caller wants to go on.
fn after(filter: &EventFilter, headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let read = |field: &str, text: &str| -> Result<EventId, Problem> {
        text.parse().map_err(|error: runtime::EventIdError| Problem::invalid(field, error.to_string()))
    };
    let asked = filter.after.as_deref().map(|after| read("after", after)).transpose()?;
    let mut sent = headers.get_all(LAST_EVENT_ID).iter();
    let Some(first) = sent.next() else { return Ok(asked) };
    if sent.next().is_some() {
        return Err(Problem::invalid("Last-Event-ID", "it is there twice; send one"));
    }
    match first.to_str().unwrap_or("?") {
        // A reader that has seen nothing yet.
        "" => Ok(asked),
        id => read("Last-Event-ID", id).map(Some),
    }
}

enum Form {
    Stream,
    Page,
}

/// What the caller likes most: of equals what it names first, and the stream if it likes all alike.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let accept = Accept::of(headers);
    if accept.is_silent() {
        return Ok(Form::Stream);
    }
    let stream = accept.liking(EVENT_STREAM, None);
    let page = accept.liking("application/json", None);
    if stream.weight == 0 && page.weight == 0 {
        let text =
            format!("send `Accept: {EVENT_STREAM}` for a stream, or `Accept: application/json` for a page");
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", text));
    }
    let page_first = (page.weight, stream.place) > (stream.weight, page.place);
    Ok(if page_first { Form::Page } else { Form::Stream })
}

fn reset(reset: runtime::Reset) -> Reset {
    let (why, text) = match reset.why {
        ResetWhy::OtherNode => {
            (ResetReason::OtherNode, "that id is of another device: this stream begins anew")
        }
        ResetWhy::TooOld => (
            ResetReason::TooOld,
            "events after that id are kept no more: this goes on with the oldest that is",
        ),
        ResetWhy::SetBack => (
            ResetReason::SetBack,
            "this device has no event with that id: its database was set back to an earlier state, lost or copied; \
             this begins anew, with the oldest event that is kept",
        ),
    };
    Reset { event: ResetTag::Reset, why, text: text.to_owned(), after: reset.after.to_string() }
}

async fn page(api: &Api, after: Option<EventId>, right: Right, limit: usize) -> Result<Response, Problem> {
    let events = api.handle.events();
    let begins = after.unwrap_or_else(|| events.beginning());
    let mut at = events.resolve(begins).map_err(|why| {
        let Reset { why, text, after, .. } = reset(why);
        Problem::new(StatusCode::GONE, "events_reset", text).with("why", why.word()).with("after", after)
    })?;
    let mut items = Vec::new();
    let mut next = None;
    'all: loop {
        let some = events.after(at).await.map_err(unreadable)?;
        let Some(last) = some.last() else {
            next = None;
            break;
        };
        at = last.number;
        for event in &some {
            if items.len() == limit {
                break 'all;
            }
            next = Some(event.id.to_string());
            if !scopes::hears(right, event.kind()) {
                continue;
            }
            let data = RawValue::from_string(event.json.clone()).map_err(|_| Problem::mismatch())?;
            items.push(EventItem { id: event.id.to_string(), data });
        }
    }
    Ok(Json(EventPage { items, next }).into_response())
}

fn unreadable(error: EventsError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_answered", error.to_string()).retry()
}

fn open(
    api: &Api,
    after: Option<EventId>,
    arrival: Option<Arrival>,
    bearer: Option<Bearer>,
    place: Option<Place>,
) -> Result<Response, Problem> {
    let right = bearer_right(bearer.as_ref());
    let own = arrival.is_some_and(|arrival| arrival.is_own());
    let counted = match (&bearer, arrival) {
        (Some(bearer), Some(arrival)) => bearer.counted(arrival),
        _ => None,
    };
    let permit = api.streams.take(own, counted).map_err(full)?;
    // Its connection is not an idle one.
    let work = place.map(|place| place.work());
    let ended = {
        let api = api.clone();
        // A stream can outlive the token that it was opened with.
        Box::pin(async move { authority::ended(&api, bearer).await })
    };
    let events = api.handle.events();
    let (follower, begins_anew) = match after.map(|after| events.resolve(after)) {
        None => (events.follow(None), None),
        Some(Ok(at)) => (events.follow(Some(at)), None),
        Some(Err(why)) => (events.follow(events.resolve(why.after).ok()), Some(why)),
    };
    let mut opening = b": listening\n".to_vec();
    match begins_anew {
        Some(why) => write_reset(&mut opening, why),
        // The place to go on from, though nothing has come yet.
        None => opening.extend_from_slice(format!("id: {}\n\n", follower.place()).as_bytes()),
    }
    let source = (follower, api.stopping.subscribe(), ended, (permit, work));
    let rest = stream::unfold(source, move |(mut follower, mut stopping, mut ended, kept)| async move {
        let block = tokio::select! {
            biased;
            _ = &mut ended => None,
            _ = stopping.wait_for(|stopping| *stopping) => None,
            block = next(&mut follower, right) => block,
        };
        block.map(|block| (Ok::<_, Infallible>(block), (follower, stopping, ended, kept)))
    });
    let blocks = stream::once(async { Ok(Bytes::from(opening)) }).chain(rest);
    let mut response = Response::new(Body::from_stream(blocks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // What ends a stream ends its connection too: nothing more is asked for over it.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// The next blocks of a stream; none at its end.
async fn next(follower: &mut Follower, right: Right) -> Option<Bytes> {
    let taken = match tokio::time::timeout(KEEP_ALIVE, follower.take()).await {
        Err(_) => return Some(Bytes::from_static(b": alive\n\n")),
        Ok(Err(EventsError::Stopping)) => return None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a stream of events ends, since older ones cannot be read");
            return None;
        }
        Ok(Ok(taken)) => taken,
    };
    let Taken { reset, events, signals } = taken;
    let mut blocks = Vec::new();
    if let Some(why) = reset {
        write_reset(&mut blocks, why);
    }
    for event in &events {
        write_event(&mut blocks, event, right);
    }
    for signal in &signals {
        write_signal(&mut blocks, signal);
    }
    Some(blocks.into())
}

fn write_event(blocks: &mut Vec<u8>, event: &Arc<runtime::Event>, right: Right) {
    if !scopes::hears(right, event.kind()) {
        // The place to go on from, all the same.
        blocks.extend_from_slice(format!("id: {}\n\n", event.id).as_bytes());
        return;
    }
    // JSON has no line breaks of its own.
    let block = format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.kind(), event.json);
    blocks.extend_from_slice(block.as_bytes());
}

fn write_signal(blocks: &mut Vec<u8>, signal: &Signal) {
    if let Ok(json) = serde_json::to_string(signal) {
        blocks.extend_from_slice(format!("event: {}\ndata: {json}\n\n", signal.kind()).as_bytes());
    }
}

fn write_reset(blocks: &mut Vec<u8>, why: runtime::Reset) {
    let reset = reset(why);
    if let Ok(json) = serde_json::to_string(&reset) {
        let block = format!("id: {}\nevent: reset\ndata: {json}\n\n", reset.after);
        blocks.extend_from_slice(block.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_of(accept: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        form(&headers).ok().map(|form| match form {
            Form::Stream => "stream",
            Form::Page => "page",
        })
    }

    #[test]
    fn who_asks_for_json_gets_a_page_and_everybody_else_the_stream() {
        for (accept, wanted) in [
            (&[][..], Some("stream")),
            (&["*/*"], Some("stream")),
            (&["text/event-stream"], Some("stream")),
            (&["Text/Event-Stream, application/json"], Some("stream")),
            (&["application/json"], Some("page")),
            (&["application/json, text/event-stream"], Some("page")),
            (&["application/json", "*/*;q=0.1"], Some("page")),
            (&["application/json;q=0.2, text/event-stream;q=0.9"], Some("stream")),
            (&["application/json;q=0, text/event-stream"], Some("stream")),
            (&["image/png"], None),
            (&["application/json;q=0"], None),
        ] {
            assert_eq!(form_of(accept), wanted, "{accept:?}");
        }
    }
}
