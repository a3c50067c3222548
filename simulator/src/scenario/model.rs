//! A night, ready to run: what a scenario file says or a mix draws, checked and resolved to numbers.
//!
//! Devices, venues, products and drops are named by their place in their list. All times are milliseconds after the
//! start of the night, by the world's own time.

use popmesh_proto::command::Unclaimed;
use popmesh_proto::identity::{Role, Roles};
use popmesh_proto::text::{DropId, Place, Sku};
use serde::Serialize;

/// A device, by its place in [`Scenario::devices`].
pub type DeviceIndex = usize;
/// A venue, by its place in [`Scenario::venues`].
pub type VenueIndex = usize;

/// One night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Short name, such as `one-stall`.
    pub name: String,
    /// What it rehearses, for people.
    pub title: String,
    /// The wall clock at the start of the night, seconds after midnight.
    pub starts_at_s: u64,
    /// How long the night is. Demand and faults end by then.
    pub duration_ms: u64,
    /// How long the devices may take to agree once the night is over and faults are healed (I5).
    pub settle_ms: u64,
    /// How stock moves.
    pub policy: StockPolicy,
    /// The venues.
    pub venues: Vec<Venue>,
    /// What joins the venues; absent if nothing does.
    pub wan: Option<Medium>,
    /// The devices. The first hq founds the programme.
    pub devices: Vec<DeviceSpec>,
    /// What is sold.
    pub products: Vec<ProductSpec>,
    /// The drops.
    pub drops: Vec<DropSpec>,
    /// Who wants to buy, where and when.
    pub demand: Vec<Demand>,
    /// What goes wrong, in order of [`Fault::from_ms`].
    pub faults: Vec<Fault>,
    /// What the night must reach to pass.
    pub thresholds: Thresholds,
}

/// How stock moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StockPolicy {
    /// popmesh's own: by rate of sale, on demand, single units near the end.
    ByRate,
    /// Only when a sale asks.
    OnDemand,
    /// Equal shares at the start, and never again.
    StaticShares,
    /// A plain Automerge counter that every device counts down.
    PlainCounter,
    /// One server that every device asks.
    CentralServer,
}

/// One site with its own local network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Venue {
    /// Its name, which is also the place of its units.
    pub name: Place,
    /// Its Wi-Fi.
    pub wifi: Medium,
    /// Its devices' Bluetooth LE, for those that have it; absent if none is used.
    pub ble: Option<Medium>,
}

/// What carries messages, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Medium {
    /// The least time from one device to another, microseconds.
    pub latency_us: u64,
    /// Up to so much is added, drawn for each message, microseconds.
    pub jitter_us: u64,
    /// Bits a second, in thousands, shared by all that is sent at one venue (Wi-Fi, BLE) or out of one venue (WAN).
    pub kbit_per_s: u64,
    /// The most bytes in one packet; each packet costs `packet_overhead` more.
    pub packet_bytes: u64,
    /// Bytes of headers and the like for each packet.
    pub packet_overhead: u64,
    /// Packets that are lost, per mille; each costs a repeat, as TCP would.
    pub loss_per_mille: u64,
    /// Messages that vanish altogether, per mille: full queues, connections that break.
    pub vanish_per_mille: u64,
    /// Messages that arrive twice, per mille.
    pub twice_per_mille: u64,
    /// Messages that others overtake, per mille.
    pub reorder_per_mille: u64,
    /// Messages that arrive with a byte changed, per mille.
    pub corrupt_per_mille: u64,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceSpec {
    /// Its name.
    pub name: String,
    /// What it may do.
    #[serde(serialize_with = "as_text")]
    pub roles: Roles,
    /// Where it stands.
    pub venue: VenueIndex,
    /// Whether it has Wi-Fi.
    pub wifi: bool,
    /// Whether it has Bluetooth LE.
    pub ble: bool,
    /// Its battery, if it has one.
    pub battery: Option<Battery>,
    /// How far its clock is ahead of the world's time at the start, milliseconds.
    pub clock_ahead_ms: i64,
    /// How much too fast its clock runs, parts per million.
    pub clock_drift_ppm: i64,
    /// How long a durable write takes.
    pub disk: DiskSpeed,
}

/// How long a durable write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DiskSpeed {
    /// At least so long, microseconds.
    pub write_us: u64,
    /// Up to so much more, drawn for each write, microseconds.
    pub jitter_us: u64,
}

/// A battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Battery {
    /// How long it lasts when the device has nothing to do, milliseconds.
    pub lasts_ms: u64,
    /// How full it is at the start, per mille.
    pub charge_per_mille: u64,
    /// What a sale costs, in milliseconds of idle life.
    pub sale_costs_ms: u64,
    /// Whether the device is on mains at the start and the battery only helps out.
    pub on_mains: bool,
}

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProductSpec {
    /// Its SKU.
    pub sku: Sku,
    /// Its name.
    pub name: String,
    /// Price of one unit, minor units of the event's currency.
    pub price: i64,
}

/// A drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropSpec {
    /// Its short name.
    pub drop: DropId,
    /// When its lots are minted, so that devices can share them out before it opens.
    pub mint_ms: u64,
    /// When it opens.
    pub open_ms: u64,
    /// When it closes; absent if it stays open.
    pub close_ms: Option<u64>,
    /// When it is announced; absent if it is not.
    pub announce_ms: Option<u64>,
    /// Its hard end, by every device's own clock; absent if it has none.
    pub ends_ms: Option<u64>,
    /// Who announces, opens and closes it: an hq or an encoder.
    pub run_by: DeviceIndex,
    /// Its further steps.
    pub steps: Vec<StepSpec>,
    /// For how long claims can be picked up after their sale, milliseconds; for ever if absent.
    pub pickup_within_ms: Option<u64>,
    /// What becomes of claims that nobody came for in that time.
    pub unclaimed: Unclaimed,
    /// Its lots.
    pub lots: Vec<LotSpec>,
}

impl DropSpec {
    /// All steps, those that its times say first.
    pub fn all_steps(&self) -> impl Iterator<Item = StepSpec> {
        let by_times = [
            (self.announce_ms, StepWord::Announce),
            (Some(self.open_ms), StepWord::Open),
            (self.close_ms, StepWord::Close),
        ];
        let usual = by_times
            .into_iter()
            .filter_map(|(at_ms, step)| Some(StepSpec { at_ms: at_ms?, step, by: self.run_by, venue: None }));
        usual.chain(self.steps.iter().copied())
    }
}

/// A step of a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepSpec {
    /// When it is taken; again and again until it is done, if its device is off.
    pub at_ms: u64,
    /// Which.
    pub step: StepWord,
    /// By whom: an hq or an encoder.
    pub by: DeviceIndex,
    /// At which venue; at all if absent.
    pub venue: Option<VenueIndex>,
}

/// Which step of a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepWord {
    /// The public is told.
    Announce,
    /// It sells.
    Open,
    /// It sells, and not for long.
    LastCall,
    /// It is over.
    Close,
    /// After a close: the next round is told of.
    AnnounceAgain,
    /// After a close: it sells once more.
    OpenAgain,
}

/// A lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LotSpec {
    /// Which product, by its place in [`Scenario::products`].
    pub product: usize,
    /// Its first serial.
    pub first: u32,
    /// How many units.
    pub units: u32,
    /// Whether serials are printed on them.
    pub numbered: bool,
    /// The hq that mints it.
    pub at: DeviceIndex,
    /// Where the units lie.
    pub place: VenueIndex,
}

/// Shoppers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Which drop, by its place in [`Scenario::drops`].
    pub drop: usize,
    /// Which product.
    pub product: usize,
    /// When they come.
    pub arrivals: Arrivals,
    /// Where they come: devices with weights.
    pub at: Vec<(DeviceIndex, u64)>,
    /// How many units one wants: at least, at most.
    pub quantity: (u64, u64),
    /// Where those who do not take it with them pick it up; empty for walk-ins only.
    pub pickup_at: Vec<DeviceIndex>,
    /// So many of a thousand pick up later.
    pub pickup_per_mille: u64,
    /// So many of a thousand of those who bought want their money back later.
    pub refund_per_mille: u64,
    /// So many of a thousand have things put aside in a cart before they pay.
    pub cart_per_mille: u64,
    /// How long one waits before giving up: at least, at most, milliseconds.
    pub patience_ms: (u64, u64),
}

/// When shoppers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "shape")]
pub enum Arrivals {
    /// All at once at an announcement, then ever fewer: half of those left within each half-life.
    Spike {
        /// The announcement.
        at_ms: u64,
        /// How many shoppers.
        shoppers: u64,
        /// The half-life.
        half_life_ms: u64,
    },
    /// Evenly, at random.
    Steady {
        /// From then.
        from_ms: u64,
        /// To then.
        until_ms: u64,
        /// How many shoppers.
        shoppers: u64,
    },
    /// In bursts, as a chat does.
    Bursts {
        /// From then.
        from_ms: u64,
        /// To then.
        until_ms: u64,
        /// How many shoppers.
        shoppers: u64,
        /// How many bursts.
        bursts: u64,
        /// How long each is.
        burst_ms: u64,
    },
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// When it begins.
    pub from_ms: u64,
    /// When it ends, where it lasts at all; the world ends what is left at the end of the night.
    pub until_ms: u64,
    /// What.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum FaultKind {
    /// A device loses every network.
    Offline {
        /// Which.
        device: DeviceIndex,
    },
    /// A device's network comes and goes.
    Flapping {
        /// Which.
        device: DeviceIndex,
        /// Up and down so often, milliseconds for one of each.
        period_ms: u64,
    },
    /// What one device sends does not reach another, while the other way works.
    OneWay {
        /// The sender.
        from: DeviceIndex,
        /// The receiver.
        to: DeviceIndex,
    },
    /// A venue's Wi-Fi is down.
    WifiDown {
        /// Which.
        venue: VenueIndex,
    },
    /// A venue is cut off from the others.
    WanDown {
        /// Which.
        venue: VenueIndex,
    },
    /// Devices split in two: those named, and the others.
    Split {
        /// One side.
        side: Vec<DeviceIndex>,
    },
    /// Swizzle-clog: the devices' networks stop one after the other, and come back in another order.
    Clog {
        /// In the order in which they stop.
        devices: Vec<DeviceIndex>,
        /// In the order in which they come back.
        back: Vec<DeviceIndex>,
    },
    /// A venue's Wi-Fi is worse than it should be.
    BadWifi {
        /// Which.
        venue: VenueIndex,
        /// How bad.
        medium: Medium,
    },
    /// The network between venues is worse than it should be.
    BadWan {
        /// How bad.
        medium: Medium,
    },
    /// The power of one device fails without warning.
    PowerCut {
        /// Which.
        device: DeviceIndex,
        /// In the middle of a write: at so many operations of the disk from then; at once if absent.
        at_operation: Option<u64>,
        /// Cut again while it recovers, so many operations of the disk after it is back.
        in_recovery: Option<u64>,
    },
    /// The mains of a venue fail: devices without a battery stop, the others drain.
    MainsDown {
        /// Which.
        venue: VenueIndex,
    },
    /// Somebody puts a full battery in; the device goes on.
    BatterySwap {
        /// Which.
        device: DeviceIndex,
    },
    /// A disk has no room left.
    DiskFull {
        /// Which.
        device: DeviceIndex,
    },
    /// A disk fails now and then.
    DiskErrors {
        /// Which.
        device: DeviceIndex,
        /// Reads that fail, per mille.
        read_per_mille: u64,
        /// Writes that fail, per mille.
        write_per_mille: u64,
        /// Syncs that fail, per mille.
        sync_per_mille: u64,
    },
    /// A disk is slow.
    SlowDisk {
        /// Which.
        device: DeviceIndex,
        /// So many times slower.
        times: u64,
    },
    /// A clock jumps.
    ClockStep {
        /// Which.
        device: DeviceIndex,
        /// By so much, milliseconds.
        by_ms: i64,
    },
    /// A device dies for good, disk and all.
    Dies {
        /// Which.
        device: DeviceIndex,
    },
    /// A device comes back with an older image of its disk.
    Restored {
        /// Which.
        device: DeviceIndex,
        /// When the image was taken, before `from_ms`.
        image_ms: u64,
    },
    /// A second box runs with a copy of a device's disk, key and all, at the same venue.
    Cloned {
        /// Which.
        device: DeviceIndex,
    },
    /// A person retires a device: one that has died, or one that was only not heard of.
    Retired {
        /// Which.
        device: DeviceIndex,
        /// On which device of an hq; it is given the right for the night.
        by: DeviceIndex,
        /// Waits for a moment at which stock or custody is on its way to the device, if one comes soon.
        once_stock_comes: bool,
    },
    /// The right to retire devices is given to another hq.
    Entrusted {
        /// To which.
        device: DeviceIndex,
        /// By which: it is given the right for the night, unless another gives it that.
        by: DeviceIndex,
    },
    /// A person at an hq mints the numbered lots that others mint, with the same serials, as far as this device does not
    /// know of them.
    Reprints {
        /// The hq.
        device: DeviceIndex,
    },
    /// Somebody of the crew does something besides selling.
    Chore {
        /// On which device.
        device: DeviceIndex,
        /// What.
        what: Chore,
    },
    /// A device cheats.
    Cheats {
        /// Which.
        device: DeviceIndex,
        /// How.
        how: Cheat,
    },
}

/// What the crew does besides selling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chore {
    /// Gives stock to another device.
    Gives,
    /// Carries stock to a venue.
    Moves,
    /// Takes a unit out of sale.
    Damages,
    /// Fills a cart, empties it, and gives it up.
    Cart,
    /// Undoes what was done last.
    Undoes,
    /// Says what became of a payment that was to be authorised later.
    Settles,
    /// Renews a certificate.
    Renews,
    /// Says what was done about an incident.
    Resolves,
    /// Unlocks a claim after too many wrong PINs.
    Unlocks,
    /// Sets the event's rules.
    SetsRules,
    /// Sets how much may be taken unauthorised.
    SetsLimit,
    /// Gives away all that the device has, and leaves.
    Leaves,
}

/// How a device cheats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cheat {
    /// Signs two entries with one sequence number, for different peers.
    Forks,
    /// Writes an entry a second time, otherwise, and tells it some of its peers.
    Rewrites,
    /// Sells units that it does not hold.
    Overspends,
    /// Sends old entries of others and its own again.
    Replays,
    /// Writes all the time what it has no right to write.
    Crafts,
}

/// What the night must reach to pass. What is absent is not judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// Units sold, of those that an all-knowing seller could have sold, per mille.
    pub served_per_mille: Option<u64>,
    /// Refusals although a unit was free in reach, per mille of all shoppers.
    pub wrong_refusals_per_mille: Option<u64>,
    /// Half of the sales take no longer, milliseconds.
    pub sale_p50_ms: Option<u64>,
    /// 99 of 100 sales take no longer, milliseconds.
    pub sale_p99_ms: Option<u64>,
    /// Sync loss events per device-hour of an open drop, in thousandths.
    pub loss_events_milli: Option<u64>,
    /// How long until all agree after the night, milliseconds.
    pub agree_ms: Option<u64>,
    /// Units claimed of units announced, per mille.
    pub claimed_per_mille: Option<u64>,
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Scenario {
    /// The hq that founds the programme: the first.
    #[must_use]
    pub fn hq(&self) -> DeviceIndex {
        self.devices.iter().position(|device| device.roles.has(Role::Hq)).unwrap_or(0)
    }

    /// The hq that retires devices, unless another is named: the first with the right in its certificate, else the first.
    #[must_use]
    pub fn registrar(&self) -> DeviceIndex {
        let named = self.devices.iter().position(|device| device.roles.has(Role::Registrar));
        named.unwrap_or_else(|| self.hq())
    }

    /// Units of a drop and product that are minted, all lots together.
    #[must_use]
    pub fn minted(&self, drop: usize, product: usize) -> u64 {
        let lots = self.drops[drop].lots.iter().filter(|lot| lot.product == product);
        lots.map(|lot| u64::from(lot.units)).sum()
    }

    /// The devices that sell at a venue.
    pub fn sellers_at<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = DeviceIndex> + 'a {
        let sells =
            |roles: Roles| [Role::Pos, Role::Locker, Role::Encoder].into_iter().any(|role| roles.has(role));
        (0..self.devices.len()).filter(move |device| {
            let device = &self.devices[*device];
            sells(device.roles) && self.venues[device.venue].name == *place
        })
    }
}
