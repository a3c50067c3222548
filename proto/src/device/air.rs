//! The air: how often what repeats may be told, by what a venue's medium carries.
//!
//! All devices of a venue share one medium, its Wi-Fi. What one device tells everybody goes over it once for about every
//! neighbour of every device, so that a *round*, in which each of `n` devices tells everybody something once, costs some
//! `n * n * copies` messages there. While nothing happens, all that repeats may take a twentieth of the medium, and a
//! kilobyte a second for each device. Example: 41 devices at a Wi-Fi of 4 Mbit/s have 25 kB a second, a quarter of which
//! is for presences; a round takes 2.7 MB, and so seven minutes.

/// What a venue's medium carries if nobody says otherwise, kbit/s: Wi-Fi with hundreds of phones in the room.
pub(super) const CARRIES_KBIT_PER_S: u64 = 4_000;

/// The part of the medium that all which repeats may take while nothing happens, thousandths.
const IDLE_PER_MILLE: u64 = 50;
/// And so many bytes a second for each device.
const IDLE_EACH: u64 = 1_000;
/// The part of that for presences, hundredths. The rest is for digests, for the looking after links, for finding each other.
const PRESENCES_PER_CENT: u64 = 25;
/// The part of the medium that presences may take while much changes, thousandths.
const CHANGES_PER_MILLE: u64 = 100;

/// A presence, with what carries it, as it goes to one neighbour; bytes.
const PRESENCE_BYTES: u64 = 400;
/// How often it goes to each device, from one neighbour or another.
const COPIES_MOST: u64 = 4;

/// The shortest time between two presences of a device.
pub(super) const LEAST_MS: u64 = 1_000;
/// The shortest and the longest time after which a device tells again what has not changed.
const REFRESH_MS: (u64, u64) = (10_000, 3_600_000);
/// The longest time that what changes all the time waits.
const CHANGE_MOST_MS: u64 = 600_000;

/// How long two linked devices that agreed let each other be at the most, while nothing is new; for each device in reach,
/// and at the least.
const QUIET_DIGEST_MS: (u64, u64) = (600, 60_000);
/// The same for telling one neighbour of whom this device has heard.
const HEARD_MS: (u64, u64) = (1_000, 30_000);

/// What shares the air.
#[derive(Debug, Clone, Copy)]
pub(super) struct Air {
    /// What a venue's medium carries, bytes a second.
    carries: u64,
    /// Devices in reach, this one included.
    devices: u64,
    /// Those of them in the venue that has most.
    together: u64,
}

impl Air {
    /// `carries_kbit_per_s`: what a venue's medium carries.
    pub(super) fn new(carries_kbit_per_s: u64, devices: usize, together: usize) -> Self {
        Self {
            carries: carries_kbit_per_s.saturating_mul(125).max(1),
            devices: (devices as u64).max(1),
            together: (together as u64).clamp(1, (devices as u64).max(1)),
        }
    }

    /// What it costs a medium if every device tells everybody something once, bytes.
    fn round_bytes(self) -> u64 {
        let copies = (self.devices - 1).min(COPIES_MOST);
        self.devices.saturating_mul(self.together * copies * PRESENCE_BYTES)
    }

    /// How often a device tells again what has not changed, milliseconds.
    pub(super) fn refresh_every_ms(self) -> u64 {
        let idle = (self.carries * IDLE_PER_MILLE / 1_000).min(self.together * IDLE_EACH);
        let share = (idle * PRESENCES_PER_CENT / 100).max(1);
        (self.round_bytes().saturating_mul(1_000) / share).clamp(REFRESH_MS.0, REFRESH_MS.1)
    }

    /// How often a device tells what has changed, while that goes on, milliseconds.
    pub(super) fn change_every_ms(self) -> u64 {
        let share = (self.carries * CHANGES_PER_MILLE / 1_000).max(1);
        (self.round_bytes().saturating_mul(1_000) / share).clamp(LEAST_MS, CHANGE_MOST_MS)
    }

    /// How long two linked devices that agreed let each other be at the most, milliseconds.
    pub(super) fn quiet_digest_ms(self) -> u64 {
        (QUIET_DIGEST_MS.0 * self.devices).max(QUIET_DIGEST_MS.1)
    }

    /// How often a device tells one neighbour of whom it has heard, milliseconds.
    pub(super) fn heard_every_ms(self) -> u64 {
        (HEARD_MS.0 * self.devices).max(HEARD_MS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presences_take_their_part_whatever_the_number_of_devices() {
        for kbit in [500, 4_000, 50_000] {
            for devices in [1, 2, 5, 11, 21, 41, 100, 250, 1_000] {
                let air = Air::new(kbit, devices, devices);
                let per_s = air.round_bytes() * 1_000 / air.refresh_every_ms();
                let most = (kbit * 125 / 80).min(250 * devices as u64);
                // Beyond that an hour is the longest.
                let is_longest = air.refresh_every_ms() == REFRESH_MS.1;
                assert!(per_s <= most + 1 || is_longest, "{devices} at {kbit}: {per_s} of {most}");
                assert!(air.change_every_ms() <= air.refresh_every_ms());
            }
        }
    }

    #[test]
    fn examples() {
        let at = |devices| Air::new(CARRIES_KBIT_PER_S, devices, devices);
        assert_eq!(at(1).refresh_every_ms(), 10_000);
        assert_eq!(at(5).refresh_every_ms(), 32_000);
        assert_eq!((at(5).change_every_ms(), at(11).change_every_ms()), (1_000, 3_872));
        assert_eq!((at(41).refresh_every_ms(), at(41).change_every_ms()), (430_336, 53_792));
        let three_venues = Air::new(CARRIES_KBIT_PER_S, 12, 4);
        assert_eq!(three_venues.change_every_ms(), 1_536);
    }
}
