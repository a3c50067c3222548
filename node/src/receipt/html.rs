//! A receipt as one page: no script, nothing to fetch, light on paper.

use std::fmt::Write;

use jiff::tz::TimeZone;
use popmesh_proto::query::Receipt;

use super::{Row, amount, payments, percent, pickup, short, taxes, title};
use crate::clock::in_zone;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.45 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.25rem;margin:0;overflow-wrap:anywhere}p{margin:.25rem 0;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%;margin:1rem 0}\
th{text-align:left;font-weight:normal;overflow-wrap:anywhere}\
td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;vertical-align:bottom}\
th,td{padding:.25rem 0}small{display:block;opacity:.75}\
.total th,.total td{font-weight:bold;border-top:1px solid}\
@media print{body{margin:0;max-width:none;font-size:11pt}@page{margin:15mm}tr{break-inside:avoid}}";

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A receipt as a whole HTML page.
pub fn page(receipt: &Receipt, zone: &TimeZone) -> String {
    let money = |minor: i64| escaped(&amount(receipt.currency, minor));
    let heading = format!("{} {}", title(receipt), receipt.number);
    let mut rows = String::new();
    // Writing to a string cannot fail.
    let mut row = |class: &str, what: &str, small: &str, right: &str| {
        let small =
            if small.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(small)) };
        let _ =
            writeln!(rows, "<tr{class}><th scope=\"row\">{}{small}</th><td>{right}</td></tr>", escaped(what));
    };
    for item in &receipt.items {
        let rate = item.rate.map_or_else(String::new, |rate| format!(", {}", percent(rate)));
        let edition = item.edition.as_ref().map_or_else(String::new, |edition| format!(" {edition}"));
        let serials =
            item.serials.as_ref().map_or_else(String::new, |serials| format!(",{edition} no. {serials}"));
        let price = amount(receipt.currency, item.unit_price);
        let small = format!("{} × {price}{rate} · {}{serials}", item.quantity, item.sku);
        row("", &item.name, &small, &money(item.amount));
    }
    row(" class=\"total\"", &format!("Total {}", receipt.currency), "", &money(receipt.total));
    for (what, net, tax) in taxes(receipt) {
        row("", &what, &format!("net {}", amount(receipt.currency, net)), &money(tax));
    }
    for Row { what, minor } in payments(receipt) {
        row("", &what, "", &money(minor));
    }
    let mut end = String::new();
    let mut paragraph = |text: &str| {
        let _ = writeln!(end, "<p>{}</p>", escaped(text));
    };
    if let Some(pickup) = pickup(receipt) {
        paragraph(&pickup);
    }
    paragraph(&format!("Claim {}", receipt.claim));
    paragraph(&match &receipt.previous {
        Some(previous) => format!("After {}, this {}", short(previous), short(&receipt.hash)),
        None => format!("The first of this device, {}", short(&receipt.hash)),
    });
    if !receipt.twice.is_empty() {
        paragraph("This number was given twice: the device was restored or copied.");
    }
    let heading = escaped(&heading);
    let event = escaped(&receipt.event_name);
    let place = escaped(&format!("{}, {}", receipt.device_name, receipt.venue));
    let time = escaped(&in_zone(receipt.at_ms, zone));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{heading} · {event}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{event}</h1>\n<p>{place}</p>\n<p>{heading} · {time}</p>\n<table>\n{rows}</table>\n{end}</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::receipt::tests::sample;

    #[test]
    fn a_page_says_all_of_it_and_escapes_names() {
        let page = page(&sample(), &TimeZone::UTC);
        for text in [
            "<h1>Nachtmarkt &lt;Köln&gt;</h1>",
            "till &amp; co, hall-a",
            "Receipt 12 · 2027-01-15 08:00:00 UTC",
            "2 × 6.17, 19 % · TEE, no. 3-4",
            "Cash, &lt;b&gt;",
            "<td>7.65</td>",
            "Pick up at locker, yard",
            "After abababababababab, this cdcdcdcdcdcdcdcd",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        for never in ["<script", "<b>", "http://", "https://", "src="] {
            assert!(!page.contains(never), "{never}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_markup(name in ".{0,80}") {
            let mut receipt = sample();
            let tags = page(&receipt, &TimeZone::UTC).matches('<').count();
            receipt.event_name.clone_from(&name);
            receipt.device_name.clone_from(&name);
            receipt.items[0].name.clone_from(&name);
            receipt.payments[0].reference = Some(name);
            prop_assert_eq!(page(&receipt, &TimeZone::UTC).matches('<').count(), tags);
        }
    }
}
