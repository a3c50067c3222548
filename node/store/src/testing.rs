//! Disks that misbehave for real, for tests: small file systems in memory, mounted where only one test sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "only tests call this: a panic is how they fail")]

use std::path::Path;
use std::process::Command;

const INSIDE: &str = "POPMESH_TEST_OWN_MOUNTS";

/// Runs `body` with a folder to mount on, in a process with mounts of its own, which end with it: the test of that path
/// again, in a new mount namespace.
///
/// # Panics
/// When the test fails in there, or this machine does not let it mount.
pub fn with_own_mounts(test: &str, body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(INSIDE) {
        body(Path::new(&folder));
        return;
    }
    // Made out here, where nothing is mounted on it when it is to be removed.
    let folder = tempfile::tempdir().unwrap();
    let as_root = ["--mount"];
    let as_user = ["--user", "--map-root-user", "--mount"];
    let allowed = |flags: &[&str]| {
        Command::new("unshare").args(flags).arg("true").output().is_ok_and(|output| output.status.success())
    };
    let flags = [&as_root[..], &as_user[..]].into_iter().find(|flags| allowed(flags)).expect(
        "this test mounts file systems of its own: it takes the program `unshare` and either root or user namespaces",
    );
    let output = Command::new("unshare")
        .args(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Mounts something on `folder`.
///
/// # Panics
/// When the system refuses.
pub fn mount(arguments: &[&str], folder: &Path) {
    let output = Command::new("mount").args(arguments).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
