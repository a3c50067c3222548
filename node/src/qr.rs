//! QR codes (ISO/IEC 18004) of texts, to show, to print and to send.
//!
//! Error correction M, so that a scratched screen or a crumpled print still reads, and the quiet zone of four modules
//! that the standard asks for. A text of capitals, digits and a few signs, as a claim token is, takes the denser
//! alphanumeric mode.

use qrcode::render::{svg, unicode};
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

/// The QR code of a text.
#[derive(Clone)]
pub struct Code(QrCode);

impl Code {
    /// The smallest code that holds `text`.
    ///
    /// # Errors
    /// [`QrError::TooLong`].
    pub fn new(text: &str) -> Result<Self, QrError> {
        QrCode::with_error_correction_level(text, EcLevel::M)
            .map(Self)
            .map_err(|_| QrError::TooLong(text.chars().count()))
    }

    /// As a drawing, for pages and print.
    pub fn svg(&self) -> String {
        self.0.render::<svg::Color<'_>>().module_dimensions(DOTS as u32, DOTS as u32).build()
    }

    /// As a picture of black and white dots.
    ///
    /// # Errors
    /// [`QrError::Png`].
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let modules = self.0.width();
        let width = modules + 2 * QUIET;
        let light = vec![0xff; width];
        let mut dots = Vec::with_capacity(width * width * DOTS);
        dots.extend(light.repeat(QUIET * DOTS));
        for row in self.0.to_colors().chunks(modules) {
            let mut line = light.clone();
            for (byte, module) in line[QUIET..].iter_mut().zip(row) {
                *byte = module.select(0x00, 0xff);
            }
            dots.extend(line.repeat(DOTS));
        }
        dots.extend(light.repeat(QUIET * DOTS));
        let mut bytes = Vec::new();
        // A code has at most 177 modules a side.
        let side = (width * DOTS) as u32;
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&dots)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// As lines of half blocks, for a terminal.
    pub fn terminal(&self) -> String {
        let blocks = self.0.render::<unicode::Dense1x2>().build();
        let lines: Vec<String> =
            blocks.lines().map(|line| format!("{BLACK_ON_WHITE}{line}{AS_BEFORE}")).collect();
        lines.join("\n")
    }

    /// Whether each module is dark, row by row, without the quiet zone.
    pub fn modules(&self) -> Vec<Vec<bool>> {
        let colors = self.0.to_colors();
        colors
            .chunks(self.0.width())
            .map(|row| row.iter().map(|color| *color == Color::Dark).collect())
            .collect()
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a QR code of {0} by {0} modules", self.0.width())
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
    fn the_drawing_has_a_quiet_zone() {
        let code = Code::new("POPMESH1:R0").unwrap();
        let side = (code.modules().len() + 2 * QUIET) * DOTS;
        let svg = code.svg();
        assert!(svg.contains(&format!(r#"viewBox="0 0 {side} {side}""#)), "{svg}");
        // The finder's first corner.
        assert!(svg.contains(&format!("M{0} {0}h", QUIET * DOTS)), "{svg}");
    }
}
