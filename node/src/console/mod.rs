//! The files of the console and of the overlay: pages, texts, looks. They are clients of the HTTP API and know nothing that it
//! does not tell; how they are served is [`crate::api`]'s.
//!
//! A debug build reads them from the source tree each time, so a changed page needs no build.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "src/console/"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.json"]
#[include = "*.svg"]
#[include = "*.png"]
#[include = "*.webmanifest"]
struct Files;

/// A file of the console.
#[derive(Debug, Clone)]
pub struct File {
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// The same, compressed with gzip.
    pub gzip: Cow<'static, [u8]>,
    /// Its media type.
    pub media_type: &'static str,
    /// Names this content: an entity tag (RFC 9110, 8.8.3).
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
    let kept = KEPT.get_or_init(|| {
        Files::iter().filter_map(|path| made(&path).map(|file| (path.into(), file))).collect()
    });
    kept.get(path).cloned()
}

/// Every path that there is a file at.
pub fn paths() -> impl Iterator<Item = String> {
    Files::iter().map(|path| path.into_owned())
}

fn made(path: &str) -> Option<File> {
    let media_type = media_type(path)?;
    let found = Files::get(path)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Into memory: only that can be full.
    let gzip = encoder.write_all(&found.data).and_then(|()| encoder.finish()).unwrap_or_default();
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&found.data)[..16]));
    Some(File { bytes: found.data, gzip: gzip.into(), media_type, tag })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_and_is_found() {
        let all: Vec<String> = paths().collect();
        assert!(all.iter().any(|path| path == "index.html"), "{all:?}");
        for path in all {
            let found = file(&path).unwrap_or_else(|| panic!("{path}"));
            assert!(!found.bytes.is_empty() && !found.gzip.is_empty(), "{path}");
        }
        for none in ["mod.rs", "../mod.rs", "frame/../mod.rs", "frame", "/etc/passwd", "frame/app.js/"] {
            assert!(file(none).is_none(), "{none}");
        }
    }
}
