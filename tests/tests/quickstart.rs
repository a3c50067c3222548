//! The first hour: from nothing to a first sale.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Child, Home, Terminal};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

/// In the order in which they are written: whatever a power cut leaves is the beginning of this.
const WRITTEN: [&str; 7] = [
    "hq-organiser/organiser.key",
    "hq-organiser/event.charter",
    "hq/device.key",
    "hq-organiser/names",
    "hq/event.secret",
    "hq/event.charter",
    "hq/device.certificate",
];
const QUICKSTART: [&str; 6] = ["--data", "hq", "quickstart", "Neon Drop", "--currency", "EUR"];

fn json(home: &Home, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&home.says(&[&["--json"], arguments].concat())?)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::create_dir_all(to.parent().context("a folder")?)?;
        fs::copy(from, to)?;
    }
    Ok(())
}

#[test]
fn six_commands_make_a_first_sale() -> Result<()> {
    let home = Home::new()?;
    let said = home.says(&["quickstart", "Neon Drop", "--currency", "eur"])?;
    let (data, organiser) =
        (home.path().join(".local/share/popmesh"), home.path().join(".local/share/popmesh-organiser"));
    for text in [
        data.to_str(),
        organiser.to_str(),
        Some("prices in EUR"),
        Some("pos,hq,registrar at shop"),
        Some("keep a copy"),
    ] {
        ensure!(said.contains(text.context("text")?), "{said}");
    }
    assert!(organiser.join("organiser.key").exists() && !data.join("organiser.key").exists());
    for path in home.files()?.into_keys() {
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o077, 0, "{}", path.display());
    }
    // What it says comes next is what is typed here, but for the port and the network, which other tests share.
    let mut next: Vec<Vec<String>> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  popmesh "))
        .map(|line| line.split(' ').map(|word| word.trim_matches('"').to_owned()).collect())
        .collect();
    assert_eq!(next.len(), 5, "with this one, six commands: {said}");
    let run = next.remove(0);
    assert_eq!(run, ["run"]);
    let mut node = Child::start(
        "hq",
        &mut home.command(&["run", "--api", "127.0.0.1:0", "--no-mdns", "--interface", "lo"]),
    )?;
    node.wait_for_output(" running ", DEADLINE)?;
    let mut last = String::new();
    for command in next {
        last = home.says(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    ensure!(last.starts_with("sold 1 × Tee (TEE 1)") && last.contains("25.00 EUR"), "{last}");
    let registrars = json(&home, &["registrar", "show"])?;
    ensure!(registrars.to_string().contains("\"hq\""), "it can retire a till that is stolen: {registrars}");
    Ok(())
}

#[test]
fn where_there_is_an_event_nothing_is_changed() -> Result<()> {
    let home = Home::new()?;
    home.says(&QUICKSTART)?;
    let before = home.files()?;
    for arguments in [&QUICKSTART[..], &["--data", "hq", "quickstart", "Another", "--currency", "USD"]] {
        let said = home.fails(arguments, 1)?;
        ensure!(
            said.contains("hq of the event Neon Drop already") && said.contains("--data hq run"),
            "{said}"
        );
    }
    // A second registrar could give the same stock away twice.
    let said = home.fails(&["--data", "b", "quickstart", "Neon Drop", "--organiser", "hq-organiser"], 1)?;
    ensure!(said.contains("has devices already: hq (") && said.contains("popmesh --data b join"), "{said}");
    let other = ["--data", "b", "quickstart", "Another", "--currency", "EUR", "--organiser", "hq-organiser"];
    ensure!(home.fails(&other, 1)?.contains("Neon Drop"), "it says whose folder that is");
    assert_eq!(home.files()?, before);
    // Books whose key and certificate are gone are somebody's all the same.
    fs::create_dir(home.path().join("old"))?;
    fs::write(home.path().join("old/popmesh.db"), "")?;
    let said = home.fails(&["--data", "old", "quickstart", "X", "--currency", "EUR"], 1)?;
    ensure!(said.contains("has the books of an event already"), "{said}");
    Ok(())
}

#[test]
fn what_a_power_cut_left_is_gone_on_from() -> Result<()> {
    let whole = Home::new()?;
    whole.says(&QUICKSTART)?;
    let files: Vec<PathBuf> = whole.files()?.into_keys().collect();
    for path in &files {
        let name = path.strip_prefix(whole.path())?;
        ensure!(WRITTEN.iter().any(|written| name.starts_with(written)), "{} is in no order", name.display());
    }
    let text = |home: &Home, name: &str| fs::read(home.path().join(name));
    for count in 0..WRITTEN.len() {
        let cut = Home::new()?;
        for name in &WRITTEN[..count] {
            copy(&whole.path().join(name), &cut.path().join(name))?;
        }
        let said = cut.says(&QUICKSTART)?;
        assert_eq!(said.contains("it was founded before"), count >= 2, "after {count} files");
        if count >= 2 {
            let charter = "hq-organiser/event.charter";
            assert_eq!(text(&cut, charter)?, text(&whole, charter)?, "the same event after {count} files");
            assert_eq!(text(&cut, "hq/event.charter")?, text(&whole, charter)?);
        }
        let (shown, of_whole) = (
            json(&cut, &["--data", "hq", "device", "show"])?,
            json(&whole, &["--data", "hq", "device", "show"])?,
        );
        assert_eq!(shown["device"] == of_whole["device"], count >= 3, "the same key after {count} files");
        assert_eq!(shown["name"], "hq");
    }
    Ok(())
}

#[test]
fn what_another_event_was_begun_with_is_left_alone() -> Result<()> {
    let home = Home::new()?;
    home.says(&["event", "init", "Neon Drop", "--currency", "EUR", "--dir", "hq-organiser"])?;
    let before = home.files()?;
    let said = home.fails(&["--data", "hq", "quickstart", "Another", "--currency", "EUR"], 1)?;
    ensure!(said.contains("has the event Neon Drop, prices in EUR, already"), "{said}");
    ensure!(said.contains("popmesh --data hq quickstart 'Neon Drop' --organiser hq-organiser"), "{said}");
    home.fails(&["--data", "hq", "quickstart", "Neon Drop", "--currency", "USD"], 1)?;
    assert_eq!(home.files()?, before);
    // The event itself is gone on with, in its own currency, which need not be said again.
    home.says(&["--data", "hq", "quickstart", "Neon Drop"])?;
    // A charter without its key is no event to go on with.
    fs::create_dir(home.path().join("b-organiser"))?;
    fs::copy(home.path().join("hq/event.charter"), home.path().join("b-organiser/event.charter"))?;
    let said = home.fails(&["--data", "b", "quickstart", "Neon Drop", "--currency", "EUR"], 1)?;
    ensure!(said.contains("and not its key"), "{said}");
    Ok(())
}

#[test]
fn bad_input_is_told_what_is_right_and_changes_nothing() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path().join("real"))?;
    std::os::unix::fs::symlink("real", home.path().join("link"))?;
    let before = home.files()?.len();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--data", "a", "quickstart", "X"], 1, "AED AFN"),
        (&["--data", "a", "quickstart", "X", "--currency", "EUE"], 2, "no currency that people pay with"),
        (&["--data", "a", "quickstart", "", "--currency", "EUR"], 1, "name"),
        (&["--data", "a", "quickstart", "X\u{7}", "--currency", "EUR"], 1, "name"),
        (&["--data", "a", "quickstart", "X", "--currency", "EUR", "--device", ""], 1, "--device"),
        (
            &["--data", "a", "quickstart", "X", "--currency", "EUR", "--venue", "hall/07"],
            1,
            "--venue without a slash",
        ),
        (&["--data", "a", "quickstart", "X", "--currency", "EUR", "--days", "0"], 2, "1..=366"),
        (
            &["--data", "a", "quickstart", "X", "--currency", "EUR", "--organiser", "a"],
            1,
            "in the data folder",
        ),
        (
            &["--data", "a", "quickstart", "X", "--currency", "EUR", "--organiser", "a/b/c"],
            1,
            "in the data folder",
        ),
        (
            &["--data", "real", "quickstart", "X", "--currency", "EUR", "--organiser", "link/o"],
            1,
            "in the data folder",
        ),
        (&["--data", "/", "quickstart", "X", "--currency", "EUR"], 1, "--organiser"),
        (&["--data", "a", "quickstart"], 2, "<NAME>"),
    ];
    for (arguments, code, text) in cases {
        let said = home.fails(arguments, code)?;
        ensure!(said.contains(text), "{arguments:?}: {said}");
        assert_eq!(home.files()?.len(), before, "{arguments:?}");
        assert!(!home.path().join("a").exists(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn the_currency_is_asked_for_and_only_what_is_set_about_money_is_taken_for_certain() -> Result<()> {
    let home = Home::new()?;
    let run = |data: &str, name: &str, value: &str| {
        home.command(&["--json", "--data", data, "quickstart", "X"]).env(name, value).output()
    };
    let output = run("a", "LC_MONETARY", "de_CH.UTF-8")?;
    let facts: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(facts["currency"], "CHF");
    for (name, value) in [("LANG", "en_US.UTF-8"), ("LC_ALL", "en_US.UTF-8"), ("LC_MONETARY", "C")] {
        let output = run("b", name, value)?;
        assert_eq!(output.status.code(), Some(1), "{name}={value} is what the system came with");
        assert!(!home.path().join("b").exists());
    }
    let mut command = home.command(&["--data", "c", "quickstart", "X"]);
    let mut person = Terminal::start(command.env("LANG", "ja_JP.UTF-8"))?;
    person.wait_for("such as EUR [JPY]: ", DEADLINE)?;
    person.types("yen\n")?;
    person.wait_for("no currency that people pay with", DEADLINE)?;
    person.types("\n")?;
    person.wait_for("prices in JPY", DEADLINE)?;
    ensure!(person.ends(DEADLINE)?.success(), "{}", person.shown());
    ensure!(person.shown().contains("--price 2500\n"), "a price as it is written in yen: {}", person.shown());
    Ok(())
}
