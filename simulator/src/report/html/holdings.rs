//! What each device held over time: a small chart for each of a few devices, a strip of shades for each of many.

use std::fmt::{self, Write};

use crate::night::{DeviceNight, Night};

use super::super::scale::TimeAxis;
use super::super::thin;
use super::super::words::{self, Escaped, plain};
use super::figure::{curve, key, mark, nothing};
use super::more;
use super::roster::{Roster, Row};

/// With more devices than that, strips take the place of charts.
const CHARTS: usize = 18;
/// The height of a small chart.
const HEIGHT: u32 = 54;
/// Columns to which its curve is thinned.
const COLUMNS: usize = 150;
/// Columns of a strip; fewer with more devices than [`CROWD`].
const CELLS: usize = 110;
const CROWD: usize = 100;
const CROWD_CELLS: usize = 64;
/// Shades of a strip; nothing held has none.
const SHADES: u64 = 7;
/// Where the first strip begins.
const TOP: u32 = 22;

fn most(device: &DeviceNight) -> u64 {
    device.holding.iter().map(|(_, units)| *units).max().unwrap_or(0)
}

pub(super) fn draw(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    let title = "Held by each device";
    let greatest = night.devices.iter().map(most).max().unwrap_or(0);
    if greatest == 0 {
        return nothing(out, title, "No device held anything.");
    }
    let roster = Roster::new(night, axis, TOP, |device| most(device) > 0);
    let empty = night.devices.len() - roster.len() - roster.left_out;
    write!(out, "<figure><figcaption><h3>{title}</h3>")?;
    if roster.len() <= CHARTS {
        write!(
            out,
            "<p>Free units from {} to {}. Each chart is as high as the most that its device ever held.</p></figcaption>",
            &axis.clock(0)[..5],
            &axis.clock(axis.end_ms())[..5]
        )?;
        charts(out, axis, &roster)?;
    } else {
        write!(
            out,
            "<p>Free units over the night, a strip for each device: the fuller its colour, the more. Point at a strip for its numbers.</p></figcaption>"
        )?;
        strips(out, axis, &roster, greatest)?;
    }
    more(out, roster.left_out, "devices, which had less trouble")?;
    if empty > 0 {
        let others = words::counted(empty as u64, "device", "devices");
        write!(out, "<p class=more>{others} never held anything and cannot be seen here.</p>")?;
    }
    out.push_str("</figure>\n");
    Ok(())
}

/// What is said about one device's holding.
fn said(device: &DeviceNight) -> String {
    let end = device.holding.last().map_or(0, |(_, units)| *units);
    format!("most {}, at the end {}", words::count(most(device)), words::count(end))
}

fn charts(out: &mut String, axis: TimeAxis, roster: &Roster<'_>) -> fmt::Result {
    out.push_str("<div class=multiples>");
    for Row { device, .. } in roster.rows() {
        let (said, most) = (said(device), most(device).max(1));
        write!(
            out,
            "<div><b>{} <i>{}</i></b><span>{said}</span><svg width=100% height={HEIGHT} role=img aria-label=\"{}\">",
            Escaped(&plain(&device.name, words::NAME)),
            Escaped(&plain(&device.venue, words::NAME)),
            Escaped(&format!(
                "{} in {}: {said}",
                plain(&device.name, words::NAME),
                plain(&device.venue, words::NAME)
            ))
        )?;
        let points = thin::steps(&device.holding, axis, COLUMNS);
        curve(out, "curve", &points, axis, HEIGHT, true, |units| units as f64 / most as f64 * 0.94)?;
        out.push_str("</svg></div>");
    }
    out.push_str("</div>");
    Ok(())
}

/// Which shade stands for so many units. Small holdings differ as much as great ones: a shade ends at a square.
fn shade(units: u64, greatest: u64) -> u64 {
    (0..SHADES).find(|shade| units <= shade_end(*shade, greatest)).unwrap_or(SHADES)
}

/// The most units that have a shade.
fn shade_end(shade: u64, greatest: u64) -> u64 {
    let end = u128::from(shade * shade) * u128::from(greatest) / u128::from(SHADES * SHADES);
    u64::try_from(end).unwrap_or(u64::MAX)
}

fn strips(out: &mut String, axis: TimeAxis, roster: &Roster<'_>, greatest: u64) -> fmt::Result {
    let mut legend = vec![("empty".to_owned(), "none".to_owned())];
    let mut from = 1;
    for shade in 1..=SHADES {
        let end = shade_end(shade, greatest);
        if end >= from {
            let text = if end == from {
                words::count(end)
            } else {
                format!("{}–{}", words::count(from), words::count(end))
            };
            legend.push((format!("heat h{shade}"), text));
            from = end + 1;
        }
    }
    key(out, &legend)?;
    let cells = if roster.len() > CROWD { CROWD_CELLS } else { CELLS };
    let height = roster.end + 4;
    write!(
        out,
        "<div class=\"plot lanes\"><svg width=100% height={height} overflow=visible aria-hidden=true>"
    )?;
    for group in &roster.groups {
        let count = words::count(group.rows.len() as u64);
        write!(
            out,
            "<text class=head x=0 y={}>{}</text>",
            group.y + 18,
            Escaped(&format!("{} ({count})", plain(group.venue, 16)))
        )?;
        for row in group.rows.iter().filter(|_| roster.named) {
            let y = row.y + roster.bar() - 1;
            write!(out, "<text class=name x=0 y={y}>{}</text>", Escaped(&plain(&row.device.name, 18)))?;
        }
    }
    write!(
        out,
        "</svg><svg width=100% height={height} role=img aria-label=\"Units held by each device over time\">"
    )?;
    for tick in axis.ticks(12) {
        mark(out, &tick, 12.0)?;
    }
    write!(
        out,
        "<svg viewBox=\"0 0 {cells} {height}\" preserveAspectRatio=none width=100% height={height}>"
    )?;
    let mut shades = vec![String::new(); SHADES as usize + 1];
    for row in roster.rows() {
        strip(&mut shades, axis, row, (cells, roster.bar()), greatest)?;
    }
    for (shade, path) in shades.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let class = if shade == 0 { "empty".to_owned() } else { format!("heat h{shade}") };
        write!(out, "<path class=\"{class}\" d=\"{path}\"/>")?;
    }
    out.push_str("</svg>");
    for Row { device, y, .. } in roster.rows() {
        write!(
            out,
            "<rect class=hit y={y} width=100% height={}><title>{}</title></rect>",
            roster.bar(),
            Escaped(&format!("{}: {}", plain(&device.name, words::NAME), said(device)))
        )?;
    }
    out.push_str("</svg></div>");
    Ok(())
}

/// Adds a device's strip to the paths of the shades, neighbours of one shade as one piece.
fn strip(
    shades: &mut [String],
    axis: TimeAxis,
    row: &Row<'_>,
    (cells, height): (usize, u32),
    greatest: u64,
) -> fmt::Result {
    let cells: Vec<u64> = thin::columns(&row.device.holding, axis, cells)
        .into_iter()
        .map(|units| shade(units, greatest))
        .collect();
    let mut column = 0;
    for piece in cells.chunk_by(|a, b| a == b) {
        if let Some(path) = shades.get_mut(piece[0] as usize) {
            write!(path, "M{column} {}h{}v{height}h-{}z", row.y, piece.len(), piece.len())?;
        }
        column += piece.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holding_has_a_shade_and_the_legend_says_which() {
        for greatest in [1, 5, 49, 50, 10_000] {
            assert_eq!(shade(0, greatest), 0);
            assert_eq!(shade(greatest, greatest), SHADES);
            for units in 1..greatest.min(2_000) {
                let shade = shade(units, greatest);
                assert!(units <= shade_end(shade, greatest), "{units} of {greatest}");
                assert!(units > shade_end(shade - 1, greatest), "{units} of {greatest}");
            }
        }
    }
}
