//! Pictures of products: small PNG, JPEG or WebP files, which the programme carries. They are kept as they came and never
//! drawn here; what is read of them is what kind they are and how large, so that a page can be given nothing else.
//!
//! A picture travels to every device of the event, once: 8 kB are a second over Bluetooth LE.
//!
//! Sources: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), WebP (RFC 9649).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::Hash;

/// The most bytes of one picture.
pub const MAX_PICTURE: usize = 8 * 1024;
/// The most bytes of all pictures that the programme shows at a time.
pub const MAX_PICTURES: usize = 256 * 1024;
/// The most pixels in each direction.
pub const MAX_SIDE: u32 = 512;

/// What is known of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PictureInfo {
    /// SHA-256 of its bytes: another picture has another.
    pub hash: Hash,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PictureKind,
    /// Its bytes.
    pub bytes: u32,
    /// Its width, pixels.
    pub width: u32,
    /// Its height, pixels.
    pub height: u32,
}

/// A kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PictureKind {
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
}

impl PictureKind {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// Why bytes are no picture of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Too many.
    #[error("{0} bytes; a picture has at most {MAX_PICTURE}: make it smaller, 128 pixels wide are enough")]
    TooLarge(usize),
    /// Something else.
    #[error("neither a PNG, a JPEG nor a WebP file, or only a part of one")]
    Kind,
    /// More pixels than a page should have to hold.
    #[error("{0} by {1} pixels; give 1 to {MAX_SIDE} each way")]
    Side(u32, u32),
    /// It moves.
    #[error("it moves; give a still one")]
    Moves,
}

/// What kind of picture these bytes are, and how large.
///
/// # Errors
/// [`PictureError`] if they are none that a product can have.
pub fn examine(bytes: &[u8]) -> Result<PictureInfo, PictureError> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_PICTURE);
    let length = length.ok_or(PictureError::TooLarge(bytes.len()))?;
    let (kind, (width, height)) = match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, chunks @ ..] => (PictureKind::Png, png(chunks)?),
        [0xff, 0xd8, segments @ ..] => (PictureKind::Jpeg, jpeg(segments).ok_or(PictureError::Kind)?),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => (PictureKind::Webp, webp(bytes)?),
        _ => return Err(PictureError::Kind),
    };
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(PictureError::Side(width, height));
    }
    let hash = Hash(Sha256::digest(bytes).into());
    Ok(PictureInfo { hash, kind, bytes: length, width, height })
}

/// The size of a PNG, all of whose chunks are there.
fn png(mut chunks: &[u8]) -> Result<(u32, u32), PictureError> {
    let mut size = None;
    loop {
        let (length, rest) = chunks.split_first_chunk().ok_or(PictureError::Kind)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| PictureError::Kind)?;
        let (kind, rest) = rest.split_first_chunk::<4>().ok_or(PictureError::Kind)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(PictureError::Kind)?;
        // Behind each chunk is a checksum.
        chunks = rest.get(4..).ok_or(PictureError::Kind)?;
        match (kind, size) {
            (b"IHDR", None) => {
                let (width, rest) = content.split_first_chunk().ok_or(PictureError::Kind)?;
                let height = rest.first_chunk().ok_or(PictureError::Kind)?;
                size = Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)));
            }
            (_, None) => return Err(PictureError::Kind),
            (b"acTL", _) => return Err(PictureError::Moves),
            (b"IEND", Some(size)) if chunks.is_empty() => return Ok(size),
            (b"IEND", _) => return Err(PictureError::Kind),
            _ => {}
        }
    }
}

/// The size of a JPEG, by its first frame.
fn jpeg(mut rest: &[u8]) -> Option<(u32, u32)> {
    if !rest.ends_with(&[0xff, 0xd9]) {
        return None;
    }
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        match marker {
            // Filling.
            0xff => rest = rest.get(1..)?,
            // The picture itself begins, or ends, and there was no frame.
            0xd8..=0xda | 0x00 => return None,
            0x01 | 0xd0..=0xd7 => rest = after,
            _ => {
                let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
                let segment = after.get(2..length.max(2))?;
                // Every kind of frame; C4, C8 and CC are tables.
                if (0xc0..=0xcf).contains(marker) && ![0xc4, 0xc8, 0xcc].contains(marker) {
                    let [_, high, low, wide, narrow, ..] = segment else { return None };
                    let (height, width) = ([*high, *low], [*wide, *narrow]);
                    return Some((u16::from_be_bytes(width).into(), u16::from_be_bytes(height).into()));
                }
                rest = after.get(length.max(2)..)?;
            }
        }
    }
}

/// The size of a WebP that does not move.
fn webp(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    const MOVES: u8 = 0x02;
    let says = bytes.get(4..8).and_then(<[u8]>::first_chunk).map(|length| u32::from_le_bytes(*length));
    // It says how much follows these eight bytes.
    if says.and_then(|says| usize::try_from(says).ok()).is_none_or(|says| says + 8 != bytes.len()) {
        return Err(PictureError::Kind);
    }
    let chunk = bytes.get(12..16).ok_or(PictureError::Kind)?;
    let content = bytes.get(20..).ok_or(PictureError::Kind)?;
    match (chunk, content) {
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
            let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Ok((side(*w0, *w1), side(*h0, *h1)))
        }
        (b"VP8L", [0x2f, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        (b"VP8X", [flags, _, _, _, w0, w1, w2, h0, h1, h2, ..]) => {
            if flags & MOVES != 0 {
                return Err(PictureError::Moves);
            }
            let side = |a: u8, b: u8, c: u8| u32::from_le_bytes([a, b, c, 0]) + 1;
            Ok((side(*w0, *w1, *w2), side(*h0, *h1, *h2)))
        }
        _ => Err(PictureError::Kind),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat()
    }

    fn png_of(width: u32, height: u32, more: &[u8]) -> Vec<u8> {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        let signature = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
        [&signature[..], &chunk(b"IHDR", &header), more, &chunk(b"IDAT", &[1; 9]), &chunk(b"IEND", &[])]
            .concat()
    }

    fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
        let [w, h] = [width.to_be_bytes(), height.to_be_bytes()];
        let frame = [&[0xff, 0xc2, 0, 11, 8][..], &h, &w, &[1, 1, 0x11, 0]].concat();
        [&[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff][..], &frame, &[0xff, 0xda, 0, 2, 7, 7, 0xff, 0xd9]]
            .concat()
    }

    fn webp_of(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let chunk = [&kind[..], &(content.len() as u32).to_le_bytes(), content].concat();
        [&b"RIFF"[..], &(chunk.len() as u32 + 4).to_le_bytes(), b"WEBP", &chunk].concat()
    }

    fn size(bytes: &[u8]) -> Result<(PictureKind, u32, u32), PictureError> {
        examine(bytes).map(|found| (found.kind, found.width, found.height))
    }

    #[test]
    fn each_kind_is_told_by_its_bytes_with_its_size() {
        assert_eq!(size(&png_of(128, 96, &[])), Ok((PictureKind::Png, 128, 96)));
        assert_eq!(size(&jpeg_of(128, 96)), Ok((PictureKind::Jpeg, 128, 96)));
        let lossy = webp_of(b"VP8 ", &[0, 0, 0, 0x9d, 0x01, 0x2a, 128, 0, 96, 0, 0]);
        assert_eq!(size(&lossy), Ok((PictureKind::Webp, 128, 96)));
        let bits = (127_u32 | (95 << 14)).to_le_bytes();
        let exact = webp_of(b"VP8L", &[&[0x2f][..], &bits].concat());
        assert_eq!(size(&exact), Ok((PictureKind::Webp, 128, 96)));
        let extended = |flags| webp_of(b"VP8X", &[flags, 0, 0, 0, 127, 0, 0, 95, 0, 0]);
        assert_eq!(size(&extended(0)), Ok((PictureKind::Webp, 128, 96)));
        assert_eq!(size(&extended(2)), Err(PictureError::Moves));
        assert_eq!(size(&png_of(8, 8, &chunk(b"acTL", &[0; 8]))), Err(PictureError::Moves));
    }

    #[test]
    fn what_a_page_should_not_be_given_is_refused() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        for bytes in
            [&svg[..], b"", b"GIF89a\x01\0\x01\0", b"<html>", b"\xff\xd8\xff\xd9", b"RIFF\0\0\0\0WEBP"]
        {
            assert_eq!(size(bytes), Err(PictureError::Kind), "{bytes:?}");
        }
        assert_eq!(size(&png_of(513, 8, &[])), Err(PictureError::Side(513, 8)));
        assert_eq!(size(&png_of(0, 8, &[])), Err(PictureError::Side(0, 8)));
        assert_eq!(size(&jpeg_of(8, 30_000)), Err(PictureError::Side(8, 30_000)));
        assert_eq!(size(&[0; MAX_PICTURE + 1]), Err(PictureError::TooLarge(MAX_PICTURE + 1)));
        // What somebody hung on behind.
        assert_eq!(size(&[png_of(8, 8, &[]), svg.to_vec()].concat()), Err(PictureError::Kind));
        assert_eq!(size(&[jpeg_of(8, 8), svg.to_vec()].concat()), Err(PictureError::Kind));
        let whole = png_of(8, 8, &[]);
        for length in 0..whole.len() {
            assert!(size(&whole[..length]).is_err(), "{length} bytes of it");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            start in prop::sample::select(vec![png_of(9, 9, &[]), jpeg_of(9, 9), webp_of(b"VP8X", &[0; 10]), vec![]]),
            at: prop::sample::Index,
            with in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = start;
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..(at + with.len() / 2).min(bytes.len()), with);
            if let Ok(info) = examine(&bytes) {
                prop_assert!((1..=MAX_SIDE).contains(&info.width) && (1..=MAX_SIDE).contains(&info.height));
            }
        }
    }
}
