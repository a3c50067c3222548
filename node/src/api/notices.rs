//! `GET /v1/notices`: what happens, as it happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures::stream::{self, StreamExt};
use popmesh_proto::io::Notice;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::authority::{self, Bearer};
use super::guard::{Arrival, full};
use super::openapi::QueryProblems;
use super::places::Place;
use super::problem::Problem;
use super::service::Api;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The data of the event `missed`: the reader was too slow, and what it shows may be stale. It should ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Missed {
    /// How many notices were lost.
    pub missed: u64,
}

/// What happens, as it happens
///
/// Server-sent events. Each has the notice's kind as its event name and the notice as JSON data; the event `missed`
/// says that the reader was too slow and how many it lost. A comment comes at the beginning and every 15 seconds.
#[utoipa::path(
    get, path = "/v1/notices", operation_id = "events_follow", tag = "observe",
    responses((status = 200, description = "Notices from now on", body = Notice, content_type = "text/event-stream"), QueryProblems)
)]
pub(super) async fn notices(
    State(api): State<Api>,
    arrival: Option<Extension<Arrival>>,
    bearer: Option<Extension<Bearer>>,
    place: Option<Extension<Place>>,
) -> Result<Response, Problem> {
    let own = arrival.is_some_and(|Extension(arrival)| arrival.is_own());
    let bearer = bearer.map(|Extension(bearer)| bearer);
    let counted = match (&bearer, arrival) {
        (Some(bearer), Some(Extension(arrival))) => bearer.counted(arrival),
        _ => None,
    };
    let permit = api.streams.take(own, counted).map_err(full)?;
    // Its connection is not an idle one.
    let work = place.map(|Extension(place)| place.work());
    let ended = {
        let api = api.clone();
        // A stream can outlive the token that it was opened with.
        Box::pin(async move { authority::ended(&api, bearer).await })
    };
    let source = (api.handle.notices(), api.stopping.subscribe(), ended, (permit, work));
    let events = stream::unfold(source, |(mut notices, mut stopping, mut ended, kept)| async move {
        let event = tokio::select! {
            biased;
            _ = &mut ended => None,
            event = next(&mut notices, &mut stopping) => event,
        };
        event.map(|event| (Ok::<_, Infallible>(event), (notices, stopping, ended, kept)))
    });
    let opening = stream::once(async { Ok(Event::default().comment("listening")) });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    let mut response = Sse::new(opening.chain(events)).keep_alive(keep_alive).into_response();
    // What ends a stream ends its connection too: nothing more is asked for over it.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

async fn next(
    notices: &mut broadcast::Receiver<Notice>,
    stopping: &mut watch::Receiver<bool>,
) -> Option<Event> {
    let received = tokio::select! {
        received = notices.recv() => received,
        _ = stopping.wait_for(|stopping| *stopping) => return None,
    };
    match received {
        Ok(notice) => Some(event(&kind(&notice), &notice)),
        Err(broadcast::error::RecvError::Lagged(missed)) => Some(event("missed", &Missed { missed })),
        Err(broadcast::error::RecvError::Closed) => None,
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    match serde_json::to_string(data) {
        Ok(json) => event.data(json),
        Err(error) => event.data(error.to_string().replace(['\r', '\n'], " ")),
    }
}

fn kind(notice: &Notice) -> String {
    serde_json::to_value(notice)
        .ok()
        .and_then(|value| value.get("notice")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| "notice".to_owned())
}
