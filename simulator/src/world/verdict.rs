//! What a run came to: the night with its numbers, checks and findings.

use sha2::Digest;

use super::{Ended, MS, World};
use crate::night::{
    Check, DeviceNight, DropNight, FaultSpan, Finding, Night, Numbers, Outcome, Series, Severity, Verdict,
    percentile,
};
use crate::words;

/// The promises that are watched, in plain words.
const PROMISES: [(&str, &str); 12] = [
    ("I1", "no unit is sold twice (I1)"),
    ("I2", "each claim is handed out once, or refunded (I2)"),
    ("I3", "what was acknowledged survives (I3)"),
    ("I4", "stock adds up on every device (I4)"),
    ("I5", "all devices agree in the end (I5)"),
    ("I6", "only who may write is heard (I6)"),
    ("I7", "the money adds up, each sale once (I7)"),
    ("I8", "what is unsold and in reach is sold (I8)"),
    ("I10", "an idle mesh rests, and work does not grow (I10)"),
    ("I11", "retired devices hear nothing more (I11)"),
    ("I12", "boards show nothing false (I12)"),
    ("I13", "a close is kept, and told alike (I13)"),
];
/// So many findings are shown.
const FINDINGS: usize = 60;

impl World<'_> {
    /// Ends the run.
    pub(super) fn end(mut self, seed: u64) -> Ended {
        let mut numbers = match self.taken.take() {
            Some(taken) => taken,
            None => {
                self.note_lanes();
                self.numbers(seed)
            }
        };
        numbers.idle_air = self.calm.idle.clone();
        numbers.growth = self.watch.growth;
        let night = self.night(seed, numbers);
        let mut coverage = std::mem::take(&mut self.watch.coverage);
        coverage.seeds = 1;
        if self.watch.batteries_emptied > 0 {
            coverage.record("battery_empty", "holds units");
        }
        let commands = self.issued.counts;
        Ended { night, breach: self.breach, steps: self.steps, coverage, commands, trace: self.trace }
    }

    fn night(&mut self, seed: u64, numbers: Numbers) -> Night {
        let scenario = self.scenario;
        let history = hex::encode(self.history.clone().finalize());
        let verdict = self.verdict(&numbers);
        let mut drops: Vec<DropNight> = scenario
            .drops
            .iter()
            .map(|drop| DropNight {
                name: drop.drop.to_string(),
                open_ms: drop.open_ms,
                close_ms: drop.close_ms,
                steps: self.steps_taken(&drop.drop),
            })
            .collect();
        drops.sort_by_key(|drop| drop.open_ms);
        let faults = self
            .watch
            .struck
            .iter()
            .map(|struck| {
                let kind = &scenario.faults[struck.fault].kind;
                FaultSpan {
                    kind: words::kind_of(kind).to_owned(),
                    text: words::fault(kind, scenario),
                    devices: words::devices_of(kind, scenario),
                    from_ms: struck.from_us / MS,
                    until_ms: struck.until_us.unwrap_or(self.now_us) / MS,
                    times: struck.times.max(1),
                }
            })
            .collect();
        Night {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            seed,
            replay: format!("popmesh-sim rehearse {} --seed {seed}", scenario.name),
            history,
            starts_at_s: scenario.starts_at_s,
            duration_ms: scenario.duration_ms,
            drops,
            ended_ms: self.now_us / MS,
            policy: scenario.policy,
            thresholds: scenario.thresholds,
            verdict,
            numbers,
            devices: self.device_nights(),
            stock_left: std::mem::take(&mut self.watch.stock_left)
                .into_iter()
                .map(|(name, points)| Series { name, points })
                .collect(),
            convergence_ms: std::mem::take(&mut self.watch.convergence_ms),
            backlog: std::mem::take(&mut self.watch.backlog),
            faults,
            findings: self.findings(),
            answers: if self.options.record { std::mem::take(&mut self.shop.answers) } else { Vec::new() },
        }
    }

    fn device_nights(&mut self) -> Vec<DeviceNight> {
        (0..self.scenario.devices.len())
            .map(|device| {
                let spec = &self.scenario.devices[device];
                let own = || self.shop.answers.iter().filter(|answer| answer.device == device);
                let sold = |answer: &&crate::night::Answered| {
                    matches!(answer.outcome, Outcome::Sold | Outcome::SoldAfterWait)
                };
                let mut took: Vec<u64> = own().filter(sold).map(|answer| answer.took_us).collect();
                took.sort_unstable();
                DeviceNight {
                    name: spec.name.clone(),
                    venue: self.scenario.venues[spec.venue].name.to_string(),
                    roles: spec.roles.to_string(),
                    sold: own().filter(sold).map(|answer| answer.units).sum(),
                    refused: own().filter(|answer| !sold(answer)).count() as u64,
                    sale_p50_us: percentile(&took, 500),
                    sent: self.watch.sent[device],
                    lane: std::mem::take(&mut self.watch.lanes[device]),
                    holding: std::mem::take(&mut self.watch.holding[device]),
                }
            })
            .collect()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .watch
            .findings
            .iter()
            .map(|(text, seen)| Finding {
                severity: seen.severity,
                invariant: String::new(),
                text: text.clone(),
                first_ms: seen.first_us / MS,
                times: seen.times,
                devices: seen.devices.iter().cloned().collect(),
            })
            .collect();
        findings.extend(self.advised.clone().unwrap_or_else(|| self.advice()));
        if let Some((_, breach)) = &self.breach {
            findings.push(Finding {
                severity: Severity::Broken,
                invariant: breach.invariant.to_owned(),
                text: breach.text.clone(),
                first_ms: self.now_us / MS,
                times: 1,
                devices: Vec::new(),
            });
        }
        findings.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then(b.times.cmp(&a.times)).then(a.text.cmp(&b.text))
        });
        findings.truncate(FINDINGS);
        findings
    }

    fn verdict(&self, numbers: &Numbers) -> Verdict {
        let mut checks: Vec<Check> = PROMISES
            .iter()
            .map(|(invariant, name)| {
                let broken = self.breach.as_ref().filter(|(_, breach)| breach.invariant == *invariant);
                Check {
                    name: (*name).to_owned(),
                    passed: broken.is_none(),
                    measured: broken
                        .map_or_else(|| self.kept(invariant, numbers), |(_, breach)| breach.text.clone()),
                    wanted: String::new(),
                }
            })
            .collect();
        checks.extend(self.thresholds(numbers));
        let passed = self.breach.is_none() && checks.iter().all(|check| check.passed);
        Verdict { passed, checks }
    }

    fn kept(&self, invariant: &str, numbers: &Numbers) -> String {
        match invariant {
            "I1" => format!("{} of {} units sold twice", numbers.oversold, numbers.sold),
            "I2" => {
                let claims = numbers.claims;
                format!("{} handed out, {} refunds", claims.handed_out, claims.refunded())
            }
            "I3" => format!("{} acknowledged sales, {} power cuts", numbers.served, numbers.power_cuts),
            "I4" => format!("{} units minted", numbers.minted),
            "I5" => match self.watch.agreed_us {
                Some(us) => format!("{} ms after the night", us / MS),
                None => "the night was not played to its end".to_owned(),
            },
            "I6" => format!("{} entries", numbers.entries),
            "I7" => format!("{} receipts", self.ledger.receipts.values().sum::<u64>()),
            "I11" => format!("{} retired", numbers.trust.retired),
            "I12" => format!("{} boards looked at", numbers.boards),
            "I13" => format!("{} steps taken", self.steps_taken_in_all()),
            _ => format!("{} units left", self.units_left()),
        }
    }

    fn units_left(&self) -> u64 {
        self.ledger.holdings.live().map(|(_, parcel)| parcel.free.len()).sum()
    }
}
