//! The summary of a night for the terminal: what a person wants to know before opening the page.

use crate::night::{Cause, Night, Severity};

use super::digest::{self, Tone, headline};
use super::table::{Colour, Table, joined, paint};
use super::words::{self, count, plain};

/// So many media are listed, the busiest.
const MEDIA: usize = 3;
/// So many failed checks.
const CHECKS: usize = 5;
/// So many findings.
const FINDINGS: usize = 5;
/// So many kinds of fault.
const KINDS: usize = 8;
/// So many steps of drops.
const STEPS: usize = 6;
/// A finding's text has up to so many characters.
const TEXT: usize = 110;

/// The verdict, the numbers, why shoppers were refused, what failed and what to look at, and the line that runs the same
/// night again: some 60 lines at most. With ANSI colours if `colour`.
pub fn summary(night: &Night, colour: bool) -> String {
    let mut lines = verdict(night, colour);
    lines.push(String::new());
    lines.extend(numbers(night).lines("  "));
    lines.extend(without(night));
    lines.extend(media(night));
    lines.extend(failed(night, colour));
    lines.extend(steps(night));
    lines.extend(faults(night));
    lines.extend(findings(night, colour));
    if !night.replay.is_empty() {
        lines.push(String::new());
        lines.push(format!("Replay: {}", plain(&night.replay, 400)));
    }
    joined(&lines)
}

fn verdict(night: &Night, colour: bool) -> Vec<String> {
    let (tone, title, sentence) = headline(night);
    let tint = match tone {
        Tone::Passed => Colour::Good,
        Tone::Missed => Colour::Warn,
        Tone::Failed => Colour::Bad,
    };
    vec![
        format!(
            "{}  {}, seed {}",
            paint(title, tint, colour),
            plain(&night.scenario, words::NAME),
            night.seed
        ),
        sentence,
    ]
}

fn numbers(night: &Night) -> Table {
    let numbers = &night.numbers;
    let once = numbers.sold.saturating_sub(numbers.oversold);
    let refused = numbers.refusals.values().fold(0_u64, |sum, times| sum.saturating_add(*times));
    let [alone, elsewhere, incidents] = numbers.loss_events;
    let mut table = Table::new(2);
    table.row(["units sold", &format!("{} of {} minted", count(numbers.sold), count(numbers.minted))]);
    table.row(["oversold", &count(numbers.oversold)]);
    table.row([
        "demand served",
        &words::ratio(once, numbers.servable).map_or_else(
            || words::NONE.to_owned(),
            |served| {
                format!(
                    "{} ({} of {} servable units)",
                    words::per_mille(served),
                    count(once),
                    count(numbers.servable)
                )
            },
        ),
    ]);
    table.row([
        "shoppers served",
        &words::ratio(numbers.served, numbers.shoppers).map_or_else(
            || words::NONE.to_owned(),
            |served| {
                let (of, came) = (count(numbers.served), count(numbers.shoppers));
                format!("{} ({of} of {came} who came)", words::per_mille(served))
            },
        ),
    ]);
    table
        .row(["refusals", &format!("{}, {} of them wrongly", count(refused), count(numbers.wrong_refusals))]);
    if numbers.sold > 0 {
        let [p50, p90, p99, longest] = numbers.sale_us.map(words::micros);
        table.row(["time to sell", &format!("p50 {p50}, p90 {p90}, p99 {p99}, longest {longest}")]);
    }
    if !numbers.claimed_per_mille.is_empty() {
        let mut drops: Vec<_> = numbers
            .claimed_per_mille
            .iter()
            .take(5)
            .map(|(drop, claimed)| format!("{} {}", plain(drop, words::NAME), words::per_mille(*claimed)))
            .collect();
        if numbers.claimed_per_mille.len() > drops.len() {
            drops.push(format!("{} more", numbers.claimed_per_mille.len() - drops.len()));
        }
        table.row(["drop to claim", &drops.join(", ")]);
    }
    table.row([
        "sync loss events",
        &format!(
            "{} per device-hour ({} cut off, {} held elsewhere, {})",
            words::thousandths(numbers.loss_events_milli),
            count(alone),
            count(elsewhere),
            words::counted(incidents, "incident", "incidents")
        ),
    ]);
    if let Some(repeat) = numbers.repeat_per_mille {
        table.row(["repeat attendance", &words::per_mille(repeat)]);
    }
    if let Some([p50, _, p99, longest]) = numbers.closed_us {
        let [p50, p99, longest] = [p50, p99, longest].map(words::micros);
        table.row([
            "close to closed",
            &format!("p50 {p50}, p99 {p99}, longest {longest}, on devices in reach"),
        ]);
    }
    table.row([
        "reconciliation",
        &match numbers.reconciliation_ms {
            Some(ms) => words::millis(ms),
            None if night.devices.is_empty() || numbers.served == 0 => words::NONE.to_owned(),
            None => "never: the devices did not agree".to_owned(),
        },
    ]);
    table.row([
        "traffic",
        &format!(
            "{} in {}; {}, {}",
            words::bytes(numbers.bytes),
            words::counted(numbers.messages, "message", "messages"),
            words::counted(numbers.entries, "entry", "entries"),
            words::counted(numbers.writes, "durable write", "durable writes")
        ),
    ]);
    table.row(["power cuts", &count(numbers.power_cuts)]);
    let claims = &numbers.claims;
    if claims.are_any() {
        table.row([
            "claims",
            &format!(
                "{} handed out, {} by the token alone; {}, {} brought back, {} swept; {} shown again and refused",
                count(claims.handed_out),
                count(claims.by_token),
                words::counted(claims.refunds, "refund", "refunds"),
                count(claims.returns),
                count(claims.swept),
                count(claims.refused_again)
            ),
        ]);
    }
    let carts = &numbers.carts;
    if carts.put_aside > 0 {
        table.row([
            "carts",
            &format!(
                "{} put aside, {} taken over by another till, {} paid, {} over too soon",
                count(carts.put_aside),
                count(carts.taken_over),
                count(carts.paid),
                count(carts.expired)
            ),
        ]);
    }
    table
}

/// A heading and what is under it, if anything is; at most `most` lines, and how many more there are.
fn block(heading: &str, lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let left = lines.len().saturating_sub(most);
    let mut block = vec![String::new(), heading.to_owned()];
    block.extend(lines.into_iter().take(most));
    if left > 0 {
        block.push(format!("  and {} more", count(left as u64)));
    }
    block
}

/// What kept those who were not served: with them it adds up to all who came.
fn without(night: &Night) -> Vec<String> {
    let mut table = Table::new(1);
    for cause in Cause::ALL {
        if let Some(shoppers) = night.numbers.without.get(&cause) {
            table.row([words::cause(cause).0.to_owned(), count(*shoppers)]);
        }
    }
    block("Went without because", table.lines("  "), Cause::ALL.len())
}

fn media(night: &Night) -> Vec<String> {
    let mut media: Vec<_> = night.numbers.media.iter().collect();
    media.sort_by_key(|medium| u64::MAX - medium.used_per_mille);
    let mut table = Table::new(2);
    for medium in media {
        table.row([
            plain(&medium.name, words::NAME),
            format!(
                "in use {}, at most {}; dropped {} of {}, {} repeated",
                words::per_mille(medium.used_per_mille),
                words::per_mille(medium.busiest_per_mille),
                count(medium.dropped),
                words::counted(medium.messages, "message", "messages"),
                words::counted(medium.repeated, "packet", "packets")
            ),
        ]);
    }
    block("Media", table.lines("  "), MEDIA)
}

fn failed(night: &Night, colour: bool) -> Vec<String> {
    let mut table = Table::new(4);
    for check in night.verdict.checks.iter().filter(|check| !check.passed) {
        let wanted = if check.wanted.is_empty() {
            String::new()
        } else {
            format!("wanted {}", plain(&check.wanted, words::NAME))
        };
        table.row(["✗".to_owned(), plain(&check.name, TEXT), plain(&check.measured, words::NAME), wanted]);
    }
    let lines = table.lines("  ").into_iter().map(|line| paint(&line, Colour::Bad, colour)).collect();
    block("Failed", lines, CHECKS)
}

fn steps(night: &Night) -> Vec<String> {
    let mut taken: Vec<_> =
        night.drops.iter().flat_map(|drop| drop.steps.iter().map(move |step| (step, &drop.name))).collect();
    taken.sort_by_key(|(step, _)| step.at_ms);
    let mut table = Table::new(3);
    for (step, drop) in taken {
        let at = words::clock(night.starts_at_s, step.at_ms);
        table.row([at, plain(drop, words::NAME), plain(&step.said, TEXT)]);
    }
    block("Steps", table.lines("  "), STEPS)
}

fn faults(night: &Night) -> Vec<String> {
    let kinds = digest::by_kind(night);
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut named: Vec<_> = kinds
        .iter()
        .take(KINDS)
        .map(|kind| format!("{} {}", words::spaced(kind.kind), count(kind.faults)))
        .collect();
    if kinds.len() > named.len() {
        named.push(format!("{} more kinds", kinds.len() - named.len()));
    }
    vec![String::new(), format!("Faults: {}", named.join(", "))]
}

fn findings(night: &Night, colour: bool) -> Vec<String> {
    let lines = digest::findings(night)
        .into_iter()
        .map(|finding| {
            let tint = match finding.severity {
                Severity::Broken => Colour::Bad,
                Severity::Warning => Colour::Warn,
                Severity::Note => Colour::Dim,
            };
            let severity = format!("{:<14}", words::severity(finding.severity));
            let mut about = vec![words::clock(night.starts_at_s, finding.first_ms)];
            if finding.times > 1 {
                about.push(format!("{} times", count(finding.times)));
            }
            if !finding.invariant.is_empty() {
                about.insert(0, plain(&finding.invariant, words::NAME));
            }
            if !finding.devices.is_empty() {
                about.push(digest::listed(&finding.devices));
            }
            format!(
                "  {}  {} ({})",
                paint(&severity, tint, colour),
                plain(&finding.text, TEXT),
                about.join(", ")
            )
        })
        .collect();
    block("Look at", lines, FINDINGS)
}
