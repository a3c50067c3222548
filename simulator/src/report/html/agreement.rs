//! How long devices took to agree after the links between them changed.

use std::fmt::{self, Write};

use crate::night::Night;

use super::super::digest::percentile;
use super::super::scale::{DurationAxis, Tick};
use super::super::words;
use super::figure::{Figure, nothing};
use super::shoppers::levels;

/// The height of the chart.
const HEIGHT: u32 = 190;
/// Points of the curve at most.
const MOST: usize = 400;

pub(super) fn draw(out: &mut String, night: &Night) -> fmt::Result {
    let title = "Time to agree";
    let mut sorted = night.convergence_ms.clone();
    sorted.sort_unstable();
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
        return nothing(out, title, "The links never changed.");
    };
    let us = |ms: u64| ms.saturating_mul(1_000);
    let axis = DurationAxis::new(us(*least), us(*most));
    let [p50, p90, p99] = [500, 900, 990].map(|per_mille| percentile(&sorted, per_mille));
    let up: Vec<Tick> = (0..=4_u32)
        .map(|quarter| Tick {
            at: f64::from(quarter) / 4.0,
            label: format!("{} %", quarter * 25),
            minor: false,
        })
        .collect();
    let figure = Figure {
        title,
        note: &format!(
            "How soon all devices in reach of each other agreed after each of {} of the links: half within {}, 90 % within {}, \
             99 % within {}, the longest {}.",
            words::counted(sorted.len() as u64, "change", "changes"),
            words::millis(p50),
            words::millis(p90),
            words::millis(p99),
            words::millis(*most)
        ),
        height: HEIGHT,
        across: &axis.ticks(),
        up: &up,
    };
    figure.draw(out, &[], |out| {
        share(out, &sorted, axis)?;
        levels(out, &[("p50", axis.at(us(p50))), ("p90", axis.at(us(p90))), ("p99", axis.at(us(p99)))])
    })
}

/// The share that agreed within a time, as a curve.
fn share(out: &mut String, sorted: &[u64], axis: DurationAxis) -> fmt::Result {
    let steps = sorted.len().min(MOST);
    let height = f64::from(HEIGHT);
    let mut path = format!("M0 {HEIGHT}");
    for step in 1..=steps {
        // Both ends are exact; in between, every so many values stand for their neighbours.
        let rank = sorted.len() * step / steps;
        let Some(ms) = sorted.get(rank - 1) else { continue };
        let y = height * (1.0 - rank as f64 / sorted.len() as f64);
        write!(path, "H{:.1}V{y:.1}", axis.at(ms.saturating_mul(1_000)) * 1_000.0)?;
    }
    write!(
        out,
        "<svg viewBox=\"0 0 1000 {HEIGHT}\" preserveAspectRatio=none width=100% height={HEIGHT} overflow=visible>\
         <path class=\"curve area\" d=\"{path}H1000V{HEIGHT}Z\"/><path class=curve d=\"{path}H1000\"/></svg>"
    )
}
