//! Crockford's base 32 (<https://www.crockford.com/base32.html>), which has no letter that is mistaken for a digit: for
//! codes that people say to each other and type.

/// The 32 digits, in the order of their values.
pub const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The digit that a character stands for, as people read and type it.
pub fn digit_of(typed: char) -> Option<u8> {
    let digit = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    DIGITS.iter().copied().find(|known| char::from(*known) == digit)
}

/// The digits of what people typed, whatever blanks and dashes they put in; `None` if something else is in it.
pub fn digits_of(typed: &str) -> Option<Vec<u8>> {
    typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(digit_of).collect()
}
