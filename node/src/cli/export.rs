//! `popmesh export`: every document as an Automerge file.

use std::path::Path;

use serde_json::json;

use super::client::{Client, print, segment};
use super::failure::{Failure, Outcome};
use crate::api::{ExportedDocument, List};
use crate::folder::{self, FolderError};

pub(super) fn export(client: &Client, dir: &Path, json: bool) -> Outcome {
    let failed =
        |error: FolderError| Failure::with_help(error.to_string(), "choose a folder that can be written");
    folder::create_private(dir).map_err(failed)?;
    let documents: List<ExportedDocument> = client.list("/v1/export", &[], None)?;
    let mut written = Vec::new();
    for ExportedDocument { document, .. } in documents.items {
        let name: Vec<String> = document.split('/').map(segment).collect();
        let bytes = client.bytes(&format!("/v1/export/{}", name.join("/")))?;
        // The name comes from the node; a drop named `..` must not lead out of the folder.
        let path = dir.join(format!("{}.automerge", document.replace(['/', '\\'], "-")));
        folder::replace_bytes(&path, &bytes).map_err(failed)?;
        written.push(json!({"document": document, "file": path, "bytes": bytes.len()}));
    }
    print(json, &written, || {
        let lines: Vec<String> = written
            .iter()
            .map(|line| format!("{}  {} bytes", line["file"].as_str().unwrap_or_default(), line["bytes"]))
            .collect();
        if lines.is_empty() { "No documents yet.".to_owned() } else { lines.join("\n") }
    })
}
