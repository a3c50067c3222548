//! `GET /v1/notices`: what happens, as it happens, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures::stream::{self, StreamExt};
use popmesh_proto::io::Notice;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::authority::Bearer;
use super::openapi::QueryProblems;
use super::problem::Problem;
use super::service::{Api, MAX_STREAMS};

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
    get, path = "/v1/notices", tag = "observe",
    responses((status = 200, description = "Notices from now on", body = Notice, content_type = "text/event-stream"), QueryProblems)
)]
pub(super) async fn notices(
    State(api): State<Api>,
    bearer: Option<Extension<Bearer>>,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            format!("{MAX_STREAMS} readers listen already; close one"),
        )
        .retry()
    })?;
    let source = (api.handle.notices(), api.stopping.subscribe(), permit);
    let events = stream::unfold(source, move |(mut notices, mut stopping, permit)| {
        let (api, bearer) = (api.clone(), bearer.clone());
        async move {
            let event = next(&mut notices, &mut stopping).await?;
            // A stream can outlive the token that it was opened with.
            if bearer.is_some_and(|Extension(bearer)| !bearer.still_good(&api)) {
                return None;
            }
            Some((Ok::<_, Infallible>(event), (notices, stopping, permit)))
        }
    });
    let opening = stream::once(async { Ok(Event::default().comment("listening")) });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    Ok(Sse::new(opening.chain(events)).keep_alive(keep_alive).into_response())
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
