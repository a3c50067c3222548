//! The report as people get it: what is on the page, what never is, and that it stays small.

mod night;

use std::io::Read;

use popmesh_simulator::comparison::{Comparison, ComparisonRow};
use popmesh_simulator::coverage::Coverage;
use popmesh_simulator::night::{
    Cause, DropNight, FaultSpan, Finding, LaneState, MediumNight, Night, Outcome, Series, Severity, Span,
    StepNight,
};
use popmesh_simulator::report::{self, WriteError};
use popmesh_simulator::scenario::StockPolicy;

use night::{empty, plausible};

/// Everything that a page must not have if it is to open offline and run nothing.
const FOREIGN: [&str; 7] = ["http://", "https://", "src=", "<script", "<link", "@import", "javascript:"];

fn assert_alone(page: &str) {
    for foreign in FOREIGN {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count());
}

/// Every element that is opened is closed, in order.
fn assert_well_nested(page: &str) {
    const CLOSED_BY_ITSELF: [&str; 3] = ["meta", "line", "!DOCTYPE"];
    let body = page.replace(char::is_whitespace, " ");
    let mut open: Vec<String> = Vec::new();
    for piece in body.split('<').skip(1) {
        let Some((tag, _)) = piece.split_once('>') else { panic!("not closed: {piece}") };
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else {
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            if !tag.ends_with('/') && !CLOSED_BY_ITSELF.contains(&name) {
                open.push(name.to_owned());
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_section_is_on_the_page() {
    let page = report::html(&plausible(12, 3, 1_400, 7));
    for part in [
        "Not passed: thresholds missed",
        "99 of 100 sales: 5.1 s, wanted within 4 s",
        "The night in numbers",
        "What to look at",
        "No unit was sold to two shoppers.",
        "popmesh-sim rehearse three-venues-live-drop --seed 7",
        "Timeline",
        "Close to closed",
        "close by encoder",
        "till-3: on battery",
        "18:05:00–18:09:00 (4 min) hall-a loses Wi-Fi, 1,204 times",
        "Sales and refusals over time",
        "Time to sell",
        "Why shoppers went away without",
        "What the tills said",
        "What each medium carried",
        "Left to sell",
        "Held by each device",
        "Time to agree",
        "Backlog",
        "Faults that happened, by kind",
        "Each device in numbers",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_alone(&page);
    assert_well_nested(&page);
}

#[test]
fn the_same_night_gives_the_same_page() {
    let (first, second) = (plausible(30, 4, 2_000, 5), plausible(30, 4, 2_000, 5));
    assert_eq!(report::html(&first), report::html(&second));
    assert_eq!(report::json(&first).unwrap(), report::json(&second).unwrap());
    assert_ne!(report::html(&first), report::html(&plausible(30, 4, 2_000, 6)));
}

#[test]
fn a_night_in_which_nothing_was_is_a_page_too() {
    let page = report::html(&empty());
    for part in
        ["No promise was checked.", "There were no devices.", "No shopper came.", "There was no stock."]
    {
        assert!(page.contains(part), "{part}");
    }
    assert_alone(&page);
    assert_well_nested(&page);
    assert!(report::summary(&empty(), false).starts_with("Passed"));
    assert!(!page.contains("NaN") && !page.contains("inf%"));
}

/// Puts `text` wherever a text from outside can stand.
fn infested(text: &str) -> Night {
    let mut night = plausible(24, 2, 300, 1);
    let text = || text.to_owned();
    (night.scenario, night.title, night.replay, night.history) = (text(), text(), text(), text());
    for device in &mut night.devices {
        (device.name, device.venue, device.roles) = (text(), text(), text());
    }
    for check in &mut night.verdict.checks {
        (check.name, check.measured) = (text(), text());
        if !check.wanted.is_empty() {
            check.wanted = text();
        }
    }
    for fault in &mut night.faults {
        (fault.kind, fault.text) = (text(), text());
    }
    for finding in &mut night.findings {
        (finding.text, finding.invariant, finding.devices) = (text(), text(), vec![text()]);
    }
    for answer in &mut night.answers {
        if let Outcome::Refused(reason) | Outcome::WronglyRefused(reason) = &mut answer.outcome {
            *reason = text();
        }
    }
    night.stock_left.iter_mut().for_each(|series| series.name = text());
    night.numbers.media.iter_mut().for_each(|medium| medium.name = text());
    night.drops.iter_mut().flat_map(|drop| &mut drop.steps).for_each(|step| step.said = text());
    night.drops.iter_mut().for_each(|drop| drop.name = text());
    night.numbers.refusals.insert(text(), 1);
    night.numbers.claimed_per_mille.insert(text(), 1);
    night
}

#[test]
fn no_text_from_outside_becomes_markup() {
    for text in ["<script>alert(1)</script>", "\"onload=x><svg>", "'x' a=b", "</title></svg>&lt;"] {
        let page = report::html(&infested(text));
        assert_alone(&page);
        assert_well_nested(&page);
        assert!(!page.contains(text), "{text}");
    }
    assert!(report::html(&infested("<script>")).contains("&lt;script&gt;: cut off"));
}

#[test]
fn no_text_from_outside_moves_the_cursor() {
    let night = infested("\u{1b}[2J\r\u{202e}x");
    let summary = report::summary(&night, false);
    assert!(!summary.contains(['\u{1b}', '\r', '\u{202e}']));
    assert!(!report::html(&night).contains(['\u{1b}', '\r', '\u{202e}']));
}

/// A night that is too much in every way, with names that grow when they are escaped.
fn monstrous() -> Night {
    let name = |place: usize| format!("{place}{}", "<\"&'>".repeat(80));
    let mut night = plausible(200, 5, 100_000, 9);
    let pattern = night.devices.clone();
    night.devices = (0..2_000)
        .map(|place| {
            let mut device = pattern[place % pattern.len()].clone();
            (device.name, device.venue, device.roles) = (name(place), name(place % 90), name(place));
            device.lane = (0..2_000)
                .map(|step| Span {
                    from_ms: step * 3_600,
                    until_ms: (step + 1) * 3_600,
                    state: [LaneState::Online, LaneState::CutOff, LaneState::Off, LaneState::NotStoring]
                        [(step as usize * 7 + place) % 4],
                })
                .collect();
            // Half of the lanes just escape being thinned.
            device.lane.truncate(if place % 2 == 0 { 4 } else { 2_000 });
            device.holding =
                (0..3_000).map(|step| (step * 2_400, (step * step + place as u64) % 97)).collect();
            device
        })
        .collect();
    night.faults = (0..60_000)
        .map(|place: usize| FaultSpan {
            kind: name(place % 300),
            text: name(place),
            devices: (0..2_000).filter(|device| (device + place).is_multiple_of(2 + place % 5)).collect(),
            from_ms: place as u64 * 100,
            until_ms: place as u64 * 100 + 90_000,
            times: u64::MAX,
        })
        .take(3_000)
        .collect();
    night.findings = (0..60_000)
        .map(|place| Finding {
            severity: [Severity::Note, Severity::Warning, Severity::Broken][place % 3],
            invariant: name(place),
            text: name(place),
            first_ms: u64::MAX,
            times: u64::MAX,
            devices: (0..9).map(name).collect(),
        })
        .take(3_000)
        .collect();
    night.stock_left = (0..300)
        .map(|place| Series {
            name: name(place),
            points: (0..5_000).map(|step| (step * 1_440, (step * 31 + place as u64) % 500)).collect(),
        })
        .collect();
    night.drops = (0..300)
        .map(|place| {
            let steps = (0..9).map(|step| StepNight { at_ms: step, said: name(place) }).collect();
            DropNight { name: name(place), open_ms: 0, close_ms: None, steps }
        })
        .collect();
    let medium = night.numbers.media[0].clone();
    night.numbers.media = (0..300).map(|place| MediumNight { name: name(place), ..medium.clone() }).collect();
    night.numbers.without = Cause::ALL.into_iter().map(|cause| (cause, u64::MAX)).collect();
    night.numbers.refusals = (0..300).map(|place| (name(place), u64::MAX)).collect();
    night.numbers.claimed_per_mille = (0..300).map(|place| (name(place), 1_000)).collect();
    let check = night.verdict.checks.remove(0);
    night.verdict.checks = (0..400)
        .map(|place| {
            let mut check = check.clone();
            (check.name, check.measured, check.passed) = (name(place), name(place), false);
            if place % 2 == 0 {
                check.wanted = name(place);
            }
            check
        })
        .collect();
    night.convergence_ms = (0..300_000).collect();
    night.backlog = (0..300_000).map(|step| (step * 24, step % 1_000)).collect();
    night
}

#[test]
fn whatever_the_night_its_page_is_small() {
    let page = report::html(&monstrous());
    assert!(page.len() <= report::MOST_BYTES, "{} bytes", page.len());
    assert_well_nested(&page);
    let large = report::html(&plausible(200, 5, 100_000, 3));
    assert!(large.len() <= report::MOST_BYTES / 4, "{} bytes", large.len());
    let lines = report::summary(&monstrous(), false).lines().count();
    assert!(lines <= 62, "{lines} lines");
}

#[test]
fn numbers_out_of_their_bounds_are_drawn_at_the_edge() {
    let mut night = plausible(6, 2, 50, 2);
    night.starts_at_s = u64::MAX;
    night.answers[0].came_ms = u64::MAX;
    night.answers[1].took_us = u64::MAX;
    night.faults[0].until_ms = u64::MAX;
    night.faults[1].from_ms = u64::MAX;
    night.devices[0].lane.push(Span { from_ms: u64::MAX, until_ms: 0, state: LaneState::Off });
    night.devices[1].holding.push((u64::MAX, u64::MAX));
    night.backlog.push((0, u64::MAX));
    night.convergence_ms.push(u64::MAX);
    night.numbers.sold = u64::MAX;
    night.numbers.sale_us = [u64::MAX; 4];
    night.numbers.reconciliation_ms = Some(u64::MAX);
    let page = report::html(&night);
    assert_well_nested(&page);
    assert!(!page.contains("NaN") && !page.contains("inf") && !page.contains("width=-"));
    night.ended_ms = u64::MAX;
    assert_well_nested(&report::html(&night));
    report::summary(&night, true);
}

#[test]
fn the_worst_is_said_first() {
    let mut night = plausible(12, 3, 100, 7);
    night.verdict.checks[0].passed = false;
    night.findings.push(Finding {
        severity: Severity::Broken,
        invariant: "I1".to_owned(),
        text: "unit CAP 17 is in two sales".to_owned(),
        first_ms: 0,
        times: 2,
        devices: vec!["till-1".to_owned()],
    });
    let summary = report::summary(&night, false);
    assert!(
        summary.starts_with("Not passed: promises broken  three-venues-live-drop, seed 7\n"),
        "{summary}"
    );
    assert!(summary.contains(
        "\nLook at\n  promise broken  unit CAP 17 is in two sales (I1, 17:40:00, 2 times, till-1)\n"
    ));
    assert!(summary.contains("  ✗  no oversell (I1)  0 of 1,240 units\n"), "{summary}");
    assert!(summary.ends_with("Replay: popmesh-sim rehearse three-venues-live-drop --seed 7\n"));
    assert!(summary.lines().count() <= 40, "{summary}");
    assert!(!summary.contains('\u{1b}') && report::summary(&night, true).contains("\u{1b}[1;31m"));
    let page = report::html(&night);
    assert!(page.find("promise broken").unwrap() < page.find(">warning<").unwrap());
}

#[test]
fn page_and_twin_are_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let night = plausible(3, 1, 40, 4);
    let path = folder.path().join("r.html");
    let twin = report::write_both(&path, &night).unwrap();
    assert_eq!(twin, folder.path().join("r.json"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report::html(&night));
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&twin).unwrap()).unwrap();
    assert_eq!(json["seed"], 4);
    assert_eq!(json["devices"].as_array().unwrap().len(), 3);
    assert_eq!(json["answers"].as_array().unwrap().len(), 40);

    // Who has the old page open goes on reading the old page.
    let mut reader = std::fs::File::open(&path).unwrap();
    report::write_both(&path, &empty()).unwrap();
    let mut old = String::new();
    reader.read_to_string(&mut old).unwrap();
    assert_eq!(old, report::html(&night));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report::html(&empty()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_report_that_cannot_be_written_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |name: &str| report::write_both(&folder.path().join(name), &empty()).unwrap_err();
    assert!(matches!(fails("r.json"), WriteError::Name(_)));
    let missing = fails("none/r.html");
    assert!(missing.to_string().ends_with("none; make it first, or write the report elsewhere"), "{missing}");
    std::fs::create_dir(folder.path().join("taken.html")).unwrap();
    std::fs::create_dir(folder.path().join("twin.json")).unwrap();
    assert!(matches!(fails("taken.html"), WriteError::Folder(_)));
    assert!(matches!(fails("twin.html"), WriteError::Folder(_)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-made is left");
}

fn comparison() -> Comparison {
    let ours = ComparisonRow::of(&plausible(12, 3, 900, 7));
    let counter = ComparisonRow {
        policy: StockPolicy::PlainCounter,
        oversold: 212,
        served_per_mille: Some(1_000),
        kept: false,
        ..ours.clone()
    };
    let worst = vec![ours.clone(), ComparisonRow { oversold: 240, ..counter.clone() }];
    Comparison { scenario: "<b>wifi".to_owned(), seed: 7, seeds: 1, rows: vec![ours, counter], worst }
}

#[test]
fn policies_stand_side_by_side() {
    let table = report::compare::table(&comparison(), false);
    let rows: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert!(
        rows[1].starts_with("  popmesh (by rate of sale)         0") && rows[1].ends_with(" kept"),
        "{table}"
    );
    assert!(
        rows[2].starts_with("  plain counter                   212") && rows[2].ends_with(" broken"),
        "{table}"
    );
    let page = report::compare::html(&comparison());
    assert_alone(&page);
    assert_well_nested(&page);
    for part in ["&lt;b&gt;wifi", "Demand served", "Units oversold", "✗ broken", "plain counter: 212"] {
        assert!(page.contains(part), "{part}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&report::compare::json(&comparison()).unwrap()).unwrap();
    assert_eq!(json["rows"][1]["policy"], "plain_counter");
    let several = report::compare::table(&Comparison { seeds: 5, ..comparison() }, false);
    assert!(several.starts_with("<b>wifi, seeds 7 to 11, median (and worst): "), "{several}");
    assert!(several.contains(" 212 (240) ") && !table.contains("(240)"), "{several}");
    let nothing = Comparison { rows: Vec::new(), ..comparison() };
    assert_well_nested(&report::compare::html(&nothing));
}

#[test]
fn a_unit_that_was_sold_twice_served_one_shopper() {
    let mut night = empty();
    (night.numbers.sold, night.numbers.oversold, night.numbers.servable) = (110, 10, 100);
    assert_eq!(ComparisonRow::of(&night).served_per_mille, Some(1_000));
    night.numbers.servable = 0;
    assert_eq!(ComparisonRow::of(&night).served_per_mille, None);
}

#[test]
fn holes_are_seen() {
    let mut coverage =
        Coverage::new(["power_cut", "offline", "cloned"], ["idle", "sale_waits", "recovering"]);
    coverage.seeds = 2_000;
    coverage.record("power_cut", "idle");
    coverage.record("power_cut", "sale_waits");
    coverage.record("offline", "idle");
    let table = report::coverage::table(&coverage, false);
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    assert_eq!(
        lines[2..7],
        [
            "  fault       all  idle  sale waits  recovering",
            "  power cut     2     1           1           ·",
            "  offline       1     1           ·           ·",
            "  cloned     HOLE     ·           ·           ·",
            "  all           3     2           1        HOLE",
        ]
    );
    assert!(table.contains("HOLE: 1 kind never happened: cloned\n"));
    assert!(table.contains("HOLE: 1 state never met by any fault: recovering\n"));
    assert!(table.ends_with("1 pair of the others never met (·)\n"));

    coverage.record("cloned", "recovering");
    assert!(report::coverage::table(&coverage, false).contains("No hole: every kind happened"));
    let json: serde_json::Value = serde_json::from_str(&report::coverage::json(&coverage).unwrap()).unwrap();
    assert_eq!(json["counts"][2], serde_json::json!([0, 0, 1]));
    assert_eq!(json["holes"]["kinds"], serde_json::json!([]));
    let again: Coverage = serde_json::from_value(json).unwrap();
    assert_eq!(again, coverage);
}

#[test]
fn a_wide_matrix_numbers_its_columns() {
    let states: Vec<_> = (0..20).map(|place| format!("a_state_with_a_long_name_{place}")).collect();
    let mut coverage = Coverage::new(["offline"], states);
    coverage.record("offline", "a_state_with_a_long_name_3");
    let table = report::coverage::table(&coverage, false);
    assert!(table.contains("\n   4  a state with a long name 3\n"), "{table}");
}
