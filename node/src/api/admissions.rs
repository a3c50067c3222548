//! Admitting devices from a page: windows that are open for a while, for the device that shows a code, or for those that show
//! a ticket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::Role;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::Place;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle as Tokio;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::idempotency::{IDEMPOTENCY_REPLAYED, Key};
use super::openapi::{CommandProblems, IdempotencyHeader, QueryProblems};
use super::page::{List, Listed, PageParams, Unfiltered};
use super::problem::Problem;
use super::request::{Body, Name, NoBody};
use super::service::Api;
use crate::enrol::{EnrolError, Grant, Validity};
use crate::folder::Folder;
use crate::join::{
    By, Invitation, Known, MAX_COUNT, Opening, State as Progress, Window, WindowError, Windows,
};
use crate::qr::Code;
use crate::runtime::Handle;

/// How long a window is open unless somebody says otherwise, and at most, milliseconds: for a code, and for a ticket.
const CODE_MS: (u64, u64) = (60_000, 600_000);
const TICKET_MS: (u64, u64) = (600_000, 86_400_000);
/// For how many days devices are admitted unless somebody says otherwise, and at most.
const DAYS: (u32, u32) = (7, 366);
/// Characters of a prefix of names.
const PREFIX_MAX: usize = 40;

/// A window that is to be opened: with a code for the device that shows it, without one for those that show a ticket, which is
/// made.
// Not `Debug`, so that no log can show the code.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionNew {
    /// What the new device shows: its code, or the text of its QR code.
    #[serde(default)]
    pub code: Option<String>,
    /// What the devices may do.
    pub roles: Vec<Role>,
    /// Where they stand.
    pub venue: Place,
    /// With a code: another name than the one that the device proposes.
    #[serde(default)]
    pub name: Option<String>,
    /// Without a code: what the names of the devices begin with; it is put in front of those that do not.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Without a code: how many devices may come; one if absent.
    #[serde(default)]
    pub count: Option<u32>,
    /// For how many days they are admitted; seven if absent.
    #[serde(default)]
    pub days: Option<u32>,
    /// Instead of `days`, until when, Unix milliseconds.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// For how long the window is open, milliseconds: a minute for a code and ten minutes for a ticket if absent; ten minutes and a
    /// day at most.
    #[serde(default)]
    pub open_ms: Option<u64>,
    /// With a code: where the device is, such as `192.0.2.7:4001`, instead of looking for it by mDNS.
    #[serde(default)]
    pub at: Option<String>,
    /// With a code: give a name that another device has, which is gone for good.
    #[serde(default)]
    pub reuse_name: bool,
}

/// A window for new devices.
// Not `Debug`, so that no log can show the ticket.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Admission {
    /// Names it.
    #[schema(example = "5f0c1d2e3a4b5c6d")]
    pub admission: String,
    /// `code` or `ticket`.
    pub by: AdmissionBy,
    /// How it is.
    pub state: Progress,
    /// What devices are made.
    pub roles: Vec<Role>,
    /// Where they stand.
    pub venue: Place,
    /// Which name the device gets, if not the one that it proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the names of the devices begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How many may come.
    pub count: u32,
    /// When it was opened, Unix milliseconds.
    pub opened_ms: u64,
    /// Until when it is, or was to be, open, Unix milliseconds.
    pub until_ms: u64,
    /// What the new devices are given, while it is open. Whoever has it can join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<AdmissionTicket>,
    /// Who came.
    pub admitted: Vec<AdmittedDevice>,
    /// The last ten who were not let in, the latest first.
    pub refused: Vec<AdmissionKnock>,
    /// How many were not let in.
    pub refusals: u64,
    /// Why it failed, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// By what devices come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionBy {
    /// By the code that a device shows.
    Code,
    /// By a ticket.
    Ticket,
}

/// The ticket of a window.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct AdmissionTicket {
    /// Names it; no secret.
    pub id: String,
    /// What a new device is given: a line of text, for `popmesh join --ticket -`.
    pub text: String,
    /// The same as a QR code, SVG.
    pub qr_svg: String,
    /// Where it is served: for `--at`, where a device does not find it by itself.
    pub addresses: Vec<String>,
}

/// A device that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdmittedDevice {
    /// Its key.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Where it stands.
    pub venue: Place,
    /// Until when, Unix milliseconds.
    pub until_ms: u64,
    /// When it was admitted, Unix milliseconds.
    pub at_ms: u64,
    /// From where it came.
    pub address: String,
    /// What there is to say of its clock, or of the end of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Somebody who was not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdmissionKnock {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// From where.
    pub address: String,
    /// Why not.
    pub why: String,
}

impl From<Window> for Admission {
    fn from(window: Window) -> Self {
        let Window { id, opening, state, opened_ms, until_ms, ticket, admitted, knocks, refusals, why } =
            window;
        let (by, count, prefix) = match opening.by {
            By::Code(_) => (AdmissionBy::Code, 1, None),
            By::Ticket { count, prefix } => (AdmissionBy::Ticket, count, prefix),
        };
        let ticket = ticket.filter(|_| state == Progress::Open).map(|(ticket, addresses)| {
            let text = ticket.to_text();
            // It is far shorter than a code can be.
            let qr_svg = Code::new(&text).map(|code| code.svg()).unwrap_or_default();
            let addresses = addresses.iter().map(ToString::to_string).collect();
            AdmissionTicket { id: ticket.id.to_string(), text, qr_svg, addresses }
        });
        Self {
            admission: hex::encode(id),
            by,
            state,
            roles: opening.grant.roles.iter().collect(),
            venue: opening.grant.venue,
            name: opening.grant.name,
            prefix,
            count,
            opened_ms,
            until_ms,
            ticket,
            admitted: admitted
                .into_iter()
                .map(|came| AdmittedDevice {
                    device: came.certificate.device,
                    name: came.certificate.name.clone(),
                    roles: came.certificate.roles.iter().collect(),
                    venue: came.certificate.venue.clone(),
                    until_ms: came.certificate.not_after_ms,
                    at_ms: came.at_ms,
                    address: came.address.to_string(),
                    note: came.note,
                })
                .collect(),
            refused: knocks
                .into_iter()
                .map(|knock| AdmissionKnock {
                    at_ms: knock.at_ms,
                    address: knock.address.to_string(),
                    why: knock.why,
                })
                .collect(),
            refusals,
            why,
        }
    }
}

/// The ID in a path.
pub(super) struct AdmissionId([u8; 8]);

impl std::str::FromStr for AdmissionId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 8];
        let read = hex::decode_to_slice(text, &mut id).is_ok();
        read.then_some(Self(id)).ok_or("a window's ID has 16 hexadecimal digits; see GET /v1/admissions")
    }
}

/// What the node knows of names, asked from threads that may wait.
struct InProcess {
    handle: Handle,
    tokio: Tokio,
}

impl Known for InProcess {
    fn devices(&self) -> Vec<(DeviceId, String)> {
        match self.tokio.block_on(self.handle.query(Query::Devices)) {
            Ok(Answer::Devices(devices)) => {
                devices.into_iter().map(|info| (info.device, info.name)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_retired(&self, device: &DeviceId) -> bool {
        match self.tokio.block_on(self.handle.query(Query::Devices)) {
            Ok(Answer::Devices(devices)) => {
                devices.iter().any(|info| info.device == *device && info.retired_by.is_some())
            }
            _ => false,
        }
    }
}

/// The windows of the node with this folder.
pub(super) fn windows(folder: Folder, handle: Handle) -> Option<Windows> {
    let tokio = Tokio::try_current().ok()?;
    Some(Windows::new(folder, Arc::new(InProcess { handle, tokio })))
}

fn hosted(api: &Api) -> Result<Windows, Problem> {
    api.windows.clone().ok_or_else(|| {
        let detail = "this API was not told where the device's folder is, so it admits nobody";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", detail)
    })
}

fn problem(error: WindowError) -> Problem {
    let text = error.to_string();
    match error {
        WindowError::NotByTicket => Problem::invalid("roles", text),
        WindowError::Enrol(error @ (EnrolError::MayNotAdmit { .. } | EnrolError::IssuerRetired)) => {
            Problem::new(StatusCode::FORBIDDEN, "may_not_admit", error.to_string())
        }
        WindowError::Enrol(EnrolError::Over(_)) => Problem::invalid("until_ms", text),
        WindowError::Enrol(EnrolError::Certificate(_)) => {
            Problem::new(StatusCode::FORBIDDEN, "may_not_grant", text)
        }
        WindowError::TooMany => Problem::new(StatusCode::CONFLICT, "too_many_admissions", text),
        WindowError::Listen(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_network", text).retry(),
        WindowError::Enrol(_) | WindowError::Ledger(_) | WindowError::Random(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", text)
        }
    }
}

/// What a request asks for.
fn opening(new: AdmissionNew) -> Result<Opening, Problem> {
    let AdmissionNew { code, roles, venue, name, prefix, count, days, until_ms, open_ms, at, reuse_name } =
        new;
    if roles.is_empty() {
        return Err(Problem::invalid("roles", "name one role at least"));
    }
    if venue.is_compartment() {
        return Err(Problem::invalid("venue", "this is a compartment; a device stands at a venue"));
    }
    let most = |field: &str, given: u64, most: u64| match (1..=most).contains(&given) {
        true => Ok(given),
        false => Err(Problem::invalid(field, format!("give a number from 1 to {most}"))),
    };
    if days.is_some() && until_ms.is_some() {
        return Err(Problem::invalid("until_ms", "give either this or `days`"));
    }
    let days = days.unwrap_or(DAYS.0);
    most("days", days.into(), DAYS.1.into())?;
    let only = |given: bool, field: &str, is_fit: bool, of: &str| match given && !is_fit {
        true => Err(Problem::invalid(field, format!("only {of}"))),
        false => Ok(()),
    };
    let is_code = code.is_some();
    only(name.is_some(), "name", is_code, "with a code")?;
    only(at.is_some(), "at", is_code, "with a code")?;
    only(reuse_name, "reuse_name", is_code, "with a code")?;
    only(prefix.is_some(), "prefix", !is_code, "without a code")?;
    only(count.is_some(), "count", !is_code, "without a code")?;
    let (usual, longest) = if is_code { CODE_MS } else { TICKET_MS };
    let open_for = Duration::from_millis(most("open_ms", open_ms.unwrap_or(usual), longest)?);
    let by = match code {
        Some(code) => {
            let mut invitation: Invitation = code
                .parse()
                .map_err(|error: crate::join::CodeError| Problem::invalid("code", error.to_string()))?;
            if let Some(at) = at {
                let address: SocketAddr = at.parse().map_err(|_| {
                    Problem::invalid("at", "give an address and a port, such as 192.0.2.7:4001")
                })?;
                invitation.address = Some(address);
            }
            By::Code(invitation)
        }
        None => {
            let is_usable = |prefix: &String| {
                (1..=PREFIX_MAX).contains(&prefix.chars().count())
                    && !prefix.chars().any(char::is_control)
                    && prefix.trim_start() == prefix
            };
            if prefix.as_ref().is_some_and(|prefix| !is_usable(prefix)) {
                let give =
                    format!("give 1 to {PREFIX_MAX} characters that a name can begin with, such as till-");
                return Err(Problem::invalid("prefix", give));
            }
            let count = count.unwrap_or(1);
            most("count", count.into(), MAX_COUNT.into())?;
            By::Ticket { count, prefix }
        }
    };
    let validity = Validity { from_ms: None, until_ms, days };
    let grant = Grant { roles: roles.into_iter().collect(), venue, name, validity };
    Ok(Opening { grant, by, open_for, reuses_names: reuse_name })
}

/// Opens a window for new devices
///
/// For whoever owns a device that may admit others: an hq or a steward. With `code`, the device that shows it (`popmesh join`) is looked
/// for in the network and admitted. Without, a ticket is made and served while the window is open: whoever shows it (`popmesh join --ticket
/// -`) is admitted, so many times. Windows end with the node; asked again under the same key, the same window is answered.
#[utoipa::path(
    post, path = "/v1/admissions", operation_id = "admissions_create", tag = "act", request_body = AdmissionNew, params(IdempotencyHeader),
    responses((status = 201, description = "It is open", body = Admission, headers(("Location" = String, description = "Where it can be fetched"))), CommandProblems)
)]
pub(super) async fn open(
    State(api): State<Api>,
    key: Key,
    Body(body): Body<AdmissionNew>,
) -> Result<Response, Problem> {
    let windows = hosted(&api)?;
    let idempotency = key.over(&body);
    let mut made = api.made_admissions.lock().await;
    let opened = match made.get(idempotency)? {
        Some(id) => find(windows, id).await.map(|window| (window, true)),
        None => {
            let opening = opening(body)?;
            let opened = spawn_blocking(move || windows.open(opening)).await;
            opened.map_err(|_| Problem::mismatch())?.map_err(problem).map(|window| (window, false))
        }
    };
    let (window, repeated) = opened?;
    made.note(idempotency, window.id);
    let at = format!("/v1/admissions/{}", hex::encode(window.id));
    let mut response = (StatusCode::CREATED, Json(Admission::from(window))).into_response();
    let headers = response.headers_mut();
    if repeated {
        headers.insert(HeaderName::from_static(IDEMPOTENCY_REPLAYED), HeaderValue::from_static("true"));
    }
    headers.extend(HeaderValue::try_from(at).ok().map(|at| (header::LOCATION, at)));
    Ok(response)
}

/// Windows for new devices since this node was started, the newest first
#[utoipa::path(
    get, path = "/v1/admissions", operation_id = "admissions_list", tag = "look up", params(PageParams),
    responses((status = 200, description = "Windows, open or not", body = List<Admission>), QueryProblems)
)]
pub(super) async fn list(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<Admission>>, Problem> {
    let all = hosted(&api)?.all().into_iter().map(Admission::from).collect();
    page.cut(all, |window: &Admission| (std::cmp::Reverse(window.opened_ms), window.admission.clone()))
}

/// One window: who came, and who was not let in
#[utoipa::path(
    get, path = "/v1/admissions/{admission}", operation_id = "admissions_get", tag = "look up",
    params(("admission" = String, Path, description = "Its ID", pattern = "^[0-9a-fA-F]{16}$")),
    responses((status = 200, description = "As it is now", body = Admission), QueryProblems)
)]
pub(super) async fn one(
    State(api): State<Api>,
    Name(AdmissionId(id)): Name<AdmissionId>,
) -> Result<Json<Admission>, Problem> {
    find(hosted(&api)?, id).await.map(|window| Json(window.into()))
}

/// Closes a window: its ticket is void from then on
#[utoipa::path(
    post, path = "/v1/admissions/{admission}/close", operation_id = "admissions_close", tag = "act",
    params(("admission" = String, Path, description = "Its ID", pattern = "^[0-9a-fA-F]{16}$"), IdempotencyHeader),
    responses((status = 200, description = "It is closed, or was over already", body = Admission), CommandProblems)
)]
pub(super) async fn close(
    State(api): State<Api>,
    Name(AdmissionId(id)): Name<AdmissionId>,
    _: Key,
    NoBody: NoBody,
) -> Result<Json<Admission>, Problem> {
    let windows = hosted(&api)?;
    let closed = spawn_blocking(move || windows.close(id)).await.map_err(|_| Problem::mismatch())?;
    closed.map_err(problem)?.ok_or_else(|| unknown(id)).map(|window| Json(window.into()))
}

async fn find(windows: Windows, id: [u8; 8]) -> Result<Window, Problem> {
    windows.all().into_iter().find(|window| window.id == id).ok_or_else(|| unknown(id))
}

fn unknown(id: [u8; 8]) -> Problem {
    let id = hex::encode(id);
    let detail = format!("there is no window {id}; windows end with the node, see GET /v1/admissions");
    Problem::new(StatusCode::NOT_FOUND, "no_such_admission", detail).with("admission", id)
}
