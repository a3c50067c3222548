//! Good files, bad files, and the way back.

mod altered;
mod bad_files;
mod bad_words;

use proptest::prelude::*;

use super::*;
use crate::mix::{draw, mixes};

/// A night that is right; tests put something wrong into it.
pub(super) const NIGHT: &str = r#"
lasts = "40 min"

[[venue]]
name = "hall-a"
ble = "ble"

[[venue]]
name = "hall-b"

[[device]]
name = "hq"
roles = "hq"
venue = "hall-a"

[[device]]
name = "till-{n}"
count = 2
roles = "pos"
venue = "hall-b"

[[product]]
sku = "tee"

[[drop]]
name = "live"
opens = "18:05"

[[drop.lot]]
units = 50

[[demand]]
shape = "spike"
at = "18:05"
shoppers = 10
where = ["till-1", "till-2"]
"#;

#[test]
fn every_built_in_scenario_loads_and_prints_and_loads_again() {
    let listed = built_in();
    assert_eq!(listed.len(), 7);
    for (name, title) in listed {
        let scenario = find(&name).unwrap();
        assert_eq!(scenario.name, name);
        assert!(title.len() > 10);
        assert_ne!(scenario.thresholds, Thresholds::default(), "{name}");
        assert_eq!(parse(&name, &to_toml(&scenario)), Ok(scenario));
    }
}

#[test]
fn what_is_shipped_is_what_is_built_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for (name, _) in built_in() {
        assert_eq!(load(folder.join(format!("{name}.toml"))), named(&name).unwrap());
    }
    assert_eq!(named("nothing"), None);
}

#[test]
fn two_hundred_devices_are_two_hundred() {
    assert_eq!(find("two-hundred-devices").unwrap().devices.len(), 200);
}

#[test]
fn what_a_file_leaves_out_is_what_the_readme_says() {
    let night = parse("night.toml", NIGHT).unwrap();
    assert_eq!(night.name, "night");
    assert_eq!((night.starts_at_s, night.duration_ms, night.settle_ms), (18 * 3_600, 2_400_000, 60_000));
    assert_eq!(night.policy, StockPolicy::ByRate);
    assert_eq!(night.wan, Some(media::WAN));
    assert_eq!(night.venues[0].wifi, media::WIFI);
    assert_eq!(
        night.devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(),
        ["hq", "till-1", "till-2"]
    );
    assert!(night.devices.iter().all(|device| device.wifi && !device.ble && device.battery.is_none()));
    let drop = &night.drops[0];
    assert_eq!((drop.mint_ms, drop.open_ms, drop.close_ms), (0, 300_000, None));
    let lot = LotSpec { product: 0, first: 1, units: 50, numbered: false, at: 0, place: 0 };
    assert_eq!(drop.lots, [lot]);
    let demand = &night.demand[0];
    assert_eq!(demand.at, [(1, 1), (2, 1)]);
    assert_eq!((demand.quantity, demand.patience_ms), ((1, 1), (5_000, 20_000)));
    assert_eq!(demand.arrivals, Arrivals::Spike { at_ms: 300_000, shoppers: 10, half_life_ms: 60_000 });
}

#[test]
fn venues_and_patterns_stand_for_their_devices() {
    let text = NIGHT.replace(r#"where = ["till-1", "till-2"]"#, r#"where = { till-2 = 3, "*-1" = 2 }"#);
    assert_eq!(
        parse("n", &text).unwrap().demand[0].at,
        [(2, 3), (1, 2)],
        "in the order in which they are written"
    );
    let text = NIGHT.replace(r#"where = ["till-1", "till-2"]"#, r#"where = "hall-b""#);
    assert_eq!(parse("n", &text).unwrap().demand[0].at, [(1, 1), (2, 1)]);
}

#[test]
fn a_medium_of_ones_own_changes_what_it_names() {
    let text = format!(
        "{NIGHT}\n[media.shed]\nlike = \"crowded-wifi\"\nloss = \"7.5 %\"\n\n[[venue]]\nname = \"shed\"\n\
         wifi = {{ like = \"shed\", rate = \"1.5 Mbit/s\" }}\n"
    );
    let wifi = parse("n", &text).unwrap().venues[2].wifi;
    assert_eq!(wifi, Medium { loss_per_mille: 75, kbit_per_s: 1_500, ..media::CROWDED_WIFI });
}

#[test]
fn faults_are_sorted_and_end_with_the_night_at_the_latest() {
    let text = format!(
        "{NIGHT}\n[[fault]]\nat = \"+30 min\"\nfault = \"wifi-down\"\nvenue = \"hall-b\"\n\n[[fault]]\nat = 18:05:30\n\
         for = \"4 min\"\nfault = \"one_way\"\nfrom = \"till-1\"\nto = \"hq\"\n"
    );
    let faults = parse("n", &text).unwrap().faults;
    assert_eq!(
        faults,
        [
            Fault { from_ms: 330_000, until_ms: 570_000, kind: FaultKind::OneWay { from: 1, to: 0 } },
            Fault { from_ms: 1_800_000, until_ms: 2_400_000, kind: FaultKind::WifiDown { venue: 1 } },
        ]
    );
}

#[test]
fn a_mix_adds_the_faults_of_its_seed() {
    let text = |seed: u64| format!("{NIGHT}\n[mix]\nname = \"default\"\nseed = {seed}\n");
    let nights: Vec<Scenario> = (0..20).map(|seed| parse("n", &text(seed)).unwrap()).collect();
    assert!(nights.iter().any(|night| night.faults.len() > 3));
    assert!(nights.iter().all(|night| night.faults.is_sorted_by_key(|fault| fault.from_ms)));
    for night in nights {
        assert_eq!(parse("n", &to_toml(&night)), Ok(night));
    }
}

#[test]
fn includes_are_looked_for_beside_their_file_and_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    write("night.toml", "include = [\"parts/a.toml\", \"parts/b.toml\"]\nlasts = \"20 min\"\n");
    write("parts/a.toml", "include = \"base.toml\"\n");
    write("parts/b.toml", "include = \"../parts/base.toml\"\ntitle = \"of b\"\n");
    write("parts/base.toml", &format!("title = \"of base\"\n{NIGHT}"));
    let night = load(folder.path().join("night.toml")).unwrap();
    assert_eq!((night.name.as_str(), night.title.as_str(), night.duration_ms), ("night", "of b", 1_200_000));
    assert_eq!(night.devices.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_drawn_night_survives_being_written_down(seed: u64, mix in 0..mixes().len()) {
        let night = draw(mixes()[mix].0, seed).unwrap();
        prop_assert_eq!(parse("drawn", &to_toml(&night)), Ok(night));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}", at in 0..NIGHT.len(), cut in 0..40_usize) {
        let mut night = NIGHT.to_owned();
        night.replace_range(at..(at + cut).min(NIGHT.len()), &text);
        let _ = parse("n", &night);
    }
}

/// The whole night of the README.
#[test]
fn the_readme_shows_a_night_that_loads() {
    let readme = include_str!("../../../scenarios/README.md");
    let night = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(parse("readme", night).unwrap().devices.len(), 3);
}
