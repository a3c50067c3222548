//! Compartments and their doors as a person at the locker has them: by the command line.

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::put_on_sale;
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

struct Person<'a>(&'a Event);

impl Person<'_> {
    /// What a command that succeeds prints.
    fn sees(&self, words: &str) -> Result<String> {
        let output = self.0.run(&Self::words(words))?;
        let printed = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(printed)
    }

    /// What a command that fails prints, and what it says is wrong.
    fn is_refused(&self, words: &str) -> Result<(String, String)> {
        let output = self.0.run(&Self::words(words))?;
        ensure!(!output.status.success(), "{words} succeeded");
        Ok((String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    }

    fn words(words: &str) -> Vec<&str> {
        ["--data", "box"].into_iter().chain(words.split(' ')).collect()
    }

    /// Sells one for pickup here: the claim.
    fn sells(&self) -> Result<String> {
        let printed = self.sees("--json sell CAP --pickup-at box")?;
        let sold: Value = serde_json::from_str(&printed)?;
        Ok(sold["claim"].as_str().context("no claim")?.to_owned())
    }
}

#[test]
fn a_person_stows_opens_and_settles() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("box", "hq,pos,locker", "hall-a")?;
    let mut options = Options::loopback(&[]);
    options.arguments.extend(["--door", "virtual"].map(str::to_owned));
    let node = Node::start(&event, "box", options)?;
    put_on_sale(&node, "CAP", 10)?;
    let person = Person(&event);

    let stowed = person.sees("stow --drop cap --sku CAP --serials 4-6 --compartment 07")?;
    assert!(stowed.contains("in compartment 07: 3 × Product CAP (CAP 4-6)"), "{stowed}");
    let (_, wrong) = person.is_refused("stow --drop cap --sku CAP --serials 1 --compartment ../7")?;
    assert!(wrong.contains("cannot be a compartment"), "{wrong}");
    let (_, wrong) = person.is_refused("stow --drop cap --sku CAP --serials 11 --compartment 07")?;
    assert!(wrong.contains("holds 10 of CAP"), "{wrong}");
    let doors = person.sees("doors")?;
    assert!(doors.contains("Doors: virtual") && doors.contains("3 × Product CAP (CAP 4-6)"), "{doors}");

    let first = person.sells()?;
    let handed = person.sees(&format!("claim redeem {first}"))?;
    assert!(handed.contains("1 × Product CAP (CAP 4) from compartment 07"), "{handed}");
    assert!(handed.contains("door 07: opened"), "{handed}");

    person.sees("door jam 07")?;
    let second = person.sells()?;
    let (printed, wrong) = person.is_refused(&format!("claim redeem {second}"))?;
    assert!(printed.contains("1 × Product CAP (CAP 5) from compartment 07"), "{printed}");
    assert!(wrong.contains("is redeemed, and its door is stuck: jammed"), "{wrong}");
    let doors = person.sees("doors")?;
    assert!(doors.contains("stuck: jammed") && doors.contains("Look at these"), "{doors}");
    person.is_refused(&format!("door open {second}"))?;
    person.sees("door jam 07 --off")?;
    let opened = person.sees(&format!("door open {second}"))?;
    assert!(opened.contains("door 07: opened"), "{opened}");
    let (_, wrong) = person.is_refused(&format!("door open {second}"))?;
    assert!(wrong.contains("opened already"), "{wrong}");

    person.sees("door jam 07")?;
    let third = person.sells()?;
    let (printed, _) = person.is_refused(&format!("--json claim redeem {third}"))?;
    let printed: Value = serde_json::from_str(&printed)?;
    assert_eq!((&printed["doors"], &printed["door"]["state"]), (&json!(["07"]), &json!("stuck")));
    let (_, wrong) = person.is_refused(&format!("door settle {third} --by Ana"))?;
    assert!(wrong.contains("--handed-over"), "{wrong}");
    let settled = person.sees(&format!("door settle {third} --not-handed-over --by Ana --yes"))?;
    assert!(settled.contains("not handed over, says Ana"), "{settled}");
    let code = serde_json::from_str::<Value>(&person.sees(&format!("--json claim show {third}"))?)?;
    assert!(person.sees("doors")?.contains(code["code"].as_str().context("no code")?));
    person.sees(&format!("claim refund {third}"))?;
    let doors = person.sees("doors")?;
    assert!(!doors.contains("Look at these") && doors.contains("1 × Product CAP (CAP 6)"), "{doors}");
    println!("{doors}");
    let metrics = node.call("GET", "/metrics", None, None)?.ok()?;
    let text = metrics.as_str().context("no text")?.to_owned();
    for line in ["popmesh_doors_total{outcome=\"opened\"} 2", "popmesh_doors_total{outcome=\"stuck\"} 3"] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    node.stop()
}

#[test]
fn what_opens_no_doors_is_refused_before_anything_runs() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("box", "locker", "hall-a")?;
    let person = Person(&event);
    for (words, why) in [
        ("run --door relay", "say virtual"),
        ("run --door https://board/{compartment}", "not over https"),
        ("run --door http://board/open", "{compartment}"),
        ("run --door exec:/no/such/program", "no program"),
        ("run --door virtual --door-timeout 2m", "up to 60s"),
        ("run --door-timeout 2s", "--door"),
    ] {
        let (_, wrong) = person.is_refused(words)?;
        assert!(wrong.contains(why), "{words}: {wrong}");
    }
    Ok(())
}
