//! Scenario files.

use popmesh_simulator::scenario::{built_in, named, parse, to_toml};

use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "scenario", what: "scenario files of the simulator", run, seeds, most_bytes: 16 * 1024 };

fn run(bytes: &[u8]) {
    match parse("fuzz", &String::from_utf8_lossy(bytes)) {
        Ok(scenario) => {
            let text = to_toml(&scenario);
            assert_eq!(parse("fuzz", &text), Ok(scenario), "written out:\n{text}");
        }
        Err(error) => assert!(!error.to_string().trim().is_empty()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    // As written out, because a text has no folder to include from; and two as people write them.
    let texts = built_in().into_iter().filter_map(|(name, _)| Some(to_toml(&named(&name)?.ok()?)));
    let by_people = [
        include_str!("../../../../simulator/scenarios/one-stall.toml"),
        include_str!("../../../../simulator/scenarios/battery-night.toml"),
    ];
    texts
        .chain(by_people.map(str::to_owned))
        .filter(|text| text.len() <= TARGET.most_bytes)
        .map(String::into_bytes)
        .collect()
}
