//! What is another in each run: ids, times, codes, addresses. All else on a page is compared to the letter.

/// What a piece of a line is, if it varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// At least eight hexadecimal digits, with `:1` and the like behind them or not: ids, keys, hashes.
    Id,
    /// Groups of three letters and digits: claims, `7K2-M9Q`, and devices that join, `417-7K2-M9Q`.
    Code,
    /// `POPMESH1:…`: what a shopper shows.
    Token,
    /// `popmesh_…` and `popmesh-ticket-1:…`: what lets somebody in.
    Secret,
    /// A date, a time of day, or both.
    Time,
    /// A number of `µs`, `ms` or `s`: how long something took.
    Duration,
    /// An IP address, with a port or not, a port in a multiaddress. 127.0.0.1 with the API's usual port is none: that does not vary.
    Address,
}

impl Kind {
    /// Whether a later command that has the same text means the same thing.
    pub fn is_name(self) -> bool {
        matches!(self, Self::Id | Self::Code | Self::Token | Self::Secret)
    }
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One character that must be there. Blanks in a row are one.
    Letter(char),
    /// Something that varies.
    Varying(Kind, String),
    /// `…`: anything, or nothing.
    LeftOut,
}

/// The API's usual place, which is the same on every machine.
const USUAL_API: &str = "127.0.0.1:7401";
/// Characters of Crockford's base32, and those of a check digit.
const CODE_LETTERS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
const ID_DIGITS_MIN: usize = 8;

/// Takes a line apart.
pub fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = line.trim_end();
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let within_word = before.is_alphanumeric() && letter.is_alphanumeric();
        let found = if within_word { None } else { varying(rest) };
        if let Some((kind, length)) = found {
            pieces.push(Piece::Varying(kind, rest[..length].to_owned()));
            before = 'x';
            rest = &rest[length..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        // Columns are as wide as what varies in them.
        let is_blank_again = letter == ' ' && matches!(pieces.last(), None | Some(Piece::Letter(' ')));
        if letter == '…' {
            pieces.push(Piece::LeftOut);
        } else if !is_blank_again {
            pieces.push(Piece::Letter(letter));
        }
        before = letter;
    }
    pieces
}

/// What varies at the beginning of a text, and how many bytes of it are that.
fn varying(text: &str) -> Option<(Kind, usize)> {
    let word = |kind, length: usize| {
        let ends = !text[length..].chars().next().is_some_and(char::is_alphanumeric);
        (length > 0 && ends).then_some((kind, length))
    };
    secret(text)
        .or_else(|| word(Kind::Code, code(text)))
        .or_else(|| word(Kind::Time, time(text)))
        .or_else(|| word(Kind::Address, address(text)))
        .or_else(|| word(Kind::Duration, duration(text)))
        .or_else(|| word(Kind::Id, id(text)))
}

/// How many bytes at the beginning are such characters.
fn span(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is(letter)).unwrap_or(text.len())
}

/// Matches a form in which `0` stands for a digit; answers its length, or 0.
fn form(text: &str, form: &str) -> usize {
    let fits = text.len() >= form.len()
        && form.bytes().zip(text.bytes()).all(|(wanted, is)| match wanted {
            b'0' => is.is_ascii_digit(),
            other => is == other,
        });
    if fits { form.len() } else { 0 }
}

fn secret(text: &str) -> Option<(Kind, usize)> {
    let ends = |kind, head: &str, is: fn(char) -> bool| {
        let body = text.strip_prefix(head)?;
        let length = span(body, is);
        (length > 0).then_some((kind, head.len() + length))
    };
    // Letters, digits and nine signs, a blank among them: between quotes in a command, alone on its line in an answer.
    let token = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " $%*+-./:…".contains(c);
    ends(Kind::Token, "POPMESH1:", token)
        .or_else(|| ends(Kind::Secret, "popmesh_", |c| c.is_alphanumeric() || "_-…".contains(c)))
        .or_else(|| ends(Kind::Secret, "popmesh-ticket-1:", |c| c.is_alphanumeric() || "_-=+/…".contains(c)))
}

fn code(text: &str) -> usize {
    // A device that joins shows three groups, a claim has two.
    let is = |length: usize| {
        let ends = !text
            .get(length..)
            .is_some_and(|rest| rest.starts_with(|c: char| c == '-' || c.is_alphanumeric()));
        let of_three = |group: &str| group.len() == 3 && group.chars().all(|c| CODE_LETTERS.contains(c));
        ends && text.get(..length).is_some_and(|code| code.split('-').all(of_three))
    };
    [11, 7].into_iter().find(|length| is(*length)).unwrap_or(0)
}

fn time(text: &str) -> usize {
    let forms = [
        "0000-00-00 00:00:00",
        "0000-00-00 00:00",
        "0000-00-00T00:00:00",
        "0000-00-00",
        "00-00 00:00:00",
        "00:00:00",
        "00:00",
    ];
    forms.iter().map(|wanted| form(text, wanted)).find(|length| *length > 0).unwrap_or(0)
}

fn address(text: &str) -> usize {
    let number = |text: &str| span(text, |c| c.is_ascii_digit());
    for transport in ["/tcp/", "/udp/"] {
        if let Some(port) = text.strip_prefix(transport) {
            return if number(port) > 0 { transport.len() + number(port) } else { 0 };
        }
    }
    if text.starts_with("fe80::") {
        return span(text, |c| c.is_ascii_hexdigit() || c == ':');
    }
    let host = span(text, |c| c.is_ascii_digit() || c == '.');
    let parts: Vec<&str> = text[..host].split('.').collect();
    if parts.len() != 4 || parts.iter().any(|part| part.is_empty() || part.len() > 3) {
        return 0;
    }
    let port = text[host..].strip_prefix(':').map_or(0, number);
    let length = if port > 0 { host + 1 + port } else { host };
    if &text[..length] == USUAL_API { 0 } else { length }
}

fn duration(text: &str) -> usize {
    let number = span(text, |c| c.is_ascii_digit() || c == '.');
    if number == 0 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    [" ms", " µs", " s"]
        .iter()
        .find(|unit| text[number..].starts_with(**unit))
        .map_or(0, |unit| number + unit.len())
}

fn id(text: &str) -> usize {
    let digits = span(text, |c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if digits < ID_DIGITS_MIN {
        return 0;
    }
    let number = text[digits..].strip_prefix(':').map_or(0, |text| span(text, |c| c.is_ascii_digit()));
    if number > 0 { digits + 1 + number } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> Vec<(Kind, String)> {
        let varying = |piece| match piece {
            Piece::Varying(kind, text) => Some((kind, text)),
            Piece::Letter(_) | Piece::LeftOut => None,
        };
        pieces(line).into_iter().filter_map(varying).collect()
    }

    #[test]
    fn what_varies_is_told_from_what_does_not() {
        for (line, wanted) in [
            (
                "claim 10447c234994bce40c815632c310c7df:2 is",
                vec![(Kind::Id, "10447c234994bce40c815632c310c7df:2")],
            ),
            ("Code  417-7K2-M9Q", vec![(Kind::Code, "417-7K2-M9Q")]),
            ("its code is 7K2-M9Q", vec![(Kind::Code, "7K2-M9Q")]),
            ("TEE-NEON CAP-RED-4 T-4711", vec![]),
            (
                "until 2026-12-02 09:59:40; in 0.1 s",
                vec![(Kind::Time, "2026-12-02 09:59:40"), (Kind::Duration, "0.1 s")],
            ),
            ("11-24 09:37:13", vec![(Kind::Time, "11-24 09:37:13")]),
            ("at    10.77.0.2:40123", vec![(Kind::Address, "10.77.0.2:40123")]),
            ("/ip4/10.77.0.2/tcp/7400", vec![(Kind::Address, "10.77.0.2"), (Kind::Address, "/tcp/7400")]),
            ("redeem 'POPMESH1:RR 60%/…' --pin -", vec![(Kind::Token, "POPMESH1:RR 60%/…")]),
            ("export POPMESH_TOKEN=popmesh_9a-B", vec![(Kind::Secret, "popmesh_9a-B")]),
            // A price, a quantity, serials, the usual port and words are to the letter.
            ("sold 1 × TEE-NEON (1-3): 25.00 EUR at http://127.0.0.1:7401, 100 popmesh 7401", vec![]),
            ("accede facade bed 1234567", vec![]),
        ] {
            let found = kinds(line);
            let found: Vec<_> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
            assert_eq!(found, wanted, "{line}");
        }
    }
}
