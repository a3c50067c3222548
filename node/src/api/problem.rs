//! Problem details (RFC 9457): the one shape of every answer that is not what was asked for.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::command::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::runtime::CallError;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

const RETRY_AFTER_S: u32 = 1;

/// What went wrong, why, and what to do (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:popmesh:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:popmesh:problem:sold_out")]
    pub kind: String,
    /// The kind of problem in a few words, the same every time.
    #[schema(example = "sold out")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What is wrong this time, and what to do about it.
    #[schema(example = "CAP-RED is sold out: all 100 units are sold or taken out of sale")]
    pub detail: String,
    /// The kind of problem for programs; each refusal's code, or one of the API's own.
    #[schema(example = "sold_out")]
    pub code: String,
    /// In how many seconds to try again, if that can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// Facts of this kind of problem; for a refusal, its own fields.
    #[serde(flatten)]
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    pub facts: Box<Map<String, Value>>,
}

impl Problem {
    /// A problem of the API's own.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:popmesh:problem:{code}"),
            title: code.replace('_', " "),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            retry_after_s: None,
            facts: Box::default(),
        }
    }

    /// A part of the request that is well-formed but cannot be.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Refusal::Invalid { field: field.into(), problem: problem.into() }.into()
    }

    /// An answer of the runtime that does not fit the question: a defect of this program.
    pub(crate) fn mismatch() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "this node answered another question than the one asked; restart it, and report this with its log",
        )
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// The same, as a conflict with what is kept, if that is what it is: the key was used for something else.
    #[must_use]
    pub(crate) fn or_conflict(mut self) -> Self {
        if matches!(self.code.as_str(), "key_reused" | "key_of_another") {
            self.status = StatusCode::CONFLICT.as_u16();
        }
        self
    }

    /// The same, saying that trying again soon can help.
    #[must_use]
    pub fn retry(mut self) -> Self {
        self.retry_after_s = Some(RETRY_AFTER_S);
        self
    }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownSku { .. }
        | Refusal::UnknownDrop { .. }
        | Refusal::UnknownVenue { .. }
        | Refusal::UnknownDevice { .. }
        | Refusal::UnknownClaim { .. }
        | Refusal::UnknownEntry { .. }
        | Refusal::NoDoor { .. }
        | Refusal::UnknownCart { .. }
        | Refusal::UnknownIncident { .. }
        | Refusal::UnknownPersonal { .. }
        | Refusal::NothingToUndo
        | Refusal::NoSuchClaim { .. }
        | Refusal::UnknownReceipt { .. } => StatusCode::NOT_FOUND,
        Refusal::Invalid { .. }
        | Refusal::KeyOfAnother { .. }
        | Refusal::Token { .. }
        | Refusal::PaymentsDiffer { .. }
        | Refusal::CashShort { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::RoleForbids { .. }
        | Refusal::Unattended { .. }
        | Refusal::Certificate { .. }
        | Refusal::PinNeeded { .. }
        | Refusal::WrongPin { .. }
        | Refusal::PinLocked { .. }
        | Refusal::Retired { .. }
        | Refusal::NotRegistrar { .. }
        | Refusal::Suspended { .. }
        | Refusal::Left { .. } => StatusCode::FORBIDDEN,
        Refusal::PastUnknown { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::ClocksDisagree(_)
        | Refusal::AmbiguousDrop { .. }
        | Refusal::DropExists { .. }
        | Refusal::DropNotOpen { .. }
        | Refusal::StepUnfit { .. }
        | Refusal::AnnouncedTooMany { .. }
        | Refusal::SerialOverlap { .. }
        | Refusal::Frozen { .. }
        | Refusal::NotHeld { .. }
        | Refusal::SoldOut { .. }
        | Refusal::HeldElsewhere { .. }
        | Refusal::CartElsewhere { .. }
        | Refusal::CartOutOfReach { .. }
        | Refusal::RiskChanged { .. }
        | Refusal::NotAsSaid { .. }
        | Refusal::NotCustodian { .. }
        | Refusal::DoorElsewhere { .. }
        | Refusal::DoorOpening { .. }
        | Refusal::DoorDone { .. }
        | Refusal::NoDriver
        | Refusal::AlreadyRedeemed { .. }
        | Refusal::AlreadyRefunded { .. }
        | Refusal::AlreadyDone { .. }
        | Refusal::NotTheLast { .. }
        | Refusal::CannotUndo { .. }
        | Refusal::AmbiguousClaim { .. }
        | Refusal::DeferredLimit { .. }
        | Refusal::NotDeferred { .. } => StatusCode::CONFLICT,
        Refusal::NotStored { .. } | Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let mut facts = match serde_json::to_value(&refusal) {
            Ok(Value::Object(facts)) => facts,
            _ => Map::new(),
        };
        let code = match facts.remove("code") {
            Some(Value::String(code)) => code,
            _ => "refused".to_owned(),
        };
        let problem =
            Self { facts: Box::new(facts), ..Self::new(status_of(&refusal), &code, refusal.to_string()) };
        match refusal {
            Refusal::Busy | Refusal::DoorOpening { .. } => problem.retry(),
            Refusal::PinLocked { unlock_in_ms: Some(wait_ms), .. } if wait_ms > 0 => {
                let seconds = u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
                Self { retry_after_s: Some(seconds), ..problem }
            }
            _ => problem,
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let detail = error.to_string();
        match error {
            CallError::Refused(refusal) => refusal.into(),
            CallError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail),
            CallError::InProgress => Self::new(StatusCode::CONFLICT, "in_progress", detail).retry(),
            CallError::Unreadable { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
            }
            CallError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry(),
            CallError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "this node is stopping; start it again with `popmesh run`",
            ),
        }
    }
}

/// What a response's problem was, for who counts them.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its code.
    pub(super) code: String,
    /// The scope that does not allow it, if that is why.
    pub(super) scope: Option<String>,
}

impl Told {
    fn of(problem: &Problem) -> Self {
        let scope = problem.facts.get("scope").and_then(Value::as_str).map(str::to_owned);
        Self { code: problem.code.clone(), scope }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        response.extensions_mut().insert(Told::of(&self));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"popmesh\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusals_fields_stand_beside_the_standard_ones() {
        let refusal = Refusal::SoldOut { sku: "CAP".parse().unwrap(), minted: 100 };
        let value = serde_json::to_value(Problem::from(refusal)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "type": "urn:popmesh:problem:sold_out", "title": "sold out", "status": 409, "code": "sold_out",
                "detail": "CAP is sold out: all 100 units are sold or taken out of sale",
                "sku": "CAP", "minted": 100,
            })
        );
    }
}
