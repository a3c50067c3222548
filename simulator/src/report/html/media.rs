//! How much each medium carried, and what it dropped.

use std::fmt::{self, Write};

use crate::night::Night;

use super::super::words::{self, Escaped, count, plain};
use super::more;

/// So many media are listed.
const MOST: usize = 60;

pub(super) fn draw(out: &mut String, night: &Night) -> fmt::Result {
    out.push_str("<div class=\"card wide\"><table class=stack><caption>What each medium carried</caption>");
    let media = &night.numbers.media;
    if media.is_empty() {
        out.push_str("</table><p class=nothing>Nothing was sent.</p></div>\n");
        return Ok(());
    }
    out.push_str(
        "<thead><tr><th>Medium</th><th class=n>In use</th><th class=n>Busiest 10 s</th><th class=n>Messages</th><th class=n>Bytes</th>\
         <th class=n>Dropped</th><th class=n>Queue full</th><th class=n>Packets repeated</th></tr></thead><tbody>",
    );
    for medium in media.iter().take(MOST) {
        write!(
            out,
            "<tr><th scope=row>{}</th><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>\
             <td class=n>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            Escaped(&plain(&medium.name, words::NAME)),
            words::per_mille(medium.used_per_mille),
            words::per_mille(medium.busiest_per_mille),
            count(medium.messages),
            words::bytes(medium.bytes),
            count(medium.dropped),
            count(medium.queue_full),
            count(medium.repeated)
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, media.len().saturating_sub(MOST), "media")?;
    out.push_str("<p class=more>Dropped: lost on the way, or for want of room in the queue. What was not received is sent again by sync.</p></div>\n");
    Ok(())
}
