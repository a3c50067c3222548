//! Nights that never were, for tests of the report: plausible, of any size, the same each time.

use std::collections::BTreeMap;

use popmesh_simulator::night::{
    Answered, Cause, Check, ClaimNumbers, DeviceNight, DropNight, FaultSpan, Finding, LaneState, MediumNight,
    Night, Numbers, Outcome, Series, Severity, Span, StepNight, Verdict,
};
use popmesh_simulator::scenario::{StockPolicy, Thresholds};

/// Numbers that look random and are not (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

const MINUTE: u64 = 60_000;
const DURATION: u64 = 120 * MINUTE;
const OPEN: u64 = 25 * MINUTE;

/// A night in which nothing was and nothing happened.
pub(crate) fn empty() -> Night {
    Night {
        scenario: "nothing".to_owned(),
        title: String::new(),
        seed: 0,
        replay: String::new(),
        history: String::new(),
        starts_at_s: 0,
        duration_ms: 0,
        ended_ms: 0,
        policy: StockPolicy::ByRate,
        thresholds: Thresholds::default(),
        verdict: Verdict { passed: true, checks: Vec::new() },
        numbers: Numbers::default(),
        drops: Vec::new(),
        devices: Vec::new(),
        stock_left: Vec::new(),
        answers: Vec::new(),
        convergence_ms: Vec::new(),
        backlog: Vec::new(),
        faults: Vec::new(),
        findings: Vec::new(),
    }
}

/// A night with so many devices at so many venues, and so many shoppers.
pub(crate) fn plausible(devices: usize, venues: usize, shoppers: usize, seed: u64) -> Night {
    let mut dice = Dice(seed);
    let venue = |device: usize| device * venues / devices.max(1);
    let faults = faults(&mut dice, devices, venues, venue);
    let mut night = Night {
        scenario: "three-venues-live-drop".to_owned(),
        title: "Three venues sell one live drop while Wi-Fi, mains and batteries fail".to_owned(),
        seed,
        replay: format!("popmesh-sim rehearse three-venues-live-drop --seed {seed}"),
        history: "9f2c61a7".repeat(8),
        starts_at_s: 17 * 3_600 + 40 * 60,
        duration_ms: DURATION,
        ended_ms: DURATION + 4 * MINUTE,
        drops: vec![
            DropNight {
                name: "first".to_owned(),
                open_ms: OPEN,
                close_ms: Some(95 * MINUTE),
                steps: steps(),
            },
            DropNight { name: "encore".to_owned(), open_ms: 80 * MINUTE, close_ms: None, steps: Vec::new() },
        ],
        answers: answers(&mut dice, devices, shoppers),
        convergence_ms: (0..90).map(|_| 180 + dice.roll(900) * dice.roll(12)).collect(),
        backlog: (0..DURATION / 10_000).map(|step| (step * 10_000, dice.roll(6) * dice.roll(40))).collect(),
        ..empty()
    };
    night.devices = (0..devices)
        .map(|device| {
            let lane = lane(device, &faults, &mut dice);
            let name = match device % 6 {
                0 if device == 0 => "hq".to_owned(),
                5 => format!("locker-{}", device / 6 + 1),
                _ => format!("till-{device}"),
            };
            DeviceNight {
                roles: if device == 0 { "hq, pos" } else { "pos" }.to_owned(),
                venue: ["hall-a", "courtyard", "warehouse", "annex", "roof"][venue(device) % 5].to_owned(),
                name,
                lane,
                holding: holding(&mut dice, device),
                sold: 20 + dice.roll(90),
                refused: dice.roll(12),
                sale_p50_us: 2_000 + dice.roll(90_000),
                sent: (2_000 + dice.roll(9_000), 400_000 + dice.roll(2_000_000)),
            }
        })
        .collect();
    night.faults = faults;
    night.stock_left = ["CAP-BLACK", "TEE-M", "TEE-L", "VINYL", "POSTER", "PIN", "TOTE"]
        .iter()
        .enumerate()
        .map(|(place, sku)| falling(&mut dice, sku, 400 / (place as u64 + 1)))
        .collect();
    night.findings = findings();
    night.numbers = numbers(&night, shoppers as u64);
    night.verdict = verdict();
    night
}

fn verdict() -> Verdict {
    let promise = |name: &str, measured: &str| Check {
        name: name.to_owned(),
        passed: true,
        measured: measured.to_owned(),
        wanted: String::new(),
    };
    let wanted = |name: &str, passed, measured: &str, wanted: &str| Check {
        name: name.to_owned(),
        passed,
        measured: measured.to_owned(),
        wanted: wanted.to_owned(),
    };
    Verdict {
        passed: false,
        checks: vec![
            promise("no oversell (I1)", "0 of 1,240 units"),
            promise("one redemption (I2)", "0 of 310 claims"),
            promise("durability (I3)", "14 cuts, nothing lost"),
            promise("conservation (I4)", "checked 8,211 times"),
            promise("convergence (I5)", "all equal after 1.4 s"),
            promise("authority (I6)", "checked 8,211 times"),
            promise("money (I7)", "12 tills, 0 differences"),
            promise("liveness (I8)", "0 starved"),
            promise("determinism (I9)", "histories equal"),
            wanted("demand served", true, "98.4 %", "at least 98 %"),
            wanted("wrong refusals", true, "0.3 %", "at most 0.5 %"),
            wanted("half of the sales", true, "24 ms", "within 200 ms"),
            wanted("99 of 100 sales", false, "5.1 s", "within 4 s"),
            wanted("agreed after the night", true, "1.4 s", "within 10 s"),
        ],
    }
}

fn numbers(night: &Night, shoppers: u64) -> Numbers {
    let mut refusals = BTreeMap::new();
    let (mut sold, mut wrong) = (0, 0);
    for answer in &night.answers {
        match &answer.outcome {
            Outcome::Sold | Outcome::SoldAfterWait => sold += answer.units,
            Outcome::Refused(reason) => *refusals.entry(reason.clone()).or_insert(0) += 1,
            Outcome::WronglyRefused(reason) => {
                *refusals.entry(reason.clone()).or_insert(0) += 1;
                wrong += 1;
            }
            Outcome::NoAnswer => {}
        }
    }
    Numbers {
        minted: sold + 40,
        sold,
        shoppers,
        served: shoppers.saturating_sub(refusals.values().sum()),
        without: BTreeMap::from([(Cause::SoldOut, refusals.values().sum())]),
        answered: shoppers,
        servable: sold + sold / 60,
        refusals,
        wrong_refusals: wrong,
        closed_us: Some([41_000, 80_000, 120_000, 260_000]),
        sale_us: [24_000, 310_000, 5_100_000, 7_340_000],
        claimed_per_mille: BTreeMap::from([("first".to_owned(), 987), ("encore".to_owned(), 910)]),
        loss_events_milli: 420,
        loss_events: [11, 37, 0],
        reconciliation_ms: Some(1_400),
        messages: 184_220,
        bytes: 42_100_000,
        media: vec![MediumNight {
            name: "hall-a Wi-Fi".to_owned(),
            messages: 184_220,
            bytes: 42_100_000,
            used_per_mille: 31,
            busiest_per_mille: 640,
            dropped: 204,
            queue_full: 12,
            repeated: 4_010,
        }],
        writes: 9_120,
        entries: 14_320,
        power_cuts: 14,
        claims: ClaimNumbers {
            handed_out: 312,
            refused_again: 29,
            refunds: 11,
            returns: 8,
            ..ClaimNumbers::default()
        },
        ..Numbers::default()
    }
}

fn steps() -> Vec<StepNight> {
    let step = |at_ms, said: &str| StepNight { at_ms, said: said.to_owned() };
    vec![step(OPEN, "open by encoder"), step(20 * MINUTE, "close by encoder")]
}

fn faults(dice: &mut Dice, devices: usize, venues: usize, venue: impl Fn(usize) -> usize) -> Vec<FaultSpan> {
    let fault = |kind: &str, text: String, devices: Vec<usize>, from_ms, until_ms, times| FaultSpan {
        kind: kind.to_owned(),
        text,
        devices,
        from_ms,
        until_ms,
        times,
    };
    let at = |wanted: usize| (0..devices).filter(|device| venue(*device) == wanted).collect::<Vec<_>>();
    let mut faults = vec![
        fault("wifi_down", "hall-a loses Wi-Fi".to_owned(), at(0), OPEN, OPEN + 4 * MINUTE, 1_204),
        fault(
            "bad_wan",
            "the network between venues is slow".to_owned(),
            Vec::new(),
            60 * MINUTE,
            71 * MINUTE,
            96,
        ),
        fault(
            "mains_down",
            "the mains of the last venue fail".to_owned(),
            at(venues.saturating_sub(1)),
            48 * MINUTE,
            58 * MINUTE,
            1,
        ),
    ];
    for _ in 0..devices.min(60) {
        let device = dice.roll(devices as u64) as usize;
        let from = dice.roll(DURATION - 10 * MINUTE);
        faults.push(match dice.roll(5) {
            0 | 1 => fault(
                "power_cut",
                format!("device {device} loses power"),
                vec![device],
                from,
                from + 5_000,
                1,
            ),
            2 => fault(
                "offline",
                format!("device {device} loses every network"),
                vec![device],
                from,
                from + 3 * MINUTE,
                44,
            ),
            3 => fault(
                "disk_full",
                format!("the disk of device {device} is full"),
                vec![device],
                from,
                from + 2 * MINUTE,
                9,
            ),
            _ => fault(
                "clock_step",
                format!("the clock of device {device} jumps"),
                vec![device],
                from,
                from,
                1,
            ),
        });
    }
    faults.sort_by_key(|fault| fault.from_ms);
    faults
}

fn lane(device: usize, faults: &[FaultSpan], dice: &mut Dice) -> Vec<Span> {
    let end_ms = DURATION + 4 * MINUTE;
    let own: Vec<_> = faults.iter().filter(|fault| fault.devices.contains(&device)).collect();
    let state = |ms: u64| {
        let mut state = if device % 7 == 3 { LaneState::OnBattery } else { LaneState::Online };
        for fault in &own {
            if fault.from_ms <= ms && ms < fault.until_ms {
                state = match fault.kind.as_str() {
                    "wifi_down" | "offline" => LaneState::CutOff,
                    "mains_down" if !device.is_multiple_of(3) => LaneState::OnBattery,
                    "mains_down" | "power_cut" => LaneState::Off,
                    "disk_full" => LaneState::NotStoring,
                    _ => state,
                };
            }
        }
        match device % 40 {
            8 if ms > 90 * MINUTE => LaneState::Dead,
            9 if ms > 70 * MINUTE && ms < 76 * MINUTE => LaneState::Restored,
            _ => state,
        }
    };
    let mut lane: Vec<Span> = Vec::new();
    let step = 2_000 + dice.roll(3) * 500;
    for from_ms in (0..end_ms).step_by(step as usize) {
        let until_ms = (from_ms + step).min(end_ms);
        match lane.last_mut() {
            Some(last) if last.state == state(from_ms) => last.until_ms = until_ms,
            _ => lane.push(Span { from_ms, until_ms, state: state(from_ms) }),
        }
    }
    lane
}

fn holding(dice: &mut Dice, device: usize) -> Vec<(u64, u64)> {
    if device % 6 == 5 {
        return vec![(0, 0)];
    }
    let mut units = if device == 0 { 160 } else { 12 + dice.roll(40) };
    let mut points = vec![(0, units)];
    let mut ms = if device == 0 { 12 * MINUTE } else { OPEN };
    while units > 0 && ms < DURATION {
        ms += dice.roll(5 * MINUTE);
        units = if dice.roll(6) == 0 { units + dice.roll(9) } else { units.saturating_sub(1 + dice.roll(4)) };
        points.push((ms, units));
    }
    points
}

fn falling(dice: &mut Dice, sku: &str, units: u64) -> Series {
    let mut points = vec![(0, 0), (10 * MINUTE, units)];
    let (mut left, mut ms) = (units, OPEN);
    while left > 0 && ms < DURATION {
        ms += 2_000 + dice.roll(ms / 60);
        left -= 1 + dice.roll(left / 40);
        points.push((ms, left));
    }
    Series { name: sku.to_owned(), points }
}

fn answers(dice: &mut Dice, devices: usize, shoppers: usize) -> Vec<Answered> {
    let mut answers: Vec<_> = (0..if devices == 0 { 0 } else { shoppers })
        .map(|_| {
            let half_lives = 1 + dice.roll(40) * dice.roll(40) / 40;
            let came_ms = if dice.roll(4) == 0 {
                dice.roll(DURATION)
            } else {
                OPEN + dice.roll(half_lives * 2 * MINUTE)
            };
            let (outcome, took_us) = match dice.roll(100) {
                0..78 => (Outcome::Sold, 1_800 + dice.roll(60) * dice.roll(1_800)),
                78..90 => (Outcome::SoldAfterWait, 60_000 + dice.roll(900) * dice.roll(6_000)),
                90..95 => (Outcome::Refused("sold_out".to_owned()), 900),
                95..97 => (Outcome::Refused("held_elsewhere".to_owned()), 5_000_000),
                97 => (Outcome::Refused("no_power".to_owned()), 0),
                98 => (Outcome::WronglyRefused("held_elsewhere".to_owned()), 5_000_000),
                _ => (Outcome::NoAnswer, 0),
            };
            Answered {
                came_ms,
                took_us,
                device: dice.roll(devices as u64) as usize,
                units: 1 + dice.roll(2),
                outcome,
            }
        })
        .collect();
    answers.sort_by_key(|answer| answer.came_ms);
    answers
}

fn findings() -> Vec<Finding> {
    let finding = |severity, text: &str, first_ms, times, devices: &[&str]| Finding {
        severity,
        invariant: String::new(),
        text: text.to_owned(),
        first_ms,
        times,
        devices: devices.iter().map(|name| (*name).to_owned()).collect(),
    };
    vec![
        finding(
            Severity::Note,
            "sold on alone while it was cut off",
            OPEN + 4_000,
            112,
            &["till-1", "till-2", "till-3"],
        ),
        finding(
            Severity::Warning,
            "99 of 100 sales took up to 5.1 s: they waited for units from courtyard while hall-a had no Wi-Fi",
            OPEN + 61_000,
            37,
            &["till-1", "till-2", "till-3", "till-4", "till-6", "till-7", "till-8"],
        ),
        finding(
            Severity::Warning,
            "the battery would have been empty 12 minutes before the end",
            104 * MINUTE,
            1,
            &["till-3"],
        ),
    ]
}
