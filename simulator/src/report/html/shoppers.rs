//! What shoppers met with: sales and refusals over time, how long sales took, and why some were refused.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::night::{Cause, Night, Outcome};

use super::super::scale::{CountAxis, DurationAxis, TimeAxis};
use super::super::words::{self, Escaped};
use super::figure::{Figure, nothing};
use super::more;

/// At most so many parts of the night for which answers are counted.
const BINS: u64 = 80;
/// The height of these charts.
const HEIGHT: u32 = 190;
/// So many reasons are listed.
const MOST: usize = 20;

/// The kinds of outcome: class and name, from the bottom of a bar to its top.
const KINDS: [(&str, &str); 5] = [
    ("o-sold", "sold at once"),
    ("o-waited", "sold after units came from elsewhere"),
    ("o-refused", "refused"),
    ("o-wrong", "wrongly refused"),
    ("o-silent", "no answer"),
];

fn kind(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Sold => 0,
        Outcome::SoldAfterWait => 1,
        Outcome::Refused(_) => 2,
        Outcome::WronglyRefused(_) => 3,
        Outcome::NoAnswer => 4,
    }
}

fn legend(counts: &[u64]) -> Vec<(String, String)> {
    KINDS
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|((class, name), count)| ((*class).to_owned(), format!("{name}: {}", words::count(*count))))
        .collect()
}

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    over_time(out, night, axis)?;
    out.push_str("<div class=pair>");
    waits(out, night)?;
    without(out, night)?;
    out.push_str("</div>\n");
    refusals(out, night)?;
    Ok(())
}

fn over_time(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    let title = "Sales and refusals over time";
    if night.answers.is_empty() {
        return nothing(out, title, "No shopper came.");
    }
    let (part_ms, parts) = axis.parts(BINS);
    let mut bins = vec![[0_u64; KINDS.len()]; parts];
    let mut all = [0_u64; KINDS.len()];
    for answer in &night.answers {
        let kind = kind(&answer.outcome);
        bins[((answer.came_ms / part_ms) as usize).min(parts - 1)][kind] += 1;
        all[kind] += 1;
    }
    let up = CountAxis::new(bins.iter().map(|bin| bin.iter().sum()).max().unwrap_or(0));
    let each = words::millis(part_ms);
    let figure = Figure {
        title,
        note: &format!("Shoppers by when they came and what became of it; each bar is {each}."),
        height: HEIGHT,
        across: &axis.ticks(12),
        up: &up.ticks(),
    };
    figure.draw(out, &legend(&all), |out| {
        // The last part may be cut short by the end of the night.
        let edge = |place: usize| axis.at(part_ms.saturating_mul(place as u64)) * 100.0;
        for (place, bin) in bins.iter().enumerate() {
            let (from, width) = (edge(place), edge(place + 1) - edge(place));
            let mut below = 0;
            for ((class, name), count) in KINDS.iter().zip(bin).filter(|(_, count)| **count > 0) {
                let height = up.at(*count) * f64::from(HEIGHT);
                let y = f64::from(HEIGHT) * (1.0 - up.at(below + count));
                below += count;
                write!(
                    out,
                    "<rect class={class} x={:.2}% y={y:.1} width={:.2}% height={height:.1}><title>{}: {} {name}</title></rect>",
                    from + 0.08 * width,
                    width * 0.84,
                    axis.clock(part_ms.saturating_mul(place as u64)),
                    words::count(*count)
                )?;
            }
        }
        Ok(())
    })
}

fn waits(out: &mut String, night: &Night) -> fmt::Result {
    let title = "Time to sell";
    let sales = || night.answers.iter().filter(|answer| kind(&answer.outcome) < 2);
    let (Some(least), Some(most)) =
        (sales().map(|sale| sale.took_us).min(), sales().map(|sale| sale.took_us).max())
    else {
        return nothing(out, title, "Nothing was sold.");
    };
    let across = DurationAxis::new(least, most);
    let mut bins = vec![[0_u64; 2]; across.bins()];
    let mut all = [0_u64; 2];
    for sale in sales() {
        let kind = kind(&sale.outcome);
        bins[across.bin(sale.took_us)][kind] += 1;
        all[kind] += 1;
    }
    let up = CountAxis::new(bins.iter().map(|bin| bin.iter().sum()).max().unwrap_or(0));
    let [p50, p90, p99, _] = night.numbers.sale_us;
    let figure = Figure {
        title,
        note: &format!(
            "From asking to the answer: half within {}, 90 % within {}, 99 % within {}, the longest {}.",
            words::micros(p50),
            words::micros(p90),
            words::micros(p99),
            words::micros(night.numbers.sale_us[3])
        ),
        height: HEIGHT,
        across: &across.ticks(),
        up: &up.ticks(),
    };
    figure.draw(out, &legend(&all), |out| {
        let width = 100.0 / bins.len() as f64;
        for (place, bin) in bins.iter().enumerate() {
            let mut below = 0;
            for ((class, name), count) in KINDS.iter().zip(bin).filter(|(_, count)| **count > 0) {
                let height = up.at(*count) * f64::from(HEIGHT);
                let y = f64::from(HEIGHT) * (1.0 - up.at(below + count));
                below += count;
                write!(
                    out,
                    "<rect class={class} x={:.2}% y={y:.1} width={:.2}% height={height:.1}><title>{} to {}: {} {name}</title></rect>",
                    (place as f64 + 0.05) * width,
                    width * 0.9,
                    words::micros(across.bin_start(place)),
                    words::micros(across.bin_start(place + 1)),
                    words::count(*count)
                )?;
            }
        }
        levels(out, &[("p50", across.at(p50)), ("p90", across.at(p90)), ("p99", across.at(p99))])
    })
}

/// Upright lines at percentiles; names that would touch stand below each other.
pub(super) fn levels(out: &mut String, levels: &[(&str, f64)]) -> fmt::Result {
    let mut taken: Vec<f64> = Vec::new();
    for (name, at) in levels {
        let row = taken.iter().filter(|other| (**other - at).abs() < 0.12).count();
        taken.push(*at);
        let x = at * 100.0;
        let (shift, anchor) = if *at > 0.9 { (-4, "end") } else { (4, "start") };
        write!(
            out,
            "<line class=level x1={x:.2}% x2={x:.2}% y1=-4 y2={HEIGHT} />\
             <svg x={x:.2}% y={} overflow=visible><text class=leveltext x={shift} y=0 text-anchor={anchor}>{name}</text></svg>",
            5 + row * 15
        )?;
    }
    Ok(())
}

/// What kept those who were not served.
fn without(out: &mut String, night: &Night) -> fmt::Result {
    out.push_str("<div class=\"card wide\"><table><caption>Why shoppers went away without</caption>");
    let numbers = &night.numbers;
    if numbers.without.is_empty() {
        out.push_str("</table><p class=nothing>Everybody who came was served.</p></div>");
        return Ok(());
    }
    out.push_str(
        "<thead><tr><th>What became of them</th><th class=n>Shoppers</th><th class=n>Share</th></tr></thead><tbody>",
    );
    let served = ("served", "", numbers.served);
    let kept = Cause::ALL.into_iter().filter_map(|cause| {
        let (name, means) = words::cause(cause);
        numbers.without.get(&cause).map(|shoppers| (name, means, *shoppers))
    });
    for (name, means, shoppers) in std::iter::once(served).chain(kept) {
        write!(
            out,
            "<tr><th scope=row>{name}<small>{means}</small></th><td class=n>{}</td><td class=n>{}</td></tr>",
            words::count(shoppers),
            words::ratio(shoppers, numbers.shoppers).map_or_else(String::new, words::per_mille)
        )?;
    }
    out.push_str("</tbody></table></div>");
    Ok(())
}

/// What tills said to those whom they did not serve.
fn refusals(out: &mut String, night: &Night) -> fmt::Result {
    out.push_str("<div class=\"card wide\"><table><caption>What the tills said</caption>");
    let mut wrong: BTreeMap<&str, u64> = BTreeMap::new();
    let mut silent = 0_u64;
    for answer in &night.answers {
        match &answer.outcome {
            Outcome::WronglyRefused(reason) => *wrong.entry(reason).or_default() += 1,
            Outcome::NoAnswer => silent += 1,
            _ => {}
        }
    }
    let mut reasons: Vec<(&str, u64)> =
        night.numbers.refusals.iter().map(|(reason, times)| (reason.as_str(), *times)).collect();
    if silent > 0 && !night.numbers.refusals.contains_key("no_answer") {
        reasons.push(("no_answer", silent));
    }
    reasons.sort_by_key(|(reason, times)| (u64::MAX - times, *reason));
    if reasons.is_empty() {
        out.push_str("</table><p class=nothing>Nobody was refused.</p></div>");
        return Ok(());
    }
    out.push_str(
        "<thead><tr><th>Reason</th><th class=n>Shoppers</th><th class=n>Share</th><th class=n>Wrongly</th></tr></thead><tbody>",
    );
    let whole = reasons.iter().fold(0_u64, |sum, (_, times)| sum.saturating_add(*times));
    for (reason, times) in reasons.iter().take(MOST) {
        let wrongly = wrong.get(reason).copied().unwrap_or(0);
        write!(
            out,
            "<tr><th scope=row>{}<small>{}</small></th><td class=n>{}</td><td class=n>{}</td><td class=\"n{}\">{}</td></tr>",
            Escaped(&words::spaced(reason)),
            words::reason(reason),
            words::count(*times),
            words::ratio(*times, whole).map_or_else(String::new, words::per_mille),
            if wrongly > 0 { " no" } else { "" },
            words::count(wrongly)
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, reasons.len().saturating_sub(MOST), "reasons")?;
    out.push_str("<p class=more>Wrongly: enough units were free on devices within reach.</p></div>\n");
    Ok(())
}
