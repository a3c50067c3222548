//! The files of the console and of the overlay: pages, texts, looks. They are clients of the HTTP API and know nothing that it
//! does not tell; how they are served is [`crate::api`]'s.
//!
//! A debug build reads them from the source tree each time, so a changed page needs no build.

use std::collections::HashMap;
use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::json;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

#[derive(RustEmbed)]
#[folder = "src/console/"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.json"]
#[include = "*.svg"]
#[include = "*.png"]
#[include = "*.webmanifest"]
// What tests run in a page is served where it is built for that alone.
#[cfg_attr(not(debug_assertions), exclude = "*/tests.js")]
struct Files;

/// Where the list of the files is: what a browser keeps, so that the page opens while the node is off.
const LIST: &str = "release.json";

/// A file of the console. Cheap to clone.
#[derive(Debug, Clone)]
pub struct File {
    /// What is in it.
    pub bytes: Bytes,
    /// The same, compressed with gzip.
    pub gzip: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// Names this content, however it is compressed: 32 hex digits.
    pub tag: String,
}

/// The file at a path such as `frame/app.js`, if there is one. Folders have an `index.html`.
pub fn file(path: &str) -> Option<File> {
    static KEPT: OnceLock<HashMap<String, File>> = OnceLock::new();
    let path = match path {
        "" => "index.html",
        "overlay" | "overlay/" => "overlay/index.html",
        path => path,
    };
    if cfg!(debug_assertions) {
        return made(path);
    }
    let kept = KEPT.get_or_init(|| paths().filter_map(|path| made(&path).map(|file| (path, file))).collect());
    kept.get(path).cloned()
}

/// Every path that there is a file at.
pub fn paths() -> impl Iterator<Item = String> {
    Files::iter().map(|path| path.into_owned()).chain([LIST.to_owned()])
}

/// Names all files as they are together: 32 hex digits. A page never runs with files of two releases.
pub fn release() -> String {
    static KEPT: OnceLock<String> = OnceLock::new();
    let made = || {
        let mut hasher = Sha256::new();
        for path in Files::iter() {
            let Some(found) = Files::get(&path) else { continue };
            hasher.update((path.len() as u64).to_be_bytes());
            hasher.update(path.as_bytes());
            hasher.update(found.metadata.sha256_hash());
        }
        short(&hasher.finalize())
    };
    if cfg!(debug_assertions) { made() } else { KEPT.get_or_init(made).clone() }
}

fn short(hash: &[u8]) -> String {
    hex::encode(&hash[..16])
}

fn made(path: &str) -> Option<File> {
    let media_type = media_type(path)?;
    let (bytes, tag) = if path == LIST {
        let bytes = list();
        let tag = short(&Sha256::digest(&bytes));
        (Bytes::from(bytes), tag)
    } else {
        let EmbeddedFile { data, metadata } = Files::get(path)?;
        let bytes = match data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        (bytes, short(&metadata.sha256_hash()))
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Into memory: only that can be full.
    let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish()).unwrap_or_default();
    Some(File { bytes, gzip: gzip.into(), media_type, tag })
}

/// The addresses of all files, and the name of their release.
fn list() -> Vec<u8> {
    let address = |path: &str| match path {
        "index.html" => "/".to_owned(),
        "overlay/index.html" => "/overlay".to_owned(),
        path => format!("/{path}"),
    };
    let files: Vec<String> = Files::iter().map(|path| address(&path)).collect();
    json!({ "release": release(), "files": files }).to_string().into_bytes()
}

fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}
