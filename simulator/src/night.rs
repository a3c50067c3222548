//! What became of a night: the numbers, the timelines and the findings. The report is drawn from this, and its JSON
//! twin is this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scenario::{StockPolicy, Thresholds};

mod came;

pub use came::{Cause, Growth, IdleAir, MediumNight};

/// A night that has been run.
#[derive(Debug, Clone, Serialize)]
pub struct Night {
    /// The scenario's short name.
    pub scenario: String,
    /// What it rehearses.
    pub title: String,
    /// The seed.
    pub seed: u64,
    /// The command that runs exactly this night again.
    pub replay: String,
    /// SHA-256 over everything that any device did, hexadecimal: equal on a second run.
    pub history: String,
    /// The wall clock at the start, seconds after midnight.
    pub starts_at_s: u64,
    /// The length of the night, milliseconds; what comes later is the settling.
    pub duration_ms: u64,
    /// When the run was over, milliseconds.
    pub ended_ms: u64,
    /// How stock moved.
    pub policy: StockPolicy,
    /// What had to be reached.
    pub thresholds: Thresholds,
    /// The verdict.
    pub verdict: Verdict,
    /// The numbers.
    pub numbers: Numbers,
    /// The drops, in the order in which they open.
    pub drops: Vec<DropNight>,
    /// The devices.
    pub devices: Vec<DeviceNight>,
    /// Units of each SKU that were free, over time: all devices together.
    pub stock_left: Vec<Series>,
    /// Sales and refusals, in order of the answers.
    pub answers: Vec<Answered>,
    /// How long after each change of the links all devices that could reach each other agreed, milliseconds.
    pub convergence_ms: Vec<u64>,
    /// Entries that linked devices lacked of each other, over time: the backlog.
    pub backlog: Vec<(u64, u64)>,
    /// The faults that really happened.
    pub faults: Vec<FaultSpan>,
    /// What a person should look at, alike ones grouped.
    pub findings: Vec<Finding>,
}

/// Pass or fail, and by what.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Whether every promise was kept and every threshold reached.
    pub passed: bool,
    /// The promises (I1 to I13), and the thresholds.
    pub checks: Vec<Check>,
}

/// One line of the verdict.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What, such as `no oversell (I1)` or `half of the sales within 200 ms`.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What was measured, for people, such as `0 of 1,240 units` or `84 ms`.
    pub measured: String,
    /// What was wanted, for people; empty for the promises.
    pub wanted: String,
}

/// The numbers of a night.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Numbers {
    /// Units minted.
    pub minted: u64,
    /// Units sold by acknowledged sales.
    pub sold: u64,
    /// Units that are in more than one acknowledged sale.
    pub oversold: u64,
    /// Shoppers who came.
    pub shoppers: u64,
    /// Of them, those who got what they wanted.
    pub served: u64,
    /// The others, by what kept them: with `served` they add up to `shoppers`.
    pub without: BTreeMap<Cause, u64>,
    /// Shoppers whom a till that ran told yes or no.
    pub answered: u64,
    /// Units that an all-knowing seller could have sold: one who knows every shopper and every fault beforehand, and opens the
    /// drop in time.
    pub servable: u64,
    /// Refusals by reason (`sold_out`, `held_elsewhere`, `no_power`, …).
    pub refusals: BTreeMap<String, u64>,
    /// Refusals although enough units were free on devices that could be reached.
    pub wrong_refusals: u64,
    /// How long sales took from asking to the answer, microseconds: percentiles 50, 90, 99 and the longest.
    pub sale_us: [u64; 4],
    /// How long it took from a close until a device in reach was closed as well, microseconds: percentiles 50, 90, 99 and the
    /// longest; absent if nothing was closed while others were in reach.
    #[serde(default)]
    pub closed_us: Option<[u64; 4]>,
    /// Boards that were looked at, as an overlay would, and compared with what was true.
    #[serde(default)]
    pub boards: u64,
    /// Drop-to-claim: units that a shopper was ever sold, of those that were announced, or minted where nobody said how many; per
    /// mille, by drop. A drop without units is not in it.
    pub claimed_per_mille: BTreeMap<String, u64>,
    /// How long devices ran while a drop was open, all together, milliseconds.
    pub open_device_ms: u64,
    /// Sync loss events per device-hour of an open drop, in thousandths.
    pub loss_events_milli: u64,
    /// Of those: a device lost all its peers for longer than 5 s; a sale was refused as held elsewhere; an incident.
    pub loss_events: [u64; 3],
    /// Repeat attendance, per mille; absent where shoppers are not known or there was one drop only.
    pub repeat_per_mille: Option<u64>,
    /// From the last sale of the night, on any device, to the moment when all devices agreed, milliseconds; absent if
    /// they did not.
    pub reconciliation_ms: Option<u64>,
    /// Messages sent, gossip counted once for each link.
    pub messages: u64,
    /// Their bytes, with packet overhead.
    pub bytes: u64,
    /// The most that was offered to the Wi-Fi of a venue while nothing happened for long, by venue.
    #[serde(default)]
    pub idle_air: BTreeMap<String, IdleAir>,
    /// What each medium carried and dropped.
    #[serde(default)]
    pub media: Vec<MediumNight>,
    /// What devices worked, at most.
    #[serde(default)]
    pub growth: Growth,
    /// Durable writes.
    pub writes: u64,
    /// Entries in the log at the end.
    pub entries: u64,
    /// Power cuts, one for each device that lost power.
    pub power_cuts: u64,
    /// What became of what was sold.
    pub claims: ClaimNumbers,
    /// What became of what was put aside.
    pub carts: CartNumbers,
    /// What became of people's mistakes and of cheats.
    #[serde(default)]
    pub trust: TrustNumbers,
    /// What became of personal data.
    #[serde(default)]
    pub people: PeopleNumbers,
}

/// What became of personal data.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PeopleNumbers {
    /// Taken.
    pub taken: u64,
    /// Not taken, or not erased, as the device refused.
    pub refused: u64,
    /// Erasures.
    pub erased: u64,
    /// Sealed payloads after the night, on the device that has most.
    pub kept: u64,
}

/// What became of people's mistakes and of cheats.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct TrustNumbers {
    /// Devices whose database was set back, and that heard from others what they did since.
    pub pasts_told: u64,
    /// Such devices that went on because a person said so.
    pub pasts_accepted: u64,
    /// Devices that began a new life, since the one they led had two histories.
    pub begun_anew: u64,
    /// Lives that were cut off before a fork.
    pub forks: u64,
    /// Proofs of two pasts.
    pub double_lives: u64,
    /// Incidents after the night.
    pub incidents: u64,
    /// Devices that were retired.
    pub retired: u64,
    /// Of those, devices that were alive.
    pub retired_alive: u64,
    /// Retirements of devices that had been retired already, by somebody who had not heard of it.
    pub retired_again: u64,
    /// Hand-overs of the right to retire.
    pub handed_over: u64,
    /// Retirements and hand-overs by who had no right to, which count for nothing.
    pub without_right: u64,
    /// Units that retirements said to be at risk.
    pub at_risk: u64,
    /// Sales by retired devices after their retirement.
    pub late_sales: u64,
    /// Units that were sold twice, or handed out twice.
    pub twice: u64,
}

impl std::ops::AddAssign for TrustNumbers {
    fn add_assign(&mut self, other: Self) {
        let Self {
            pasts_told,
            pasts_accepted,
            begun_anew,
            forks,
            double_lives,
            incidents,
            retired,
            retired_alive,
            retired_again,
            handed_over,
            without_right,
            at_risk,
            late_sales,
            twice,
        } = other;
        self.pasts_told += pasts_told;
        self.pasts_accepted += pasts_accepted;
        self.begun_anew += begun_anew;
        self.forks += forks;
        self.double_lives += double_lives;
        self.incidents += incidents;
        self.retired += retired;
        self.retired_alive += retired_alive;
        self.retired_again += retired_again;
        self.handed_over += handed_over;
        self.without_right += without_right;
        self.at_risk += at_risk;
        self.late_sales += late_sales;
        self.twice += twice;
    }
}

/// What became of carts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct CartNumbers {
    /// Carts that were put aside.
    pub put_aside: u64,
    /// Carts that another till took over.
    pub taken_over: u64,
    /// Tills that asked for a cart and did not get it.
    pub not_given: u64,
    /// Carts that were paid.
    pub paid: u64,
    /// Carts that their shoppers had put back.
    pub released: u64,
    /// Carts that their shoppers left behind.
    pub left: u64,
    /// Carts that were over when their shoppers came to pay.
    pub expired: u64,
}

/// What became of what was sold: fetched later, paid back, given into other custody.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ClaimNumbers {
    /// Claims handed out to whoever came for them.
    pub handed_out: u64,
    /// Showings of a claim that was redeemed or refunded already: refused.
    pub refused_again: u64,
    /// Refunds of what had not been handed out.
    pub refunds: u64,
    /// Refunds asked at another device than the claim's custodian.
    pub refunds_asked: u64,
    /// Refunds of what was brought back.
    pub returns: u64,
    /// Claims given into the custody of another device.
    pub given: u64,
    /// Claims that a device fetched from their custodian.
    pub fetched: u64,
    /// People sent on to a claim's custodian.
    pub sent_on: u64,
    /// Other refusals, such as of a refund of what was handed out already.
    pub refused: u64,
    /// Claims handed out to somebody who showed the token alone.
    pub by_token: u64,
    /// Wrong PINs that were given.
    pub wrong_pins: u64,
    /// Claims that went back to stock, since nobody came in time.
    pub swept: u64,
    /// People who came about a claim and went without an answer.
    pub given_up: u64,
}

impl std::ops::AddAssign for CartNumbers {
    fn add_assign(&mut self, other: Self) {
        let Self { put_aside, taken_over, not_given, paid, released, left, expired } = other;
        self.put_aside += put_aside;
        self.taken_over += taken_over;
        self.not_given += not_given;
        self.paid += paid;
        self.released += released;
        self.left += left;
        self.expired += expired;
    }
}

impl std::ops::AddAssign for ClaimNumbers {
    fn add_assign(&mut self, other: Self) {
        self.handed_out += other.handed_out;
        self.refused_again += other.refused_again;
        self.refunds += other.refunds;
        self.refunds_asked += other.refunds_asked;
        self.returns += other.returns;
        self.given += other.given;
        self.fetched += other.fetched;
        self.sent_on += other.sent_on;
        self.refused += other.refused;
        self.by_token += other.by_token;
        self.wrong_pins += other.wrong_pins;
        self.swept += other.swept;
        self.given_up += other.given_up;
    }
}

impl ClaimNumbers {
    /// Refunds, whether or not it was handed out before.
    #[must_use]
    pub fn refunded(&self) -> u64 {
        self.refunds + self.returns
    }

    /// Whether anybody came about a claim.
    #[must_use]
    pub fn are_any(&self) -> bool {
        let Self { handed_out, refused_again, refunds_asked, given, refused, given_up, .. } = *self;
        self.refunded() + handed_out + refused_again + refunds_asked + given + refused + given_up > 0
    }
}

/// When a drop was open.
#[derive(Debug, Clone, Serialize)]
pub struct DropNight {
    /// Its name.
    pub name: String,
    /// When it opened, milliseconds.
    pub open_ms: u64,
    /// When it closed; absent if it stayed open.
    pub close_ms: Option<u64>,
    /// The steps that were taken, in order.
    pub steps: Vec<StepNight>,
}

/// A step of a drop that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct StepNight {
    /// When it was durable, milliseconds.
    pub at_ms: u64,
    /// What, by whom and where.
    pub said: String,
}

/// One device's night.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceNight {
    /// Its name.
    pub name: String,
    /// Its venue.
    pub venue: String,
    /// Its roles.
    pub roles: String,
    /// What it was, when: in order, without gaps.
    pub lane: Vec<Span>,
    /// Units that it held, over time, when they changed: time in milliseconds, units.
    pub holding: Vec<(u64, u64)>,
    /// Units sold.
    pub sold: u64,
    /// Sales refused.
    pub refused: u64,
    /// The median of how long its sales took, microseconds.
    pub sale_p50_us: u64,
    /// Messages and bytes sent.
    pub sent: (u64, u64),
}

/// What a device was during a time.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// From then, milliseconds.
    pub from_ms: u64,
    /// To then.
    pub until_ms: u64,
    /// What.
    pub state: LaneState,
}

/// What a device can be, for its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Linked to somebody, on mains.
    Online,
    /// Linked to somebody, on battery.
    OnBattery,
    /// Without any link.
    CutOff,
    /// Writing fails: it refuses to sell.
    NotStoring,
    /// Without power.
    Off,
    /// Dead for good.
    Dead,
    /// Runs on an older image of its disk.
    Restored,
}

/// A curve in steps.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// What.
    pub name: String,
    /// Time in milliseconds, value from then on.
    pub points: Vec<(u64, u64)>,
}

/// One shopper's answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// When the shopper came, milliseconds.
    pub came_ms: u64,
    /// How long the answer took, microseconds.
    pub took_us: u64,
    /// The device, by its place in [`Night::devices`].
    pub device: usize,
    /// Units wanted.
    pub units: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a shopper's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// Sold at once, from what the device held.
    Sold,
    /// Sold after units came from elsewhere.
    SoldAfterWait,
    /// Refused; the reason's name, such as `held_elsewhere`.
    Refused(String),
    /// Refused although enough units were free in reach; the reason's name.
    WronglyRefused(String),
    /// No answer: the device had no power, or lost it.
    NoAnswer,
}

/// A fault that happened.
#[derive(Debug, Clone, Serialize)]
pub struct FaultSpan {
    /// Its kind, such as `power_cut`.
    pub kind: String,
    /// What it was, for people, such as `hall-a loses Wi-Fi`.
    pub text: String,
    /// The devices it struck, by their place in [`Night::devices`]; all if empty.
    pub devices: Vec<usize>,
    /// From then.
    pub from_ms: u64,
    /// To then.
    pub until_ms: u64,
    /// How often it did something: messages dropped, writes failed, cuts.
    pub times: u64,
}

/// Something that a person should look at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which invariant, such as `I1`; empty if none.
    pub invariant: String,
    /// What, for people.
    pub text: String,
    /// When it was seen first.
    pub first_ms: u64,
    /// How often.
    pub times: u64,
    /// The devices where it was seen, by name, the first few.
    pub devices: Vec<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// A threshold was missed, or something to plan for.
    Warning,
    /// A promise was broken.
    Broken,
}

/// The value below which so many of a thousand of the sorted values lie.
pub(crate) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * per_mille / 1_000).min(last)).copied().unwrap_or(0)
}
