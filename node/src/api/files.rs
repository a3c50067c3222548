//! Files that the API hands out: under their own media type, or as plain bytes for a client that knows no other.

use axum::http::{HeaderMap, HeaderValue};

use super::accept::Accept;

/// Bytes, whatever they are.
pub(super) const BYTES: &str = "application/octet-stream";

/// The media type to answer with: the file's own, unless the caller names [`BYTES`] and nothing that fits the file.
pub(super) fn media_type(asked: &HeaderMap, own: &'static str) -> HeaderValue {
    let accept = Accept::of(asked);
    let as_bytes = accept.liking(BYTES, None).named && accept.liking(own, None).weight == 0;
    HeaderValue::from_static(if as_bytes { BYTES } else { own })
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn bytes_are_for_who_wants_nothing_else() {
        for (accept, wanted) in [
            (&[][..], "image/png"),
            (&["*/*"], "image/png"),
            (&["image/*", BYTES], "image/png"),
            (&["application/octet-stream, image/png;q=0.1"], "image/png"),
            (&["text/html"], "image/png"),
            (&["Application/Octet-Stream;q=0.5"], BYTES),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, value.parse().unwrap());
            }
            assert_eq!(media_type(&headers, "image/png"), wanted, "{accept:?}");
        }
    }
}
