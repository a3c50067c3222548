//! The frame that all charts share: a caption, axes whose labels keep their size however narrow the page, and a field
//! to draw in.

use std::fmt::{self, Write};

use super::super::scale::{Tick, TimeAxis};
use super::super::words::Escaped;

/// Room above the field, for the topmost label.
const ABOVE: u32 = 8;
/// Room below it, for the labels of the axis.
const BELOW: u32 = 22;

/// A chart. Across, the field is drawn in per cent; upwards in pixels, from 0 at the top to `height`.
#[derive(Debug)]
pub(super) struct Figure<'a> {
    /// What it shows.
    pub(super) title: &'a str,
    /// How to read it; empty if that is plain.
    pub(super) note: &'a str,
    /// Pixels of the field.
    pub(super) height: u32,
    /// Marks across.
    pub(super) across: &'a [Tick],
    /// Marks upwards.
    pub(super) up: &'a [Tick],
}

impl Figure<'_> {
    /// Writes the frame, its legend (class and text), and what `inside` draws in the field.
    pub(super) fn draw(
        &self,
        out: &mut String,
        legend: &[(String, String)],
        inside: impl FnOnce(&mut String) -> fmt::Result,
    ) -> fmt::Result {
        let height = f64::from(self.height);
        write!(out, "<figure><figcaption><h3>{}</h3>", Escaped(self.title))?;
        if !self.note.is_empty() {
            write!(out, "<p>{}</p>", Escaped(self.note))?;
        }
        out.push_str("</figcaption>");
        key(out, legend)?;
        let whole = self.height + ABOVE + BELOW;
        write!(out, "<div class=plot><svg class=up width=46 height={whole} aria-hidden=true>")?;
        for tick in self.up {
            let y = f64::from(ABOVE) + height * (1.0 - tick.at) + 4.0;
            write!(out, "<text x=40 y={y:.1} text-anchor=end>{}</text>", Escaped(&tick.label))?;
        }
        write!(
            out,
            "</svg><svg class=field width=100% height={whole} role=img aria-label=\"{}\">\
             <svg y={ABOVE} width=100% height={height} overflow=visible>",
            Escaped(self.title)
        )?;
        for tick in self.up {
            let y = height * (1.0 - tick.at);
            write!(out, "<line class=grid x1=0 x2=100% y1={y:.1} y2={y:.1} />")?;
        }
        inside(out)?;
        out.push_str("</svg>");
        for tick in self.across {
            mark(out, tick, height + f64::from(ABOVE) + 17.0)?;
        }
        out.push_str("</svg></div></figure>\n");
        Ok(())
    }
}

/// A chart for which there is nothing to draw.
pub(super) fn nothing(out: &mut String, title: &str, why: &str) -> fmt::Result {
    writeln!(
        out,
        "<figure><figcaption><h3>{}</h3></figcaption><p class=nothing>{}</p></figure>",
        Escaped(title),
        Escaped(why)
    )
}

/// A label under the field, kept inside it at both ends.
pub(super) fn mark(out: &mut String, tick: &Tick, y: f64) -> fmt::Result {
    let anchor = if tick.at < 0.04 {
        "start"
    } else if tick.at > 0.96 {
        "end"
    } else {
        "middle"
    };
    let minor = if tick.minor { " class=minor" } else { "" };
    write!(
        out,
        "<text{minor} x={:.2}% y={y:.1} text-anchor={anchor}>{}</text>",
        tick.at * 100.0,
        Escaped(&tick.label)
    )
}

/// A legend: a swatch of each class, with its text.
pub(super) fn key(out: &mut String, entries: &[(String, String)]) -> fmt::Result {
    if entries.is_empty() {
        return Ok(());
    }
    out.push_str("<ul class=key>");
    for (class, text) in entries {
        write!(out, "<li><svg width=24 height=12 aria-hidden=true>")?;
        if class.starts_with("curve") {
            write!(out, "<path class=\"{class}\" d=\"M0 6h24\"/>")?;
        } else {
            write!(out, "<rect class=\"{class}\" x=1 y=1 width=22 height=10 />")?;
        }
        write!(out, "</svg>{}</li>", Escaped(text))?;
    }
    out.push_str("</ul>");
    Ok(())
}

/// A curve in steps through `points`, which `up` places from 0 to 1. It is stretched to the field's width; `area` fills
/// what is below it.
pub(super) fn curve(
    out: &mut String,
    class: &str,
    points: &[(u64, u64)],
    axis: TimeAxis,
    height: u32,
    area: bool,
    up: impl Fn(u64) -> f64,
) -> fmt::Result {
    let Some((first, rest)) = points.split_first() else { return Ok(()) };
    let x = |ms: u64| axis.at(ms) * 1_000.0;
    let y = |value: u64| f64::from(height) * (1.0 - up(value));
    let mut path = format!("M{:.1} {:.1}", x(first.0), y(first.1));
    for (ms, value) in rest {
        write!(path, "H{:.1}V{:.1}", x(*ms), y(*value))?;
    }
    write!(path, "H1000")?;
    write!(
        out,
        "<svg viewBox=\"0 0 1000 {height}\" preserveAspectRatio=none width=100% height={height} overflow=visible>"
    )?;
    if area {
        write!(out, "<path class=\"{class} area\" d=\"{path}V{height}H{:.1}Z\"/>", x(first.0))?;
    }
    write!(out, "<path class=\"{class}\" d=\"{path}\"/></svg>")
}
