//! What is written can be read: the contrast of each pair of colours that is text on a ground, in each look (WCAG 2.2, AA).

use std::collections::BTreeMap;

use super::*;

/// Text, at least 4.5 to 1 (1.4.3).
const TEXTS: &[&str] = &["ink", "dim", "good", "bad", "warn", "act"];
/// What text stands on.
const GROUNDS: &[&str] = &["page", "paper", "band", "goodpaper", "badpaper", "warnpaper"];
/// Borders of fields and buttons and the ring of the focus, at least 3 to 1 (1.4.11).
const LINES: &[&str] = &["edge", "focus"];

type Look = BTreeMap<String, [f64; 3]>;

/// The colours that each block declares, by its selector.
fn looks() -> BTreeMap<String, Look> {
    let text = String::from_utf8(file("frame/colours.css").unwrap().bytes.to_vec()).unwrap();
    let text = without_comments(&text);
    let mut looks = BTreeMap::new();
    for block in text.split('}') {
        let Some((before, inside)) = block.rsplit_once('{') else { continue };
        let colours = inside.split(';').filter_map(|one| {
            let (name, value) = one.trim().strip_prefix("--")?.split_once(':')?;
            Some((name.to_owned(), colour(value.trim())?))
        });
        looks.insert(before.trim().replace('\n', " "), colours.collect());
    }
    looks
}

fn colour(text: &str) -> Option<[f64; 3]> {
    let digits = text.strip_prefix('#')?;
    let wide: String = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        _ => digits.to_owned(),
    };
    let part =
        |at: usize| u8::from_str_radix(wide.get(at..at + 2)?, 16).ok().map(|byte| f64::from(byte) / 255.0);
    Some([part(0)?, part(2)?, part(4)?])
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_text_can_be_read_on_every_ground() {
    let looks = looks();
    assert_eq!(looks.len(), 4, "{:?}", looks.keys());
    for (name, look) in looks {
        let at_least = |text: &str, ground: &str, least: f64| {
            let found = contrast(look[text], look[ground]);
            assert!(found >= least, "{name}: --{text} on --{ground} is {found:.2} to 1, and must be {least}");
        };
        for ground in GROUNDS {
            TEXTS.iter().for_each(|text| at_least(text, ground, 4.5));
            LINES.iter().for_each(|line| at_least(line, ground, 3.0));
        }
        at_least("onact", "act", 4.5);
        // What is large and must be seen from afar.
        at_least("onfill", "goodfill", 4.5);
        at_least("onfill", "badfill", 4.5);
        // The marks of the bar: a sign on a filled ground.
        at_least("paper", "warn", 4.5);
        at_least("paper", "bad", 4.5);
    }
}

#[test]
fn dark_by_choice_and_dark_by_the_system_are_alike() {
    let looks = looks();
    let dark = |mark: &str| looks.iter().find(|(name, _)| name.contains(mark)).unwrap().1;
    assert_eq!(dark("[data-theme=\"dark\"]"), dark("prefers-color-scheme"));
    let names: Vec<Vec<&String>> = looks.values().map(|look| look.keys().collect()).collect();
    assert!(names.windows(2).all(|pair| pair[0] == pair[1]), "each look has all colours: {names:?}");
}

#[test]
fn no_other_file_has_colours_of_its_own() {
    // Pages name what a colour is for; what they add themselves is black or white for a code, or see-through.
    for (path, text) in ours(".css") {
        if path == "frame/colours.css" || path.starts_with("overlay/") {
            continue;
        }
        let text = without_comments(&text);
        for (at, _) in text.match_indices('#') {
            let digits: String = text[at + 1..].chars().take_while(char::is_ascii_hexdigit).collect();
            let is_colour = text[..at].ends_with([':', ' ', ',', '(']) && matches!(digits.len(), 3 | 6 | 8);
            let ends = text[at + 1 + digits.len()..].chars().next();
            let is_whole =
                ends.is_none_or(|letter| !letter.is_alphanumeric() && letter != '-' && letter != '_');
            assert!(!(is_colour && is_whole) || digits == "fff" || digits == "000", "{path}: #{digits}");
        }
    }
}
