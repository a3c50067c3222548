//! Who is there, with what, and who comes to buy.

use popmesh_proto::command::Unclaimed;
use popmesh_proto::identity::{Role, Roles};

use crate::random::Random;
use crate::scenario::{
    Arrivals, Battery, Demand, DeviceSpec, DiskSpeed, DropSpec, LotSpec, Medium, ProductSpec, Scenario,
    StockPolicy, Thresholds, Venue, media,
};

/// The shortest and the longest night.
const NIGHT_MS: (u64, u64) = (60_000, 240_000);
/// How long the devices may take to agree once all is healed.
const SETTLE_MS: u64 = 120_000;

/// Draws a night without faults.
pub(super) fn draw(random: &Random) -> Scenario {
    let mut random = random.fork("topology");
    let duration_ms = random.within(NIGHT_MS.0 / 1_000..=NIGHT_MS.1 / 1_000) * 1_000;
    let venues: Vec<Venue> =
        (1..=random.within(1..=3)).filter_map(|number| venue(number, &mut random)).collect();
    let wan = (venues.len() > 1).then(|| {
        *random.pick(&[media::WAN, media::WAN, media::BAD_WAN, media::SATELLITE]).unwrap_or(&media::WAN)
    });
    let devices = devices(&venues, &mut random);
    let products: Vec<ProductSpec> = (1..=random.within(1..=3)).filter_map(product).collect();
    let drops: Vec<DropSpec> = (1..=random.within(1..=2))
        .filter_map(|number| drop_of(number, duration_ms, &devices, &venues, &products, &mut random))
        .collect();
    let mut scenario = Scenario {
        name: String::new(),
        title: String::new(),
        starts_at_s: 18 * 3_600,
        duration_ms,
        settle_ms: SETTLE_MS,
        policy: StockPolicy::ByRate,
        venues,
        wan,
        devices,
        products,
        drops,
        demand: Vec::new(),
        faults: Vec::new(),
        thresholds: Thresholds::default(),
    };
    scenario.demand = demand(&scenario, &mut random);
    let mut wishes = random.fork("wishes");
    scenario.demand.extend(large_wishes(&scenario.demand, &scenario, &mut wishes));
    scenario
}

fn venue(number: u64, random: &mut Random) -> Option<Venue> {
    let wifi = [media::WIFI, media::WIFI, media::CROWDED_WIFI, media::CABLE, media::HOSTILE];
    let ble = [media::BLE, media::BAD_BLE];
    Some(Venue {
        // A name of letters, a minus and a digit can be one.
        name: format!("venue-{number}").parse().ok()?,
        wifi: shaken(*random.pick(&wifi)?, random),
        ble: if random.chance(500) { random.pick(&ble).copied() } else { None },
    })
}

/// A medium with a latency of its own.
fn shaken(medium: Medium, random: &mut Random) -> Medium {
    Medium {
        latency_us: medium.latency_us * random.within(50..=300) / 100,
        jitter_us: medium.jitter_us * random.within(0..=200) / 100,
        ..medium
    }
}

fn devices(venues: &[Venue], random: &mut Random) -> Vec<DeviceSpec> {
    let count = random.within(2..=8);
    let mut names = [0_u64; 4];
    let mut devices: Vec<DeviceSpec> = (0..count)
        .map(|number| {
            let role = match number {
                0 => Role::Hq,
                1 => Role::Pos,
                _ => *random
                    .pick(&[Role::Pos, Role::Pos, Role::Pos, Role::Locker, Role::Encoder, Role::Hq])
                    .unwrap_or(&Role::Pos),
            };
            names[role as usize] += 1;
            let sells_too = role == Role::Hq && random.chance(300);
            let roles: Roles = [role].into_iter().chain(sells_too.then_some(Role::Pos)).collect();
            let venue = random.index(venues.len());
            let ble = venues[venue].ble.is_some() && random.chance(600);
            DeviceSpec {
                name: format!("{role}-{}", names[role as usize]),
                roles,
                venue,
                wifi: !ble || random.chance(700),
                ble,
                battery: random.chance(350).then(|| battery(random)),
                clock_ahead_ms: clock_ahead_ms(random),
                clock_drift_ppm: random.within(0..=200).cast_signed() - 100,
                disk: *random
                    .pick(&[
                        DiskSpeed { write_us: 120, jitter_us: 100 },
                        DiskSpeed { write_us: 2_000, jitter_us: 4_000 },
                        DiskSpeed { write_us: 6_000, jitter_us: 40_000 },
                    ])
                    .unwrap_or(&DiskSpeed { write_us: 120, jitter_us: 100 }),
            }
        })
        .collect();
    // Somebody with Bluetooth only reaches nobody unless another one at its venue has it too: such a device may sell
    // what it holds, but then nothing ever gets to it. One in a few is enough of that.
    for device in 0..devices.len() {
        let spec = &devices[device];
        let alone = !spec.wifi
            && !devices
                .iter()
                .enumerate()
                .any(|(other, peer)| other != device && peer.ble && peer.wifi && peer.venue == spec.venue);
        if alone && random.chance(800) {
            devices[device].wifi = true;
        }
    }
    devices
}

fn battery(random: &mut Random) -> Battery {
    Battery {
        lasts_ms: random.within(60..=3_600) * 1_000,
        charge_per_mille: random.within(150..=1_000),
        sale_costs_ms: random.within(0..=5_000),
        on_mains: random.chance(750),
    }
}

/// Most clocks are right to a second or two; some are minutes off, a few half an hour.
fn clock_ahead_ms(random: &mut Random) -> i64 {
    let most_ms = match random.below(10) {
        0 => 1_800_000,
        1 | 2 => 240_000,
        _ => 2_000,
    };
    random.within(0..=2 * most_ms).cast_signed() - most_ms.cast_signed()
}

fn product(number: u64) -> Option<ProductSpec> {
    Some(ProductSpec {
        sku: format!("item-{number}").parse().ok()?,
        name: format!("Item {number}"),
        price: 1_000 * number.cast_signed(),
    })
}

fn drop_of(
    number: u64,
    duration_ms: u64,
    devices: &[DeviceSpec],
    venues: &[Venue],
    products: &[ProductSpec],
    random: &mut Random,
) -> Option<DropSpec> {
    let open_ms = random.within(0..=duration_ms / 3);
    let mint_ms = random.within(0..=open_ms);
    let closes = random.chance(200);
    let close_ms = closes.then(|| random.within(open_ms + duration_ms / 2..=duration_ms));
    let hqs: Vec<usize> = (0..devices.len()).filter(|index| devices[*index].roles.has(Role::Hq)).collect();
    let mut rules = random.fork("unclaimed");
    let pickup_within_ms = rules.chance(400).then(|| rules.within(5_000..=duration_ms));
    let unclaimed = match pickup_within_ms {
        Some(_) if rules.chance(500) => Unclaimed::Refund,
        Some(_) => Unclaimed::Forfeit,
        None => Unclaimed::Keep,
    };
    let mut lots = Vec::new();
    for (product, _) in products.iter().enumerate() {
        // The first product is in every drop, so that no drop is without anything.
        if product > 0 && random.chance(300) {
            continue;
        }
        // Serials of a drop begin at its own thousand, so two drops never share one.
        let mut first = 1 + (number as u32 - 1) * 1_000;
        for _ in 0..random.within(1..=3) {
            let units = random.within(1..=25) as u32;
            let at = *random.pick(&hqs)?;
            // Most units lie where somebody sells them.
            let place = devices[random.index(devices.len())].venue;
            let place = if random.chance(100) { random.index(venues.len()) } else { place };
            lots.push(LotSpec { product, first, units, numbered: random.chance(500), at, place });
            first += units;
        }
    }
    Some(DropSpec {
        drop: format!("drop-{number}").parse().ok()?,
        mint_ms,
        open_ms,
        close_ms,
        announce_ms: None,
        ends_ms: None,
        run_by: devices.iter().position(|device| device.roles.has(Role::Hq))?,
        steps: Vec::new(),
        pickup_within_ms,
        unclaimed,
        lots,
    })
}

fn demand(scenario: &Scenario, random: &mut Random) -> Vec<Demand> {
    let sells = |device: &DeviceSpec| {
        [Role::Pos, Role::Locker, Role::Encoder].into_iter().any(|role| device.roles.has(role))
    };
    let selling: Vec<usize> =
        (0..scenario.devices.len()).filter(|index| sells(&scenario.devices[*index])).collect();
    let (mut refunds, mut carts) = (random.fork("refunds"), random.fork("carts"));
    let mut blocks = Vec::new();
    for (drop, spec) in scenario.drops.iter().enumerate() {
        for product in 0..scenario.products.len() {
            let units: u64 =
                spec.lots.iter().filter(|lot| lot.product == product).map(|lot| u64::from(lot.units)).sum();
            if units == 0 {
                continue;
            }
            for _ in 0..random.within(1..=2) {
                let shoppers = (units * random.within(20..=150) / 100).max(1);
                let some: Vec<(usize, u64)> = selling
                    .iter()
                    .filter(|_| random.chance(700))
                    .copied()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(|device| (device, random.within(1..=8)))
                    .collect();
                let at =
                    if some.is_empty() { selling.iter().map(|device| (*device, 1)).collect() } else { some };
                let pickup_at: Vec<usize> = if random.chance(400) {
                    random.pick(&selling).copied().into_iter().collect()
                } else {
                    Vec::new()
                };
                let pickup_per_mille = if pickup_at.is_empty() { 0 } else { random.within(100..=1_000) };
                let patience_ms = random.within(0..=10_000);
                blocks.push(Demand {
                    drop,
                    product,
                    arrivals: arrivals(spec.open_ms, scenario.duration_ms, shoppers, random),
                    at,
                    quantity: (1, if random.chance(300) { random.within(2..=4) } else { 1 }),
                    pickup_at,
                    pickup_per_mille,
                    cart_per_mille: if carts.chance(500) { carts.within(50..=600) } else { 0 },
                    refund_per_mille: if refunds.chance(600) { refunds.within(20..=400) } else { 0 },
                    patience_ms: (patience_ms, patience_ms + random.within(0..=20_000)),
                });
            }
        }
    }
    blocks
}

/// A few who want much more than others, in every other night somebody who wants more than there is. They come after all others
/// are drawn, so that the rest of a night is what it would be without them.
fn large_wishes(demand: &[Demand], scenario: &Scenario, random: &mut Random) -> Vec<Demand> {
    let mut blocks = Vec::new();
    for block in demand {
        if !random.chance(350) {
            continue;
        }
        let lots = &scenario.drops[block.drop].lots;
        let units: u64 =
            lots.iter().filter(|lot| lot.product == block.product).map(|lot| u64::from(lot.units)).sum();
        let quantity = match random.below(3) {
            0 => units * random.within(2..=20),
            _ => units * random.within(20..=95) / 100,
        };
        let open_ms = scenario.drops[block.drop].open_ms;
        let shoppers = random.within(1..=3);
        blocks.push(Demand {
            arrivals: Arrivals::Steady { from_ms: open_ms, until_ms: scenario.duration_ms, shoppers },
            quantity: (quantity.max(5), quantity.max(5)),
            refund_per_mille: 0,
            ..block.clone()
        });
    }
    blocks
}

fn arrivals(open_ms: u64, duration_ms: u64, shoppers: u64, random: &mut Random) -> Arrivals {
    match random.below(3) {
        0 => Arrivals::Spike { at_ms: open_ms, shoppers, half_life_ms: random.within(2_000..=60_000) },
        1 => Arrivals::Steady { from_ms: random.within(0..=open_ms), until_ms: duration_ms, shoppers },
        _ => Arrivals::Bursts {
            from_ms: open_ms,
            until_ms: duration_ms,
            shoppers,
            bursts: random.within(1..=6),
            burst_ms: random.within(500..=10_000),
        },
    }
}
