//! The verdict, what it rests on, and how to see the same night again.

use std::fmt::{self, Write};

use crate::night::{Check, Night};

use super::super::digest::{Tone, headline};
use super::super::words::{self, Escaped, plain};
use super::{more, section};

/// So many promises and so many thresholds are listed.
const MOST: usize = 40;
/// So many that failed stand in the verdict.
const MOST_FAILED: usize = 5;

pub(super) fn draw(out: &mut String, night: &Night) -> fmt::Result {
    let (tone, title, sentence) = headline(night);
    let (class, sign) = match tone {
        Tone::Passed => ("passed", "✓"),
        Tone::Missed => ("missed", "!"),
        Tone::Failed => ("failed", "✗"),
    };
    write!(
        out,
        "<div class=\"verdict {class}\" role=status><span class=sign aria-hidden=true>{sign}</span>\
         <div><strong>{title}</strong><p>{}</p>",
        Escaped(&sentence)
    )?;
    failed(out, night)?;
    out.push_str("</div></div>\n");
    Ok(())
}

/// What failed, in the verdict itself.
fn failed(out: &mut String, night: &Night) -> fmt::Result {
    let failed: Vec<_> = night.verdict.checks.iter().filter(|check| !check.passed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    out.push_str("<ul>");
    for check in failed.iter().take(MOST_FAILED) {
        let (name, measured) = (plain(&check.name, 80), plain(&check.measured, 80));
        let wanted = if check.wanted.is_empty() {
            String::new()
        } else {
            format!(", wanted {}", plain(&check.wanted, 80))
        };
        write!(out, "<li>{}</li>", Escaped(&format!("{name}: {measured}{wanted}")))?;
    }
    if failed.len() > MOST_FAILED {
        write!(out, "<li>and {} more, listed below</li>", failed.len() - MOST_FAILED)?;
    }
    out.push_str("</ul>");
    Ok(())
}

/// All promises and thresholds, and how to see the same night again.
pub(super) fn checks(out: &mut String, night: &Night) -> fmt::Result {
    section(
        out,
        "Promises and thresholds",
        "Promises hold in every night. Thresholds are what this scenario sets out to reach.",
    )?;
    let (thresholds, promises): (Vec<_>, Vec<_>) =
        night.verdict.checks.iter().partition(|check| !check.wanted.is_empty());
    out.push_str("<div class=checks>");
    promised(out, &promises)?;
    wanted(out, &thresholds)?;
    out.push_str("</div>\n");
    if !night.replay.is_empty() {
        writeln!(
            out,
            "<div class=\"card replay\"><h3>Run exactly this night again</h3><code>{}</code></div>",
            Escaped(&plain(&night.replay, 400))
        )?;
    }
    Ok(())
}

fn promised(out: &mut String, checks: &[&Check]) -> fmt::Result {
    out.push_str("<div class=card><table><caption>Promises</caption>");
    if checks.is_empty() {
        out.push_str("</table><p class=nothing>None was checked.</p></div>");
        return Ok(());
    }
    out.push_str("<thead><tr><th></th><th>Promise</th><th>Measured</th></tr></thead><tbody>");
    for check in checks.iter().take(MOST) {
        let said = words::invariant(&check.name).and_then(words::promise).unwrap_or_default();
        write!(
            out,
            "<tr>{}<th scope=row>{}<small>{}</small></th><td>{}</td></tr>",
            sign(check.passed, "kept", "broken", "no"),
            Escaped(&plain(&check.name, 80)),
            Escaped(said),
            Escaped(&plain(&check.measured, 80)),
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, checks.len().saturating_sub(MOST), "promises")?;
    out.push_str("</div>\n");
    Ok(())
}

fn wanted(out: &mut String, checks: &[&Check]) -> fmt::Result {
    out.push_str("<div class=card><table><caption>Thresholds</caption>");
    if checks.is_empty() {
        out.push_str("</table><p class=nothing>The scenario sets none.</p></div>");
        return Ok(());
    }
    out.push_str(
        "<thead><tr><th></th><th>Threshold</th><th>Measured</th><th>Wanted</th></tr></thead><tbody>",
    );
    for check in checks.iter().take(MOST) {
        write!(
            out,
            "<tr>{}<th scope=row>{}</th><td>{}</td><td>{}</td></tr>",
            sign(check.passed, "reached", "missed", "un"),
            Escaped(&plain(&check.name, 80)),
            Escaped(&plain(&check.measured, 80)),
            Escaped(&plain(&check.wanted, 80)),
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, checks.len().saturating_sub(MOST), "thresholds")?;
    out.push_str("</div>\n");
    Ok(())
}

fn sign(passed: bool, yes: &str, no: &str, class: &str) -> String {
    if passed {
        format!("<td class=\"mark ok\"><span role=img aria-label={yes}>✓</span></td>")
    } else {
        format!("<td class=\"mark {class}\"><span role=img aria-label={no}>✗</span></td>")
    }
}
