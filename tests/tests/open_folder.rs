//! Who else on the host can read a data folder or redirect what is written there: as another user, with a folder that was open
//! before popmesh came, and with links in place of its files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use popmesh_tests::refusal::refused;
use popmesh_tests::{Event, Node, Options};
use rustix::fs::{Mode, XattrFlags};
use serde_json::Value;

/// A user that owns nothing here.
const OTHER: u32 = 4_242;

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::symlink_metadata(path).with_context(|| path.display().to_string())?.permissions().mode() & 0o777)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| path.display().to_string())
}

/// All that is in a folder, however deep, with its mode; links are not followed.
fn modes(folder: &Path) -> Result<BTreeMap<PathBuf, u32>> {
    let mut found = BTreeMap::from([(folder.to_owned(), mode(folder)?)]);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        found.insert(path.clone(), mode(&path)?);
        if path.symlink_metadata()?.is_dir() {
            found.extend(modes(&path)?);
        }
    }
    Ok(found)
}

fn assert_closed(folder: &Path) -> Result<()> {
    for (path, mode) in modes(folder)? {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{} has mode {mode:03o}", path.display());
    }
    Ok(())
}

/// Whether this process may act as other users.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether another user can read a file.
fn is_readable_by_other(path: &Path) -> Result<bool> {
    let status = Command::new("cat").arg(path).uid(OTHER).gid(OTHER).output()?;
    Ok(status.status.success())
}

/// An event whose folder anybody may walk through, with one enrolled device.
fn event() -> Result<(Event, PathBuf)> {
    let event = Event::found("Neon Drop")?;
    set_mode(event.path(), 0o755)?;
    let till = event.enrol("till", "hq,pos", "hall-a")?;
    Ok((event, till))
}

/// Runs the binary as a shell does that is told nothing: what it makes is for all to read.
fn with_usual_umask(event: &Event, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(event.program()).args(arguments);
    Ok(command.current_dir(event.path()).env("HOME", event.path()).env_remove("POPMESH_DATA").output()?)
}

fn done(output: &Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

fn findings(event: &Event, data: &str) -> Result<Vec<(String, String)>> {
    let output = event.run(&["--json", "--data", data, "doctor", "--api", "127.0.0.1:0"])?;
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).context("doctor says no JSON")?;
    let folder = findings.iter().filter(|finding| finding["check"] == "folder");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = |finding: &Value| format!("{}; {}", text(&finding["text"]), text(&finding["next"]));
    Ok(folder.map(|finding| (text(&finding["severity"]), said(finding))).collect())
}

#[test]
fn a_folder_that_is_open_is_closed_at_the_start_and_doctor_says_so_before_and_after() -> Result<()> {
    let (event, till) = event()?;
    Node::start(&event, "till", Options::loopback(&[]))?.stop()?;
    // As after a restored backup, in a folder that systemd made.
    for name in ["popmesh.db", "mark", "lock", "event.charter", "device.certificate", "till.enrolment"] {
        set_mode(&till.join(name), 0o644)?;
    }
    set_mode(&till, 0o755)?;
    if is_root() {
        assert!(is_readable_by_other(&till.join("popmesh.db"))?, "the test shows nothing");
    }
    let before = findings(&event, "till")?;
    println!("{before:?}");
    let (severity, said) = before.first().context("doctor does not look at the folder")?;
    assert_eq!(severity, "act");
    for word in ["popmesh.db (644)", "mode 755", "chmod -R go= "] {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    assert_eq!(mode(&till)?, 0o755, "doctor changes nothing");

    let mut node = Node::start(&event, "till", Options::loopback(&[]))?;
    let said = node.child().output()?;
    assert!(said.contains("was open to others on this host (mode 755)"), "{said}");
    assert!(said.contains("event.charter") && said.contains("and 2 more"), "{said}");
    assert_closed(&till)?;
    if is_root() {
        for name in ["popmesh.db", "popmesh.db-wal", "mark", "device.key", "api.addr"] {
            assert!(till.join(name).exists(), "{name}");
            assert!(!is_readable_by_other(&till.join(name))?, "{name}");
        }
    }
    let after = findings(&event, "till")?;
    assert_eq!(after.first().map(|(severity, _)| severity.as_str()), Some("ok"), "{after:?}");
    node.stop()?;
    assert_closed(&till)
}

#[test]
fn whatever_popmesh_makes_is_for_its_owner_alone() -> Result<()> {
    let (event, till) = event()?;
    // Folders that were there: of systemd, of a container, of a package.
    for name in ["state", "founded", "out"] {
        fs::create_dir(event.path().join(name))?;
        set_mode(&event.path().join(name), 0o755)?;
    }
    let said = done(&with_usual_umask(&event, &["--data", "state", "device", "new", "--name", "box"])?)?;
    assert!(said.contains("was open to others"), "{said}");
    done(&with_usual_umask(&event, &["event", "init", "Moon", "--currency", "EUR", "--dir", "founded"])?)?;
    for name in ["state", "founded"] {
        assert_closed(&event.path().join(name))?;
    }
    let sign =
        ["device", "sign", "state/box.enrolment", "--event", "organiser", "--role", "pos", "--venue", "a"];
    done(&with_usual_umask(&event, &[&sign[..], &["-o", "box.certificate"]].concat())?)?;
    let ticket = ["--data", "till", "device", "ticket", "--role", "pos", "--venue", "a"];
    done(&with_usual_umask(&event, &[&ticket[..], &["-o", "box.ticket", "--svg", "box.svg"]].concat())?)?;
    let token =
        ["--data", "till", "api", "token", "new", "--scope", "till", "--for", "1h", "--name", "counter"];
    done(&with_usual_umask(&event, &token)?)?;
    for name in ["box.certificate", "box.ticket", "box.svg"] {
        assert_eq!(mode(&event.path().join(name))?, 0o600, "{name}");
    }
    assert_closed(&till)?;
    // Over the network interface, so that all of the API's files are made.
    let tls = Options { arguments: vec!["--tls".to_owned()], ..Options::loopback(&[]) };
    let arguments = [Options::loopback(&[]).arguments, tls.arguments].concat();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(event.program());
    command.arg("--data").arg(&till).args(["run", "--api", "127.0.0.1:0"]).args(arguments);
    let mut node = popmesh_tests::Child::start("till", &mut command)?.quiet();
    node.wait_for_output(" running ", std::time::Duration::from_secs(60))?;
    assert_closed(&till)?;
    for name in ["api.token", "api-ca.key", "api-ca.pem", "api.addr"] {
        assert!(till.join(name).exists(), "{name}");
    }
    done(&with_usual_umask(&event, &["--data", "till", "product", "add", "CAP", "Cap", "--price", "25"])?)?;
    done(&with_usual_umask(&event, &["--data", "till", "export", "out"])?)?;
    let mut exported = 0;
    for entry in fs::read_dir(event.path().join("out"))? {
        exported += 1;
        assert_eq!(mode(&entry?.path())?, 0o600);
    }
    assert!(exported > 0, "nothing was exported");
    node.kill().map(drop)
}

#[test]
fn keys_that_others_could_read_are_for_a_person_to_judge() -> Result<()> {
    let (event, till) = event()?;
    for name in ["device.key", "event.secret"] {
        set_mode(&till.join(name), 0o640)?;
        set_mode(&till, 0o755)?;
        let said = refused(&event, &["--data", "till", "run", "--api", "127.0.0.1:0"], 1)?;
        assert!(said.contains("chmod 600") && said.contains(name), "{said}");
        assert_eq!(
            (mode(&till)?, mode(&till.join(name))?),
            (0o700, 0o640),
            "the folder is closed all the same"
        );
        let found = findings(&event, "till")?;
        assert!(found.iter().any(|(severity, text)| severity == "act" && text.contains(name)), "{found:?}");
        set_mode(&till.join(name), 0o600)?;
    }
    set_mode(&event.path().join("organiser/organiser.key"), 0o644)?;
    let ticket = ["device", "ticket", "--event", "organiser", "--role", "pos", "--venue", "a"];
    let said = refused(&event, &ticket, 1)?;
    assert!(said.contains("chmod 600") && said.contains("organiser.key"), "{said}");
    Ok(())
}

#[test]
fn links_in_place_of_files_are_refused_and_what_they_lead_to_is_not_touched() -> Result<()> {
    let (event, till) = event()?;
    Node::start(&event, "till", Options::loopback(&[]))?.stop()?;
    let target = event.path().join("target");
    fs::write(&target, "another's")?;
    set_mode(&target, 0o644)?;
    let names = [
        "device.key",
        "device.certificate",
        "event.charter",
        "event.secret",
        "popmesh.db",
        "popmesh.db-wal",
        "popmesh.db-shm",
        "popmesh.db.new",
        "mark",
        "mark.new",
        "lock",
        "api.token",
        "api.addr",
        "api-tokens",
        "tickets",
        "api-ca.key",
    ];
    for name in names {
        let (place, kept) = (till.join(name), event.path().join("kept"));
        let was_there = place.symlink_metadata().is_ok();
        if was_there {
            fs::rename(&place, &kept)?;
        }
        for target in [target.clone(), event.path().join("nowhere")] {
            symlink(&target, &place)?;
            let said = refused(&event, &["--data", "till", "run", "--api", "127.0.0.1:0"], 1)?;
            assert!(said.contains("is a link") && said.contains(name), "{name}: {said}");
            let found = findings(&event, "till")?;
            assert!(
                found.iter().any(|(severity, text)| severity == "act" && text.contains("is a link")),
                "{found:?}"
            );
            fs::remove_file(&place)?;
        }
        if was_there {
            fs::rename(&kept, &place)?;
        }
        assert_eq!(fs::read_to_string(&target)?, "another's", "{name}");
        assert_eq!(mode(&target)?, 0o644, "{name}");
        assert!(!event.path().join("nowhere").exists(), "{name}");
    }
    // Pipes would have it wait, folders are none of its files.
    for name in ["lock", "mark", "device.key"] {
        let (place, kept) = (till.join(name), event.path().join("kept"));
        fs::rename(&place, &kept)?;
        rustix::fs::mkfifoat(rustix::fs::CWD, &place, Mode::RWXU)?;
        let said = refused(&event, &["--data", "till", "run", "--api", "127.0.0.1:0"], 1)?;
        assert!(said.contains("no ordinary file") && said.contains(name), "{said}");
        fs::remove_file(&place)?;
        fs::rename(&kept, &place)?;
    }
    // What is written elsewhere at a person's word follows none either.
    fs::create_dir(event.path().join("out"))?;
    let node = Node::start(&event, "till", Options::loopback(&[]))?;
    done(&event.run(&["--data", "till", "product", "add", "CAP", "Cap", "--price", "25"])?)?;
    done(&event.run(&["--data", "till", "export", "out"])?)?;
    let exported: Vec<PathBuf> =
        fs::read_dir(event.path().join("out"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    for path in exported {
        fs::remove_file(&path)?;
        symlink(&target, &path)?;
    }
    let said = refused(&event, &["--data", "till", "export", "out"], 1)?;
    assert!(said.contains("is a link"), "{said}");
    symlink("../nowhere", event.path().join("box.enrolment"))?;
    fs::create_dir(event.path().join("box"))?;
    symlink(&target, event.path().join("box/device.key"))?;
    let said = refused(&event, &["--data", "box", "device", "new", "--name", "box"], 1)?;
    assert!(said.contains("device.key"), "{said}");
    assert_eq!(fs::read_to_string(&target)?, "another's");
    node.stop()
}

#[test]
fn a_folder_or_file_of_another_user_is_refused_and_a_link_of_ones_own_is_not() -> Result<()> {
    if !is_root() {
        println!("only root can try what another user has made: left out");
        return Ok(());
    }
    let (event, till) = event()?;
    let run = |data: &str| refused(&event, &["--data", data, "run", "--api", "127.0.0.1:0"], 1);
    chown(&till, Some(OTHER), Some(OTHER))?;
    let said = run("till")?;
    assert!(said.contains("belongs to user 4242") && said.contains("chown"), "{said}");
    chown(&till, Some(0), Some(0))?;
    fs::write(till.join("popmesh.db"), "planted")?;
    chown(till.join("popmesh.db"), Some(OTHER), Some(OTHER))?;
    let said = run("till")?;
    assert!(said.contains("popmesh.db belongs to user 4242"), "{said}");
    assert_eq!(fs::read_to_string(till.join("popmesh.db"))?, "planted");
    fs::remove_file(till.join("popmesh.db"))?;
    // The other way round: somebody else comes to root's folder.
    set_mode(&till, 0o755)?;
    let output = Command::new(event.program())
        .args(["--data", "till", "device", "show"])
        .current_dir(event.path())
        .uid(OTHER)
        .gid(OTHER)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("belongs to user 0"), "{said}");

    let link = event.path().join("link");
    symlink("till", &link)?;
    rustix::fs::chownat(
        rustix::fs::CWD,
        &link,
        Some(rustix::process::Uid::from_raw(OTHER)),
        None,
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )?;
    for data in ["link", "link/", "link/."] {
        let said = run(data)?;
        assert!(said.contains("belongs to user 4242"), "{said}");
    }
    fs::remove_file(&link)?;
    symlink("till", &link)?;
    Node::start(&event, "link", Options::loopback(&[]))?.stop()?;
    assert_closed(&till)
}

#[test]
fn a_folder_with_other_things_in_it_is_left_as_it_is() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let home = event.path().join("home");
    fs::create_dir(&home)?;
    set_mode(&home, 0o755)?;
    fs::write(home.join("letter"), "dear")?;
    set_mode(&home.join("letter"), 0o644)?;
    let before = modes(&home)?;
    let said = refused(&event, &["--data", "home", "device", "new", "--name", "box"], 1)?;
    assert!(said.contains("a folder of its own") && said.contains("chmod 700"), "{said}");
    let said = refused(&event, &["event", "init", "Moon", "--currency", "EUR", "--dir", "home"], 1)?;
    assert!(said.contains("a folder of its own"), "{said}");
    assert_eq!(modes(&home)?, before);
    // Closed by hand it is fine, and what is not popmesh's keeps its mode; so does a door's program.
    set_mode(&home, 0o700)?;
    done(&event.run(&["--data", "home", "device", "new", "--name", "box"])?)?;
    set_mode(&home, 0o755)?;
    fs::write(home.join("open-door"), "#!/bin/sh\n")?;
    set_mode(&home.join("open-door"), 0o755)?;
    done(&event.run(&["--data", "home", "device", "show"])?)?;
    assert_eq!(
        (mode(&home)?, mode(&home.join("open-door"))?, mode(&home.join("letter"))?),
        (0o700, 0o755, 0o644)
    );
    Ok(())
}

/// An access list that lets `OTHER` in, as Linux keeps it: a version, then tag, rights and user of each entry.
fn access_list() -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, rights, id) in [(1, 7, nobody), (2, 5, OTHER), (4, 0, nobody), (16, 7, nobody), (32, 0, nobody)]
    {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(rights));
        bytes.extend(u32::to_le_bytes(id));
    }
    bytes
}

#[test]
fn an_access_list_lets_nobody_in() -> Result<()> {
    let (event, till) = event()?;
    for name in ["system.posix_acl_access", "system.posix_acl_default"] {
        if let Err(error) = rustix::fs::setxattr(&till, name, &access_list(), XattrFlags::empty()) {
            println!("this file system keeps no access lists ({error}): left out");
            return Ok(());
        }
    }
    let node = Node::start(&event, "till", Options::loopback(&[]))?;
    for (path, mode) in modes(&till)? {
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:03o}", path.display());
        if is_root() && path.is_file() {
            assert!(!is_readable_by_other(&path)?, "{}", path.display());
        }
    }
    node.stop()
}

#[test]
fn doctor_warns_of_folders_above_in_which_others_write() -> Result<()> {
    let (event, till) = event()?;
    let shared = event.path().join("shared");
    fs::create_dir(&shared)?;
    fs::rename(till, shared.join("till"))?;
    let warned = |event: &Event| -> Result<bool> {
        let found = findings(event, "shared/till")?;
        Ok(found
            .iter()
            .any(|(severity, text)| severity == "look" && text.contains("shared can put another folder")))
    };
    assert!(!warned(&event)?);
    set_mode(&shared, 0o777)?;
    assert!(warned(&event)?);
    set_mode(&shared, 0o1777)?;
    assert!(!warned(&event)?, "there only the owner can replace what is in it");
    if is_root() {
        set_mode(&shared, 0o755)?;
        chown(&shared, Some(OTHER), Some(OTHER))?;
        assert!(warned(&event)?);
    }
    Ok(())
}

#[test]
fn a_power_cut_leaves_no_drafts_for_ever() -> Result<()> {
    let (event, till) = event()?;
    let draft = till.join("mark.Ab3dEf.new");
    fs::write(&draft, "half")?;
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    fs::File::options().write(true).open(&draft)?.set_modified(long_ago)?;
    Node::start(&event, "till", Options::loopback(&[]))?.stop()?;
    let left: Vec<_> = fs::read_dir(&till)?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| Path::new(name).extension() == Some(OsStr::new("new")))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}
