//! How big a night may be. Above these somebody has mistyped, or wants to harm the machine.

/// The most bytes of one scenario file; looked at before it is read.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most files of one scenario, includes and all.
pub const MAX_FILES: usize = 64;
/// The most includes inside includes.
pub const MAX_INCLUDE_DEPTH: usize = 8;
/// The longest night, milliseconds: 48 hours.
pub const MAX_NIGHT_MS: u64 = 48 * 3_600_000;
/// The longest time in which devices may agree after the night, milliseconds: one hour.
pub const MAX_SETTLE_MS: u64 = 3_600_000;
/// The most venues.
pub const MAX_VENUES: usize = 100;
/// The most devices.
pub const MAX_DEVICES: usize = 1_000;
/// The most products.
pub const MAX_PRODUCTS: usize = 200;
/// The most drops.
pub const MAX_DROPS: usize = 100;
/// The most lots of one drop.
pub const MAX_LOTS: usize = 1_000;
/// The most units of all lots together.
pub const MAX_UNITS: u64 = 10_000_000;
/// The most demand blocks.
pub const MAX_DEMAND: usize = 1_000;
/// The most shoppers of all demand blocks together.
pub const MAX_SHOPPERS: u64 = 1_000_000;
/// The most bursts of one demand block.
pub const MAX_BURSTS: u64 = 10_000;
/// The most faults.
pub const MAX_FAULTS: usize = 10_000;
/// The most times that one flapping fault takes a device's network away.
pub const MAX_FLAPS: u64 = 10_000;
/// The highest weight of a device in a demand block.
pub const MAX_WEIGHT: u64 = 1_000_000;
/// The longest latency, jitter or durable write, microseconds: one minute.
pub const MAX_DELAY_US: u64 = 60_000_000;
/// The fastest medium, kbit/s: 100 Gbit/s.
pub const MAX_KBIT_PER_S: u64 = 100_000_000;
/// The largest packet, bytes.
pub const MAX_PACKET_BYTES: u64 = 1 << 20;
/// The most that a clock may be off or jump, milliseconds: ten years.
pub const MAX_CLOCK_MS: u64 = 10 * 366 * 86_400_000;
/// The most that a clock may run too fast or too slow, parts per million: a tenth.
pub const MAX_DRIFT_PPM: u64 = 100_000;
/// The longest life of a battery, milliseconds: 30 days.
pub const MAX_BATTERY_MS: u64 = 30 * 86_400_000;
/// The most times that a disk may be slower than it should.
pub const MAX_SLOWNESS: u64 = 100_000;
/// The most disk operations after which a cut may come.
pub const MAX_OPERATIONS: u64 = 1_000_000_000;
