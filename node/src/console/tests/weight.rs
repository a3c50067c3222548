//! What is loaded before a person can do anything: in one go, and little of it.

use std::collections::BTreeSet;

use super::modules::{imported, quoted, resolved};
use super::*;

/// The most that a first view may take on its way, bytes.
const MOST: usize = 150_000;

/// A module and all that it cannot do without.
fn with_its_own(path: &str, found: &mut BTreeSet<String>) {
    if !found.insert(path.to_owned()) {
        return;
    }
    let text = String::from_utf8(file(path).unwrap_or_else(|| panic!("{path}")).bytes.to_vec()).unwrap();
    for named in imported(&text) {
        with_its_own(&resolved(path, named), found);
    }
}

fn preloaded(index: &str) -> BTreeSet<String> {
    let links = index.lines().filter(|line| line.contains("rel=\"modulepreload\""));
    links
        .flat_map(|line| quoted(line, &["href="]))
        .map(|path| path.trim_start_matches('/').to_owned())
        .collect()
}

#[test]
fn what_the_frame_needs_is_asked_for_at_once() {
    let index = String::from_utf8(file("index.html").unwrap().bytes.to_vec()).unwrap();
    let mut needed = BTreeSet::new();
    with_its_own("frame/app.js", &mut needed);
    assert_eq!(preloaded(&index), needed, "index.html has a modulepreload for each, and for no other");
}

#[test]
fn what_a_page_needs_is_asked_for_at_once() {
    let mut frame = BTreeSet::new();
    with_its_own("frame/app.js", &mut frame);
    let pages = String::from_utf8(file("frame/pages.js").unwrap().bytes.to_vec()).unwrap();
    let listed: Vec<&str> = pages.split("{ name: '").skip(1).collect();
    assert!(listed.len() >= 5, "{pages}");
    for page in listed {
        let (name, rest) = page.split_once('\'').unwrap();
        let modules = rest.split_once("modules: [").unwrap().1.split_once(']').unwrap().0;
        let modules: BTreeSet<String> =
            modules.split('\'').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        let mut needed = BTreeSet::new();
        with_its_own(&format!("pages/{name}/page.js"), &mut needed);
        let needed: BTreeSet<String> = needed.difference(&frame).cloned().collect();
        assert_eq!(modules, needed, "{name} in frame/pages.js");
    }
}

#[test]
fn the_first_view_is_small() {
    let styles = [
        "index.html",
        "frame/colours.css",
        "frame/look.css",
        "frame/frame.css",
        "manifest.webmanifest",
        "frame/icon.svg",
        "frame/begin.js",
    ];
    let pages: BTreeSet<String> =
        paths().filter(|path| path.starts_with("pages/") && path.ends_with("/page.js")).collect();
    assert!(pages.len() >= 5, "{pages:?}");
    for page in pages {
        for language in paths().filter(|path| path.starts_with("texts/")) {
            let mut needed: BTreeSet<String> = styles.iter().map(|path| (*path).to_owned()).collect();
            with_its_own("frame/app.js", &mut needed);
            with_its_own("frame/again.js", &mut needed);
            with_its_own(&page, &mut needed);
            needed.extend([language.clone(), page.replace("page.js", "page.css")]);
            let bytes: usize = needed.iter().filter_map(|path| file(path)).map(|file| file.gzip.len()).sum();
            println!("{page} with {language}: {bytes} bytes in {} files", needed.len());
            assert!(bytes <= MOST, "{page} with {language} takes {bytes} bytes, and may take {MOST}");
        }
    }
}
