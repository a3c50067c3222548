//! Routes about money: the rules for it, payments that are authorised later, receipts and takings.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::command::{Command, EventRules, LimitSet, Reply, RulesSet, SettlePayment, Settled};
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Answer, Query, Receipt, ReceiptFilter, Takings, TakingsFilter, WaitingPayment};
use serde::Deserialize;

use super::idempotency::Key;
use super::named::ClaimBody;
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, Since, SinceParam};
use super::problem::Problem;
use super::request::{Body, Filter, Name};
use super::service::{Api, only};
use super::write::{Done, done, made};
use crate::clock::zone;
use crate::receipt;

/// Changes the event's rules for tax, cash and large wishes
///
/// On an hq. What is absent stays as it is. Sales that were made keep what was reckoned then.
#[utoipa::path(
    post, path = "/v1/rules", operation_id = "rules_set", tag = "act", request_body = RulesSet, params(IdempotencyHeader),
    responses((status = 200, description = "The rules from now on", body = EventRules), CommandProblems)
)]
pub(super) async fn set_rules(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<RulesSet>,
) -> Result<Done<EventRules>, Problem> {
    done(&api, &key, body, Command::RulesSet, StatusCode::OK, only!(Reply::Rules)).await
}

/// Sets how much of a device's sales may wait to be authorised at once
///
/// On an hq. A device without a limit of its own has that of all; without an amount, the limit is taken away.
#[utoipa::path(
    post, path = "/v1/limits", operation_id = "limits_set", tag = "act", request_body = LimitSet, params(IdempotencyHeader),
    responses((status = 200, description = "The rules from now on", body = EventRules), CommandProblems)
)]
pub(super) async fn set_limit(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<LimitSet>,
) -> Result<Done<EventRules>, Problem> {
    done(&api, &key, body, Command::LimitSet, StatusCode::OK, only!(Reply::Rules)).await
}

/// Says what became of a payment that was to be authorised later
///
/// On the device that sold. It no longer counts against the limit; if it failed, it is an incident.
#[utoipa::path(
    post, path = "/v1/settlements", operation_id = "settlements_create", tag = "act", request_body = SettlePayment, params(IdempotencyHeader),
    responses((status = 201, description = "It is written down", body = Settled, headers(("Location" = String, description = "Where it can be fetched, on any device of the event that has heard of it"))), CommandProblems)
)]
pub(super) async fn settle_payment(
    State(api): State<Api>,
    key: Key,
    ClaimBody(body): ClaimBody<SettlePayment>,
) -> Result<Done<Settled>, Problem> {
    made(&api, &key, body, Command::SettlePayment, only!(Reply::Settled)).await
}

/// Payments that wait to be authorised, here and elsewhere
#[utoipa::path(
    get, path = "/v1/payments/waiting", operation_id = "payments_waiting", tag = "look up",
    params(SinceParam, PageParams),
    responses((status = 200, description = "Payments", body = List<WaitingPayment>), QueryProblems)
)]
pub(super) async fn waiting(
    State(api): State<Api>,
    Listed { filter: since, page }: Listed<Since>,
) -> Result<Json<List<WaitingPayment>>, Problem> {
    let mut waiting = api.ask(Query::WaitingPayments, only!(Answer::WaitingPayments)).await?;
    waiting.retain(|payment| since.has(payment.at_ms));
    page.cut(waiting, |payment| (payment.claim, payment.payment))
}

/// Receipts of a device, the highest number first
#[utoipa::path(
    get, path = "/v1/receipts", operation_id = "receipts_list", tag = "look up",
    params(
        ("device" = Option<String>, Query, description = "Of this device; of the one asked if absent"),
        SinceParam,
        PageParams,
    ),
    responses((status = 200, description = "Receipts", body = List<Receipt>), QueryProblems)
)]
pub(super) async fn receipts(
    State(api): State<Api>,
    Listed { mut filter, page }: Listed<ReceiptFilter>,
) -> Result<Json<List<Receipt>>, Problem> {
    (filter.after, filter.limit) = (page.after()?, Some(page.limit()));
    api.ask(Query::Receipts(filter), only!(Answer::Receipts)).await.map(|part| Json(page.given(part)))
}

/// A receipt's device and number, as they stand in the path.
pub(super) struct ReceiptName {
    device: DeviceId,
    number: u64,
}

impl FromStr for ReceiptName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (device, number) = text.split_once('/').unwrap_or((text, ""));
        let device = device.parse().map_err(|error: popmesh_proto::id::IdError| error.to_string())?;
        let number = number.parse().ok().filter(|number| *number > 0);
        let number = number.ok_or("a receipt's number is a whole number from 1")?;
        Ok(Self { device, number })
    }
}

/// How a receipt is given.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// The data.
    #[default]
    Json,
    /// Text of 48 columns, for an 80 mm printer.
    Text,
    /// A page that prints.
    Html,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptFormat {
    #[serde(default)]
    format: Format,
}

/// One receipt: as data, as text for an 80 mm printer (48 columns), or as a page
#[utoipa::path(
    get, path = "/v1/receipts/{device}/{number}", operation_id = "receipts_get", tag = "look up",
    params(
        ("device" = String, Path, description = "Whose"),
        ("number" = u64, Path, description = "Its number, from 1"),
        ("format" = Option<Format>, Query, description = "`json` if absent, `text` or `html`"),
    ),
    responses(
        (status = 200, description = "The receipt", content(
            (Receipt = "application/json"), (String = "text/plain"), (String = "text/html")
        )),
        QueryProblems
    )
)]
pub(super) async fn receipt(
    State(api): State<Api>,
    Name(ReceiptName { device, number }): Name<ReceiptName>,
    Filter(ReceiptFormat { format }): Filter<ReceiptFormat>,
) -> Result<Response, Problem> {
    let query = Query::Receipt { device: Some(device), number };
    let found = (*api.ask(query, only!(Answer::Receipt)).await?)?;
    let of = |kind: &'static str, text: String| ([(header::CONTENT_TYPE, kind)], text).into_response();
    Ok(match format {
        Format::Json => Json(found).into_response(),
        Format::Text => of("text/plain; charset=utf-8", receipt::slip(&found, &zone())),
        Format::Html => of("text/html; charset=utf-8", receipt::page(&found, &zone())),
    })
}

/// What devices took and paid back, by tender: the base of their closings
#[utoipa::path(
    get, path = "/v1/takings", operation_id = "takings_list", tag = "look up",
    params(("device" = Option<String>, Query, description = "Of this device only; of all if absent"), PageParams),
    responses((status = 200, description = "Takings by device", body = List<Takings>), QueryProblems)
)]
pub(super) async fn takings(
    State(api): State<Api>,
    Listed { filter, page }: Listed<TakingsFilter>,
) -> Result<Json<List<Takings>>, Problem> {
    page.cut(api.ask(Query::Takings(filter), only!(Answer::Takings)).await?, |takings| takings.device)
}
