//! What was left to sell of each SKU, and what linked devices lacked of each other.

use std::fmt;

use crate::night::{Night, Series};

use super::super::scale::{CountAxis, TimeAxis};
use super::super::thin;
use super::super::words::{self, plain};
use super::figure::{Figure, curve, nothing};

/// So many SKUs have a curve of their own; the others are added up.
const MOST: usize = 5;
/// Columns to which a curve is thinned.
const COLUMNS: usize = 400;
/// Columns of the backlog, each at its peak.
const PEAKS: usize = 120;
/// The height of these charts.
const HEIGHT: u32 = 190;

pub(super) fn draw_left(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    let title = "Left to sell";
    let mut series: Vec<&Series> =
        night.stock_left.iter().filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return nothing(out, title, "There was no stock.");
    }
    let peak = |points: &[(u64, u64)]| points.iter().map(|(_, value)| *value).max().unwrap_or(0);
    series.sort_by_key(|series| (u64::MAX - peak(&series.points), &series.name));
    let mut curves: Vec<(String, Vec<(u64, u64)>)> = series
        .iter()
        .take(MOST)
        .map(|series| (plain(&series.name, words::NAME), thin::steps(&series.points, axis, COLUMNS)))
        .collect();
    if series.len() > MOST {
        let others = &series[MOST..];
        curves.push((format!("{} others together", others.len()), added_up(others, axis)));
    }
    let up = CountAxis::new(curves.iter().map(|(_, points)| peak(points)).max().unwrap_or(0));
    let legend: Vec<_> = curves
        .iter()
        .enumerate()
        .map(|(place, (name, points))| {
            let left = points.last().map_or(0, |(_, value)| *value);
            (format!("curve c{place}"), format!("{name}: {} left", words::count(left)))
        })
        .collect();
    let figure = Figure {
        title,
        note: "Free units of each SKU, all devices together.",
        height: HEIGHT,
        across: &axis.ticks(12),
        up: &up.ticks(),
    };
    figure.draw(out, &legend, |out| {
        for (place, (_, points)) in curves.iter().enumerate() {
            curve(out, &format!("curve c{place}"), points, axis, HEIGHT, false, |value| up.at(value))?;
        }
        Ok(())
    })
}

fn added_up(series: &[&Series], axis: TimeAxis) -> Vec<(u64, u64)> {
    let mut sums = vec![0_u64; COLUMNS];
    for series in series {
        for (sum, value) in sums.iter_mut().zip(thin::columns(&series.points, axis, COLUMNS)) {
            *sum = sum.saturating_add(value);
        }
    }
    sums.into_iter().enumerate().map(|(column, sum)| (axis.bin_start(column, COLUMNS), sum)).collect()
}

pub(super) fn draw_backlog(out: &mut String, night: &Night, axis: TimeAxis) -> fmt::Result {
    let title = "Backlog";
    let Some(most) = night.backlog.iter().map(|(_, entries)| *entries).max() else {
        return nothing(out, title, "It was not measured.");
    };
    let up = CountAxis::new(most);
    let last = night.backlog.last().map_or(0, |(_, entries)| *entries);
    let figure = Figure {
        title,
        note: &format!(
            "Entries that linked devices lacked of each other: {} at most, {} at the end.",
            words::count(most),
            words::count(last)
        ),
        height: HEIGHT,
        across: &axis.ticks(7),
        up: &up.ticks(),
    };
    figure.draw(out, &[], |out| {
        let points = thin::peaks(&night.backlog, axis, PEAKS);
        curve(out, "curve", &points, axis, HEIGHT, true, |value| up.at(value))
    })
}
