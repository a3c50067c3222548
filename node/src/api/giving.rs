//! What gives away what this device has: who may do it, and how much of it. See DECISIONS.
//!
//! What could empty the device in one call is for its owner and for managers, and says in its body which device it is and
//! how much: the device refuses it if that is not so, and tells what is. What a till or a locker has to do every day, taking
//! one broken unit out of sale, handing one claim on, stays theirs, one at a time, and so many of them an hour: six units and twenty claims
//! at once, and then one a minute.

use std::convert::Infallible;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use popmesh_proto::command::{AcceptPast, LateClaims, Leave, LostPast, Stake, Sweep, Units};
use popmesh_proto::id::DeviceId;
use popmesh_proto::text::DropId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::authority::{Bearer, wrong_scope};
use super::problem::Problem;
use super::scopes;
use super::service::Api;
use crate::access::{Given, Right, Scope};

/// Who asks: whoever owns the device, or a token.
pub(super) struct Who(Option<Bearer>);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Bearer>().cloned()))
    }
}

impl Who {
    /// Whether this is the device's owner, or one of its managers.
    pub(super) fn answers_for_the_device(&self) -> bool {
        self.lesser().is_none()
    }

    /// Whether this is the device's owner.
    pub(super) fn owns(&self) -> bool {
        self.0.as_ref().is_none_or(|bearer| bearer.right() == Right::Owner)
    }

    /// Lets who may use this route do what it does, by another one.
    pub(super) fn may_use(&self, method: &Method, route: &str) -> Result<(), Problem> {
        match &self.0 {
            Some(bearer) if !scopes::allow(bearer.right(), method, route) => {
                Err(wrong_scope(bearer.right(), method, route))
            }
            _ => Ok(()),
        }
    }

    /// A token that may not empty the device.
    fn lesser(&self) -> Option<(&Bearer, Scope)> {
        let bearer = self.0.as_ref()?;
        match bearer.right() {
            Right::Owner | Right::Scoped(Scope::Manager) => None,
            Right::Scoped(scope) => Some((bearer, scope)),
        }
    }

    /// Lets so many units or claims be given away.
    pub(super) fn may_give(&self, api: &Api, what: Given, count: u64) -> Result<(), Problem> {
        let Some((bearer, scope)) = self.lesser() else { return Ok(()) };
        if count > 1 {
            let detail = format!(
                "with a token of scope {scope} one unit at a time; more wants one of scope manager, or do it on the device \
                 itself"
            );
            return Err(
                Problem::new(StatusCode::FORBIDDEN, "one_at_a_time", detail).with("scope", scope.to_string())
            );
        }
        api.throttle.may_give(what, bearer.id(), Instant::now()).map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let detail = format!(
                "so much was given away with this token that it waits {seconds} s; whoever answers for the device can go on \
                 with one of scope manager"
            );
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "gives_too_much", detail);
            Problem { retry_after_s: Some(seconds), ..problem }
        })
    }
}

/// How many units these are.
pub(super) fn count(units: &Units) -> u64 {
    match units {
        Units::Count(count) => *count,
        Units::Serials(serials) => serials.len(),
    }
}

/// Everything is to be given away: by whom, and how much that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveNow {
    /// Who gets it; an hq in reach if absent, or else who sells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<popmesh_proto::id::DeviceName>)]
    pub to: Option<DeviceId>,
    /// The device that is to leave: this one.
    #[schema(value_type = popmesh_proto::id::DeviceName)]
    pub device: DeviceId,
    /// The units that it holds, as `GET /v1/devices/{device}/retirement` shows them in `held`.
    pub units: u64,
    /// The claims that wait with it, as the same shows them in `claims`.
    pub claims: u64,
}

impl From<LeaveNow> for Leave {
    fn from(now: LeaveNow) -> Self {
        let LeaveNow { to, device, units, claims } = now;
        Self { to, seen: Some(Stake { device, units, claims }) }
    }
}

/// Somebody answers for what a device has forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PastAcceptance {
    /// The device: this one.
    #[schema(value_type = popmesh_proto::id::DeviceName)]
    pub device: DeviceId,
    /// The entries that are missing, as `GET /v1/status` shows them in `past`.
    pub entries: u64,
}

impl From<PastAcceptance> for AcceptPast {
    fn from(PastAcceptance { device, entries }: PastAcceptance) -> Self {
        Self { seen: Some(LostPast { device, entries }) }
    }
}

/// What nobody came for is to be taken back: where, and how much that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepNow {
    /// The drop.
    pub drop: DropId,
    /// The device whose custody the claims are in: this one.
    #[schema(value_type = popmesh_proto::id::DeviceName)]
    pub device: DeviceId,
    /// The claims of the drop that are late here. Whoever does not know says 0, and is told.
    pub claims: u64,
}

impl From<SweepNow> for Sweep {
    fn from(SweepNow { drop, device, claims }: SweepNow) -> Self {
        Self { drop, seen: Some(LateClaims { device, claims }) }
    }
}
