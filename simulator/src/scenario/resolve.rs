//! From files to a night: section by section over all files, so that names are known where they are used.

use super::demand;
use super::error::{Problem, ScenarioError};
use super::faults;
use super::field::{Field, Hours, Table};
use super::files::File;
use super::goods;
use super::limits::{MAX_NIGHT_MS, MAX_SETTLE_MS};
use super::site;
use super::{Scenario, StockPolicy, Thresholds};

/// The words for how stock moves.
pub(super) const POLICIES: [(&str, StockPolicy); 5] = [
    ("by-rate", StockPolicy::ByRate),
    ("on-demand", StockPolicy::OnDemand),
    ("static-shares", StockPolicy::StaticShares),
    ("plain-counter", StockPolicy::PlainCounter),
    ("central-server", StockPolicy::CentralServer),
];

/// How long the devices may take to agree, if the file does not say.
const SETTLES_MS: u64 = 60_000;

/// Resolves a scenario and what it includes, the scenario itself last.
pub(super) fn scenario(files: &[File]) -> Result<Scenario, ScenarioError> {
    let tables = files.iter().map(File::parse).collect::<Result<Vec<_>, _>>()?;
    let mut roots: Vec<Table<'_>> =
        files.iter().zip(&tables).map(|(file, table)| Table::new(table, file.spot())).collect();
    for root in &mut roots {
        root.take("include");
    }
    let stem = files.last().map_or("scenario", File::stem);
    let head = head(&mut roots, stem)?;
    let hours = Hours { starts_at_s: head.starts_at_s, duration_ms: head.duration_ms };
    let thresholds = thresholds(&mut roots)?;
    let site = site::read(&mut roots)?;
    let goods = goods::read(&mut roots, &site, hours)?;
    let demand = demand::read(&mut roots, &site, &goods, hours)?;
    let mut scenario = Scenario {
        name: head.name,
        title: head.title,
        starts_at_s: head.starts_at_s,
        duration_ms: head.duration_ms,
        settle_ms: head.settle_ms,
        policy: head.policy,
        venues: site.venues.clone(),
        wan: site.wan,
        devices: site.devices.clone(),
        products: goods.products,
        drops: goods.drops,
        demand,
        faults: Vec::new(),
        thresholds,
    };
    faults::read(&mut roots, &site, hours, &mut scenario)?;
    for root in roots {
        root.end()?;
    }
    Ok(scenario)
}

struct Head {
    name: String,
    title: String,
    starts_at_s: u64,
    duration_ms: u64,
    settle_ms: u64,
    policy: StockPolicy,
}

/// A key of the whole scenario; the file nearest to the scenario itself wins.
pub(super) fn take_last<'t>(roots: &mut [Table<'t>], key: &'static str) -> Option<Field<'t>> {
    roots.iter_mut().map(|root| root.take(key)).fold(None, |found, field| field.or(found))
}

/// The longest name and title of a scenario.
const MAX_TITLE: usize = 200;

fn head(roots: &mut [Table<'_>], stem: &str) -> Result<Head, ScenarioError> {
    let mut line = |key: &'static str, default: &str| match take_last(roots, key) {
        None => Ok(default.to_owned()),
        Some(field) => {
            let text = field.text()?;
            let fits = text.chars().count() <= MAX_TITLE && !text.chars().any(char::is_control);
            if fits && !text.trim().is_empty() {
                return Ok(text.to_owned());
            }
            Err(field.error(Problem::BadName {
                problem: format!("this cannot be a {key}; write one line of 1 to {MAX_TITLE} characters"),
            }))
        }
    };
    let name = line("name", stem)?;
    let title = line("title", &name)?;
    let starts_at_s = take_last(roots, "starts").map_or(Ok(18 * 3_600), |field| field.clock_s())?;
    let settle_ms = take_last(roots, "settles")
        .map_or(Ok(SETTLES_MS), |field| field.duration_ms(1_000..=MAX_SETTLE_MS))?;
    let policy = take_last(roots, "policy")
        .map_or(Ok(StockPolicy::ByRate), |field| field.word("policy", &POLICIES))?;
    let duration_ms = match take_last(roots, "lasts") {
        Some(field) => field.duration_ms(1_000..=MAX_NIGHT_MS)?,
        None => match roots.last_mut() {
            Some(root) => root.need("lasts", "lasts = \"40 min\"")?.duration_ms(1_000..=MAX_NIGHT_MS)?,
            None => SETTLES_MS,
        },
    };
    Ok(Head { name, title, starts_at_s, duration_ms, settle_ms, policy })
}

/// The most that a share of something may be: all of it.
pub(super) const ALL: u64 = 1_000;

fn thresholds(roots: &mut [Table<'_>]) -> Result<Thresholds, ScenarioError> {
    let mut wanted = Thresholds::default();
    for root in roots {
        let Some(field) = root.take("thresholds") else { continue };
        let mut table = field.table()?;
        let mut set = |key: &'static str,
                       place: &mut Option<u64>,
                       read: fn(&Field<'_>) -> Result<u64, ScenarioError>| {
            if let Some(field) = table.take(key) {
                *place = Some(read(&field)?);
            }
            Ok::<(), ScenarioError>(())
        };
        let share = |field: &Field<'_>| field.share(ALL);
        let duration = |field: &Field<'_>| field.duration_ms(0..=MAX_NIGHT_MS);
        set("served", &mut wanted.served_per_mille, share)?;
        set("wrong_refusals", &mut wanted.wrong_refusals_per_mille, share)?;
        set("claimed", &mut wanted.claimed_per_mille, share)?;
        set("sale_median", &mut wanted.sale_p50_ms, duration)?;
        set("sale_p99", &mut wanted.sale_p99_ms, duration)?;
        set("agree_within", &mut wanted.agree_ms, duration)?;
        set("losses_per_hour", &mut wanted.loss_events_milli, |field| field.thousandths(1_000_000_000))?;
        table.end()?;
    }
    Ok(wanted)
}
