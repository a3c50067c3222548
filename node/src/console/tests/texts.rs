//! Texts: the same in all languages, all used, and none missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

/// Forms of a text that counts (CLDR's plural categories).
const FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

/// Texts that are found by something the API says: problems by their codes, what is wrong by its code.
const BY_CODE: [&str; 2] = ["problems.", "health.codes."];

/// Facts that are the node's own words, in English: a text in another language may do without.
const IN_ENGLISH: [&str; 1] = ["problem"];

type Texts = BTreeMap<String, BTreeSet<String>>;

fn languages() -> Vec<(String, Value)> {
    let files = paths().filter(|path| path.starts_with("texts/"));
    files.map(|path| (path.clone(), serde_json::from_slice(&file(&path).unwrap().bytes).unwrap())).collect()
}

/// The names in braces.
fn placeholders(text: &str) -> BTreeSet<String> {
    let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
    parts.map(|(name, _)| name.to_owned()).collect()
}

/// The texts of a tree by their keys, with their placeholders. Forms of one text count as one.
fn gather(path: &str, key: &str, tree: &Value, texts: &mut Texts) {
    match tree {
        Value::String(text) => {
            assert!(!text.trim().is_empty(), "{path}: {key} is empty");
            texts.insert(key.to_owned(), placeholders(text));
        }
        Value::Object(parts)
            if parts.keys().any(|name| name == "other")
                && parts.keys().all(|name| FORMS.contains(&name.as_str())) =>
        {
            let all = parts.values().filter_map(Value::as_str).flat_map(placeholders).collect();
            texts.insert(key.to_owned(), all);
        }
        Value::Object(parts) => {
            for (name, part) in parts {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                gather(path, &key, part, texts);
            }
        }
        other => panic!("{path}: {key} is no text: {other}"),
    }
}

fn texts() -> Vec<(String, Texts)> {
    let gathered = languages().into_iter().map(|(path, tree)| {
        let mut texts = Texts::new();
        gather(&path, "", &tree, &mut texts);
        (path, texts)
    });
    gathered.collect()
}

/// Keys that are written out, and the beginnings of keys that are put together.
#[derive(Default)]
struct Used {
    keys: BTreeSet<String>,
    beginnings: BTreeSet<String>,
}

/// Every literal in the files that looks like a key, wherever it stands: keys are kept in tables, too.
fn used(sections: &BTreeSet<String>) -> Used {
    let mut used = Used::default();
    for (_, text) in ours(".js") {
        let text = without_comments(&text);
        for quote in ['\'', '`', '"'] {
            for (at, _) in text.match_indices(quote) {
                let rest = &text[at + 1..];
                let key: String = rest
                    .chars()
                    .take_while(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter))
                    .collect();
                let Some((section, _)) = key.split_once('.') else { continue };
                if !sections.contains(section) {
                    continue;
                }
                let follows = &rest[key.len()..];
                if follows.starts_with(quote) {
                    used.keys.insert(key);
                } else if quote == '`' && follows.starts_with("${") {
                    used.beginnings.insert(key);
                }
            }
        }
    }
    used
}

/// The keys that are asked for by `t('…')` and `has('…')`.
fn asked(path: &str, text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for call in ["t('", "has('"] {
        for (at, _) in text.match_indices(call) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.') {
                continue;
            }
            let rest = &text[at + call.len()..];
            let ends = rest.find('\'').unwrap_or_else(|| panic!("{path}: an open quote"));
            keys.push(rest[..ends].to_owned());
        }
    }
    keys
}

#[test]
fn all_languages_have_the_same_texts_with_the_same_facts() {
    let texts = texts();
    assert!(texts.len() >= 2, "English and German");
    let (_, english) = texts.iter().find(|(path, _)| path == "texts/en.json").unwrap();
    let mut wrong = Vec::new();
    for (path, other) in &texts {
        let missing: Vec<&String> = english.keys().filter(|key| !other.contains_key(*key)).collect();
        let more: Vec<&String> = other.keys().filter(|key| !english.contains_key(*key)).collect();
        assert!(missing.is_empty() && more.is_empty(), "{path} lacks {missing:?}, and alone has {more:?}");
        for (key, facts) in english {
            let is_there = |fact: &String| other[key].contains(fact) || IN_ENGLISH.contains(&fact.as_str());
            if !(facts.iter().all(is_there) && other[key].is_subset(facts)) {
                wrong.push(format!("{path}: {key}: {:?} where English has {facts:?}", other[key]));
            }
        }
    }
    assert!(wrong.is_empty(), "other placeholders than in English:\n{}", wrong.join("\n"));
    let listed = String::from_utf8(file("frame/text.js").unwrap().bytes.to_vec()).unwrap();
    for (path, _) in texts {
        let code = path.trim_start_matches("texts/").trim_end_matches(".json");
        assert!(listed.contains(&format!("{code}: '")), "{path} is not among LANGUAGES in frame/text.js");
    }
}

#[test]
fn every_text_that_is_asked_for_is_there() {
    let (_, english) = texts().into_iter().find(|(path, _)| path == "texts/en.json").unwrap();
    for (path, text) in ours(".js") {
        for key in asked(&path, &without_comments(&text)) {
            let is_there =
                english.contains_key(&key) || english.keys().any(|one| one.starts_with(&format!("{key}.")));
            assert!(is_there, "{path}: there is no text for {key}");
        }
    }
}

#[test]
fn every_text_is_used() {
    let (_, english) = texts().into_iter().find(|(path, _)| path == "texts/en.json").unwrap();
    let sections = english.keys().filter_map(|key| Some(key.split_once('.')?.0.to_owned())).collect();
    let used = used(&sections);
    // The name of each page is asked for by the frame.
    let by_frame = |key: &str| key.split_once('.').is_some_and(|(_, rest)| rest == "name");
    let is_used = |key: &String| {
        used.keys.contains(key)
            || by_frame(key)
            || used.beginnings.iter().any(|begins| key.starts_with(begins.as_str()))
            || BY_CODE.iter().any(|begins| key.starts_with(begins))
    };
    let unused: Vec<&String> = english.keys().filter(|key| !is_used(key)).collect();
    assert!(unused.is_empty(), "no page shows {unused:?}");
}

#[test]
fn what_is_looked_for_is_found() {
    assert_eq!(asked("", "x(t('a.b'), has('c.d'), it('e.f'), one.t('g.h'))"), ["a.b", "c.d"]);
    assert_eq!(placeholders("{a} and {b} of {a}"), ["a", "b"].map(ToOwned::to_owned).into());
}
