//! Files that cannot be: each gets one clear error.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn folder_with(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn refused(path: &Path) -> (Problem, String) {
    let error = load(path).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    (*error.problem, text)
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let (_folder, path) = folder_with("huge.toml", b"");
    // Sparse: it takes no room, and reading it would take for ever.
    fs::File::options().write(true).open(&path).unwrap().set_len(10_000_000_000).unwrap();
    let (problem, text) = refused(&path);
    assert_eq!(problem, Problem::FileTooLarge { bytes: 10_000_000_000 });
    assert!(text.contains("10000000000 bytes") && text.contains("1048576"), "{text}");
}

#[test]
fn a_device_without_an_end_is_no_file() {
    let (problem, _) = refused(Path::new("/dev/zero"));
    assert_eq!(problem, Problem::NotAFile { found: "a pipe, a socket or a device" });
}

#[test]
fn a_folder_and_a_pipe_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refused(folder.path()).0, Problem::NotAFile { found: "a folder" });
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refused(&pipe).0, Problem::NotAFile { found: "a pipe, a socket or a device" });
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_there_is() {
    let error = find("one-stal").unwrap_err().to_string();
    assert!(error.contains("did you mean \"one-stall\"?") && error.contains("battery-night"), "{error}");
}

#[test]
fn what_is_not_text_is_told_with_its_line() {
    let (_folder, path) = folder_with("latin.toml", b"lasts = \"40 min\"\ntitle = \"Fr\xfchling\"\n");
    let error = load(&path).unwrap_err();
    assert_eq!(*error.problem, Problem::NotUtf8);
    assert_eq!(error.at.position, Some((2, 12)));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let error = parse("n.toml", "lasts = \"40 min\"\n\n[[venue]\nname = 3\n").unwrap_err();
    assert!(matches!(*error.problem, Problem::Syntax { .. }), "{error}");
    assert_eq!(error.at.position.unwrap().0, 3, "{error}");
    let deep = format!("a = {}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(*parse("n.toml", &deep).unwrap_err().problem, Problem::Syntax { .. }));
}

#[test]
fn a_circle_of_includes_is_told_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("night.toml", "include = \"a.toml\"\n");
    write("a.toml", "# a\ninclude = [\"b.toml\"]\n");
    write("b.toml", "include = [\"./a.toml\"]\n");
    let error = load(folder.path().join("night.toml")).unwrap_err();
    let Problem::IncludeCycle { chain } = &*error.problem else { panic!("{error}") };
    let names: Vec<&str> =
        chain.iter().map(|path| Path::new(path).file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.toml", "b.toml", "a.toml"]);
    assert!(error.at.file.ends_with("b.toml") && error.at.position == Some((1, 12)), "{error}");
    write("self.toml", "include = \"self.toml\"\n");
    assert!(matches!(refused(&folder.path().join("self.toml")).0, Problem::IncludeCycle { .. }));
}

#[test]
fn includes_are_bounded_and_missing_ones_told_where_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, text: String| fs::write(folder.path().join(name), text).unwrap();
    for number in 0..20 {
        write(format!("{number}.toml"), format!("include = \"{}.toml\"\n", number + 1));
    }
    write("20.toml".to_owned(), String::new());
    assert_eq!(refused(&folder.path().join("0.toml")).0, Problem::IncludesTooDeep);
    let many: Vec<String> = (0..100).map(|number| format!("\"wide-{number}.toml\"")).collect();
    for number in 0..100 {
        write(format!("wide-{number}.toml"), String::new());
    }
    write("wide.toml".to_owned(), format!("include = [{}]\n", many.join(", ")));
    assert_eq!(refused(&folder.path().join("wide.toml")).0, Problem::TooManyFiles);
    write("lost.toml".to_owned(), "include = [\"nowhere.toml\"]\n".to_owned());
    let error = load(folder.path().join("lost.toml")).unwrap_err();
    assert!(matches!(*error.problem, Problem::IncludeNotFound { .. }), "{error}");
    assert_eq!(error.at.position, Some((1, 12)));
}

#[test]
fn errors_name_the_file_where_the_mistake_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("site.toml", &NIGHT.replace("units = 50", "units = -50"));
    write("night.toml", "include = \"site.toml\"\n");
    let error = load(folder.path().join("night.toml")).unwrap_err();
    assert!(error.at.file.ends_with("site.toml"), "{error}");
    assert_eq!(error.at.field, "drop[0].lot[0].units");
}
