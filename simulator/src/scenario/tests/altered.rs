//! Scenario files that come with the simulator, with some of their characters changed: read, or refused with the place
//! and a reason.

use super::super::{built_in, parse};
use crate::scenario::built_in::text;

const FILES: usize = 3_000;

#[test]
fn altered_files_are_read_or_refused_in_words() {
    // Those alone that stand for themselves: a text has no folder to include from.
    let built_in = built_in().into_iter().filter_map(|(name, _)| Some((text(&name)?.to_owned(), name)));
    let night = (super::NIGHT.to_owned(), "night".to_owned());
    let files: Vec<(String, String)> =
        built_in.chain([night]).filter(|(text, name)| parse(name, text).is_ok()).collect();
    assert!(files.len() > 2, "{}", files.len());
    // xorshift64: any chance will do, so long as it is the same each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    const PIECES: [&str; 12] = [
        "[[",
        "]]",
        "\"",
        "= ",
        "-1",
        "9999999999999999999",
        "1e999",
        "nan",
        "{n}",
        "100000000 h",
        "\u{0}",
        "{",
    ];
    let (mut read, mut refused) = (0, 0);
    for round in 0..FILES {
        let (text, name) = &files[round % files.len()];
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=below(3) {
            let at = below(letters.len().max(1)).min(letters.len());
            match below(5) {
                0 if at < letters.len() => drop(letters.remove(at)),
                1 => letters.truncate(at),
                2 => {
                    let end = (at + below(8)).min(letters.len());
                    drop(letters.splice(at..end, PIECES[below(PIECES.len())].chars()));
                }
                3 if at < letters.len() && letters[at].is_ascii_digit() => {
                    drop(letters.splice(at..at, "99999".chars()));
                }
                _ if at < letters.len() => letters[at] = char::from(below(128) as u8),
                _ => {}
            }
        }
        let altered: String = letters.into_iter().collect();
        match parse(name, &altered) {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().trim().is_empty(), "{altered}");
            }
        }
    }
    println!("{FILES} altered files: {read} could be read, {refused} refused");
    assert!(read > FILES / 20 && refused > FILES / 20);
}
