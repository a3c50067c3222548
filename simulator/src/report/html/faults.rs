//! The faults that really happened, by kind.

use std::fmt::{self, Write};

use crate::night::Night;

use super::super::digest;
use super::super::scale::TimeAxis;
use super::super::words::{self, Escaped, plain};
use super::{more, section};

/// So many kinds are listed.
const MOST: usize = 40;

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    section(
        out,
        "Faults",
        "What really went wrong. A fault that was planned but struck nothing is not here.",
    )?;
    let kinds = digest::by_kind(night);
    if kinds.is_empty() {
        out.push_str("<p class=\"card nothing\">None: it was a night without faults.</p>\n");
        return Ok(());
    }
    out.push_str(
        "<div class=\"card wide scroll\"><table><caption>Faults that happened, by kind</caption><thead><tr><th>Kind</th><th class=n>Faults</th>\
         <th class=n>Effects</th><th class=n>Lasted, together</th><th>First</th><th>Such as</th></tr></thead><tbody>",
    );
    for kind in kinds.iter().take(MOST) {
        write!(
            out,
            "<tr><th scope=row>{}</th><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&words::spaced(kind.kind)),
            words::count(kind.faults),
            words::count(kind.times),
            if kind.lasted_ms == 0 { words::NONE.to_owned() } else { words::millis(kind.lasted_ms) },
            axis.clock(kind.first.from_ms),
            Escaped(&plain(&kind.first.text, words::SENTENCE))
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, kinds.len().saturating_sub(MOST), "kinds")?;
    out.push_str("<p class=more>Effects: messages dropped, writes failed, cuts, and the like.</p></div>\n");
    Ok(())
}
