//! The documents as Automerge files: what you get by applying the entries.

use std::collections::BTreeMap;

use automerge::{Automerge, Change};

use crate::document::Document;
use crate::log::{Log, change_bytes};
use crate::programme::Programme;
use crate::record::Record;

/// The log and Automerge disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {document} cannot be made: {problem}")]
pub struct ExportError {
    document: String,
    problem: String,
}

/// Every document, by name, as an Automerge file that any implementation reads.
///
/// # Errors
/// [`ExportError`] if Automerge refuses an entry, or gives a change another hash than the log.
pub fn documents(log: &Log, programme: &Programme) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
    let mut documents: BTreeMap<&Document, Automerge> = BTreeMap::new();
    let mut scratch = Vec::new();
    for chain in log.chains().filter(|chain| chain.document != Document::Programme) {
        let failed = |problem: String| ExportError { document: chain.document.to_string(), problem };
        let mut changes = Vec::new();
        for seq in 1..=chain.len() {
            let body = chain.body(seq).ok_or_else(|| failed(format!("entry {seq} is missing")))?;
            let record = Record::decode(body).map_err(|error| failed(error.to_string()))?;
            scratch.clear();
            change_bytes(chain, seq, record.at, &mut scratch);
            let change = Change::from_bytes(scratch.clone()).map_err(|error| failed(error.to_string()))?;
            if chain.hash(seq).is_none_or(|hash| hash.0 != change.hash().0) {
                return Err(failed(format!("entry {seq} has another hash in Automerge")));
            }
            changes.push(change);
        }
        let document = documents.entry(&chain.document).or_default();
        document.apply_changes(changes).map_err(|error| failed(error.to_string()))?;
    }
    let mut files: Vec<(String, Vec<u8>)> =
        documents.into_iter().map(|(document, content)| (document.to_string(), content.save())).collect();
    files.push((Document::Programme.to_string(), programme.save()));
    Ok(files)
}
