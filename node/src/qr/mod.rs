//! QR codes (ISO/IEC 18004) of texts, to show, to print and to send.
//!
//! Error correction M, so that a scratched screen or a crumpled print still reads, and the quiet zone of four modules
//! that the standard asks for. A text of capitals, digits and a few signs, as a claim token is, takes the denser
//! alphanumeric mode.

mod caption;

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// The width of the quiet zone, in modules.
const QUIET: usize = 4;
/// A module of a PNG has so many dots in width and in height: one byte a row, at one bit a dot.
const DOTS: usize = 8;
/// Black on white, whatever the terminal's colours are, and back.
const BLACK_ON_WHITE: &str = "\u{1b}[30;107m";
const AS_BEFORE: &str = "\u{1b}[0m";

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// More text than a code holds.
    #[error("{0} characters are more than a QR code holds; shorten the text")]
    TooLong(usize),
    /// The picture could not be written.
    #[error("the picture could not be written: {0}")]
    Png(#[from] png::EncodingError),
}

/// The QR code of a text, and perhaps a line under it for people.
#[derive(Clone)]
pub struct Code {
    code: QrCode,
    caption: String,
}

impl Code {
    /// The smallest code that holds `text`.
    ///
    /// # Errors
    /// [`QrError::TooLong`].
    pub fn new(text: &str) -> Result<Self, QrError> {
        QrCode::with_error_correction_level(text, EcLevel::M)
            .map(|code| Self { code, caption: String::new() })
            .map_err(|_| QrError::TooLong(text.chars().count()))
    }

    /// With a line under it: capitals, digits and dashes.
    #[must_use]
    pub fn with_caption(self, caption: &str) -> Self {
        Self { caption: caption.to_owned(), ..self }
    }

    /// As a drawing, for pages and print.
    pub fn svg(&self) -> String {
        let picture = self.picture();
        let (width, height) = (picture.first().map_or(0, Vec::len) * DOTS, picture.len() * DOTS);
        let mut path = String::new();
        for (y, row) in picture.iter().enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&true) {
                    let (left, top, length) = (x * DOTS, y * DOTS, run.len() * DOTS);
                    // Writing to a String cannot fail.
                    let _ = write!(path, "M{left} {top}h{length}v{DOTS}h-{length}z");
                }
                x += run.len();
            }
        }
        format!(
            "<?xml version=\"1.0\" standalone=\"yes\"?><svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" shape-rendering=\"crispEdges\">\
             <path d=\"M0 0h{width}v{height}h-{width}z\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
        )
    }

    /// As a picture of black and white dots.
    ///
    /// # Errors
    /// [`QrError::Png`].
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let picture = self.picture();
        let width = picture.first().map_or(0, Vec::len);
        let mut dots = Vec::with_capacity(width * picture.len() * DOTS);
        for row in &picture {
            let line: Vec<u8> = row.iter().map(|dark| if *dark { 0x00 } else { 0xff }).collect();
            dots.extend(line.repeat(DOTS));
        }
        let mut bytes = Vec::new();
        // A code has at most 177 modules a side.
        let (width, height) = ((width * DOTS) as u32, (picture.len() * DOTS) as u32);
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&dots)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// As lines of half blocks, for a terminal.
    pub fn terminal(&self) -> String {
        let picture = self.picture();
        let pairs = picture.chunks(2).map(|rows| {
            let blocks: String = (0..rows[0].len())
                .map(|x| match (rows[0][x], rows.get(1).is_some_and(|row| row[x])) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                })
                .collect();
            format!("{BLACK_ON_WHITE}{blocks}{AS_BEFORE}")
        });
        pairs.collect::<Vec<_>>().join("\n")
    }

    /// Whether each module is dark, row by row, with the quiet zone around and the line under it.
    fn picture(&self) -> Vec<Vec<bool>> {
        let width = self.code.width() + 2 * QUIET;
        let light = || std::iter::repeat_n(vec![false; width], QUIET);
        let mut rows: Vec<Vec<bool>> = light().collect();
        rows.extend(self.modules().into_iter().map(|row| {
            let quiet = [false; QUIET];
            [&quiet[..], &row, &quiet].concat()
        }));
        rows.extend(light());
        if !self.caption.is_empty() {
            rows.extend(caption::rows(&self.caption, width));
            rows.extend(light().take(QUIET / 2));
        }
        rows
    }

    /// Whether each module is dark, row by row, without the quiet zone.
    pub fn modules(&self) -> Vec<Vec<bool>> {
        let colors = self.code.to_colors();
        colors
            .chunks(self.code.width())
            .map(|row| row.iter().map(|color| *color == Color::Dark).collect())
            .collect()
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a QR code of {0} by {0} modules", self.code.width())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_quiet_zone(code: &Code) -> Vec<Vec<bool>> {
        let modules = code.modules();
        let width = modules.len() + 2 * QUIET;
        let mut all = vec![vec![false; width]; width];
        for (y, row) in modules.iter().enumerate() {
            all[y + QUIET][QUIET..width - QUIET].copy_from_slice(row);
        }
        all
    }

    #[test]
    fn six_hundred_characters_of_a_token_take_a_code_of_version_fifteen() {
        // Version 15 has 77 modules a side.
        assert_eq!(Code::new(&"A:".repeat(300)).unwrap().modules().len(), 77);
        assert_eq!(Code::new(&format!("{}A", "A:".repeat(300))).unwrap().modules().len(), 81);
    }

    #[test]
    fn the_longest_token_has_a_code_and_what_is_longer_than_any_code_says_so() {
        assert!(Code::new(&"A".repeat(popmesh_proto::token::MAX_TEXT)).is_ok());
        assert!(matches!(Code::new(&"A".repeat(4_000)), Err(QrError::TooLong(4_000))));
    }

    #[test]
    fn the_terminal_shows_every_module() {
        let code = Code::new("POPMESH1:R0").unwrap();
        let all = with_quiet_zone(&code);
        let mut shown = Vec::new();
        for line in code.terminal().lines() {
            let blocks = line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(AS_BEFORE).unwrap();
            shown.push(blocks.chars().map(|c| "▀█".contains(c)).collect::<Vec<bool>>());
            shown.push(blocks.chars().map(|c| "▄█".contains(c)).collect());
        }
        shown.truncate(all.len());
        assert_eq!(shown, all);
    }

    #[test]
    fn the_picture_shows_every_module() {
        let code = Code::new("POPMESH1:R0").unwrap();
        let all = with_quiet_zone(&code);
        let bytes = code.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut dots = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut dots).unwrap();
        let side = all.len() * DOTS;
        assert_eq!((info.width as usize, info.height as usize, info.line_size), (side, side, all.len()));
        for (y, line) in dots.chunks(info.line_size).enumerate() {
            for (x, byte) in line.iter().enumerate() {
                assert_eq!(*byte, if all[y / DOTS][x] { 0x00 } else { 0xff }, "{x}, {y}");
            }
        }
    }

    #[test]
    fn a_line_stands_under_the_code_and_changes_nothing_of_it() {
        let plain = Code::new("POPMESH1:R0").unwrap();
        let with = plain.clone().with_caption("7K2-M9Q");
        let (plain, with) = (plain.picture(), with.picture());
        assert_eq!(with[..plain.len()], plain[..]);
        assert_eq!(with.len(), plain.len() + caption::HEIGHT + QUIET / 2);
        assert!(with[plain.len()..].iter().flatten().any(|dark| *dark));
    }

    #[test]
    fn the_drawing_has_a_quiet_zone() {
        let code = Code::new("POPMESH1:R0").unwrap();
        let side = (code.modules().len() + 2 * QUIET) * DOTS;
        let svg = code.svg();
        assert!(svg.contains(&format!(r#"viewBox="0 0 {side} {side}""#)), "{svg}");
        // The finder's first corner.
        assert!(svg.contains(&format!("M{0} {0}h", QUIET * DOTS)), "{svg}");
    }
}
