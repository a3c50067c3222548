//! Documents as Automerge files.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use popmesh_proto::document::Document;
use popmesh_proto::query::{Answer, Query};
use serde::{Deserialize, Serialize};

use super::openapi::QueryProblems;
use super::page::{List, Listed, PageParams, Unfiltered};
use super::problem::Problem;
use super::request::Name;
use super::service::{Api, only};

/// The media type of an Automerge file, which has none of its own that is registered.
const BYTES: &str = "application/octet-stream";

/// A document that can be exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExportedDocument {
    /// Its name, and its path below `/v1/export/`.
    pub document: String,
    /// Its size as an Automerge file.
    pub bytes: u64,
}

/// The documents that can be exported
#[utoipa::path(
    get, path = "/v1/export", operation_id = "documents_list", tag = "documents",
    params(PageParams),
    responses((status = 200, description = "Names and sizes", body = List<ExportedDocument>), QueryProblems)
)]
pub(super) async fn list(
    State(api): State<Api>,
    Listed { filter: Unfiltered {}, page }: Listed<Unfiltered>,
) -> Result<Json<List<ExportedDocument>>, Problem> {
    let sized =
        |(document, bytes): (String, Vec<u8>)| ExportedDocument { document, bytes: bytes.len() as u64 };
    page.cut(all(&api).await?.into_iter().map(sized).collect(), |one| one.document.clone())
}

/// One document as an Automerge file
///
/// Any Automerge implementation can read it. The name may contain a slash, as in `/v1/export/stock/neon`.
#[utoipa::path(
    get, path = "/v1/export/{document}", operation_id = "documents_get", tag = "documents",
    params(("document" = String, Path, description = "`programme`, `stock/DROP` or `claims/DROP`")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        QueryProblems
    )
)]
pub(super) async fn one(State(api): State<Api>, Name(document): Name<Document>) -> Result<Response, Problem> {
    let wanted = document.to_string();
    let list = all(&api).await?;
    let known: Vec<String> = list.iter().map(|(name, _)| name.clone()).collect();
    match list.into_iter().find(|(name, _)| *name == wanted) {
        Some((_, bytes)) => Ok(([(header::CONTENT_TYPE, BYTES)], bytes).into_response()),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_document",
            format!("this device has no document {wanted}; it has: {}", known.join(", ")),
        )
        .with("known", known)),
    }
}

async fn all(api: &Api) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    api.ask(Query::Export, only!(Answer::Export)).await
}
