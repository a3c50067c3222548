//! The night at a glance: a lane for each device, with the faults drawn over them and listed by kind above.

use std::fmt::{self, Write};

use crate::night::{FaultSpan, LaneState, Night, Span};

use super::super::scale::TimeAxis;
use super::super::thin;
use super::super::words::{self, Escaped, plain};
use super::figure::{key, mark};
use super::roster::{Roster, Row};
use super::{more, section};

/// So many spans are drawn each by itself in all lanes together.
const MOST_SPANS: usize = 1_500;
/// So many are drawn in lanes that have more than their share.
const MOST_PIECES: usize = 14_000;
/// So many marks are drawn for faults, above the lanes and over them.
const MOST_MARKS: usize = 600;
/// So many kinds of fault have a row.
const MOST_KINDS: usize = 16;
/// So many drops have a row.
const MOST_DROPS: usize = 6;
/// So many steps of a drop are drawn.
const MOST_STEPS: usize = 40;
/// The height of these rows.
const STRIP: u32 = 17;
/// Where the first of them begins.
const TOP: u32 = 26;
/// What lasts for less of the night than that is a moment: a mark, not a bar.
const MOMENT: f64 = 0.003;

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    section(
        out,
        "Timeline",
        "Each device's night from left to right. What went wrong is listed by kind on top, and framed in red on the \
         devices that it struck. Point at anything for its name and times.",
    )?;
    if night.devices.is_empty() {
        out.push_str("<p class=\"card nothing\">There were no devices.</p>\n");
        return Ok(());
    }
    let kinds = kinds(night);
    let shown_kinds = kinds.len().min(MOST_KINDS);
    let drops = night.drops.len().min(MOST_DROPS);
    let strip = TOP + (drops + shown_kinds) as u32 * STRIP;
    let roster = Roster::new(night, axis, strip + 8, |_| true);
    out.push_str("<figure>");
    legend(out, night)?;
    let height = roster.end + 20;
    write!(out, "<div class=\"plot lanes\"><svg width=100% height={height} overflow=visible>")?;
    for (place, drop) in night.drops.iter().take(drops).enumerate() {
        name(out, "name", TOP + place as u32 * STRIP + 12, &format!("drop {}", plain(&drop.name, 12)))?;
    }
    for (place, (kind, _)) in kinds.iter().take(shown_kinds).enumerate() {
        name(out, "name", TOP + (drops + place) as u32 * STRIP + 12, &plain(&words::spaced(kind), 19))?;
    }
    for group in &roster.groups {
        let count = words::count(group.rows.len() as u64);
        name(out, "head", group.y + 18, &format!("{} ({count})", plain(group.venue, 16)))?;
        for row in group.rows.iter().filter(|_| roster.named) {
            name(out, "name", row.y + roster.bar() - 2, &plain(&row.device.name, 18))?;
        }
    }
    write!(
        out,
        "</svg><svg width=100% height={height} overflow=visible role=img \
         aria-label=\"What each device was over time, with the faults\">"
    )?;
    ground(out, night, axis, roster.end)?;
    for (place, drop) in night.drops.iter().take(drops).enumerate() {
        let until = drop.close_ms.unwrap_or(night.duration_ms);
        let said = format!("drop {} open {}", plain(&drop.name, words::NAME), axis.span(drop.open_ms, until));
        let y = TOP + place as u32 * STRIP + 3;
        bar(out, "s-drop", axis, (drop.open_ms, until), y, STRIP - 6, &said)?;
        for step in drop.steps.iter().take(MOST_STEPS) {
            let said = format!("{} {}", axis.clock(step.at_ms), plain(&step.said, words::SENTENCE));
            bar(out, "s-step", axis, (step.at_ms, step.at_ms), y, STRIP - 6, &said)?;
        }
    }
    let (mut marks, mut hidden) = (MOST_MARKS, false);
    for (place, (_, faults)) in kinds.iter().take(shown_kinds).enumerate() {
        let y = TOP + (drops + place) as u32 * STRIP;
        // Every kind gets its share, so that one that happens all the time does not hide the others.
        let share = (MOST_MARKS / 2 / shown_kinds.max(1)).min(marks);
        marks -= share.min(faults.len());
        hidden |= faults.len() > share;
        for fault in faults.iter().take(share) {
            fault_bar(out, axis, fault, y)?;
        }
    }
    let whole = lanes(out, axis, &roster)?;
    hidden |= !over(out, night, axis, &roster, marks)?;
    out.push_str("</svg></div>");
    if !whole {
        out.push_str(
            "<p class=more>Where a device changed too often to draw each change, the worst that it was is shown.</p>",
        );
    }
    if hidden {
        out.push_str("<p class=more>There were more faults than can be drawn; the table of faults counts them all.</p>");
    }
    more(out, roster.left_out, "devices, which had less trouble")?;
    more(out, kinds.len() - shown_kinds, "kinds of fault")?;
    out.push_str("</figure>\n");
    Ok(())
}

/// The faults by kind, in the order in which the kinds first struck.
fn kinds(night: &Night) -> Vec<(&str, Vec<&FaultSpan>)> {
    let mut kinds: Vec<(&str, Vec<&FaultSpan>)> = Vec::new();
    for fault in &night.faults {
        match kinds.iter_mut().find(|(kind, _)| *kind == fault.kind) {
            Some((_, faults)) => faults.push(fault),
            None => kinds.push((&fault.kind, vec![fault])),
        }
    }
    kinds.sort_by_key(|(kind, faults)| (faults.iter().map(|fault| fault.from_ms).min(), *kind));
    kinds
}

fn class(state: LaneState) -> &'static str {
    match state {
        LaneState::Online => "s-online",
        LaneState::OnBattery => "s-battery",
        LaneState::CutOff => "s-cut",
        LaneState::NotStoring => "s-storing",
        LaneState::Off => "s-off",
        LaneState::Dead => "s-dead",
        LaneState::Restored => "s-restored",
    }
}

fn legend(out: &mut String, night: &Night) -> fmt::Result {
    let mut states: Vec<LaneState> = Vec::new();
    for span in night.devices.iter().flat_map(|device| &device.lane) {
        if !states.contains(&span.state) {
            states.push(span.state);
        }
    }
    states.sort_by_key(|state| thin::weight(*state));
    let mut entries: Vec<_> =
        states.into_iter().map(|state| (class(state).to_owned(), words::state(state).to_owned())).collect();
    if !night.faults.is_empty() {
        entries.push(("struck".to_owned(), "struck by a fault (▼ if it took but a moment)".to_owned()));
    }
    if !night.drops.is_empty() {
        entries.push(("s-drop".to_owned(), "drop open".to_owned()));
        if night.drops.iter().any(|drop| !drop.steps.is_empty()) {
            entries.push(("s-step".to_owned(), "step taken".to_owned()));
        }
    }
    if night.ended_ms > night.duration_ms {
        entries.push(("rest".to_owned(), "after the night: faults healed, devices settle".to_owned()));
    }
    key(out, &entries)
}

fn name(out: &mut String, class: &str, y: u32, text: &str) -> fmt::Result {
    write!(out, "<text class={class} x=0 y={y}>{}</text>", Escaped(text))
}

/// What lies behind all rows: the time after the night, and the marks of time above and below.
fn ground(out: &mut String, night: &Night, axis: TimeAxis, end: u32) -> fmt::Result {
    let over = axis.at(night.duration_ms) * 100.0;
    if over < 100.0 {
        write!(
            out,
            "<rect class=rest x={over:.2}% y=18 width={:.2}% height={}><title>settling</title></rect>",
            100.0 - over,
            end - 18
        )?;
    }
    for tick in axis.ticks(12) {
        let x = tick.at * 100.0;
        write!(out, "<line class=grid x1={x:.2}% x2={x:.2}% y1=18 y2={end} />")?;
        mark(out, &tick, 12.0)?;
        mark(out, &tick, f64::from(end) + 14.0)?;
    }
    if over < 100.0 {
        write!(out, "<line class=night x1={over:.2}% x2={over:.2}% y1=18 y2={end} />")?;
    }
    Ok(())
}

/// A bar from one moment to another, wide enough to be seen, with what it says when pointed at.
fn bar(
    out: &mut String,
    class: &str,
    axis: TimeAxis,
    (from_ms, until_ms): (u64, u64),
    y: u32,
    height: u32,
    said: &str,
) -> fmt::Result {
    let from = axis.at(from_ms);
    let width = (axis.at(until_ms) - from).max(MOMENT / 2.0);
    let from = from.min(1.0 - width);
    write!(
        out,
        "<rect class={class} x={:.2}% y={y} width={:.2}% height={height}><title>{}</title></rect>",
        from * 100.0,
        width * 100.0,
        Escaped(said)
    )
}

/// Draws what each device was. Whether all of it was drawn: where changes are too many, the worst of them stand for all.
fn lanes(out: &mut String, axis: TimeAxis, roster: &Roster<'_>) -> Result<bool, fmt::Error> {
    let few = (MOST_SPANS / roster.len().max(1)).max(3);
    let crowded = roster.rows().filter(|row| row.device.lane.len() > few).count();
    let many = (MOST_PIECES / crowded.max(1)).clamp(20, 600);
    let mut whole = true;
    for row in roster.rows() {
        if row.device.lane.len() > few {
            whole &= row.device.lane.len() <= many;
            dense(out, axis, row, roster.bar(), &thin::lane(&row.device.lane, axis, many))?;
            continue;
        }
        let mut spans: Vec<_> = row.device.lane.iter().collect();
        // Trouble goes on top: a short cut keeps its least width beside a long time online.
        spans.sort_by_key(|span| thin::weight(span.state) > 0);
        for span in spans {
            let said = format!(
                "{}: {} {}",
                plain(&row.device.name, words::NAME),
                words::state(span.state),
                axis.span(span.from_ms, span.until_ms)
            );
            bar(out, class(span.state), axis, (span.from_ms, span.until_ms), row.y, roster.bar(), &said)?;
        }
    }
    Ok(whole)
}

/// A lane with so many spans that each state is one shape, which says how often and how long it was.
fn dense(out: &mut String, axis: TimeAxis, row: &Row<'_>, height: u32, spans: &[Span]) -> fmt::Result {
    write!(
        out,
        "<svg y={} viewBox=\"0 0 1000 {height}\" preserveAspectRatio=none width=100% height={height}>",
        row.y
    )?;
    let mut states: Vec<LaneState> = Vec::new();
    for span in spans {
        if !states.contains(&span.state) {
            states.push(span.state);
        }
    }
    states.sort_by_key(|state| thin::weight(*state));
    for state in states {
        let mut path = String::new();
        for span in spans.iter().filter(|span| span.state == state) {
            let from = axis.at(span.from_ms);
            let width = (axis.at(span.until_ms) - from).max(MOMENT / 2.0);
            let (from, width) = (from.min(1.0 - width) * 1_000.0, width * 1_000.0);
            write!(path, "M{from:.0} 0h{width:.0}v{height}h-{width:.0}z")?;
        }
        let whole = row.device.lane.iter().filter(|span| span.state == state);
        let (times, lasted) = whole.fold((0_u64, 0_u64), |(times, lasted), span| {
            (times + 1, lasted.saturating_add(span.until_ms.saturating_sub(span.from_ms)))
        });
        let said = format!(
            "{}: {}, {}, together {}",
            plain(&row.device.name, words::NAME),
            words::state(state),
            words::counted(times, "time", "times"),
            words::millis(lasted)
        );
        write!(out, "<path class={} d=\"{path}\"><title>{}</title></path>", class(state), Escaped(&said))?;
    }
    out.push_str("</svg>");
    Ok(())
}

fn said(axis: TimeAxis, fault: &FaultSpan) -> String {
    let times =
        if fault.times > 1 { format!(", {} times", words::count(fault.times)) } else { String::new() };
    format!("{} {}{times}", axis.span(fault.from_ms, fault.until_ms), plain(&fault.text, 60))
}

fn is_moment(axis: TimeAxis, fault: &FaultSpan) -> bool {
    axis.at(fault.until_ms) - axis.at(fault.from_ms) < MOMENT
}

fn fault_bar(out: &mut String, axis: TimeAxis, fault: &FaultSpan, y: u32) -> fmt::Result {
    if is_moment(axis, fault) {
        moment(out, axis, fault, y + 4)
    } else {
        bar(out, "s-fault", axis, (fault.from_ms, fault.until_ms), y + 5, STRIP - 10, &said(axis, fault))
    }
}

fn moment(out: &mut String, axis: TimeAxis, fault: &FaultSpan, y: u32) -> fmt::Result {
    write!(
        out,
        "<svg x={:.2}% y={y} overflow=visible><path class=s-fault d=\"M-4.5 0h9l-4.5 7z\"><title>{}</title></path></svg>",
        axis.at(fault.from_ms) * 100.0,
        Escaped(&said(axis, fault))
    )
}

/// The faults over the lanes of the devices that they struck; neighbours share a frame. Whether all were drawn.
fn over(
    out: &mut String,
    night: &Night,
    axis: TimeAxis,
    roster: &Roster<'_>,
    most: usize,
) -> Result<bool, fmt::Error> {
    let mut left = most;
    for fault in &night.faults {
        for (first, last) in stretches(fault, roster) {
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            if is_moment(axis, fault) {
                moment(out, axis, fault, first.saturating_sub(2))?;
            } else {
                let (y, height) = (first.saturating_sub(2), last - first + roster.bar() + 4);
                let class = if fault.devices.is_empty() { "band" } else { "struck" };
                bar(out, class, axis, (fault.from_ms, fault.until_ms), y, height, &said(axis, fault))?;
            }
        }
    }
    Ok(true)
}

/// The first and the last row of each stretch of neighbours that a fault struck, by where they begin.
fn stretches(fault: &FaultSpan, roster: &Roster<'_>) -> Vec<(u32, u32)> {
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for row in roster.rows() {
        if !fault.devices.is_empty() && !fault.devices.contains(&row.place) {
            continue;
        }
        match stretches.last_mut() {
            Some((_, last)) if fault.devices.is_empty() || *last + roster.pitch == row.y => *last = row.y,
            _ => stretches.push((row.y, row.y)),
        }
    }
    stretches
}
