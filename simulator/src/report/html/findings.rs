//! What a person should look at, the worst first.

use std::fmt::{self, Write};

use crate::night::{Night, Severity};

use super::super::digest;
use super::super::scale::TimeAxis;
use super::super::words::{self, Escaped, plain};
use super::{more, section};

/// So many findings are listed.
const MOST: usize = 50;

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    section(out, "What to look at", "")?;
    if night.findings.is_empty() {
        out.push_str(
            "<p class=\"card nothing\">Nothing: no promise was in danger, and nothing stood out.</p>\n",
        );
        return Ok(());
    }
    out.push_str(
        "<div class=\"card wide\"><table class=stack><caption>Findings, alike ones grouped</caption><thead><tr><th>How bad</th><th>What</th>\
         <th class=n>How often</th><th>First</th><th>Where</th></tr></thead><tbody>",
    );
    for finding in digest::findings(night).into_iter().take(MOST) {
        let class = match finding.severity {
            Severity::Broken => "tag no",
            Severity::Warning => "tag un",
            Severity::Note => "tag",
        };
        let invariant = if finding.invariant.is_empty() {
            String::new()
        } else {
            format!("breaks {}", plain(&finding.invariant, words::NAME))
        };
        write!(
            out,
            "<tr><td><span class=\"{class}\">{}</span></td><th scope=row>{}<small>{}</small></th>\
             <td class=n>{} ×</td><td>{}</td><td>{}</td></tr>",
            words::severity(finding.severity),
            Escaped(&plain(&finding.text, words::SENTENCE)),
            Escaped(&invariant),
            words::count(finding.times),
            axis.clock(finding.first_ms),
            Escaped(&digest::listed(&finding.devices))
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, night.findings.len().saturating_sub(MOST), "findings")?;
    out.push_str("</div>\n");
    Ok(())
}
