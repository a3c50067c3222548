//! Which devices are drawn, and in which rows: by venue, in the order of the night.

use crate::night::{DeviceNight, LaneState, Night};

use super::super::scale::TimeAxis;

/// So many devices have a row.
const MOST: usize = 320;
/// With more devices than that, rows have no room for a name each.
const NAMED: usize = 48;
/// The height of a venue's heading.
const HEADING: u32 = 26;

/// A device's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The device's place in the night.
    pub(super) place: usize,
    /// The device.
    pub(super) device: &'a DeviceNight,
    /// Where the row begins, pixels from the top.
    pub(super) y: u32,
}

/// A venue's rows.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The venue.
    pub(super) venue: &'a str,
    /// Where its heading begins.
    pub(super) y: u32,
    /// Its devices.
    pub(super) rows: Vec<Row<'a>>,
}

/// All rows.
#[derive(Debug)]
pub(super) struct Roster<'a> {
    /// By venue.
    pub(super) groups: Vec<Group<'a>>,
    /// From one row to the next, pixels.
    pub(super) pitch: u32,
    /// Whether each row has its name beside it.
    pub(super) named: bool,
    /// Where the last row ends.
    pub(super) end: u32,
    /// How many devices have no row.
    pub(super) left_out: usize,
}

impl<'a> Roster<'a> {
    /// The devices of `night` for which `drawn` holds, in rows from `top` on. If they are too many, those with the
    /// longest troubles are drawn.
    pub(super) fn new(
        night: &'a Night,
        axis: TimeAxis,
        top: u32,
        drawn: impl Fn(&DeviceNight) -> bool,
    ) -> Self {
        let mut devices: Vec<_> =
            night.devices.iter().enumerate().filter(|(_, device)| drawn(device)).collect();
        let left_out = devices.len().saturating_sub(MOST);
        if left_out > 0 {
            devices.sort_by_key(|(place, device)| (u64::MAX - trouble_ms(device, axis), *place));
            devices.truncate(MOST);
            devices.sort_by_key(|(place, _)| *place);
        }
        let named = devices.len() <= NAMED;
        let pitch = match devices.len() {
            0..=16 => 21,
            17..=NAMED => 16,
            _ => 7,
        };
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (place, device) in devices {
            let row = Row { place, device, y: 0 };
            match groups.iter_mut().find(|group| group.venue == device.venue) {
                Some(group) => group.rows.push(row),
                None => groups.push(Group { venue: &device.venue, y: 0, rows: vec![row] }),
            }
        }
        let mut y = top;
        for group in &mut groups {
            group.y = y;
            y += HEADING;
            for row in &mut group.rows {
                row.y = y;
                y += pitch;
            }
            y += 6;
        }
        Self { groups, pitch, named, end: y, left_out }
    }

    /// All rows, from the top.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row<'a>> {
        self.groups.iter().flat_map(|group| &group.rows)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.rows.len()).sum()
    }

    /// The height of what is drawn in a row.
    pub(super) fn bar(&self) -> u32 {
        if self.pitch > 10 { self.pitch - 7 } else { self.pitch - 2 }
    }
}

/// How long a device was anything but online, milliseconds.
pub(super) fn trouble_ms(device: &DeviceNight, axis: TimeAxis) -> u64 {
    device.lane.iter().filter(|span| span.state != LaneState::Online).fold(0, |sum: u64, span| {
        sum.saturating_add(span.until_ms.min(axis.end_ms()).saturating_sub(span.from_ms))
    })
}
