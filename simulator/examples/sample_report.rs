//! Writes pages of made-up nights into a folder, to look at.

#[path = "../tests/report/night.rs"]
mod night;

use std::path::PathBuf;

use popmesh_simulator::comparison::{Comparison, ComparisonRow};
use popmesh_simulator::coverage::Coverage;
use popmesh_simulator::night::{Finding, LaneState, Severity, Span};
use popmesh_simulator::report;
use popmesh_simulator::scenario::StockPolicy;

fn main() -> Result<(), report::WriteError> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let mut one = night::plausible(1, 1, 150, 3);
    one.title = "One stall sells alone".to_owned();
    one.scenario = "one-stall".to_owned();
    one.faults.clear();
    one.findings.clear();
    one.verdict.passed = true;
    one.verdict.checks.retain(|check| check.passed);
    let twelve = night::plausible(12, 3, 1_400, 7);
    let mut many = night::plausible(200, 5, 100_000, 11);
    many.scenario = "two-hundred-devices".to_owned();
    for device in many.devices.iter_mut().step_by(9) {
        let end_ms = device.lane.last().map_or(0, |span| span.until_ms);
        device.lane = (0..end_ms / 20_000)
            .map(|step| Span {
                from_ms: step * 20_000,
                until_ms: (step + 1) * 20_000,
                state: match step * step % 11 {
                    _ if step < 60 => LaneState::Online,
                    0..3 => LaneState::CutOff,
                    3 => LaneState::Off,
                    _ => LaneState::OnBattery,
                },
            })
            .collect();
    }
    many.numbers.oversold = 3;
    many.verdict.checks[0].passed = false;
    many.verdict.checks[0].measured = "3 of 1,240 units".to_owned();
    many.findings.push(Finding {
        severity: Severity::Broken,
        invariant: "I1".to_owned(),
        text: "unit CAP-BLACK 17 is in two acknowledged sales".to_owned(),
        first_ms: 1_803_000,
        times: 3,
        devices: vec!["till-7".to_owned(), "till-31".to_owned()],
    });
    for (name, night) in [("empty", &night::empty()), ("one", &one), ("twelve", &twelve), ("many", &many)] {
        report::write_both(&folder.join(format!("{name}.html")), night)?;
        println!("{}", report::summary(night, false));
    }

    let row = |policy, oversold, served, kept| ComparisonRow {
        policy,
        oversold,
        served_per_mille: Some(served),
        sold: 1_200 + oversold,
        wrong_refusals: 1_000 - served,
        refusals: 1_090 - served,
        sale_p50_us: 24_000,
        sale_p99_us: 5_100_000,
        messages: 184_220,
        bytes: 42_100_000,
        kept,
    };
    let rows = vec![
        row(StockPolicy::ByRate, 0, 991, true),
        row(StockPolicy::OnDemand, 0, 941, true),
        row(StockPolicy::StaticShares, 0, 803, true),
        row(StockPolicy::PlainCounter, 212, 1_000, false),
        row(StockPolicy::CentralServer, 0, 540, true),
    ];
    let scenario = "wifi-dies-at-the-drop".to_owned();
    let comparison = Comparison { scenario, seed: 7, seeds: 1, worst: rows.clone(), rows };
    report::write_comparison(&folder.join("compare.html"), &comparison)?;
    println!("{}", report::compare::table(&comparison, false));

    let mut coverage = Coverage::new(
        ["power_cut", "offline", "wifi_down", "disk_full", "clock_step", "cloned"],
        ["idle", "sale_waits", "transfer_under_way", "recovering", "settling", "on_battery"],
    );
    coverage.seeds = 2_000;
    for step in 0_usize..40_000 {
        let kind = ["power_cut", "offline", "wifi_down", "disk_full", "clock_step"][step % 5];
        let state =
            ["idle", "sale_waits", "transfer_under_way", "recovering", "settling"][step * step / 7 % 5];
        if step % 5 != 3 || step * step / 7 % 5 < 2 {
            coverage.record(kind, state);
        }
    }
    println!("{}", report::coverage::table(&coverage, false));
    Ok(())
}
