//! The page: one HTML file that needs nothing else. No script, nothing fetched (the page itself forbids it), every text
//! escaped, every list capped: whatever the night, it stays below [`MOST_BYTES`].

mod agreement;
mod devices;
mod faults;
mod figure;
mod findings;
mod holdings;
mod lanes;
mod media;
mod numbers;
mod roster;
mod shoppers;
mod stock;
mod verdict;

use std::fmt::{self, Write};

use crate::night::Night;

use super::scale::TimeAxis;
use super::words::{self, Escaped, plain};

/// No page is larger, bytes. Readers and mail gateways cope with that.
pub const MOST_BYTES: usize = 2_000_000;

/// The colours, which the console of the node has as well: one look for whoever sees both.
const COLOURS: &str = include_str!("../../../../node/src/console/frame/colours.css");

/// The style sheet that all pages share.
const STYLE: &str = include_str!("style.css");

/// What only some states are filled with, so that they differ without colour too.
const PATTERNS: &str = "\
<svg width=0 height=0 style=\"position:absolute\" aria-hidden=true><defs>\
<pattern id=battery width=4 height=4 patternUnits=userSpaceOnUse><rect width=4 height=4 style=\"fill:var(--battery)\"/>\
<path d=\"M0 3h4\" style=\"stroke:var(--paper);stroke-width:1.2\"/></pattern>\
<pattern id=cut width=5 height=5 patternUnits=userSpaceOnUse><rect width=5 height=5 style=\"fill:var(--cut)\"/>\
<path d=\"M-1 1l2-2M0 5l5-5M4 6l2-2\" style=\"stroke:var(--paper);stroke-width:1.1\"/></pattern>\
<pattern id=storing width=5 height=5 patternUnits=userSpaceOnUse><rect width=5 height=5 style=\"fill:var(--storing)\"/>\
<circle cx=2.5 cy=2.5 r=1.1 style=\"fill:var(--paper)\"/></pattern>\
<pattern id=restored width=4 height=4 patternUnits=userSpaceOnUse><rect width=4 height=4 style=\"fill:var(--restored)\"/>\
<path d=\"M3 0v4\" style=\"stroke:var(--paper);stroke-width:1.2\"/></pattern>\
<pattern id=refused width=5 height=5 patternUnits=userSpaceOnUse><rect width=5 height=5 style=\"fill:var(--refused)\"/>\
<path d=\"M-1 1l2-2M0 5l5-5M4 6l2-2\" style=\"stroke:var(--paper);stroke-width:.9\"/></pattern>\
<pattern id=silent width=4 height=4 patternUnits=userSpaceOnUse><rect width=4 height=4 style=\"fill:var(--silent)\"/>\
<path d=\"M0 3h4\" style=\"stroke:var(--paper);stroke-width:1.2\"/></pattern>\
</defs></svg>\n";

/// The page of a night. The same night gives the same page, byte for byte.
pub fn html(night: &Night) -> String {
    let mut page = String::new();
    // Writing to a string fails only if something that is written says so, and nothing here does.
    let drawn = draw(&mut page, night);
    debug_assert!(drawn.is_ok());
    page
}

fn draw(out: &mut String, night: &Night) -> fmt::Result {
    let axis = TimeAxis::new(night.starts_at_s, night.ended_ms.max(night.duration_ms));
    let title = plain(&night.title, words::SENTENCE);
    let scenario = plain(&night.scenario, words::NAME);
    head(out, &format!("{scenario}, seed {}", night.seed))?;
    writeln!(
        out,
        "<header><p class=kind>popmesh rehearsal</p><h1>{}</h1><p class=about>{} · seed {} · {} to {} · {} · {}</p></header>",
        Escaped(if title.is_empty() { &scenario } else { &title }),
        Escaped(&scenario),
        night.seed,
        &axis.clock(0)[..5],
        &axis.clock(night.duration_ms)[..5],
        words::counted(night.devices.len() as u64, "device", "devices"),
        Escaped(&format!("stock policy: {}", words::policy(night.policy))),
    )?;
    verdict::draw(out, night)?;
    numbers::draw(out, night)?;
    findings::draw(out, night, axis)?;
    verdict::checks(out, night)?;
    lanes::draw(out, night, axis)?;
    section(
        out,
        "Shoppers",
        "What became of those who came, how long they waited, and why some went away without.",
    )?;
    shoppers::draw(out, night, axis)?;
    section(out, "Stock", "Who held how much when, and how much was left to sell.")?;
    stock::draw_left(out, night, axis)?;
    holdings::draw(out, night, axis)?;
    section(
        out,
        "Agreement",
        "How fast devices that could reach each other came to agree, and what they still lacked.",
    )?;
    out.push_str("<div class=pair>");
    agreement::draw(out, night)?;
    stock::draw_backlog(out, night, axis)?;
    out.push_str("</div>");
    media::draw(out, night)?;
    faults::draw(out, night, axis)?;
    devices::draw(out, night, axis)?;
    out.push_str("<footer>");
    if !night.history.is_empty() {
        write!(
            out,
            "<p>History <code>{}</code>: a second run with the same seed gives the same history and this same page.</p>",
            Escaped(&plain(&night.history, 128))
        )?;
    }
    out.push_str(
        "<p>The JSON file beside this one has everything that is drawn here, in full.</p></footer>\n",
    );
    foot(out);
    Ok(())
}

/// Opens a page.
pub(super) fn head(out: &mut String, title: &str) -> fmt::Result {
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{}</title>\n<style>{COLOURS}{STYLE}</style></head><body>\n{PATTERNS}<main>",
        Escaped(title)
    )
}

/// Closes a page.
pub(super) fn foot(out: &mut String) {
    out.push_str("</main></body></html>\n");
}

/// A section's heading, and what it is about.
fn section(out: &mut String, title: &str, lead: &str) -> fmt::Result {
    writeln!(out, "<h2>{}</h2><p class=lead>{}</p>", Escaped(title), Escaped(lead))
}

/// Says how much was left out, if anything was.
fn more(out: &mut String, left: usize, what: &str) -> fmt::Result {
    if left > 0 {
        writeln!(
            out,
            "<p class=more>And {} more {what}; the JSON file has all.</p>",
            words::count(left as u64)
        )?;
    }
    Ok(())
}
