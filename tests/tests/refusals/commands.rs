//! Commands that cannot be done, through the command line and the API.

use anyhow::Result;
use popmesh_tests::refusal::{problem, refused, unchanged};
use serde_json::{Value, json};

use crate::{event, start_beside, start_hq};

/// Commands at hq, the exit code, and words that must be in what it says.
const AT_HQ: &[(&str, i32, &[&str])] = &[
    ("sell HAT", 1, &["no SKU HAT", "known: CAP", "popmesh product list"]),
    ("sell CAP --drop moon", 1, &["no drop \"moon\"", "known: cap"]),
    ("sell CAP -n 0", 2, &["\"0\" is no number of units", "from 1 to 10000"]),
    ("sell CAP -n -1", 2, &["\"-1\" is no number of units", "from 1 to 10000"]),
    ("sell CAP -n 10001", 2, &["is no number of units", "1 to 10000"]),
    ("sell CAP -n 99999999999999999999", 2, &["is no number of units"]),
    ("sell CAP --price 0", 1, &["a price must be above zero", "such as --price 25.00"]),
    ("sell CAP --price -5", 1, &["a price must be above zero"]),
    ("sell CAP --price 1000000.01", 1, &["highest price that is believed, 1000000.00 EUR"]),
    ("sell CAP --price 1.005", 1, &["more than the 2 decimals of EUR"]),
    ("sell CAP --price cheap", 1, &["not an amount; write digits and a point, such as 25.00 EUR"]),
    ("sell CAP --wait 61s", 1, &["waits at most 60s"]),
    ("sell CAP --wait -1s", 2, &["\"-1s\" is no duration", "5s"]),
    (
        "sell CAP -n 21 --wait 0s",
        1,
        &["not enough CAP here: wanted 21, hold 20", "nobody else is known to have any; sell fewer"],
    ),
    ("sell CAP --pickup-at nobody", 1, &["no device is named \"nobody\"", "known: ", "hq ("]),
    ("product add CAP Cap --price -1", 1, &["a price must be above zero"]),
    ("product add CAP Cap --price 99999999999999999999", 1, &["highest price"]),
    (
        "lot mint --drop cap --sku CAP --serials 15-30",
        1,
        &["serials 15-20 of CAP are already in lot", "mint from 21 on"],
    ),
    ("lot mint --drop cap --sku CAP --serials 1-20", 1, &["serials 1-20 of CAP are already"]),
    ("lot mint --drop cap --sku CAP --serials 30-21", 2, &["no range of serials", "such as 1-100"]),
    ("lot mint --drop cap --sku CAP --serials 0-5", 2, &["no range of serials"]),
    ("lot mint --drop cap --sku CAP --serials 21-4000000", 1, &["1000000 is the most"]),
    ("lot mint --drop cap --sku HAT --serials 21-30", 1, &["no SKU HAT"]),
    ("lot mint --drop moon --sku CAP --serials 21-30", 1, &["no drop \"moon\""]),
    ("drop new cap", 1, &["there is a drop cap already"]),
    ("transfer --drop cap --sku CAP --count 0 --to till", 2, &["\"0\" is no number of units"]),
    (
        "transfer --drop cap --sku CAP --count 21 --to till",
        1,
        &["holds 20 of CAP free to give (1-20), not 21", "popmesh stock"],
    ),
    ("transfer --drop cap --sku CAP --serials 20-21 --to till", 1, &["free to give (1-20), not 20-21"]),
    ("transfer --drop cap --sku CAP --count 1 --to hq", 1, &["cannot give units to itself"]),
    ("transfer --drop cap --sku CAP --serials x --to till", 1, &["write them as 1-5,9"]),
    ("damage --drop cap --sku CAP --serials 21", 1, &["free to give (1-20), not 21"]),
];

/// The same at a till, which is no hq and holds nothing.
const AT_THE_TILL: &[(&str, i32, &[&str])] = &[
    ("lot mint --drop cap --sku CAP --serials 21-30", 1, &["minting a lot takes the role hq", "such as hq"]),
    ("product add CAP Cap --price 1", 1, &["changing the programme takes the role hq"]),
    ("drop new moon", 1, &["changing the programme takes the role hq"]),
    ("drop close cap", 1, &["taking a step of a drop takes the role hq or encoder"]),
    ("drop announce cap --units CAP=x", 2, &["is not SKU=UNITS"]),
    ("drop announce cap --ends tonight", 2, &["is no time"]),
    ("transfer --drop cap --sku CAP --count 1 --to hq", 1, &["holds 0 of CAP free to give, not 1"]),
    ("transfer --drop cap --sku CAP --serials 1 --to hq", 1, &["holds 0 of CAP free to give, not 1"]),
];

#[test]
fn what_people_type() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    // Apart, so that stock does not drift to the till while something is refused there.
    let till = start_beside(&event, "till", &hq)?;
    till.set_links(false)?;
    hq.set_links(false)?;
    for (at, data, cases) in [(&hq, "hq", AT_HQ), (&till, "till", AT_THE_TILL)] {
        for (typed, exit_code, words) in cases {
            let mut arguments = vec!["--data", data];
            arguments.extend(typed.split(' '));
            let said = unchanged(&[at], || refused(&event, &arguments, *exit_code))?;
            for word in *words {
                assert!(said.contains(word), "{typed}: {word:?} is not in {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn what_programs_send() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    let sale = |item: Value| json!({"items": [item]});
    let stranger = "00".repeat(32);
    let cases = [
        ("/v1/sales", sale(json!({"sku": "HAT"})), 404, "unknown_sku", "known: CAP"),
        (
            "/v1/sales",
            sale(json!({"sku": "CAP", "quantity": 0})),
            422,
            "invalid",
            "items[0].quantity: 0 units",
        ),
        (
            "/v1/sales",
            sale(json!({"sku": "CAP", "quantity": -1})),
            422,
            "invalid",
            "-1`, expected a whole number from 0",
        ),
        ("/v1/sales", sale(json!({"sku": "CAP", "quantity": i64::MAX})), 422, "invalid", "from 1 to 10000"),
        ("/v1/sales", sale(json!({"sku": "CAP", "unit_price": 0})), 422, "invalid", "items[0].unit_price"),
        ("/v1/sales", sale(json!({"sku": "CAP", "unit_price": -2500})), 422, "invalid", "a price is from 1"),
        (
            "/v1/sales",
            sale(json!({"sku": "CAP", "unit_price": i64::MAX})),
            422,
            "invalid",
            "a price is from 1",
        ),
        ("/v1/sales", json!({"items": []}), 422, "invalid", "a sale has 1 to 32"),
        ("/v1/sales", json!({"items": vec![json!({"sku": "CAP"}); 33]}), 422, "invalid", "33 items"),
        ("/v1/sales", json!({"items": vec![json!({"sku": "CAP"}); 2]}), 422, "invalid", "CAP is there twice"),
        (
            "/v1/sales",
            json!({"items": [{"sku": "CAP"}], "wait_ms": 60_001}),
            422,
            "invalid",
            "60000 is the most",
        ),
        (
            "/v1/sales",
            json!({"items": [{"sku": "CAP"}], "pickup_at": stranger}),
            404,
            "unknown_device",
            "popmesh peers",
        ),
        (
            "/v1/lots",
            json!({"drop": "cap", "sku": "CAP", "first": 20, "last": 21}),
            409,
            "serial_overlap",
            "serials 20 of CAP",
        ),
        (
            "/v1/lots",
            json!({"drop": "cap", "sku": "CAP", "first": 30, "last": 21}),
            422,
            "invalid",
            "below the first",
        ),
        (
            "/v1/lots",
            json!({"drop": "cap", "sku": "CAP", "first": 21, "last": u32::MAX}),
            422,
            "invalid",
            "is the most",
        ),
        ("/v1/lots", json!({"drop": "cap", "sku": "CAP", "first": -1, "last": 5}), 422, "invalid", "first"),
        (
            "/v1/transfers",
            json!({"drop": "cap", "sku": "CAP", "units": {"count": 1}, "to": stranger}),
            404,
            "unknown_device",
            "popmesh peers",
        ),
        (
            "/v1/damage",
            json!({"drop": "cap", "sku": "CAP", "units": {"serials": "19-21"}}),
            409,
            "not_held",
            "holds 20 of CAP free to give (1-20), not 19-21",
        ),
    ];
    for (path, body, status, code, words) in cases {
        let answer = unchanged(&[&hq], || hq.post(path, &body, None))?;
        let detail = problem(&answer, status, code);
        assert!(detail.contains(words), "{body}: {words:?} is not in {detail}");
    }
    Ok(())
}
