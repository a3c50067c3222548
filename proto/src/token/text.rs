//! A token as text: `POPMESH1:` and base45 (RFC 9285).
//!
//! Scanners that pose as keyboards change case, end with a line break, and put an AIM identifier such as `]Q1` in
//! front; people copy links and wrapped lines. All that is undone here. A space is a digit of base45, so one inside is
//! kept; around the digits it cannot be one: the last digit of a group stands for at most 32 (65535 = 32 × 2025 + …),
//! or at most 5 where one byte remains, and the space is 36; and each token begins with the same two bytes, whose
//! first digit is `R`.

use super::TokenError;
use super::wire::MAX_TOKEN;

/// The most text that is looked at.
pub const MAX_TEXT: usize = 2048;

const NAME: &str = "POPMESH";
const VERSION: &str = "1";
const PREFIX: &str = "POPMESH1:";
/// Base45 has three digits for two bytes.
const _: () = assert!(PREFIX.len() + MAX_TOKEN.div_ceil(2) * 3 <= MAX_TEXT);

/// The text of a token's bytes.
pub fn to_text(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", base45::encode(bytes))
}

/// The bytes of a token's text, as a scanner sends it or a person copies it. Nothing of them is checked yet.
///
/// # Errors
/// [`TokenError`] if it is no token's text, or not all of it.
pub fn from_text(text: &str) -> Result<Vec<u8>, TokenError> {
    if text.len() > MAX_TEXT {
        return Err(TokenError::TooLong);
    }
    let text: String =
        text.trim().chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_uppercase()).collect();
    let (before, version, digits) = text
        .match_indices(NAME)
        .find_map(|(at, name)| {
            let (version, digits) = text[at + name.len()..].split_once(':')?;
            is_version(version).then_some((&text[..at], version, digits))
        })
        .ok_or(TokenError::NotAToken)?;
    if !may_precede(before.trim_end()) {
        return Err(TokenError::NotAToken);
    }
    if version != VERSION {
        return Err(TokenError::Version { theirs: version.to_owned() });
    }
    let digits = digits.trim();
    let bytes = base45::decode(digits).map_err(|_| TokenError::Altered)?;
    // The decoder lets some texts pass that no bytes have.
    if bytes.is_empty() || base45::encode(&bytes) != digits {
        return Err(TokenError::Altered);
    }
    Ok(bytes)
}

fn is_version(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// What may stand before a token: nothing, an AIM identifier, or a link that it is the end of.
fn may_precede(before: &str) -> bool {
    let is_aim = |text: &str| matches!(text.as_bytes(), [b']', b'A'..=b'Z', b'0'..=b'9' | b'A'..=b'Z']);
    let rest = before.get(3..).filter(|_| before.get(..3).is_some_and(is_aim)).unwrap_or(before).trim_start();
    let is_link = rest.contains(':') && rest.ends_with(['/', '#', '?', '=', ':']);
    rest.is_empty() || is_link && !rest.contains(char::is_whitespace)
}
