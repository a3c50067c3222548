//! What is wrong with this device: the list that `popmesh doctor` prints.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::Method;
use axum::{Extension, Json};
use popmesh_proto::query::{Answer, Check, ClaimFilter, DeviceInfo, Query, RetirementRisk};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::authority::Bearer;
use super::called;
use super::openapi::QueryProblems;
use super::problem::Problem;
use super::request::Filter;
use super::scopes;
use super::service::{Api, only};
use crate::access::Right;
use crate::clock::now_ms;
use crate::health::{self, Answers, Finding, Severity};
use crate::runtime::StoreHealth;

/// How long what takes looking at every entry is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Of so many devices that are out of reach it is said what is with them.
const AWAY_MAX: usize = 32;

/// What takes looking at every entry, and when it was looked at. Who holds the lock looks for all that wait.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Check, u64)>>);

/// Everything that was looked at, what is worst first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthList {
    /// The worst of them.
    pub worst: Severity,
    /// As of when, Unix milliseconds by this device's clock.
    pub as_of_ms: u64,
    /// One finding at least for each thing that was looked at.
    pub items: Vec<Finding>,
}

/// Whether what was looked at lately will do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freshness {
    #[serde(default)]
    fresh: bool,
}

/// What is wrong with this device, in words, with the next step
///
/// The same as `popmesh doctor` prints. Each finding has a code and the values in its words, for pages in other languages; one whose code a
/// client does not know says it in English. The books and what waits too long are looked at once a minute at most, unless `fresh` is
/// asked for: that takes looking at every entry.
#[utoipa::path(
    get, path = "/v1/health/list", operation_id = "health_list", tag = "observe",
    params(("fresh" = Option<bool>, Query, description = "Look at the books now, whatever that takes")),
    responses((status = 200, description = "What was looked at, what is worst first", body = HealthList), QueryProblems)
)]
pub(super) async fn list(
    State(api): State<Api>,
    bearer: Option<Extension<Bearer>>,
    Filter(Freshness { fresh }): Filter<Freshness>,
) -> Result<Json<HealthList>, Problem> {
    let mut items = match api.folder.clone() {
        Some(folder) => spawn_blocking(move || health::here(&folder)).await.unwrap_or_default(),
        None => Vec::new(),
    };
    items.extend(of_node(&api, fresh).await?);
    let right = bearer.map_or(Right::Owner, |Extension(bearer)| bearer.right());
    items.retain(|finding| may_know(right, &finding.check));
    // In the order in which they were looked at where they matter alike.
    items.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let worst = items.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    Ok(Json(HealthList { worst, as_of_ms: now_ms(), items }))
}

/// Whether a caller may know of what was looked at: nobody hears here of what it may not ask for.
fn may_know(right: Right, check: &str) -> bool {
    const ROUTES: &[(&str, &str)] = &[
        ("incidents", "/v1/incidents"),
        ("doors", "/v1/doors"),
        ("payments", "/v1/payments/waiting"),
        ("pickup", "/v1/claims"),
    ];
    let route = ROUTES.iter().find(|(of, _)| *of == check);
    route.is_none_or(|(_, route)| scopes::allow(right, &Method::GET, route))
}

/// What the node says of itself. While nothing can be written down it answers nothing else, since what it has in memory may be more
/// than what is stored.
async fn of_node(api: &Api, fresh: bool) -> Result<Vec<Finding>, Problem> {
    let answers = answers(api, fresh).await;
    match api.handle.health().await? {
        failing @ StoreHealth::Failing { .. } => Ok(vec![health::of_store(&failing)]),
        StoreHealth::Writable => Ok(health::of_device(&answers?)),
    }
}

async fn answers(api: &Api, fresh: bool) -> Result<Answers, Problem> {
    let devices = called::devices(api).await?;
    let doors = api.doors.as_ref().and_then(|doors| doors.virtual_doors());
    let doors = doors.map(|doors| doors.all()).unwrap_or_default();
    let jammed =
        doors.into_iter().filter(|door| door.jammed).map(|door| door.compartment.to_string()).collect();
    let (check, late) = looked(api, fresh).await?;
    Ok(Answers {
        status: api.ask(Query::Status, only!(Answer::Status)).await?,
        check,
        away: away(api, &devices).await?,
        devices,
        incidents: api.ask(Query::Incidents, only!(Answer::Incidents)).await?,
        doors: api.ask(Query::Doors, only!(Answer::Doors)).await?,
        jammed,
        payments: api.ask(Query::WaitingPayments, only!(Answer::WaitingPayments)).await?,
        late,
        mesh: api.mesh.snapshot().await,
    })
}

/// The books, and how many claims wait here longer than they may.
async fn looked(api: &Api, fresh: bool) -> Result<(Check, u64), Problem> {
    let mut looked = api.looked.0.lock().await;
    if let Some((at, check, late)) = looked.as_ref().filter(|_| !fresh)
        && at.elapsed() < GOOD_FOR
    {
        return Ok((check.clone(), *late));
    }
    let check = api.ask(Query::Check, only!(Answer::Check)).await?;
    let late = ClaimFilter {
        custodian: Some(api.device),
        late: Some(true),
        limit: Some(1),
        ..ClaimFilter::default()
    };
    let late = api.ask(Query::Claims(late), only!(Answer::Claims)).await?.count;
    *looked = Some((Instant::now(), check.clone(), late));
    Ok((check, late))
}

/// What is with devices that are out of reach.
async fn away(api: &Api, devices: &[DeviceInfo]) -> Result<Vec<RetirementRisk>, Problem> {
    let is_away = |info: &&DeviceInfo| {
        !info.reachable && info.retired_by.is_none() && info.left_to.is_none() && info.device != api.device
    };
    let mut away = Vec::new();
    for info in devices.iter().filter(is_away).take(AWAY_MAX) {
        // One that was retired meanwhile, or is none of whom that can be asked, has nothing.
        away.extend(api.ask(Query::Retirement(info.device), only!(Answer::Retirement)).await?.ok());
    }
    Ok(away)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scope;

    #[test]
    fn nobody_is_told_what_is_wrong_with_what_it_may_not_look_at() {
        let may = |scope, check| may_know(Right::Scoped(scope), check);
        assert!(may(Scope::Till, "payments") && !may(Scope::Locker, "payments"));
        assert!(may(Scope::Locker, "doors") && !may(Scope::Encoder, "doors"));
        assert!(!may(Scope::Encoder, "incidents") && may(Scope::Encoder, "clock"));
        assert!(may_know(Right::Owner, "payments"));
    }
}
