use super::*;
use crate::mix::draw;
use crate::scenario::parse;

/// Two venues; `both` and `ble` in the first one have Bluetooth, `ble` nothing else.
const SITE: &str = r#"
lasts = "40 min"
[[venue]]
name = "a"
ble = "ble"
[[venue]]
name = "b"
[[device]]
name = "hq"
roles = "hq"
venue = "a"
[[device]]
name = "both"
roles = "pos"
venue = "a"
links = ["wifi", "ble"]
[[device]]
name = "ble"
roles = "locker"
venue = "a"
links = "ble"
battery = "tablet"
[[device]]
name = "far"
roles = "pos"
venue = "b"
[[product]]
sku = "tee"
[[drop]]
name = "d"
opens = "18:00"
[[drop.lot]]
units = 1
"#;

const HQ: usize = 0;
const BOTH: usize = 1;
const BLE: usize = 2;
const FAR: usize = 3;

fn with(faults: &str) -> Connectivity {
    Connectivity::new(&parse("site", &format!("{SITE}{faults}")).unwrap())
}

fn fault(text: &str) -> String {
    format!("\n[[fault]]\nat = \"+10 s\"\nfor = \"10 s\"\nfault = {text}\n")
}

#[test]
fn without_faults_everybody_uses_what_they_have() {
    let connectivity = with("");
    assert!(connectivity.edges().is_empty());
    let reach = connectivity.at(0);
    assert_eq!(reach.path(HQ, BOTH), Some(PathKind::Wifi { venue: 0 }));
    assert_eq!(reach.path(BOTH, BLE), Some(PathKind::Ble { venue: 0 }));
    assert_eq!(reach.path(HQ, BLE), None);
    assert_eq!(reach.path(HQ, FAR), Some(PathKind::Wan));
    assert_eq!(reach.path(BLE, FAR), None, "out of the venue it is Wi-Fi");
    assert_eq!(reach.path(HQ, HQ), None);
}

#[test]
fn a_fault_cuts_what_it_says_and_nothing_else() {
    use PathKind::{Ble, Wan, Wifi};
    let (wifi, ble, wan) = (Some(Wifi { venue: 0 }), Some(Ble { venue: 0 }), Some(Wan));
    for (text, hq_both, both_ble, hq_far) in [
        ("\"wifi_down\"\nvenue = \"a\"", None, ble, None),
        ("\"wifi_down\"\nvenue = \"b\"", wifi, ble, None),
        ("\"wan_down\"\nvenue = \"b\"", wifi, ble, None),
        ("\"offline\"\ndevice = \"both\"", None, None, wan),
        ("\"split\"\nside = [\"hq\", \"ble\"]", None, None, None),
        ("\"split\"\nside = [\"hq\", \"far\"]", None, ble, wan),
        ("\"bad_wan\"", wifi, ble, wan),
        ("\"mains_down\"\nvenue = \"a\"", wifi, ble, wan),
    ] {
        let connectivity = with(&fault(text));
        let reach = connectivity.at(10_000);
        let paths = (reach.path(HQ, BOTH), reach.path(BOTH, BLE), reach.path(HQ, FAR));
        assert_eq!(paths, (hq_both, both_ble, hq_far), "{text}");
        for time_ms in [0, 9_999, 20_000] {
            assert_eq!(connectivity.at(time_ms).path(HQ, BOTH), wifi, "{text}");
        }
    }
}

#[test]
fn without_wifi_two_with_bluetooth_still_talk() {
    let site = SITE.replace("links = \"ble\"", "links = [\"ble\", \"wifi\"]");
    let connectivity = Connectivity::new(
        &parse("site", &format!("{site}{}", fault("\"wifi_down\"\nvenue = \"a\""))).unwrap(),
    );
    assert_eq!(connectivity.at(0).path(BOTH, BLE), Some(PathKind::Wifi { venue: 0 }));
    assert_eq!(connectivity.at(15_000).path(BOTH, BLE), Some(PathKind::Ble { venue: 0 }));
}

#[test]
fn one_way_is_a_path_on_which_messages_vanish() {
    let connectivity = with(&fault("\"one_way\"\nfrom = \"hq\"\nto = \"both\""));
    let reach = connectivity.at(15_000);
    assert!(reach.path(HQ, BOTH).is_some() && reach.one_way(HQ, BOTH) && !reach.one_way(BOTH, HQ));
    assert!(!reach.carries(HQ, BOTH) && reach.carries(BOTH, HQ) && !reach.linked(BOTH, HQ));
    assert!(connectivity.at(20_000).linked(HQ, BOTH));
}

#[test]
fn flapping_is_down_first_and_up_after() {
    let connectivity = with(&fault("\"flapping\"\ndevice = \"hq\"\nperiod = \"4 s\""));
    assert_eq!(connectivity.edges(), [10_000, 12_000, 14_000, 16_000, 18_000, 20_000]);
    let ups: Vec<bool> =
        (10..21).map(|second| connectivity.at(second * 1_000).path(HQ, BOTH).is_some()).collect();
    let (down, up) = (false, true);
    assert_eq!(ups, [down, down, up, up, down, down, up, up, down, down, up]);
}

#[test]
fn a_clog_takes_one_after_the_other_and_gives_back_in_another_order() {
    let text = "\"clog\"\ndevices = [\"hq\", \"both\"]\nback = [\"hq\", \"both\"]";
    let connectivity = with(&fault(text));
    let far = |device: usize, second: u64| {
        let other = if device == HQ { FAR } else { BLE };
        connectivity.at(second * 1_000).path(device, other).is_some()
    };
    assert_eq!([9, 10, 17, 18].map(|second| far(HQ, second)), [true, false, false, true]);
    assert_eq!([12, 13, 19, 20].map(|second| far(BOTH, second)), [true, false, false, true]);
}

#[test]
fn power_is_a_matter_of_its_own() {
    let cut = with(&fault("\"power_cut\"\ndevice = \"hq\""));
    assert!(
        !cut.at(10_000).powered(HQ) && cut.at(20_000).powered(HQ) && cut.at(10_000).path(HQ, FAR).is_some()
    );
    let in_write = with(&fault("\"power_cut\"\ndevice = \"hq\"\nat_operation = 5"));
    assert!(in_write.at(10_000).powered(HQ), "nobody knows when");
    let mains = with(&fault("\"mains_down\"\nvenue = \"a\""));
    assert!(!mains.at(10_000).powered(HQ) && mains.at(10_000).powered(BLE) && mains.at(10_000).powered(FAR));
    let dead = with("\n[[fault]]\nat = \"+10 s\"\nfault = \"dies\"\ndevice = \"far\"\n");
    assert!(dead.at(9_999).powered(FAR) && !dead.at(u64::MAX - 1).powered(FAR));
    assert_eq!(dead.edges(), [10_000]);
}

#[test]
fn faults_that_overlap_add_up() {
    let (one, two) = (fault("\"split\"\nside = [\"hq\"]"), fault("\"split\"\nside = [\"both\"]"));
    let connectivity = with(&(one.clone() + &two));
    let reach = connectivity.at(15_000);
    assert!(
        reach.path(HQ, BOTH).is_none() && reach.path(HQ, FAR).is_none() && reach.path(BOTH, BLE).is_none()
    );
    let long = "\n[[fault]]\nat = \"+5 s\"\nfor = \"7 s\"\nfault = \"offline\"\ndevice = \"hq\"\n";
    let connectivity = with(&(long.to_owned() + &fault("\"offline\"\ndevice = \"hq\"")));
    assert_eq!(connectivity.edges(), [5_000, 20_000]);
}

#[test]
fn nothing_changes_between_edges_and_paths_are_the_same_both_ways() {
    for seed in 0..60 {
        let night = draw("default", seed).unwrap();
        let connectivity = Connectivity::new(&night);
        let mut times = vec![0];
        times.extend(connectivity.edges());
        let all = |time_ms: u64| {
            let reach = connectivity.at(time_ms);
            let count = night.devices.len();
            let mut seen = Vec::new();
            for a in 0..count {
                for b in 0..count {
                    assert_eq!(reach.path(a, b), reach.path(b, a));
                    seen.push((reach.path(a, b), reach.one_way(a, b), reach.powered(a)));
                }
            }
            seen
        };
        for (index, from_ms) in times.iter().enumerate() {
            let until_ms = times.get(index + 1).copied().unwrap_or(night.duration_ms + 1_000);
            if until_ms > *from_ms {
                assert_eq!(all(*from_ms), all(until_ms - 1), "seed {seed}");
                assert_eq!(all(*from_ms), all(from_ms.midpoint(until_ms)), "seed {seed}");
            }
        }
    }
}
