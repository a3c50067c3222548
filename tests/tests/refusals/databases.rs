//! Databases that are not what was written: refused, left as they are, and what the message advises works.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::books::{agree, check, claim_id, give};
use popmesh_tests::refusal::refused_to_run;
use popmesh_tests::{Event, Node, Options};

use crate::{event, listening, start_beside, start_hq};

const DATABASE: &str = "popmesh.db";
const PAGE: usize = 4_096;

type Damage = fn(&mut Vec<u8>);

const DAMAGES: [(&str, Damage); 6] = [
    ("garbage-header", |bytes| bytes[..16].copy_from_slice(b"no database here")),
    ("overwritten-page", |bytes| bytes[PAGE..2 * PAGE].fill(0xa5)),
    ("overwritten-last-page", |bytes| {
        let last = bytes.len() - PAGE;
        bytes[last..].fill(0xa5);
    }),
    ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
    ("zeroed", |bytes| bytes.fill(0)),
];

#[test]
fn a_damaged_database() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    for _ in 0..3 {
        hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    }
    hq.stop()?;
    let whole = fs::read(event.path().join("hq").join(DATABASE))?;
    for (name, damage) in DAMAGES {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        refuse(&event, name, &bytes)?;
    }
    // The SKU stands in records; each bit of it is under a hash and a signature.
    let records: Vec<usize> =
        whole.windows(6).enumerate().filter(|(_, bytes)| *bytes == b"hall-a").map(|(at, _)| at).collect();
    assert!(records.len() >= 2, "no record names the venue: {records:?}");
    for (number, at) in records.into_iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let said = refuse(&event, &format!("bit-flip-{number}"), &bytes)?;
        assert!(said.contains("damaged at entry "), "{said}");
    }
    Ok(())
}

/// A copy of hq's folder with this database: neither run nor changed, and doctor finds it too.
fn refuse(event: &Event, name: &str, database: &[u8]) -> Result<String> {
    let (from, folder) = (event.path().join("hq"), event.path().join(name));
    fs::create_dir(&folder)?;
    for file in fs::read_dir(&from)? {
        let file = file?;
        fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    fs::write(folder.join(DATABASE), database)?;
    let before = files(&folder)?;
    let said = refused_to_run(event, name, &[])?;
    assert!(said.contains("damaged") && said.contains("gets its past back"), "{name}: {said}");
    assert!(said.contains("popmesh.db") && said.contains("start again"), "{name}: {said}");
    let doctor = event.run(&["--data", name, "doctor", "--api", "127.0.0.1:0"])?;
    let found = String::from_utf8(doctor.stdout)?;
    let line =
        found.lines().find(|line| line.starts_with("FAIL  database")).with_context(|| found.clone())?;
    assert!(line.contains("damaged"), "{name}: {line}");
    assert_eq!(doctor.status.code(), Some(1), "{name}");
    assert!(files(&folder)? == before, "{name}: the folder was changed");
    Ok(said)
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let bytes = fs::read(file.path())?;
        // The process number in the lock is nobody's data, and SQLite leaves an empty log where it looked for one.
        if name != "lock" && !(name.ends_with("-wal") && bytes.is_empty()) {
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

#[test]
fn what_the_message_advises_brings_the_past_back() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    let till = start_beside(&event, "till", &hq)?;
    give(&hq, "CAP", 2, &till)?;
    agree(&[&hq, &till])?;
    let sold = claim_id(&till.sell("CAP", Duration::from_secs(20), None)?.ok()?)?;
    agree(&[&hq, &till])?;
    till.stop()?;

    let (folder, kept) = (event.path().join("till"), event.path().join("kept"));
    let mut bytes = fs::read(folder.join(DATABASE))?;
    bytes[PAGE..2 * PAGE].fill(0xa5);
    fs::write(folder.join(DATABASE), bytes)?;
    refused_to_run(&event, "till", &[])?;
    fs::create_dir(&kept)?;
    fs::rename(folder.join(DATABASE), kept.join(DATABASE))?;
    let log = folder.join("popmesh.db-wal");
    if log.exists() {
        fs::rename(log, kept.join("popmesh.db-wal"))?;
    }
    let till = Node::start(&event, "till", Options::loopback(&[listening(&hq, "tcp")?]))?;
    agree(&[&hq, &till])?;
    let claims = till.claims()?;
    let ids = claims.iter().map(claim_id).collect::<Result<Vec<_>>>()?;
    assert_eq!(ids, [sold], "its sale did not come back");
    assert_eq!(check(&till, "CAP")?, 1);
    till.sell("CAP", Duration::from_secs(20), None)?.ok()?;
    agree(&[&hq, &till])?;
    assert_eq!(check(&hq, "CAP")?, 2);
    Ok(())
}
