//! What must hold of the console's files, whoever writes them: texts in all languages, modules that are there, nothing in line,
//! nothing from elsewhere, colours that can be read.

mod colours;
mod modules;
mod texts;
mod weight;

use super::*;

/// The files of our own that end so: `(path, text)`.
fn ours(ending: &str) -> Vec<(String, String)> {
    let is_ours = |path: &String| !path.starts_with("vendor/") && !path.ends_with("/tests.js");
    let own = paths().filter(|path| path.ends_with(ending) && is_ours(path));
    own.map(|path| {
        let text = String::from_utf8(file(&path).unwrap().bytes.to_vec()).unwrap();
        (path, text)
    })
    .collect()
}

/// The text without comments, line by line as it was.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    // As in `image/*`, which begins no comment.
    let is_word = |text: &str| text.ends_with(char::is_alphanumeric);
    while let Some(begins) = rest.match_indices("/*").map(|(at, _)| at).find(|at| !is_word(&rest[..*at])) {
        out.push_str(&rest[..begins]);
        let comment = &rest[begins..];
        let ends = comment.find("*/").map_or(comment.len(), |at| at + 2);
        out.extend(comment[..ends].chars().filter(|letter| *letter == '\n'));
        rest = &comment[ends..];
    }
    out.push_str(rest);
    let line = |line: &str| match line.trim_start().starts_with("//") {
        true => String::new(),
        false => line.to_owned(),
    };
    out.lines().map(line).collect::<Vec<String>>().join("\n")
}

#[test]
fn every_file_has_a_type_and_is_found() {
    let all: Vec<String> = paths().collect();
    assert!(all.iter().any(|path| path == "index.html"), "{all:?}");
    for path in all {
        let found = file(&path).unwrap_or_else(|| panic!("{path}"));
        assert!(!found.bytes.is_empty() && !found.gzip.is_empty(), "{path}");
    }
    for none in
        ["mod.rs", "tests/mod.rs", "../mod.rs", "frame/../mod.rs", "frame", "/etc/passwd", "frame/app.js/"]
    {
        assert!(file(none).is_none(), "{none}");
    }
}

#[test]
fn the_list_names_every_other_file_by_its_address_and_their_release() {
    let list: serde_json::Value = serde_json::from_slice(&file(LIST).unwrap().bytes).unwrap();
    assert_eq!(list["release"], release());
    let listed: Vec<&str> =
        list["files"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(listed.len() + 1, paths().count());
    for address in listed {
        assert!(file(address.trim_start_matches('/')).is_some(), "{address}");
    }
}

#[test]
fn no_file_of_ours_is_long() {
    for (path, text) in [ours(".js"), ours(".css")].concat() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{path} has {lines} lines: split it by subject");
    }
}
