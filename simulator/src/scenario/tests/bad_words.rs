//! Words in files that cannot be: each gets one clear error, at its place.

use super::*;

/// What the night is told if `old` is replaced by `new`: the line, and all of it.
fn told(old: &str, new: &str) -> (ScenarioError, String) {
    assert!(NIGHT.contains(old), "{old}");
    let text = NIGHT.replacen(old, new, 1);
    let error = parse("n.toml", &text).unwrap_err();
    let shown = error.to_string();
    assert!(!shown.contains('\n') && shown.starts_with("n.toml"), "{shown}");
    if let Some((line, column)) = error.at.position {
        let lines: Vec<&str> = text.lines().collect();
        assert!(column <= lines[line - 1].chars().count() + 1, "{shown}");
    }
    (error, shown)
}

/// What the night is told if `text` is added at its end.
fn told_after(text: &str) -> (ScenarioError, String) {
    told("\nwhere = [\"till-1\", \"till-2\"]\n", &format!("\nwhere = [\"till-1\", \"till-2\"]\n{text}"))
}

fn fault(text: &str) -> (ScenarioError, String) {
    told_after(&format!("\n[[fault]]\nat = \"18:10\"\n{text}\n"))
}

#[test]
fn an_unknown_device_in_a_fault() {
    let (error, shown) = fault("fault = \"offline\"\ndevice = \"til-1\"");
    assert!(matches!(*error.problem, Problem::UnknownName { what: "device", .. }));
    assert_eq!(error.at.field, "fault[0].device");
    assert!(shown.contains("did you mean \"till-1\"?") && shown.contains("hq, till-1, till-2"), "{shown}");
    let position = error.at.position.unwrap();
    assert_eq!(position.1, 10, "{shown}");
}

#[test]
fn an_unknown_device_in_a_link() {
    let (error, _) = fault("fault = \"one_way\"\nfrom = \"till-1\"\nto = \"till-9\"");
    assert_eq!(error.at.field, "fault[0].to");
    let (error, _) = fault("fault = \"split\"\nside = [\"till-1\", \"nobody\"]");
    assert_eq!(error.at.field, "fault[0].side[1]");
    let (error, _) = told("where = [\"till-1\"", "where = [\"kasse\"");
    assert_eq!(error.at.field, "demand[0].where[0]");
    let (error, _) = told("where = [\"till-1\", \"till-2\"]", "where = { till-1 = 1, till-7 = 2 }");
    assert_eq!(error.at.field, "demand[0].where.till-7");
}

#[test]
fn unknown_venues_media_products_mixes_and_kinds() {
    for (old, new, field, what) in [
        ("venue = \"hall-b\"", "venue = \"hall-c\"", "device[1].venue", "venue"),
        ("ble = \"ble\"", "ble = \"blee\"", "venue[0].ble", "medium"),
        ("units = 50", "units = 50\nproduct = \"hat\"", "drop[0].lot[0].product", "product"),
        ("units = 50", "units = 50\nplace = \"cellar\"", "drop[0].lot[0].place", "venue"),
        ("units = 50", "units = 50\nminted_by = \"hqq\"", "drop[0].lot[0].minted_by", "device"),
        ("shape = \"spike\"", "shape = \"spikes\"", "demand[0].shape", "shape"),
        ("shape = \"spike\"", "shape = \"spike\"\ndrop = \"dead\"", "demand[0].drop", "drop"),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\npolicy = \"greedy\"", "policy", "policy"),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\nmix = { name = \"rough\" }", "mix.name", "mix"),
    ] {
        let (error, shown) = told(old, new);
        assert!(
            matches!(*error.problem, Problem::UnknownName { what: found, .. } if found == what),
            "{shown}"
        );
        assert_eq!(error.at.field, field, "{shown}");
        assert!(error.at.position.is_some());
    }
    let (error, shown) = fault("fault = \"wify_down\"\nvenue = \"hall-a\"");
    assert!(shown.contains("did you mean \"wifi_down\"?"), "{shown}");
    assert_eq!(error.at.field, "fault[0].fault");
}

#[test]
fn negative_and_absurd_numbers() {
    for (old, new, field) in [
        ("units = 50", "units = -1", "drop[0].lot[0].units"),
        ("units = 50", "units = 0", "drop[0].lot[0].units"),
        ("units = 50", "units = 99999999999999999999999", "drop[0].lot[0].units"),
        ("units = 50", "units = 1_000_001", "drop[0].lot[0].units"),
        ("units = 50", "units = 50\nfirst = 0", "drop[0].lot[0].first"),
        ("sku = \"tee\"", "sku = \"tee\"\nprice = -5", "product[0].price"),
        ("lasts = \"40 min\"", "lasts = \"49 h\"", "lasts"),
        ("lasts = \"40 min\"", "lasts = \"0 s\"", "lasts"),
        ("shoppers = 10", "shoppers = -10", "demand[0].shoppers"),
        ("shoppers = 10", "shoppers = 10\nquantity = 0", "demand[0].quantity"),
        ("shoppers = 10", "shoppers = 10\nrefunds = \"101 %\"", "demand[0].refunds"),
        ("shoppers = 10", "shoppers = 10\nquantity = \"0-3\"", "demand[0].quantity"),
        ("shoppers = 10", "shoppers = 10\npatience = \"2 min\"", "demand[0].patience"),
        ("count = 2", "count = 0", "device[1].count"),
        ("ble = \"ble\"", "ble = { loss = \"101 %\" }", "venue[0].ble.loss"),
        ("ble = \"ble\"", "ble = { rate = \"0 kbit/s\" }", "venue[0].ble.rate"),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::OutOfRange { .. }), "{shown}");
        assert_eq!(error.at.field, field, "{shown}");
        assert!(error.at.position.is_some());
    }
}

#[test]
fn too_many_of_a_thing() {
    let (error, shown) = told("count = 2", "count = 1001");
    assert_eq!(*error.problem, Problem::TooMany { what: "devices", given: 1_001, most: 1_000 }, "{shown}");
    let (error, _) = told("count = 2", "count = 1000");
    assert!(
        matches!(*error.problem, Problem::TooMany { what: "devices", .. }),
        "with the hq that is one more"
    );
    let (error, _) = told("shoppers = 10", "shoppers = 1_000_001");
    assert_eq!(*error.problem, Problem::TooMany { what: "shoppers", given: 1_000_001, most: 1_000_000 });
    let (error, _) = fault("fault = \"flapping\"\ndevice = \"hq\"\nperiod = \"3 ms\"");
    assert!(matches!(*error.problem, Problem::TooMany { .. }));
    let lots = "\n[[drop.lot]]\nunits = 1_000_000".repeat(10);
    let (error, _) = told("units = 50", &format!("units = 50{lots}"));
    assert!(matches!(*error.problem, Problem::TooMany { what: "units in all lots", .. }));
}

#[test]
fn names_that_are_taken_or_cannot_be() {
    for (old, new) in [
        ("name = \"hall-b\"", "name = \"hall-a\""),
        ("name = \"hq\"", "name = \"till-1\""),
        ("name = \"hq\"", "name = \"hall-b\""),
        ("sku = \"tee\"", "sku = \"tee\"\n\n[[product]]\nsku = \"tee\""),
        ("sku = \"tee\"", "sku = \"hall-a\""),
        ("sku = \"tee\"", "sku = \"till-2\""),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::NameTaken { .. }), "{shown}");
        assert!(error.at.position.is_some() && shown.contains("at n.toml:"), "{shown}");
    }
    for (old, new) in [
        ("name = \"hall-b\"", "name = \"hall b\""),
        ("name = \"hq\"", "name = \"h*\""),
        ("name = \"hq\"", "name = \"\""),
        ("name = \"till-{n}\"", "name = \"till\""),
        ("sku = \"tee\"", "sku = \"a tee\""),
        ("sku = \"tee\"", "sku = \"tee\"\nname = \" \""),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\ntitle = \"\""),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\nmedia = { wifi = {} }"),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::BadName { .. }), "{shown}");
    }
    let (error, _) = told("where = [\"till-1\", \"till-2\"]", "where = [\"till-1\", \"till-*\"]");
    assert_eq!(*error.problem, Problem::NamedTwice { name: "till-1".to_owned() });
}

#[test]
fn unknown_keys_with_a_suggestion() {
    for (old, new, key, meant) in [
        ("count = 2", "cuont = 2", "cuont", Some("count")),
        ("lasts = \"40 min\"", "last = \"40 min\"", "last", Some("lasts")),
        ("units = 50", "unit = 50", "unit", Some("units")),
        ("units = 50", "units = 50\nnumberd = true", "numberd", Some("numbered")),
        ("shoppers = 10", "shoppers = 10\nbursts = 3", "bursts", None),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\nzzz = 1", "zzz", None),
        ("ble = \"ble\"", "ble = { los = \"1 %\" }", "los", Some("loss")),
    ] {
        let (error, shown) = told(old, new);
        let Problem::UnknownKey { key: found, suggestion, .. } = &*error.problem else { panic!("{shown}") };
        assert_eq!((found.as_str(), suggestion.0.as_deref()), (key, meant), "{shown}");
        assert!(error.at.position.is_some());
    }
    let (error, shown) = fault("fault = \"offline\"\ndevice = \"hq\"\nvenue = \"hall-a\"");
    assert!(matches!(*error.problem, Problem::UnknownKey { .. }), "{shown}");
    assert!(shown.contains("the keys here are fault, at, device, for, until"), "{shown}");
}

#[test]
fn what_is_missing_or_of_the_wrong_kind() {
    for (old, new, key) in [
        ("lasts = \"40 min\"", "", "lasts"),
        ("roles = \"hq\"", "", "roles"),
        ("venue = \"hall-b\"", "", "venue"),
        ("units = 50", "", "units"),
        ("opens = \"18:05\"", "", "opens"),
        ("at = \"18:05\"", "", "at"),
        ("where = [\"till-1\", \"till-2\"]", "", "where"),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::Missing { key: found, .. } if found == key), "{shown}");
    }
    for (old, new) in [
        ("units = 50", "units = \"50\""),
        ("units = 50", "units = 50.5"),
        ("lasts = \"40 min\"", "lasts = 40"),
        ("opens = \"18:05\"", "opens = 1805"),
        ("opens = \"18:05\"", "opens = 2026-11-24"),
        ("ble = \"ble\"", "ble = 3"),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\nfault = 3"),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\nthresholds = 3"),
        ("lasts = \"40 min\"", "lasts = \"40 min\"\ninclude = 3"),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::WrongType { .. }), "{shown}");
    }
    for (old, new) in [
        ("lasts = \"40 min\"", "lasts = \"forty minutes\""),
        ("opens = \"18:05\"", "opens = \"18:65\""),
        ("ble = \"ble\"", "ble = { loss = \"2\" }"),
        ("ble = \"ble\"", "ble = { rate = \"fast\" }"),
        ("shoppers = 10", "shoppers = 10\nquantity = \"1-x\""),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::NotUnderstood { .. }), "{shown}");
    }
}

#[test]
fn times_outside_the_night() {
    for (old, new) in [
        ("opens = \"18:05\"", "opens = \"17:55\""),
        ("opens = \"18:05\"", "opens = \"+41 min\""),
        ("at = \"18:05\"", "at = \"18:40\""),
        ("opens = \"18:05\"", "opens = \"18:05\"\ncloses = \"18:41\""),
    ] {
        let (error, shown) = told(old, new);
        assert!(matches!(*error.problem, Problem::OutsideTheNight { .. }), "{shown}");
        assert!(shown.contains("from 18:00 to 18:40"), "{shown}");
    }
    let (error, _) = fault("for = \"31 min\"\nfault = \"wan_down\"\nvenue = \"hall-a\"");
    assert!(matches!(*error.problem, Problem::OutsideTheNight { .. }));
    assert_eq!(error.at.field, "fault[0].for");
}

#[test]
fn roles_that_cannot_be() {
    let (error, shown) = told("roles = \"pos\"", "roles = \"pos,cashier\"");
    assert!(matches!(*error.problem, Problem::BadRoles { .. }), "{shown}");
    assert!(shown.contains("cashier") && shown.contains("pos, locker, encoder, hq"), "{shown}");
    assert!(matches!(*told("roles = \"pos\"", "roles = \"\"").0.problem, Problem::BadRoles { .. }));
    assert_eq!(*told("roles = \"hq\"", "roles = \"pos\"").0.problem, Problem::NoHq);
    let (error, shown) = told("units = 50", "units = 50\nminted_by = \"till-1\"");
    assert_eq!(*error.problem, Problem::CannotMint { device: "till-1".to_owned() }, "{shown}");
    let (error, shown) = told("where = [\"till-1\", \"till-2\"]", "where = [\"till-1\", \"hq\"]");
    let nothing = Problem::SellsNothing { device: "hq".to_owned(), roles: "hq".to_owned() };
    assert_eq!(*error.problem, nothing, "{shown}");
    assert!(matches!(
        *told("where = [\"till-1\", \"till-2\"]", "where = \"hall-a\"").0.problem,
        Problem::SellsNothing { .. }
    ));
}

#[test]
fn nights_without_anything() {
    assert!(matches!(
        *parse("n", "lasts = \"1 min\"").unwrap_err().problem,
        Problem::None { what: "venue", .. }
    ));
    let venue = "lasts = \"1 min\"\n[[venue]]\nname = \"a\"\n";
    assert!(matches!(*parse("n", venue).unwrap_err().problem, Problem::None { what: "device", .. }));
    let device = format!("{venue}[[device]]\nname = \"hq\"\nroles = \"hq\"\n");
    assert!(matches!(*parse("n", &device).unwrap_err().problem, Problem::None { what: "product", .. }));
    let product = format!("{device}[[product]]\nsku = \"tee\"\n");
    assert!(matches!(*parse("n", &product).unwrap_err().problem, Problem::None { what: "drop", .. }));
    let drop = format!("{product}[[drop]]\nname = \"d\"\nopens = \"18:00\"\n");
    assert!(matches!(*parse("n", &drop).unwrap_err().problem, Problem::None { .. }));
}

#[test]
fn serials_that_overlap() {
    let (error, shown) = told("units = 50", "units = 50\nfirst = 10\n\n[[drop.lot]]\nunits = 5\nfirst = 59");
    let Problem::SerialsOverlap { first, last, other_first, other_last, .. } = &*error.problem else {
        panic!("{shown}")
    };
    assert_eq!((*first, *last, *other_first, *other_last), (59, 63, 10, 59));
    let second =
        "units = 50\n\n[[drop]]\nname = \"later\"\nopens = \"18:10\"\n[[drop.lot]]\nunits = 5\nfirst = 50";
    let (error, shown) = told("units = 50", second);
    assert!(matches!(*error.problem, Problem::SerialsOverlap { .. }), "of another drop, too: {shown}");
    let (error, _) = told("units = 50", "units = 50\nfirst = 4294967290");
    assert!(matches!(*error.problem, Problem::Impossible { .. }));
}

#[test]
fn things_that_do_not_go_together() {
    for (old, new) in [
        ("opens = \"18:05\"", "opens = \"18:05\"\ncloses = \"18:04\""),
        ("opens = \"18:05\"", "opens = \"18:05\"\nminted = \"18:06\""),
        ("shoppers = 10", "shoppers = 10\npickup = \"50 %\""),
        ("shoppers = 10", "shoppers = 10\nquantity = \"3-1\""),
        ("shoppers = 10", "shoppers = 10\npatience = \"9 s - 2 s\""),
        ("venue = \"hall-b\"", "venue = \"hall-b\"\nlinks = [\"ble\"]"),
        ("venue = \"hall-b\"", "venue = \"hall-b\"\nbattery = { charge = \"50 %\" }"),
        (
            "sku = \"tee\"",
            "sku = \"tee\"\n\n[[product]]\nsku = \"cap\"\n\n[[drop]]\nname = \"caps\"\nopens = \"18:05\"\n\
          [[drop.lot]]\nproduct = \"cap\"\nunits = 1\n\n[[demand]]\ndrop = \"caps\"\nproduct = \"tee\"\nshape = \"steady\"\n\
          shoppers = 1\nwhere = \"till-1\"\n",
        ),
    ] {
        let (error, shown) = if new.contains("caps") { told("sku = \"tee\"", new) } else { told(old, new) };
        let expected = matches!(*error.problem, Problem::Impossible { .. } | Problem::Missing { .. });
        assert!(expected, "{shown}");
    }
    for text in [
        "fault = \"wan_down\"\nvenue = \"hall-a\"\nfor = \"1 min\"\nuntil = \"18:12\"",
        "fault = \"wan_down\"\nvenue = \"hall-a\"\nuntil = \"18:10\"",
        "fault = \"one_way\"\nfrom = \"hq\"\nto = \"hq\"",
        "fault = \"clog\"\ndevices = [\"hq\", \"till-1\"]\nback = [\"hq\", \"till-2\"]",
        "fault = \"battery_swap\"\ndevice = \"hq\"",
        "fault = \"disk_errors\"\ndevice = \"hq\"",
        "fault = \"restored\"\ndevice = \"hq\"\nimage = \"18:20\"",
    ] {
        let (error, shown) = fault(text);
        assert!(matches!(*error.problem, Problem::Impossible { .. }), "{shown}");
    }
}
