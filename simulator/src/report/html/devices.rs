//! Every device's night in numbers.

use std::fmt::{self, Write};

use crate::night::Night;

use super::super::scale::TimeAxis;
use super::super::words::{self, Escaped, plain};
use super::more;
use super::roster::trouble_ms;

/// So many devices are listed.
const MOST: usize = 300;

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    out.push_str("<h2>Devices</h2>");
    if night.devices.is_empty() {
        out.push_str("<p class=\"card nothing\">There were none.</p>\n");
        return Ok(());
    }
    // A long table is folded away; it can be opened without any script.
    let open = if night.devices.len() <= 24 { " open" } else { "" };
    write!(
        out,
        "<details{open}><summary>Each device in numbers</summary><div class=\"card wide scroll\"><table><caption>Devices</caption><thead><tr>\
         <th>Device</th><th>Venue</th><th>Roles</th><th class=n>Sold</th><th class=n>Refused</th><th class=n>Median sale</th>\
         <th class=n>Not plainly online</th><th class=n>Messages</th><th class=n>Sent</th></tr></thead><tbody>"
    )?;
    for device in night.devices.iter().take(MOST) {
        let median =
            if device.sold == 0 { words::NONE.to_owned() } else { words::micros(device.sale_p50_us) };
        let trouble = trouble_ms(device, axis);
        write!(
            out,
            "<tr><th scope=row>{}</th><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{median}</td>\
             <td class=n>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            Escaped(&plain(&device.name, words::NAME)),
            Escaped(&plain(&device.venue, words::NAME)),
            Escaped(&plain(&device.roles, words::NAME)),
            words::count(device.sold),
            words::count(device.refused),
            if trouble == 0 { words::NONE.to_owned() } else { words::millis(trouble) },
            words::count(device.sent.0),
            words::bytes(device.sent.1)
        )?;
    }
    out.push_str("</tbody></table>");
    more(out, night.devices.len().saturating_sub(MOST), "devices")?;
    out.push_str("</div></details>\n");
    Ok(())
}
