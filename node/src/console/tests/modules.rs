//! Modules find what they import; nothing is in line, and nothing comes from elsewhere.

use std::collections::BTreeSet;

use super::*;

/// What follows each `mark` up to the quote that ends it.
pub(super) fn quoted<'a>(text: &'a str, marks: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for mark in marks {
        for (at, _) in text.match_indices(mark) {
            let rest = text[at + mark.len()..].trim_start();
            let Some(quote) = rest.chars().next().filter(|letter| matches!(letter, '\'' | '"' | '`')) else {
                continue;
            };
            if let Some(ends) = rest[1..].find(quote) {
                found.push(&rest[1..=ends]);
            }
        }
    }
    found
}

/// What a module imports before it does anything. Minified ones have no blank before the quote.
pub(super) fn imported(text: &str) -> Vec<&str> {
    quoted(text, &["from"])
        .into_iter()
        .filter(|named| named.starts_with('.') && named.ends_with(".js"))
        .collect()
}

/// The path that `named` stands for in a file at `path`.
pub(super) fn resolved(path: &str, named: &str) -> String {
    let mut parts: Vec<&str> = match named.starts_with('/') {
        true => vec![],
        false => path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_import_is_a_file() {
    for (path, text) in [ours(".js"), vec![]].concat() {
        let text = without_comments(&text);
        for named in quoted(&text, &["from ", "import(", "\nimport "]) {
            assert!(named.starts_with('.'), "{path}: {named} is no path of a file");
            if named.contains("${") {
                continue;
            }
            let at = resolved(&path, named);
            assert!(file(&at).is_some(), "{path}: {named} is not there");
        }
    }
    // What the frame loads by the name of a page.
    let pages = file("frame/pages.js").unwrap();
    let pages = String::from_utf8(pages.bytes.to_vec()).unwrap();
    let names = quoted(&pages, &["{ name: "]);
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        for part in ["page.js", "page.css"] {
            assert!(file(&format!("pages/{name}/{part}")).is_some(), "pages/{name}/{part}");
        }
    }
}

#[test]
fn every_vendored_module_finds_its_own() {
    for path in paths().filter(|path| path.starts_with("vendor/") && path.ends_with(".js")) {
        let text = String::from_utf8(file(&path).unwrap().bytes.to_vec()).unwrap();
        for named in quoted(&text, &["from"]).into_iter().filter(|named| named.starts_with('.')) {
            assert!(file(&resolved(&path, named)).is_some(), "{path}: {named}");
        }
        assert!(!text.contains("sourceMappingURL"), "{path} names a map that is not there");
    }
}

#[test]
fn what_a_page_names_is_there() {
    let named: BTreeSet<(String, String)> = [ours(".html"), ours(".webmanifest"), ours(".css")]
        .concat()
        .into_iter()
        .flat_map(|(path, text)| {
            let found = quoted(&text, &["href=", "src=", "\"src\": ", "url("]);
            found.into_iter().map(|one| (path.clone(), one.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for (path, named) in named {
        assert!(file(&resolved(&path, &named)).is_some(), "{path}: {named} is not there");
    }
}

/// Whether `text` has an attribute like `onclick=` or `style="…"` in a template or a page: at its beginning a space.
fn in_line(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    for (at, _) in lower.match_indices(" on") {
        let name: String = lower[at + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
        let follows = &lower[at + 1 + name.len()..];
        if name.len() > 3
            && (follows.starts_with("=\"") || follows.starts_with("='") || follows.starts_with("=${"))
        {
            return Some(name);
        }
    }
    [" style=\"", " style='"].into_iter().find(|one| lower.contains(one)).map(ToOwned::to_owned)
}

#[test]
fn nothing_is_in_line_and_nothing_comes_from_elsewhere() {
    let forbidden = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "unsafeHTML",
        "unsafeSVG",
        "unsafeStatic",
        "eval(",
        "new Function",
        "javascript:",
        "setAttribute('style'",
        "setAttribute(\"style\"",
    ];
    for (path, text) in [ours(".js"), ours(".html"), ours(".css"), ours(".svg")].concat() {
        let text = without_comments(&text);
        for word in forbidden {
            assert!(!text.contains(word), "{path}: {word}");
        }
        for line in text.lines() {
            assert_eq!(in_line(line), None, "{path}: {line}");
            // A name space is no address that anything is fetched from.
            let elsewhere = ["http://", "https://"].iter().any(|scheme| {
                line.match_indices(scheme).any(|(at, _)| {
                    let rest = &line[at..];
                    !rest.starts_with("http://www.w3.org/")
                        && rest[scheme.len()..].starts_with(char::is_alphanumeric)
                })
            });
            assert!(!elsewhere, "{path}: {line}");
        }
        if path.ends_with(".html") {
            assert_eq!(
                text.matches("<script").count(),
                text.matches("<script type=\"module\" src=\"/").count(),
                "{path}"
            );
            assert!(!text.contains("<style"), "{path}");
        }
    }
}

#[test]
fn what_is_looked_for_is_found() {
    assert_eq!(in_line(r#"<b onclick="x()">"#).as_deref(), Some("onclick"));
    assert_eq!(in_line("html`<b onclick=${x}>`").as_deref(), Some("onclick"));
    assert!(in_line(r#"<b style="color:red">"#).is_some());
    assert_eq!(in_line("html`<b @click=${x} style=${styleMap(y)}>`"), None);
    assert_eq!(in_line("const once = one; on = true"), None);
    assert_eq!(resolved("pages/till/page.js", "../../frame/ui.js"), "frame/ui.js");
    assert_eq!(resolved("pages/till/page.js", "./cart.js"), "pages/till/cart.js");
    assert_eq!(without_comments("a /* b\n c */ d\n // e\nf"), "a \n d\n\nf");
    assert_eq!(without_comments("'image/*' /* b */ x"), "'image/*'  x");
}
