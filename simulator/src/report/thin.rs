//! Less of much: curves and lanes with more in them than a page can show are thinned, and never hide their extremes.

use crate::night::{LaneState, Span};

use super::scale::TimeAxis;

/// A curve in steps with at most three points for each of `columns` columns: its least, its greatest and its last.
pub(super) fn steps(points: &[(u64, u64)], axis: TimeAxis, columns: usize) -> Vec<(u64, u64)> {
    if points.len() <= columns {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(columns * 3);
    for column in points.chunk_by(|(a, _), (b, _)| axis.bin(*a, columns) == axis.bin(*b, columns)) {
        let least = (0..column.len()).min_by_key(|place| column[*place].1).unwrap_or(0);
        let greatest = (0..column.len()).max_by_key(|place| column[*place].1).unwrap_or(0);
        let mut places = [least, greatest, column.len() - 1];
        places.sort_unstable();
        let mut before = None;
        for place in places {
            if before != Some(place) {
                kept.push(column[place]);
            }
            before = Some(place);
        }
    }
    kept.truncate(columns * 3);
    kept
}

/// A curve in steps that in each of `columns` columns is at its greatest: for what is measured again and again, where
/// only peaks matter.
pub(super) fn peaks(points: &[(u64, u64)], axis: TimeAxis, columns: usize) -> Vec<(u64, u64)> {
    points
        .chunk_by(|(a, _), (b, _)| axis.bin(*a, columns) == axis.bin(*b, columns))
        .take(columns)
        .map(|column| {
            let greatest = column.iter().map(|(_, value)| *value).max().unwrap_or(0);
            (column[0].0, greatest)
        })
        .collect()
}

/// What a curve in steps is at the end of each of `columns` columns; 0 before it begins.
pub(super) fn columns(points: &[(u64, u64)], axis: TimeAxis, columns: usize) -> Vec<u64> {
    let mut values = vec![None; columns];
    for (ms, value) in points {
        values[axis.bin(*ms, columns)] = Some(*value);
    }
    let mut last = 0;
    values
        .into_iter()
        .map(|value| {
            last = value.unwrap_or(last);
            last
        })
        .collect()
}

/// How much a state asks for attention: where several meet in one column, the greatest is shown.
pub(super) fn weight(state: LaneState) -> u8 {
    match state {
        LaneState::Online => 0,
        LaneState::OnBattery => 1,
        LaneState::CutOff => 2,
        LaneState::Restored => 3,
        LaneState::NotStoring => 4,
        LaneState::Off => 5,
        LaneState::Dead => 6,
    }
}

/// A lane with at most `most` spans: in each of so many columns the state that asks most for attention.
pub(super) fn lane(spans: &[Span], axis: TimeAxis, most: usize) -> Vec<Span> {
    if spans.len() <= most {
        return spans.to_vec();
    }
    let mut states: Vec<Option<LaneState>> = vec![None; most.max(1)];
    let columns = states.len();
    for span in spans.iter().filter(|span| span.from_ms <= axis.end_ms()) {
        let last = axis.bin(span.until_ms.saturating_sub(1).max(span.from_ms), columns);
        for state in &mut states[axis.bin(span.from_ms, columns)..=last] {
            if state.is_none_or(|known| weight(known) < weight(span.state)) {
                *state = Some(span.state);
            }
        }
    }
    let mut kept: Vec<Span> = Vec::new();
    for (column, state) in states.into_iter().enumerate() {
        let Some(state) = state else { continue };
        let (from_ms, until_ms) = (axis.bin_start(column, columns), axis.bin_start(column + 1, columns));
        match kept.last_mut() {
            Some(last) if last.state == state && last.until_ms == from_ms => last.until_ms = until_ms,
            _ => kept.push(Span { from_ms, until_ms, state }),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_thinned_curve_keeps_its_extremes_and_its_end() {
        let axis = TimeAxis::new(0, HOUR);
        let mut points: Vec<_> = (0..HOUR).step_by(100).map(|ms| (ms, 50 + ms % 7)).collect();
        points[20_000].1 = 999;
        points[31_000].1 = 1;
        let kept = steps(&points, axis, 100);
        assert!(kept.len() <= 300);
        assert!(kept.iter().any(|(_, value)| *value == 999) && kept.iter().any(|(_, value)| *value == 1));
        assert_eq!(kept.last(), points.last());
        assert!(kept.is_sorted_by_key(|(ms, _)| *ms));
        assert_eq!(steps(&points[..100], axis, 100), points[..100]);
    }

    #[test]
    fn peaks_stay_where_they_were() {
        let axis = TimeAxis::new(0, 100);
        assert_eq!(peaks(&[(10, 5), (12, 9), (13, 1), (95, 2)], axis, 10), [(10, 9), (95, 2)]);
    }

    #[test]
    fn a_column_shows_what_the_curve_was_last() {
        let axis = TimeAxis::new(0, 100);
        assert_eq!(columns(&[(10, 5), (30, 7), (31, 8), (90, 0)], axis, 10), [0, 5, 5, 8, 8, 8, 8, 8, 8, 0]);
        assert_eq!(columns(&[], axis, 3), [0, 0, 0]);
    }

    #[test]
    fn a_thinned_lane_hides_no_trouble() {
        let axis = TimeAxis::new(0, HOUR);
        let spans: Vec<_> = (0..3_600)
            .map(|second| Span {
                from_ms: second * 1_000,
                until_ms: (second + 1) * 1_000,
                state: if second == 1_800 { LaneState::Off } else { LaneState::Online },
            })
            .collect();
        let kept = lane(&spans, axis, 20);
        assert_eq!(
            kept.iter().map(|span| span.state).collect::<Vec<_>>(),
            [LaneState::Online, LaneState::Off, LaneState::Online]
        );
        assert_eq!((kept[0].from_ms, kept[2].until_ms), (0, HOUR));
    }
}
