//! `popmesh check`: whether what this device knows holds together.

use popmesh_proto::query::Check;

use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::table::printable;
use crate::health::receipts_in_words;

/// Says what is wrong: exit code 1 if anything is, 0 if nothing.
pub(super) fn check(client: &Client, json: bool) -> Outcome {
    let check: Check = client.get("/v1/check", &[])?;
    print(json, &check, || in_words(&check))?;
    let is_wrong = !check.problems.is_empty() || !check.incidents.is_empty();
    if is_wrong { Err(Failure::Told) } else { Ok(()) }
}

fn in_words(check: &Check) -> String {
    let mut lines = vec![format!(
        "{} entries, {} units minted, {} sold, {}; {}",
        check.entries,
        check.minted,
        check.sold,
        if check.sold_twice == 0 { "none twice".to_owned() } else { format!("{} TWICE", check.sold_twice) },
        receipts_in_words(check)
    )];
    lines.extend(check.problems.iter().map(|problem| format!("WRONG     {}", printable(problem))));
    if !check.problems.is_empty() {
        lines.push("Do not sell from this device, and keep its folder.".to_owned());
    }
    lines.extend(check.incidents.iter().map(|incident| format!("incident  {}", printable(incident))));
    if !check.incidents.is_empty() {
        lines.push("See `popmesh incidents list`.".to_owned());
    }
    if check.problems.is_empty() && check.incidents.is_empty() {
        lines.push("Nothing is wrong.".to_owned());
    }
    lines.join("\n")
}
