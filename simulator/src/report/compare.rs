//! The same night under each stock policy, side by side: a table for the terminal, and a page with a table and a plot.

use std::fmt::{self, Write};

use crate::comparison::{Comparison, ComparisonRow};

use super::files::{WriteError, pretty};
use super::html::{foot, head};
use super::scale::CountAxis;
use super::table::{Colour, Table, joined, paint};
use super::words::{self, Escaped, count, plain};

/// From one bar of the plot to the next, pixels.
const PITCH: u32 = 41;
/// The height of a bar.
const BAR: u32 = 16;

/// The comparison for the terminal. With ANSI colours if `colour`.
pub fn table(comparison: &Comparison, colour: bool) -> String {
    let mut table = Table::new(1);
    table.row([
        "policy", "oversold", "served", "sold", "refused", "wrongly", "p50", "p99", "messages", "bytes",
        "promises",
    ]);
    for (place, row) in comparison.rows.iter().enumerate() {
        let mut cells = vec![words::policy(row.policy).to_owned()];
        cells.extend(figures(comparison, place));
        cells.push(promises(row).to_owned());
        table.row(cells);
    }
    let scenario = plain(&comparison.scenario, words::NAME);
    let mut lines = vec![
        format!("{scenario}, {}: the same night under each stock policy", seeds(comparison)),
        String::new(),
    ];
    for (place, line) in table.lines("  ").into_iter().enumerate() {
        let tint = match place.checked_sub(1).and_then(|row| comparison.rows.get(row)) {
            None => Some(Colour::Dim),
            Some(row) if !row.kept || row.oversold > 0 => Some(Colour::Bad),
            Some(_) => None,
        };
        lines.push(tint.map_or_else(|| line.clone(), |tint| paint(&line, tint, colour)));
    }
    joined(&lines)
}

/// The comparison as JSON, indented.
///
/// # Errors
///
/// If it has no JSON form, which is a bug.
pub fn json(comparison: &Comparison) -> Result<String, WriteError> {
    pretty(comparison)
}

/// The comparison as a page: one HTML file that needs nothing else.
pub fn html(comparison: &Comparison) -> String {
    let mut page = String::new();
    // Writing to a string fails only if something that is written says so, and nothing here does.
    let drawn = draw(&mut page, comparison);
    debug_assert!(drawn.is_ok());
    page
}

/// Which seeds, for people.
fn seeds(comparison: &Comparison) -> String {
    match comparison.seeds {
        0 | 1 => format!("seed {}", comparison.seed),
        more => {
            let last = comparison.seed.saturating_add(more - 1);
            format!("seeds {} to {last}, median (and worst)", comparison.seed)
        }
    }
}

/// The numbers of a row, in the order of the columns: with several seeds the worst in brackets, where it is another.
/// What it costs in messages hardly differs from seed to seed.
fn figures(comparison: &Comparison, place: usize) -> Vec<String> {
    let of = |row: &ComparisonRow| {
        [
            count(row.oversold),
            served(row),
            count(row.sold),
            count(row.refusals),
            count(row.wrong_refusals),
            time(row, row.sale_p50_us),
            time(row, row.sale_p99_us),
        ]
    };
    let Some(row) = comparison.rows.get(place) else { return Vec::new() };
    let worst = comparison.worst.get(place).unwrap_or(row);
    let both = |(median, worst)| {
        if comparison.seeds < 2 || median == worst { median } else { format!("{median} ({worst})") }
    };
    let cost = [words::short_count(row.messages), words::bytes(row.bytes)];
    of(row).into_iter().zip(of(worst)).map(both).chain(cost).collect()
}

fn served(row: &ComparisonRow) -> String {
    row.served_per_mille.map_or_else(|| words::NONE.to_owned(), words::per_mille)
}

fn time(row: &ComparisonRow, us: u64) -> String {
    if row.sold == 0 { words::NONE.to_owned() } else { words::micros(us) }
}

fn promises(row: &ComparisonRow) -> &'static str {
    if row.kept { "kept" } else { "broken" }
}

fn draw(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let scenario = plain(&comparison.scenario, words::NAME);
    head(out, &format!("{scenario}, {}: policies compared", seeds(comparison)))?;
    writeln!(
        out,
        "<header><p class=kind>popmesh comparison</p><h1>{}: the same night under each stock policy</h1>\
         <p class=about>{}. Shoppers and faults are the same in each; only the way in which stock moves differs.</p></header>",
        Escaped(&scenario),
        seeds(comparison).replacen('s', "S", 1)
    )?;
    out.push_str("<h2>What came of it</h2><div class=pair>");
    let most = comparison.rows.iter().map(|row| row.oversold).max().unwrap_or(0);
    let oversold = CountAxis::new(most);
    let broken = |row: &ComparisonRow| row.oversold > 0 || !row.kept;
    bars(
        out,
        comparison,
        "Demand served",
        "Of what an all-knowing seller could have sold; more is better. Striped: at the price of a broken promise.",
        |row| {
            let part = row.served_per_mille.unwrap_or(0).min(1_000) as f64 / 1_000.0;
            (if broken(row) { "bar void" } else { "bar b" }, part, served(row))
        },
    )?;
    bars(out, comparison, "Units oversold", "Sold to more than one shopper; only 0 is good.", |row| {
        ("bar o", oversold.at(row.oversold), count(row.oversold))
    })?;
    out.push_str("</div>");
    in_numbers(out, comparison)?;
    foot(out);
    Ok(())
}

/// A bar for each policy, with its number at its end.
fn bars(
    out: &mut String,
    comparison: &Comparison,
    title: &str,
    note: &str,
    value: impl Fn(&ComparisonRow) -> (&'static str, f64, String),
) -> fmt::Result {
    let height = comparison.rows.len() as u32 * PITCH + 4;
    write!(
        out,
        "<figure><figcaption><h3>{title}</h3><p>{note}</p></figcaption><div class=plot style=\"grid-template-columns:minmax(0,1fr)\">\
         <svg width=100% height={height} role=img aria-label=\"{title} under each policy\">"
    )?;
    for (place, row) in comparison.rows.iter().enumerate() {
        let y = place as u32 * PITCH;
        let (class, part, said) = value(row);
        let name = words::policy(row.policy);
        // The number stands outside of the bar, so the longest bar leaves room for it.
        let width = part * 84.0;
        write!(
            out,
            "<text class=name x=0 y={}>{name}</text>\
             <rect class=empty x=0 y={} width=84% height={BAR} /><rect class=\"{class}\" x=0 y={} width={width:.2}% height={BAR}>\
             <title>{name}: {said}</title></rect><text class=head x=100% y={} text-anchor=end>{said}</text>",
            y + 12,
            y + 17,
            y + 17,
            y + 29
        )?;
    }
    out.push_str("</svg></div></figure>");
    Ok(())
}

fn in_numbers(out: &mut String, comparison: &Comparison) -> fmt::Result {
    out.push_str(
        "<h2>In numbers</h2><div class=\"card wide scroll\"><table><caption>The same night under each stock policy</caption><thead><tr>\
         <th>Policy</th><th class=n>Oversold</th><th class=n>Served</th><th class=n>Sold</th><th class=n>Refused</th>\
         <th class=n>Wrongly</th><th class=n>Median sale</th><th class=n>p99</th><th class=n>Messages</th><th class=n>Bytes</th>\
         <th>Promises</th></tr></thead><tbody>",
    );
    for (place, row) in comparison.rows.iter().enumerate() {
        write!(out, "<tr><th scope=row>{}</th>", words::policy(row.policy))?;
        for (column, figure) in figures(comparison, place).into_iter().enumerate() {
            let bad = if column == 0 && row.oversold > 0 { " no" } else { "" };
            write!(out, "<td class=\"n{bad}\">{figure}</td>")?;
        }
        let (class, said) = if row.kept { ("ok", "✓ kept") } else { ("no", "✗ broken") };
        writeln!(out, "<td class={class}>{said}</td></tr>")?;
    }
    out.push_str(
        "</tbody></table><p class=more>Wrongly: enough units were free with somebody within reach. Units sold twice count once as \
         served. In brackets: the worst of all seeds.</p></div>",
    );
    Ok(())
}
