use super::*;

#[test]
fn every_file_has_a_type_and_is_found() {
    let all: Vec<String> = paths().collect();
    assert!(all.iter().any(|path| path == "index.html"), "{all:?}");
    for path in all {
        let found = file(&path).unwrap_or_else(|| panic!("{path}"));
        assert!(!found.bytes.is_empty() && !found.gzip.is_empty(), "{path}");
    }
    for none in ["mod.rs", "../mod.rs", "frame/../mod.rs", "frame", "/etc/passwd", "frame/app.js/"] {
        assert!(file(none).is_none(), "{none}");
    }
}
